/** Encrypted files: what opens them, and that nothing in them can be changed, cut, moved or swapped unnoticed. */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import type { Bytes } from '../../src/base/bytes.ts';
import { asBytes } from '../../src/base/bytes.ts';
import { CorruptionError, VarveError } from '../../src/base/errors.ts';
import { InlineExecutor, PoolExecutor } from '../../src/base/executor.ts';
import { EVERYTHING } from '../../src/base/span.ts';
import type { Timestamp } from '../../src/base/timestamp.ts';
import type { VersionRun } from '../../src/backup/block.ts';
import { readNewestCheckpoint, writeCheckpoint } from '../../src/backup/checkpoint.ts';
import { type Cipher, EncryptionError, type FileCipher, LayerCipher, NOT_AUTHENTIC } from '../../src/backup/cipher.ts';
import { type CollectionStorage, collectionAt } from '../../src/backup/collectionStorage.ts';
import { FOOTER_BYTES, HEADER_BYTES } from '../../src/backup/dataFile.ts';
import { DataFileReader, readDataFile } from '../../src/backup/dataFileReader.ts';
import { type WrittenDataFile, writeDataFile } from '../../src/backup/dataFileWriter.ts';
import {
  encodeEncryptionInfo,
  newDataKey,
  readEncryptionInfo,
  unwrapWithPassphrase,
  wrapForPassphrase,
  writeEncryptionInfo,
} from '../../src/backup/encryptionInfo.ts';
import { FRAME_BYTES } from '../../src/backup/frame.ts';
import { Keyring } from '../../src/backup/keyring.ts';
import { readManifest, writeManifest } from '../../src/backup/manifest.ts';
import { MemoryFiles, openMemory } from '../../src/storage/memory.ts';
import { SecretRegistry } from '../../src/storage/secretServices.ts';
import { ParsedUri } from '../../src/storage/uri.ts';
import { goldenManifest } from './goldenLayer.ts';

const test = suite('backup: encryption');
const executor = new PoolExecutor();
const services = new SecretRegistry();
const FULL = '2026/11/20-120001.00';
const LAYER_ID = '6f0c9d2e-1111-4222-8333-444455556666';
const PASSPHRASE = 'correct horse battery staple';

const newStorage = () => openMemory(ParsedUri.parse('mem://b'), new MemoryFiles());
const keyring = (passphrase = PASSPHRASE) => new Keyring({ type: 'passphrase', passphrase }, services, { user: 'root' });

