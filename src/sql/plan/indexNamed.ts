/**
 * An index by name. The primary key may be asked for by the name that either style gives it when nobody names it,
 * `primary` and `t_pkey` (../exec/ddl/constraintNames.ts), unless another index has that name.
 */
import { allIndexes, type IndexDescriptor, type TableDescriptor } from '../../catalog/descriptor.ts';

export function indexNamed(table: TableDescriptor, name: string): IndexDescriptor | undefined {
  const found = allIndexes(table).find((index) => index.name === name);
  return found ?? (name === 'primary' || name === `${table.name}_pkey` ? table.primaryIndex : undefined);
}
