/**
 * Every schema change beside random transactions: whatever the interleaving, the change ends or is
 * taken back whole, every index agrees with its rows from the moment it is public, and no writer is
 * stopped by it for good.
 */
import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { isVarveError } from '../../../src/base/errors.ts';
import type { Timestamp } from '../../../src/base/timestamp.ts';
import { openSql, type SqlHarness } from '../../support/sqlHarness.ts';
import { disagreements, leftovers, tableNamed } from './agreement.ts';
import { runs } from '../../support/depth.ts';

const test = suite('schema changes beside writes');

const ROWS = 60;
const SIZES = { columnRows: 3, readRows: 2, indexRows: 4, checkpointRows: 10 };

interface Change {
  readonly ddl: string;
  /** Ways in which concurrent rows may make it fail. */
  readonly failures: readonly string[];
  /** Holds when it succeeded: the query gives 0. */
  readonly holds?: string;
}

const CHANGES: readonly Change[] = [
  { ddl: 'CREATE INDEX i ON t (a) STORING (s)', failures: [] },
  { ddl: 'CREATE INDEX i ON t (b DESC, a) WHERE a > 20', failures: [] },
  { ddl: 'CREATE UNIQUE INDEX i ON t (a)', failures: ['23505'] },
  { ddl: 'CREATE UNIQUE INDEX i ON t (a, b) WHERE b > 3', failures: ['23505'] },
  { ddl: 'ALTER TABLE t ADD COLUMN c INT NOT NULL DEFAULT 5', failures: [], holds: 'SELECT count(*) FROM t WHERE c <> 5' },
  { ddl: 'ALTER TABLE t ADD COLUMN c INT AS (a + b) STORED', failures: [], holds: 'SELECT count(*) FROM t WHERE c IS DISTINCT FROM a + b' },
  { ddl: 'ALTER TABLE t ADD COLUMN c UUID NOT NULL UNIQUE DEFAULT gen_random_uuid()', failures: [] },
  { ddl: 'ALTER TABLE t ADD COLUMN c INT UNIQUE AS (a) STORED CHECK (c < 90)', failures: ['23505', '23514'] },
  { ddl: 'ALTER TABLE t ADD CONSTRAINT c CHECK (a < 95)', failures: ['23514'], holds: 'SELECT count(*) FROM t WHERE a >= 95' },
  { ddl: 'ALTER TABLE t ALTER COLUMN a SET NOT NULL', failures: ['23514'], holds: 'SELECT count(*) FROM t WHERE a IS NULL' },
  {
    ddl: 'ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (b) REFERENCES p (id)',
    failures: ['23503'],
    holds: 'SELECT count(*) FROM t WHERE b NOT IN (SELECT id FROM p)',
  },
  { ddl: "ALTER TABLE t ADD COLUMN c INT DEFAULT 1, ADD COLUMN d STRING DEFAULT 'x', ADD CONSTRAINT u UNIQUE (a, d)", failures: ['23505'] },
];

const key = fc.integer({ min: 1, max: ROWS + 20 });
const a = fc.oneof({ weight: 12, arbitrary: fc.integer({ min: 1, max: 100 }).map(String) }, { weight: 1, arbitrary: fc.constant('NULL') });
const b = fc.integer({ min: 0, max: 9 }).map(String);
const write: fc.Arbitrary<string> = fc.oneof(
  fc.tuple(key, a, b).map(([i, x, y]) => `UPSERT INTO t (id, a, b, s) VALUES (${i}, ${x}, ${y}, 'u')`),
  fc.tuple(key, a, b).map(([i, x, y]) => `INSERT INTO t (id, a, b) VALUES (${i}, ${x}, ${y}) ON CONFLICT DO NOTHING`),
  fc.tuple(key, a).map(([i, x]) => `UPDATE t SET a = ${x} WHERE id = ${i}`),
  fc.tuple(key, b).map(([i, y]) => `UPDATE t SET b = ${y}, s = 'v' WHERE id BETWEEN ${i} AND ${i + 3}`),
  fc.tuple(key, key).map(([i, j]) => `UPDATE t SET id = ${j} WHERE id = ${i}`),
  fc.tuple(key).map(([i]) => `DELETE FROM t WHERE id = ${i}`),
  fc.tuple(b).map(([y]) => `DELETE FROM p WHERE id = ${y}`),
);
const step = fc.record({
  session: fc.integer({ min: 0, max: 2 }),
  sql: fc.oneof({ weight: 6, arbitrary: write }, { weight: 1, arbitrary: fc.constantFrom('BEGIN', 'COMMIT', 'COMMIT', 'ROLLBACK') }),
  turns: fc.integer({ min: 0, max: 3 }),
});

