/**
 * Schema changes that are stopped on their way: at every pausepoint the coordinator's node dies, the
 * job is paused, canceled, or the table changes hands. A row is written at each stop. What succeeds is
 * whole; what does not leaves nothing.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { isVarveError } from '../../../src/base/errors.ts';
import { InlineExecutor } from '../../../src/base/executor.ts';
import { ManualClock } from '../../../src/base/manualClock.ts';
import { allIndexes } from '../../../src/catalog/descriptor.ts';
import { indexSpan } from '../../../src/catalog/rowCodec.ts';
import { Database } from '../../../src/server/database.ts';
import { SCHEMA_CHANGE_PAUSEPOINTS } from '../../../src/sql/exec/schemaChange/schemaChangeJob.ts';
import { HARNESS_START, openSql, type SqlHarness } from '../../support/sqlHarness.ts';
import { disagreements, leftovers, tableNamed } from './agreement.ts';

const test = suite('schema change stops');

const SIZES = { columnRows: 10, readRows: 5, indexRows: 10, checkpointRows: 20 };
const FORWARD = SCHEMA_CHANGE_PAUSEPOINTS.slice(0, SCHEMA_CHANGE_PAUSEPOINTS.indexOf('schemachange.beforeRevert'));
const REVERT = SCHEMA_CHANGE_PAUSEPOINTS.slice(FORWARD.length);

/** Goes through every stop: two columns to fill, a unique index, a check. */
const DDL = `ALTER TABLE t ADD COLUMN c INT NOT NULL DEFAULT 3, ADD COLUMN d INT AS (a * 2) STORED CHECK (d < 1000), ADD CONSTRAINT u UNIQUE (d)`;

async function prepared(): Promise<SqlHarness> {
  const db = await openSql({ jobs: SIZES, localities: ['', '', ''] });
  await db.exec('CREATE TABLE t (id INT PRIMARY KEY, a INT, INDEX known (a))');
  await db.exec('INSERT INTO t SELECT i, i FROM generate_series(1, 50) AS g(i)');
  return db;
}

async function outcome(statement: Promise<unknown>): Promise<string> {
  return statement.then(
    () => 'ok',
    (error: unknown) => {
      if (!isVarveError(error)) throw error;
      return error.code;
    },
  );
}

/** A new row, one that goes, and one that moves from one end of the table to the other. */
async function writeSome(db: SqlHarness, n: number): Promise<void> {
  const moved = (n % 50) + 1;
  const sql = `UPSERT INTO t (id, a) VALUES (${100 + n}, ${100 + n}); DELETE FROM t WHERE id = ${95 + n}; UPDATE t SET id = -id WHERE id IN (${moved}, -${moved})`;
  await db.exec(sql, { session: 'writer' });
}

async function assertWhole(db: SqlHarness, what: string, done: boolean): Promise<void> {
  const table = tableNamed(db.engine, 't');
  assert.equal(await leftovers(db.engine, table), [], what);
  assert.equal(await disagreements(db.engine, table, db.kv.reading()), [], what);
  assert.equal(
    table.columns.map((column) => column.name),
    done ? ['id', 'a', 'c', 'd'] : ['id', 'a'],
    what,
  );
  assert.is(table.checks.length + table.indexes.length, done ? 3 : 1, what);
  if (done) assert.equal(await db.rows('SELECT count(*) FROM t WHERE c IS DISTINCT FROM 3 OR d IS DISTINCT FROM a * 2'), [['0']], what);
}

test('the coordinator dies at each pausepoint, and another node finishes', async () => {
  for (const point of FORWARD) {
    const db = await prepared();
    let stops = 0;
    let writes = 0;
    db.jobs.pausepoints.setHook(async (name, ctx) => {
      await writeSome(db, writes++);
      // The second time, so that there is something to go on from.
      if (name !== point || ++stops !== (point.endsWith('Piece') || point.endsWith('Ingest') ? 2 : 1)) return;
      db.kv.cluster.stopNode(ctx.node.id);
    });
    assert.is(await outcome(db.exec(DDL)), 'ok', point);
    assert.ok(stops >= 1, `${point} was reached`);
    await assertWhole(db, point, true);
    db.close();
  }
});

