/**
 * References between tables and user types: a type lists the tables and views that use it, by a column
 * or by a stored text, and a table carries those of its texts' types that none of its columns has.
 *
 * Kept by SchemaChange.write, whatever the statement is: what a table uses follows from its descriptor.
 */
import type { CatalogSnapshot } from '../../../catalog/catalog.ts';
import type { CarriedFunction, Descriptor, FunctionDescriptor, TableDescriptor, TypeDescriptor } from '../../../catalog/descriptor.ts';
import { updated } from '../../../catalog/descriptor.ts';
import { enumTypeOf, functionIdsUsed, typeIdsUsed, userPartOf } from '../../../catalog/enumType.ts';
import type { ColumnType } from '../../../catalog/type.ts';
import { parseExpression } from '../../parse/parse.ts';
import { qualifiedCalls, qualifiedTypes, storedExpressions } from './storedTexts.ts';

/** The descriptors, tables with what their texts use, and behind them the types and functions whose users changed. */
export function withTypeReferences(snapshot: CatalogSnapshot, descriptors: readonly Descriptor[]): Descriptor[] {
  const used = new Map<number, TypeDescriptor | FunctionDescriptor>();
  for (const descriptor of descriptors)
    if (descriptor.kind === 'type' || descriptor.kind === 'function') used.set(descriptor.id, descriptor);
  const note = (id: number, change: (ids: Set<number>) => void): void => {
    const one = used.get(id) ?? snapshot.typeById(id) ?? snapshot.functionById(id);
    if (!one) return;
    const ids = new Set(one.referencedByIds);
    change(ids);
    used.set(id, updated(one, { referencedByIds: [...ids].sort((a, b) => a - b) }));
  };
  const others: Descriptor[] = [];
  for (const descriptor of descriptors) {
    if (descriptor.kind === 'type') continue;
    if (descriptor.kind !== 'table' && descriptor.kind !== 'function') {
      others.push(descriptor);
      continue;
    }
    const user = descriptor.kind === 'table' ? withExprFunctions(snapshot, withExprTypes(snapshot, descriptor)) : descriptor;
    if (user.kind === 'table') others.push(user);
    const had = usedBy(snapshot.byId(user.id));
    const has = usedBy(user);
    for (const id of has) if (!had.includes(id)) note(id, (ids) => ids.add(user.id));
    for (const id of had) if (!has.includes(id)) note(id, (ids) => ids.delete(user.id));
  }
  return [...others, ...used.values()];
}

/** Ids of types and functions; none of a descriptor that is dropped. */
function usedBy(user: Descriptor | undefined): readonly number[] {
  return !user || user.state === 'DROP' ? [] : [...typeIdsUsed(user), ...functionIdsUsed(user)];
}

/** Only texts with a dot before a call can call a function of users. */
const CALLS_A_FUNCTION = /\.[^.()]*\(/;

/** The table with the functions that its texts call, as they are now. */
function withExprFunctions(snapshot: CatalogSnapshot, table: TableDescriptor): TableDescriptor {
  const texts = storedExpressions(table).filter((text) => CALLS_A_FUNCTION.test(text));
  const found = new Map<number, CarriedFunction>();
  const [database = ''] = texts.length === 0 ? [] : snapshot.fullName(table);
  const add = (one: FunctionDescriptor): void => {
    if (found.has(one.id)) return;
    found.set(one.id, carried(snapshot, one));
    for (const id of one.functionIds) {
      const inner = snapshot.functionById(id);
      if (inner) add(inner);
    }
  };
  for (const text of texts) {
    for (const { name, args } of qualifiedCalls(parseExpression(text))) {
      const full = [database, ...name.parts.slice(-2).map((part) => part.text)];
      const overloads = snapshot.resolveFunctions(full, { currentDatabase: database, searchPath: [] });
      for (const one of overloads) if (one.params.length === args.length) add(one);
    }
  }
  const { exprFunctions: _before, ...rest } = table;
  if (found.size === 0) return table.exprFunctions ? rest : table;
  return { ...rest, exprFunctions: [...found.values()].sort((a, b) => a.id - b.id) };
}

function carried(snapshot: CatalogSnapshot, one: FunctionDescriptor): CarriedFunction {
  const [, schema = 'public', name = ''] = snapshot.fullName(one);
  const { id, params, returns, returnsSet, volatility, isStrict, statements } = one;
  return { id, schema, name, params, returns, ...(returnsSet && { returnsSet }), volatility, ...(isStrict && { isStrict }), statements };
}

/** Only texts with a dot behind a cast can name a user type. */
const NAMES_A_TYPE = /::?:?[^:]*\.|IS (?:NOT )?OF/;

function withExprTypes(snapshot: CatalogSnapshot, table: TableDescriptor): TableDescriptor {
  const texts = storedExpressions(table).filter((text) => NAMES_A_TYPE.test(text));
  if (texts.length === 0) {
    if (table.exprTypes === undefined) return table;
    const { exprTypes: _none, ...rest } = table;
    return rest;
  }
  const columnTypes = new Set(table.columns.map((column) => userPartOf(column.type)?.typeId));
  const [database = ''] = snapshot.fullName(table);
  const found = new Map<number, ColumnType>();
  for (const text of texts) {
    for (const { name } of qualifiedTypes(parseExpression(text))) {
      const parts = name.parts.slice(-2).map((part) => part.text);
      const type = snapshot.resolveType([database, ...parts], { currentDatabase: database, searchPath: [] })?.descriptor;
      if (type && !columnTypes.has(type.id)) found.set(type.id, enumTypeOf(type, snapshot));
    }
  }
  const { exprTypes: _before, ...rest } = table;
  return found.size === 0 ? rest : { ...rest, exprTypes: [...found.values()] };
}
