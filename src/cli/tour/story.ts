/**
 * The tour's story: a bank is filled, backed up, damaged and brought back to an exact moment; then
 * 25 hours pass, and a protected timestamp shows what it changes.
 *
 * Every line of output is what the real parts answered. The clock is manual and starts at a fixed
 * moment, so two tours tell the same story.
 */
import type { ManualClock } from '../../base/manualClock.ts';
import { seededRandom } from '../../base/random.ts';
import type { SqlClient } from '../sqlClient.ts';
import { BANK_TABLE, bankStatements, transferStatement } from '../workload/bank.ts';
import type { Narrator } from './narrator.ts';

const ROWS = 50_000;
const TRANSFERS = 1_000;
const COLLECTION = 'nodelocal://1/bank';
const COPIES = 'nodelocal://1/copies';

export interface TourParts {
  readonly client: SqlClient;
  readonly clock: ManualClock;
  readonly narrator: Narrator;
  /** Node ids with their localities, for the introduction. */
  readonly nodes: readonly { id: number; locality: string }[];
}

/** Everything that a table holds, as one row: how many, how much, and a digest of every column in key order. */
function fingerprintQuery(table: string): string {
  return `SELECT count(*) AS accounts, sum(balance) AS total, md5(string_agg(id::STRING || ':' || balance::STRING || ':' || payload, ',' ORDER BY id)) AS digest\n  FROM ${table}`;
}

export async function tellStory({ client, clock, narrator, nodes }: TourParts): Promise<void> {
  const random = seededRandom('tour');
  const transfers = async (count: number) => {
    const bar = narrator.progress('transfers');
    for (let done = 1; done <= count; done++) {
      await client.run(transferStatement(random, ROWS));
      if (done % 50 === 0 || done === count) bar(done, count);
    }
  };

  narrator.chapter('A cluster and a bank');
  narrator.say(`${nodes.length} nodes run in this process, on a clock that moves only when told:`);
  for (const node of nodes) narrator.say(`  node ${node.id}  ${node.locality}`);
  const bar = narrator.progress('accounts');
  let rows = 0;
  for (const statement of bankStatements({ rows: ROWS })) {
    if (statement.rows === 0) await narrator.run(statement.sql);
    else await client.run(statement.sql);
    rows += statement.rows;
    if (statement.rows > 0) bar(rows, ROWS);
  }

  narrator.chapter('A full backup');
  await clock.advance('1h');
  await narrator.run(`BACKUP DATABASE bank INTO '${COLLECTION}'`);

  narrator.chapter('Business goes on, and a moment to remember');
  await clock.advance('10m');
  await transfers(TRANSFERS);
  const moment = (await narrator.run('SELECT cluster_logical_timestamp() AS moment')).rows[0]?.[0] ?? '';
  const before = await narrator.run(fingerprintQuery(BANK_TABLE));

  narrator.chapter('The accident');
  await clock.advance('5m');
  await transfers(TRANSFERS);
  await narrator.run(`UPDATE ${BANK_TABLE} SET balance = 0 WHERE id % 2 = 0`);
  await narrator.run(`DROP TABLE ${BANK_TABLE}`);

  narrator.chapter('An incremental backup with revision history: it has every version since the full one');
  await clock.advance('5m');
  await narrator.run(`BACKUP DATABASE bank INTO LATEST IN '${COLLECTION}' WITH revision_history`);
  await narrator.run(`SHOW BACKUPS IN '${COLLECTION}'`);
  await narrator.run(
    `SELECT object_name, object_type, backup_type, start_time, end_time, size_bytes, rows\n  FROM [SHOW BACKUP FROM LATEST IN '${COLLECTION}']`,
  );

  narrator.chapter('Back to the moment before the accident');
  await narrator.run(
    `RESTORE DATABASE bank FROM LATEST IN '${COLLECTION}'\n  AS OF SYSTEM TIME '${moment}' WITH new_db_name = 'bank_before'`,
  );
  const after = await narrator.run(fingerprintQuery('bank_before.bank'));
  narrator.prove(
    'the restored table equals the remembered moment, row for row',
    JSON.stringify(before.rows) === JSON.stringify(after.rows),
  );

  narrator.chapter('25 hours later: an incremental backup is refused');
  await narrator.run(`BACKUP DATABASE bank_before INTO '${COPIES}'`);
  await narrator.run('UPDATE bank_before.bank SET balance = balance + 1 WHERE id < 100');
  await clock.advance('25h');
  narrator.say(
    '\n25 hours have passed on the clock. Old versions are kept for gc.ttlseconds, 4 hours here; an incremental needs them back to its base:',
  );
  await narrator.runRefused(`BACKUP DATABASE bank_before INTO LATEST IN '${COPIES}'`, '72000');

  narrator.chapter('What a protected timestamp changes');
  await narrator.run("SELECT varve_internal.protect_timestamp('bank_before', cluster_logical_timestamp()) AS record");
  await narrator.run('SELECT id, protected_time, meta_type, meta, target FROM varve_internal.protected_timestamps');
  await narrator.run(`BACKUP DATABASE bank_before INTO '${COPIES}'`);
  await narrator.run('UPDATE bank_before.bank SET balance = balance + 1 WHERE id < 100');
  await clock.advance('25h');
  narrator.say('\nAnother 25 hours, and this time the history is still there:');
  await narrator.run(`BACKUP DATABASE bank_before INTO LATEST IN '${COPIES}'`);
  await narrator.run(`RESTORE DATABASE bank_before FROM LATEST IN '${COPIES}' WITH new_db_name = 'bank_again'`);
  const source = await client.run(fingerprintQuery('bank_before.bank'));
  const copy = await narrator.run(fingerprintQuery('bank_again.bank'));
  narrator.prove('the second copy equals its source', JSON.stringify(source.rows) === JSON.stringify(copy.rows));
  await narrator.run('SELECT varve_internal.release_protection(id) AS released FROM varve_internal.protected_timestamps');
}
