/**
 * ChangeRun: where a job's expressions run: a session of nobody's, reading at one timestamp. now() and
 * its like give that timestamp, for every row and every attempt.
 */
import type { Timestamp } from '../../../base/timestamp.ts';
import type { KvReader, Txn } from '../../../kv/kv.ts';
import { RunContext } from '../context.ts';
import type { Run } from '../run.ts';
import { Session } from '../session.ts';
import type { EngineServices } from '../statement.ts';
import { StatementCache } from '../statementCache.ts';
import { SessionTransaction } from '../transaction.ts';

export interface ChangeRun {
  readonly run: Run;
  /** The same expressions in a transaction of the job. */
  within(txn: Txn): Run;
}

/** A run that reads at `ts`, which the caller keeps readable. `where`: the node and the database that defaults ask for. */
export async function changeRun(
  engine: EngineServices,
  ts: Timestamp,
  signal: AbortSignal,
  where?: { readonly nodeId: number; readonly databaseId: number },
): Promise<ChangeRun> {
  const database = where && (await engine.catalog.snapshot(engine.kv.at(ts))).databaseById(where.databaseId)?.name;
  const place = { ...(where && { nodeId: where.nodeId }), ...(database !== undefined && { database }) };
  const session = new Session(engine, new StatementCache(), { user: 'node', ...place }, () => {});
  const options = { isolation: 'serializable', priority: 'normal', readOnly: true, asOf: ts } as const;
  const context = new RunContext({
    session,
    transaction: new SessionTransaction(engine.kv, options, true),
    statementTimestamp: ts,
    signal,
    placeholders: [],
    placeholderTypes: [],
  });
  await context.catalog();
  const run = context.newRun(0, 0);
  return { run, within: (txn) => ({ ...run, txn, reader: txn as KvReader }) };
}
