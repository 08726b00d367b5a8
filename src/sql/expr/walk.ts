/**
 * Walking typed expressions: children, rewriting, conjuncts, equality.
 *
 * `childrenOf` and `withChildren` are the one place that knows the shape of each node; the rest is
 * written over them. A rewrite that changes nothing returns the same node.
 */
import { assert, unreachable } from '../../base/assert.ts';
import type { TypedExpr, TypedWindow } from './typedExpr.ts';

/** The direct subexpressions in evaluation order. A subquery is a leaf here. */
export function childrenOf(expr: TypedExpr): readonly TypedExpr[] {
  switch (expr.kind) {
    case 'const':
    case 'column':
    case 'outer':
    case 'placeholder':
    case 'subquery':
      return [];
    case 'call':
    case 'coalesce':
    case 'generator':
      return expr.args;
    case 'comparison':
    case 'distinct':
    case 'and':
    case 'or':
    case 'anyAll':
    case 'nullIf':
      return [expr.left, expr.right];
    case 'not':
    case 'isNull':
    case 'isTruth':
    case 'cast':
    case 'field':
      return [expr.operand];
    case 'in':
      return [expr.operand, ...expr.list];
    case 'case': {
      const children: TypedExpr[] = [];
      if (expr.operand) children.push(expr.operand);
      for (const branch of expr.branches) children.push(branch.when, branch.then);
      if (expr.otherwise) children.push(expr.otherwise);
      return children;
    }
    case 'array':
    case 'tuple':
      return expr.elements;
    case 'subscript':
      return [expr.operand, expr.index];
    case 'aggregate': {
      const children = [...expr.args];
      if (expr.filter) children.push(expr.filter);
      for (const key of expr.orderBy) children.push(key.expr);
      return children;
    }
    case 'window': {
      const children = [...expr.args];
      if (expr.filter) children.push(expr.filter);
      children.push(...expr.partitionBy);
      for (const key of expr.orderBy) children.push(key.expr);
      for (const { offset, limit } of [expr.frame.start, expr.frame.end]) {
        if (offset) children.push(offset);
        if (limit) children.push(limit);
      }
      return children;
    }
    default:
      return unreachable(expr, 'expression');
  }
}

/** The same node over other children, given in the order of `childrenOf`. */
export function withChildren(expr: TypedExpr, children: readonly TypedExpr[]): TypedExpr {
  let next = 0;
  const take = (): TypedExpr => {
    const child = children[next++];
    assert(child !== undefined, `too few children for a ${expr.kind} expression`);
    return child;
  };
  switch (expr.kind) {
    case 'const':
    case 'column':
    case 'outer':
    case 'placeholder':
    case 'subquery':
      return expr;
    case 'call':
    case 'coalesce':
    case 'generator':
      return { ...expr, args: children };
    case 'comparison':
    case 'distinct':
    case 'and':
    case 'or':
    case 'anyAll':
    case 'nullIf':
      return { ...expr, left: take(), right: take() };
    case 'not':
    case 'isNull':
    case 'isTruth':
    case 'cast':
    case 'field':
      return { ...expr, operand: take() };
    case 'in':
      return { ...expr, operand: take(), list: children.slice(1) };
    case 'case':
      return {
        ...expr,
        operand: expr.operand && take(),
        branches: expr.branches.map(() => ({ when: take(), then: take() })),
        otherwise: expr.otherwise && take(),
      };
    case 'array':
    case 'tuple':
      return { ...expr, elements: children };
    case 'subscript':
      return { ...expr, operand: take(), index: take() };
    case 'aggregate':
      return {
        ...expr,
        args: expr.args.map(take),
        filter: expr.filter && take(),
        orderBy: expr.orderBy.map((key) => ({ ...key, expr: take() })),
      };
    case 'window': {
      const args = expr.args.map(take);
      const filter = expr.filter && take();
      const partitionBy = expr.partitionBy.map(take);
      const orderBy = expr.orderBy.map((key) => ({ ...key, expr: take() }));
      const bound = (from: typeof expr.frame.start) => ({ ...from, offset: from.offset && take(), limit: from.limit && take() });
      const start = bound(expr.frame.start);
      const end = bound(expr.frame.end);
      return { ...expr, args, filter, partitionBy, orderBy, frame: { ...expr.frame, start, end } };
    }
    default:
      return unreachable(expr, 'expression');
  }
}

/** Rewrites top down: where `replace` gives a node it stands, elsewhere the children are rewritten. */
export function mapExpr(expr: TypedExpr, replace: (expr: TypedExpr) => TypedExpr | undefined): TypedExpr {
  const replaced = replace(expr);
  if (replaced) return replaced;
  const children = childrenOf(expr);
  let changed = false;
  const mapped = children.map((child) => {
    const result = mapExpr(child, replace);
    if (result !== child) changed = true;
    return result;
  });
  return changed ? withChildren(expr, mapped) : expr;
}

/** Calls `visit` on every node, parents first; a node for which it returns false is not entered. */
export function visitExpr(expr: TypedExpr, visit: (expr: TypedExpr) => boolean | void): void {
  if (visit(expr) === false) return;
  for (const child of childrenOf(expr)) visitExpr(child, visit);
}

