/**
 * Thresholds: the GC threshold of each table, and of each index with a TTL of its own, strict and settled.
 *
 * What age and protections allow is computed at each question, so the answer never depends on when
 * GC last ran. What an earlier configuration made of it is settled: kept as a floor, because data
 * may be gone. Settling happens before any change of configuration or records, and by GC itself.
 *
 *   S1  of(table, index) never decreases
 *   S2  data of an index above of(table, index) has never been removed
 *   S3  a catalog table's threshold is at most every other one, as far as S1 allows, so a readable
 *       row always finds its descriptor
 *
 * A question without an index is about all that the table has: its threshold is the highest of its
 * indexes'. Ranges need no thresholds of their own: no two ranges of an index can have different
 * TTLs or protections, so a split or merge would only copy the number.
 *
 * Cost: a map lookup and three comparisons, for tables whose indexes have TTLs of their own as many
 * for each index; catalog tables look at every table only for reads that lie below their own TTL.
 */
import { StatementError } from '../base/errors.ts';
import { formatDuration } from '../base/duration.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { formatForError, MIN_TIMESTAMP } from '../base/timestamp.ts';
import type { ProtectedTimestamps, ProtectionRecord } from './protectedTimestamps.ts';
import type { SpanConfigs, TableConfig } from './spanConfigs.ts';
import { DEFAULT_TABLE_CONFIG, TTL_SECONDS_MIN } from './spanConfigs.ts';
import { gcThreshold, ttlToKeep, unreadableAt } from './threshold.ts';

/** Why a table's threshold is where it is. */
export interface ThresholdExplanation {
  readonly tableId: number;
  /** The index that it is about, when that has a TTL or a floor of its own. */
  readonly indexId: number | undefined;
  readonly now: Timestamp;
  /** Reads at and below it are refused. */
  readonly threshold: Timestamp;
  readonly ttlSeconds: number;
  /** `ttl`: now - ttl. `protection`: a record holds it back. `settled`: an earlier configuration or GC moved it here. `catalog`: another table needs the history. */
  readonly reason: 'ttl' | 'protection' | 'settled' | 'catalog';
  /** The oldest record that covers the table, whether or not it is what decides. */
  readonly oldestProtection: ProtectionRecord | undefined;
}

interface TableState {
  /** The floor of all of the table. */
  settled: Timestamp;
  /** Floors of indexes, by id, and under REST_OF_TABLE of those that have none here; only where TTLs have differed. */
  floors: Map<number, Timestamp> | undefined;
  configsVersion: number;
  protectionsVersion: number;
  config: TableConfig;
  oldest: ProtectionRecord | undefined;
}

/** What is settled, by table. */
export type SettledFloors = readonly {
  readonly tableId: number;
  readonly settled: Timestamp;
  readonly floors: ReadonlyMap<number, Timestamp> | undefined;
}[];

/** Stands for the indexes of a table that have no TTL of their own. Index ids start at 1. */
export const REST_OF_TABLE = 0;

/** 72000: the history that a read or an export asked for may be gone. */
export class HistoryGoneError extends StatementError {
  readonly tableId: number;
  readonly timestamp: Timestamp;
  readonly threshold: Timestamp;

  constructor(message: string, fields: { detail: string; hint: string }, tableId: number, ts: Timestamp, threshold: Timestamp) {
    super(SqlState.SnapshotTooOld, message, fields);
    this.tableId = tableId;
    this.timestamp = ts;
    this.threshold = threshold;
  }
}

export class Thresholds {
  readonly #now: () => Timestamp;
  readonly #protections: ProtectedTimestamps;
  readonly #storedTableIds: () => readonly number[];
  readonly #tables = new Map<number, TableState>();
  #highestSettled: Timestamp = MIN_TIMESTAMP;
  #configs: SpanConfigs;
  /** tableIds() as it was asked for last: no table comes or goes between most questions. */
  #known: { readonly configured: readonly number[]; readonly stored: readonly number[]; readonly ids: readonly number[] } | undefined;
  #stopListening: () => void;

