/**
 * autocommit_before_ddl: whether a statement ends the transaction that it finds before it runs, as
 * schema changes do in CockroachDB since 25.1.
 *
 * Off by default, for a schema change here is part of its transaction like any other statement, and
 * rolls back with it. `sql.defaults.autocommit_before_ddl.enabled` gives new sessions another default.
 */
import { SqlState } from '../../base/sqlState.ts';
import type { Statement } from '../parse/ast.ts';
import type { SessionVars } from './sessionVars.ts';
import type { Notice, StatementResult } from './statement.ts';

/** What CockroachDB takes for a change of schemas: definitions of objects, roles, privileges, zones and comments, and statistics. */
const SCHEMA_STATEMENTS: ReadonlySet<string> = new Set([
  'alterDatabase',
  'alterDefaultPrivileges',
  'alterExternalConnection',
  'alterFunction',
  'alterIndex',
  'alterRelation',
  'alterRole',
  'alterSchema',
  'alterSequence',
  'alterTable',
  'alterType',
  'commentOn',
  'configureZone',
  'createDatabase',
  'createExternalConnection',
  'createFunction',
  'createIndex',
  'createRole',
  'createSchema',
  'createSequence',
  'createStatistics',
  'createTable',
  'createTableAs',
  'createType',
  'createView',
  'dropDatabase',
  'dropExternalConnection',
  'dropFunction',
  'dropIndex',
  'dropOwned',
  'dropRole',
  'dropSchema',
  'dropTable',
  'dropType',
  'grant',
  'grantRole',
  'reassignOwned',
  'refreshView',
  'revoke',
  'revokeRole',
  'truncate',
]);

const NOTICE: Notice = {
  severity: 'NOTICE',
  code: SqlState.SuccessfulCompletion,
  message: 'auto-committing transaction before processing DDL due to autocommit_before_ddl setting',
};

/** True for a statement that is to find no transaction with anything in it. */
export function commitsBefore(vars: SessionVars, ast: Statement | undefined): boolean {
  return ast !== undefined && SCHEMA_STATEMENTS.has(ast.kind) && vars.isOn('autocommit_before_ddl');
}

/** The result with word of the commit that follows it, or, `first`, that came before it. */
export function withCommitNotice(result: StatementResult, first = false): StatementResult {
  return { ...result, notices: first ? [NOTICE, ...result.notices] : [...result.notices, NOTICE] };
}
