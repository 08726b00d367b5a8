/**
 * The syntax tree of administration: users and privileges, sessions, SHOW, jobs, backup and restore.
 * See ast.ts for the rules every node follows.
 */
import type {
  AsOfClause,
  Expr,
  IndexName,
  Name,
  ObjectName,
  Option,
  SelectStatement,
  Statement,
  TablePattern,
  TypeName,
} from './astCore.ts';
import type { FunctionName } from './astFunctions.ts';

declare module './astCore.ts' {
  interface Statements {
    createRole: CreateRole;
    alterRole: AlterRole;
    dropRole: DropRole;
    grant: Grant;
    revoke: Revoke;
    grantRole: GrantRole;
    revokeRole: GrantRole;
    alterDefaultPrivileges: AlterDefaultPrivileges;
    reassignOwned: ReassignOwned;
    dropOwned: DropOwned;
    begin: Begin;
    commit: Commit;
    rollback: Rollback;
    savepoint: Savepoint;
    releaseSavepoint: ReleaseSavepoint;
    setVariable: SetVariable;
    resetVariable: ResetVariable;
    setTransaction: SetTransaction;
    setConstraints: SetConstraints;
    setClusterSetting: SetClusterSetting;
    showVariable: ShowVariable;
    showClusterSetting: ShowClusterSetting;
    use: Use;
    prepare: Prepare;
    execute: Execute;
    deallocate: Deallocate;
    explain: Explain;
    discard: Discard;
    copyFrom: CopyFrom;
    copyTo: CopyTo;
    cancelQuery: CancelQuery;
    cancelSession: CancelSession;
    unlisten: Unlisten;
    show: Show;
    showJobs: ShowJobs;
    controlJobs: ControlJobs;
    alterJobOwner: AlterJobOwner;
    backup: Backup;
    restore: Restore;
    showBackups: ShowBackups;
    showBackup: ShowBackup;
  }
}

// ---- users and privileges ---------------------------------------------------------------------

/** A name, or a placeholder for one: then `text` is empty. */
export interface RoleName extends Name {
  readonly placeholder?: Expr;
}
export interface CreateRole {
  readonly kind: 'createRole';
  readonly isUser: boolean;
  readonly name: RoleName;
  readonly ifNotExists: boolean;
  /** Lower-case: login, nologin, password, createdb, controljob, valid until, ... A password is a value: never print it. */
  readonly options: readonly Option[];
  readonly pos: number;
}
export interface AlterRole {
  readonly kind: 'alterRole';
  readonly isUser: boolean;
  /** Absent for ALTER ROLE ALL. */
  readonly name: RoleName | undefined;
  readonly ifExists: boolean;
  readonly options: readonly Option[];
  readonly inDatabase: Name | undefined;
  readonly set: { readonly variable: string; readonly values: readonly Expr[] } | undefined;
  /** RESET variable, or `all`. */
  readonly reset: string | undefined;
  readonly pos: number;
}
export interface DropRole {
  readonly kind: 'dropRole';
  readonly isUser: boolean;
  readonly names: readonly RoleName[];
  readonly ifExists: boolean;
  readonly pos: number;
}
export type GrantTarget =
  | { readonly type: 'database' | 'schema' | 'type' | 'sequence'; readonly names: readonly ObjectName[] }
  | { readonly type: 'table'; readonly patterns: readonly TablePattern[] }
  | { readonly type: 'function'; readonly functions: readonly FunctionName[] }
  | { readonly type: 'allIn'; readonly objects: 'tables' | 'sequences' | 'functions'; readonly schemas: readonly ObjectName[] }
  | { readonly type: 'externalConnection'; readonly names: readonly Name[] }
  | { readonly type: 'system' };
