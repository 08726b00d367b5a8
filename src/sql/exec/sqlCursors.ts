/**
 * SQL cursors: DECLARE, FETCH, MOVE, CLOSE.
 *
 * A cursor's rows are settled when it is declared: the query runs to its end, and FETCH gives of what it kept, so
 * later changes show in no cursor (INSENSITIVE, as PostgreSQL's are without saying so). The rows count against the
 * memory budget as results do, until the cursor closes. A position is the number of rows before and with the current
 * one: 0 stands before the first row, one more than there are behind the last.
 *
 *   CU1  a cursor without HOLD ends with its transaction, one with HOLD when that rolls back
 *   CU2  rolling back to a savepoint ends the cursors declared since
 *   CU3  a cursor that was not declared with SCROLL never goes back
 *
 * Codes and words are CockroachDB's. Lives elsewhere: portals of the wire protocol (portal.ts).
 */
import { StateError, StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { Datum } from '../../catalog/datum.ts';
import type { CloseCursor, CursorMove, DeclareCursor, FetchCursor } from '../parse/ast.ts';
import { printStatement } from '../parse/printer.ts';
import type { RunContext } from './context.ts';
import type { SqlCursor } from './cursorSet.ts';
import { keptRows } from './keptRows.ts';
import type { StatementHooks } from './statement.ts';

/** The rows that a move passes, in the order it meets them, and where it ends. */
export function passed(cursor: SqlCursor, to: CursorMove): { readonly rows: readonly (readonly Datum[])[]; readonly position: number } {
  const { rows, position: from } = cursor;
  const behind = rows.length + 1;
  const clamp = (at: bigint): number => Number(at < 0n ? 0n : at > BigInt(behind) ? BigInt(behind) : at);
  if (to.type === 'forward' && to.count !== 0n) {
    const end = to.count === 'all' ? behind : clamp(BigInt(from) + to.count);
    return { rows: rows.slice(from, end), position: end };
  }
  if (to.type === 'backward' && to.count !== 0n) {
    const end = to.count === 'all' ? 0 : clamp(BigInt(from) - to.count);
    return { rows: rows.slice(Math.max(0, end - 1), Math.max(0, from - 1)).reverse(), position: end };
  }
  const at = 'count' in to ? BigInt(from) : to.type === 'relative' ? BigInt(from) + to.at : to.at < 0n ? BigInt(behind) + to.at : to.at;
  const position = clamp(at);
  return { rows: rows.slice(Math.max(0, position - 1), position), position };
}

/** CU3: also LAST, which would have to come back from the end. */
function refuseBackward(cursor: SqlCursor, to: CursorMove, position: number): void {
  const isFromEnd = to.type === 'absolute' && to.at < 0n;
  const isBack = to.type === 'backward' && to.count !== 0n;
  if (cursor.isScrollable || !(position < cursor.position || isFromEnd || isBack)) return;
  throw new StateError(SqlState.ObjectNotInPrerequisiteState, 'cursor can only scan forward', {
    hint: 'Declare it with SCROLL option to enable backward scan.',
  });
}

async function declareCursor(context: RunContext, stmt: DeclareCursor): Promise<{ tag: string }> {
  const { session, transaction } = context;
  const name = stmt.name.text;
  if (stmt.binary) throw new StatementError(SqlState.FeatureNotSupported, 'DECLARE BINARY CURSOR is not supported');
  if (!stmt.hold && !context.inExplicitTransaction) {
    throw new StateError(SqlState.NoActiveSqlTransaction, 'DECLARE CURSOR can only be used in transaction blocks');
  }
  if (session.cursors.has(name)) throw new StatementError(SqlState.DuplicateCursor, `cursor "${name}" already exists`);
  if (stmt.query.with?.tables.some(({ statement }) => ['insert', 'update', 'delete'].includes(statement.kind))) {
    throw new StatementError(SqlState.FeatureNotSupported, 'DECLARE CURSOR must not contain data-modifying statements in WITH');
  }
  const { columns = [], rows } = await session.runNested(context, stmt.query, context.placeholders, context.placeholderTypes);
  const kept = keptRows({ context }, 'results');
  await kept.add(rows);
  session.cursors.add({
    name,
    statement: printStatement(stmt),
    columns,
    rows,
    kept,
    isScrollable: stmt.scroll === true,
    isHeld: stmt.hold,
    declaredAt: context.statementTimestamp,
    position: 0,
    depth: transaction.savepointNames().length,
  });
  return { tag: 'DECLARE CURSOR' };
}

export function registerSqlCursors(hooks: StatementHooks): void {
  hooks.register<DeclareCursor>('declareCursor', {
    isReadOnly: true,
    columns: () => undefined,
    run: (context, stmt) => declareCursor(context as RunContext, stmt),
  });
  hooks.register<FetchCursor>('fetchCursor', {
    isReadOnly: true,
    columns: (stmt, { session }) => (stmt.move ? undefined : session.cursors.get(stmt.name.text).columns),
    run: async ({ session }, stmt) => {
      const cursor = session.cursors.get(stmt.name.text);
      const { rows, position } = passed(cursor, stmt.to);
      refuseBackward(cursor, stmt.to, position);
      cursor.position = position;
      if (stmt.move) return { tag: `MOVE ${rows.length}`, rowCount: rows.length };
      return { tag: `FETCH ${rows.length}`, columns: cursor.columns, rows: rows.map((row) => [...row]) };
    },
  });
  hooks.register<CloseCursor>('closeCursor', {
    isReadOnly: true,
    columns: () => undefined,
    run: async ({ session }, stmt) => {
      if (!stmt.name) {
        session.cursors.closeAll();
        return { tag: 'CLOSE CURSOR ALL' };
      }
      session.cursors.close(stmt.name.text);
      return { tag: 'CLOSE CURSOR' };
    },
  });
}
