/**
 * 23503 in PostgreSQL's words: what refers to nothing, and what is still referred to.
 */
import { ConstraintError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { Datum } from '../../catalog/datum.ts';
import type { ForeignKeyDescriptor, TableDescriptor } from '../../catalog/descriptor.ts';
import { tableShape } from '../plan/tableShape.ts';
import { describeKey } from './describeRow.ts';

/** 23503: a row refers to what is not there. */
export function notPresent(
  table: TableDescriptor,
  parent: TableDescriptor,
  fk: ForeignKeyDescriptor,
  verb: string,
  key: readonly Datum[],
): ConstraintError {
  return violation(table, fk, `${verb} on table "${table.name}" violates foreign key constraint "${fk.name}"`, {
    detail: `Key ${keyText(table, fk.columnIds, key)} is not present in table "${parent.name}".`,
  });
}

/** 23503: what rows refer to has gone. */
export function stillReferenced(
  table: TableDescriptor,
  child: TableDescriptor,
  fk: ForeignKeyDescriptor,
  verb: string,
  key: readonly Datum[],
): ConstraintError {
  const message = `${verb} on table "${table.name}" violates foreign key constraint "${fk.name}" on table "${child.name}"`;
  return violation(child, fk, message, {
    detail: `Key ${keyText(table, fk.referencedColumnIds, key)} is still referenced from table "${child.name}".`,
  });
}

export function violation(
  { name, id }: TableDescriptor,
  fk: ForeignKeyDescriptor,
  message: string,
  { detail }: { readonly detail: string },
): ConstraintError {
  return new ConstraintError(SqlState.ForeignKeyViolation, message, { detail, constraint: fk.name, table: name, relationId: id });
}

/** `(a, b)=(1, 2)` */
function keyText(table: TableDescriptor, columnIds: readonly number[], key: readonly Datum[]): string {
  const row: Datum[] = table.columns.map(() => null);
  columnIds.forEach((id, i) => {
    row[tableShape(table).positionOf(id)] = key[i] as Datum;
  });
  return describeKey(table, columnIds, row);
}
