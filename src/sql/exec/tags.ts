/**
 * Names of statements: command tags, and what messages call a statement.
 */
import type { Statement } from '../parse/ast.ts';

/** `CREATE TABLE`, `INSERT`: the statement's name in messages and most tags. */
export function statementName(ast: Statement): string {
  switch (ast.kind) {
    case 'insert':
      return ast.upsert ? 'UPSERT' : 'INSERT';
    case 'createTableAs':
      return 'CREATE TABLE AS';
    case 'createRole':
      return ast.isUser ? 'CREATE USER' : 'CREATE ROLE';
    case 'alterRole':
      return ast.isUser ? 'ALTER USER' : 'ALTER ROLE';
    case 'dropRole':
      return ast.isUser ? 'DROP USER' : 'DROP ROLE';
    case 'alterRelation':
      return ast.relation === 'sequence' ? 'ALTER SEQUENCE' : ast.relation === 'view' ? 'ALTER VIEW' : 'ALTER MATERIALIZED VIEW';
    case 'refreshView':
      return 'REFRESH MATERIALIZED VIEW';
    case 'createView':
      return ast.materialized ? 'CREATE MATERIALIZED VIEW' : 'CREATE VIEW';
    case 'dropView':
      return ast.materialized ? 'DROP MATERIALIZED VIEW' : 'DROP VIEW';
    case 'grantRole':
    case 'grant':
      return 'GRANT';
    case 'revokeRole':
    case 'revoke':
      return 'REVOKE';
    case 'commentOn':
      return `COMMENT ON ${ast.on.toUpperCase()}`;
    case 'configureZone':
      return 'CONFIGURE ZONE';
    case 'setVariable':
    case 'use':
      return 'SET';
    case 'resetVariable':
      return 'RESET';
    case 'setClusterSetting':
      return 'SET CLUSTER SETTING';
    case 'setTransaction':
      return 'SET TRANSACTION';
    default:
      // createTable -> CREATE TABLE
      return ast.kind.replaceAll(/[A-Z]/g, ' $&').toUpperCase();
  }
}

/** The tag of a query or row change. */
export function insertTag(ast: Statement, rowCount: number): string {
  switch (ast.kind) {
    case 'insert':
      return `INSERT 0 ${rowCount}`;
    case 'update':
      return `UPDATE ${rowCount}`;
    case 'delete':
      return `DELETE ${rowCount}`;
    default:
      return `SELECT ${rowCount}`;
  }
}
