/**
 * The descriptor of a table that is new, whoever makes it: CREATE TABLE, a view, a sequence, a userfile.
 */
import { MIN_TIMESTAMP } from '../base/timestamp.ts';
import { type ColumnDescriptor, PRIMARY_INDEX_ID, type TableDescriptor } from './descriptor.ts';

export interface NewTable extends Pick<TableDescriptor, 'id' | 'name' | 'parentId' | 'schemaId' | 'privileges'> {
  readonly temporary?: true | undefined;
  readonly primaryKeyName: string;
  /** With ids from 1, in one family; without any the caller adds its own. */
  readonly columns?: readonly ColumnDescriptor[];
  /** The first so many are the primary key, ascending. */
  readonly keyColumns?: number;
}

export function newTable({ primaryKeyName, temporary, columns = [], keyColumns = 0, ...own }: NewTable): TableDescriptor {
  const columnIds = columns.map(({ id }) => id);
  const keyIds = columnIds.slice(0, keyColumns);
  return {
    kind: 'table',
    ...own,
    ...(temporary && { temporary }),
    version: 1,
    modificationTime: MIN_TIMESTAMP,
    state: 'PUBLIC',
    columns,
    nextColumnId: columns.length + 1,
    families: columns.length > 0 ? [{ id: 0, name: 'primary', columnIds }] : [],
    nextFamilyId: columns.length > 0 ? 1 : 0,
    primaryIndex: {
      id: PRIMARY_INDEX_ID,
      name: primaryKeyName,
      unique: true,
      columnIds: keyIds,
      directions: keyIds.map(() => 'ASC'),
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
