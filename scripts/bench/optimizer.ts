/**
 * `npm run bench "sql optimizer"`: what the planner's choices are worth, and what knowing the data costs.
 *
 * Each query runs with every rule, and without the one that it is about, over the same rows; the ratio is processor time
 * against processor time, the smaller the better. Collecting statistics is measured against one pass over the same rows in SQL.
 */
import { open } from '../../src/index.ts';
import { type BenchCase, type BenchContext, type BenchRow, collectGarbage } from './bench.ts';

const ROUNDS = 5;

interface Choice {
  readonly name: string;
  readonly sql: string;
  /** The rule left out for the comparison. */
  readonly rule: string;
}

const CHOICES: readonly Choice[] = [
  {
    name: 'four tables, the selective one last',
    sql: `SELECT count(*) FROM line l, purchase u, customer c, country k
          WHERE l.purchase_id = u.id AND u.customer_id = c.id AND c.country_id = k.id AND k.name = 'k7'`,
    rule: 'order joins',
  },
  {
    name: 'correlated count',
    sql: 'SELECT sum((SELECT count(*) FROM purchase u WHERE u.day = k.id)) FROM country k',
    rule: 'join scalars',
  },
  {
    name: 'correlated EXISTS',
    sql: 'SELECT count(*) FROM country k WHERE EXISTS (SELECT 1 FROM purchase u WHERE u.day = k.id)',
    rule: 'use semi joins',
  },
  { name: 'OR over two indexes', sql: 'SELECT count(total) FROM purchase WHERE customer_id = 5 OR state = 4', rule: 'choose indexes' },
  { name: 'merge join', sql: 'SELECT count(*) FROM purchase u JOIN line l ON u.id = l.purchase_id', rule: 'choose indexes' },
];

async function optimizing({ rows }: BenchContext): Promise<BenchRow[]> {
  const db = await open();
  try {
    await load(db, rows);
    const millis = async (sql: string): Promise<number> => {
      const start = process.cpuUsage();
      await db.query(sql);
      const { user, system } = process.cpuUsage(start);
      return (user + system) / 1000;
    };
    const least = async (sqls: readonly string[]): Promise<number[]> => {
      const best = sqls.map(() => Number.POSITIVE_INFINITY);
      collectGarbage();
      for (let round = 0; round < ROUNDS; round++)
        for (const [i, sql] of sqls.entries()) best[i] = Math.min(best[i] as number, await millis(sql));
      return best;
    };
    const ms = (value: number): string => `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
    const result: BenchRow[] = [];
    const common = 'SELECT sum(total) FROM purchase WHERE state = 0';
    const [guessed = 0] = await least([common]);
    const [analyze = 0, pass = 0] = await least([
      'ANALYZE purchase',
      'SELECT count(customer_id + state), max(total), max(day) FROM purchase',
    ]);
    result.push({ name: 'sql optimizer: ANALYZE', measured: ms(analyze), ceiling: `one pass ${ms(pass)}`, ratio: analyze / pass });
    for (const table of ['line', 'customer', 'country']) await db.query(`ANALYZE ${table}`);
    const [known = 0] = await least([common]);
    result.push({
      name: 'sql optimizer: a common value',
      measured: ms(known),
      ceiling: `without statistics ${ms(guessed)}`,
      ratio: known / guessed,
    });
    for (const { name, sql, rule } of CHOICES) {
      const best = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
      collectGarbage();
      for (let round = 0; round < ROUNDS; round++) {
        for (const [i, off] of ['', rule].entries()) {
          await db.query(`SET varve.optimizer_rules_off = '${off}'`);
          best[i] = Math.min(best[i] as number, await millis(sql));
        }
      }
      const [chosen = 0, without = 0] = best;
      result.push({
        name: `sql optimizer: ${name}`,
        measured: ms(chosen),
        ceiling: `without "${rule}" ${ms(without)}`,
        ratio: chosen / without,
      });
    }
    return result;
  } finally {
    await db.close();
  }
}

async function load(db: Awaited<ReturnType<typeof open>>, rows: number): Promise<void> {
  for (const sql of [
    'CREATE TABLE country (id INT8 PRIMARY KEY, name STRING)',
    'CREATE TABLE customer (id INT8 PRIMARY KEY, country_id INT8, INDEX (country_id))',
    'CREATE TABLE purchase (id INT8 PRIMARY KEY, customer_id INT8, state INT8, day INT8, total INT8, INDEX (customer_id), INDEX (state))',
    'CREATE TABLE line (purchase_id INT8, n INT8, PRIMARY KEY (purchase_id, n))',
    "INSERT INTO country SELECT i, 'k' || i::STRING FROM generate_series(1, 200) AS g(i)",
    `INSERT INTO customer SELECT i, i % 200 + 1 FROM generate_series(1, ${Math.ceil(rows / 20)}) AS g(i)`,
    `INSERT INTO purchase SELECT i, i % ${Math.ceil(rows / 20)} + 1, CASE WHEN i % 1000 = 0 THEN 4 ELSE 0 END, i % 365, i % 900 FROM generate_series(1, ${rows}) AS g(i)`,
    `INSERT INTO line SELECT i // 2 + 1, i FROM generate_series(1, ${rows}) AS g(i)`,
  ])
    await db.query(sql);
}

export const cases: readonly BenchCase[] = [{ name: 'sql optimizer', run: optimizing }];
