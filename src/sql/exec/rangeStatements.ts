/**
 * Ranges in SQL: SPLIT AT, UNSPLIT, SCATTER, RELOCATE LEASE, SHOW RANGES, SHOW RANGE ... FOR ROW.
 *
 * Ranges are metadata about who serves which keys, and not transactional: what these statements do
 * holds at once, whatever becomes of the transaction around them.
 * Lives elsewhere: splits and merges by size (kv/rangeQueue.ts), what a range is (kv/ranges.ts).
 */
import type { Bytes } from '../../base/bytes.ts';
import { utf8Decode } from '../../base/bytes.ts';
import { StateError, StatementError } from '../../base/errors.ts';
import { prettyKey } from '../../base/prettyKey.ts';
import { EVERYTHING, type Span } from '../../base/span.ts';
import { SqlState } from '../../base/sqlState.ts';
import { checkNotAttached } from '../../catalog/attached.ts';
import { findCast } from '../../catalog/cast.ts';
import { addInterval } from '../../catalog/datetime.ts';
import { parseTimestampTz } from '../../catalog/datetimeText.ts';
import { parseDatum } from '../../catalog/datumText.ts';
import type { Datum } from '../../catalog/datum.ts';
import { allIndexes, columnById, type IndexDescriptor, indexById, indexByName, type TableDescriptor } from '../../catalog/descriptor.ts';
import type { Interval } from '../../catalog/interval.ts';
import { parseInterval } from '../../catalog/intervalText.ts';
import { indexSpan, spanForConstraint, tableSpan } from '../../catalog/rowCodec.ts';
import { arrayOf, type ColumnType, familyName, Type } from '../../catalog/type.ts';
import { formatLocality } from '../../kv/locality.ts';
import type { RangeInfo } from '../../kv/ranges.ts';
import type { Expr, RangesOf, RelocateLease, Scatter, SelectStatement, Show, SplitAt, UnsplitAt } from '../parse/ast.ts';
import type { RunContext } from './context.ts';
import { SchemaChange } from './ddl/common.ts';
import { findIndex } from './ddl/indexes.ts';
import type { HookResult, ResultColumn, StatementHooks } from './statement.ts';
import { columns, text } from './virtual/support.ts';

interface Target {
  readonly table: TableDescriptor;
  readonly index: IndexDescriptor;
}

const asColumns = (spec: Parameters<typeof columns>[0]): ResultColumn[] => columns(spec).map(({ name, type }) => ({ name, type }));

/** How CockroachDB shows a split that never expires: the greatest time of its clock. */
const NEVER = 9_223_372_036_854_776n;

function untilDatum(until: number | undefined): Datum {
  return until === undefined ? null : Number.isFinite(until) ? until : NEVER;
}

function targetOf(change: SchemaChange, of: RangesOf): Target | undefined {
  const target = namedTarget(change, of);
  if (target) checkNotAttached(target.table.id);
  return target;
}

function namedTarget(change: SchemaChange, of: RangesOf): Target | undefined {
  if (of.type === 'index') return findIndex(change, of.index, of.ifExists);
  const found = change.relation(of.name, 'table', of.ifExists);
  return found && { table: found.descriptor, index: found.descriptor.primaryIndex };
}

// ---- keys -----------------------------------------------------------------------------------------

/** Where the entries with these values in the leading columns begin. */
function keyOf(what: string, { table, index }: Target, types: readonly ColumnType[], values: readonly Datum[]): Bytes {
  const columnIds = [...index.columnIds, ...(index.unique ? [] : index.keySuffixColumnIds)];
  if (values.length > columnIds.length) {
    throw new StatementError(SqlState.SyntaxError, `${what} expected at most ${columnIds.length} columns, got ${values.length}`, {
      hint: `index "${index.name}" is on ${columnIds.map((id) => columnById(table, id)?.name ?? '').join(', ')}`,
    });
  }
  const equals = values.map((value, i) => {
    const column = columnById(table, columnIds[i] ?? 0);
    const from = types[i];
    if (!column || !from || value === null) return null;
    const cast = findCast(from, column.type, 'assignment');
    if (cast) return cast(value, {});
    // A literal is of no type yet.
    if (from.family === 'string') return parseDatum(column.type, utf8Decode(value as Bytes));
    throw new StatementError(
      SqlState.DatatypeMismatch,
      `${what} data column ${i + 1} (${column.name}) must be of type ${familyName(column.type)}, not type ${familyName(from)}`,
    );
  });
  const span = spanForConstraint(table, index, { equals });
  if (!span) throw new StatementError(SqlState.InvalidParameterValue, `${what}: no key has these values`);
  return span.key;
}

