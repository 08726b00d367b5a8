/**
 * compileExpr: a typed expression to one closure.
 *
 * Types are known, so each node picks its closure once, here, and the closure tests nothing but its
 * values: NULL first, then the work. Three-valued logic: AND and OR evaluate the right side only when
 * the left does not decide; CASE and COALESCE evaluate no more than they must.
 *
 * Lives elsewhere: expressions that must wait (compileAsync.ts), comparisons (compare.ts), what each
 * function does (builtins/), folding (fold.ts).
 */
import { assert, unreachable } from '../../base/assert.ts';
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { type Datum, hashKey } from '../../catalog/datum.ts';
import { type ColumnType, typesEquivalent } from '../../catalog/type.ts';
import { castFunction } from './castFunction.ts';
import { comparisonTest, sameTest, type Test } from './compare.ts';
import type { EvalContext, Row } from './evalContext.ts';
import type { EvalFn, Overload } from './overload.ts';
import { traits } from './traits.ts';
import type { TypedAnyAll, TypedCall, TypedCase, TypedExpr, TypedIn } from './typedExpr.ts';

/** The value for one row. Throws what the functions in it throw. */
export type Compiled = (row: Row, ctx: EvalContext) => Datum;

/**
 * Compiles an expression that need not wait. XX000 when traits(expr).isAsync (use compileAsync), or
 * when an aggregate or generator is left in it.
 */
export function compileExpr(expr: TypedExpr): Compiled {
  assert(!traits(expr).isAsync, 'an expression that waits is compiled as a synchronous one');
  return compile(expr);
}

/** A filter: true exactly when the expression is true (neither false nor NULL). */
export function compileFilter(expr: TypedExpr): (row: Row, ctx: EvalContext) => boolean {
  const value = compileExpr(expr);
  return (row, ctx) => value(row, ctx) === true;
}

function compile(expr: TypedExpr): Compiled {
  switch (expr.kind) {
    case 'const': {
      const { value } = expr;
      return () => value;
    }
    case 'column': {
      const { index } = expr;
      return (row) => row[index] as Datum;
    }
    case 'outer': {
      const { index, depth } = expr;
      return (_, ctx) => {
        const row = ctx.outerRows[depth - 1];
        assert(row, `no row of the enclosing query at depth ${depth}`);
        return row[index] as Datum;
      };
    }
    case 'placeholder': {
      const { index } = expr;
      return (_, ctx) => {
        const value = ctx.placeholders[index];
        if (value === undefined) throw new StatementError(SqlState.UndefinedParameter, `no value provided for placeholder: $${index + 1}`);
        return value;
      };
    }
    case 'call':
      return compileCall(expr);
    case 'comparison': {
      const test = comparisonTest(expr.op, expr.left.type, expr.right.type);
      return compileTest(test, compile(expr.left), compile(expr.right));
    }
    case 'distinct': {
      const left = compile(expr.left);
      const right = compile(expr.right);
      const same = sameTest(expr.left.type, expr.right.type);
      const wanted = expr.negated;
      return (row, ctx) => same(left(row, ctx), right(row, ctx)) === wanted;
    }
    case 'and': {
      const left = compile(expr.left);
      const right = compile(expr.right);
      return (row, ctx) => {
        const a = left(row, ctx);
        if (a === false) return false;
        const b = right(row, ctx);
        return b === false ? false : a === null || b === null ? null : true;
      };
    }
    case 'or': {
      const left = compile(expr.left);
      const right = compile(expr.right);
      return (row, ctx) => {
        const a = left(row, ctx);
        if (a === true) return true;
        const b = right(row, ctx);
        return b === true ? true : a === null || b === null ? null : false;
      };
    }
    case 'not': {
      const operand = compile(expr.operand);
      return (row, ctx) => {
        const value = operand(row, ctx);
        return value === null ? null : !value;
      };
    }
    case 'isNull':
      return compileIsNull(compile(expr.operand), expr.operand.type, expr.negated);
    case 'isTruth': {
      const operand = compile(expr.operand);
      const { value, negated } = expr;
      return (row, ctx) => (operand(row, ctx) === value) !== negated;
    }
    case 'in':
      return compileIn(expr);
    case 'anyAll':
      return compileAnyAll(expr);
    case 'case':
      return compileCase(expr);
    case 'coalesce': {
      const args = expr.args.map(compile);
      return (row, ctx) => {
        for (const arg of args) {
          const value = arg(row, ctx);
          if (value !== null) return value;
        }
        return null;
      };
    }
    case 'nullIf': {
      const left = compile(expr.left);
      const right = compile(expr.right);
      const test = comparisonTest('=', expr.left.type, expr.right.type);
      return (row, ctx) => {
        const value = left(row, ctx);
        return test(value, right(row, ctx)) === true ? null : value;
      };
    }
    case 'cast': {
      const operand = compile(expr.operand);
      const cast = castFunction(expr.operand.type, expr.type, expr.context);
      return (row, ctx) => {
        const value = operand(row, ctx);
        return value === null ? null : cast(value, ctx);
      };
    }
    case 'array':
    case 'tuple': {
      const elements = expr.elements.map(compile);
      return (row, ctx) => elements.map((element) => element(row, ctx));
    }
    case 'subscript': {
      const operand = compile(expr.operand);
      const index = compile(expr.index);
      return (row, ctx) => {
        const array = operand(row, ctx) as readonly Datum[] | null;
        const at = index(row, ctx) as number | null;
        return array === null || at === null ? null : (array[Number(at) - 1] ?? null);
      };
    }
    case 'field': {
      const operand = compile(expr.operand);
      const { index } = expr;
      return (row, ctx) => {
        const tuple = operand(row, ctx) as readonly Datum[] | null;
        return tuple === null ? null : (tuple[index] ?? null);
      };
    }
    case 'subquery': {
      const { slot } = expr;
      assert(slot !== undefined, 'a correlated subquery is compiled as a synchronous expression');
      return (_, ctx) => {
        const value = ctx.slots[slot];
        assert(value !== undefined, `subquery ${slot} has not been evaluated`);
        return value;
      };
    }
    case 'aggregate':
    case 'generator':
    case 'window':
      assert(false, `${expr.overload.name}() is left in an expression that is compiled`);
      break;
    default:
      return unreachable(expr, 'expression');
  }
  return () => null;
}

