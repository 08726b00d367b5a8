/**
 * What one session does to another: CANCEL QUERY, CANCEL SESSION, pg_cancel_backend and
 * pg_terminate_backend. Each asks the session to stop; that it has is for whoever waits for it to see.
 *
 * A session's id is its statement's too, since it runs one at a time. Clients of the wire protocol have
 * a backend's number beside it, which PostgreSQL's functions go by.
 *
 * Lives elsewhere: stopping (transactionControl.ts), CancelRequest (server/pgwire), lists (showActivity.ts).
 */
import { StateError, StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { utf8Decode } from '../../base/bytes.ts';
import type { Bytes } from '../../base/bytes.ts';
import { hasSystemPrivilege } from '../../catalog/globalPrivileges.ts';
import { isAdmin } from '../../catalog/privileges.ts';
import { rolesOf } from '../../catalog/users.ts';
import type { BackendOperations } from '../expr/evalContext.ts';
import type { CancelQuery, CancelSession } from '../parse/ast.ts';
import type { HookResult, SessionState, StatementContext, StatementHooks } from './statement.ts';

/** 57P01 for the client of a session that another ends. */
const ended = (): StateError => new StateError(SqlState.AdminShutdown, 'terminating connection due to administrator command');

async function cancel(context: StatementContext, stmt: CancelQuery | CancelSession): Promise<HookResult> {
  const isQuery = stmt.kind === 'cancelQuery';
  let count = 0;
  for (const id of await idsOf(context, stmt.ids)) {
    const target = context.engine.sessions().find((session) => session.id === id);
    if (!target || (isQuery && target.activeQuery === '')) {
      if (stmt.ifExists) continue;
      const what = isQuery ? 'query' : 'session';
      throw new StatementError(SqlState.UndefinedObject, `could not cancel ${what} ${id}: ${what} ID ${id} not found`);
    }
    await requireCancel(context, target);
    if (isQuery) target.cancel();
    else target.terminate(ended());
    count++;
  }
  return { tag: `CANCEL ${isQuery ? 'QUERIES' : 'SESSIONS'} ${count}`, rowCount: count };
}

/** Ids as an expression or a query gives them; NULLs are left out. 42804 for what is no text. */
async function idsOf(context: StatementContext, ids: CancelQuery['ids']): Promise<string[]> {
  if (ids.kind !== 'select') {
    const id = await context.evalString(ids);
    return id === undefined ? [] : [id];
  }
  const { columns = [], rows } = await context.engine.runNested(context, ids);
  if (columns.length !== 1) throw new StatementError(SqlState.SyntaxError, 'subquery must return only one column');
  if (columns[0]?.type.family !== 'string')
    throw new StatementError(SqlState.DatatypeMismatch, 'the subquery must return ids of type STRING');
  return rows.filter((row) => row[0] !== null).map((row) => utf8Decode(row[0] as Bytes));
}

/** 42501 for somebody else's session without CANCELQUERY, and for an admin's unless one is admin. */
async function requireCancel(context: StatementContext, target: SessionState): Promise<void> {
  const roles = await context.roles();
  if (isAdmin(roles) || target.sessionUser === context.session.sessionUser) return;
  if (!(await hasSystemPrivilege(context.reader, roles, 'CANCELQUERY'))) {
    throw new StatementError(SqlState.InsufficientPrivilege, 'this operation requires CANCELQUERY privilege');
  }
  if (isAdmin(await rolesOf(context.reader, target.sessionUser))) {
    throw new StatementError(SqlState.InsufficientPrivilege, 'permission denied to cancel admin session');
  }
}

/** What expressions see of the backends; `context` is asked only when one is to stop. */
export function backendsOf(context: StatementContext): BackendOperations {
  const stop = async (pid: number, how: (session: SessionState) => void): Promise<boolean> => {
    const target = pid < 0 ? undefined : context.engine.sessions().find((session) => session.backendPid === pid);
    if (!target) {
      context.notice(`PID ${pid} is not a PostgreSQL backend process`, { severity: 'WARNING', code: SqlState.Warning });
      return false;
    }
    await requireCancel(context, target);
    how(target);
    return true;
  };
  return {
    pid: context.session.backendPid,
    cancel: (pid) => stop(pid, (session) => session.cancel()),
    terminate: (pid) => stop(pid, (session) => session.terminate(ended())),
  };
}

export function registerSessionControl(hooks: StatementHooks): void {
  const hook = {
    isReadOnly: true,
    columns: () => undefined,
    queryWithin: ({ ids }: CancelQuery | CancelSession) => (ids.kind === 'select' ? ids : undefined),
    run: cancel,
  };
  hooks.register<CancelQuery>('cancelQuery', hook);
  hooks.register<CancelSession>('cancelSession', hook);
  // Nobody listens, so there is nothing to end: pools send this when they hand a connection on.
  hooks.register('unlisten', { isReadOnly: true, columns: () => undefined, run: async () => ({ tag: 'UNLISTEN' }) });
}
