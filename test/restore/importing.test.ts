/**
 * A chain of backups with a layer at each step of an IMPORT INTO: whatever layer is restored, a table that was being
 * imported into comes back as it was before, also where the import fails and undoes what it did.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { COLLECTION, TestDatabase } from './database.ts';

const test = suite('restore of tables that were being imported into');

const CSV = 'mem://bucket/csv';
const OLD = '[["1","old"],["2","old"]]';

/** Rows by the primary index; an assertion that the other index has the same. */
async function rowsOf(db: TestDatabase, table: string): Promise<string> {
  const rows = JSON.stringify(await db.rows(`SELECT id, s FROM ${table}@primary ORDER BY id`));
  assert.is(JSON.stringify(await db.rows(`SELECT id, s FROM ${table}@t_s_idx ORDER BY id`)), rows);
  return rows;
}

for (const revisionHistory of [false, true]) {
  for (const isFailing of [false, true]) {
    test(`${isFailing ? 'an import that fails' : 'an import'}, ${revisionHistory ? 'with' : 'without'} history`, async () => {
      const db = await TestDatabase.open();
      const options = revisionHistory ? ' WITH revision_history' : '';
      const layer = () => db.rows(`BACKUP DATABASE d INTO LATEST IN '${COLLECTION}'${options}`, db.db.newSession());
      await db.run('CREATE DATABASE d', 'USE d', 'CREATE TABLE t (id INT PRIMARY KEY, s STRING, INDEX (s))');
      await db.run("INSERT INTO t VALUES (1, 'old'), (2, 'before'), (3, 'deleted')");
      for (const id of [3, 4, isFailing ? 1 : 5]) await db.run(`EXPORT INTO CSV '${CSV}/${id}' FROM SELECT ${id}, 'new'`);
      await db.run(`BACKUP DATABASE d INTO '${COLLECTION}'${options}`, 'DELETE FROM t WHERE id = 3', "UPDATE t SET s = 'old' WHERE id = 2");

      const steps: string[] = [];
      db.db.jobs.pausepoints.setHook(async (name) => {
        if (!name.startsWith('import.')) return;
        steps.push(name);
        await layer();
      });
      const files = [3, 4, isFailing ? 1 : 5].map((id) => `'${CSV}/${id}/*.csv'`).join(', ');
      const error = await db.error(`IMPORT INTO t (id, s) CSV DATA (${files})`);
      assert.is(error.slice(0, 5), isFailing ? '23505' : 'no er', error);
      db.db.jobs.pausepoints.setHook(undefined);
      await layer();
      assert.ok(steps.length >= 6 && steps.includes(isFailing ? 'import.afterRevert' : 'import.beforePublish'), steps.join(' '));

      const all = '[["1","old"],["2","old"],["3","new"],["4","new"],["5","new"]]';
      assert.is(await rowsOf(db, 'd.t'), isFailing ? OLD : all);
      const ends = await db.rows(`SELECT DISTINCT end_time::STRING FROM [SHOW BACKUP FROM LATEST IN '${COLLECTION}'] ORDER BY 1`);
      assert.is(ends.length, steps.length + 2);
      for (const [i, [end]] of ends.entries()) {
        await db.run(`RESTORE DATABASE d FROM LATEST IN '${COLLECTION}' AS OF SYSTEM TIME '${end}' WITH new_db_name = 'r${i}'`);
        const expected = i === 0 ? '[["1","old"],["2","before"],["3","deleted"]]' : i === ends.length - 1 && !isFailing ? all : OLD;
        assert.is(await rowsOf(db, `r${i}.t`), expected, `layer ${i}, at ${steps[i - 1] ?? 'an end'}`);
      }
      await db.close();
    });
  }
}

test.run();
