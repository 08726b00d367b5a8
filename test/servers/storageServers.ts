/**
 * `node bin/run.js test/servers/storageServers.ts [NAME...]`: storage adapters against the real servers of this
 * machine. Each is started on a free loopback port, runs the conformance suite and a chain of backups, and is
 * stopped. A server that is not installed fails.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';

import { SystemClock } from '../../src/base/systemClock.ts';
import type { ExternalStorage } from '../../src/storage/externalStorage.ts';
import { registerHttp } from '../../src/storage/http/registerHttp.ts';
import { ListingLocks, withListings } from '../../src/storage/listed.ts';
import { StorageRegistry } from '../../src/storage/registry.ts';
import { backupChain } from '../storage/backupChain.ts';
import { storageConformance } from '../storage/conformance.ts';
import type { ServerUnderTest } from './process.ts';
import { startCaddy, startNginx } from './webServers.ts';

const SERVERS: Readonly<Record<string, (folder: string) => Promise<ServerUnderTest>>> = { nginx: startNginx, caddy: startCaddy };

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
  registerHttp(registry, { clock: new SystemClock(), customCa: () => server.customCa ?? '', isDisabled: false });
  const locks = new ListingLocks();
  const open = (uri: string): ExternalStorage => withListings(registry.open(uri, { user: 'root', nodeId: 1 }), locks);
  let opened = 0;
  storageConformance(name, {
    open: async () => open(server.uri(`conformance/${++opened}`)),
    reopen: async (storage) => open(storage.uri.unredacted()),
  });

  const test = suite(`chain of backups: ${name}`);
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
