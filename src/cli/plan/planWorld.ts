/**
 * Plan world: a database on a manual clock with a sample of the user's rows, the user's schedules, and
 * outages; it is stepped from moment to moment, rows changing in between.
 *
 * Storage is in memory. Its outages are met by the real retries: those of a call, whose waits are over at
 * once here, and those of the job, on the manual clock. While the node is away it claims no job, starts no
 * schedule and writes no row, and then catches up.
 */
import type { Clock } from '../../base/clock.ts';
import { MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_SECOND } from '../../base/duration.ts';
import { InlineExecutor } from '../../base/executor.ts';
import { ManualClock } from '../../base/manualClock.ts';
import { seededRandom } from '../../base/random.ts';
import { quoteLiteral } from '../../catalog/names.ts';
import { Database } from '../../server/database.ts';
import type { Session } from '../../sql/exec/session.ts';
import type { Outage, PlanSpec } from './planSpec.ts';
import { unreliable } from './unreliableStorage.ts';

/** Values of one statement. */
const BATCH_ROWS = 500;
export const COLLECTION = 'mem://plan';

export class PlanWorld {
  readonly spec: PlanSpec;
  readonly clock: ManualClock;
  readonly database: Database;
  readonly startMicros: number;
  readonly #session: Session;
  readonly #random = seededRandom('plan');
  #isStorageAway = false;
  #isNodeAway = false;
  /** Rows that should have changed and have not, for want of a whole one. */
  #owedRows = 0;
  #value = 0;

  private constructor(spec: PlanSpec, clock: ManualClock, database: Database) {
    this.spec = spec;
    this.clock = clock;
    this.database = database;
    this.startMicros = clock.nowMicros();
    this.#session = database.newSession();
  }

  /** Opens it with the data and the schedules; the first full backup is due. Throws what CREATE SCHEDULE refuses. */
  static async open(spec: PlanSpec): Promise<PlanWorld> {
    const clock = new ManualClock(spec.start);
    let world: PlanWorld | undefined;
    const database = await Database.open({
      clock,
      executor: new InlineExecutor(),
      ioClock: new HurriedClock(clock),
      seed: 'plan',
      wrapStorage: (storage) => unreliable(storage, () => world?.isStorageAway ?? false),
    });
    world = new PlanWorld(spec, clock, database);
    await world.#begin();
    return world;
  }

  get elapsedMicros(): number {
    return this.clock.nowMicros() - this.startMicros;
  }

  get endMicros(): number {
    return this.startMicros + this.spec.days * MICROS_PER_DAY;
  }

  get isStorageAway(): boolean {
    return this.#isStorageAway;
  }

  get isNodeAway(): boolean {
    return this.#isNodeAway;
  }

  async close(): Promise<void> {
    await this.database.close();
  }

  /** Moves the clock, at most by so much: to the next beginning or end of an outage, if that comes first. Rows change at the end of it. */
  async step(micros: number): Promise<void> {
    const elapsed = this.elapsedMicros;
    const turns = this.spec.outages.flatMap(({ startMicros, lengthMicros }) => [startMicros, startMicros + lengthMicros]);
    const until = Math.min(elapsed + micros, ...turns.filter((at) => at > elapsed));
    await this.clock.advance(until - elapsed);
    if (!this.#isNodeAway) await this.#change((until - elapsed) / MICROS_PER_HOUR);
    await this.#applyOutages();
  }

  async #begin(): Promise<void> {
    const { gcTtlMicros, hasProtection, incremental, full, hasRevisionHistory, onFailure, onRunning, sampleRows } = this.spec;
    const statements = [
      'CREATE DATABASE app',
      'CREATE TABLE app.t (id INT PRIMARY KEY, v STRING)',
      `ALTER DATABASE app CONFIGURE ZONE USING gc.ttlseconds = ${Math.max(1, Math.round(gcTtlMicros / MICROS_PER_SECOND))}`,
      'SET CLUSTER SETTING sql.stats.automatic_collection.enabled = false',
      'SET CLUSTER SETTING server.eventlog.enabled = false',
      // What is readable never depends on when GC runs.
      "SET CLUSTER SETTING varve.gc.interval = '1h'",
      `SET CLUSTER SETTING jobs.retention_time = '${this.spec.days * 24 + 24}h'`,
      `SET CLUSTER SETTING schedules.backup.gc_protection.enabled = ${hasProtection}`,
    ];
    for (const statement of statements) await this.#session.execute(statement);
    for (let from = 0; from < sampleRows; from += BATCH_ROWS) {
      await this.#upsert(Array.from({ length: Math.min(BATCH_ROWS, sampleRows - from) }, (_, i) => from + i));
    }
    const recurring = incremental === undefined ? full : incremental;
    const fullClause = incremental === undefined ? 'FULL BACKUP ALWAYS' : `FULL BACKUP ${quoteLiteral(full)}`;
    await this.#session.execute(
      `CREATE SCHEDULE plan FOR BACKUP DATABASE app INTO '${COLLECTION}'${hasRevisionHistory ? ' WITH revision_history' : ''} ` +
        `RECURRING ${quoteLiteral(recurring)} ${fullClause} ` +
        `WITH SCHEDULE OPTIONS first_run = 'now', on_execution_failure = '${onFailure}', on_previous_running = '${onRunning}'`,
    );
    // Whoever plans has seen that the place can be used: an outage from the start on meets the first backup.
    await this.#applyOutages();
  }

  async #applyOutages(): Promise<void> {
    const elapsed = this.elapsedMicros;
    const isAway = (what: Outage['of']): boolean =>
      this.spec.outages.some(
        ({ of, startMicros, lengthMicros }) => of === what && startMicros <= elapsed && elapsed < startMicros + lengthMicros,
      );
    this.#isStorageAway = isAway('storage');
    if (isAway('node') === this.#isNodeAway) return;
    this.#isNodeAway = !this.#isNodeAway;
    const { cluster } = this.database.kv;
    if (this.#isNodeAway) {
      await this.#session.execute('SET CLUSTER SETTING jobs.scheduler.enabled = false');
      cluster.stopNode(1);
    } else {
      cluster.startNode(1);
      await this.#session.execute('SET CLUSTER SETTING jobs.scheduler.enabled = true');
    }
    await this.clock.advance(0);
  }

  async #change(hours: number): Promise<void> {
    const { sampleRows, churnPerHour } = this.spec;
    this.#owedRows += sampleRows * churnPerHour * hours;
    const count = Math.floor(this.#owedRows);
    this.#owedRows -= count;
    const ids = new Set<number>();
    // More than all of them is all of them, once.
    while (ids.size < Math.min(count, sampleRows)) ids.add(this.#random.int(sampleRows));
    const all = [...ids];
    for (let from = 0; from < all.length; from += BATCH_ROWS) await this.#upsert(all.slice(from, from + BATCH_ROWS));
  }

  async #upsert(ids: readonly number[]): Promise<void> {
    if (ids.length === 0) return;
    const rows = ids.map((id) => `(${id}, '${`${++this.#value}`.padEnd(this.spec.rowBytes, '.')}')`);
    await this.#session.execute(`UPSERT INTO app.t VALUES ${rows.join(', ')}`);
  }
}

/** Shows the time of another clock, and is never waited for. */
class HurriedClock implements Clock {
  readonly isManual = false;
  readonly #shown: Clock;

  constructor(shown: Clock) {
    this.#shown = shown;
  }

  nowMicros(): number {
    return this.#shown.nowMicros();
  }

  setTimer(_delayMicros: number, callback: () => void) {
    const soon = setImmediate(callback);
    return { cancel: () => clearImmediate(soon) };
  }
}
