/**
 * azure-blob://container/prefix (and azure://, azure-storage://, older names of it): Azure Blob Storage over the
 * official SDK, as block blobs.
 *
 *   O1  files are written, read and listed; nothing is overwritten but by a write of the same name, so containers with
 *       a policy of immutability or without permission to delete work
 *   O2  a file up to one part goes out in one call; a larger one as blocks that are staged and then committed
 *       (azureUpload.ts): both become visible whole
 *   O3  `ifAbsent` is If-None-Match, in the call that makes the file visible
 *   O4  of two writers that stage blocks under one name at the same time, the first to commit throws the other's
 *       blocks away; the other fails, without a trace
 */
import { StatementError } from '../../base/errors.ts';
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
import { viewOf, writeInParts } from '../parts.ts';
import type { RetryContext } from '../retry.ts';
import type { ParsedUri } from '../uri.ts';
import { AzureCalls, type AzureEnvironment, type AzureRefusal } from './azureClient.ts';
import { type AzureOptions, azureOptions } from './azureOptions.ts';
import { uploadBlocks } from './azureUpload.ts';

export interface AzureContext extends AzureEnvironment {
  /** For the blocks of an upload, whose source cannot be read twice. */
  readonly retry: RetryContext;
  /** cloudstorage.azure.concurrent_upload_buffers. */
  readonly uploadBuffers?: () => number;
  /** Of the first blocks; for tests. */
  readonly partBytes?: number;
}

export const AZURE_SCHEMES = ['azure-blob', 'azure', 'azure-storage'] as const;

const CAPABILITIES: StorageCapabilities = Object.freeze({ list: true, delete: true, conditionalCreate: true });

/** Throws 22023 for a URI that cannot be. Touches no network. */
export function openAzure(uri: ParsedUri, context: AzureContext): ExternalStorage {
  const options = azureOptions(uri);
  checkBasePath(uri.path, uri);
  checkKept(uri.path);
  return new AzureStorage(uri, options, context);
}

class AzureStorage implements ExternalStorage {
  readonly uri: ParsedUri;
  readonly capabilities = CAPABILITIES;
  readonly #options: AzureOptions;
  readonly #context: AzureContext;
  readonly #calls: AzureCalls;

  constructor(uri: ParsedUri, options: AzureOptions, context: AzureContext) {
    this.uri = uri;
    this.#options = options;
    this.#context = context;
    this.#calls = new AzureCalls(uri, options, context);
  }

  async write(name: string, source: WriteSource, options: WriteOptions = {}): Promise<WriteResult> {
    checkName(name);
    checkKept(name);
    const call = { operation: 'write' as const, name, signal: options.signal };
    const conditions = options.ifAbsent ? { ifNoneMatch: '*' } : {};
    const refused = (refusal: AzureRefusal) => (options.ifAbsent && isTaken(refusal) ? fileExists(this.uri, name) : undefined);
    return await writeInParts(
      source,
      options.signal,
      async (content) => {
        await this.#calls.call(
          call,
          (container, abortSignal) =>
            container.getBlockBlobClient(this.#key(name)).upload(viewOf(content), content.length, { abortSignal, conditions }),
          refused,
        );
      },
      (parts) => {
        const target = { calls: this.#calls, call, key: this.#key(name), buffers: this.#context.uploadBuffers?.() ?? 1 };
        return uploadBlocks(target, this.#context.retry, conditions, parts, refused);
      },
      this.#context.partBytes,
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
    const { prefix: base } = this.#options;
    const found: string[] = [];
    let marker: string | undefined;
    do {
      const page = await this.#calls.call({ operation: 'list', name: prefix, signal: options?.signal }, async (container, abortSignal) => {
        const asked = { prefix: base + prefix, abortSignal };
        const pages = options?.delimiter ? container.listBlobsByHierarchy(options.delimiter, asked) : container.listBlobsFlat(asked);
        const next = await pages.byPage({ ...(marker !== undefined && { continuationToken: marker }) }).next();
        return next.value;
      });
      const folders = page !== undefined && 'blobPrefixes' in page.segment ? (page.segment.blobPrefixes ?? []) : [];
      for (const { name } of [...(page?.segment.blobItems ?? []), ...folders]) found.push(name.slice(base.length));
      marker = page?.continuationToken || undefined;
    } while (marker !== undefined);
    return objectListing(found, prefix, options);
  }

  async delete(name: string): Promise<void> {
    checkName(name);
    await this.#calls.call({ operation: 'delete', name }, (container, abortSignal) =>
      container.getBlobClient(this.#key(name)).deleteIfExists({ abortSignal }),
    );
  }

  close(): Promise<void> {
    return this.#calls.close();
  }

  async *#get(operation: StorageOperation, name: string, options: ReadOptions): AsyncGenerator<Uint8Array> {
    checkName(name);
    const { offset = 0, length, signal } = options;
    if (length === 0) {
      await this.#head(operation, name, signal);
      return;
    }
    yield* this.#calls.stream(
      { operation, name, signal },
      async (container, abortSignal) => {
        const blob = container.getBlobClient(this.#key(name));
        const answer = await blob.download(offset, length, { abortSignal, maxRetryRequests: 0 }).catch((error: { statusCode?: number }) => {
          if (error.statusCode === 416) return undefined;
          throw error;
        });
        const pieces = answer?.readableStreamBody as AsyncIterable<Uint8Array> | undefined;
        return pieces && { pieces, bytes: answer?.contentLength };
      },
      this.#missing(operation, name),
    );
  }

  async #head(operation: StorageOperation, name: string, signal: AbortSignal | undefined): Promise<number> {
    checkName(name);
    const answer = await this.#calls.call(
      { operation, name, signal },
      (container, abortSignal) => container.getBlobClient(this.#key(name)).getProperties({ abortSignal }),
      this.#missing(operation, name),
    );
    return answer.contentLength ?? 0;
  }

  #key(name: string): string {
    return this.#options.prefix + name;
  }

  #missing(operation: StorageOperation, name: string) {
    return ({ status, code }: AzureRefusal) =>
      status === 404 && code !== 'ContainerNotFound' ? missingFile(this.uri, operation, name) : undefined;
  }
}

/** 22023 for a name that Azure would keep under another one, or could not list. */
function checkKept(name: string): void {
  if (!/\\|\.(?:\/|$)|[\ufffe\uffff]/.test(name)) return;
  throw new StatementError(SqlState.InvalidParameterValue, `Azure cannot keep the name "${name}"`, {
    detail: 'it makes slashes of backslashes, and drops dots at the end of a folder or file',
  });
}

function isTaken({ status, code }: AzureRefusal): boolean {
  return status === 412 || code === 'BlobAlreadyExists';
}
