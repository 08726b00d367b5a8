/** Google Cloud Storage against a service on loopback: the conformance suite, signing in, resumable uploads, errors. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import type { StorageError } from '../../src/base/errors.ts';
import { ManualClock } from '../../src/base/manualClock.ts';
import { seededRandom } from '../../src/base/random.ts';
import { SystemClock } from '../../src/base/systemClock.ts';
import type { ExternalStorage } from '../../src/storage/externalStorage.ts';
import { type GcsContext, openGcs } from '../../src/storage/gcs/gcsStorage.ts';
import { HttpClient } from '../../src/storage/http/httpClient.ts';
import { withRetry } from '../../src/storage/retry.ts';
import { ParsedUri } from '../../src/storage/uri.ts';
import { startFileServer } from '../servers/fileServer.ts';
import { startGcsServer } from '../servers/gcsServer.ts';
import { backupChain } from './backupChain.ts';
import { storageConformance } from './conformance.ts';

const server = await startGcsServer({ impersonated: 'target@p', delegates: ['middle@p'] });
const KEY = `CREDENTIALS=${encodeURIComponent(Buffer.from(server.accountKey).toString('base64'))}`;
const TOKEN = `BEARER_TOKEN=${server.token}`;
const PLACE = `GOOGLE_ENDPOINT=${encodeURIComponent(server.origin)}`;
const PART = 256 << 10;
const clock = new SystemClock();
const policy = { attemptsMax: 5, initialDelayMicros: 0, delayMicrosMax: 0 };
const retry = { clock, random: seededRandom('gcs'), policy };
const http = new HttpClient({ clock });
const context: GcsContext = { http, retry, partBytes: PART };
const openUri = (uri: string, given = context): ExternalStorage => openGcs(ParsedUri.parse(uri), given);
const open = (path: string, parameters = TOKEN): ExternalStorage => openUri(`gs://bucket/${path}?${parameters}&${PLACE}`);

{
  let opened = 0;
  storageConformance('gcs', {
    open: async () => open(`conformance/${++opened}`),
    reopen: async (storage) => openGcs(storage.uri, context),
  });
}

const test = suite('gcs storage');

test.before.each(() => {
  server.fault = () => undefined;
});

async function failure(call: Promise<unknown>): Promise<StorageError> {
  return (await call.then(
    () => assert.unreachable('expected an error'),
    (thrown: unknown) => thrown,
  )) as StorageError;
}

/** In chunks that fit in no part. */
async function* streamed(content: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.length; at += 100_001) yield content.subarray(at, at + 100_001);
}

const large = Buffer.alloc(3 * PART + 12_345);
for (let at = 0; at + 4 <= large.length; at += 4) large.writeUInt32LE(at, at);
const isPart = ({ method, url }: { method: string; url: URL }) => method === 'PUT' && url.searchParams.has('upload_id');
const openSessions = () => [...server.sessions.values()].filter(({ isDone }) => !isDone).length;

test('parts of an upload are asked after when they fail, and sent from where they got to', async () => {
  for (const [name, content] of [
    ['odd', large],
    ['even', large.subarray(0, 3 * PART)],
  ] as const) {
    for (const isAfter of [false, true]) {
      const storage = open(`large/${name}/${isAfter}`);
      let calls = 0;
      // Every third request fails, before or after its work.
      server.fault = (request) =>
        isPart(request) && ++calls % 3 === 1 ? { status: 503, code: 'backendError', after: isAfter } : undefined;
      const result = await storage.write('f', streamed(content), { ifAbsent: true });
      assert.is(result.sizeBytes, content.length);
      server.fault = () => undefined;
      assert.ok(content.equals(await storage.read('f')), `${name} ${isAfter}`);
      assert.is((await failure(storage.write('f', streamed(content), { ifAbsent: true }))).code, '58P02');
    }
  }
  assert.is(openSessions(), 0);
});

