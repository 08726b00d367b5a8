/** Advisories: every scenario runs twice, with its bug put back and without, and must tell the two apart. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { type TestFault, withTestFault } from '../../src/base/testFaults.ts';
import type { DatabaseOptions } from '../../src/server/openOptions.ts';
import { TestDatabase } from '../restore/database.ts';

/** Throws, by an assertion or an error of the database, exactly when the bug shows. */
export type Scenario = (db: TestDatabase) => Promise<void>;

export function testAdvisory(fault: TestFault, what: string, scenario: Scenario, options: () => DatabaseOptions = () => ({})): void {
  const test = suite(fault);
  const run = async () => {
    const db = await TestDatabase.open(options());
    try {
      await scenario(db);
    } finally {
      await db.close();
    }
  };
  test(what, run);
  test(`${what}: noticed when the bug is back`, async () => {
    const shown = await withTestFault(fault, run).then(
      () => undefined,
      (error: unknown) => error,
    );
    assert.ok(shown !== undefined, `nothing failed with ${fault} put back`);
  });
  test.run();
}

/** The rows of a table of a restored database, of which `r` is the name. */
export async function restored(db: TestDatabase, what: string, table: string, time = ''): Promise<(string | null)[][]> {
  const asOf = time === '' ? '' : ` AS OF SYSTEM TIME ${time}`;
  await db.run(`RESTORE DATABASE d FROM LATEST IN '${what}'${asOf} WITH new_db_name = 'r'`);
  const rows = await db.rows(`SELECT * FROM r.${table} ORDER BY 1`);
  await db.run('DROP DATABASE r CASCADE');
  return rows;
}
