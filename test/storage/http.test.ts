/** HTTP storage against a server on loopback: the conformance suite, and servers that misbehave. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import type { StorageError } from '../../src/base/errors.ts';
import { ManualClock } from '../../src/base/manualClock.ts';
import { seededRandom } from '../../src/base/random.ts';
import { SystemClock } from '../../src/base/systemClock.ts';
import type { ExternalStorage } from '../../src/storage/externalStorage.ts';
import { HttpClient } from '../../src/storage/http/httpClient.ts';
import { registerHttp } from '../../src/storage/http/registerHttp.ts';
import { openHttp } from '../../src/storage/http/httpStorage.ts';
import { ListingLocks, withListings } from '../../src/storage/listed.ts';
import { StorageRegistry } from '../../src/storage/registry.ts';
import { withRetry } from '../../src/storage/retry.ts';
import { ParsedUri } from '../../src/storage/uri.ts';
import { type FileServer, type Misbehaviour, startFileServer } from '../servers/fileServer.ts';
import { backupChain } from './backupChain.ts';
import { storageConformance } from './conformance.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text);
const text = (content: Uint8Array): string => Buffer.from(content).toString();

const server = await startFileServer();
const client = new HttpClient({ clock: new SystemClock() });

{
  const locks = new ListingLocks();
  let opened = 0;
  const open = (uri: ParsedUri): ExternalStorage => withListings(openHttp(uri, client), locks);
  storageConformance('http', {
    open: async () => open(ParsedUri.parse(`http://${server.origin}/with%20space/${++opened}`)),
    reopen: async (storage) => open(storage.uri),
  });
}

const test = suite('http storage');

/** A server of its own and a location on it, for one test. */
async function withServer(run: (server: FileServer, storage: ExternalStorage) => Promise<void>): Promise<void> {
  const own = await startFileServer();
  const ownClient = new HttpClient({ clock: new SystemClock() });
  try {
    await run(own, openHttp(ParsedUri.parse(`http://${own.origin}/base`), ownClient));
  } finally {
    await ownClient.close();
    await own.close();
  }
}

async function failure(call: Promise<unknown>): Promise<StorageError> {
  const error = await call.then(
    () => assert.unreachable('expected an error'),
    (thrown: unknown) => thrown,
  );
  return error as StorageError;
}

test('connections are used again', () =>
  withServer(async (own, storage) => {
    for (let i = 0; i < 20; i++) {
      await storage.write(`f${i}`, [bytes('a'), bytes('b')]);
      assert.is(text(await storage.read(`f${i}`)), 'ab');
      assert.is(await storage.size(`f${i}`), 2);
      await storage.delete(`f${i}`);
    }
    assert.ok(own.connections <= 3, `${own.connections} connections for 80 requests`);
  }));

test('a server that knows no ranges, or tells no length, is read all the same', () =>
  withServer(async (own, storage) => {
    await storage.write('f', bytes('0123456789'));
    await storage.write('empty', bytes(''));
    for (const hidesLength of [false, true]) {
      own.ignoresRanges = true;
      own.hidesLength = hidesLength;
      assert.is(text(await storage.read('f', { offset: 3, length: 4 })), '3456');
      assert.is(text(await storage.read('f', { offset: 8, length: 4 })), '89');
      assert.is((await storage.read('f', { offset: 20, length: 4 })).length, 0);
      assert.is(await storage.size('f'), 10);
      assert.is(await storage.size('empty'), 0);
    }
  }));

test('user and password are sent, and never shown', () =>
  withServer(async (own) => {
    const uri = ParsedUri.parse(`http://backup:hunter2%40@${own.origin}/base`);
    const storage = openHttp(uri, client);
    own.misbehave = () => 403;
    const error = await failure(storage.write('f', bytes('x')));
    assert.is(error.code, '42501');
    assert.is(error.message, `cannot write "f" in "http://backup:redacted@${own.origin}/base": the server answered 403 (forbidden)`);
    assert.is(error.detail, 'the server says: told to answer 403');
    assert.equal([...own.authorizations], [`Basic ${Buffer.from('backup:hunter2@').toString('base64')}`]);
    assert.not.match(JSON.stringify([error.message, error.detail, error.hint, error.redactedUri]), 'hunter2');
  }));

test('each answer has its class', () =>
  withServer(async (own, storage) => {
    for (const [status, code, isRetryable] of [
      [301, '58030', false],
      [400, '58030', false],
      [401, '42501', false],
      [405, '0A000', false],
      [408, '58030', true],
      [409, '58030', false],
      [413, '54000', false],
      [429, '58030', true],
      [500, '58030', true],
      [501, '0A000', false],
      [503, '58030', true],
      [507, '53000', false],
    ] as const) {
      own.misbehave = () => status;
      for (const call of [
        () => storage.write('f', bytes('x')),
        () => storage.read('f'),
        () => storage.size('f'),
        () => storage.delete('f'),
      ]) {
        const error = await failure(call());
        assert.equal([error.code, error.isRetryable], [code, isRetryable], `${status}: ${error.message}`);
        assert.match(error.message, `the server answered ${status}`);
      }
    }
    own.misbehave = () => 405;
    assert.is(
      (await failure(storage.write('f', bytes('x')))).hint,
      'the server must answer GET, PUT and DELETE (nginx: dav_methods PUT DELETE)',
    );
  }));

test('connections that cannot be made', async () => {
  const gone = await startFileServer();
  await gone.close();
  const error = await failure(openHttp(ParsedUri.parse(`http://${gone.origin}/b`), client).read('f'));
  assert.is(error.message, `cannot read "f" in "http://${gone.origin}/b": the server refuses connections`);
  assert.ok(error.isRetryable);
  // Plain HTTP where TLS is expected.
  const tls = await failure(openHttp(ParsedUri.parse(`https://${server.origin}/b`), client).read('f'));
  assert.not(tls.isRetryable);
  assert.is(tls.code, '58030');
});

