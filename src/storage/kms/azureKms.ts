/**
 * Azure Key Vault: `azure-kms:///<key>/<version>?AZURE_VAULT_NAME=...&AUTH=...` over the official SDK. An RSA key,
 * RSA-OAEP-256, whose private half never leaves the vault.
 */
import { loadOptional } from '../optionalPackage.ts';
import type { ParsedUri } from '../uri.ts';

import { authMode, invalid, requireParameters } from '../authParameter.ts';
import { type Kms, KmsError, type KmsOpener } from './kms.ts';
import { isRetryableStatus, scrub } from '../providerError.ts';

const PARAMETERS = ['AUTH', 'AZURE_VAULT_NAME', 'AZURE_TENANT_ID', 'AZURE_CLIENT_ID', 'AZURE_CLIENT_SECRET', 'AZURE_ENVIRONMENT'] as const;
const ALGORITHM = 'RSA-OAEP-256';

/** By AZURE_ENVIRONMENT: where one signs in, and under which domain vaults are. */
const CLOUDS: ReadonlyMap<string, readonly [authorityHost: string, vaultDomain: string]> = new Map([
  ['AZUREPUBLICCLOUD', ['https://login.microsoftonline.com', 'vault.azure.net']],
  ['AZUREUSGOVERNMENTCLOUD', ['https://login.microsoftonline.us', 'vault.usgovcloudapi.net']],
  ['AZURECHINACLOUD', ['https://login.chinacloudapi.cn', 'vault.azure.cn']],
  ['AZUREGERMANCLOUD', ['https://login.microsoftonline.de', 'vault.microsoftazure.de']],
]);

/** A server that stands for both services, and who vouches for it; for tests. */
export interface AzureEndpoints {
  /** `https://host:port`: tokens go over TLS only. */
  readonly origin: string;
  readonly ca: string;
}

type Client = InstanceType<typeof import('@azure/keyvault-keys')['CryptographyClient']>;

export function azureKmsOpener(endpoints?: AzureEndpoints): KmsOpener {
  return (uri) => new AzureKms(uri, endpoints);
}

class AzureKms implements Kms {
  readonly provider = 'azure';
  readonly key: string;
  readonly #uri: ParsedUri;
  readonly #vaultUrl: string;
  readonly #authorityHost: string;
  readonly #endpoints: AzureEndpoints | undefined;
  #client: Promise<Client> | undefined;

  constructor(uri: ParsedUri, endpoints: AzureEndpoints | undefined) {
    uri.refuseOtherParameters(PARAMETERS);
    if (uri.path === '') {
      throw invalid('path component of the KMS cannot be empty; must contain the Customer Managed Key', uri, HINT);
    }
    if (uri.path.split('/').length !== 2) throw invalid("azure kms key must be of form 'id/version'", uri, HINT);
    const vault = uri.parameters.get('AZURE_VAULT_NAME') ?? '';
    // It becomes a part of a host name.
    if (!/^[A-Za-z0-9-]{1,127}$/.test(vault)) {
      const what =
        vault === ''
          ? 'kms explicit auth URI expected but did not receive: AZURE_VAULT_NAME'
          : 'AZURE_VAULT_NAME is not the name of a vault';
      throw invalid(what, uri, HINT);
    }
    const cloud = CLOUDS.get(uri.parameters.get('AZURE_ENVIRONMENT')?.toUpperCase() ?? 'AZUREPUBLICCLOUD');
    if (cloud === undefined)
      throw invalid('azure kms environment: there is none of this name', uri, `environments are ${[...CLOUDS.keys()].join(', ')}`);
    if (authMode(uri) === 'specified') {
      requireParameters(uri, 'AZURE_TENANT_ID', 'AZURE_CLIENT_ID', 'AZURE_CLIENT_SECRET');
    } else {
      const extra = ['AZURE_TENANT_ID', 'AZURE_CLIENT_ID', 'AZURE_CLIENT_SECRET'].filter((name) => uri.parameters.has(name));
      if (extra.length > 0)
        throw invalid(`kms implicit auth URI does not support: ${extra.join(', ')}`, uri, 'leave them out, or use AUTH=specified');
    }
    this.#uri = uri;
    this.#endpoints = endpoints;
    this.#authorityHost = endpoints?.origin ?? cloud[0];
    this.#vaultUrl = endpoints?.origin ?? `https://${vault}.${cloud[1]}`;
    this.key = `${vault}/${uri.path}`;
  }

  async encrypt(plaintext: Uint8Array, signal?: AbortSignal): Promise<Uint8Array> {
    return await this.#call('encrypt', signal, async (client) => {
      return (await client.encrypt({ algorithm: ALGORITHM, plaintext }, { abortSignal: signal })).result;
    });
  }

  async decrypt(ciphertext: Uint8Array, signal?: AbortSignal): Promise<Uint8Array> {
    return await this.#call('decrypt', signal, async (client) => {
      return (await client.decrypt({ algorithm: ALGORITHM, ciphertext }, { abortSignal: signal })).result;
    });
  }

  /** The SDK's client holds nothing. */
  async close(): Promise<void> {
    this.#client = undefined;
  }

  async #call(
    operation: 'encrypt' | 'decrypt',
    signal: AbortSignal | undefined,
    send: (client: Client) => Promise<Uint8Array>,
  ): Promise<Uint8Array> {
    this.#client ??= this.#open();
    const client = await this.#client;
    try {
      return await send(client);
    } catch (error) {
      signal?.throwIfAborted();
      const { name, message, statusCode } = error as Error & { statusCode?: number };
      // What the sign-in refuses stays refused; it has no status of its own.
      const isRefused = /^(?:Authentication|CredentialUnavailable)/.test(name);
      throw new KmsError(this.#uri, operation, scrub(this.#uri, `${name}: ${message}`), {
        isRetryable: !isRefused && isRetryableStatus(statusCode),
      });
    }
  }

  async #open(): Promise<Client> {
    const purpose = 'a key of Azure Key Vault';
    const { CryptographyClient } = await loadOptional('@azure/keyvault-keys', purpose, () => import('@azure/keyvault-keys'));
    const identity = await loadOptional('@azure/identity', purpose, () => import('@azure/identity'));
    const tls = this.#endpoints && { tlsOptions: { ca: this.#endpoints.ca } };
    const { parameters } = this.#uri;
    const signIn = { authorityHost: this.#authorityHost, ...(tls && { ...tls, disableInstanceDiscovery: true }) };
    const credential =
      authMode(this.#uri) === 'implicit'
        ? new identity.DefaultAzureCredential(signIn)
        : new identity.ClientSecretCredential(
            parameters.get('AZURE_TENANT_ID') ?? '',
            parameters.get('AZURE_CLIENT_ID') ?? '',
            parameters.get('AZURE_CLIENT_SECRET') ?? '',
            signIn,
          );
    const keyUrl = `${this.#vaultUrl}/keys/${this.#uri.path.split('/').map(encodeURIComponent).join('/')}`;
    return new CryptographyClient(keyUrl, credential, tls && { ...tls, disableChallengeResourceVerification: true });
  }
}

const HINT = 'write azure-kms:///KEY/VERSION?AZURE_VAULT_NAME=VAULT&...';
