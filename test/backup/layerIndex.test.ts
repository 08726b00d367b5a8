/** Backup ids and index files: round trips, and listings that count their calls, with index files lost, damaged or foreign. */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import type { VarveError } from '../../src/base/errors.ts';
import { timestamp } from '../../src/base/timestamp.ts';
import type { Timestamp } from '../../src/base/timestamp.ts';
import { decodeBackupId, encodeBackupId, fullOfId } from '../../src/backup/backupId.ts';
import { directoryTime, fullDirectory, incrementalDirectory } from '../../src/backup/collection.ts';
import { collectionAt } from '../../src/backup/collectionStorage.ts';
import { indexName, indexOfLayer, listIndex, parseIndexName, readIndexFile, writeIndexFile } from '../../src/backup/indexFile.ts';
import { healIndex, listIndexedFulls, listNewestLayers, revisionStart } from '../../src/backup/layerIndex.ts';
import type { Layer } from '../../src/backup/manifest.ts';
import { writeManifest } from '../../src/backup/manifest.ts';
import { MemoryFiles, openMemory } from '../../src/storage/memory.ts';
import { ParsedUri } from '../../src/storage/uri.ts';
import { makeLayer } from './support.ts';

const test = suite('layer index');
const at = (text: string) => timestamp(Date.parse(`${text}Z`) * 1000);
const codeOf = (run: () => Promise<unknown>) =>
  run().then(
    () => 'no error',
    (error: VarveError) => error.code,
  );

test('an id has the form that users know', () => {
  // 41 bits of milliseconds, the lowest byte first.
  assert.is(encodeBackupId(at('2026-04-21T07:15:00.130'), at('2026-04-21T07:15:00.130'), true).length, 8);
  const [full, layer] = [at('2025-12-05T23:19:00.110'), at('2025-12-05T23:22:00.120')];
  const ids = [encodeBackupId(full, full, true), encodeBackupId(full, layer, false)];
  assert.match(ids[0] ?? '', /^[\w-]{8}$/);
  assert.match(ids[1] ?? '', /^[\w-]{10,20}={0,2}$/);
  assert.is(fullOfId(decodeBackupId(ids[1] ?? '') as never), fullDirectory(full));
  for (const text of [
    '',
    'LATEST',
    '2026/11/20-120000.00',
    '#!@($*%!)',
    'A'.repeat(22),
    `${ids[0]}=`,
    `${ids[0]}AA==`,
    'latest',
    'AAAAAAAA',
  ]) {
    assert.is(decodeBackupId(text), undefined, text);
  }
});

test('an id stands for the times that directories tell, and for a full or an incremental', () => {
  const time = fc.integer({ min: 1_500_000_000_000_000, max: 4_000_000_000_000_000 }).map((n) => n as Timestamp);
  fc.assert(
    fc.property(time, fc.oneof(fc.nat(12_000), fc.nat(2_000_000_000_000)), (full, later) => {
      const layer = (full + later) as Timestamp;
      const times = { fullTime: directoryTime(full), layerTime: directoryTime(layer), isFull: false };
      assert.equal(decodeBackupId(encodeBackupId(full, layer, false)), times);
      assert.equal(decodeBackupId(encodeBackupId(full, full, true)), { fullTime: times.fullTime, layerTime: times.fullTime, isFull: true });
      assert.is.not(encodeBackupId(full, full, true), encodeBackupId(full, layer, false));
    }),
  );
});

test('the name of an index file tells full, place and exact end of its layer, newest first', () => {
  const full = fullDirectory(at('2026-11-20T12:00:00.555'));
  const times = [
    { startTime: 0 as Timestamp, endTime: (at('2026-11-20T12:00:00.555') + 123) as Timestamp },
    { startTime: at('2026-11-20T12:00:00.555'), endTime: (at('2026-11-20T13:00:00') + 1) as Timestamp },
  ];
  const names = times.map((one) => indexName(full, one));
  assert.equal(parseIndexName(names[0] ?? ''), {
    indexName: names[0] as string,
    full,
    directory: full,
    kind: 'full',
    endTime: times[0]?.endTime as Timestamp,
  });
  assert.is(parseIndexName(names[1] ?? '')?.directory, incrementalDirectory(full, times[1]?.endTime as Timestamp));
  assert.is(parseIndexName(names[1] ?? '')?.endTime, times[1]?.endTime);
  assert.ok((names[1] ?? '') < (names[0] ?? ''));
  assert.ok(indexName(fullDirectory(at('2026-11-21T00:00:00')), times[0] as never) < (names[1] ?? ''));
  for (const broken of [
    'metadata/index/x',
    `${names[0]}x`,
    names[0]?.replace('_0_', '_1_'),
    names[0]?.replace('130000', '130001'),
    names[0]?.replace(/_2026(\d+)/, '_2025$1'),
  ]) {
    if (broken !== names[0]) assert.is(parseIndexName(broken ?? ''), undefined, broken);
  }
});

