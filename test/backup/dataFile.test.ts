/**
 * Data files: what is written comes back, whole and by key; and no single flipped bit goes unseen.
 */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import type { Bytes } from '../../src/base/bytes.ts';
import { asBytes } from '../../src/base/bytes.ts';
import { CorruptionError, StatementError } from '../../src/base/errors.ts';
import { InlineExecutor, PoolExecutor } from '../../src/base/executor.ts';
import { EVERYTHING } from '../../src/base/span.ts';
import type { Timestamp } from '../../src/base/timestamp.ts';
import type { VersionRun } from '../../src/backup/block.ts';
import { BlockEncoder, decodeBlock } from '../../src/backup/block.ts';
import { DataFileReader, readDataFile, verifyStoredFile } from '../../src/backup/dataFileReader.ts';
import { writeDataFile } from '../../src/backup/dataFileWriter.ts';
import type { ExternalStorage } from '../../src/storage/externalStorage.ts';
import { MemoryFiles, openMemory } from '../../src/storage/memory.ts';
import { ParsedUri } from '../../src/storage/uri.ts';

const test = suite('data file');
const executor = new PoolExecutor();

interface Entry {
  readonly key: Bytes;
  readonly time: Timestamp;
  readonly value: Bytes | null;
}

function newStorage(): ExternalStorage {
  return openMemory(ParsedUri.parse('mem://b/c'), new MemoryFiles());
}

async function* inRuns(entries: readonly Entry[], size: number): AsyncGenerator<VersionRun> {
  for (let i = 0; i < entries.length; i += size) yield asRun(entries.slice(i, i + size));
}

function asRun(entries: readonly Entry[]): VersionRun {
  return { keys: entries.map((e) => e.key), timestamps: entries.map((e) => e.time), values: entries.map((e) => e.value) };
}

async function entriesOf(runs: AsyncIterable<VersionRun>): Promise<Entry[]> {
  const entries: Entry[] = [];
  for await (const { keys, timestamps, values } of runs) {
    for (const [i, key] of keys.entries()) entries.push({ key, time: timestamps[i] as Timestamp, value: values[i] as Bytes | null });
  }
  return entries;
}

const bytesArb = (maxLength: number) => fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((c) => String.fromCharCode(c)), maxLength });
const timeArb = fc.oneof(fc.integer({ min: 0, max: 300 }), fc.maxSafeNat(), fc.integer({ min: 1.7e15, max: 1.8e15 }));

/** Sorted versions: few distinct keys with long common beginnings, several versions each. */
const entriesArb: fc.Arbitrary<Entry[]> = fc
  .array(
    fc.record({
      prefix: fc.constantFrom('', '\xbc\x89', '\xbc\x89\xf7', '\xfd'.repeat(40)),
      suffix: bytesArb(30),
      time: timeArb,
      value: fc.option(bytesArb(80), { nil: null }),
    }),
    { maxLength: 60 },
  )
  .map((raw) => {
    const entries = raw.map(({ prefix, suffix, time, value }) => ({
      key: asBytes(prefix + suffix || '\x00'),
      time: time as Timestamp,
      value: value as Bytes | null,
    }));
    entries.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : b.time - a.time));
    return entries.filter((e, i) => i === 0 || e.key !== entries[i - 1]!.key || e.time !== entries[i - 1]!.time);
  });

test('what is written comes back: whole, and any span of it', async () => {
  await fc.assert(
    fc.asyncProperty(
      entriesArb,
      fc.integer({ min: 1, max: 600 }),
      fc.integer({ min: 1, max: 20 }),
      bytesArb(3),
      bytesArb(3),
      async (entries, blockTargetBytes, runSize, a, b) => {
        const storage = newStorage();
        const written = await writeDataFile(storage, 'data/f', inRuns(entries, runSize), { executor, blockTargetBytes });
        assert.is(written.entryCount, entries.length);
        assert.is(written.tombstoneCount, entries.filter((e) => e.value === null).length);
        assert.equal(await entriesOf(readDataFile(storage, 'data/f', written, { executor })), entries);
        await verifyStoredFile(storage, 'data/f', written);

        const reader = await DataFileReader.open(storage, 'data/f', { executor, expectedSize: written.sizeBytes });
        assert.equal(await entriesOf(reader.scan(EVERYTHING)), entries);
        const span = { key: asBytes(a < b ? a : b), endKey: asBytes(a < b ? b : a) };
        assert.equal(
          await entriesOf(reader.scan(span)),
          entries.filter((e) => span.key <= e.key && e.key < span.endKey),
        );
      },
    ),
    { numRuns: 150 },
  );
});

test('the same entries give the same file under every executor', async () => {
  const entries = Array.from({ length: 500 }, (_, i) => ({
    key: asBytes(`\xbc\x89k${String(i).padStart(4, '0')}`),
    time: (1000 + (i % 3)) as Timestamp,
    value: asBytes('v'.repeat(i % 90)),
  }));
  const files = [];
  for (const each of [executor, new InlineExecutor(3)]) {
    files.push(await writeDataFile(newStorage(), 'f', inRuns(entries, 50), { executor: each, blockTargetBytes: 700 }));
  }
  assert.equal(files[0], files[1]);
});

