/**
 * View guards: what a view reads cannot lose what the view reads of it. Looked at for every table that
 * a schema change writes (SchemaChange.write), so no statement has to think of it; CASCADE drops the
 * views first.
 */
import { StateError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import type { CatalogSnapshot } from '../../../catalog/catalog.ts';
import type { FunctionDescriptor, TableDescriptor } from '../../../catalog/descriptor.ts';
import { quoteNames } from '../../../catalog/names.ts';
import { typesEqual } from '../../../catalog/type.ts';

function dependsOnIt(snapshot: CatalogSnapshot, what: string, of: TableDescriptor, view: TableDescriptor | FunctionDescriptor): StateError {
  if (view.kind === 'function') {
    return new StateError(SqlState.DependentObjectsStillExist, `${what} because function "${view.name}" depends on it`, {
      hint: `consider dropping "${view.name}" first.`,
    });
  }
  const full = snapshot.fullName(view);
  const name = view.parentId === of.parentId ? view.name : quoteNames(full);
  return new StateError(SqlState.DependentObjectsStillExist, `${what} because view "${name}" depends on it`, {
    hint: `you can drop ${name} instead.`,
  });
}

/** Views that read a relation, dropped ones left out. */
export function dependentViews(snapshot: CatalogSnapshot, table: TableDescriptor): TableDescriptor[] {
  return table.dependedOnByIds
    .map((id) => snapshot.tableById(id))
    .filter((user): user is TableDescriptor => user?.view !== undefined && user.state !== 'DROP');
}

/** Functions that read a relation. */
export function dependentFunctions(snapshot: CatalogSnapshot, table: TableDescriptor): FunctionDescriptor[] {
  return table.dependedOnByIds.map((id) => snapshot.functionById(id)).filter((user) => user !== undefined);
}

/** 2BP01 for a change of a relation that a view reads by what the change takes away: its name, a column's name or type, an index. */
export function checkViewsStand(snapshot: CatalogSnapshot, before: TableDescriptor, after: TableDescriptor): void {
  if (before.dependedOnByIds.length === 0 || after.state === 'DROP' || keepsWhatViewsRead(before, after)) return;
  for (const view of [...dependentViews(snapshot, before), ...dependentFunctions(snapshot, before)]) {
    if (!after.dependedOnByIds.includes(view.id)) continue;
    if (before.name !== after.name || before.parentId !== after.parentId) {
      const isNear = view.parentId === before.parentId && view.kind === 'table';
      const name = isNear ? before.name : quoteNames(snapshot.fullName(before));
      throw dependsOnIt(snapshot, `cannot rename relation "${name}"`, before, view);
    }
    if (before.schemaId !== after.schemaId) {
      const name = view.kind === 'table' ? before.name : quoteNames(snapshot.fullName(before));
      throw dependsOnIt(snapshot, `cannot set schema on relation "${name}"`, before, view);
    }
    const uses = (view.kind === 'function' ? view.columnUses : view.view?.columnUses)?.find(({ id }) => id === before.id);
    for (const columnId of uses?.columnIds ?? []) {
      const old = before.columns.find(({ id }) => id === columnId);
      const now = after.columns.find(({ id }) => id === columnId);
      if (!old) continue;
      if (!now) throw dependsOnIt(snapshot, `cannot drop column "${old.name}"`, before, view);
      if (now.name !== old.name) throw dependsOnIt(snapshot, `cannot rename column "${old.name}"`, before, view);
      if (!typesEqual(now.type, old.type)) throw dependsOnIt(snapshot, `cannot alter type of column "${old.name}"`, before, view);
    }
    for (const indexId of uses?.indexIds ?? []) {
      const old = before.indexes.find(({ id }) => id === indexId);
      const now = after.indexes.find(({ id }) => id === indexId);
      if (old && now?.name !== old.name) throw dependsOnIt(snapshot, `cannot ${now ? 'rename' : 'drop'} index "${old.name}"`, before, view);
    }
  }
}

/** Whether a change takes nothing that any view could read: most tell a table who depends on it, and hundreds may. */
function keepsWhatViewsRead(before: TableDescriptor, after: TableDescriptor): boolean {
  return (
    before.name === after.name &&
    before.parentId === after.parentId &&
    before.schemaId === after.schemaId &&
    before.columns.every((old, i) => {
      const now = after.columns[i];
      return now === old || (now?.id === old.id && now.name === old.name && typesEqual(now.type, old.type));
    }) &&
    before.indexes.every((old, i) => after.indexes[i]?.id === old.id && after.indexes[i]?.name === old.name)
  );
}

/** 2BP01 for the drop of a relation that a view reads. */
export function cannotDrop(snapshot: CatalogSnapshot, table: TableDescriptor, view: TableDescriptor): StateError {
  return dependsOnIt(snapshot, `cannot drop relation "${table.name}"`, table, view);
}
