/** What a client may do to other sessions, and what pools and drivers ask of their own. */
import { once } from 'node:events';
import { connect } from 'node:net';
import pg from 'pg';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { open, type Varve } from '../../src/index.ts';

interface Context {
  db: Varve;
  server: Awaited<ReturnType<Varve['listen']>>;
  client: pg.Client;
}

const test = suite<Context>('session control');

test.before.each(async (context) => {
  context.db = await open();
  context.server = await context.db.listen();
  context.client = await clientOf(context);
});
test.after.each(async ({ db, server, client }) => {
  await client.end();
  await server.close();
  await db.close();
});

async function clientOf({ server }: Pick<Context, 'server'>, user = 'root'): Promise<pg.Client> {
  const client = new pg.Client(server.url.replace('root@', `${user}@`));
  client.on('error', () => {});
  await client.connect();
  return client;
}

const pidOf = (client: pg.Client): number => (client as unknown as { processID: number }).processID;
const codeOf = (promise: Promise<unknown>): Promise<string | undefined> =>
  promise.then(
    () => undefined,
    (error: { code?: string }) => error.code,
  );

/** A statement of another client that runs until it is stopped; resolves once it runs. */
async function running({ client }: Context, other: pg.Client): Promise<{ code: Promise<string | undefined>; id: string }> {
  const code = codeOf(other.query('SELECT pg_sleep(3600)'));
  for (;;) {
    const { rows } = await client.query("SELECT query_id FROM [SHOW QUERIES] WHERE query LIKE 'SELECT pg_sleep%'");
    if (rows.length > 0) return { code, id: rows[0].query_id };
  }
}

test('pg_backend_pid is the number that the client was given, and pg_stat_activity has it', async (context) => {
  const { client, db } = context;
  const other = await clientOf(context);
  for (const one of [client, other]) {
    const { rows } = await one.query('SELECT pg_backend_pid() AS pid, count(*) AS n FROM pg_stat_activity WHERE pid = pg_backend_pid()');
    assert.equal(rows, [{ pid: String(pidOf(one)), n: '1' }]);
  }
  assert.is.not(pidOf(client), pidOf(other));
  assert.equal((await db.query('SELECT pg_backend_pid() AS pid')).rows, [{ pid: -1 }]);
  await other.end();
});

test('pg_cancel_backend ends the statement, pg_terminate_backend the session', async (context) => {
  const { client } = context;
  const other = await clientOf(context);
  const pid = pidOf(other);
  const first = await running(context, other);
  assert.equal((await client.query('SELECT pg_cancel_backend($1) AS ok', [pid])).rows, [{ ok: true }]);
  assert.is(await first.code, '57014');
  assert.equal((await other.query('SELECT 1 AS a')).rows, [{ a: '1' }]);
  const second = await running(context, other);
  assert.equal((await client.query('SELECT pg_terminate_backend($1) AS ok', [pid])).rows, [{ ok: true }]);
  assert.ok(['57014', '57P01'].includes((await second.code) ?? ''));
  const notices: (string | undefined)[] = [];
  client.on('notice', ({ severity, message }) => notices.push(`${severity}: ${message}`));
  assert.equal((await client.query('SELECT pg_cancel_backend($1) AS ok', [pid])).rows, [{ ok: false }]);
  assert.equal(notices, [`WARNING: PID ${pid} is not a PostgreSQL backend process`]);
});

test('CANCEL QUERY and CANCEL SESSION go by the ids that SHOW gives', async (context) => {
  const { client } = context;
  const other = await clientOf(context);
  const first = await running(context, other);
  assert.is((await client.query(`CANCEL QUERY '${first.id}'`)).command, 'CANCEL');
  assert.is(await first.code, '57014');
  const second = await running(context, other);
  await client.query("CANCEL QUERIES SELECT query_id FROM [SHOW QUERIES] WHERE query LIKE 'SELECT pg_sleep%'");
  assert.is(await second.code, '57014');
  assert.is(await codeOf(client.query("CANCEL QUERY 'nobody'")), '42704');
  await client.query("CANCEL QUERY IF EXISTS 'nobody'");
  const third = await running(context, other);
  const ended = once(other, 'error');
  await client.query(`CANCEL SESSION '${third.id}'`);
  assert.ok(['57014', '57P01'].includes((await third.code) ?? ''));
  await ended;
  assert.equal((await client.query('SELECT count(*) AS n FROM [SHOW SESSIONS] WHERE user_name = $1', ['root'])).rows.length, 1);
});

