/** Named forks over the wire: made, reached, apart from each other, dropped; many at once, and what they cost. */
import pg from 'pg';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { isVarveError, ManualClock, open, type Varve } from '../../src/index.ts';
import type { RunningPgServer } from '../../src/server/pgwire/pgServer.ts';

interface Context {
  clock: ManualClock;
  db: Varve;
  server: RunningPgServer;
}

const test = suite<Context>('server: forks');

test.before.each(async (context) => {
  context.clock = new ManualClock('2026-11-20T12:00:00Z');
  context.db = await open({ clock: context.clock, seed: 'forks' });
  await context.db.query('CREATE DATABASE app; CREATE TABLE app.t (id INT PRIMARY KEY, v INT)');
  await context.db.query('INSERT INTO app.t SELECT i, i FROM generate_series(1, 100) AS g(i)');
  context.server = await context.db.listen();
});
test.after.each(async ({ db, server }) => {
  await server.close();
  await db.close();
});

async function client({ server }: Context, database: string, user = 'root'): Promise<pg.Client> {
  const made = new pg.Client({ host: server.host, port: server.port, user, database });
  // A session that is ended is told so; who waits for that listens too.
  made.on('error', () => undefined);
  await made.connect();
  return made;
}

async function value(from: pg.Client, sql: string): Promise<unknown> {
  const { rows } = await from.query({ text: sql, rowMode: 'array' });
  return rows[0]?.[0];
}

/** The SQLSTATE that work fails with. */
async function codeOf(work: () => unknown): Promise<string> {
  try {
    await work();
  } catch (error) {
    if (isVarveError(error)) return error.code;
    if (error instanceof pg.DatabaseError) return String(error.code);
    throw error;
  }
  throw new Error('succeeded');
}

test('a client makes a fork, connects to it by its name, and neither side sees the other', async (context) => {
  const main = await client(context, 'app');
  assert.is(await value(main, "SELECT varve_internal.create_fork('w1')"), 'w1');
  const fork = await client(context, 'app@w1');
  assert.is(await value(fork, 'SELECT current_database()'), 'app');
  assert.is(await value(fork, 'SELECT varve_internal.current_fork()'), 'w1');
  assert.is(await value(main, 'SELECT varve_internal.current_fork()'), 'main');
  await fork.query('DELETE FROM t WHERE id > 10; CREATE TABLE only_here (id INT PRIMARY KEY)');
  await main.query('INSERT INTO t VALUES (1000, 1)');
  assert.is(await value(fork, 'SELECT count(*) FROM t'), '10');
  assert.is(await value(main, 'SELECT count(*) FROM t'), '101');
  assert.is(await codeOf(() => main.query('SELECT * FROM only_here')), '42P01');
  await Promise.all([main.end(), fork.end()]);
});

test('an unknown fork, a taken name and a name that no connection string carries are refused', async (context) => {
  const main = await client(context, 'app');
  const refused = await client(context, 'app@nowhere').catch((error: unknown) => error as pg.DatabaseError);
  assert.instance(refused, pg.DatabaseError);
  const { code, message, hint } = refused as pg.DatabaseError;
  assert.is(code, '3D000');
  assert.is(message, 'fork "nowhere" does not exist');
  assert.match(hint ?? '', /create_fork\('nowhere'\)/);
  await main.query("SELECT varve_internal.create_fork('w1')");
  assert.is(await codeOf(() => main.query("SELECT varve_internal.create_fork('w1')")), '42710');
  assert.is(await codeOf(() => main.query("SELECT varve_internal.create_fork('main')")), '42710');
  assert.is(await codeOf(() => main.query("SELECT varve_internal.create_fork('a@b')")), '42602');
  assert.is(await codeOf(() => main.query("SELECT varve_internal.create_fork('x', 'nowhere')")), '3D000');
  assert.is(await codeOf(() => client(context, 'nowhere@w1')), '3D000');
  await main.query('CREATE USER joe');
  const joe = await client(context, 'app', 'joe');
  assert.is(await codeOf(() => joe.query('SELECT varve_internal.create_fork()')), '42501');
  assert.is(await codeOf(() => joe.query("SELECT varve_internal.drop_fork('w1')")), '42501');
  await Promise.all([main.end(), joe.end()]);
});

test('a database whose own name has an @ is found first', async (context) => {
  const main = await client(context, 'app');
  await main.query('CREATE DATABASE "app@w1"');
  await main.query("SELECT varve_internal.create_fork('w1')");
  const own = await client(context, 'app@w1');
  assert.is(await value(own, 'SELECT current_database()'), 'app@w1');
  await Promise.all([main.end(), own.end()]);
});

