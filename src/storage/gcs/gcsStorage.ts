/**
 * gs://bucket/prefix: Google Cloud Storage over its JSON API.
 *
 *   O1  files are written, read and listed; nothing is overwritten but by a write of the same name, so buckets with a
 *       retention policy or without permission to delete work
 *   O2  a file up to one part goes out in one call, with its digest, which the service compares; a larger one in a
 *       resumable upload (gcsUpload.ts): both become visible whole
 *   O3  `ifAbsent` is ifGenerationMatch=0
 */
import { createHash } from 'node:crypto';

import type { StorageError } from '../../base/errors.ts';
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
import type { HttpClient } from '../http/httpClient.ts';
import { checkBasePath, checkName, fileExists, gather, isReplayable, missingFile, objectListing } from '../names.ts';
import { writeInParts } from '../parts.ts';
import { type RetryContext, retrying } from '../retry.ts';
import type { ParsedUri } from '../uri.ts';
import { GcsClient, type GcsRefusal, isMissingBucket } from './gcsClient.ts';
import { type GcsOptions, gcsOptions } from './gcsOptions.ts';
import { uploadResumable } from './gcsUpload.ts';

export interface GcsContext {
  /** Its connections are shared by all locations. */
  readonly http: HttpClient;
  /** For the parts of an upload, whose source cannot be read twice. */
  readonly retry: RetryContext;
  /** cloudstorage.gs.default.key. */
  readonly defaultKey?: () => string;
  /** Of the first parts; a multiple of 256 KiB; for tests. */
  readonly partBytes?: number;
}

const CAPABILITIES: StorageCapabilities = Object.freeze({ list: true, delete: true, conditionalCreate: true });
const ORIGIN = 'https://storage.googleapis.com';
const UPLOAD = '/upload/storage/v1';

/** Throws 22023 for a URI that cannot be. Touches no network. */
export function openGcs(uri: ParsedUri, context: GcsContext): ExternalStorage {
  const options = gcsOptions(uri, context.defaultKey?.() ?? '');
  checkBasePath(uri.path, uri);
  return new GcsStorage(uri, options, context);
}

class GcsStorage implements ExternalStorage {
  readonly uri: ParsedUri;
  readonly capabilities = CAPABILITIES;
  readonly #options: GcsOptions;
  readonly #context: GcsContext;
  readonly #client: GcsClient;

  constructor(uri: ParsedUri, options: GcsOptions, context: GcsContext) {
    this.uri = uri;
    this.#options = options;
    this.#context = context;
    this.#client = new GcsClient(uri, options, context.http, context.retry.clock);
  }

