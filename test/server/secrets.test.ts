/**
 * Secrets do not get out: canaries are planted wherever a statement takes a secret, and looked for in everything that
 * anybody can read: every table, virtual or the system's, every error with all that hangs on it, results, notices,
 * metrics, and the files themselves.
 */
import { inspect } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { logLine } from '../../src/base/eventLog.ts';
import { ManualClock } from '../../src/base/manualClock.ts';
import { Database } from '../../src/server/database.ts';
import { formatDatum } from '../../src/catalog/datumText.ts';
import { KmsError } from '../../src/storage/kms/kms.ts';
import { MemoryKeys, openMemoryKms } from '../../src/storage/kms/memoryKms.ts';
import { ParsedUri } from '../../src/storage/uri.ts';

const test = suite('server: secrets');

const PASSPHRASE = 'canary-passphrase-1';
const OTHER_PASSPHRASE = 'canary-passphrase-2';
const PASSWORD = 'canary-password-3';
const URI_SECRET = 'canary/secret+4';
const ENCODED_SECRET = encodeURIComponent(URI_SECRET);
const KMS_SECRET = 'canary-kms-secret-5';
const TOKEN = 'canary-token-6';
const CANARY = /canary/i;

/** A key with credentials in its URI, of a service that does as mem-kms does. */
const kms = (key: string) => `cloud-kms:///${key}?AWS_SECRET_ACCESS_KEY=${KMS_SECRET}&AWS_SESSION_TOKEN=${TOKEN}`;
/** A place with credentials in its URI. */
const place = (path: string) => `cloud://bucket/${path}?AWS_ACCESS_KEY_ID=a&AWS_SECRET_ACCESS_KEY=${ENCODED_SECRET}`;

interface World {
  readonly db: Database;
  readonly clock: ManualClock;
  /** Everything that statements said so far. */
  readonly said: string[];
  readonly keys: MemoryKeys;
  /** While it is set, keys called `slow` wait for it. */
  gate: { opened: Promise<void>; open: () => void } | undefined;
  run(sql: string, user?: string): Promise<void>;
  /** What all tables hold. */
  readTables(): Promise<string>;
}

async function openWorld(): Promise<World> {
  const clock = new ManualClock('2026-11-20T00:00:00Z');
  const db = await Database.open({ clock, seed: 'secrets' });
  const keys = new MemoryKeys((count) => Buffer.alloc(count, 7));
  // Adapters of cloud providers as a server has them, over files and keys in memory.
  db.storage.register('cloud', (uri, context) => db.storage.open(`mem://${uri.host}/${uri.path}`, context));
  db.storage.secrets.registerKms('cloud-kms', (uri) => {
    const inner = openMemoryKms(ParsedUri.parse(`mem-kms:///${uri.path}`), keys);
    return {
      provider: inner.provider,
      key: inner.key,
      encrypt: async (bytes) => {
        if (uri.path === 'slow') await world.gate?.opened;
        if (keys.refused.has(uri.path)) throw new KmsError(uri, 'encrypt', 'refused', { isRetryable: uri.path === 'away' });
        return await inner.encrypt(bytes);
      },
      decrypt: (bytes) => inner.decrypt(bytes),
      close: () => inner.close(),
    };
  });
  const said: string[] = [];
  db.kv.events.subscribe((event) => void said.push(logLine(event)));
  const world: World = {
    db,
    clock,
    said,
    keys,
    gate: undefined,
    run: async (sql, user = 'root') => {
      const session = db.newSession({ user, database: 'bank' });
      try {
        for (const { tag, rows, columns, notices } of await session.execute(sql)) {
          const texts = rows.map((row) => row.map((value, i) => (value === null ? '' : formatDatum((columns ?? [])[i]!.type, value))));
          said.push(`${tag} ${JSON.stringify(texts)} ${JSON.stringify(notices)}`);
        }
      } catch (error) {
        said.push(`${inspect(error, { depth: 10, showHidden: true })} ${(error as Error).stack}`);
        // What follows can be told from a statement that did what it should.
        said.push(`failed: ${(error as Error).message}`);
      } finally {
        session.close();
      }
    },
    readTables: async () => {
      const session = db.newSession({ user: 'root', database: 'bank' });
      const texts: string[] = [];
      const read = async (sql: string) => {
        for (const { rows, columns } of await session.execute(sql)) {
          for (const row of rows)
            texts.push(row.map((value, i) => (value === null ? '' : formatDatum((columns ?? [])[i]!.type, value))).join('|'));
        }
      };
      try {
        const [names] = await session.execute(
          "SELECT table_schema, table_name FROM bank.information_schema.tables WHERE table_schema != 'public' UNION SELECT 'system', table_name FROM system.information_schema.tables WHERE table_schema = 'public'",
        );
        const tables = (names?.rows ?? []).map(([schema, table]) => `${schema}.${schema === 'system' ? 'public.' : ''}"${table}"`);
        assert.ok(tables.length > 100, `${tables.length} tables`);
        for (const table of tables) {
          await read(`SELECT * FROM ${table}`).catch((error: unknown) => texts.push(`${table}: ${(error as Error).message}`));
        }
        for (const show of ['SHOW JOBS', 'SHOW QUERIES', 'SHOW SESSIONS', 'SHOW STATEMENTS', 'SHOW CLUSTER SETTINGS', 'SHOW ALL'])
          await read(show).catch(() => {});
        for (const metric of await db.metrics.read()) texts.push(JSON.stringify(metric));
      } finally {
        session.close();
      }
      return texts.join('\n');
    },
  };
  await world.run('CREATE DATABASE bank; CREATE TABLE bank.t (id INT PRIMARY KEY, v STRING); INSERT INTO bank.t VALUES (1, $$one$$)');
  return world;
}

