/**
 * `varve dump` of a multi-region database.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { listen, type Listening, run } from './support.ts';

const test = suite('dump of regions');
const LOCALITIES = ['eu', 'us'].map((region) => `region=${region},zone=${region}a`);

const SCRIPT = `
  CREATE DATABASE shop PRIMARY REGION eu REGIONS = eu, us;
  USE shop;
  CREATE TYPE mood AS ENUM ('fine');
  CREATE TABLE orders (id INT PRIMARY KEY, code STRING UNIQUE, m mood) LOCALITY REGIONAL BY ROW;
  CREATE TABLE customers (id INT PRIMARY KEY) LOCALITY REGIONAL BY TABLE IN us;
  CREATE TABLE rates (id INT PRIMARY KEY) LOCALITY GLOBAL;
  CREATE TABLE plain (id INT PRIMARY KEY);
  INSERT INTO orders (crdb_region, id, code, m) VALUES ('us', 1, 'a', 'fine'), ('eu', 2, 'b', NULL);
  INSERT INTO rates VALUES (7)`;

let source: Listening;

test.before(async () => {
  source = await listen({ localities: LOCALITIES });
  await source.varve.query(SCRIPT);
});

test.after(() => source.close());

const dump = (from: Listening, ...flags: string[]): Promise<string> => run('dump', '--url', from.url(), ...flags);

async function rows(of: Listening, query: string): Promise<unknown[]> {
  return (await of.varve.query(query)).rows;
}

test('all databases replay with their regions, and rows stay where they were', async () => {
  const script = await dump(source, '--dump-all');
  const target = await listen({ localities: LOCALITIES });
  try {
    await target.varve.query(script);
    assert.is(await dump(target, '--dump-all'), script);
    for (const query of ['SHOW ZONE CONFIGURATIONS', 'SELECT crdb_region, * FROM shop.orders', 'SHOW REGIONS FROM DATABASE shop']) {
      assert.equal(await rows(target, query), await rows(source, query));
    }
  } finally {
    await target.close();
  }
});

test('one database goes into another that has the regions', async () => {
  const target = await listen({ localities: LOCALITIES });
  try {
    await target.varve.query('CREATE DATABASE other PRIMARY REGION us REGIONS = eu');
    await target.varve.query(`USE other; ${await dump(source, 'shop')}`);
    assert.equal(await rows(target, 'SELECT crdb_region, id FROM other.orders ORDER BY id'), [
      { crdb_region: 'us', id: 1 },
      { crdb_region: 'eu', id: 2 },
    ]);
  } finally {
    await target.close();
  }
});

test("in PostgreSQL's dialect a region is a value like others", async () => {
  const script = await dump(source, 'shop', '--format', 'postgres', '--dump-mode', 'schema');
  assert.match(script, "CREATE TYPE public.crdb_internal_region AS ENUM ('eu', 'us')");
  assert.match(script, "crdb_region public.crdb_internal_region DEFAULT 'eu'::public.crdb_internal_region NOT NULL");
  assert.match(script, 'PRIMARY KEY (id)');
  assert.match(script, 'UNIQUE (code)');
  assert.not.match(script, 'LOCALITY');
});

test.run();
