/** Rate limits of storage on a manual clock, by setting; and null://, which has none of what it is given. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import type { Clock } from '../../src/base/clock.ts';
import { ManualClock } from '../../src/base/manualClock.ts';
import { SystemClock } from '../../src/base/systemClock.ts';
import { embeddedClient } from '../../src/cli/embeddedClient.ts';
import { Database } from '../../src/server/database.ts';
import type { ExternalStorage } from '../../src/storage/externalStorage.ts';
import { MemoryFiles, openMemory } from '../../src/storage/memory.ts';
import { openNullSink } from '../../src/storage/nullSink.ts';
import { RateLimits } from '../../src/storage/rateLimit.ts';
import { ParsedUri } from '../../src/storage/uri.ts';

const test = suite('storage rate limits');
const START = '2026-11-20T12:00:00Z';

/** A storage in memory under the settings of S3. */
function limited(settings: Record<string, number>) {
  const clock = new ManualClock(START);
  const limits = new RateLimits(clock, (name) => settings[name] ?? 0);
  const files = new MemoryFiles();
  const open = (nodeId: number): ExternalStorage => {
    const inner = openMemory(ParsedUri.parse('mem://bucket/x'), files);
    return limits.wrap(Object.create(inner, bound(inner)) as ExternalStorage, nodeId);
  };
  return { clock, open };
}

/** `inner` with the URI of an S3 location. */
function bound(inner: ExternalStorage): PropertyDescriptorMap {
  const methods = ['write', 'read', 'readStream', 'size', 'list', 'delete', 'close'] as const;
  const entries = methods.map((name) => [name, { value: inner[name].bind(inner) }] as const);
  return { ...Object.fromEntries(entries), uri: { value: ParsedUri.parse('s3://bucket/x') } };
}

/** Seconds of the manual clock until the call is done. */
async function seconds(clock: ManualClock, call: () => Promise<unknown>): Promise<number> {
  const start = clock.nowMicros();
  let isDone = false;
  const done = call().finally(() => {
    isDone = true;
  });
  for (;;) {
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    if (isDone) break;
    await clock.advance('100ms');
  }
  await done;
  return (clock.nowMicros() - start) / 1e6;
}

const MB = Buffer.alloc(1_000_000);
async function* inPieces(pieces: number): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < pieces; i++) yield MB;
}

test('writes keep the rate over time, after a burst of a second', async () => {
  const { clock, open } = limited({ 'cloudstorage.s3.write.node_rate_limit': 1_000_000 });
  const storage = open(1);
  assert.is(await seconds(clock, () => storage.write('a', MB)), 0);
  assert.is(await seconds(clock, () => storage.write('b', [MB, MB])), 2);
  assert.is(await seconds(clock, () => storage.write('c', inPieces(5))), 5);
  assert.is(await storage.size('c'), 5_000_000);
  // What another opening writes waits in the same line; another node has its own.
  assert.is(await seconds(clock, () => open(1).write('d', MB)), 1);
  assert.is(await seconds(clock, () => open(2).write('e', MB)), 0);
  // Reads have no limit here.
  assert.is(await seconds(clock, () => storage.read('c')), 0);
});

test('reads keep theirs, whole and in streams, with a burst that is set', async () => {
  const { clock, open } = limited({
    'cloudstorage.s3.read.node_rate_limit': 1_000_000,
    'cloudstorage.s3.read.node_burst_limit': 4_000_000,
  });
  const storage = open(1);
  await storage.write('f', inPieces(4));
  assert.is(await seconds(clock, () => storage.read('f')), 0);
  assert.is(await seconds(clock, () => storage.read('f', { length: 2_000_000 })), 2);
  const stream = async () => {
    let bytes = 0;
    for await (const piece of storage.readStream('f')) bytes += piece.length;
    assert.is(bytes, 4_000_000);
  };
  const taken = await seconds(clock, stream);
  assert.ok(taken >= 4 && taken <= 5, `${taken} s`);
  // No more gathers than the burst.
  await clock.advance('1h');
  assert.is(await seconds(clock, () => storage.read('f')), 0);
  assert.is(await seconds(clock, () => storage.read('f', { length: 1_000_000 })), 1);
});

