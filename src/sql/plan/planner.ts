/**
 * planStatement: a query or row change to a plan.
 *
 * The life of one SELECT: the parser's tree comes in; from.ts resolves its tables and builds a scope;
 * select.ts types its expressions over that scope (expr/analyze.ts) and stacks operators; subqueries
 * are planned as they are met and join the prelude or become correlated plans; optimizer.ts
 * rewrites the tree rule by rule; the session caches the result, and executor.ts runs it.
 */
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { ColumnType } from '../../catalog/type.ts';
import { Placeholders } from '../expr/placeholders.ts';
import type { DeleteStatement, InsertStatement, SelectStatement, Statement, UpdateStatement } from '../parse/ast.ts';
import { planDelete, planInsert, planUpdate } from './mutation.ts';
import { optimize } from './optimizer.ts';
import type { Plan, PreludeStep } from './plan.ts';
import { type CommonTables, PlanContext, type PlanEnvironment, type PlannedQuery, type QueryRecorder } from './planContext.ts';
import { Frame } from './scope.ts';
import { planQuery } from './select.ts';

export type PlannableStatement = SelectStatement | InsertStatement | UpdateStatement | DeleteStatement;

/** Is it a statement that planStatement takes? */
export function isPlannable(stmt: Statement): stmt is PlannableStatement {
  return stmt.kind === 'select' || stmt.kind === 'insert' || stmt.kind === 'update' || stmt.kind === 'delete';
}

/**
 * Plans and optimizes. `given`: placeholder types that the client declared. Throws what name
 * resolution and typing throw; 42P18 when a placeholder's type cannot be told.
 */
export function planStatement(
  env: PlanEnvironment,
  stmt: PlannableStatement,
  given: readonly (ColumnType | undefined)[] = [],
  recorder?: QueryRecorder,
): Plan {
  const placeholders = new Placeholders(given, env.untypedPlaceholder);
  const ctx = new PlanContext(env, placeholders, recorder);
  ctx.planQuery = (query, frame, ctes, desired) => planQuery(ctx, query, frame, ctes, desired);
  ctx.planRows = (statement, frame, ctes) => planRows(ctx, statement, frame, ctes);
  const planned = planRows(ctx, stmt, new Frame(undefined), undefined);
  const { withoutRules } = env;
  const prelude = ctx.prelude.map((step) => optimizeStep(step, withoutRules));
  return {
    root: optimize(planned.node, withoutRules),
    columns: planned.columns,
    prelude,
    slotCount: ctx.slotCount,
    cteCount: ctx.cteCount,
    placeholderTypes: placeholders.settled(),
    mutates: ctx.mutates,
    isCacheable: ctx.isCacheable,
  };
}

function planRows(ctx: PlanContext, statement: Statement, frame: Frame, ctes: CommonTables | undefined): PlannedQuery {
  switch (statement.kind) {
    case 'select':
      return planQuery(ctx, statement, frame, ctes);
    case 'insert':
      return planInsert(ctx, statement, ctes);
    case 'update':
      return planUpdate(ctx, statement, ctes);
    case 'delete':
      return planDelete(ctx, statement, ctes);
    default: {
      const columns = ctx.env.statementColumns(statement);
      if (columns.length === 0) throw new StatementError(SqlState.SyntaxError, 'this statement returns no rows');
      ctx.isCacheable = false;
      return { node: { kind: 'statement', statement, columns }, columns };
    }
  }
}

/** Subqueries were optimized when they were planned (PlanContext). */
function optimizeStep(step: PreludeStep, without: ReadonlySet<string> | undefined): PreludeStep {
  if (step.kind === 'slot') return step;
  const recursive = step.recursive && {
    ...step.recursive,
    step: optimize(step.recursive.step, without),
    prelude: step.recursive.prelude.map((inner) => optimizeStep(inner, without)),
  };
  return { ...step, node: optimize(step.node, without), recursive };
}
