/**
 * LockTable: who waits for whom. It never decides what is correct: commit validation does.
 *
 *   L1  a key is held by one exclusive owner or by any number of shared ones
 *   L2  requests for a key are granted by priority, and first come, first served within one; only a
 *       shared owner that asks for exclusive (an upgrade) goes to the head, because everyone behind
 *       it waits for it anyway
 *   L3  an owner waits for at most one key at a time, so the wait-for graph is walked owner by owner
 *   L4  no cycle ever stands: edges appear only when someone begins to wait, and whoever has the
 *       lowest priority of the cycle that would close is refused (40001); the last to ask among equals
 *   L5  whatever ends a transaction releases all of its locks
 *   L6  nobody waits for an owner of lower priority that can still be ended: it is (40001)
 *
 * Going ahead of waiters of lower priority closes no cycle of its own: whoever stands in a line
 * waits, over those before it, for all holders already, and the newcomer waits for no one else.
 *
 * An uncontended exclusive lock is one map entry, key to owner, and allocates nothing else; a queue
 * exists only where someone shares or waits. An owner of very many keys holds spans instead
 * (lockSpans.ts), and a key of a span gets an entry when someone waits for it. Locks live in memory
 * and die with their transaction.
 */
import { assert } from '../base/assert.ts';
import type { Bytes } from '../base/bytes.ts';
import { StateError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { LockInfo, LockStrength, LockTimes, LockWait } from './kv.ts';
import { type LockOwner, type LockRequest, rankOf } from './lockOwner.ts';
import { LockSpans } from './lockSpans.ts';
import { deadlockError, evictedError, LockNotAvailableError } from './retryErrors.ts';

/** From so many keys of one owner on they are put together: about a megabyte of table, and two milliseconds to go through it. */
const ESCALATION_KEYS_MIN_DEFAULT = 10_000;
/** Keys whose waits are counted; the one that came in first gives way. */
const CONTENDED_KEYS_MAX = 1_000;

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

function timesOf({ lockedKeys, lockTimes = [] }: LockOwner): Map<Bytes, number> {
  const times = new Map<Bytes, number>();
  let from = 0;
  for (const { count, at } of lockTimes) {
    for (const key of lockedKeys.slice(from, count)) times.set(key, at);
    from = count;
  }
  return times;
}

export class LockTable {
  readonly #locks = new Map<Bytes, LockOwner | LockQueue>();
  readonly #spans = new LockSpans();
  readonly #waits = new Map<Bytes, number>();
  readonly #escalationKeysMin: number;
  readonly #now: () => number;

  /** `now`: the clock in microseconds, for how long a wait has lasted. */
  constructor(options: { readonly escalationKeysMin?: number; readonly now?: () => number } = {}) {
    this.#now = options.now ?? (() => 0);
    this.#escalationKeysMin = options.escalationKeysMin ?? ESCALATION_KEYS_MIN_DEFAULT;
  }

  /** Keys and spans that are locked. */
  get size(): number {
    return this.#locks.size + this.#spans.size;
  }

  /**
   * True when the owner holds the key at that strength now, at once and without a promise; false
   * when it would have to wait.
   */
  tryLock(owner: LockOwner, key: Bytes, strength: LockStrength): boolean {
    const entry = this.#locks.get(key);
    if (entry === undefined) {
      if (!this.#spans.isEmpty) {
        const spanOwner = this.#spans.ownerOf(key);
        if (spanOwner !== undefined) return spanOwner === owner;
        if (strength === 'shared' ? this.#spans.shares(owner, key) : this.#spans.isSharedByOthers(owner, key)) return strength === 'shared';
      }
      if (strength === 'exclusive') {
        this.#locks.set(key, owner);
      } else {
        const queue = new LockQueue('shared');
        queue.holders.push(owner);
        this.#locks.set(key, queue);
      }
      owner.lockedKeys.push(key);
      if (owner.lockedKeys.length >= (owner.escalateAt ?? this.#escalationKeysMin)) this.#escalate(owner);
      return true;
    }
    if (entry === owner) return true;
    if (!(entry instanceof LockQueue)) return false;
    const isHolder = entry.holders.includes(owner);
    if (isHolder && (strength === 'shared' || entry.strength === 'exclusive')) return true;
    if (isHolder && entry.holders.length === 1 && (this.#spans.isEmpty || !this.#spans.isSharedByOthers(owner, key))) {
      entry.strength = 'exclusive';
      return true;
    }
    if (isHolder || strength === 'exclusive' || entry.strength === 'exclusive' || entry.waiters.length > 0) return false;
    entry.holders.push(owner);
    owner.lockedKeys.push(key);
    if (owner.lockedKeys.length >= (owner.escalateAt ?? this.#escalationKeysMin)) this.#escalate(owner);
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
    if (wait === 'nowait') throw new LockNotAvailableError('nowait', key, this.#holdersOf(key)[0]);
    if (signal?.aborted) throw signal.reason;
    await this.#wait(owner, key, strength, signal);
    return true;
  }

  /** Ends the owner's wait, if it waits, with lock_timeout's 55P03. */
  timeOut(owner: LockOwner): void {
    const request = owner.waitingFor;
    if (request === undefined) return;
    const holder = this.#holdersOf(request.key).find((candidate) => candidate !== owner);
    this.#refuse(request, new LockNotAvailableError('timeout', request.key, holder));
  }

  /** Frees everything the owner holds and takes it out of the line it stands in, for that reason. Never throws. */
  releaseAll(owner: LockOwner, reason?: unknown): void {
    const request = owner.waitingFor;
    if (request !== undefined) {
      this.#refuse(request, reason ?? new StateError(SqlState.QueryCanceled, 'the transaction ended while it waited for a lock'));
    }
    if (!this.#spans.isEmpty) this.#spans.release(owner);
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
    owner.escalateAt = undefined;
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
    if (all) {
      for (const { key, endKey, owner, strength } of this.#spans.list()) {
        found.push({ key, endKey, strength, holders: [owner.id], waiters: [] });
      }
    }
    return found.sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  /** Since when a transaction has held a key, or waited for it; undefined when it does neither, or nobody knows. Cost: every lock, once. */
  times(): LockTimes {
    const owners = new Map<string, LockOwner>();
    for (const entry of this.#locks.values()) {
      if (!(entry instanceof LockQueue)) owners.set(entry.id, entry);
      else for (const owner of [...entry.holders, ...entry.waiters.map((waiter) => waiter.owner)]) owners.set(owner.id, owner);
    }
    for (const { owner } of this.#spans.list()) owners.set(owner.id, owner);
    const taken = new Map<LockOwner, Map<Bytes, number>>();
    return (transactionId, key) => {
      const owner = owners.get(transactionId);
      if (owner === undefined) return undefined;
      if (owner.waitingFor?.key === key) return owner.waitingFor.since;
      const times = taken.get(owner) ?? timesOf(owner);
      taken.set(owner, times);
      // Keys put together to spans are not told apart any more: the oldest lock speaks for them.
      return times.get(key) ?? owner.lockTimes?.[0]?.at;
    };
  }

  /** Keys that transactions have waited for, with how often, the most often first. */
  contended(): { readonly key: Bytes; readonly waits: number }[] {
    return [...this.#waits].map(([key, waits]) => ({ key, waits })).sort((a, b) => b.waits - a.waits);
  }

  #countWait(key: Bytes): void {
    const waits = this.#waits.get(key);
    if (waits === undefined && this.#waits.size >= CONTENDED_KEYS_MAX) this.#waits.delete(this.#waits.keys().next().value as Bytes);
    this.#waits.set(key, (waits ?? 0) + 1);
  }

  #holdersOf(key: Bytes): readonly LockOwner[] {
    const entry = this.#locks.get(key) ?? this.#spans.ownerOf(key);
    if (entry !== undefined && !(entry instanceof LockQueue)) return [entry];
    if (this.#spans.isEmpty) return entry?.holders ?? [];
    return [...new Set([...(entry?.holders ?? []), ...this.#spans.sharersOf(key)])];
  }

  #wait(owner: LockOwner, key: Bytes, strength: LockStrength, signal: AbortSignal | undefined): Promise<void> {
    assert(owner.waitingFor === undefined, `transaction ${owner.id} asks for a second lock while it waits for one`);
    this.#countWait(key);
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
        since: this.#now(),
        grant: () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        },
        refuse: (reason) => {
          signal?.removeEventListener('abort', onAbort);
          reject(reason);
        },
      };
      this.#joinLine(queue, request);
      signal?.addEventListener('abort', onAbort, { once: true });
      if (!this.#breakCycles(request)) return;
      this.#evictHolders(request);
      // Ahead of those of lower priority it may fit beside the holders.
      const joined = this.#locks.get(key);
      if (owner.waitingFor === request && joined instanceof LockQueue) this.#grantNext(key, joined);
    });
  }

  /** Takes a place in the line: behind everyone of the same priority, an upgrade behind upgrades only. */
  #joinLine(queue: LockQueue, request: LockRequest): void {
    const { waiters } = queue;
    const rank = rankOf(request.owner);
    const place = waiters.findIndex((waiter) => !waiter.isUpgrade && (request.isUpgrade || rankOf(waiter.owner) < rank));
    waiters.splice(place === -1 ? waiters.length : place, 0, request);
    request.owner.waitingFor = request;
  }

  /** Refuses one request of each cycle that the new one closes; false when it is itself the one. */
  #breakCycles(request: LockRequest): boolean {
    while (request.owner.waitingFor === request) {
      const cycle = this.#findCycle(request);
      if (cycle === undefined) return true;
      let victim = 0;
      cycle.forEach((one, i) => {
        if (rankOf(one.owner) < rankOf((cycle[victim] as LockRequest).owner)) victim = i;
      });
      const refused = cycle[victim] as LockRequest;
      this.#refuse(refused, deadlockError(refused.owner, [...cycle.slice(victim), ...cycle.slice(0, victim)]));
    }
    return false;
  }

  /** Ends the holders of lower priority that the request waits for. */
  #evictHolders(request: LockRequest): void {
    const rank = rankOf(request.owner);
    for (const holder of [...this.#holdersOf(request.key)]) {
      if (holder === request.owner || rankOf(holder) >= rank) continue;
      holder.evict?.(evictedError(holder, request));
      if (request.owner.waitingFor !== request) return;
    }
  }

  /**
   * Puts an owner's many keys together to spans, between the keys of others. Cost: all locks; so it
   * comes once in so many keys, and more seldom the more of them have to stay alone.
   */
  #escalate(owner: LockOwner): void {
    const own: Bytes[] = [];
    const shared: Bytes[] = [];
    /** Where others wait. */
    const kept: Bytes[] = [];
    const walls: Bytes[] = [];
    /** What a shared span cannot hold. */
    const sharedWalls: Bytes[] = [];
    for (const [key, entry] of this.#locks) {
      if (entry === owner) {
        own.push(key);
      } else if (!(entry instanceof LockQueue)) {
        walls.push(key);
        sharedWalls.push(key);
      } else {
        const isHeld = entry.holders.includes(owner);
        if (isHeld) (entry.strength === 'shared' && entry.waiters.length === 0 ? shared : kept).push(key);
        else if (entry.strength === 'exclusive' || entry.waiters.length > 0) sharedWalls.push(key);
        if (!isHeld || entry.holders.length > 1) walls.push(key);
      }
    }
    const isAlone = new Set(this.#spans.join(owner, 'exclusive', own.sort(), walls.sort()));
    for (const key of own) if (!isAlone.has(key)) this.#locks.delete(key);
    if (shared.length > 0) {
      for (const key of this.#spans.join(owner, 'shared', shared.sort(), sharedWalls.sort())) isAlone.add(key);
      for (const key of shared) if (!isAlone.has(key)) this.#leave(key, owner);
    }
    owner.lockedKeys.length = 0;
    for (const key of isAlone) owner.lockedKeys.push(key);
    for (const key of kept) owner.lockedKeys.push(key);
    owner.escalateAt = owner.lockedKeys.length + Math.max(this.#escalationKeysMin, owner.lockedKeys.length);
  }

  /** A shared span holds the key for the owner from now on. */
  #leave(key: Bytes, owner: LockOwner): void {
    const { holders } = this.#locks.get(key) as LockQueue;
    if (holders.length === 1) this.#locks.delete(key);
    else holders.splice(holders.indexOf(owner), 1);
  }

  /**
   * The queue of a locked key, made from the plain entry at the first contention. A key of a span
   * becomes one of its own while someone waits for it: a queue with waiters has all holders in it.
   */
  #queueOf(key: Bytes): LockQueue {
    const entry = this.#locks.get(key);
    const holders = this.#holdersOf(key);
    assert(holders.length > 0, 'waiting for a lock that nobody holds');
    const isShared = entry === undefined && this.#spans.ownerOf(key) === undefined;
    const queue = entry instanceof LockQueue ? entry : new LockQueue(isShared ? 'shared' : 'exclusive');
    for (const holder of holders) {
      if (queue.holders.includes(holder)) continue;
      queue.holders.push(holder);
      if (entry !== holder) holder.lockedKeys.push(key);
    }
    this.#locks.set(key, queue);
    return queue;
  }

  /**
   * If a request in line closes a cycle: the chain of requests that leads back, the first being that
   * one. Depth first over who waits for whom; each owner is looked at once.
   */
  #findCycle(request: LockRequest): LockRequest[] | undefined {
    const seen = new Set<LockOwner>();
    const path: LockRequest[] = [request];
    const blockersOf = (waits: LockRequest): LockOwner[] => {
      const queue = this.#locks.get(waits.key);
      assert(queue instanceof LockQueue, 'a transaction waits for a key without a queue');
      return queue.blockers(waits, queue.waiters.indexOf(waits));
    };
    const visit = (owner: LockOwner): boolean => {
      if (owner === request.owner) return true;
      const waits = owner.waitingFor;
      if (waits === undefined || seen.has(owner)) return false;
      seen.add(owner);
      path.push(waits);
      for (const next of blockersOf(waits)) if (visit(next)) return true;
      path.pop();
      return false;
    };
    for (const blocker of blockersOf(request)) if (visit(blocker)) return path;
    return undefined;
  }

  /** Ends a wait without the lock. */
  #refuse(request: LockRequest, reason: unknown): void {
    this.#leaveLine(request);
    request.refuse(reason);
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
