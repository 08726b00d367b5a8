/**
 * Dumps in SQL: what `varve dump` asks a server.
 *
 *   FROM varve_internal.dump_plan(database, tables, format)   the statements of a dump, in order
 *
 * `tables` is an array of names, as SQL writes them; NULL stands for the whole database. `format` is
 * cockroach or postgres. Of a table's rows the statement is a query for COPY; columns and families say
 * what it gives. Under AS OF SYSTEM TIME all of it is as of then. Needs SELECT on every table it gives.
 */
import { type Bytes, utf8Decode, utf8Encode } from '../../base/bytes.ts';
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { Datum } from '../../catalog/datum.ts';
import { isTable, SYSTEM_DATABASE_ID, type TableDescriptor } from '../../catalog/descriptor.ts';
import { quoteName, quoteNames } from '../../catalog/names.ts';
import { hasPrivilege, userOf } from '../../catalog/privileges.ts';
import type { CatalogSnapshot, NameContext } from '../../catalog/snapshot.ts';
import { arrayOf, Type } from '../../catalog/type.ts';
import { splitName } from '../../sql/exec/catalogLookup.ts';
import type { GeneratorStatement } from '../../sql/expr/overload.ts';
import type { FunctionRegistry } from '../../sql/expr/registry.ts';
import { cockroachText } from './cockroachText.ts';
import { type DumpStep, dumpedColumns, dumpPlan } from './dumpPlan.ts';
import type { DumpFormat } from './portableSql.ts';
import { postgresText } from './postgresText.ts';

const COLUMNS = [
  { name: 'phase', type: Type.String },
  { name: 'kind', type: Type.String },
  { name: 'name', type: Type.String },
  { name: 'statement', type: Type.String },
  { name: 'columns', type: arrayOf(Type.String) },
  { name: 'families', type: arrayOf(Type.String) },
];

export function registerDumpFunctions(functions: FunctionRegistry): void {
  functions.registerGenerator({
    name: 'varve_internal.dump_plan',
    params: [Type.String, arrayOf(Type.String), Type.String],
    volatility: 'volatile',
    nullable: true,
    columns: () => COLUMNS,
    async *asyncRows(_ctx, [database, tables, format], _types, statement) {
      const names = tables === null || tables === undefined ? undefined : (tables as readonly Datum[]).map(text);
      for (const step of await plan(statement, text(database), names, formatOf(text(format)))) yield rowOf(step);
    },
  });
}

const text = (datum: Datum | undefined): string => utf8Decode((datum ?? '') as Bytes);

function formatOf(name: string): DumpFormat {
  if (name === 'cockroach' || name === 'postgres') return name;
  throw new StatementError(SqlState.InvalidParameterValue, `unknown dump format "${name}"`, { hint: 'cockroach or postgres' });
}

function rowOf({ phase, kind, name, statement, columns }: DumpStep): Datum[] {
  const list = (values: readonly string[] | undefined): Datum => (values ? values.map(utf8Encode) : null);
  return [
    ...[phase, kind, name, statement].map(utf8Encode),
    list(columns?.map((column) => column.name)),
    list(columns?.map((column) => column.family)),
  ];
}

async function plan(
  statement: GeneratorStatement,
  name: string,
  tables: readonly string[] | undefined,
  format: DumpFormat,
): Promise<DumpStep[]> {
  const snapshot = await statement.catalog();
  const database = snapshot.requireDatabase(name);
  if (database.id === SYSTEM_DATABASE_ID) {
    throw new StatementError(SqlState.FeatureNotSupported, 'the system database cannot be dumped', { hint: 'back it up: BACKUP INTO ...' });
  }
  const chosen = tables?.map((table) => requireRelation(snapshot, name, table, statement.names));
  const dialect = (format === 'postgres' ? postgresText : cockroachText)(snapshot, name);
  const steps = await dumpPlan({ snapshot, reader: statement.reader, databaseId: database.id, tables: chosen, dialect });
  const roles = await statement.roles();
  return steps.map((step) => {
    if (step.kind !== 'rows') return step;
    const table = snapshot.tableById(Number(step.statement)) as TableDescriptor;
    if (!hasPrivilege(roles, table.privileges, 'SELECT')) {
      throw new StatementError(SqlState.InsufficientPrivilege, `user ${userOf(roles)} has no privileges on table ${table.name}`);
    }
    return { ...step, statement: rowsQuery(table, snapshot) };
  });
}

function requireRelation(snapshot: CatalogSnapshot, database: string, table: string, names: NameContext): TableDescriptor {
  const parts = splitName(table);
  const { descriptor } = snapshot.requireTable(parts, { ...names, currentDatabase: database });
  if (snapshot.fullName(descriptor)[0] === database) return descriptor;
  throw new StatementError(SqlState.UndefinedTable, `relation "${table}" is not in database "${database}"`);
}

/** The columns of a row; of one without any, something to count. */
function rowsQuery(table: TableDescriptor, snapshot: CatalogSnapshot): string {
  const columns = isTable(table) ? dumpedColumns(table).map((column) => quoteName(column.name)) : [];
  return `SELECT ${columns.length > 0 ? columns.join(', ') : '1'} FROM ${quoteNames(snapshot.fullName(table))}`;
}