test('a pause at each pausepoint tells the statement, and RESUME finishes', async () => {
  for (const point of FORWARD) {
    const db = await prepared();
    await db.exec(`SET CLUSTER SETTING jobs.debug.pausepoints = '${point}'`);
    assert.is(await outcome(db.exec(DDL)), '55000', point);
    const [[id, error] = []] = await db.rows('SELECT job_id, error FROM [SHOW JOBS]');
    assert.is(error, `pause point "${point}" hit`);
    await writeSome(db, 7);
    assert.is(await outcome(db.exec('CREATE INDEX other ON t (a, id)')), '55000', 'another change while it is paused');
    await db.exec(`SET CLUSTER SETTING jobs.debug.pausepoints = ''; RESUME JOB ${id}`);
    assert.equal(await db.rows(`SELECT status FROM [SHOW JOB WHEN COMPLETE ${id}]`), [['succeeded']], point);
    await assertWhole(db, point, true);
    db.close();
  }
});

test('a cancel at each pausepoint leaves nothing, and the next change works', async () => {
  const db = await prepared();
  let writes = 0;
  for (const point of FORWARD) {
    let reached = false;
    db.jobs.pausepoints.setHook(async (name, ctx) => {
      await writeSome(db, writes++);
      if (name !== point || reached) return;
      reached = true;
      await db.jobs.cancel(ctx.jobId);
    });
    assert.is(await outcome(db.exec(DDL)), '57014', point);
    assert.ok(reached, point);
    await assertWhole(db, point, false);
  }
  db.jobs.pausepoints.setHook(undefined);
  assert.is(await outcome(db.exec(DDL)), 'ok');
  await assertWhole(db, 'after cancels', true);
  db.close();
});

test('the coordinator dies while it takes the change back, and another node finishes that', async () => {
  for (const point of REVERT) {
    const db = await prepared();
    await db.exec('UPDATE t SET a = 1 WHERE id < 3');
    let stops = 0;
    db.jobs.pausepoints.setHook((name, ctx) => {
      if (name === point && stops++ === 0) db.kv.cluster.stopNode(ctx.node.id);
    });
    assert.is(await outcome(db.exec(DDL)), '23505', point);
    assert.is(stops > 0, true, point);
    await assertWhole(db, point, false);
    db.close();
  }
});

test('a table that is dropped at each pausepoint ends the job without an error', async () => {
  for (const point of FORWARD) {
    const db = await prepared();
    let reached = false;
    db.jobs.pausepoints.setHook(async (name) => {
      if (name !== point || reached) return;
      reached = true;
      await db.exec('DROP TABLE t', { session: 'other' });
    });
    assert.is(await outcome(db.exec(DDL)), 'ok', point);
    assert.ok(reached, point);
    assert.equal(db.kv.gc.protections.list(), [], point);
    await db.exec('CREATE TABLE t (id INT PRIMARY KEY, a INT, INDEX known (a))');
    await assertWhole(db, point, false);
    db.close();
  }
});

test('a TTL shorter than the change does not break it, and history stays readable only as long as it runs', async () => {
  const db = await prepared();
  await db.exec('ALTER TABLE t CONFIGURE ZONE USING gc.ttlseconds = 1');
  let writes = 0;
  db.jobs.pausepoints.setHook(async () => {
    await writeSome(db, writes++);
    void db.clock.advance('1h');
    await new Promise((resolve) => setImmediate(resolve));
    await db.kv.gc.runGc();
  });
  assert.is(await outcome(db.exec(DDL)), 'ok');
  db.jobs.pausepoints.setHook(undefined);
  assert.ok(writes > 20);
  await assertWhole(db, 'short TTL', true);
  db.close();
});

