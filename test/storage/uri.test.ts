/** URIs: parsed once, printed without secrets, refused with messages that leak nothing. */
import { inspect } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { ParsedUri, redactUri } from '../../src/storage/uri.ts';
import { StorageRegistry } from '../../src/storage/registry.ts';
import { MemoryFiles, openMemory } from '../../src/storage/memory.ts';

const test = suite('storage uri');

test('parts are decoded', () => {
  const uri = ParsedUri.parse('S3://My%20Bucket/a%2Fb/c%20d/?AWS_ACCESS_KEY_ID=AK&AZURE_ACCOUNT_KEY=a%2Bb%3D&E=&F');
  assert.is(uri.scheme, 's3');
  assert.is(uri.host, 'My Bucket');
  assert.is(uri.path, 'a/b/c d');
  assert.equal(
    [...uri.parameters],
    [
      ['AWS_ACCESS_KEY_ID', 'AK'],
      ['AZURE_ACCOUNT_KEY', 'a+b='],
      ['E', ''],
      ['F', ''],
    ],
  );
  const bare = ParsedUri.parse('userfile:///backups');
  assert.equal([bare.host, bare.path, bare.userInfo], ['', 'backups', undefined]);
  assert.is(ParsedUri.parse('userfile://defaultdb.public.userfiles_$user/p').host, 'defaultdb.public.userfiles_$user');
  assert.is(ParsedUri.parse('http://joe:pw@host:8080/p').host, 'host:8080');
});

test('secrets are redacted wherever a URI prints; all other bytes stay', () => {
  for (const [text, redacted] of [
    ['s3://b/p?AWS_ACCESS_KEY_ID=AK&AWS_SECRET_ACCESS_KEY=hunter2', 's3://b/p?AWS_ACCESS_KEY_ID=AK&AWS_SECRET_ACCESS_KEY=redacted'],
    ['s3://b/?AWS_SESSION_TOKEN=hunter2&X=1', 's3://b/?AWS_SESSION_TOKEN=redacted&X=1'],
    ['gs://b/p?AUTH=specified&CREDENTIALS=hunter2', 'gs://b/p?AUTH=specified&CREDENTIALS=redacted'],
    [
      'azure-blob://c/p?AZURE_ACCOUNT_NAME=n&AZURE_ACCOUNT_KEY=hunter2&AZURE_CLIENT_SECRET=hunter2',
      'azure-blob://c/p?AZURE_ACCOUNT_NAME=n&AZURE_ACCOUNT_KEY=redacted&AZURE_CLIENT_SECRET=redacted',
    ],
    ['http://joe:hunter2@host/p', 'http://joe:redacted@host/p'],
    ['http://joe:hunt@er2@host/p', 'http://joe:redacted@host/p'],
    ['http://joe:hunt/er2@host/p', 'http://joe:redacted@host/p'],
    ['http://joe:hunt?er2@host/p?TOKEN=hunter2', 'http://joe:redacted@host/p?TOKEN=redacted'],
    ['http://hunter2@host/p', 'http://redacted@host/p'],
    ['http://host:8080/p@q?X=1', 'http://host:8080/p@q?X=1'],
    ['http://[::1]:8080/p@q', 'http://[::1]:8080/p@q'],
    ['s3://b/p?AWS_ENDPOINT=http%3A%2F%2Fu%3Ahunter2%40h', 's3://b/p?AWS_ENDPOINT=redacted'],
    [
      's3://b/p?AWS_SECRET_KEY=hunter2&AWS_ACCESS_KEY_ID=id&AWS_SERVER_KMS_ID=k',
      's3://b/p?AWS_SECRET_KEY=redacted&AWS_ACCESS_KEY_ID=id&AWS_SERVER_KMS_ID=k',
    ],
    ['kafka://h?sasl_password=hunter2', 'kafka://h?sasl_password=redacted'],
    ['s3://b/p?aws_secret_access_key=hunter2', 's3://b/p?aws_secret_access_key=redacted'],
    ['s3://b/p?AWS%5FSECRET_ACCESS_KEY=hunter2', 's3://b/p?AWS%5FSECRET_ACCESS_KEY=redacted'],
    ['s3://b/p?AWS_SECRET_ACCESS_KEY=hunt=er2', 's3://b/p?AWS_SECRET_ACCESS_KEY=redacted'],
    ['nodelocal://1/a%20b', 'nodelocal://1/a%20b'],
  ] as const) {
    const uri = ParsedUri.parse(text);
    assert.is(`${uri}`, redacted);
    assert.is(JSON.stringify({ uri }), JSON.stringify({ uri: redacted }));
    assert.not.match(inspect(uri, { showHidden: true, depth: 5 }), 'hunter2');
    assert.is(uri.unredacted(), text);
  }
});

test('text that is no URI gives nothing away', () => {
  assert.is(redactUri('not a uri'), 'not a uri');
  assert.is(redactUri('s3:/b?AWS_SECRET_ACCESS_KEY=hunter2'), 'redacted');
  for (const text of [
    's3:/b?AWS_SECRET_ACCESS_KEY=hunter2',
    's3://b?AWS_SECRET_ACCESS_KEY=hunter2%',
    's3://b?AWS_SECRET_ACCESS_KEY=hunter2&AWS_SECRET_ACCESS_KEY=hunter2',
  ]) {
    assert.throws(
      () => ParsedUri.parse(text),
      (error: { code: string; message: string; hint?: string; detail?: string }) =>
        error.code === '22023' && !`${error.message} ${error.hint} ${error.detail}`.includes('hunter2'),
    );
  }
});

test('a locality is default or one tier', () => {
  const locality = (value: string) => ParsedUri.parse(`nodelocal://1/p?COCKROACH_LOCALITY=${value}`).locality;
  assert.is(ParsedUri.parse('nodelocal://1/p').locality, undefined);
  assert.is(locality('default'), 'default');
  assert.equal(locality('region%3Dus-east'), { key: 'region', value: 'us-east' });
  for (const bad of ['', 'region', 'region%3Da%2Czone%3Db', '%3Da', 'a%3D']) {
    assert.throws(
      () => locality(bad),
      (error: Error) => error.message.includes('tier must be in the form "key=value" not '),
    );
  }
});

test('without its locality a URI names the same place', () => {
  const stripped = (text: string) => ParsedUri.parse(text).withoutLocality().unredacted();
  assert.is(stripped('s3://b/p?COCKROACH_LOCALITY=default&AUTH=implicit'), 's3://b/p?AUTH=implicit');
  assert.is(stripped('s3://b/p?COCKROACH_LOCALITY=default'), 's3://b/p');
  assert.is(stripped('s3://b/p'), 's3://b/p');
});

test('the registry opens by scheme and says what it lacks', () => {
  const registry = new StorageRegistry();
  const files = new MemoryFiles();
  registry.register('mem', (uri) => openMemory(uri, files));
  const context = { user: 'root', nodeId: 1 };
  assert.is(String(registry.open('mem://b/p', context).uri), 'mem://b/p');
  for (const [text, code, message] of [
    ['s3://b/p?AWS_SECRET_ACCESS_KEY=hunter2', '0A000', 'storage scheme "s3" is not supported yet'],
    ['ftp://h/p', '22023', 'unsupported storage scheme: "ftp" in "ftp://h/p"'],
    ['backups', '22023', 'not a storage URI: "backups"'],
  ] as const) {
    assert.throws(
      () => registry.open(text, context),
      (error: { code: string; message: string }) => error.code === code && error.message === message,
    );
  }
});

test.run();
