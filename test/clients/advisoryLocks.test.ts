/** Advisory locks between two connections, as migrators and job queues use them. */
import pg from 'pg';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { type ClientsServer, errorOf, startClientsServer } from './support.ts';

interface Context {
  server: ClientsServer;
  one: pg.Client;
  two: pg.Client;
}

const test = suite<Context>('advisory locks');

async function connect({ url }: ClientsServer): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return client;
}

test.before(async (context) => {
  context.server = await startClientsServer('advisory');
  context.one = await connect(context.server);
  context.two = await connect(context.server);
});

test.after(async ({ one, two, server }) => {
  await one.end();
  await two.end();
  await server.close();
});

/** The one value that a statement gives. */
async function value(client: pg.Client, sql: string): Promise<unknown> {
  const { rows } = await client.query({ text: sql, rowMode: 'array' });
  return (rows[0] as unknown[])[0];
}

test("a session's lock is held until it was given back as often as it was taken", async ({ one, two }) => {
  await one.query('SELECT pg_advisory_lock(7), pg_advisory_lock(7)');
  assert.is(await value(two, 'SELECT pg_try_advisory_lock(7)'), false);
  assert.is(await value(two, 'SELECT pg_try_advisory_lock(8)'), true);
  assert.is(await value(one, 'SELECT pg_advisory_unlock(7)'), true);
  assert.is(await value(two, 'SELECT pg_try_advisory_lock(7)'), false);
  assert.is(await value(one, 'SELECT pg_advisory_unlock(7)'), true);
  assert.is(await value(one, 'SELECT pg_advisory_unlock(7)'), false);
  assert.is(await value(two, 'SELECT pg_try_advisory_lock(7)'), true);
  await two.query('SELECT pg_advisory_unlock_all()');
  assert.is(await value(one, 'SELECT pg_try_advisory_lock(8) AND pg_advisory_unlock(8)'), true);
});

test('a waiter gets the lock when it is free, and none after its timeout', async ({ one, two }) => {
  await one.query('SELECT pg_advisory_lock(1, 2)');
  await two.query("SET lock_timeout = '20ms'");
  assert.is((await errorOf(two.query('SELECT pg_advisory_lock(1, 2)'))).code, '55P03');
  await two.query('RESET lock_timeout');
  const waited = two.query('SELECT pg_advisory_lock(1, 2)');
  await one.query('SELECT pg_advisory_unlock(1, 2)');
  await waited;
  assert.is(await value(one, 'SELECT pg_try_advisory_lock(1, 2)'), false);
  await two.query('SELECT pg_advisory_unlock(1, 2)');
});

test("a transaction's lock ends with it; shared ones meet", async ({ one, two }) => {
  await one.query('BEGIN');
  await one.query('SELECT pg_advisory_xact_lock(9)');
  assert.is(await value(two, 'SELECT pg_try_advisory_xact_lock(9)'), false);
  await one.query('COMMIT');
  assert.is(await value(two, 'SELECT pg_try_advisory_xact_lock(9)'), true);
  await one.query('SELECT pg_advisory_lock_shared(9)');
  assert.is(await value(two, 'SELECT pg_try_advisory_lock_shared(9)'), true);
  assert.is(await value(two, 'SELECT pg_advisory_unlock_shared(9)'), true);
  assert.is(await value(two, 'SELECT pg_try_advisory_lock(9)'), false);
  await one.query('SELECT pg_advisory_unlock_shared(9)');
});

test('a lock ends with its session', async ({ server, one }) => {
  const third = await connect(server);
  await third.query('SELECT pg_advisory_lock(10)');
  assert.is(await value(one, 'SELECT pg_try_advisory_lock(10)'), false);
  const waited = one.query('SELECT pg_advisory_lock(10)');
  await third.end();
  await waited;
  await one.query('DISCARD ALL');
  assert.is(await value(one, 'SELECT pg_advisory_unlock(10)'), false);
});

test.run();
