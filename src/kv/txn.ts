/**
 * Txn: one transaction: a snapshot, a read set, a write buffer, savepoints and locks.
 *
 *   TX1  a read sees the snapshot at the read timestamp with the transaction's own writes over it
 *   TX2  the read timestamp moves only when everything read so far holds at the new one (refresh)
 *   TX3  nothing of it is visible before commit; abort is dropping the buffer
 *   TX4  however it ends, its locks are free afterwards
 *   TX5  a statement can be undone and run again on a newer snapshot while all earlier ones hold there
 *
 * Serializable transactions record every read. The weaker levels record what must be validated
 * anyway: constraint reads and what noteRead names. A row read in order to write it is held by its
 * lock there: it is asked for changes when the lock is granted, and once more at commit, in case
 * somebody changed it who takes no locks (heldKeys.ts).
 *
 * Lives elsewhere: validation, timestamp and applying (commit.ts), who waits for whom (lockTable.ts),
 * what it takes of the memory budget (memory.ts).
 */
import type { Bytes } from '../base/bytes.ts';
import { assert } from '../base/assert.ts';
import type { Holding } from '../base/budget.ts';
import { StateError, StatementError, VarveError } from '../base/errors.ts';
import type { Span } from '../base/span.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { HistoryGoneError } from '../gc/thresholds.ts';
import { commitTxn, commitTxnNow } from './commit.ts';
import type { KvCore } from './core.ts';
import { snapshotTimestamp } from './core.ts';
import { expiredKeys, expiredReads } from './expiry.ts';
import { HeldKeys } from './heldKeys.ts';
import type {
  Isolation,
  LockOptions,
  LockStrength,
  Priority,
  ReadOptions,
  Savepoint,
  ScanOptions,
  ScanResult,
  Txn,
  TxnOptions,
  TxnState,
} from './kv.ts';
import type { LockOwner, LockRequest } from './lockOwner.ts';
import { checkNotMounted } from './mounts.ts';
import { scanOverlay } from './overlay.ts';
import { ReadSet } from './readSet.ts';
import { readSetExpiredError, refreshError, writeTooOldError } from './retryErrors.ts';
import { getSnapshot, scanSnapshot } from './snapshotReads.ts';
import { type Mark, WriteBuffer } from './writeBuffer.ts';

/** Where the present statement began. */
interface StatementStart {
  readonly writes: Mark;
  readonly hadRead: boolean;
  readonly beforeCommitCount: number;
  readonly afterCommitCount: number;
}

const NO_OPTIONS = {};

interface LocalSavepoint {
  readonly mark: number;
  readonly owner: LocalTxn;
  released: boolean;
}

export class LocalTxn implements Txn, LockOwner {
  #id: string | undefined;
  readonly name: string;
  readonly isolation: Isolation;
  readonly priority: Priority;
  readonly readOnly: boolean;
  readonly #isEffect: boolean;
  readonly #signal: AbortSignal | undefined;
  readonly lockedKeys: Bytes[] = [];
  readonly lockTimes: { count: number; at: number }[] = [];
  waitingFor: LockRequest | undefined;
  escalateAt: number | undefined;
  lockTimeoutMicros = 0;
  /** For commit.ts. */
  readonly reads = new ReadSet();
  readonly held = new HeldKeys();
  readonly buffer = new WriteBuffer();
  readonly beforeCommitFns: ((ts: Timestamp) => void)[] = [];
  readonly #afterCommitFns: ((ts: Timestamp) => void)[] = [];
  readonly #afterAbortFns: (() => void)[] = [];
  readonly #core: KvCore;
  /** What the buffer takes of the memory budget; made at the first write. */
  #holding: Holding | undefined;
  #readTimestamp: Timestamp;
  #commitTimestamp: Timestamp | undefined;
  #phase: TxnState | 'committing' = 'open';
  #hasRead = false;
  /** The present statement has waited for a lock. */
  #hasWaited = false;
  #statement: StatementStart | undefined;
  /** The oldest time at which the present statement has read. */
  #statementTimestamp: Timestamp;
  /** Why it was aborted from outside. */
  #evictedWith: unknown;