test('a service that keeps less of a part than it was sent gets the rest', async () => {
  server.keepBytesMax = PART;
  const storage = openUri(`gs://bucket/slow?${TOKEN}&${PLACE}`, { ...context, partBytes: 2 * PART });
  await storage.write('f', streamed(large));
  server.keepBytesMax = Number.POSITIVE_INFINITY;
  assert.ok(large.equals(await storage.read('f')));
  assert.is(server.requests.filter((request) => isPart(request) && request.body.length > PART).length > 1, true);
});

test('a service that takes parts and keeps nothing of them is not sent them for ever', async () => {
  const storage = open('nothing');
  let calls = 0;
  server.keepBytesMax = 0;
  server.fault = (request) => (isPart(request) && ++calls === 1 ? { status: 503, code: 'backendError' } : undefined);
  const error = await failure(storage.write('f', streamed(large)));
  server.keepBytesMax = Number.POSITIVE_INFINITY;
  assert.match(error.message, 'the upload session has lost what was sent');
  assert.ok(calls < 5);
  assert.is(openSessions(), 0);
});

test('an upload that fails or is aborted is ended', async () => {
  const storage = open('failing');
  server.fault = (request) => (isPart(request) ? { status: 403, code: 'forbidden' } : undefined);
  assert.is((await failure(storage.write('f', streamed(large)))).code, '42501');
  server.fault = () => undefined;
  const controller = new AbortController();
  async function* aborting() {
    yield* streamed(large);
    controller.abort(new Error('job canceled'));
  }
  assert.match((await failure(storage.write('f', aborting(), { signal: controller.signal }))).message, 'job canceled');
  assert.is(openSessions(), 0);
  assert.equal(await storage.list(''), []);
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
    { status: 403, code: 'rateLimitExceeded' },
    { status: 429, code: 'rateLimitExceeded' },
    { status: 500, code: 'internalError' },
    { status: 503, code: 'backendError' },
  ] as const) {
    for (const [name, call] of Object.entries(calls)) {
      const storage = withRetry(open(`sweep/${name}/${typeof fault === 'string' ? fault : fault.status}`), retry);
      await storage.write('f', Buffer.from('content'));
      for (const failures of [1, 4, 5]) {
        let left = failures;
        server.fault = () => (left-- > 0 ? fault : undefined);
        if (failures < 5) await call(storage);
        // A cut answer to a write or delete that needs none is no failure.
        else if (fault !== 'truncate') assert.match(String((await failure(call(storage))).detail), 'tried 5 times');
        server.fault = () => undefined;
      }
    }
  }
});

test('each refusal has its class and its advice, and no secret', async () => {
  const storage = open('refusals', KEY);
  for (const [status, reason, code, isRetryable] of [
    [401, 'authError', '42501', false],
    [403, 'forbidden', '42501', false],
    [403, 'rateLimitExceeded', '58030', true],
    [403, 'retentionPolicyNotMet', '42501', false],
    [413, 'uploadTooLarge', '54000', false],
    [429, 'rateLimitExceeded', '58030', true],
    [500, 'internalError', '58030', true],
    [501, 'notImplemented', '0A000', false],
    [503, 'backendError', '58030', true],
  ] as const) {
    server.fault = () => ({ status, code: reason });
    for (const call of [() => storage.write('f', Buffer.from('x')), () => storage.read('f'), () => storage.list('')]) {
      const error = await failure(call());
      assert.equal([error.code, error.isRetryable], [code, isRetryable], `${reason}: ${error.message}`);
      assert.match(error.message, `the service answered ${status} (${reason}): told so`);
      assert.match(error.message, 'CREDENTIALS=redacted');
      assert.not.match(`${error.message} ${error.detail} ${error.hint} ${error.stack} ${JSON.stringify(error)}`, 'PRIVATE KEY');
    }
  }
});

