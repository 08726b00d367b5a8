/**
 * The syntax tree of schema, administration, job and backup statements. See ast.ts for the rules
 * every node follows, and for queries, row changes and expressions.
 */
import type {
  AsOfClause,
  DeleteStatement,
  Expr,
  IndexName,
  InsertStatement,
  Name,
  ObjectName,
  SelectStatement,
  TablePattern,
  TypeName,
  UpdateStatement,
} from './ast.ts';

export type Statement =
  | SelectStatement
  | InsertStatement
  | UpdateStatement
  | DeleteStatement
  | CreateDatabase
  | AlterDatabase
  | DropDatabase
  | CreateSchema
  | AlterSchema
  | DropSchema
  | CreateTable
  | CreateTableAs
  | AlterTable
  | DropRelation
  | CreateIndex
  | AlterIndex
  | DropIndex
  | CreateSequence
  | AlterSequence
  | CreateView
  | AlterRelation
  | CreateType
  | AlterType
  | DropType
  | Truncate
  | CommentOn
  | ConfigureZone
  | ShowZone
  | CreateRole
  | AlterRole
  | DropRole
  | Grant
  | Revoke
  | GrantRole
  | Begin
  | Commit
  | Rollback
  | Savepoint
  | ReleaseSavepoint
  | SetVariable
  | ResetVariable
  | SetTransaction
  | SetClusterSetting
  | ShowVariable
  | ShowClusterSetting
  | Show
  | Use
  | Prepare
  | Execute
  | Deallocate
  | Explain
  | Discard
  | CopyFrom
  | CopyTo
  | CancelQuery
  | CancelSession
  | ShowJobs
  | ControlJobs
  | AlterJobOwner
  | Backup
  | Restore
  | ShowBackups
  | ShowBackup;

export type StatementKind = Statement['kind'];

/** `name = value` or bare `name`. Used by WITH (...) lists of every kind. */
export interface Option {
  /** Lower-case; words of a two-word option are joined with a space: `execution locality`. */
  readonly name: string;
  readonly value: Expr | undefined;
  readonly pos: number;
}

export type DropBehavior = 'cascade' | 'restrict' | undefined;

// ---- databases and schemas --------------------------------------------------------------------

export interface CreateDatabase {
  readonly kind: 'createDatabase';
  readonly name: Name;
  readonly ifNotExists: boolean;
  /** owner, template, encoding, lc_collate, lc_ctype, connection limit: lower-case. */
  readonly options: readonly Option[];
  readonly pos: number;
}
export interface AlterDatabase {
  readonly kind: 'alterDatabase';
  readonly name: Name;
  readonly action:
    | { readonly type: 'rename'; readonly newName: Name }
    | { readonly type: 'owner'; readonly owner: Name }
    | { readonly type: 'set'; readonly variable: string; readonly values: readonly Expr[] }
    | { readonly type: 'reset'; readonly variable: string | undefined };
  readonly pos: number;
}
export interface DropDatabase {
  readonly kind: 'dropDatabase';
  readonly name: Name;
  readonly ifExists: boolean;
  readonly behavior: DropBehavior;
  readonly pos: number;
}
export interface CreateSchema {
  readonly kind: 'createSchema';
  /** Absent for CREATE SCHEMA AUTHORIZATION role, where the schema takes the role's name. */
  readonly name: ObjectName | undefined;
  readonly owner: Name | undefined;
  readonly ifNotExists: boolean;
  readonly pos: number;
}
export interface AlterSchema {
  readonly kind: 'alterSchema';
  readonly name: ObjectName;
  readonly action: { readonly type: 'rename'; readonly newName: Name } | { readonly type: 'owner'; readonly owner: Name };
  readonly pos: number;
}
export interface DropSchema {
  readonly kind: 'dropSchema';
  readonly names: readonly ObjectName[];
  readonly ifExists: boolean;
  readonly behavior: DropBehavior;
  readonly pos: number;
}

// ---- tables -----------------------------------------------------------------------------------

export interface CreateTable {
  readonly kind: 'createTable';
  readonly name: ObjectName;
  readonly ifNotExists: boolean;
  readonly temporary: boolean;
  /** In source order. */
  readonly elements: readonly TableElement[];
  readonly storageParams: readonly Option[];
  readonly pos: number;
}
export interface CreateTableAs {
  readonly kind: 'createTableAs';
  readonly name: ObjectName;
  readonly ifNotExists: boolean;
  readonly temporary: boolean;
  readonly columns: readonly Name[];
  /** Constraints given beside the column names (CREATE TABLE t (a PRIMARY KEY) AS ...). */
  readonly primaryKey: readonly Name[];
  readonly storageParams: readonly Option[];
  readonly query: SelectStatement;
  readonly pos: number;
}
export type TableElement = ColumnDef | TableConstraint | IndexDef | FamilyDef | LikeTable;

