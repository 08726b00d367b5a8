/**
 * UNIQUE WITHOUT INDEX in definitions: adding, validating and dropping such constraints.
 *
 * As in CockroachDB they have to be asked for (experimental_enable_unique_without_index_constraints): each row change reads
 * for them, the whole table where no index serves. Adding one reads all rows in the statement's transaction. Lives elsewhere:
 * keeping them (../uniqueChecks.ts).
 */
import { StateError, StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import { type TableDescriptor, type UniqueConstraintDescriptor, updated } from '../../../catalog/descriptor.ts';
import type { IndexElement, TableConstraint } from '../../parse/ast.ts';
import { validateUnique } from '../uniqueChecks.ts';
import { dropForeignKey } from './dropForeignKey.ts';
import type { SchemaChange } from './common.ts';
import type { TableInMaking } from './tableInMaking.ts';

type Unique = Extract<TableConstraint, { kind: 'primaryKey' | 'unique' }>;

/** The descriptor, with the table's next constraint id. 0A000 unless the session allows it, and for what only an index can do. */
export function uniqueWithoutIndex(
  builder: TableInMaking,
  element: Unique,
  validated: boolean,
  taken: readonly string[],
): UniqueConstraintDescriptor {
  const refuse = (message: string): never => {
    throw new StatementError(SqlState.FeatureNotSupported, message);
  };
  if (!builder.change.context.session.vars.isOn('experimental_enable_unique_without_index_constraints')) {
    refuse('unique constraints without an index are not yet supported');
  }
  if (element.storing.length > 0) refuse('unique constraints without an index cannot store columns');
  if (element.sharded) refuse('hash sharded unique constraints without an index are not supported');
  if (element.where) refuse('unique constraints with a predicate but without an index are not supported');
  const { columnIds } = builder.keyColumns(element.columns);
  return { id: builder.table.nextConstraintId, name: nameOf(element, taken), columnIds, validated };
}

const columnName = ({ expr }: IndexElement): string => (expr.kind === 'column' ? (expr.parts[0]?.text ?? '') : '');

/** `unique_a_b`, `unique_a_b_1`, ... 42710 for a given one that is taken. */
function nameOf({ name, columns }: Unique, taken: readonly string[]): string {
  if (name) {
    if (!taken.includes(name.text)) return name.text;
    throw new StatementError(SqlState.DuplicateObject, `duplicate constraint name: "${name.text}"`);
  }
  const base = ['unique', ...columns.map(columnName)].join('_');
  if (!taken.includes(base)) return base;
  for (let i = 1; ; i++) if (!taken.includes(`${base}_${i}`)) return `${base}_${i}`;
}

/** ADD CONSTRAINT. 23505 when rows share a key, unless it is NOT VALID. */
export async function addUniqueWithoutIndex(
  change: SchemaChange,
  builder: TableInMaking,
  element: Unique,
  validates: boolean,
): Promise<void> {
  const unique = builder.addUniqueWithoutIndex(element, validates);
  if (validates) await validateUnique(builder.table, unique, change.context.newRun(0, 0));
  await change.write(builder.table);
}

/** VALIDATE CONSTRAINT. */
export async function validateUniqueWithoutIndex(
  change: SchemaChange,
  table: TableDescriptor,
  unique: UniqueConstraintDescriptor,
): Promise<void> {
  if (unique.validated) return;
  await validateUnique(table, unique, change.context.newRun(0, 0));
  const all = table.uniqueWithoutIndex ?? [];
  await change.write(updated(table, { uniqueWithoutIndex: all.map((one) => (one.id === unique.id ? { ...one, validated: true } : one)) }));
}

/** Takes constraints away. 2BP01 while a foreign key refers to one and nothing else serves it, unless it is to go as well. */
export async function dropUniqueWithoutIndex(
  change: SchemaChange,
  table: TableDescriptor,
  dropped: readonly UniqueConstraintDescriptor[],
  cascade: boolean,
): Promise<void> {
  for (const unique of dropped) {
    for (const childId of table.referencedByIds) {
      for (const fk of change.snapshot.tableById(childId)?.foreignKeys ?? []) {
        const isServed =
          fk.referencedColumnIds.length === unique.columnIds.length && fk.referencedColumnIds.every((id) => unique.columnIds.includes(id));
        if (fk.referencedTableId !== table.id || !isServed) continue;
        const child = change.snapshot.tableById(childId);
        if (!child) continue;
        if (!cascade) {
          throw new StateError(
            SqlState.DependentObjectsStillExist,
            `"${unique.name}" is referenced by foreign key from table "${child.name}"`,
          );
        }
        await dropForeignKey(change, child, fk.id);
      }
    }
  }
  const current = change.snapshot.tableById(table.id) ?? table;
  const ids = dropped.map(({ id }) => id);
  await change.write(updated(current, { uniqueWithoutIndex: (current.uniqueWithoutIndex ?? []).filter(({ id }) => !ids.includes(id)) }));
}