test('a service account signs in, by itself, as another, and by the setting; clocks apart are told of', async () => {
  const own = open('signed', KEY);
  await own.write('f', Buffer.from('x'));
  assert.equal(await own.list(''), ['f']);
  const tokens = server.requests.filter(({ url }) => url.pathname === '/token').length;
  await own.read('f');
  assert.is(server.requests.filter(({ url }) => url.pathname === '/token').length, tokens);
  assert.equal(await open('signed', `${KEY}&ASSUME_ROLE=middle%40p%2Ctarget%40p`).list(''), ['f']);
  assert.equal(await open('signed', `${TOKEN}&ASSUME_ROLE=middle%40p%2Ctarget%40p`).list(''), ['f']);
  const denied = await failure(open('signed', `${KEY}&ASSUME_ROLE=other%40p`).list(''));
  assert.equal([denied.code, denied.isRetryable], ['42501', false]);
  assert.match(denied.message, "Permission 'iam.serviceAccounts.getAccessToken' denied on other@p");
  const byDefault = openUri(`gs://bucket/signed?AUTH=default&${PLACE}`, { ...context, defaultKey: () => server.accountKey });
  assert.equal(await byDefault.list(''), ['f']);

  server.skewSeconds = 10_000;
  const skewed = await failure(open('signed', KEY).list(''));
  server.skewSeconds = 0;
  assert.is(skewed.code, '42501');
  assert.match(skewed.message, 'Invalid JWT: Token must be a short-lived token');
  assert.match(String(skewed.hint), 'the clock of the server');

  const other = await startGcsServer();
  const stranger = `CREDENTIALS=${encodeURIComponent(Buffer.from(other.accountKey).toString('base64'))}`;
  await other.close();
  assert.match((await failure(open('signed', stranger).list(''))).message, 'invalid_grant: Invalid JWT Signature.');
  const broken = Buffer.from(JSON.stringify({ client_email: 'a@b', private_key: 'hunter2' })).toString('base64');
  const unreadable = await failure(open('signed', `CREDENTIALS=${broken}`).list(''));
  assert.equal([unreadable.code, unreadable.isRetryable], ['42501', false]);
  assert.not.match(`${unreadable.message} ${unreadable.stack}`, 'hunter2');
  const wrong = await failure(open('signed', 'BEARER_TOKEN=hunter2').list(''));
  assert.equal([wrong.code, wrong.hint], ['42501', 'the token has run out, or was never one']);
});

test('an environment that could not sign in is asked again', async () => {
  const file = join(mkdtempSync(join(tmpdir(), 'varve-gcs-')), 'key.json');
  const before = process.env.GOOGLE_APPLICATION_CREDENTIALS;
  process.env.GOOGLE_APPLICATION_CREDENTIALS = file;
  try {
    const storage = open('again', 'AUTH=implicit');
    assert.match((await failure(storage.list(''))).message, /signing in failed/);
    writeFileSync(file, server.accountKey);
    assert.equal(await storage.list(''), []);
  } finally {
    if (before === undefined) delete process.env.GOOGLE_APPLICATION_CREDENTIALS;
    else process.env.GOOGLE_APPLICATION_CREDENTIALS = before;
    rmSync(dirname(file), { recursive: true });
  }
});

test('who gives up does not wait for a sign-in that stays silent', async () => {
  const silent = await startFileServer();
  silent.misbehave = () => 'stall';
  const at = `GOOGLE_ENDPOINT=${encodeURIComponent(`http://${silent.origin}`)}`;
  const controller = new AbortController();
  const reading = failure(openUri(`gs://b/p?${KEY}&${at}`).read('f', { signal: controller.signal }));
  while (silent.requests.length === 0) await new Promise((resolve) => setImmediate(resolve));
  controller.abort(new Error('statement canceled'));
  assert.match((await reading).message, 'statement canceled');
  await silent.close();
});

test('who pays for requests is said in each', async () => {
  const storage = open('paid', `${TOKEN}&GOOGLE_BILLING_PROJECT=payer`);
  const before = server.requests.length;
  await storage.write('f', Buffer.from('x'));
  await storage.write('large', streamed(large));
  await storage.read('f');
  await storage.list('');
  const asked = server.requests.slice(before).filter(({ url }) => !url.searchParams.has('upload_id'));
  assert.is(asked.length, 4);
  for (const { url } of asked) assert.is(url.searchParams.get('userProject'), 'payer', url.href);
});

