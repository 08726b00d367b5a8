/**
 * The warning after an incremental backup whose chain breaks as soon as one backup is missed: twice
 * the time between the last two layers is more than a table keeps history for.
 */
import { formatDuration } from '../base/duration.ts';
import { SqlState } from '../base/sqlState.ts';
import { formatUtc, type Timestamp } from '../base/timestamp.ts';
import { quoteNames } from '../catalog/names.ts';
import { tableOfKey } from '../kv/indexOfKey.ts';
import type { JobId } from '../jobs/job.ts';
import type { StatementContext } from '../sql/exec/statement.ts';

import { isBackedUp } from './backupCatalog.ts';
import { detailsFromJson } from './backupDetails.ts';
import type { BackupPlanningDeps } from './backupPlanning.ts';

/** The next layer may come this many times later than the last one did. */
const MISSED_RHYTHMS = 2;

export async function warnOfBreakingChain(deps: BackupPlanningDeps, context: StatementContext, jobId: JobId): Promise<void> {
  const { kv, catalog, jobs } = deps;
  const record = await jobs.get(jobId);
  if (record?.status !== 'succeeded') return;
  const { kind, startTime, endTime, spans } = detailsFromJson(record.details);
  if (kind !== 'incremental') return;
  const rhythm = endTime - startTime;
  const snapshot = await catalog.current();
  let first: { readonly tableId: number; readonly at: Timestamp } | undefined;
  for (const tableId of new Set(spans.flatMap((span) => tableOfKey(span.key) ?? []))) {
    const table = snapshot.byId(tableId);
    const at = table && isBackedUp(table) ? kv.gc.thresholds.unreadableAt(tableId, endTime) : undefined;
    if (at !== undefined && (first === undefined || at < first.at)) first = { tableId, at };
  }
  const table = first && snapshot.tableById(first.tableId);
  if (!first || !table || first.at > endTime + MISSED_RHYTHMS * rhythm) return;
  context.notice(`the next incremental of this chain must be taken before ${formatUtc(first.at)}`, {
    severity: 'WARNING',
    code: SqlState.Warning,
    detail: `this layer came ${formatDuration(rhythm)} after the one before; table ${quoteNames(snapshot.fullName(table))} keeps history for gc.ttlseconds = ${kv.gc.thresholds.explain(table.id).ttlSeconds}`,
    hint: 'back up more often, raise gc.ttlseconds, or hold the time with varve_internal.protect_timestamp(target, timestamp)',
  });
}
