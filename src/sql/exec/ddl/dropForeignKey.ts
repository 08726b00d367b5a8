/** Drops a foreign key, and the referenced table's note of it when no other one is left. */
import { type TableDescriptor, updated } from '../../../catalog/descriptor.ts';
import type { SchemaChange } from './common.ts';

export async function dropForeignKey(change: SchemaChange, table: TableDescriptor, id: number): Promise<void> {
  const fk = table.foreignKeys.find((one) => one.id === id);
  if (!fk) return;
  const foreignKeys = table.foreignKeys.filter((one) => one.id !== id);
  const isStillReferring = foreignKeys.some((one) => one.referencedTableId === fk.referencedTableId);
  if (fk.referencedTableId === table.id) {
    const referencedByIds = isStillReferring ? table.referencedByIds : table.referencedByIds.filter((one) => one !== table.id);
    await change.write(updated(table, { foreignKeys, referencedByIds }));
    return;
  }
  await change.write(updated(table, { foreignKeys }));
  const parent = change.snapshot.tableById(fk.referencedTableId);
  if (parent && !isStillReferring) {
    await change.write(updated(parent, { referencedByIds: parent.referencedByIds.filter((one) => one !== table.id) }));
  }
}
