/**
 * Functions of users by their names: which one a statement means, how the overloads of a name are numbered, and dropping
 * them. What makes and changes them is in functions.ts.
 */
import { StateError, StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import { type FunctionDescriptor, functionPlace, type TableDescriptor, updated } from '../../../catalog/descriptor.ts';
import { quoteNames } from '../../../catalog/names.ts';
import { type ColumnType, sqlTypeName, Type, typesEquivalent } from '../../../catalog/type.ts';
import type { FunctionName } from '../../parse/ast.ts';
import { partsOf, type SchemaChange } from './common.ts';
import { noteDependent } from './dependents.ts';

/** True for what cannot be told apart in a call. */
export function sameParameters(a: readonly { readonly type: ColumnType }[], b: readonly { readonly type: ColumnType }[]): boolean {
  return a.length === b.length && a.every((one, i) => typesEquivalent(one.type, b[i]?.type ?? Type.Unknown));
}

/** 42883 when there is none, or undefined `ifExists`; 42725 when parameters would have to say which. */
export function functionNamed(change: SchemaChange, { name, params }: FunctionName, ifExists = false): FunctionDescriptor | undefined {
  const parts = partsOf(name);
  const written = parts.join('.');
  const all = change.snapshot.resolveFunctions(parts, change.context.names);
  const types = params?.map((type) => ({ type: change.columnType(type).type }));
  const found = types ? all.filter((one) => sameParameters(one.params, types)) : all;
  const [first] = found;
  if (!first) {
    if (ifExists) return undefined;
    const shown = types ? `${written}(${types.map(({ type }) => sqlTypeName(type).toLowerCase()).join(',')})` : `${written}()`;
    throw new StatementError(SqlState.UndefinedFunction, types ? `function ${shown} does not exist` : `unknown function: ${shown}`);
  }
  const isSeveral = !types && found.some((one) => one.id !== first.id && one.schemaId === first.schemaId);
  if (isSeveral) throw new StatementError(SqlState.AmbiguousFunction, `function name "${written}" is not unique`);
  return first;
}

/**
 * Some functions at once: references among them hinder nothing. 2BP01 when something else uses one; `dropView` takes views
 * that do away first, as CASCADE asks for, and functions go with it.
 */
export async function dropFunctions(
  change: SchemaChange,
  functions: readonly FunctionDescriptor[],
  dropView?: (view: TableDescriptor) => Promise<void>,
): Promise<void> {
  const doomed = new Set(functions.map(({ id }) => id));
  const { catalog } = change.context.engine;
  for (const { id } of functions) {
    for (const userId of dropView ? (change.snapshot.functionById(id)?.referencedByIds ?? []) : []) {
      const user = change.snapshot.byId(userId);
      if (user?.kind === 'table' && user.view && user.state !== 'DROP') await dropView?.(user);
      if (user?.kind === 'function' && !doomed.has(userId)) await dropFunctions(change, [user], dropView);
    }
    const current = change.snapshot.functionById(id);
    if (!current) continue;
    refuseUsed(change, current, `cannot drop function "${current.name}"`, doomed);
    await change.write(updated(current, { state: 'DROP' }));
    await noteDependent(change, id, current.dependsOnIds, []);
    await leaveName(change, change.snapshot.functionById(id) ?? current);
    await catalog.lock(change.txn, [id]);
    catalog.deleteDescriptor(change.txn, id);
    await change.refresh();
  }
}

/** 2BP01 when something else than `doomed` uses it. */
export function refuseUsed(change: SchemaChange, used: FunctionDescriptor, what: string, doomed: ReadonlySet<number>): void {
  const users = used.referencedByIds.flatMap((id) => {
    const user = doomed.has(id) ? undefined : change.snapshot.byId(id);
    return user && (user.kind === 'table' || user.kind === 'function') && user.state !== 'DROP' ? [user] : [];
  });
  if (users.length === 0) return;
  const list = users.map((user) => quoteNames(change.snapshot.fullName(user)));
  throw new StateError(SqlState.DependentObjectsStillExist, `${what} because other objects ([${list.join(' ')}]) still depend on it`);
}

/** The name goes, and the last of the function's overloads takes its number (F2). */
export async function leaveName(change: SchemaChange, gone: FunctionDescriptor): Promise<void> {
  const overloads = change.snapshot.functionsNamed(gone.parentId, gone.schemaId, gone.name);
  const last = overloads.at(-1) ?? gone;
  const place = functionPlace(gone.parentId, gone.schemaId, gone.name, last.slot);
  await change.deleteName(place.parentId, place.schemaId, place.name);
  if (last.id === gone.id) return change.refresh();
  const own = functionPlace(gone.parentId, gone.schemaId, gone.name, gone.slot);
  await change.writeName(own.parentId, own.schemaId, own.name, last.id);
  await change.write(updated(last, { slot: gone.slot }));
}
