/**
 * History in SQL: the versions of a row, and what differs in a table between times and between forks.
 *
 *   FROM varve_internal.versions_of(table, key...)            newest first
 *   FROM varve_internal.diff(table, from [, to])              times as AS OF SYSTEM TIME takes them
 *   FROM varve_internal.diff_forks(table, before [, after])   forks by name; `main` is none
 *
 * They need SELECT on the table, on each side. Under AS OF SYSTEM TIME, versions end there and a diff
 * without `to` goes up to there. Nothing that is not committed shows.
 *
 * Lives elsewhere: rowVersions.ts, tableDiff.ts.
 */
import { type Bytes, utf8Decode, utf8Encode } from '../base/bytes.ts';
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Timestamp } from '../base/timestamp.ts';
import type { CatalogServices } from '../catalog/bootstrap.ts';
import type { CatalogSnapshot, NameContext } from '../catalog/catalog.ts';
import { type Datum, Json } from '../catalog/datum.ts';
import { type ColumnDescriptor, columnById, type TableDescriptor } from '../catalog/descriptor.ts';
import { jsonObject } from '../catalog/json.ts';
import { checkPrivilege } from '../catalog/privileges.ts';
import { timestampToDecimal } from '../catalog/protectedRecords.ts';
import { type ColumnType, Type } from '../catalog/type.ts';
import { rolesOf } from '../catalog/users.ts';
import type { Kv } from '../kv/kv.ts';
import { ownerOf } from '../kv/memory.ts';
import { asOfValue } from '../sql/exec/asOf.ts';
import type { SqlEngine } from '../sql/exec/engine.ts';
import { splitName } from '../sql/exec/catalogLookup.ts';
import { castFunction } from '../sql/expr/castFunction.ts';
import type { EvalContext } from '../sql/expr/evalContext.ts';
import type { GeneratorOverload, GeneratorStatement } from '../sql/expr/overload.ts';
import { toJson } from '../sql/expr/toJson.ts';
import { rowVersions, type RowVersion } from './rowVersions.ts';
import { type DiffRow, type DiffSide, type RowChange, tableChanges } from './tableDiff.ts';

/** A database with a past, and the forks beside it. */
export interface WithHistory {
  readonly kv: Kv;
  readonly services: CatalogServices;
  readonly forks: { require(name: string): WithHistory };
}

/** Who asks, and how names are meant. */
export interface Asker {
  readonly user: string;
  readonly names: NameContext;
}

/** The sides of a diff between two times of one database. 42P01 for a table that neither has, 42501, 72000. */
export function timeSides(
  database: WithHistory,
  name: string,
  times: readonly [Timestamp, Timestamp],
  asker: Asker,
): Promise<[DiffSide, DiffSide]> {
  return sides(
    name,
    [
      { database, at: times[0] },
      { database, at: times[1] },
    ],
    asker,
  );
}

/** The same between two databases as they are now. */
export function forkSides(name: string, databases: readonly [WithHistory, WithHistory], asker: Asker): Promise<[DiffSide, DiffSide]> {
  const [before, after] = databases;
  return sides(
    name,
    [
      { database: before, at: before.kv.reading() },
      { database: after, at: after.kv.reading() },
    ],
    asker,
  );
}

interface Moment {
  readonly database: WithHistory;
  readonly at: Timestamp;
}

async function sides(name: string, [first, second]: readonly [Moment, Moment], asker: Asker): Promise<[DiffSide, DiffSide]> {
  const parts = splitName(name);
  const snapshots: [CatalogSnapshot, CatalogSnapshot] = [await catalogAt(first), await catalogAt(second)];
  const side = async ({ database: { kv }, at }: Moment, snapshot: CatalogSnapshot): Promise<DiffSide> => {
    const table = snapshot.resolveTable(parts, asker.names)?.descriptor;
    if (table) checkReadable(await rolesOf(kv.at(kv.reading()), asker.user), table);
    return { kv, at, table };
  };
  const found: [DiffSide, DiffSide] = [await side(first, snapshots[0]), await side(second, snapshots[1])];
  if (!found[0].table && !found[1].table) snapshots[1].requireTable(parts, asker.names);
  return found;
}

async function catalogAt({ database, at }: Moment): Promise<CatalogSnapshot> {
  const { catalog } = database.services;
  const reader = database.kv.at(at);
  return catalog.withAttached(catalog.withPasts(await catalog.snapshot(reader), reader));
}

/** 42501 without SELECT, 42809 for what stores no rows. */
function checkReadable(roles: ReadonlySet<string>, table: TableDescriptor): void {
  checkPrivilege(roles, table, 'SELECT');
  if (table.view && !table.view.isMaterialized) {
    throw new StatementError(SqlState.WrongObjectType, `"${table.name}" is a view: it has no rows of its own`);
  }
}

export function registerHistoryFunctions(database: WithHistory & { readonly engine: SqlEngine }): void {
  database.engine.functions.registerGenerator(versionsOf(database), ...diffs(database));
}

const columnsOf = (spec: Readonly<Record<string, ColumnType>>) => {
  const columns = Object.entries(spec).map(([name, type]) => ({ name, type }));
  return () => columns;
};
const text = (datum: Datum | undefined): string => utf8Decode(datum as Bytes);

function json(columns: readonly ColumnDescriptor[], values: readonly Datum[], ctx: EvalContext): Json {
  return new Json(jsonObject(columns.map(({ name, type }, i) => [name, toJson(type)(values[i] ?? null, ctx)] as const)));
}

