/**
 * Retry: wraps a storage so that calls which failed for a passing reason are made again.
 *
 *   R1  only errors whose `isRetryable` is set are retried, at most `attemptsMax` calls in all
 *   R2  waits double from `initialDelayMicros` to `delayMicrosMax`, each scaled by a random factor in
 *       [0.5, 1), so that many clients spread out; they run on the injected clock and end at once
 *       when the call's signal aborts
 *   R3  a write whose source can be read only once is not retried after its first chunk was taken
 *   R4  an `ifAbsent` write that finds the name taken at a second attempt looks whether its own first
 *       attempt did it, by size and content, before it reports 58P02
 *   R5  readStream goes on where the broken stream ended
 */
import { createHash } from 'node:crypto';

import { type Clock, sleep } from '../base/clock.ts';
import { StorageError, withFields } from '../base/errors.ts';
import type { Activity } from '../base/idle.ts';
import type { Random } from '../base/random.ts';
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
import { isReplayable } from './names.ts';
import type { ParsedUri } from './uri.ts';

export interface RetryPolicy {
  readonly attemptsMax: number;
  readonly initialDelayMicros: number;
  readonly delayMicrosMax: number;
}

// Five attempts wait at most 0.2 + 0.4 + 0.8 + 1.6 = 3 seconds: long enough for a hiccup, short
// enough that the job's own retry, which keeps its checkpoint, takes over for an outage.
export const DEFAULT_RETRY_POLICY: RetryPolicy = Object.freeze({
  attemptsMax: 5,
  initialDelayMicros: 200_000,
  delayMicrosMax: 10_000_000,
});

export interface RetryContext {
  readonly clock: Clock;
  readonly random: Random;
  readonly activity?: Activity;
  readonly policy?: RetryPolicy;
}

export function withRetry(inner: ExternalStorage, context: RetryContext): ExternalStorage {
  return new RetryingStorage(inner, context);
}

/** R1 and R2 for one call; `canRepeat` says whether the call may be made again at all. */
export async function retrying<T>(
  context: RetryContext,
  signal: AbortSignal | undefined,
  call: (attempt: number) => Promise<T>,
  canRepeat: () => boolean = () => true,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call(attempt);
    } catch (error) {
      if (!canRepeat() || !mayRetry(context, error, attempt)) throw final(error, attempt);
    }
    await pause(context, attempt, signal);
  }
}

function mayRetry(context: RetryContext, error: unknown, attempt: number): boolean {
  return error instanceof StorageError && error.isRetryable && attempt < (context.policy ?? DEFAULT_RETRY_POLICY).attemptsMax;
}

/** The error for the caller, who learns how often it was tried. */
function final(error: unknown, attempt: number): unknown {
  return attempt > 1 && error instanceof StorageError ? withFields(error, { detail: `tried ${attempt} times` }) : error;
}

async function pause(context: RetryContext, attempt: number, signal: AbortSignal | undefined): Promise<void> {
  const { initialDelayMicros, delayMicrosMax } = context.policy ?? DEFAULT_RETRY_POLICY;
  const delay = Math.min(delayMicrosMax, initialDelayMicros * 2 ** (attempt - 1)) * (0.5 + context.random.float() / 2);
  const wait = sleep(context.clock, Math.ceil(delay), signal, { holdsProcess: true });
  await (context.activity ? context.activity.suspend(wait) : wait);
}

class RetryingStorage implements ExternalStorage {
  readonly uri: ParsedUri;
  readonly capabilities: StorageCapabilities;
  readonly #inner: ExternalStorage;
  readonly #context: RetryContext;

  constructor(inner: ExternalStorage, context: RetryContext) {
    this.uri = inner.uri;
    this.capabilities = inner.capabilities;
    this.#inner = inner;
    this.#context = context;
  }

  async write(name: string, source: WriteSource, options: WriteOptions = {}): Promise<WriteResult> {
    if (!isReplayable(source)) {
      const once = takenOnce(source);
      return await this.#attempt(
        options.signal,
        () => this.#inner.write(name, once.source, options),
        () => !once.taken(),
      );
    }
    return await this.#attempt(options.signal, async (attempt) => {
      try {
        return await this.#inner.write(name, source, options);
      } catch (error) {
        const own = attempt > 1 && options.ifAbsent && isCode(error, SqlState.DuplicateFile);
        const result = own ? await this.#sameContent(name, source, options.signal) : undefined;
        if (!result) throw error;
        return result;
      }
    });
  }

  read(name: string, options: ReadOptions = {}): Promise<Uint8Array> {
    return this.#attempt(options.signal, () => this.#inner.read(name, options));
  }

  async *readStream(name: string, options: ReadOptions = {}): AsyncIterable<Uint8Array> {
    let doneBytes = 0;
    for (let attempt = 1; ; ) {
      const rest: ReadOptions = {
        ...options,
        offset: (options.offset ?? 0) + doneBytes,
        length: options.length === undefined ? undefined : options.length - doneBytes,
      };
      try {
        for await (const piece of this.#inner.readStream(name, rest)) {
          doneBytes += piece.length;
          // A stream that moves has recovered: the budget is for failures in a row.
          attempt = 1;
          yield piece;
        }
        return;
      } catch (error) {
        if (!mayRetry(this.#context, error, attempt)) throw final(error, attempt);
        await pause(this.#context, attempt, options.signal);
        attempt++;
      }
    }
  }

  size(name: string): Promise<number> {
    return this.#attempt(undefined, () => this.#inner.size(name));
  }

  list(prefix: string, options?: ListOptions): Promise<string[]> {
    return this.#attempt(options?.signal, () => this.#inner.list(prefix, options));
  }

  delete(name: string): Promise<void> {
    return this.#attempt(undefined, () => this.#inner.delete(name));
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  #attempt<T>(signal: AbortSignal | undefined, call: (attempt: number) => Promise<T>, canRepeat?: () => boolean): Promise<T> {
    return retrying(this.#context, signal, call, canRepeat);
  }

  /** The write's result when the stored file is byte for byte the source. */
  async #sameContent(
    name: string,
    source: Uint8Array | readonly Uint8Array[],
    signal: AbortSignal | undefined,
  ): Promise<WriteResult | undefined> {
    const expected = source instanceof Uint8Array ? source : Buffer.concat(source);
    const stored = await this.#inner.read(name, { signal });
    if (Buffer.compare(expected, stored) !== 0) return undefined;
    return { sizeBytes: stored.length, sha256: createHash('sha256').update(stored).digest('hex') };
  }
}

function isCode(error: unknown, code: SqlState): boolean {
  return error instanceof StorageError && error.code === code;
}

/** A source that knows whether anybody has begun to read it. */
function takenOnce(source: AsyncIterable<Uint8Array>): { source: AsyncIterable<Uint8Array>; taken: () => boolean } {
  let taken = false;
  async function* passing(): AsyncGenerator<Uint8Array> {
    taken = true;
    yield* source;
  }
  return { source: { [Symbol.asyncIterator]: passing }, taken: () => taken };
}
