/**
 * Type users: the tables and views that carry a user type, brought up to date when the type changes.
 */
import { type Descriptor, type TypeDescriptor, updated } from '../../../catalog/descriptor.ts';
import { enumTypeOf } from '../../../catalog/enumType.ts';
import { arrayOf, type ColumnType } from '../../../catalog/type.ts';
import type { TypeName } from '../../parse/ast.ts';
import { parseQuery } from '../../parse/parse.ts';
import { printSelect } from '../../parse/printer.ts';
import type { SchemaChange } from './common.ts';
import { type Rewrite, rewriteStoredTexts, rewriteTree } from './storedTexts.ts';

/** Puts a new name where texts name the type; a database before it stays. */
export function typeRenaming(isOfType: (name: TypeName) => boolean, schema: string, name: string): Rewrite {
  return (node) => {
    if (node['kind'] !== 'typeName') return undefined;
    const typeName = node as unknown as TypeName;
    if (!isOfType(typeName)) return undefined;
    const parts = [...typeName.name.parts.slice(0, -2), { text: schema, pos: 0 }, { text: name, pos: 0 }];
    return { ...typeName, name: { ...typeName.name, parts } };
  };
}

/** Whether a name in a stored text is this type's; such names have a schema. */
export function namesType(change: SchemaChange, type: TypeDescriptor): (name: TypeName) => boolean {
  const [database, schema, own] = change.snapshot.fullName(type);
  return ({ name: { parts } }) =>
    parts.length > 1 &&
    parts.at(-1)?.text === own &&
    parts.at(-2)?.text === schema &&
    (parts.length === 2 || parts.at(-3)?.text === database);
}

/** Brings what uses a type up to date with it: its columns' types, and stored texts through `rewrite`. */
export async function refreshUsers(change: SchemaChange, type: TypeDescriptor, rewrite?: Rewrite): Promise<void> {
  const fresh = enumTypeOf(type, change.snapshot);
  const users: Descriptor[] = [];
  for (const id of type.referencedByIds) {
    const one = change.snapshot.functionById(id);
    if (!one) continue;
    users.push(
      updated(one, {
        params: one.params.map((param) => ({ ...param, type: withFresh(param.type, fresh) })),
        returns: withFresh(one.returns, fresh),
        ...(rewrite && { statements: one.statements.map((text) => printSelect(rewriteTree(parseQuery(text), rewrite), {})) }),
      }),
    );
  }
  // Tables carry functions as they are.
  if (users.length > 0) await change.write(...users.splice(0));
  for (const id of type.referencedByIds) {
    const table = change.snapshot.tableById(id);
    if (!table || table.state === 'DROP') continue;
    const next = updated(table, {
      columns: table.columns.map((column) => ({ ...column, type: withFresh(column.type, fresh) })),
      ...(table.exprTypes && { exprTypes: table.exprTypes.map((one) => withFresh(one, fresh)) }),
    });
    users.push(rewrite ? rewriteStoredTexts(next, rewrite) : next);
  }
  await change.write(...users);
}

function withFresh(type: ColumnType, fresh: ColumnType): ColumnType {
  if (type.typeId === fresh.typeId) return fresh;
  return type.element?.typeId === fresh.typeId ? arrayOf(fresh) : type;
}