/** A collection of two chains with three layers each, all indexed; it counts reads and listings. */
async function collection() {
  const files = new MemoryFiles();
  const storage = collectionAt(openMemory(ParsedUri.parse('mem://b/c'), files));
  const calls: string[] = [];
  const counting = new Proxy(storage, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => {
        if (name === 'read' || name === 'list') calls.push(`${name} ${args[0]}`);
        return (value as (...args: unknown[]) => unknown).apply(target, args);
      };
    },
  });
  const layers: Layer[] = [];
  for (const day of ['2026-11-20', '2026-11-21']) {
    let parent: Layer | undefined;
    const full = fullDirectory(at(`${day}T12:00:00`));
    for (const hour of ['12', '13', '14']) {
      const end = (at(`${day}T${hour}:00:00`) + Number(hour)) as Timestamp;
      const directory = parent ? incrementalDirectory(full, end) : full;
      const words = makeLayer({
        directory,
        start: parent?.manifest.endTime ?? 0,
        end,
        parent,
        history: hour === '13',
        from: parent?.manifest.endTime,
      });
      const layer: Layer = { ...words, manifestSha256: await writeManifest(storage, directory, words.manifest) };
      await (await writeIndexFile(storage, full, indexOfLayer(layer)))();
      layers.push(layer);
      parent = layer;
    }
  }
  const newestFirst = layers.map(({ directory }) => directory).reverse();
  return { storage, counting, calls, layers, newestFirst };
}

test('a listing reads no manifest, and lists no chain that is not in the answer', async () => {
  const { counting, calls, newestFirst } = await collection();
  const { layers, hasMore } = await listNewestLayers(counting, { countMax: 2 });
  assert.equal(
    layers.map(({ directory }) => directory),
    newestFirst.slice(0, 2),
  );
  assert.ok(hasMore);
  assert.ok(!calls.some((call) => call.startsWith('read')), calls.join('\n'));
  assert.ok(!calls.some((call) => call.includes('incrementals/2026/11/20')), calls.join('\n'));
  calls.length = 0;
  assert.equal(await listIndexedFulls(counting), ['2026/11/20-120000.00', '2026/11/21-120000.00']);
  assert.ok(!calls.some((call) => call.includes('MANIFEST')), calls.join('\n'));
});

test('filters by end time are inclusive', async () => {
  const { storage, layers } = await collection();
  const [, second, third, fourth] = layers.map(({ manifest }) => manifest.endTime);
  const found = await listNewestLayers(storage, { newerThan: second, olderThan: fourth, countMax: 50 });
  assert.equal(
    found.layers.map(({ endTime }) => endTime),
    [fourth, third, second],
  );
  assert.is(found.hasMore, false);
});

test('a layer whose index file is lost is listed all the same, and healed by the next backup', async () => {
  const { storage, layers, newestFirst } = await collection();
  const names = await storage.list('metadata/index/');
  for (const lost of [...names.map((name) => [name]), names]) {
    for (const name of lost) await storage.delete(name);
    const found = (await listNewestLayers(storage, { countMax: 50 })).layers;
    assert.equal(
      found.map(({ directory }) => directory),
      newestFirst,
      String(lost),
    );
    assert.equal(await Promise.all(found.map(async (one) => (await revisionStart(storage, one)) !== undefined)), [
      false,
      true,
      false,
      false,
      true,
      false,
    ]);
    assert.equal(await listIndexedFulls(storage), ['2026/11/20-120000.00', '2026/11/21-120000.00']);
    for (const full of [layers[0], layers[3]]) await healIndex(storage, full?.directory ?? '');
    assert.equal(await storage.list('metadata/index/'), names);
  }
});

test('what was deleted by hand is not listed, whatever the index says', async () => {
  const { storage, newestFirst } = await collection();
  for (const gone of [newestFirst[0], newestFirst.at(-1)]) {
    for (const name of await storage.list(`${gone}/`)) await storage.delete(name);
  }
  const found = (await listNewestLayers(storage, { countMax: 50 })).layers;
  assert.equal(
    found.map(({ directory }) => directory),
    newestFirst.slice(1, 3),
    'without its full nothing of a chain is left',
  );
});

test('a damaged index file is found, named, and the manifest asked instead', async () => {
  const { storage, layers } = await collection();
  const history = layers[1] as Layer;
  const [entry] = (await listIndex(storage, layers[0]?.directory)).filter(({ directory }) => directory === history.directory);
  assert.ok(entry);
  const content = Buffer.from(await storage.read(entry.indexName));
  for (let offset = 0; offset < content.length; offset++) {
    const flipped = Buffer.from(content);
    flipped[offset] = (flipped[offset] as number) ^ 4;
    await storage.write(entry.indexName, flipped);
    const error = await readIndexFile(storage, entry).catch((one: VarveError) => one);
    assert.ok(['XX001', '0A000'].includes((error as VarveError).code), `${offset}: ${(error as VarveError).message}`);
    assert.match((error as VarveError).message, entry.indexName);
  }
  const found = (await listNewestLayers(storage, { countMax: 50 })).layers.find(({ directory }) => directory === history.directory);
  assert.ok(found);
  assert.is(await revisionStart(storage, found), history.manifest.revisionStartTime);
  // One of another layer under this name.
  const other = (await listIndex(storage, layers[3]?.directory))[1];
  assert.ok(other);
  await storage.write(entry.indexName, Buffer.from(await storage.read(other.indexName)));
  assert.is(await codeOf(() => readIndexFile(storage, entry)), 'XX001');
});

test('a completed layer that cannot be read is listed by its directory; an unfinished one is not', async () => {
  const { storage, newestFirst, layers } = await collection();
  const newest = layers.at(-1) as Layer;
  for (const name of await storage.list('metadata/index/')) await storage.delete(name);
  await storage.write(`${newest.directory}/BACKUP_MANIFEST`, Buffer.from('garbage'));
  await storage.write('2026/11/22-120000.00/BACKUP-LOCK-5', Buffer.from('{}'));
  const found = (await listNewestLayers(storage, { countMax: 50 })).layers;
  assert.equal(
    found.map(({ directory }) => directory),
    newestFirst,
  );
  assert.is(found[0]?.endTime, directoryTime(newest.manifest.endTime));
});

test.run();
