/**
 * Backups in several places, whatever stops the job: where nodes have localities, layers lie apart, or each has
 * a URI of its own, another node finishes what one began, and a cancel leaves nothing in any place.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { BACKUP_PAUSEPOINTS } from '../../src/backup/backupJob.ts';
import { RoutedStorage } from '../../src/backup/routedStorage.ts';
import type { ExternalStorage } from '../../src/storage/externalStorage.ts';
import { MemoryFiles, openMemory } from '../../src/storage/memory.ts';
import { ParsedUri } from '../../src/storage/uri.ts';
import { TestDatabase } from '../restore/database.ts';
import { storageConformance } from '../storage/conformance.ts';
import { withoutList } from '../storage/withoutList.ts';

const test = suite('backups in several places');

const PLACES =
  "('mem://a/x?COCKROACH_LOCALITY=default', 'mem://b/x?COCKROACH_LOCALITY=region%3Deast', 'mem://c?COCKROACH_LOCALITY=zone%3Db')";
const APART =
  "WITH incremental_location = ('mem://d?COCKROACH_LOCALITY=default', 'mem://e/y?COCKROACH_LOCALITY=region%3Deast', 'mem://f?COCKROACH_LOCALITY=zone%3Db')";
const BUCKETS = ['a', 'b', 'c', 'd', 'e', 'f'];

interface Form {
  readonly what: string;
  /** Taken before. */
  readonly before: readonly string[];
  readonly backup: string;
  readonly restore: string;
  readonly isListless?: boolean;
}

const FORMS: readonly Form[] = [
  {
    what: 'a full in three places',
    before: [],
    backup: `BACKUP DATABASE d INTO ${PLACES}`,
    restore: "RESTORE DATABASE d FROM LATEST IN ('mem://a/x', 'mem://b/x', 'mem://c') WITH new_db_name = 'r'",
  },
  {
    what: 'an incremental in three places apart',
    before: [`BACKUP DATABASE d INTO ${PLACES} ${APART}`],
    backup: `BACKUP DATABASE d INTO LATEST IN ${PLACES} ${APART}`,
    restore:
      "RESTORE DATABASE d FROM LATEST IN ('mem://a/x', 'mem://b/x', 'mem://c') WITH new_db_name = 'r', incremental_location = ('mem://d', 'mem://e/y', 'mem://f')",
  },
  {
    what: 'an incremental with a URI of its own',
    before: ["BACKUP DATABASE d TO 'mem://a/full'"],
    backup: "BACKUP DATABASE d TO 'mem://b/inc' INCREMENTAL FROM 'mem://a/full'",
    restore: "RESTORE DATABASE d FROM 'mem://a/full', 'mem://b/inc' WITH new_db_name = 'r'",
  },
  {
    what: 'an appended incremental',
    before: [`BACKUP DATABASE d TO ${PLACES}`, `BACKUP DATABASE d TO ${PLACES}`],
    backup: `BACKUP DATABASE d TO ${PLACES}`,
    restore: "RESTORE DATABASE d FROM ('mem://a/x', 'mem://b/x', 'mem://c') WITH new_db_name = 'r'",
  },
  {
    what: 'an incremental in places that cannot list',
    before: [`BACKUP DATABASE d INTO ${PLACES}`],
    backup: `BACKUP DATABASE d INTO LATEST IN ${PLACES}`,
    restore: "RESTORE DATABASE d FROM LATEST IN ('mem://a/x', 'mem://b/x', 'mem://c') WITH new_db_name = 'r'",
    isListless: true,
  },
];

/** Every file there is. */
async function filesIn(files: MemoryFiles): Promise<string[]> {
  const names: string[] = [];
  for (const bucket of BUCKETS) {
    const storage = openMemory(ParsedUri.parse(`mem://${bucket}`), files);
    for (const name of await storage.list('')) {
      const content = name.endsWith('.listing') ? Buffer.from(await storage.read(name)).toString() : '';
      names.push(`${bucket}/${name} ${content}`.trim());
    }
  }
  return names;
}

async function openWith(form: Form, files: MemoryFiles): Promise<TestDatabase> {
  const localities = ['region=east,zone=a', 'region=east,zone=b', 'region=west'];
  const db = await TestDatabase.open({ localities, files });
  if (form.isListless) db.db.storage.register('mem', (uri) => withoutList(openMemory(uri, files)));
  await db.run(
    'CREATE DATABASE d; CREATE TABLE d.t (k INT PRIMARY KEY, v STRING)',
    "INSERT INTO d.t SELECT g, 'v' FROM generate_series(1, 30) AS x(g)",
    'ALTER TABLE d.t SPLIT AT VALUES (10), (20)',
    'ALTER TABLE d.t RELOCATE LEASE VALUES (1, 1), (2, 10), (3, 20)',
    ...form.before,
    "UPDATE d.t SET v = 'new' WHERE k % 10 = 1",
  );
  return db;
}

