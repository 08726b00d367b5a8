/**
 * Azure Key Vault: `azure-kms:///<key>/<version>?AZURE_VAULT_NAME=...&AUTH=...` over the official SDK. An RSA key,
 * RSA-OAEP-256, whose private half never leaves the vault.
 */
import { loadOptional } from '../optionalPackage.ts';
import type { ParsedUri } from '../uri.ts';

import { authMode, invalid, requireParameters } from '../authParameter.ts';
import { APP_PARAMETERS, type AzureEndpoints, azureCloud, azureCredential } from '../azureCredentials.ts';
import { isRetryableStatus } from '../providerError.ts';
import type { Kms, KmsOpener } from './kms.ts';
import { KmsCalls, type Refusal } from './kmsCalls.ts';

const PARAMETERS = ['AUTH', 'AZURE_VAULT_NAME', ...APP_PARAMETERS, 'AZURE_ENVIRONMENT'] as const;
const ALGORITHM = 'RSA-OAEP-256';

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
  readonly #calls: KmsCalls<Client>;

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
    const cloud = azureCloud(uri, 'azure kms');
    if (authMode(uri) === 'specified') {
      requireParameters(uri, ...APP_PARAMETERS);
    } else {
      const extra = APP_PARAMETERS.filter((name) => uri.parameters.has(name));
      if (extra.length > 0)
        throw invalid(`kms implicit auth URI does not support: ${extra.join(', ')}`, uri, 'leave them out, or use AUTH=specified');
    }
    this.#uri = uri;
    this.#endpoints = endpoints;
    this.#authorityHost = cloud.authorityHost;
    this.#vaultUrl = endpoints?.origin ?? `https://${vault}.${cloud.vaultDomain}`;
    this.key = `${vault}/${uri.path}`;
    this.#calls = new KmsCalls(uri, () => this.#open(), refusalOf);
  }

  async encrypt(plaintext: Uint8Array, signal?: AbortSignal): Promise<Uint8Array> {
    return await this.#calls.call('encrypt', signal, async (client) => {
      return (await client.encrypt({ algorithm: ALGORITHM, plaintext }, { abortSignal: signal })).result;
    });
  }

  async decrypt(ciphertext: Uint8Array, signal?: AbortSignal): Promise<Uint8Array> {
    return await this.#calls.call('decrypt', signal, async (client) => {
      return (await client.decrypt({ algorithm: ALGORITHM, ciphertext }, { abortSignal: signal })).result;
    });
  }

  async close(): Promise<void> {
    await this.#calls.close();
  }

  async #open(): Promise<Client> {
    const purpose = 'a key of Azure Key Vault';
    const { CryptographyClient } = await loadOptional('@azure/keyvault-keys', purpose, () => import('@azure/keyvault-keys'));
    const tls = this.#endpoints && { tlsOptions: { ca: this.#endpoints.ca } };
    const credential = await azureCredential(this.#uri, purpose, this.#authorityHost, this.#endpoints);
    const keyUrl = `${this.#vaultUrl}/keys/${this.#uri.path.split('/').map(encodeURIComponent).join('/')}`;
    return new CryptographyClient(keyUrl, credential, tls && { ...tls, disableChallengeResourceVerification: true });
  }
}

const HINT = 'write azure-kms:///KEY/VERSION?AZURE_VAULT_NAME=VAULT&...';

function refusalOf(error: unknown): Refusal {
  const { name, message, statusCode } = error as Error & { statusCode?: number };
  // What the sign-in refuses stays refused; it has no status of its own.
  const isRefused = /^(?:Authentication|CredentialUnavailable)/.test(name);
  return { what: `${name}: ${message}`, isRetryable: !isRefused && isRetryableStatus(statusCode) };
}
