/**
 * Commit hooks: who hears of committed writes, by span, synchronously inside the commit step.
 */
import type { Bytes } from '../base/bytes.ts';
import type { Span } from '../base/span.ts';
import type { Timestamp } from '../base/timestamp.ts';
import type { CommitHook, CommittedWrites } from './kv.ts';

interface Registered {
  readonly span: Span;
  readonly hook: CommitHook;
}

/** The writes of a commit that fall in a span; undefined when none does. */
export type PartOf = (span: Span) => CommittedWrites | undefined;

export class CommitHooks {
  #registered: readonly Registered[] = [];

  add(span: Span, hook: CommitHook): () => void {
    const entry = { span, hook };
    this.#registered = [...this.#registered, entry];
    return () => {
      this.#registered = this.#registered.filter((other) => other !== entry);
    };
  }

  /** Asks the hooks in order; the first that throws ends it. */
  validate(partOf: PartOf, ts: Timestamp): void {
    for (const { span, hook } of this.#registered) {
      if (hook.validate === undefined) continue;
      const part = partOf(span);
      if (part !== undefined) hook.validate(part, ts);
    }
  }

  apply(partOf: PartOf, ts: Timestamp): void {
    for (const { span, hook } of this.#registered) {
      if (hook.apply === undefined) continue;
      const part = partOf(span);
      if (part !== undefined) hook.apply(part, ts);
    }
  }
}

/** PartOf for writes laid out. Cost: two binary searches, and a copy of a proper part. */
export function partIn(writes: CommittedWrites, span: Span): CommittedWrites | undefined {
  const { keys } = writes;
  const from = firstAtOrAfter(keys, span.key);
  const to = firstAtOrAfter(keys, span.endKey);
  if (from === to) return undefined;
  if (from === 0 && to === keys.length) return writes;
  return { keys: keys.slice(from, to), values: writes.values.slice(from, to) };
}

/** Index of the first of the sorted keys at or above `key`. */
export function firstAtOrAfter(keys: readonly Bytes[], key: Bytes): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((keys[middle] as Bytes) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
