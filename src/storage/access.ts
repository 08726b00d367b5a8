/**
 * Access: what a location asks of the server, and who may ask it. The one place that decides, for storage and for
 * keys alike.
 *
 *   A1  what the server was started to refuse (--external-io-*) is refused at every opening, whoever asks
 *   A2  what a URI reaches by being in the server's place, a user needs the admin role or EXTERNALIOIMPLICITACCESS
 *       for: the server's files, its credentials, and addresses of the user's choice on its network
 *   A3  a connection by name needs USAGE on it, and nothing else: what it may reach is decided when it is made
 *
 * Lives elsewhere: where openings are (registry.ts, secretServices.ts), what a name stands for (external/).
 * Error texts are CockroachDB's.
 */
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import { hasSystemPrivilege, requireConnectionPrivilege } from '../catalog/globalPrivileges.ts';
import type { Grantees } from '../catalog/privileges.ts';
import type { KvReader } from '../kv/kv.ts';

import { ParsedUri } from './uri.ts';

/** What a server was started to refuse or allow. Without any: nothing is refused, and A2 holds. */
export interface ExternalIoRules {
  /** --external-io-disable-http: no HTTP, no endpoints of one's own. */
  readonly disableHttp?: boolean;
  /** --external-io-disable-implicit-credentials */
  readonly disableImplicitCredentials?: boolean;
  /** --external-io-disabled: nothing leaves the process but by SQL. */
  readonly disabled?: boolean;
  /** --external-io-enable-non-admin-implicit-access: A2 does not hold. */
  readonly allowNonAdminImplicitAccess?: boolean;
}

export const CONNECTION_SCHEME = 'external';

/** What stays within the process: files in SQL tables, in memory and nowhere. A connection is looked at by what it stands for. */
const INSIDE: ReadonlySet<string> = new Set(['userfile', 'mem', 'mem-kms', 'null', CONNECTION_SCHEME]);
const HTTP: ReadonlySet<string> = new Set(['http', 'https', 'file-http', 'file-https']);
/** By scheme, the provider as errors name it. Every one of these takes AUTH. */
const CLOUDS: ReadonlyMap<string, string> = new Map([
  ['s3', 's3'],
  ['gs', 'gs'],
  ['azure', 'azure'],
  ['azure-blob', 'azure'],
  ['azure-storage', 'azure'],
  ['aws', 'aws kms'],
  ['aws-kms', 'aws kms'],
  ['gcp-kms', 'gcp kms'],
  ['azure-kms', 'azure kms'],
]);

type Reach = 'files' | 'http' | 'endpoint' | 'credentials';

/** What of the server's a URI reaches; empty for one that brings all it needs. */
function reachOf({ scheme, parameters }: ParsedUri): Reach[] {
  if (scheme === 'nodelocal') return ['files'];
  if (HTTP.has(scheme)) return ['http'];
  if (!CLOUDS.has(scheme)) return [];
  const reach: Reach[] = [];
  if ((parameters.get('AUTH') ?? 'specified') !== 'specified') reach.push('credentials');
  // AWS_ENDPOINT, AZURE_ENDPOINT, and whatever is named so.
  if ([...parameters].some(([name, value]) => name.endsWith('_ENDPOINT') && value !== '')) reach.push('endpoint');
  return reach;
}

/** A1. 42501. */
export function checkServerRules(uri: ParsedUri, rules: ExternalIoRules): void {
  const reach = reachOf(uri);
  const name = CLOUDS.get(uri.scheme) ?? uri.scheme;
  if (rules.disabled && !INSIDE.has(uri.scheme)) throw refused('external network access is disabled', uri, 'external-io-disabled');
  if (rules.disableHttp && reach.includes('http')) throw refused('external http access disabled', uri, 'external-io-disable-http');
  if (rules.disableHttp && reach.includes('endpoint')) {
    throw refused(`custom endpoints disallowed for ${name} due to --external-io-disable-http flag`, uri, 'external-io-disable-http');
  }
  if (rules.disableImplicitCredentials && reach.includes('credentials')) {
    const flag = 'external-io-disable-implicit-credentials';
    throw refused(`implicit credentials disallowed for ${name} due to --${flag} flag`, uri, flag);
  }
}

function refused(message: string, uri: ParsedUri, flag: string): StatementError {
  return new StatementError(SqlState.InsufficientPrivilege, message, {
    detail: `in "${uri}"`,
    hint: `the server was started with --${flag}`,
  });
}

/** A2 and A3 for the URIs of a statement. `what` they name. 42501; 22023 for what is no URI. */
export async function requireAccess(
  reader: KvReader,
  user: Grantees,
  uris: readonly string[],
  rules: ExternalIoRules,
  what: 'storage' | 'keys',
): Promise<void> {
  for (const text of uris) {
    const uri = ParsedUri.parse(text);
    if (uri.scheme === CONNECTION_SCHEME) await requireConnectionPrivilege(reader, user, uri.host, 'USAGE');
    else if (!(await mayReach(reader, user, uri, rules))) throw lacksImplicitAccess(uri, what);
  }
}

/** Whether A2 allows a URI to the user. */
export async function mayReach(reader: KvReader, user: Grantees, uri: ParsedUri, rules: ExternalIoRules): Promise<boolean> {
  if (reachOf(uri).length === 0 || rules.allowNonAdminImplicitAccess) return true;
  return await hasSystemPrivilege(reader, user, 'EXTERNALIOIMPLICITACCESS');
}

function lacksImplicitAccess(uri: ParsedUri, what: 'storage' | 'keys'): StatementError {
  const scheme = HTTP.has(uri.scheme) ? 'http' : (CLOUDS.get(uri.scheme) ?? uri.scheme);
  const to = what === 'storage' ? `access the specified ${scheme} URI` : 'use implicit credentials or custom endpoints of a KMS';
  return new StatementError(
    SqlState.InsufficientPrivilege,
    `only users with the admin role or the EXTERNALIOIMPLICITACCESS system privilege are allowed to ${to}`,
    what === 'keys' ? { detail: `"${uri}" names them` } : {},
  );
}
