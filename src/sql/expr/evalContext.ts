/**
 * EvalContext: everything an expression may ask of the world while it runs.
 *
 * The executor makes one per statement, and a derived one (`outerRows`, see below) for each run of
 * a correlated subquery. Immutable functions never touch it, so constants fold without one.
 *
 * What is synchronous and what is not
 *   Compiled expressions are synchronous closures. Three things can need to wait, and each has one place:
 *   - an uncorrelated subquery runs before the rows do: the executor puts its result into
 *     `slots[slot]` and the expression just reads it;
 *   - a correlated subquery is asked for through `runSubquery`, and
 *   - sequence functions (and functions registered with `asyncFn`) return promises.
 *   An expression that holds one of the last two has `traits(expr).isAsync`; it is compiled with
 *   `compileAsync`, whose closure may return a promise. Short circuits hold in both forms.
 */
import type { Bytes } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import type { Timestamp } from '../../base/timestamp.ts';
import type { ColumnType } from '../../catalog/type.ts';
import type { Datum } from '../../catalog/datum.ts';
import type { SubqueryPlan } from './subqueryPlan.ts';

/** A row handed to a compiled expression: positions are those of the scope's columns. */
export type Row = readonly Datum[];

export interface SessionValues {
  /** IANA name or fixed offset, as SET TIME ZONE left it. */
  readonly timeZone: string;
  readonly user: string;
  /** Empty when no database is current. */
  readonly database: string;
  /** Schemas in order, without pg_catalog unless the user named it. */
  readonly searchPath: readonly string[];
  readonly applicationName: string;
  /** Any session variable by lower-case name; undefined when there is none of that name. */
  variable(name: string): string | undefined;
  /** set_config. Throws as SET would. */
  setVariable(name: string, value: string, local: boolean): void;
}

/** The sequence operations behind nextval and its kin. Names are as the user wrote them. */
export interface SequenceOperations {
  nextval(sequence: SequenceRef): Promise<number | bigint>;
  /** 55000 when nextval has not been called for the sequence in this session. */
  currval(sequence: SequenceRef): Promise<number | bigint>;
  setval(sequence: SequenceRef, value: number | bigint, isCalled: boolean): Promise<void>;
  /** 55000 when nextval has not been called in this session. */
  lastval(): Promise<number | bigint>;
}
/** By name as written (to be resolved on the search path) or by descriptor id (nextval(52::REGCLASS)). */
export type SequenceRef = { readonly name: string } | { readonly id: number };

/** Names and definitions of objects, from the statement's own catalog snapshot; synchronous. */
export interface CatalogLookup {
  /** A possibly qualified and quoted relation name to its oid; undefined when it does not exist. */
  relationOid(name: string): number | undefined;
  /** The shortest name that finds the relation on the search path; undefined for an unknown oid. */
  relationName(oid: number): string | undefined;
  schemaOid(name: string): number | undefined;
  schemaName(oid: number): string | undefined;
  /** True when the unqualified name of the relation finds it. */
  isRelationVisible(oid: number): boolean;
  /** CREATE INDEX text, or the column's expression when columnNumber > 0; undefined when unknown. */
  indexDefinition(indexOid: number, columnNumber: number): string | undefined;
  /** The text of a constraint as pg_get_constraintdef prints it. */
  constraintDefinition(oid: number): string | undefined;
  viewDefinition(oid: number): string | undefined;
  /** A function of users: its arguments and result as \df shows them, and the statement that makes it. */
  userFunction(oid: number): { readonly args: string; readonly result: string; readonly definition: string } | undefined;
  /** A user type, or the array of one, by its oid. */
  userType(oid: number): { readonly type: ColumnType; readonly isVisible: boolean } | undefined;
  /** A user type by its name, as a cast to REGTYPE writes it. */
  userTypeNamed(name: string): ColumnType | undefined;
  /** Name of the sequence a SERIAL or identity column owns, qualified; undefined when none. Throws 42P01, 42703. */
  serialSequence(table: string, column: string): string | undefined;
  /** A comment; `sub` is a column number or 0. */
  comment(oid: number, sub: number): string | undefined;
  databaseOid(name: string): number | undefined;
  userName(oid: number): string | undefined;
  schemaNames(): readonly string[];
}