function compileTest(test: Test, left: Compiled, right: Compiled): Compiled {
  return (row, ctx) => test(left(row, ctx), right(row, ctx));
}

/** The constant value of an argument, undefined when it is not constant. */
function constantOf(expr: TypedExpr): Datum | undefined {
  return expr.kind === 'const' ? expr.value : undefined;
}

/** The closure of an overload for these arguments. */
export function functionOf(overload: Overload, args: readonly TypedExpr[]): EvalFn {
  if (overload.specialize) {
    return overload.specialize(
      args.map((arg) => arg.type),
      args.map(constantOf),
    );
  }
  assert(overload.fn, `${overload.name}() has no synchronous function`);
  return overload.fn;
}

function compileCall(expr: TypedCall): Compiled {
  const { overload } = expr;
  const fn = functionOf(overload, expr.args);
  const args = expr.args.map(compile);
  const [first, second, third] = args;
  if (overload.nullable) return (row, ctx) => fn(ctx, ...args.map((arg) => arg(row, ctx)));
  if (args.length === 0) return (_, ctx) => fn(ctx);
  if (args.length === 1 && first) {
    return (row, ctx) => {
      const a = first(row, ctx);
      return a === null ? null : fn(ctx, a);
    };
  }
  if (args.length === 2 && first && second) {
    return (row, ctx) => {
      const a = first(row, ctx);
      const b = second(row, ctx);
      return a === null || b === null ? null : fn(ctx, a, b);
    };
  }
  if (args.length === 3 && first && second && third) {
    return (row, ctx) => {
      const a = first(row, ctx);
      const b = second(row, ctx);
      const c = third(row, ctx);
      return a === null || b === null || c === null ? null : fn(ctx, a, b, c);
    };
  }
  return (row, ctx) => {
    const values = args.map((arg) => arg(row, ctx));
    return values.includes(null) ? null : fn(ctx, ...values);
  };
}

// A tuple IS NULL when all its parts are, IS NOT NULL when none is: both may be false.
function compileIsNull(operand: Compiled, type: ColumnType, negated: boolean): Compiled {
  if (type.family === 'tuple') {
    return (row, ctx) => {
      const tuple = operand(row, ctx) as readonly Datum[] | null;
      if (tuple === null) return !negated;
      return tuple.every((part) => (part === null) !== negated);
    };
  }
  return (row, ctx) => (operand(row, ctx) === null) !== negated;
}

/** From this many constants on, a list is hashed. */
const HASHED_LIST_MIN = 8;

