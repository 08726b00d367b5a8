/**
 * What a connection can be to, by the scheme of its URI, in the words that CockroachDB has for it.
 */
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { ConnectionType } from '../../catalog/externalConnections.ts';

import { CONNECTION_SCHEME } from '../access.ts';
import type { ParsedUri } from '../uri.ts';
import { nestedConnection } from './connectionUri.ts';

export interface ConnectionKind {
  readonly type: ConnectionType;
  /** As a row has it. */
  readonly provider: string;
  /** As errors have it. */
  readonly label: string;
}

const kind = (type: ConnectionType, provider: string, label = provider): ConnectionKind => ({ type, provider, label });
const http = kind('STORAGE', 'http');
const azure = kind('STORAGE', 'azure_storage', 'azure');
const awsKms = kind('KMS', 'aws_kms', 'AWS KMS');

const KINDS: ReadonlyMap<string, ConnectionKind> = new Map([
  ['nodelocal', kind('STORAGE', 'nodelocal')],
  ['userfile', kind('STORAGE', 'userfile')],
  ['mem', kind('STORAGE', 'mem')],
  ['s3', kind('STORAGE', 's3')],
  ['gs', kind('STORAGE', 'gs')],
  ['azure', azure],
  ['azure-blob', azure],
  ['azure-storage', azure],
  ['http', http],
  ['https', http],
  ['file-http', http],
  ['file-https', http],
  ['aws', awsKms],
  ['aws-kms', awsKms],
  ['gcp-kms', kind('KMS', 'gcp_kms', 'GCP KMS')],
  ['azure-kms', kind('KMS', 'azure_kms', 'Azure KMS')],
  ['mem-kms', kind('KMS', 'mem_kms', 'memory KMS')],
]);

/** What the URI is to. 22023 for another connection, 0A000 for what is neither storage nor a key. */
export function kindOfConnection(uri: ParsedUri): ConnectionKind {
  if (uri.scheme === CONNECTION_SCHEME) throw nestedConnection('an external connection');
  const found = KINDS.get(uri.scheme);
  if (found !== undefined) return found;
  throw new StatementError(SqlState.FeatureNotSupported, `external connections to ${uri.scheme}:// are not supported`, {
    hint: `the schemes are ${[...KINDS.keys()].filter((scheme) => !scheme.startsWith('mem')).join(', ')}`,
  });
}
