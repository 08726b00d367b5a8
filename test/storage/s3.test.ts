/** S3 storage over the official SDK against a service on loopback: the conformance suite, parameters, uploads in parts, errors. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import type { StorageError } from '../../src/base/errors.ts';
import { ManualClock } from '../../src/base/manualClock.ts';
import { seededRandom } from '../../src/base/random.ts';
import { SystemClock } from '../../src/base/systemClock.ts';
import type { ExternalStorage } from '../../src/storage/externalStorage.ts';
import { PartBuffer } from '../../src/storage/parts.ts';
import { openS3, type S3Context } from '../../src/storage/s3/s3Storage.ts';
import { ParsedUri } from '../../src/storage/uri.ts';
import { S3_ACCESS_KEY, startS3Server } from '../servers/s3Server.ts';
import { backupChain } from './backupChain.ts';
import { storageConformance } from './conformance.ts';

const server = await startS3Server();
const KEYS = `AWS_ACCESS_KEY_ID=${S3_ACCESS_KEY}&AWS_SECRET_ACCESS_KEY=hunter2%2Fsecret`;
const PLACE = `AWS_ENDPOINT=${encodeURIComponent(server.origin)}&AWS_USE_PATH_STYLE=true`;
const clock = new SystemClock();
// Retries of parts do not wait.
const policy = { attemptsMax: 5, initialDelayMicros: 0, delayMicrosMax: 0 };
const context: S3Context = { clock, retry: { clock, random: seededRandom('s3'), policy }, keepsConditions: true };
const open = (path: string, parameters = ''): ExternalStorage =>
  openS3(ParsedUri.parse(`s3://bucket/${path}?${KEYS}&${PLACE}${parameters}`), context);

{
  let opened = 0;
  storageConformance('s3', {
    open: async () => open(`conformance/${++opened}`),
    reopen: async (storage) => openS3(storage.uri, context),
  });
}

const test = suite('s3 storage');

test.before.each(() => {
  server.fault = () => undefined;
});

async function failure(call: Promise<unknown>): Promise<StorageError> {
  return (await call.then(
    () => assert.unreachable('expected an error'),
    (thrown: unknown) => thrown,
  )) as StorageError;
}

const PART = 8 << 20;

/** In chunks that fit in no part. */
async function* streamed(content: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.length; at += 3_000_001) yield content.subarray(at, at + 3_000_001);
}

const large = Buffer.alloc(2 * PART + 12_345);
for (let at = 0; at + 4 <= large.length; at += 4) large.writeUInt32LE(at, at);

test('a large stream goes out in parts, each of which may be tried again', async () => {
  const storage = open('large');
  let refusals = 0;
  server.fault = ({ url }) => {
    const part = url.searchParams.get('partNumber');
    return part === '2' && ++refusals <= 2 ? { status: 503, code: 'SlowDown' } : undefined;
  };
  const result = await storage.write('f', streamed(large));
  assert.is(result.sizeBytes, large.length);
  assert.is(refusals, 3);
  assert.ok(large.equals(await storage.read('f')));
  assert.is(server.uploads.size, 0);
});

test('an upload whose last answer is lost is known by its own mark', async () => {
  const storage = open('lost');
  let calls = 0;
  server.fault = ({ method, url }) =>
    method === 'POST' && url.searchParams.has('uploadId') && ++calls === 1
      ? { status: 500, code: 'InternalError', after: true }
      : undefined;
  await storage.write('f', streamed(large), { ifAbsent: true });
  assert.is(calls, 2);
  assert.ok(large.equals(await storage.read('f')));
  const error = await failure(storage.write('f', streamed(large), { ifAbsent: true }));
  assert.is(error.code, '58P02');
  assert.is(server.uploads.size, 0);
});

test('an upload that fails is given up', async () => {
  const storage = open('failing');
  server.fault = ({ url }) => (url.searchParams.get('partNumber') === '2' ? { status: 403, code: 'AccessDenied' } : undefined);
  const error = await failure(storage.write('f', streamed(large)));
  assert.is(error.code, '42501');
  assert.is(server.uploads.size, 0);
  assert.equal(await storage.list(''), []);
});

