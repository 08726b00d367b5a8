/**
 * The varve_internal schema: what a user asks and tells the engine in SQL about time and retention.
 *
 *   advance_clock(interval)            moves a manual clock; 55000 under a system clock
 *   set_clock(timestamptz)             the same, to a moment; forwards only
 *   protect_timestamp(target, ts)      holds history from ts on; the record's id
 *   release_protection(id)             lets it go; true
 *   protected_timestamps               every record: who holds what, since when, and how many bytes for it alone
 *
 * Functions that write commit on their own, as nextval does: holding history must count at once, and
 * must not be undone by a statement that fails later.
 */
import { type Bytes, utf8Decode, utf8Encode } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { StateError, StatementError } from '../base/errors.ts';
import { ManualClock } from '../base/manualClock.ts';
import { SqlState } from '../base/sqlState.ts';
import { parseDecimal, type Timestamp, timestamp } from '../base/timestamp.ts';
import type { CatalogSnapshot } from '../catalog/catalog.ts';
import { addInterval } from '../catalog/datetime.ts';
import { parseTimestampTz } from '../catalog/datetimeText.ts';
import { formatUuid, parseUuid } from '../catalog/datumText.ts';
import type { Datum } from '../catalog/datum.ts';
import type { Interval } from '../catalog/interval.ts';
import { type ProtectedRecords, timestampToDecimal } from '../catalog/protectedRecords.ts';
import { type ColumnType, Type } from '../catalog/type.ts';
import type { ProtectionTarget } from '../gc/protectedTimestamps.ts';
import type { SqlEngine } from '../sql/exec/engine.ts';
import { splitName } from '../sql/exec/catalogLookup.ts';
import type { EvalContext } from '../sql/expr/evalContext.ts';
import type { Overload } from '../sql/expr/overload.ts';

export interface InternalsParts {
  readonly engine: SqlEngine;
  readonly protections: ProtectedRecords;
  readonly clock: Clock;
}

/** Adds functions and tables to a database's engine. */
export function registerInternals(parts: InternalsParts): void {
  const { engine, protections } = parts;
  engine.functions.register(...clockFunctions(parts), ...protectionFunctions(parts));
  engine.virtualTables.register({
    schema: 'varve_internal',
    name: 'protected_timestamps',
    comment: 'records that hold the GC threshold down, oldest first',
    columns: [
      { name: 'id', type: Type.Uuid },
      { name: 'ts', type: Type.Decimal },
      { name: 'protected_time', type: Type.TimestampTz },
      { name: 'meta_type', type: Type.String },
      { name: 'meta', type: Type.String },
      { name: 'target', type: Type.String },
      { name: 'pinned_bytes', type: Type.Int8 },
    ],
    async rows(context) {
      const snapshot = await context.catalog();
      const nameOf = (id: number) => snapshot.databaseById(id)?.name ?? qualified(snapshot, id);
      return protections
        .current()
        .map((record): Datum[] => [
          parseUuid(record.id),
          timestampToDecimal(record.ts),
          record.ts,
          utf8Encode(record.metaType),
          utf8Encode(record.meta),
          utf8Encode(record.target.kind === 'cluster' ? 'cluster' : record.target.ids.map(nameOf).join(', ')),
          engine.kv.gc.pinnedBy(record),
        ]);
    },
  });
}

function qualified(snapshot: CatalogSnapshot, id: number): string {
  const table = snapshot.tableById(id);
  return table ? snapshot.fullName(table).join('.') : `[${id}]`;
}

function volatile(
  name: string,
  params: readonly ColumnType[],
  returns: ColumnType,
  run: (ctx: EvalContext, ...args: Datum[]) => Promise<Datum>,
): Overload {
  return { name: `varve_internal.${name}`, params, returns, volatility: 'volatile', asyncFn: run };
}

