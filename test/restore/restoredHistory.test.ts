/**
 * Restores with their past: for random histories of a table, of changes of its schema and of backups, every moment
 * of the restored past reads as the original did then, by every index; nothing else can be read; and what is
 * backed up of the copy tells of nothing that was not here.
 */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import type { Timestamp } from '../../src/base/timestamp.ts';
import { MemoryFiles } from '../../src/storage/memory.ts';
import { neededVersions } from '../../src/restore/restoredHistory.ts';

import { COLLECTION, TestDatabase, type TextRow } from './database.ts';

const test = suite('restored history');

const ROW_STEPS = [
  "UPSERT INTO d.t VALUES (1, 'a', 1), (2, 'b', 2)",
  "UPSERT INTO d.t VALUES (2, 'c', 2), (3, 'd', 3), (4, NULL, 4)",
  'DELETE FROM d.t WHERE id = 2',
  "UPDATE d.t SET v = v || 'x' WHERE id % 2 = 1",
  'DELETE FROM d.t',
];
const SCHEMA_STEPS = [
  'CREATE INDEX IF NOT EXISTS by_n ON d.t (n)',
  'DROP INDEX IF EXISTS d.t@by_n',
  'TRUNCATE d.t',
  'ALTER TABLE d.t ADD COLUMN IF NOT EXISTS more INT DEFAULT 7',
  "ALTER TABLE d.t ALTER COLUMN v SET DEFAULT 'z'",
];
const PLAIN = `BACKUP DATABASE d INTO LATEST IN '${COLLECTION}'`;
const HISTORY = `${PLAIN} WITH revision_history`;

const step = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...ROW_STEPS) },
  { weight: 1, arbitrary: fc.constantFrom(...SCHEMA_STEPS) },
  { weight: 2, arbitrary: fc.constantFrom(HISTORY, HISTORY, HISTORY, PLAIN) },
);

/** What a reader of a moment saw. */
interface Moment {
  readonly at: Timestamp;
  readonly rows: readonly TextRow[];
}

const byPrimary = (table: string, asOf = '') => `SELECT id, v, n FROM ${table}${asOf} ORDER BY id`;
const byValue = (table: string, asOf = '') => `SELECT v FROM ${table}@by_v${asOf} ORDER BY v`;

test('every moment of the past reads as the original did', async () => {
  let momentsRead = 0;
  const restoreArbitrary = fc.record({
    startsWithHistory: fc.boolean(),
    checkpointBytes: fc.constantFrom(1, 64, 1 << 20),
    isElsewhere: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 8, maxLength: 30 }), restoreArbitrary, fc.nat(), async (steps, how, pick) => {
      const files = new MemoryFiles();
      const database = await TestDatabase.open({ files, restoreCheckpointBytes: how.checkpointBytes });
      const elsewhere = how.isElsewhere
        ? await TestDatabase.open({ files, seed: 'elsewhere', restoreCheckpointBytes: how.checkpointBytes })
        : undefined;
      try {
        await database.run('CREATE DATABASE d', 'CREATE TABLE d.t (id INT PRIMARY KEY, v STRING, n INT, INDEX by_v (v))');
        await database.run(`BACKUP DATABASE d INTO '${COLLECTION}'${how.startsWithHistory ? ' WITH revision_history' : ''}`);
        const moments: Moment[] = [];
        for (const sql of [...steps, HISTORY]) {
          await database.run(sql);
          await database.clock.advance('7s');
          moments.push({ at: database.db.kv.hlc.now(), rows: await database.rows(byPrimary('d.t')) });
          await database.clock.advance('3s');
        }
        const there = elsewhere ?? database;
        await there.clock.advance(database.clock.nowMicros() - there.clock.nowMicros() + 8 * 3600e6);
        // The newest time, or one of those inside; the last layer has history, so the last few moments are among them.
        const chosen = pick % 3 === 0 ? undefined : moments.at(-2 - (pick % 2))?.at;
        const restore = `RESTORE DATABASE d FROM LATEST IN '${COLLECTION}'${chosen === undefined ? '' : ` AS OF SYSTEM TIME '${chosen}000'`}`;
        const refused = await there.error(`${restore} WITH new_db_name = 'e', revision_history`);
        if (refused !== 'no error') {
          assert.match(refused, /BACKUP needs option 'revision_history'|holds no history before/);
          return;
        }
        const table = (await there.db.services.catalog.current()).requireTable(['e', 'public', 't'], {
          currentDatabase: '',
          searchPath: [],
        });
        const { past } = table.descriptor;
        assert.ok(past);
        for (const { at, rows } of moments) {
          const asOf = ` AS OF SYSTEM TIME '${at}000'`;
          if (at < past.from || at > past.until) {
            assert.match(await there.error(byPrimary('e.t', asOf)), /^(42P01|72000|3D000|22023)/);
            continue;
          }
          momentsRead++;
          assert.equal(await there.rows(byPrimary('e.t', asOf)), rows, `as of ${at}`);
          const values = rows.map(([, v]) => [v ?? null] as TextRow).sort(nullsFirst);
          assert.equal(await there.rows(byValue('e.t', asOf)), values, `index as of ${at}`);
        }
        const last = moments.findLast(({ at }) => at <= past.until);
        assert.equal(await there.rows(byPrimary('e.t')), last?.rows);
        assert.equal(await there.problems(), []);

        // What is backed up of the copy: the rows of now, and no time before it was here.
        await there.run(`BACKUP DATABASE e INTO 'mem://bucket/copy' WITH revision_history`, "UPSERT INTO e.t (id, v) VALUES (9, 'new')");
        await there.run(`BACKUP DATABASE e INTO LATEST IN 'mem://bucket/copy' WITH revision_history`);
        const verified = await there.rows(`SELECT DISTINCT status FROM [VERIFY BACKUP FROM LATEST IN 'mem://bucket/copy']`);
        assert.equal(verified, [['ok']]);
        const early = await there.error(
          `RESTORE DATABASE e FROM LATEST IN 'mem://bucket/copy' AS OF SYSTEM TIME '${past.until}000' WITH new_db_name = 'f'`,
        );
        assert.match(early, /^22023 supplied backups do not cover requested time/);
        await there.run(`RESTORE DATABASE e FROM LATEST IN 'mem://bucket/copy' WITH new_db_name = 'f'`);
        assert.equal(await there.rows(byPrimary('f.t')), await there.rows(byPrimary('e.t')));

        // Its time comes: GC takes the past, and leaves the rows.
        const before = await there.rows(byPrimary('e.t'));
        await there.clock.advance('30h');
        assert.match(await there.error(byPrimary('e.t', ` AS OF SYSTEM TIME '${past.until}000'`)), /^72000/);
        assert.equal(await there.rows(byPrimary('e.t')), before);
        assert.equal(await there.problems(), []);
      } finally {
        await database.close();
        await elsewhere?.close();
      }
    }),
    { numRuns: 12 },
  );
  assert.ok(momentsRead > 20, `only ${momentsRead} moments were read`);
});