test('parts grow with their number', () => {
  const parts = new PartBuffer(8);
  const chunk = Buffer.alloc(8);
  const sizes: number[] = [];
  for (let i = 0; i < 1003; i++) {
    parts.add(chunk);
    for (const part of parts.whole()) sizes.push(part.length);
  }
  assert.is(sizes.length, 1001);
  assert.equal([sizes[0], sizes[999], sizes[1000]], [8, 8, 16]);
  assert.is(parts.rest().length, 8);
});

test('parameters reach the service', async () => {
  const storage = open(
    'kept',
    '&S3_STORAGE_CLASS=STANDARD_IA&AWS_SERVER_ENC_MODE=aws%3Akms&AWS_SERVER_KMS_ID=key-1&AWS_SESSION_TOKEN=token-1',
  );
  await storage.write('small', Buffer.from('x'));
  await storage.write('large', streamed(large));
  for (const name of ['small', 'large']) {
    const headers = server.objects.get(`kept/${name}`)?.headers ?? {};
    assert.is(headers['x-amz-storage-class'], 'STANDARD_IA');
    assert.is(headers['x-amz-server-side-encryption'], 'aws:kms');
    assert.is(headers['x-amz-server-side-encryption-aws-kms-key-id'], 'key-1');
    assert.is(headers['x-amz-security-token'], 'token-1');
  }
  await open('kept', '&AWS_SKIP_CHECKSUM=true').write('plain', Buffer.from('x'));
  const checksums = (name: string) =>
    Object.keys(server.objects.get(`kept/${name}`)?.headers ?? {}).filter((header) => header.startsWith('x-amz-checksum'));
  assert.equal(checksums('small'), ['x-amz-checksum-crc32']);
  assert.equal(checksums('plain'), []);
});

test('each refusal has its class and its advice, and no secret', async () => {
  const storage = open('refusals');
  for (const [status, name, code, isRetryable] of [
    [403, 'AccessDenied', '42501', false],
    [403, 'SignatureDoesNotMatch', '42501', false],
    [400, 'ExpiredToken', '42501', false],
    [403, 'RequestTimeTooSkewed', '58030', true],
    [403, 'InvalidObjectState', '55000', false],
    [404, 'NoSuchBucket', '58030', false],
    [409, 'ConditionalRequestConflict', '58030', true],
    [429, 'TooManyRequests', '58030', true],
    [500, 'InternalError', '58030', true],
    [501, 'NotImplemented', '0A000', false],
    [503, 'SlowDown', '58030', true],
  ] as const) {
    server.fault = () => ({ status, code: name });
    for (const call of [() => storage.write('f', Buffer.from('x')), () => storage.read('f'), () => storage.list('')]) {
      const error = await failure(call());
      assert.equal([error.code, error.isRetryable], [code, isRetryable], `${name}: ${error.message}`);
      assert.match(error.message, `${name}: told so`);
      assert.match(error.message, 'AWS_SECRET_ACCESS_KEY=redacted');
      assert.not.match(`${error.message} ${error.detail} ${error.hint} ${error.stack} ${JSON.stringify(error)}`, 'hunter2');
    }
  }
});

test('wrong keys, wrong buckets, and endpoints that are not what they claim', async () => {
  const wrongKey = openS3(ParsedUri.parse(`s3://bucket/p?AWS_ACCESS_KEY_ID=other&AWS_SECRET_ACCESS_KEY=hunter2&${PLACE}`), context);
  const refused = await failure(wrongKey.list(''));
  assert.equal([refused.code, refused.hint], ['42501', 'check AWS_ACCESS_KEY_ID']);
  const nowhere = await failure(openS3(ParsedUri.parse(`s3://elsewhere/p?${KEYS}&${PLACE}`), context).list(''));
  assert.match(nowhere.message, 'NoSuchBucket');
  assert.is(nowhere.hint, 'make the bucket first, or check its name and AWS_REGION');
  const closed = openS3(ParsedUri.parse(`s3://bucket/p?${KEYS}&AWS_USE_PATH_STYLE=true&AWS_ENDPOINT=http%3A%2F%2F127.0.0.1%3A1`), context);
  const down = await failure(closed.read('f'));
  assert.ok(down.isRetryable);
  assert.match(down.message, 'the server refuses connections');
});

