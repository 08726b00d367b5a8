/**
 * AWS KMS: `aws:///<key id, ARN or alias>?REGION=...&AUTH=...` over the official SDK. A symmetric key;
 * the service encrypts with AES-256-GCM.
 *
 * With AWS_ENDPOINT both KMS and STS are asked there: a service that speaks their protocol.
 */
import { loadOptional } from '../optionalPackage.ts';
import type { ParsedUri } from '../uri.ts';

import { invalid } from '../authParameter.ts';
import { type AwsCredentials, assumeRoles, checkCredentials } from '../awsCredentials.ts';
import { isRetryableStatus } from '../providerError.ts';
import type { Kms, KmsOpener } from './kms.ts';
import { KmsCalls, type Refusal } from './kmsCalls.ts';

const PARAMETERS = [
  'AUTH',
  'REGION',
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
  'AWS_ENDPOINT',
  'ASSUME_ROLE',
] as const;
const CONNECT_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 60_000;

type Sdk = typeof import('@aws-sdk/client-kms');
interface Opened {
  readonly sdk: Sdk;
  readonly client: InstanceType<Sdk['KMSClient']>;
}

export const openAwsKms: KmsOpener = (uri) => new AwsKms(uri);

class AwsKms implements Kms {
  readonly provider = 'aws';
  readonly key: string;
  readonly #uri: ParsedUri;
  readonly #keyId: string;
  readonly #region: string;
  readonly #calls: KmsCalls<Opened>;

  constructor(uri: ParsedUri) {
    uri.refuseOtherParameters(PARAMETERS);
    const region = uri.parameters.get('REGION') ?? '';
    if (region === '') throw invalid('could not find the aws kms region', uri, 'add REGION=..., such as REGION=us-east-1');
    if (uri.path === '') throw invalid('a KMS URI names a key', uri, 'write aws:///<key id, ARN or alias>?...');
    this.#uri = uri;
    this.#keyId = uri.path;
    this.#region = region;
    // A key id or alias means another key in another region; an ARN says where it is.
    this.key = uri.path.startsWith('arn:') ? uri.path : `${region}:${uri.path}`;
    checkCredentials(uri);
    this.#calls = new KmsCalls(uri, () => this.#open(), refusalOf);
  }

  async encrypt(plaintext: Uint8Array, signal?: AbortSignal): Promise<Uint8Array> {
    return await this.#calls.call('encrypt', signal, async ({ sdk, client }) => {
      const command = new sdk.EncryptCommand({ KeyId: this.#keyId, Plaintext: plaintext });
      return (await client.send(command, { abortSignal: signal })).CiphertextBlob;
    });
  }

  async decrypt(ciphertext: Uint8Array, signal?: AbortSignal): Promise<Uint8Array> {
    return await this.#calls.call('decrypt', signal, async ({ sdk, client }) => {
      const command = new sdk.DecryptCommand({ KeyId: this.#keyId, CiphertextBlob: ciphertext });
      return (await client.send(command, { abortSignal: signal })).Plaintext;
    });
  }

  async close(): Promise<void> {
    await this.#calls.close(({ client }) => client.destroy());
  }

  async #open(): Promise<Opened> {
    const sdk = await loadOptional('@aws-sdk/client-kms', 'a key of AWS KMS', () => import('@aws-sdk/client-kms'));
    const endpoint = this.#uri.parameters.get('AWS_ENDPOINT');
    const place = { region: this.#region, ...(endpoint !== undefined && { endpoint }) };
    const credentials: AwsCredentials | undefined = await assumeRoles(this.#uri, place);
    const client = new sdk.KMSClient({
      ...place,
      ...(credentials && { credentials }),
      requestHandler: { connectionTimeout: CONNECT_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS },
    });
    return { sdk, client };
  }
}

function refusalOf(error: unknown): Refusal {
  const { name, message, $metadata } = error as Error & { $metadata?: { httpStatusCode?: number } };
  return { what: `${name}: ${message}`, isRetryable: isRetryableStatus($metadata?.httpStatusCode) };
}
