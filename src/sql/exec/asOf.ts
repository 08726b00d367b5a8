/**
 * AS OF SYSTEM TIME: every accepted form to one timestamp.
 *
 *   INT, DECIMAL          nanoseconds since the epoch; a decimal's fraction is the logical part
 *   INTERVAL, negative    added to statement_timestamp()
 *   STRING                a timestamp, nanoseconds, or a negative interval; '<timestamp>?' as '<timestamp>'
 *   TIMESTAMP(TZ)         as it is
 *   follower_read_timestamp()                 4.2 s ago
 *   with_max_staleness(i), with_min_timestamp(t)   the bound itself: one process is never stale
 *
 * Finer input is floored to microseconds. The future is refused by the HLC's reading, never by a wall clock.
 */
import { utf8Decode, type Bytes } from '../../base/bytes.ts';
import { letGo, StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { formatForError, parseDecimal, type Timestamp } from '../../base/timestamp.ts';
import type { Datum } from '../../catalog/datum.ts';
import { addInterval } from '../../catalog/datetime.ts';
import { parseTimestampTz } from '../../catalog/datetimeText.ts';
import { Interval } from '../../catalog/interval.ts';
import { formatInterval, parseInterval } from '../../catalog/intervalText.ts';
import { type ColumnType, familyName } from '../../catalog/type.ts';
import type { CallExpr, Expr, Statement } from '../parse/ast.ts';

export interface AsOfTimes {
  readonly statementTimestamp: Timestamp;
  /** The HLC's reading: nothing above it can be read. */
  readonly reading: Timestamp;
}

export interface AsOfContext extends AsOfTimes {
  /** Evaluates a constant expression. */
  evaluate(expr: Expr): Promise<{ type: ColumnType; value: Datum }>;
}

const FOLLOWER_READ_LAG_MICROS = 4_200_000;

function refuse(message: string, code = SqlState.InvalidParameterValue): never {
  throw new StatementError(code, `AS OF SYSTEM TIME: ${message}`);
}

/** The timestamp an expression names. 22023 for the future, a positive interval, or what is no time. */
export async function resolveAsOf(expr: Expr, context: AsOfContext): Promise<Timestamp> {
  return checked(await microsOf(expr, context), context);
}

/** The same for a value. */
export function asOfValue(type: ColumnType, value: Datum, context: AsOfTimes): Timestamp {
  return checked(valueMicros(type, value, context), context);
}

function checked(exactMicros: number, context: AsOfTimes): Timestamp {
  const micros = Math.floor(exactMicros);
  if (!Number.isSafeInteger(micros)) refuse('timestamp out of range');
  if (micros === 0) refuse('zero timestamp is invalid');
  if (micros < 0) refuse('timestamp before 1970-01-01T00:00:00Z is invalid');
  const at = micros as Timestamp;
  if (at > context.reading) {
    refuse(`cannot specify timestamp in the future (${formatForError(at)} > ${formatForError(context.reading)})`);
  }
  return at;
}

async function microsOf(expr: Expr, context: AsOfContext): Promise<number> {
  if (expr.kind === 'call') {
    const name = expr.name.parts.at(-1)?.text.toLowerCase() ?? '';
    if (name === 'follower_read_timestamp' || name === 'experimental_follower_read_timestamp') {
      if (expr.args.length > 0) throw await unknownSignature(name, expr.args, context);
      return context.statementTimestamp - FOLLOWER_READ_LAG_MICROS;
    }
    if (name === 'with_max_staleness' || name === 'with_min_timestamp') return boundOf(expr, name, context);
    throw new StatementError(SqlState.SyntaxError, 'AS OF SYSTEM TIME: only constant expressions or follower_read_timestamp are allowed', {
      hint: 'with_min_timestamp and with_max_staleness are taken too',
    });
  }
  if (expr.kind === 'subquery') throw new StatementError(SqlState.FeatureNotSupported, 'subqueries are not allowed in AS OF SYSTEM TIME');
  const { type, value } = await context.evaluate(expr);
  return valueMicros(type, value, context);
}

async function unknownSignature(name: string, args: readonly Expr[], context: AsOfContext): Promise<StatementError> {
  const types: string[] = [];
  for (const arg of args) types.push(familyName((await context.evaluate(arg)).type));
  return new StatementError(SqlState.UndefinedFunction, `unknown signature: ${name}(${types.join(', ')}) (desired <timestamptz>)`);
}

async function boundOf(call: CallExpr, name: string, context: AsOfContext): Promise<number> {
  const [bound] = call.args;
  if (!bound) refuse(`${name} needs an argument`);
  const { type, value } = await context.evaluate(bound);
  if (value === null) refuse(`${name}: argument must not be NULL`);
  if (name === 'with_min_timestamp') return valueMicros(type, value, context);
  const interval = value instanceof Interval ? value : type.family === 'string' ? parseInterval(utf8Decode(value as Bytes)) : undefined;
  if (!interval) refuse(`${name}: expected an interval, got ${familyName(type)}`);
  const micros = Number(addInterval(context.statementTimestamp, interval.negated()));
  if (micros > context.statementTimestamp) refuse(`interval duration for ${name} must be greater or equal to 0`);
  return micros;
}

function valueMicros(type: ColumnType, value: Datum, context: AsOfTimes): number {
  if (value === null) refuse('expected timestamp, decimal, or interval, got unknown');
  switch (type.family) {
    case 'int':
      return nanosToMicros(String(value));
    case 'decimal':
      return nanosToMicros(String(value));
    case 'timestamp':
    case 'timestamptz':
      return Number(value);
    case 'interval':
      return before(value as Interval, context);
    case 'string':
      return textMicros(utf8Decode(value as Bytes), context);
    default:
      return refuse(`expected timestamp, decimal, or interval, got ${familyName(type)}`);
  }
}

function nanosToMicros(text: string): number {
  if (text.startsWith('-')) refuse('timestamp before 1970-01-01T00:00:00Z is invalid');
  const micros = parseDecimal(text);
  return micros ?? refuse(`value is neither timestamp, decimal, nor interval: ${text}`);
}

/** The future is refused with all other times; an interval of less than a microsecond is the present, which no text can mean. */
function before(interval: Interval, context: AsOfTimes, written = formatInterval(interval)): number {
  const micros = Number(addInterval(context.statementTimestamp, interval));
  if (micros === Number(context.statementTimestamp)) refuse(`interval value '${written}' too small, absolute value must be >= 1µs`);
  return micros;
}

function textMicros(text: string, context: AsOfTimes): number {
  const trimmed = text.trim().replace(/\?$/, '');
  if (/^\d+(?:\.\d*)?$/.test(trimmed)) return nanosToMicros(trimmed);
  try {
    return Number(parseTimestampTz(trimmed, { nowMicros: context.statementTimestamp }));
  } catch (noTime) {
    letGo(noTime);
    let interval: Interval;
    try {
      interval = parseInterval(trimmed);
    } catch (noInterval) {
      letGo(noInterval);
      return refuse('value is neither timestamp, decimal, nor interval');
    }
    return before(interval, context, text);
  }
}

/** The AS OF SYSTEM TIME clauses of a query: the outermost one, and all of them. */
export interface AsOfClauses {
  readonly top: Expr | undefined;
  readonly all: readonly Expr[];
}

/** Statements whose clause is about a backup or a table, not about when they read themselves, where they stand in a FROM. */
const OWN_CLAUSES: ReadonlySet<unknown> = new Set(['verifyBackup', 'showFingerprints']);

export const NO_AS_OF: AsOfClauses = Object.freeze({ top: undefined, all: [] });

/** Finds the clauses of a statement; cost is one walk of its tree. */
export function findAsOf(stmt: Statement): AsOfClauses {
  if (stmt.kind !== 'select') return NO_AS_OF;
  const all: Expr[] = [];
  const walk = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return;
    if (Array.isArray(node)) {
      for (const item of node) walk(item);
      return;
    }
    if (OWN_CLAUSES.has((node as { readonly kind?: unknown }).kind)) return;
    for (const [name, value] of Object.entries(node)) {
      if (name === 'asOf' && value) all.push((value as { expr: Expr }).expr);
      else if (typeof value === 'object') walk(value);
    }
  };
  walk(stmt);
  if (all.length === 0) return NO_AS_OF;
  let body = stmt.body;
  while (body.kind === 'setOperation' || body.kind === 'select') body = body.kind === 'select' ? body.body : body.left;
  return { top: body.kind === 'selectCore' ? body.asOf?.expr : undefined, all };
}

