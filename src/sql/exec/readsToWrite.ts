/**
 * ReadsToWrite: locks for the rows that a client reads in order to write them.
 *
 * A client that reads rows, computes, and writes them back in later statements (`SELECT`, then
 * `UPDATE` by value) meets its like: both read, one commits, and the other is refused when it writes,
 * after all its work. Its next transactions therefore lock the rows that they read by primary key, as
 * if they had said FOR UPDATE: they wait in line instead, and are not refused. That begins with a
 * conflict in one of the session's transactions, and ends with a transaction that commits without
 * having written all the rows it had locked so: from then on its reads hold nobody up again.
 *
 *   RW1  only serializable transactions between BEGIN and COMMIT, only rows named by their primary key
 *   RW2  nothing but waiting differs: what is read is in the read set, locked or not
 */
import type { Bytes } from '../../base/bytes.ts';
import type { LockOptions, Txn } from '../../kv/kv.ts';

export class ReadsToWrite {
  readonly #txn: Txn;
  readonly #keys: Bytes[] = [];

  constructor(txn: Txn) {
    this.#txn = txn;
  }

  lock(keys: readonly Bytes[], options?: LockOptions): Promise<Bytes[]> {
    for (const key of keys) this.#keys.push(key);
    return this.#txn.lock(keys, options);
  }

  lockNow(keys: readonly Bytes[]): boolean {
    if (!this.#txn.lockNow(keys)) return false;
    for (const key of keys) this.#keys.push(key);
    return true;
  }

  /** Whether every row that was locked has been written. Asked before the transaction ends. */
  get areWritten(): boolean {
    return this.#keys.every((key) => this.#txn.hasWritten(key));
  }
}