/** Regions of the session's node and of databases. */
export interface RegionOperations {
  /** The region of the node that the session is connected to. */
  gateway(): string | undefined;
  /** Undefined for a database without regions; 3D000 for none. */
  ofDatabase(name: string): { readonly names: readonly string[]; readonly primaryRegion: string } | undefined;
  /** 42P17 when the zones of the current database are not what its regions make of them. */
  validateZones(): Promise<void>;
  /** Writes the zones of an object as its regions make them. */
  resetZones(of: 'table' | 'database', id: number): Promise<void>;
}

/** The sessions of clients, by the number that PostgreSQL calls a process. */
export interface BackendOperations {
  /** This session's; -1 where no client is connected to it. */
  readonly pid: number;
  /** Cancels the statement it runs, or ends it: false, with a warning, when there is none of that number. 42501. */
  cancel(pid: number): Promise<boolean>;
  terminate(pid: number): Promise<boolean>;
}

/** What an advisory lock is on: one BIGINT, or two INTs. */
export type AdvisoryKey = readonly (number | bigint)[];

export interface AdvisoryLockRequest {
  readonly key: AdvisoryKey;
  readonly strength: 'shared' | 'exclusive';
  /** Who holds it: a transaction's ends with it. */
  readonly scope: 'session' | 'transaction';
  /** False: answers at once. */
  readonly wait: boolean;
}

export interface AdvisoryOperations {
  /** True when the lock is taken; false when it was not to wait. 55P03 after lock_timeout. */
  lock(request: AdvisoryLockRequest): Promise<boolean>;
  /** Gives back one lock of the session; false when it holds none. */
  unlock(key: AdvisoryKey, strength: AdvisoryLockRequest['strength']): boolean;
  unlockAll(): void;
}

/** Users, objects and columns by name or oid. */
export interface PrivilegeQuestion {
  readonly user: string | number;
  readonly kind: 'table' | 'column' | 'sequence' | 'schema' | 'database' | 'type' | 'function' | 'role';
  readonly object: string | number;
  readonly column?: string | number;
  /** As written: `select`, `USAGE WITH GRANT OPTION`. */
  readonly privilege: string;
}

export interface EvalContext {
  /** now(), current_timestamp: the transaction's HLC reading. */
  readonly transactionTimestamp: Timestamp;
  /** statement_timestamp(). */
  readonly statementTimestamp: Timestamp;
  /** cluster_logical_timestamp(): where the transaction will commit if nothing moves it. */
  readonly logicalTimestamp: Timestamp;
  /** clock_timestamp(). */
  readonly clock: Clock;
  /** Aborts when the statement is to end: for what waits. */
  readonly signal?: AbortSignal;
  readonly session: SessionValues;
  /** A float in [0, 1) from the injected source. */
  random(): number;
  /** A new unique INT8 row id (unique_rowid()). */
  uniqueRowId(): number | bigint;
  /** 16 fresh random bytes of a version 4 UUID. */
  uuid(): Bytes;
  readonly nodeId: number;
  readonly clusterId: string;
  readonly version: string;
  /** Values of $1.. in order. */
  readonly placeholders: readonly Datum[];
  /** Results of uncorrelated subqueries, by TypedSubquery.slot; filled before the first row. */
  readonly slots: readonly Datum[];
  /** Rows of the enclosing queries, nearest first. A correlated run sees [row, ...outer.outerRows]. */
  readonly outerRows: readonly Row[];
  readonly sequences: SequenceOperations;
  readonly advisoryLocks: AdvisoryOperations;
  readonly backends: BackendOperations;
  readonly catalog: CatalogLookup;
  readonly regions: RegionOperations;
  /** Runs a correlated subquery for one row and gives its result in the plan's form. */
  runSubquery(plan: SubqueryPlan, row: Row, ctx: EvalContext): Promise<Datum>;
  /** Is the privilege held? Undefined when an oid is nothing (has_table_privilege and its kin). */
  hasPrivilege(question: PrivilegeQuestion): Promise<boolean | undefined>;
  /** A NOTICE for the client. */
  notice(message: string): void;
}