  /** `now`: the HLC's reading. `storedTableIds`: the tables that have data. */
  constructor(now: () => Timestamp, configs: SpanConfigs, protections: ProtectedTimestamps, storedTableIds: () => readonly number[]) {
    this.#now = now;
    this.#configs = configs;
    this.#protections = protections;
    this.#storedTableIds = storedTableIds;
    protections.onBeforeChange(() => this.settleAll());
    this.#stopListening = configs.onBeforeChange(() => this.settleAll());
  }

  /** Settles under the old configurations, then goes by the new ones. */
  useConfigs(configs: SpanConfigs): void {
    this.settleAll();
    this.#stopListening();
    this.#configs = configs;
    for (const state of this.#tables.values()) state.configsVersion = -1;
    this.#stopListening = configs.onBeforeChange(() => this.settleAll());
  }

  /** Stops listening to the configurations, which may outlive a fork that went by them. */
  close(): void {
    this.#stopListening();
  }

  /** Every table with data or a configuration, ascending. */
  tableIds(): readonly number[] {
    const stored = this.#storedTableIds();
    const configured = this.#configs.tableIds();
    const known = this.#known;
    if (known !== undefined && known.configured === configured && isSame(known.stored, stored)) return known.ids;
    const ids = [...new Set([...stored, ...configured])].sort((a, b) => a - b);
    this.#known = { configured, stored: [...stored], ids };
    return ids;
  }

  configOf(tableId: number): TableConfig {
    return this.#state(tableId).config;
  }

  /** The index's threshold now; without an index the highest of the table's. */
  of(tableId: number, indexId?: number): Timestamp {
    return this.#of(tableId, indexId, this.#now());
  }

  /** The time at and below which all of the table's history may be gone. */
  lowestOf(tableId: number): Timestamp {
    const state = this.#state(tableId);
    return isWhole(state) ? this.of(tableId) : lowest(state, this.#now());
  }

  /** Throws HistoryGoneError (72000) when `ts` is at or below the threshold. */
  check(tableId: number, ts: Timestamp, indexId?: number): void {
    if (!this.isReadable(tableId, ts, indexId)) throw this.errorFor(tableId, ts, 'batch timestamp', indexId);
  }

  isReadable(tableId: number, ts: Timestamp, indexId?: number): boolean {
    const state = this.#state(tableId);
    // Above its own bound a table is readable whatever the others' need; only below it a catalog table has to ask them.
    if (ts <= state.settled) return false;
    const now = this.#now();
    if (!isWhole(state)) return ts > this.#of(tableId, indexId, now);
    if (ts > gcThreshold(now, state.config.ttlSeconds, state.oldest?.ts)) return true;
    return state.config.isCatalog === true && ts > this.#of(tableId, undefined, now);
  }

  /**
   * True when a read at `ts` is above every table's threshold for a reason that costs nothing to
   * see: it is younger than the shortest TTL there can be, and than every settled floor. False says nothing.
   */
  isReadableEverywhere(ts: Timestamp): boolean {
    return ts > this.#highestSettled && ts > gcThreshold(this.#now(), TTL_SECONDS_MIN, undefined);
  }

  /** The 72000 for a read at `ts`: how far off it is, what moved the threshold, what can be done. */
  errorFor(tableId: number, ts: Timestamp, what = 'batch timestamp', indexId?: number): HistoryGoneError {
    const explanation = this.explain(tableId, indexId);
    const { threshold, ttlSeconds, now } = explanation;
    const { isCatalog = false } = this.configOf(tableId);
    const moved = {
      ttl: `the ${explanation.indexId === undefined ? 'table' : 'index'} keeps history for gc.ttlseconds = ${ttlSeconds}`,
      protection: `protection ${explanation.oldestProtection?.id} keeps history from its own time on only`,
      settled: 'a shorter gc.ttlseconds than now, or the removal of dropped data, has moved the threshold there',
      catalog: `schemas are kept as long as the oldest table's history`,
    }[explanation.reason];
    return new HistoryGoneError(
      `${what} ${formatForError(ts)} must be after replica GC threshold ${formatForError(threshold)}`,
      {
        detail: `${this.#describe(tableId, explanation.indexId)}: the time lies ${formatDuration(threshold - ts + 1)} too early; ${moved}`,
        hint: `use a later time; to keep ${isCatalog ? 'schemas' : 'history'} this long from now on, set gc.ttlseconds${isCatalog ? ' of RANGE default' : ''} to ${ttlToKeep(ts, now)} or more, or protect the time before it expires`,
      },
      tableId,
      ts,
      threshold,
    );
  }

  /** `table bank.public.accounts (52)`, `index bank.public.accounts@i (52/2)`, as far as its name is known. */
  #describe(tableId: number, indexId: number | undefined): string {
    const name = this.#configs.nameOf?.(tableId, indexId);
    if (this.configOf(tableId).isCatalog)
      return `the schemas of that time (${name === undefined ? `table ${tableId}` : `${name}, table ${tableId}`})`;
    const [kind, id] = indexId === undefined ? ['table', `${tableId}`] : ['index', `${tableId}/${indexId}`];
    return name === undefined ? `${kind} ${id}` : `${kind} ${name} (${id})`;
  }

  /** Why the threshold of an index is where it is; without an index that of the table's index with the highest. */
  explain(tableId: number, indexId?: number): ThresholdExplanation {
    const state = this.#state(tableId);
    const now = this.#now();
    const threshold = this.#of(tableId, indexId, now);
    // The table's own TTL first: an index is named only when it is the one that decides.
    const part = isWhole(state)
      ? REST_OF_TABLE
      : (indexId ?? partsOf(state).find((id) => spanThreshold(state, id, now) === threshold) ?? REST_OF_TABLE);
    const ttlSeconds = ttlOf(state, part);
    const byAge = gcThreshold(now, ttlSeconds, undefined);
    const own = gcThreshold(now, ttlSeconds, state.oldest?.ts);
    const reason = threshold > own ? 'settled' : threshold < own ? 'catalog' : own < byAge ? 'protection' : 'ttl';
    const isOwn = part !== REST_OF_TABLE && (state.config.indexes?.ttlSeconds.has(part) === true || state.floors?.has(part) === true);
    return { tableId, indexId: isOwn ? part : undefined, now, threshold, ttlSeconds, reason, oldestProtection: state.oldest };
  }

  /** Today's indexes with a TTL of their own, ascending. */
  indexesApart(tableId: number): number[] {
    const { indexes } = this.configOf(tableId);
    return indexes ? indexes.ids.filter((id) => indexes.ttlSeconds.has(id)).sort((a, b) => a - b) : [];
  }

  /** Indexes that the table had once and whose thresholds are, or were, their own, ascending. */
  droppedApart(tableId: number): number[] {
    const { config, floors } = this.#state(tableId);
    const ids = new Set([...(config.indexes?.ttlSeconds.keys() ?? []), ...(floors?.keys() ?? [])]);
    return [...ids].filter((id) => id !== REST_OF_TABLE && config.indexes?.ids.includes(id) === false).sort((a, b) => a - b);
  }

  /**
   * The first physical time at which `ts` will be refused: also the deadline of an incremental
   * backup that starts at `ts`. Undefined while a protection holds it; now or earlier when it is
   * refused already.
   */
  unreadableAt(tableId: number, ts: Timestamp, indexId?: number): Timestamp | undefined {
    const state = this.#state(tableId);
    if (ts <= state.settled) return this.#now();
    if (isWhole(state)) return unreadableAt(ts, state.config.ttlSeconds, state.oldest?.ts);
    if (!this.isReadable(tableId, ts, indexId)) return this.#now();
    const parts = indexId === undefined ? partsOf(state) : [indexId];
    const ttlSeconds = Math.min(...parts.map((part) => ttlOf(state, part)));
    return unreadableAt(ts, ttlSeconds, state.oldest?.ts);
  }

  /** Makes today's thresholds the floors, and returns lowestOf(): GC may then remove what lies below each. */
  settle(tableId: number): Timestamp {
    const threshold = this.lowestOf(tableId);
    this.#settleAt(tableId, threshold);
    return threshold;
  }

  settleAll(): void {
    // Catalog tables ask the others, so their answers are taken first.
    const tableIds = this.tableIds();
    const now = this.#now();
    const needed = this.#lowestOfData(tableIds, now);
    const found = tableIds.map((tableId) => {
      const state = this.#state(tableId);
      return [tableId, isWhole(state) ? this.#of(tableId, undefined, now, needed) : lowest(state, now)] as const;
    });
    for (const [tableId, threshold] of found) {
      // A table that is younger than that has lost nothing; one that this very commit makes may not have its zone yet.
      const { madeAt } = this.configOf(tableId);
      if (madeAt === undefined || madeAt <= threshold) this.#settleAt(tableId, threshold);
    }
  }

  /** Raises the thresholds of all of a table to `ts`: restored history starts above it; memory pressure uses it too. Never past a protection, never back. */
  raise(tableId: number, ts: Timestamp): void {
    const state = this.#state(tableId);
    const limit = state.oldest === undefined ? ts : (Math.min(ts, state.oldest.ts - 1) as Timestamp);
    if (limit > state.settled) this.#raise(state, limit);
  }

  /** A dropped table's data is gone since `at`: no earlier time is readable any more, whatever its TTL was. */
  closeHistory(tableId: number, at: Timestamp): void {
    this.#raise(this.#state(tableId), at);
  }

  /** Forgets a table that was never public and starts over. */
  forget(tableId: number): void {
    this.#tables.delete(tableId);
  }

  /** The floors, for a fork. */
  settledFloors(): SettledFloors {
    return [...this.#tables].map(([tableId, { settled, floors }]) => ({ tableId, settled, floors: floors && new Map(floors) }));
  }

  restoreFloors(tables: SettledFloors): void {
    for (const { tableId, settled, floors } of tables) {
      const state = this.#state(tableId);
      this.#raise(state, settled);
      state.floors = floors && new Map(floors);
      for (const floor of floors?.values() ?? []) this.#noteHighest(floor);
    }
  }

  /** `lowestThreshold`: lowestOf(tableId), asked before any table was settled. */
  #settleAt(tableId: number, lowestThreshold: Timestamp): void {
    const state = this.#state(tableId);
    if (!isWhole(state)) this.#settleParts(state);
    this.#raise(state, lowestThreshold);
  }

  /** Each index's own floor, while TTLs differ; those that the common floor has reached go. */
  #settleParts(state: TableState): void {
    const now = this.#now();
    const floors = new Map<number, Timestamp>();
    if (state.config.indexes !== undefined && hasOwnTtls(state)) {
      const ids = new Set([REST_OF_TABLE, ...state.config.indexes.ttlSeconds.keys(), ...(state.floors?.keys() ?? [])]);
      for (const id of ids) floors.set(id, spanThreshold(state, id, now));
    } else {
      const bound = gcThreshold(now, state.config.ttlSeconds, state.oldest?.ts);
      for (const [id, floor] of state.floors ?? []) if (floor > bound) floors.set(id, floor);
    }
    for (const floor of floors.values()) this.#noteHighest(floor);
    state.floors = floors.size > 0 ? floors : undefined;
  }

  #raise(state: TableState, settled: Timestamp): void {
    if (settled > state.settled) state.settled = settled;
    this.#noteHighest(settled);
  }

