/**
 * TypedExpr: an expression whose names, types and overloads are settled.
 *
 * analyze.ts makes it from the syntax tree, planner and optimizer look into and rewrite it,
 * compile.ts turns it into a closure. Nodes are plain readonly objects told apart by `kind`; each
 * has its `type`. What planners ask again and again (columns used, volatility, asynchrony) is in
 * traits.ts, tree walking (`childrenOf`, `mapExpr`, `conjunctsOf`, equality) in walk.ts, text in
 * formatExpr.ts.
 *
 *   T1  syntax with the same meaning has one form: BETWEEN is two comparisons, a <> ALL is a
 *       negated IN where possible, IF and IFNULL are case and coalesce, `a > b` keeps its direction
 *   T2  both sides of a comparison have types that compare.ts knows to compare
 *   T3  a constant's datum is canonical for its type; NULL of any type is `null`
 *   T4  `aggregate`, `generator` and `window` nodes never reach compile: the planner replaces them by
 *       columns of the operator that computes them
 */
import type { Datum } from '../../catalog/datum.ts';
import type { ColumnType } from '../../catalog/type.ts';
import type { AggregateOverload, GeneratorOverload, Overload, WindowOverload } from './overload.ts';
import type { SubqueryPlan } from './subqueryPlan.ts';

export type { SubqueryForm, SubqueryPlan } from './subqueryPlan.ts';

export type ComparisonOp = '=' | '<>' | '<' | '<=' | '>' | '>=';

export type TypedExpr =
  | TypedConst
  | TypedColumn
  | TypedOuterColumn
  | TypedPlaceholder
  | TypedCall
  | TypedComparison
  | TypedDistinct
  | TypedLogic
  | TypedNot
  | TypedIsNull
  | TypedIsTruth
  | TypedIn
  | TypedAnyAll
  | TypedCase
  | TypedCoalesce
  | TypedNullIf
  | TypedCast
  | TypedArray
  | TypedTuple
  | TypedSubscript
  | TypedField
  | TypedSubquery
  | TypedAggregate
  | TypedGenerator
  | TypedWindow;

/** NULL without a better type has the family 'unknown'. */
export interface TypedConst {
  readonly kind: 'const';
  readonly type: ColumnType;
  readonly value: Datum;
}
/** Column `index` of the row that is evaluated. */
export interface TypedColumn {
  readonly kind: 'column';
  readonly type: ColumnType;
  readonly index: number;
  readonly name: string;
}
/** Column `index` of the row of an enclosing query: depth 1 is the nearest (ctx.outerRows[0]). */
export interface TypedOuterColumn {
  readonly kind: 'outer';
  readonly type: ColumnType;
  readonly depth: number;
  readonly index: number;
  readonly name: string;
}
/** $n: `index` is n - 1. */
export interface TypedPlaceholder {
  readonly kind: 'placeholder';
  readonly type: ColumnType;
  readonly index: number;
}
/** A function, or an operator other than comparisons and logic (then `operator` says how to print it). */
export interface TypedCall {
  readonly kind: 'call';
  readonly type: ColumnType;
  readonly overload: Overload;
  readonly args: readonly TypedExpr[];
  readonly operator?: string;
}
export interface TypedComparison {
  readonly kind: 'comparison';
  readonly type: ColumnType;
  readonly op: ComparisonOp;
  readonly left: TypedExpr;
  readonly right: TypedExpr;
}
/** IS [NOT] DISTINCT FROM. */
export interface TypedDistinct {
  readonly kind: 'distinct';
  readonly type: ColumnType;
  readonly negated: boolean;
  readonly left: TypedExpr;
  readonly right: TypedExpr;
}
export interface TypedLogic {
  readonly kind: 'and' | 'or';
  readonly type: ColumnType;
  readonly left: TypedExpr;
  readonly right: TypedExpr;
}
export interface TypedNot {
  readonly kind: 'not';
  readonly type: ColumnType;
  readonly operand: TypedExpr;
}
export interface TypedIsNull {
  readonly kind: 'isNull';
  readonly type: ColumnType;
  readonly negated: boolean;
  readonly operand: TypedExpr;
}
/** IS [NOT] TRUE or FALSE: never NULL. */
export interface TypedIsTruth {
  readonly kind: 'isTruth';
  readonly type: ColumnType;
  readonly negated: boolean;
  readonly value: boolean;
  readonly operand: TypedExpr;
}
/** operand [NOT] IN (list). */
export interface TypedIn {
  readonly kind: 'in';
  readonly type: ColumnType;
  readonly negated: boolean;
  readonly operand: TypedExpr;
  readonly list: readonly TypedExpr[];
}
/** left op ANY|ALL (right): right is an array, or a subquery of the form 'array'. IN (subquery) is = ANY. */
export interface TypedAnyAll {
  readonly kind: 'anyAll';
  readonly type: ColumnType;
  readonly quantifier: 'any' | 'all';
  /** A comparison, or a boolean operator by its overload. */
  readonly op: ComparisonOp | Overload;
  readonly left: TypedExpr;
  readonly right: TypedExpr;
}
export interface TypedCase {
  readonly kind: 'case';
  readonly type: ColumnType;
  /** With an operand each `when` is compared to it with =; without one each is a condition. */
  readonly operand: TypedExpr | undefined;
  readonly branches: readonly { readonly when: TypedExpr; readonly then: TypedExpr }[];
  readonly otherwise: TypedExpr | undefined;
}
export interface TypedCoalesce {
  readonly kind: 'coalesce';
  readonly type: ColumnType;
  readonly args: readonly TypedExpr[];
}
export interface TypedNullIf {
  readonly kind: 'nullIf';
  readonly type: ColumnType;
  readonly left: TypedExpr;
  readonly right: TypedExpr;
}
export interface TypedCast {
  readonly kind: 'cast';
  readonly type: ColumnType;
  readonly operand: TypedExpr;
  /** 'assignment' for values that go into a column, 'explicit' for ::. */
  readonly context: 'explicit' | 'assignment';
}
export interface TypedArray {
  readonly kind: 'array';
  readonly type: ColumnType;
  readonly elements: readonly TypedExpr[];
}
export interface TypedTuple {
  readonly kind: 'tuple';
  readonly type: ColumnType;
  readonly elements: readonly TypedExpr[];
  readonly labels: readonly string[];
  /** Of the row of a table that an outer join may have left without one: what is NULL then, all of it, and otherwise never. */
  readonly presence?: readonly TypedExpr[];
}
/** array[index], 1-based; NULL outside the array. */
export interface TypedSubscript {
  readonly kind: 'subscript';
  readonly type: ColumnType;
  readonly operand: TypedExpr;
  readonly index: TypedExpr;
}
/** (tuple).field by 0-based position. */
export interface TypedField {
  readonly kind: 'field';
  readonly type: ColumnType;
  readonly operand: TypedExpr;
  readonly index: number;
  readonly name: string;
}

