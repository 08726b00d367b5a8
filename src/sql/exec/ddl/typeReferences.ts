/**
 * References between tables and user types: a type lists the tables and views that use it, by a column
 * or by a stored text, and a table carries those of its texts' types that none of its columns has.
 *
 * Kept by SchemaChange.write, whatever the statement is: what a table uses follows from its descriptor.
 */
import type { CatalogSnapshot } from '../../../catalog/catalog.ts';
import type { Descriptor, TableDescriptor, TypeDescriptor } from '../../../catalog/descriptor.ts';
import { updated } from '../../../catalog/descriptor.ts';
import { enumTypeOf, typeIdsUsed, userPartOf } from '../../../catalog/enumType.ts';
import type { ColumnType } from '../../../catalog/type.ts';
import { parseExpression } from '../../parse/parse.ts';
import { qualifiedTypes, storedExpressions } from './storedTexts.ts';

/** The descriptors, tables with what their texts use, and behind them the types whose users changed. */
export function withTypeReferences(snapshot: CatalogSnapshot, descriptors: readonly Descriptor[]): Descriptor[] {
  const types = new Map<number, TypeDescriptor>();
  for (const descriptor of descriptors) if (descriptor.kind === 'type') types.set(descriptor.id, descriptor);
  const note = (typeId: number, change: (ids: Set<number>) => void): void => {
    const type = types.get(typeId) ?? snapshot.typeById(typeId);
    if (!type) return;
    const ids = new Set(type.referencedByIds);
    change(ids);
    types.set(typeId, updated(type, { referencedByIds: [...ids].sort((a, b) => a - b) }));
  };
  const others: Descriptor[] = [];
  for (const descriptor of descriptors) {
    if (descriptor.kind === 'type') continue;
    if (descriptor.kind !== 'table') {
      others.push(descriptor);
      continue;
    }
    const table = withExprTypes(snapshot, descriptor);
    others.push(table);
    const before = snapshot.tableById(table.id);
    const had = before && before.state !== 'DROP' ? typeIdsUsed(before) : [];
    const has = table.state === 'DROP' ? [] : typeIdsUsed(table);
    for (const id of has) if (!had.includes(id)) note(id, (ids) => ids.add(table.id));
    for (const id of had) if (!has.includes(id)) note(id, (ids) => ids.delete(table.id));
  }
  return [...others, ...types.values()];
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