/** The rows of SPLIT AT and its kin, in order. */
async function rowsOf(context: RunContext, query: SelectStatement): Promise<{ types: ColumnType[]; rows: Datum[][] }> {
  const result = await context.session.runNested(context, query, context.placeholders, context.placeholderTypes);
  return { types: (result.columns ?? []).map((column) => column.type), rows: result.rows };
}

async function keysOf(context: RunContext, what: string, target: Target, query: SelectStatement): Promise<Bytes[]> {
  const { types, rows } = await rowsOf(context, query);
  return rows.map((row) => keyOf(what, target, types, row));
}

// ---- splits ---------------------------------------------------------------------------------------

/** A moment, as text or datum; an interval counts from now. */
async function expirationOf(context: RunContext, expr: Expr): Promise<number> {
  const { type, value } = await context.evalDatum(expr);
  const now = context.statementTimestamp;
  const moment = ((): Datum => {
    if (value === null) return null;
    if (type.family === 'interval') return addInterval(now, value as Interval);
    if (type.family !== 'string') return value;
    const words = utf8Decode(value as Bytes);
    if (/^\s*\d{4}-/.test(words)) return parseTimestampTz(words, { nowMicros: now });
    return addInterval(now, parseInterval(words));
  })();
  if (moment === null || (typeof moment !== 'number' && typeof moment !== 'bigint')) {
    throw new StatementError(SqlState.DatatypeMismatch, `SPLIT AT: expiration must be a time, not of type ${familyName(type)}`);
  }
  const until = Number(moment);
  if (until < now)
    throw new StatementError(SqlState.InvalidParameterValue, 'SPLIT AT: expiration time should be greater than or equal to current time');
  return until;
}

async function splitAt(context: RunContext, stmt: SplitAt): Promise<HookResult> {
  const change = await SchemaChange.begin(context);
  const target = targetOf(change, stmt.of);
  if (!target) return { tag: 'SPLIT 0', rows: [] };
  change.check(target.table, 'INSERT');
  const until = stmt.expiration ? await expirationOf(context, stmt.expiration) : Number.POSITIVE_INFINITY;
  const { kv } = context.engine;
  const keys = await keysOf(context, 'SPLIT AT', target, stmt.rows);
  kv.ensureRange(indexSpan(target.table, target.index).key);
  const rows = keys.map((key): Datum[] => {
    kv.ranges.split(key, until);
    return [key, text(prettyKey(key)), untilDatum(until)];
  });
  return { tag: `SPLIT ${rows.length}`, rows };
}

async function unsplitAt(context: RunContext, stmt: UnsplitAt): Promise<HookResult> {
  const change = await SchemaChange.begin(context);
  const target = targetOf(change, stmt.of);
  if (!target) return { tag: 'UNSPLIT 0', rows: [] };
  change.check(target.table, 'INSERT');
  const { ranges, rangeQueue } = context.engine.kv;
  const span = indexSpan(target.table, target.index);
  const keys = stmt.rows
    ? await keysOf(context, 'UNSPLIT AT', target, stmt.rows)
    : ranges.overlapping(span).flatMap((range) => (range.splitUntil === undefined ? [] : [range.span.key]));
  const rows = keys.map((key): Datum[] => {
    if (ranges.lookup(key)?.span.key !== key) {
      throw new StatementError(SqlState.InvalidParameterValue, `UNSPLIT AT: key ${prettyKey(key)} is not the start of a range`);
    }
    ranges.unsplit(key);
    return [key, text(prettyKey(key))];
  });
  rangeQueue.noteWrites();
  return { tag: `UNSPLIT ${rows.length}`, rows };
}

// ---- leases ---------------------------------------------------------------------------------------

