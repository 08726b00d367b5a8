/**
 * What the planner asks of catalog and session, over one snapshot.
 */
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { CatalogSnapshot } from '../../catalog/catalog.ts';
import type { TableDescriptor } from '../../catalog/descriptor.ts';
import type { ObjectName } from '../parse/ast.ts';
import { isPlannable, planStatement } from '../plan/planner.ts';
import type { PlanColumn } from '../plan/plan.ts';
import type { PlanEnvironment, Relation } from '../plan/planContext.ts';
import type { VirtualTable } from '../plan/virtualTable.ts';
import type { RunContext } from './context.ts';
import { userType } from './userType.ts';
import { sequenceTable } from './virtual/sequenceTable.ts';
import { statementName } from './tags.ts';
import { checkPrivilege } from '../../catalog/privileges.ts';

const partsOf = (name: ObjectName): string[] => name.parts.map((part) => part.text);

/** `roles`: every name the user goes by (RunContext.roles). */
export function planEnvironment(context: RunContext, snapshot: CatalogSnapshot, roles: ReadonlySet<string>): PlanEnvironment {
  const { session, engine } = context;
  const { names } = session;

  const virtual = (name: ObjectName): { table: VirtualTable; database: string | undefined } | undefined => {
    const parts = partsOf(name);
    const last = parts.at(-1) ?? '';
    if (parts.length === 1) {
      // pg_catalog comes first in every search path, as in PostgreSQL.
      const table = engine.virtualTables.get('pg_catalog', last);
      if (table) return { table, database: names.currentDatabase };
      for (const schema of names.searchPath) {
        const found = engine.virtualTables.get(schema, last);
        if (found) return { table: found, database: names.currentDatabase };
      }
      return undefined;
    }
    const table = engine.virtualTables.get(parts.at(-2) ?? '', last);
    if (!table) return undefined;
    const database = parts.length > 2 ? parts[0] : names.currentDatabase;
    if (database !== undefined && database !== '' && parts.length > 2) snapshot.requireDatabase(database);
    return { table, database: database === '' ? undefined : database };
  };

  const resolveRelation = (name: ObjectName): Relation => {
    const found = virtual(name);
    if (found) return { kind: 'virtual', ...found };
    const { descriptor, schema } = snapshot.requireTable(partsOf(name), names);
    checkPrivilege(roles, descriptor, 'SELECT');
    if (descriptor.sequence) return { kind: 'virtual', table: sequenceTable(descriptor), database: schema.database.name };
    return { kind: 'table', table: descriptor, schema: schema.name, database: schema.database.name };
  };

  return {
    functions: engine.functions,
    timeZone: session.values.timeZone,
    safeUpdates: session.vars.isOn('sql_safe_updates'),
    resolveRelation,
    resolveTable(name, privilege) {
      if (virtual(name)) {
        throw new StatementError(
          SqlState.InsufficientPrivilege,
          `user ${session.user} does not have ${privilege} privilege on relation ${partsOf(name).at(-1)}`,
        );
      }
      const { descriptor, schema } = snapshot.requireTable(partsOf(name), names);
      if (descriptor.view || descriptor.sequence) {
        throw new StatementError(SqlState.WrongObjectType, `"${descriptor.name}" is not a table`);
      }
      checkPrivilege(roles, descriptor, privilege);
      return { kind: 'table', table: descriptor, schema: schema.name, database: schema.database.name };
    },
    tableById(id): TableDescriptor {
      const table = snapshot.tableById(id);
      if (!table) throw new StatementError(SqlState.UndefinedTable, `relation [${id}] does not exist`);
      return table;
    },
    resolveType(name) {
      return userType(snapshot, name, names)?.type;
    },
    statementColumns(statement): readonly PlanColumn[] {
      if (isPlannable(statement)) return planStatement(planEnvironment(context, snapshot, roles), statement).columns;
      const columns = engine.statements.get(statement.kind)?.columns(statement, context);
      if (!columns) {
        throw new StatementError(SqlState.SyntaxError, `statement source "${statementName(statement)}" does not return any columns`);
      }
      return columns;
    },
  };
}
