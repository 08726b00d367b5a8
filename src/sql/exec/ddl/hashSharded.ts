/**
 * Hash-sharded keys and indexes: USING HASH.
 *
 * The key begins with a hidden computed column, the bucket that a hash of the other columns gives (catalog/buckets.ts), so that
 * neighbouring keys lie apart. It is virtual in a secondary index and stored in a primary key; statements do not name it, and
 * conditions on the columns find the bucket by themselves (plan/bucketFacts.ts).
 */
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import { bucketColumnName } from '../../../catalog/buckets.ts';
import { type ColumnDescriptor, columnById, type TableDescriptor } from '../../../catalog/descriptor.ts';
import { quoteName } from '../../../catalog/names.ts';
import { Type } from '../../../catalog/type.ts';
import type { HashSharding, Option } from '../../parse/ast.ts';
import { parseExpression } from '../../parse/parse.ts';
import type { SchemaChange } from './common.ts';
import { storeIndexExpression } from './storedExpr.ts';

const BUCKETS_MAX = 2048;

/** How many buckets a key is to have; undefined for one that is not sharded. 22023 for a number out of range. */
export async function bucketsOf(
  change: SchemaChange,
  element: { readonly sharded?: HashSharding; readonly storageParams?: readonly Option[]; readonly inverted?: boolean },
): Promise<number | undefined> {
  const param = element.storageParams?.find((option) => option.name === 'bucket_count')?.value;
  if (!element.sharded) {
    if (param === undefined) return undefined;
    throw new StatementError(
      SqlState.InvalidParameterValue,
      '"bucket_count" storage param should only be set with "USING HASH" for hash sharded index',
    );
  }
  if (element.inverted) throw new StatementError(SqlState.InvalidTableDefinition, "inverted indexes don't support hash sharding");
  const { settings } = change.context.engine;
  const asked = element.sharded.buckets ?? param;
  const buckets =
    asked === undefined
      ? Number(settings.get('sql.defaults.default_hash_sharded_index_bucket_count'))
      : await change.context.evalInt(asked);
  if (buckets === undefined || !(buckets > 1 && buckets <= BUCKETS_MAX)) {
    throw new StatementError(
      SqlState.InvalidParameterValue,
      `hash sharded index bucket count must be in range [2, ${BUCKETS_MAX}], got ${buckets ?? 'NULL'}`,
    );
  }
  return Number(buckets);
}

/** The column of the bucket: one there is, or a new one with the table's next id. */
export function bucketColumn(
  change: SchemaChange,
  table: TableDescriptor,
  columnIds: readonly number[],
  buckets: number,
  isStored: boolean,
): ColumnDescriptor {
  const columns = columnIds.map((id) => columnById(table, id));
  if (columns.some((column) => column?.isIndexExpression)) {
    throw new StatementError(SqlState.FeatureNotSupported, 'hash-sharded indexes over expressions are not supported');
  }
  const names = columns.map((column) => column?.name ?? '');
  const expr = `mod(fnv32(crdb_internal.datums_to_bytes(${names.map(quoteName).join(', ')})), ${buckets})`;
  const { text } = storeIndexExpression(change, parseExpression(expr), table);
  const known = table.columns.find(
    (column) => column.isIndexExpression && column.computeExpr === text && (column.isVirtual ?? false) !== isStored,
  );
  if (known) return known;
  return {
    id: table.nextColumnId,
    name: bucketColumnName(names, buckets),
    type: Type.Int8,
    nullable: false,
    computeExpr: text,
    ...(!isStored && { isVirtual: true }),
    isIndexExpression: true,
    hidden: true,
    state: 'public',
  };
}
