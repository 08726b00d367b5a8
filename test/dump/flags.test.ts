/** The form of a dump, and the flags of `varve dump`. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { listen, type Listening, run } from './support.ts';

const test = suite('dump flags');
let server: Listening;

test.before(async () => {
  server = await listen();
  await server.varve.query(`CREATE DATABASE shop;
    CREATE TABLE shop.customers (id INT8 PRIMARY KEY, name STRING);
    CREATE TABLE shop.orders (id INT8 PRIMARY KEY, customer INT8 CONSTRAINT of_customer REFERENCES shop.customers (id), at TIMESTAMP);
    INSERT INTO shop.customers VALUES (1, 'Name'), (2, e'It\\'s'), (3, 'B\u00e4r');
    INSERT INTO shop.orders VALUES (1, 2, '2026-11-20 00:00:00'), (2, NULL, NULL);
    CREATE DATABASE "Other";
    CREATE TYPE "Other".public.size AS ENUM ('s', 'm');
    CREATE TYPE "Other".public.unused AS ENUM ('x');
    CREATE TABLE "Other".public.t (a INT8, s "Other".public.size);
    CREATE TABLE "Other".public.u (b INT8);
    INSERT INTO "Other".public.t VALUES (1, 's')`);
});
test.after(() => server.close());

const dump = (...flags: string[]): Promise<string> => run('dump', ...flags, '--url', server.url());

test('has the form that cockroach dump gave it', async () => {
  assert.is(
    await dump('shop'),
    `CREATE TABLE customers (
\tid INT8 NOT NULL,
\tname STRING NULL,
\tCONSTRAINT customers_pkey PRIMARY KEY (id ASC),
\tFAMILY "primary" (id, name)
);

CREATE TABLE orders (
\tid INT8 NOT NULL,
\tcustomer INT8 NULL,
\tat TIMESTAMP NULL,
\tCONSTRAINT orders_pkey PRIMARY KEY (id ASC),
\tFAMILY "primary" (id, customer, at)
);

INSERT INTO customers (id, name) VALUES
\t(1, 'Name'),
\t(2, e'It\\'s'),
\t(3, e'B\\u00E4r');

INSERT INTO orders (id, customer, at) VALUES
\t(1, 2, '2026-11-20 00:00:00'),
\t(2, NULL, NULL);

ALTER TABLE orders ADD CONSTRAINT of_customer FOREIGN KEY (customer) REFERENCES public.customers(id);

-- The rows are looked at once more; those that broke a foreign key when they were dumped are found here.
ALTER TABLE orders VALIDATE CONSTRAINT of_customer;
`,
  );
});

test('holds the tables that are named, and the types they need', async () => {
  const text = await dump('Other', 't');
  assert.match(text, /CREATE TYPE size/);
  assert.match(text, /INSERT INTO t \(a, s\) VALUES/);
  assert.not.match(text, /unused|TABLE u/);
  assert.is(
    await dump('shop', 'customers', '--dump-mode', 'data'),
    (await dump('shop', '--dump-mode', 'data')).split('\nINSERT INTO orders')[0],
  );
});

test('is as of the time that is asked for', async () => {
  const { rows } = await server.varve.query('SELECT cluster_logical_timestamp()::STRING AS at');
  const before = await dump('shop');
  await server.varve.query("INSERT INTO shop.customers VALUES (4, 'later'); CREATE TABLE shop.later (a INT8)");
  assert.is(await dump('shop', '--as-of', String(rows[0]?.['at'])), before);
  assert.match(await dump('shop'), /'later'/);
  await server.varve.query('DELETE FROM shop.customers WHERE id = 4; DROP TABLE shop.later');
});

test('of everything replays into an empty server', async () => {
  const text = await dump('--dump-all');
  assert.match(text, /^CREATE DATABASE IF NOT EXISTS "Other";\n\nUSE "Other";\n/);
  const target = await listen();
  try {
    await target.varve.query(text);
    assert.is(await run('dump', '--dump-all', '--url', target.url()), text);
  } finally {
    await target.close();
  }
});

test('says what it cannot do', async () => {
  const failure = async (...flags: string[]): Promise<string> => {
    try {
      return await dump(...flags);
    } catch (error) {
      return (error as Error).message;
    }
  };
  assert.match(await failure('nowhere'), /3D000/);
  assert.match(await failure('shop', 'nothing'), /relation "nothing" does not exist/);
  assert.match(await failure('system'), /0A000/);
  assert.match(await failure('shop', '--as-of=-1000h'), /SQLSTATE/);
  assert.match(await failure(), /give a DATABASE, or --dump-all/);
  assert.match(await failure('shop', '--dump-mode', 'half'), /want both, schema, data/);
  await server.varve.query('CREATE USER visitor; GRANT CONNECT ON DATABASE shop TO visitor');
  assert.match(await failure('shop', '--user', 'visitor'), /user visitor has no privileges on table customers[\s\S]*Failed running "dump"/);
});

test('shows what it asks', async () => {
  let err = '';
  const { main } = await import('../../src/cli/main.ts');
  const io = {
    out() {},
    err: (text: string) => {
      err += text;
    },
    isTerminal: false,
    monotonicMicros: () => 0,
  };
  await main(['dump', 'shop', '--url', server.url(), '--echo-sql'], io);
  assert.match(err, /^> SET /);
  assert.match(err, /\n> COPY \(SELECT id, name FROM shop\.public\.customers\) TO STDOUT\n/);
});

test.run();