/** The terms of a conjunction, left to right: what must each be true. */
export function conjunctsOf(expr: TypedExpr): TypedExpr[] {
  const terms: TypedExpr[] = [];
  const collect = (node: TypedExpr): void => {
    if (node.kind !== 'and') terms.push(node);
    else {
      collect(node.left);
      collect(node.right);
    }
  };
  collect(expr);
  return terms;
}

/** Moves column positions: `moved(old)` is the new index. */
export function remapColumns(expr: TypedExpr, moved: (index: number) => number): TypedExpr {
  return mapExpr(expr, (node) => {
    if (node.kind !== 'column') return undefined;
    const index = moved(node.index);
    return index === node.index ? node : { ...node, index };
  });
}

/**
 * Expressions by structure: finds the place of one that is the same as another. Cost of a look-up: a walk of the
 * expression the first time, and a comparison with those of the same hash.
 */
export class ExprPlaces {
  readonly #byHash = new Map<number, { readonly expr: TypedExpr; readonly place: number }[]>();

  /** Where the first that is the same was put; -1 when there is none. */
  find(expr: TypedExpr): number {
    return this.#byHash.get(hashOf(expr))?.find((known) => sameExpr(known.expr, expr))?.place ?? -1;
  }

  add(expr: TypedExpr, place: number): void {
    const hash = hashOf(expr);
    const known = this.#byHash.get(hash);
    if (known) known.push({ expr, place });
    else this.#byHash.set(hash, [{ expr, place }]);
  }
}

const hashes = new WeakMap<TypedExpr, number>();

/** Equal for expressions that are the same. */
function hashOf(expr: TypedExpr): number {
  let hash = hashes.get(expr);
  if (hash !== undefined) return hash;
  hash = expr.kind.length * 31 + expr.kind.charCodeAt(0);
  const mix = (value: number): void => {
    hash = (Math.imul(hash ?? 0, 0x01000193) ^ value) | 0;
  };
  if (expr.kind === 'column' || expr.kind === 'outer' || expr.kind === 'placeholder') mix(expr.index);
  else if (expr.kind === 'comparison') mix(expr.op.length * 7 + expr.op.charCodeAt(0));
  else if (expr.kind === 'const') {
    const { value } = expr;
    const text = typeof value === 'object' && value !== null ? '' : String(value);
    for (let i = 0; i < text.length && i < 64; i++) mix(text.charCodeAt(i));
  }
  for (const child of childrenOf(expr)) mix(hashOf(child));
  hashes.set(expr, hash);
  return hash;
}

/** Structural equality. Volatile calls are equal by structure too: ask traits when that matters. Names do not count. */
export function sameExpr(a: TypedExpr, b: TypedExpr): boolean {
  if (a === b) return true;
  if (!sameHead(a, b)) return false;
  const left = childrenOf(a);
  const right = childrenOf(b);
  return left.length === right.length && left.every((child, i) => sameExpr(child, right[i] as TypedExpr));
}

const NAMES_AND_CHILDREN = new Set([
  'name',
  'labels',
  'left',
  'right',
  'operand',
  'args',
  'list',
  'elements',
  'branches',
  'otherwise',
  'filter',
  'orderBy',
  'partitionBy',
  'frame',
  'columns',
]);

/** Everything of a node but its children and names. */
function sameHead(a: TypedExpr, b: TypedExpr): boolean {
  if (a.kind !== b.kind) return false;
  if (a.kind === 'case' && b.kind === 'case') {
    if (a.branches.length !== b.branches.length || !a.operand !== !b.operand || !a.otherwise !== !b.otherwise) return false;
  }
  if (a.kind === 'aggregate' && b.kind === 'aggregate') {
    if (a.args.length !== b.args.length || !a.filter !== !b.filter || a.orderBy.length !== b.orderBy.length) return false;
    if (!a.orderBy.every((key, i) => key.descending === b.orderBy[i]?.descending && key.nullsFirst === b.orderBy[i]?.nullsFirst))
      return false;
  }
  if (a.kind === 'window' && b.kind === 'window' && !sameWindowShape(a, b)) return false;
  for (const [name, value] of Object.entries(a)) {
    if (NAMES_AND_CHILDREN.has(name) || (name === 'index' && a.kind === 'subscript')) continue;
    const other = (b as unknown as Record<string, unknown>)[name];
    if (value === other) continue;
    if (name !== 'type' && name !== 'value') return false;
    if (!sameData(value, other)) return false;
  }
  return true;
}

/** Everything of OVER but its expressions. */
function sameWindowShape(a: TypedWindow, b: TypedWindow): boolean {
  const shape = ({ args, filter, partitionBy, orderBy, frame }: TypedWindow): string =>
    JSON.stringify([
      args.length,
      filter !== undefined,
      partitionBy.length,
      orderBy.map((key) => [key.descending, key.nullsFirst]),
      [frame.mode, frame.start.type, frame.end.type, frame.exclude],
    ]);
  return shape(a) === shape(b);
}

function sameData(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return false;
  return keys.every((key) => sameData((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]));
}
