/**
 * Logins over TLS with real clients: `pg`, and psql where it is installed. Certificates come from
 * `varve cert`, and openssl, where it is installed, finds nothing wrong with them.
 */
import { execFile } from 'node:child_process';
import { connect } from 'node:net';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { MetricRegistry } from '../../src/base/metrics.ts';
import { main } from '../../src/cli/main.ts';
import { open } from '../../src/index.ts';
import { loadServerCerts } from '../../src/server/certs.ts';
import { Database } from '../../src/server/database.ts';
import { startHttpServer } from '../../src/server/httpServer.ts';
import { type RunningPgServer, startPgServer } from '../../src/server/pgwire/pgServer.ts';
import { hasOpenssl, hasPsql } from '../support/programs.ts';

interface Context {
  folder: string;
  certs: string;
  database: Database;
  server: RunningPgServer;
  open: RunningPgServer;
}

const test = suite<Context>('logins over TLS');
const run = promisify(execFile);

async function cert(context: Context, ...argv: string[]): Promise<string> {
  const said: string[] = [];
  const note = (text: string): void => void said.push(text);
  const io = { out: note, err: note, isTerminal: false, monotonicMicros: () => 0 };
  await main(['cert', ...argv, '--certs-dir', context.certs, '--ca-key', join(context.folder, 'ca.key')], io);
  return said.join('');
}

test.before(async (context) => {
  context.folder = await mkdtemp(join(tmpdir(), 'varve-login-'));
  context.certs = join(context.folder, 'certs');
  await cert(context, 'create-ca');
  await cert(context, 'create-node', 'localhost', '127.0.0.1', '::1');
  for (const user of ['root', 'ann', 'ghost']) await cert(context, 'create-client', user);
  context.database = await Database.open({ seed: 'login' });
  const certs = await loadServerCerts(context.certs);
  context.server = await startPgServer(context.database, { host: '127.0.0.1', port: 0, certs });
  context.open = await startPgServer(context.database, { host: '127.0.0.1', port: 0, certs, acceptWithoutTls: true });
  const client = await connected(context, { user: 'root' }, 'root');
  await client.query(
    "CREATE USER ann PASSWORD 'secret'; CREATE USER bare; CREATE USER old PASSWORD 'secret' VALID UNTIL '2020-01-01'; CREATE ROLE team LOGIN PASSWORD 'a'; ALTER ROLE team NOLOGIN",
  );
  await client.end();
});

test.after(async (context) => {
  await context.server.close();
  await context.open.close();
  await context.database.close();
  await rm(context.folder, { recursive: true, force: true });
});

/** A client with verify-full, and the certificate of `shown` where one is named. */
async function connected(context: Context, options: pg.ClientConfig, shown?: string): Promise<pg.Client> {
  const read = (name: string) => readFile(join(context.certs, name), 'utf8');
  const client = new pg.Client({
    host: 'localhost',
    port: context.server.port,
    database: 'defaultdb',
    ssl: {
      ca: await read('ca.crt'),
      ...(shown && { cert: await read(`client.${shown}.crt`), key: await read(`client.${shown}.key`) }),
    },
    ...options,
  });
  await client.connect();
  return client;
}

/** The error of a login: `code message; detail`. */
async function refused(context: Context, options: pg.ClientConfig, shown?: string): Promise<string> {
  try {
    await (await connected(context, options, shown)).end();
    return 'logged in';
  } catch (error) {
    const { code, message, detail } = error as { code?: string; message: string; detail?: string };
    return `${code} ${message}${detail ? `; ${detail}` : ''}`;
  }
}

test('a password, by SCRAM', async (context) => {
  const client = await connected(context, { user: 'ann', password: 'secret' });
  assert.equal((await client.query('SELECT current_user, session_user')).rows, [{ current_user: 'ann', session_user: 'ann' }]);
  await client.end();
});

test('an unknown user, no password and a wrong one get one answer', async (context) => {
  for (const user of ['ann', 'bare', 'nobody', 'old']) {
    const password = user === 'old' ? 'secret' : 'wrong';
    assert.is(await refused(context, { user, password }), `28P01 password authentication failed for user "${user}"`);
  }
});

test('NOLOGIN is told to who has shown who it is', async (context) => {
  assert.is(await refused(context, { user: 'team', password: 'a' }), '28000 team does not have login privilege');
  assert.is(await refused(context, { user: 'team', password: 'b' }), '28P01 password authentication failed for user "team"');
});