async function errorOf(work: () => Promise<unknown>): Promise<VarveError> {
  try {
    await work();
  } catch (error) {
    if (error instanceof VarveError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

type Entry = [key: Bytes, time: Timestamp, value: Bytes | null];
const entries: Entry[] = Array.from({ length: 40 }, (_, i) => [
  asBytes(`key${String(i).padStart(3, '0')}`),
  (i + 1) as Timestamp,
  asBytes(`secret value ${i}`),
]);

async function* runsOf(all: readonly Entry[]): AsyncGenerator<VersionRun> {
  yield { keys: all.map(([key]) => key), timestamps: all.map(([, time]) => time), values: all.map(([, , value]) => value) };
}

async function entriesOf(runs: AsyncIterable<VersionRun>): Promise<Entry[]> {
  const found: Entry[] = [];
  for await (const { keys, timestamps, values } of runs) {
    for (let i = 0; i < keys.length; i++) found.push([keys[i] as Bytes, timestamps[i] as Timestamp, values[i] as Bytes | null]);
  }
  return found;
}

/** A file of several blocks. */
async function writeFile(storage: CollectionStorage, path: string, cipher: FileCipher, all = entries): Promise<WrittenDataFile> {
  return await writeDataFile(storage, `${FULL}/${path}`, runsOf(all), { executor, cipher, blockTargetBytes: 200 });
}

async function* scan(storage: CollectionStorage, path: string, cipher?: FileCipher): AsyncGenerator<VersionRun> {
  yield* (await DataFileReader.open(storage, `${FULL}/${path}`, { executor, cipher })).scan(EVERYTHING);
}

const { cipher, info } = newDataKey(services);
const layer = new LayerCipher(cipher, LAYER_ID);

test('what is written encrypted comes back, holds nothing in clear, and differs each time', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.tuple(fc.string({ minLength: 1, maxLength: 20 }), fc.string({ maxLength: 200 })), {
        selector: ([key]) => Buffer.from(key).toString('latin1'),
        maxLength: 60,
      }),
      fc.integer({ min: 1, max: 1000 }),
      fc.boolean(),
      async (pairs, blockTargetBytes, isInline) => {
        const all = pairs
          .map(
            ([key, value], i): Entry => [
              asBytes(Buffer.from(key).toString('latin1')),
              (i + 1) as Timestamp,
              asBytes(Buffer.from(value).toString('latin1')),
            ],
          )
          .sort((a, b) => (a[0] < b[0] ? -1 : 1));
        const storage = collectionAt(newStorage());
        const options = { executor: isInline ? new InlineExecutor() : executor, cipher: layer.forFile('data/f'), blockTargetBytes };
        const runs = all.length === 0 ? (async function* (): AsyncGenerator<VersionRun> {})() : runsOf(all);
        const written = await writeDataFile(storage, 'd/data/f', runs, options);
        assert.equal(await entriesOf(readDataFile(storage, 'd/data/f', written, options)), all);
        assert.equal(await entriesOf((await DataFileReader.open(storage, 'd/data/f', options)).scan(EVERYTHING)), all);
      },
    ),
    { numRuns: 40 },
  );
  const storage = collectionAt(newStorage());
  const [a, b] = [await writeFile(storage, 'data/a', layer.forFile('data/a')), await writeFile(storage, 'data/b', layer.forFile('data/a'))];
  assert.is.not(a.sha256, b.sha256);
  const bytes = Buffer.from(await storage.read(`${FULL}/data/a`));
  for (const text of ['key0', 'secret value']) assert.not.ok(bytes.includes(text));
});

test('every flipped byte of a file is found, also by readers that look at single blocks', async () => {
  const storage = collectionAt(newStorage());
  const file = layer.forFile('data/f');
  const written = await writeFile(storage, 'data/f', file);
  const good = Buffer.from(await storage.read(`${FULL}/data/f`));
  assert.ok(framesOf(good).length >= 4);
  for (let at = 0; at < good.length; at++) {
    const bad = Buffer.from(good);
    bad[at] = (bad[at] as number) ^ (1 << (at % 8));
    await storage.write(`${FULL}/data/f`, bad);
    for (const read of [
      () => entriesOf(scan(storage, 'data/f', file)),
      () => entriesOf(readDataFile(storage, `${FULL}/data/f`, written, { executor, cipher: file })),
    ]) {
      const error = await errorOf(read);
      if (!(error instanceof CorruptionError)) throw new Error(`byte ${at}: ${error.code} ${error.message}`);
    }
  }
});

/** Blocks of a file, the index's last, as [from, to) of its bytes. */
function framesOf(bytes: Buffer): [number, number][] {
  const frames: [number, number][] = [];
  const end = bytes.length - FOOTER_BYTES;
  for (let at = HEADER_BYTES; at < end; ) {
    const next = at + FRAME_BYTES + bytes.readUInt32LE(at);
    frames.push([at, next]);
    at = next;
  }
  return frames;
}

/** Makes every checksum right again: what somebody would do who changes a file on purpose. */
function withChecksums(bytes: Buffer): Buffer {
  let blocksCrc = 0;
  for (const [from, to] of framesOf(bytes)) {
    const crc = crc32(bytes.subarray(from + FRAME_BYTES, to), crc32(bytes.subarray(from, from + 12)));
    bytes.writeUInt32LE(crc, from + 12);
    const four = Buffer.alloc(4);
    four.writeUInt32LE(crc);
    blocksCrc = crc32(four, blocksCrc);
  }
  const footer = bytes.subarray(bytes.length - FOOTER_BYTES);
  footer.writeUInt32LE(blocksCrc, 56);
  footer.writeUInt32LE(crc32(footer.subarray(0, 84)), 84);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 12)), 12);
  return bytes;
}