  constructor(core: KvCore, options: TxnOptions) {
    this.#core = core;
    this.name = options.name ?? '';
    this.isolation = options.isolation ?? 'serializable';
    this.priority = options.priority ?? 'normal';
    this.readOnly = options.readOnly ?? false;
    this.#isEffect = options.isEffect ?? false;
    this.#signal = options.signal;
    this.#readTimestamp = snapshotTimestamp(core);
    this.#statementTimestamp = this.#readTimestamp;
  }

  /** Given when somebody asks: most transactions end before anybody does. */
  get id(): string {
    this.#id ??= this.#core.ids.name();
    return this.#id;
  }

  get readTimestamp(): Timestamp {
    return this.#readTimestamp;
  }

  get commitTimestamp(): Timestamp | undefined {
    return this.#commitTimestamp;
  }

  get undoCount(): number {
    return this.buffer.undoCount;
  }

  get hasWrites(): boolean {
    return this.buffer.size > 0;
  }

  get state(): TxnState {
    return this.#phase === 'committing' ? 'open' : this.#phase;
  }

  async get(keys: readonly Bytes[], options?: ReadOptions): Promise<(Bytes | undefined)[]> {
    const mounted = this.#core.mounts.sourceOf(keys[0]);
    if (mounted === undefined) return this.#get(keys, options);
    this.#checkOpen();
    this.#hasRead = true;
    return await mounted.get(keys, this.#readTimestamp);
  }

  getNow(keys: readonly Bytes[], options?: ReadOptions): (Bytes | undefined)[] | undefined {
    return this.#core.mounts.sourceOf(keys[0]) === undefined ? this.#get(keys, options) : undefined;
  }

  #get(keys: readonly Bytes[], options: ReadOptions = NO_OPTIONS): (Bytes | undefined)[] {
    this.#checkOpen();
    const values = this.#getSnapshot(keys);
    this.#hasRead = true;
    if (this.#records(options)) for (const key of keys) this.reads.addPoint(key, this.#readTimestamp);
    if (this.buffer.size > 0) {
      for (let i = 0; i < keys.length; i++) {
        const own = this.buffer.get(keys[i] as Bytes);
        if (own !== undefined) values[i] = own ?? undefined;
      }
    }
    return values;
  }

  async scan(span: Span, options: ScanOptions = {}): Promise<ScanResult> {
    this.#checkOpen();
    this.#hasRead = true;
    const ts = this.#readTimestamp;
    const mounted = this.#core.mounts.sourceOf(span.key);
    if (mounted !== undefined) return await mounted.scan(span, ts, options);
    if (this.buffer.touches(span)) {
      const { extent, ...result } = await scanOverlay(this.#core, this.buffer, span, ts, options).catch(this.#afterWait);
      if (this.#records(options)) this.reads.addSpan(extent, ts);
      return result;
    }
    const { rows, resume } = await scanSnapshot(this.#core, span, ts, options).catch(this.#afterWait);
    if (this.#records(options)) {
      const extent =
        resume === undefined ? span : options.reverse ? { key: resume, endKey: span.endKey } : { key: span.key, endKey: resume };
      this.reads.addSpan(extent, ts);
    }
    return { keys: rows.keys, values: rows.values as Bytes[], timestamps: rows.timestamps, resume };
  }

  #getSnapshot(keys: readonly Bytes[]): (Bytes | undefined)[] {
    try {
      return getSnapshot(this.#core, keys, this.#readTimestamp);
    } catch (error) {
      return this.#afterWait(error);
    }
  }

  /** The snapshot that grew too old while the statement waited for a lock is not the client's mistake: a newer one will do. */
  readonly #afterWait = (error: unknown): never => {
    if (!this.#hasWaited || !(error instanceof HistoryGoneError)) throw error;
    throw readSetExpiredError(error.tableId, error.timestamp, error.threshold);
  };

  write(keys: readonly Bytes[], values: readonly (Bytes | null)[]): void {
    if (this.#phase !== 'committing') this.#checkOpen();
    if (this.readOnly) {
      throw new StatementError(SqlState.ReadOnlySqlTransaction, 'cannot write in a read-only transaction');
    }
    checkNotMounted(keys[0]);
    assert(keys.length === values.length, `${keys.length} keys written with ${values.length} values`);
    const { memory } = this.#core;
    memory.admitWrites(keys, values, this.buffer.heapBytes);
    for (let i = 0; i < keys.length; i++) this.buffer.set(keys[i] as Bytes, values[i] as Bytes | null);
    this.#holding ??= memory.hold('transactions');
    this.#holding.resize(this.buffer.heapBytes);
    memory.noteGrowth();
  }

  async lock(keys: readonly Bytes[], options: LockOptions = NO_OPTIONS): Promise<Bytes[]> {
    checkNotMounted(keys[0]);
    this.#checkMayLock();
    const { strength = 'exclusive', alreadyRead = false } = options;
    const { locks } = this.#core;
    const locked: Bytes[] = [];
    for (const key of keys) {
      if (locks.tryLock(this, key, strength) || (await this.#waitForLock(key, strength, options))) locked.push(key);
    }
    this.#checkOpen();
    if (alreadyRead && options.wait === 'skip') for (const key of locked) this.reads.addPoint(key, this.#statementTimestamp);
    this.#hold(locked, alreadyRead);
    return locked;
  }

  lockNow(keys: readonly Bytes[], options: LockOptions = NO_OPTIONS): boolean {
    checkNotMounted(keys[0]);
    this.#checkMayLock();
    const { strength = 'exclusive', alreadyRead = false } = options;
    const { locks } = this.#core;
    for (const key of keys) if (!locks.tryLock(this, key, strength)) return false;
    this.#hold(keys, alreadyRead);
    return true;
  }

  #checkMayLock(): void {
    this.#checkOpen();
    if (this.readOnly) throw new StatementError(SqlState.ReadOnlySqlTransaction, 'cannot lock rows in a read-only transaction');
  }

  /** Keys have just been locked. */
  #hold(locked: readonly Bytes[], alreadyRead: boolean): void {
    this.#noteLockTime();
    this.#catchUp(locked, alreadyRead);
    if (alreadyRead && this.isolation !== 'serializable') this.held.add(locked, this.#readTimestamp, this.#core.keyspace);
  }

  /** One entry for all that comes within a millisecond, so many locks do not make many. */
  #noteLockTime(): void {
    const count = this.lockedKeys.length;
    const last = this.lockTimes.at(-1);
    if (last?.count === count) return;
    const at = this.#core.clock.nowMicros();
    if (last !== undefined && at - last.at < 1000) last.count = count;
    else this.lockTimes.push({ count, at });
  }

  /** True when the lock is held, false when it is to be skipped. */
  async #waitForLock(key: Bytes, strength: LockStrength, { wait = 'block', signal }: LockOptions): Promise<boolean> {
    const { locks, clock } = this.#core;
    this.#refuseVainWait(key);
    this.#hasWaited = true;
    const timer =
      this.lockTimeoutMicros > 0 && wait === 'block' ? clock.setTimer(this.lockTimeoutMicros, () => locks.timeOut(this)) : undefined;
    try {
      return await this.#idle(locks.lock(this, key, strength, wait, either(signal, this.#signal)));
    } catch (error) {
      if (error instanceof VarveError && error.code === SqlState.SerializationFailure) this.#abort();
      throw error;
    } finally {
      timer?.cancel();
    }
  }

  /**
   * A key that has changed makes the transaction refresh once the lock is granted. If what earlier
   * statements read has changed too, that is bound to fail, and the wait would only keep others waiting.
   */
  #refuseVainWait(key: Bytes): void {
    if (this.isolation !== 'serializable' || this.#statement === undefined) return;
    const { keyspace } = this.#core;
    if (keyspace.find(key)?.store.keyChangedSince(key, this.#readTimestamp) === undefined) return;
    const conflict = this.reads.firstChange(keyspace, true);
    if (conflict !== undefined) throw refreshError(conflict.key, conflict.changedAt, conflict.readAt);
  }

  /** For the lock table: gives way to a transaction of higher priority, unless it is committing. */
  evict(reason: unknown): boolean {
    if (this.#phase !== 'open') return false;
    this.#evictedWith = reason;
    this.#abort();
    return true;
  }

  hasWritten(key: Bytes): boolean {
    return this.buffer.get(key) !== undefined;
  }

  noteRead(key: Bytes): void {
    this.#checkOpen();
    if (!this.readOnly) this.reads.addPoint(key, this.#readTimestamp);
  }

  noteReadSpan(span: Span): void {
    this.#checkOpen();
    if (!this.readOnly) this.reads.addSpan(span, this.#readTimestamp);
  }

  refresh(): boolean {
    this.#checkOpen();
    if (this.isolation === 'snapshot' && this.#hasRead) return false;
    if (this.readOnly && this.#hasRead) return false;
    const ts = snapshotTimestamp(this.#core);
    if (ts <= this.#readTimestamp) return true;
    if (this.reads.firstChange(this.#core.keyspace) !== undefined || expiredReads(this.#core, this.reads) !== undefined) return false;
    // At read committed a statement that goes on is still bound to what it saw when it began.
    if (this.isolation !== 'read committed') this.reads.rebase(ts);
    this.#readTimestamp = ts;
    return true;
  }

  nextStatement(): void {
    this.#checkOpen();
    this.reads.mark();
    this.held.mark();
    this.#hasWaited = false;
    this.#statement = {
      writes: this.buffer.freeze(),
      hadRead: this.#hasRead,
      beforeCommitCount: this.beforeCommitFns.length,
      afterCommitCount: this.#afterCommitFns.length,
    };
    if (this.isolation === 'read committed')
      this.#readTimestamp = Math.max(snapshotTimestamp(this.#core), this.#readTimestamp) as Timestamp;
    this.#statementTimestamp = this.#readTimestamp;
  }

  restartStatement(): boolean {
    const start = this.#statement;
    if (this.#phase !== 'open' || start === undefined) return false;
    this.buffer.restore(start.writes);
    this.#holding?.resize(this.buffer.heapBytes);
    this.reads.undo();
    this.held.undo();
    this.beforeCommitFns.length = start.beforeCommitCount;
    this.#afterCommitFns.length = start.afterCommitCount;
    this.#hasRead = start.hadRead;
    this.#hasWaited = false;
    if (!this.refresh()) return false;
    this.#statementTimestamp = this.#readTimestamp;
    return true;
  }

  savepoint(): Savepoint {
    this.#checkOpen();
    const savepoint: LocalSavepoint = { mark: this.buffer.mark(), owner: this, released: false };
    return savepoint as unknown as Savepoint;
  }

  rollbackTo(savepoint: Savepoint): void {
    this.#checkOpen();
    const { mark } = this.#own(savepoint);
    this.buffer.undoTo(mark);
    this.#holding?.resize(this.buffer.heapBytes);
  }

  release(savepoint: Savepoint): void {
    this.#checkOpen();
    this.#own(savepoint).released = true;
    this.buffer.releaseMark();
  }

  async commit(): Promise<Timestamp> {
    const done = this.commitNow();
    if (done !== undefined) return done;
    this.#phase = 'committing';
    try {
      await commitTxn(this.#core, this);
    } catch (error) {
      this.#abort();
      throw error;
    }
    return this.#finish(this.#commitTimestamp as Timestamp);
  }

  commitNow(): Timestamp | undefined {
    this.#checkOpen();
    if (!this.hasWrites && this.beforeCommitFns.length === 0) return this.#finish(this.#readTimestamp);
    this.#phase = 'committing';
    try {
      if (commitTxnNow(this.#core, this)) return this.#finish(this.#commitTimestamp as Timestamp);
    } catch (error) {
      if (this.#commitTimestamp === undefined) this.#abort();
      throw error;
    }
    this.#phase = 'open';
    return undefined;
  }

  rollback(): void {
    if (this.#phase === 'open') this.#abort();
  }

  beforeCommit(fn: (commitTimestamp: Timestamp) => void): void {
    this.#checkOpen();
    this.beforeCommitFns.push(fn);
  }

  afterCommit(fn: (commitTimestamp: Timestamp) => void): void {
    if (this.#phase !== 'committing') this.#checkOpen();
    this.#afterCommitFns.push(fn);
  }

  afterAbort(fn: () => void): void {
    if (this.#phase !== 'committing') this.#checkOpen();
    this.#afterAbortFns.push(fn);
  }

  /** For commit.ts: the stores count the writes from here on. */
  handOver(): void {
    this.#holding?.release();
  }

  /** For commit.ts: the writes are applied, and stand at `ts`. */
  applied(ts: Timestamp): void {
    this.#commitTimestamp = ts;
  }

  /** Ends it as committed: frees the locks, then runs what waited for that. A failing afterCommit keeps none of the others from running. */
  #finish(ts: Timestamp): Timestamp {
    this.#commitTimestamp = ts;
    this.#phase = 'committed';
    this.#drop();
    const failures: unknown[] = [];
    for (const fn of this.#afterCommitFns) {
      try {
        fn(ts);
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
    return ts;
  }

  #abort(): void {
    if (this.#phase === 'aborted') return;
    this.#phase = 'aborted';
    this.#drop();
    this.#statement = undefined;
    for (const fn of this.#afterAbortFns) fn();
  }

  #drop(): void {
    this.#core.locks.releaseAll(this, this.#evictedWith);
    this.buffer.clear();
    this.#holding?.release();
    this.reads.clear();
    this.held.clear();
  }

  #idle<T>(wait: Promise<T>): Promise<T> {
    return this.#isEffect ? this.#core.activity.suspend(wait) : wait;
  }

  #records(options: ReadOptions): boolean {
    return !this.readOnly && options.unrecorded !== true && (options.validated === true || this.isolation === 'serializable');
  }

  /** After locking: if a key has changed since the snapshot, the snapshot moves up, or the transaction has to run again. */
  #catchUp(keys: readonly Bytes[], alreadyRead: boolean): void {
    const { keyspace } = this.#core;
    // At read committed the snapshot may have moved since the statement read.
    const since = alreadyRead ? this.#statementTimestamp : this.#readTimestamp;
    const expired = alreadyRead ? expiredKeys(this.#core, keys, Math.min(since, this.#readTimestamp) as Timestamp) : undefined;
    if (expired !== undefined) {
      if (this.#statement === undefined) this.#abort();
      throw expired;
    }
    for (const key of keys) {
      const changedAt = keyspace.find(key)?.store.keyChangedSince(key, Math.min(since, this.#readTimestamp) as Timestamp);
      if (changedAt === undefined) continue;
      // What was read under no record cannot move to a newer snapshot: the statement has to run again.
      const isStale = alreadyRead && this.isolation === 'read committed';
      if (!isStale && this.refresh()) continue;
      const conflict = this.reads.firstChange(keyspace);
      const readAt = this.#readTimestamp;
      // Between statements nothing could undo the part that failed; inside one, restartStatement() may.
      if (this.#statement === undefined) this.#abort();
      if (conflict === undefined || conflict.key === key) throw writeTooOldError(key, changedAt, readAt);
      throw refreshError(conflict.key, conflict.changedAt, conflict.readAt);
    }
  }

  #own(savepoint: Savepoint): LocalSavepoint {
    const own = savepoint as unknown as LocalSavepoint;
    assert(own.owner === this, 'a savepoint of another transaction');
    if (own.released) throw new StateError(SqlState.InvalidSavepointSpecification, 'the savepoint has been released');
    return own;
  }

  #checkOpen(): void {
    if (this.#phase === 'open') return;
    if (this.#evictedWith !== undefined) throw this.#evictedWith;
    if (this.#phase === 'aborted') {
      throw new StateError(SqlState.InFailedSqlTransaction, 'the transaction has been aborted', { hint: 'roll back and begin a new one' });
    }
    throw new StateError(SqlState.NoActiveSqlTransaction, 'the transaction has already been committed');
  }
}

function either(a: AbortSignal | undefined, b: AbortSignal | undefined): AbortSignal | undefined {
  return a !== undefined && b !== undefined && a !== b ? AbortSignal.any([a, b]) : (a ?? b);
}
