/**
 * Statements: what running one gives back, and how layers above add their own.
 *
 * A hook registers a statement kind (`BACKUP`, `SHOW JOBS`, ...) with the engine. The session finds
 * it by the AST's `kind` and hands it a context: the session, the transaction, the evaluators for
 * option values. So sql never names the layers above it.
 *
 * Lives elsewhere: transaction state and prepared statements (session.ts), what the engine itself
 * runs (dispatch.ts), tables computed on the fly (virtualTables.ts).
 */
import type { SqlState } from '../../base/sqlState.ts';
import type { Timestamp } from '../../base/timestamp.ts';
import type { Kv, KvReader, Txn } from '../../kv/kv.ts';
import type { Datum } from '../../catalog/datum.ts';
import type { ColumnType } from '../../catalog/type.ts';
import type { Catalog, CatalogSnapshot, NameContext } from '../../catalog/catalog.ts';
import type { Sequences } from '../../catalog/sequences.ts';
import type { ClusterSettings } from '../../catalog/settings.ts';
import type { TableStatistics } from '../../catalog/tableStatistics.ts';
import type { Zones } from '../../catalog/zones.ts';
import type { ExternalIoRules } from '../../storage/access.ts';
import type { VarveError } from '../../base/errors.ts';
import type { Random } from '../../base/random.ts';
import type { Expr, SelectStatement, Statement, TransactionModes } from '../parse/ast.ts';
import type { FunctionRegistry } from '../expr/registry.ts';
import type { SessionValues } from '../expr/evalContext.ts';
import type { FeatureUsage } from './featureUsage.ts';
import type { VirtualTables } from '../plan/virtualTable.ts';
import type { CopyPort } from './copy/port.ts';
import type { DroppedDataService } from './schemaChange/droppedDataService.ts';
import type { SchemaChangeService } from './schemaChange/service.ts';
import type { AdvisoryLocks } from './advisoryLocks.ts';
import type { SqlCursors } from './cursorSet.ts';
import type { ResultColumn } from './resultColumn.ts';
export type { ResultColumn } from './resultColumn.ts';
import type { SessionVars } from './sessionVars.ts';
import type { DeferredKeys } from './deferredKeys.ts';
import type { SessionTransaction, TransactionOptions, TransactionStatus } from './transaction.ts';

/** A message beside the result: a NOTICE or WARNING of the wire protocol. */
export interface Notice {
  readonly severity: 'NOTICE' | 'WARNING' | 'INFO';
  readonly code: SqlState;
  readonly message: string;
  readonly detail?: string;
  readonly hint?: string;
}

export interface StatementResult {
  /** The command tag: `INSERT 0 3`, `SELECT 2`, `CREATE TABLE`. */
  readonly tag: string;
  /** Present when the statement returns rows, also when there are none. */
  readonly columns?: readonly ResultColumn[];
  readonly rows: Datum[][];
  /** The rows, and what they are, have gone to the statement's RowStream. */
  readonly isStreamed?: boolean;
  /** Rows returned or affected; undefined for statements that count none. */
  readonly rowCount?: number;
  readonly notices: readonly Notice[];
}

/** What a hook's `run` gives: the tag and the rows, in the order of its columns. */
export interface HookResult {
  readonly tag: string;
  /** Where they are other than `columns` foretold: under names of today. */
  readonly columns?: readonly ResultColumn[];
  readonly rows?: Datum[][];
  readonly rowCount?: number;
}

/** What a database's sessions share, as statements see it. SqlEngine (engine.ts) implements it. */
export interface EngineServices {
  readonly kv: Kv;
  readonly catalog: Catalog;
  readonly zones: Zones;
  readonly settings: ClusterSettings;
  readonly sequences: Sequences;
  readonly random: Random;
  readonly version: string;
  /** What the server refuses and allows of locations outside the process. */
  readonly externalIo: ExternalIoRules;
  readonly functions: FunctionRegistry;
  readonly statements: StatementHooks;
  readonly features: FeatureUsage;
  readonly virtualTables: VirtualTables;
  /** Jobs for changes of tables with rows; without it they are done inside the statement's transaction. */
  readonly schemaChanges: SchemaChangeService | undefined;
  readonly droppedData: DroppedDataService | undefined;
  /** What is known of the values in tables; without it plans go by sizes alone. */
  readonly statistics: TableStatistics | undefined;
  /** Open sessions, oldest first. */
  sessions(): readonly SessionState[];
  /** Runs a statement inside another's transaction: `FROM [SHOW ...]`, CREATE TABLE AS. */
  runNested(context: StatementContext, statement: Statement): Promise<StatementResult>;
}

/** A statement kept under a name. */
export interface PreparedInfo {
  readonly name: string;
  readonly sql: string;
  /** Undefined for an empty text. */
  readonly ast: Statement | undefined;
  readonly parameterTypes: readonly ColumnType[];
  /** Undefined for a statement without rows. */
  readonly columns: readonly ResultColumn[] | undefined;
}

