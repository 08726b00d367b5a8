/** A shop through postgres.js: it describes every statement first, pipelines, and reads types from pg_type. */
import postgres from 'postgres';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { type ClientsServer, errorOf, startClientsServer } from './support.ts';

interface Context {
  server: ClientsServer;
  sql: postgres.Sql;
  notices: postgres.Notice[];
}

const test = suite<Context>('postgres.js');

test.before(async (context) => {
  context.server = await startClientsServer('postgres_js');
  context.notices = [];
  // postgres.js takes its settings from an object; the address brings none.
  const url = new URL(context.server.url);
  url.search = '';
  const options = {
    onnotice: (notice: postgres.Notice) => context.notices.push(notice),
    connection: context.server.isPostgres ? {} : ({ default_int_size: 4, serial_normalization: 'sql_sequence' } as object),
  };
  // It learns of array types when it connects: this client must not have connected before they are there.
  const first = postgres(url.href, { max: 1, ...options });
  await first`CREATE TYPE status AS ENUM ('draft', 'paid', 'sent')`;
  await first.end();
  context.sql = postgres(url.href, { max: 3, ...options });
  await context.sql.unsafe(`
    CREATE TABLE customer (id serial PRIMARY KEY, email varchar(80) NOT NULL UNIQUE, address jsonb, labels text[], since date);
    CREATE TABLE product (sku text PRIMARY KEY, price numeric(10,2) NOT NULL CHECK (price > 0), stock int NOT NULL DEFAULT 0, sizes int[], photo bytea);
    CREATE TABLE orders (id bigserial PRIMARY KEY, customer_id int NOT NULL REFERENCES customer ON DELETE CASCADE,
      status status NOT NULL DEFAULT 'draft', placed timestamptz NOT NULL, history status[] NOT NULL DEFAULT '{}');
    CREATE TABLE line (order_id bigint REFERENCES orders ON DELETE CASCADE, sku text REFERENCES product, quantity int NOT NULL, PRIMARY KEY (order_id, sku));
    CREATE INDEX ON orders (customer_id) WHERE status = 'draft';
  `);
});

test.after(async ({ sql, server }) => {
  await sql.end();
  await server.close();
});

test('rows are inserted from objects and come back typed', async ({ sql }) => {
  const customers = [
    { email: 'a@example.org', address: { city: 'Bern', zip: [3, 0] }, labels: ['x', 'y,z'], since: '2026-01-02' },
    { email: 'b@example.org', address: null, labels: null, since: null },
  ];
  const inserted = await sql`INSERT INTO customer ${sql(customers as never)} RETURNING id, email, address, labels, since`;
  assert.equal(
    [...inserted],
    [
      { id: 1, email: 'a@example.org', address: { city: 'Bern', zip: [3, 0] }, labels: ['x', 'y,z'], since: new Date('2026-01-02') },
      { id: 2, email: 'b@example.org', address: null, labels: null, since: null },
    ],
  );
  assert.equal([inserted.count, inserted.command], [2, 'INSERT']);
  await sql`INSERT INTO product (sku, price, stock, sizes, photo) VALUES ('cup', 4.5, 10, ${[1, 2]}, ${Buffer.from('png')}), ('pot', ${'19.95'}, 2, NULL, NULL)`;
  const products = await sql`SELECT * FROM product ORDER BY sku`;
  assert.equal(
    [...products],
    [
      { sku: 'cup', price: '4.50', stock: 10, sizes: [1, 2], photo: Buffer.from('png') },
      { sku: 'pot', price: '19.95', stock: 2, sizes: null, photo: null },
    ],
  );
  assert.equal(
    products.columns?.map((column) => [column.name, column.type]),
    [
      ['sku', 25],
      ['price', 1700],
      ['stock', 23],
      ['sizes', 1007],
      ['photo', 17],
    ],
  );
});

test('a transaction with a savepoint that fails', async ({ sql }) => {
  const placed = new Date('2026-03-04T05:06:07.890Z');
  const id = await sql.begin('isolation level serializable', async (tx) => {
    const [order] =
      await tx`INSERT INTO orders (customer_id, placed, history) VALUES (1, ${placed}, ${['draft']}) RETURNING id, status, placed, history`;
    assert.equal(order, { id: '1', status: 'draft', placed, history: ['draft'] });
    const failed = await errorOf(tx.savepoint((sp) => sp`INSERT INTO line VALUES (${order?.['id']}, 'tea', 1)`));
    assert.is(failed.code, '23503');
    await tx`INSERT INTO line ${tx([
      { order_id: order?.['id'], sku: 'cup', quantity: 3 },
      { order_id: order?.['id'], sku: 'pot', quantity: 1 },
    ])}`;
    await tx`UPDATE product SET stock = stock - l.quantity FROM line l WHERE l.sku = product.sku AND l.order_id = ${order?.['id']}`;
    return order?.['id'];
  });
  assert.equal(
    [...(await sql`SELECT sku, stock FROM product ORDER BY sku`)],
    [
      { sku: 'cup', stock: 7 },
      { sku: 'pot', stock: 1 },
    ],
  );
  const undone = await errorOf(
    sql.begin(async (tx) => {
      await tx`DELETE FROM orders WHERE id = ${id}`;
      throw new Error('no');
    }),
  );
  assert.is(undone.message, 'no');
  assert.equal([...(await sql`SELECT count(*)::int AS n FROM line`)], [{ n: 2 }]);
});

