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
import { checkBasePath, checkName, fileExists, lentChunksOf, listing, missingFile, SURROGATE } from './names.ts';
import type { ParsedUri } from './uri.ts';

/** Contents by whole path. The paths are kept in order too: a listing costs what it finds, not what there is. */
export class MemoryBucket {
  readonly #contents = new Map<string, Uint8Array>();
  readonly #paths: string[] = [];

  get(path: string): Uint8Array | undefined {
    return this.#contents.get(path);
  }

  has(path: string): boolean {
    return this.#contents.has(path);
  }

  set(path: string, content: Uint8Array): void {
    if (!this.#contents.has(path)) this.#paths.splice(this.#place(path), 0, path);
    this.#contents.set(path, content);
  }

  delete(path: string): void {
    if (this.#contents.delete(path)) this.#paths.splice(this.#place(path), 1);
  }

  /**
   * In the order of JavaScript's strings, in which those with one prefix stand together. `isFolded`: what has a slash
   * behind the prefix only up to there, once, without a look at what is below.
   */
  withPrefix(prefix: string, isFolded = false): string[] {
    const found: string[] = [];
    for (let i = this.#place(prefix); i < this.#paths.length; ) {
      const path = this.#paths[i] as string;
      if (!path.startsWith(prefix)) break;
      const slash = isFolded ? path.indexOf('/', prefix.length) : -1;
      found.push(slash === -1 ? path : path.slice(0, slash + 1));
      // The next character after the slash ends the folder.
      i = slash === -1 ? i + 1 : this.#place(`${path.slice(0, slash)}0`, i + 1);
    }
    return found;
  }

  /** The index of the first path that is not less, at `from` or behind it. */
  #place(path: string, from = 0): number {
    let low = from;
    let high = this.#paths.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#paths[middle] as string) < path) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** The buckets of one database, by name. */
export class MemoryFiles {
  readonly #buckets = new Map<string, MemoryBucket>();

  bucket(name: string): MemoryBucket {
    const existing = this.#buckets.get(name);
    if (existing) return existing;
    const bucket = new MemoryBucket();
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
  readonly #files: MemoryBucket;
  /** '' or the base path with a trailing slash. */
  readonly #base: string;

  constructor(uri: ParsedUri, files: MemoryBucket) {
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
    const paths = this.#files.withPrefix(this.#base + prefix, options?.delimiter !== undefined);
    const names = this.#base === '' ? paths : paths.map((path) => path.slice(this.#base.length));
    // Folded and in order already, unless the order of UTF-8 is another.
    return names.some((name) => SURROGATE.test(name)) ? listing(names, prefix, options) : names;
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