test('a service that stays silent is given up on the injected clock', async () => {
  const { startFileServer } = await import('../servers/fileServer.ts');
  const silent = await startFileServer();
  silent.misbehave = () => 'stall';
  const manual = new ManualClock('2026-11-20T00:00:00Z');
  const uri = ParsedUri.parse(
    `s3://bucket/p?${KEYS}&AWS_USE_PATH_STYLE=true&AWS_ENDPOINT=${encodeURIComponent(`http://${silent.origin}`)}`,
  );
  const storage = openS3(uri, { ...context, clock: manual });
  const reading = failure(storage.read('f'));
  while (silent.requests.length === 0) await new Promise((resolve) => setImmediate(resolve));
  for (let minute = 0; minute < 5; minute++) await manual.advance('1m');
  const error = await reading;
  assert.ok(error.isRetryable);
  assert.match(error.message, 'no answer within 120 s');
  await storage.close();
  await silent.close();
});

test('parameters that cannot be are refused', () => {
  for (const [parameters, message] of [
    ['', "AUTH is set to 'specified', but AWS_ACCESS_KEY_ID is not set"],
    ['AWS_ACCESS_KEY_ID=a', "AUTH is set to 'specified', but AWS_SECRET_ACCESS_KEY is not set"],
    ['AUTH=sometimes', 'unsupported value sometimes for AUTH'],
    [`${KEYS}&REGION=x`, 'unknown S3 query parameters: REGION'],
    [`${KEYS}&S3_STORAGE_CLASS=COLD`, 'unsupported value COLD for S3_STORAGE_CLASS'],
    [`${KEYS}&AWS_SERVER_ENC_MODE=rot13`, 'unsupported value rot13 for AWS_SERVER_ENC_MODE'],
    [`${KEYS}&AWS_SERVER_ENC_MODE=aws%3Akms`, 'AWS_SERVER_KMS_ID param must be set when using aws:kms server side encryption mode.'],
    [`${KEYS}&AWS_SERVER_KMS_ID=k`, 'AWS_SERVER_KMS_ID is set without AWS_SERVER_ENC_MODE=aws:kms'],
    [`${KEYS}&AWS_USE_PATH_STYLE=maybe`, 'unsupported value maybe for AWS_USE_PATH_STYLE'],
    [`${KEYS}&AWS_ENDPOINT=ftp%3A%2F%2Fh`, 'AWS_ENDPOINT is not the URL of a server'],
    [`${KEYS}&ASSUME_ROLE=a%2C%2Cb`, 'ASSUME_ROLE names an empty role'],
  ] as const) {
    assert.throws(
      () => openS3(ParsedUri.parse(`s3://bucket/p?${parameters}`), context),
      (error: StorageError) => error.code === '22023' && error.message === message && !`${error.detail}`.includes('hunter2'),
      message,
    );
  }
  assert.throws(() => openS3(ParsedUri.parse(`s3:///p?${KEYS}`), context), /no bucket/);
  assert.not(
    openS3(ParsedUri.parse(`s3://bucket/p?${KEYS}&${PLACE}`), { ...context, keepsConditions: false }).capabilities.conditionalCreate,
  );
  assert.ok(openS3(ParsedUri.parse('s3://bucket/p?AUTH=implicit'), { ...context, keepsConditions: false }).capabilities.conditionalCreate);
});

test('a chain of backups is taken, continued and restored', async () => {
  await backupChain({ uri: (name) => `s3://bucket/${name}?${KEYS}&${PLACE}` });
  assert.is(server.uploads.size, 0);
  for (const { method } of server.requests) assert.ok(['GET', 'PUT', 'POST', 'HEAD', 'DELETE'].includes(method));
});

test.after(() => server.close());

test.run();
