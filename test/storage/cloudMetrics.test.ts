/** What storage counts: one wrapper for every adapter, and the connections of those that have some. */
import { Agent, get } from 'node:http';

import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { MetricRegistry } from '../../src/base/metrics.ts';
import { SystemClock } from '../../src/base/systemClock.ts';
import { CloudMetrics, metered } from '../../src/storage/cloudMetrics.ts';
import { ConnectionCounts } from '../../src/storage/connectionCounts.ts';
import { HttpClient } from '../../src/storage/http/httpClient.ts';
import { openHttp } from '../../src/storage/http/httpStorage.ts';
import { MemoryFiles, openMemory } from '../../src/storage/memory.ts';
import { StorageRegistry } from '../../src/storage/registry.ts';
import { ParsedUri } from '../../src/storage/uri.ts';
import { startFileServer } from '../servers/fileServer.ts';
import { storageConformance } from './conformance.ts';

const test = suite('cloud metrics');

{
  const files = new MemoryFiles();
  const counts = new CloudMetrics(new MetricRegistry());
  let opened = 0;
  const open = (uri: ParsedUri) => metered(openMemory(uri, files), counts);
  storageConformance('metered', {
    open: async () => open(ParsedUri.parse(`mem://metered${++opened}`)),
    reopen: async (storage) => open(storage.uri),
  });
}

async function shown(metrics: MetricRegistry): Promise<Record<string, number>> {
  const named = (await metrics.read()).filter(({ value }) => value !== 0);
  return Object.fromEntries(named.map(({ name, value }) => [name.replace('cloud.', ''), value]));
}

test('bytes, readers, writers and listings of whatever a registry opens', async () => {
  const metrics = new MetricRegistry();
  const registry = new StorageRegistry({ metrics });
  const files = new MemoryFiles();
  registry.register('mem', (uri) => openMemory(uri, files));
  const storage = registry.open('mem://bucket', { user: 'root', nodeId: 1 });
  await storage.write('a', Buffer.from('12345'));
  await storage.write('b', Buffer.from('12'));
  await storage.read('a', { offset: 1, length: 3 });
  const stream = storage.readStream('b')[Symbol.asyncIterator]();
  await stream.next();
  assert.is((await shown(metrics))['open_readers'], 1);
  await stream.next();
  await storage.list('');
  await storage.read('missing').catch(() => undefined);
  assert.equal(await shown(metrics), {
    listing_results: 2,
    listings: 1,
    read_bytes: 5,
    readers_opened: 3,
    write_bytes: 7,
    writers_opened: 2,
  });
});

test('a write under way is open, and one that fails wrote nothing', async () => {
  const metrics = new MetricRegistry();
  const storage = metered(openMemory(ParsedUri.parse('mem://bucket'), new MemoryFiles()), new CloudMetrics(metrics));
  const { promise: held, reject } = Promise.withResolvers<void>();
  const written = storage.write(
    'a',
    (async function* () {
      yield Buffer.from('1');
      await held;
    })(),
  );
  assert.equal(await shown(metrics), { open_writers: 1, writers_opened: 1 });
  reject(new Error('the source broke'));
  await written.then(
    () => assert.unreachable(),
    () => undefined,
  );
  assert.equal(await shown(metrics), { writers_opened: 1 });
});

test('HTTP storage counts the connections that it opens and uses again', async () => {
  const metrics = new MetricRegistry();
  const server = await startFileServer();
  const client = new HttpClient({ clock: new SystemClock(), connections: new ConnectionCounts(metrics) });
  try {
    const storage = openHttp(ParsedUri.parse(`http://${server.origin}/base`), client);
    for (const name of ['a', 'b', 'c']) await storage.write(name, Buffer.from(name));
    assert.equal(await shown(metrics), {
      conns_opened: server.connections,
      conns_reused: server.requests.length - server.connections,
    });
    assert.ok(server.requests.length > server.connections);
  } finally {
    await client.close();
    await server.close();
  }
});

test('an agent of Node that an SDK takes is counted, too', async () => {
  const metrics = new MetricRegistry();
  const server = await startFileServer();
  const agent = new ConnectionCounts(metrics).watch(new Agent({ keepAlive: true, maxSockets: 1 }), false);
  const ask = (): Promise<void> =>
    new Promise((resolve, reject) => {
      get(`http://${server.origin}/nothing`, { agent }, (response) => response.resume().on('end', () => setImmediate(resolve))).on(
        'error',
        reject,
      );
    });
  try {
    for (let i = 0; i < 3; i++) await ask();
    assert.equal(await shown(metrics), { conns_opened: 1, conns_reused: 2 });
  } finally {
    agent.destroy();
    await server.close();
  }
});

test.run();
