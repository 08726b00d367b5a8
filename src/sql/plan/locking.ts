/**
 * FOR UPDATE and FOR SHARE: which rows of which tables a SELECT locks.
 *
 * The rows are those that WHERE leaves, before grouping could merge them; a clause names tables of
 * FROM by their alias, or means all of them. Only tables whose rows reach the top unmerged count.
 */
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { LockingClause, SelectCore, SelectStatement } from '../parse/ast.ts';
import { traits } from '../expr/traits.ts';
import type { TypedExpr } from '../expr/typedExpr.ts';
import type { LockRowsNode, PlanNode } from './plan.ts';
import type { ScopeColumn } from './scope.ts';
import { tableShape } from './tableShape.ts';

export const LOCK_CLAUSES: Readonly<Record<LockingClause['strength'], string>> = {
  update: 'FOR UPDATE',
  noKeyUpdate: 'FOR NO KEY UPDATE',
  share: 'FOR SHARE',
  keyShare: 'FOR KEY SHARE',
};

/** 0A000: what merges or makes rows leaves none to lock. `exprs`: what is selected and sorted by. */
export function refuseUnlockable(locking: SelectStatement['locking'], core: SelectCore, exprs: readonly TypedExpr[]): void {
  const some = (has: 'hasAggregates' | 'hasWindows' | 'hasGenerators'): boolean => exprs.some((expr) => traits(expr)[has]);
  if (core.distinct !== 'all') throw notWith(locking, 'DISTINCT clause');
  if (core.groupBy.length > 0) throw notWith(locking, 'GROUP BY clause');
  if (core.having) throw notWith(locking, 'HAVING clause');
  if (some('hasAggregates')) throw notWith(locking, 'aggregate functions');
  if (some('hasWindows')) throw notWith(locking, 'window functions');
  if (some('hasGenerators')) throw notWith(locking, 'set-returning functions in the target list');
}

export function notWith([clause]: SelectStatement['locking'], what: string): StatementError {
  return new StatementError(SqlState.FeatureNotSupported, `${LOCK_CLAUSES[clause?.strength ?? 'update']} is not allowed with ${what}`);
}

/** A query in parentheses with the locking clause behind them inside. 42601 when it has one of its own. */
export function lockingInside(query: SelectStatement): SelectStatement {
  const { body, locking } = query;
  if (body.kind !== 'select' || locking.length === 0) return query;
  const [own] = body.locking;
  if (own) throw new StatementError(SqlState.SyntaxError, `multiple ${LOCK_CLAUSES[own.strength]} clauses not allowed`);
  return { ...query, locking: [], body: lockingInside({ ...body, locking }) };
}

export type LockStep = Pick<LockRowsNode, 'strength' | 'wait' | 'targets'> & { readonly aliases: readonly string[] };

/** FOR UPDATE and FOR SHARE lock the rows that WHERE leaves, in the tables named or all of them: a step for each clause. */
export function lockTargets(node: PlanNode, locking: SelectStatement['locking'], columns: readonly ScopeColumn[]): LockStep[] {
  const scans: (LockRowsNode['targets'][number] & { alias: string })[] = [];
  const collect = (at: PlanNode, offset: number): void => {
    if (at.kind === 'scan') {
      const keyPositions = tableShape(at.table).keyPositions.map((position) => position + offset);
      scans.push({ table: at.table, keyPositions, alias: at.alias });
    } else if (at.kind === 'filter') collect(at.input, offset);
    else if (at.kind === 'join' || at.kind === 'apply') {
      collect(at.left, offset);
      collect(at.right, offset + at.left.columns.length);
    }
  };
  collect(node, 0);
  return locking.map((clause) => {
    if (clause.of.some((name) => name.parts.length > 1)) {
      throw new StatementError(SqlState.SyntaxError, `${LOCK_CLAUSES[clause.strength]} must specify unqualified relation names`);
    }
    const names = clause.of.map((name) => name.parts.at(-1)?.text ?? '');
    for (const name of names) {
      if (!columns.some((column) => column.table?.name === name)) {
        throw new StatementError(
          SqlState.UndefinedTable,
          `relation "${name}" in ${LOCK_CLAUSES[clause.strength]} clause not found in FROM clause`,
        );
      }
    }
    const targets = scans.filter((scan) => names.length === 0 || names.includes(scan.alias));
    const strength = clause.strength === 'update' || clause.strength === 'noKeyUpdate' ? 'exclusive' : 'shared';
    const wait = clause.wait === 'skipLocked' ? 'skip' : clause.wait;
    return {
      strength,
      wait,
      targets: targets.map(({ table, keyPositions }) => ({ table, keyPositions })),
      aliases: targets.map((scan) => scan.alias),
    };
  });
}
