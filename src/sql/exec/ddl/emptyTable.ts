/**
 * A table's descriptor before it has columns: what CREATE TABLE, CREATE TABLE AS and views begin with.
 */
import type { ResolvedSchema } from '../../../catalog/catalog.ts';
import type { TableDescriptor } from '../../../catalog/descriptor.ts';
import { newTable } from '../../../catalog/newTable.ts';
import type { RunContext } from '../context.ts';
import { nameStyle, primaryKeyName } from './constraintNames.ts';
import { newPrivileges } from './newPrivileges.ts';

export function emptyTable(id: number, name: string, schema: ResolvedSchema, { user, engine }: RunContext): TableDescriptor {
  return newTable({
    id,
    name,
    parentId: schema.database.id,
    schemaId: schema.id,
    temporary: schema.descriptor?.temporary,
    privileges: newPrivileges('table', user, schema),
    primaryKeyName: primaryKeyName(nameStyle(engine.settings), name),
  });
}