/** Errors that a writer meets in the ordinary course of things. */
const EXPECTED = ['23505', '23503', '23514', '23502', '40001', '25P02', '25001', '25P01'];

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

async function prepared(): Promise<SqlHarness> {
  const db = await openSql({ jobs: SIZES });
  await db.exec(`CREATE TABLE p (id INT PRIMARY KEY); INSERT INTO p SELECT * FROM generate_series(0, 9)`);
  await db.exec(`CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT, s STRING, INDEX known (b), FAMILY (id, a), FAMILY (b, s))`);
  await db.exec(`INSERT INTO t SELECT i, i, i % 10, 's' FROM generate_series(1, ${ROWS}) AS g(i)`);
  return db;
}

async function attempt(db: SqlHarness, sql: string, session: string): Promise<string> {
  try {
    await db.exec(sql, { session });
    return 'ok';
  } catch (error) {
    if (!isVarveError(error)) throw error;
    return error.code;
  }
}

for (const { ddl, failures, holds } of CHANGES) {
  test(ddl, async () => {
    let succeeded = 0;
    let beside = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60 }), fc.nat({ max: 10 }), async (steps, before) => {
        const db = await prepared();
        // The job takes a few turns at each of its stops, so that the steps fall between them.
        db.jobs.pausepoints.setHook(() => turns(2));
        await db.exec(`SET CLUSTER SETTING sql.txn.repeatable_read_isolation.enabled = true`);
        await db.exec(`SET default_transaction_isolation = 'read committed'`, { session: 's1' });
        await db.exec(`SET default_transaction_isolation = 'repeatable read'`, { session: 's2' });
        let outcome: string | undefined;
        let publicAt: Timestamp | undefined;
        let change: Promise<void> | undefined;
        const begin = (): void => {
          change = attempt(db, ddl, 'ddl').then((result) => {
            outcome = result;
            publicAt = db.kv.hlc.now();
          });
        };
        for (const [i, { session, sql, turns: count }] of steps.entries()) {
          if (i === before) begin();
          if (change && outcome === undefined) beside++;
          const code = await Promise.race([attempt(db, sql, `s${session}`), turns(50).then(() => 'waits')]);
          assert.ok(code === 'ok' || code === 'waits' || EXPECTED.includes(code), `${sql}: ${code}`);
          await turns(count);
        }
        // Together: one of them may wait for another's lock.
        await Promise.all(['s0', 's1', 's2'].map((session) => attempt(db, 'ROLLBACK', session)));
        await change;
        assert.ok(outcome === 'ok' || failures.includes(outcome ?? ''), `${ddl}: ${outcome}`);
        if (outcome === 'ok') succeeded++;
        const table = tableNamed(db.engine, 't');
        const now = db.kv.reading();
        assert.equal(await leftovers(db.engine, table), []);
        for (const ts of [publicAt as Timestamp, now]) assert.equal(await disagreements(db.engine, table, ts), []);
        if (outcome === 'ok' && holds) assert.equal(await db.rows(holds), [['0']], holds);
        db.close();
      }),
      { numRuns: runs(8), seed: 3 },
    );
    assert.ok(succeeded > 0, 'it never succeeded');
    assert.ok(beside > runs(60), `only ${beside} steps ran while it was under way`);
  });
}

test.run();