test('with right checksums a changed file still does not open: each bit of each block, of the index, and what the footer counts', async () => {
  const storage = collectionAt(newStorage());
  const file = layer.forFile('data/f');
  await writeFile(storage, 'data/f', file);
  const good = Buffer.from(await storage.read(`${FULL}/data/f`));
  const read = () => entriesOf(scan(storage, 'data/f', file));
  const places: number[] = [];
  for (const [from, to] of framesOf(good)) for (let at = from + FRAME_BYTES; at < to; at++) places.push(at);
  // Tombstones, data bytes, lowest and highest time: nothing else would contradict them.
  for (let at = 24; at < 56; at++) places.push(good.length - FOOTER_BYTES + at);
  for (const at of places) {
    const bad = Buffer.from(good);
    bad[at] = (bad[at] as number) ^ (1 << (at % 8));
    await storage.write(`${FULL}/data/f`, withChecksums(bad));
    const error = await errorOf(read);
    const isHugeNumber = error.message.includes('of the footer');
    assert.ok(error.message.includes(NOT_AUTHENTIC) || isHugeNumber, `byte ${at}: ${error.message}`);
    assert.match(error.detail ?? '', /^at offset \d+: expected /);
  }
});

test('blocks do not open in another place, file, layer or chain', async () => {
  const storage = collectionAt(newStorage());
  // Values without a pattern, so that two blocks are stored alike long.
  const even: Entry[] = entries.map(([key, time], i) => [
    key,
    time,
    asBytes(createHash('sha256').update(String(i)).digest().toString('latin1')),
  ]);
  const file = layer.forFile('data/f');
  await writeFile(storage, 'data/f', file, even);
  const good = Buffer.from(await storage.read(`${FULL}/data/f`));
  const frames = framesOf(good);
  const [a, b] =
    frames
      .flatMap((one, i) => frames.slice(i + 1, -1).map((other) => [one, other] as const))
      .find(([one, other]) => one[1] - one[0] === other[1] - other[0]) ?? [];
  if (a === undefined || b === undefined) throw new Error('no two blocks of one size');
  const swapped = Buffer.from(good);
  good.copy(swapped, b[0], a[0], a[1]);
  good.copy(swapped, a[0], b[0], b[1]);
  await storage.write(`${FULL}/data/f`, withChecksums(swapped));
  assert.match((await errorOf(() => entriesOf(scan(storage, 'data/f', file)))).message, NOT_AUTHENTIC);

  await storage.write(`${FULL}/data/f`, good);
  const others: [string, FileCipher][] = [
    ['another file', layer.forFile('data/g')],
    ['another layer', new LayerCipher(cipher, 'another layer').forFile('data/f')],
    ['another chain', new LayerCipher(newDataKey(services).cipher, LAYER_ID).forFile('data/f')],
  ];
  for (const [what, other] of others) {
    assert.match((await errorOf(() => entriesOf(scan(storage, 'data/f', other)))).message, NOT_AUTHENTIC, what);
  }
  assert.instance(await errorOf(() => entriesOf(scan(storage, 'data/f'))), EncryptionError);
  // A plain file where an encrypted one belongs.
  await writeDataFile(storage, `${FULL}/data/f`, runsOf(even), { executor });
  assert.match((await errorOf(() => entriesOf(scan(storage, 'data/f', file)))).message, 'flags');
});

// ---- documents --------------------------------------------------------------------------------

