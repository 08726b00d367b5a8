/**
 * Lock errors in the user's words: the kv layer knows a key, the user a row of a table.
 */
import { type VarveError, StateError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { CatalogSnapshot } from '../../catalog/catalog.ts';
import { formatDatum } from '../../catalog/datumText.ts';
import { columnById, indexById } from '../../catalog/descriptor.ts';
import { rowDecoder } from '../../catalog/rowCodec.ts';
import { indexOfKey } from '../../kv/indexOfKey.ts';
import { LOCK_REFUSALS, LockNotAvailableError } from '../../kv/retryErrors.ts';

/** `could not obtain lock on row (id)=(1) in t@t_pkey`, as CockroachDB says it; any other error as it is. */
export function nameLockedRow(error: unknown, snapshot: CatalogSnapshot | undefined): unknown {
  if (!(error instanceof LockNotAvailableError) || snapshot === undefined) return error;
  const { tableId, indexId } = indexOfKey(error.key);
  const table = snapshot.tableById(tableId);
  const index = table && indexById(table, indexId);
  if (!table || !index) return error;
  const values = rowDecoder(table, index, index.columnIds).decodeOne(error.key, '' as typeof error.key);
  const columns = index.columnIds.map((id) => columnById(table, id));
  const names = columns.map((column) => column?.name ?? '');
  const texts = columns.map((column, i) => {
    const value = values[i] ?? null;
    return column === undefined || value === null ? 'NULL' : formatDatum(column.type, value);
  });
  const row = `(${names.join(',')})=(${texts.join(',')}) in ${table.name}@${index.name}`;
  const named: VarveError = new StateError(SqlState.LockNotAvailable, `${LOCK_REFUSALS[error.reason]} on row ${row}`, {
    detail: error.detail,
    cause: error,
  });
  return named;
}
