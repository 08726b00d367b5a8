/**
 * Every job type at every pausepoint: its node stops, it is paused, canceled, its storage goes away. The final bytes
 * are those of an undisturbed run, or nothing is left (test/support/jobSweep.ts). Schema changes, which need their work
 * cut small, have test/sql/schemaChange/stops.test.ts; restores of a cluster test/restore/clusterJob.test.ts.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { seededRandom } from '../../src/base/random.ts';
import { toHex } from '../../src/base/bytes.ts';
import { chooseLayers, loadChain } from '../../src/backup/chain.ts';
import { readLatest } from '../../src/backup/collection.ts';
import { openCollection } from '../../src/backup/collectionStorage.ts';
import { readDataFile } from '../../src/backup/dataFileReader.ts';
import { locationOf } from '../../src/backup/locationDetails.ts';
import { manifestToJson } from '../../src/backup/manifest.ts';
import type { VarveError } from '../../src/base/errors.ts';
import { FaultInjector, type FaultLogEntry, type FaultRule } from '../../src/storage/faulty.ts';
import { TestDatabase } from '../restore/database.ts';
import { type SweepRig, sweepJob } from '../support/jobSweep.ts';

const test = suite('job sweep');

/** A database whose storage can go away, with a table of two indexes and a past. */
async function bank(): Promise<{ database: TestDatabase; outage: { begin(): void; end(): void }; calls: readonly FaultLogEntry[] }> {
  let injector: FaultInjector | undefined;
  const database = await TestDatabase.open({ nodes: 3, wrapStorage: (storage) => injector?.wrap(storage) ?? storage });
  await database.run(
    'CREATE DATABASE bank; USE bank',
    'CREATE TABLE accounts (id INT PRIMARY KEY, balance INT, INDEX (balance))',
    'INSERT INTO accounts SELECT i, 100 + i FROM generate_series(1, 300) AS g(i)',
    // Work for each node, so that a backup has checkpoints.
    'ALTER TABLE accounts SPLIT AT VALUES (100), (200); ALTER TABLE accounts RELOCATE LEASE VALUES (1, 1), (2, 100), (3, 200)',
  );
  // Down for all operations until it is up again; wrappers that are open ask for each call.
  let isDown = false;
  const { clock } = database;
  injector = new FaultInjector({
    rules: [],
    random: seededRandom('outage'),
    clock,
    activity: clock.activity,
  });
  const set = (down: boolean) => {
    isDown = down;
    injector?.setRules(isDown ? [{ action: { kind: 'fail', isRetryable: true } }] : []);
  };
  return { database, outage: { begin: () => set(true), end: () => set(false) }, calls: injector.log };
}

function rig(database: TestDatabase, rest: Omit<SweepRig, 'jobs' | 'cluster' | 'clock'>): SweepRig {
  return { jobs: database.db.jobs, cluster: database.db.kv.cluster, clock: database.clock, ...rest };
}

async function jobOf(database: TestDatabase, sql: string): Promise<number> {
  return Number((await database.rows(sql))[0]?.[0]);
}

const place = (n: number) => `mem://bucket/c${n}`;

/** A chain, layer by layer: what the manifests say, and every version in the files, without what is a run's own. */
async function chainText(database: TestDatabase, uri: string): Promise<string> {
  const { db } = database;
  const storage = openCollection(db.storage, locationOf(uri), { user: 'root', nodeId: 1 });
  const { layers } = chooseLayers(await loadChain(storage, await readLatest(storage)), undefined);
  const lines: string[] = [];
  for (const { directory, manifest } of layers) {
    const {
      layerId: _,
      jobId: _1,
      files: _2,
      parent: _3,
      emptySpans: _4,
      compacts: _5,
      ...facts
    } = manifestToJson(manifest) as Record<string, unknown>;
    lines.push(`${directory} ${JSON.stringify(facts)}`);
    const versions: string[] = [];
    for (const file of manifest.files) {
      for await (const run of readDataFile(storage, `${directory}/${file.path}`, file, { executor: db.kv.executor })) {
        for (const [i, key] of run.keys.entries()) versions.push(`${toHex(key)}@${run.timestamps[i]}=${run.values[i] ?? 'deleted'}`);
      }
    }
    lines.push(...versions.sort());
  }
  const names = (await storage.list('')).filter((name) => /LOCK|CHECKPOINT/.test(name));
  return [...lines, ...names].join('\n');
}

async function tracesAndFiles(database: TestDatabase): Promise<string[]> {
  const storage = database.db.storage.open('mem://bucket', { user: 'root', nodeId: 1 });
  return [...(await database.traces()), ...(await storage.list(''))];
}

