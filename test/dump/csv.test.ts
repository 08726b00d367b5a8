/**
 * EXPORT INTO CSV and IMPORT INTO ... CSV: what goes out comes in again; an import that is paused,
 * cancelled or fails leaves each row once, or the table as it was.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { type Bytes, utf8Encode } from '../../src/base/bytes.ts';
import { CsvReader } from '../../src/server/csv/csvReader.ts';
import { Varve } from '../../src/index.ts';

const test = suite('csv');

async function codeOf(work: Promise<unknown>): Promise<string | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    return String((error as { code?: unknown }).code);
  }
}

const READER = { delimiter: ',', comment: undefined, strictQuotes: false, nullText: undefined, allowQuotedNull: false };

function read(text: string, format: Partial<ConstructorParameters<typeof CsvReader>[0]> = {}, pieceLength = text.length): unknown[] {
  const reader = new CsvReader({ ...READER, ...format });
  const bytes = utf8Encode(text);
  const rows: unknown[] = [];
  for (let i = 0; i < bytes.length; i += pieceLength)
    rows.push(...reader.push(bytes.slice(i, i + pieceLength) as Bytes).map((row) => row.fields));
  return [...rows, ...reader.finish().map((row) => row.fields)];
}

test('records are cut alike wherever the pieces end', () => {
  const text = 'a,"b ""x"",\nc",\r\n\n,"",d"e\n"last"';
  const whole = read(text);
  assert.equal(whole, [['a', 'b "x",\nc', ''], ['', '', 'd"e'], ['last']]);
  for (let length = 1; length < 8; length++) assert.equal(read(text, {}, length), whole);
});

test('comments, NULLs and strict quotes', () => {
  assert.equal(read('#x "\n1,#\n', { comment: '#' }), [['1', '#']]);
  assert.equal(read('N,"N"\n', { nullText: 'N' }), [[null, 'N']]);
  assert.equal(read('N,"N"\n', { nullText: 'N', allowQuotedNull: true }), [[null, null]]);
  assert.throws(() => read('a"b\n', { strictQuotes: true }), /quote/);
  assert.throws(() => read('"a\n'), /does not end/);
});

async function withRows(rows: number): Promise<{ varve: Varve; files: string }> {
  const varve = await Varve.open();
  await varve.query(`CREATE TABLE source (id INT PRIMARY KEY, s STRING, d DECIMAL(8,2));
    INSERT INTO source SELECT i, 'row, "' || i::STRING, i / 4 FROM generate_series(1, ${rows}) AS g (i);
    INSERT INTO source VALUES (0, NULL, NULL);
    CREATE TABLE target (id INT PRIMARY KEY, s STRING, d DECIMAL(8,2), made INT DEFAULT 7, twice INT AS (id * 2) STORED, INDEX (s));
    INSERT INTO target (id, s) VALUES (-1, 'before')`);
  const exported = await varve.query("EXPORT INTO CSV 'mem://csv' WITH nullas = 'NULL', chunk_rows = '3000' FROM TABLE source");
  assert.equal(Object.keys(exported.rows[0] ?? {}), ['filename', 'rows', 'bytes']);
  return { varve, files: exported.rows.map((row) => `'mem://csv/${row['filename']}'`).join(', ') };
}

const importText = (files: string, options = "nullif = 'NULL'"): string =>
  `IMPORT INTO target (id, s, d) CSV DATA (${files}) WITH ${options}`;

const same = async (varve: Varve): Promise<void> => {
  const { rows } = await varve.query('SELECT id, s, d FROM source EXCEPT ALL SELECT id, s, d FROM target');
  assert.equal(rows, []);
  const counts = await varve.query(
    'SELECT count(*) AS n, count(made) AS made, sum(twice - 2 * id) AS off, count(*) FROM target@target_s_idx',
  );
  assert.equal(counts.rows[0]?.['n'], (await varve.query('SELECT count(*) + 1 AS n FROM source')).rows[0]?.['n']);
  assert.equal(Number(counts.rows[0]?.['off']), 0);
};

test('what was exported is imported, with defaults and computed columns', async () => {
  const { varve, files } = await withRows(5000);
  try {
    const { rows } = await varve.query(importText(files));
    assert.equal(rows[0]?.['status'], 'succeeded');
    assert.equal(Number(rows[0]?.['rows']), 5001);
    assert.equal(Number(rows[0]?.['index_entries']), 5001);
    await same(varve);
    assert.is(await codeOf(varve.query(importText(files))), '23505');
    await same(varve);
  } finally {
    await varve.close();
  }
});

test('a paused import holds its table offline, and goes on without doing a row twice', async () => {
  const { varve, files } = await withRows(5000);
  try {
    await varve.query("SET CLUSTER SETTING jobs.debug.pausepoints = 'import.afterBatch'");
    assert.ok((await codeOf(varve.query(importText(files)))) !== undefined);
    assert.is(await codeOf(varve.query('SELECT * FROM target')), '55000');
    await varve.query("SET CLUSTER SETTING jobs.debug.pausepoints = ''");
    const { rows } = await varve.query("SELECT job_id FROM [SHOW JOBS] WHERE job_type = 'IMPORT'");
    const job = varve.job(Number(rows[0]?.['job_id']));
    await varve.query(`RESUME JOB ${job.id}`);
    await job.wait();
    await same(varve);
  } finally {
    await varve.close();
  }
});

test('a cancelled import leaves the table as it was', async () => {
  const { varve, files } = await withRows(5000);
  try {
    const before = await varve.query('SELECT * FROM target');
    await varve.query("SET CLUSTER SETTING jobs.debug.pausepoints = 'import.afterCheckpoint'");
    assert.ok((await codeOf(varve.query(importText(files)))) !== undefined);
    await varve.query("SET CLUSTER SETTING jobs.debug.pausepoints = ''");
    const { rows } = await varve.query("SELECT job_id FROM [SHOW JOBS] WHERE job_type = 'IMPORT'");
    const job = varve.job(Number(rows[0]?.['job_id']));
    await varve.query(`CANCEL JOB ${job.id}`);
    await job.wait().catch(() => undefined);
    assert.equal((await varve.query('SELECT * FROM target')).rows, before.rows);
    assert.equal((await varve.query('SELECT id FROM target@target_s_idx')).rows, [{ id: -1 }]);
    assert.equal((await varve.query("SELECT * FROM system.protected_ts_records WHERE meta_type = 'imports'")).rows, []);
  } finally {
    await varve.close();
  }
});

test('rows that do not fit fail by name, and nothing of the file stays', async () => {
  const { varve, files } = await withRows(3);
  try {
    assert.is(await codeOf(varve.query(importText(files, "nullif = 'NULL', delimiter = ';'"))), '22P04');
    assert.is(await codeOf(varve.query(importText(files))), undefined);
    assert.is(await codeOf(varve.query(importText("'mem://csv/none.csv'"))), '58P01');
    assert.is(await codeOf(varve.query("IMPORT TABLE t FROM PGDUMP 'mem://x'")), '0A000');
    assert.is(await codeOf(varve.query("EXPORT INTO PARQUET 'mem://x' FROM TABLE source")), '0A000');
    assert.is(await codeOf(varve.query("EXPORT INTO CSV 'mem://x' FROM TABLE source")), '22004');
    await same(varve);
    await varve.query('DELETE FROM target WHERE id >= 0');
    const limited = await varve.query(importText(files, "nullif = 'NULL', skip = '1', row_limit = '2'"));
    assert.equal(Number(limited.rows[0]?.['rows']), 2);
  } finally {
    await varve.close();
  }
});

test('unique constraints hold that no index keeps: those without one, and between regions', async () => {
  const varve = await Varve.open({ localities: ['eu', 'us'].map((region) => `region=${region}`) });
  try {
    await varve.query(`SET experimental_enable_unique_without_index_constraints = on;
      CREATE TABLE loose (id INT PRIMARY KEY, v INT, UNIQUE WITHOUT INDEX (v));
      INSERT INTO loose VALUES (1, 7);
      CREATE DATABASE spread PRIMARY REGION eu REGIONS = us;
      CREATE TABLE spread.t (id INT PRIMARY KEY, v INT) LOCALITY REGIONAL BY ROW;
      INSERT INTO spread.t (crdb_region, id) VALUES ('us', 7)`);
    for (const value of [7, 8]) await varve.query(`EXPORT INTO CSV 'mem://in/${value}' FROM SELECT ${value}, ${value}`);
    const imported = (value: number, table: string) => codeOf(varve.query(`IMPORT INTO ${table} CSV DATA ('mem://in/${value}/*')`));
    for (const table of ['loose (id, v)', 'spread.t (id, v)']) {
      assert.is(await imported(7, table), '23505');
      assert.is(await imported(8, table), undefined);
    }
    assert.equal((await varve.query('SELECT crdb_region AS r, id FROM spread.t ORDER BY id')).rows, [
      { r: 'us', id: 7 },
      // Of the node that did the import.
      { r: 'eu', id: 8 },
    ]);
  } finally {
    await varve.close();
  }
});

test('wildcards stand for the files of a folder', async () => {
  const { varve } = await withRows(5000);
  try {
    await varve.query("EXPORT INTO CSV 'mem://other' WITH nullas = 'NULL' FROM SELECT 5001, 'last', 1.5");
    for (const [pattern, code] of [
      ['export*.tsv', '58P01'],
      ['[!e]*', '58P01'],
    ] as const)
      assert.is(await codeOf(varve.query(importText(`'mem://csv/${pattern}'`))), code);
    const { rows } = await varve.query(importText("'mem://csv/export*-n1.[0-9].csv', 'mem://other/*'"));
    assert.equal(Number(rows[0]?.['rows']), 5002);
    assert.equal((await varve.query('SELECT s FROM target WHERE id = 5001')).rows, [{ s: 'last' }]);
  } finally {
    await varve.close();
  }
});

test.run();