test('dropping a fork ends its sessions and tells them why; main goes on', async (context) => {
  const main = await client(context, 'app');
  await main.query("SELECT varve_internal.create_fork('w1')");
  const fork = await client(context, 'app@w1');
  const told = new Promise<Error>((resolve) => fork.on('error', resolve));
  assert.is(await codeOf(() => fork.query("SELECT varve_internal.drop_fork('w1')")), '55006');
  assert.is(await codeOf(() => fork.query("SELECT varve_internal.drop_fork('main')")), '55006');
  const other = await client(context, 'app@w1');
  await other.query('BEGIN; UPDATE t SET v = 0 WHERE id = 1');
  const waits = codeOf(() => fork.query('UPDATE t SET v = 1 WHERE id = 1'));
  assert.is(await value(main, "SELECT varve_internal.drop_fork('w1')"), true);
  assert.is(await waits, '57P01');
  assert.match((await told).message, /terminat|dropped/i);
  assert.is(await value(main, "SELECT varve_internal.drop_fork('w1')"), false);
  assert.is(await codeOf(() => client(context, 'app@w1')), '3D000');
  assert.is(await value(main, 'SELECT count(*) FROM t'), '100');
  await main.end();
});

test('a fork of a fork, one by number, and what the view says of them', async (context) => {
  const main = await client(context, 'app');
  await main.query("SELECT varve_internal.create_fork('seeded')");
  const seeded = await client(context, 'app@seeded');
  await seeded.query('INSERT INTO t VALUES (101, 0)');
  assert.is(await value(seeded, 'SELECT varve_internal.create_fork()'), 'fork1');
  assert.is(await value(main, "SELECT varve_internal.create_fork('w1', 'seeded')"), 'w1');
  const w1 = await client(context, 'app@w1');
  assert.is(await value(w1, 'SELECT count(*) FROM t'), '101');
  // Each fork's clock is its own from here on.
  await w1.query("SELECT varve_internal.advance_clock('1h')");
  const { rows } = await main.query(
    'SELECT name, parent, created_by, clock - created AS ahead, sessions FROM varve_internal.forks ORDER BY name',
  );
  assert.equal(
    rows.map((row) => [row.name, row.parent, row.created_by, row.ahead.hours ?? 0, row.sessions]),
    [
      ['fork1', 'seeded', 'root', 0, '0'],
      ['seeded', 'main', 'root', 0, '1'],
      ['w1', 'seeded', 'root', 1, '1'],
    ],
  );
  assert.is(await value(main, "SELECT varve_internal.drop_fork('seeded')"), true);
  assert.is(await value(w1, 'SELECT count(*) FROM t'), '101');
  await Promise.all([main.end(), w1.end()]);
});

test('a fork made in the library by name is the one that clients reach; closing it takes the name off the list', async (context) => {
  const fork = await context.db.fork({ name: 'lib' });
  const wire = await client(context, 'app@lib');
  await wire.query('DELETE FROM t WHERE id > 1');
  assert.is((await fork.query('SELECT * FROM app.t')).rows.length, 1);
  assert.is((await context.db.query('SELECT * FROM varve_internal.forks')).rows.length, 1);
  await fork.close();
  assert.is((await context.db.query('SELECT * FROM varve_internal.forks')).rows.length, 0);
});

test('ids that a fork draws are not those its parent has given out, and neither side moves the other', async ({ db }) => {
  await db.query('CREATE TABLE app.auto (id INT PRIMARY KEY DEFAULT unique_rowid(), v INT)');
  await db.query('INSERT INTO app.auto (v) SELECT i FROM generate_series(1, 50) AS g(i)');
  const [one, other] = [await db.fork(), await db.fork()];
  for (const side of [one, other, db]) await side.query('INSERT INTO app.auto (v) SELECT i FROM generate_series(1, 50) AS g(i)');
  for (const side of [one, other, db]) assert.is((await side.query('SELECT DISTINCT id FROM app.auto')).rows.length, 100);
  await one.close();
  await other.close();
});

