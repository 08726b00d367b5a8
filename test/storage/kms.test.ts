/** The adapters of key management services, against servers that speak their protocols. */
import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { StorageError, type VarveError } from '../../src/base/errors.ts';
import { loadOptional } from '../../src/storage/optionalPackage.ts';
import { openAwsKms } from '../../src/storage/kms/awsKms.ts';
import { azureKmsOpener } from '../../src/storage/kms/azureKms.ts';
import { crc32c } from '../../src/storage/kms/crc32c.ts';
import { gcpKmsOpener } from '../../src/storage/kms/gcpKms.ts';
import { type Kms, KmsError, type KmsOpener } from '../../src/storage/kms/kms.ts';
import { ParsedUri } from '../../src/storage/uri.ts';
import { startAwsKms } from '../servers/awsKmsServer.ts';
import { startAzureKeyVault } from '../servers/azureKeyVaultServer.ts';
import { startGcpKms } from '../servers/gcpKmsServer.ts';

const test = suite('storage: kms');
const CONTEXT = { user: 'root' };
const DATA_KEY = randomBytes(32);

const open = (opener: KmsOpener, uri: string): Kms => opener(ParsedUri.parse(uri), CONTEXT);

async function roundTrip(kms: Kms): Promise<void> {
  const wrapped = await kms.encrypt(DATA_KEY);
  assert.not.ok(Buffer.from(wrapped).includes(DATA_KEY));
  assert.equal(Buffer.from(await kms.decrypt(wrapped)), DATA_KEY);
  await kms.close();
}

async function errorOf(work: () => unknown): Promise<VarveError> {
  try {
    await work();
  } catch (error) {
    return error as VarveError;
  }
  throw new Error('nothing was thrown');
}

/** Nothing that can be printed of an error holds a secret. */
function assertSilent(error: VarveError, ...secrets: readonly string[]): void {
  const shown = `${inspect(error, { depth: 8, showHidden: true })}${error.message}${error.detail}${error.hint}`;
  for (const secret of secrets) assert.not.ok(shown.includes(secret), `${shown} shows ${secret}`);
}

// ---- AWS --------------------------------------------------------------------------------------

const ARN = 'arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab';
const SECRET = 'se/cr+et/of+aws';
const ROLE = 'arn:aws:iam::111122223333:role/outer';
const INNER = 'arn:aws:iam::111122223333:role/inner';
const aws = await startAwsKms({
  account: { accessKeyId: 'AKIA1', secretAccessKey: SECRET },
  keys: [ARN, 'alias/backups'],
  roles: { [ROLE]: undefined, [INNER]: 'external-7' },
});
const awsUri = (key: string, more = '', secret = encodeURIComponent(SECRET)) =>
  `aws:///${key}?AUTH=specified&REGION=us-east-1&AWS_ACCESS_KEY_ID=AKIA1&AWS_SECRET_ACCESS_KEY=${secret}&AWS_ENDPOINT=${encodeURIComponent(aws.origin)}${more}`;

test('AWS: wraps and unwraps by ARN and by alias, with requests that are signed', async () => {
  await roundTrip(open(openAwsKms, awsUri(ARN)));
  await roundTrip(open(openAwsKms, awsUri('alias/backups')));
  assert.is(open(openAwsKms, awsUri(ARN)).key, ARN);
  assert.is(open(openAwsKms, awsUri('alias/backups')).key, 'us-east-1:alias/backups');
  // A '+' that nobody has encoded.
  await roundTrip(open(openAwsKms, awsUri(ARN, '', SECRET)));
});

test('AWS: assumes one role after the other', async () => {
  const before = aws.requests.length;
  await roundTrip(open(openAwsKms, awsUri(ARN, `&ASSUME_ROLE=${encodeURIComponent(`${ROLE},${INNER};external_id=external-7`)}`)));
  const actions = aws.requests
    .slice(before)
    .map(({ headers, body }) => headers['x-amz-target'] ?? new URLSearchParams(body.toString()).get('RoleArn'));
  assert.equal(actions.slice(0, 3), [ROLE, INNER, 'TrentService.Encrypt']);
  const refused = await errorOf(() => open(openAwsKms, awsUri(ARN, `&ASSUME_ROLE=${encodeURIComponent(INNER)}`)).encrypt(DATA_KEY));
  assert.match(refused.message, 'not authorized to perform sts:AssumeRole');
});

