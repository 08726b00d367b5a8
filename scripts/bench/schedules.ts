/**
 * Schedules: what ten thousand idle ones cost, in real time and in simulated time, beside none; and what an hourly
 * incremental costs, of a weekly full, from one week to the next and from the beginning of a chain to its end.
 *
 * Everything is processor time. Collections are in memory, so it is Varve's own share of a backup, not the storage's.
 */
import { setTimeout as wait } from 'node:timers/promises';

import { ManualClock } from '../../src/base/manualClock.ts';
import { Database } from '../../src/server/database.ts';
import type { DatabaseOptions } from '../../src/server/openOptions.ts';
import { type BenchCase, type BenchRow, costOf } from './bench.ts';

const SCHEDULES = 10_000;
const REAL_MS = 3000;
/** Simulated hours. */
const HOURS = 30 * 24;
/** Of a processor: what can be told from nothing. */
const MEASURABLE = 0.01;
const START = '2026-01-04T00:00:00Z';
const HOURS_OF_WEEK = 168;
const WEEKS = 3;
const RUN_MS = 3;

async function withDatabase<T>(options: DatabaseOptions, work: (db: Database, execute: (sql: string) => Promise<unknown>) => Promise<T>) {
  const db = await Database.open(options);
  const session = db.newSession();
  try {
    return await work(db, (sql) => session.execute(sql));
  } finally {
    await db.close();
  }
}

/** Rows as CREATE SCHEDULE writes them, due in a year and a day. */
function idleSchedules(count: number): string {
  return `INSERT INTO system.scheduled_jobs (schedule_id, schedule_name, owner, next_run, schedule_expr, schedule_details, executor_type, execution_args)
    SELECT i, 'idle', 'root', now() + '366 days'::INTERVAL + i * '1 second'::INTERVAL, '@yearly', '{}', 'scheduled-backup-executor',
      '{"backup_statement": "BACKUP INTO ''mem://b/x'' WITH detached"}' FROM generate_series(1, ${count}) AS g(i)`;
}

/** Milliseconds of processor time while real time passes, and while a month is simulated. */
async function idleCosts(count: number): Promise<{ real: number; month: number }> {
  const insert = count === 0 ? 'SELECT 1' : idleSchedules(count);
  const real = await withDatabase({}, async (_, execute) => {
    await execute(insert);
    await wait(500);
    return (await costOf(() => wait(REAL_MS))).processorMs;
  });
  const clock = new ManualClock(START);
  const month = await withDatabase({ clock, seed: 'bench' }, async (_, execute) => {
    await execute(insert);
    await clock.advance('1d');
    const cost = await costOf(async () => {
      for (let i = 0; i < HOURS; i++) await clock.advance('1h');
    });
    return cost.processorMs;
  });
  return { real, month };
}

async function idle(): Promise<BenchRow[]> {
  const none = await idleCosts(0);
  const many = await idleCosts(SCHEDULES);
  const text = (ms: number) => `${ms.toFixed(0)} ms`;
  return [
    {
      name: `${SCHEDULES.toLocaleString('en')} idle schedules, CPU in ${REAL_MS / 1000} s`,
      measured: text(many.real),
      ceiling: `without any ${text(none.real)}`,
      aim: `at most ${MEASURABLE * 100}% of a processor more`,
      met: many.real - none.real <= MEASURABLE * REAL_MS,
    },
    {
      name: `${SCHEDULES.toLocaleString('en')} idle schedules, CPU in a simulated month`,
      measured: text(many.month),
      ceiling: `without any ${text(none.month)}`,
      ratio: many.month / Math.max(1, none.month),
    },
  ];
}

async function hourly(): Promise<BenchRow[]> {
  const clock = new ManualClock(START);
  const statements = [
    'CREATE DATABASE app',
    'CREATE TABLE app.t (id INT PRIMARY KEY, v STRING)',
    "INSERT INTO app.t SELECT i, repeat('x', 20) FROM generate_series(1, 100) AS g(i)",
    `CREATE SCHEDULE hourly FOR BACKUP DATABASE app INTO 'mem://b/x' RECURRING '@hourly' FULL BACKUP '@weekly' WITH SCHEDULE OPTIONS first_run = 'now'`,
  ];
  return await withDatabase({ clock, seed: 'bench' }, async (_, execute) => {
    for (const statement of statements) await execute(statement);
    /** Milliseconds a run; the rows change after each. */
    const runs = async (hours: number): Promise<number> => {
      let total = 0;
      for (let i = 0; i < hours; i++) {
        const before = process.cpuUsage();
        await clock.advance('1h');
        const { user, system } = process.cpuUsage(before);
        total += (user + system) / 1000;
        await execute(`UPSERT INTO app.t VALUES (${i % 100}, 'v${i}'), (${(i + 50) % 100}, 'w${i}')`);
      }
      return total / hours;
    };
    // The first weeks warm up.
    for (let week = 1; week < WEEKS; week++) await runs(HOURS_OF_WEEK);
    const first = await runs(24);
    const middle = await runs(HOURS_OF_WEEK - 48);
    const last = await runs(24);
    const mean = (first * 24 + middle * (HOURS_OF_WEEK - 48) + last * 24) / HOURS_OF_WEEK;
    return [
      {
        name: 'scheduled hourly incremental, CPU a run',
        measured: `${mean.toFixed(1)} ms`,
        ceiling: `in the chain's first day ${first.toFixed(1)} ms, in its last ${last.toFixed(1)} ms`,
        aim: `at most ${RUN_MS} ms`,
        met: mean <= RUN_MS,
      },
    ];
  });
}

export const cases: readonly BenchCase[] = [
  { name: 'schedules idle', run: idle },
  { name: 'schedules hourly', run: hourly },
];