export interface ColumnDef {
  readonly kind: 'columnDef';
  readonly name: Name;
  /** Absent only in ALTER TABLE forms that allow it; CREATE TABLE always has one. */
  readonly type: TypeName;
  /** NOT VISIBLE. */
  readonly hidden: boolean;
  /** In source order; conflicts are the planner's business. */
  readonly qualifiers: readonly ColumnQualifier[];
  readonly pos: number;
}
export type ColumnQualifier = { readonly name: Name | undefined; readonly pos: number } & (
  | { readonly type: 'null' }
  | { readonly type: 'notNull' }
  | { readonly type: 'default'; readonly expr: Expr }
  | { readonly type: 'onUpdate'; readonly expr: Expr }
  | { readonly type: 'primaryKey' }
  | { readonly type: 'unique' }
  | { readonly type: 'check'; readonly expr: Expr }
  | { readonly type: 'references'; readonly reference: ForeignKeyReference }
  | { readonly type: 'computed'; readonly expr: Expr; readonly stored: boolean }
  | { readonly type: 'identity'; readonly always: boolean; readonly options: readonly SequenceOption[] }
  | { readonly type: 'collate'; readonly locale: string }
  | { readonly type: 'family'; readonly family: Name | undefined; readonly create: boolean; readonly ifNotExists: boolean }
);
export type ReferentialAction = 'noAction' | 'restrict' | 'cascade' | 'setNull' | 'setDefault';
export interface ForeignKeyReference {
  readonly table: ObjectName;
  /** Empty: the primary key of the table. */
  readonly columns: readonly Name[];
  readonly match: 'simple' | 'full';
  readonly onDelete: ReferentialAction;
  readonly onUpdate: ReferentialAction;
}
export type TableConstraint =
  | {
      readonly kind: 'primaryKey' | 'unique';
      readonly name: Name | undefined;
      readonly columns: readonly IndexElement[];
      readonly storing: readonly Name[];
      readonly where: Expr | undefined;
      readonly pos: number;
    }
  | { readonly kind: 'check'; readonly name: Name | undefined; readonly expr: Expr; readonly pos: number }
  | {
      readonly kind: 'foreignKey';
      readonly name: Name | undefined;
      readonly columns: readonly Name[];
      readonly reference: ForeignKeyReference;
      readonly pos: number;
    };
/** INDEX inside CREATE TABLE. */
export interface IndexDef {
  readonly kind: 'indexDef';
  readonly name: Name | undefined;
  readonly unique: boolean;
  readonly inverted: boolean;
  readonly columns: readonly IndexElement[];
  readonly storing: readonly Name[];
  readonly where: Expr | undefined;
  readonly storageParams: readonly Option[];
  readonly pos: number;
}
/** A key part: a plain column is a `column` expression with one part. */
export interface IndexElement {
  readonly expr: Expr;
  readonly descending: boolean;
  readonly nulls: 'first' | 'last' | undefined;
  readonly pos: number;
}
export interface FamilyDef {
  readonly kind: 'familyDef';
  readonly name: Name | undefined;
  readonly columns: readonly Name[];
  readonly pos: number;
}
export interface LikeTable {
  readonly kind: 'likeTable';
  readonly table: ObjectName;
  /** INCLUDING and EXCLUDING in order; `what` lower-case: all, constraints, defaults, generated, indexes. */
  readonly options: readonly { readonly including: boolean; readonly what: string }[];
  readonly pos: number;
}
export interface AlterTable {
  readonly kind: 'alterTable';
  readonly name: ObjectName;
  readonly ifExists: boolean;
  readonly actions: readonly AlterTableAction[];
  readonly pos: number;
}
export type AlterTableAction = { readonly pos: number } & (
  | { readonly type: 'addColumn'; readonly column: ColumnDef; readonly ifNotExists: boolean }
  | { readonly type: 'dropColumn'; readonly column: Name; readonly ifExists: boolean; readonly behavior: DropBehavior }
  | { readonly type: 'setDefault'; readonly column: Name; readonly expr: Expr }
  | { readonly type: 'dropDefault'; readonly column: Name }
  | { readonly type: 'setOnUpdate'; readonly column: Name; readonly expr: Expr }
  | { readonly type: 'dropOnUpdate'; readonly column: Name }
  | { readonly type: 'setNotNull'; readonly column: Name }
  | { readonly type: 'dropNotNull'; readonly column: Name }
  | { readonly type: 'setVisible'; readonly column: Name; readonly visible: boolean }
  | { readonly type: 'dropStored'; readonly column: Name }
  | { readonly type: 'setType'; readonly column: Name; readonly newType: TypeName; readonly using: Expr | undefined }
  | { readonly type: 'renameColumn'; readonly column: Name; readonly newName: Name }
  | { readonly type: 'addConstraint'; readonly constraint: TableConstraint; readonly ifNotExists: boolean; readonly notValid: boolean }
  | { readonly type: 'dropConstraint'; readonly constraint: Name; readonly ifExists: boolean; readonly behavior: DropBehavior }
  | { readonly type: 'renameConstraint'; readonly constraint: Name; readonly newName: Name }
  | { readonly type: 'validateConstraint'; readonly constraint: Name }
  | { readonly type: 'alterPrimaryKey'; readonly columns: readonly IndexElement[] }
  | { readonly type: 'setStorageParams'; readonly params: readonly Option[] }
  | { readonly type: 'resetStorageParams'; readonly names: readonly string[] }
  | { readonly type: 'rename'; readonly newName: ObjectName }
  | { readonly type: 'setSchema'; readonly schema: Name }
  | { readonly type: 'owner'; readonly owner: Name }
  | { readonly type: 'splitAt'; readonly rows: SelectStatement; readonly expiration: Expr | undefined }
  | { readonly type: 'unsplitAt'; readonly rows: SelectStatement | undefined }
  | { readonly type: 'scatter' }
);
/** DROP TABLE, VIEW, SEQUENCE. */
export interface DropRelation {
  readonly kind: 'dropTable' | 'dropView' | 'dropSequence';
  readonly names: readonly ObjectName[];
  readonly ifExists: boolean;
  readonly behavior: DropBehavior;
  readonly pos: number;
}
export interface Truncate {
  readonly kind: 'truncate';
  readonly tables: readonly ObjectName[];
  readonly behavior: DropBehavior;
  readonly pos: number;
}
export interface CommentOn {
  readonly kind: 'commentOn';
  readonly on: 'database' | 'schema' | 'table' | 'column' | 'index' | 'type' | 'constraint';
  /** For a column: table name and column; for a constraint: its name, and `table`. */
  readonly name: ObjectName;
  readonly index: IndexName | undefined;
  readonly table: ObjectName | undefined;
  /** Absent: IS NULL, the comment goes. */
  readonly comment: string | undefined;
  readonly pos: number;
}

