/**
 * No choice of the planner changes what a query gives: random queries over random data give the same rows with every
 * optimizer rule off, with each off alone, with all on, and with statistics, indexes and sizes that lead to other plans.
 *
 * `PLAN_RUNS=5000 PLAN_SEED=3 node test/sql/planRules.test.ts` goes on for longer.
 */
import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { OPTIMIZER_RULES } from '../../src/sql/plan/optimizer.ts';
import { openSql, type SqlHarness } from '../support/sqlHarness.ts';
import { runs } from '../support/depth.ts';

const test = suite('optimizer rules');

const TABLES = {
  p: 'id INT PRIMARY KEY, g INT, h INT, s STRING, INDEX (g), INDEX (h DESC, g)',
  q: 'id INT PRIMARY KEY, pid INT, v INT, s STRING, INDEX (pid), INDEX (v) STORING (pid)',
  r: 'id INT, k INT, w INT, f BOOL, PRIMARY KEY (k, id), INDEX (w, k)',
  u: 'a INT, b INT, s STRING',
} as const;
type TableName = keyof typeof TABLES;
const COLUMNS: Readonly<Record<TableName, readonly string[]>> = {
  p: ['id', 'g', 'h'],
  q: ['id', 'pid', 'v'],
  r: ['id', 'k', 'w'],
  u: ['a', 'b'],
};
const NAMES = Object.keys(TABLES) as TableName[];

const value = fc.integer({ min: -1, max: 9 });
const columnOf = (alias: string, table: TableName): fc.Arbitrary<string> =>
  fc.constantFrom(...COLUMNS[table].map((name) => `${alias}.${name}`));

/** A condition over some of the sources. */
function condition(sources: readonly (readonly [alias: string, table: TableName])[]): fc.Arbitrary<string> {
  const column = fc.constantFrom(...sources).chain(([alias, table]) => columnOf(alias, table));
  const comparison = fc.constantFrom('=', '=', '=', '<', '>=', '<>');
  return fc.oneof(
    { weight: 6, arbitrary: fc.tuple(column, column).map(([a, b]) => `${a} = ${b}`) },
    { weight: 4, arbitrary: fc.tuple(column, comparison, value).map(([a, op, v]) => `${a} ${op} ${v}`) },
    fc.tuple(column, value, value).map(([a, v, w]) => `${a} IN (${v}, ${w})`),
    fc.tuple(column, column, value, value).map(([a, b, v, w]) => `(${a} = ${v} OR ${b} = ${w})`),
    fc.tuple(column, column, column, value).map(([a, b, c, v]) => `(${a} = ${b} OR ${c} < ${v})`),
    fc.tuple(column, fc.boolean()).map(([a, negated]) => `${a} IS ${negated ? 'NOT ' : ''}NULL`),
    fc.tuple(column, column, value).map(([a, b, v]) => `${a} + ${b} > ${v}`),
    fc
      .tuple(column, fc.constantFrom(...NAMES), fc.boolean())
      .chain(([a, table, negated]) =>
        fc
          .tuple(columnOf('x', table), columnOf('x', table), value)
          .map(([b, c, v]) => `${negated ? 'NOT ' : ''}EXISTS (SELECT 1 FROM ${table} AS x WHERE ${b} = ${a} AND ${c} <> ${v})`),
      ),
    fc
      .tuple(column, fc.constantFrom(...NAMES))
      .chain(([a, table]) =>
        fc
          .tuple(columnOf('x', table), columnOf('x', table), value)
          .map(([b, c, v]) => `${a} IN (SELECT ${b} FROM ${table} AS x WHERE ${c} > ${v})`),
      ),
    fc
      .tuple(column, column, fc.constantFrom(...NAMES), fc.constantFrom('max', 'min', 'count', 'sum'))
      .chain(([a, o, table, call]) =>
        fc
          .tuple(columnOf('x', table), columnOf('x', table))
          .map(([b, c]) => `${a} <= (SELECT ${call}(${b}) FROM ${table} AS x WHERE ${c} = ${o})`),
      ),
  );
}