/** Gives the leases of an index's ranges to the nodes that may have them, in turn. */
async function scatter(context: RunContext, stmt: Scatter): Promise<HookResult> {
  const change = await SchemaChange.begin(context);
  const target = targetOf(change, stmt.of);
  if (!target) return { tag: 'SCATTER 0', rows: [] };
  change.check(target.table, 'INSERT');
  const { ranges, cluster } = context.engine.kv;
  const { table, index } = target;
  const live = cluster.liveLeases();
  const rows = ranges.overlapping(indexSpan(table, index)).map((range, i): Datum[] => {
    const holders = ranges.preferredOf(table.id, index.id, range.span.key, live);
    const holder = holders[i % holders.length];
    if (holder) ranges.transferLease(range.rangeId, holder.nodeId);
    return [range.span.key, text(prettyKey(range.span.key))];
  });
  return { tag: `SCATTER ${rows.length}`, rows };
}

async function relocateLease(context: RunContext, stmt: RelocateLease): Promise<HookResult> {
  const change = await SchemaChange.begin(context);
  change.requireAdmin('RELOCATE LEASE');
  const moves = await movesOf(context, change, stmt);
  const { ranges, cluster } = context.engine.kv;
  for (const { range, to } of moves) {
    const node = cluster.node(to);
    if (!ranges.transferLease(range.rangeId, to)) {
      throw new StateError(
        SqlState.ObjectNotInPrerequisiteState,
        `node ${to} cannot hold a lease: it is ${node.isLive ? node.membership : node.status}`,
      );
    }
  }
  const isByKey = stmt.ranges.type === 'keys';
  const rows = moves.map(({ range, key }): Datum[] =>
    isByKey ? [key, text(prettyKey(key))] : [range.rangeId, text(prettyKey(range.span.key)), text('ok')],
  );
  return { tag: `RELOCATE LEASE ${rows.length}`, rows };
}

interface Move {
  readonly range: RangeInfo;
  readonly key: Bytes;
  readonly to: number;
}

async function movesOf(context: RunContext, change: SchemaChange, stmt: RelocateLease): Promise<Move[]> {
  const { kv } = context.engine;
  const spec = stmt.ranges;
  if (spec.type === 'keys') {
    const target = targetOf(change, spec.of);
    if (!target) return [];
    kv.ensureRange(indexSpan(target.table, target.index).key);
    const { types, rows } = await rowsOf(context, spec.rows);
    return rows.flatMap(([store, ...values]) => {
      if (types[0]?.family !== 'int')
        throw new StatementError(SqlState.DatatypeMismatch, 'RELOCATE LEASE: the first column must be a store id');
      const key = keyOf('RELOCATE LEASE', target, types.slice(1), values);
      const range = kv.ranges.lookup(key);
      return range ? [{ range, key, to: Number(store) }] : [];
    });
  }
  const to = await context.evalInt(spec.to);
  const ids = spec.type === 'id' ? [await context.evalInt(spec.id)] : (await rowsOf(context, spec.query)).rows.map(([id]) => Number(id));
  return ids.map((id) => {
    const range = kv.ranges.byId(id ?? 0);
    if (!range) throw new StatementError(SqlState.UndefinedObject, `range ${id} does not exist`);
    return { range, key: range.span.key, to: to ?? 0 };
  });
}

// ---- SHOW -----------------------------------------------------------------------------------------

type ShowRanges = Extract<Show, { what: 'ranges' }>;
type ShowRangeForRow = Extract<Show, { what: 'rangeForRow' }>;
const OPTIONS = ['details', 'keys', 'tables', 'indexes', 'explain'] as const;

function optionsOf(stmt: ShowRanges): ReadonlySet<string> {
  const given = new Set(stmt.options.map((option) => option.name.toLowerCase()));
  for (const name of given) {
    if (!(OPTIONS as readonly string[]).includes(name) || name === 'explain') {
      throw new StatementError(SqlState.FeatureNotSupported, `SHOW RANGES WITH ${name.toUpperCase()} is not supported`);
    }
  }
  return given;
}

