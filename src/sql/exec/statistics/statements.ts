/**
 * Statements about statistics: CREATE STATISTICS and ANALYZE wait for a job, INJECT STATISTICS replaces what is known,
 * SHOW STATISTICS and SHOW HISTOGRAM show it.
 *
 * Columns and texts are CockroachDB's; a histogram's id is its statistic's.
 */
import { type Bytes, utf8Decode, utf8Encode } from '../../../base/bytes.ts';
import { StateError, StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import type { Timestamp } from '../../../base/timestamp.ts';
import { parseTimestampTz } from '../../../catalog/datetimeText.ts';
import { type Datum, Json } from '../../../catalog/datum.ts';
import { formatDatum } from '../../../catalog/datumText.ts';
import { isTable, MAX_SYSTEM_ID, type TableDescriptor } from '../../../catalog/descriptor.ts';
import { bucketsFromJson, type JsonBucket } from '../../../catalog/histogram.ts';
import { jsonFromPlain } from '../../../catalog/json.ts';
import { quoteLiteral, quoteName, quoteNames } from '../../../catalog/names.ts';
import { checkNotAttached } from '../../../catalog/attached.ts';
import { checkPrivilege } from '../../../catalog/privileges.ts';
import { systemTable } from '../../../catalog/systemRows.ts';
import { forgetStatistics, readStatistics, type Statistic, statisticFromRow, statisticRow } from '../../../catalog/tableStatistics.ts';
import { arrayOf, type ColumnType, sqlTypeName, Type } from '../../../catalog/type.ts';
import { type JobRegistry, requireSucceeded } from '../../../jobs/registry.ts';
import type { CreateStatistics, InjectStatistics, ObjectName, Show } from '../../parse/ast.ts';
import type { HookResult, ResultColumn, StatementContext, StatementHooks } from '../statement.ts';
import { STATISTICS_JOB_TYPE, type StatisticsDetails } from './statisticsJob.ts';

const partsOf = (name: ObjectName): string[] => name.parts.map((part) => part.text);

export function registerStatisticsStatements(hooks: StatementHooks, jobs: JobRegistry): void {
  hooks.register<CreateStatistics>('createStatistics', {
    columns: () => undefined,
    run: (context, stmt) => createStatistics(context, stmt, jobs),
    ownTransaction: true,
  });
  hooks.register<InjectStatistics>('injectStatistics', { columns: () => undefined, run: injectStatistics });
}

async function tableNamed(context: StatementContext, name: ObjectName): Promise<TableDescriptor> {
  const { descriptor } = (await context.catalog()).requireTable(partsOf(name), context.names);
  checkPrivilege(await context.roles(), descriptor, 'SELECT');
  return descriptor;
}

async function createStatistics(context: StatementContext, stmt: CreateStatistics, jobs: JobRegistry): Promise<HookResult> {
  const { engine } = context;
  const { kv, settings, catalog } = engine;
  if (!settings.bool('feature.stats.enabled')) {
    throw new StateError(
      SqlState.ObjectNotInPrerequisiteState,
      'feature ANALYZE/CREATE STATISTICS was disabled by the database administrator',
    );
  }
  const at = stmt.asOf && (await context.resolveAsOf(stmt.asOf.expr));
  const snapshot = at === undefined ? await context.catalog() : await catalog.snapshot(kv.at(at));
  const { descriptor: table } = snapshot.requireTable(partsOf(stmt.table), context.names);
  checkPrivilege(await context.roles(), table, 'SELECT');
  checkNotAttached(table.id);
  if (!isTable(table)) throw new StatementError(SqlState.WrongObjectType, 'cannot create statistics on views or sequences');
  if (context.inExplicitTransaction && !(await catalog.current()).tableById(table.id)) {
    throw new StatementError(SqlState.FeatureNotSupported, 'statistics of a table that its transaction has made are not supported', {
      hint: 'commit first',
    });
  }
  const columnIds = stmt.columns.map(({ text }) => {
    const column = table.columns.find((one) => one.name === text && one.state === 'public' && !one.isIndexExpression);
    if (!column) throw new StatementError(SqlState.UndefinedColumn, `column "${text}" does not exist`);
    if (column.isVirtual) throw new StatementError(SqlState.InvalidColumnReference, `cannot create statistics on virtual column "${text}"`);
    return column.id;
  });
  const name = stmt.name === undefined || stmt.name.text === '' ? null : stmt.name.text;
  const full = quoteNames(snapshot.fullName(table));
  const on = stmt.columns.length > 0 ? `ON ${stmt.columns.map((column) => quoteName(column.text)).join(', ')} ` : '';
  const when = at === undefined ? '' : ` AS OF SYSTEM TIME ${quoteLiteral(String(at * 1000))}`;
  const description = stmt.name === undefined ? `ANALYZE ${full}` : `CREATE STATISTICS ${quoteName(name ?? '')} ${on}FROM ${full}${when}`;
  const details: StatisticsDetails = {
    tableId: table.id,
    name,
    columnIds: columnIds.length > 0 ? [...new Set(columnIds)] : null,
    at: at ?? null,
  };
  const id = await kv.run((txn) => jobs.create(txn, { type: STATISTICS_JOB_TYPE, description, user: context.user, details }));
  requireSucceeded(await jobs.wait(id, { signal: context.signal }));
  return { tag: stmt.name === undefined ? 'ANALYZE' : 'CREATE STATISTICS' };
}

// ---- SHOW -------------------------------------------------------------------------------------

export const SHOW_STATISTICS_COLUMNS: readonly ResultColumn[] = [
  { name: 'statistics_name', type: Type.String },
  { name: 'column_names', type: arrayOf(Type.String) },
  { name: 'created', type: Type.Timestamp },
  { name: 'row_count', type: Type.Int8 },
  { name: 'distinct_count', type: Type.Int8 },
  { name: 'null_count', type: Type.Int8 },
  { name: 'avg_size', type: Type.Int8 },
  { name: 'histogram_id', type: Type.Int8 },
];

export const SHOW_HISTOGRAM_COLUMNS: readonly ResultColumn[] = [
  { name: 'upper_bound', type: Type.String },
  { name: 'range_rows', type: Type.Int8 },
  { name: 'distinct_range_rows', type: Type.Float8 },
  { name: 'equal_rows', type: Type.Int8 },
];

export const SHOW_STATISTICS_JSON_COLUMNS: readonly ResultColumn[] = [{ name: 'statistics', type: Type.Jsonb }];

export async function showStatistics(context: StatementContext, stmt: Extract<Show, { what: 'statistics' }>): Promise<Datum[][]> {
  const table = await tableNamed(context, stmt.table);
  const nameOf = (id: number): string | undefined => table.columns.find((column) => column.id === id && column.state === 'public')?.name;
  // Of columns that are gone nothing is shown.
  const shown = (await readStatistics(context.reader, table.id)).filter(({ columnIds }) => columnIds.every((id) => nameOf(id)));
  const namesOf = ({ columnIds }: Statistic): string[] => columnIds.map((id) => nameOf(id) ?? '');
  if (stmt.format === undefined) {
    return shown.map((statistic) => {
      const { name, createdAt, rowCount, distinctCount, nullCount, avgSize, histogram, id } = statistic;
      const names = namesOf(statistic).map((column) => utf8Encode(column));
      const label = name === undefined ? null : utf8Encode(name);
      return [label, names, createdAt, rowCount, distinctCount, nullCount, avgSize, histogram ? id : null];
    });
  }
  if (stmt.format.text.toLowerCase() !== 'json') {
    throw new StatementError(SqlState.InvalidParameterValue, `unknown format "${stmt.format.text}"`, { hint: 'the format is JSON' });
  }
  const plain = shown.map((statistic) => {
    const { name, createdAt, rowCount, distinctCount, nullCount, avgSize, histogram } = statistic;
    return {
      ...(name !== undefined && { name }),
      created_at: formatDatum(Type.Timestamp, createdAt),
      columns: namesOf(statistic),
      row_count: rowCount,
      distinct_count: distinctCount,
      null_count: nullCount,
      avg_size: avgSize,
      ...(histogram && { histo_col_type: histogram.type, histo_buckets: histogram.buckets }),
    };
  });
  return [[new Json(jsonFromPlain(plain))]];
}

export async function showHistogram(context: StatementContext, stmt: Extract<Show, { what: 'histogram' }>): Promise<Datum[][]> {
  const { value } = await context.evalDatum(stmt.id);
  const rows = await systemTable('table_statistics').scanWhere(context.reader, 'statisticID', (id) => String(id) === String(value));
  const [found] = rows.map(statisticFromRow);
  if (!found?.histogram)
    throw new StatementError(SqlState.UndefinedObject, `histogram ${value === null ? 'NULL' : String(value)} not found`);
  const table = (await context.catalog()).tableById(found.tableId);
  if (table) checkPrivilege(await context.roles(), table, 'SELECT');
  const type = table?.columns.find((column) => column.id === found.columnIds[0])?.type;
  return found.histogram.buckets.map(({ upper_bound, num_range, distinct_range, num_eq }) => [
    utf8Encode(type && isPlainLiteral(type) ? upper_bound : quoteLiteral(upper_bound)),
    num_range,
    distinct_range,
    num_eq,
  ]);
}

const isPlainLiteral = ({ family }: ColumnType): boolean => ['int', 'float', 'decimal', 'bool', 'oid'].includes(family);

// ---- INJECT -----------------------------------------------------------------------------------

interface Injected {
  readonly name?: string;
  readonly columns: readonly string[];
  readonly created_at: string;
  readonly row_count: number;
  readonly distinct_count?: number;
  readonly null_count?: number;
  readonly avg_size?: number;
  readonly histo_col_type?: string;
  readonly histo_buckets?: readonly JsonBucket[] | null;
}

async function injectStatistics(context: StatementContext, stmt: InjectStatistics): Promise<HookResult> {
  const snapshot = await context.catalog();
  const tag = 'ALTER TABLE';
  if (stmt.ifExists && !snapshot.resolveTable(partsOf(stmt.table), context.names)) return { tag };
  const { descriptor: table } = snapshot.requireTable(partsOf(stmt.table), context.names);
  checkPrivilege(await context.roles(), table, 'CREATE');
  checkNotAttached(table.id);
  if (table.id <= MAX_SYSTEM_ID) throw new StatementError(SqlState.InsufficientPrivilege, 'statistics of system tables cannot be injected');
  const { type, value } = await context.evalDatum(stmt.statistics);
  if (value === null) throw new StatementError(SqlState.InvalidParameterValue, 'statistics cannot be NULL');
  const made: Statistic[] = [];
  for (const injected of injectedOf(type, value)) {
    const columnIds = injected.columns.map((name) => table.columns.find((one) => one.name === name && one.state === 'public')?.id);
    const missing = injected.columns.find((_, i) => columnIds[i] === undefined);
    if (missing !== undefined) {
      context.notice(`column "${missing}" does not exist`, { code: SqlState.UndefinedColumn });
      continue;
    }
    const ids = columnIds.filter((id) => id !== undefined).sort((a, b) => a - b);
    const histogram = injected.histo_buckets ?? undefined;
    const columnType = table.columns.find((column) => column.id === ids[0])?.type;
    if (histogram && columnType) bucketsFromJson(columnType, histogram);
    made.push({
      tableId: table.id,
      id: context.engine.kv.ids.int8(),
      name: injected.name || undefined,
      columnIds: ids,
      createdAt: Number(parseTimestampTz(injected.created_at, { nowMicros: context.statementTimestamp })) as Timestamp,
      rowCount: Number(injected.row_count),
      distinctCount: Number(injected.distinct_count ?? 0),
      nullCount: Number(injected.null_count ?? 0),
      avgSize: Number(injected.avg_size ?? 0),
      histogram: histogram && columnType && { type: injected.histo_col_type ?? sqlTypeName(columnType), buckets: histogram },
    });
  }
  const rows = systemTable('table_statistics');
  await forgetStatistics(context.txn, table.id);
  for (const statistic of made) await rows.upsert(context.txn, statisticRow(statistic));
  return { tag };
}

/** 22023 for what is no list of statistics. */
function injectedOf(type: ColumnType, value: NonNullable<Datum>): readonly Injected[] {
  const invalid = (detail: string): never => {
    throw new StatementError(SqlState.InvalidParameterValue, 'statistics cannot be injected', { detail });
  };
  let plain: unknown;
  if (type.family === 'jsonb') plain = (value as Json).toPlain();
  else if (type.family === 'string') {
    try {
      plain = JSON.parse(utf8Decode(value as Bytes));
    } catch (error) {
      return invalid(error instanceof Error ? error.message : String(error));
    }
  } else return invalid('expected a string or JSON');
  if (!Array.isArray(plain)) return invalid('expected a list of statistics');
  for (const one of plain as Partial<Injected>[]) {
    const isList = Array.isArray(one?.columns) && one.columns.length > 0 && one.columns.every((name) => typeof name === 'string');
    if (!isList || typeof one.created_at !== 'string' || !Number.isFinite(Number(one.row_count ?? Number.NaN)))
      return invalid('each has columns, created_at and row_count');
  }
  return plain as readonly Injected[];
}
