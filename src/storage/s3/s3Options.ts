/** What an s3:// URI says, checked before anything is opened. Spec of parameters: docs/storage.md. */
import { authMode, invalid } from '../authParameter.ts';
import { checkCredentials } from '../awsCredentials.ts';
import { endpointUrl } from '../endpoint.ts';
import type { ParsedUri } from '../uri.ts';

const PARAMETERS = [
  'AUTH',
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
  'ASSUME_ROLE',
  'AWS_ENDPOINT',
  'AWS_REGION',
  'AWS_USE_PATH_STYLE',
  'AWS_SKIP_CHECKSUM',
  'AWS_SERVER_ENC_MODE',
  'AWS_SERVER_KMS_ID',
  'S3_STORAGE_CLASS',
] as const;

const STORAGE_CLASSES = [
  'STANDARD',
  'REDUCED_REDUNDANCY',
  'STANDARD_IA',
  'ONEZONE_IA',
  'INTELLIGENT_TIERING',
  'GLACIER',
  'DEEP_ARCHIVE',
  'OUTPOSTS',
  'GLACIER_IR',
] as const;
const ENCRYPTION_MODES = ['AES256', 'aws:kms'] as const;

/** Services of others do not ask for a region, but a signature has one. */
const DEFAULT_REGION = 'us-east-1';

export interface S3Options {
  readonly bucket: string;
  /** '' or the path with a slash behind it. */
  readonly prefix: string;
  /** Undefined: what the environment says. */
  readonly region: string | undefined;
  /** Undefined: Amazon's. */
  readonly endpoint: string | undefined;
  readonly usesPathStyle: boolean;
  readonly skipsChecksum: boolean;
  readonly storageClass: (typeof STORAGE_CLASSES)[number] | undefined;
  readonly encryption: { readonly mode: (typeof ENCRYPTION_MODES)[number]; readonly keyId: string | undefined } | undefined;
}

/** Throws 22023 for parameters that are unknown, missing or do not go together. */
export function s3Options(uri: ParsedUri): S3Options {
  uri.refuseOtherParameters(PARAMETERS);
  const parameter = (name: (typeof PARAMETERS)[number]) => uri.parameters.get(name) || undefined;
  if (uri.host === '') throw invalid(`no bucket in "${uri}"`, uri, "write 's3://bucket/path?AWS_ACCESS_KEY_ID=...'");
  checkCredentials(uri);
  const endpoint = parameter('AWS_ENDPOINT');
  return {
    bucket: uri.host,
    prefix: uri.path === '' ? '' : `${uri.path}/`,
    region: parameter('AWS_REGION') ?? (endpoint !== undefined || authMode(uri) === 'specified' ? DEFAULT_REGION : undefined),
    endpoint: endpoint === undefined ? undefined : endpointUrl('AWS_ENDPOINT', endpoint, uri),
    usesPathStyle: flag(uri, 'AWS_USE_PATH_STYLE'),
    skipsChecksum: flag(uri, 'AWS_SKIP_CHECKSUM'),
    storageClass: oneOf(uri, 'S3_STORAGE_CLASS', STORAGE_CLASSES),
    encryption: encryptionOf(uri, parameter('AWS_SERVER_KMS_ID')),
  };
}

function encryptionOf(uri: ParsedUri, keyId: string | undefined): S3Options['encryption'] {
  const mode = oneOf(uri, 'AWS_SERVER_ENC_MODE', ENCRYPTION_MODES);
  if (mode === 'aws:kms' && keyId === undefined) {
    throw invalid('AWS_SERVER_KMS_ID param must be set when using aws:kms server side encryption mode.', uri, 'add AWS_SERVER_KMS_ID=...');
  }
  if (mode !== 'aws:kms' && keyId !== undefined) {
    throw invalid('AWS_SERVER_KMS_ID is set without AWS_SERVER_ENC_MODE=aws:kms', uri, 'add AWS_SERVER_ENC_MODE=aws:kms');
  }
  return mode && { mode, keyId };
}

function oneOf<T extends string>(uri: ParsedUri, name: string, values: readonly T[]): T | undefined {
  const value = uri.parameters.get(name) ?? '';
  if (value === '') return undefined;
  const found = values.find((one) => one === value);
  if (found === undefined) throw invalid(`unsupported value ${value} for ${name}`, uri, `the values are ${values.join(', ')}`);
  return found;
}

function flag(uri: ParsedUri, name: string): boolean {
  const value = (uri.parameters.get(name) ?? 'false').toLowerCase();
  if (['true', 't', '1'].includes(value)) return true;
  if (['false', 'f', '0', ''].includes(value)) return false;
  throw invalid(`unsupported value ${value} for ${name}`, uri, `${name} is true or false`);
}
