/**
 * Functions about the session and the server, ids, and crdb_internal's few.
 */
import { type Bytes as ByteString, utf8Decode, utf8Encode } from '../../../base/bytes.ts';
import { sleep } from '../../../base/clock.ts';
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import { CLUSTER_VERSION } from '../../../base/version.ts';
import type { Datum, Decimal } from '../../../catalog/datum.ts';
import { arrayOf, type ColumnType, pgTypeName, Type } from '../../../catalog/type.ts';
import { parseConstant } from '../castFunction.ts';
import { alias, Bool, Bytes, contextual, Int8, pure, Text, Uuid } from '../define.ts';
import type { EvalContext } from '../evalContext.ts';
import type { EvalFn, Overload } from '../overload.ts';

const text = (bytes: Datum): string => utf8Decode(bytes as ByteString);
const spoken = (value: string | undefined): Datum => (value === undefined ? null : utf8Encode(value));

function session(name: string, read: (ctx: EvalContext) => string | undefined, type: ColumnType = Text): Overload {
  return contextual(name, [], type, 'stable', (ctx) => spoken(read(ctx)));
}

/** The first schema of the search path that exists here; NULL without one. */
const currentSchema = (ctx: EvalContext): string | undefined =>
  ctx.session.database === '' ? undefined : ctx.session.searchPath.find((name) => ctx.catalog.schemaOid(name) !== undefined);

const currentSetting: EvalFn = (ctx, name, missingOk = false) => {
  const value = ctx.session.variable(text(name as Datum).toLowerCase());
  if (value !== undefined) return utf8Encode(value);
  if (missingOk === true) return null;
  throw new StatementError(SqlState.UndefinedObject, `unrecognized configuration parameter "${text(name as Datum)}"`);
};

function uuidFromText(source: ByteString): Datum {
  return parseConstant(Type.Uuid, text(source));
}

/** `00000000-0000-0000-0000-000000000000` for 16 bytes. */
function uuidText(bytes: ByteString): ByteString {
  const hex = Buffer.from(bytes, 'latin1').toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}` as ByteString;
}

/** crdb_internal.force_error(code, message): what tests use to see an error pass through. */
const forceError: EvalFn = (_, code, message) => {
  throw new StatementError(text(code as Datum) as SqlState, text(message as Datum));
};

const currentUser = [session('current_user', (ctx) => ctx.session.user)];

export const systemFunctions: readonly Overload[] = [
  session('version', (ctx) => ctx.version),
  session('current_database', (ctx) => ctx.session.database || undefined),
  session('current_catalog', (ctx) => ctx.session.database || undefined),
  session('current_schema', currentSchema),
  contextual('current_schemas', [Bool], arrayOf(Type.String), 'stable', (ctx, implicit) => {
    const own = ctx.session.searchPath.filter((name) => ctx.catalog.schemaOid(name) !== undefined);
    const all = implicit === true && !own.includes('pg_catalog') ? ['pg_catalog', ...own] : own;
    return all.map(utf8Encode);
  }),
  ...currentUser,
  ...alias('user', currentUser),
  session('session_user', (ctx) => ctx.session.variable('session_user')),
  ...alias('current_role', currentUser),
  contextual('current_setting', [Text], Text, 'stable', currentSetting),
  contextual('current_setting', [Text, Bool], Text, 'stable', currentSetting),
  contextual('set_config', [Text, Text, Bool], Text, 'volatile', (ctx, name, value, isLocal) => {
    ctx.session.setVariable(text(name as Datum).toLowerCase(), text(value as Datum), isLocal === true);
    return value as Datum;
  }),
  contextual('gen_random_uuid', [], Uuid, 'volatile', (ctx) => ctx.uuid()),
  contextual('uuid_v4', [], Bytes, 'volatile', (ctx) => ctx.uuid()),
  contextual('uuid_generate_v4', [], Uuid, 'volatile', (ctx) => ctx.uuid()),
  contextual('unique_rowid', [], Int8, 'volatile', (ctx) => ctx.uniqueRowId()),
  pure<[ByteString]>('to_uuid', [Text], Bytes, uuidFromText),
  pure<[ByteString]>('from_uuid', [Bytes], Text, (bytes) => {
    if (bytes.length !== 16)
      throw new StatementError(SqlState.InvalidParameterValue, `uuid: UUID must be exactly 16 bytes long, got ${bytes.length} bytes`);
    return uuidText(bytes);
  }),
  {
    name: 'pg_typeof',
    params: ['any'],
    returns: Text,
    volatility: 'stable',
    nullable: true,
    specialize: ([type]) => {
      const name = utf8Encode(pgTypeName({ ...(type ?? Type.Unknown), width: undefined, precision: undefined }));
      return () => name;
    },
  },
  contextual('crdb_internal.node_id', [], Int8, 'stable', (ctx) => ctx.nodeId),
  contextual('crdb_internal.cluster_id', [], Uuid, 'stable', (ctx) => uuidFromText(utf8Encode(ctx.clusterId))),
  session('crdb_internal.cluster_name', () => ''),
  session('crdb_internal.node_executable_version', () => CLUSTER_VERSION),
  contextual('crdb_internal.force_error', [Text, Text], Int8, 'volatile', forceError),
  // There is no log to make more detailed, and no queue of ranges that garbage collection waits in.
  contextual('crdb_internal.set_vmodule', [Text], Int8, 'volatile', () => 0),
  contextual('crdb_internal.kv_enqueue_replica', [Int8, Text, Type.Bool], Type.Bool, 'volatile', () => true),
  contextual('crdb_internal.notice', [Text], Int8, 'volatile', (ctx, message) => {
    ctx.notice(text(message as Datum));
    return 0;
  }),
  contextual('crdb_internal.approximate_timestamp', [Type.Decimal], Type.Timestamp, 'immutable', (_, at) => {
    const nanos = (at as Decimal).truncated().toBigInt();
    return nanos === undefined ? null : Number(nanos / 1000n);
  }),
  // Sleeps on the injected clock; ends early with the statement.
  {
    name: 'pg_sleep',
    params: [Type.Float8],
    returns: Bool,
    volatility: 'volatile',
    asyncFn: async (ctx, seconds) => {
      await sleep(ctx.clock, Math.max(0, Math.round(Number(seconds) * 1_000_000)), ctx.signal);
      return true;
    },
  },
  contextual('pg_backend_pid', [], Int8, 'stable', (ctx) => ctx.backends.pid),
  {
    name: 'pg_cancel_backend',
    params: [Int8],
    returns: Bool,
    volatility: 'volatile',
    asyncFn: (ctx, pid) => ctx.backends.cancel(Number(pid)),
  },
  {
    name: 'pg_terminate_backend',
    params: [Int8],
    returns: Bool,
    volatility: 'volatile',
    asyncFn: (ctx, pid) => ctx.backends.terminate(Number(pid)),
  },
  contextual('pg_is_in_recovery', [], Bool, 'stable', () => false),
  contextual('pg_is_xlog_replay_paused', [], Bool, 'stable', () => false),
  contextual('inet_client_addr', [], Type.Inet, 'stable', () => null, { nullable: true }),
  contextual('txid_current', [], Int8, 'stable', (ctx) => ctx.transactionTimestamp),
  {
    name: 'crdb_internal.no_constant_folding',
    params: ['any'],
    returns: ([type]) => type ?? Type.Unknown,
    volatility: 'volatile',
    fn: (_, value) => value as Datum,
  },
];
