/**
 * Scalar joins: `(SELECT max(b) FROM t WHERE t.c = o.c)` as a left join with the groups of t by c.
 *
 * Run row by row, such a subquery reads its table once for each row around it, unless an index takes it to the few rows
 * it needs. Grouped, the table is read once. A row without a group meets what an aggregate of no rows gives: NULL, or 0
 * for a count. Only equalities may tie the subquery to the row around it, each of an expression of its own rows and one
 * of that row, so that a row meets one group at most; and what is aggregated are columns, which cannot fail for rows
 * that nobody would have asked for.
 */
import { Type, typesEquivalent } from '../../catalog/type.ts';
import type { TypedExpr, TypedSubquery } from '../expr/typedExpr.ts';
import { traits } from '../expr/traits.ts';
import { conjunctsOf, mapExpr } from '../expr/walk.ts';
import { conjunction, filterOf } from './filterPushdown.ts';
import { type AggregateNode, mapPlan, type PlanColumn, type PlanNode, type PlannedSubquery } from './plan.ts';
import { acrossJoin, isPlainRead, readsOuter, readsWhole } from './semiJoins.ts';

/** What these aggregates give of no rows. */
const OF_NO_ROWS: ReadonlyMap<string, null | 0> = new Map<string, null | 0>([
  ...['max', 'min', 'sum', 'avg', 'bool_and', 'bool_or', 'array_agg', 'string_agg'].map((name) => [name, null] as const),
  ...['count', 'count_rows'].map((name) => [name, 0] as const),
]);

export function joinScalars(root: PlanNode): PlanNode {
  return mapPlan(root, (node) => {
    if ((node.kind !== 'filter' && node.kind !== 'project' && node.kind !== 'aggregate') || !isPlainRead(node.input)) return node;
    const exprs = node.kind === 'filter' ? [node.predicate] : node.kind === 'project' ? node.exprs : [...node.keys, ...node.aggregates];
    if (!exprs.some((expr) => traits(expr).isAsync)) return node;
    let { input } = node;
    const rewritten = exprs.map((expr) =>
      mapExpr(expr, (part) => {
        if (part.kind !== 'subquery') return undefined;
        const joined = join(part, input);
        if (!joined) return undefined;
        input = joined.node;
        return joined.value;
      }),
    );
    if (input === node.input) return node;
    if (node.kind === 'project') return { ...node, input, exprs: rewritten };
    if (node.kind === 'aggregate') {
      const keys = rewritten.slice(0, node.keys.length);
      const aggregates = rewritten.slice(node.keys.length).filter((expr) => expr.kind === 'aggregate');
      return { ...node, input, keys, aggregates };
    }
    const filtered = filterOf(input, rewritten.flatMap(conjunctsOf));
    const own = node.columns.map(({ name, type }, index): TypedExpr => ({ kind: 'column', type, index, name }));
    return { kind: 'project', input: filtered, exprs: own, columns: node.columns };
  });
}

/** The rows with the groups beside them, and the subquery's value over such a row. */
function join(subquery: TypedSubquery, left: PlanNode): { readonly node: PlanNode; readonly value: TypedExpr } | undefined {
  const plan = subquery.plan as PlannedSubquery;
  if (subquery.slot !== undefined || plan.form !== 'scalar' || plan.isVolatile || plan.columns.length !== 1) return undefined;
  if (!plan.unoptimized || !readsWhole(plan.node)) return undefined;
  const root = plan.unoptimized;
  if (root.kind !== 'project' || root.input.kind !== 'aggregate') return undefined;
  const [value] = root.exprs;
  const aggregate = root.input;
  if (!value || !isOwn(value) || !isSimple(aggregate)) return undefined;
  const below = aggregate.input;
  const [source, conditions] = below.kind === 'filter' ? [below.input, conjunctsOf(below.predicate)] : [below, []];
  const own: TypedExpr[] = [];
  const keys: TypedExpr[] = [];
  const outers: TypedExpr[] = [];
  for (const condition of conditions) {
    if (!traits(condition).hasOuterColumns) {
      if (traits(condition).isAsync || traits(condition).volatility === 'volatile') return undefined;
      own.push(condition);
      continue;
    }
    const tie = tieOf(condition);
    const outer = tie && acrossJoin(tie.outer, subquery, left.columns.length);
    if (!outer) return undefined;
    keys.push(tie.inner);
    outers.push(outer);
  }
  if (keys.length === 0 || readsOuter(source)) return undefined;
  const columns: PlanColumn[] = [...keys.map((key, i) => ({ name: `key${i}`, type: key.type })), ...aggregate.columns];
  const groups: AggregateNode = { ...aggregate, input: filterOf(source, own), keys, isScalar: false, columns };
  const width = left.columns.length;
  const on = conjunction(
    keys.map((key, i): TypedExpr => {
      const right: TypedExpr = { kind: 'column', type: key.type, index: width + i, name: `key${i}` };
      return { kind: 'comparison', type: Type.Bool, op: '=', left: outers[i] as TypedExpr, right };
    }),
  );
  const node: PlanNode = {
    kind: 'join',
    type: 'left',
    left,
    right: groups,
    leftKeys: [],
    rightKeys: [],
    on,
    columns: [...left.columns, ...columns],
  };
  const first = width + keys.length;
  const isCount = aggregate.aggregates.map(({ overload }) => OF_NO_ROWS.get(overload.name) === 0);
  const moved = mapExpr(value, (part): TypedExpr | undefined => {
    if (part.kind !== 'column') return undefined;
    const column: TypedExpr = { ...part, index: first + part.index };
    return isCount[part.index]
      ? { kind: 'coalesce', type: part.type, args: [column, { kind: 'const', type: part.type, value: 0 }] }
      : column;
  });
  return { node, value: moved };
}

/** Reads nothing but its own row, and gives the same each time. */
function isOwn(expr: TypedExpr): boolean {
  const { hasOuterColumns, isAsync, volatility, hasSubqueries } = traits(expr);
  return !hasOuterColumns && !isAsync && !hasSubqueries && volatility !== 'volatile';
}

/** One group of aggregates that are known of no rows, over columns. */
function isSimple({ isScalar, keys, aggregates }: AggregateNode): boolean {
  return (
    isScalar &&
    keys.length === 0 &&
    aggregates.every(
      ({ overload, args, filter, orderBy }) =>
        OF_NO_ROWS.has(overload.name) &&
        !filter &&
        orderBy.length === 0 &&
        args.every((arg) => arg.kind === 'column' || arg.kind === 'const'),
    )
  );
}

/** `own expression = expression of the row around it`, whichever way round. */
function tieOf(condition: TypedExpr): { readonly inner: TypedExpr; readonly outer: TypedExpr } | undefined {
  if (condition.kind !== 'comparison' || condition.op !== '=' || !typesEquivalent(condition.left.type, condition.right.type))
    return undefined;
  for (const [inner, outer] of [
    [condition.left, condition.right],
    [condition.right, condition.left],
  ] as const) {
    // A key is computed for every row, also for those that nothing asks for: a column cannot fail.
    if (inner.kind === 'column' && traits(outer).columns.size === 0 && traits(outer).hasOuterColumns) return { inner, outer };
  }
  return undefined;
}
