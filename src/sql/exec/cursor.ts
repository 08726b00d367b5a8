/**
 * Cursors: a statement opened for its rows, whatever its kind: planned ones over their operators,
 * hooks over the rows they gave.
 */
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { Datum } from '../../catalog/datum.ts';
import { isAdmin } from '../../catalog/privileges.ts';
import { type ColumnType, Type } from '../../catalog/type.ts';
import type { Statement } from '../parse/ast.ts';
import { LOCK_CLAUSES } from '../plan/locking.ts';
import { isPlannable, planStatement } from '../plan/planner.ts';
import type { RunContext } from './context.ts';
import { compilePlan, runPlan } from './executor.ts';
import { planEnvironment } from './planEnvironment.ts';
import { PlanSizes } from './planSizes.ts';
import { keptRows } from './keptRows.ts';
import { type Batches, collect } from './run.ts';
import { pullThrough, type RowStream } from './rowStream.ts';
import type { Notice, ResultColumn, StatementResult } from './statement.ts';
import type { CachedPlan, CachedStatement, RecentPlan, StatementCache } from './statementCache.ts';
import { insertTag, statementName } from './tags.ts';

/** Plans a statement finds without making their keys: as it was prepared, and as it runs. */
const RECENT_MAX = 4;

/** A statement under way. */
export interface Cursor {
  readonly columns: readonly ResultColumn[] | undefined;
  readonly batches: Batches;
  readonly notices: readonly Notice[];
  tag(rowCount: number): string;
  /** Rows affected, for row changes; undefined where rows given count. */
  affected(): number | undefined;
}

/**
 * Runs a cursor to its end. Its rows count as results while they come; 53200 when there is no room for
 * them. With a stream, those of a large result go there instead.
 */
export async function drain(cursor: Cursor, context: RunContext, stream?: RowStream): Promise<StatementResult> {
  const { columns, notices } = cursor;
  const kept = keptRows({ context }, 'results');
  try {
    if (stream && columns) {
      // Written by a WITH query, say: then the commit may fail, and the statement run again.
      const mayBegin = () => !context.transaction.isImplicit || !context.transaction.hasWrites;
      const { rows, rowCount } = await pullThrough(cursor.batches, columns, stream, mayBegin, kept);
      return { tag: cursor.tag(rowCount), columns, rows, isStreamed: stream.hasBegun, rowCount, notices };
    }
    const rows = await collect(cursor.batches, kept);
    const rowCount = cursor.affected() ?? rows.length;
    return { tag: cursor.tag(rowCount), columns, rows, rowCount, notices };
  } finally {
    kept.release();
  }
}

/** What opening a statement needs beside its context. */
export interface OpenOptions {
  readonly cache: StatementCache;
  /** What plans depend on in the session. */
  readonly planKey: string;
  /** Placeholder types that are known. */
  readonly types: readonly (ColumnType | undefined)[];
}

/**
 * Opens a statement: plans it, or runs its hook. Throws what planning throws; 0A000 for a kind nobody
 * runs. Without waiting when its plan is at hand.
 */
export function openStatement(statement: CachedStatement, context: RunContext, options: OpenOptions): Cursor | Promise<Cursor> {
  const { ast } = statement;
  if (!isPlannable(ast)) return openHook(ast, context);
  const snapshot = statement.recent && context.catalogNow();
  const known = snapshot && recentPlan(statement, snapshot.version, options);
  if (known) return openPlan(known, ast, context);
  return planFor(statement, context, options).then((plan) => openPlan(plan, ast, context));
}

function openPlan(plan: CachedPlan, ast: Statement, context: RunContext): Cursor {
  const { compiled } = plan;
  if (compiled.plan.mutates) context.transaction.checkWritable(statementName(ast));
  if (ast.kind === 'select') for (const { strength } of ast.locking) context.transaction.checkWritable(LOCK_CLAUSES[strength]);
  context.transaction.noteCatalog(plan.dependencies, compiled.plan.mutates, context.engine.catalog);
  const run = context.newRun(compiled.plan.slotCount, compiled.plan.cteCount);
  const { columns } = compiled.plan;
  const isRowChange = ast.kind !== 'select';
  return {
    columns: isRowChange && columns.length === 0 ? undefined : columns,
    batches: runPlan(compiled, run),
    notices: context.notices,
    tag: (rowCount) => insertTag(ast, rowCount),
    affected: () => (isRowChange ? run.affected : undefined),
  };
}

async function openHook(ast: Statement, context: RunContext): Promise<Cursor> {
  const hook = context.engine.statements.get(ast.kind);
  if (!hook) throw new StatementError(SqlState.FeatureNotSupported, `${statementName(ast)} is not supported yet`);
  if (hook.isReadOnly !== true) {
    context.transaction.checkWritable(statementName(ast));
    context.transaction.flushCatalog(context.engine.catalog);
  }
  const columns = hook.columns(ast, context);
  context.engine.features.note(ast);
  const result = await hook.run(context, ast);
  return {
    columns: result.columns ?? columns,
    batches: once(result.rows ?? []),
    notices: context.notices,
    tag: () => result.tag,
    affected: () => result.rowCount,
  };
}

