/**
 * CloudMetrics: what external storage of every kind counts: bytes, readers, writers and listings by one
 * wrapper around each adapter, connections by the clients that open them.
 *
 * The wrapper lies inside the retry, so a call that is made again counts again. Bytes count when they
 * have arrived: those of a write when the storage has the file, those of a read piece by piece.
 */
import type { Counter, MetricRegistry } from '../base/metrics.ts';
import type {
  ExternalStorage,
  ListOptions,
  ReadOptions,
  StorageCapabilities,
  WriteOptions,
  WriteResult,
  WriteSource,
} from './externalStorage.ts';
import type { ParsedUri } from './uri.ts';

export class CloudMetrics {
  readonly readBytes: Counter;
  readonly writeBytes: Counter;
  readonly readersOpened: Counter;
  readonly writersOpened: Counter;
  readonly listings: Counter;
  readonly listingResults: Counter;
  openReaders = 0;
  openWriters = 0;

  constructor(registry: MetricRegistry) {
    const counter = (name: string, help: string): Counter => registry.counter({ name: `cloud.${name}`, help });
    this.readBytes = counter('read_bytes', 'Bytes read from external storage');
    this.writeBytes = counter('write_bytes', 'Bytes of the files written to external storage');
    this.readersOpened = counter('readers_opened', 'Reads of files in external storage');
    this.writersOpened = counter('writers_opened', 'Writes of files to external storage');
    this.listings = counter('listings', 'Listings of external storage');
    this.listingResults = counter('listing_results', 'Names that listings of external storage gave');
    registry.gauge({ name: 'cloud.open_readers', help: 'Reads of external storage under way' }, () => this.openReaders);
    registry.gauge({ name: 'cloud.open_writers', help: 'Writes to external storage under way' }, () => this.openWriters);
  }
}

/** The same storage; what it does is counted. */
export function metered(inner: ExternalStorage, metrics: CloudMetrics): ExternalStorage {
  return new MeteredStorage(inner, metrics);
}

class MeteredStorage implements ExternalStorage {
  readonly uri: ParsedUri;
  readonly capabilities: StorageCapabilities;
  readonly #inner: ExternalStorage;
  readonly #metrics: CloudMetrics;

  constructor(inner: ExternalStorage, metrics: CloudMetrics) {
    this.uri = inner.uri;
    this.capabilities = inner.capabilities;
    this.#inner = inner;
    this.#metrics = metrics;
  }

  async write(name: string, source: WriteSource, options?: WriteOptions): Promise<WriteResult> {
    const metrics = this.#metrics;
    metrics.writersOpened.add();
    metrics.openWriters++;
    try {
      const result = await this.#inner.write(name, source, options);
      metrics.writeBytes.add(result.sizeBytes);
      return result;
    } finally {
      metrics.openWriters--;
    }
  }

  async read(name: string, options?: ReadOptions): Promise<Uint8Array> {
    const metrics = this.#metrics;
    metrics.readersOpened.add();
    metrics.openReaders++;
    try {
      const bytes = await this.#inner.read(name, options);
      metrics.readBytes.add(bytes.length);
      return bytes;
    } finally {
      metrics.openReaders--;
    }
  }

  async *readStream(name: string, options?: ReadOptions): AsyncIterable<Uint8Array> {
    const metrics = this.#metrics;
    metrics.readersOpened.add();
    metrics.openReaders++;
    try {
      for await (const piece of this.#inner.readStream(name, options)) {
        metrics.readBytes.add(piece.length);
        yield piece;
      }
    } finally {
      metrics.openReaders--;
    }
  }

  size(name: string): Promise<number> {
    return this.#inner.size(name);
  }

  async list(prefix: string, options?: ListOptions): Promise<string[]> {
    this.#metrics.listings.add();
    const names = await this.#inner.list(prefix, options);
    this.#metrics.listingResults.add(names.length);
    return names;
  }

  delete(name: string): Promise<void> {
    return this.#inner.delete(name);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}
