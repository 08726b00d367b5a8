/**
 * Properties of expressions, against simple models: BigInt for INT arithmetic, fractions for DECIMAL,
 * a naive matcher for LIKE, truth tables for three-valued logic, and folding and waiting for nothing
 * but the same result.
 */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { utf8Encode } from '../../../src/base/bytes.ts';
import { isVarveError } from '../../../src/base/errors.ts';
import { canonicalInt, type Datum, Decimal } from '../../../src/catalog/datum.ts';
import { Type } from '../../../src/catalog/type.ts';
import { analysisForTests } from './support.ts';
import { compileAsync } from '../../../src/sql/expr/compileAsync.ts';
import { compileExpr } from '../../../src/sql/expr/compile.ts';
import { foldConstants } from '../../../src/sql/expr/fold.ts';
import { addInt, divInt, type Int, modInt, mulInt, powInt, subInt } from '../../../src/sql/expr/intArithmetic.ts';
import { likeMatcher, parseLikePattern } from '../../../src/sql/expr/likeMatcher.ts';
import type { Overload } from '../../../src/sql/expr/overload.ts';
import type { TypedExpr } from '../../../src/sql/expr/typedExpr.ts';
import { mapExpr, sameExpr } from '../../../src/sql/expr/walk.ts';

const test = suite('expression properties');

const int8 = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.bigInt({ min: -(2n ** 53n) - 3n, max: 2n ** 53n + 3n }),
  fc.bigInt({ min: -5n, max: 5n }),
);

/** The result as the model sees it, or the SQLSTATE. */
function outcome(work: () => Int): bigint | string {
  try {
    const result = work();
    assert.is(typeof result === 'bigint' && Number.isSafeInteger(Number(result)), false, `${result} is not canonical`);
    assert.is(Object.is(result, -0), false, 'minus zero is no integer');
    return BigInt(result);
  } catch (error) {
    if (isVarveError(error)) return error.code;
    throw error;
  }
}

function modelled(work: () => bigint): bigint | string {
  try {
    const result = work();
    return result >= -(2n ** 63n) && result < 2n ** 63n ? result : '22003';
  } catch (error) {
    if (error instanceof RangeError) return '22012';
    throw error;
  }
}

test('INT arithmetic is that of BigInt within 64 bits', () => {
  const operations: [(a: Int, b: Int) => Int, (a: bigint, b: bigint) => bigint][] = [
    [addInt, (a, b) => a + b],
    [subInt, (a, b) => a - b],
    [mulInt, (a, b) => a * b],
    [divInt, (a, b) => a / b],
    [modInt, (a, b) => a % b],
  ];
  fc.assert(
    fc.property(int8, int8, fc.constantFrom(...operations), (a, b, [ours, model]) => {
      assert.is(
        outcome(() => ours(canonicalInt(a), canonicalInt(b))),
        modelled(() => model(a, b)),
      );
    }),
    { numRuns: 3000 },
  );
});

test('powers are exact or out of range', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -50n, max: 50n }), fc.bigInt({ min: 0n, max: 80n }), (base, exponent) => {
      assert.is(
        outcome(() => powInt(canonicalInt(base), canonicalInt(exponent))),
        modelled(() => base ** exponent),
      );
    }),
  );
});

const decimal = fc
  .tuple(fc.bigInt({ min: -(10n ** 25n), max: 10n ** 25n }), fc.integer({ min: 0, max: 12 }))
  .map(([coefficient, scale]) => Decimal.of(coefficient, scale));
const decimalConst = (value: Decimal): TypedExpr => ({ kind: 'const', type: Type.Decimal, value });

