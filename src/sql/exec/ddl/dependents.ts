/**
 * Dependents: relations list the views and functions that read them.
 */
import { updated } from '../../../catalog/descriptor.ts';
import type { SchemaChange } from './common.ts';

/** Lists a view with what it reads, and no longer with what it does not read any more. */
export async function noteDependent(
  change: SchemaChange,
  viewId: number,
  before: readonly number[],
  after: readonly number[],
): Promise<void> {
  for (const id of new Set([...before, ...after])) {
    const used = change.snapshot.tableById(id);
    if (!used || used.state === 'DROP' || before.includes(id) === after.includes(id)) continue;
    const others = used.dependedOnByIds.filter((other) => other !== viewId);
    const dependedOnByIds = after.includes(id) ? [...others, viewId].sort((a, b) => a - b) : others;
    await change.write(updated(used, { dependedOnByIds }));
  }
}
