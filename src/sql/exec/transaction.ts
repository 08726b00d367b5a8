/**
 * SessionTransaction: the transaction a session is in, and what each state lets it do.
 *
 *   none ──statement──▶ implicit ──end of batch──▶ committed
 *   none or implicit ──BEGIN──▶ open ──COMMIT──▶ none
 *   open ──error──▶ aborted ──ROLLBACK TO a savepoint──▶ open
 *   open, aborted ──ROLLBACK──▶ none
 *   open ──RELEASE cockroach_restart──▶ committed (waits for COMMIT)
 *
 * An implicit transaction covers the statements of one simple query, or the portals up to Sync. Under AS OF
 * SYSTEM TIME there is no kv transaction, only a reader of history, and writing is 25006.
 *
 * After a 40001 only `cockroach_restart` may be rolled back to: that begins a new kv transaction,
 * since the old one's reads no longer hold. Rolling back to any other savepoint keeps the read set.
 *
 * Lives elsewhere: what runs in it (session.ts), conflicts and validation (kv/txn.ts).
 */
import { StateError, StatementError, type VarveError, isVarveError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { Timestamp } from '../../base/timestamp.ts';
import type { Catalog, CatalogDependencies } from '../../catalog/catalog.ts';
import type { Isolation, Kv, KvReader, Priority, Savepoint, Txn } from '../../kv/kv.ts';
import { InjectedRetryError } from '../../kv/retryErrors.ts';

import { DeferredKeys } from './deferredKeys.ts';
import { ReadsToWrite } from './readsToWrite.ts';

/** The savepoint that the client-side retry protocol uses. */
export const RESTART_SAVEPOINT = 'cockroach_restart';
/** After so many restarts a transaction meets no injected error any more, as in CockroachDB. */
const INJECTED_ERRORS_MAX = 3;

export type TransactionStatus = 'NoTxn' | 'Open' | 'Aborted' | 'RestartWait' | 'CommitWait';

export interface TransactionOptions {
  readonly isolation: Isolation;
  readonly priority: Priority;
  readonly readOnly: boolean;
  readonly asOf: Timestamp | undefined;
}

const STATUS_TEXTS = { open: 'Open', aborted: 'Aborted', restartWait: 'RestartWait', commitWait: 'CommitWait' } as const;

interface NamedSavepoint {
  readonly name: string;
  /** Undefined under AS OF SYSTEM TIME, where there is nothing to undo. */
  readonly mark: Savepoint | undefined;
}

export class SessionTransaction {
  readonly #kv: Kv;
  #options: TransactionOptions;
  #txn: Txn | undefined;
  #reader: KvReader;
  #savepoints: NamedSavepoint[] = [];
  readonly #unnoted: CatalogDependencies[] = [];
  /** Statements that have ended well: the client may know what they gave. */
  #finishedCount = 0;
  /** Times it was begun again by ROLLBACK TO SAVEPOINT cockroach_restart. */
  #restartCount = 0;
  /** A time limit that ended it, until the client is told. */
  #expiredBy: VarveError | undefined;
  #status: 'open' | 'aborted' | 'restartWait' | 'commitWait' = 'open';
  /** By job: what waits for the jobs that finish this transaction's schema changes. */
  readonly #schemaChanges = new Map<number, () => Promise<void>>();
  /** Foreign keys that are looked at once more before the commit. */
  readonly deferred = new DeferredKeys();
  /** Present where rows that are read by key are read in turns. */
  readsToWrite: ReadsToWrite | undefined;
  /** True until BEGIN makes it explicit. */
  isImplicit: boolean;
  /** Statements run so far, which AS OF SYSTEM TIME and cockroach_restart ask about. */
  statementCount = 0;
  /** What now() is: fixed when the transaction begins, or by SET TRANSACTION AS OF. */
  startTimestamp: Timestamp;

  constructor(kv: Kv, options: TransactionOptions, isImplicit: boolean) {
    this.#kv = kv;
    this.#options = options;
    this.isImplicit = isImplicit;
    this.#reader = this.#open();
    this.startTimestamp = this.#reader.readTimestamp;
  }

  #open(): KvReader {
    const { asOf, isolation, priority } = this.#options;
    if (asOf !== undefined) {
      this.#txn = undefined;
      return this.#kv.at(asOf);
    }
    this.#txn = this.#kv.begin({ isolation, priority, readOnly: this.#options.readOnly });
    if (this.readsToWrite) this.takeTurns();
    return this.#txn;
  }

  get status(): TransactionStatus {
    return STATUS_TEXTS[this.#status];
  }

  get isOpen(): boolean {
    return this.#status === 'open';
  }
  get reader(): KvReader {
    return this.#reader;
  }
  get isReadOnly(): boolean {
    return this.#options.readOnly || this.#options.asOf !== undefined;
  }
  get asOf(): Timestamp | undefined {
    return this.#options.asOf;
  }
  get options(): TransactionOptions {
    return this.#options;
  }
  get hasWrites(): boolean {
    return this.#txn?.hasWrites ?? false;
  }
  /** From here on rows that are read by key are read in turns, if the transaction is of that kind (RW2, RW3). */
  takeTurns(): void {
    const takes = this.#txn?.isolation === 'serializable' && !this.#kv.clock.isManual;
    this.readsToWrite = this.#txn && takes ? new ReadsToWrite(this.#kv, this.#txn) : undefined;
  }
  /** The kv transaction; 25006 under AS OF SYSTEM TIME, which has none. */
  get txn(): Txn {
    if (!this.#txn) throw readOnlyError('this statement');
    return this.#txn;
  }
  get kvTxn(): Txn | undefined {
    return this.#txn;
  }

  /**
   * Notes what a plan stands on in the read set. An implicit transaction that only reads commits
   * without validation, so there it waits until something is written.
   */
  noteCatalog(dependencies: CatalogDependencies, mutates: boolean, catalog: Catalog): void {
    if (!this.#txn) return;
    if (this.isImplicit && !mutates && !this.#txn.hasWrites) {
      this.#unnoted.push(dependencies);
      return;
    }
    this.flushCatalog(catalog);
    catalog.noteReads(this.#txn, dependencies);
  }

  /** Notes what has waited. */
  flushCatalog(catalog: Catalog): void {
    if (this.#txn) for (const dependencies of this.#unnoted) catalog.noteReads(this.#txn, dependencies);
    this.#unnoted.length = 0;
  }

  /** SET TRANSACTION, or BEGIN over an implicit transaction. AS OF and isolation only before anything was read. */
  setOptions(change: Partial<TransactionOptions>): void {
    const next = { ...this.#options, ...change };
    const isSame =
      next.asOf === this.#options.asOf &&
      next.isolation === this.#options.isolation &&
      next.priority === this.#options.priority &&
      next.readOnly === this.#options.readOnly;
    if (next.asOf !== undefined && change.readOnly === false) {
      throw new StatementError(SqlState.SyntaxError, 'AS OF SYSTEM TIME specified with READ WRITE mode');
    }
    if (isSame) return;
    if (this.statementCount > 0 || this.hasWrites) {
      if (next.isolation !== this.#options.isolation) {
        throw new StateError(SqlState.ActiveSqlTransaction, 'cannot change the isolation level of a running transaction');
      }
      if (next.asOf !== this.#options.asOf) {
        throw new StateError(SqlState.ActiveSqlTransaction, 'cannot set a fixed timestamp: the transaction has already run a statement');
      }
      this.#options = next;
      return;
    }
    this.#txn?.rollback();
    this.#options = next;
    this.#reader = this.#open();
    if (next.asOf !== undefined) this.startTimestamp = next.asOf;
  }

  /** Throws 25P02 unless statements may run. */
  checkRunnable(): void {
    if (this.#status === 'open') return;
    if (this.#expiredBy) {
      const error = this.#expiredBy;
      this.#expiredBy = undefined;
      throw error;
    }
    if (this.#status === 'commitWait') {
      throw new StateError(
        SqlState.InFailedSqlTransaction,
        'current transaction is committed, commands ignored until end of transaction block',
      );
    }
    throw new StateError(
      SqlState.InFailedSqlTransaction,
      'current transaction is aborted, commands ignored until end of transaction block',
    );
  }

  /** Throws 25006 when the transaction may not write. `what` is the statement's tag: `INSERT`. */
  checkWritable(what: string): void {
    if (this.isReadOnly) throw readOnlyError(what);
  }

  /** A statement begins, which restartStatement() may undo. */
  nextStatement(): void {
    if (this.#txn && (!this.#txn.readOnly || this.#txn.isolation === 'read committed')) this.#txn.nextStatement();
  }

  /**
   * After a conflict in a statement of which nobody has seen anything: makes it as if the statement
   * had not run, at a new snapshot. False when that cannot be: what came before it does not hold any
   * more. The first statement of an explicit transaction can always run again, in a new kv transaction
   * if need be; an implicit one is run again as a whole by the session.
   */
  restartStatement(): boolean {
    if (this.#status !== 'open') return false;
    if (this.#txn?.restartStatement()) return true;
    const isFirst = this.#finishedCount === 0 && this.#savepoints.every((savepoint) => savepoint.name === RESTART_SAVEPOINT);
    if (!isFirst || this.#txn === undefined || this.isImplicit) return false;
    this.#startOver();
    return true;
  }

  /** For `inject_retry_errors_enabled`: throws 40001 in an explicit transaction that was not restarted often enough yet. */
  injectRetryError(): void {
    if (!this.isImplicit && this.#restartCount < INJECTED_ERRORS_MAX) throw new InjectedRetryError();
  }

  /** A statement has ended well, and its results may be given. */
  finishStatement(): void {
    this.#finishedCount++;
  }

  /** Begins again with a new kv transaction: new reads, new timestamp. */
  #startOver(): void {
    this.#txn?.rollback();
    this.#schemaChanges.clear();
    this.deferred.clear();
    this.#reader = this.#open();
    this.statementCount = 0;
    this.#finishedCount = 0;
    this.#savepoints = this.#savepoints.map(({ name }) => ({ name, mark: this.#txn?.savepoint() }));
  }

  /** A time limit is over: the transaction can only be rolled back. The next statement is told, if the one that runs is not. */
  expire(error: VarveError, isTold: boolean): void {
    if (this.#status === 'commitWait') return;
    this.#savepoints = [];
    this.#status = 'aborted';
    if (!isTold) this.#expiredBy = error;
    this.rollback();
  }

  /**
   * A statement failed: the transaction waits for ROLLBACK, or for a rollback to a savepoint. Without
   * one that could save what was written its locks are free from here on.
   */
  fail(error: unknown): void {
    if (this.#status === 'commitWait') return;
    this.#expiredBy = undefined;
    const mustRestart = (isVarveError(error) && error.code === SqlState.SerializationFailure) || this.#txn?.state === 'aborted';
    const hasRestart = this.#savepoints.some((savepoint) => savepoint.name === RESTART_SAVEPOINT);
    this.#status = (mustRestart && hasRestart) || this.#status === 'restartWait' ? 'restartWait' : 'aborted';
    if (mustRestart || this.#savepoints.every((savepoint) => savepoint.name === RESTART_SAVEPOINT)) this.rollback();
  }

  savepoint(name: string): void {
    this.checkRunnable();
    if (name === RESTART_SAVEPOINT && this.statementCount > 0) {
      throw new StatementError(SqlState.SyntaxError, `SAVEPOINT "${RESTART_SAVEPOINT}" needs to be the first statement in a transaction`);
    }
    this.#savepoints.push({ name, mark: this.#txn?.savepoint() });
  }

  /** RELEASE SAVEPOINT. Releasing cockroach_restart commits. */
  async release(name: string): Promise<void> {
    this.checkRunnable();
    const at = this.#find(name);
    const entry = this.#savepoints[at];
    if (entry?.mark) this.#txn?.release(entry.mark);
    this.#savepoints.length = at;
    if (name === RESTART_SAVEPOINT && at === 0) {
      try {
        await this.#settleDeferred();
        await this.#txn?.commit();
        await this.#finishSchemaChanges();
      } catch (error) {
        this.#savepoints.push({ name, mark: undefined });
        throw error;
      }
      this.#status = 'commitWait';
    }
  }

  /** ROLLBACK TO SAVEPOINT: the savepoint itself stays. */
  rollbackTo(name: string): void {
    if (this.#status === 'commitWait') this.checkRunnable();
    const at = this.#find(name);
    const entry = this.#savepoints[at];
    if (name === RESTART_SAVEPOINT) {
      this.#savepoints = [{ name, mark: undefined }];
      this.#startOver();
      this.#restartCount++;
    } else {
      if (this.#txn && this.#txn.state !== 'open') {
        throw new StateError(
          SqlState.InFailedSqlTransaction,
          'savepoint rollback impossible: the transaction has to be restarted as a whole',
          {
            hint: 'roll back and run the transaction again',
          },
        );
      }
      if (entry?.mark) this.#txn?.rollbackTo(entry.mark);
      this.#savepoints.length = at + 1;
    }
    this.#status = 'open';
  }

  /** Names of the savepoints, outermost first, for SHOW SAVEPOINT STATUS. */
  savepointNames(): readonly string[] {
    return this.#savepoints.map((savepoint) => savepoint.name);
  }

  #find(name: string): number {
    const at = this.#savepoints.findLastIndex((savepoint) => savepoint.name === name);
    if (at < 0) throw new StatementError(SqlState.InvalidSavepointSpecification, `savepoint "${name}" does not exist`);
    return at;
  }

  /** Commits what is open; false when it was aborted, and so rolled back instead. */
  async commit(): Promise<boolean> {
    if (this.#status === 'commitWait') return true;
    if (this.#status !== 'open') {
      this.rollback();
      return false;
    }
    await this.#settleDeferred();
    await this.#txn?.commit();
    if (this.#schemaChanges.size > 0) await this.#finishSchemaChanges();
    return true;
  }

  /** 23503 when a reference dangles still: the transaction is rolled back. */
  async #settleDeferred(): Promise<void> {
    if (this.deferred.isEmpty) return;
    try {
      this.nextStatement();
      await this.deferred.settle();
    } catch (error) {
      this.rollback();
      throw error;
    }
  }

  /** As commit, without waiting: false, with nothing done, when something has to be waited for. */
  commitNow(): boolean {
    if (this.#status !== 'open' || this.#schemaChanges.size > 0 || !this.deferred.isEmpty) return false;
    return this.#txn === undefined || this.#txn.commitNow() !== undefined;
  }

  /** Notes a job that this transaction creates: its commit waits for `finish`, which rejects when the job failed. */
  noteSchemaChange(jobId: number, finish: () => Promise<void>): void {
    this.#schemaChanges.set(jobId, finish);
  }

  /** True when the commit waits for a job. */
  get hasSchemaChanges(): boolean {
    return this.#schemaChanges.size > 0;
  }

  hasSchemaChange(jobId: number): boolean {
    return this.#schemaChanges.has(jobId);
  }

  /** After the commit. XXA00 in an explicit transaction, whose other writes stand whatever the jobs end in. */
  async #finishSchemaChanges(): Promise<void> {
    const waits = [...this.#schemaChanges.values()];
    this.#schemaChanges.clear();
    const results = await Promise.allSettled(waits.map((finish) => finish()));
    const failed = results.find((result) => result.status === 'rejected');
    if (!failed) return;
    const { reason } = failed;
    if (this.isImplicit || !isVarveError(reason)) throw reason;
    throw new StateError(
      SqlState.CommittedWithSchemaChangeFailure,
      `transaction committed but schema change aborted with error: (${reason.code}): ${reason.message}`,
      { detail: reason.detail, hint: 'the rows that the transaction wrote are there; what the schema change added is not', cause: reason },
    );
  }

  rollback(): void {
    if (this.#txn?.state === 'open') this.#txn.rollback();
  }
}

export function readOnlyError(what: string): StatementError {
  return new StatementError(SqlState.ReadOnlySqlTransaction, `cannot execute ${what} in a read-only transaction`);
}