// ---- indexes, sequences, views, types ---------------------------------------------------------

export interface CreateIndex {
  readonly kind: 'createIndex';
  readonly name: Name | undefined;
  readonly table: ObjectName;
  readonly unique: boolean;
  readonly inverted: boolean;
  readonly ifNotExists: boolean;
  readonly concurrently: boolean;
  /** USING method, lower-case; btree and prefix are plain, gin is inverted. */
  readonly method: string | undefined;
  readonly columns: readonly IndexElement[];
  readonly storing: readonly Name[];
  readonly where: Expr | undefined;
  readonly storageParams: readonly Option[];
  readonly pos: number;
}
export interface AlterIndex {
  readonly kind: 'alterIndex';
  readonly index: IndexName;
  readonly ifExists: boolean;
  readonly action:
    | { readonly type: 'rename'; readonly newName: Name }
    | { readonly type: 'splitAt'; readonly rows: SelectStatement; readonly expiration: Expr | undefined };
  readonly pos: number;
}
export interface DropIndex {
  readonly kind: 'dropIndex';
  readonly indexes: readonly IndexName[];
  readonly ifExists: boolean;
  readonly concurrently: boolean;
  readonly behavior: DropBehavior;
  readonly pos: number;
}
export type SequenceOption = { readonly pos: number } & (
  | { readonly type: 'as'; readonly dataType: TypeName }
  /** Signed decimal integer text. */
  | { readonly type: 'increment' | 'start' | 'cache'; readonly value: bigint }
  /** `value` absent: NO MINVALUE, NO MAXVALUE. */
  | { readonly type: 'minValue' | 'maxValue'; readonly value: bigint | undefined }
  | { readonly type: 'restart'; readonly value: bigint | undefined }
  | { readonly type: 'cycle' | 'noCycle' | 'virtual' }
  /** Absent: OWNED BY NONE. Last part is the column. */
  | { readonly type: 'ownedBy'; readonly column: ObjectName | undefined }
);
export interface CreateSequence {
  readonly kind: 'createSequence';
  readonly name: ObjectName;
  readonly ifNotExists: boolean;
  readonly temporary: boolean;
  readonly options: readonly SequenceOption[];
  readonly pos: number;
}
export interface AlterSequence {
  readonly kind: 'alterSequence';
  readonly name: ObjectName;
  readonly ifExists: boolean;
  readonly options: readonly SequenceOption[];
  readonly pos: number;
}
export interface CreateView {
  readonly kind: 'createView';
  readonly name: ObjectName;
  readonly ifNotExists: boolean;
  readonly orReplace: boolean;
  readonly materialized: boolean;
  readonly temporary: boolean;
  readonly columns: readonly Name[];
  readonly query: SelectStatement;
  readonly pos: number;
}
/** ALTER VIEW | SEQUENCE ... RENAME TO | SET SCHEMA | OWNER TO. */
export interface AlterRelation {
  readonly kind: 'alterRelation';
  readonly relation: 'view' | 'sequence';
  readonly name: ObjectName;
  readonly ifExists: boolean;
  readonly action:
    | { readonly type: 'rename'; readonly newName: ObjectName }
    | { readonly type: 'setSchema'; readonly schema: Name }
    | { readonly type: 'owner'; readonly owner: Name };
  readonly pos: number;
}
export interface CreateType {
  readonly kind: 'createType';
  readonly name: ObjectName;
  readonly ifNotExists: boolean;
  readonly labels: readonly string[];
  readonly pos: number;
}
export interface AlterType {
  readonly kind: 'alterType';
  readonly name: ObjectName;
  readonly action:
    | {
        readonly type: 'addValue';
        readonly label: string;
        readonly ifNotExists: boolean;
        readonly placement: { readonly side: 'before' | 'after'; readonly label: string } | undefined;
      }
    | { readonly type: 'dropValue'; readonly label: string }
    | { readonly type: 'renameValue'; readonly label: string; readonly newLabel: string }
    | { readonly type: 'rename'; readonly newName: Name }
    | { readonly type: 'setSchema'; readonly schema: Name }
    | { readonly type: 'owner'; readonly owner: Name };
  readonly pos: number;
}
export interface DropType {
  readonly kind: 'dropType';
  readonly names: readonly ObjectName[];
  readonly ifExists: boolean;
  readonly behavior: DropBehavior;
  readonly pos: number;
}

