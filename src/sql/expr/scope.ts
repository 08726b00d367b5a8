/**
 * Scope and AnalyzeContext: what analysis asks of the planner.
 *
 * The planner knows tables, aliases and enclosing queries; analysis knows types. They meet here.
 */
import type { ColumnType } from '../../catalog/type.ts';
import type { ColumnRef, Name, SelectStatement, TypeName, WindowSpec } from '../parse/ast.ts';
import type { FunctionRegistry } from './registry.ts';
import type { SubqueryForm, SubqueryPlan } from './typedExpr.ts';
import type { UserFunctions } from './userFunction.ts';

export interface ResolvedColumn {
  readonly index: number;
  readonly type: ColumnType;
  /** The column's own name, for printing. */
  readonly name: string;
  /** 0: a column of this row; n: of the n-th enclosing query's row. */
  readonly depth: number;
}

export interface Scope {
  /**
   * The column a name means. Throws 42703 `column "x" does not exist`, 42702 `column reference
   * "x" is ambiguous ...`, 42P01 `no data source matches prefix: t in this context`.
   */
  resolveColumn(parts: readonly Name[], ref: ColumnRef): ResolvedColumn;
  /** The n-th column, from 1, of those that FROM gives; undefined when there are not as many. */
  resolveOrdinal?(ordinal: number): ResolvedColumn | undefined;
  /**
   * A bare name that is a table's alias stands for its row as a tuple. Undefined when there is none;
   * asked only after resolveColumn has thrown 42703.
   */
  resolveRow?(name: Name): readonly ResolvedColumn[] | undefined;
  /** Of a row that resolveRow gives: columns that are NULL, all of them, where an outer join found no row; undefined when it always did. */
  presenceOf?(name: Name): readonly ResolvedColumn[] | undefined;
}

/** Types of $1.. as they become known. placeholders.ts has the one implementation. */
export interface PlaceholderTypes {
  /** The settled type of $(index + 1), or undefined. */
  typeOf(index: number): ColumnType | undefined;
  /** The type that the client said it has, or undefined. */
  declared(index: number): ColumnType | undefined;
  /** The type of one that nothing types; absent, such a one is refused. */
  readonly fallback?: ColumnType | undefined;
  /** Settles a type; 42P18-style error when it is already another one. */
  settle(index: number, type: ColumnType): void;
}

/** Plans a subquery found inside an expression; throws what planning throws. */
export interface SubqueryPlanner {
  /** `slot` is assigned by the planner to uncorrelated ones. */
  planSubquery(
    query: SelectStatement,
    form: SubqueryForm,
    desired?: readonly ColumnType[],
  ): { plan: SubqueryPlan; slot: number | undefined };
}

export interface AnalyzeContext {
  /** Undefined where columns mean nothing (LIMIT, DEFAULT, option values): 42703 for each. */
  readonly scope: Scope | undefined;
  readonly functions: FunctionRegistry;
  readonly placeholders: PlaceholderTypes;
  /** Undefined where subqueries are refused (0A000). */
  readonly subqueries: SubqueryPlanner | undefined;
  /** User-defined type names; built-in ones are known. Undefined: none. */
  resolveType?(name: TypeName): ColumnType | undefined;
  /** Functions that users wrote. Undefined: none. */
  readonly userFunctions?: UserFunctions | undefined;
  /** The clause, for messages: `WHERE`, `LIMIT`, `DEFAULT`, `SELECT`... */
  readonly clause: string;
  /** Whether aggregates may stand here; 42803 otherwise. */
  readonly allowAggregates: boolean;
  /** Whether set-returning functions may stand here; 0A000 otherwise. */
  readonly allowGenerators: boolean;
  /** The WINDOW clause's windows where window functions may stand; undefined where they may not (42P20). */
  readonly windows?: ReadonlyMap<string, WindowSpec> | undefined;
  /** Session values that typing depends on (time zone of timestamptz literals, search path). */
  readonly session: { readonly timeZone: string };
}
