/**
 * Google Cloud KMS: `gs:///projects/p/locations/l/keyRings/r/cryptoKeys/k?AUTH=...` (or gcp-kms) over the
 * official SDK, by REST. A symmetric key; requests and answers carry CRC-32C sums, which are compared.
 */
import { loadOptional } from '../optionalPackage.ts';
import type { ParsedUri } from '../uri.ts';

import { assumedRoles, invalid } from '../authParameter.ts';
import { type GoogleAuthClient, googleAuthClient, type ServiceAccountKey, serviceAccount } from '../googleCredentials.ts';
import { crc32c } from './crc32c.ts';
import type { Kms, KmsOpener } from './kms.ts';
import { KmsCalls, type Refusal } from './kmsCalls.ts';

const PARAMETERS = ['AUTH', 'CREDENTIALS', 'BEARER_TOKEN', 'ASSUME_ROLE'] as const;
const KEY_NAME = /^projects\/([^/]+)\/locations\/[^/]+\/keyRings\/[^/]+\/cryptoKeys\/[^/]+$/;
const SCOPE = 'https://www.googleapis.com/auth/cloud-platform';
const TIMEOUT_MS = 60_000;
/** Codes of gRPC that pass: deadline exceeded, resource exhausted, aborted, internal, unavailable. */
const RETRYABLE: ReadonlySet<unknown> = new Set([4, 8, 10, 13, 14]);

type Sdk = typeof import('@google-cloud/kms');
type Client = InstanceType<Sdk['KeyManagementServiceClient']>;
type ClientOptions = NonNullable<ConstructorParameters<Sdk['KeyManagementServiceClient']>[0]>;

/** Where the services are asked instead of googleapis.com; for tests. */
export interface GcpEndpoints {
  readonly host: string;
  readonly port: number;
}

export function gcpKmsOpener(endpoints?: GcpEndpoints): KmsOpener {
  return (uri) => new GcpKms(uri, endpoints);
}

class GcpKms implements Kms {
  readonly provider = 'gcp';
  readonly key: string;
  readonly #uri: ParsedUri;
  readonly #project: string;
  readonly #account: ServiceAccountKey | undefined;
  readonly #endpoints: GcpEndpoints | undefined;
  readonly #calls: KmsCalls<Client>;

  constructor(uri: ParsedUri, endpoints: GcpEndpoints | undefined) {
    uri.refuseOtherParameters(PARAMETERS);
    if (uri.path === '') {
      throw invalid('path component of the KMS cannot be empty; must contain the Customer Managed Key', uri, HINT);
    }
    // Cloud KMS finds the version of a symmetric key by itself, and refuses one that is named for decryption.
    this.key = uri.path.split('/cryptoKeyVersions/', 1)[0] as string;
    const match = KEY_NAME.exec(this.key);
    if (match === null) throw invalid(`"${this.key}" is not the name of a key of Google Cloud KMS`, uri, HINT);
    this.#project = match[1] as string;
    this.#uri = uri;
    this.#endpoints = endpoints;
    this.#account = serviceAccount(uri);
    assumedRoles(uri);
    this.#calls = new KmsCalls(uri, () => this.#open(), refusalOf);
  }

  async encrypt(plaintext: Uint8Array, signal?: AbortSignal): Promise<Uint8Array> {
    return await this.#calls.call('encrypt', signal, async (client) => {
      const [answer] = await client.encrypt(
        { name: this.key, plaintext, plaintextCrc32c: { value: crc32c(plaintext) } },
        { timeout: TIMEOUT_MS },
      );
      if (answer.verifiedPlaintextCrc32c !== true) throw new Error('Encrypt: request corrupted in-transit');
      return checked('Encrypt', answer.ciphertext, answer.ciphertextCrc32c);
    });
  }

  async decrypt(ciphertext: Uint8Array, signal?: AbortSignal): Promise<Uint8Array> {
    return await this.#calls.call('decrypt', signal, async (client) => {
      const [answer] = await client.decrypt(
        { name: this.key, ciphertext, ciphertextCrc32c: { value: crc32c(ciphertext) } },
        { timeout: TIMEOUT_MS },
      );
      return checked('Decrypt', answer.plaintext, answer.plaintextCrc32c);
    });
  }

  async close(): Promise<void> {
    await this.#calls.close((client) => client.close());
  }

  async #open(): Promise<Client> {
    const { KeyManagementServiceClient } = await loadOptional(
      '@google-cloud/kms',
      'a key of Google Cloud KMS',
      () => import('@google-cloud/kms'),
    );
    const authClient = await this.#authClient();
    const { host, port } = this.#endpoints ?? {};
    return new KeyManagementServiceClient({
      // REST over HTTP/1.1 passes proxies, and needs none of gRPC.
      fallback: true,
      projectId: this.#project,
      ...(host !== undefined && { apiEndpoint: host, port, protocol: 'http' }),
      // The SDK may bring a copy of its own of the library: alike, but another type.
      ...(authClient !== undefined && { authClient: authClient as unknown as NonNullable<ClientOptions['authClient']> }),
      ...(authClient === undefined && this.#account !== undefined && { credentials: this.#account }),
    });
  }

  /** Undefined: the SDK signs in by itself, with the account of CREDENTIALS or with that of the environment. */
  async #authClient(): Promise<GoogleAuthClient | undefined> {
    const isOfSdk = assumedRoles(this.#uri).length === 0 && this.#uri.parameters.get('BEARER_TOKEN') === undefined;
    if (isOfSdk) return undefined;
    const { host, port } = this.#endpoints ?? {};
    return await googleAuthClient(this.#uri, {
      purpose: 'BEARER_TOKEN or ASSUME_ROLE',
      scope: SCOPE,
      account: this.#account,
      endpoint: host === undefined ? undefined : `http://${host}:${port}`,
    });
  }
}

const HINT = 'write gs:///projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY?...';

function checked(what: string, bytes: Uint8Array | string | null | undefined, sum: { value?: unknown } | null | undefined): Uint8Array {
  const content = typeof bytes === 'string' ? Buffer.from(bytes, 'base64') : (bytes ?? new Uint8Array());
  if (Number(sum?.value) !== crc32c(content)) throw new Error(`${what}: response corrupted in-transit`);
  return content;
}

function refusalOf(error: unknown): Refusal {
  const { code, message } = error as Error & { code?: unknown };
  // Without a code of the service it was not reached.
  return { what: message, isRetryable: typeof code !== 'number' || RETRYABLE.has(code) };
}