  #noteHighest(settled: Timestamp): void {
    if (settled > this.#highestSettled) this.#highestSettled = settled;
  }

  /** `needed`: lowestOfData(), where the caller has it. */
  #of(tableId: number, indexId: number | undefined, now: Timestamp, needed?: Timestamp): Timestamp {
    const state = this.#state(tableId);
    if (!isWhole(state)) {
      if (indexId !== undefined) return spanThreshold(state, indexId, now);
      return partsOf(state).reduce<Timestamp>(
        (highest, id) => Math.max(highest, spanThreshold(state, id, now)) as Timestamp,
        state.settled,
      );
    }
    let bound = gcThreshold(now, state.config.ttlSeconds, state.oldest?.ts);
    if (state.config.isCatalog) bound = Math.min(bound, needed ?? this.#lowestOfData(this.tableIds(), now)) as Timestamp;
    return bound > state.settled ? bound : state.settled;
  }

  /** How far back schemas are needed: to the oldest history of any table that is not the catalog's. */
  #lowestOfData(tableIds: readonly number[], now: Timestamp): Timestamp {
    let needed = Number.POSITIVE_INFINITY as Timestamp;
    for (const tableId of tableIds) {
      const state = this.#state(tableId);
      if (!state.config.isCatalog) needed = Math.min(needed, lowest(state, now)) as Timestamp;
    }
    return needed;
  }

  #state(tableId: number): TableState {
    let state = this.#tables.get(tableId);
    if (state === undefined) {
      state = {
        settled: MIN_TIMESTAMP,
        floors: undefined,
        configsVersion: -1,
        protectionsVersion: -1,
        config: DEFAULT_TABLE_CONFIG,
        oldest: undefined,
      };
      this.#tables.set(tableId, state);
    }
    if (state.configsVersion !== this.#configs.version || state.protectionsVersion !== this.#protections.version) {
      state.configsVersion = this.#configs.version;
      state.protectionsVersion = this.#protections.version;
      state.config = this.#configs.configOf(tableId) ?? DEFAULT_TABLE_CONFIG;
      state.oldest = state.config.isCatalog ? this.#protections.oldest() : this.#protections.oldestCovering(tableId, state.config);
    }
    return state;
  }
}

