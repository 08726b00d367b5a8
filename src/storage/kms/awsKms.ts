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
import { type Kms, KmsError, type KmsOpener } from './kms.ts';
import { isRetryableStatus, scrub } from '../providerError.ts';

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
type Client = InstanceType<Sdk['KMSClient']>;

export const openAwsKms: KmsOpener = (uri) => new AwsKms(uri);

class AwsKms implements Kms {
  readonly provider = 'aws';
  readonly key: string;
  readonly #uri: ParsedUri;
  readonly #keyId: string;
  readonly #region: string;
  #client: Promise<{ sdk: Sdk; client: Client }> | undefined;

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
  }

  async encrypt(plaintext: Uint8Array, signal?: AbortSignal): Promise<Uint8Array> {
    return await this.#call('encrypt', signal, async ({ sdk, client }) => {
      const command = new sdk.EncryptCommand({ KeyId: this.#keyId, Plaintext: plaintext });
      return (await client.send(command, { abortSignal: signal })).CiphertextBlob;
    });
  }

  async decrypt(ciphertext: Uint8Array, signal?: AbortSignal): Promise<Uint8Array> {
    return await this.#call('decrypt', signal, async ({ sdk, client }) => {
      const command = new sdk.DecryptCommand({ KeyId: this.#keyId, CiphertextBlob: ciphertext });
      return (await client.send(command, { abortSignal: signal })).Plaintext;
    });
  }

  async close(): Promise<void> {
    const opened = await this.#client?.catch(() => undefined);
    opened?.client.destroy();
    this.#client = undefined;
  }

  async #call(
    operation: 'encrypt' | 'decrypt',
    signal: AbortSignal | undefined,
    send: (opened: { sdk: Sdk; client: Client }) => Promise<Uint8Array | undefined>,
  ): Promise<Uint8Array> {
    this.#client ??= this.#open();
    const opened = await this.#client;
    let result: Uint8Array | undefined;
    try {
      result = await send(opened);
    } catch (error) {
      signal?.throwIfAborted();
      const { name, message, $metadata } = error as Error & { $metadata?: { httpStatusCode?: number } };
      throw new KmsError(this.#uri, operation, scrub(this.#uri, `${name}: ${message}`), {
        isRetryable: isRetryableStatus($metadata?.httpStatusCode),
      });
    }
    if (result === undefined) throw new KmsError(this.#uri, operation, 'the service answered without a result');
    return result;
  }

  async #open(): Promise<{ sdk: Sdk; client: Client }> {
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
