/** What one client may take, and what it is told beyond that. */
import pg from 'pg';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { open } from '../../src/index.ts';
import { TABLE_COLUMNS_MAX } from '../../src/catalog/descriptor.ts';
import { PREPARED_STATEMENTS_MAX } from '../../src/sql/exec/preparedStatements.ts';
import { PORTALS_MAX } from '../../src/sql/exec/session.ts';

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

test('a session keeps so many portals, and goes on after 54000', async () => {
  const db = await open({ seed: 'limits' });
  const session = await db.database.openSession({ user: 'root' });
  await session.execute('BEGIN');
  await session.prepare('s', 'SELECT 1');
  for (let i = 0; i < PORTALS_MAX; i++) session.bind(`p${i}`, 's', []);
  assert.throws(() => session.bind('more', 's', []), `a session keeps at most ${PORTALS_MAX} portals`);
  await session.execute('ROLLBACK');
  await session.execute('BEGIN');
  session.bind('more', 's', []);
  session.close();
  await db.close();
});

test('what is too much has its own code', async () => {
  const db = await open({ seed: 'limits' });
  const codeOf = (sql: string): Promise<string> =>
    db.query(sql).then(
      () => 'ok',
      (error: { code: string }) => error.code,
    );
  const list = (count: number, one: (i: number) => string): string => Array.from({ length: count }, (_, i) => one(i)).join(', ');
  assert.is(await codeOf(`SELECT concat(${list(1000, String)})`), 'ok');
  assert.is(await codeOf(`SELECT concat(${list(1001, String)})`), '54023');
  assert.is(await codeOf(`CREATE TABLE wide (${list(TABLE_COLUMNS_MAX + 1, (i) => `c${i} INT`)})`), '54011');
  await db.close();
});

test('rows beyond the guardrails are refused, or warned of', async () => {
  const db = await open({ seed: 'limits' });
  const session = await db.database.openSession({ user: 'root' });
  await session.execute('CREATE TABLE t (id INT PRIMARY KEY, a STRING, b STRING, FAMILY (id, a), FAMILY (b))');
  await session.execute("SET CLUSTER SETTING sql.guardrails.max_row_size_err = '8KiB'");
  await session.execute("SET CLUSTER SETTING sql.guardrails.max_row_size_log = '4KiB'");
  const outcome = async (sql: string): Promise<string> => {
    try {
      const [result] = await session.execute(sql);
      return result?.notices.map(({ severity }) => severity).join() || 'ok';
    } catch (error) {
      return (error as { code: string }).code;
    }
  };
  assert.is(await outcome("INSERT INTO t VALUES (1, repeat('a', 3000), repeat('b', 3000))"), 'ok');
  assert.is(await outcome("INSERT INTO t VALUES (2, 'a', repeat('b', 5000))"), 'WARNING');
  assert.is(await outcome("INSERT INTO t VALUES (3, repeat('a', 9000), NULL)"), '54000');
  assert.is(await outcome("INSERT INTO t SELECT i, 'a', repeat('b', 9000) FROM generate_series(10, 11) AS g(i)"), '54000');
  assert.is(await outcome("UPDATE t SET b = repeat('b', 9000) WHERE id = 1"), '54000');
  assert.is(await outcome("UPSERT INTO t VALUES (1, repeat('a', 9000), NULL)"), '54000');
  await session.execute('SET CLUSTER SETTING sql.guardrails.max_row_size_err = 0');
  assert.is(await outcome("UPDATE t SET b = repeat('b', 9000) WHERE id = 1"), 'WARNING');
  session.close();
  await db.close();
});

test.run();
