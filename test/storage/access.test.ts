/** Who may reach what: one table for storage and keys, by server flag and by user. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import type { VarveError } from '../../src/base/errors.ts';
import { InlineExecutor } from '../../src/base/executor.ts';
import { ManualClock } from '../../src/base/manualClock.ts';
import { Database } from '../../src/server/database.ts';
import type { DatabaseOptions } from '../../src/server/openOptions.ts';
import { checkServerRules, type ExternalIoRules } from '../../src/storage/access.ts';
import { ParsedUri } from '../../src/storage/uri.ts';

const test = suite('external IO access');

const KEYS = 'AWS_ACCESS_KEY_ID=id&AWS_SECRET_ACCESS_KEY=canary';
const ENDPOINT = 'AWS_ENDPOINT=http%3A%2F%2Fh';

/** What each flag refuses, by a URI; '' is nothing. */
const CASES: readonly (readonly [uri: string, rules: ExternalIoRules, message: string])[] = [
  ['nodelocal://1/x', { disabled: true }, 'external network access is disabled'],
  ['s3://b/x', { disabled: true }, 'external network access is disabled'],
  ['aws:///k?REGION=r', { disabled: true }, 'external network access is disabled'],
  ['userfile:///x', { disabled: true }, ''],
  ['mem-kms:///k', { disabled: true }, ''],
  ['http://h/x', { disableHttp: true }, 'external http access disabled'],
  ['file-https://h/x', { disableHttp: true }, 'external http access disabled'],
  [`s3://b/x?${KEYS}&${ENDPOINT}`, { disableHttp: true }, 'custom endpoints disallowed for s3 due to --external-io-disable-http flag'],
  [
    `aws:///k?REGION=r&${KEYS}&${ENDPOINT}`,
    { disableHttp: true },
    'custom endpoints disallowed for aws kms due to --external-io-disable-http flag',
  ],
  [
    'azure://c/x?AZURE_ENDPOINT=http%3A%2F%2Fh',
    { disableHttp: true },
    'custom endpoints disallowed for azure due to --external-io-disable-http flag',
  ],
  [`s3://b/x?${KEYS}`, { disableHttp: true, disableImplicitCredentials: true }, ''],
  [`s3://b/x?${KEYS}&AWS_ENDPOINT=`, { disableHttp: true }, ''],
  ...(['s3://b/x', 'gs://b/x', 'azure-blob://c/x', 'aws:///k', 'gcp-kms:///k', 'azure-kms:///k/v'] as const).map(
    (uri) => [`${uri}?AUTH=implicit`, { disableImplicitCredentials: true }, 'implicit credentials disallowed for '] as const,
  ),
  ['gs://b/x?AUTH=default', { disableImplicitCredentials: true }, 'implicit credentials disallowed for gs'],
  ['gs://b/x?AUTH=specified&CREDENTIALS=canary', { disableImplicitCredentials: true }, ''],
  ['http://user:canary@h/x', { disableImplicitCredentials: true }, ''],
];

test('what a server is started to refuse is refused whatever the scheme, and no secret is said', () => {
  for (const [text, rules, message] of CASES) {
    const check = () => checkServerRules(ParsedUri.parse(text), rules);
    if (message === '') assert.not.throws(check, text);
    else {
      assert.throws(
        check,
        (error: VarveError) => error.code === '42501' && error.message.startsWith(message) && !JSON.stringify(error).includes('canary'),
        text,
      );
    }
    assert.not.throws(() => checkServerRules(ParsedUri.parse(text), {}), text);
  }
});

async function errorsOf(options: DatabaseOptions, statements: readonly string[]): Promise<string[]> {
  const clock = new ManualClock('2026-11-20T12:00:00Z');
  const db = await Database.open({ clock, executor: new InlineExecutor(), seed: 'access', ...options });
  const root = db.newSession();
  await root.execute('CREATE USER ann; CREATE TABLE t (a INT PRIMARY KEY); GRANT BACKUP ON TABLE t TO ann');
  const session = db.newSession({ user: 'ann' });
  const errors: string[] = [];
  try {
    for (const sql of statements) {
      errors.push(
        await session.execute(sql).then(
          () => '',
          (error: VarveError) => error.message,
        ),
      );
    }
  } finally {
    await db.close();
  }
  return errors;
}

const NEEDS = 'only users with the admin role or the EXTERNALIOIMPLICITACCESS system privilege are allowed to';

test('what users need the privilege for: files, credentials and addresses that are the server’s', async () => {
  const statements = [
    "BACKUP TABLE t INTO 'nodelocal://1/x'",
    "SHOW BACKUPS IN 'http://127.0.0.1:1/x'",
    "SHOW BACKUPS IN 's3://b/x?AUTH=implicit'",
    `SHOW BACKUPS IN 's3://b/x?${KEYS}&${ENDPOINT}'`,
    "BACKUP TABLE t INTO 'mem://b/k' WITH kms = 'aws:///k?AUTH=implicit&REGION=r'",
    "CHECK EXTERNAL CONNECTION 'nodelocal://1/x'",
    "EXPORT INTO CSV 'nodelocal://1/x' FROM SELECT 1",
  ];
  const [files, http, implicit, endpoint, keys, check, csv] = await errorsOf({}, statements);
  assert.is(files, `${NEEDS} access the specified nodelocal URI`);
  assert.is(http, `${NEEDS} access the specified http URI`);
  assert.is(implicit, `${NEEDS} access the specified s3 URI`);
  assert.is(endpoint, `${NEEDS} access the specified s3 URI`);
  assert.is(keys, `${NEEDS} use implicit credentials or custom endpoints of a KMS`);
  assert.is(check, files);
  assert.is(csv, files);
  assert.equal(await errorsOf({}, ["BACKUP TABLE t INTO 'mem://b/x'"]), ['']);
});

test('the options of a database: each refuses or allows what its flag does', async () => {
  const http = "SHOW BACKUPS IN 'http://127.0.0.1:1/x'";
  const implicit = "SHOW BACKUPS IN 's3://b/x?AUTH=implicit'";
  const files = "SHOW BACKUPS IN 'nodelocal://1/x'";
  const all = { allowNonAdminImplicitAccess: true } as const;
  assert.equal(await errorsOf(all, [files]), ['local file access is disabled']);
  assert.equal(await errorsOf({ ...all, disableExternalHttp: true }, [http]), ['external http access disabled']);
  assert.equal(await errorsOf({ ...all, disableImplicitCredentials: true }, [implicit]), [
    'implicit credentials disallowed for s3 due to --external-io-disable-implicit-credentials flag',
  ]);
  assert.equal(
    await errorsOf({ ...all, disableExternalIo: true }, [http, implicit, files]),
    Array(3).fill('external network access is disabled'),
  );
});

test.run();