/** Runs the form's backup until its job has ended, and returns how. */
async function runBackup(db: TestDatabase, form: Form): Promise<string> {
  const [[id] = []] = await db.rows(`${form.backup}${form.backup.includes(' WITH ') ? ',' : ' WITH'} detached`);
  return await db.finish(Number(id));
}

async function assertRestores(db: TestDatabase, form: Form, what: string): Promise<void> {
  await db.run(form.restore);
  assert.equal(await db.rows('SELECT count(*), sum(k) FROM r.t'), [['30', '465']], what);
  assert.equal(await db.rows("SELECT k FROM r.t WHERE v = 'new' ORDER BY k"), [['1'], ['11'], ['21']], what);
}

/** Where forms differ; the others are for the first one alone. */
const POINTS = BACKUP_PAUSEPOINTS.filter((name) => /afterFirstExport|Manifest|Index/.test(name));

for (const [i, form] of FORMS.entries()) {
  const isCollection = form.backup.includes(' INTO ');
  const points = i === 0 ? BACKUP_PAUSEPOINTS.filter((name) => !name.includes('Revert')) : POINTS;
  const passed = points.filter((point) => isCollection || !point.includes('Index'));

  test(`${form.what}: a node stops at each pausepoint, and another finishes`, async () => {
    for (const point of passed) {
      const files = new MemoryFiles();
      const db = await openWith(form, files);
      let stops = 0;
      db.db.jobs.pausepoints.setHook((name, ctx) => {
        if (name === point && stops++ === 0) db.db.kv.cluster.stopNode(ctx.node.id);
      });
      assert.is(await runBackup(db, form), 'succeeded', point);
      assert.ok(stops > 0, `${point} was reached`);
      db.db.jobs.pausepoints.setHook(undefined);
      await assertRestores(db, form, point);
      assert.equal(
        (await filesIn(files)).filter((name) => /LOCK|CHECKPOINT/.test(name)),
        [],
        point,
      );
      await db.close();
    }
  });

  test(`${form.what}: a cancel at each pausepoint leaves nothing`, async () => {
    for (const point of passed) {
      const files = new MemoryFiles();
      const db = await openWith(form, files);
      const before = await filesIn(files);
      db.db.jobs.pausepoints.setHook(async (name, ctx) => {
        if (name === point) await db.db.jobs.cancel(ctx.jobId);
      });
      assert.is(await runBackup(db, form), 'canceled', point);
      assert.equal(await filesIn(files), before, point);
      db.db.jobs.pausepoints.setHook(undefined);
      await db.clock.advance('1s');
      assert.is(await runBackup(db, form), 'succeeded', `${point}, after`);
      await assertRestores(db, form, `${point}, after`);
      await db.close();
    }
  });
}

// ---- one storage over several -------------------------------------------------------------------

const routed = new MemoryFiles();
let opened = 0;

/** Names below `a/` lie elsewhere, below `a/long/` or `long/` in a third place. */
function openRouted(number: number): ExternalStorage {
  const place = (name: string) => openMemory(ParsedUri.parse(`mem://${name}/${number}`), routed);
  const main = place('main');
  return Object.assign(
    new RoutedStorage(main, [
      { prefix: '', storage: main, at: '' },
      { prefix: 'a/', storage: place('second'), at: 'sub/' },
      { prefix: 'a/.b/', storage: place('third'), at: 'moved/' },
      { prefix: 'long/', storage: place('second'), at: 'longer/' },
    ]),
    { number },
  );
}

storageConformance('routed', {
  open: async () => openRouted(++opened),
  reopen: async (storage) => openRouted((storage as ExternalStorage & { number: number }).number),
});

test('what lies where a longer route has its names is not seen', async () => {
  const files = new MemoryFiles();
  const main = openMemory(ParsedUri.parse('mem://main'), files);
  const other = openMemory(ParsedUri.parse('mem://other'), files);
  const storage = new RoutedStorage(main, [
    { prefix: '', storage: main, at: '' },
    { prefix: 'x/y/', storage: other, at: 'z/' },
  ]);
  await main.write('x/y/hidden', Buffer.from('1'));
  await main.write('x/file', Buffer.from('2'));
  await storage.write('x/y/own', Buffer.from('3'));
  await other.write('beside', Buffer.from('4'));
  assert.equal(await storage.list(''), ['x/file', 'x/y/own']);
  assert.equal(await storage.list('x/', { delimiter: '/' }), ['x/file', 'x/y/']);
  assert.equal(await storage.list('x/y'), ['x/y/own']);
  assert.equal(await storage.list('x/y/o'), ['x/y/own']);
  assert.equal(await other.list(''), ['beside', 'z/own']);
  await storage.delete('x/y/own');
  assert.equal(await storage.list('x/', { delimiter: '/' }), ['x/file']);
});

test.run();