const keyJson = (row: DiffRow, ctx: EvalContext): Json => json(row.columns.key, row.values, ctx);
const rowJson = (row: DiffRow | undefined, ctx: EvalContext): Datum =>
  row ? json(row.columns.visible, row.values.slice(row.columns.key.length), ctx) : null;

// ---- versions_of -------------------------------------------------------------------------------

function versionsOf({ kv }: WithHistory): GeneratorOverload {
  return {
    name: 'varve_internal.versions_of',
    params: [Type.String],
    variadic: 'any',
    volatility: 'volatile',
    nullable: true,
    columns: columnsOf({
      ts: Type.Decimal,
      time: Type.TimestampTz,
      deleted: Type.Bool,
      row: Type.Jsonb,
      collectable: Type.Bool,
      kept_by: Type.String,
      kept_until: Type.TimestampTz,
    }),
    async *asyncRows(ctx, [name, ...key], [, ...types], statement) {
      if (name === null) return;
      const { descriptor } = (await statement.catalog()).requireTable(splitName(text(name)), statement.names);
      checkReadable(await statement.roles(), descriptor);
      const primaryKey = castKey(descriptor, key, types, ctx);
      for (const version of await rowVersions(kv, descriptor, primaryKey, statement.reader.readTimestamp)) {
        yield [
          timestampToDecimal(version.ts),
          version.ts,
          version.row === undefined,
          rowJson(version.row, ctx),
          version.isCollectable,
          version.isCollectable ? null : utf8Encode(keptBy(version)),
          version.keptUntil ?? null,
        ];
      }
    },
  };
}

/** What a statement gave as the key, in the key's own types. 22023 for the wrong number of values, 22004 for NULL. */
function castKey(table: TableDescriptor, values: readonly Datum[], types: readonly ColumnType[], ctx: EvalContext): Datum[] {
  const columns = table.primaryIndex.columnIds.flatMap((id) => columnById(table, id) ?? []);
  const names = columns.map((column) => column.name).join(', ');
  if (values.length !== columns.length) {
    const count = `${columns.length} ${columns.length === 1 ? 'value' : 'values'}`;
    throw new StatementError(
      SqlState.InvalidParameterValue,
      `versions_of(): the primary key of "${table.name}" has ${count}, not ${values.length}`,
      {
        hint: `give a value for each of: ${names}`,
      },
    );
  }
  return columns.map(({ name, type }, i) => {
    const value = values[i] ?? null;
    if (value === null)
      throw new StatementError(SqlState.NullValueNotAllowed, `versions_of(): "${name}" is part of the primary key and never NULL`);
    return castFunction(types[i] as ColumnType, type, 'explicit')(value, ctx);
  });
}

/** `latest`, `ttl`, `protection 5bc1… of job 7`, or several. */
function keptBy({ isLatest, isWithinTtl, protections }: RowVersion): string {
  const reasons = protections.map((record) => `protection ${record.id} of ${ownerOf(record)}`);
  if (isWithinTtl) reasons.unshift('ttl');
  if (isLatest) reasons.unshift('latest');
  // Not old enough for the last threshold that was taken, by less than the clock's step.
  return reasons.length === 0 ? 'threshold' : reasons.join(', ');
}

// ---- diffs -------------------------------------------------------------------------------------

const DIFF_COLUMNS = columnsOf({ op: Type.String, key: Type.Jsonb, before: Type.Jsonb, after: Type.Jsonb });

function diffs(database: WithHistory): GeneratorOverload[] {
  const { forks, kv } = database;
  const byTime = async function* (ctx: EvalContext, args: readonly Datum[], types: readonly ColumnType[], statement: GeneratorStatement) {
    const context = { statementTimestamp: statement.statementTimestamp, reading: kv.reading() };
    const [from, to] = [1, 2].map((i) =>
      i < args.length ? asOfValue(types[i] as ColumnType, args[i] ?? null, context) : statement.reader.readTimestamp,
    );
    yield* rows(
      tableChanges(...(await timeSides(database, text(args[0]), [from as Timestamp, to as Timestamp], statement))),
      ctx,
      statement,
    );
  };
  const byFork = async function* (ctx: EvalContext, args: readonly Datum[], _types: readonly ColumnType[], statement: GeneratorStatement) {
    const [before, after = database] = args.slice(1).map((name) => forks.require(text(name)));
    yield* rows(tableChanges(...(await forkSides(text(args[0]), [before as WithHistory, after], statement))), ctx, statement);
  };
  const diff = (name: string, params: GeneratorOverload['params'], asyncRows: GeneratorOverload['asyncRows']): GeneratorOverload => ({
    name: `varve_internal.${name}`,
    params,
    columns: DIFF_COLUMNS,
    volatility: 'volatile',
    ...(asyncRows && { asyncRows }),
  });
  return [
    diff('diff', [Type.String, 'any'], byTime),
    diff('diff', [Type.String, 'any', 'any'], byTime),
    diff('diff_forks', [Type.String, Type.String], byFork),
    diff('diff_forks', [Type.String, Type.String, Type.String], byFork),
  ];
}

async function* rows(changes: AsyncIterable<RowChange>, ctx: EvalContext, { signal }: GeneratorStatement): AsyncGenerator<Datum[]> {
  for await (const { op, before, after } of changes) {
    signal.throwIfAborted();
    yield [utf8Encode(op), keyJson((after ?? before) as DiffRow, ctx), rowJson(before, ctx), rowJson(after, ctx)];
  }
}
