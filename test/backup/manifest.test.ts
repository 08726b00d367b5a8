/** Manifests and checkpoints: round trips, contradictions, later versions, flipped bits. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { CorruptionError, StatementError } from '../../src/base/errors.ts';
import type { Timestamp } from '../../src/base/timestamp.ts';
import type { Checkpoint } from '../../src/backup/checkpoint.ts';
import type { CollectionStorage } from '../../src/backup/collectionStorage.ts';
import { collectionAt } from '../../src/backup/collectionStorage.ts';
import { readNewestCheckpoint, writeCheckpoint } from '../../src/backup/checkpoint.ts';
import { isLayer } from '../../src/backup/collection.ts';
import { decodeEnvelope, encodeEnvelope, MANIFEST_MAGIC } from '../../src/backup/envelope.ts';
import type { Manifest } from '../../src/backup/manifest.ts';
import { decodeManifest, encodeManifest, readManifest, writeManifest } from '../../src/backup/manifest.ts';
import type { Descriptor, FunctionDescriptor } from '../../src/catalog/descriptor.ts';
import { Type } from '../../src/catalog/type.ts';
import { MemoryFiles, openMemory } from '../../src/storage/memory.ts';
import { ParsedUri } from '../../src/storage/uri.ts';
import { makeLayer } from './support.ts';

const test = suite('manifest');

const database: Descriptor = {
  kind: 'database',
  id: 52,
  name: 'bänk',
  parentId: 0,
  version: 3,
  modificationTime: 7 as Timestamp,
  state: 'PUBLIC',
  privileges: { owner: 'root', grants: [{ grantee: 'admin', privileges: ['ALL'] }] },
};

const sample: Manifest = {
  ...makeLayer({ directory: 'd', start: 0, end: 1_763_000_000_123_456, history: true, from: 1_762_999_000_000_000, spans: ['a-c', 'd-e'] })
    .manifest,
  completeDatabaseIds: [52],
  descriptors: [database],
  descriptorChanges: [
    { id: 52, time: 5 as Timestamp, descriptor: { ...database, name: 'old', modificationTime: 5 as Timestamp } },
    { id: 53, time: 6 as Timestamp, descriptor: undefined },
  ],
  emptySpans: [{ span: { key: 'x' as never, endKey: 'y\xff' as never }, startTime: 0 as Timestamp, endTime: 9 as Timestamp }],
};

function newStorage(): CollectionStorage {
  return collectionAt(openMemory(ParsedUri.parse('mem://b/c'), new MemoryFiles()));
}

async function errorOf(run: () => Promise<unknown>): Promise<CorruptionError> {
  try {
    await run();
  } catch (error) {
    return error as CorruptionError;
  }
  throw new Error('nothing was thrown');
}

test('a manifest comes back as it was written', async () => {
  assert.equal(await decodeManifest(await encodeManifest(sample), 'f'), sample);
  const storage = newStorage();
  const digest = await writeManifest(storage, 'x/y', sample);
  assert.equal(await readManifest(storage, 'x/y'), { directory: 'x/y', manifest: sample, manifestSha256: digest });
});

test('a directory is a layer only with manifest and checksum', async () => {
  const storage = newStorage();
  await writeManifest(storage, 'x', sample);
  assert.is(await isLayer(storage, 'x'), true);
  await storage.delete('x/BACKUP_MANIFEST-CHECKSUM');
  assert.is(await isLayer(storage, 'x'), false);
  assert.is((await errorOf(() => readManifest(storage, 'x'))).code, '58P01');
});

test('what contradicts itself is never written', async () => {
  const wrong: [string, Partial<Manifest>][] = [
    ['startTime is before endTime', { endTime: 0 as Timestamp }],
    ['an incremental layer, and no full one, has a parent', { kind: 'incremental' }],
    ['a full layer introduces nothing', { introducedSpans: sample.spans }],
    ['without revision history only endTime can be restored', { revisionHistory: false }],
    ['spans are sorted and disjoint', { spans: [...sample.spans].reverse() }],
    ['ids ascend', { targetIds: [2, 2] }],
    ['entryCounts.rows is the sum over the files', { entryCounts: { rows: 3, indexEntries: 0, dataBytes: 20 } }],
    ['a file has a SHA-256', { files: sample.files.map((file) => ({ ...file, sha256: 'x' })) }],
    ['a data file lies in data/', { files: sample.files.map((file) => ({ ...file, path: 'data/../../passwd' })) }],
    ['each file is named once', { files: [...sample.files, ...sample.files] }],
  ];
  for (const [fact, fields] of wrong) {
    const error = await errorOf(() => encodeManifest({ ...sample, ...fields }));
    assert.is(error.code, 'XX001');
    assert.ok(error.detail?.includes(fact), `${fact}: ${error.detail}`);
  }
});

test('a later major version is refused by name, a later minor one is read', async () => {
  const bytes = await encodeEnvelope(MANIFEST_MAGIC, 3, '{}');
  const error = await errorOf(() => decodeManifest(bytes, 'd/BACKUP_MANIFEST'));
  assert.instance(error, StatementError);
  assert.is(error.code, '0A000');
  assert.is(error.message, 'backup manifest "d/BACKUP_MANIFEST" has format version 3, which this Varve cannot read');

  const { zstdDecompressSync } = await import('node:zlib');
  const text = zstdDecompressSync((await encodeManifest(sample)).subarray(24)).toString();
  const later = JSON.stringify({ ...JSON.parse(text), minorVersion: 9, somethingNew: [1, 2] });
  assert.equal(await decodeManifest(await encodeEnvelope(MANIFEST_MAGIC, 1, later), 'f'), sample);
});

test('only a layer that holds functions has major version 2', async () => {
  const one: FunctionDescriptor = {
    ...{ kind: 'function', id: 70, name: 'f', parentId: 50, schemaId: 29, slot: 0, version: 1, modificationTime: 5 as Timestamp },
    ...{ state: 'PUBLIC', privileges: { owner: 'root', grants: [] }, params: [{ name: 'a', type: Type.Int8 }], returns: Type.Int8 },
    ...{ volatility: 'immutable', statements: ['SELECT a'], dependsOnIds: [], columnUses: [], typeIds: [], functionIds: [] },
    referencedByIds: [],
  };
  const withFunction: Manifest = { ...sample, descriptors: [...sample.descriptors, one] };
  const bytes = await encodeManifest(withFunction);
  assert.is(bytes.readUInt16LE(8), 2);
  assert.is((await encodeManifest(sample)).readUInt16LE(8), 1);
  assert.equal(await decodeManifest(bytes, 'f'), withFunction);
});

test('no flipped bit of a manifest or its checksum goes unseen', async () => {
  const storage = newStorage();
  await writeManifest(storage, 'd', sample);
  for (const name of ['d/BACKUP_MANIFEST', 'd/BACKUP_MANIFEST-CHECKSUM']) {
    const whole = Buffer.from(await storage.read(name));
    for (let at = 0; at < whole.length; at++) {
      const damaged = Buffer.from(whole);
      damaged[at] = (damaged[at] as number) ^ (1 << (at % 8));
      await storage.write(name, damaged);
      const error = await errorOf(() => readManifest(storage, 'd'));
      assert.instance(error, CorruptionError);
      assert.ok(error.file?.startsWith('d/BACKUP_MANIFEST'));
      // The envelope's own checksum finds it too, for copies that lost the file beside.
      if (!name.endsWith('CHECKSUM')) assert.instance(await errorOf(() => decodeManifest(damaged, name)), CorruptionError);
    }
    await storage.write(name, whole);
  }
});

test('a manifest that is known is decoded once for a database, and again for another', async () => {
  const files = new MemoryFiles();
  const open = () => collectionAt(openMemory(ParsedUri.parse('mem://b'), files));
  const [one, other] = [open(), open()];
  await writeManifest(one, 'd', makeLayer({ directory: 'd', start: 0, end: 10, spans: ['a-c'] }).manifest);
  const first = await readManifest(one, 'd');
  assert.is((await readManifest(one, 'd')).manifest, first.manifest);
  const foreign = await readManifest(other, 'd');
  assert.is.not(foreign.manifest, first.manifest);
  assert.equal(foreign, first);
});

test('a document of any size waits for no thread: a simulation must not depend on when one is done', async () => {
  const text = JSON.stringify(Array.from({ length: 100_000 }, (_, i) => i));
  const atOnce = async <T>(call: Promise<T>): Promise<T> => {
    let result: { value: T } | undefined;
    void call.then((value) => {
      result = { value };
    });
    for (let i = 0; i < 20; i++) await Promise.resolve();
    assert.ok(result !== undefined, 'it takes a turn of the event loop');
    return result.value;
  };
  const bytes = await atOnce(encodeEnvelope(MANIFEST_MAGIC, 1, text));
  assert.is(await atOnce(decodeEnvelope(MANIFEST_MAGIC, 1, bytes, { what: 'manifest', file: 'f' })), text);
});

test('the newest readable checkpoint of the job counts', async () => {
  const storage = newStorage();
  const at = (time: number, jobId = '7'): Checkpoint => ({
    clusterId: 'c',
    jobId,
    claimEpoch: 2,
    time: time as Timestamp,
    files: sample.files.slice(0, time),
    emptySpans: sample.emptySpans,
  });
  assert.is(await readNewestCheckpoint(storage, 'd', at(0)), undefined);
  await writeCheckpoint(storage, 'd', at(1));
  const damaged = await writeCheckpoint(storage, 'd', at(2));
  await writeCheckpoint(storage, 'd', at(3, 'another job'));
  assert.equal(await readNewestCheckpoint(storage, 'd', at(0)), { ...at(2), name: damaged });
  await storage.write(damaged, (await storage.read(damaged)).subarray(0, 50));
  assert.is((await readNewestCheckpoint(storage, 'd', at(0)))?.time, 1);
});

test.run();