test('a job that was paused for days goes on from its checkpoint', async () => {
  const db = await prepared();
  await db.exec(`SET CLUSTER SETTING jobs.debug.pausepoints = 'schemachange.afterCheckpoint'`);
  assert.is(await outcome(db.exec(DDL)), '55000');
  for (let day = 0; day < 5; day++) {
    await db.clock.advance('24h');
    await writeSome(db, day);
    await db.kv.gc.runGc();
  }
  await db.exec(`SET CLUSTER SETTING jobs.debug.pausepoints = ''; RESUME JOBS (SELECT job_id FROM [SHOW JOBS])`);
  assert.equal(await db.rows('SELECT status FROM [SHOW JOBS WHEN COMPLETE (SELECT job_id FROM [SHOW JOBS])]'), [['succeeded']]);
  await assertWhole(db, 'after days', true);
  // What was ingested below newer versions is garbage like any other.
  await db.clock.advance('48h');
  await db.kv.gc.runGc();
  const table = tableNamed(db.engine, 't');
  for (const index of allIndexes(table)) {
    const { versions, liveKeys } = db.kv.stats(indexSpan(table, index));
    assert.is(versions, liveKeys, index.name);
  }
  await assertWhole(db, 'after GC', true);
  db.close();
});

test('a job that waits for a row or a descriptor that a client has locked is canceled at once', async () => {
  for (const block of ['SELECT a FROM t WHERE id = 7 FOR UPDATE', 'COMMENT ON TABLE t IS $$later$$']) {
    const db = await prepared();
    db.jobs.pausepoints.setHook(async (name) => {
      const isTime = name === (block.startsWith('SELECT') ? 'schemachange.beforeBackfill' : 'schemachange.beforePublish');
      if (isTime) await db.exec(`BEGIN; ${block}`, { session: 'client' });
    });
    const changing = outcome(db.exec(DDL));
    await db.clock.activity.settled();
    const [job] = await db.jobs.list();
    assert.is(job?.status, 'running');
    assert.is(db.kv.locks.list().filter(({ waiters }) => waiters.length > 0).length, 1, 'the job waits');
    db.jobs.pausepoints.setHook(undefined);
    await db.exec(`CANCEL JOB ${job?.id}`, { session: 'operator' });
    await db.clock.activity.settled();
    const after = await db.jobs.get(job?.id as number);
    // The revert needs the descriptor itself, which the client of the second case still holds.
    assert.is(after?.status, block.startsWith('SELECT') ? 'canceled' : 'reverting');
    await db.exec('ROLLBACK', { session: 'client' });
    assert.is(await changing, '57014');
    await assertWhole(db, block, false);
    db.close();
  }
});

test('a statement that is canceled leaves its job running', async () => {
  const db = await prepared();
  const abort = new AbortController();
  db.jobs.pausepoints.setHook((name) => {
    if (name === 'schemachange.afterIngest') abort.abort(new Error('canceled'));
  });
  assert.is(await outcome(db.exec(DDL, { signal: abort.signal })), '57014');
  await db.clock.activity.settled();
  await assertWhole(db, 'after the cancel', true);
  db.close();
});

test('a fork in the middle has the change paused, and can finish it or take it back', async () => {
  for (const end of ['RESUME', 'CANCEL']) {
    const db = await Database.open({ clock: new ManualClock(HARNESS_START), seed: 'fork', executor: new InlineExecutor() });
    const session = db.newSession();
    await session.execute(
      'CREATE TABLE t (id INT PRIMARY KEY, a INT, INDEX known (a)); INSERT INTO t SELECT i, i FROM generate_series(1, 50) AS g(i)',
    );
    let fork: Database | undefined;
    db.jobs.pausepoints.setHook(async (name) => {
      if (name === 'schemachange.afterIngest') fork = await db.fork();
    });
    await session.execute(DDL);
    assert.ok(fork);
    const other = fork.newSession();
    await other.execute('INSERT INTO t (id, a) VALUES (60, 60); DELETE FROM t WHERE id = 1');
    await other.execute(`${end} JOBS (SELECT job_id FROM [SHOW JOBS])`);
    await other.execute('SELECT status FROM [SHOW JOBS WHEN COMPLETE (SELECT job_id FROM [SHOW JOBS])]');
    for (const [side, indexes] of [
      [db, 2],
      [fork, end === 'RESUME' ? 2 : 1],
    ] as const) {
      const table = tableNamed(side.engine, 't');
      assert.is(table.indexes.length, indexes, end);
      assert.equal(await leftovers(side.engine, table), [], end);
      assert.equal(await disagreements(side.engine, table, side.kv.reading()), [], end);
    }
    await fork.close();
    await db.close();
  }
});

