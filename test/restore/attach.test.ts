/**
 * Attached backups: a read costs the blocks it needs and the cache stays within its limit; what is detached answers
 * nobody; a time that the cluster itself has forgotten can still be read; forks and other clusters stand apart.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import type { Bytes } from '../../src/base/bytes.ts';
import { InlineExecutor } from '../../src/base/executor.ts';
import { seededRandom } from '../../src/base/random.ts';
import type { Timestamp } from '../../src/base/timestamp.ts';
import { collectionAt } from '../../src/backup/collectionStorage.ts';
import { DataFileReader } from '../../src/backup/dataFileReader.ts';
import { writeDataFile } from '../../src/backup/dataFileWriter.ts';
import { BlockCache } from '../../src/restore/attach/blockCache.ts';
import { VersionWalk } from '../../src/restore/attach/versionWalk.ts';
import type { ExternalStorage } from '../../src/storage/externalStorage.ts';
import { MemoryFiles, openMemory } from '../../src/storage/memory.ts';
import { ParsedUri } from '../../src/storage/uri.ts';
import { COLLECTION, TestDatabase } from './database.ts';

const test = suite('attached backups');

/** Counts what is read of data files. */
class Reads {
  count = 0;
  bytes = 0;

  wrap(storage: ExternalStorage): ExternalStorage {
    const reads = this;
    return new Proxy(storage, {
      get(target, name) {
        const value = Reflect.get(target, name, target) as unknown;
        if (typeof value !== 'function') return value;
        if (name !== 'read') return value.bind(target);
        return async (file: string, options?: { offset?: number; length?: number }) => {
          const content = await target.read(file, options);
          if (file.endsWith('.vkv')) {
            reads.count++;
            reads.bytes += content.length;
          }
          return content;
        };
      },
    });
  }

  reset(): void {
    this.count = 0;
    this.bytes = 0;
  }
}

const ROWS = 16_000;

/** A table of some megabytes, and small changes in two more layers. */
async function largeBackup(): Promise<{ db: TestDatabase; reads: Reads }> {
  const reads = new Reads();
  const db = await TestDatabase.open({ wrapStorage: (storage) => reads.wrap(storage) });
  await db.run('CREATE DATABASE d', 'CREATE TABLE d.t (id INT PRIMARY KEY, name STRING, payload STRING, INDEX (name))');
  for (let from = 0; from < ROWS; from += 8000) {
    await db.run(`INSERT INTO d.t SELECT g, 'n' || g, repeat(md5(g::STRING), 6) FROM generate_series(${from}, ${from + 7999}) g`);
  }
  await db.run(`BACKUP DATABASE d INTO '${COLLECTION}'`);
  for (const id of [7, 12_345]) {
    await db.clock.advance('1s');
    await db.run(`UPDATE d.t SET payload = 'changed' WHERE id = ${id}`, `BACKUP DATABASE d INTO LATEST IN '${COLLECTION}'`);
  }
  await db.run(`ATTACH BACKUP FROM LATEST IN '${COLLECTION}' AS old`);
  reads.reset();
  return { db, reads };
}

test('a point read touches a few blocks, not the backup; the second one none', async () => {
  const { db, reads } = await largeBackup();
  const files = await db.rows(`SELECT sum(size_bytes) FROM [SHOW BACKUP FILES FROM LATEST IN '${COLLECTION}']`);
  assert.equal(await db.rows('SELECT name, length(payload) FROM old.public.t WHERE id = 14000'), [['n14000', '192']]);
  // The ends of three files, and a block where the key may be.
  assert.ok(reads.count <= 3 * 2 + 3, `${reads.count} reads`);
  assert.ok(reads.bytes < Number(files[0]?.[0]) / 2, `${reads.bytes} of ${files[0]?.[0]} bytes`);
  const first = reads.count;
  assert.equal(await db.rows('SELECT payload FROM old.public.t WHERE id = 14000').then((rows) => rows.length), 1);
  assert.is(reads.count, first, 'the block is kept');
  assert.equal(await db.rows('SELECT payload FROM old.public.t WHERE id = 12345'), [['changed']]);
  assert.equal(await db.rows('SELECT id FROM old.public.t WHERE id = 99999'), []);
  // Through the other index: its entry, then the row.
  reads.reset();
  assert.equal(await db.rows("SELECT id, length(payload) FROM old.public.t WHERE name = 'n14001'"), [['14001', '192']]);
  assert.ok(reads.count <= 2, `${reads.count} reads`);
  reads.reset();
  assert.is((await db.rows('SELECT id FROM old.public.t ORDER BY id DESC LIMIT 3'))[2]?.[0], String(ROWS - 3));
  assert.ok(reads.count <= 2, `${reads.count} reads for the last rows`);
  assert.equal(await db.rows('SELECT count(*), max(id) FROM old.public.t'), [[String(ROWS), String(ROWS - 1)]]);
  const [[cached] = []] = await db.rows('SELECT cached_bytes FROM [SHOW ATTACHED BACKUPS]');
  assert.ok(Number(cached) > 0 && Number(cached) <= 64 << 20);
  await db.close();
});