export interface TypedSubquery {
  readonly kind: 'subquery';
  readonly type: ColumnType;
  readonly plan: SubqueryPlan;
  /** Where the executor leaves an uncorrelated result (ctx.slots); undefined when correlated. */
  readonly slot: number | undefined;
}

export interface TypedSortKey {
  readonly expr: TypedExpr;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
}
export interface TypedAggregate {
  readonly kind: 'aggregate';
  readonly type: ColumnType;
  readonly overload: AggregateOverload;
  readonly args: readonly TypedExpr[];
  readonly distinct: boolean;
  readonly filter: TypedExpr | undefined;
  readonly orderBy: readonly TypedSortKey[];
}
/** A set-returning call; `type` is its column's type, or a tuple of them. */
export interface TypedGenerator {
  readonly kind: 'generator';
  readonly type: ColumnType;
  readonly overload: GeneratorOverload;
  readonly args: readonly TypedExpr[];
  readonly columns: readonly { readonly name: string; readonly type: ColumnType }[];
}
/** f(...) OVER (...): an aggregate over the row's frame, or a window function. */
export interface TypedWindow {
  readonly kind: 'window';
  readonly type: ColumnType;
  readonly overload: AggregateOverload | WindowOverload;
  readonly args: readonly TypedExpr[];
  readonly filter: TypedExpr | undefined;
  readonly partitionBy: readonly TypedExpr[];
  readonly orderBy: readonly TypedSortKey[];
  readonly frame: TypedFrame;
}
export interface TypedFrame {
  readonly mode: 'rows' | 'range' | 'groups';
  readonly start: TypedFrameBound;
  readonly end: TypedFrameBound;
  readonly exclude: 'currentRow' | 'group' | 'ties' | undefined;
}
export interface TypedFrameBound {
  readonly type: 'unboundedPreceding' | 'preceding' | 'currentRow' | 'following' | 'unboundedFollowing';
  /** Row independent. */
  readonly offset: TypedExpr | undefined;
  /** RANGE with an offset: the row's sort key moved by it, in the direction of the bound. */
  readonly limit: TypedExpr | undefined;
}