test('DECIMAL sums and products are exact, quotients right to 20 digits', () => {
  const apply = (op: string, a: Decimal, b: Decimal): Decimal => {
    const expr = analysisForTests.binary(op, decimalConst(a), decimalConst(b));
    return compileExpr(expr)([], analysisForTests.ctx) as Decimal;
  };
  fc.assert(
    fc.property(decimal, decimal, (a, b) => {
      const scale = 24;
      const at = (d: Decimal, s: number): bigint => d.coefficient * 10n ** BigInt(s - d.scale);
      assert.is(at(apply('+', a, b), scale), at(a, scale) + at(b, scale));
      assert.is(at(apply('-', a, b), scale), at(a, scale) - at(b, scale));
      assert.is(at(apply('*', a, b), 24), a.coefficient * b.coefficient * 10n ** BigInt(24 - a.scale - b.scale));
      if (b.isZero) return;
      // |q * b - a| is at most half a unit of q's 20th digit times |b|.
      const quotient = apply('/', a, b);
      const error = quotient.times(b).minus(a).abs();
      const unit = Decimal.of(1n, quotient.scale);
      const isExact = error.isZero;
      assert.ok(isExact || quotient.digits === 20, `${a} / ${b} = ${quotient} has ${quotient.digits} digits`);
      assert.ok(error.plus(error).compare(unit.times(b.abs())) <= 0, `${a} / ${b} = ${quotient}`);
    }),
    { numRuns: 1000 },
  );
});

/** LIKE as its definition reads: one character at a time, trying every length for each %. */
function naiveLike(text: readonly string[], pattern: readonly string[]): boolean {
  const [first, ...rest] = pattern;
  if (first === undefined) return text.length === 0;
  if (first === '%') return Array.from({ length: text.length + 1 }, (_, i) => i).some((i) => naiveLike(text.slice(i), rest));
  if (text.length === 0) return false;
  if (first === '\\') return rest[0] === text[0] && naiveLike(text.slice(1), rest.slice(1));
  return (first === '_' || first === text[0]) && naiveLike(text.slice(1), rest);
}

test('LIKE agrees with its definition', () => {
  const char = fc.constantFrom('a', 'b', 'é', '\u{1F600}', '%', '_');
  const patternChar = fc.constantFrom('a', 'b', 'é', '\u{1F600}', '%', '%', '_', '\\%', '\\_', '\\a');
  fc.assert(
    fc.property(fc.array(char, { maxLength: 8 }), fc.array(patternChar, { maxLength: 7 }), (text, parts) => {
      const pattern = parts.join('');
      const matches = likeMatcher(parseLikePattern(pattern))(utf8Encode(text.join('')));
      assert.is(matches, naiveLike(text, Array.from(pattern)), `${text.join('')} LIKE ${pattern}`);
    }),
    { numRuns: 5000 },
  );
});

test('LIKE takes time by length, not by the ways a pattern can match', () => {
  const text = utf8Encode('a'.repeat(20000));
  assert.is(likeMatcher(parseLikePattern(`${'%a'.repeat(200)}b`))(text), false);
  assert.is(likeMatcher(parseLikePattern(`${'%a_'.repeat(200)}%`))(text), true);
});

// ---- three-valued logic -----------------------------------------------------------------------

type Truth = boolean | null;
const truth = fc.constantFrom<Truth>(true, false, null);
const column = (index: number): TypedExpr => ({ kind: 'column', type: Type.Bool, index, name: '' });

/** Formulas over three columns, with a constant here and there. */
const formula: fc.Arbitrary<TypedExpr> = fc.letrec<{ node: TypedExpr }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    fc.integer({ min: 0, max: 2 }).map(column),
    truth.map((value): TypedExpr => ({ kind: 'const', type: Type.Bool, value })),
    fc
      .tuple(fc.constantFrom('and' as const, 'or' as const), tie('node'), tie('node'))
      .map(([kind, left, right]): TypedExpr => ({ kind, type: Type.Bool, left, right })),
    tie('node').map((operand): TypedExpr => ({ kind: 'not', type: Type.Bool, operand })),
    fc
      .tuple(fc.constantFrom('=' as const, '<>' as const, '<' as const), tie('node'), tie('node'))
      .map(([op, left, right]): TypedExpr => ({ kind: 'comparison', type: Type.Bool, op, left, right })),
    fc.tuple(fc.boolean(), tie('node')).map(([negated, operand]): TypedExpr => ({ kind: 'isNull', type: Type.Bool, negated, operand })),
    fc
      .tuple(tie('node'), fc.array(tie('node'), { maxLength: 3 }), fc.boolean())
      .map(([operand, list, negated]): TypedExpr => ({ kind: 'in', type: Type.Bool, operand, list, negated })),
    fc.tuple(tie('node'), tie('node'), tie('node')).map(
      ([when, then, otherwise]): TypedExpr => ({
        kind: 'case',
        type: Type.Bool,
        operand: undefined,
        branches: [{ when, then }],
        otherwise,
      }),
    ),
    fc.array(tie('node'), { minLength: 1, maxLength: 3 }).map((args): TypedExpr => ({ kind: 'coalesce', type: Type.Bool, args })),
  ),
})).node;