test('AWS: with AUTH=implicit the credentials are those of the environment', async () => {
  const before = { ...process.env };
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'AKIA1', AWS_SECRET_ACCESS_KEY: SECRET });
  try {
    await roundTrip(open(openAwsKms, `aws:///${ARN}?AUTH=implicit&REGION=us-east-1&AWS_ENDPOINT=${encodeURIComponent(aws.origin)}`));
  } finally {
    for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY']) {
      if (before[name] === undefined) delete process.env[name];
      else process.env[name] = before[name];
    }
  }
});

test('AWS: refusals name the key and what is wrong, never the secret', async () => {
  const wrong = await errorOf(() => open(openAwsKms, awsUri(ARN, '', 'another-secret')).encrypt(DATA_KEY));
  assert.instance(wrong, KmsError);
  assert.match(wrong.message, 'failed to encrypt data key with KMS scheme aws: InvalidSignatureException');
  assertSilent(wrong, 'another-secret');
  assert.not.ok((wrong as StorageError).isRetryable);
  aws.keys.keys.set('alias/backups', 'disabled');
  const disabled = await errorOf(() => open(openAwsKms, awsUri('alias/backups')).decrypt(DATA_KEY));
  assert.match(disabled.message, 'failed to decrypt data key with KMS scheme aws: DisabledException: alias/backups is disabled.');
  assertSilent(disabled, SECRET, encodeURIComponent(SECRET));
  aws.keys.keys.set('alias/backups', 'enabled');
  const other = await open(openAwsKms, awsUri('alias/backups')).encrypt(DATA_KEY);
  assert.match((await errorOf(() => open(openAwsKms, awsUri(ARN)).decrypt(other))).message, 'IncorrectKeyException');
  const missing = await errorOf(() => open(openAwsKms, awsUri('alias/none')).encrypt(DATA_KEY));
  assert.match(missing.message, "NotFoundException: Key 'alias/none' does not exist");
});

test('AWS: a service that fails, or that is not there, may be asked again later', async () => {
  aws.state.failWith = 500;
  const failing = await errorOf(() => open(openAwsKms, awsUri(ARN)).encrypt(DATA_KEY));
  aws.state.failWith = undefined;
  assert.ok(failing instanceof StorageError && failing.isRetryable);
  const nobody = await errorOf(() =>
    open(openAwsKms, awsUri(ARN).replace(encodeURIComponent(aws.origin), 'http://127.0.0.1:1')).encrypt(DATA_KEY),
  );
  assert.ok(nobody instanceof StorageError && nobody.isRetryable);
  assertSilent(nobody, SECRET);
});

// ---- Google -----------------------------------------------------------------------------------

const NAME = 'projects/p/locations/europe-west1/keyRings/r/cryptoKeys/k';
const gcp = await startGcpKms({
  keys: [NAME],
  impersonated: 'target@p.iam.gserviceaccount.com',
  delegates: ['middle@p.iam.gserviceaccount.com'],
});
const gcpOpener = gcpKmsOpener(gcp);
const gcpUri = (more: string, key = NAME) => `gs:///${key}?${more}`;

test('Google: wraps and unwraps with a service account, by both schemes', async () => {
  await roundTrip(open(gcpOpener, gcpUri(`AUTH=specified&CREDENTIALS=${encodeURIComponent(gcp.credentials)}`)));
  await roundTrip(open(gcpOpener, gcpUri(`CREDENTIALS=${encodeURIComponent(gcp.credentials)}`).replace('gs:', 'gcp-kms:')));
  // A version is the service's to know.
  const versioned = open(gcpOpener, gcpUri(`BEARER_TOKEN=${gcp.token}`, `${NAME}/cryptoKeyVersions/3`));
  assert.is(versioned.key, NAME);
  await roundTrip(versioned);
});

