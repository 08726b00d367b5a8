/** Backups in SQL whose keys are with AWS, Google Cloud and Azure: servers that speak their protocols. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { isVarveError, type VarveError } from '../../src/base/errors.ts';
import { Database } from '../../src/server/database.ts';
import { azureKmsOpener } from '../../src/storage/kms/azureKms.ts';
import { gcpKmsOpener } from '../../src/storage/kms/gcpKms.ts';
import { startAwsKms } from '../servers/awsKmsServer.ts';
import { startAzureKeyVault } from '../servers/azureKeyVaultServer.ts';
import { startGcpKms } from '../servers/gcpKmsServer.ts';

const test = suite('backup: kms servers');

const GCP_KEY = 'projects/p/locations/l/keyRings/r/cryptoKeys/k';
const aws = await startAwsKms({ account: { accessKeyId: 'AKIA1', secretAccessKey: 'aws/secret' }, keys: ['alias/one', 'alias/two'] });
const gcp = await startGcpKms({ keys: [GCP_KEY] });
const azure = await startAzureKeyVault({ tenant: 't', clientId: 'c', clientSecret: 'azure-secret', keys: ['k/v1'] });
const awsKey = (key: string) =>
  `aws:///${key}?REGION=us-east-1&AWS_ACCESS_KEY_ID=AKIA1&AWS_SECRET_ACCESS_KEY=aws%2Fsecret&AWS_ENDPOINT=${encodeURIComponent(aws.origin)}`;
const KEYS = {
  aws: awsKey('alias/one'),
  gcp: `gs:///${GCP_KEY}?CREDENTIALS=${encodeURIComponent(gcp.credentials)}`,
  azure: 'azure-kms:///k/v1?AZURE_VAULT_NAME=vault&AZURE_TENANT_ID=t&AZURE_CLIENT_ID=c&AZURE_CLIENT_SECRET=azure-secret',
};

async function openDatabase(): Promise<{
  db: Database;
  run: (sql: string) => Promise<unknown[][]>;
  fails: (sql: string) => Promise<VarveError>;
}> {
  const db = await Database.open({ seed: 'kms' });
  db.storage.secrets.registerKms('gs', gcpKmsOpener(gcp));
  db.storage.secrets.registerKms('azure-kms', azureKmsOpener({ origin: azure.origin, ca: azure.ca }));
  const session = db.newSession();
  const run = async (sql: string) => (await session.execute(sql)).at(-1)?.rows ?? [];
  const fails = async (sql: string) => {
    try {
      await run(sql);
    } catch (error) {
      if (isVarveError(error)) return error;
      throw error;
    }
    throw new Error(`succeeded: ${sql}`);
  };
  await run('CREATE DATABASE bank; CREATE TABLE bank.t (id INT PRIMARY KEY); INSERT INTO bank.t VALUES (1)');
  return { db, run, fails };
}

test('each provider’s key opens a chain, alone and beside the others', async () => {
  const { db, run, fails } = await openDatabase();
  for (const [name, key] of Object.entries(KEYS)) {
    await run(`BACKUP DATABASE bank INTO 'mem://b/${name}' WITH kms = '${key}'`);
    await run(`BACKUP DATABASE bank INTO LATEST IN 'mem://b/${name}' WITH kms = '${key}'`);
    await run(`RESTORE DATABASE bank FROM LATEST IN 'mem://b/${name}' WITH new_db_name = '${name}', kms = '${key}'`);
    assert.equal(await run(`SELECT id FROM ${name}.t`), [[1]]);
  }
  await run(`BACKUP DATABASE bank INTO 'mem://b/all' WITH kms = (${Object.values(KEYS).map((key) => `'${key}'`)})`);
  for (const [name, key] of Object.entries(KEYS)) {
    await run(`RESTORE DATABASE bank FROM LATEST IN 'mem://b/all' WITH new_db_name = 'all_${name}', kms = '${key}'`);
  }
  const foreign = await fails(`SHOW BACKUP FROM LATEST IN 'mem://b/gcp' WITH kms = '${KEYS.aws}'`);
  assert.is(foreign.message, 'one of the provided URIs was not used when encrypting the base BACKUP');
  assert.match(foreign.detail ?? '', `is encrypted with gcp ${GCP_KEY}; it was given aws us-east-1:alias/one`);
  await db.close();
});

test('a key moves from one provider to another, and one that is disabled is told by its name', async () => {
  const { db, run, fails } = await openDatabase();
  await run(`BACKUP DATABASE bank INTO 'mem://b/c' WITH kms = '${awsKey('alias/two')}'`);
  await run(`ALTER BACKUP LATEST IN 'mem://b/c' ADD NEW_KMS = ('${KEYS.azure}', '${KEYS.gcp}') WITH OLD_KMS = '${awsKey('alias/two')}'`);
  aws.keys.keys.set('alias/two', 'disabled');
  const refused = await fails(`RESTORE DATABASE bank FROM LATEST IN 'mem://b/c' WITH new_db_name = 'r', kms = '${awsKey('alias/two')}'`);
  assert.is(refused.message, 'failed to decrypt data key with KMS scheme aws: DisabledException: alias/two is disabled.');
  assert.match(refused.detail ?? '', 'AWS_SECRET_ACCESS_KEY=redacted');
  // The next one in the list is asked.
  await run(`RESTORE DATABASE bank FROM LATEST IN 'mem://b/c' WITH new_db_name = 'r1', kms = ('${awsKey('alias/two')}', '${KEYS.gcp}')`);
  await run(`RESTORE DATABASE bank FROM LATEST IN 'mem://b/c' WITH new_db_name = 'r2', kms = '${KEYS.azure}'`);
  await db.close();
});

test.after(async () => {
  for (const server of [aws, gcp, azure]) await server.close();
});
test.run();