test('no flipped bit goes unseen, and the error names the file', async () => {
  const storage = newStorage();
  const entries: Entry[] = ['a', 'ab', 'abc', 'b', 'c', 'd'].flatMap((key, i) => [
    { key: asBytes(key), time: (200 + i) as Timestamp, value: i % 2 === 0 ? asBytes('value-'.repeat(i + 1)) : null },
    { key: asBytes(key), time: 100 as Timestamp, value: asBytes('old') },
  ]);
  const written = await writeDataFile(storage, 'data/f', inRuns(entries, 100), { executor, blockTargetBytes: 40 });
  const whole = Buffer.from(await storage.read('data/f'));
  let flips = 0;
  for (let at = 0; at < whole.length; at++) {
    const damaged = Buffer.from(whole);
    damaged[at] = (damaged[at] as number) ^ (1 << (at % 8));
    await storage.write('data/f', damaged);
    try {
      // Without the manifest's SHA-256, the file's own checksums have to find it.
      const reader = await DataFileReader.open(storage, 'data/f', { executor });
      for await (const run of reader.scan(EVERYTHING)) void run;
      assert.unreachable(`flip at byte ${at} of ${whole.length} was not seen`);
    } catch (error) {
      assert.ok(error instanceof CorruptionError, String(error));
      assert.is(error.code, 'XX001');
      assert.is(error.file, 'data/f');
      assert.type(error.offset, 'number');
      flips++;
    }
    const byDigest = await verifyStoredFile(storage, 'data/f', written).then(
      () => 'intact',
      (error: CorruptionError) => error.code,
    );
    assert.is(byDigest, 'XX001');
  }
  assert.is(flips, whole.length);
});

test('a file that is cut or grown is refused', async () => {
  const storage = newStorage();
  const written = await writeDataFile(storage, 'f', inRuns([{ key: asBytes('k'), time: 5 as Timestamp, value: asBytes('v') }], 1), {
    executor,
  });
  const whole = Buffer.from(await storage.read('f'));
  for (const bytes of [
    whole.subarray(0, 0),
    whole.subarray(0, 20),
    whole.subarray(0, -1),
    Buffer.concat([whole, whole]),
    Buffer.concat([whole, Buffer.of(0)]),
  ]) {
    await storage.write('f', bytes);
    for (const read of [() => readDataFile(storage, 'f', written, { executor }), () => unchecked()]) {
      let code = 'read';
      try {
        for await (const run of read()) void run;
      } catch (error) {
        code = (error as CorruptionError).code;
      }
      // Two whole files one behind the other have a good end, but the index does not fit its place.
      assert.is(code, 'XX001', `${bytes.length} of ${whole.length} bytes`);
    }
  }
  async function* unchecked() {
    yield* (await DataFileReader.open(storage, 'f', { executor })).scan(EVERYTHING);
  }
});

test('a later version is refused by name', async () => {
  const storage = newStorage();
  await writeDataFile(storage, 'f', inRuns([], 1), { executor });
  const { crc32 } = await import('node:zlib');
  const whole = Buffer.from(await storage.read('f'));
  whole.writeUInt16LE(2, 8);
  whole.writeUInt32LE(crc32(whole.subarray(0, 12)), 12);
  await storage.write('f', whole);
  try {
    await DataFileReader.open(storage, 'f', { executor });
    assert.unreachable();
  } catch (error) {
    assert.instance(error, StatementError);
    assert.is((error as StatementError).code, '0A000');
    assert.match((error as StatementError).message, 'has format version 2');
  }
});

test('a source can end the file at a size', async () => {
  const storage = newStorage();
  const progress = { storedBytes: 0 };
  let taken = 0;
  async function* untilLarge(): AsyncGenerator<VersionRun> {
    for (let i = 0; progress.storedBytes < 20_000; i++) {
      taken++;
      // Values that do not compress.
      yield asRun([{ key: asBytes(`k${String(i).padStart(8, '0')}`), time: 1 as Timestamp, value: asBytes(noise(i, 500)) }]);
    }
  }
  const written = await writeDataFile(storage, 'f', untilLarge(), { executor, blockTargetBytes: 1000, progress });
  assert.is(written.entryCount, taken);
  assert.ok(written.sizeBytes > 20_000 && written.sizeBytes < 30_000, String(written.sizeBytes));
});

function noise(seed: number, length: number): string {
  let text = '';
  for (let i = 0, x = seed * 7919 + 1; i < length; i++) {
    x = (Math.imul(x, 1103515245) + 12345) >>> 0;
    text += String.fromCharCode((x >>> 16) & 0xff);
  }
  return text;
}

test('a failing source leaves no file', async () => {
  const storage = newStorage();
  async function* failing(): AsyncGenerator<VersionRun> {
    yield asRun([{ key: asBytes('a'), time: 1 as Timestamp, value: asBytes('x'.repeat(100)) }]);
    throw new Error('source failed');
  }
  try {
    await writeDataFile(storage, 'f', failing(), { executor, blockTargetBytes: 10 });
    assert.unreachable();
  } catch (error) {
    assert.is((error as Error).message, 'source failed');
  }
  assert.equal(await storage.list(''), []);
});

test('a decoder that is given any bytes answers or throws XX001, and ends', () => {
  const bounds = { entryCount: 2, firstKey: asBytes('a'), lastKey: asBytes('b') };
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      try {
        decodeBlock(Buffer.from(bytes), bounds, { file: 'f', offset: 0 }, asBytes(''));
      } catch (error) {
        assert.instance(error, CorruptionError);
      }
    }),
    { numRuns: 2000 },
  );
});

test('entries out of order are a bug of the writer', () => {
  const encoder = new BlockEncoder();
  encoder.add(asBytes('b'), 5 as Timestamp, null);
  for (const [key, time] of [
    ['a', 9],
    ['b', 5],
    ['b', 6],
  ] as const) {
    assert.throws(() => encoder.add(asBytes(key), time as Timestamp, null), 'out of order');
  }
});

test.run();