test('concurrent writers share the rate, and one that is canceled stops waiting', async () => {
  const { clock, open } = limited({ 'cloudstorage.s3.write.node_rate_limit': 1_000_000 });
  const storage = open(1);
  const all = () => Promise.all(['a', 'b', 'c', 'd'].map((name) => storage.write(name, MB)));
  assert.is(await seconds(clock, all), 3);
  const controller = new AbortController();
  const writing = storage.write('e', inPieces(100), { signal: controller.signal }).catch((error: Error) => error.message);
  await new Promise((resolve) => setImmediate(resolve));
  controller.abort(new Error('job canceled'));
  assert.is(await writing, 'job canceled');
  assert.equal(await storage.list('e'), []);
});

test('what statements store is held to the settings of its provider; null:// is no place for a backup', async () => {
  const system = new SystemClock();
  let waitedMicros = 0;
  // Waits of storage are counted, and over at once.
  const ioClock: Clock = {
    nowMicros: () => 1_790_000_000_000_000 + waitedMicros,
    setTimer: (delayMicros, callback, options) => {
      waitedMicros += delayMicros;
      return system.setTimer(0, callback, options);
    },
    isManual: false,
  };
  const database = await Database.open({ clock: new ManualClock(START), ioClock, seed: 'rates' });
  try {
    const client = embeddedClient(database);
    await client.run('CREATE DATABASE d');
    await client.run('CREATE TABLE d.t (id INT PRIMARY KEY, note STRING)');
    await client.run('INSERT INTO d.t SELECT i, md5(i::STRING) || sha256(i::STRING) FROM generate_series(1, 2000) AS g(i)');
    await client.run("EXPORT INTO CSV 'null:///free' FROM TABLE d.t");
    assert.is(waitedMicros, 0);
    await client.run("SET CLUSTER SETTING cloudstorage.nullsink.write.node_rate_limit = '10KiB'");
    await client.run("EXPORT INTO CSV 'null:///slow' FROM TABLE d.t");
    assert.ok(waitedMicros > 1_000_000, `${waitedMicros} µs`);
    // What is not there cannot be restored, and no backup says that it can.
    const refused = await client.run("BACKUP DATABASE d INTO 'null:///backup'").catch((error: { code?: string }) => error.code);
    assert.is(refused, '58P01');
  } finally {
    await database.close();
  }
});

test("the settings of storage have CockroachDB's defaults", async () => {
  const database = await Database.open({ clock: new ManualClock(START), seed: 'settings' });
  try {
    const client = embeddedClient(database);
    const provider = ['azure', 'gs', 'http', 'nodelocal', 'nullsink', 's3', 'userfile'];
    const limits = provider.flatMap((name) =>
      ['read', 'write'].flatMap((way) => ['rate', 'burst'].map((what) => `cloudstorage.${name}.${way}.node_${what}_limit`)),
    );
    for (const [name, value] of [
      ...limits.map((limit) => [limit, '0 B'] as const),
      ['cloudstorage.timeout', '10m0s'],
      ['cloudstorage.http.custom_ca', ''],
      ['cloudstorage.azure.concurrent_upload_buffers', '1'],
      ['cloudstorage.gs.default.key', ''],
      ['kv.bulk_sst.target_size', '16 MiB'],
      ['kv.bulk_sst.max_allowed_overage', '64 MiB'],
      ['storage.sstable.compression_algorithm_backup_storage', 'fastest'],
      ['storage.sstable.compression_algorithm_backup_transport', 'fastest'],
    ] as const) {
      const [row] = (await client.run(`SHOW CLUSTER SETTING ${name}`)).rows;
      assert.is(String(Object.values(row ?? {})[0]), value, name);
    }
  } finally {
    await database.close();
  }
});

test('null:// takes everything and has nothing', async () => {
  const storage = openNullSink(ParsedUri.parse('null:///x'));
  assert.is((await storage.write('f', Buffer.from('abc'), { ifAbsent: true })).sizeBytes, 3);
  assert.equal(await storage.list(''), []);
  await storage.delete('f');
  for (const call of [() => storage.read('f'), () => storage.size('f')]) {
    const error = (await call().catch((thrown: unknown) => thrown)) as { code?: string };
    assert.is(error.code, '58P01');
  }
  assert.throws(() => openNullSink(ParsedUri.parse('null:///x?A=b')), /unknown null query parameters: A/);
});

test.run();
