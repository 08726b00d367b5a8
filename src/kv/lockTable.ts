/**
 * LockTable: who waits for whom. It never decides what is correct: commit validation does.
 *
 *   L1  a key is held by one exclusive owner or by any number of shared ones
 *   L2  requests for a key are granted first come, first served; only a shared owner that asks for
 *       exclusive (an upgrade) goes to the head, because everyone behind it waits for it anyway
 *   L3  an owner waits for at most one key at a time, so the wait-for graph is walked owner by owner
 *   L4  no cycle ever stands: edges appear only when someone begins to wait, and the one whose wait
 *       would close a cycle is refused (40001) before it waits
 *   L5  whatever ends a transaction releases all of its locks
 *
 * An uncontended exclusive lock is one map entry, key to owner, and allocates nothing else; a queue
 * exists only where someone shares or waits. Locks live in memory and die with their transaction.
 * Not yet: one span lock in place of very many key locks of one transaction.
 */
import { assert } from '../base/assert.ts';
import type { Bytes } from '../base/bytes.ts';
import { StateError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import { deadlockError } from './retryErrors.ts';
import type { LockInfo, LockStrength, LockWait } from './kv.ts';
import type { LockOwner, LockRequest } from './lockOwner.ts';

/** A key that is shared or waited for. */
class LockQueue {
  /** One exclusive, or any number of shared owners. */
  readonly holders: LockOwner[] = [];
  strength: LockStrength;
  /** First come first; upgrades at the head. */
  readonly waiters: LockRequest[] = [];

  constructor(strength: LockStrength) {
    this.strength = strength;
  }

  /** Those whom a request at place `index` of the line would wait for. */
  blockers(request: LockRequest, index: number): LockOwner[] {
    const found: LockOwner[] = [];
    if (conflicts(request.strength, this.strength)) for (const holder of this.holders) if (holder !== request.owner) found.push(holder);
    for (let i = 0; i < index; i++) {
      const waiter = this.waiters[i] as LockRequest;
      if (conflicts(request.strength, waiter.strength)) found.push(waiter.owner);
    }
    return found;
  }
}

function conflicts(a: LockStrength, b: LockStrength): boolean {
  return a === 'exclusive' || b === 'exclusive';
}

export class LockTable {
  readonly #locks = new Map<Bytes, LockOwner | LockQueue>();

  /** Keys that are locked. */
  get size(): number {
    return this.#locks.size;
  }

  /**
   * True when the owner holds the key at that strength now, at once and without a promise; false
   * when it would have to wait.
   */
  tryLock(owner: LockOwner, key: Bytes, strength: LockStrength): boolean {
    const entry = this.#locks.get(key);
    if (entry === undefined) {
      if (strength === 'exclusive') {
        this.#locks.set(key, owner);
      } else {
        const queue = new LockQueue('shared');
        queue.holders.push(owner);
        this.#locks.set(key, queue);
      }
      owner.lockedKeys.push(key);
      return true;
    }
    if (entry === owner) return true;
    if (!(entry instanceof LockQueue)) return false;
    const isHolder = entry.holders.includes(owner);
    if (isHolder && (strength === 'shared' || entry.strength === 'exclusive')) return true;
    if (isHolder && entry.holders.length === 1) {
      entry.strength = 'exclusive';
      return true;
    }
    if (isHolder || strength === 'exclusive' || entry.strength === 'exclusive' || entry.waiters.length > 0) return false;
    entry.holders.push(owner);
    owner.lockedKeys.push(key);
    return true;
  }

  /**
   * Takes the key's lock: true when it is held, false under `skip` when it is not free. Throws 55P03
   * under `nowait`, 40001 on a deadlock, 57014 when the owner ends while it waits; rejects with the
   * signal's reason when that ends the wait.
   */
  async lock(owner: LockOwner, key: Bytes, strength: LockStrength, wait: LockWait, signal?: AbortSignal): Promise<boolean> {
    if (this.tryLock(owner, key, strength)) return true;
    if (wait === 'skip') return false;
    if (wait === 'nowait') {
      throw new StateError(SqlState.LockNotAvailable, 'could not obtain lock on row', {
        detail: `held by transaction ${describe(this.#holdersOf(key)[0])}`,
      });
    }
    if (signal?.aborted) throw signal.reason;
    await this.#wait(owner, key, strength, signal);
    return true;
  }

  /** Frees everything the owner holds and takes it out of the line it stands in. Never throws. */
  releaseAll(owner: LockOwner): void {
    const request = owner.waitingFor;
    if (request !== undefined) {
      this.#leaveLine(request);
      request.refuse(new StateError(SqlState.QueryCanceled, 'the transaction ended while it waited for a lock'));
    }
    const { lockedKeys } = owner;
    for (let i = 0; i < lockedKeys.length; i++) {
      const key = lockedKeys[i] as Bytes;
      const entry = this.#locks.get(key);
      if (entry === owner) {
        this.#locks.delete(key);
      } else if (entry instanceof LockQueue) {
        const at = entry.holders.indexOf(owner);
        if (at >= 0) entry.holders.splice(at, 1);
        this.#grantNext(key, entry);
      }
    }
    lockedKeys.length = 0;
  }

  /** Locks that are shared or waited for, and (with `all`) the others too; by key. */
  list(all = true): LockInfo[] {
    const found: LockInfo[] = [];
    for (const [key, entry] of this.#locks) {
      if (entry instanceof LockQueue) {
        const holders = entry.holders.map((holder) => holder.id);
        found.push({ key, strength: entry.strength, holders, waiters: entry.waiters.map((waiter) => waiter.owner.id) });
      } else if (all) {
        found.push({ key, strength: 'exclusive', holders: [entry.id], waiters: [] });
      }
    }
    return found.sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  #holdersOf(key: Bytes): readonly LockOwner[] {
    const entry = this.#locks.get(key);
    return entry === undefined ? [] : entry instanceof LockQueue ? entry.holders : [entry];
  }

  #wait(owner: LockOwner, key: Bytes, strength: LockStrength, signal: AbortSignal | undefined): Promise<void> {
    assert(owner.waitingFor === undefined, `transaction ${owner.id} asks for a second lock while it waits for one`);
    const queue = this.#queueOf(key);
    const isUpgrade = queue.holders.includes(owner);
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.#leaveLine(request);
        reject(signal?.reason);
      };
      const request: LockRequest = {
        owner,
        key,
        strength,
        isUpgrade,
        grant: () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        },
        refuse: (reason) => {
          signal?.removeEventListener('abort', onAbort);
          reject(reason);
        },
      };
      const place = isUpgrade ? queue.waiters.findIndex((waiter) => !waiter.isUpgrade) : queue.waiters.length;
      const index = place === -1 ? queue.waiters.length : place;
      const cycle = this.#findCycle(request, queue.blockers(request, index));
      if (cycle !== undefined) {
        this.#grantNext(key, queue);
        reject(deadlockError(owner, cycle));
        return;
      }
      queue.waiters.splice(index, 0, request);
      owner.waitingFor = request;
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** The queue of a locked key, made from the plain entry at the first contention. */
  #queueOf(key: Bytes): LockQueue {
    const entry = this.#locks.get(key);
    assert(entry !== undefined, 'waiting for a lock that nobody holds');
    if (entry instanceof LockQueue) return entry;
    const queue = new LockQueue('exclusive');
    queue.holders.push(entry);
    this.#locks.set(key, queue);
    return queue;
  }

  /**
   * If waiting for `blockers` would close a cycle: the chain of requests that leads back, the first
   * being the new one. Depth first over who waits for whom; each owner is looked at once.
   */
  #findCycle(request: LockRequest, blockers: readonly LockOwner[]): LockRequest[] | undefined {
    const seen = new Set<LockOwner>();
    const path: LockRequest[] = [request];
    const visit = (owner: LockOwner): boolean => {
      if (owner === request.owner) return true;
      const waits = owner.waitingFor;
      if (waits === undefined || seen.has(owner)) return false;
      seen.add(owner);
      path.push(waits);
      const queue = this.#locks.get(waits.key);
      assert(queue instanceof LockQueue, 'a transaction waits for a key without a queue');
      for (const next of queue.blockers(waits, queue.waiters.indexOf(waits))) if (visit(next)) return true;
      path.pop();
      return false;
    };
    for (const blocker of blockers) if (visit(blocker)) return path;
    return undefined;
  }

  #leaveLine(request: LockRequest): void {
    request.owner.waitingFor = undefined;
    const queue = this.#locks.get(request.key);
    if (!(queue instanceof LockQueue)) return;
    const at = queue.waiters.indexOf(request);
    if (at >= 0) queue.waiters.splice(at, 1);
    this.#grantNext(request.key, queue);
  }

  /** Grants to the head of the line as long as it fits beside the holders; an idle queue becomes a plain entry or goes. */
  #grantNext(key: Bytes, queue: LockQueue): void {
    for (let next = queue.waiters[0]; next !== undefined; next = queue.waiters[0]) {
      const othersHold = queue.holders.length > (next.isUpgrade ? 1 : 0);
      if (othersHold && conflicts(next.strength, queue.strength)) break;
      queue.waiters.shift();
      queue.strength = next.strength;
      next.owner.waitingFor = undefined;
      if (!next.isUpgrade) {
        queue.holders.push(next.owner);
        next.owner.lockedKeys.push(key);
      }
      next.grant();
    }
    if (queue.waiters.length > 0) return;
    if (queue.holders.length === 0) this.#locks.delete(key);
    else if (queue.strength === 'exclusive') this.#locks.set(key, queue.holders[0] as LockOwner);
  }
}

function describe(owner: LockOwner | undefined): string {
  return owner === undefined ? 'unknown' : owner.name === '' ? owner.id : `${owner.name} (${owner.id})`;
}