test('a client certificate is good for the user it names', async (context) => {
  const client = await connected(context, { user: 'ann' }, 'ann');
  assert.equal((await client.query('SELECT current_user')).rows, [{ current_user: 'ann' }]);
  await client.end();
  assert.is(
    await refused(context, { user: 'root' }, 'ann'),
    '28000 certificate authentication failed for user "root"; the client certificate is for "ann"',
  );
  assert.is(await refused(context, { user: 'ghost' }, 'ghost'), '28000 certificate authentication failed for user "ghost"');
});

test('a certificate of another CA proves nothing', async (context) => {
  const other = { ...context, certs: join(context.folder, 'other'), folder: join(context.folder, 'elsewhere') };
  await cert(other, 'create-ca');
  await cert(other, 'create-client', 'ann');
  const ssl = {
    ca: await readFile(join(context.certs, 'ca.crt'), 'utf8'),
    cert: await readFile(join(other.certs, 'client.ann.crt'), 'utf8'),
    key: await readFile(join(other.certs, 'client.ann.key'), 'utf8'),
  };
  assert.match(
    await refused(context, { user: 'ann', ssl }),
    /^28000 certificate authentication failed for user "ann"; the client certificate is not accepted/,
  );
});

test('without TLS nobody gets in, unless the server was told to', async (context) => {
  assert.is(
    await refused(context, { user: 'ann', password: 'secret', ssl: false }),
    '28000 node is running secure mode, SSL connection required',
  );
  assert.is(await refused(context, { user: 'ann', password: 'secret', ssl: false, port: context.open.port }), 'logged in');
  assert.match(await refused(context, { user: 'ann', password: 'x', ssl: false, port: context.open.port }), /^28P01/);
});

test('a database that is not there is told after the login only', async (context) => {
  assert.match(await refused(context, { user: 'ann', password: 'wrong', database: 'nowhere' }), /^28P01/);
  assert.match(await refused(context, { user: 'ann', password: 'secret', database: 'nowhere' }), /^3D000/);
  assert.match(await refused(context, { user: 'ann', password: 'secret', database: 'defaultdb@nowhere' }), /^(?!28P01)/);
});

test('defaults of the role hold where the client asks for nothing else', async (context) => {
  const root = await connected(context, { user: 'root' }, 'root');
  await root.query("ALTER ROLE ann SET timezone = 'Europe/Berlin'; ALTER ROLE ann SET application_name = 'by role'");
  await root.end();
  const client = await connected(context, { user: 'ann', password: 'secret', application_name: 'mine' });
  const { rows } = await client.query("SELECT current_setting('timezone') AS zone, current_setting('application_name') AS name");
  assert.equal(rows, [{ zone: 'Europe/Berlin', name: 'mine' }]);
  await client.end();
  assert.match(await refused(context, { user: 'ann', password: 'secret', options: '-c role=root' }), /^55P02/);
});

test('a client that has not logged in cannot fill the memory', async (context) => {
  const socket = connect(context.open.port, '127.0.0.1');
  socket.on('error', () => undefined);
  const parameters = Buffer.from('user\0ann\0\0', 'latin1');
  const startup = Buffer.alloc(8);
  startup.writeInt32BE(8 + parameters.length, 0);
  startup.writeInt32BE(196608, 4);
  socket.write(Buffer.concat([startup, parameters]));
  await once(socket, 'data');
  socket.write(Buffer.from('7004000000', 'hex'));
  const [answer] = await once(socket, 'data');
  assert.match(String(answer), 'exceeds the maximum');
  socket.destroy();
});

test('a password is in no list of statements', async (context) => {
  const client = await connected(context, { user: 'root' }, 'root');
  const { rows } = await client
    .query("ALTER USER bare PASSWORD 'hush'; PREPARE p AS ALTER USER bare PASSWORD 'hush'; SELECT statement FROM pg_prepared_statements")
    .then((results) => (results as unknown as pg.QueryResult[]).at(-1) as pg.QueryResult);
  assert.not.match(JSON.stringify(rows), 'hush');
  await client.end();
});

test('the library listens with certificates too', async (context) => {
  const db = await open({ seed: 'listen' });
  const server = await db.listen({ certsDir: context.certs });
  assert.match(server.url, /sslmode=verify-full$/);
  assert.match(await refused(context, { user: 'root', password: 'x', port: server.port }), /^28P01/);
  await server.close();
  await db.close();
});

/** Sends bytes, gives what comes back until the server closes. */
async function exchange(port: number, ...pieces: Buffer[]): Promise<Buffer> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  const received: Buffer[] = [];
  socket.on('data', (chunk) => received.push(chunk));
  socket.on('error', () => undefined);
  for (const piece of pieces) socket.write(piece);
  await once(socket, 'close');
  return Buffer.concat(received);
}

const sslRequest = Buffer.from('0000000804d2162f', 'hex');

