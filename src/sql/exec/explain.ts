/**
 * EXPLAIN: the plan as a tree of lines. EXPLAIN ANALYZE runs it too, and says how many rows each node
 * gave, how often it was started where that was not once, and how long the whole took.
 */
import { utf8Encode } from '../../base/bytes.ts';
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { Type } from '../../catalog/type.ts';
import type { Explain } from '../parse/ast.ts';
import { explainPlan } from '../plan/explain.ts';
import type { Plan, PlanNode } from '../plan/plan.ts';
import { isPlannable, planStatement } from '../plan/planner.ts';
import type { RunContext } from './context.ts';
import { compilePlan, runPlan } from './executor.ts';
import { planEnvironment } from './planEnvironment.ts';
import type { NodeCounts } from './run.ts';
import type { StatementHooks } from './statement.ts';
import { statementName } from './tags.ts';

export function registerExplain(hooks: StatementHooks): void {
  hooks.register<Explain>('explain', {
    isReadOnly: true,
    columns: () => [{ name: 'info', type: Type.String }],
    run: async (context, stmt) => {
      if (!isPlannable(stmt.statement)) {
        if (stmt.analyze) {
          throw new StatementError(SqlState.FeatureNotSupported, `EXPLAIN ANALYZE of ${statementName(stmt.statement)} is not supported`);
        }
        return { tag: 'EXPLAIN', rows: [[utf8Encode(`• ${statementName(stmt.statement).toLowerCase()}`)]] };
      }
      const run = context as RunContext;
      const tracked = (await run.catalog()).tracked();
      const env = planEnvironment(run, tracked, await run.roles());
      const plan = planStatement(env, stmt.statement, context.placeholderTypes);
      if (stmt.analyze && plan.mutates) run.transaction.checkWritable(statementName(stmt.statement));
      if (stmt.analyze) run.transaction.noteCatalog(tracked.dependencies, plan.mutates, run.engine.catalog);
      const lines = stmt.analyze ? await analyzed(plan, run) : explainPlan(plan, run.engine.kv.reading());
      return { tag: 'EXPLAIN', rows: lines.map((line) => [utf8Encode(line)]) };
    },
  });
}

/** Runs the plan to its end, drops its rows, and describes what it did. */
async function analyzed(plan: Plan, context: RunContext): Promise<string[]> {
  const counts = new Map<PlanNode, NodeCounts>();
  const run = context.newRun(plan.slotCount, plan.cteCount, counts);
  const { clock } = context.engine.kv;
  const start = clock.nowMicros();
  let rowCount = 0;
  for await (const batch of runPlan(compilePlan(plan), run)) rowCount += batch.length;
  const millis = (clock.nowMicros() - start) / 1000;
  const tree = explainPlan(plan, context.engine.kv.reading(), (node) => {
    const { starts, rows } = counts.get(node) ?? { starts: 0, rows: 0 };
    return [`actual row count: ${rows}`, ...(starts === 1 ? [] : [`started: ${starts} times`])];
  });
  return [
    `execution time: ${millis < 10 ? millis.toFixed(1) : Math.round(millis)}ms`,
    `rows: ${plan.mutates ? run.affected : rowCount}`,
    '',
    ...tree,
  ];
}
