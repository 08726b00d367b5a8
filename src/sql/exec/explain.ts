/**
 * EXPLAIN: the plan as a tree of lines.
 */
import { utf8Encode } from '../../base/bytes.ts';
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { Type } from '../../catalog/type.ts';
import type { Explain } from '../parse/ast.ts';
import { explainPlan } from '../plan/explain.ts';
import { isPlannable, planStatement } from '../plan/planner.ts';
import type { RunContext } from './context.ts';
import { planEnvironment } from './planEnvironment.ts';
import type { StatementHooks } from './statement.ts';
import { statementName } from './tags.ts';

export function registerExplain(hooks: StatementHooks): void {
  hooks.register<Explain>('explain', {
    isReadOnly: true,
    columns: () => [{ name: 'info', type: Type.String }],
    run: async (context, stmt) => {
      if (stmt.analyze) throw new StatementError(SqlState.FeatureNotSupported, 'EXPLAIN ANALYZE is not supported yet');
      if (!isPlannable(stmt.statement)) {
        return { tag: 'EXPLAIN', rows: [[utf8Encode(`• ${statementName(stmt.statement).toLowerCase()}`)]] };
      }
      const run = context as RunContext;
      const env = planEnvironment(run, await run.catalog(), await run.roles());
      const lines = explainPlan(planStatement(env, stmt.statement, context.placeholderTypes));
      return { tag: 'EXPLAIN', rows: lines.map((line) => [utf8Encode(line)]) };
    },
  });
}
