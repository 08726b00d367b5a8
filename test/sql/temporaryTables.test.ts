/**
 * The end of temporary relations: with their session, with a fork that never had the session, and what
 * backups have of them (nothing).
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { ManualClock } from '../../src/base/manualClock.ts';
import { open, type Varve } from '../../src/index.ts';

const test = suite('temporary tables');

const openTest = (): Promise<Varve> => open({ seed: 'temporary', clock: new ManualClock('2026-11-20T00:00:00Z') });
const namesOf = async (db: Varve, query: string): Promise<unknown[]> => (await db.query(query)).rows.map((row) => Object.values(row)[0]);
const countTemporary = async (db: Varve): Promise<number> =>
  (await namesOf(db, "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'pg_temp%'")).length;

/** Lets what runs by itself go on. */
const settle = async (until: () => Promise<boolean>): Promise<void> => {
  for (let i = 0; i < 200 && !(await until()); i++) await new Promise((resolve) => setImmediate(resolve));
};

test('end with their session, whatever it left open', async () => {
  const db = await openTest();
  const session = await db.database.openSession({ user: 'root', database: 'defaultdb' });
  await session.execute('CREATE DATABASE other; CREATE TABLE kept (a INT)');
  await session.execute('CREATE TEMP TABLE t (a INT); INSERT INTO t VALUES (1); CREATE TEMP VIEW v AS SELECT * FROM t');
  await session.execute('CREATE TEMP TABLE other.pg_temp.t (a INT)');
  await session.execute('BEGIN; INSERT INTO t VALUES (2)');
  assert.is(await countTemporary(db), 1);
  session.close();
  await settle(async () => (await countTemporary(db)) === 0);
  assert.is(await countTemporary(db), 0);
  assert.equal(await namesOf(db, 'SELECT table_name FROM [SHOW TABLES FROM other]'), []);
  assert.equal(await namesOf(db, 'SELECT table_name FROM [SHOW TABLES]'), ['kept']);
  await db.close();
});

test('go from a fork after its GC, and from the database they belong to not at all', async () => {
  const db = await openTest();
  const session = await db.database.openSession({ user: 'root', database: 'defaultdb' });
  await session.execute('CREATE TEMP TABLE t (a INT); INSERT INTO t VALUES (1)');
  const fork = await db.fork();
  assert.is(await countTemporary(fork), 1);
  await fork.database.engine.dropLeftTemporary();
  assert.is(await countTemporary(fork), 0);
  await db.database.engine.dropLeftTemporary();
  const [result] = await session.execute('SELECT a FROM t');
  assert.equal(result?.rows, [[1]]);
  session.close();
  await fork.close();
  await db.close();
});

test('are in no backup of their database', async () => {
  const db = await openTest();
  const session = await db.database.openSession({ user: 'root', database: 'defaultdb' });
  await session.execute("CREATE TABLE kept (a INT); CREATE TEMP TABLE t (a INT); BACKUP DATABASE defaultdb INTO 'mem://b'");
  const names = await namesOf(db, "SELECT object_name FROM [SHOW BACKUP FROM LATEST IN 'mem://b'] WHERE object_type <> 'database'");
  assert.equal(names.sort(), ['kept', 'public']);
  session.close();
  await db.close();
});

test.run();