test("a fork's clock moves alone, and waits for what falls due in the fork", async ({ db, clock }) => {
  const fork = await db.fork();
  const before = clock.nowMicros();
  await fork.query('ALTER TABLE app.t CONFIGURE ZONE USING gc.ttlseconds = 60');
  await fork.query('UPDATE app.t SET v = v + 1 WHERE true');
  await (fork.clock as ManualClock).advance('25h');
  const { rows } = await fork.query("SELECT garbage_bytes AS g FROM varve_internal.gc_status WHERE object = 'app.public.t'");
  assert.equal(rows, [{ g: 0 }]);
  assert.is(clock.nowMicros(), before);
  await fork.close();
});

test("work in a fork does not count on its parent's clock", async ({ db, clock }) => {
  await clock.advance('1h');
  const fork = await db.fork();
  assert.equal(fork.database.kv.lineage, [{ clusterId: db.database.kv.clusterId, forkedAt: clock.nowMicros() }]);
  const seen = new Set<string>();
  const { activity } = clock;
  const begin = activity.begin.bind(activity);
  activity.begin = (what) => {
    seen.add(what);
    return begin(what);
  };
  await fork.query("BACKUP DATABASE app INTO 'mem://fork'");
  assert.equal([...seen], []);
  await fork.close();
});

test('three hundred forks alive at once, each with its own future', async (context) => {
  const { db } = context;
  await Promise.all(Array.from({ length: 300 }, (_, i) => db.query('SELECT varve_internal.create_fork($1)', [`w${i}`])));
  const { forks } = db.database;
  assert.is(forks.list().length, 300);
  for (const { name, database } of forks.list()) {
    const session = database.newSession({ database: 'app' });
    await session.execute(`UPDATE t SET v = -1 WHERE id <= ${name.slice(1)}`);
    session.close();
  }
  for (const name of ['w0', 'w7', 'w99', 'w299']) {
    const session = forks.require(name).newSession({ database: 'app' });
    const [result] = await session.execute('SELECT count(*) FROM t WHERE v = -1');
    assert.is(result?.rows[0]?.[0], Math.min(100, Number(name.slice(1))));
    session.close();
  }
  assert.is((await db.query('SELECT * FROM app.t WHERE v = -1')).rows.length, 0);
});

test('what dropped forks held is free, though others live on', async (context) => {
  const { db } = context;
  const used = () => db.database.kv.memory.budget.usedBytes;
  await db.query('ALTER TABLE app.t CONFIGURE ZONE USING gc.ttlseconds = 1');
  await db.fork({ name: 'old' });
  await db.database.forks.drop('old');
  const before = used();
  for (let round = 0; round < 30; round++) {
    // There is never a moment without a fork, and main's garbage goes all the time.
    await db.fork({ name: `f${round}` });
    await db.query('UPDATE app.t SET v = v + 1 WHERE true');
    await context.clock.advance('1h');
    if (round > 0) await db.database.forks.drop(`f${round - 1}`);
  }
  // One fork is left. Thirty rounds removed some 300 KB in all; the last fork can hold two rounds of that.
  const growth = used() - before;
  assert.ok(growth < 250_000, `grew by ${growth} bytes`);
  assert.ok(growth > 100_000, 'the fork that lives counts');
});

test('without room for one more fork 53200 says so, and dropping one makes room', async () => {
  const db = await open({ clock: new ManualClock('2026-11-20T12:00:00Z'), seed: 'room', memoryBytes: 8 * 2 ** 20 });
  let made = 0;
  const code = await codeOf(async () => {
    for (; made < 1000; made++) await db.query('SELECT varve_internal.create_fork()');
  });
  assert.is(code, '53200');
  assert.ok(made > 10 && made < 60, `${made} forks`);
  assert.is(db.database.forks.list().length, made);
  const { rows } = await db.query("SELECT bytes FROM varve_internal.memory WHERE account = 'forks'");
  assert.ok(Number(rows[0]?.['bytes']) >= made * 100_000);
  await db.query("SELECT varve_internal.drop_fork('fork1')");
  assert.is((await db.query('SELECT varve_internal.create_fork() AS name')).rows[0]?.['name'], 'fork1');
  await db.close();
});

test('what closing the main database closes', async (context) => {
  const named = await context.db.fork({ name: 'named' });
  const unnamed = await context.db.fork();
  const wire = await client(context, 'app@named');
  const told = new Promise<Error>((resolve) => wire.on('error', resolve));
  await context.db.close();
  assert.is(((await told) as pg.DatabaseError).code, '57P01');
  assert.is(await codeOf(() => named.query('SELECT 1')), '57P01');
  assert.is((await unnamed.query('SELECT count(*) AS n FROM app.t')).rows[0]?.['n'], 100);
  await unnamed.close();
});

test.run();