/** The meaning of a formula, straight from SQL's truth tables. */
function model(expr: TypedExpr, row: readonly Truth[]): Truth {
  const of = (node: TypedExpr) => model(node, row);
  switch (expr.kind) {
    case 'column':
      return row[expr.index] as Truth;
    case 'const':
      return expr.value as Truth;
    case 'and': {
      const sides = [of(expr.left), of(expr.right)];
      return sides.includes(false) ? false : sides.includes(null) ? null : true;
    }
    case 'or': {
      const sides = [of(expr.left), of(expr.right)];
      return sides.includes(true) ? true : sides.includes(null) ? null : false;
    }
    case 'not': {
      const value = of(expr.operand);
      return value === null ? null : !value;
    }
    case 'comparison': {
      const a = of(expr.left);
      const b = of(expr.right);
      if (a === null || b === null) return null;
      return expr.op === '=' ? a === b : expr.op === '<>' ? a !== b : Number(a) < Number(b);
    }
    case 'isNull':
      return (of(expr.operand) === null) !== expr.negated;
    case 'in': {
      const value = of(expr.operand);
      const tests = expr.list.map((item) => {
        const other = of(item);
        return value === null || other === null ? null : value === other;
      });
      const found: Truth = tests.includes(true) ? true : tests.includes(null) ? null : false;
      return found === null ? null : found !== expr.negated;
    }
    case 'case': {
      const [branch] = expr.branches;
      if (branch && of(branch.when) === true) return of(branch.then);
      return expr.otherwise ? of(expr.otherwise) : null;
    }
    case 'coalesce':
      return expr.args.map(of).find((value) => value !== null) ?? null;
    default:
      throw new Error(`no model of ${expr.kind}`);
  }
}

test('formulas mean what the truth tables say, folded or not', () => {
  fc.assert(
    fc.property(formula, fc.tuple(truth, truth, truth), (expr, row) => {
      const expected = model(expr, row);
      assert.is(compileExpr(expr)(row, analysisForTests.ctx), expected);
      assert.is(compileExpr(foldConstants(expr))(row, analysisForTests.ctx), expected, 'after folding');
    }),
    { numRuns: 3000 },
  );
});

/** A column that has to be waited for. */
function waiting(index: number): TypedExpr {
  const overload: Overload = {
    name: 'wait',
    params: [Type.Bool],
    returns: Type.Bool,
    volatility: 'volatile',
    nullable: true,
    asyncFn: async (_, value) => value as Datum,
  };
  return { kind: 'call', type: Type.Bool, overload, args: [column(index)] };
}

test('an expression that waits gives what it gives without waiting', async () => {
  await fc.assert(
    fc.asyncProperty(formula, fc.tuple(truth, truth, truth), async (expr, row) => {
      const slow = mapExpr(expr, (node) => (node.kind === 'column' ? waiting(node.index) : undefined));
      assert.is(await compileAsync(slow)(row, analysisForTests.ctx), model(expr, row));
      assert.is(await compileAsync(foldConstants(slow))(row, analysisForTests.ctx), model(expr, row), 'after folding');
    }),
    { numRuns: 500 },
  );
});

test('an expression is the same as its copy, and as no other that differs in a constant', () => {
  fc.assert(
    fc.property(formula, (expr) => {
      const copy = structuredClone(expr);
      assert.ok(sameExpr(expr, copy));
      const changed = mapExpr(copy, (node) => (node.kind === 'column' ? { ...node, index: node.index + 1 } : undefined));
      assert.is(sameExpr(expr, changed), changed === copy);
    }),
    { numRuns: 300 },
  );
});

test.run();
