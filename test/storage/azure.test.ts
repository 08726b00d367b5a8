/** Azure storage against a service on loopback: the conformance suite, parameters, staged blocks, signing in, errors. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import type { StorageError } from '../../src/base/errors.ts';
import { ManualClock } from '../../src/base/manualClock.ts';
import { seededRandom } from '../../src/base/random.ts';
import { SystemClock } from '../../src/base/systemClock.ts';
import { type AzureContext, openAzure } from '../../src/storage/azure/azureStorage.ts';
import type { ExternalStorage } from '../../src/storage/externalStorage.ts';
import { withRetry } from '../../src/storage/retry.ts';
import { ParsedUri } from '../../src/storage/uri.ts';
import { AZURE_ACCOUNT, startAzureBlobServer } from '../servers/azureBlobServer.ts';
import { startFileServer } from '../servers/fileServer.ts';
import { backupChain } from './backupChain.ts';
import { storageConformance } from './conformance.ts';

const server = await startAzureBlobServer();
const SECRET = 'aHVudGVyMi9zZWNyZXQ+/w==';
const NAME = `AZURE_ACCOUNT_NAME=${AZURE_ACCOUNT}`;
const KEY = `AZURE_ACCOUNT_KEY=${encodeURIComponent(SECRET)}`;
const PLACE = `AZURE_ENDPOINT=${encodeURIComponent(`${server.origin}/${AZURE_ACCOUNT}`)}`;
const clock = new SystemClock();
const policy = { attemptsMax: 5, initialDelayMicros: 0, delayMicrosMax: 0 };
const retry = { clock, random: seededRandom('azure'), policy };
const PART = 100_000;
const whole: AzureContext = { clock, retry };
const context: AzureContext = { ...whole, partBytes: PART };
const openUri = (uri: string, given = context): ExternalStorage => openAzure(ParsedUri.parse(uri), given);
const open = (path: string): ExternalStorage => openUri(`azure-blob://container/${path}?${NAME}&${KEY}&${PLACE}`);

{
  let opened = 0;
  storageConformance('azure', {
    open: async () => openAzure(open(`conformance/${++opened}`).uri, whole),
    reopen: async (storage) => openAzure(storage.uri, whole),
    refuses: /\\|\.(?:\/|$)|\uffff/,
  });
}

const test = suite('azure storage');

test.before.each(() => {
  server.fault = () => undefined;
});

async function failure(call: Promise<unknown>): Promise<StorageError> {
  return (await call.then(
    () => assert.unreachable('expected an error'),
    (thrown: unknown) => thrown,
  )) as StorageError;
}

/** In chunks that fit in no block. */
async function* streamed(content: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.length; at += 30_001) yield content.subarray(at, at + 30_001);
}

const large = Buffer.alloc(2 * PART + 12_345);
for (let at = 0; at + 4 <= large.length; at += 4) large.writeUInt32LE(at, at);
const isBlock = (url: URL) => url.searchParams.get('comp') === 'block';

test('a large stream goes out in blocks, each of which may be tried again', async () => {
  const storage = open('large');
  let refusals = 0;
  server.fault = ({ url }) => (isBlock(url) && ++refusals <= 2 ? { status: 503, code: 'ServerBusy' } : undefined);
  const result = await storage.write('f', streamed(large));
  assert.is(result.sizeBytes, large.length);
  assert.is(refusals, 5);
  assert.ok(large.equals(await storage.read('f')));
  assert.is(server.blocks.size, 0);
});

test('a commit whose answer is lost is known by its own mark', async () => {
  const storage = open('lost');
  let calls = 0;
  server.fault = ({ url }) =>
    url.searchParams.get('comp') === 'blocklist' && ++calls === 1 ? { status: 500, code: 'InternalError', after: true } : undefined;
  await storage.write('f', streamed(large), { ifAbsent: true });
  assert.is(calls, 2);
  assert.ok(large.equals(await storage.read('f')));
  assert.is((await failure(storage.write('f', streamed(large), { ifAbsent: true }))).code, '58P02');
});

test('an upload that fails or is aborted leaves nothing to be seen', async () => {
  const storage = open('failing');
  server.fault = ({ url }) => (isBlock(url) ? { status: 403, code: 'AuthorizationFailure' } : undefined);
  assert.is((await failure(storage.write('f', streamed(large)))).code, '42501');
  server.fault = () => undefined;
  const controller = new AbortController();
  async function* aborting() {
    yield* streamed(large);
    controller.abort(new Error('job canceled'));
  }
  assert.match((await failure(storage.write('f', aborting(), { signal: controller.signal }))).message, 'job canceled');
  assert.equal(await storage.list(''), []);
});