function nullsFirst([a = null]: TextRow, [b = null]: TextRow): number {
  if (a === null || b === null) return a === b ? 0 : a === null ? -1 : 1;
  return a < b ? -1 : a > b ? 1 : 0;
}

test('of each key come the versions above the begin, and the one that stood there', () => {
  const versions = [
    ['a', 50, 'v'],
    ['a', 40, 'v'],
    ['a', 20, 'v'],
    ['a', 10, 'v'],
    ['b', 30, 'v'],
    ['b', 25, null],
    ['c', 15, null],
    ['c', 10, 'v'],
    ['d', 45, 'v'],
  ] as const;
  const lists = {
    keys: versions.map(([key]) => key),
    timestamps: versions.map(([, time]) => time),
    values: versions.map(([, , value]) => value),
  } as unknown as Parameters<typeof neededVersions>[0];
  const needed = neededVersions(lists, 20 as Timestamp, 40 as Timestamp).map((i) => versions[i]?.slice(0, 2).join(''));
  assert.equal(needed, ['a40', 'a20', 'b30', 'b25']);
});

test('a restore that is canceled leaves neither zones nor versions', async () => {
  const database = await TestDatabase.open();
  try {
    await database.run('CREATE DATABASE d', 'CREATE TABLE d.t (id INT PRIMARY KEY)', 'INSERT INTO d.t VALUES (1)');
    await database.run(`BACKUP DATABASE d INTO '${COLLECTION}' WITH revision_history`, 'DELETE FROM d.t');
    await database.run(HISTORY);
    const before = [await database.traces(), await database.rows('SELECT * FROM system.zones')];
    for (const pausepoint of ['restore.afterDescriptors', 'restore.afterIngest']) {
      await database.run(`SET CLUSTER SETTING jobs.debug.pausepoints = '${pausepoint}'`);
      const restore = `RESTORE DATABASE d FROM LATEST IN '${COLLECTION}' WITH new_db_name = 'e', revision_history, detached`;
      const [[id = ''] = []] = await database.rows(restore);
      await database.clock.activity.settled();
      await database.run(`CANCEL JOB ${id}`);
      await database.clock.activity.settled();
      assert.equal([await database.traces(), await database.rows('SELECT * FROM system.zones')], before, pausepoint);
    }
  } finally {
    await database.close();
  }
});

test.run();
