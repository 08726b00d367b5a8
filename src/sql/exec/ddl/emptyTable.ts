/**
 * A table's descriptor before it has columns: what CREATE TABLE, CREATE TABLE AS and views begin with.
 */
import { MIN_TIMESTAMP } from '../../../base/timestamp.ts';
import type { ResolvedSchema } from '../../../catalog/catalog.ts';
import { PRIMARY_INDEX_ID, type TableDescriptor } from '../../../catalog/descriptor.ts';
import type { RunContext } from '../context.ts';
import { nameStyle, primaryKeyName } from './constraintNames.ts';
import { newPrivileges } from './newPrivileges.ts';

export function emptyTable(id: number, name: string, schema: ResolvedSchema, { user, engine }: RunContext): TableDescriptor {
  return {
    kind: 'table',
    id,
    name,
    parentId: schema.database.id,
    schemaId: schema.id,
    ...(schema.descriptor?.temporary && { temporary: true as const }),
    version: 1,
    modificationTime: MIN_TIMESTAMP,
    state: 'PUBLIC',
    privileges: newPrivileges('table', user, schema),
    columns: [],
    nextColumnId: 1,
    families: [],
    nextFamilyId: 0,
    primaryIndex: {
      id: PRIMARY_INDEX_ID,
      name: primaryKeyName(nameStyle(engine.settings), name),
      unique: true,
      columnIds: [],
      directions: [],
      storeColumnIds: [],
      keySuffixColumnIds: [],
      state: 'public',
    },
    indexes: [],
    nextIndexId: PRIMARY_INDEX_ID + 1,
    checks: [],
    foreignKeys: [],
    referencedByIds: [],
    dependedOnByIds: [],
    nextConstraintId: 1,
    createTime: MIN_TIMESTAMP,
  };
}