test('Google: acts as another service account', async () => {
  const roles = encodeURIComponent('middle@p.iam.gserviceaccount.com,target@p.iam.gserviceaccount.com');
  await roundTrip(open(gcpOpener, gcpUri(`BEARER_TOKEN=${gcp.token}&ASSUME_ROLE=${roles}`)));
  const refused = await errorOf(() => open(gcpOpener, gcpUri(`BEARER_TOKEN=${gcp.token}&ASSUME_ROLE=nobody@p`)).encrypt(DATA_KEY));
  assert.instance(refused, KmsError);
  assertSilent(refused, gcp.token);
});

test('Google: refusals, and answers that were spoilt on the way', async () => {
  const uri = gcpUri(`CREDENTIALS=${encodeURIComponent(gcp.credentials)}`);
  const wrong = await errorOf(() => open(gcpOpener, gcpUri('BEARER_TOKEN=wrong-token')).encrypt(DATA_KEY));
  assert.match(wrong.message, 'failed to encrypt data key with KMS scheme gs: ');
  assertSilent(wrong, 'wrong-token');
  assert.not.ok((wrong as StorageError).isRetryable);
  const missing = await errorOf(() => open(gcpOpener, gcpUri(`BEARER_TOKEN=${gcp.token}`, NAME.replace(/k$/, 'none'))).encrypt(DATA_KEY));
  assert.match(missing.message, 'not found');
  gcp.state.spoilSum = true;
  assert.match((await errorOf(() => open(gcpOpener, uri).encrypt(DATA_KEY))).message, 'Encrypt: response corrupted in-transit');
  const spoilt = Buffer.from(await open(gcpOpener, uri).encrypt(DATA_KEY));
  spoilt[30] = (spoilt[30] ?? 0) ^ 1;
  const error = await errorOf(() => open(gcpOpener, uri).decrypt(spoilt));
  assert.match(error.message, 'Decryption failed');
  assertSilent(error, gcp.credentials);
});

test('CRC-32C has the known answer', () => {
  assert.is(crc32c(Buffer.from('123456789')), 0xe3069283);
});

// ---- Azure ------------------------------------------------------------------------------------

const azure = await startAzureKeyVault({
  tenant: 'tenant-1',
  clientId: 'client-1',
  clientSecret: 'azure-secret',
  keys: ['backups/v1', 'backups/v2'],
});
const azureOpener = azureKmsOpener({ origin: azure.origin, ca: azure.ca });
const azureUri = (version: string, secret = 'azure-secret') =>
  `azure-kms:///backups/${version}?AZURE_VAULT_NAME=vault1&AUTH=specified&AZURE_TENANT_ID=tenant-1&AZURE_CLIENT_ID=client-1&AZURE_CLIENT_SECRET=${secret}`;

test('Azure: wraps with the public half of an RSA key, and has the vault unwrap', async () => {
  const kms = open(azureOpener, azureUri('v1'));
  assert.is(kms.key, 'vault1/backups/v1');
  await roundTrip(kms);
  assert.ok(azure.requests.some(({ method, url }) => method === 'POST' && url.pathname === '/keys/backups/v1/decrypt'));
  const wrapped = await open(azureOpener, azureUri('v1')).encrypt(DATA_KEY);
  const other = await errorOf(() => open(azureOpener, azureUri('v2')).decrypt(wrapped));
  assert.match(other.message, 'failed to decrypt data key with KMS scheme azure-kms: ');
});

test('Azure: refusals', async () => {
  const wrong = await errorOf(() => open(azureOpener, azureUri('v1', 'wrong-azure-secret')).encrypt(DATA_KEY));
  assert.match(wrong.message, 'invalid_client');
  assertSilent(wrong, 'wrong-azure-secret');
  assert.not.ok((wrong as StorageError).isRetryable);
  const missing = await errorOf(() => open(azureOpener, azureUri('v9')).encrypt(DATA_KEY));
  assert.match(missing.message, 'A key with (name/id) backups/v9 was not found in this key vault');
});

// ---- URIs -------------------------------------------------------------------------------------

