/**
 * Automatic statistics: a table is looked at again once enough of it has changed.
 *
 *   writes ─▶ the range queue looks at sizes ─▶ a minute passes ─▶ which tables have changed enough? ─▶ one job after another
 *
 *   A1  nothing polls: without writes there is no timer
 *   A2  a table is due when its log holds more than min_stale_rows + fraction_stale_rows * rows changes since its
 *       statistics were read; so small tables never are, and the cost of reading one is spread over what has changed
 *   A3  a collection that fails is let be: the next writes bring the next look
 *
 * Settings: sql.stats.automatic_collection.enabled, .min_stale_rows, .fraction_stale_rows.
 */
import { MICROS_PER_SECOND } from '../../../base/duration.ts';
import type { Timer } from '../../../base/clock.ts';
import { letGo } from '../../../base/errors.ts';
import { MIN_TIMESTAMP } from '../../../base/timestamp.ts';
import { isTable, MAX_SYSTEM_ID, type TableDescriptor } from '../../../catalog/descriptor.ts';
import { quoteNames } from '../../../catalog/names.ts';
import { indexSpan } from '../../../catalog/rowCodec.ts';
import { AUTOMATIC_NAME, type TableStatistics } from '../../../catalog/tableStatistics.ts';
import type { JobRegistry } from '../../../jobs/registry.ts';
import type { EngineServices } from '../statement.ts';
import { AUTOMATIC_STATISTICS_JOB_TYPE, type StatisticsDetails } from './statisticsJob.ts';

/** From the first writes to the look at what they changed. */
const LOOK_AFTER_MICROS = 60 * MICROS_PER_SECOND;

export class AutomaticStatistics {
  readonly #engine: EngineServices;
  readonly #statistics: TableStatistics;
  readonly #jobs: JobRegistry;
  #timer: Timer | undefined;
  #isLooking = false;
  #isClosed = false;

  constructor(engine: EngineServices, statistics: TableStatistics, jobs: JobRegistry) {
    this.#engine = engine;
    this.#statistics = statistics;
    this.#jobs = jobs;
    engine.kv.rangeQueue.addAfterLook(async () => this.#noteWrites());
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }

  #noteWrites(): void {
    const { kv, settings } = this.#engine;
    if (this.#timer || this.#isLooking || this.#isClosed || !settings.bool('sql.stats.automatic_collection.enabled')) return;
    if (!this.#mayBeDue()) return;
    this.#timer = kv.clock.setTimer(LOOK_AFTER_MICROS, () => {
      this.#timer = undefined;
      this.#isLooking = true;
      void kv.activity
        .during('automatic statistics', () => this.#look())
        // What hinders a look (memory, a database that closes) hinders no statement: later writes bring the next one. A job's own error is in its record.
        .catch(letGo)
        .finally(() => {
          this.#isLooking = false;
        });
    });
  }

  /** Without a table of so many rows or changes there is nothing to wait for. */
  #mayBeDue(): boolean {
    const { kv } = this.#engine;
    return kv.tableIds().some((id) => id > MAX_SYSTEM_ID && this.#isDueById(id));
  }

  #isDueById(id: number): boolean {
    const table = this.#engine.catalog.currentNow()?.tableById(id);
    return table !== undefined && this.isDue(table);
  }

  /** Has enough of the table changed? Cost: the chunks of its log since. */
  isDue(table: TableDescriptor): boolean {
    const { kv, settings } = this.#engine;
    if (table.id <= MAX_SYSTEM_ID || !isTable(table) || table.state !== 'PUBLIC') return false;
    const span = indexSpan(table, table.primaryIndex);
    const families = Math.max(1, table.families.length);
    const rows = kv.stats(span).liveKeys / families;
    const known = this.#statistics.of(table.id);
    const changed = kv.changesSince(span, known?.createdAt ?? MIN_TIMESTAMP) / families;
    // What was ingested has no entry in the log; what is not known at all counts as changed.
    const stale = known ? changed : Math.max(changed, rows);
    const fraction = settings.number('sql.stats.automatic_collection.fraction_stale_rows');
    return stale > settings.number('sql.stats.automatic_collection.min_stale_rows') + fraction * rows;
  }

  async #look(): Promise<void> {
    const { kv, catalog } = this.#engine;
    for (const id of kv.tableIds()) {
      if (this.#isClosed) return;
      const snapshot = await catalog.current();
      const table = snapshot.tableById(id);
      if (!table || !this.isDue(table)) continue;
      const details: StatisticsDetails = { tableId: id, name: AUTOMATIC_NAME, columnIds: null, at: null };
      const description = `Table statistics refresh for ${quoteNames(snapshot.fullName(table))}`;
      const job = await kv.run((txn) =>
        this.#jobs.create(txn, { type: AUTOMATIC_STATISTICS_JOB_TYPE, description, user: 'root', details }),
      );
      await kv.activity.suspend(this.#jobs.wait(job));
    }
  }
}
