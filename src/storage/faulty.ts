/**
 * Faulty: wraps a storage and makes chosen calls fail, wait, lose their tail or change a byte.
 *
 * A rule matches by operation and name, counts its matches, and acts on the n-th to the
 * (n + count - 1)-th of them, or on each with a probability. The first rule that acts on a call
 * decides it. All chance comes from the given source, so a seed repeats a run.
 *
 * What the actions mean
 *   fail      the call throws a StorageError before (or, for `after: true`, after) doing its work:
 *             a write that failed after its work is in place, as when only the answer was lost
 *   delay     the call waits on the clock, then goes on
 *   truncate  a write stores, or a read returns, only the first `keepBytes` bytes; the caller is told all is well
 *   corrupt   one random bit of the bytes written or read is flipped
 */
import { createHash } from 'node:crypto';

import { type Clock, sleep } from '../base/clock.ts';
import { StorageError } from '../base/errors.ts';
import type { Activity } from '../base/idle.ts';
import type { Random } from '../base/random.ts';
import { SqlState } from '../base/sqlState.ts';

import type {
  ExternalStorage,
  ListOptions,
  ReadOptions,
  StorageCapabilities,
  StorageOperation,
  WriteOptions,
  WriteResult,
  WriteSource,
} from './externalStorage.ts';
import { chunksOf, gather } from './names.ts';
import type { ParsedUri } from './uri.ts';

export type FaultAction =
  | { readonly kind: 'fail'; readonly after?: boolean; readonly isRetryable?: boolean; readonly code?: SqlState; readonly message?: string }
  | { readonly kind: 'delay'; readonly micros: number }
  | { readonly kind: 'truncate'; readonly keepBytes: number }
  | { readonly kind: 'corrupt' };

export interface FaultRule {
  /** Operations it matches; all when absent. */
  readonly operations?: readonly StorageOperation[];
  /** Names (for list: prefixes) it matches; all when absent. */
  readonly name?: RegExp;
  /** The first match it acts on, counted from 1; 1 when absent. */
  readonly nth?: number;
  /** How many matches in a row it acts on; without end when absent. */
  readonly count?: number;
  /** Chance that it acts on a match in that range; 1 when absent. */
  readonly probability?: number;
  readonly action: FaultAction;
}

export interface FaultPlan {
  readonly rules: readonly FaultRule[];
  readonly random: Random;
  readonly clock: Clock;
  readonly activity?: Activity;
}

/** One call as it came in, with the kind of fault that met it. */
export interface FaultLogEntry {
  readonly operation: StorageOperation;
  readonly name: string;
  readonly fault: FaultAction['kind'] | undefined;
}

/** Rules with their counts, shared by every storage that one test opens. `log` grows by one entry a call. */
export class FaultInjector {
  readonly log: FaultLogEntry[] = [];
  readonly #plan: FaultPlan;
  #rules: { readonly rule: FaultRule; matchCount: number }[];

  constructor(plan: FaultPlan) {
    this.#plan = plan;
    this.#rules = plan.rules.map((rule) => ({ rule, matchCount: 0 }));
  }

  /** Replaces the rules and starts their counts anew. */
  setRules(rules: readonly FaultRule[]): void {
    this.#rules = rules.map((rule) => ({ rule, matchCount: 0 }));
  }

  wrap(inner: ExternalStorage): ExternalStorage {
    return new FaultyStorage(inner, this);
  }

  get random(): Random {
    return this.#plan.random;
  }