/** One client's state, as its statements see and change it. Session (session.ts) implements it. */
export interface SessionState {
  readonly engine: EngineServices;
  readonly id: string;
  readonly nodeId: number;
  readonly clientAddress: string | undefined;
  /** The number of the client's connection; -1 where there is none. */
  readonly backendPid: number;
  /** Ends the statement that runs with 57014; no effect when none does. */
  cancel(): void;
  /** Ends the session, and tells its client why. */
  terminate(error: VarveError): void;
  /** Microseconds since the epoch. */
  readonly startedAt: number;
  /** Text of the statement that runs; empty when idle. */
  readonly activeQuery: string;
  /** Whose privileges count: `sessionUser`, or the role of SET ROLE. */
  readonly user: string;
  /** Who connected. */
  readonly sessionUser: string;
  readonly database: string;
  readonly vars: SessionVars;
  readonly values: SessionValues;
  readonly names: NameContext;
  /** From now on the session has a temporary schema, whose name this gives. */
  useTemporarySchema(name?: string): string;
  readonly transaction: SessionTransaction | undefined;
  /** Where COPY's data comes from and goes to; undefined where nothing carries it. */
  readonly copyPort: CopyPort | undefined;
  readonly advisoryLocks: AdvisoryLocks;
  readonly cursors: SqlCursors;
  readonly transactionState: TransactionStatus;
  /** Statements in the text that runs; 1 for a portal. */
  readonly textStatements: number;
  /** For the wire protocol: idle, in a transaction, or in a failed one. */
  readonly transactionStatus: 'I' | 'T' | 'E';
  preparedStatements(): readonly PreparedInfo[];
  showVariable(name: string): string;
  setVariable(name: string, text: string, local: boolean): void;
  resolveModes(modes: TransactionModes): Promise<Partial<TransactionOptions>>;
  setTransactionModes(change: Partial<TransactionOptions>): void;
  noteSequence(id: number, value: number | bigint): void;
  sequenceValue(id: number): number | bigint | undefined;
  lastSequenceValue(): number | bigint | undefined;
  forgetSequences(): void;
  prepareParsed(name: string, ast: Statement, sql: string, given: readonly (ColumnType | undefined)[], count: number): Promise<void>;
  preparedStatement(name: string): PreparedInfo;
  deallocate(name: string): boolean;
  deallocateAll(): void;
  discardAll(): void;
  runNested(
    outer: { readonly signal: AbortSignal },
    ast: Statement,
    placeholders?: readonly Datum[],
    types?: readonly ColumnType[],
  ): Promise<StatementResult>;
}

/** What a statement sees while it runs. One context lives as long as one run of one statement. */
export interface StatementContext {
  readonly engine: EngineServices;
  readonly session: SessionState;
  readonly user: string;
  /**
   * The statement's transaction: the explicit one, or the implicit one that commits after the
   * statement. 25006 under AS OF SYSTEM TIME, which has none.
   */
  readonly txn: Txn;
  /** The transaction's deferrable foreign keys. */
  readonly deferred: DeferredKeys;
  /** Where the statement reads: the transaction, or history. */
  readonly reader: KvReader;
  /** How unqualified names are resolved. */
  readonly names: NameContext;
  /** True between BEGIN and COMMIT; a statement that must commit on its own checks it. */
  readonly inExplicitTransaction: boolean;
  /** `statement_timestamp()`: never steps back within a session. */
  readonly statementTimestamp: Timestamp;
  /** Aborts when the client cancels, the statement times out or the session closes. */
  readonly signal: AbortSignal;
  /** Values of $1, $2, ... and their types. */
  readonly placeholders: readonly Datum[];
  readonly placeholderTypes: readonly ColumnType[];
  /** The catalog as this transaction sees it, its own uncommitted changes included. */
  catalog(): Promise<CatalogSnapshot>;
  /** Every name the user goes by: itself and the roles it is a member of. */
  roles(): Promise<ReadonlySet<string>>;
  /** Evaluates a constant expression (literals, placeholders, functions) cast to a type. NULL gives undefined. 22023/42804 when it cannot. */
  evalString(expr: Expr): Promise<string | undefined>;
  evalInt(expr: Expr): Promise<number | undefined>;
  evalBool(expr: Expr): Promise<boolean | undefined>;
  /** Evaluates a constant expression to a datum of its own type. */
  evalDatum(expr: Expr): Promise<{ type: ColumnType; value: Datum }>;
  /** Any accepted AS OF SYSTEM TIME form to a timestamp; the future and the unreadable are refused (22023). */
  resolveAsOf(expr: Expr): Promise<Timestamp>;
  /** Adds a notice to the result. */
  notice(message: string, fields?: Partial<Omit<Notice, 'message'>>): void;
}

/** A statement kind that another layer runs. */
export interface StatementHook<S extends Statement = Statement> {
  /**
   * The columns that `run` returns rows for; undefined for a statement without rows. Called to
   * describe a prepared statement too, so it does not run anything.
   */
  columns(stmt: S, context: StatementContext): readonly ResultColumn[] | undefined;
  /** The types of $1, $2, ... as far as they are not STRING, which is what a client may leave undeclared. */
  placeholderTypes?(stmt: S): readonly (ColumnType | undefined)[];
  /** The query within, run by `runNested`, which types the placeholders that it uses. */
  queryWithin?(stmt: S): SelectStatement | undefined;
  /**
   * Runs the statement. With `ownTransaction` false its writes go through `context.txn`; the session
   * commits an implicit one after `run` returns.
   */
  run(context: StatementContext, stmt: S): Promise<HookResult>;
  /**
   * True when the statement does not use `context.txn`, but runs transactions of its own (a job
   * that is waited for). Its implicit transaction is then never retried.
   */
  readonly ownTransaction?: boolean;
  /** True when its transaction is never retried, and holds nothing else unless it is explicit: it talks with the client. */
  readonly runsOnce?: boolean;
  /** True when the statement may run in a read-only transaction. Default false. */
  readonly isReadOnly?: boolean;
}

/** Statement hooks by AST kind. */
export class StatementHooks {
  readonly #hooks = new Map<string, StatementHook>();

  register<S extends Statement>(kind: S['kind'], hook: StatementHook<S>): void {
    this.#hooks.set(kind, hook as unknown as StatementHook);
  }

  get(kind: string): StatementHook | undefined {
    return this.#hooks.get(kind);
  }
}