  async write(name: string, source: WriteSource, options: WriteOptions = {}): Promise<WriteResult> {
    checkName(name);
    const call = { operation: 'write' as const, name, signal: options.signal };
    const { retry, partBytes } = this.#context;
    const condition = { ifGenerationMatch: options.ifAbsent ? '0' : undefined };
    const refused = ({ status }: GcsRefusal) => (options.ifAbsent && status === 412 ? fileExists(this.uri, name) : undefined);
    const put = (content: Uint8Array) => this.#put(name, content, { call, condition, refused });
    return await writeInParts(
      source,
      options.signal,
      // A source that can be read again is retry.ts's to repeat.
      (content) => (isReplayable(source) || options.ifAbsent ? put(content) : retrying(retry, options.signal, () => put(content))),
      (parts) => {
        const query = { uploadType: 'resumable', name: this.#options.prefix + name, ...condition };
        const target = {
          client: this.#client,
          call,
          path: this.#client.path(undefined, query, UPLOAD),
          origin: new URL(this.#options.endpoint ?? ORIGIN).origin,
        };
        return uploadResumable(target, retry, parts, refused);
      },
      partBytes,
    );
  }

  async read(name: string, options: ReadOptions = {}): Promise<Uint8Array> {
    return await gather(this.#get('read', name, options));
  }

  readStream(name: string, options: ReadOptions = {}): AsyncIterable<Uint8Array> {
    return this.#get('readStream', name, options);
  }

  async size(name: string): Promise<number> {
    return await this.#sizeOf('size', name, undefined);
  }

  async list(prefix: string, options?: ListOptions): Promise<string[]> {
    const { prefix: base } = this.#options;
    const call = { operation: 'list' as const, name: prefix, signal: options?.signal };
    const found: string[] = [];
    let pageToken: string | undefined;
    do {
      const path = this.#client.path(undefined, {
        prefix: base + prefix,
        fields: 'items(name),prefixes,nextPageToken',
        delimiter: options?.delimiter,
        pageToken,
      });
      const response = await this.#client.request(call, { method: 'GET', target: { path } }, [200]);
      const page = await this.#client.json<{ items?: { name: string }[]; prefixes?: string[]; nextPageToken?: string }>(call, response);
      for (const name of [...(page.items ?? []).map((item) => item.name), ...(page.prefixes ?? [])]) found.push(name.slice(base.length));
      pageToken = page.nextPageToken;
    } while (pageToken !== undefined);
    return objectListing(found, prefix, options);
  }

  async delete(name: string): Promise<void> {
    checkName(name);
    const call = { operation: 'delete' as const, name };
    let isMissing = false;
    const refused = (refusal: GcsRefusal): StorageError | undefined => {
      isMissing = refusal.status === 404 && !isMissingBucket(refusal);
      return undefined;
    };
    try {
      const request = { method: 'DELETE' as const, target: { path: this.#client.path(name, {}) } };
      await (await this.#client.request(call, request, [200, 204], refused)).dispose();
    } catch (error) {
      if (!isMissing) throw error;
    }
  }

  /** The connections are the client's. */
  async close(): Promise<void> {}

  async #put(
    name: string,
    content: Uint8Array,
    {
      call,
      condition,
      refused,
    }: {
      readonly call: { readonly operation: 'write'; readonly name: string; readonly signal: AbortSignal | undefined };
      readonly condition: Readonly<Record<string, string | undefined>>;
      readonly refused: (refusal: GcsRefusal) => StorageError | undefined;
    },
  ): Promise<void> {
    const md5Hash = createHash('md5').update(content).digest('base64');
    const boundary = `varve-${createHash('sha256').update(content).digest('hex').slice(0, 32)}`;
    const object = JSON.stringify({ name: this.#options.prefix + name, md5Hash });
    const head = `--${boundary}\r\ncontent-type: application/json; charset=UTF-8\r\n\r\n${object}\r\n--${boundary}\r\ncontent-type: application/octet-stream\r\n\r\n`;
    const body = [Buffer.from(head), content, Buffer.from(`\r\n--${boundary}--`)];
    const headers = { 'content-type': `multipart/related; boundary=${boundary}` };
    const path = this.#client.path(undefined, { uploadType: 'multipart', ...condition }, UPLOAD);
    const response = await this.#client.request(call, { method: 'POST', target: { path }, headers, body }, [200, 201], refused);
    await response.dispose();
  }

  async *#get(operation: StorageOperation, name: string, options: ReadOptions): AsyncGenerator<Uint8Array> {
    checkName(name);
    const { offset = 0, length = Number.POSITIVE_INFINITY, signal } = options;
    if (length === 0) {
      await this.#sizeOf(operation, name, signal);
      return;
    }
    const call = { operation, name, signal };
    const last = length === Number.POSITIVE_INFINITY ? '' : String(offset + length - 1);
    const headers: Record<string, string> = offset > 0 || last !== '' ? { range: `bytes=${offset}-${last}` } : {};
    const target = { path: this.#client.path(name, { alt: 'media' }) };
    const response = await this.#client.request(call, { method: 'GET', target, headers }, [200, 206, 416], this.#missing(operation, name));
    if (response.status === 416) return await response.dispose();
    if (headers.range !== undefined && response.status !== 206) {
      await response.dispose();
      throw this.#client.error(call, 'the service sends whole files though asked for a range');
    }
    const announced = Number(response.header('content-length') ?? Number.NaN);
    let receivedBytes = 0;
    try {
      for await (const piece of response.pieces()) {
        receivedBytes += piece.length;
        yield piece;
      }
    } catch (error) {
      throw this.#client.failure(call, error);
    }
    signal?.throwIfAborted();
    if (receivedBytes < announced) {
      throw this.#client.error(call, `the connection ended after ${receivedBytes} of ${announced} bytes`, { isRetryable: true });
    }
  }

  async #sizeOf(operation: StorageOperation, name: string, signal: AbortSignal | undefined): Promise<number> {
    checkName(name);
    const call = { operation, name, signal };
    const request = { method: 'GET' as const, target: { path: this.#client.path(name, { fields: 'size' }) } };
    const response = await this.#client.request(call, request, [200], this.#missing(operation, name));
    return Number((await this.#client.json<{ size?: string }>(call, response)).size ?? 0);
  }

  #missing(operation: StorageOperation, name: string) {
    return (refusal: GcsRefusal) =>
      refusal.status === 404 && !isMissingBucket(refusal) ? missingFile(this.uri, operation, name) : undefined;
  }
}
