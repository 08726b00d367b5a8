/** Errors about a table's rows also name the table's schema, which those who write rows do not know. */
import { isVarveError, withFields } from '../../base/errors.ts';
import type { CatalogSnapshot } from '../../catalog/catalog.ts';

/** The same error, with the schema of the table that it names. */
export function nameSchema(error: unknown, snapshot: CatalogSnapshot | undefined): unknown {
  if (!snapshot || !isVarveError(error) || error.relationId === undefined) return error;
  const table = snapshot.tableById(error.relationId);
  const schema = table && snapshot.fullName(table).at(-2);
  return schema === undefined ? error : withFields(error, { schema });
}
