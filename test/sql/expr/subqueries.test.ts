/**
 * What analysis and compilation make of subqueries, rows of enclosing queries, placeholders and
 * functions that upper layers register. The planner's side is played by small stand-ins.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { utf8Encode } from '../../../src/base/bytes.ts';
import { isVarveError } from '../../../src/base/errors.ts';
import type { Datum } from '../../../src/catalog/datum.ts';
import { type ColumnType, Type } from '../../../src/catalog/type.ts';
import { builtinFunctions } from '../../../src/sql/expr/builtins/index.ts';
import { compileAsync, compileAsyncFilter } from '../../../src/sql/expr/compileAsync.ts';
import { compileExpr, compileFilter } from '../../../src/sql/expr/compile.ts';
import type { Row } from '../../../src/sql/expr/evalContext.ts';
import { formatExpr } from '../../../src/sql/expr/formatExpr.ts';
import { Placeholders } from '../../../src/sql/expr/placeholders.ts';
import { FunctionRegistry } from '../../../src/sql/expr/registry.ts';
import type { SubqueryPlanner } from '../../../src/sql/expr/scope.ts';
import { traits } from '../../../src/sql/expr/traits.ts';
import type { SubqueryPlan } from '../../../src/sql/expr/typedExpr.ts';
import { conjunctsOf } from '../../../src/sql/expr/walk.ts';
import { analyzed, type TestColumn, testEvalContext } from './support.ts';

const test = suite('subqueries in expressions');

const columns: readonly TestColumn[] = [
  { name: 'i', type: Type.Int8, value: 7 },
  { name: 's', type: Type.String, value: utf8Encode('x') },
];
const row: Row = columns.map((column) => column.value);

/** A planner whose every subquery has these columns; correlated ones read column 0 of the outer row. */
function planner(types: readonly ColumnType[], isCorrelated = false): SubqueryPlanner {
  let slots = 0;
  return {
    planSubquery(_, form) {
      const plan: SubqueryPlan = {
        form,
        columns: types.map((type, i) => ({ name: `c${i + 1}`, type })),
        isCorrelated,
        isVolatile: false,
        outerColumns: isCorrelated ? [0] : [],
        label: '@S1',
      };
      return { plan, slot: isCorrelated ? undefined : slots++ };
    },
  };
}

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (isVarveError(error)) return `${error.code} ${error.message}`;
    throw error;
  }
  throw new Error('nothing was thrown');
}

test('an uncorrelated subquery reads its slot, without waiting', () => {
  const expr = analyzed('i + (SELECT 1)', columns, { subqueries: planner([Type.Int8]) });
  assert.is(traits(expr).isAsync, false);
  assert.is(traits(expr).volatility, 'stable');
  assert.is(formatExpr(expr), 'i + (@S1)');
  assert.is(compileExpr(expr)(row, testEvalContext({ slots: [5] })), 12);
});

test('IN (subquery) is = ANY over its array, with NULL unknown', () => {
  const isIn = compileExpr(analyzed('i IN (SELECT 1)', columns, { subqueries: planner([Type.Int8]) }));
  const isNotIn = compileExpr(analyzed('i NOT IN (SELECT 1)', columns, { subqueries: planner([Type.Int8]) }));
  const results = (list: Datum[]): Datum[] => [isIn, isNotIn].map((run) => run(row, testEvalContext({ slots: [list] })));
  assert.equal(results([1, 7]), [true, false]);
  assert.equal(results([1, 2]), [false, true]);
  assert.equal(results([1, null]), [null, null]);
  assert.equal(results([]), [false, true]);
});

test('a row is looked for among rows', () => {
  const subqueries = planner([Type.Int8, Type.String]);
  const run = compileExpr(analyzed("(i, s) IN (SELECT 1, 'a')", columns, { subqueries }));
  assert.is(run(row, testEvalContext({ slots: [[[7, utf8Encode('x')]]] })), true);
  assert.is(run(row, testEvalContext({ slots: [[[7, null]]] })), null);
  assert.is(run(row, testEvalContext({ slots: [[[8, null]]] })), false);
});