const part = {
  span: { key: asBytes('a'), endKey: asBytes('b') },
  startTime: 0 as Timestamp,
  endTime: 5 as Timestamp,
  rows: 0,
  indexEntries: 0,
  dataBytes: 0,
};
const manifest = goldenManifest({ path: 'data/f', sizeBytes: 1, sha256: '0'.repeat(64), locality: '', parts: [part] });

/** A collection with ENCRYPTION_INFO for PASSPHRASE, and a manifest. */
async function newCollection(): Promise<CollectionStorage> {
  const storage = newStorage();
  const wrap = await wrapForPassphrase(cipher, info.keyId, PASSPHRASE, services);
  await writeEncryptionInfo(storage, FULL, 1, await encodeEncryptionInfo({ ...info, wraps: [wrap] }));
  const collection = collectionAt(storage, keyring());
  await writeManifest(collection, FULL, manifest);
  return collection;
}

test('a manifest opens with its chain’s key only, and each flipped byte of the files around it is found', async () => {
  const storage = await newCollection();
  assert.equal((await readManifest(storage, FULL)).manifest, manifest);
  const stored = Buffer.from(await storage.read(`${FULL}/BACKUP_MANIFEST`));
  for (const text of ['Bänk', 'data/f', 'clusterId']) assert.not.ok(stored.includes(text));

  const plain = collectionAt(storage);
  assert.is(
    (await errorOf(() => readManifest(plain, FULL))).message,
    'file appears encrypted -- try specifying one of "encryption_passphrase" or "kms"',
  );
  const wrong = await errorOf(() => readManifest(collectionAt(storage, keyring('wrong')), FULL));
  assert.is(wrong.message, NOT_AUTHENTIC);
  assert.is(wrong.code, '22023');

  for (const name of ['BACKUP_MANIFEST', 'BACKUP_MANIFEST-CHECKSUM', 'ENCRYPTION_INFO']) {
    const good = Buffer.from(await storage.read(`${FULL}/${name}`));
    for (let at = 0; at < good.length; at += name === 'BACKUP_MANIFEST' ? 1 : 3) {
      const bad = Buffer.from(good);
      bad[at] = (bad[at] as number) ^ (1 << (at % 8));
      await storage.write(`${FULL}/${name}`, bad);
      // The key is kept: what is tried is the file.
      const reader = name === 'ENCRYPTION_INFO' ? collectionAt(storage, keyring()) : storage;
      assert.instance(await errorOf(() => readManifest(reader, FULL)), CorruptionError, `${name} byte ${at}`);
    }
    await storage.write(`${FULL}/${name}`, good);
  }
});

test('with right checksums a changed manifest, or a plain one, still does not open', async () => {
  const storage = await newCollection();
  const good = Buffer.from(await storage.read(`${FULL}/BACKUP_MANIFEST`));
  const forge = async (bytes: Buffer): Promise<VarveError> => {
    bytes.writeUInt32LE(crc32(bytes.subarray(24), crc32(bytes.subarray(0, 20))), 20);
    await storage.write(`${FULL}/BACKUP_MANIFEST`, bytes);
    await storage.write(`${FULL}/BACKUP_MANIFEST-CHECKSUM`, Buffer.from(`${createHash('sha256').update(bytes).digest('hex')}\n`));
    return await errorOf(() => readManifest(storage, FULL));
  };
  // From the layer's id on, which stands before what is sealed.
  for (let at = 25; at < good.length; at += 3) {
    const bad = Buffer.from(good);
    bad[at] = (bad[at] as number) ^ 1;
    assert.match((await forge(bad)).message, NOT_AUTHENTIC, `byte ${at}`);
  }
  const cut = Buffer.from(good.subarray(0, good.length - 1));
  cut.writeUInt32LE(cut.length - 24, 16);
  assert.match((await forge(cut)).message, NOT_AUTHENTIC);
  const other = collectionAt(newStorage());
  await writeManifest(other, FULL, manifest);
  assert.match((await forge(Buffer.from(await other.read(`${FULL}/BACKUP_MANIFEST`)))).message, 'flags');
});