function clockFunctions({ clock }: InternalsParts): Overload[] {
  const manual = (name: string): ManualClock => {
    if (clock instanceof ManualClock) return clock;
    throw new StateError(SqlState.ObjectNotInPrerequisiteState, `${name}(): the system clock cannot be moved`, {
      hint: 'start the server with --clock manual, or open the database with a ManualClock',
    });
  };
  return [
    volatile('advance_clock', [Type.Interval], Type.TimestampTz, async (_ctx, interval) => {
      const target = manual('advance_clock');
      const micros = Number(addInterval(target.nowMicros(), interval as Interval)) - target.nowMicros();
      await target.advance(micros);
      return target.nowMicros();
    }),
    volatile('set_clock', [Type.TimestampTz], Type.TimestampTz, async (_ctx, moment) => {
      const target = manual('set_clock');
      await target.set(finite('set_clock', moment));
      return target.nowMicros();
    }),
  ];
}

function protectionFunctions({ engine, protections }: InternalsParts): Overload[] {
  const { kv, catalog } = engine;
  const protect = async (ctx: EvalContext, target: Datum, ts: Timestamp): Promise<Datum> => {
    const name = utf8Decode(target as Bytes);
    if (ts > kv.reading()) {
      throw new StatementError(SqlState.InvalidParameterValue, 'protect_timestamp(): the time is in the future', {
        hint: 'only history that exists can be held',
      });
    }
    const id = kv.ids.uuid();
    await kv.run(async (txn) => {
      const snapshot = await catalog.snapshot(txn);
      const record = { id, ts, metaType: 'user', meta: ctx.session.user, target: targetOf(snapshot, name, ctx) };
      await protections.protect(txn, record);
    });
    return parseUuid(id);
  };
  const release = async (id: string): Promise<Datum> => {
    await kv.run((txn) => protections.release(txn, id));
    return true;
  };
  return [
    volatile('protect_timestamp', [Type.String, Type.Decimal], Type.Uuid, (ctx, target, ts) =>
      protect(ctx, target as Datum, decimalTime(String(ts))),
    ),
    volatile('protect_timestamp', [Type.String, Type.TimestampTz], Type.Uuid, (ctx, target, ts) =>
      protect(ctx, target as Datum, timestamp(finite('protect_timestamp', ts))),
    ),
    {
      ...volatile('protect_timestamp', [Type.String, Type.String], Type.Uuid, (ctx, target, ts) => {
        const text = utf8Decode(ts as Bytes);
        const micros =
          parseDecimal(text) ?? timestamp(finite('protect_timestamp', parseTimestampTz(text, { nowMicros: ctx.statementTimestamp })));
        return protect(ctx, target as Datum, micros);
      }),
      preferred: true,
    },
    volatile('release_protection', [Type.Uuid], Type.Bool, (_ctx, id) => release(formatUuid(id as Bytes))),
  ];
}

/** Microseconds of a moment that the engine's clock can show: from the epoch to the year 2255. */
function finite(name: string, moment: Datum): number {
  const micros = Number(moment);
  if (Number.isSafeInteger(micros) && micros >= 0) return micros;
  throw new StatementError(SqlState.InvalidParameterValue, `${name}(): the time is outside 1970 to 2255`);
}

function decimalTime(text: string): Timestamp {
  const ts = parseDecimal(text);
  if (ts === undefined) {
    throw new StatementError(SqlState.InvalidParameterValue, `protect_timestamp(): ${text} is no time in nanoseconds since the epoch`, {
      hint: 'use cluster_logical_timestamp(), or a TIMESTAMPTZ',
    });
  }
  return ts;
}

/** `cluster`, a database, or a table; a database of the same name as a table in reach comes first. */
function targetOf(snapshot: CatalogSnapshot, name: string, ctx: EvalContext): ProtectionTarget {
  if (name === 'cluster') return { kind: 'cluster' };
  const database = snapshot.database(name);
  if (database) return { kind: 'objects', ids: [database.id] };
  const { descriptor } = snapshot.requireTable(splitName(name), {
    currentDatabase: ctx.session.database,
    searchPath: ctx.session.searchPath,
  });
  return { kind: 'objects', ids: [descriptor.id] };
}