test('as many blocks are on their way as cloudstorage.azure.concurrent_upload_buffers says', async () => {
  const counts: number[] = [];
  for (const buffers of [1, 3]) {
    const counting = new SystemClock();
    let [now, most] = [0, 0];
    // Each call has a timer of its own while it is on its way.
    const setTimer = counting.setTimer.bind(counting);
    counting.setTimer = (...given) => {
      most = Math.max(most, ++now);
      const timer = setTimer(...given);
      const cancel = () => {
        now--;
        timer.cancel();
      };
      return { cancel };
    };
    const storage = openUri(`azure-blob://container/buffers?${NAME}&${KEY}&${PLACE}`, {
      ...context,
      clock: counting,
      uploadBuffers: () => buffers,
    });
    await storage.write(`f${buffers}`, streamed(large));
    counts.push(most);
  }
  assert.equal(counts, [1, 3]);
});

test('each refusal has its class and its advice, and no secret', async () => {
  const storage = open('refusals');
  for (const [status, name, code, isRetryable] of [
    [403, 'AuthenticationFailed', '42501', false],
    [403, 'AuthorizationPermissionMismatch', '42501', false],
    [404, 'ContainerNotFound', '58030', false],
    [409, 'BlobArchived', '55000', false],
    [429, 'TooManyRequests', '58030', true],
    [500, 'InternalError', '58030', true],
    [500, 'OperationTimedOut', '58030', true],
    [503, 'ServerBusy', '58030', true],
  ] as const) {
    server.fault = () => ({ status, code: name });
    for (const call of [() => storage.write('f', Buffer.from('x')), () => storage.read('f'), () => storage.list('')]) {
      const error = await failure(call());
      assert.equal([error.code, error.isRetryable], [code, isRetryable], `${name}: ${error.message}`);
      assert.match(error.message, `${name}: told so`);
      assert.match(error.message, 'AZURE_ACCOUNT_KEY=redacted');
      assert.not.match(`${error.message} ${error.detail} ${error.hint} ${error.stack} ${JSON.stringify(error)}`, 'aHVudGVy');
    }
  }
});

test('the n-th call fails: the retry makes a whole of it', async () => {
  const calls: Readonly<Record<string, (storage: ExternalStorage) => Promise<unknown>>> = {
    write: (storage) => storage.write('w', Buffer.from('x')),
    read: async (storage) => assert.is(String(Buffer.from(await storage.read('f'))), 'content'),
    size: async (storage) => assert.is(await storage.size('f'), 7),
    list: async (storage) => assert.ok((await storage.list('')).includes('f')),
    delete: (storage) => storage.delete('w'),
  };
  for (const fault of [
    'reset',
    'truncate',
    { status: 429, code: 'TooManyRequests' },
    { status: 500, code: 'InternalError' },
    { status: 503, code: 'ServerBusy' },
  ] as const) {
    for (const [name, call] of Object.entries(calls)) {
      const storage = withRetry(open(`sweep/${name}/${typeof fault === 'string' ? fault : fault.status}`), retry);
      await storage.write('f', Buffer.from('content'));
      for (const failures of [1, 4, 5]) {
        let left = failures;
        server.fault = () => (left-- > 0 ? fault : undefined);
        if (failures < 5) await call(storage);
        else assert.match(String((await failure(call(storage))).detail), 'tried 5 times');
        server.fault = () => undefined;
      }
    }
  }
});

test('wrong accounts, wrong containers, and endpoints that are not what they claim', async () => {
  const wrong = await failure(
    openUri(`azure://container/p?AZURE_ACCOUNT_NAME=other&${KEY}&AZURE_ENDPOINT=${encodeURIComponent(`${server.origin}/other`)}`).list(''),
  );
  assert.equal([wrong.code, wrong.hint], ['42501', "check AZURE_ACCOUNT_KEY, percent-encoded, and the server's clock"]);
  const nowhere = await failure(openUri(`azure-storage://elsewhere/p?${NAME}&${KEY}&${PLACE}`).read('f'));
  assert.match(nowhere.message, 'ContainerNotFound');
  assert.is(nowhere.hint, 'make the container first, or check its name: the host of the URI');
  const closed = await failure(openUri(`azure://c/p?${NAME}&${KEY}&AZURE_ENDPOINT=http%3A%2F%2F127.0.0.1%3A1`).read('f'));
  assert.ok(closed.isRetryable);
  assert.match(closed.message, 'the server refuses connections');
  const files = await startFileServer();
  files.misbehave = () => 400;
  const at = `AZURE_ENDPOINT=${encodeURIComponent(`http://${files.origin}`)}`;
  const stranger = await failure(openUri(`azure://c/p?${NAME}&${KEY}&${at}`).list(''));
  assert.match(String(stranger.hint), 'is AZURE_ENDPOINT a blob service?');
  await files.close();
});

test('a service that stays silent is given up on the injected clock', async () => {
  const silent = await startFileServer();
  silent.misbehave = () => 'stall';
  const manual = new ManualClock('2026-11-20T00:00:00Z');
  const storage = openUri(`azure://c/p?${NAME}&${KEY}&AZURE_ENDPOINT=${encodeURIComponent(`http://${silent.origin}`)}`, {
    ...context,
    clock: manual,
  });
  const reading = failure(storage.read('f'));
  while (silent.requests.length === 0) await new Promise((resolve) => setImmediate(resolve));
  for (let minute = 0; minute < 5; minute++) await manual.advance('1m');
  const error = await reading;
  assert.ok(error.isRetryable);
  assert.match(error.message, 'no answer within 120 s');
  await silent.close();
});