/** A query whose rows come in any order. */
const query: fc.Arbitrary<string> = fc.array(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 5 }).chain((tables) => {
  const sources = tables.map((table, i) => [`t${i}`, table] as const);
  const join = (i: number): fc.Arbitrary<string> => {
    const [alias, table] = sources[i] as readonly [string, TableName];
    const before = sources.slice(0, i + 1);
    const on = fc.tuple(
      columnOf(alias, table),
      fc.constantFrom(...before.slice(0, -1)).chain(([other, of]) => columnOf(other, of)),
    );
    return fc
      .tuple(
        fc.constantFrom('JOIN', 'JOIN', 'JOIN', ',', ',', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN'),
        on,
        fc.option(condition(before), { freq: 3 }),
      )
      .map(([kind, [a, b], also]) =>
        kind === ',' ? ` CROSS JOIN ${table} AS ${alias}` : ` ${kind} ${table} AS ${alias} ON ${a} = ${b}${also ? ` AND ${also}` : ''}`,
      );
  };
  const [first] = sources as readonly (readonly [string, TableName])[];
  const from = fc.tuple(...sources.slice(1).map((_, i) => join(i + 1))).map((joins) => `${first?.[1]} AS ${first?.[0]}${joins.join('')}`);
  // Cross joins need conditions, or there are too many rows to compare.
  const where = fc.array(condition(sources), { minLength: Math.max(0, sources.length - 1), maxLength: sources.length + 2 });
  const ties = fc.tuple(
    ...sources.slice(1).map(([alias, table], i) => {
      const [other, of] = sources[i] as readonly [string, TableName];
      return fc.tuple(columnOf(alias, table), columnOf(other, of)).map(([a, b]) => `${a} = ${b}`);
    }),
  );
  const shown = sources.map(([alias, table]) => COLUMNS[table].map((name) => `${alias}.${name}`).join(', ')).join(', ');
  return fc.tuple(from, where, ties, fc.constantFrom('rows', 'rows', 'grouped', 'distinct')).map(([source, wheres, tied, form]) => {
    const text = [...tied, ...wheres].join(' AND ');
    const rest = `FROM ${source}${text === '' ? '' : ` WHERE ${text}`}`;
    const [alias, table] = sources[0] as readonly [string, TableName];
    const key = `${alias}.${COLUMNS[table][1]}`;
    if (form === 'grouped') return `SELECT ${key}, count(*), sum(${alias}.${COLUMNS[table][0]}) ${rest} GROUP BY ${key}`;
    return `SELECT ${form === 'distinct' ? 'DISTINCT ' : ''}${shown} ${rest}`;
  });
});

async function load(db: SqlHarness, rows: number, withIndexes: boolean): Promise<void> {
  for (const [name, columns] of Object.entries(TABLES)) {
    await db.exec(`CREATE TABLE ${name} (${withIndexes ? columns : columns.replaceAll(/, INDEX \([^)]*\)(?: STORING \([^)]*\))?/g, '')})`);
  }
  const some = (salt: number, range: number): string => `CASE WHEN (i * ${salt}) % 7 = 3 THEN NULL ELSE (i * ${salt}) % ${range} END`;
  const from = (count: number): string => `FROM generate_series(1, ${count}) AS s(i)`;
  await db.exec(`INSERT INTO p SELECT i, ${some(3, 6)}, ${some(5, 9)}, 'p' || (i % 4)::STRING ${from(rows)}`);
  await db.exec(`INSERT INTO q SELECT i, ${some(11, 13)}, ${some(13, 4)}, 'q' || (i % 3)::STRING ${from(rows * 2)}`);
  await db.exec(`INSERT INTO r SELECT i, (i * 17) % 5, ${some(7, 8)}, i % 2 = 0 ${from(rows)}`);
  await db.exec(`INSERT INTO u SELECT ${some(2, 5)}, ${some(19, 9)}, 'u' ${from(Math.ceil(rows / 2))}`);
}

const sorted = (rows: readonly (readonly (string | null)[])[]): string[] => rows.map((row) => JSON.stringify(row)).sort();

/** Statistics that say the contrary of what is there, so that other plans look good. */
function lies(salt: number): string {
  return NAMES.map((table, t) => {
    const rows = [3, 100_000, 50, 7_000_000][(t + salt) % 4] as number;
    const stats = COLUMNS[table].map((column, c) => ({
      columns: [column],
      created_at: '2026-11-20 00:00:00',
      row_count: rows,
      distinct_count: Math.max(1, Math.round(rows / [1, 1000, 3, 40][(c + salt) % 4]!)),
      null_count: Math.round(rows / 9),
    }));
    return `ALTER TABLE ${table} INJECT STATISTICS '${JSON.stringify(stats)}'`;
  }).join('; ');
}

test('random queries give the same rows whatever is known and whichever rules are on', async () => {
  const indexed = await openSql({ jobs: true });
  const bare = await openSql();
  await load(indexed, 14, true);
  await load(bare, 14, false);
  const knowledge: ((run: number) => Promise<unknown>)[] = [
    () => Promise.resolve(),
    (run) => indexed.exec(lies(run)),
    () => indexed.exec('ANALYZE p; ANALYZE q; ANALYZE r; ANALYZE u'),
    (run) => indexed.exec(lies(run + 1)),
  ];
  const rules = OPTIMIZER_RULES.map(({ name }) => name);
  let run = 0;
  await fc.assert(
    fc.asyncProperty(query, async (sql) => {
      run++;
      if (run % 25 === 0) await knowledge[(run / 25) % knowledge.length]?.(run);
      await bare.exec("SET varve.optimizer_rules_off = 'all'");
      const expected = sorted(await bare.rows(sql));
      const off = ['', '', rules[run % rules.length] ?? '', 'all'][run % 4] ?? '';
      await indexed.exec(`SET varve.optimizer_rules_off = '${off}'`);
      const same = (rows: string[]): void => assert.equal(rows, expected, `${sql}\nwithout: ${off || 'nothing'}`);
      same(sorted(await indexed.rows(sql)));
      await bare.exec("SET varve.optimizer_rules_off = ''");
      same(sorted(await bare.rows(sql)));
    }),
    { numRuns: Number(process.env.PLAN_RUNS ?? runs(200)), seed: Number(process.env.PLAN_SEED ?? 7) },
  );
  indexed.close();
  bare.close();
});

test('merge joins give what hash joins give', async () => {
  const db = await openSql();
  await db.exec(
    'CREATE TABLE a (id INT PRIMARY KEY, k INT, d DECIMAL, s STRING, INDEX (k) STORING (d, s), INDEX (s DESC, k), INDEX (d) STORING (k))',
  );
  await db.exec(
    'CREATE TABLE b (x INT, id INT, k INT, d DECIMAL, s STRING, PRIMARY KEY (x, id), INDEX (k DESC) STORING (s), INDEX (s, k), INDEX (d))',
  );
  const values = (i: string): string =>
    `CASE WHEN ${i} % 11 = 0 THEN NULL ELSE (${i} * 7) % 700 END, CASE WHEN ${i} % 13 = 0 THEN NULL ELSE ((${i} * 3) % 900)::DECIMAL / 2 END, CASE WHEN ${i} % 7 = 0 THEN NULL ELSE 's' || (${i} % 300)::STRING END`;
  await db.exec(`INSERT INTO a SELECT i, ${values('i')} FROM generate_series(1, 1100) AS g(i)`);
  await db.exec(`INSERT INTO b SELECT i % 900, i, ${values('(i * 5)')} FROM generate_series(1, 1200) AS g(i)`);
  const merged = new Set<string>();
  for (const on of [
    'a.id = b.x',
    'a.k = b.x',
    'a.k = b.k',
    'a.s = b.s AND a.k = b.k',
    'a.d = b.d',
    'a.id = b.x AND a.k > b.k',
    'a.id = b.x AND a.id = b.id',
  ]) {
    for (const join of ['JOIN', 'LEFT JOIN']) {
      for (const rest of ['', 'WHERE a.k < 300', 'WHERE b.k IS NOT NULL AND a.id > 20', 'ORDER BY a.id, b.x, b.id LIMIT 20']) {
        // As few columns as there are, so that indexes cover them.
        const sql = `SELECT a.id, b.x, b.id FROM a ${join} b ON ${on} ${rest}`;
        await db.exec("SET varve.optimizer_rules_off = ''");
        const plan = (await db.rows(`EXPLAIN ${sql}`)).map(([line]) => line).join('\n');
        if (plan.includes('merge join')) merged.add(`${on} ${join}`);
        const fast = await db.rows(sql);
        await db.exec("SET varve.optimizer_rules_off = 'choose indexes'");
        const plain = await db.rows(sql);
        if (rest.includes('LIMIT')) assert.equal(fast, plain, `${sql}\n${plan}`);
        else assert.equal(sorted(fast), sorted(plain), `${sql}\n${plan}`);
      }
    }
    for (const exists of ['EXISTS', 'NOT EXISTS']) {
      const sql = `SELECT a.id FROM a WHERE ${exists} (SELECT 1 FROM b WHERE ${on} AND b.id + 0 > 5)`;
      await db.exec("SET varve.optimizer_rules_off = ''");
      const fast = await db.rows(sql);
      await db.exec("SET varve.optimizer_rules_off = 'choose indexes'");
      assert.equal(sorted(fast), sorted(await db.rows(sql)), sql);
    }
  }
  assert.ok(merged.size >= 6, [...merged].join('; '));
  db.close();
});

test('semi and anti joins that keep their left side give what others give, in its order', async () => {
  const db = await openSql();
  await db.exec('CREATE TABLE few (id INT PRIMARY KEY, k INT, v INT); CREATE TABLE many (id INT PRIMARY KEY, k INT, v INT)');
  await db.exec('INSERT INTO few SELECT i, CASE WHEN i % 5 = 0 THEN NULL ELSE i * 3 END, i % 4 FROM generate_series(1, 60) AS g(i)');
  await db.exec('INSERT INTO many SELECT i, CASE WHEN i % 7 = 0 THEN NULL ELSE i % 150 END, i % 9 FROM generate_series(1, 9000) AS g(i)');
  for (const also of ['', ' AND m.v > f.v', ' AND m.v > 100', ' AND m.id < 20', ' AND m.v + f.v = 6']) {
    for (const exists of [
      'EXISTS (SELECT 1 FROM many m WHERE m.k = f.k',
      'NOT EXISTS (SELECT 1 FROM many m WHERE m.k = f.k',
      'f.v IN (SELECT m.v FROM many m WHERE m.k = f.k',
    ]) {
      const sql = `SELECT f.id, f.k FROM few f WHERE ${exists}${also})`;
      await db.exec("SET varve.optimizer_rules_off = ''");
      assert.match((await db.rows(`EXPLAIN ${sql}`)).join('\n'), 'kept in memory: left side');
      const fast = await db.rows(sql);
      await db.exec("SET varve.optimizer_rules_off = 'use semi joins'");
      assert.equal(fast, await db.rows(sql), sql);
    }
  }
  db.close();
});

test('a rule that does not exist cannot be turned off', async () => {
  const db = await openSql();
  try {
    await db.exec("SET varve.optimizer_rules_off = 'guess'");
    assert.unreachable();
  } catch (error) {
    assert.match(String(error), 'there is no optimizer rule "guess"');
  }
  db.close();
});

test.run();