test('dynamic conditions, columns and updates', async ({ sql }) => {
  const change = { status: 'paid', history: ['draft', 'paid'] };
  const updated =
    await sql`UPDATE orders SET ${sql(change as never, 'status' as never, 'history' as never)} WHERE id IN ${sql([1, 2])} RETURNING ${sql(['status', 'history'])}`;
  assert.equal([...updated], [{ status: 'paid', history: ['draft', 'paid'] }]);
  const minimum = 2;
  const found = await sql`
    SELECT c.email, o.status, sum(l.quantity * p.price) AS total, json_agg(json_build_object('sku', l.sku, 'n', l.quantity) ORDER BY l.sku) AS lines
    FROM customer c JOIN orders o ON o.customer_id = c.id JOIN line l ON l.order_id = o.id JOIN product p USING (sku)
    WHERE c.email ILIKE ${'%EXAMPLE%'} ${minimum ? sql`AND l.quantity < ${minimum + 2}` : sql``}
    GROUP BY c.email, o.id, o.status`;
  assert.equal(
    [...found],
    [
      {
        email: 'a@example.org',
        status: 'paid',
        total: '33.45',
        lines: [
          { sku: 'cup', n: 3 },
          { sku: 'pot', n: 1 },
        ],
      },
    ],
  );
  const values = await sql`SELECT sum(n)::int AS n FROM unnest(${[1, 2]}::int[], ${['a', 'b']}::text[]) AS v (n, s)`;
  assert.equal([...values], [{ n: 3 }]);
});

test('a cursor reads in pieces and may stop', async ({ sql }) => {
  const sizes: number[] = [];
  await sql`SELECT * FROM generate_series(1, 25) AS g(n)`.cursor(10, (rows) => {
    sizes.push(rows.length);
  });
  assert.equal(sizes, [10, 10, 5]);
  const seen: number[] = [];
  for await (const [row] of sql`SELECT n::int FROM generate_series(1, 100000) AS g(n)`.cursor()) {
    seen.push(row?.['n']);
    if (seen.length === 3) break;
  }
  assert.equal(seen, [1, 2, 3]);
  const each: number[] = [];
  await sql`SELECT n::int FROM generate_series(1, 5) AS g(n)`.forEach((row) => {
    each.push(row['n']);
  });
  assert.equal(each, [1, 2, 3, 4, 5]);
});

test('statements are described, and many run in a pipeline', async ({ sql }) => {
  const described =
    await sql`SELECT o.id, c.email, ${1}::int AS n FROM orders o JOIN customer c ON c.id = o.customer_id WHERE o.status = ${'paid'}`.describe();
  assert.equal(
    [described.types, described.columns.map((column) => [column.name, column.type])],
    [
      [23, described.types[1]],
      [
        ['id', 20],
        ['email', 1043],
        ['n', 23],
      ],
    ],
  );
  const results = await Promise.all(Array.from({ length: 40 }, (_, i) => sql`SELECT ${i}::int AS i, ${'v' + i} AS s`));
  assert.equal(
    results.map(([row]) => row?.['s']),
    Array.from({ length: 40 }, (_, i) => `v${i}`),
  );
  const [raw] = await sql`SELECT 1::int AS a, 'x' AS b`.values();
  assert.equal([...(raw ?? [])], [1, 'x']);
  const several = await sql`SELECT 1::int AS a; SELECT 2::int AS b, 3::int AS c`.simple();
  assert.equal(JSON.parse(JSON.stringify(several)), [[{ a: 1 }], [{ b: 2, c: 3 }]]);
});

test('copy both ways through streams', async ({ sql }) => {
  await sql`CREATE TABLE copied (id int, note text)`;
  const writable = await sql`COPY copied (id, note) FROM STDIN`.writable();
  for (let i = 0; i < 1000; i++) writable.write(`${i}\tnote ${i}\n`);
  await new Promise<void>((resolve, reject) => {
    writable.on('error', reject);
    writable.end(() => resolve());
  });
  let text = '';
  for await (const chunk of await sql`COPY (SELECT * FROM copied WHERE id > 997 ORDER BY id) TO STDOUT`.readable()) text += String(chunk);
  assert.is(text, '998\tnote 998\n999\tnote 999\n');
});

test('errors, notices and bad parameters leave the connection usable', async ({ sql, notices }) => {
  const duplicate = (await errorOf(sql`INSERT INTO customer (email) VALUES ('a@example.org')`)) as unknown as postgres.PostgresError;
  assert.equal(
    [duplicate.code, duplicate.constraint_name, duplicate.table_name, duplicate.schema_name],
    ['23505', 'customer_email_key', 'customer', 'public'],
  );
  const syntax = (await errorOf(sql`SELECT 1 FROM WHERE`)) as unknown as postgres.PostgresError;
  assert.equal([syntax.code, Number(syntax.position)], ['42601', 15]);
  assert.is((await errorOf(sql`SELECT ${'abc'}::int`)).code, '22P02');
  await sql`DROP TABLE IF EXISTS nowhere`;
  assert.is(notices.at(-1)?.['severity'], 'NOTICE');
  assert.equal([...(await sql`SELECT 1::int AS one`)], [{ one: 1 }]);
});

test('json, arrays, big numbers and dates as parameters', async ({ sql }) => {
  const [row] =
    await sql`SELECT ${sql.json({ a: [1, null] })}::jsonb AS j, ${sql.array([1, 2, 3])}::int[] AS a, ${sql.array(['x', 'y"z'])} AS t,
    ${sql.typed(9007199254740993n as never, 20)}::bigint AS b, ${true} AS yes, ${null}::text AS nothing, ${'2026-02-03'}::date AS d`;
  assert.equal(row, {
    j: { a: [1, null] },
    a: [1, 2, 3],
    t: ['x', 'y"z'],
    b: '9007199254740993',
    yes: true,
    nothing: null,
    d: new Date('2026-02-03'),
  });
});

test.run();
