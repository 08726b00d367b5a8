/**
 * A real schema with its data: Zabbix 6.0 as Debian's package zabbix-server-pgsql brings it, 173 tables
 * with 129,914 rows in its templates, foreign keys and sequences. The files are loaded as they are,
 * through psql; the database is dumped, loaded again through COPY, and compared.
 *
 * Its two trigger functions and their triggers are refused by name, and nothing else is.
 *
 * `.ci/run` unpacks the package and names its folder in ZABBIX_SQL. It is no part of `npm test`: 130,000
 * INSERTs, each a message, take longer than a test file may.
 */
import { existsSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { contents, firstDifference, hasPsql, listen, type Listening, psql, run } from '../dump/support.ts';

const FOLDER = process.env['ZABBIX_SQL'] ?? '/usr/share/zabbix-server-pgsql';
const isHere = hasPsql && existsSync(`${FOLDER}/schema.sql.gz`);
const unpacked = (name: string): string => gunzipSync(readFileSync(`${FOLDER}/${name}.sql.gz`)).toString();

const test = suite('Zabbix');
if (!isHere) console.log('skipped: the package zabbix-server-pgsql, or psql, is not installed');

(isHere ? test : test.skip)('loads, and comes back from a dump as it was', async () => {
  const source = await listen();
  const target = await listen();
  const twin = await listen();
  try {
    await source.varve.query('CREATE DATABASE zabbix');
    await target.varve.query('CREATE DATABASE zabbix');
    const [schema, images, data] = [unpacked('schema'), unpacked('images'), unpacked('data')];
    const refused = await load(source, schema);
    assert.equal(
      refused.filter((line) => !/unimplemented: CREATE (FUNCTION|TRIGGER)$/.test(line)),
      [],
    );
    assert.equal(await load(source, images), []);
    assert.equal(await load(source, data), []);

    const loaded = await contents(source.url('zabbix'));
    assert.ok(loaded.size > 170, `${loaded.size} tables`);
    const rows = [...loaded.values()].reduce((sum, table) => sum + table.length, 0);
    const inserts = [schema, images, data].reduce((sum, text) => sum + (text.match(/^INSERT INTO /gm) ?? []).length, 0);
    assert.is(rows, inserts);

    assert.is(await psql(target.url('zabbix'), await dump(source, 'postgres')), '');
    assert.is(firstDifference(loaded, await contents(target.url('zabbix'))), undefined);
    const script = await dump(source, 'cockroach');
    await twin.varve.query('CREATE DATABASE zabbix; USE zabbix');
    await twin.varve.query(script);
    assert.is(firstDifference(loaded, await contents(twin.url('zabbix'))), undefined);
    assert.ok((await dump(twin, 'cockroach')) === script, 'the dump of what was dumped is another');
  } finally {
    await source.close();
    await target.close();
    await twin.close();
  }
});

const dump = (server: Listening, format: string, ...flags: string[]): Promise<string> =>
  run('dump', 'zabbix', '--url', server.url('zabbix'), '--format', format, ...flags);

/** The errors that psql reports, which go on where they come. */
async function load(server: Listening, script: string): Promise<string[]> {
  const report = await psql(server.url('zabbix'), script, { goesOn: true });
  return report.split('\n').filter((line) => line.startsWith('ERROR:'));
}

test.run();
