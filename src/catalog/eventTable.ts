/**
 * EventTable: system.eventlog. A row commits with what it tells of, or not at all, and goes within the
 * hour after server.eventlog.ttl: a timer waits for the oldest one. The event log hears of it once the
 * transaction has committed, also where server.eventlog.enabled is off.
 */
import type { Bytes } from '../base/bytes.ts';
import type { Timer } from '../base/clock.ts';
import { MICROS_PER_HOUR } from '../base/duration.ts';
import { eventJson, type LogEvent } from '../base/eventLog.ts';
import type { Kv, Txn } from '../kv/kv.ts';
import { parseUuid } from './datumText.ts';
import type { ClusterSettings } from './settings.ts';
import { systemTable } from './systemRows.ts';

/** An effect of the Activity: while it waits for a client's lock, time may pass. */
const AS_EFFECT = { isEffect: true } as const;
/** Rows of an hour go together, so many at once. */
const ROUND_MICROS = MICROS_PER_HOUR;
const BATCH_ROWS = 1_000;

export class EventTable {
  readonly #kv: Kv;
  readonly #settings: ClusterSettings;
  readonly #stopListening: () => void;
  #timer: Timer | undefined;
  /** No row is older; undefined while there is none. */
  #oldestMicros: number | undefined;
  #isOpen = true;

  private constructor(kv: Kv, settings: ClusterSettings) {
    this.#kv = kv;
    this.#settings = settings;
    this.#stopListening = settings.onChange('server.eventlog.ttl', () => this.#arm());
  }

  static async open(kv: Kv, settings: ClusterSettings): Promise<EventTable> {
    const table = new EventTable(kv, settings);
    await table.#findOldest();
    return table;
  }

  close(): void {
    this.#isOpen = false;
    this.#timer?.cancel();
    this.#stopListening();
  }

  /** In the transaction that does what the event tells. */
  record(txn: Txn, event: LogEvent): void {
    if (this.#settings.bool('server.eventlog.enabled')) {
      systemTable('eventlog').put(txn, {
        timestamp: event.micros,
        eventType: event.type,
        targetID: 0,
        reportingID: 1,
        info: eventJson(event),
        uniqueID: parseUuid(this.#kv.ids.uuid()),
      });
    }
    txn.afterCommit(() => {
      this.#noteRow(event.micros);
      this.#kv.events.emit(event);
    });
  }

  #noteRow(micros: number): void {
    if (this.#oldestMicros !== undefined && this.#oldestMicros <= micros) return;
    this.#oldestMicros = micros;
    this.#arm();
  }

  #arm(): void {
    this.#timer?.cancel();
    if (this.#oldestMicros === undefined || !this.#isOpen) return;
    const { clock, activity } = this.#kv;
    const due = Math.ceil((this.#oldestMicros + this.#settings.number('server.eventlog.ttl')) / ROUND_MICROS) * ROUND_MICROS;
    this.#timer = clock.setTimer(Math.max(0, due - clock.nowMicros()), () => {
      void activity.during('event log retention', () => this.#deleteExpired());
    });
  }

  async #deleteExpired(): Promise<void> {
    const kv = this.#kv;
    const expiry = kv.clock.nowMicros() - this.#settings.number('server.eventlog.ttl');
    const deleteBatch = (): Promise<boolean> =>
      kv.run(async (txn) => {
        const { keys } = await txn.scan(systemTable('eventlog').span, { limit: BATCH_ROWS });
        const expired = keys.filter((key) => timeOf(key) <= expiry);
        await txn.lock(expired);
        txn.write(expired, new Array<null>(expired.length).fill(null));
        return expired.length === BATCH_ROWS;
      }, AS_EFFECT);
    while (this.#isOpen && (await deleteBatch()));
    await this.#findOldest();
  }

  async #findOldest(): Promise<void> {
    const kv = this.#kv;
    const { keys } = await kv.at(kv.reading()).scan(systemTable('eventlog').span, { limit: 1 });
    this.#oldestMicros = keys[0] === undefined ? undefined : timeOf(keys[0]);
    this.#arm();
  }
}

function timeOf(key: Bytes): number {
  return Number(systemTable('eventlog').decodeKey(key)['timestamp']);
}
