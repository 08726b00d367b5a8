/**
 * Export: the versions in (start, end], sorted by (key ascending, timestamp descending), in pieces.
 *
 *   latest mode   of each key the newest version in the interval; tombstones too, unless start is 0
 *   all versions  every version in the interval, tombstones too
 *
 * An incremental export walks the change log when that is cheaper than the tree: it gathers the
 * keys that changed, sorts them, and looks each up; spans into which versions of the interval were
 * ingested are walked in the tree. The result is the same either way. The gathered list is made
 * once, by the cursor, so pieces cost what they deliver.
 *
 * The caller keeps the interval still: end is no later than the last commit timestamp, and start is
 * at or above the GC threshold (or 0 with latest versions as of end).
 */
import type { Bytes } from '../base/bytes.ts';
import type { Span } from '../base/span.ts';
import { mergeSpans, nextKey } from '../base/span.ts';
import type { Timestamp } from '../base/timestamp.ts';
import type { ResumePoint, StoreState } from './storeState.ts';
import type { Version } from './version.ts';
import { versionAt, versionBytes } from './version.ts';
import type { VersionBatch } from './versionBatch.ts';

export interface ExportOptions {
  /** Every version of the interval instead of the newest. */
  readonly allVersions?: boolean;
  /** Where an earlier piece stopped. */
  readonly resume?: ResumePoint;
  /** Forces one of the two ways, for tests and measurements; by default the cheaper one. */
  readonly via?: 'log' | 'tree';
}

/** Looking up and sorting one changed key costs about as much as walking this many keys of the tree. */
const LOG_KEY_COST = 8;

export class ExportCursor {
  readonly #state: StoreState;
  readonly #span: Span;
  readonly #start: Timestamp;
  readonly #end: Timestamp;
  readonly #allVersions: boolean;
  readonly #withTombstones: boolean;
  /** Keys to look up, sorted; undefined when the tree is walked. */
  readonly #changedKeys: readonly Bytes[] | undefined;
  #changedIndex = 0;
  #resume: ResumePoint | undefined;

  constructor(state: StoreState, span: Span, start: Timestamp, end: Timestamp, options: ExportOptions) {
    this.#state = state;
    this.#start = start;
    this.#end = end;
    this.#allVersions = options.allVersions ?? false;
    this.#withTombstones = this.#allVersions || start > 0;
    this.#resume = options.resume ?? { key: span.key };
    this.#span = { key: this.#resume.key, endKey: span.endKey };
    if (options.via === 'log' || (options.via === undefined && logIsCheaper(state, start, end))) {
      this.#changedKeys = changedKeys(state, this.#span, start, end);
    }
  }

  /** Where to go on: what a job checkpoints. Undefined when everything has been delivered. */
  get resumePoint(): ResumePoint | undefined {
    return this.#resume;
  }

  /** True when the change log, not the tree, is walked. */
  get viaLog(): boolean {
    return this.#changedKeys !== undefined;
  }

  /**
   * Appends the next piece to `out` and stops at the first key boundary at which the piece has
   * `maxBytes` or more; a key whose versions alone exceed that is split, and the resume point says
   * where. Returns the resume point; undefined when done.
   */
  next(out: VersionBatch, maxBytes: number): ResumePoint | undefined {
    if (this.#resume === undefined) return undefined;
    const from = this.#resume;
    const startBytes = out.bytes;
    this.#resume = undefined;
    const visit = (key: Bytes, head: Version): boolean => {
      const before = key === from.key ? from.before : undefined;
      const splitAt = this.#deliver(key, head, before, out, maxBytes);
      if (splitAt !== undefined) this.#resume = { key, before: splitAt };
      else if (out.bytes - startBytes >= maxBytes) this.#resume = { key: nextKey(key) };
      return this.#resume !== undefined;
    };
    if (this.#changedKeys === undefined) {
      this.#state.tree.walk({ key: from.key, endKey: this.#span.endKey }, visit);
      return this.#resume;
    }
    for (; this.#changedIndex < this.#changedKeys.length; this.#changedIndex++) {
      const key = this.#changedKeys[this.#changedIndex] as Bytes;
      if (key < from.key) continue;
      const head = this.#state.tree.get(key);
      if (head !== undefined && visit(key, head)) break;
    }
    return this.#resume;
  }

  /** Delivers one key's versions below `before`; the timestamp of the last delivered when it had to stop inside the key. */
  #deliver(key: Bytes, head: Version, before: Timestamp | undefined, out: VersionBatch, maxBytes: number): Timestamp | undefined {
    let version = versionAt(head, this.#end);
    if (!this.#allVersions) {
      if (version !== undefined && version.ts > this.#start && (version.value !== null || this.#withTombstones)) {
        out.push(key, version.ts, version.value);
      }
      return undefined;
    }
    if (before !== undefined) while (version !== undefined && version.ts >= before) version = version.older;
    let bytes = 0;
    for (; version !== undefined && version.ts > this.#start; version = version.older) {
      out.push(key, version.ts, version.value);
      bytes += versionBytes(key, version.value);
      if (bytes >= maxBytes && version.older !== undefined && version.older.ts > this.#start) return version.ts;
    }
    return undefined;
  }
}

function logIsCheaper(state: StoreState, start: Timestamp, end: Timestamp): boolean {
  if (start === 0 || start < state.log.floor) return false;
  return state.log.countBetween(start, end) * LOG_KEY_COST < state.tree.size;
}

/** The keys of the span that may have versions in (start, end], sorted, each once. */
function changedKeys(state: StoreState, span: Span, start: Timestamp, end: Timestamp): Bytes[] {
  const keys: Bytes[] = [];
  state.log.walk(span, start, end, (key) => {
    keys.push(key);
    return false;
  });
  for (const part of mergeSpans(state.log.ingestedSpans(span, start, end))) {
    state.tree.walk(part, (key, head) => {
      const version = versionAt(head, end);
      if (version !== undefined && version.ts > start) keys.push(key);
      return false;
    });
  }
  keys.sort(); // by char code, which for one-byte strings is byte order
  let kept = 0;
  for (let i = 0; i < keys.length; i++) {
    if (i === 0 || keys[i] !== keys[i - 1]) keys[kept++] = keys[i] as Bytes;
  }
  keys.length = kept;
  return keys;
}