test('the cache keeps to its limit, and the budget knows of it', async () => {
  const storage = collectionAt(openMemory(ParsedUri.parse('mem://b'), new MemoryFiles()));
  const executor = new InlineExecutor();
  const keys = Array.from({ length: 500 }, (_, i) => `k${String(i).padStart(4, '0')}` as Bytes);
  async function* runs() {
    yield { keys, timestamps: keys.map(() => 5 as Timestamp), values: keys.map((key) => `value of ${key}` as Bytes) };
  }
  await writeDataFile(storage, 'f', runs(), { executor, blockTargetBytes: 1000 });
  const reader = await DataFileReader.open(storage, 'f', { executor });
  assert.ok(reader.blocks.length > 8);
  const { db } = await TestDatabase.open();
  const holding = db.kv.memory.hold('results');
  const limit = 30_000;
  const cache = new BlockCache(limit, holding);
  const random = seededRandom('cache');
  for (let i = 0; i < 300; i++) {
    const index = random.int(reader.blocks.length);
    const [run, same] = await Promise.all([cache.get(reader, index), cache.get(reader, index)]);
    assert.is(run, same, 'read once');
    assert.is(run.keys[0], reader.blocks[index]?.firstKey);
    assert.ok(cache.bytes <= limit, `${cache.bytes} bytes`);
  }
  assert.ok(cache.readCount > reader.blocks.length, 'some were given up');
  cache.close();
  assert.is(cache.bytes, 0);
  await db.close();
});

test('a walk gives every key with all its versions, forward and backward, whatever the blocks', async () => {
  const random = seededRandom('walk');
  const executor = new InlineExecutor();
  const { db } = await TestDatabase.open();
  for (let round = 0; round < 60; round++) {
    const storage = collectionAt(openMemory(ParsedUri.parse('mem://b'), new MemoryFiles()));
    const expected = new Map<string, [number, string | null][]>();
    const readers: DataFileReader[] = [];
    const fileCount = 1 + random.int(3);
    for (let file = 0; file < fileCount; file++) {
      const versions: [Bytes, Timestamp, Bytes | null][] = [];
      for (let k = 0; k < 20; k++) {
        if (random.int(3) === 0) continue;
        const key = `k${String(k).padStart(2, '0')}` as Bytes;
        for (let n = random.int(4); n >= 0; n--) {
          const version: [Bytes, Timestamp, Bytes | null] = [
            key,
            (file * 10 + n + 1) as Timestamp,
            random.int(5) === 0 ? null : (`${file}${n}` as Bytes),
          ];
          versions.push(version);
          expected.set(key, [...(expected.get(key) ?? []), [version[1], version[2]]]);
        }
      }
      if (versions.length === 0) continue;
      async function* runs() {
        yield {
          keys: versions.map(([key]) => key),
          timestamps: versions.map(([, time]) => time),
          values: versions.map(([, , value]) => value),
        };
      }
      await writeDataFile(storage, `f${file}`, runs(), { executor, blockTargetBytes: 1 + random.int(60) });
      readers.push(await DataFileReader.open(storage, `f${file}`, { executor }));
    }
    const span = { key: `k${String(random.int(12)).padStart(2, '0')}` as Bytes, endKey: `k${10 + random.int(12)}` as Bytes };
    for (const isReverse of [false, true]) {
      const cache = new BlockCache(random.int(2) * 10_000, db.kv.memory.hold('results'));
      const walk = new VersionWalk(readers, cache, span, isReverse);
      const found: [string, [number, string | null][]][] = [];
      for (;;) {
        const versions: [number, string | null][] = [];
        const key = await walk.next((time, value) => void versions.push([time, value]));
        if (key === undefined) break;
        found.push([key, versions.sort(([a], [b]) => a - b)]);
      }
      const inSpan = [...expected].filter(([key]) => span.key <= key && key < span.endKey).sort(([a], [b]) => (a < b ? -1 : 1));
      const sorted = inSpan.map(([key, versions]) => [key, versions.sort(([a], [b]) => a - b)]);
      assert.equal(found, isReverse ? sorted.reverse() : sorted, `round ${round}, reverse ${isReverse}`);
      cache.close();
    }
  }
  await db.close();
});

test('a statement that reads when its backup is detached fails; it never sees an empty table', async () => {
  const { db } = await largeBackup();
  const session = db.db.newSession();
  await session.prepare('q', 'SELECT id FROM old.public.t');
  session.bind('p', 'q', []);
  assert.is((await session.executePortal('p', 10)).rows.length, 10);
  await db.run('DETACH BACKUP old');
  await session.executePortal('p').then(
    () => assert.unreachable(),
    (error: { code?: string }) => assert.is(error.code, '55000'),
  );
  session.close();
  // Its ids are never used again: a backup attached later is another one.
  await db.run(`ATTACH BACKUP FROM LATEST IN '${COLLECTION}' AS old`);
  assert.equal(await db.rows('SELECT count(*) FROM old.public.t'), [[String(ROWS)]]);
  await db.close();
});