function assertSilent(what: string, text: string): void {
  const at = text.search(CANARY);
  if (at !== -1) throw new Error(`${what} shows a secret: ...${text.slice(Math.max(0, at - 200), at + 60)}...`);
}

async function filesOf({ db }: World): Promise<string> {
  const storage = db.storage.open('mem://bucket', { user: 'root', nodeId: 1 });
  const contents: string[] = [];
  for (const name of await storage.list('')) contents.push(name, Buffer.from(await storage.read(name)).toString('latin1'));
  return contents.join('\n');
}

test('statements that succeed', async () => {
  const world = await openWorld();
  const { said } = world;
  const passphrase = `encryption_passphrase = '${PASSPHRASE}'`;
  const keys = `kms = ('${kms('k1')}', '${kms('k2')}')`;
  for (const secret of [passphrase, keys]) {
    const path = place(secret === passphrase ? 'p' : 'k');
    await world.run(`BACKUP DATABASE bank INTO '${path}' WITH ${secret}`);
    await world.run(`BACKUP DATABASE bank INTO LATEST IN '${path}' WITH ${secret}, detached`);
    await world.clock.activity.settled();
    await world.run(`SHOW BACKUP FROM LATEST IN '${path}' WITH as_json, ${secret}`);
    await world.run(`SHOW BACKUP FILES FROM LATEST IN '${path}' WITH ${secret}`);
    await world.run(`SHOW BACKUPS IN '${path}'`);
    await world.run(`VERIFY BACKUP FROM LATEST IN '${path}' WITH ${secret}`);
    await world.run(`RESTORE DATABASE bank FROM LATEST IN '${path}' WITH new_db_name = 'r${said.length}', ${secret}`);
    await world.run(`PREPARE b AS BACKUP DATABASE bank INTO '${path}' WITH ${secret}; SELECT * FROM pg_catalog.pg_prepared_statements`);
    await world.run(`BACKUP DATABASE bank TO '${place(`old${said.length}`)}' WITH ${secret}`);
    // As the wire protocol prepares it, in a session that stays.
    const session = world.db.newSession({ user: 'root', database: 'bank' });
    await session.prepare('p', `BACKUP DATABASE bank INTO '${path}' WITH ${secret}`);
    const [prepared] = await session.execute('SELECT statement FROM pg_catalog.pg_prepared_statements');
    said.push(String(prepared?.rows[0]?.[0]));
    assert.match(said.at(-1) as string, 'BACKUP DATABASE bank INTO');
    session.close();
    await world.run(`EXPLAIN BACKUP DATABASE bank INTO '${path}' WITH ${secret}`);
  }
  await world.run(`ALTER BACKUP LATEST IN '${place('k')}' ADD NEW_KMS = '${kms('k3')}' WITH OLD_KMS = '${kms('k1')}'`);
  await world.run(`CREATE USER joe WITH PASSWORD '${PASSWORD}'`);
  await world.run('SHOW JOBS; SELECT * FROM [SHOW JOBS]; SELECT * FROM crdb_internal.jobs; SELECT * FROM system.jobs');
  assert.equal(
    said.filter((text) => text.startsWith('failed: ') && !text.includes('EXPLAIN')),
    [],
  );
  assertSilent('what statements say', said.join('\n'));
  assertSilent('a table', await world.readTables());
  assertSilent('a file', await filesOf(world));
  await world.db.close();
});

