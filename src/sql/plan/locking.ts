/**
 * FOR UPDATE and FOR SHARE: which rows of which tables a SELECT locks.
 *
 * The rows are those that WHERE leaves, before grouping could merge them; a clause names tables of
 * FROM by their alias, or means all of them. Only tables whose rows reach the top unmerged count.
 */
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { SelectCore, SelectStatement } from '../parse/ast.ts';
import type { LockRowsNode, PlanNode } from './plan.ts';
import type { ScopeColumn } from './scope.ts';
import { tableShape } from './tableShape.ts';

export type LockStep = Pick<LockRowsNode, 'strength' | 'wait' | 'targets'> & { readonly aliases: readonly string[] };

/** FOR UPDATE and FOR SHARE lock the rows that WHERE leaves, in the tables named or all of them: a step for each clause. */
export function lockTargets(
  node: PlanNode,
  locking: SelectStatement['locking'],
  core: SelectCore,
  columns: readonly ScopeColumn[],
): LockStep[] {
  if (core.groupBy.length > 0 || core.having || core.distinct !== 'all') {
    throw new StatementError(SqlState.FeatureNotSupported, 'FOR UPDATE is not allowed with GROUP BY, HAVING or DISTINCT');
  }
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
    const names = clause.of.map((name) => name.parts.at(-1)?.text ?? '');
    for (const name of names) {
      if (!columns.some((column) => column.table?.name === name)) {
        throw new StatementError(SqlState.UndefinedTable, `relation "${name}" in FOR UPDATE clause not found in FROM clause`);
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