test('checkpoints open for their layer under their name, and are passed over otherwise', async () => {
  const storage = collectionAt(newStorage());
  const owner = { clusterId: 'c', jobId: '7' };
  const checkpoint = { ...owner, claimEpoch: 1, time: 9 as Timestamp, files: [], emptySpans: [] };
  const name = await writeCheckpoint(storage, FULL, checkpoint, { cipher: layer });
  assert.is((await readNewestCheckpoint(storage, FULL, owner, { cipher: layer }))?.claimEpoch, 1);
  assert.is(await readNewestCheckpoint(storage, FULL, owner), undefined);
  const other = new LayerCipher(newDataKey(services).cipher, LAYER_ID);
  assert.is(await readNewestCheckpoint(storage, FULL, owner, { cipher: other }), undefined);
  // An older one under the name of a newer.
  await storage.write(name.replace(/.{16}$/, '0'.repeat(16)), await storage.read(name));
  await storage.delete(name);
  assert.is(await readNewestCheckpoint(storage, FULL, owner, { cipher: layer }), undefined);
});

// ---- keys -------------------------------------------------------------------------------------

test('a wrap opens with its passphrase only; keys of files that were put together belong to one chain', async () => {
  const wraps = [
    await wrapForPassphrase(cipher, info.keyId, 'one', services),
    await wrapForPassphrase(cipher, info.keyId, 'zwölf', services),
  ];
  const all = { ...info, wraps };
  for (const passphrase of ['one', 'zwölf']) {
    const opened = (await unwrapWithPassphrase(all, passphrase, services)) as Cipher;
    assert.equal(opened.exportKey(), cipher.exportKey());
  }
  for (const passphrase of ['', 'One', 'one ', 'zwolf']) assert.is(await unwrapWithPassphrase(all, passphrase, services), undefined);
  // The wrap of another chain, and a key that is none.
  assert.is(await unwrapWithPassphrase({ ...all, keyId: '0'.repeat(32) }, 'one', services), undefined);
  assert.is(await unwrapWithPassphrase({ ...all, keyCheck: newDataKey(services).info.keyCheck }, 'one', services), undefined);

  const storage = newStorage();
  await writeEncryptionInfo(storage, FULL, 1, await encodeEncryptionInfo({ ...info, wraps: wraps.slice(0, 1) }));
  await writeEncryptionInfo(storage, FULL, 2, await encodeEncryptionInfo({ ...info, wraps: wraps.slice(1) }));
  const read = await readEncryptionInfo(storage, FULL);
  // A file that is damaged can be named by the wrap that came from it.
  const files = [`${FULL}/ENCRYPTION_INFO`, `${FULL}/ENCRYPTION_INFO-2`];
  assert.equal(read, { info: { ...all, wraps: wraps.map((wrap, i) => ({ ...wrap, file: files[i] })) }, fileCount: 2 });
  // Written again it is the same; another of that number is refused.
  await writeEncryptionInfo(storage, FULL, 2, await encodeEncryptionInfo({ ...info, wraps: wraps.slice(1) }));
  assert.is((await errorOf(async () => writeEncryptionInfo(storage, FULL, 2, await encodeEncryptionInfo(all)))).code, '58P02');
  const foreign = newDataKey(services);
  await writeEncryptionInfo(storage, FULL, 3, await encodeEncryptionInfo({ ...foreign.info, wraps }));
  assert.match((await errorOf(() => readEncryptionInfo(storage, FULL))).message, 'ENCRYPTION_INFO-3" is corrupt: data key');
});

test('nothing prints a key', () => {
  const ring = new Keyring({ type: 'dataKey', keyId: info.keyId, dataKey: cipher.exportKey().toString('hex') }, services, { user: 'root' });
  for (const thing of [cipher, layer, layer.forFile('f'), ring]) {
    assert.not.match(`${JSON.stringify(thing)}${String(thing)}`, cipher.exportKey().toString('hex'));
  }
});
test.run();