export function showRangesColumns(stmt: ShowRanges): ResultColumn[] {
  const options = optionsOf(stmt);
  const { type } = stmt.target;
  const withTables = options.has('tables') || options.has('indexes');
  return asColumns({
    start_key: Type.String,
    end_key: Type.String,
    ...(options.has('keys') && { raw_start_key: Type.Bytes, raw_end_key: Type.Bytes }),
    range_id: Type.Int8,
    ...(withTables && type === 'cluster' && { database_name: Type.String }),
    ...(withTables &&
      (type === 'cluster' || type === 'database') && { schema_name: Type.String, table_name: Type.String, table_id: Type.Int8 }),
    ...(options.has('indexes') && { index_name: Type.String, index_id: Type.Int8 }),
    ...(options.has('details') && { range_size_mb: Type.Float8, lease_holder: Type.Int8, lease_holder_locality: Type.String }),
    replicas: arrayOf(Type.Int8),
    replica_localities: arrayOf(Type.String),
    voting_replicas: arrayOf(Type.Int8),
    non_voting_replicas: arrayOf(Type.Int8),
    learner_replicas: arrayOf(Type.Int8),
    split_enforced_until: Type.Timestamp,
    ...(options.has('details') && { span_stats: Type.Jsonb }),
  });
}

/** `…/1/5`: a key as seen from its table or index. */
function shownKey(key: Bytes, span: Span, whole: 'Table' | 'Index' | undefined, prefix: string): Datum {
  if (whole === undefined) return text(prettyKey(key));
  if (key === span.key) return text(`…/<${whole}Min>`);
  if (key === span.endKey) return text(`…/<${whole}Max>`);
  return text(`…${prettyKey(key).slice(prefix.length)}`);
}

const BYTES_PER_MB = 1e6;

function holderColumns(context: RunContext, range: RangeInfo): { id: Datum; locality: Datum; ids: Datum[]; localities: Datum[] } {
  const node = range.leaseholder === 0 ? undefined : context.engine.kv.cluster.node(range.leaseholder);
  if (!node) return { id: null, locality: null, ids: [], localities: [] };
  const locality = text(formatLocality(node.locality));
  return { id: node.id, locality, ids: [node.id], localities: [locality] };
}

/** Rows of SHOW RANGES in key order. WITH DETAILS counts each range's bytes exactly: cost, its versions. */
export async function showRanges(context: RunContext, stmt: ShowRanges): Promise<Datum[][]> {
  const change = await SchemaChange.begin(context);
  const options = optionsOf(stmt);
  const { snapshot } = change;
  const { target } = stmt;
  const { kv } = context.engine;
  if (target.type === 'cluster') change.requireAdmin('SHOW CLUSTER RANGES');
  const shown = shownRanges(change, target);
  return shown.map(({ range, span, whole }): Datum[] => {
    const table = snapshot.tableById(range.tableId);
    const [database = '', schema = ''] = table ? snapshot.fullName(table) : [];
    const name = (value: string | undefined): Datum => (value === undefined ? null : text(value));
    const withTables = options.has('tables') || options.has('indexes');
    const prefix = whole === 'Index' ? `/Table/${range.tableId}/${range.indexId}` : `/Table/${range.tableId}`;
    const holder = holderColumns(context, range);
    const stats = options.has('details') ? kv.stats(range.span) : undefined;
    return [
      shownKey(range.span.key, span, whole, prefix),
      shownKey(range.span.endKey, span, whole, prefix),
      ...(options.has('keys') ? [range.span.key, range.span.endKey] : []),
      range.rangeId,
      ...(withTables && target.type === 'cluster' ? [text(database)] : []),
      ...(withTables && (target.type === 'cluster' || target.type === 'database') ? [text(schema), name(table?.name), range.tableId] : []),
      ...(options.has('indexes') ? [name(table && indexById(table, range.indexId)?.name), range.indexId] : []),
      ...(stats ? [stats.totalBytes / BYTES_PER_MB, holder.id, holder.locality] : []),
      holder.ids,
      holder.localities,
      holder.ids,
      [],
      [],
      untilDatum(range.splitUntil),
      ...(stats
        ? [
            parseDatum(
              Type.Jsonb,
              JSON.stringify({
                key_count: stats.totalKeys,
                live_bytes: stats.liveBytes,
                live_count: stats.liveKeys,
                total_bytes: stats.totalBytes,
                val_count: stats.versions,
              }),
            ),
          ]
        : []),
    ];
  });
}

interface ShownRange {
  readonly range: RangeInfo;
  /** What the keys are shown in relation to. */
  readonly span: Span;
  readonly whole: 'Table' | 'Index' | undefined;
}

