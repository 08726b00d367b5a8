/**
 * Thresholds: the GC threshold of each table, strict and settled.
 *
 * What age and protections allow is computed at each question, so the answer never depends on when
 * GC last ran. What an earlier configuration made of it is settled: kept as a floor, because data
 * may be gone. Settling happens before any change of configuration or records, and by GC itself.
 *
 *   S1  of(table) never decreases
 *   S2  data above of(table) has never been removed
 *   S3  a catalog table's threshold is at most every other table's, as far as S1 allows, so a
 *       readable row always finds its descriptor
 *
 * Cost: a map lookup and three comparisons; catalog tables look at every table only for reads that
 * lie below their own TTL.
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
  settled: Timestamp;
  configsVersion: number;
  protectionsVersion: number;
  config: TableConfig;
  oldest: ProtectionRecord | undefined;
}

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
  readonly #storedTableIds: () => Iterable<number>;
  readonly #tables = new Map<number, TableState>();
  #highestSettled: Timestamp = MIN_TIMESTAMP;
  #configs: SpanConfigs;
  #stopListening: () => void;

  /** `now`: the HLC's reading. `storedTableIds`: the tables that have data. */
  constructor(now: () => Timestamp, configs: SpanConfigs, protections: ProtectedTimestamps, storedTableIds: () => Iterable<number>) {
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
  tableIds(): number[] {
    return [...new Set([...this.#storedTableIds(), ...this.#configs.tableIds()])].sort((a, b) => a - b);
  }

  configOf(tableId: number): TableConfig {
    return this.#state(tableId).config;
  }

  /** The table's threshold now. */
  of(tableId: number): Timestamp {
    return this.#of(tableId, this.#now());
  }

  /** Throws HistoryGoneError (72000) when `ts` is at or below the table's threshold. */
  check(tableId: number, ts: Timestamp): void {
    if (!this.isReadable(tableId, ts)) throw this.errorFor(tableId, ts);
  }

  isReadable(tableId: number, ts: Timestamp): boolean {
    const state = this.#state(tableId);
    const now = this.#now();
    // Above its own bound a table is readable whatever the others' need; only below it a catalog table has to ask them.
    if (ts <= state.settled) return false;
    if (ts > gcThreshold(now, state.config.ttlSeconds, state.oldest?.ts)) return true;
    return state.config.isCatalog === true && ts > this.#of(tableId, now);
  }

  /**
   * True when a read at `ts` is above every table's threshold for a reason that costs nothing to
   * see: it is younger than the shortest TTL there can be, and than every settled floor. False says nothing.
   */
  isReadableEverywhere(ts: Timestamp): boolean {
    return ts > this.#highestSettled && ts > gcThreshold(this.#now(), TTL_SECONDS_MIN, undefined);
  }

  /** The 72000 for a read at `ts`: how far off it is, what moved the threshold, what can be done. */
  errorFor(tableId: number, ts: Timestamp, what = 'batch timestamp'): HistoryGoneError {
    const explanation = this.explain(tableId);
    const { threshold, ttlSeconds, now } = explanation;
    const { isCatalog = false } = this.configOf(tableId);
    const moved = {
      ttl: `the table keeps history for gc.ttlseconds = ${ttlSeconds}`,
      protection: `protection ${explanation.oldestProtection?.id} keeps history from its own time on only`,
      settled: 'a shorter gc.ttlseconds than now, or the removal of dropped data, has moved the threshold there',
      catalog: `schemas are kept as long as the oldest table's history`,
    }[explanation.reason];
    return new HistoryGoneError(
      `${what} ${formatForError(ts)} must be after replica GC threshold ${formatForError(threshold)}`,
      {
        detail: `${this.#describe(tableId)}: the time lies ${formatDuration(threshold - ts + 1)} too early; ${moved}`,
        hint: `use a later time; to keep ${isCatalog ? 'schemas' : 'history'} this long from now on, set gc.ttlseconds${isCatalog ? ' of RANGE default' : ''} to ${ttlToKeep(ts, now)} or more, or protect the time before it expires`,
      },
      tableId,
      ts,
      threshold,
    );
  }

  /** `table bank.public.accounts (52)`, as far as its name is known. */
  #describe(tableId: number): string {
    const name = this.#configs.nameOf?.(tableId);
    if (this.configOf(tableId).isCatalog)
      return `the schemas of that time (${name === undefined ? `table ${tableId}` : `${name}, table ${tableId}`})`;
    return name === undefined ? `table ${tableId}` : `table ${name} (${tableId})`;
  }

  explain(tableId: number): ThresholdExplanation {
    const state = this.#state(tableId);
    const now = this.#now();
    const threshold = this.#of(tableId, now);
    const byAge = gcThreshold(now, state.config.ttlSeconds, undefined);
    const own = gcThreshold(now, state.config.ttlSeconds, state.oldest?.ts);
    const reason = threshold > own ? 'settled' : threshold < own ? 'catalog' : own < byAge ? 'protection' : 'ttl';
    return { tableId, now, threshold, ttlSeconds: state.config.ttlSeconds, reason, oldestProtection: state.oldest };
  }

  /**
   * The first physical time at which `ts` will be refused for the table: also the deadline of an
   * incremental backup that starts at `ts`. Undefined while a protection holds it; now or earlier
   * when it is refused already.
   */
  unreadableAt(tableId: number, ts: Timestamp): Timestamp | undefined {
    const state = this.#state(tableId);
    if (ts <= state.settled) return this.#now();
    return unreadableAt(ts, state.config.ttlSeconds, state.oldest?.ts);
  }

  /** Makes today's threshold the table's floor, and returns it: GC may then remove data below it. */
  settle(tableId: number): Timestamp {
    const threshold = this.#of(tableId, this.#now());
    this.#settleAt(tableId, threshold);
    return threshold;
  }

  settleAll(): void {
    // Catalog tables ask the others, so their answers are taken first.
    const now = this.#now();
    const found = this.tableIds().map((tableId) => [tableId, this.#of(tableId, now)] as const);
    for (const [tableId, threshold] of found) {
      // A table that is younger than that has lost nothing; one that this very commit makes may not have its zone yet.
      const { madeAt } = this.configOf(tableId);
      if (madeAt === undefined || madeAt <= threshold) this.#settleAt(tableId, threshold);
    }
  }

  /** Raises a table's threshold to `ts`: restored history starts above it; memory pressure uses it too. Never past a protection, never back. */
  raise(tableId: number, ts: Timestamp): void {
    const state = this.#state(tableId);
    const limit = state.oldest === undefined ? ts : (Math.min(ts, state.oldest.ts - 1) as Timestamp);
    if (limit > state.settled) this.#settleAt(tableId, limit);
  }

  /** A dropped table's data is gone since `at`: no earlier time is readable any more, whatever its TTL was. */
  closeHistory(tableId: number, at: Timestamp): void {
    this.#settleAt(tableId, at);
  }

  /** Forgets a table that was never public and starts over. */
  forget(tableId: number): void {
    this.#tables.delete(tableId);
  }

  /** The floors, for a fork. */
  settledFloors(): [tableId: number, floor: Timestamp][] {
    return [...this.#tables].map(([tableId, state]) => [tableId, state.settled]);
  }

  restoreFloors(floors: readonly (readonly [tableId: number, floor: Timestamp])[]): void {
    for (const [tableId, floor] of floors) this.#settleAt(tableId, floor);
  }

  #settleAt(tableId: number, threshold: Timestamp): void {
    this.#state(tableId).settled = threshold;
    if (threshold > this.#highestSettled) this.#highestSettled = threshold;
  }

  #of(tableId: number, now: Timestamp): Timestamp {
    const state = this.#state(tableId);
    let bound = gcThreshold(now, state.config.ttlSeconds, state.oldest?.ts);
    if (state.config.isCatalog) {
      for (const otherId of this.tableIds()) {
        if (otherId === tableId) continue;
        const other = this.#state(otherId);
        if (other.config.isCatalog) continue;
        const otherBound = gcThreshold(now, other.config.ttlSeconds, other.oldest?.ts);
        bound = Math.min(bound, Math.max(otherBound, other.settled)) as Timestamp;
      }
    }
    return bound > state.settled ? bound : state.settled;
  }

  #state(tableId: number): TableState {
    let state = this.#tables.get(tableId);
    if (state === undefined) {
      state = { settled: MIN_TIMESTAMP, configsVersion: -1, protectionsVersion: -1, config: DEFAULT_TABLE_CONFIG, oldest: undefined };
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
