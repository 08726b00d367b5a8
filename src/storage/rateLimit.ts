/**
 * Rate limits: cloudstorage.<provider>.<read|write>.node_rate_limit and node_burst_limit, for every kind of storage by
 * one wrapper around each adapter.
 *
 * One bucket of tokens a node, provider and direction: a token is a byte, they come at the rate and gather up to the
 * burst, which is a second's worth unless it is set. Who takes more than there is goes into debt and waits until it is
 * paid, so a piece of any size passes and the rate holds over time. Whole files wait before they are written, pieces of
 * streams as they go; what is read waits after it has come, for its size is not known before.
 *
 * Without a rate nothing is wrapped in anything; a setting that changes holds from the next call on.
 */
import { type Clock, sleep } from '../base/clock.ts';

import type {
  ExternalStorage,
  ListOptions,
  ReadOptions,
  StorageCapabilities,
  WriteOptions,
  WriteResult,
  WriteSource,
} from './externalStorage.ts';
import { isReplayable } from './names.ts';
import type { ParsedUri } from './uri.ts';

type Direction = 'read' | 'write';

/** Providers as settings name them, by scheme. */
const PROVIDERS: ReadonlyMap<string, string> = new Map([
  ['s3', 's3'],
  ['gs', 'gs'],
  ['azure', 'azure'],
  ['azure-blob', 'azure'],
  ['azure-storage', 'azure'],
  ['http', 'http'],
  ['https', 'http'],
  ['file-http', 'http'],
  ['file-https', 'http'],
  ['nodelocal', 'nodelocal'],
  ['userfile', 'userfile'],
  ['null', 'nullsink'],
]);

/** The buckets of one database. */
export class RateLimits {
  readonly #clock: Clock;
  readonly #setting: (name: string) => number;
  readonly #buckets = new Map<string, TokenBucket>();

  /** `setting`: the bytes of a setting; 0 is without limit. */
  constructor(clock: Clock, setting: (name: string) => number) {
    this.#clock = clock;
    this.#setting = setting;
  }

  /** The same storage at the pace of the settings; unwrapped when there are none for its scheme. */
  wrap(inner: ExternalStorage, nodeId: number): ExternalStorage {
    const provider = PROVIDERS.get(inner.uri.scheme);
    return provider === undefined ? inner : new LimitedStorage(inner, (direction) => this.#pace(provider, direction, nodeId));
  }

  #pace(provider: string, direction: Direction, nodeId: number): Pace | undefined {
    const name = `cloudstorage.${provider}.${direction}`;
    const rate = this.#setting(`${name}.node_rate_limit`);
    if (rate <= 0) return undefined;
    const burst = this.#setting(`${name}.node_burst_limit`) || rate;
    const key = `${name} ${nodeId}`;
    const bucket = this.#buckets.get(key) ?? new TokenBucket(this.#clock, burst);
    this.#buckets.set(key, bucket);
    return (bytes, signal) => bucket.take(bytes, { rate, burst }, signal);
  }
}

/** Resolves when so many bytes may pass. Rejects with the signal's reason. */
type Pace = (bytes: number, signal: AbortSignal | undefined) => Promise<void>;

class TokenBucket {
  readonly #clock: Clock;
  /** Below zero: debt. */
  #tokens: number;
  #atMicros: number;

  constructor(clock: Clock, tokens: number) {
    this.#clock = clock;
    this.#tokens = tokens;
    this.#atMicros = clock.nowMicros();
  }

  async take(bytes: number, { rate, burst }: { rate: number; burst: number }, signal: AbortSignal | undefined): Promise<void> {
    const now = this.#clock.nowMicros();
    const earned = (Math.max(0, now - this.#atMicros) / 1e6) * rate;
    this.#tokens = Math.min(burst, this.#tokens + earned) - bytes;
    this.#atMicros = now;
    if (this.#tokens < 0) await sleep(this.#clock, Math.ceil((-this.#tokens / rate) * 1e6), signal, { holdsProcess: true });
  }
}

class LimitedStorage implements ExternalStorage {
  readonly uri: ParsedUri;
  readonly capabilities: StorageCapabilities;
  readonly #inner: ExternalStorage;
  readonly #pace: (direction: Direction) => Pace | undefined;

  constructor(inner: ExternalStorage, pace: (direction: Direction) => Pace | undefined) {
    this.uri = inner.uri;
    this.capabilities = inner.capabilities;
    this.#inner = inner;
    this.#pace = pace;
  }

  async write(name: string, source: WriteSource, options: WriteOptions = {}): Promise<WriteResult> {
    const pace = this.#pace('write');
    const { signal } = options;
    if (pace === undefined) return await this.#inner.write(name, source, options);
    if (!isReplayable(source)) return await this.#inner.write(name, paced(source, pace, signal), options);
    const bytes = source instanceof Uint8Array ? source.length : source.reduce((sum, chunk) => sum + chunk.length, 0);
    await pace(bytes, signal);
    return await this.#inner.write(name, source, options);
  }

  async read(name: string, options: ReadOptions = {}): Promise<Uint8Array> {
    const content = await this.#inner.read(name, options);
    await this.#pace('read')?.(content.length, options.signal);
    return content;
  }

  readStream(name: string, options: ReadOptions = {}): AsyncIterable<Uint8Array> {
    const pace = this.#pace('read');
    const pieces = this.#inner.readStream(name, options);
    return pace === undefined ? pieces : paced(pieces, pace, options.signal);
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

async function* paced(pieces: AsyncIterable<Uint8Array>, pace: Pace, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) {
    await pace(piece.length, signal);
    yield piece;
  }
}