/** A statement's parameter types and columns, without running it. 42P18 for a parameter that nothing types. */
export async function describeStatement(
  statement: CachedStatement,
  context: RunContext,
  options: OpenOptions,
): Promise<{ parameterTypes: readonly ColumnType[]; columns: readonly ResultColumn[] | undefined }> {
  if (isPlannable(statement.ast)) {
    return describePlan(await planFor(statement, context, options), statement.ast);
  }
  const hook = context.engine.statements.get(statement.ast.kind);
  const columns = hook?.columns(statement.ast, context);
  const query = statement.ast.kind === 'declareCursor' ? statement.ast.query : hook?.queryWithin?.(statement.ast);
  if (query && statement.placeholderCount > 0) {
    const plan = await planFor({ ...statement, ast: query, plans: new Map(), recent: undefined }, context, options);
    return { parameterTypes: describePlan(plan, query).parameterTypes, columns };
  }
  const own = hook?.placeholderTypes?.(statement.ast) ?? [];
  return { parameterTypes: options.types.map((type, i) => type ?? own[i] ?? Type.String), columns };
}

/**
 * As describeStatement, from a plan made at this version of the catalog; undefined when there is none
 * at hand. Needs no transaction.
 */
export function describeKnown(
  statement: CachedStatement,
  version: number,
  options: OpenOptions,
): { parameterTypes: readonly ColumnType[]; columns: readonly ResultColumn[] | undefined } | undefined {
  const plan = recentPlan(statement, version, options);
  return plan && describePlan(plan, statement.ast);
}

function describePlan(
  { compiled: { plan } }: CachedPlan,
  ast: Statement,
): { parameterTypes: readonly ColumnType[]; columns: readonly ResultColumn[] | undefined } {
  const isSilent = ast.kind !== 'select' && plan.columns.length === 0;
  return { parameterTypes: plan.placeholderTypes, columns: isSilent ? undefined : plan.columns };
}

/** A plan found not long ago under the very same options: compared by identity, which costs no text. */
export function recentPlan({ recent }: CachedStatement, version: number, { types, planKey }: OpenOptions): CachedPlan | undefined {
  if (!recent) return undefined;
  for (const entry of recent) {
    if (
      entry.version === version &&
      entry.planKey === planKey &&
      (entry.types === types || (types.length === 0 && entry.types.length === 0))
    )
      return entry.plan.isCurrent?.() === false ? undefined : entry.plan;
  }
  return undefined;
}

/** For admins only, whose privileges hang on the name alone: planKey holds it. */
function noteRecent(statement: CachedStatement, version: number, { types, planKey }: OpenOptions, plan: CachedPlan): void {
  const isSame = (other: RecentPlan): boolean =>
    other.version === version && other.planKey === planKey && (other.types === types || (types.length === 0 && other.types.length === 0));
  statement.recent = (statement.recent ?? []).filter((other) => !isSame(other));
  if (statement.recent.length >= RECENT_MAX) statement.recent.shift();
  statement.recent.push({ version, planKey, types, plan });
}

/** Plans a statement, or finds its plan; its names join the transaction's reads when it runs. */
async function planFor(statement: CachedStatement, context: RunContext, options: OpenOptions): Promise<CachedPlan> {
  const snapshot = context.catalogNow() ?? (await context.catalog());
  const roles = await context.roles();
  const types = options.types.length === 0 ? '' : options.types.map((type) => type?.oid ?? 0).join(',');
  const key = `${snapshot.version}/${types}/${options.planKey}/${roles.size > 1 ? [...roles].join() : ''}`;
  const known = statement.plans.get(key);
  if (known && known.isCurrent?.() !== false) {
    if (isAdmin(context.user)) noteRecent(statement, snapshot.version, options, known);
    return known;
  }
  const { ast } = statement;
  if (!isPlannable(ast)) throw new StatementError(SqlState.InternalError, 'internal error: this statement is not planned');
  const tracked = snapshot.tracked();
  const sizes = new PlanSizes(context.engine);
  const plan = planStatement(
    planEnvironment(context, tracked, roles, { untypedPlaceholder: statement.isStrict ? undefined : Type.String, sizes }),
    ast,
    options.types,
  );
  const made: CachedPlan = { compiled: compilePlan(plan), dependencies: tracked.dependencies, isCurrent: sizes.condition(plan) };
  // A transaction's own catalog has a version of its own: nobody else can use the plan.
  if (plan.isCacheable && snapshot.version >= 0) options.cache.keepPlan(statement, key, made);
  return made;
}

async function* once(rows: Datum[][]): Batches {
  if (rows.length > 0) yield rows;
}
