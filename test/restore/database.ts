/** A whole database on a manual clock for tests of restore: statements in text, files in memory. */
import type { Clock } from '../../src/base/clock.ts';
import { isVarveError } from '../../src/base/errors.ts';
import { InlineExecutor } from '../../src/base/executor.ts';
import { ManualClock } from '../../src/base/manualClock.ts';
import { validateCatalog } from '../../src/catalog/validate.ts';
import { formatDatum } from '../../src/catalog/datumText.ts';
import { isTerminal } from '../../src/jobs/jobMachine.ts';
import { Database } from '../../src/server/database.ts';
import type { DatabaseOptions } from '../../src/server/openOptions.ts';
import type { Session } from '../../src/sql/exec/session.ts';
import { type MemoryFiles, openMemory } from '../../src/storage/memory.ts';

export const START = '2026-11-20T12:00:00Z';
/** The collection that tests back up into. */
export const COLLECTION = 'mem://bucket/c';

/** A clock whose timers are due at once: what a test gives for waits that it does not want to wait for. */
const IMMEDIATE: Clock = {
  isManual: false,
  nowMicros: () => 0,
  setTimer: (_delayMicros, callback) => {
    const handle = setImmediate(callback);
    return { cancel: () => clearImmediate(handle) };
  },
};

export type TextRow = (string | null)[];

export class TestDatabase {
  readonly db: Database;
  readonly clock: ManualClock;
  readonly session: Session;

  private constructor(db: Database, clock: ManualClock) {
    this.db = db;
    this.clock = clock;
    this.session = db.newSession();
  }

  /** `files`: what mem:// URIs mean; databases that are given the same one share their collections. */
  static async open({ files, ...options }: DatabaseOptions & { readonly files?: MemoryFiles } = {}): Promise<TestDatabase> {
    const clock = new ManualClock(START);
    const db = await Database.open({ clock, seed: 'restore', executor: new InlineExecutor(), ioClock: IMMEDIATE, ...options });
    if (files) db.storage.register('mem', (uri) => openMemory(uri, files));
    return new TestDatabase(db, clock);
  }

  close(): Promise<void> {
    return this.db.close();
  }

  /** The rows of a text's last statement. `onNotice` hears what the statements tell beside their results. */
  async rows(sql: string, session = this.session, onNotice: (message: string) => void = () => {}): Promise<TextRow[]> {
    const results = await session.execute(sql);
    for (const { notices } of results) for (const { message } of notices) onNotice(message);
    const result = results.at(-1);
    const columns = result?.columns ?? [];
    return (result?.rows ?? []).map((row) =>
      columns.map(({ type }, i) => {
        const value = row[i] ?? null;
        return value === null ? null : formatDatum(type, value);
      }),
    );
  }

  async run(...texts: string[]): Promise<void> {
    for (const sql of texts) await this.session.execute(sql);
  }

  /** `42P04 database "x" already exists`, or `no error`. */
  async error(sql: string): Promise<string> {
    return this.rows(sql).then(
      () => 'no error',
      (error: unknown) => {
        if (!isVarveError(error) || error.code === 'XX000') throw error;
        return `${error.code} ${error.message}`;
      },
    );
  }

  /** Waits until a job is terminal or paused, letting time pass for its retries; returns which. */
  async finish(jobId: number): Promise<string> {
    const { jobs } = this.db;
    for (let minutes = 0; minutes < 600; minutes += 10) {
      await this.clock.activity.settled();
      const record = await jobs.get(jobId);
      if (record && (isTerminal(record.status) || record.status === 'paused')) return record.status;
      await this.clock.advance('10m');
    }
    throw new Error(`job ${jobId} does not end: ${(await jobs.get(jobId))?.status}`);
  }

  /** The present moment, for AS OF SYSTEM TIME. */
  now(): string {
    return `'${this.db.kv.hlc.now()}000'`;
  }

  /**
   * Everything that a restore could leave behind, as text: descriptors, names, stores of tables and
   * protections. Ids that were drawn do not count.
   */
  async traces(): Promise<string[]> {
    const snapshot = await this.db.services.catalog.current();
    const names = await this.rows('SELECT "parentID", "parentSchemaID", name, id FROM system.namespace ORDER BY 1, 2, 3');
    return [
      ...[...snapshot.all()].map(({ kind, id, name, state }) => `descriptor ${kind} ${name} ${id} ${state}`).sort(),
      ...names.map((row) => `name ${row.join('/')}`),
      ...this.db.kv.tableIds().map((id) => `store ${id}`),
      ...this.db.services.protections.current().map(({ metaType, meta }) => `protection ${metaType} ${meta}`),
    ];
  }

  /** Broken rules of catalog and stores; empty when all is well. */
  async problems(): Promise<string[]> {
    return [...validateCatalog(await this.db.services.catalog.current()), ...this.db.kv.check()];
  }
}
