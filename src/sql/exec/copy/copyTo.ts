/**
 * COPY t TO STDOUT and COPY (query) TO STDOUT: rows to the client as they are made, no faster than it
 * takes them. A table's computed columns are left out, so that what comes can go in again.
 */
import type { Bytes } from '../../../base/bytes.ts';
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import type { CopyTo, SelectStatement, SelectTarget, Statement } from '../../parse/ast.ts';
import { isPlannable, planStatement } from '../../plan/planner.ts';
import type { RunContext } from '../context.ts';
import { compilePlan, runPlan } from '../executor.ts';
import { planEnvironment } from '../planEnvironment.ts';
import type { Batches } from '../run.ts';
import type { HookResult, ResultColumn } from '../statement.ts';
import { statementName } from '../tags.ts';
import { textContextOf } from '../textContext.ts';
import { copyEncoder } from './encode.ts';
import { copyOptions } from './options.ts';
import { portOf } from './port.ts';

/** Rows are sent in messages of about this size. */
const MESSAGE_BYTES = 32 * 1024;

export async function copyTo(context: RunContext, stmt: CopyTo): Promise<HookResult> {
  const port = portOf(context.session, 'COPY TO STDOUT');
  const options = copyOptions(stmt.options);
  const { columns, batches } = await openRows(context, stmt);
  const encoder = copyEncoder(options, columns, textContextOf(context.session));
  await port.beginSend({ format: options.format === 'binary' ? 'binary' : 'text', columnCount: columns.length });
  let count = 0;
  let waiting: string = encoder.head;
  for await (const batch of batches) {
    for (const row of batch) {
      waiting += encoder.row(row);
      if (waiting.length < MESSAGE_BYTES) continue;
      await port.send(waiting as Bytes);
      waiting = '';
    }
    context.signal.throwIfAborted();
    count += batch.length;
  }
  waiting += encoder.tail;
  if (waiting !== '') await port.send(waiting as Bytes);
  port.endSend();
  return { tag: `COPY ${count}`, rowCount: count };
}

/** The rows of a table or query as COPY sends them, and their columns. */
export async function openRows(
  context: RunContext,
  stmt: Pick<CopyTo, 'table' | 'columns' | 'query' | 'pos'>,
): Promise<{ columns: readonly ResultColumn[]; batches: Batches }> {
  const tracked = (await context.catalog()).tracked();
  const env = planEnvironment(context, tracked, await context.roles());
  const statement: Statement = stmt.query ?? tableQuery(stmt, env.resolveRelation);
  if (!isPlannable(statement)) {
    const { columns, rows } = await context.engine.runNested(context, statement);
    return { columns: columnsOf(columns, statement), batches: once(rows) };
  }
  const plan = planStatement(env, statement);
  if (plan.mutates) context.transaction.checkWritable(statementName(statement));
  context.transaction.noteCatalog(tracked.dependencies, plan.mutates, context.engine.catalog);
  const columns = columnsOf(plan.columns, statement);
  return { columns, batches: runPlan(compilePlan(plan), context.newRun(plan.slotCount, plan.cteCount)) };
}

function columnsOf(columns: readonly ResultColumn[] | undefined, statement: Statement): readonly ResultColumn[] {
  if (columns && columns.length > 0) return columns;
  throw new StatementError(SqlState.FeatureNotSupported, `COPY query must return columns, and ${statementName(statement)} does not`);
}

function tableQuery(
  { table, columns, pos }: Pick<CopyTo, 'table' | 'columns' | 'pos'>,
  resolve: ReturnType<typeof planEnvironment>['resolveRelation'],
): SelectStatement {
  if (!table) throw new StatementError(SqlState.SyntaxError, 'COPY needs a table or a query');
  const relation = resolve(table);
  const target = (name: string, at: number): SelectTarget => ({
    expr: { kind: 'column', parts: [{ text: name, pos: at }], pos: at },
    alias: undefined,
    pos: at,
  });
  const targets: SelectTarget[] =
    columns.length > 0
      ? columns.map((column) => target(column.text, column.pos))
      : relation.kind === 'table'
        ? relation.table.columns
            .filter((column) => column.state === 'public' && !column.hidden && column.computeExpr === undefined)
            .map((column) => target(column.name, pos))
        : [{ expr: { kind: 'star', qualifier: undefined, pos }, alias: undefined, pos }];
  return {
    kind: 'select',
    with: undefined,
    body: {
      kind: 'selectCore',
      distinct: 'all',
      targets,
      from: [{ kind: 'table', name: table, hint: undefined, withOrdinality: false, alias: undefined, pos }],
      asOf: undefined,
      where: undefined,
      groupBy: [],
      having: undefined,
      windows: [],
      pos,
    },
    orderBy: [],
    limit: undefined,
    offset: undefined,
    locking: [],
    pos,
  };
}

async function* once(rows: Awaited<ReturnType<RunContext['engine']['runNested']>>['rows']): Batches {
  if (rows.length > 0) yield rows;
}