/** Lets sockets speak between the seconds of a manual clock, an hour at most. */
async function whileTimePasses<T>(clock: ManualClock, call: Promise<T>): Promise<T> {
  let done = false;
  const finished = call.finally(() => {
    done = true;
  });
  finished.catch(() => {});
  for (let turn = 0; turn < 200_000 && !done; turn++) {
    await new Promise((resolve) => setImmediate(resolve));
    if (turn % 50 === 49) await clock.advance('10s');
  }
  return await finished;
}

const FAULTS: readonly Misbehaviour[] = ['reset', 'stall', 'truncate', 500, 503, 429];

test('whichever request goes wrong, and however, retries end in the right bytes', async () => {
  const content = Buffer.from(seededRandom('sweep').bytes(200_000), 'latin1');
  const requestCount = 6;
  for (const fault of FAULTS) {
    for (let nth = 1; nth <= requestCount; nth++) {
      const own = await startFileServer();
      const clock = new ManualClock('2026-11-20T00:00:00Z');
      const ownClient = new HttpClient({ clock });
      const plain = openHttp(ParsedUri.parse(`http://${own.origin}/base`), ownClient);
      const storage = withRetry(plain, { clock, random: seededRandom(nth) });
      own.misbehave = () => (own.requests.length === nth ? fault : undefined);
      try {
        await whileTimePasses(
          clock,
          (async () => {
            await storage.write('a', content);
            await storage.write('b', [content.subarray(0, 10), content.subarray(10)]);
            assert.ok(content.equals(await storage.read('a')), `${fault} at request ${nth}`);
            const pieces: Uint8Array[] = [];
            for await (const piece of storage.readStream('b', { offset: 10 })) pieces.push(piece);
            assert.ok(content.subarray(10).equals(Buffer.concat(pieces)), `${fault} at request ${nth}`);
            assert.is(await storage.size('b'), content.length);
            await storage.delete('a');
          })(),
        );
        assert.equal([...own.files.keys()], ['base/b']);
        // What truncates nothing shows in the number of requests.
        if (fault !== 'truncate') assert.is(own.requests.length, requestCount + 1, `${fault} at request ${nth}`);
      } finally {
        await ownClient.close();
        await own.close();
      }
    }
  }
});

test('a fault that stays is an error that says how often it was tried', async () => {
  for (const fault of FAULTS) {
    const own = await startFileServer();
    const clock = new ManualClock('2026-11-20T00:00:00Z');
    const ownClient = new HttpClient({ clock });
    const storage = withRetry(openHttp(ParsedUri.parse(`http://${own.origin}/base`), ownClient), { clock, random: seededRandom('stay') });
    own.files.set('base/f', Buffer.alloc(100_000, 1));
    own.misbehave = () => fault;
    const error = await failure(whileTimePasses(clock, storage.read('f')));
    assert.is(error.code, '58030', `${fault}: ${error}`);
    if (typeof fault === 'string') assert.is(error.detail, 'tried 5 times', fault);
    assert.is(own.requests.length, 5);
    await ownClient.close();
    await own.close();
  }
});

test('a stream that its reader leaves early frees its connection', () =>
  withServer(async (own, storage) => {
    await storage.write('large', Buffer.alloc(8 << 20, 7));
    for (let i = 0; i < 40; i++) {
      for await (const piece of storage.readStream('large')) {
        assert.ok(piece.length > 0);
        break;
      }
    }
    assert.is(text(await storage.read('large', { length: 1 })), '\x07');
    assert.ok(own.connections <= 42);
  }));

test('a chain of backups is taken, continued and restored', async () => {
  await backupChain({ uri: (name) => `http://${server.origin}/${name}` });
  // What has been stored says nothing in clear.
  for (const [path, content] of server.files) if (path.startsWith('chain-')) assert.not(content.includes('accounts'), path);
  assert.ok([...server.files.keys()].some((path) => path.startsWith('chain-west/')));
});

test('URIs that cannot be are refused', () => {
  const registry = new StorageRegistry();
  registerHttp(registry, { clock: new SystemClock() });
  const context = { user: 'root', nodeId: 1 };
  for (const [uri, message] of [
    ['http:///path', 'no server in "http:///path"'],
    ['http://host:99999/path', 'no server in "http://host:99999/path"'],
    ['https://host/a/../b', 'path of "https://host/a/../b" is not normalised'],
    ['http://host/p?AWS_SECRET_ACCESS_KEY=hunter2', 'unknown http query parameters: AWS_SECRET_ACCESS_KEY'],
  ] as const) {
    assert.throws(
      () => registry.open(uri, context),
      (error: StorageError) => error.code === '22023' && error.message === message,
    );
  }
  for (const scheme of ['http', 'https', 'file-http', 'file-https']) {
    assert.not(registry.open(`${scheme}://host:8080/p?COCKROACH_LOCALITY=default`, context).capabilities.list);
  }
});

test('--external-io-disable-http refuses every HTTP location', () => {
  const registry = new StorageRegistry({ rules: { disableHttp: true } });
  registerHttp(registry, { clock: new SystemClock() });
  for (const scheme of ['http', 'https', 'file-http', 'file-https']) {
    assert.throws(
      () => registry.open(`${scheme}://user:hunter2@host/p`, { user: 'root', nodeId: 1 }),
      (error: StorageError) =>
        error.code === '42501' && error.message === 'external http access disabled' && !error.detail?.includes('hunter2'),
    );
  }
});

test.after(async () => {
  await client.close();
  await server.close();
});

test.run();