/** What checking a statement's clauses asks of its context. */
export interface AsOfStatement {
  readonly transaction: { readonly asOf: Timestamp | undefined; readonly isImplicit: boolean };
  resolveAsOf(expr: Expr): Promise<Timestamp>;
}

/**
 * The one time of a statement's clauses, for an implicit transaction to read at; undefined when the
 * transaction already reads there. 42601 without a clause on top, 0A000 for clauses that differ.
 */
export async function commonAsOf({ top, all }: AsOfClauses, context: AsOfStatement): Promise<Timestamp | undefined> {
  const { transaction } = context;
  const hint = 'use one AS OF SYSTEM TIME, at the end of the outermost FROM clause';
  if (!top && (transaction.asOf === undefined || transaction.isImplicit)) {
    throw new StatementError(SqlState.SyntaxError, 'AS OF SYSTEM TIME must be provided on a top-level statement', { hint });
  }
  const times: Timestamp[] = [];
  for (const expr of all) times.push(await context.resolveAsOf(expr));
  const [at] = times;
  if (times.some((time) => time !== at)) {
    throw new StatementError(SqlState.FeatureNotSupported, 'cannot specify AS OF SYSTEM TIME with different timestamps', { hint });
  }
  if (transaction.isImplicit) return at;
  if (transaction.asOf === at) return undefined;
  throw new StatementError(
    SqlState.FeatureNotSupported,
    transaction.asOf === undefined
      ? 'AS OF SYSTEM TIME is not allowed on a statement inside a transaction'
      : `inconsistent AS OF SYSTEM TIME timestamp; expected: ${transaction.asOf}000, got: ${at}000`,
    { hint: 'try SET TRANSACTION AS OF SYSTEM TIME' },
  );
}
