/**
 * Azure credentials: the clouds that AZURE_ENVIRONMENT names, and who signs in there: an app registration of a URI, or
 * what the server's environment gives, of which CockroachDB's credentials file comes first.
 */
import { readFile } from 'node:fs/promises';

import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';

import { authMode, invalid } from './authParameter.ts';
import { loadOptional } from './optionalPackage.ts';
import type { ParsedUri } from './uri.ts';

export const APP_PARAMETERS = ['AZURE_TENANT_ID', 'AZURE_CLIENT_ID', 'AZURE_CLIENT_SECRET'] as const;
const FILE_VARIABLE = 'COCKROACH_AZURE_APPLICATION_CREDENTIALS_FILE';

type Identity = typeof import('@azure/identity');
export type AzureCredential = InstanceType<Identity['ClientSecretCredential']> | InstanceType<Identity['DefaultAzureCredential']>;

export interface AzureCloud {
  /** Where one signs in. */
  readonly authorityHost: string;
  /** The domain that key vaults are under. */
  readonly vaultDomain: string;
  /** The domain that blob services are under. */
  readonly blobDomain: string;
}

const CLOUDS: ReadonlyMap<string, AzureCloud> = new Map([
  ['AZUREPUBLICCLOUD', cloud('https://login.microsoftonline.com', 'vault.azure.net', 'core.windows.net')],
  ['AZUREUSGOVERNMENTCLOUD', cloud('https://login.microsoftonline.us', 'vault.usgovcloudapi.net', 'core.usgovcloudapi.net')],
  ['AZURECHINACLOUD', cloud('https://login.chinacloudapi.cn', 'vault.azure.cn', 'core.chinacloudapi.cn')],
  ['AZUREGERMANCLOUD', cloud('https://login.microsoftonline.de', 'vault.microsoftazure.de', 'core.cloudapi.de')],
]);

function cloud(authorityHost: string, vaultDomain: string, storageDomain: string): AzureCloud {
  return { authorityHost, vaultDomain, blobDomain: `blob.${storageDomain}` };
}

/** A server that stands for Azure's, and who vouches for it; for tests. */
export interface AzureEndpoints {
  /** `https://host:port`: tokens go over TLS only. */
  readonly origin: string;
  readonly ca: string;
}

/** Of AZURE_ENVIRONMENT; `what` asks. 22023 for a name that is none. */
export function azureCloud(uri: ParsedUri, what: string): AzureCloud {
  const found = CLOUDS.get(uri.parameters.get('AZURE_ENVIRONMENT')?.toUpperCase() || 'AZUREPUBLICCLOUD');
  if (found !== undefined) return found;
  throw invalid(`${what} environment: there is none of this name`, uri, `environments are ${[...CLOUDS.keys()].join(', ')}`);
}

/** Who asks for tokens. Touches no network. `purpose` says what for, should the package be missing. */
export async function azureCredential(
  uri: ParsedUri,
  purpose: string,
  authorityHost: string,
  endpoints: AzureEndpoints | undefined,
): Promise<AzureCredential> {
  const identity = await loadOptional('@azure/identity', purpose, () => import('@azure/identity'));
  const signIn = {
    authorityHost: endpoints?.origin ?? authorityHost,
    ...(endpoints && { tlsOptions: { ca: endpoints.ca }, disableInstanceDiscovery: true }),
    // retry.ts repeats, on its own clock.
    retryOptions: { maxRetries: 0 },
  };
  const parameter = (name: (typeof APP_PARAMETERS)[number]) => uri.parameters.get(name) ?? '';
  if (authMode(uri) === 'specified') {
    const secret = parameter('AZURE_CLIENT_SECRET');
    return new identity.ClientSecretCredential(parameter('AZURE_TENANT_ID'), parameter('AZURE_CLIENT_ID'), secret, signIn);
  }
  const file = process.env[FILE_VARIABLE] ?? '';
  if (file === '') return new identity.DefaultAzureCredential(signIn);
  const app = await credentialsFile(file);
  return new identity.ClientSecretCredential(app.azure_tenant_id, app.azure_client_id, app.azure_client_secret, signIn);
}

const FILE_KEYS = ['azure_tenant_id', 'azure_client_id', 'azure_client_secret'] as const;

/** 22023, without a word of what it holds, when the file cannot be read or lacks a key. */
async function credentialsFile(path: string): Promise<Record<(typeof FILE_KEYS)[number], string>> {
  const refuse = (what: string) =>
    new StatementError(SqlState.InvalidParameterValue, `the credentials file of ${FILE_VARIABLE} ${what}`, {
      hint: `it is YAML with the keys ${FILE_KEYS.join(', ')}`,
    });
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw refuse(`cannot be read: ${error.code}`);
  });
  const values = flatYaml(text);
  const missing = FILE_KEYS.filter((key) => !values.get(key));
  if (missing.length > 0) throw refuse(`lacks ${missing.join(', ')}`);
  const [tenant = '', id = '', secret = ''] = FILE_KEYS.map((key) => values.get(key));
  return { azure_tenant_id: tenant, azure_client_id: id, azure_client_secret: secret };
}

/** The `key: value` lines of a YAML mapping of strings, plain or quoted; what else a file may hold is passed over. */
function flatYaml(text: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const line of text.split('\n')) {
    const match = /^\s*"?(\w+)"?\s*:\s*(?:"([^"]*)"|'([^']*)'|([^\s#"'][^\s#]*))\s*,?\s*(?:#.*)?$/.exec(line);
    const value = match?.[2] ?? match?.[3] ?? match?.[4];
    if (match?.[1] !== undefined && value !== undefined) values.set(match[1], value);
  }
  return values;
}
