/**
 * After any run of row changes every index holds exactly the table's rows: inserts, upserts, conflicts,
 * updates that move keys, deletes; what a savepoint or an error undoes leaves no trace in either.
 */
import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { isVarveError } from '../../src/base/errors.ts';
import { openSql } from '../support/sqlHarness.ts';
import { runs } from '../support/depth.ts';

const test = suite('sql index consistency');

const id = fc.integer({ min: 0, max: 9 });
const small = fc.oneof({ weight: 5, arbitrary: fc.integer({ min: 0, max: 4 }).map(String) }, { weight: 1, arbitrary: fc.constant('NULL') });

const change: fc.Arbitrary<string> = fc.oneof(
  fc.tuple(id, small, small).map(([i, a, b]) => `INSERT INTO t VALUES (${i}, ${a}, ${b}, 'x')`),
  fc.tuple(id, id, small, small).map(([i, j, a, b]) => `UPSERT INTO t VALUES (${i}, ${a}, ${b}, 'u'), (${j}, ${b}, ${a}, 'v')`),
  fc.tuple(id, small).map(([i, a]) => `UPSERT INTO t (id, a) VALUES (${i}, ${a})`),
  fc.tuple(id, small, small).map(([i, a, b]) => `INSERT INTO t VALUES (${i}, ${a}, ${b}, 'c') ON CONFLICT DO NOTHING`),
  fc
    .tuple(id, small)
    .map(([i, a]) => `INSERT INTO t VALUES (${i}, ${a}, 1, 'c') ON CONFLICT (a) DO UPDATE SET b = excluded.id, s = t.s || '+'`),
  fc.tuple(small, small).map(([a, b]) => `UPDATE t SET b = ${a} WHERE b = ${b}`),
  fc.tuple(id, small).map(([i, a]) => `UPDATE t SET a = ${a}, s = NULL WHERE id < ${i}`),
  fc.constantFrom('UPDATE t SET id = id + 1', 'UPDATE t SET id = 9 - id', 'UPDATE t SET a = 4 - a WHERE a IS NOT NULL'),
  fc.tuple(small).map(([a]) => `DELETE FROM t WHERE a = ${a}`),
  fc.tuple(id).map(([i]) => `DELETE FROM t WHERE id = ${i}`),
);

test('indexes and rows agree after any changes', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(change, fc.boolean()), { minLength: 1, maxLength: 12 }), async (changes) => {
      const db = await openSql();
      await db.exec(
        `CREATE TABLE t (id INT PRIMARY KEY, a INT UNIQUE, b INT, s STRING, INDEX b_s (b DESC, s), INDEX b_partial (b) STORING (s) WHERE a > 1, FAMILY (id, a), FAMILY (b, s))`,
      );
      const all = 'SELECT id, a, b, s FROM t ORDER BY id';
      for (const [sql, undone] of changes) {
        const before = await db.rows(all);
        let failed = false;
        try {
          await db.exec('BEGIN');
          await db.exec('SAVEPOINT s');
          await db.exec(sql);
        } catch (error) {
          if (!isVarveError(error)) throw error;
          failed = true;
        }
        if (undone || failed) await db.exec('ROLLBACK TO SAVEPOINT s');
        await db.exec('COMMIT');
        const rows = await db.rows(all);
        if (undone || failed) assert.equal(rows, before, sql);
        const sorted = (list: (string | null)[][]): string[] => list.map((row) => JSON.stringify(row)).sort();
        for (const index of ['t_a_key', 'b_s']) {
          assert.equal(sorted(await db.rows(`SELECT id, a, b, s FROM t@${index}`)), sorted(rows), `${index} after ${sql}`);
        }
        assert.is(new Set(rows.map((row) => row[1]).filter((a) => a !== null)).size, rows.filter((row) => row[1] !== null).length);
      }
      db.close();
    }),
    { numRuns: runs(60), seed: 11 },
  );
});

test.run();
