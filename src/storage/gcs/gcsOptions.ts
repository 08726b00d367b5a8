/** What a gs:// URI says, checked before anything is opened. Spec of parameters: docs/storage.md. */
import { assumedRoles, authMode, invalid } from '../authParameter.ts';
import { endpointUrl } from '../endpoint.ts';
import { type ServiceAccountKey, serviceAccount, serviceAccountOf } from '../googleCredentials.ts';
import type { ParsedUri } from '../uri.ts';

const PARAMETERS = ['AUTH', 'CREDENTIALS', 'BEARER_TOKEN', 'ASSUME_ROLE', 'GOOGLE_BILLING_PROJECT', 'GOOGLE_ENDPOINT'] as const;

export interface GcsOptions {
  readonly bucket: string;
  /** '' or the path with a slash behind it. */
  readonly prefix: string;
  /** Who signs in, unless it is a token or the server's environment. */
  readonly account: ServiceAccountKey | undefined;
  /** Undefined: Google's. */
  readonly endpoint: string | undefined;
  /** Who pays for requests, if not the bucket's owner. */
  readonly billingProject: string | undefined;
}

/** `defaultKey`: cloudstorage.gs.default.key. Throws 22023 for parameters that are unknown, missing or do not go together. */
export function gcsOptions(uri: ParsedUri, defaultKey: string): GcsOptions {
  uri.refuseOtherParameters(PARAMETERS);
  const parameter = (name: (typeof PARAMETERS)[number]) => uri.parameters.get(name) || undefined;
  if (uri.host === '') throw invalid(`no bucket in "${uri}"`, uri, "write 'gs://bucket/path?AUTH=implicit' or with CREDENTIALS=...");
  const endpoint = parameter('GOOGLE_ENDPOINT');
  assumedRoles(uri);
  return {
    bucket: uri.host,
    prefix: uri.path === '' ? '' : `${uri.path}/`,
    account: parameter('AUTH') === 'default' ? defaultAccount(uri, defaultKey) : accountOf(uri),
    endpoint: endpoint === undefined ? undefined : endpointUrl('GOOGLE_ENDPOINT', endpoint, uri),
    billingProject: parameter('GOOGLE_BILLING_PROJECT'),
  };
}

function accountOf(uri: ParsedUri): ServiceAccountKey | undefined {
  const given = ['CREDENTIALS', 'BEARER_TOKEN'].filter((name) => (uri.parameters.get(name) ?? '') !== '');
  if (authMode(uri) === 'implicit' && given.length > 0) {
    throw invalid(`implicit gs auth does not support uri param ${given.join(', ')}`, uri, 'leave it out, or use AUTH=specified');
  }
  if (given.length > 1) throw invalid('CREDENTIALS and BEARER_TOKEN are two ways to sign in', uri, 'give one of them');
  return serviceAccount(uri);
}

function defaultAccount(uri: ParsedUri, key: string): ServiceAccountKey {
  const setting = 'cloudstorage.gs.default.key';
  if (key === '') throw invalid(`AUTH is default, but ${setting} is not set`, uri, 'set it to the JSON key of a service account');
  const account = serviceAccountOf(key);
  if (account !== undefined) return account;
  throw invalid(`${setting} is not the JSON key of a service account`, uri, 'it is the whole text of the key file');
}
