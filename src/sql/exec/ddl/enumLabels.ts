/**
 * Labels of enums as they come and go, and the tables that carry the type: what ALTER TYPE and ALTER DATABASE ... REGION share.
 *
 * A label can go when no row holds it and no stored expression names it; finding out reads the tables that use the type.
 */
import { isVarveError, StateError, StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import { utf8Encode } from '../../../base/bytes.ts';
import type { Datum } from '../../../catalog/datum.ts';
import { type TableDescriptor, type TypeDescriptor, updated } from '../../../catalog/descriptor.ts';
import { userPartOf } from '../../../catalog/enumType.ts';
import type { Expr, TypeName } from '../../parse/ast.ts';
import { parseExpression } from '../../parse/parse.ts';
import { wholeScan } from '../keyRows.ts';
import { compileReadOnly } from '../operators.ts';
import type { SchemaChange } from './common.ts';
import { type Rewrite, storedExpressions, visitTree } from './storedTexts.ts';
import { checkView } from './viewText.ts';
import { namesType, refreshUsers } from './typeUsers.ts';

/** Writes a type, and everything that uses it as it uses it now. */
export async function writeType(change: SchemaChange, type: TypeDescriptor, rewrite?: Rewrite): Promise<void> {
  for (const id of type.referencedByIds) {
    const table = change.snapshot.tableById(id);
    if (table) await change.awaitPending(table);
  }
  await change.write(type);
  await refreshUsers(change, type, rewrite);
}

/** Takes a label away. 42704 when there is none; 2BP01 while a row has it, or an expression names it. */
export async function removeLabel(change: SchemaChange, type: TypeDescriptor, label: string): Promise<void> {
  const at = type.members.indexOf(label);
  if (at < 0) throw new StatementError(SqlState.UndefinedObject, `enum value "${label}" does not exist`);
  const inUse = (table: TableDescriptor): StateError =>
    new StateError(SqlState.DependentObjectsStillExist, `could not remove enum value "${label}" as it is being used by "${table.name}"`);
  const isOfType = namesType(change, type);
  for (const id of type.referencedByIds) {
    const table = change.snapshot.tableById(id);
    if (!table || table.state === 'DROP') continue;
    const trees: unknown[] = storedExpressions(table).map(parseExpression);
    for (const tree of trees) {
      visitTree(tree, (node) => {
        if (labelOf(node, isOfType, label)) throw inUse(table);
      });
    }
    if (!table.view && (await holdsLabel(change, table, type.id, label))) throw inUse(table);
  }
  const without = <T>(list: readonly T[]): T[] => list.filter((_, i) => i !== at);
  await writeType(change, updated(type, { members: without(type.members), physical: without(type.physical) }));
  checkViews(change, type, (view) => `could not remove enum value "${label}" as it is being used by "${view}"`);
}

/** 2BP01 when a view's text means nothing any more: it may name a label without the type beside it. */
export function checkViews(change: SchemaChange, { id, referencedByIds }: TypeDescriptor, message: (view: string) => string): void {
  for (const view of change.snapshot.all()) {
    if (view.kind !== 'table' || !view.view || view.state === 'DROP') continue;
    if (!view.view.typeIds.includes(id) && !view.view.dependsOnIds.some((used) => referencedByIds.includes(used))) continue;
    try {
      checkView(change, view);
    } catch (error) {
      if (!isVarveError(error)) throw error;
      throw new StateError(SqlState.DependentObjectsStillExist, message(view.name), { detail: error.message });
    }
  }
}

/** Does a row of the table hold the label? Cost: a scan, whose rows join the read set. */
async function holdsLabel(change: SchemaChange, table: TableDescriptor, typeId: number, label: string): Promise<boolean> {
  const positions = table.columns.flatMap((column, i) => (userPartOf(column.type)?.typeId === typeId ? [i] : []));
  if (positions.length === 0) return false;
  const wanted = utf8Encode(label);
  const holds = (datum: Datum | undefined): boolean => (Array.isArray(datum) ? datum.includes(wanted) : datum === wanted);
  for await (const batch of compileReadOnly(wholeScan(table))(change.context.newRun(0, 0))) {
    for (const row of batch) if (positions.some((position) => holds(row[position]))) return true;
  }
  return false;
}

/** Is the node this label under the type's name: `'a':::public.t`, `'a'::public.t` or `public.t 'a'`? */
export function labelOf(node: Readonly<Record<string, unknown>>, isOfType: (name: TypeName) => boolean, label: string): boolean {
  if (node['kind'] === 'typedLiteral') return node['value'] === label && isOfType(node['type'] as TypeName);
  if (node['kind'] !== 'cast' && node['kind'] !== 'annotate') return false;
  const operand = node['operand'] as Expr;
  return operand.kind === 'string' && operand.value === label && isOfType(node['type'] as TypeName);
}
