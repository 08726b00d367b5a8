/**
 * mem://bucket/path: files in a map, for tests, lessons and forks. They last as long as the database
 * object that owns the MemoryFiles; every node of its cluster sees the same ones.
 *
 * A stored file is one Uint8Array that nobody changes: writers copy in, readers get copies.
 */
import { createHash } from 'node:crypto';

import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';

import type { ExternalStorage, ListOptions, ReadOptions, WriteOptions, WriteResult, WriteSource } from './externalStorage.ts';
import { checkBasePath, checkName, fileExists, lentChunksOf, listing, missingFile } from './names.ts';
import type { ParsedUri } from './uri.ts';

/** The buckets of one database: bucket name -> whole path -> content. */
export class MemoryFiles {
  readonly #buckets = new Map<string, Map<string, Uint8Array>>();

  bucket(name: string): Map<string, Uint8Array> {
    const existing = this.#buckets.get(name);
    if (existing) return existing;
    const bucket = new Map<string, Uint8Array>();
    this.#buckets.set(name, bucket);
    return bucket;
  }
}

const READ_PIECE_BYTES = 1 << 20;

/** Throws 22023 when the bucket is missing or the path is not normalised. */
export function openMemory(uri: ParsedUri, files: MemoryFiles): ExternalStorage {
  uri.refuseOtherParameters([]);
  if (uri.host === '') {
    throw new StatementError(SqlState.InvalidParameterValue, `no bucket in "${uri}"`, { hint: "write 'mem://bucket/path'" });
  }
  checkBasePath(uri.path, uri);
  return new MemoryStorage(uri, files.bucket(uri.host));
}

class MemoryStorage implements ExternalStorage {
  readonly uri: ParsedUri;
  readonly capabilities = Object.freeze({ list: true, delete: true, conditionalCreate: true });
  readonly #files: Map<string, Uint8Array>;
  /** '' or the base path with a trailing slash. */
  readonly #base: string;

  constructor(uri: ParsedUri, files: Map<string, Uint8Array>) {
    this.uri = uri;
    this.#files = files;
    this.#base = uri.path === '' ? '' : `${uri.path}/`;
  }

  async write(name: string, source: WriteSource, options: WriteOptions = {}): Promise<WriteResult> {
    checkName(name);
    const key = this.#base + name;
    if (options.ifAbsent && this.#files.has(key)) throw fileExists(this.uri, name);
    const chunks: Uint8Array[] = [];
    for await (const chunk of lentChunksOf(source, options.signal)) chunks.push(Uint8Array.from(chunk));
    const joined = Buffer.concat(chunks);
    // A plain view: Buffer's own slice() would hand out the stored bytes themselves.
    const content = new Uint8Array(joined.buffer, joined.byteOffset, joined.length);
    if (options.ifAbsent && this.#files.has(key)) throw fileExists(this.uri, name);
    this.#files.set(key, content);
    return { sizeBytes: content.length, sha256: createHash('sha256').update(content).digest('hex') };
  }

  async read(name: string, options: ReadOptions = {}): Promise<Uint8Array> {
    const content = this.#content(name, 'read');
    options.signal?.throwIfAborted();
    const offset = options.offset ?? 0;
    return content.slice(offset, offset + (options.length ?? content.length));
  }

  async *readStream(name: string, options: ReadOptions = {}): AsyncIterable<Uint8Array> {
    const content = this.#content(name, 'readStream');
    const offset = options.offset ?? 0;
    const end = Math.min(content.length, offset + (options.length ?? content.length));
    for (let at = offset; at < end; at += READ_PIECE_BYTES) {
      options.signal?.throwIfAborted();
      yield content.slice(at, Math.min(end, at + READ_PIECE_BYTES));
    }
  }

  async size(name: string): Promise<number> {
    return this.#content(name, 'size').length;
  }

  async list(prefix: string, options?: ListOptions): Promise<string[]> {
    options?.signal?.throwIfAborted();
    const names: string[] = [];
    for (const key of this.#files.keys()) if (key.startsWith(this.#base)) names.push(key.slice(this.#base.length));
    return listing(names, prefix, options);
  }

  async delete(name: string): Promise<void> {
    checkName(name);
    this.#files.delete(this.#base + name);
  }

  async close(): Promise<void> {}

  #content(name: string, operation: 'read' | 'readStream' | 'size'): Uint8Array {
    checkName(name);
    const content = this.#files.get(this.#base + name);
    if (!content) throw missingFile(this.uri, operation, name);
    return content;
  }
}
