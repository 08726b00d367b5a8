/**
 * What the planner asks of catalog and session, over one snapshot.
 */
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { CatalogSnapshot, NameContext, ResolvedObject } from '../../catalog/catalog.ts';
import type { FunctionDescriptor, TableDescriptor, TypeDescriptor } from '../../catalog/descriptor.ts';
import type { ColumnType } from '../../catalog/type.ts';
import type { ObjectName, SelectStatement, TypeName } from '../parse/ast.ts';
import { parseQuery } from '../parse/parse.ts';
import { returnsNothing } from '../plan/from.ts';
import { rulesNamed } from '../plan/optimizer.ts';
import { isPlannable, planStatement } from '../plan/planner.ts';
import type { PlanColumn } from '../plan/plan.ts';
import type { PlanEnvironment, Relation } from '../plan/planContext.ts';
import type { VirtualTable } from '../plan/virtualTable.ts';
import type { RunContext } from './context.ts';
import { PlanSizes } from './planSizes.ts';
import { catalogFunctions } from './userFunctions.ts';
import { userType } from './userType.ts';
import { sequenceTable } from './virtual/sequenceTable.ts';
import { type ResolvedVirtual, resolveVirtual } from './virtual/virtualNames.ts';
import { checkNotAttached } from '../../catalog/attached.ts';
import { checkPrivilege } from '../../catalog/privileges.ts';
import { checkUsable } from '../../catalog/publicSchema.ts';

const partsOf = (name: ObjectName): string[] => name.parts.map((part) => part.text);

/** Hears which object each name of a statement stands for. */
export interface NameNotes {
  relation(name: ObjectName, object: ResolvedObject): void;
  virtual(name: ObjectName, table: VirtualTable): void;
  type(name: TypeName, type: TypeDescriptor): void;
  function(name: ObjectName, called: FunctionDescriptor): void;
}

export interface EnvironmentOptions {
  /** How names are resolved, where it is not the session's way. */
  readonly names?: NameContext;
  /** A view's text: whoever may read the view may read what it reads. */
  readonly isViewText?: boolean;
  readonly untypedPlaceholder?: ColumnType | undefined;
  readonly notes?: NameNotes;
  /** Notes what the plan supposes of its tables. */
  readonly sizes?: PlanSizes;
}

const viewQueries = new WeakMap<TableDescriptor, SelectStatement>();

/** A view's query as a tree; parsed once a version. */
export function viewQuery(view: TableDescriptor): SelectStatement {
  let query = viewQueries.get(view);
  if (!query) {
    query = parseQuery(view.view?.query ?? '');
    viewQueries.set(view, query);
  }
  return query;
}

/** What `[53 AS t]` stands for. 42P01 when there is no such relation, or it is being dropped. */
function tableOfId(snapshot: CatalogSnapshot, id: number, [alias]: readonly string[]): ResolvedObject {
  const descriptor = snapshot.tableById(id);
  const database = descriptor && snapshot.databaseById(descriptor.parentId);
  const schema = descriptor && database && snapshot.schemaById(database, descriptor.schemaId);
  if (!descriptor || !schema || descriptor.state === 'DROP') {
    const what = descriptor?.state === 'DROP' ? 'descriptor is being dropped' : `relation "[${id}]" does not exist`;
    throw new StatementError(SqlState.UndefinedTable, `[${id} AS ${alias}]: ${what}`);
  }
  return { descriptor, schema };
}

/** `roles`: every name the user goes by (RunContext.roles). */
export function planEnvironment(
  context: RunContext,
  snapshot: CatalogSnapshot,
  roles: ReadonlySet<string>,
  options: EnvironmentOptions = {},
): PlanEnvironment {
  const { session, engine } = context;
  const { names = session.names, notes, sizes = new PlanSizes(engine) } = options;

  const virtual = (name: ObjectName): ResolvedVirtual | undefined =>
    name.id === undefined ? resolveVirtual(engine.virtualTables, snapshot, partsOf(name), names) : undefined;

  const resolveRelation = (name: ObjectName): Relation => {
    const found = virtual(name);
    if (found) {
      notes?.virtual(name, found.table);
      return { kind: 'virtual', ...found };
    }
    const object = name.id === undefined ? snapshot.requireTable(partsOf(name), names) : tableOfId(snapshot, name.id, partsOf(name));
    const { descriptor, schema } = object;
    if (!options.isViewText) {
      checkUsable(roles, schema);
      checkPrivilege(roles, descriptor, 'SELECT');
    }
    notes?.relation(name, object);
    if (descriptor.sequence) return { kind: 'virtual', table: sequenceTable(descriptor), database: schema.database.name };
    return { kind: 'table', table: descriptor, schema: schema.name, database: schema.database.name };
  };

  return {
    functions: engine.functions,
    untypedPlaceholder: options.untypedPlaceholder,
    timeZone: session.values.timeZone,
    safeUpdates: session.vars.isOn('sql_safe_updates'),
    withoutRules: rulesNamed(session.vars.get('varve.optimizer_rules_off')),
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
      checkUsable(roles, schema);
      checkNotAttached(descriptor.id);
      checkPrivilege(roles, descriptor, privilege);
      return { kind: 'table', table: descriptor, schema: schema.name, database: schema.database.name };
    },
    requireLockable(table) {
      checkNotAttached(table.id);
      if (!options.isViewText) checkPrivilege(roles, table, 'UPDATE');
    },
    rowCount: (table) => sizes.rowCount(table),
    statistics: (table) => sizes.statistics(table),
    tableById(id): TableDescriptor {
      const table = snapshot.tableById(id);
      if (!table) throw new StatementError(SqlState.UndefinedTable, `relation [${id}] does not exist`);
      return table;
    },
    resolveType(name) {
      const found = userType(snapshot, name, names);
      if (found) notes?.type(name, found.descriptor);
      return found?.type;
    },
    userFunctions: catalogFunctions(snapshot, names, {
      ...(!options.isViewText && { roles }),
      ...(notes && { note: (name, called) => notes.function(name, called) }),
    }),
    viewSource(view, database) {
      const env = planEnvironment(context, snapshot, roles, {
        names: { currentDatabase: database, searchPath: [], temporarySchema: names.temporarySchema },
        isViewText: true,
        sizes,
      });
      return { query: viewQuery(view), env };
    },
    statementColumns(statement): readonly PlanColumn[] {
      if (isPlannable(statement)) return planStatement(planEnvironment(context, snapshot, roles, options), statement).columns;
      const columns = engine.statements.get(statement.kind)?.columns(statement, context);
      if (!columns) throw returnsNothing(statement);
      if (statement.kind === 'show' && statement.what === 'savepointStatus') {
        throw new StatementError(SqlState.FeatureNotSupported, 'unimplemented: cannot use SHOW SAVEPOINT STATUS as a statement source');
      }
      // Its heading is for people: in a query it is the variable's name.
      const isStatus = statement.kind === 'show' && statement.what === 'transactionStatus';
      return isStatus ? columns.map((column) => ({ ...column, name: 'transaction_status' })) : columns;
    },
  };
}
