/**
 * `node bin/run.js test/servers/storageServers.ts [NAME...]`: storage adapters against the real servers of this
 * machine. Each is started on a free loopback port, runs the conformance suite and a chain of backups, and is
 * stopped. A server that is not installed fails.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { seededRandom } from '../../src/base/random.ts';
import { SystemClock } from '../../src/base/systemClock.ts';
import { AZURE_SCHEMES, openAzure } from '../../src/storage/azure/azureStorage.ts';
import type { ExternalStorage } from '../../src/storage/externalStorage.ts';
import { registerGcs } from '../../src/storage/gcs/registerGcs.ts';
import { registerHttp } from '../../src/storage/http/registerHttp.ts';
import { ListingLocks, withListings } from '../../src/storage/listed.ts';
import { StorageRegistry } from '../../src/storage/registry.ts';
import { openS3 } from '../../src/storage/s3/s3Storage.ts';
import { backupChain } from '../storage/backupChain.ts';
import { storageConformance } from '../storage/conformance.ts';
import { startAzurite } from './azurite/azuriteServer.ts';
import { startGcs } from './gcsServer.ts';
import type { ServerUnderTest } from './process.ts';
import { startSwift } from './swiftServer.ts';
import { startCaddy, startNginx } from './webServers.ts';

const SERVERS: Readonly<Record<string, (folder: string) => Promise<ServerUnderTest>>> = {
  nginx: startNginx,
  caddy: startCaddy,
  swift: startSwift,
  azurite: startAzurite,
  gcs: startGcs,
};

const wanted = process.argv.slice(2);
const unknown = wanted.find((name) => !Object.hasOwn(SERVERS, name));
if (unknown !== undefined) throw new Error(`no server "${unknown}": there are ${Object.keys(SERVERS).join(', ')}`);

// All are started before the first test is declared: a suite begins as soon as nobody declares another.
const started: [name: string, folder: string, server: ServerUnderTest][] = [];
for (const [name, start] of Object.entries(SERVERS)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  const folder = await mkdtemp(join(tmpdir(), `varve-${name}-`));
  try {
    started.push([name, folder, await start(folder)]);
  } catch (error) {
    for (const [, , server] of started) await server.stop();
    throw error;
  }
}
for (const [name, folder, server] of started) declareTests(name, folder, server);

function declareTests(name: string, folder: string, server: ServerUnderTest): void {
  const registry = new StorageRegistry();
  const clock = new SystemClock();
  const network = { clock, customCa: () => server.customCa ?? '' };
  registerHttp(registry, network);
  const cloud = { ...network, retry: { clock, random: seededRandom(name) } };
  registry.register('s3', (uri) => openS3(uri, cloud));
  for (const scheme of AZURE_SCHEMES) registry.register(scheme, (uri) => openAzure(uri, cloud));
  registerGcs(registry, cloud);
  const locks = new ListingLocks();
  const open = (uri: string): ExternalStorage => withListings(registry.open(uri, { user: 'root', nodeId: 1 }), locks);
  let opened = 0;
  storageConformance(name, {
    open: async () => open(server.uri(`conformance/${++opened}`)),
    reopen: async (storage) => open(storage.uri.unredacted()),
    ...(server.refuses && { refuses: server.refuses }),
  });

  const test = suite(`backups and large files: ${name}`);
  test('a stream of several parts is one file', async () => {
    const content = Buffer.alloc(20_000_003);
    for (let at = 0; at + 4 <= content.length; at += 4) content.writeUInt32LE(at, at);
    const storage = open(server.uri('large'));
    const { sizeBytes } = await storage.write('file', piecesOf(content));
    assert.is(sizeBytes, content.length);
    assert.is(await storage.size('file'), content.length);
    assert.ok(content.equals(await storage.read('file')));
    assert.ok(content.subarray(12_345_678).equals(await storage.read('file', { offset: 12_345_678 })));
    assert.equal(await storage.list(''), ['file']);
  });
  test('full, incremental and restore, encrypted, by locality', async () => {
    const settings = server.customCa === undefined ? [] : [`SET CLUSTER SETTING cloudstorage.http.custom_ca = '${server.customCa}'`];
    await backupChain({ uri: (place) => server.uri(place), settings });
  });
  test.after(async () => {
    await registry.close();
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  });
  test.run();
}

async function* piecesOf(content: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.length; at += 1_000_001) yield content.subarray(at, at + 1_000_001);
}
