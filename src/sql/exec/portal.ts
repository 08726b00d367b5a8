/**
 * Prepared statements and portals: what a session keeps of the extended query protocol.
 */
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { Datum } from '../../catalog/datum.ts';
import type { ColumnType } from '../../catalog/type.ts';
import type { RunContext } from './context.ts';
import type { Cursor } from './cursor.ts';
import type { RowStream } from './rowStream.ts';
import type { Notice, PreparedInfo, ResultColumn, StatementResult } from './statement.ts';
import type { CachedStatement } from './statementCache.ts';

export interface ExecuteOptions {
  /** Values and types of $1...; types are those `prepare` reported. */
  readonly placeholders?: readonly Datum[];
  readonly placeholderTypes?: readonly (ColumnType | undefined)[];
  /** The columns that the client was told of; 0A000 when the statement has others by now. */
  readonly columns?: readonly ResultColumn[] | undefined;
  readonly signal?: AbortSignal;
  /** Takes the rows of a large result, which then holds none. */
  readonly stream?: RowStream | undefined;
  /** Called with each result in order, as soon as it may be given: those before an error too. */
  readonly onResult?: (result: StatementResult) => void;
}

/** A parsed and typed statement under a name. */
export interface PreparedStatement extends PreparedInfo {
  readonly statement: CachedStatement | undefined;
}

/** A prepared statement with its values, run piece by piece. */
export interface Portal {
  readonly name: string;
  readonly prepared: PreparedStatement;
  readonly values: readonly Datum[];
}

export interface PortalResult {
  readonly rows: Datum[][];
  readonly isStreamed?: boolean | undefined;
  /** True when there may be more rows; then there is no tag yet. */
  readonly suspended: boolean;
  /** Undefined while suspended, and for an empty statement. */
  readonly tag: string | undefined;
  readonly notices: readonly Notice[];
}

/** A portal while it runs. */
export interface OpenPortal extends Portal {
  cursor: Cursor | undefined;
  context: RunContext | undefined;
  /** Rows pulled and not yet given. */
  ahead: Datum[][];
  rowCount: number;
  isDone: boolean;
}

/** Ends a portal: its operators let go of the rows they keep, as soon as one that runs comes to a stop. */
export function dropPortal(portal: OpenPortal): void {
  portal.isDone = true;
  portal.cursor?.batches.return().catch(() => undefined);
}

/** 0A000 unless rows still have the columns that the client was told of: it would take values for others. */
export function requireColumns(told: readonly ResultColumn[] | undefined, given: readonly ResultColumn[] | undefined): void {
  if (!told || told === given) return;
  const isSame =
    told.length === given?.length && told.every(({ name, type }, i) => name === given[i]?.name && type.oid === given[i]?.type.oid);
  if (!isSame) {
    throw new StatementError(SqlState.FeatureNotSupported, 'cached plan must not change result type', {
      hint: 'prepare the statement again',
    });
  }
}

/** No types, for statements of so many placeholders: one array each, so that plans are found by it. */
const UNTYPED: readonly (readonly undefined[])[] = Array.from({ length: 64 }, (_, count) => new Array<undefined>(count).fill(undefined));

/** A statement's placeholder types, as far as the client gave them. */
export function padded(types: readonly (ColumnType | undefined)[], count: number): readonly (ColumnType | undefined)[] {
  const untyped = types.length === 0 ? UNTYPED[count] : undefined;
  if (untyped) return untyped;
  return Array.from({ length: Math.max(count, types.length) }, (_, i) => types[i]);
}
