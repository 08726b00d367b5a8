/**
 * Any text as SQL gives rows or an error that says what is wrong: never a bug's error (XX000), a stack
 * overflow or a hang, and nothing stays behind (target.ts).
 *
 * `node test/fuzz/statements.test.ts --runs 100000 --seed mine` goes on for longer; a failure names
 * the seed and the run, and prints the statements.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { type Random, seededRandom } from '../../src/base/random.ts';
import { fuzzOptions } from './options.ts';
import { damaged, goldenStatements, GrammarWalk, oversized, randomCall, randomExpression } from './statements.ts';
import { FuzzTarget } from './target.ts';

const test = suite('fuzzed statements');
const { runs, seed, isLong } = fuzzOptions(240);
/** Statements of one session. */
const TEXTS = 12;

let target: FuzzTarget;
test.before(async () => {
  target = await FuzzTarget.open();
});
test.after(() => target.close());

/** Runs as many statements as asked for, some to a session; all faults are told together. */
async function fuzz(kind: string, count: number, make: (random: Random) => string): Promise<void> {
  const faults: string[] = [];
  const codes = new Map<string, number>();
  for (let run = 0; run * TEXTS < count; run++) {
    const random = seededRandom(`${seed} ${kind} ${run}`);
    const texts = Array.from({ length: Math.min(TEXTS, count - run * TEXTS) }, () => make(random));
    for (const [index, { code, ms, fault }] of (await target.run(texts)).entries()) {
      codes.set(code, (codes.get(code) ?? 0) + 1);
      if (fault !== undefined)
        faults.push(`${kind} ${run}.${index} (${ms.toFixed(0)} ms): ${(texts[index] ?? '').slice(0, 2000)}\n${fault}`);
    }
  }
  if (isLong) console.log(kind, [...codes].sort((a, b) => b[1] - a[1]).map(([code, n]) => `${code} ${n}`).join(', ')); // biome-ignore format: one line
  assert.is(faults.length, 0, `seed ${seed}\n${faults.slice(0, 60).join('\n\n')}`);
}

test('walks of the grammar', async () => {
  const walk = new GrammarWalk();
  await fuzz('grammar', runs, (random) => walk.statement(random, target.functions));
});

test('damaged statements', async () => {
  const corpus = goldenStatements(['sql', 'expr', 'parse', 'virtual', 'catalog']);
  assert.ok(corpus.length > 1000, `${corpus.length} golden statements`);
  await fuzz('damaged', runs, (random) => damaged(random, corpus));
});

test('expressions of types that do not fit', () =>
  fuzz('expressions', runs, (random) => {
    const expression = () => randomExpression(random, target.functions);
    const forms = [
      () => `SELECT ${expression()}`,
      () => `SELECT ${expression()}, ${expression()} FROM t`,
      () => `SELECT a FROM t WHERE ${expression()}`,
      () => `SELECT ${expression()} FROM t GROUP BY ${expression()} HAVING ${expression()} ORDER BY 1`,
      () => `UPDATE t SET b = ${expression()} WHERE ${expression()} RETURNING ${expression()}`,
      () => `INSERT INTO t (a, c) VALUES (${expression()}, ${expression()}) ON CONFLICT (a) DO UPDATE SET b = ${expression()}`,
      () => `CREATE TABLE x (a INT DEFAULT ${expression()}, b STRING AS (${expression()}) STORED, CHECK (${expression()}))`,
      () => `SELECT * FROM t JOIN u ON ${expression()} ORDER BY ${expression()} LIMIT ${expression()}`,
      () => `SELECT * FROM t, LATERAL (SELECT ${expression()} AS z) AS l WHERE ${expression()}`,
      () => `PREPARE p AS SELECT ${expression()}`,
      () => `CREATE INDEX ON t (${expression()}) WHERE ${expression()}`,
      () => `WITH RECURSIVE r (n) AS (SELECT ${expression()} UNION SELECT ${expression()} FROM r) SELECT * FROM r LIMIT 10`,
    ];
    return (forms[random.int(forms.length)] as () => string)();
  }));

test('every function with values at the edges of its types', () =>
  fuzz('calls', runs * 3, (random) => randomCall(random, target.functions)));

test('statements that nest, chain and list without end', async () => {
  const faults: string[] = [];
  for (const size of isLong ? [10, 120, 700, 5000] : [30, 150]) {
    const texts = oversized(size);
    for (const [index, { code, ms, fault }] of (await target.run(texts)).entries()) {
      const text = `${size}: ${(texts[index] ?? '').slice(0, 80)}`;
      if (isLong && ms > 1000) console.log(`${text}: ${code} ${ms.toFixed(0)} ms`);
      if (fault !== undefined) faults.push(`${text}\n${fault.slice(0, 600)}`);
    }
  }
  assert.is(faults.length, 0, faults.join('\n\n'));
});

test.run();
