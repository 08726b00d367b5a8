/**
 * PlanContext: what the parts of the planner share while they plan one statement.
 *
 * It holds what is asked of the outside (names, functions, session values) and what is collected on
 * the way (placeholder types, prelude steps, the descriptors the plan stands on). The parts call
 * each other through it (`planQuery`), which keeps their imports free of cycles.
 */
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { TableDescriptor } from '../../catalog/descriptor.ts';
import { carriedType } from '../../catalog/enumType.ts';
import type { KnownStatistics } from '../../catalog/tableStatistics.ts';
import type { ColumnType } from '../../catalog/type.ts';
import { arrayOf, tupleOf, Type } from '../../catalog/type.ts';
import type { Expr, ObjectName, SelectStatement, Star, Statement, TypeName, WindowSpec } from '../parse/ast.ts';
import { analyzeBool, analyzeExpr, analyzeLiteral } from '../expr/analyze.ts';
import type { PlaceholderTypes } from '../expr/scope.ts';
import type { AnalyzeContext } from '../expr/scope.ts';
import type { FunctionRegistry } from '../expr/registry.ts';
import type { UserFunctions } from '../expr/userFunction.ts';
import { carriedFunctions } from './carriedFunctions.ts';
import type { SubqueryForm, SubqueryPlan, TypedExpr } from '../expr/typedExpr.ts';
import { traits } from '../expr/traits.ts';
import { optimize } from './optimizer.ts';
import type { PlanColumn, PlanNode, PlannedSubquery, PreludeStep } from './plan.ts';
import { Frame, type ScopeColumn, type SelectScope } from './scope.ts';
import type { VirtualTable } from './virtualTable.ts';

/** A relation that a name in FROM means. */
export type Relation =
  | { readonly kind: 'table'; readonly table: TableDescriptor; readonly schema: string; readonly database: string }
  | { readonly kind: 'virtual'; readonly table: VirtualTable; readonly database: string | undefined };

/** What planning asks of the catalog and the session. */
export interface PlanEnvironment {
  /** The type of a placeholder that nothing types; absent, it is refused. */
  readonly untypedPlaceholder?: ColumnType | undefined;
  readonly functions: FunctionRegistry;
  readonly timeZone: string;
  readonly safeUpdates: boolean;
  /** Names of optimizer rules that are left out: for tests. */
  readonly withoutRules?: ReadonlySet<string> | undefined;
  /** The relation of a name on the search path; 42P01 when there is none. Notes it as a dependency. */
  resolveRelation(name: ObjectName): Relation;
  /** The same for what will be written: views and virtual tables are 42809. */
  resolveTable(name: ObjectName, privilege: 'SELECT' | 'INSERT' | 'UPDATE' | 'DELETE'): Extract<Relation, { kind: 'table' }>;
  /** 42501 unless the user may lock rows of a table that it reads: that takes UPDATE. */
  requireLockable(table: TableDescriptor): void;
  /** How many rows the table has now, for estimates; absent, they are guessed. */
  rowCount?(table: TableDescriptor): number;
  /** What is known of the table's values; absent, conditions are guessed at. */
  statistics?(table: TableDescriptor): KnownStatistics | undefined;
  /** A table by its id (foreign keys); notes it as a dependency. */
  tableById(id: number): TableDescriptor;
  resolveType(name: TypeName): ColumnType | undefined;
  /** Functions that users wrote, on the search path. */
  readonly userFunctions: UserFunctions;
  /** A view's query, and the environment its names mean something in: its own database, without regard to the reader's privileges. */
  viewSource(view: TableDescriptor, database: string): { readonly query: SelectStatement; readonly env: PlanEnvironment };
  /** Columns of a statement in brackets or EXPLAIN; 42601 when it has none. */
  statementColumns(statement: Statement): readonly PlanColumn[];
}

/** A query's plan, before the statement around it uses it. */
export interface PlannedQuery {
  readonly node: PlanNode;
  /** As many as the node's columns. */
  readonly columns: readonly PlanColumn[];
}

export interface CommonTablePlan {
  readonly name: string;
  readonly cte: number;
  readonly columns: readonly PlanColumn[];
  /** A change without RETURNING: it is run, and cannot be read. */
  readonly returnsNothing?: boolean;
}

/** WITH names in sight: a chain, innermost first. */
export interface CommonTables {
  readonly entries: ReadonlyMap<string, CommonTablePlan>;
  readonly outer: CommonTables | undefined;
}

/** A user type that a stored text of a table names, whatever database is current. */
function carried(table: TableDescriptor, { name, isArray }: TypeName): ColumnType | undefined {
  const type = carriedType(
    table,
    name.parts.map(({ text }) => text),
  );
  return type && isArray ? arrayOf(type) : type;
}

export interface AnalyzeOptions {
  readonly clause: string;
  readonly allowAggregates?: boolean;
  readonly allowGenerators?: boolean;
  readonly allowWindows?: boolean;
  readonly desired?: ColumnType;
  readonly commonTables: CommonTables | undefined;
  /** The table whose stored text this is: it carries the types that are named. */
  readonly typesOf?: TableDescriptor;
}

const NO_WINDOWS: ReadonlyMap<string, WindowSpec> = new Map();

/** Hears what a query's names mean while it is planned: for one that is to be stored as text. */
export interface QueryRecorder {
  /** The set that collects the ids of a relation's columns that are named. */
  usesOf(tableId: number): Set<number>;
  /** What a `*` of a SELECT list stands for. */
  star(star: Star, columns: readonly ScopeColumn[]): void;
}

