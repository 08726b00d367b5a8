/**
 * SHOW EXTERNAL CONNECTIONS and SHOW CREATE EXTERNAL CONNECTION: the first without secrets, to admins, owners and
 * holders of any privilege on a connection; the second with them, to admins and owners.
 */
import { utf8Encode } from '../../../base/bytes.ts';
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import { type ExternalConnection, readConnections } from '../../../catalog/externalConnections.ts';
import { CONNECTION_PRIVILEGES, hasConnectionPrivilege } from '../../../catalog/globalPrivileges.ts';
import { quoteLiteral } from '../../../catalog/names.ts';
import { isAdmin } from '../../../catalog/privileges.ts';
import { Type } from '../../../catalog/type.ts';
import { noConnection } from '../../../storage/external/connectionUri.ts';
import { redactUri } from '../../../storage/uri.ts';
import type { ShowExternalConnections } from '../../parse/ast.ts';
import type { HookResult, ResultColumn, StatementContext } from '../statement.ts';
import { requireText } from './changes.ts';

const columns = (...names: readonly string[]): readonly ResultColumn[] => names.map((name) => ({ name, type: Type.String }));
const SHOWN = columns('connection_name', 'connection_uri', 'connection_type');
const CREATED = columns('connection_name', 'create_statement');

export function shownColumns({ create }: ShowExternalConnections): readonly ResultColumn[] {
  return create ? CREATED : SHOWN;
}

export async function runShow(context: StatementContext, stmt: ShowExternalConnections): Promise<HookResult> {
  const roles = await context.roles();
  const name = stmt.name && (await requireText(context, stmt.name, 'the name of an external connection'));
  if (stmt.create && name === undefined && !isAdmin(roles)) {
    throw new StatementError(SqlState.InsufficientPrivilege, 'must be admin to run `SHOW CREATE ALL EXTERNAL CONNECTIONS`');
  }
  const shown: ExternalConnection[] = [];
  for (const connection of await readConnections(context.reader)) {
    if (name !== undefined && connection.name !== name) continue;
    if (stmt.create ? isOwners(connection, roles) : await isVisible(context, connection, roles)) shown.push(connection);
    else if (stmt.create) {
      throw new StatementError(SqlState.InsufficientPrivilege, `must be admin or owner of the External Connection "${connection.name}"`);
    }
  }
  if (name !== undefined && shown.length === 0) throw noConnection(name);
  const rows = shown.map((connection) => (stmt.create ? createdRow(connection) : shownRow(connection)).map(utf8Encode));
  return { tag: `SHOW EXTERNAL CONNECTIONS ${rows.length}`, rows, rowCount: rows.length };
}

function shownRow({ name, uri, type }: ExternalConnection): string[] {
  return [name, redactUri(uri), type];
}

function createdRow({ name, uri }: ExternalConnection): string[] {
  return [name, `CREATE EXTERNAL CONNECTION ${quoteLiteral(name)} AS ${quoteLiteral(uri)}`];
}

function isOwners({ owner }: ExternalConnection, roles: ReadonlySet<string>): boolean {
  return isAdmin(roles) || roles.has(owner);
}

async function isVisible(context: StatementContext, connection: ExternalConnection, roles: ReadonlySet<string>): Promise<boolean> {
  if (isOwners(connection, roles)) return true;
  for (const privilege of CONNECTION_PRIVILEGES) {
    if (await hasConnectionPrivilege(context.reader, roles, connection.name, privilege)) return true;
  }
  return false;
}