export interface Grant {
  readonly kind: 'grant';
  /** Upper-case: ALL, SELECT, BACKUP, ... */
  readonly privileges: readonly string[];
  readonly target: GrantTarget;
  readonly grantees: readonly Name[];
  readonly withGrantOption: boolean;
  readonly pos: number;
}
export interface Revoke {
  readonly kind: 'revoke';
  readonly privileges: readonly string[];
  readonly target: GrantTarget;
  readonly grantees: readonly Name[];
  readonly grantOptionOnly: boolean;
  readonly pos: number;
}
export interface AlterDefaultPrivileges {
  readonly kind: 'alterDefaultPrivileges';
  /** Whose new objects; empty for the current user's, undefined for FOR ALL ROLES. */
  readonly roles: readonly Name[] | undefined;
  /** Empty: anywhere in the database. */
  readonly schemas: readonly ObjectName[];
  readonly command: 'grant' | 'revoke';
  readonly privileges: readonly string[];
  readonly on: 'tables' | 'sequences' | 'types' | 'schemas';
  readonly grantees: readonly Name[];
  /** WITH GRANT OPTION, or GRANT OPTION FOR. */
  readonly grantOption: boolean;
  readonly pos: number;
}
export interface ReassignOwned {
  readonly kind: 'reassignOwned';
  readonly owners: readonly Name[];
  readonly newOwner: Name;
  readonly pos: number;
}
export interface DropOwned {
  readonly kind: 'dropOwned';
  readonly owners: readonly Name[];
  readonly behavior: 'cascade' | 'restrict' | undefined;
  readonly pos: number;
}
/** GRANT role TO user, REVOKE role FROM user. */
export interface GrantRole {
  readonly kind: 'grantRole' | 'revokeRole';
  readonly roles: readonly Name[];
  readonly members: readonly Name[];
  /** WITH ADMIN OPTION, or ADMIN OPTION FOR. */
  readonly adminOption: boolean;
  readonly pos: number;
}

// ---- transactions and session -----------------------------------------------------------------

export interface TransactionModes {
  readonly isolation: 'serializable' | 'snapshot' | 'repeatableRead' | 'readCommitted' | 'readUncommitted' | undefined;
  readonly priority: 'low' | 'normal' | 'high' | undefined;
  readonly readOnly: boolean | undefined;
  readonly deferrable: boolean | undefined;
  readonly asOf: AsOfClause | undefined;
}
export interface Begin {
  readonly kind: 'begin';
  readonly modes: TransactionModes;
  readonly pos: number;
}
export interface Commit {
  readonly kind: 'commit';
  readonly pos: number;
}
/** ROLLBACK, or ROLLBACK TO SAVEPOINT when `savepoint` is there. */
export interface Rollback {
  readonly kind: 'rollback';
  readonly savepoint: Name | undefined;
  readonly pos: number;
}
export interface Savepoint {
  readonly kind: 'savepoint';
  readonly name: Name;
  readonly pos: number;
}
export interface ReleaseSavepoint {
  readonly kind: 'releaseSavepoint';
  readonly name: Name;
  readonly pos: number;
}
/** SET x = a, b. SET TIME ZONE is `timezone`, SET NAMES is `client_encoding`, SET SCHEMA is `search_path`. */
export interface SetVariable {
  readonly kind: 'setVariable';
  readonly scope: 'session' | 'local' | undefined;
  /** Lower-case, dotted for custom ones. */
  readonly variable: string;
  /** Bare words are column references of one part; a lone DEFAULT is one `default` node. */
  readonly values: readonly Expr[];
  readonly pos: number;
}
export interface ResetVariable {
  readonly kind: 'resetVariable';
  /** Absent for RESET ALL. */
  readonly variable: string | undefined;
  readonly pos: number;
}
/** SET TRANSACTION, or SET SESSION CHARACTERISTICS AS TRANSACTION. */
export interface SetTransaction {
  readonly kind: 'setTransaction';
  readonly session: boolean;
  readonly modes: TransactionModes;
  readonly pos: number;
}
/** SET CONSTRAINTS: when this transaction looks at deferrable foreign keys. */
export interface SetConstraints {
  readonly kind: 'setConstraints';
  /** Absent for ALL. */
  readonly names: readonly ObjectName[] | undefined;
  readonly isDeferred: boolean;
  readonly pos: number;
}
/** SET CLUSTER SETTING s = v; RESET gives a `default` node. */
export interface SetClusterSetting {
  readonly kind: 'setClusterSetting';
  readonly setting: string;
  readonly value: Expr;
  readonly pos: number;
}
export interface ShowVariable {
  readonly kind: 'showVariable';
  /** `all` for SHOW ALL. */
  readonly variable: string;
  readonly pos: number;
}
/** One setting, or a list: all of them, or only the public ones. */
export interface ShowClusterSetting {
  readonly kind: 'showClusterSetting';
  readonly setting: string | undefined;
  readonly list: 'all' | 'public' | undefined;
  readonly pos: number;
}
export interface Use {
  readonly kind: 'use';
  readonly database: Expr;
  readonly pos: number;
}
export interface Prepare {
  readonly kind: 'prepare';
  readonly name: Name;
  readonly types: readonly TypeName[];
  readonly statement: Statement;
  readonly pos: number;
}
export interface Execute {
  readonly kind: 'execute';
  readonly name: Name;
  readonly args: readonly Expr[];
  readonly discardRows: boolean;
  readonly pos: number;
}
export interface Deallocate {
  readonly kind: 'deallocate';
  /** Absent for DEALLOCATE ALL. */
  readonly name: Name | undefined;
  readonly pos: number;
}
export interface Explain {
  readonly kind: 'explain';
  readonly analyze: boolean;
  /** Lower-case: verbose, types, opt, distsql, vec, plan, debug. */
  readonly options: readonly string[];
  readonly statement: Statement;
  readonly pos: number;
}
export interface Discard {
  readonly kind: 'discard';
  readonly what: 'all' | 'plans' | 'sequences' | 'temporary';
  readonly pos: number;
}
export interface CopyFrom {
  readonly kind: 'copyFrom';
  readonly table: ObjectName;
  readonly columns: readonly Name[];
  /** Lower-case: format, delimiter, null, header, quote, escape, destination. */
  readonly options: readonly Option[];
  readonly pos: number;
}
export interface CopyTo {
  readonly kind: 'copyTo';
  readonly table: ObjectName | undefined;
  readonly columns: readonly Name[];
  readonly query: Statement | undefined;
  readonly options: readonly Option[];
  readonly pos: number;
}
export interface CancelQuery {
  readonly kind: 'cancelQuery';
  readonly ifExists: boolean;
  /** An id expression, or a query that gives ids. */
  readonly ids: Expr | SelectStatement;
  readonly pos: number;
}
/** UNLISTEN name, or * for all. */
export interface Unlisten {
  readonly kind: 'unlisten';
  readonly channel: Name | undefined;
  readonly pos: number;
}
export interface CancelSession {
  readonly kind: 'cancelSession';
  readonly ifExists: boolean;
  readonly ids: Expr | SelectStatement;
  readonly pos: number;
}