/** True when all of the table has one threshold. */
function isWhole(state: TableState): boolean {
  return state.floors === undefined && !hasOwnTtls(state);
}

function hasOwnTtls({ config }: TableState): boolean {
  return config.indexes !== undefined && config.indexes.ttlSeconds.size > 0;
}

function ttlOf({ config }: TableState, indexId: number): number {
  return config.indexes?.ttlSeconds.get(indexId) ?? config.ttlSeconds;
}

/** What has a threshold of its own in the table of today: REST_OF_TABLE first, if any index goes by the table's TTL. */
function partsOf({ config, floors }: TableState): number[] {
  const { indexes } = config;
  // Without its indexes' names, every index that there ever was a floor for may be one of today's.
  if (indexes === undefined) return [REST_OF_TABLE, ...(floors?.keys() ?? [])];
  const apart = indexes.ids.filter((id) => indexes.ttlSeconds.has(id) || floors?.has(id));
  return apart.length < indexes.ids.length ? [REST_OF_TABLE, ...apart] : apart;
}

/** Of one index, or of REST_OF_TABLE. */
function spanThreshold(state: TableState, indexId: number, now: Timestamp): Timestamp {
  const { settled, floors, oldest } = state;
  const floor = floors?.get(indexId) ?? floors?.get(REST_OF_TABLE) ?? MIN_TIMESTAMP;
  return Math.max(settled, floor, gcThreshold(now, ttlOf(state, indexId), oldest?.ts)) as Timestamp;
}

/** At and below it everything may be gone, data of dropped indexes included. */
function lowest(state: TableState, now: Timestamp): Timestamp {
  if (isWhole(state)) return spanThreshold(state, REST_OF_TABLE, now);
  const ids = [...partsOf(state), ...(state.config.indexes?.ttlSeconds.keys() ?? [])];
  return ids.reduce((found, id) => Math.min(found, spanThreshold(state, id, now)), Number.POSITIVE_INFINITY) as Timestamp;
}

function isSame(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((id, i) => id === b[i]);
}
