/**
 * What expression tests evaluate with: a fixed clock and seed, a few relations and sequences, a scope
 * of columns given as `name type value`.
 */
import { asBytes } from '../../../src/base/bytes.ts';
import { isVarveError, StatementError } from '../../../src/base/errors.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { SqlState } from '../../../src/base/sqlState.ts';
import { timestamp } from '../../../src/base/timestamp.ts';
import type { Datum } from '../../../src/catalog/datum.ts';
import { formatDatum } from '../../../src/catalog/datumText.ts';
import { type ColumnType, familyName } from '../../../src/catalog/type.ts';
import { parseTimestampTz } from '../../../src/catalog/datetimeText.ts';
import { requireTimeZone } from '../../../src/catalog/datetime.ts';
import { analyzeExpr } from '../../../src/sql/expr/analyze.ts';
import { builtinFunctions } from '../../../src/sql/expr/builtins/index.ts';
import { compileAsync } from '../../../src/sql/expr/compileAsync.ts';
import { compileExpr } from '../../../src/sql/expr/compile.ts';
import type { CatalogLookup, EvalContext, SequenceOperations } from '../../../src/sql/expr/evalContext.ts';
import { binaryOverloads } from '../../../src/sql/expr/operators/index.ts';
import { Placeholders } from '../../../src/sql/expr/placeholders.ts';
import type { AnalyzeContext, Scope } from '../../../src/sql/expr/scope.ts';
import { traits } from '../../../src/sql/expr/traits.ts';
import type { TypedExpr } from '../../../src/sql/expr/typedExpr.ts';
import { parseExpression } from '../../../src/sql/parse/parse.ts';

export interface TestColumn {
  readonly name: string;
  readonly type: ColumnType;
  readonly value: Datum;
}

export const NOW = timestamp(Number(parseTimestampTz('2026-11-20 11:59:59.123456+00')));

const RELATIONS: Readonly<Record<string, number>> = { artist: 52, album: 53 };

const catalog: CatalogLookup = {
  relationOid: (name) => RELATIONS[name.replace(/^public\./, '')],
  relationName: (oid) => Object.keys(RELATIONS).find((name) => RELATIONS[name] === oid),
  schemaOid: (name) => (name === 'public' ? 29 : name === 'pg_catalog' ? 11 : undefined),
  schemaName: (oid) => (oid === 29 ? 'public' : undefined),
  isRelationVisible: (oid) => oid === 52,
  indexDefinition: (oid) => (oid === 520 ? 'CREATE INDEX i ON artist USING btree (name ASC)' : undefined),
  constraintDefinition: () => undefined,
  viewDefinition: () => undefined,
  userFunction: () => undefined,
  userType: () => undefined,
  userTypeNamed: () => undefined,
  serialSequence: () => undefined,
  comment: () => undefined,
  databaseOid: () => undefined,
  userName: (oid) => (oid === 1 ? 'root' : undefined),
  schemaNames: () => ['public'],
};

export function testSequences(): SequenceOperations {
  let last: number | undefined;
  const requireLast = (): number => {
    if (last === undefined) throw new StatementError(SqlState.ObjectNotInPrerequisiteState, 'lastval is not yet defined in this session');
    return last;
  };
  return {
    nextval: async () => {
      last = (last ?? 0) + 1;
      return last;
    },
    currval: async () => requireLast(),
    setval: async (_, value) => {
      last = Number(value);
    },
    lastval: async () => requireLast(),
  };
}

export function testEvalContext(more: Partial<EvalContext> & { timeZone?: string } = {}): EvalContext {
  const random = seededRandom('expr');
  let rowId = 1;
  return {
    transactionTimestamp: NOW,
    statementTimestamp: NOW,
    logicalTimestamp: NOW,
    clock: {
      nowMicros: () => NOW + 7,
      setTimer: () => ({ cancel: () => undefined }),
      isManual: true,
    },
    backends: { pid: -1, cancel: async () => false, terminate: async () => false },
    advisoryLocks: { lock: async () => true, unlock: () => true, unlockAll: () => undefined },
    session: {
      timeZone: more.timeZone ?? 'UTC',
      user: 'root',
      database: 'defaultdb',
      searchPath: ['public'],
      applicationName: 'test',
      variable: (name) => ({ application_name: 'test', session_user: 'root' })[name],
      setVariable: () => undefined,
    },
    random: () => random.float(),
    uniqueRowId: () => rowId++,
    uuid: () => asBytes('\x01'.repeat(16)),
    nodeId: 1,
    clusterId: '01010101-0101-0101-0101-010101010101',
    version: 'Varve test',
    placeholders: [],
    slots: [],
    outerRows: [],
    sequences: testSequences(),
    catalog,
    regions: { gateway: () => undefined, ofDatabase: () => undefined, validateZones: async () => {}, resetZones: async () => {} },
    runSubquery: () => Promise.reject(new Error('no subqueries here')),
    hasPrivilege: async ({ user }) => user === 'root',
    notice: () => undefined,
    ...more,
  };
}

export function testScope(columns: readonly TestColumn[]): Scope {
  return {
    resolveColumn: (parts, ref) => {
      const name = parts.map((part) => part.text).join('.');
      const index = columns.findIndex((column) => column.name === name);
      const column = columns[index];
      if (!column)
        throw new StatementError(SqlState.UndefinedColumn, `column "${name}" does not exist`, { location: { position: ref.pos + 1 } });
      return { index, type: column.type, name, depth: 0 };
    },
  };
}

export function testAnalyzeContext(columns: readonly TestColumn[] = [], more: Partial<AnalyzeContext> = {}): AnalyzeContext {
  return {
    scope: testScope(columns),
    functions: builtinFunctions(),
    placeholders: new Placeholders(),
    subqueries: undefined,
    clause: 'WHERE',
    allowAggregates: false,
    allowGenerators: false,
    session: { timeZone: 'UTC' },
    ...more,
  };
}

/** Parses and types an expression. */
export function analyzed(
  sql: string,
  columns: readonly TestColumn[] = [],
  more: Partial<AnalyzeContext> = {},
  desired?: ColumnType,
): TypedExpr {
  return analyzeExpr(parseExpression(sql), testAnalyzeContext(columns, more), desired);
}

/** The value of an expression; one that waits is awaited. */
export function evaluate(expr: TypedExpr, columns: readonly TestColumn[], ctx: EvalContext): Datum | Promise<Datum> {
  const row = columns.map((column) => column.value);
  return traits(expr).isAsync ? compileAsync(expr)(row, ctx) : compileExpr(expr)(row, ctx);
}

export function show(type: ColumnType, value: Datum, timeZone = 'UTC'): string {
  return `${familyName(type)}  ${value === null ? 'NULL' : formatDatum(type, value, { timeZone: requireTimeZone(timeZone) })}`;
}

/** `error 22012: division by zero`, with detail and hint on request. */
export function showError(error: unknown): string {
  if (!isVarveError(error)) throw error;
  return `error ${error.code}: ${error.message}`;
}

/** Operators over typed operands, without a syntax tree. */
export const analysisForTests = {
  ctx: testEvalContext(),
  binary(op: string, left: TypedExpr, right: TypedExpr): TypedExpr {
    const overload = binaryOverloads(op).find(
      ({ params: [a, b] }) =>
        typeof a === 'object' && typeof b === 'object' && a.family === left.type.family && b.family === right.type.family,
    );
    if (!overload || typeof overload.returns === 'function') throw new Error(`no operator ${op}`);
    return { kind: 'call', type: overload.returns, overload, args: [left, right], operator: op };
  },
};