// ---- SHOW -------------------------------------------------------------------------------------

/** SHOW of something in the catalog or cluster; variables, settings, zones, jobs and backups have their own nodes. */
export type Show = { readonly kind: 'show'; readonly pos: number } & (
  | { readonly what: 'databases'; readonly withComment: boolean }
  | { readonly what: 'schemas'; readonly from: ObjectName | undefined; readonly withComment: boolean }
  | { readonly what: 'tables'; readonly from: ObjectName | undefined; readonly withComment: boolean }
  | { readonly what: 'sequences' | 'types' | 'enums' | 'functions'; readonly from: ObjectName | undefined }
  | { readonly what: 'columns' | 'indexes'; readonly table: ObjectName; readonly withComment: boolean }
  | { readonly what: 'databaseIndexes'; readonly database: ObjectName; readonly withComment: boolean }
  | { readonly what: 'constraints'; readonly table: ObjectName }
  | { readonly what: 'partitions'; readonly table: ObjectName }
  | {
      readonly what: 'create';
      readonly object: 'any' | 'table' | 'view' | 'sequence' | 'database' | 'schema' | 'type';
      readonly name: ObjectName;
    }
  /** Those of the cluster with the databases in them; with `of` those of one place. */
  | { readonly what: 'regions'; readonly of: 'cluster' | 'allDatabases' | 'database' | undefined; readonly database: Name | undefined }
  /** The current database's without a name. */
  | { readonly what: 'survivalGoal'; readonly database: Name | undefined }
  | { readonly what: 'createFunction'; readonly function: FunctionName }
  | { readonly what: 'createAll'; readonly objects: 'tables' | 'schemas' | 'types' }
  | { readonly what: 'users' | 'roles' }
  | { readonly what: 'locality' | 'savepointStatus' | 'transactionStatus' | 'lastQueryStatistics' }
  | { readonly what: 'sessions' | 'statements' | 'transactions'; readonly cluster: boolean; readonly all: boolean }
  | { readonly what: 'grants'; readonly target: GrantTarget | undefined; readonly grantees: readonly Name[] }
  | { readonly what: 'grantsOnRole'; readonly roles: readonly Name[]; readonly members: readonly Name[] }
  | { readonly what: 'systemGrants'; readonly grantees: readonly Name[] }
  | {
      readonly what: 'defaultPrivileges';
      /** Whose new objects; empty for the current user's, undefined for FOR ALL ROLES. */
      readonly roles: readonly Name[] | undefined;
      readonly schema: ObjectName | undefined;
    }
  | { readonly what: 'ranges'; readonly target: RangesTarget; readonly options: readonly Option[] }
  | { readonly what: 'rangeForRow'; readonly table: ObjectName; readonly index: Name | undefined; readonly row: readonly Expr[] }
  | { readonly what: 'statistics'; readonly format: Name | undefined; readonly table: ObjectName }
  | { readonly what: 'histogram'; readonly id: Expr }
  | { readonly what: 'syntax'; readonly sql: string }
);
export type RangesTarget =
  | { readonly type: 'cluster' }
  | { readonly type: 'database'; readonly name: Name | undefined }
  | { readonly type: 'table'; readonly name: ObjectName }
  | { readonly type: 'index'; readonly index: IndexName };