function compileIn(expr: TypedIn): Compiled {
  const operand = compile(expr.operand);
  const { negated } = expr;
  const type = expr.operand.type;
  const constants = expr.list.map(constantOf);
  const isHashable =
    type.family !== 'tuple' &&
    expr.list.length >= HASHED_LIST_MIN &&
    expr.list.every((item, i) => constants[i] !== undefined && (item.type.family === 'unknown' || typesEquivalent(item.type, type)));
  if (isHashable) {
    const set = new HashedList(type, constants as Datum[]);
    return (row, ctx) => {
      const found = set.has(operand(row, ctx));
      return found === null ? null : found !== negated;
    };
  }
  const items = expr.list.map((item) => ({ value: compile(item), test: comparisonTest('=', type, item.type) }));
  return (row, ctx) => {
    const value = operand(row, ctx);
    let result: boolean | null = false;
    for (const item of items) {
      const same = item.test(value, item.value(row, ctx));
      if (same === true) return !negated;
      if (same === null) result = null;
    }
    return result === null ? null : negated;
  };
}

/** A list as a set, for = ANY and IN: one hash a row whatever its length. */
class HashedList {
  readonly #keys: Set<unknown>;
  readonly #hasNull: boolean;
  readonly #key: (datum: Datum) => unknown;

  constructor(type: ColumnType, list: readonly Datum[]) {
    this.#key = hashKey(type);
    this.#keys = new Set(list.filter((item) => item !== null).map((item) => this.#key(item)));
    this.#hasNull = list.includes(null);
  }

  has(value: Datum): boolean | null {
    if (value === null) return this.#keys.size === 0 && !this.#hasNull ? false : null;
    if (this.#keys.has(this.#key(value))) return true;
    return this.#hasNull ? null : false;
  }
}

function compileAnyAll(expr: TypedAnyAll): Compiled {
  const left = compile(expr.left);
  const right = compile(expr.right);
  const type = expr.left.type;
  const element = expr.right.type.element ?? expr.right.type;
  const decisive = expr.quantifier === 'any';
  if (expr.op === '=' && decisive && type.family !== 'tuple' && typesEquivalent(type, element)) {
    // The array of a subquery is one object for the whole statement: hash it once.
    let list: readonly Datum[] | undefined;
    let set = new HashedList(type, []);
    return (row, ctx) => {
      const array = right(row, ctx) as readonly Datum[] | null;
      if (array === null) return null;
      if (array !== list) {
        list = array;
        set = new HashedList(type, array);
      }
      return set.has(left(row, ctx));
    };
  }
  const { op } = expr;
  // The elements are not known yet: a column stands for them, so that nothing specialises on a value.
  const test: (a: Datum, b: Datum, ctx: EvalContext) => Datum =
    typeof op === 'string'
      ? comparisonTest(op, type, element)
      : strictTest(functionOf(op, [expr.left, { kind: 'column', type: element, index: 0, name: '' }]));
  return (row, ctx) => {
    const array = right(row, ctx) as readonly Datum[] | null;
    if (array === null) return null;
    const value = left(row, ctx);
    let result: boolean | null = !decisive;
    for (const item of array) {
      const part = test(value, item, ctx);
      if (part === decisive) return decisive;
      if (part === null) result = null;
    }
    return result;
  };
}

function strictTest(fn: EvalFn): (a: Datum, b: Datum, ctx: EvalContext) => Datum {
  return (a, b, ctx) => (a === null || b === null ? null : fn(ctx, a, b));
}

function compileCase(expr: TypedCase): Compiled {
  const otherwise: Compiled = expr.otherwise ? compile(expr.otherwise) : () => null;
  const branches = expr.branches.map(({ when, then }) => ({ when: compile(when), then: compile(then) }));
  if (!expr.operand) {
    return (row, ctx) => {
      for (const branch of branches) {
        if (branch.when(row, ctx) === true) return branch.then(row, ctx);
      }
      return otherwise(row, ctx);
    };
  }
  const operand = compile(expr.operand);
  const operandType = expr.operand.type;
  const tests = expr.branches.map(({ when }) => comparisonTest('=', operandType, when.type));
  return (row, ctx) => {
    const value = operand(row, ctx);
    for (const [i, branch] of branches.entries()) {
      if ((tests[i] as Test)(value, branch.when(row, ctx)) === true) return branch.then(row, ctx);
    }
    return otherwise(row, ctx);
  };
}
