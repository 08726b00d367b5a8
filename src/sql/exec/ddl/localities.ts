/**
 * Where a table is at home: the LOCALITY of a table that is being made, and its indexes. Lives elsewhere: SET LOCALITY (setLocality.ts).
 *
 * GLOBAL and REGIONAL BY TABLE are a word in the descriptor and a zone. A REGIONAL BY ROW table has its rows' regions in a
 * column, which comes first in the key of every index without being named there, so that the rows of a region lie together;
 * what is unique is so over all regions (../uniqueChecks.ts).
 */
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import {
  type ColumnDescriptor,
  columnByName,
  type IndexDescriptor,
  type TableDescriptor,
  type TableLocality,
} from '../../../catalog/descriptor.ts';
import { enumTypeOf } from '../../../catalog/enumType.ts';
import { quoteName } from '../../../catalog/names.ts';
import { type DatabaseRegions, REGION_COLUMN_NAME, REGION_TYPE_NAME, regionsOf } from '../../../catalog/regions.ts';
import { sqlTypeName } from '../../../catalog/type.ts';
import type { TableLocalityClause } from '../../parse/ast.ts';
import type { SchemaChange } from './common.ts';
import type { TableInMaking } from './tableInMaking.ts';

/** The default of crdb_region: where the row is inserted. */
const REGION_DEFAULT = `default_to_database_primary_region(gateway_region())::public.${REGION_TYPE_NAME}`;

/** The regions of a table's database. 42P16 when it has none. */
export function requireRegions(change: SchemaChange, table: TableDescriptor): DatabaseRegions {
  const database = change.snapshot.databaseById(table.parentId);
  const regions = regionsOf(database, change.snapshot);
  if (regions) return regions;
  throw new StatementError(
    SqlState.InvalidTableDefinition,
    'cannot set LOCALITY on a table in a database that is not multi-region enabled',
    {
      hint: `database must first be multi-region enabled using ALTER DATABASE ${quoteName(database?.name ?? '')} SET PRIMARY REGION <region_name>`,
    },
  );
}

/** Gives a table that is being made its locality, before it has keys: those of a REGIONAL BY ROW table come to begin with the region. */
export function takeLocality(builder: TableInMaking, clause: TableLocalityClause): void {
  const { change, table } = builder;
  if (table.temporary) {
    throw new StatementError(SqlState.FeatureNotSupported, 'LOCALITY is not supported on temporary tables');
  }
  const regions = requireRegions(change, table);
  const locality = localityMeant(builder, clause, regions);
  builder.set({ locality });
}

/** What a clause means. Adds crdb_region where rows need it and have none. */
export function localityMeant(builder: TableInMaking, clause: TableLocalityClause, regions: DatabaseRegions): TableLocality | undefined {
  if (clause.type === 'global') return { kind: 'global' };
  if (clause.type === 'table') {
    const region = clause.region?.text;
    if (region === undefined) return undefined;
    requireInDatabase(builder, region, regions);
    return { kind: 'table', region };
  }
  const name = clause.column?.text ?? REGION_COLUMN_NAME;
  const known = columnByName(builder.table, name);
  if (!known && clause.column) throw new StatementError(SqlState.UndefinedColumn, `column "${name}" does not exist`);
  const column = known ?? addRegionColumn(builder, regions);
  if (column.type.typeId !== regions.typeId) {
    throw new StatementError(
      SqlState.InvalidTableDefinition,
      `cannot use column ${name} which has type ${sqlTypeName(column.type)} in REGIONAL BY ROW${clause.column ? ' AS' : ''}`,
      { detail: `REGIONAL BY ROW AS must reference a column of type ${REGION_TYPE_NAME}` },
    );
  }
  if (column.isVirtual) {
    throw new StatementError(SqlState.InvalidTableDefinition, `cannot use virtual column "${name}" for REGIONAL BY ROW tables`);
  }
  if (column.nullable) {
    throw new StatementError(SqlState.InvalidTableDefinition, `REGIONAL BY ROW column "${name}" must be NOT NULL`, {
      hint: `ALTER TABLE ... ALTER COLUMN ${quoteName(name)} SET NOT NULL`,
    });
  }
  return { kind: 'row', columnId: column.id, ...(clause.column && { isNamed: true }) };
}

function requireInDatabase({ change, table }: TableInMaking, region: string, { names }: DatabaseRegions): void {
  if (names.includes(region)) return;
  const database = change.snapshot.databaseById(table.parentId)?.name ?? '';
  throw new StatementError(SqlState.InvalidTableDefinition, `region "${region}" has not been added to database "${database}"`, {
    hint: `available regions: ${names.join(', ')}`,
  });
}

function addRegionColumn(builder: TableInMaking, regions: DatabaseRegions): ColumnDescriptor {
  const { change, table } = builder;
  const type = change.snapshot.typeById(regions.typeId);
  if (!type) throw new StatementError(SqlState.InternalError, 'internal error: a database whose region type is gone');
  const column: ColumnDescriptor = {
    id: table.nextColumnId,
    name: REGION_COLUMN_NAME,
    type: enumTypeOf(type, change.snapshot),
    nullable: false,
    defaultExpr: REGION_DEFAULT,
    hidden: true,
    state: 'public',
  };
  builder.set({ columns: [...table.columns, column], nextColumnId: column.id + 1 });
  return column;
}

/** Puts the region before the other columns of a key, and says so; a key that names it stays as it is. */
export function withRegionFirst<I extends Pick<IndexDescriptor, 'columnIds' | 'directions'>>(
  { locality, columns }: TableDescriptor,
  index: I,
): I & { readonly regional?: true } {
  if (locality?.kind !== 'row') return index;
  const { columnId } = locality;
  const at = index.columnIds.indexOf(columnId);
  if (at === 0) return index;
  if (at > 0) {
    const name = columns.find(({ id }) => id === columnId)?.name ?? '';
    throw new StatementError(SqlState.FeatureNotSupported, `the region column "${name}" must come first in an index that names it`);
  }
  return { ...index, columnIds: [columnId, ...index.columnIds], directions: ['ASC', ...index.directions], regional: true };
}

/** 0A000 for what an index of a REGIONAL BY ROW table cannot be. */
export function checkRegionalIndex(
  { locality }: TableDescriptor,
  index: { unique: boolean; where?: unknown; buckets?: number | undefined },
): void {
  if (locality?.kind !== 'row') return;
  const refuse = (what: string): never => {
    throw new StatementError(SqlState.FeatureNotSupported, `${what} indexes of REGIONAL BY ROW tables are not supported yet`);
  };
  if (index.buckets !== undefined) refuse('hash-sharded');
  if (index.unique && index.where !== undefined) refuse('partial unique');
}