test('statements that fail, jobs that fail, and what is under way', async () => {
  const world = await openWorld();
  const { said, keys } = world;
  const path = place('c');
  await world.run(`BACKUP DATABASE bank INTO '${path}' WITH encryption_passphrase = '${PASSPHRASE}'`);
  keys.refused.set('k9', { message: 'refused', isRetryable: false });
  keys.refused.set('away', { message: 'refused', isRetryable: true });
  const failing = [
    `RESTORE DATABASE bank FROM LATEST IN '${path}' WITH encryption_passphrase = '${OTHER_PASSPHRASE}'`,
    `RESTORE DATABASE bank FROM LATEST IN '${path}' WITH kms = '${kms('k1')}'`,
    `RESTORE DATABASE nope FROM LATEST IN '${path}' WITH encryption_passphrase = '${PASSPHRASE}'`,
    `SHOW BACKUP FROM LATEST IN '${place('nowhere')}' WITH encryption_passphrase = '${PASSPHRASE}'`,
    `SHOW BACKUP '${place('nowhere')}' WITH encryption_passphrase = '${PASSPHRASE}'`,
    `BACKUP DATABASE bank INTO '${path}' WITH encryption_passphrase = '${PASSPHRASE}', kms = '${kms('k1')}'`,
    `BACKUP DATABASE bank INTO '${path}' WITH encryption_passphrase = '${PASSPHRASE}', encryption_passphrase = '${PASSPHRASE}'`,
    `BACKUP DATABASE bank INTO '${path}' WITH encryption_passphrase = '${PASSPHRASE}' oops`,
    `BACKUP DATABASE bank INTO '${path}' WITH encryption_passphrase '${PASSPHRASE}'`,
    `BACKUP DATABASE bank INTO '${path}' WITH kms = '${kms('k9')}'`,
    `BACKUP DATABASE bank INTO '${path}' WITH kms = '${kms('away')}', updates_cluster_monitoring_metrics`,
    `BACKUP DATABASE bank INTO '${path.replace('cloud:', 'nocloud:')}'`,
    `BACKUP DATABASE bank INTO '${path.replace('?', '?COLOR=red&')}&COCKROACH_LOCALITY=x' WITH encryption_passphrase = '${PASSPHRASE}'`,
    `BACKUP DATABASE bank INTO '${path}' WITH kms = 'aws:///k?AWS_SECRET_ACCESS_KEY=${KMS_SECRET}'`,
    `BACKUP DATABASE bank INTO '${path}' WITH kms = 'gs:///k?CREDENTIALS=${KMS_SECRET}'`,
    `BACKUP DATABASE bank INTO '${path}' WITH kms = 'gs:///projects/p/locations/l/keyRings/r/cryptoKeys/k?BEARER_TOKEN=${TOKEN}&X=1'`,
    `BACKUP DATABASE bank INTO '${path}' WITH kms = 'azure-kms:///k/v?AZURE_CLIENT_SECRET=${KMS_SECRET}'`,
    `BACKUP DATABASE bank INTO '${path}' WITH kms = 'not a uri?AWS_SECRET_ACCESS_KEY=${KMS_SECRET}'`,
    `ALTER BACKUP LATEST IN '${path}' ADD NEW_KMS = '${kms('k1')}' WITH OLD_KMS = '${kms('k2')}'`,
    `ALTER BACKUP LATEST IN '${path}' ADD NEW_KMS = '${kms('k1')}' WITH OLD_KMS '${kms('k2')}'`,
    `CREATE USER WITH PASSWORD '${PASSWORD}'`,
  ];
  for (const sql of failing) {
    const before = said.length;
    await world.run(sql);
    assert.ok(
      said.slice(before).some((text) => text.startsWith('failed: ')),
      sql,
    );
  }
  // Jobs that wait, fail, and are undone.
  await world.run("SET CLUSTER SETTING jobs.debug.pausepoints = 'backup.afterLock,restore.beforeIngest'");
  await world.run(`BACKUP DATABASE bank INTO '${path}' WITH kms = '${kms('k1')}', detached`);
  await world.run(
    `RESTORE DATABASE bank FROM LATEST IN '${path}' WITH new_db_name = 'r', encryption_passphrase = '${PASSPHRASE}', detached`,
  );
  await world.clock.activity.settled();
  assertSilent('a table while jobs are paused', await world.readTables());
  await world.run('CANCEL JOBS (SELECT job_id FROM [SHOW JOBS] WHERE status = $$paused$$)');
  await world.clock.advance('1m');

  // A statement under way, in every list of sessions and queries.
  const gate = Promise.withResolvers<void>();
  world.gate = { opened: gate.promise, open: gate.resolve };
  const under = world.run(`BACKUP DATABASE bank INTO '${path}' WITH kms = '${kms('slow')}'`);
  const second = world.run(`ALTER BACKUP LATEST IN '${path}' ADD NEW_KMS = '${kms('slow')}' WITH OLD_KMS = '${kms('k2')}'`);
  for (let i = 0; i < 100; i++) await new Promise((resolve) => setImmediate(resolve));
  const meanwhile = await world.readTables();
  assert.match(meanwhile, /BACKUP DATABASE bank INTO/);
  assertSilent('a table meanwhile', meanwhile);
  gate.resolve();
  await Promise.all([under, second]);

  assertSilent('what statements say', said.join('\n'));
  assertSilent('a table', await world.readTables());
  assertSilent('a file', await filesOf(world));
  await world.db.close();
});

