/**
 * ReadsToWrite: turns for clients that read rows in order to write them.
 *
 * A client that reads rows, computes, and writes them back in later statements (`SELECT`, then
 * `UPDATE` by value) meets its like: both read, one commits, and the other is refused when it writes,
 * after all its work. After a conflict a session's next transactions therefore take turns with others
 * that have met one: before they read a row by its primary key they take the row's turn, wait a
 * little for whoever has it, and then read the row as it is by then. That ends with a transaction
 * that commits without having written every row whose turn it took.
 *
 *   RW1  turns are no locks: a writer, a reader that has met no conflict, and whoever has waited for
 *        TURN_MICROS_MAX go on as if there were none. Turns save work, and decide nothing. A circle of
 *        turns is refused at once, one of turns and locks nobody sees: there that bound ends the wait
 *   RW2  only serializable transactions between BEGIN and COMMIT, only rows named by their primary key
 *   RW3  on a clock that moves when told there are no turns: the wait might have no end
 *
 * Lives elsewhere: who is granted what in which order (kv/lockTable.ts, a table of its own here).
 */
import { isVarveError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { Bytes } from '../../base/bytes.ts';
import type { Kv, Txn } from '../../kv/kv.ts';
import type { LockOwner, LockRequest } from '../../kv/lockOwner.ts';
import { LockTable } from '../../kv/lockTable.ts';

/** How long a turn is waited for: several transactions of a busy row, and little to a person. */
const TURN_MICROS_MAX = 50_000;

const tables = new WeakMap<Kv, LockTable>();

function turnsOf(kv: Kv): LockTable {
  let table = tables.get(kv);
  if (!table) {
    table = new LockTable();
    tables.set(kv, table);
  }
  return table;
}

/** One transaction's turns. */
/** A turn that does not come in time, or would never come. */
const GIVEN_UP: ReadonlySet<string> = new Set([SqlState.LockNotAvailable, SqlState.SerializationFailure, SqlState.DeadlockDetected]);

export class ReadsToWrite implements LockOwner {
  readonly name = '';
  readonly lockedKeys: Bytes[] = [];
  waitingFor: LockRequest | undefined;
  readonly #kv: Kv;
  readonly #txn: Txn;
  readonly #turns: LockTable;

  constructor(kv: Kv, txn: Txn) {
    this.#kv = kv;
    this.#txn = txn;
    this.#turns = turnsOf(kv);
    const end = () => this.#turns.releaseAll(this);
    txn.afterCommit(end);
    txn.afterAbort(end);
  }

  get id(): string {
    return this.#txn.id;
  }

  /** Takes the turn of rows that are about to be read. False when one of them has to be waited for. */
  takeNow(keys: readonly Bytes[]): boolean {
    for (const key of keys) if (!this.#turns.tryLock(this, key, 'exclusive')) return false;
    this.#txn.refresh();
    return true;
  }

  /** The same, waiting: gives up a turn that does not come, or that would never come. */
  async take(keys: readonly Bytes[], signal: AbortSignal): Promise<void> {
    if (!this.takeNow(keys)) {
      const timer = this.#kv.clock.setTimer(TURN_MICROS_MAX, () => this.#turns.timeOut(this), { holdsProcess: true });
      try {
        for (const key of keys) await this.#turns.lock(this, key, 'exclusive', 'block', signal);
      } catch (error) {
        signal.throwIfAborted();
        if (!isVarveError(error) || !GIVEN_UP.has(error.code)) throw error;
      } finally {
        timer.cancel();
      }
    }
    if (this.#txn.state === 'open') this.#txn.refresh();
  }

  /** Whether every row whose turn was taken has been written. Asked before the transaction ends. */
  get areWritten(): boolean {
    return this.lockedKeys.every((key) => this.#txn.hasWritten(key));
  }
}