  async sleep(micros: number, signal: AbortSignal | undefined): Promise<void> {
    const wait = sleep(this.#plan.clock, micros, signal);
    await (this.#plan.activity ? this.#plan.activity.suspend(wait) : wait);
  }

  /** The action that meets this call, if any. */
  decide(operation: StorageOperation, name: string): FaultAction | undefined {
    let chosen: FaultAction | undefined;
    for (const entry of this.#rules) {
      const { rule } = entry;
      if (rule.operations && !rule.operations.includes(operation)) continue;
      if (rule.name && !rule.name.test(name)) continue;
      const match = ++entry.matchCount;
      const first = rule.nth ?? 1;
      if (chosen || match < first || match >= first + (rule.count ?? Number.POSITIVE_INFINITY)) continue;
      if (rule.probability !== undefined && this.random.float() >= rule.probability) continue;
      chosen = rule.action;
    }
    this.log.push({ operation, name, fault: chosen?.kind });
    return chosen;
  }
}

class FaultyStorage implements ExternalStorage {
  readonly uri: ParsedUri;
  readonly capabilities: StorageCapabilities;
  readonly #inner: ExternalStorage;
  readonly #injector: FaultInjector;

  constructor(inner: ExternalStorage, injector: FaultInjector) {
    this.uri = inner.uri;
    this.capabilities = inner.capabilities;
    this.#inner = inner;
    this.#injector = injector;
  }

  async write(name: string, source: WriteSource, options: WriteOptions = {}): Promise<WriteResult> {
    return await this.#meet('write', name, options.signal, async (action) => {
      if (action?.kind !== 'truncate' && action?.kind !== 'corrupt') return await this.#inner.write(name, source, options);
      const whole = await gather(chunksOf(source, options.signal));
      await this.#inner.write(name, this.#damage(whole, action), options);
      // The caller must not learn from the result that something went wrong on the way.
      return { sizeBytes: whole.length, sha256: createHash('sha256').update(whole).digest('hex') };
    });
  }

  async read(name: string, options: ReadOptions = {}): Promise<Uint8Array> {
    return await this.#meet('read', name, options.signal, async (action) => {
      return this.#damage(await this.#inner.read(name, options), action);
    });
  }

  async *readStream(name: string, options: ReadOptions = {}): AsyncIterable<Uint8Array> {
    let damage: FaultAction | undefined;
    await this.#meet('readStream', name, options.signal, async (action) => {
      damage = action;
    });
    if (damage?.kind !== 'truncate' && damage?.kind !== 'corrupt') yield* this.#inner.readStream(name, options);
    else yield this.#damage(await gather(this.#inner.readStream(name, { ...options, isLent: false })), damage);
  }

  async size(name: string): Promise<number> {
    return await this.#meet('size', name, undefined, () => this.#inner.size(name));
  }

  async list(prefix: string, options?: ListOptions): Promise<string[]> {
    return await this.#meet('list', prefix, options?.signal, () => this.#inner.list(prefix, options));
  }

  async delete(name: string): Promise<void> {
    await this.#meet('delete', name, undefined, () => this.#inner.delete(name));
  }

  async close(): Promise<void> {
    await this.#inner.close();
  }

  async #meet<T>(
    operation: StorageOperation,
    name: string,
    signal: AbortSignal | undefined,
    work: (action: FaultAction | undefined) => Promise<T>,
  ): Promise<T> {
    const action = this.#injector.decide(operation, name);
    if (action?.kind === 'delay') await this.#injector.sleep(action.micros, signal);
    if (action?.kind === 'fail' && !action.after) throw this.#error(operation, name, action);
    const result = await work(action);
    if (action?.kind === 'fail') throw this.#error(operation, name, action);
    return result;
  }

  #error(operation: StorageOperation, name: string, action: FaultAction & { kind: 'fail' }): StorageError {
    return new StorageError(action.code ?? SqlState.IoError, action.message ?? `injected fault: ${operation} "${name}"`, {
      operation,
      redactedUri: String(this.uri),
      isRetryable: action.isRetryable ?? false,
    });
  }

  #damage(content: Uint8Array, action: FaultAction | undefined): Uint8Array {
    if (action?.kind === 'truncate') return content.subarray(0, action.keepBytes);
    if (action?.kind !== 'corrupt' || content.length === 0) return content;
    const copy = Uint8Array.from(content);
    const at = this.#injector.random.int(copy.length);
    copy[at] = (copy[at] ?? 0) ^ (1 << this.#injector.random.int(8));
    return copy;
  }
}
