/**
 * Named storage: a storage that was opened by a connection's name, and goes by it. Everything else is the storage's own.
 */
import type {
  ExternalStorage,
  ListOptions,
  ReadOptions,
  StorageCapabilities,
  WriteOptions,
  WriteResult,
  WriteSource,
} from '../externalStorage.ts';
import type { ParsedUri } from '../uri.ts';

/** The storage under the name that it was asked for by. */
export function underName(inner: ExternalStorage, name: ParsedUri): ExternalStorage {
  return new NamedStorage(inner, name);
}

/** Where the files are, whatever name the storage goes by: equal for equal places. */
export function placeOf(storage: ExternalStorage): ParsedUri {
  return storage instanceof NamedStorage ? storage.place : storage.uri;
}

class NamedStorage implements ExternalStorage {
  readonly uri: ParsedUri;
  readonly capabilities: StorageCapabilities;
  readonly #inner: ExternalStorage;

  constructor(inner: ExternalStorage, name: ParsedUri) {
    this.uri = name;
    this.capabilities = inner.capabilities;
    this.#inner = inner;
  }

  get place(): ParsedUri {
    return this.#inner.uri;
  }

  write(name: string, source: WriteSource, options?: WriteOptions): Promise<WriteResult> {
    return this.#inner.write(name, source, options);
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

  list(prefix: string, options?: ListOptions): Promise<string[]> {
    return this.#inner.list(prefix, options);
  }

  delete(name: string): Promise<void> {
    return this.#inner.delete(name);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}
