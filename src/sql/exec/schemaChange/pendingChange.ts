/**
 * PendingChange: one intermediate state of a table, and the two descriptors it can end in.
 *
 *   write-only, enforced ──published──▶ public, validated
 *                        └─discarded──▶ as if it had never been asked for
 *
 * Pure: from descriptor to descriptor. Ids whose object is gone (another statement of the same
 * transaction dropped it) are passed over.
 */
import { type PendingChange, type TableDescriptor, updated } from '../../../catalog/descriptor.ts';

/** What one statement adds to a change. */
export type PendingParts = Partial<Omit<PendingChange, 'jobId'>>;

/** The change with more in it. */
export function withParts(pending: PendingChange | undefined, jobId: number, parts: PendingParts): PendingChange {
  return {
    jobId,
    columnIds: [...(pending?.columnIds ?? []), ...(parts.columnIds ?? [])],
    indexIds: [...(pending?.indexIds ?? []), ...(parts.indexIds ?? [])],
    constraintIds: [...(pending?.constraintIds ?? []), ...(parts.constraintIds ?? [])],
    notNull: [...(pending?.notNull ?? []), ...(parts.notNull ?? [])],
    validateIds: [...(pending?.validateIds ?? []), ...(parts.validateIds ?? [])],
  };
}

/** The table with its pending change done; the same table when there is none. */
export function published(table: TableDescriptor): TableDescriptor {
  const pending = table.pendingChange;
  if (!pending) return table;
  const valid = new Set([...pending.constraintIds, ...pending.validateIds]);
  const stoodIn = new Set(pending.notNull.map((one) => one.checkId));
  const notNull = new Set(pending.notNull.map((one) => one.columnId));
  return updated(table, {
    columns: table.columns.map((column) => ({
      ...column,
      ...(pending.columnIds.includes(column.id) && { state: 'public' as const }),
      ...(notNull.has(column.id) && { nullable: false }),
    })),
    indexes: table.indexes.map((index) => (pending.indexIds.includes(index.id) ? { ...index, state: 'public' as const } : index)),
    checks: table.checks
      .filter((check) => !stoodIn.has(check.id))
      .map((check) => (valid.has(check.id) ? { ...check, validated: true } : check)),
    foreignKeys: table.foreignKeys.map((key) => (valid.has(key.id) ? { ...key, validated: true } : key)),
    pendingChange: undefined,
  });
}

/** The table without its pending change; the same table when there is none. References from other tables are the caller's. */
export function discarded(table: TableDescriptor): TableDescriptor {
  const pending = table.pendingChange;
  if (!pending) return table;
  const isGone = (id: number) => pending.columnIds.includes(id);
  const dropped = new Set([...pending.constraintIds, ...pending.notNull.map((one) => one.checkId)]);
  return updated(table, {
    columns: table.columns.filter((column) => !isGone(column.id)),
    families: table.families.map((family) => ({ ...family, columnIds: family.columnIds.filter((id) => !isGone(id)) })),
    indexes: table.indexes.filter((index) => !pending.indexIds.includes(index.id)),
    checks: table.checks.filter((check) => !dropped.has(check.id)),
    foreignKeys: table.foreignKeys.filter((key) => !dropped.has(key.id)),
    pendingChange: undefined,
  });
}
