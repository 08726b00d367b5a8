/**
 * S3Client: calls of the official SDK for one location, each under a limit of silence and with its errors read. The
 * SDK is loaded, and credentials are looked for, at the first call.
 */
import type { Clock } from '../../base/clock.ts';
import { StorageError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';

import { assumeRoles } from '../awsCredentials.ts';
import type { StorageOperation } from '../externalStorage.ts';
import { HttpSilence } from '../http/httpClient.ts';
import { connectionError } from '../http/httpError.ts';
import { loadOptional } from '../optionalPackage.ts';
import { Patience } from '../patience.ts';
import { isRetryableStatus, scrub } from '../providerError.ts';
import type { ParsedUri } from '../uri.ts';
import type { S3Options } from './s3Options.ts';

export type S3Sdk = typeof import('@aws-sdk/client-s3');
type Client = InstanceType<S3Sdk['S3Client']>;

/** Longest time without an answer, or without the next piece of one; a part of an upload goes out whole in it. */
const SILENCE_MICROS_MAX = 120_000_000;

export interface S3Environment {
  readonly clock: Clock;
  /** PEM text of certificate authorities beside the system's; '' for none. */
  readonly customCa?: () => string;
  /** cloudstorage.timeout. */
  readonly timeoutMicros?: () => number;
}

export interface CallOptions {
  readonly operation: StorageOperation;
  /** The file, or the prefix of a listing. */
  readonly name: string;
  readonly signal?: AbortSignal | undefined;
}

/** What an answer means that is not the one asked for. */
export class S3Refusal extends Error {
  readonly status: number | undefined;
  readonly errorName: string;

  constructor(errorName: string, status: number | undefined) {
    super(errorName);
    this.errorName = errorName;
    this.status = status;
  }
}

export class S3Calls {
  readonly #uri: ParsedUri;
  readonly #options: S3Options;
  readonly #environment: S3Environment;
  #opened: Promise<{ sdk: S3Sdk; client: Client }> | undefined;

  constructor(uri: ParsedUri, options: S3Options, environment: S3Environment) {
    this.#uri = uri;
    this.#options = options;
    this.#environment = environment;
  }

  /**
   * Makes one call. `handle` knows what some refusals mean; what it returns undefined for is thrown as a
   * StorageError. `call` may read a body under `patience` before it returns.
   */
  async call<T>(
    options: CallOptions,
    call: (sdk: S3Sdk, client: Client, abortSignal: AbortSignal, patience: Patience) => Promise<T>,
    handle: (refusal: S3Refusal) => StorageError | undefined = () => undefined,
  ): Promise<T> {
    const { signal } = options;
    signal?.throwIfAborted();
    this.#opened ??= this.#open();
    const { sdk, client } = await this.#opened;
    const limitMicros = Math.min(SILENCE_MICROS_MAX, this.#environment.timeoutMicros?.() ?? SILENCE_MICROS_MAX);
    const ending = new AbortController();
    const onAbort = () => ending.abort(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    const patience = new Patience(this.#environment.clock, limitMicros, () => ending.abort(new HttpSilence(limitMicros)));
    try {
      patience.enter();
      return await call(sdk, client, ending.signal, patience);
    } catch (error) {
      signal?.throwIfAborted();
      const thrown = ending.signal.aborted ? ending.signal.reason : error;
      throw this.#read(options, thrown, handle);
    } finally {
      patience.end();
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** The pieces of a body as they come, with the errors of `call`. Breaks the connection when its reader leaves early. */
  async *stream(
    options: CallOptions,
    call: (sdk: S3Sdk, client: Client, abortSignal: AbortSignal) => Promise<AsyncIterable<Uint8Array> | undefined>,
    handle: (refusal: S3Refusal) => StorageError | undefined,
  ): AsyncGenerator<Uint8Array> {
    const reading = new AbortController();
    const signal = options.signal ? AbortSignal.any([options.signal, reading.signal]) : reading.signal;
    const orEnd = <T>(abortSignal: AbortSignal, result: Promise<T>) => Promise.race([result, ended(abortSignal)]);
    try {
      const body = await this.call(options, (sdk, client, abortSignal) => orEnd(abortSignal, call(sdk, client, signal)), handle);
      const iterator = body?.[Symbol.asyncIterator]();
      while (iterator) {
        const next = await this.call(options, (_sdk, _client, abortSignal) => orEnd(abortSignal, iterator.next()));
        if (next.done) return;
        yield next.value;
      }
    } finally {
      reading.abort();
    }
  }

  async close(): Promise<void> {
    const opened = await this.#opened?.catch(() => undefined);
    opened?.client.destroy();
    this.#opened = undefined;
  }

  async #open(): Promise<{ sdk: S3Sdk; client: Client }> {
    const sdk = await loadOptional('@aws-sdk/client-s3', 'storage in S3', () => import('@aws-sdk/client-s3'));
    const { region, endpoint, usesPathStyle, skipsChecksum } = this.#options;
    const place = { ...(region !== undefined && { region }), ...(endpoint !== undefined && { endpoint }) };
    const credentials = await assumeRoles(this.#uri, { region: region ?? 'us-east-1', ...(endpoint !== undefined && { endpoint }) });
    const checksums = skipsChecksum ? 'WHEN_REQUIRED' : 'WHEN_SUPPORTED';
    const httpsAgent = agentFor(this.#environment.customCa?.() ?? '');
    const client = new sdk.S3Client({
      ...place,
      ...(credentials && { credentials }),
      forcePathStyle: usesPathStyle,
      followRegionRedirects: endpoint === undefined,
      requestChecksumCalculation: checksums,
      responseChecksumValidation: checksums,
      // retry.ts repeats, on its own clock.
      maxAttempts: 1,
      ...(httpsAgent && { requestHandler: { httpsAgent } }),
    });
    return { sdk, client };
  }

  /** A StorageError that says what failed and how it goes on; nothing of the SDK's objects is kept, which hold requests. */
  #read({ operation, name }: CallOptions, error: unknown, handle: (refusal: S3Refusal) => StorageError | undefined): unknown {
    if (error instanceof StorageError) return error;
    const status = (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
    if (status === undefined) {
      const broken = connectionError(this.#uri, operation, name, error);
      if (broken) return broken;
    }
    if (!(error instanceof Error)) return error;
    const { name: errorName, message } = error;
    const known = handle(new S3Refusal(errorName, status));
    if (known) return known;
    const words = scrub(this.#uri, message.split('\n', 1)[0] ?? '');
    const says = words === '' || words === errorName ? errorName : `${errorName}: ${words}`;
    return new StorageError(CODES[errorName] ?? SqlState.IoError, `cannot ${operation} "${name}" in "${this.#uri}": ${says}`, {
      operation,
      redactedUri: String(this.#uri),
      isRetryable: RETRYABLE.has(errorName) || (status !== undefined && isRetryableStatus(status) && status !== 501),
      hint: HINTS[errorName] ?? (status === 200 || errorName === 'SyntaxError' ? 'is AWS_ENDPOINT a service that speaks S3?' : undefined),
    });
  }
}

/** Never resolves; rejects when the signal aborts. */
function ended(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

/** Undefined: the SDK's own, which trusts the system's authorities. */
function agentFor(ca: string) {
  if (ca === '') return undefined;
  const { Agent } = process.getBuiltinModule('node:https');
  const { rootCertificates } = process.getBuiltinModule('node:tls');
  return new Agent({ keepAlive: true, maxSockets: 50, ca: [...rootCertificates, ca] });
}

const CODES: Readonly<Record<string, SqlState>> = {
  AccessDenied: SqlState.InsufficientPrivilege,
  InvalidAccessKeyId: SqlState.InsufficientPrivilege,
  SignatureDoesNotMatch: SqlState.InsufficientPrivilege,
  ExpiredToken: SqlState.InsufficientPrivilege,
  InvalidToken: SqlState.InsufficientPrivilege,
  Forbidden: SqlState.InsufficientPrivilege,
  '403': SqlState.InsufficientPrivilege,
  CredentialsProviderError: SqlState.InsufficientPrivilege,
  InvalidObjectState: SqlState.ObjectNotInPrerequisiteState,
  NotImplemented: SqlState.FeatureNotSupported,
};

const HINTS: Readonly<Record<string, string>> = {
  NoSuchBucket: 'make the bucket first, or check its name and AWS_REGION',
  PermanentRedirect: 'the bucket is in another region: give AWS_REGION',
  AuthorizationHeaderMalformed: 'the bucket is in another region: give AWS_REGION',
  InvalidObjectState: 'the file is archived: restore it in S3 first; classes GLACIER and DEEP_ARCHIVE do not go with incrementals',
  CredentialsProviderError: 'AUTH=implicit takes credentials from the environment of the server, which has none',
  InvalidAccessKeyId: 'check AWS_ACCESS_KEY_ID',
  SignatureDoesNotMatch: 'check AWS_SECRET_ACCESS_KEY, percent-encoded',
  ExpiredToken: 'the temporary credentials have run out',
  RequestTimeTooSkewed: "the server's clock and that of S3 are too far apart",
};

/** The SDK corrects its clock by the answer, so that the next call is right. */
const RETRYABLE: ReadonlySet<string> = new Set([
  'SlowDown',
  'RequestTimeout',
  'RequestTimeTooSkewed',
  'InternalError',
  'OperationAborted',
  'ConditionalRequestConflict',
  'TimeoutError',
]);
