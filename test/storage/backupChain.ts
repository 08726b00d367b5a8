/** A backup chain over any storage: full, incremental and restore, encrypted, each locality in a place of its own. */
import * as assert from 'uvu/assert';

import { ManualClock } from '../../src/base/manualClock.ts';
import { embeddedClient } from '../../src/cli/embeddedClient.ts';
import { Database } from '../../src/server/database.ts';

const LOCALITIES = ['region=east', 'region=west'];

export interface ChainTarget {
  /** The URI of a place, empty at the first use of its name. */
  uri(name: string): string;
  /** Statements for each database before it uses the storage. */
  readonly settings?: readonly string[];
}

export async function backupChain(target: ChainTarget): Promise<void> {
  const withLocality = (uri: string, locality: string) => `${uri}${uri.includes('?') ? '&' : '?'}COCKROACH_LOCALITY=${locality}`;
  const places = [target.uri('chain-east'), target.uri('chain-west')];
  const into = `('${withLocality(places[0] ?? '', 'default')}', '${withLocality(places[1] ?? '', 'region%3Dwest')}')`;
  const from = `(${places.map((place) => `'${place}'`).join(', ')})`;
  const key = "WITH encryption_passphrase = 'a long and secret passphrase'";

  const expected = await inDatabase(target, async (run) => {
    await run('CREATE DATABASE bank');
    await run('CREATE TABLE bank.accounts (id INT PRIMARY KEY, balance INT, note STRING)');
    await run("INSERT INTO bank.accounts SELECT i, i * 10, repeat('x', i % 50) FROM generate_series(1, 2000) AS g(i)");
    await run(`BACKUP DATABASE bank INTO ${into} ${key}`);
    await run('UPDATE bank.accounts SET balance = balance + 1 WHERE id % 3 = 0');
    await run('DELETE FROM bank.accounts WHERE id % 7 = 0');
    await run(`BACKUP DATABASE bank INTO LATEST IN ${into} ${key}`);
    await run("INSERT INTO bank.accounts VALUES (5000, 1, 'last')");
    await run(`BACKUP DATABASE bank INTO LATEST IN ${into} ${key}`);
    return await run('SELECT * FROM bank.accounts ORDER BY id');
  });
  assert.is(expected.length, 2000 - Math.floor(2000 / 7) + 1);

  await inDatabase(target, async (run) => {
    assert.is((await run(`SHOW BACKUPS IN '${places[0]}'`)).length, 1);
    await run(`RESTORE DATABASE bank FROM LATEST IN ${from} ${key}`);
    assert.equal(await run('SELECT * FROM bank.accounts ORDER BY id'), expected);
    const wrong = await run(
      `RESTORE DATABASE bank FROM LATEST IN ${from} WITH encryption_passphrase = 'another', new_db_name = 'b2'`,
    ).catch((error: unknown) => error);
    assert.instance(wrong, Error);
  });
}

type Run = (sql: string) => Promise<readonly unknown[]>;

async function inDatabase<T>(target: ChainTarget, work: (run: Run) => Promise<T>): Promise<T> {
  const database = await Database.open({ clock: new ManualClock('2026-11-20T12:00:00Z'), seed: 'chain', nodes: 2, localities: LOCALITIES });
  try {
    const client = embeddedClient(database);
    const run: Run = async (sql) => (await client.run(sql)).rows;
    for (const statement of target.settings ?? []) await run(statement);
    return await work(run);
  } finally {
    await database.close();
  }
}
