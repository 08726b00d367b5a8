/**
 * crdb_internal.backup_compaction: CockroachDB's way to COMPACT BACKUP, in the forms of its releases.
 *
 *   (backup STRING, full STRING, start DECIMAL, end DECIMAL)                        -> INT8, the job's id
 *   (schedule INT8, backup STRING, full STRING, start DECIMAL, end DECIMAL)         the schedule is not looked at
 *   (collection STRING[], full STRING, options BYTES, start DECIMAL, end DECIMAL)   options: empty, or 0A000
 *
 * `backup` is the BACKUP statement whose collection it is; of its options those count that say where layers are and how
 * they are encrypted. `full` is a path of SHOW BACKUPS, or LATEST. Times are nanoseconds, as AS OF SYSTEM TIME has them, 0
 * for none. The job is made at once, in a transaction of its own, with the rights and errors of COMPACT BACKUP.
 */
import { type Bytes, utf8Decode } from '../../base/bytes.ts';
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { Datum } from '../../catalog/datum.ts';
import type { Decimal } from '../../catalog/decimal.ts';
import { arrayOf, type ColumnType, Type } from '../../catalog/type.ts';
import type { SqlEngine } from '../../sql/exec/engine.ts';
import type { StatementHook } from '../../sql/exec/statement.ts';
import type { EvalContext } from '../../sql/expr/evalContext.ts';
import type { Backup, CompactBackup, Expr, Option } from '../../sql/parse/ast.ts';
import { parseStatements } from '../../sql/parse/parse.ts';

import { ENCRYPTION_OPTIONS } from '../../backup/encryptionOptions.ts';
import { INCREMENTAL_LOCATION } from '../../backup/readLocation.ts';

/** What is compacted, as COMPACT BACKUP says it. */
interface Request {
  readonly uris: readonly Expr[];
  readonly options: readonly Option[];
  readonly full: Datum;
  readonly start: Datum;
  readonly end: Datum;
}

const string = (value: string): Expr => ({ kind: 'string', value, pos: 0 });

export function registerCompactionFunction(engine: SqlEngine, compact: StatementHook<CompactBackup>): void {
  const define = (params: readonly ColumnType[], request: (...args: readonly Datum[]) => Request) =>
    engine.functions.register({
      name: 'crdb_internal.backup_compaction',
      params,
      returns: Type.Int8,
      volatility: 'volatile',
      asyncFn: async (ctx, ...args) => await run(engine, compact, ctx, request(...(args as readonly Datum[]))),
    });
  const times = [Type.Decimal, Type.Decimal];
  define([Type.String, Type.String, ...times], (backup = null, full = null, start = null, end = null) => ({
    ...placesOf(textOf(backup)),
    full,
    start,
    end,
  }));
  define([Type.Int8, Type.String, Type.String, ...times], (_schedule, backup = null, full = null, start = null, end = null) => ({
    ...placesOf(textOf(backup)),
    full,
    start,
    end,
  }));
  define([arrayOf(Type.String), Type.String, Type.Bytes, ...times], (
    uris = null,
    full = null,
    options = null,
    start = null,
    end = null,
  ) => {
    if (options !== '')
      throw new StatementError(SqlState.FeatureNotSupported, 'options of encryption must be empty', { hint: 'COMPACT BACKUP takes them' });
    return { uris: (uris as readonly Datum[]).map((uri) => string(textOf(uri))), options: [], full, start, end };
  });
}

async function run(engine: SqlEngine, compact: StatementHook<CompactBackup>, ctx: EvalContext, request: Request): Promise<Datum> {
  const { uris, full, start, end } = request;
  const [first, ...others] = uris;
  if (first === undefined) throw new StatementError(SqlState.InvalidParameterValue, 'the collection has no location');
  const path = textOf(full);
  const stmt: CompactBackup = {
    kind: 'compactBackup',
    source:
      path.toUpperCase() === 'LATEST'
        ? { type: 'latest', uris: [first, ...others] }
        : { type: 'subdir', subdir: string(path), uris: [first, ...others] },
    from: boundOf(start as Decimal),
    to: boundOf(end as Decimal),
    options: [...request.options, { name: 'detached', value: undefined, pos: 0 }],
    pos: 0,
  };
  const result = await engine.runAs(ctx.session.user, async (context) => await compact.run(context, stmt), ctx.signal);
  return result.rows?.[0]?.[0] ?? null;
}

/** Where the layers of a BACKUP statement are, and how to read them. 42601, 22023. */
function placesOf(text: string): Pick<Request, 'uris' | 'options'> {
  const [parsed, ...others] = parseStatements(text);
  const backup = parsed?.ast as Backup | undefined;
  if (backup?.kind !== 'backup' || others.length > 0 || !(backup.destination.type === 'into' || backup.destination.type === 'intoLatest')) {
    throw new StatementError(SqlState.InvalidParameterValue, 'not a statement BACKUP ... INTO');
  }
  const kept = new Set<string>([INCREMENTAL_LOCATION, ...ENCRYPTION_OPTIONS]);
  return { uris: backup.destination.uris, options: backup.options.filter(({ name }) => kept.has(name)) };
}

function boundOf(time: Decimal): Expr | undefined {
  const text = time.toString();
  return Number(text) === 0 ? undefined : string(text);
}

function textOf(datum: Datum): string {
  return utf8Decode(datum as Bytes);
}
