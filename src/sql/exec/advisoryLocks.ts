/**
 * AdvisoryLocks: PostgreSQL's locks on numbers, which mean what programs agree on. Migrators take one so
 * that two of them do not run at once.
 *
 * They are locks of the lock table, on keys of a table that is none, so that they wait, time out, end
 * with their statement and show in crdb_internal.cluster_locks as locks on rows do. One of a transaction
 * is held by the transaction itself; one of a session by a transaction of its own that does nothing else.
 *
 *   AL1  what a session holds ends with it, by DISCARD ALL or pg_advisory_unlock_all() at the latest
 *   AL2  a key that was locked n times is free after n unlocks; exclusive until then, if one of them was
 *
 * A wait in a circle over several advisory locks of sessions is not found: lock_timeout ends it.
 * Source: PostgreSQL documentation, "Advisory Locks" and "Advisory Lock Functions".
 */
import type { Bytes } from '../../base/bytes.ts';
import { StateError, StatementError } from '../../base/errors.ts';
import { KeyWriter } from '../../base/keycode.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { Kv, Txn } from '../../kv/kv.ts';
import { LOCK_REFUSALS, LockNotAvailableError } from '../../kv/retryErrors.ts';
import type { AdvisoryKey, AdvisoryLockRequest, AdvisoryOperations } from '../expr/evalContext.ts';

/** No table has this id. */
const NO_TABLE_ID = 0;

/** A lock of a session, with the transaction that holds it. */
interface Held {
  readonly txn: Txn;
  shared: number;
  exclusive: number;
}

/** What a lock needs of the statement that asks for it. */
export interface AskingStatement {
  readonly transaction: { readonly kvTxn: Txn | undefined };
  readonly signal: AbortSignal;
  readonly session: { readonly vars: { get(name: string): string } };
}

const writer = new KeyWriter();

/** One BIGINT and two INTs are keys of different kinds. */
function lockKey(key: AdvisoryKey): Bytes {
  writer.reset().tableIndex(NO_TABLE_ID, key.length);
  for (const part of key) writer.int(part);
  return writer.finish();
}

export class AdvisoryLocks {
  readonly #kv: Kv;
  readonly #name: string;
  readonly #held = new Map<Bytes, Held>();
  /** Keys that transactions of this session hold. */
  readonly #ofTransactions = new WeakMap<Txn, Set<Bytes>>();

  constructor(kv: Kv, name: string) {
    this.#kv = kv;
    this.#name = name;
  }

  /** What a statement's functions call. */
  during(context: AskingStatement): AdvisoryOperations {
    return {
      lock: (request) =>
        this.lock(request, context.transaction.kvTxn, context.signal, Number(context.session.vars.get('lock_timeout')) * 1000),
      unlock: (key, strength) => this.unlock(key, strength),
      unlockAll: () => this.unlockAll(),
    };
  }

  /**
   * Takes a lock; false when it is not free and the request does not wait. `txn` is the session's
   * present transaction. 55P03 after lock_timeout, 0A000 for a session's lock over one of its
   * transaction.
   */
  async lock(request: AdvisoryLockRequest, txn: Txn | undefined, signal: AbortSignal, timeoutMicros: number): Promise<boolean> {
    const { strength, wait } = request;
    const key = lockKey(request.key);
    const held = this.#held.get(key);
    const take = (holder: Txn) => takeLock(holder, key, { strength, wait: wait ? 'block' : 'skip', signal });
    if (request.scope === 'transaction') {
      // What the session holds its transaction need not wait for.
      if (held) return held.exclusive > 0 || (await take(held.txn));
      if (!txn) throw new StatementError(SqlState.ReadOnlySqlTransaction, 'cannot take advisory locks under AS OF SYSTEM TIME');
      const isTaken = await take(txn);
      if (isTaken) this.#keysOf(txn).add(key);
      return isTaken;
    }
    if (txn && this.#ofTransactions.get(txn)?.has(key)) {
      throw new StatementError(SqlState.FeatureNotSupported, 'a session cannot take an advisory lock that its transaction holds', {
        hint: 'end the transaction first, or use pg_advisory_xact_lock() again',
      });
    }
    const holder = held?.txn ?? this.#kv.begin({ name: this.#name });
    holder.lockTimeoutMicros = timeoutMicros;
    let isTaken = false;
    try {
      isTaken = (held !== undefined && (held.exclusive > 0 || strength === 'shared')) || (await take(holder));
    } finally {
      if (!isTaken && !held) holder.rollback();
    }
    if (!isTaken) return false;
    const entry = held ?? { txn: holder, shared: 0, exclusive: 0 };
    entry[strength]++;
    this.#held.set(key, entry);
    return true;
  }

  /** Gives back a lock of the session; false when it holds none of that strength. */
  unlock(advisoryKey: AdvisoryKey, strength: 'shared' | 'exclusive'): boolean {
    const key = lockKey(advisoryKey);
    const held = this.#held.get(key);
    if (!held || held[strength] === 0) return false;
    held[strength]--;
    if (held.shared + held.exclusive === 0) {
      this.#held.delete(key);
      held.txn.rollback();
    }
    return true;
  }

  unlockAll(): void {
    for (const { txn } of this.#held.values()) txn.rollback();
    this.#held.clear();
  }

  #keysOf(txn: Txn): Set<Bytes> {
    let keys = this.#ofTransactions.get(txn);
    if (!keys) {
      keys = new Set();
      this.#ofTransactions.set(txn, keys);
    }
    return keys;
  }
}

async function takeLock(txn: Txn, key: Bytes, options: Parameters<Txn['lock']>[1]): Promise<boolean> {
  try {
    return (await txn.lock([key], options)).length > 0;
  } catch (error) {
    if (!(error instanceof LockNotAvailableError)) throw error;
    throw new StateError(SqlState.LockNotAvailable, LOCK_REFUSALS[error.reason], { detail: error.detail ?? '', cause: error });
  }
}