function shownRanges(change: SchemaChange, target: ShowRanges['target']): ShownRange[] {
  const { kv } = change.context.engine;
  if (target.type === 'cluster') return kv.rangesOf(EVERYTHING).map((range) => ({ range, span: EVERYTHING, whole: undefined }));
  if (target.type === 'database') {
    const database = change.database(target.name?.text ?? change.context.names.currentDatabase);
    change.check(database, 'ZONECONFIG');
    const tables = change.snapshot
      .tablesOf(database.id)
      .filter((table) => !table.view)
      .sort((a, b) => a.id - b.id);
    return tables.flatMap((table) => rangesOfTable(change, table).map((range) => ({ range, span: tableSpan(table), whole: undefined })));
  }
  if (target.type === 'table') {
    const table = change.relation(target.name, 'any')?.descriptor;
    if (!table || table.view) throw new StatementError(SqlState.WrongObjectType, 'a view has no ranges');
    change.check(table, 'ZONECONFIG');
    const ranges = rangesOfTable(change, table);
    const span = { key: ranges[0]?.span.key ?? tableSpan(table).key, endKey: ranges.at(-1)?.span.endKey ?? tableSpan(table).endKey };
    return ranges.map((range) => ({ range, span, whole: 'Table' }));
  }
  const found = findIndex(change, target.index, false);
  if (!found) return [];
  change.check(found.table, 'ZONECONFIG');
  const span = indexSpan(found.table, found.index);
  kv.ensureRange(span.key);
  return kv.rangesOf(span).map((range) => ({ range, span, whole: 'Index' }));
}

/** An index gets its range at the first write; one that is looked at gets it now. */
function rangesOfTable(change: SchemaChange, table: TableDescriptor): RangeInfo[] {
  const { kv } = change.context.engine;
  if (!table.sequence) for (const index of allIndexes(table)) kv.ensureRange(indexSpan(table, index).key);
  return kv.rangesOf(tableSpan(table)).filter((range) => table.sequence !== undefined || indexById(table, range.indexId) !== undefined);
}

export const rangeForRowColumns = asColumns({
  start_key: Type.String,
  end_key: Type.String,
  range_id: Type.Int8,
  lease_holder: Type.Int8,
  lease_holder_locality: Type.String,
  replicas: arrayOf(Type.Int8),
  replica_localities: arrayOf(Type.String),
});

export async function showRangeForRow(context: RunContext, stmt: ShowRangeForRow): Promise<Datum[][]> {
  const change = await SchemaChange.begin(context);
  const table = change.table(stmt.table);
  const index = stmt.index ? indexByName(table, stmt.index.text) : table.primaryIndex;
  if (!index) throw new StatementError(SqlState.UndefinedObject, `index "${stmt.index?.text}" does not exist`);
  change.check(table, 'ZONECONFIG');
  const row: { type: ColumnType; value: Datum }[] = [];
  for (const expr of stmt.row) row.push(await context.evalDatum(expr));
  const key = keyOf(
    'SHOW RANGE FOR ROW',
    { table, index },
    row.map(({ type }) => type),
    row.map(({ value }) => value),
  );
  const { kv } = context.engine;
  const span = indexSpan(table, index);
  kv.ensureRange(span.key);
  const range = kv.ranges.lookup(key);
  if (!range) return [];
  const holder = holderColumns(context, range);
  const prefix = `/Table/${table.id}/${index.id}`;
  const shown = (edge: Bytes) => shownKey(edge, span, 'Index', prefix);
  return [[shown(range.span.key), shown(range.span.endKey), range.rangeId, holder.id, holder.locality, holder.ids, holder.localities]];
}

export function registerRangeStatements(hooks: StatementHooks): void {
  const keyed = { key: Type.Bytes, pretty: Type.String };
  hooks.register<SplitAt>('splitAt', {
    columns: () => asColumns({ ...keyed, split_enforced_until: Type.Timestamp }),
    run: (context, stmt) => splitAt(context as RunContext, stmt),
  });
  hooks.register<UnsplitAt>('unsplitAt', {
    columns: () => asColumns(keyed),
    run: (context, stmt) => unsplitAt(context as RunContext, stmt),
  });
  hooks.register<Scatter>('scatter', { columns: () => asColumns(keyed), run: (context, stmt) => scatter(context as RunContext, stmt) });
  hooks.register<RelocateLease>('relocateLease', {
    columns: (stmt) => asColumns(stmt.ranges.type === 'keys' ? keyed : { range_id: Type.Int8, pretty: Type.String, result: Type.String }),
    run: (context, stmt) => relocateLease(context as RunContext, stmt),
  });
}
