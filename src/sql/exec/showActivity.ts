/**
 * What sessions do at the moment: SHOW SESSIONS, SHOW QUERIES, SHOW TRANSACTIONS. Whose are shown is show.ts's matter.
 *
 * A running statement is shown as it prints, so that one text stands for all ways to write it.
 */
import { letGo } from '../../base/errors.ts';
import type { Datum } from '../../catalog/datum.ts';
import { type ColumnType, Type } from '../../catalog/type.ts';
import { parseStatements } from '../parse/parse.ts';
import { printStatement } from '../parse/printer.ts';
import type { SessionState } from './statement.ts';
import { text } from './virtual/support.ts';

export type Activity = 'sessions' | 'statements' | 'transactions';

export const ACTIVITY_COLUMNS: Readonly<Record<Activity, Readonly<Record<string, ColumnType>>>> = {
  sessions: {
    node_id: Type.Int8,
    session_id: Type.String,
    user_name: Type.String,
    client_address: Type.String,
    application_name: Type.String,
    active_queries: Type.String,
    session_start: Type.Timestamp,
  },
  statements: {
    query_id: Type.String,
    node_id: Type.Int8,
    session_id: Type.String,
    user_name: Type.String,
    start: Type.Timestamp,
    query: Type.String,
    client_address: Type.String,
    application_name: Type.String,
    distributed: Type.Bool,
    phase: Type.String,
  },
  transactions: {
    node_id: Type.Int8,
    session_id: Type.String,
    user_name: Type.String,
    start: Type.Timestamp,
    application_name: Type.String,
    status: Type.String,
  },
};

/** The statement a session runs, printed anew; as it was written where it does not parse. */
export function runningStatement(session: SessionState): string {
  const { activeQuery } = session;
  if (activeQuery === '') return '';
  try {
    return parseStatements(activeQuery)
      .map(({ ast }) => printStatement(ast))
      .join('; ');
  } catch (error) {
    letGo(error);
    return activeQuery;
  }
}

/** The row of a session; of its statement or transaction only while it has one. */
export function activityRows(session: SessionState, what: Activity): Datum[][] {
  const address = text(session.clientAddress ?? '');
  const application = text(session.vars.get('application_name'));
  const query = text(runningStatement(session));
  const start = session.transaction?.startTimestamp ?? null;
  const [id, user] = [text(session.id), text(session.user)];
  switch (what) {
    case 'sessions':
      return [[session.nodeId, id, user, address, application, query, session.startedAt]];
    case 'statements':
      if (session.activeQuery === '') return [];
      return [[id, session.nodeId, id, user, start, query, address, application, false, text('executing')]];
    case 'transactions':
      if (!session.transaction) return [];
      return [[session.nodeId, id, user, start, application, text(session.transactionState)]];
  }
}
