/** What an azure-blob:// URI says, checked before anything is opened. Spec of parameters: docs/storage.md. */
import { authMode, invalid } from '../authParameter.ts';
import { APP_PARAMETERS, type AzureCloud, azureCloud } from '../azureCredentials.ts';
import { endpointUrl } from '../endpoint.ts';
import type { ParsedUri } from '../uri.ts';

const PARAMETERS = ['AUTH', 'AZURE_ACCOUNT_NAME', 'AZURE_ACCOUNT_KEY', ...APP_PARAMETERS, 'AZURE_ENVIRONMENT', 'AZURE_ENDPOINT'] as const;

export interface AzureOptions {
  readonly container: string;
  /** '' or the path with a slash behind it. */
  readonly prefix: string;
  readonly account: string;
  /** Base64; undefined: somebody signs in. */
  readonly key: string | undefined;
  /** URL of the blob service. */
  readonly serviceUrl: string;
  readonly cloud: AzureCloud;
}

/** Throws 22023 for parameters that are unknown, missing or do not go together. */
export function azureOptions(uri: ParsedUri): AzureOptions {
  uri.refuseOtherParameters(PARAMETERS);
  const parameter = (name: (typeof PARAMETERS)[number]) => uri.parameters.get(name) || undefined;
  if (uri.host === '') throw invalid(`no container in "${uri}"`, uri, HINT);
  const account = parameter('AZURE_ACCOUNT_NAME');
  if (account === undefined) throw invalid('azure uri missing "AZURE_ACCOUNT_NAME" parameter', uri, HINT);
  // It becomes a part of a host name.
  if (!/^[A-Za-z0-9-]{1,63}$/.test(account)) throw invalid('azure: account name is not valid', uri, 'it has lower-case letters and digits');
  checkSignIn(uri);
  const endpoint = parameter('AZURE_ENDPOINT');
  const cloud = azureCloud(uri, 'azure');
  const serviceUrl = endpoint === undefined ? `https://${account}.${cloud.blobDomain}` : endpointUrl('AZURE_ENDPOINT', endpoint, uri);
  if (!serviceUrl.startsWith('https:') && parameter('AZURE_ACCOUNT_KEY') === undefined) {
    throw invalid(
      'AZURE_ENDPOINT without TLS takes an account key only',
      uri,
      'write AZURE_ENDPOINT=https://..., or give AZURE_ACCOUNT_KEY',
    );
  }
  return {
    container: uri.host,
    prefix: uri.path === '' ? '' : `${uri.path}/`,
    account,
    // A '+' that was not encoded came out as a space, and no key has one.
    key: parameter('AZURE_ACCOUNT_KEY')?.replaceAll(' ', '+'),
    serviceUrl,
    cloud,
  };
}

function checkSignIn(uri: ParsedUri): void {
  const given = (name: string) => (uri.parameters.get(name) ?? '') !== '';
  if (authMode(uri) === 'implicit') {
    const extra = ['AZURE_ACCOUNT_KEY', ...APP_PARAMETERS].filter(given);
    if (extra.length === 0) return;
    throw invalid(`implicit azure auth does not support uri param ${extra.join(', ')}`, uri, 'leave it out, or use AUTH=specified');
  }
  const ofApp = APP_PARAMETERS.filter(given).length;
  const isOne = given('AZURE_ACCOUNT_KEY') ? ofApp === 0 : ofApp === APP_PARAMETERS.length;
  if (!isOne) {
    throw invalid(
      'explicit azure uri requires exactly one authentication method: "AZURE_ACCOUNT_KEY" OR all three of "AZURE_TENANT_ID", "AZURE_CLIENT_ID", and "AZURE_CLIENT_SECRET"',
      uri,
      "give one of the two, or AUTH=implicit to use the server's own credentials",
    );
  }
  const key = (uri.parameters.get('AZURE_ACCOUNT_KEY') ?? '').replaceAll(' ', '+');
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(key)) throw invalid('AZURE_ACCOUNT_KEY is not base64', uri, 'percent-encode it: %2B, %2F, %3D');
}

const HINT = "write 'azure-blob://container/path?AZURE_ACCOUNT_NAME=...&AZURE_ACCOUNT_KEY=...'";
