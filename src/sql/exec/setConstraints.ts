/**
 * SET CONSTRAINTS: when the transaction looks at its deferrable foreign keys (deferredKeys.ts).
 */
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { CatalogSnapshot, NameContext } from '../../catalog/catalog.ts';
import type { TableDescriptor } from '../../catalog/descriptor.ts';
import type { ObjectName, SetConstraints } from '../parse/ast.ts';
import type { HookResult, StatementContext, StatementHooks } from './statement.ts';

async function setConstraints(context: StatementContext, { names, isDeferred }: SetConstraints): Promise<HookResult> {
  const snapshot = await context.catalog();
  const found = names?.flatMap((name) => deferrableNamed(snapshot, context.names, name));
  await context.deferred.set(isDeferred, found);
  if (!context.inExplicitTransaction) context.notice('SET CONSTRAINTS has no effect outside a transaction');
  return { tag: 'SET CONSTRAINTS' };
}

/** The foreign keys of a name, in the first schema of the search path that has any, or in the schema given. 42704, 42809. */
function deferrableNamed(
  snapshot: CatalogSnapshot,
  names: NameContext,
  { parts }: ObjectName,
): { tableId: number; foreignKeyId: number }[] {
  const constraint = parts.at(-1)?.text ?? '';
  const database = snapshot.requireDatabase(names.currentDatabase);
  const schemas = snapshot.schemasOf(database);
  for (const schemaName of parts.length > 1 ? [parts.at(-2)?.text] : names.searchPath) {
    const schema = schemas.find(({ name }) => name === schemaName);
    const tables = schema ? snapshot.tablesOf(database.id, { schemaId: schema.id }) : [];
    const found = tables.flatMap((table) =>
      table.foreignKeys.filter(({ name }) => name === constraint).map((fk) => ({ tableId: table.id, foreignKeyId: fk.id, fk })),
    );
    const isFixed = tables.some((table) => otherConstraints(table).includes(constraint)) || found.some(({ fk }) => !fk.deferral);
    if (isFixed) throw new StatementError(SqlState.WrongObjectType, `constraint "${constraint}" is not deferrable`);
    if (found.length > 0) return found;
  }
  throw new StatementError(SqlState.UndefinedObject, `constraint "${constraint}" does not exist`);
}

/** Names of keys and checks, which are never deferrable. */
function otherConstraints({ primaryIndex, indexes, checks }: TableDescriptor): string[] {
  return [primaryIndex, ...indexes.filter(({ unique }) => unique), ...checks].map(({ name }) => name);
}

export function registerSetConstraints(hooks: StatementHooks): void {
  hooks.register<SetConstraints>('setConstraints', { isReadOnly: true, columns: () => undefined, run: setConstraints });
}