test('wrong buckets, and endpoints that are not what they claim', async () => {
  const nowhere = await failure(openUri(`gs://elsewhere/p?${TOKEN}&${PLACE}`).read('f'));
  assert.match(nowhere.message, 'The specified bucket does not exist.');
  assert.is(nowhere.hint, 'make the bucket first, or check its name: the host of the URI');
  const closed = await failure(openUri(`gs://b/p?${TOKEN}&GOOGLE_ENDPOINT=http%3A%2F%2F127.0.0.1%3A1`).read('f'));
  assert.ok(closed.isRetryable);
  assert.match(closed.message, 'the server refuses connections');
  const files = await startFileServer();
  const stranger = openUri(`gs://b/p?${TOKEN}&GOOGLE_ENDPOINT=${encodeURIComponent(`http://${files.origin}`)}`);
  files.misbehave = () => 400;
  assert.match(String((await failure(stranger.list(''))).hint), 'is GOOGLE_ENDPOINT a service');
  files.misbehave = () => undefined;
  files.files.set('storage/v1/b/b/o?prefix=p/&fields=items(name),prefixes,nextPageToken', Buffer.from('<html>'));
  assert.match((await failure(stranger.list(''))).message, 'the answer is not JSON');
  await files.close();
});

test('a service that stays silent is given up on the injected clock', async () => {
  const silent = await startFileServer();
  silent.misbehave = () => 'stall';
  const manual = new ManualClock('2026-11-20T00:00:00Z');
  const client = new HttpClient({ clock: manual });
  const at = `GOOGLE_ENDPOINT=${encodeURIComponent(`http://${silent.origin}`)}`;
  for (const parameters of [TOKEN, KEY]) {
    const seen = silent.requests.length;
    const storage = openUri(`gs://b/p?${parameters}&${at}`, { http: client, retry: { ...retry, clock: manual } });
    const reading = failure(storage.read('f'));
    while (silent.requests.length === seen) await new Promise((resolve) => setImmediate(resolve));
    for (let minute = 0; minute < 3; minute++) await manual.advance('1m');
    const error = await reading;
    assert.ok(error.isRetryable);
    assert.match(error.message, 'no answer within 60 s');
  }
  await client.close();
  await silent.close();
});

test('parameters that cannot be are refused', () => {
  for (const [parameters, message] of [
    ['', 'CREDENTIALS or BEARER_TOKEN must be set if "AUTH" is "specified"'],
    ['CREDENTIALS=hunter2', 'error getting credentials from CREDENTIALS'],
    [`${KEY}&${TOKEN}`, 'CREDENTIALS and BEARER_TOKEN are two ways to sign in'],
    [`AUTH=implicit&${TOKEN}`, 'implicit gs auth does not support uri param BEARER_TOKEN'],
    ['AUTH=sometimes', 'unsupported value sometimes for AUTH'],
    ['AUTH=default', 'AUTH is default, but cloudstorage.gs.default.key is not set'],
    [`${TOKEN}&AWS_REGION=x`, 'unknown GS query parameters: AWS_REGION'],
    [`${TOKEN}&GOOGLE_ENDPOINT=ftp%3A%2F%2Fh`, 'GOOGLE_ENDPOINT is not the URL of a server'],
    [`${TOKEN}&ASSUME_ROLE=a%2C%2Cb`, 'ASSUME_ROLE names an empty role'],
  ] as const) {
    assert.throws(
      () => openUri(`gs://bucket/p?${parameters}`),
      (error: StorageError) => error.code === '22023' && error.message === message && !`${error.detail}`.includes('hunter2'),
      message,
    );
  }
  assert.throws(() => openUri(`gs:///p?${TOKEN}`), /no bucket/);
});

test('a chain of backups is taken, continued and restored', async () => {
  await backupChain({ uri: (name) => `gs://bucket/${name}?${KEY}&${PLACE}` });
  assert.is(openSessions(), 0);
});

test.after(async () => {
  await http.close();
  await server.close();
});

test.run();
