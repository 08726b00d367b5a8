/** What one client may take, and what it is told beyond that. */
import pg from 'pg';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { open } from '../../src/index.ts';
import { PREPARED_STATEMENTS_MAX } from '../../src/sql/exec/preparedStatements.ts';

const test = suite('limits of clients');

test('beyond so many connections a client is told 53300, and root still comes in', async () => {
  const db = await open({ seed: 'limits' });
  await db.query('CREATE USER testuser; SET CLUSTER SETTING server.max_connections_per_gateway = 1');
  const server = await db.listen();
  const connect = async (user: string) => {
    const client = new pg.Client({ host: '127.0.0.1', port: server.port, user, database: 'defaultdb' });
    client.on('error', () => {});
    await client.connect();
    return client;
  };
  const first = await connect('testuser');
  const refused = await connect('testuser').catch((error: pg.DatabaseError) => error);
  assert.is((refused as pg.DatabaseError).code, '53300');
  assert.match((refused as pg.DatabaseError).hint ?? '', /server\.max_connections_per_gateway/);
  const root = await connect('root');
  await root.query('SET CLUSTER SETTING server.max_connections_per_gateway = 3');
  const third = await connect('testuser');
  for (const client of [first, root, third]) await client.end();
  await server.close();
  await db.close();
});

test('a session keeps so many prepared statements, and goes on after 54000', async () => {
  const db = await open({ seed: 'limits' });
  const session = await db.database.openSession({ user: 'root' });
  const refusal = { code: '54000', hint: 'DEALLOCATE those that are not needed any more, or DISCARD ALL' };
  for (let i = 0; i < PREPARED_STATEMENTS_MAX; i++) await session.prepare(`s${i}`, 'SELECT 1');
  for (const attempt of [() => session.prepare('more', 'SELECT 1'), () => session.execute('PREPARE more AS SELECT 2')]) {
    const { code, hint } = await attempt().then(
      () => ({ code: 'ok', hint: undefined }),
      (error: { code: string; hint: string }) => error,
    );
    assert.equal({ code, hint }, refusal);
  }
  assert.is(session.prepareNow('more', 'SELECT 1'), undefined);
  await session.prepare('', 'SELECT 1');
  await session.execute('DEALLOCATE s0');
  await session.prepare('more', 'SELECT 1');
  session.close();
  await db.close();
});

test.run();