test('an app registration signs in; a wrong one is told so', async () => {
  const app = { tenant: 'contoso', clientId: 'client', clientSecret: 'hunter2' };
  const tls = await startAzureBlobServer(app);
  const signIn = { origin: tls.origin, ca: tls.ca };
  const given: AzureContext = { ...context, signIn, customCa: () => tls.ca };
  const at = `${NAME}&AZURE_ENDPOINT=${encodeURIComponent(`${tls.origin}/${AZURE_ACCOUNT}`)}`;
  const ofApp = 'AZURE_TENANT_ID=contoso&AZURE_CLIENT_ID=client&AZURE_CLIENT_SECRET=';
  const folder = await mkdtemp(join(tmpdir(), 'varve-azure-'));
  const variable = 'COCKROACH_AZURE_APPLICATION_CREDENTIALS_FILE';
  try {
    const storage = openUri(`azure-blob://container/app?${at}&${ofApp}hunter2`, given);
    await storage.write('f', Buffer.from('x'));
    assert.equal(await storage.list(''), ['f']);
    const wrong = await failure(openUri(`azure-blob://container/app?${at}&${ofApp}hunter3`, given).list(''));
    assert.equal([wrong.code, wrong.isRetryable], ['42501', false]);
    assert.match(wrong.message, 'AADSTS7000215');
    assert.not.match(`${wrong.message} ${wrong.detail} ${wrong.hint} ${wrong.stack}`, 'hunter3');

    process.env[variable] = join(folder, 'credentials.yaml');
    const implicit = () => openUri(`azure-blob://container/app?${at}&AUTH=implicit`, given);
    assert.match((await failure(implicit().list(''))).message, `the credentials file of ${variable} cannot be read: ENOENT`);
    await writeFile(process.env[variable], 'azure_tenant_id: contoso\nazure_client_id: client # of the test\n');
    assert.match((await failure(implicit().list(''))).message, 'lacks azure_client_secret');
    await writeFile(process.env[variable], 'azure_tenant_id: contoso\nazure_client_id: "client"\nazure_client_secret: \'hunter2\'\n');
    assert.equal(await implicit().list(''), ['f']);
  } finally {
    delete process.env[variable];
    await rm(folder, { recursive: true });
    await tls.close();
  }
});

test('parameters that cannot be are refused', () => {
  const oneWay =
    'explicit azure uri requires exactly one authentication method: "AZURE_ACCOUNT_KEY" OR all three of "AZURE_TENANT_ID", "AZURE_CLIENT_ID", and "AZURE_CLIENT_SECRET"';
  for (const [parameters, message] of [
    [KEY, 'azure uri missing "AZURE_ACCOUNT_NAME" parameter'],
    [NAME, oneWay],
    [`${NAME}&AZURE_CLIENT_ID=a`, oneWay],
    [`${NAME}&${KEY}&AZURE_CLIENT_ID=a`, oneWay],
    [`${NAME}&AUTH=implicit&${KEY}`, 'implicit azure auth does not support uri param AZURE_ACCOUNT_KEY'],
    [`${NAME}&AUTH=sometimes`, 'unsupported value sometimes for AUTH'],
    [`${NAME}&${KEY}&AWS_REGION=x`, 'unknown azure query parameters: AWS_REGION'],
    [`${NAME}&${KEY}&AZURE_ENVIRONMENT=MOON`, 'azure environment: there is none of this name'],
    [`${NAME}&${KEY}&AZURE_ENDPOINT=ftp%3A%2F%2Fh`, 'AZURE_ENDPOINT is not the URL of a server'],
    [`${NAME}&AUTH=implicit&AZURE_ENDPOINT=http%3A%2F%2Fh`, 'AZURE_ENDPOINT without TLS takes an account key only'],
    [`AZURE_ACCOUNT_NAME=evil.example.com%2F&${KEY}`, 'azure: account name is not valid'],
    [`${NAME}&AZURE_ACCOUNT_KEY=no%20%21key`, 'AZURE_ACCOUNT_KEY is not base64'],
  ] as const) {
    assert.throws(
      () => openUri(`azure-blob://container/p?${parameters}`),
      (error: StorageError) => error.code === '22023' && error.message === message && !`${error.detail}`.includes('aHVudGVy'),
      message,
    );
  }
  assert.throws(() => openUri(`azure-blob:///p?${NAME}&${KEY}`), /no container/);
  assert.throws(() => openUri(`azure-blob://container/p./q?${NAME}&${KEY}`), /Azure cannot keep the name/);
});

test('a chain of backups is taken, continued and restored', async () => {
  await backupChain({ uri: (name) => `azure-blob://container/${name}?${NAME}&${KEY}&${PLACE}` });
});

test.after(() => server.close());

test.run();