test('every scheme, however its secret is written, in every statement', async () => {
  const world = await openWorld();
  const { db, said } = world;
  const spellings = [
    's3://b/p?AWS_ACCESS_KEY_ID=id&AWS_SECRET_ACCESS_KEY=canary&NOPE=1',
    's3://b/p?Aws_Secret_Access_Key=canary',
    's3://b/p?AWS%5FSECRET%5FACCESS%5FKEY=canary&NOPE=1',
    's3://b/p?AWS_SESSION_TOKEN=canary&AUTH=maybe',
    's3://b/p?AWS_SECRET_ACCESS_KEY=canary&AWS_SECRET_ACCESS_KEY=canary',
    's3://b/p?AWS_SECRET_ACCESS_KEY=canary%zz',
    's3://b/p?AWS_ACCESS_KEY_ID=id&AWS_SECRET_ACCESS_KEY=x&AWS_ENDPOINT=http%3A%2F%2Fu%3Acanary%40h',
    's3:/b?AWS_SECRET_ACCESS_KEY=canary',
    'gs://b/p?AUTH=specified&CREDENTIALS=canary&NOPE=1',
    'gs://b/p?BEARER_TOKEN=canary&NOPE=1',
    'azure-blob://c/p?AZURE_ACCOUNT_NAME=n&AZURE_ACCOUNT_KEY=canary&NOPE=1',
    'azure://c/p?AZURE_CLIENT_ID=i&AZURE_CLIENT_SECRET=canary&AZURE_TENANT_ID=t&NOPE=1',
    'http://user:canary@h:99999/p',
    'https://canary@h:99999/p',
    'http://user:can/ary-canary@h/p',
    'http://h:99999/p?TOKEN=canary',
    'nodelocal://1/p?PASSWORD=canary',
    'userfile:///p?AWS_SECRET_ACCESS_KEY=canary',
    'mem://b/p?CREDENTIALS=canary',
    'external://c/p?AWS_SECRET_ACCESS_KEY=canary',
    'kafka://h?sasl_password=canary',
  ];
  const keys = [
    'aws:///k?AWS_ACCESS_KEY_ID=id&AWS_SECRET_ACCESS_KEY=canary&REGION=r&NOPE=1',
    'aws-kms:///k?AWS_SESSION_TOKEN=canary&REGION=r',
    'gcp-kms:///k?AUTH=specified&CREDENTIALS=canary',
    'gs:///projects/p/locations/l/keyRings/r/cryptoKeys/k?BEARER_TOKEN=canary&NOPE=1',
    'azure-kms:///k/v?AZURE_VAULT_NAME=v&AZURE_CLIENT_SECRET=canary&NOPE=1',
    'external://c?CREDENTIALS=canary',
  ];
  const statements = (uri: string): string[] => [
    `BACKUP DATABASE bank INTO '${uri}'`,
    `BACKUP DATABASE bank INTO LATEST IN '${uri}' WITH incremental_location = '${uri}'`,
    `BACKUP DATABASE bank TO '${uri}' INCREMENTAL FROM '${uri}'`,
    `BACKUP DATABASE bank INTO ('${uri}', '${uri}')`,
    `RESTORE DATABASE bank FROM LATEST IN '${uri}'`,
    `RESTORE DATABASE bank FROM '${uri}'`,
    `SHOW BACKUPS IN '${uri}'`,
    `SHOW BACKUP FROM LATEST IN '${uri}'`,
    `SHOW BACKUP '${uri}'`,
    `VERIFY BACKUP FROM LATEST IN '${uri}'`,
    `ATTACH BACKUP FROM LATEST IN '${uri}' AS a`,
    `COMPACT BACKUP LATEST IN '${uri}'`,
    `DELETE BACKUP LATEST IN '${uri}'`,
    `EXPIRE BACKUPS IN '${uri}' KEEP 1 FULLS`,
    `EXPORT INTO CSV '${uri}' FROM SELECT 1`,
    `IMPORT INTO bank.t CSV DATA ('${uri}/f.csv')`,
    `CHECK EXTERNAL CONNECTION '${uri}'`,
    `SHOW BACKUP CONNECTION '${uri}' WITH transfer = '1B'`,
    `CREATE EXTERNAL CONNECTION bad AS '${uri}'`,
    `CREATE EXTERNAL CONNECTION bad AS '${uri}' oops`,
    `ALTER EXTERNAL CONNECTION c AS '${uri}'`,
    `SELECT varve_internal.userfile_list('${uri}')`,
    `BACKUP DATABASE bank INTO '${uri}`,
  ];
  await world.run("CREATE EXTERNAL CONNECTION c AS 'mem://b/c'");
  for (const uri of spellings) for (const sql of statements(uri)) await world.run(sql);
  for (const uri of keys) {
    await world.run(`BACKUP DATABASE bank INTO 'mem://b/k' WITH kms = '${uri}'`);
    await world.run(`RESTORE DATABASE bank FROM LATEST IN 'mem://b/k' WITH kms = ('${uri}', '${uri}')`);
    await world.run(`ALTER BACKUP LATEST IN 'mem://b/k' ADD NEW_KMS = '${uri}' WITH OLD_KMS = '${uri}'`);
    await world.run(`CREATE EXTERNAL CONNECTION bad AS '${uri}'`);
  }
  // All of them were heard and refused, but where mem:// takes any parameter, and a URI with a slash in it is another URI.
  assert.ok(said.filter((text) => text.startsWith('failed: ')).length > spellings.length * 20);
  assertSilent('what statements say', said.join('\n'));
  assertSilent('a table', await world.readTables());

  // A connection that works: everything but its own row and SHOW CREATE goes without its secret.
  said.length = 0;
  db.storage.register('s3', (uri, context) => db.storage.open(`mem://${uri.host}/${uri.path}`, context));
  const uri = 's3://bucket/x?AWS_ACCESS_KEY_ID=id&AWS_SECRET_ACCESS_KEY=canary';
  await world.run(`CREATE EXTERNAL CONNECTION good AS '${uri}'; SHOW EXTERNAL CONNECTIONS; SHOW EXTERNAL CONNECTION good`);
  await world.run(`PREPARE p AS CREATE EXTERNAL CONNECTION other AS '${uri}'; SELECT * FROM pg_catalog.pg_prepared_statements`);
  await world.run(`ALTER EXTERNAL CONNECTION good AS '${uri}'; BACKUP DATABASE bank INTO 'external://good/b'`);
  await world.run(
    "SHOW BACKUP FROM LATEST IN 'external://good/b' WITH as_json; CHECK EXTERNAL CONNECTION 'external://good' WITH transfer = '1KiB'",
  );
  await world.run(
    "RESTORE DATABASE bank FROM LATEST IN 'external://good/b' WITH new_db_name = 'again'; SHOW JOBS; SELECT * FROM system.jobs",
  );
  await world.run("BACKUP DATABASE bank INTO LATEST IN 'external://good/nowhere'; SHOW BACKUP FROM 'x' IN 'external://good/b'");
  assert.is(said.filter((text) => text.startsWith('failed: ')).length, 1);
  assertSilent('what statements say of a connection', said.join('\n'));
  assertSilent('a file', await filesOf(world));
  const tables = await world.readTables();
  assert.is(tables.match(/canary/g)?.length, 1, 'only in system.external_connections');
  await db.close();
});

test.run();