for (const kind of ['full', 'incremental'] as const) {
  test(`BACKUP, ${kind}`, async () => {
    const { database, outage, calls } = await bank();
    await database.clock.advance('1s');
    const first = database.now();
    await database.clock.advance('1s');
    await database.run('UPDATE accounts SET balance = 0 WHERE id % 7 = 0; DELETE FROM accounts WHERE id > 290');
    // A table that the layer introduces.
    if (kind === 'incremental') await database.run('CREATE TABLE moves (id INT PRIMARY KEY); INSERT INTO moves VALUES (1)');
    await database.clock.advance('1s');
    const second = database.now();
    await database.run('ALTER DATABASE bank CONFIGURE ZONE USING gc.ttlseconds = 100000000');
    const full = (n: number) => `BACKUP DATABASE bank INTO '${place(n)}' AS OF SYSTEM TIME ${kind === 'full' ? second : first}`;
    const incremental = (n: number) =>
      `BACKUP DATABASE bank INTO LATEST IN '${place(n)}' AS OF SYSTEM TIME ${second} WITH revision_history, detached`;
    const runs = await sweepJob(
      rig(database, {
        type: 'BACKUP',
        prepare: async (n) => {
          if (kind === 'incremental') await database.run(full(n));
        },
        start: (n) => jobOf(database, kind === 'full' ? `${full(n)} WITH detached` : incremental(n)),
        result: (n) => chainText(database, place(n)),
        traces: () => tracesAndFiles(database),
        outage,
        exhausted: 'failed',
        elsewhere: kind === 'full' ? [] : ['backup.beforeLatest', 'backup.afterLatest'],
      }),
    );
    assert.ok(runs > 40, `${runs} runs`);
    assert.ok(calls.filter(({ operation, name }) => operation === 'write' && name.includes('CHECKPOINT')).length > runs / 2);
    await database.close();
  });
}

test('COMPACT BACKUP', async () => {
  const { database, outage } = await bank();
  // A file for each index, so that there is a checkpoint.
  await database.run("SET CLUSTER SETTING bulkio.backup.file_size = '1KB'");
  const times: string[] = [];
  for (const change of [
    'UPDATE accounts SET balance = 0 WHERE id % 7 = 0',
    'DELETE FROM accounts WHERE id > 290',
    'INSERT INTO accounts VALUES (291, 5)',
  ]) {
    await database.clock.advance('1s');
    times.push(database.now());
    await database.clock.advance('1s');
    await database.run(change);
  }
  await database.clock.advance('1s');
  times.push(database.now());
  await database.run('ALTER DATABASE bank CONFIGURE ZONE USING gc.ttlseconds = 100000000');
  const [first, ...later] = times;
  const runs = await sweepJob(
    rig(database, {
      type: 'COMPACT BACKUP',
      prepare: async (n) => {
        await database.run(`BACKUP DATABASE bank INTO '${place(n)}' AS OF SYSTEM TIME ${first}`);
        for (const time of later)
          await database.run(`BACKUP DATABASE bank INTO LATEST IN '${place(n)}' AS OF SYSTEM TIME ${time} WITH revision_history`);
      },
      start: (n) => jobOf(database, `COMPACT BACKUP LATEST IN '${place(n)}' WITH detached`),
      result: (n) => chainText(database, place(n)),
      traces: () => tracesAndFiles(database),
      outage,
      exhausted: 'failed',
    }),
  );
  assert.ok(runs > 40, `${runs} runs`);
  await database.close();
});

test('RESTORE', async () => {
  const { database, outage } = await bank();
  await database.run(`BACKUP DATABASE bank INTO '${place(0)}'`, 'DELETE FROM accounts WHERE id > 290');
  await database.clock.advance('1s');
  await database.run(`BACKUP DATABASE bank INTO LATEST IN '${place(0)}'`);
  const runs = await sweepJob(
    rig(database, {
      type: 'RESTORE',
      start: (n) => jobOf(database, `RESTORE DATABASE bank FROM LATEST IN '${place(0)}' WITH new_db_name = 'r${n}', detached`),
      result: async (n) => {
        const rows = await database.rows(`SELECT * FROM r${n}.accounts ORDER BY id`);
        const byIndex = await database.rows(`SELECT id FROM r${n}.accounts@accounts_balance_idx ORDER BY balance, id`);
        const made = await database.rows(`SHOW CREATE TABLE r${n}.accounts`);
        return JSON.stringify([rows, byIndex, made.map((row) => row[1]), await database.problems()]);
      },
      traces: () => tracesAndFiles(database),
      outage,
      exhausted: 'paused',
      // A cluster's.
      elsewhere: ['restore.afterZones', 'restore.beforeSystemTables'],
    }),
  );
  assert.ok(runs > 40, `${runs} runs`);
  await database.close();
});

test('IMPORT', async () => {
  const { database, outage } = await bank();
  const [[file] = []] = await database.rows("EXPORT INTO CSV 'mem://bucket/csv' FROM SELECT id, balance FROM accounts");
  const runs = await sweepJob(
    rig(database, {
      type: 'IMPORT',
      prepare: async (n) => {
        await database.run(`CREATE TABLE i${n} (id INT PRIMARY KEY, balance INT, INDEX (balance)); INSERT INTO i${n} VALUES (-1, -1)`);
      },
      start: (n) => jobOf(database, `IMPORT INTO i${n} (id, balance) CSV DATA ('mem://bucket/csv/${file}') WITH detached`),
      result: async (n) => {
        const rows = await database.rows(`SELECT * FROM i${n} ORDER BY id`);
        const byIndex = await database.rows(`SELECT id FROM i${n}@i${n}_balance_idx ORDER BY balance, id`);
        return JSON.stringify([rows, byIndex, await database.problems()]);
      },
      traces: async () => {
        const tables = (await database.rows('SHOW TABLES')).map((row) => row[1] ?? '').filter((name) => /^i\d/.test(name));
        const last = tables.sort((a, b) => Number(a.slice(1)) - Number(b.slice(1))).at(-1);
        const rows = last === undefined ? [] : await database.rows(`SELECT * FROM ${last}`);
        return [...(await tracesAndFiles(database)), JSON.stringify(rows)];
      },
      outage,
    }),
  );
  assert.ok(runs > 20, `${runs} runs`);
  await database.close();
});