test('URIs that cannot be are refused by name, without their secrets', async () => {
  const account = encodeURIComponent(Buffer.from('{"client_email":1}').toString('base64'));
  const cases: [KmsOpener, string, string][] = [
    [openAwsKms, 'aws:///k?AWS_ACCESS_KEY_ID=a&AWS_SECRET_ACCESS_KEY=hush', 'could not find the aws kms region'],
    [openAwsKms, 'aws:///?REGION=r&AWS_ACCESS_KEY_ID=a&AWS_SECRET_ACCESS_KEY=hush', 'a KMS URI names a key'],
    [openAwsKms, 'aws:///k?REGION=r&AWS_SECRET_ACCESS_KEY=hush', "AUTH is set to 'specified', but AWS_ACCESS_KEY_ID is not set"],
    [openAwsKms, 'aws:///k?REGION=r&AWS_ACCESS_KEY_ID=a', "AUTH is set to 'specified', but AWS_SECRET_ACCESS_KEY is not set"],
    [openAwsKms, 'aws:///k?REGION=r&AUTH=sometimes&AWS_SECRET_ACCESS_KEY=hush', 'unsupported value sometimes for AUTH'],
    [openAwsKms, 'aws:///k?REGION=r&COLOR=red&AWS_SECRET_ACCESS_KEY=hush', 'unknown KMS query parameters: COLOR'],
    [gcpOpener, 'gs:///?BEARER_TOKEN=hush', 'path component of the KMS cannot be empty; must contain the Customer Managed Key'],
    [gcpOpener, 'gs:///key?BEARER_TOKEN=hush', '"key" is not the name of a key of Google Cloud KMS'],
    [gcpOpener, `gs:///${NAME}?AUTH=specified`, 'CREDENTIALS or BEARER_TOKEN must be set if "AUTH" is "specified"'],
    [gcpOpener, `gs:///${NAME}?CREDENTIALS=${account}`, 'error getting credentials from CREDENTIALS'],
    [azureOpener, 'azure-kms:///k?AZURE_VAULT_NAME=v&AZURE_CLIENT_SECRET=hush', "azure kms key must be of form 'id/version'"],
    [azureOpener, 'azure-kms:///k/v?AZURE_CLIENT_SECRET=hush', 'kms explicit auth URI expected but did not receive: AZURE_VAULT_NAME'],
    [
      azureOpener,
      'azure-kms:///k/v?AZURE_VAULT_NAME=evil.example%2F&AZURE_CLIENT_SECRET=hush',
      'AZURE_VAULT_NAME is not the name of a vault',
    ],
    [
      azureOpener,
      'azure-kms:///k/v?AZURE_VAULT_NAME=v&AUTH=implicit&AZURE_CLIENT_SECRET=hush',
      'kms implicit auth URI does not support: AZURE_CLIENT_SECRET',
    ],
    [
      azureOpener,
      'azure-kms:///k/v?AZURE_VAULT_NAME=v&AZURE_ENVIRONMENT=MARS&AZURE_CLIENT_SECRET=hush',
      'azure kms environment: there is none of this name',
    ],
  ];
  for (const [opener, uri, message] of cases) {
    const error = await errorOf(() => open(opener, uri));
    assert.is(error.message, message);
    assert.is(error.code, '22023');
    assertSilent(error, 'hush', account);
  }
});

test('a package that is not installed is named', async () => {
  const name = '@varve-test/not-installed';
  const error = await errorOf(() => loadOptional(name, 'a key of nobody', () => import(name)));
  assert.is(error.message, 'a key of nobody needs the package "@varve-test/not-installed", which is not installed');
  assert.is(error.code, '0A000');
  assert.is(error.hint, 'npm install @varve-test/not-installed');
});

test('an abort ends a call', async () => {
  const reason = new Error('enough');
  for (const kms of [
    open(openAwsKms, awsUri(ARN)),
    open(gcpOpener, gcpUri(`BEARER_TOKEN=${gcp.token}`)),
    open(azureOpener, azureUri('v1')),
  ]) {
    const error = await errorOf(() => kms.encrypt(DATA_KEY, AbortSignal.abort(reason)));
    assert.is(error as unknown, reason);
  }
});

test.after(async () => {
  for (const server of [aws, gcp, azure]) await server.close();
});
test.run();
