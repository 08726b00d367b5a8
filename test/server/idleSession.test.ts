/** Over a socket, a session that idles beyond its limit hears why and is disconnected; its locks are free. */
import pg from 'pg';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { ManualClock, open } from '../../src/index.ts';

const test = suite('pgwire: idle sessions');

test('idle_in_transaction_session_timeout ends the connection with 25P03', async () => {
  const clock = new ManualClock('2026-11-20T00:00:00Z');
  const db = await open({ clock, seed: 'idle' });
  const server = await db.listen();
  const client = new pg.Client({ connectionString: server.url });
  const ended = new Promise<void>((resolve) => client.on('end', resolve));
  const failed = new Promise<Error & { code?: string; severity?: string }>((resolve) => client.on('error', resolve));
  await client.connect();
  await client.query('CREATE TABLE t (id INT PRIMARY KEY, v INT)');
  await client.query('INSERT INTO t VALUES (1, 1)');
  await client.query("SET idle_in_transaction_session_timeout = '1min'");
  await client.query('BEGIN');
  await client.query('UPDATE t SET v = 2 WHERE id = 1');
  const waiting = db.query('UPDATE t SET v = v + 10 WHERE id = 1');
  await clock.advance('59s');
  await client.query('SELECT 1');
  await clock.advance('61s');
  const error = await failed;
  assert.is(error.code, '25P03');
  assert.is(error.severity, 'FATAL');
  await ended;
  await waiting;
  assert.equal((await db.query('SELECT v FROM t')).rows, [{ v: 11 }]);
  await server.close();
  await db.close();
});
test.run();
