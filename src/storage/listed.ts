/**
 * Listed: gives listings to a storage that has none, such as a plain HTTP server. Beside the files of each folder
 * lies one that names them and the folders below:
 *
 *   .listing                   ["2026/", "metadata/"]
 *   2026/11/.listing           ["20-120000.00/"]
 *
 *   L1  a file is stored before it is named, and removed before its name: a listing never names what was not
 *       there. What a writer that died in between has stored is there, but not listed
 *   L2  names are entered from the root down, each folder under a lock of this process, and read back
 *   L3  a folder that has become empty goes from the listing above it
 *
 * Two processes that write to one folder at the same moment can lose each other's name: L2 reads back and
 * writes again, which leaves a moment, not none. One process at a time is what a collection on such a storage is for.
 * A listing knows what was written through the same base URI, or one above it.
 */
import { CorruptionError, isVarveError, StatementError, StorageError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';

import type {
  ExternalStorage,
  ListOptions,
  ReadOptions,
  StorageCapabilities,
  WriteOptions,
  WriteResult,
  WriteSource,
} from './externalStorage.ts';
import { placeOf } from './external/namedStorage.ts';
import { compareNames } from './names.ts';

const LISTING = '.listing';
/** Another process may have written between this one's read and write. */
const ATTEMPTS_MAX = 5;

/** Takes turns at listings, among all openings of a process. */
export class ListingLocks {
  readonly #tails = new Map<string, Promise<unknown>>();

  async run<T>(key: string, change: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key) ?? Promise.resolve();
    const own = before.then(change, change);
    const tail = own.catch(() => undefined);
    this.#tails.set(key, tail);
    try {
      return await own;
    } finally {
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    }
  }
}

/** The storage itself when it can list. */
export function withListings(inner: ExternalStorage, locks: ListingLocks): ExternalStorage {
  return inner.capabilities.list ? inner : new ListedStorage(inner, locks);
}

class ListedStorage implements ExternalStorage {
  readonly uri: ExternalStorage['uri'];
  readonly capabilities: StorageCapabilities;
  readonly #inner: ExternalStorage;
  readonly #locks: ListingLocks;

  constructor(inner: ExternalStorage, locks: ListingLocks) {
    this.uri = inner.uri;
    this.capabilities = { ...inner.capabilities, list: true };
    this.#inner = inner;
    this.#locks = locks;
  }

  async write(name: string, source: WriteSource, options: WriteOptions = {}): Promise<WriteResult> {
    if (name === LISTING || name.endsWith(`/${LISTING}`)) {
      throw new StatementError(SqlState.InvalidParameterValue, `file name "${name}" is that of a listing`);
    }
    const result = await this.#inner.write(name, source, options);
    const segments = name.split('/');
    for (let depth = 0; depth < segments.length; depth++) {
      const child = depth + 1 < segments.length ? `${segments[depth]}/` : (segments[depth] as string);
      await this.#enter(segments.slice(0, depth).join('/'), child, options.signal);
    }
    return result;
  }

  read(name: string, options?: ReadOptions): Promise<Uint8Array> {
    return this.#inner.read(name, options);
  }

  readStream(name: string, options?: ReadOptions): AsyncIterable<Uint8Array> {
    return this.#inner.readStream(name, options);
  }

  size(name: string): Promise<number> {
    return this.#inner.size(name);
  }

  async list(prefix: string, options: ListOptions = {}): Promise<string[]> {
    const slash = prefix.lastIndexOf('/');
    const folder = slash === -1 ? '' : prefix.slice(0, slash);
    const found: string[] = [];
    await this.#collect(folder, prefix.slice(slash + 1), options, found);
    return found.sort(compareNames);
  }

  async delete(name: string): Promise<void> {
    await this.#inner.delete(name);
    const segments = name.split('/');
    for (let depth = segments.length - 1; depth >= 0; depth--) {
      const child = depth + 1 < segments.length ? `${segments[depth]}/` : (segments[depth] as string);
      if (!(await this.#remove(segments.slice(0, depth).join('/'), child))) return;
    }
  }

  async close(): Promise<void> {
    await this.#inner.close();
  }

  async #collect(folder: string, start: string, options: ListOptions, found: string[]): Promise<void> {
    const prefix = folder === '' ? '' : `${folder}/`;
    for (const child of await this.#read(folder, options.signal)) {
      if (!child.startsWith(start)) continue;
      if (child.endsWith('/') && options.delimiter === undefined) await this.#collect(prefix + child.slice(0, -1), '', options, found);
      else found.push(prefix + child);
    }
  }

  async #enter(folder: string, child: string, signal: AbortSignal | undefined): Promise<void> {
    await this.#change(folder, async () => {
      for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        const children = await this.#read(folder, signal);
        if (children.includes(child)) return;
        await this.#store(folder, [...children, child], signal);
      }
      throw new StorageError(SqlState.IoError, `the listing "${listingOf(folder)}" in "${this.uri}" does not keep what is written to it`, {
        operation: 'write',
        redactedUri: String(this.uri),
        detail: `"${child}" is missing from it after ${ATTEMPTS_MAX} writes`,
        hint: 'the storage must give back what was last stored, and one process at a time may write to a collection there',
      });
    });
  }

  /** True when the folder is empty afterwards. */
  async #remove(folder: string, child: string): Promise<boolean> {
    return await this.#change(folder, async () => {
      const children = await this.#read(folder, undefined);
      const rest = children.filter((one) => one !== child);
      if (rest.length > 0 && rest.length < children.length) await this.#store(folder, rest, undefined);
      if (rest.length === 0 && children.length > 0) await this.#inner.delete(listingOf(folder));
      return rest.length === 0;
    });
  }

  async #store(folder: string, children: readonly string[], signal: AbortSignal | undefined): Promise<void> {
    await this.#inner.write(listingOf(folder), Buffer.from(`${JSON.stringify([...children].sort(compareNames))}\n`), { signal });
  }

  /** None where there is no listing. */
  async #read(folder: string, signal: AbortSignal | undefined): Promise<string[]> {
    let content: Uint8Array;
    try {
      content = await this.#inner.read(listingOf(folder), { signal });
    } catch (error) {
      if (isVarveError(error) && error.code === SqlState.UndefinedFile) return [];
      throw error;
    }
    try {
      const children: unknown = JSON.parse(Buffer.from(content).toString('utf8'));
      if (Array.isArray(children) && children.every((child) => typeof child === 'string')) return children as string[];
    } catch {
      // Said below.
    }
    throw new CorruptionError(SqlState.DataCorrupted, `the listing "${listingOf(folder)}" in "${this.uri}" is damaged`, {
      detail: 'expected a JSON list of names',
      file: listingOf(folder),
    });
  }

  /** By the folder itself, whatever base it is reached from. */
  async #change<T>(folder: string, change: () => Promise<T>): Promise<T> {
    const { scheme, host, path } = placeOf(this.#inner);
    return await this.#locks.run(`${scheme}://${host}/${path}/${folder}`, change);
  }
}

function listingOf(folder: string): string {
  return folder === '' ? LISTING : `${folder}/${LISTING}`;
}