test('a correlated subquery is asked for by row, and only when it matters', async () => {
  const subqueries = planner([Type.Bool], true);
  const expr = analyzed('i > 5 AND EXISTS (SELECT 1)', columns, { subqueries });
  assert.ok(traits(expr).isAsync);
  assert.equal([...traits(expr).columns], [0]);
  assert.is(conjunctsOf(expr).length, 2);
  const asked: Row[] = [];
  const ctx = testEvalContext({
    runSubquery: async (plan, outer) => {
      assert.is(plan.form, 'exists');
      asked.push(outer);
      return outer[0] === 7;
    },
  });
  const run = compileAsyncFilter(expr);
  assert.is(await run([7, null], ctx), true);
  assert.is(await run([6, null], ctx), false);
  assert.is(await run([5, null], ctx), false);
  assert.is(asked.length, 2);
  assert.match(
    codeOf(() => compileExpr(expr)),
    /^XX000 /,
  );
});

test('a row of an enclosing query is found by its depth', () => {
  const scope = {
    resolveColumn: (parts: readonly { text: string }[]) => ({ index: 1, type: Type.Int8, name: parts[0]?.text ?? '', depth: 2 }),
  };
  const expr = analyzed('far = 3', [], { scope });
  assert.ok(traits(expr).hasOuterColumns);
  assert.ok(traits(expr).isRowIndependent);
  assert.is(compileFilter(expr)([], testEvalContext({ outerRows: [[], [0, 3]] })), true);
});

test('a scalar subquery has one column', () => {
  const subqueries = planner([Type.Int8, Type.Int8]);
  assert.is(
    codeOf(() => analyzed('(SELECT 1, 2)', columns, { subqueries })),
    '42601 subquery must return only one column, found 2',
  );
  assert.is(
    codeOf(() => analyzed('i IN (SELECT 1, 2)', columns, { subqueries })),
    '22023 unsupported comparison operator: <int> IN <tuple{tuple{int AS c1, int AS c2}}>',
  );
  assert.is(analyzed('(i, i) = (SELECT 1, 2)', columns, { subqueries }).type, Type.Bool);
});

test('placeholders take the type of what they meet, and keep it', () => {
  const placeholders = new Placeholders();
  const expr = analyzed('i = $1 AND s LIKE $2', columns, { placeholders });
  assert.equal(placeholders.settled(), [Type.Int8, Type.String]);
  assert.is(compileExpr(expr)(row, testEvalContext({ placeholders: [7, utf8Encode('_')] })), true);
  assert.is(
    codeOf(() => compileExpr(expr)(row, testEvalContext({ placeholders: [7] }))),
    '42P02 no value provided for placeholder: $2',
  );
  assert.is(
    codeOf(() => analyzed('s = $1', columns, { placeholders })),
    '22023 unsupported comparison operator: <string> = <int>',
  );
  assert.is(
    codeOf(() => Placeholders.fromOids([20, 0]).settled()),
    '42P18 could not determine data type of placeholder $2',
  );
});

test('as many terms as the parser takes can be typed, folded and run', () => {
  const terms = Array.from({ length: 900 }, (_, i) => `i = ${i + 100}`);
  assert.is(compileExpr(analyzed([...terms, 'i = 7'].join(' OR '), columns))(row, testEvalContext()), true);
  const all = analyzed(terms.map((term) => `NOT (${term})`).join(' AND '), columns);
  assert.is(conjunctsOf(all).length, terms.length);
  assert.is(compileExpr(all)(row, testEvalContext()), true);
  assert.is(compileExpr(analyzed(`i${' + 1'.repeat(900)}`, columns))(row, testEvalContext()), 907);
});

test('upper layers register functions under their own schema', async () => {
  const functions = new FunctionRegistry(builtinFunctions());
  const advanced: Datum[] = [];
  functions.register({
    name: 'varve_internal.advance_clock',
    params: [Type.Interval],
    returns: Type.TimestampTz,
    volatility: 'volatile',
    asyncFn: async (ctx, by) => {
      advanced.push(by as Datum);
      return ctx.statementTimestamp;
    },
  });
  const expr = analyzed("varve_internal.advance_clock('25h')", [], { functions });
  assert.is(await compileAsync(expr)([], testEvalContext()), testEvalContext().statementTimestamp);
  assert.is(String(advanced.length), '1');
  assert.is(
    codeOf(() => analyzed('varve_internal.advance_clock(1)')),
    '42883 unknown function: varve_internal.advance_clock()',
  );
});

test.run();
