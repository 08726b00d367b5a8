/**
 * Provider calls: one location's calls of a provider's SDK, which is loaded, and signs in, at the first of them. Each
 * call is under a limit of silence on the injected clock, ends when its signal aborts, and has its errors read.
 * SDKs do not retry by themselves: retry.ts repeats, on its own clock.
 */
import type { Clock } from '../base/clock.ts';
import { StorageError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';

import type { ConnectionCounts } from './connectionCounts.ts';
import type { StorageOperation } from './externalStorage.ts';
import { HttpSilence } from './http/httpClient.ts';
import { Patience } from './patience.ts';
import type { ParsedUri } from './uri.ts';

/** Longest time without an answer, or without the next piece of one; a part of an upload goes out whole in it. */
const SILENCE_MICROS_MAX = 120_000_000;

export interface ProviderEnvironment {
  readonly clock: Clock;
  /** PEM text of certificate authorities beside the system's; '' for none. */
  readonly customCa?: () => string;
  /** cloudstorage.timeout. */
  readonly timeoutMicros?: () => number;
  readonly connections?: ConnectionCounts | undefined;
}

export interface CallOptions {
  readonly operation: StorageOperation;
  /** The file, or the prefix of a listing. */
  readonly name: string;
  readonly signal?: AbortSignal | undefined;
}

/** What a service sends of a file. */
export interface Body {
  readonly pieces: AsyncIterable<Uint8Array>;
  /** As the service announced it; undefined when it did not. */
  readonly bytes: number | undefined;
}

export abstract class ProviderCalls<Opened, Refusal> {
  protected readonly uri: ParsedUri;
  protected readonly environment: ProviderEnvironment;
  #opened: Promise<Opened> | undefined;

  constructor(uri: ParsedUri, environment: ProviderEnvironment) {
    this.uri = uri;
    this.environment = environment;
  }

  /** Loads the SDK and makes its client. */
  protected abstract open(): Promise<Opened>;
  protected abstract shut(opened: Opened): void;
  /** What to throw for an error of the SDK. `handle` knows what some refusals mean here. */
  protected abstract errorOf(options: CallOptions, error: unknown, handle: (refusal: Refusal) => StorageError | undefined): unknown;

  /**
   * Makes one call. What `handle` returns undefined for is thrown as a StorageError that says what failed and how it
   * goes on.
   */
  async call<T>(
    options: CallOptions,
    call: (opened: Opened, abortSignal: AbortSignal) => Promise<T>,
    handle: (refusal: Refusal) => StorageError | undefined = () => undefined,
  ): Promise<T> {
    const { signal } = options;
    signal?.throwIfAborted();
    this.#opened ??= this.#open();
    const opened = await this.#opened;
    const limitMicros = Math.min(SILENCE_MICROS_MAX, this.environment.timeoutMicros?.() ?? SILENCE_MICROS_MAX);
    const ending = new AbortController();
    const onAbort = () => ending.abort(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    const patience = new Patience(this.environment.clock, limitMicros, () => ending.abort(new HttpSilence(limitMicros)));
    try {
      patience.enter();
      return await call(opened, ending.signal);
    } catch (error) {
      signal?.throwIfAborted();
      const thrown = ending.signal.aborted ? ending.signal.reason : error;
      throw thrown instanceof StorageError ? thrown : this.errorOf(options, thrown, handle);
    } finally {
      patience.end();
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** The next call tries again what failed. */
  #open(): Promise<Opened> {
    return this.open().catch((error) => {
      this.#opened = undefined;
      throw error;
    });
  }

  /**
   * The pieces of a body as they come, with the errors of `call`; none for undefined. Breaks the connection when its
   * reader leaves early. Throws a retryable 58030 when the body ends before what was announced.
   */
  async *stream(
    options: CallOptions,
    call: (opened: Opened, abortSignal: AbortSignal) => Promise<Body | undefined>,
    handle: (refusal: Refusal) => StorageError | undefined,
  ): AsyncGenerator<Uint8Array> {
    const reading = new AbortController();
    const signal = options.signal ? AbortSignal.any([options.signal, reading.signal]) : reading.signal;
    const orEnd = <T>(abortSignal: AbortSignal, result: Promise<T>) => Promise.race([result, ended(abortSignal)]);
    try {
      const body = await this.call(options, (opened, abortSignal) => orEnd(abortSignal, call(opened, signal)), handle);
      if (!body) return;
      const iterator = body.pieces[Symbol.asyncIterator]();
      let receivedBytes = 0;
      for (;;) {
        const next = await this.call(options, (_opened, abortSignal) => orEnd(abortSignal, iterator.next()));
        if (next.done) break;
        receivedBytes += next.value.length;
        yield next.value;
      }
      if (receivedBytes < (body.bytes ?? 0)) throw this.#cutOff(options, `${receivedBytes} of ${body.bytes}`);
    } finally {
      reading.abort();
    }
  }

  #cutOff({ operation, name }: CallOptions, received: string): StorageError {
    const message = `cannot ${operation} "${name}" in "${this.uri}": the connection ended after ${received} bytes`;
    return new StorageError(SqlState.IoError, message, { operation, redactedUri: String(this.uri), isRetryable: true });
  }

  async close(): Promise<void> {
    const opened = await this.#opened?.catch(() => undefined);
    if (opened !== undefined) this.shut(opened);
    this.#opened = undefined;
  }
}

/** Never resolves; rejects when the signal aborts. */
function ended(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