// ---- zones ------------------------------------------------------------------------------------

export type ZoneTarget = { readonly pos: number } & (
  | { readonly type: 'range'; readonly name: Name }
  | { readonly type: 'database'; readonly name: Name }
  | { readonly type: 'table'; readonly name: ObjectName }
  | { readonly type: 'index'; readonly index: IndexName }
  | { readonly type: 'partition'; readonly partition: Name; readonly table: ObjectName | undefined; readonly index: IndexName | undefined }
);
export interface ConfigureZone {
  readonly kind: 'configureZone';
  readonly target: ZoneTarget;
  readonly discard: boolean;
  /** `value` absent: COPY FROM PARENT. Names lower-case: `gc.ttlseconds`. */
  readonly settings: readonly Option[];
  readonly pos: number;
}
/** SHOW ZONE CONFIGURATION FOR t, or all of them without a target. */
export interface ShowZone {
  readonly kind: 'showZone';
  readonly target: ZoneTarget | undefined;
  readonly pos: number;
}

// ---- users and privileges ---------------------------------------------------------------------

export interface CreateRole {
  readonly kind: 'createRole';
  readonly isUser: boolean;
  readonly name: Name;
  readonly ifNotExists: boolean;
  /** Lower-case: login, nologin, password, createdb, controljob, valid until, ... A password is a value: never print it. */
  readonly options: readonly Option[];
  readonly pos: number;
}
export interface AlterRole {
  readonly kind: 'alterRole';
  readonly isUser: boolean;
  /** Absent for ALTER ROLE ALL. */
  readonly name: Name | undefined;
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
  readonly names: readonly Name[];
  readonly ifExists: boolean;
  readonly pos: number;
}
export type GrantTarget =
  | { readonly type: 'database' | 'schema' | 'type' | 'sequence'; readonly names: readonly ObjectName[] }
  | { readonly type: 'table'; readonly patterns: readonly TablePattern[] }
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
  | { readonly what: 'constraints' | 'partitions'; readonly table: ObjectName }
  | {
      readonly what: 'create';
      readonly object: 'any' | 'table' | 'view' | 'sequence' | 'database' | 'schema' | 'type';
      readonly name: ObjectName;
    }
  | { readonly what: 'createAll'; readonly objects: 'tables' | 'schemas' | 'types' }
  | { readonly what: 'users' | 'roles' | 'locality' | 'regions' | 'savepointStatus' | 'transactionStatus' | 'lastQueryStatistics' }
  | { readonly what: 'sessions' | 'statements' | 'transactions'; readonly cluster: boolean; readonly all: boolean }
  | { readonly what: 'grants'; readonly target: GrantTarget | undefined; readonly grantees: readonly Name[] }
  | { readonly what: 'grantsOnRole'; readonly roles: readonly Name[]; readonly members: readonly Name[] }
  | { readonly what: 'ranges'; readonly target: RangesTarget; readonly options: readonly Option[] }
  | { readonly what: 'rangeForRow'; readonly table: ObjectName; readonly index: Name | undefined; readonly row: readonly Expr[] }
  | { readonly what: 'statistics'; readonly table: ObjectName }
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