test('a prepared statement is planned anew when the name comes to mean another backup', async () => {
  const db = await TestDatabase.open();
  await db.run('CREATE DATABASE d', 'CREATE TABLE d.t (id INT PRIMARY KEY)', 'INSERT INTO d.t VALUES (1)');
  await db.run(`BACKUP DATABASE d INTO '${COLLECTION}'`);
  await db.run('INSERT INTO d.t VALUES (2)', `BACKUP DATABASE d INTO LATEST IN '${COLLECTION}'`);
  await db.run(`ATTACH BACKUP FROM LATEST IN '${COLLECTION}' AS old`);
  await db.run('PREPARE q AS SELECT count(*) FROM old.public.t');
  assert.equal(await db.rows('EXECUTE q'), [['2']]);
  await db.run('DETACH BACKUP old');
  assert.match(await db.error('EXECUTE q'), /^42P01/);
  await db.run(
    `BACKUP DATABASE d INTO 'mem://bucket/other'`,
    'DELETE FROM d.t',
    `ATTACH BACKUP FROM LATEST IN 'mem://bucket/other' AS old`,
  );
  assert.equal(await db.rows('EXECUTE q'), [['2']]);
  await db.close();
});

test('times that the cluster has forgotten are there, beside a live table only its own', async () => {
  const db = await TestDatabase.open();
  await db.run('CREATE DATABASE d', 'CREATE TABLE d.t (id INT PRIMARY KEY)', 'INSERT INTO d.t VALUES (1)');
  await db.clock.advance('1s');
  const then = db.now();
  await db.clock.advance('1s');
  await db.run('INSERT INTO d.t VALUES (2)', `BACKUP DATABASE d INTO '${COLLECTION}' WITH revision_history`);
  await db.clock.advance('400h');
  await db.db.kv.gc.runGc();
  assert.match(await db.error(`SELECT * FROM d.public.t AS OF SYSTEM TIME ${then}`), /^72000/);
  await db.run(`ATTACH BACKUP FROM LATEST IN '${COLLECTION}' AS old`);
  assert.equal(await db.rows(`SELECT id FROM old.public.t AS OF SYSTEM TIME ${then}`), [['1']]);
  assert.equal(await db.rows('SELECT id FROM old.public.t ORDER BY 1'), [['1'], ['2']]);
  // A time between the backup's end and the attaching: the backup as it ends.
  assert.equal(await db.rows("SELECT count(*) FROM old.public.t AS OF SYSTEM TIME '-1h'"), [['2']]);
  await db.close();
});

test('a backup of another cluster whose clock is ahead, and one in a fork', async () => {
  const files = new MemoryFiles();
  const ahead = await TestDatabase.open({ files });
  await ahead.clock.advance('10h');
  await ahead.run('CREATE DATABASE d', 'CREATE TABLE d.t (id INT PRIMARY KEY)', 'INSERT INTO d.t VALUES (1)');
  await ahead.run(`BACKUP DATABASE d INTO '${COLLECTION}'`);
  await ahead.close();
  const db = await TestDatabase.open({ files, seed: 'other' });
  await db.run(`ATTACH BACKUP FROM LATEST IN '${COLLECTION}' AS old`);
  assert.equal(await db.rows('SELECT id FROM old.public.t'), [['1']]);
  const fork = await db.db.fork();
  const session = fork.newSession();
  await session.execute('SELECT 1 FROM old.public.t').then(
    () => assert.unreachable(),
    (error: { code?: string }) => assert.is(error.code, '42P01'),
  );
  await fork.close();
  assert.equal(await db.rows('SELECT id FROM old.public.t'), [['1']]);
  await db.close();
});

test('a transaction reads an attached table beside its own writes, and commits them', async () => {
  const db = await TestDatabase.open();
  await db.run('CREATE DATABASE d', 'CREATE TABLE d.t (id INT PRIMARY KEY)', 'INSERT INTO d.t VALUES (1), (2), (3)');
  await db.run(`BACKUP DATABASE d INTO '${COLLECTION}'`, 'DELETE FROM d.t', `ATTACH BACKUP FROM LATEST IN '${COLLECTION}' AS old`);
  await db.run('BEGIN', 'INSERT INTO d.t VALUES (2)', 'INSERT INTO d.t SELECT id FROM old.public.t ON CONFLICT DO NOTHING', 'COMMIT');
  assert.equal(await db.rows('SELECT id FROM d.t ORDER BY 1'), [['1'], ['2'], ['3']]);
  assert.equal(
    await db.rows(
      'SELECT (SELECT fingerprint FROM [SHOW EXPERIMENTAL_FINGERPRINTS FROM TABLE d.t]) = (SELECT fingerprint FROM [SHOW EXPERIMENTAL_FINGERPRINTS FROM TABLE old.public.t])',
    ),
    [['t']],
  );
  await db.close();
});

test.run();
