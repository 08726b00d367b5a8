/**
 * Prepared statements and portals: what a session keeps of the extended query protocol.
 */
import type { Datum } from '../../catalog/datum.ts';
import type { RunContext } from './context.ts';
import type { Cursor } from './cursor.ts';
import type { Notice, PreparedInfo } from './statement.ts';
import type { CachedStatement } from './statementCache.ts';

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
