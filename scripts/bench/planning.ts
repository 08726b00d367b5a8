/**
 * `npm run bench "sql plan"`: what it costs to plan a statement, beside running one whose plan is kept.
 *
 * The tables are empty, so that little but the statement itself is left. A text that differs from the
 * last one by a comment misses the cache: it is parsed, planned and compiled. The same text again
 * hits it. The ratio says what an application pays that puts its values into the text.
 */
import { open } from '../../src/index.ts';
import { type BenchCase, type BenchRow, collectGarbage } from './bench.ts';

const SCHEMA = [
  'CREATE TABLE customer (id INT8 PRIMARY KEY, name STRING, city STRING, INDEX (city, name))',
  'CREATE TABLE product (id INT8 PRIMARY KEY, sku STRING UNIQUE, price DECIMAL(10,2))',
  'CREATE TABLE purchase (id INT8 PRIMARY KEY, customer_id INT8 REFERENCES customer, at TIMESTAMPTZ, INDEX (customer_id, at DESC))',
  'CREATE TABLE line (purchase_id INT8 REFERENCES purchase, product_id INT8 REFERENCES product, count INT8, PRIMARY KEY (purchase_id, product_id))',
];

const STATEMENTS: readonly (readonly [name: string, sql: string])[] = [
  ['point read', 'SELECT name FROM customer WHERE id = 7'],
  ['update of one row', "UPDATE customer SET name = 'x' WHERE id = 7"],
  ['range, order and limit', "SELECT * FROM customer WHERE city = 'Bonn' AND name LIKE 'A%' ORDER BY name LIMIT 10"],
  [
    'four tables joined and grouped',
    `SELECT c.city, sum(l.count * p.price) FROM customer c, product p, line l, purchase u
     WHERE u.customer_id = c.id AND l.purchase_id = u.id AND p.id = l.product_id AND c.city IN ('Bonn', 'Köln') AND u.at > '2026-01-01'
     GROUP BY c.city HAVING count(*) > 1 ORDER BY 2 DESC`,
  ],
  ['IN list of 1,000', `SELECT name FROM customer WHERE id IN (${Array.from({ length: 1000 }, (_, i) => i).join(', ')})`],
];
const ROUNDS = 5;
const CALLS = 200;

async function planning(): Promise<BenchRow[]> {
  const db = await open();
  try {
    for (const sql of SCHEMA) await db.query(sql);
    let count = 0;
    const missing = (sql: string): string => `${sql} -- ${count++}`;
    const micros = async (text: () => string): Promise<number> => {
      const start = performance.now();
      for (let i = 0; i < CALLS; i++) await db.query(text());
      return ((performance.now() - start) / CALLS) * 1000;
    };
    const rows: BenchRow[] = [];
    for (const [name, sql] of STATEMENTS) {
      let miss = Number.POSITIVE_INFINITY;
      let hit = Number.POSITIVE_INFINITY;
      collectGarbage();
      // They take turns, so that a slow moment of the machine does not fall on one of them alone.
      for (let round = 0; round < ROUNDS; round++) {
        miss = Math.min(miss, await micros(() => missing(sql)));
        hit = Math.min(hit, await micros(() => sql));
      }
      const shown = (each: number): string => `${each < 100 ? each.toFixed(1) : Math.round(each)} us`;
      rows.push({
        name: `sql plan: ${name}`,
        measured: `${shown(miss)} planned anew`,
        ceiling: `${shown(hit)} plan kept`,
        ratio: miss / hit,
      });
    }
    return rows;
  } finally {
    await db.close();
  }
}

export const cases: readonly BenchCase[] = [{ name: 'sql plan', run: planning }];