export class PlanContext {
  env: PlanEnvironment;
  recorder: QueryRecorder | undefined;
  readonly placeholders: PlaceholderTypes;
  readonly prelude: PreludeStep[] = [];
  slotCount = 0;
  cteCount = 0;
  subqueryCount = 0;
  mutates = false;
  isCacheable = true;
  /** Set by the planner: plans a whole query expression. */
  planQuery: (query: SelectStatement, frame: Frame, ctes: CommonTables | undefined, desired?: readonly ColumnType[]) => PlannedQuery;
  /** Set by the planner: plans any statement that gives rows (WITH x AS (INSERT ... RETURNING ...)). */
  planRows: (statement: Statement, frame: Frame, ctes: CommonTables | undefined) => PlannedQuery;

  constructor(env: PlanEnvironment, placeholders: PlaceholderTypes, recorder?: QueryRecorder) {
    this.env = env;
    this.placeholders = placeholders;
    this.recorder = recorder;
    this.planQuery = () => {
      throw new StatementError(SqlState.InternalError, 'internal error: the planner is not assembled');
    };
    this.planRows = this.planQuery as never;
  }

  /** Plans something whose names mean what `env` says: the text of a view. */
  within<T>(env: PlanEnvironment, plan: () => T): T {
    const { env: outer, recorder } = this;
    this.env = env;
    this.recorder = undefined;
    try {
      return plan();
    } finally {
      this.env = outer;
      this.recorder = recorder;
    }
  }

  /** Types an expression over a scope; undefined scope: columns mean nothing there. */
  analyze(expr: Expr, scope: SelectScope | undefined, options: AnalyzeOptions): TypedExpr {
    return analyzeLiteral(expr, options.desired) ?? analyzeExpr(expr, this.#analyzeContext(scope, options), options.desired);
  }

  analyzeBool(expr: Expr, scope: SelectScope | undefined, options: AnalyzeOptions): TypedExpr {
    return analyzeBool(expr, this.#analyzeContext(scope, options));
  }

  #analyzeContext(scope: SelectScope | undefined, options: AnalyzeOptions): AnalyzeContext {
    return {
      scope,
      functions: this.env.functions,
      placeholders: this.placeholders,
      subqueries: { planSubquery: (query, form, desired) => this.#planSubquery(query, form, scope, options.commonTables, desired) },
      resolveType: (name) => (options.typesOf && carried(options.typesOf, name)) ?? this.env.resolveType(name),
      userFunctions: options.typesOf?.exprFunctions ? carriedFunctions(options.typesOf) : this.env.userFunctions,
      clause: options.clause,
      allowAggregates: options.allowAggregates ?? false,
      allowGenerators: options.allowGenerators ?? false,
      windows: options.allowWindows ? (scope?.windows ?? NO_WINDOWS) : undefined,
      session: { timeZone: this.env.timeZone },
    };
  }

  #planSubquery(
    query: SelectStatement,
    form: SubqueryForm,
    scope: SelectScope | undefined,
    ctes: CommonTables | undefined,
    desired: readonly ColumnType[] | undefined,
  ): { plan: SubqueryPlan; slot: number | undefined } {
    const frame = new Frame(scope);
    const planned = this.planQuery(query, frame, ctes, desired);
    const isCorrelated = frame.isCorrelated || query.isPerRow === true;
    if (form !== 'exists' && planned.columns.length === 0) {
      throw new StatementError(SqlState.SyntaxError, 'subquery must return at least one column');
    }
    const plan: PlannedSubquery = {
      form,
      columns: planned.columns,
      isCorrelated,
      isVolatile: frame.isVolatile || query.isPerRow === true,
      outerColumns: [...frame.outerColumns],
      label: `@S${++this.subqueryCount}`,
      node: optimize(planned.node, this.env.withoutRules),
      ...(isCorrelated && { unoptimized: planned.node }),
      outerMap: undefined,
    };
    if (scope && plan.isVolatile) scope.frame.isVolatile = true;
    if (isCorrelated) return { plan, slot: undefined };
    const slot = this.slotCount++;
    this.prelude.push({ kind: 'slot', slot, plan });
    return { plan, slot };
  }

  /** A subquery of one row with several columns, as a tuple: `SET (a, b) = (SELECT ...)`. */
  rowSubquery(query: SelectStatement, scope: SelectScope, ctes: CommonTables | undefined, desired: readonly ColumnType[]): TypedExpr {
    const { plan, slot } = this.#planSubquery(query, 'scalar', scope, ctes, desired);
    const types = plan.columns.map((column) => column.type);
    const [only] = types;
    return { kind: 'subquery', type: types.length === 1 && only ? only : tupleOf(types), plan, slot };
  }

  /** A LIMIT or OFFSET: a row independent INT. */
  analyzeCount(expr: Expr, clause: 'LIMIT' | 'OFFSET', ctes: CommonTables | undefined): TypedExpr {
    const typed = this.analyze(expr, undefined, { clause, desired: Type.Int8, commonTables: ctes });
    if (typed.type.family !== 'int' && typed.type.family !== 'unknown') {
      throw new StatementError(SqlState.DatatypeMismatch, `argument of ${clause} must be type int, not type ${typed.type.family}`);
    }
    if (!traits(typed).isRowIndependent && traits(typed).columns.size > 0) {
      throw new StatementError(SqlState.InvalidColumnReference, `argument of ${clause} must not contain variables`);
    }
    return typed;
  }
}

/** Finds a WITH name, nearest first. */
export function findCommonTable(tables: CommonTables | undefined, name: string): CommonTablePlan | undefined {
  for (let at = tables; at; at = at.outer) {
    const found = at.entries.get(name);
    if (found) return found;
  }
  return undefined;
}
