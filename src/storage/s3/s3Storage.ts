/**
 * s3://bucket/prefix: Amazon S3 and what speaks its protocol, over the official SDK.
 *
 *   O1  files are written, read and listed; nothing is overwritten but by a write of the same name, so buckets with
 *       object lock or without permission to delete work
 *   O2  a file up to one part goes out in one call, a larger one as a multipart upload (s3Upload.ts): both become
 *       visible whole
 *   O3  `ifAbsent` is If-None-Match. Amazon keeps it; other services may pass over it without a word, so with
 *       AWS_ENDPOINT the capability is not claimed
 */
import { StorageError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';

import type {
  ExternalStorage,
  ListOptions,
  ReadOptions,
  StorageCapabilities,
  StorageOperation,
  WriteOptions,
  WriteResult,
  WriteSource,
} from '../externalStorage.ts';
import { checkBasePath, checkName, fileExists, gather, missingFile, objectListing } from '../names.ts';
import { writeInParts } from '../parts.ts';
import type { ProviderEnvironment } from '../providerCalls.ts';
import type { RetryContext } from '../retry.ts';
import type { ParsedUri } from '../uri.ts';
import { S3Calls, type S3Refusal } from './s3Client.ts';
import { type S3Options, s3Options } from './s3Options.ts';
import { uploadParts } from './s3Upload.ts';

export interface S3Context extends ProviderEnvironment {
  /** For the parts of an upload, whose source cannot be read twice. */
  readonly retry: RetryContext;
  /** The service behind AWS_ENDPOINT is known to keep If-None-Match. */
  readonly keepsConditions?: boolean;
  /** varve.storage.concurrent_upload_parts. */
  readonly partsInFlight?: () => number;
}

/** Throws 22023 for a URI that cannot be. Touches no network. */
export function openS3(uri: ParsedUri, context: S3Context): ExternalStorage {
  const options = s3Options(uri);
  checkBasePath(uri.path, uri);
  return new S3Storage(uri, options, context);
}

class S3Storage implements ExternalStorage {
  readonly uri: ParsedUri;
  readonly capabilities: StorageCapabilities;
  readonly #options: S3Options;
  readonly #context: S3Context;
  readonly #calls: S3Calls;

  constructor(uri: ParsedUri, options: S3Options, context: S3Context) {
    this.uri = uri;
    const conditionalCreate = options.endpoint === undefined || (context.keepsConditions ?? false);
    this.capabilities = Object.freeze({ list: true, delete: true, conditionalCreate });
    this.#options = options;
    this.#context = context;
    this.#calls = new S3Calls(uri, options, context);
  }

  async write(name: string, source: WriteSource, options: WriteOptions = {}): Promise<WriteResult> {
    checkName(name);
    if (options.ifAbsent && !this.capabilities.conditionalCreate) {
      throw new StorageError(SqlState.FeatureNotSupported, 'this service is not known to create a file only if it is absent', {
        operation: 'write',
        redactedUri: String(this.uri),
      });
    }
    const { signal } = options;
    return await writeInParts(
      source,
      signal,
      (content) => this.#put(name, content, options),
      (parts) => {
        const call = { operation: 'write' as const, name, signal };
        const target = {
          calls: this.#calls,
          call,
          place: this.#place(name),
          stored: this.#stored(),
          partsInFlight: this.#context.partsInFlight?.() ?? 4,
        };
        return uploadParts(target, this.#context.retry, this.#condition(options), parts, this.#conflict(name, options));
      },
    );
  }

  async read(name: string, options: ReadOptions = {}): Promise<Uint8Array> {
    return await gather(this.#get('read', name, options));
  }

  readStream(name: string, options: ReadOptions = {}): AsyncIterable<Uint8Array> {
    return this.#get('readStream', name, options);
  }

  async size(name: string): Promise<number> {
    return await this.#head('size', name, undefined);
  }

  async list(prefix: string, options?: ListOptions): Promise<string[]> {
    const { bucket, prefix: base } = this.#options;
    const found: string[] = [];
    let token: string | undefined;
    do {
      const page = await this.#calls.call({ operation: 'list', name: prefix, signal: options?.signal }, ({ sdk, client }, abortSignal) =>
        client.send(
          new sdk.ListObjectsV2Command({
            Bucket: bucket,
            Prefix: base + prefix,
            // A name may have characters that XML has not.
            EncodingType: 'url',
            ...(options?.delimiter && { Delimiter: options.delimiter }),
            ...(token !== undefined && { ContinuationToken: token }),
          }),
          { abortSignal },
        ),
      );
      const keys = [...(page.Contents ?? []).map(({ Key }) => Key), ...(page.CommonPrefixes ?? []).map(({ Prefix }) => Prefix)];
      for (const key of keys) if (key !== undefined) found.push(decodeKey(key).slice(base.length));
      token = page.IsTruncated ? page.NextContinuationToken : undefined;
    } while (token !== undefined);
    return objectListing(found, prefix, options);
  }

  async delete(name: string): Promise<void> {
    checkName(name);
    await this.#calls.call({ operation: 'delete', name }, async ({ sdk, client }, abortSignal) => {
      await client
        .send(new sdk.DeleteObjectCommand(this.#place(name)), { abortSignal })
        .catch((error: { $metadata?: { httpStatusCode?: number } }) => {
          // Amazon is content with a name that is not there; others are not.
          if (error.$metadata?.httpStatusCode !== 404) throw error;
        });
    });
  }

  close(): Promise<void> {
    return this.#calls.close();
  }

  async #put(name: string, body: Uint8Array, options: WriteOptions): Promise<void> {
    const call = { operation: 'write' as const, name, signal: options.signal };
    await this.#calls.call(
      call,
      ({ sdk, client }, abortSignal) =>
        client.send(new sdk.PutObjectCommand({ ...this.#place(name), ...this.#stored(), ...this.#condition(options), Body: body }), {
          abortSignal,
        }),
      this.#conflict(name, options),
    );
  }

  async *#get(operation: StorageOperation, name: string, options: ReadOptions): AsyncGenerator<Uint8Array> {
    checkName(name);
    const { offset = 0, length = Number.POSITIVE_INFINITY, signal } = options;
    if (length === 0) {
      await this.#head(operation, name, signal);
      return;
    }
    const last = length === Number.POSITIVE_INFINITY ? '' : String(offset + length - 1);
    const range = offset > 0 || last !== '' ? `bytes=${offset}-${last}` : undefined;
    const call = { operation, name, signal };
    yield* this.#calls.stream(
      call,
      async ({ sdk, client }, abortSignal) => {
        const command = new sdk.GetObjectCommand({ ...this.#place(name), ...(range !== undefined && { Range: range }) });
        const answer = await client
          .send(command, { abortSignal })
          .catch((error: { name?: string; $metadata?: { httpStatusCode?: number } }) => {
            if (error.$metadata?.httpStatusCode === 416) return undefined;
            throw error;
          });
        return answer?.Body && { pieces: answer.Body as AsyncIterable<Uint8Array>, bytes: answer.ContentLength };
      },
      this.#missing(operation, name),
    );
  }

  async #head(operation: StorageOperation, name: string, signal: AbortSignal | undefined): Promise<number> {
    checkName(name);
    const answer = await this.#calls.call(
      { operation, name, signal },
      ({ sdk, client }, abortSignal) => client.send(new sdk.HeadObjectCommand(this.#place(name)), { abortSignal }),
      this.#missing(operation, name),
    );
    return answer.ContentLength ?? 0;
  }

  #place(name: string): { Bucket: string; Key: string } {
    return { Bucket: this.#options.bucket, Key: this.#options.prefix + name };
  }

  /** How an object is to be kept. */
  #stored() {
    const { storageClass, encryption } = this.#options;
    return {
      ...(storageClass && { StorageClass: storageClass }),
      ...(encryption && { ServerSideEncryption: encryption.mode }),
      ...(encryption?.keyId !== undefined && { SSEKMSKeyId: encryption.keyId }),
    };
  }

  #condition(options: WriteOptions): { IfNoneMatch?: string } {
    return options.ifAbsent ? { IfNoneMatch: '*' } : {};
  }

  #conflict(name: string, options: WriteOptions) {
    return (refusal: S3Refusal) => (options.ifAbsent && refusal.status === 412 ? fileExists(this.uri, name) : undefined);
  }

  #missing(operation: StorageOperation, name: string) {
    return (refusal: S3Refusal) =>
      refusal.status === 404 && refusal.errorName !== 'NoSuchBucket' ? missingFile(this.uri, operation, name) : undefined;
  }
}

function decodeKey(key: string): string {
  return decodeURIComponent(key.replaceAll('+', ' '));
}
