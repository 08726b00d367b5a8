/**
 * Connection URIs: `external://name/path` to what the connection of that name stands for, with the path behind its own.
 *
 *   E1  a connection never leads above its own path, nor to another connection
 *   E2  parameters are the connection's; only COCKROACH_LOCALITY may stand beside the name
 *   E3  a name counts when it is opened: who has opened it goes on with what it stood for then
 *
 * Error texts are CockroachDB's.
 */
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { splitText } from '../../base/uriText.ts';
import type { ConnectionType, ExternalConnection } from '../../catalog/externalConnections.ts';

import { CONNECTION_SCHEME } from '../access.ts';
import { checkBasePath } from '../names.ts';
import { LOCALITY_PARAMETER, ParsedUri } from '../uri.ts';

/** Where names are looked up. */
export interface ConnectionSource {
  get(name: string): ExternalConnection | undefined;
}

/** What a connection's URI stands for; any other URI is itself. 42704, 42809, 22023. */
export function resolveConnection(uri: ParsedUri, type: ConnectionType, connections: ConnectionSource): ParsedUri {
  if (uri.scheme !== CONNECTION_SCHEME) return uri;
  checkConnectionUri(uri);
  const connection = connections.get(uri.host);
  if (connection === undefined) throw noConnection(uri.host, 'failed to load external connection object: ');
  if (connection.type !== type) {
    throw new StatementError(SqlState.WrongObjectType, `${type} cannot use object of type ${connection.type}`, {
      detail: `external connection "${uri.host}" is to ${connection.type === 'KMS' ? 'a key' : 'storage'}`,
    });
  }
  return appendPath(connection, uri);
}

/** What can be said of an external URI without looking at the connection. 22023. */
export function checkConnectionUri(uri: ParsedUri): void {
  if (uri.host === '') {
    throw new StatementError(
      SqlState.InvalidParameterValue,
      `host component of an external URI must refer to an existing External Connection object: ${uri}`,
      { hint: 'write external://name/path; SHOW EXTERNAL CONNECTIONS lists them' },
    );
  }
  uri.refuseOtherParameters([], 'parameters belong to the connection: CREATE and ALTER EXTERNAL CONNECTION set them');
  checkBasePath(uri.path, uri);
}

/** 42704. */
export function noConnection(name: string, before = ''): StatementError {
  return new StatementError(SqlState.UndefinedObject, `${before}external connection with name ${name} does not exist`, {
    hint: 'SHOW EXTERNAL CONNECTIONS lists them',
  });
}

function appendPath({ name, type, uri: text }: ExternalConnection, asked: ParsedUri): ParsedUri {
  const target = ParsedUri.parse(text);
  if (target.scheme === CONNECTION_SCHEME) throw nestedConnection(`external connection "${name}"`);
  if (asked.locality !== undefined) localityOfConnection(asked, text);
  if (asked.path === '') return target;
  if (type === 'KMS') {
    throw new StatementError(SqlState.InvalidParameterValue, `a connection to a key takes no path: "${asked}"`);
  }
  const own = splitText(text);
  const path = splitText(asked.unredacted())?.path.replace(/^\/+|\/+$/g, '') ?? '';
  const before = own?.path.replace(/\/+$/, '') ?? '';
  const query = own?.query === undefined ? '' : `?${own.query}`;
  return ParsedUri.parse(`${own?.scheme}://${own?.authority}${before}/${path}${query}`);
}

/** 22023: a loop, or a chain of names. */
export function nestedConnection(what: string): StatementError {
  return new StatementError(SqlState.InvalidParameterValue, `${what} cannot refer to another external connection`, {
    hint: 'give the URI that the other one stands for',
  });
}

/**
 * An external URI with the locality that its connection's own URI says, so that lists of places can be sorted by their
 * texts. `connectionUri`: what the name stands for. 22023 when both say one, and not the same.
 */
export function localityOfConnection(asked: ParsedUri, connectionUri: string): string {
  const text = asked.unredacted();
  const own = ParsedUri.parse(connectionUri).parameters.get(LOCALITY_PARAMETER);
  if (own === undefined) return text;
  const given = asked.parameters.get(LOCALITY_PARAMETER);
  if (given === undefined) return `${text}${text.includes('?') ? '&' : '?'}${LOCALITY_PARAMETER}=${encodeURIComponent(own)}`;
  if (given === own) return text;
  throw new StatementError(SqlState.InvalidParameterValue, `"${asked}" has another ${LOCALITY_PARAMETER} than its connection`, {
    detail: `the connection's is ${own}`,
    hint: `leave ${LOCALITY_PARAMETER} out`,
  });
}
