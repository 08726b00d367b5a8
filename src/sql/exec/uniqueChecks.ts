/**
 * UNIQUE WITHOUT INDEX: constraints that are kept by reading. At the end of a statement the rows that have the keys of those
 * it wrote are looked for, through an index on the columns if there is one, and through all rows if there is none. What was read
 * is validated at the commit at every isolation level, so rows that come in between fail it.
 *
 * Lives elsewhere: when it is done, and finding the rows (foreignKeys.ts).
 */
import { ConstraintError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { Datum } from '../../catalog/datum.ts';
import type { TableDescriptor, UniqueConstraintDescriptor } from '../../catalog/descriptor.ts';
import { keyHash, type KeyRow, keyOf, wholeScan } from './keyRows.ts';
import { compileReadOnly } from './operators.ts';
import type { Run } from './run.ts';
import { describeKey } from './describeRow.ts';

/** The keys of some rows, each once; a key with a NULL equals none. */
export function distinctKeys(table: TableDescriptor, columnIds: readonly number[], rows: readonly (readonly Datum[])[]): KeyRow[] {
  const hash = keyHash(table, columnIds);
  const keys = rows.map((row) => keyOf(table, columnIds, row)).filter((key) => !key.includes(null));
  return [...new Map(keys.map((key) => [hash(key), key])).values()];
}

/** 23505 when two of the rows have one key. */
export function refuseDuplicates(table: TableDescriptor, unique: UniqueConstraintDescriptor, rows: readonly (readonly Datum[])[]): void {
  const found = duplicateIn(table, unique, rows, new Set());
  if (!found) return;
  throw error(table, unique, `duplicate key value violates unique constraint "${unique.name}"`, `${found} already exists.`);
}

/** Looks at every row of a table, for ADD CONSTRAINT and VALIDATE. 23505 shows the first key that comes twice. */
export async function validateUnique(table: TableDescriptor, unique: UniqueConstraintDescriptor, run: Run): Promise<void> {
  const seen = new Set<unknown>();
  for await (const rows of compileReadOnly(wholeScan(table))(run)) {
    const found = duplicateIn(table, unique, rows, seen);
    if (found) throw error(table, unique, `could not create unique constraint "${unique.name}"`, `${found} is duplicated.`);
  }
}

/** `Key (a)=(1)`: the first key that is in `seen` or comes twice. */
function duplicateIn(
  table: TableDescriptor,
  { columnIds }: UniqueConstraintDescriptor,
  rows: readonly (readonly Datum[])[],
  seen: Set<unknown>,
): string | undefined {
  const hash = keyHash(table, columnIds);
  for (const row of rows) {
    const key = keyOf(table, columnIds, row);
    if (key.includes(null)) continue;
    const mark = hash(key);
    if (seen.has(mark)) return `Key ${describeKey(table, columnIds, row)}`;
    seen.add(mark);
  }
  return undefined;
}

function error(table: TableDescriptor, { name }: UniqueConstraintDescriptor, message: string, detail: string): ConstraintError {
  return new ConstraintError(SqlState.UniqueViolation, message, { detail, constraint: name, table: table.name, relationId: table.id });
}