test("somebody else's statement takes CANCELQUERY, and an admin's an admin", async (context) => {
  const { client } = context;
  await client.query('CREATE USER a; CREATE USER b; CREATE USER c WITH CANCELQUERY VIEWACTIVITY');
  const [a, b, c] = [await clientOf(context, 'a'), await clientOf(context, 'b'), await clientOf(context, 'c')];
  const of = await running(context, a);
  assert.is(await codeOf(b.query(`CANCEL QUERY '${of.id}'`)), '42501');
  assert.is(await codeOf(b.query('SELECT pg_cancel_backend($1)', [pidOf(a)])), '42501');
  await c.query(`CANCEL QUERY '${of.id}'`);
  assert.is(await of.code, '57014');
  assert.is(await codeOf(c.query('SELECT pg_terminate_backend($1)', [pidOf(client)])), '42501');
  for (const one of [a, b, c]) await one.end();
});

test('what pools send before they hand a connection on is answered', async ({ client }) => {
  await client.query('DECLARE x CURSOR WITH HOLD FOR SELECT 1');
  for (const sql of ['CLOSE ALL', 'UNLISTEN *', 'UNLISTEN channel', 'RESET ALL', 'SELECT pg_advisory_unlock_all()', 'DISCARD ALL']) {
    await client.query(sql);
  }
  assert.equal((await client.query('SELECT * FROM pg_cursors')).rows, []);
  for (const sql of ['LISTEN channel', "NOTIFY channel, 'x'"]) {
    const error = (await client.query(sql).catch((reason: unknown) => reason)) as pg.DatabaseError;
    assert.is(error.code, '0A000', sql);
    assert.match(error.hint ?? '', 'there are no notifications');
  }
});

test('notices carry detail and hint; settings that clients follow are told when they change', async (context) => {
  const { client } = context;
  const notices: { message: string | undefined; detail: string | undefined }[] = [];
  client.on('notice', ({ message, detail }) => notices.push({ message, detail }));
  await client.query('CREATE TABLE t (a STRING)');
  await client.query('ALTER TABLE t ALTER a SET STORAGE EXTERNAL');
  assert.equal(notices, [{ message: 'SET STORAGE has no effect', detail: 'rows are kept in memory, whole' }]);
  const told: string[] = [];
  const { connection } = client as unknown as {
    connection: { on(event: string, listener: (message: { parameterName: string; parameterValue: string }) => void): void };
  };
  connection.on('parameterStatus', ({ parameterName, parameterValue }) => told.push(`${parameterName}=${parameterValue}`));
  await client.query("SET application_name = 'x'; SET TIME ZONE 'Europe/Berlin'; SET statement_timeout = '1h'");
  await client.query('RESET application_name');
  assert.equal(told, ['application_name=x', 'TimeZone=Europe/Berlin', 'application_name=']);
});

test('GSSENCRequest is declined, and the client goes on', async ({ server, client }) => {
  await client.query('CREATE USER plain');
  for (const [user, expected] of [
    ['root', 'on'],
    ['plain', 'off'],
  ]) {
    const socket = connect(server.port, '127.0.0.1');
    socket.write(Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30]));
    const [answer] = (await once(socket, 'data')) as [Buffer];
    assert.is(answer.toString(), 'N');
    const parameters = Buffer.from(`\0\x03\0\0user\0${user}\0\0`, 'latin1');
    socket.write(Buffer.concat([Buffer.from([0, 0, 0, parameters.length + 4]), parameters]));
    let text = '';
    while (!text.includes('Z\0\0\0\x05I')) text += ((await once(socket, 'data')) as [Buffer])[0].toString('latin1');
    assert.match(text, `is_superuser\0${expected}\0`);
    socket.end(Buffer.from('X\0\0\0\x04', 'latin1'));
  }
});

test.run();