test('an index that the memory budget has no room for is taken back, and the database goes on', async () => {
  const db = await Database.open({
    clock: new ManualClock(HARNESS_START),
    seed: 'memory',
    executor: new InlineExecutor(),
    memoryBytes: 12 << 20,
  });
  const session = db.newSession();
  await session.execute('CREATE TABLE t (id INT PRIMARY KEY, a INT, s STRING)');
  for (let i = 0; i < 8; i++)
    await session.execute(`INSERT INTO t SELECT ${i * 1000} + i, i, repeat('x', 800) FROM generate_series(1, 1000) AS g(i)`);
  for (const ddl of ['CREATE INDEX i ON t (a) STORING (s)', `ALTER TABLE t ADD COLUMN c STRING DEFAULT repeat('y', 900)`]) {
    assert.is(await outcome(session.execute(ddl)), '53200', ddl);
    const table = tableNamed(db.engine, 't');
    assert.equal([table.columns.length, table.indexes.length], [3, 0]);
    assert.equal(await leftovers(db.engine, table), []);
    await session.execute('DELETE FROM t WHERE id % 100 = 0');
  }
  await db.close();
});

test('another change of the table waits for the one before; inside a transaction it is refused', async () => {
  const db = await prepared();
  let inside = '';
  let queued: Promise<string> | undefined;
  db.jobs.pausepoints.setHook(async (name) => {
    if (name !== 'schemachange.afterIngest' || queued) return;
    queued = outcome(db.exec('CREATE INDEX second ON t (a DESC)', { session: 'second' }));
    await db.exec('BEGIN', { session: 'third' });
    inside = await outcome(db.exec('ALTER TABLE t DROP COLUMN a', { session: 'third' }));
    await db.exec('ROLLBACK', { session: 'third' });
  });
  assert.is(await outcome(db.exec('CREATE INDEX first ON t (a)')), 'ok');
  assert.is(inside, '55000');
  assert.is(await queued, 'ok');
  const table = tableNamed(db.engine, 't');
  assert.equal(
    table.indexes.map((index) => index.name),
    ['known', 'first', 'second'],
  );
  assert.equal(await leftovers(db.engine, table), []);
  assert.equal(await disagreements(db.engine, table, db.kv.reading()), []);
  db.close();
});

test('a transaction that spans the change gets 40001, or runs again', async () => {
  const db = await prepared();
  await db.exec('BEGIN; INSERT INTO t VALUES (1000, 1000)', { session: 'spanning' });
  await db.exec('CREATE INDEX i ON t (a)');
  assert.is(await outcome(db.exec('COMMIT', { session: 'spanning' })), '40001');
  assert.equal(await db.rows('SELECT count(*) FROM t@i WHERE a = 1000'), [['0']]);
  db.close();
});

test('memory is bounded by pieces, and checkpoints come between them', async () => {
  const db = await openSql({ jobs: { columnRows: 20, readRows: 25, indexRows: 100, checkpointRows: 300 } });
  await db.exec('CREATE TABLE t (id INT PRIMARY KEY, a INT); INSERT INTO t SELECT i, -i FROM generate_series(1, 2000) AS g(i)');
  const reached = new Map<string, number>();
  db.jobs.pausepoints.setHook((name) => void reached.set(name, (reached.get(name) ?? 0) + 1));
  const ingested: number[] = [];
  const ingest = db.kv.ingest.bind(db.kv);
  db.kv.ingest = (run, options) => {
    ingested.push(run.keys.length);
    return ingest(run, options);
  };
  await db.exec('ALTER TABLE t ADD COLUMN c INT DEFAULT 1; CREATE INDEX i ON t (a)');
  assert.equal(ingested, new Array(20).fill(100));
  assert.is(reached.get('schemachange.afterColumnPiece'), 100);
  assert.is(reached.get('schemachange.afterIngest'), 20);
  assert.is(reached.get('schemachange.afterCheckpoint'), 6);
  db.close();
});

test.run();