test('CREATE STATS', async () => {
  const { database } = await bank();
  const known = async (where: string) =>
    JSON.stringify(
      await database.rows(
        `SELECT column_names, row_count, distinct_count, null_count FROM [SHOW STATISTICS FOR TABLE accounts] WHERE ${where}`,
      ),
    );
  const runs = await sweepJob(
    rig(database, {
      type: 'CREATE STATS',
      start: async (n) => {
        // The statement waits for its job, and says how it ended; here the job's record does.
        const session = database.db.newSession();
        void database.rows(`CREATE STATISTICS s${n} ON balance FROM bank.accounts`, session).catch(() => undefined);
        await database.clock.activity.settled();
        const jobs = (await database.db.jobs.list()).filter(({ type }) => type === 'CREATE STATS');
        return jobs.at(-1)?.id ?? 0;
      },
      result: (n) => known(`statistics_name = 's${n}'`),
      traces: async () => [...(await database.traces()), await known('statistics_name IS NOT NULL')],
    }),
  );
  assert.ok(runs > 4, `${runs} runs`);
  await database.close();
});

// No job: a statement that writes file after file in its own transaction. What failed says where, and no file is half there.
test('EXPORT, at every call of the storage', async () => {
  let injector: FaultInjector | undefined;
  const database = await TestDatabase.open({ wrapStorage: (storage) => injector?.wrap(storage) ?? storage });
  const { clock, db } = database;
  await database.run('CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t SELECT * FROM generate_series(1, 250)');
  const storage = db.storage.open('mem://bucket/csv', { user: 'root', nodeId: 1 });
  const ids = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => `${from + i}\n`).join('');
  const CHUNKS = [ids(1, 100), ids(101, 200), ids(201, 250)];
  const sql = "EXPORT INTO CSV 'mem://bucket/csv' WITH chunk_rows = '100' FROM TABLE t";
  const inject = (...rules: FaultRule[]): FaultInjector => {
    injector = new FaultInjector({ rules, random: seededRandom('export'), clock, activity: clock.activity });
    return injector;
  };
  const outcome = async (isCanceled = false) => {
    const session = db.newSession();
    const cancel = new AbortController();
    const run = session.execute(sql, { signal: cancel.signal }).then(
      () => undefined,
      (error: unknown) => error as VarveError,
    );
    await clock.activity.settled();
    if (isCanceled) cancel.abort();
    await clock.advance('1h');
    injector = undefined;
    const error = await run;
    const files: string[] = [];
    for (const name of await storage.list('')) {
      files.push(Buffer.from(await storage.read(name)).toString());
      await storage.delete(name);
    }
    return { error, files };
  };

  const { log } = inject();
  assert.equal((await outcome()).files, CHUNKS);
  assert.is(log.length, CHUNKS.length);
  for (let nth = 1; nth <= CHUNKS.length; nth++) {
    for (const isRetryable of [true, false]) {
      // For good, or in passing: the storage tries again by itself.
      inject({ nth, count: isRetryable ? 1 : 100, action: { kind: 'fail', isRetryable } });
      const { error, files } = await outcome();
      const where = `call ${nth}, ${isRetryable}: ${error?.message}`;
      if (isRetryable) assert.is(error, undefined, where);
      else assert.match(`${error?.code} ${error?.message}`, /^58030 /, where);
      assert.equal(files, isRetryable ? CHUNKS : CHUNKS.slice(0, nth - 1), where);
    }
    inject({ nth, count: 1, action: { kind: 'delay', micros: 60_000_000 } });
    const { error, files } = await outcome(true);
    assert.is(error?.code, '57014', `canceled at call ${nth}`);
    assert.equal(files, CHUNKS.slice(0, files.length), `canceled at call ${nth}`);
  }
  await database.close();
});

test('every job type that has pausepoints is swept', async () => {
  const { database } = await bank();
  const { jobs } = database.db;
  // Beside those here SCHEMA CHANGE, in stops.test.ts, and DELETE BACKUPS, in restore/retention.test.ts.
  assert.equal(
    jobs.types().filter((type) => jobs.stepsOf(type).length > 0),
    ['BACKUP', 'COMPACT BACKUP', 'CREATE STATS', 'DELETE BACKUPS', 'IMPORT', 'RESTORE', 'SCHEMA CHANGE'],
  );
  await database.close();
});

test.run();
