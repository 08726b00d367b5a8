/**
 * Backups in the middle of a schema change: what is pending is not in them, what was written meanwhile
 * is, and the layer in which the change is public has all of it, entries that the backfill put below the
 * layer's start included (CockroachDB's advisory a63162: a backup during a backfill that misses rows).
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { disagreements, leftovers, tableNamed } from '../sql/schemaChange/agreement.ts';
import { COLLECTION, TestDatabase } from './database.ts';

const test = suite('backup during a schema change');

const POINTS = [
  'schemachange.beforeBackfill',
  'schemachange.afterColumnPiece',
  'schemachange.afterColumns',
  'schemachange.afterIngest',
  'schemachange.afterBackfill',
  'schemachange.afterValidationPiece',
  'schemachange.beforePublish',
];
const DDL = `ALTER TABLE t ADD COLUMN c INT NOT NULL DEFAULT 7, ADD COLUMN d INT UNIQUE AS (id * 2) STORED CHECK (d < 100000), ALTER COLUMN a SET NOT NULL, ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES p (id)`;
/** More than one ingested piece. */
const ROWS = 4500;

interface Moment {
  readonly what: string;
  readonly time: string;
  readonly rows: (string | null)[][];
}

async function writeSome(db: TestDatabase, n: number): Promise<void> {
  await db.run(
    `UPSERT INTO d.t (id, a) VALUES (${n}, 1), (${ROWS + n}, 2)`,
    `DELETE FROM d.t WHERE id = ${n + 100}`,
    `UPDATE d.t SET id = -id WHERE id = ${n + 200}`,
  );
}

async function moment(db: TestDatabase, what: string): Promise<Moment> {
  return { what, time: db.now(), rows: await db.rows('SELECT * FROM d.t ORDER BY id') };
}

for (const point of POINTS) {
  test(`at ${point}`, async () => {
    const db = await TestDatabase.open();
    await db.run(
      'CREATE DATABASE d; USE d',
      'CREATE TABLE p (id INT PRIMARY KEY); INSERT INTO p SELECT * FROM generate_series(0, 9)',
      'CREATE TABLE t (id INT PRIMARY KEY, a INT, INDEX known (a), FAMILY (id), FAMILY (a))',
      `INSERT INTO t SELECT i, i % 10 FROM generate_series(1, ${ROWS}) AS g(i)`,
      `BACKUP DATABASE d INTO '${COLLECTION}' WITH revision_history`,
    );
    const other = db.db.newSession();
    const moments: Moment[] = [];
    let reached = false;
    db.db.jobs.pausepoints.setHook(async (name) => {
      if (name !== point || reached) return;
      reached = true;
      const writer = Object.create(db, { session: { value: other } }) as TestDatabase;
      await writeSome(writer, 1);
      moments.push(await moment(writer, 'before the layer in the middle'));
      await writeSome(writer, 2);
      await writer.run(`BACKUP DATABASE d INTO LATEST IN '${COLLECTION}' WITH revision_history`);
      await writeSome(writer, 3);
      moments.push(await moment(writer, 'after the layer in the middle'));
    });
    await db.run(DDL);
    assert.ok(reached, point);
    db.db.jobs.pausepoints.setHook(undefined);
    moments.push(await moment(db, 'public'));
    await writeSome(db, 4);
    moments.push(await moment(db, 'the end'));
    await db.run(`BACKUP DATABASE d INTO LATEST IN '${COLLECTION}' WITH revision_history`);

    for (const [i, { what, time, rows }] of moments.entries()) {
      await db.run(`RESTORE DATABASE d FROM LATEST IN '${COLLECTION}' AS OF SYSTEM TIME ${time} WITH new_db_name = 'r${i}'`);
      assert.equal(await db.rows(`SELECT * FROM r${i}.t ORDER BY id`), rows, what);
      const table = tableNamed(db.db.engine, 't');
      assert.equal(await leftovers(db.db.engine, table), [], what);
      assert.equal(await disagreements(db.db.engine, table, db.db.kv.reading()), [], what);
      assert.equal(await db.problems(), [], what);
      const isDone = i >= 2;
      assert.is(table.indexes.length, isDone ? 2 : 1, what);
      assert.is(table.foreignKeys.length + table.checks.length, isDone ? 2 : 0, what);
      assert.is(table.columns.find((column) => column.name === 'a')?.nullable, !isDone, what);
      await db.run(`ALTER TABLE r${i}.t ADD COLUMN again INT DEFAULT 1`);
    }
    await db.close();
  });
}

test.run();