test('plain text behind the request for TLS is refused', async (context) => {
  const answer = await exchange(context.server.port, Buffer.concat([sslRequest, sslRequest]));
  assert.match(answer.toString('latin1'), 'received unencrypted data after SSL request');
});

test('what is no TLS after all ends the connection, not the server', async (context) => {
  const socket = connect(context.server.port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(sslRequest);
  const [first] = await once(socket, 'data');
  assert.is(String(first), 'S');
  socket.write('this is no ClientHello');
  socket.resume();
  await once(socket, 'close');
  assert.is(await refused(context, { user: 'ann', password: 'secret' }), 'logged in');
});

test('HTTP speaks TLS too', async (context) => {
  const http = await startHttpServer({
    host: '127.0.0.1',
    port: 0,
    isReady: () => true,
    metrics: new MetricRegistry(),
    certs: await loadServerCerts(context.certs),
  });
  try {
    const { get } = await import('node:https');
    const ca = await readFile(join(context.certs, 'ca.crt'));
    const status = await new Promise((resolve, reject) => {
      get({ host: '127.0.0.1', port: http.port, path: '/health', ca }, (response) => resolve(response.statusCode)).on('error', reject);
    });
    assert.is(status, 200);
  } finally {
    await http.close();
  }
});

test('an open address needs certificates', async (context) => {
  let message = '';
  await startPgServer(context.database, { host: '0.0.0.0', port: 0 }).catch((error: Error) => {
    message = error.message;
  });
  assert.match(message, '0.0.0.0 can be reached from other machines');
});

test('varve cert: keys are private, nothing is replaced unasked', async (context) => {
  assert.is((await stat(join(context.certs, 'node.key'))).mode & 0o777, 0o600);
  assert.match(await cert(context, 'create-client', 'ann'), 'client.ann.crt exists');
  assert.match(await cert(context, 'create-client', 'ann', '--overwrite'), 'wrote');
  assert.match(await cert(context, 'list'), /node\.crt +node +\d{4}-\d\d-\d\d +localhost, 127\.0\.0\.1/);
  const open = await mkdtemp(join(context.folder, 'open-'));
  for (const name of ['ca.crt', 'node.crt', 'node.key'])
    await writeFile(join(open, name), await readFile(join(context.certs, name)), { mode: 0o644 });
  await loadServerCerts(open).then(
    () => assert.unreachable(),
    (error: Error) => assert.match(error.message, 'can be read by others'),
  );
  // A CA for clients that is there and cannot be read is no reason to believe the servers' CA instead.
  const unreadable = await mkdtemp(join(context.folder, 'unreadable-'));
  for (const name of ['ca.crt', 'node.crt', 'node.key'])
    await writeFile(join(unreadable, name), await readFile(join(context.certs, name)), { mode: 0o600 });
  await mkdir(join(unreadable, 'ca-client.crt'));
  await loadServerCerts(unreadable).then(
    () => assert.unreachable(),
    (error: Error) => assert.match(error.message, 'cannot read'),
  );
});

(hasOpenssl ? test : test.skip)('openssl accepts the certificates, strictly', async ({ certs }) => {
  for (const [purpose, name] of [
    ['sslserver', 'node.crt'],
    ['sslclient', 'client.root.crt'],
  ] as const) {
    const { stdout } = await run('openssl', [
      'verify',
      '-x509_strict',
      '-CAfile',
      join(certs, 'ca.crt'),
      '-purpose',
      purpose,
      join(certs, name),
    ]);
    assert.match(stdout, 'OK');
  }
});

const psql = async ({ server, certs }: Context, sql: string, parameters: string, password = ''): Promise<string> => {
  const text = `host=localhost port=${server.port} dbname=defaultdb sslmode=verify-full sslrootcert=${certs}/ca.crt ${parameters}`;
  const { stdout, stderr } = await run('psql', [text, '-Atc', sql], { env: { ...process.env, PGPASSWORD: password } }).catch(
    (error: { stdout: string; stderr: string }) => error,
  );
  return `${stdout}${stderr}`;
};

(hasPsql ? test : test.skip)('psql: passwords, certificates, and why not', async (context) => {
  assert.is(await psql(context, 'SELECT current_user', 'user=ann', 'secret'), 'ann\n');
  const { certs } = context;
  assert.is(
    await psql(context, 'SELECT current_user', `user=root sslcert=${certs}/client.root.crt sslkey=${certs}/client.root.key`),
    'root\n',
  );
  assert.match(await psql(context, 'SELECT 1', 'user=ann', 'no'), 'FATAL:  password authentication failed for user "ann"');
  assert.match(await psql(context, 'SELECT 1', 'user=ann hostaddr=127.0.0.1 host=elsewhere', 'secret'), 'does not match host name');
});

test.run();
