/**
 * Memory: one cluster's part in the memory budget, and what happens at its limits.
 *
 *   M1  what stores hold follows their statistics (mvcc/footprint.ts), within the commit that changes it
 *   M2  above the soft limit garbage is collected now; one relief at a time
 *   M3  beyond the hard limit whatever would grow fails with 53200 and leaves nothing; deletes, GC,
 *       exports, and writes to reserved tables (schemas, jobs, zones: DROP and BACKUP) go on
 *   M4  a buffered write counts as what it will hold once committed, so a commit finds its room taken
 *
 * Forks share versions, so they share the budget with their parent: a fork's stores count what they
 * add, and what one side removes while another may hold it counts on as `shared`. What the first of
 * them removed before a fork was made that fork cannot hold, so it is free when all older ones are
 * gone. The sums lie at or above the truth, so hundreds of forks cannot outgrow the heap unseen.
 *
 * Early GC, a setting: pressure that collecting does not relieve shortens the history of every user
 * table, by half its TTL, then by three quarters, and so on; never past a protection (Thresholds.raise).
 *
 * Lives elsewhere: counting (base/budget.ts), collecting (gc/gcController.ts).
 */
import { Budget, type BufferAccount, type Holding } from '../base/budget.ts';
import { formatByteSize } from '../base/byteSize.ts';
import type { Bytes } from '../base/bytes.ts';
import { StateError, type VarveError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import { formatUtc, MIN_TIMESTAMP, type Timestamp } from '../base/timestamp.ts';
import type { GcController, GcExplanation } from '../gc/gcController.ts';
import type { ProtectionRecord } from '../gc/protectedTimestamps.ts';
import { TTL_SECONDS_MIN } from '../gc/spanConfigs.ts';
import { Footprint, heapBytesOf } from '../mvcc/footprint.ts';
import type { Store } from '../mvcc/store.ts';
import { tableOfKey } from './indexOfKey.ts';

/** What a row holds once committed beside its key and value: version, two strings, tree, log. */
const COMMITTED_ROW_BYTES = 146;
/** A transaction's first writes are always buffered: its commit decides, which can wait for relief. */
const SMALL_TRANSACTION_BYTES = 64 * 1024;
/** A sort, a join or a result of this size is never refused. */
const SMALL_BUFFER_BYTES = 1024 * 1024;
/** What a database's fork holds beside rows: catalog, sessions, jobs, ranges. 90 to 180 KB were measured. */
const FORK_BYTES = 160 * 1024;
/** Relief that found nothing is sought again when another hundredth of the budget is taken. */
const RELIEF_STEP_SHARE = 0.01;
/** Tables and records that a refusal names. */
const NAMED_MAX = 3;

export type MemoryAccount = 'live' | 'garbage' | 'log' | 'forks' | BufferAccount;

export interface MemoryFigures {
  readonly limitBytes: number;
  readonly softBytes: number;
  readonly usedBytes: number;
  /** In the order of their explanation to people; they add up to `usedBytes`. */
  readonly accounts: readonly { readonly account: MemoryAccount; readonly bytes: number }[];
}

/** A table that holds garbage, and why it is kept. */
export interface GarbageHolder extends GcExplanation {
  readonly name: string;
  /** Heap bytes of the garbage, its share of the change log not counted. */
  readonly heldBytes: number;
}

export interface MemoryOptions {
  /** The budget of a cluster that is no fork; infinite for none. */
  readonly limitBytes: number;
  /** Tables that may always be written: what DROP, BACKUP and the settings of GC need. */
  readonly isReserved: (tableId: number) => boolean;
  readonly stores: () => Iterable<Store>;
}

/** A parent and its forks. */
interface Family {
  readonly budget: Budget;
  readonly sum: Footprint;
  readonly members: Set<Memory>;
}

export class Memory {
  /** What this cluster's stores hold; a fork's, what they added. */
  readonly footprint: Footprint;
  /** How a refusal names a table. The layer that knows names sets it. */
  nameOf: (tableId: number) => string = (tableId) => `table ${tableId}`;
  /** Whether pressure may raise thresholds before their time. */
  isEarlyGcOn = false;
  readonly #family: Family;
  readonly #options: MemoryOptions;
  #gc: GcController | undefined;
  readonly #parent: Memory | undefined;
  /** Forks of this one that live, or have forks that do. */
  readonly #children = new Set<Memory>();
  /** What the parent had removed in all when this one was made. */
  readonly #removedBefore: number = 0;
  /** Of what was removed while forks could hold it, what none can hold any more. */
  #releasedBytes = 0;
  #isClosed = false;
  #relief: Promise<void> | undefined;
  #nextReliefBytes: number;

  constructor(options: MemoryOptions, parent?: Memory) {
    this.#options = options;
    this.#family = parent ? parent.#family : newFamily(options.limitBytes);
    this.isEarlyGcOn = parent?.isEarlyGcOn ?? false;
    this.footprint = new Footprint(this.#family.sum);
    this.#parent = parent;
    if (parent) {
      parent.#children.add(this);
      this.#removedBefore = parent.footprint.shared + parent.#releasedBytes;
    }
    this.#family.members.add(this);
    this.#nextReliefBytes = this.budget.softBytes;
  }

  /** Whom to ask for relief. */
  useGc(gc: GcController): void {
    this.#gc = gc;
  }

  get budget(): Budget {
    return this.#family.budget;
  }

  /** Leaves the family: what no other member can hold is free. */
  close(): void {
    const { members, sum } = this.#family;
    if (!members.delete(this)) return;
    this.#isClosed = true;
    this.#leave();
    if (members.size !== 1) return;
    const [last] = members;
    last?.footprint.clear();
    sum.clear();
    last?.recount();
  }

  /** What forks took over of a closed one is still there until the last of them, and of their forks, is closed. */
  #leave(): void {
    if (!this.#isClosed || this.#children.size > 0) return;
    this.footprint.clear();
    if (this.#parent === undefined) return;
    this.#parent.#children.delete(this);
    this.#parent.#release();
    this.#parent.#leave();
  }

  /**
   * Frees what was removed before the oldest fork was made. Only for the first of the family: what a
   * fork removes its parent may hold, too.
   */
  #release(): void {
    if (this.#parent !== undefined) return;
    const removedBytes = this.footprint.shared + this.#releasedBytes;
    const heldFrom = Math.min(removedBytes, ...[...this.#children].map((child) => child.#removedBefore));
    this.footprint.add(0, 0, 0, this.#releasedBytes - heldFrom);
    this.#releasedBytes = heldFrom;
  }

  /** What it holds beyond what it took over. */
  addedBytes(): number {
    return Math.max(0, this.footprint.total + this.footprint.shared);
  }

  /** Sets the footprint to the stores' present sum: exact for a cluster that shares nothing. Cost: a step a store. */
  recount(): void {
    this.footprint.clear();
    for (const store of this.#options.stores()) {
      const { live, garbage, log } = store.heapBytes();
      this.footprint.add(live, garbage, log, 0);
    }
  }

  figures(): MemoryFigures {
    const { budget, sum } = this.#family;
    const accounts: { account: MemoryAccount; bytes: number }[] = [
      { account: 'live', bytes: sum.live },
      { account: 'garbage', bytes: sum.garbage },
      { account: 'log', bytes: sum.log },
      { account: 'forks', bytes: sharedBytes(this.#family) },
    ];
    for (const account of ['transactions', 'sorts', 'results'] as const) accounts.push({ account, bytes: budget.buffered(account) });
    return { limitBytes: budget.limitBytes, softBytes: budget.softBytes, usedBytes: budget.usedBytes, accounts };
  }

  /** Tables with garbage, most first. Cost: a step a table. */
  garbageHolders(): GarbageHolder[] {
    const gc = this.#gc;
    if (gc === undefined) return [];
    return gc.thresholds
      .tableIds()
      .map((tableId) => gc.explain(tableId))
      .filter((table) => table.garbageBytes > 0)
      .map((table) => ({ ...table, name: this.nameOf(table.tableId), heldBytes: heapBytesOf(table.stats, 0).garbage }))
      .sort((a, b) => b.heldBytes - a.heldBytes || a.tableId - b.tableId);
  }

  /** Counts what a piece of work buffers. Release it when the work ends, however it ends. */
  hold(account: BufferAccount): Holding {
    return this.budget.hold(account);
  }

  /**
   * Makes a holding grow, or throws 53200 when the budget has no room for that. Who can wait for
   * relief calls growOrWait().
   */
  grow(holding: Holding, bytes: number): void {
    if (!this.#mayGrow(holding, bytes)) {
      void this.relieve();
      throw this.exceeded();
    }
    holding.resize(holding.bytes + bytes);
    this.noteGrowth();
  }

  /** The same; gives a promise when there was no room at first, which rejects with 53200 when relief does not help. */
  growOrWait(holding: Holding, bytes: number): Promise<void> | undefined {
    if (!this.#mayGrow(holding, bytes)) return this.relieve().then(() => this.grow(holding, bytes));
    this.grow(holding, bytes);
    return undefined;
  }

  /** A small holding always may: whoever is out of memory must still be able to look. */
  #mayGrow(holding: Holding, bytes: number): boolean {
    return this.budget.fits(bytes) || holding.bytes + bytes <= Math.min(SMALL_BUFFER_BYTES, this.budget.limitBytes / 64);
  }

  /**
   * Throws 53200 when buffering these writes would exceed the budget; `heldBytes` is what the
   * transaction holds already. Who can wait calls seekRoom() before.
   */
  admitWrites(keys: readonly Bytes[], values: readonly (Bytes | null)[], heldBytes: number): void {
    if (this.budget.limitBytes === Number.POSITIVE_INFINITY) return;
    const bytes = committedBytes(keys, values);
    if (this.budget.fits(bytes)) return;
    if (heldBytes + bytes <= Math.min(SMALL_TRANSACTION_BYTES, this.budget.limitBytes / 256)) return;
    if (!this.grows(keys, values)) return;
    void this.relieve();
    throw this.exceeded();
  }

  /** Whether writes add rows or versions with values to a table that is not reserved. */
  grows(keys: readonly Bytes[], values: readonly (Bytes | null)[]): boolean {
    for (let i = 0; i < keys.length; i++) {
      if (values[i] === null) continue;
      const tableId = tableOfKey(keys[i] as Bytes);
      if (tableId === undefined || !this.#options.isReserved(tableId)) return true;
    }
    return false;
  }

  /** Waits for relief when so many bytes more exceed the budget; throws 53200 when that does not help. */
  async makeRoom(bytes: number): Promise<void> {
    await this.seekRoom(bytes);
    if (!this.budget.fits(bytes)) throw this.exceeded();
  }

  /** The same for one more fork of a database, which then counts itself. */
  makeRoomForFork(): Promise<void> {
    return this.makeRoom(FORK_BYTES);
  }

  /** Counts what this one holds as the fork of a database, until it is closed. */
  countFork(): void {
    this.footprint.add(0, 0, 0, FORK_BYTES);
  }

  /** Waits for relief when so many bytes more exceed the budget: before writes that cannot wait themselves. */
  async seekRoom(bytes: number): Promise<void> {
    if (!this.budget.fits(bytes)) await this.relieve();
  }

  /** Called where use has grown: seeks relief in the background above the soft limit. Cheap. */
  noteGrowth(): void {
    const { usedBytes, softBytes } = this.budget;
    if (usedBytes <= softBytes) this.#nextReliefBytes = softBytes;
    else if (usedBytes > this.#nextReliefBytes) void this.relieve();
  }

  /** Collects garbage now; with early GC, shortens history until use is below the soft limit. Callers share one relief. */
  relieve(): Promise<void> {
    this.#relief ??= this.#relieve().finally(() => {
      this.#relief = undefined;
      this.#nextReliefBytes = Math.max(this.budget.softBytes, this.budget.usedBytes + this.budget.limitBytes * RELIEF_STEP_SHARE);
    });
    return this.#relief;
  }

  async #relieve(): Promise<void> {
    for (const member of [...this.#family.members]) await member.#gc?.runGc();
    for (let share = 1 / 2; this.isEarlyGcOn && this.budget.isAboveSoft; share /= 2) {
      if (!this.#raiseThresholds(share)) return;
      await this.#gc?.runGc();
    }
  }

  /** Leaves each user table that holds garbage, or was dropped, this share of its TTL; false when none has more to give. */
  #raiseThresholds(share: number): boolean {
    const gc = this.#gc;
    if (gc === undefined) return false;
    let canGoOn = false;
    for (const tableId of gc.thresholds.tableIds()) {
      const config = gc.thresholds.configOf(tableId);
      if (config.isCatalog || this.#options.isReserved(tableId)) continue;
      const { now, garbageBytes } = gc.explain(tableId);
      if (garbageBytes === 0 && config.droppedAt === undefined) continue;
      const seconds = Math.max(TTL_SECONDS_MIN, config.ttlSeconds * share);
      if (seconds > TTL_SECONDS_MIN) canGoOn = true;
      gc.thresholds.raise(tableId, Math.max(MIN_TIMESTAMP, now - Math.floor(seconds * 1_000_000)) as Timestamp);
    }
    return canGoOn;
  }

  /** The 53200: what the budget is used for, what keeps the garbage, and what can be done. */
  exceeded(): VarveError {
    const { limitBytes, accounts } = this.figures();
    const uses = accounts
      .filter(({ bytes }) => bytes >= 1)
      .map(({ account, bytes }) => `${ACCOUNT_WORDS[account]} ${formatByteSize(bytes)}`);
    const holders = this.garbageHolders();
    const pinned = holders.filter((table) => table.reason === 'protection');
    const pins = new Map<string, ProtectionRecord>();
    for (const { oldestProtection } of pinned) if (oldestProtection) pins.set(oldestProtection.id, oldestProtection);
    const sentences = [`of ${formatByteSize(limitBytes)}: ${uses.join(', ')}`];
    sentences.push(`pinned by protections ${formatByteSize(pinned.reduce((sum, table) => sum + table.heldBytes, 0))}`);
    const leastBytes = holders.reduce((sum, table) => sum + table.heldBytes, 0) / 100;
    for (const { name, heldBytes, ttlSeconds } of holders.slice(0, NAMED_MAX)) {
      if (heldBytes < leastBytes) break;
      sentences.push(`garbage of ${name}: ${formatByteSize(heldBytes)}, kept for gc.ttlseconds = ${ttlSeconds}`);
    }
    for (const record of [...pins.values()].slice(0, NAMED_MAX)) {
      sentences.push(`${ownerOf(record)} protects history since ${formatUtc(record.ts)} (record ${record.id})`);
    }
    return new StateError(SqlState.OutOfMemory, 'memory budget exceeded', {
      detail: sentences.join('; '),
      hint: hintFor(holders, pinned),
    });
  }
}

const ACCOUNT_WORDS: Readonly<Record<MemoryAccount, string>> = Object.freeze({
  live: 'live data',
  garbage: 'garbage',
  log: 'change log',
  forks: 'shared with forks',
  transactions: 'transactions',
  sorts: 'sorts',
  results: 'results',
});

function hintFor(holders: readonly GarbageHolder[], pinned: readonly GarbageHolder[]): string {
  const ways: string[] = [];
  if (pinned.length > 0) ways.push('end or release what protects history (varve_internal.protected_timestamps)');
  if (holders.some((table) => table.reason !== 'protection')) {
    ways.push('keep history for less time (ALTER TABLE ... CONFIGURE ZONE USING gc.ttlseconds = ...)');
  }
  ways.push('delete or drop data, which frees memory once its TTL has passed', 'give the process more memory (--memory)');
  return `${ways.join('; ')}; SELECT * FROM varve_internal.memory shows what uses it`;
}

/** Who holds a record, in words. */
export function ownerOf(record: ProtectionRecord): string {
  if (record.metaType === 'jobs' || record.metaType === 'schema changes') return `job ${record.meta}`;
  if (record.metaType === 'schedules') return `schedule ${record.meta}`;
  return record.meta === '' ? 'a user' : `a user ("${record.meta}")`;
}

/** What writes will hold once committed. */
export function committedBytes(keys: readonly Bytes[], values: readonly (Bytes | null)[]): number {
  let bytes = keys.length * COMMITTED_ROW_BYTES;
  for (let i = 0; i < keys.length; i++) bytes += (keys[i] as Bytes).length + (values[i]?.length ?? 0);
  return bytes;
}

/** The same for a buffer with so many writes and so many bytes of keys and values. */
export function bufferedBytes(size: number, bytes: number): number {
  return size * COMMITTED_ROW_BYTES + bytes;
}

function newFamily(limitBytes: number): Family {
  const sum = new Footprint();
  const members = new Set<Memory>();
  const family: Family = { sum, members, budget: new Budget(limitBytes, () => sum.total + sharedBytes(family)) };
  return family;
}

function sharedBytes({ sum, members }: Family): number {
  return members.size > 1 ? sum.shared : 0;
}
