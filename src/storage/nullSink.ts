/**
 * null:///path: what is written is counted and thrown away, and nothing is ever there. With EXPORT it shows how fast
 * everything but the storage is; a BACKUP reads back what it has written, and fails here.
 */
import { createHash } from 'node:crypto';

import type { ExternalStorage, ListOptions, ReadOptions, WriteOptions, WriteResult, WriteSource } from './externalStorage.ts';
import { checkBasePath, checkName, lentChunksOf, missingFile } from './names.ts';
import type { ParsedUri } from './uri.ts';

/** Throws 22023 for parameters, and for a path that is not normalised. */
export function openNullSink(uri: ParsedUri): ExternalStorage {
  uri.refuseOtherParameters([]);
  checkBasePath(uri.path, uri);
  return new NullSink(uri);
}

class NullSink implements ExternalStorage {
  readonly uri: ParsedUri;
  readonly capabilities = Object.freeze({ list: true, delete: true, conditionalCreate: true });

  constructor(uri: ParsedUri) {
    this.uri = uri;
  }

  async write(name: string, source: WriteSource, options: WriteOptions = {}): Promise<WriteResult> {
    checkName(name);
    const hash = createHash('sha256');
    let sizeBytes = 0;
    for await (const chunk of lentChunksOf(source, options.signal)) {
      hash.update(chunk);
      sizeBytes += chunk.length;
    }
    return { sizeBytes, sha256: hash.digest('hex') };
  }

  async read(name: string, _options?: ReadOptions): Promise<Uint8Array> {
    throw missingFile(this.uri, 'read', name);
  }

  // biome-ignore lint/correctness/useYield: there is nothing to yield
  async *readStream(name: string, _options?: ReadOptions): AsyncGenerator<Uint8Array> {
    throw missingFile(this.uri, 'readStream', name);
  }

  async size(name: string): Promise<number> {
    throw missingFile(this.uri, 'size', name);
  }

  async list(_prefix: string, options?: ListOptions): Promise<string[]> {
    options?.signal?.throwIfAborted();
    return [];
  }

  async delete(name: string): Promise<void> {
    checkName(name);
  }

  async close(): Promise<void> {}
}
