/**
 * Zones: what the model knows of GC: the TTL of each table at each time, and what users protect.
 *
 * From that follow two bounds for every read of the past. Above the highest threshold that any TTL
 * so far can have made, or at and above a protection, it must be served; at and below now minus the
 * TTL, where nothing is protected, it must be refused, whether or not GC has run.
 */
import { HistoryGoneError } from '../../src/gc/thresholds.ts';
import type { TableModel } from './model.ts';
import { SimFailure, tell } from './world.ts';

const TTL_DEFAULT_SECONDS = 14_400;
const MICROS = 1_000_000;

interface Setting {
  readonly ts: number;
  /** Undefined: inherits. */
  readonly ttlSeconds: number | undefined;
}

export interface Protection {
  readonly id: string;
  readonly ts: number;
  readonly database: string;
  /** Undefined: the whole database. */
  readonly table: TableModel | undefined;
  /** When the client was told of it. */
  readonly from: number;
  /** When its release was asked for. */
  until: number;
}

export class Zones {
  readonly #databases = new Map<string, Setting[]>();
  readonly #tables = new Map<TableModel, Setting[]>();
  readonly protections: Protection[] = [];
  /** Every table there has been, by the id of its descriptor; sequences count as tables without a zone. */
  readonly tables = new Map<number, { readonly name: string; readonly table: TableModel }>();
  /** Whether anybody, such as a backup under way, protected anything at some time from `since` on. */
  mayBeHeld: (since: number) => boolean = () => false;

  setDatabase(name: string, ts: number, ttlSeconds: number | undefined): void {
    const settings = this.#databases.get(name) ?? [];
    this.#databases.set(name, settings);
    settings.push({ ts, ttlSeconds });
  }

  setTable(table: TableModel, ts: number, ttlSeconds: number | undefined): void {
    const settings = this.#tables.get(table) ?? [];
    this.#tables.set(table, settings);
    settings.push({ ts, ttlSeconds });
  }

  /** TRUNCATE: the new table has the old one's zone. */
  copyTable(from: TableModel, to: TableModel): void {
    const settings = this.#tables.get(from);
    if (settings) this.#tables.set(to, [...settings]);
  }

  ttlAt(database: string, table: TableModel, ts: number): number {
    const own = this.#tables.get(table)?.findLast((setting) => setting.ts <= ts)?.ttlSeconds;
    const parent = this.#databases.get(database)?.findLast((setting) => setting.ts <= ts)?.ttlSeconds;
    return own ?? parent ?? TTL_DEFAULT_SECONDS;
  }

  /** The highest threshold that ages alone can have made by `now`. */
  thresholdMax(database: string, table: TableModel, now: number): number {
    const changes = [...(this.#databases.get(database) ?? []), ...(this.#tables.get(table) ?? [])].map(({ ts }) => ts);
    const times = [0, ...changes].sort((a, b) => a - b);
    let bound = 0;
    times.forEach((from, i) => {
      // A period's threshold is highest at its end, the moment of the next change.
      const end = Math.min(times[i + 1] ?? now, now);
      if (from <= now) bound = Math.max(bound, end - this.ttlAt(database, table, from) * MICROS);
    });
    return bound;
  }

  isProtected(database: string, table: TableModel, time: number, from: number, to: number): boolean {
    return this.protections.some(
      (one) =>
        one.ts <= time &&
        one.from <= from &&
        to < one.until &&
        one.database === database &&
        (one.table === undefined || one.table === table),
    );
  }

  /** Whether a read at `time`, made between `from` and `to`, had to be served or refused. */
  judge(name: string, table: TableModel | undefined, time: number, from: number, to: number): 'readable' | 'gone' | 'either' {
    const [database = ''] = name.split('.');
    if (!table) return 'either';
    if (time > this.thresholdMax(database, table, to)) return 'readable';
    if (this.isProtected(database, table, time, from, to)) return 'readable';
    const ttl = this.ttlAt(database, table, from);
    const isSteady = this.ttlAt(database, table, to) === ttl;
    const mayBeProtected = this.mayBeHeld(from) || this.protections.some((one) => one.ts <= time);
    if (isSteady && !mayBeProtected && time <= from - ttl * MICROS) return 'gone';
    return 'either';
  }

  /** Throws unless the refusal of a table's history, which an error tells of, had a reason. The model has caught up. */
  checkRefusal(error: unknown, told: string, from: number, to: number): void {
    const { cause } = error as { cause?: unknown };
    const gone = error instanceof HistoryGoneError ? error : cause instanceof HistoryGoneError ? cause : undefined;
    const found = gone && this.tables.get(gone.tableId);
    if (!gone || !found || this.judge(found.name, found.table, gone.timestamp, from, to) !== 'readable') return;
    throw new SimFailure('collected too early', `${told}\n    ${tell(error)}\n    ${this.explain(found.name, found.table, to)}`, error);
  }

  explain(name: string, table: TableModel | undefined, now: number): string {
    const [database = ''] = name.split('.');
    if (!table) return `${name} does not exist`;
    const held = this.protections.filter((one) => one.until === Number.POSITIVE_INFINITY).map((one) => one.ts);
    return `now ${now}, gc.ttlseconds ${this.ttlAt(database, table, now)}, highest threshold by age ${this.thresholdMax(database, table, now)}, protected at ${held.join(', ') || 'no time'}`;
  }
}