// ---- jobs -------------------------------------------------------------------------------------

/** Which jobs. `ids` holds one id expression; `select` a query of ids. */
export type JobSelection =
  | { readonly type: 'all' }
  | { readonly type: 'automatic' }
  | { readonly type: 'ids'; readonly ids: readonly Expr[] }
  | { readonly type: 'select'; readonly query: SelectStatement }
  | { readonly type: 'schedule'; readonly schedule: Expr }
  | { readonly type: 'schedules'; readonly query: SelectStatement }
  /** ALL BACKUP JOBS and so on: the type in lower case. */
  | { readonly type: 'allOfType'; readonly jobType: string };
export interface ShowJobs {
  readonly kind: 'showJobs';
  readonly jobs: JobSelection;
  /** SHOW JOB id: the full description. */
  readonly single: boolean;
  readonly whenComplete: boolean;
  /** Lower-case: execution details, resolved timestamp. */
  readonly options: readonly Option[];
  readonly pos: number;
}
export interface ControlJobs {
  readonly kind: 'controlJobs';
  readonly command: 'pause' | 'resume' | 'cancel';
  readonly jobs: JobSelection;
  /** PAUSE ... WITH REASON. */
  readonly reason: Expr | undefined;
  readonly pos: number;
}
export interface AlterJobOwner {
  readonly kind: 'alterJobOwner';
  readonly job: Expr;
  readonly owner: Name;
  readonly pos: number;
}

// ---- backup and restore -----------------------------------------------------------------------

export type BackupTargets =
  | { readonly type: 'cluster' }
  | { readonly type: 'databases'; readonly names: readonly Name[] }
  | { readonly type: 'tables'; readonly patterns: readonly TablePattern[] }
  | { readonly type: 'systemUsers' };

/** One location, or the list of a locality-aware one. String literals, placeholders, or double-quoted names taken as strings. */
export type UriList = readonly Expr[];

export interface Backup {
  readonly kind: 'backup';
  readonly targets: BackupTargets;
  readonly destination:
    | { readonly type: 'into'; readonly uris: UriList }
    | { readonly type: 'intoLatest'; readonly uris: UriList }
    | { readonly type: 'intoSubdir'; readonly subdir: Expr; readonly uris: UriList }
    /** Legacy BACKUP ... TO, with INCREMENTAL FROM. */
    | { readonly type: 'to'; readonly uris: UriList; readonly incrementalFrom: readonly Expr[] };
  readonly asOf: AsOfClause | undefined;
  /** Values: an expression, or a `tuple` for a list. */
  readonly options: readonly Option[];
  readonly pos: number;
}
export interface Restore {
  readonly kind: 'restore';
  readonly targets: BackupTargets;
  readonly source:
    | { readonly type: 'latest'; readonly uris: UriList }
    | { readonly type: 'subdir'; readonly subdir: Expr; readonly uris: UriList }
    /** Legacy: full first, each layer one location or a locality-aware list. */
    | { readonly type: 'layers'; readonly layers: readonly UriList[] };
  readonly asOf: AsOfClause | undefined;
  /** Which rows of the one table come. */
  readonly where: Expr | undefined;
  readonly options: readonly Option[];
  readonly pos: number;
}
export interface ShowBackups {
  readonly kind: 'showBackups';
  readonly uris: UriList;
  readonly newerThan: Expr | undefined;
  readonly olderThan: Expr | undefined;
  readonly options: readonly Option[];
  readonly pos: number;
}
export interface ShowBackup {
  readonly kind: 'showBackup';
  readonly view: 'default' | 'schemas' | 'files' | 'ranges' | 'validate';
  readonly source:
    | { readonly type: 'latest'; readonly uris: UriList }
    | { readonly type: 'subdir'; readonly subdir: Expr; readonly uris: UriList }
    /** Legacy: the layer's own URI. */
    | { readonly type: 'uri'; readonly uris: UriList };
  readonly options: readonly Option[];
  readonly pos: number;
}
