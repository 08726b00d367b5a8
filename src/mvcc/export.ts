/**
 * Export: the versions in (start, end], sorted by (key ascending, timestamp descending), in pieces.
 *
 *   latest mode   of each key the newest version in the interval; tombstones too, unless start is 0
 *   all versions  every version in the interval, tombstones too
 *
 * An incremental export reads the change log when that is cheaper than the tree: the log's entries
 * in the interval are the versions to deliver; they are sorted once, when the cursor is opened.
 * Spans into which versions of the interval were ingested are walked in the tree and sorted in. The
 * result is the same either way.
 *
 * Into a batch with `replaced` each version comes with what it stands in the place of: in all versions
 * the value of the version before it, else the value as of `start`. Both are in its chain.
 *
 * The caller keeps the interval still: end is no later than the last commit timestamp, and start is
 * at or above the GC threshold (or 0 with latest versions as of end).
 */
import type { Bytes } from '../base/bytes.ts';
import type { Span } from '../base/span.ts';
import { mergeSpans, nextKey } from '../base/span.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { hasTestFault } from '../base/testFaults.ts';
import { MAX_TIMESTAMP } from '../base/timestamp.ts';
import { sortByKey } from './keySort.ts';
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

/** Taking an entry from the log and sorting it costs about as much as walking this many keys of the tree. */
const LOG_ENTRY_COST = 6;

/** Versions in the order of an export. */
interface SortedVersions {
  readonly keys: readonly Bytes[];
  readonly versions: readonly Version[];
}

export class ExportCursor {
  readonly #state: StoreState;
  readonly #span: Span;
  readonly #start: Timestamp;
  readonly #end: Timestamp;
  readonly #allVersions: boolean;
  readonly #withTombstones: boolean;
  /** What the log gave; undefined when the tree is walked. */
  readonly #logged: SortedVersions | undefined;
  #loggedIndex = 0;
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
      this.#logged = loggedVersions(state, this.#span, start, end, this.#allVersions);
    }
  }

  /** Where to go on: what a job checkpoints. Undefined when everything has been delivered. */
  get resumePoint(): ResumePoint | undefined {
    return this.#resume;
  }

  /** True when the change log, not the tree, is read. */
  get viaLog(): boolean {
    return this.#logged !== undefined;
  }

  /**
   * Appends the next piece to `out` and stops at the first key boundary at which the piece has
   * `maxBytes` or more; a key whose versions alone reach that is split, and the resume point says
   * where. Returns the resume point; undefined when done.
   */
  next(out: VersionBatch, maxBytes: number): ResumePoint | undefined {
    const from = this.#resume;
    if (from === undefined) return undefined;
    this.#resume = undefined;
    if (this.#logged !== undefined) this.#nextFromLog(this.#logged, from, out, maxBytes);
    else this.#nextFromTree(from, out, maxBytes);
    return this.#resume;
  }

  #nextFromTree(from: ResumePoint, out: VersionBatch, maxBytes: number): void {
    const bytesBefore = out.bytes;
    const keyBytesMax = keyBytesMaxOf(maxBytes);
    this.#state.tree.walk({ key: from.key, endKey: this.#span.endKey }, (key, head) => {
      let version = versionAt(head, this.#end);
      if (!this.#allVersions) {
        if (version === undefined || version.ts <= this.#start) return false;
        if (version.value !== null || this.#withTombstones) this.#deliver(out, key, version);
      } else {
        const before = (key === from.key ? from.before : undefined) ?? MAX_TIMESTAMP;
        while (version !== undefined && version.ts >= before) version = version.older;
        let keyBytes = 0;
        for (; version !== undefined && version.ts > this.#start; version = version.older) {
          if (keyBytes >= keyBytesMax) {
            this.#resume = insideKey(key, version);
            return true;
          }
          this.#deliver(out, key, version);
          keyBytes += versionBytes(key, version.value);
        }
      }
      if (out.bytes - bytesBefore < maxBytes) return false;
      this.#resume = { key: nextKey(key) };
      return true;
    });
  }

  #nextFromLog(logged: SortedVersions, from: ResumePoint, out: VersionBatch, maxBytes: number): void {
    const { keys, versions } = logged;
    const before = from.before ?? MAX_TIMESTAMP;
    let index = this.#loggedIndex;
    while (index < keys.length) {
      const key = keys[index] as Bytes;
      if (key > from.key || (key === from.key && (versions[index] as Version).ts < before)) break;
      index++;
    }
    const bytesBefore = out.bytes;
    const keyBytesMax = keyBytesMaxOf(maxBytes);
    let keyBytes = 0;
    for (; index < keys.length; index++) {
      const key = keys[index] as Bytes;
      const version = versions[index] as Version;
      const sameKey = index > this.#loggedIndex && keys[index - 1] === key;
      if (!sameKey) keyBytes = 0;
      if (sameKey && keyBytes >= keyBytesMax) {
        this.#resume = insideKey(key, version);
        break;
      }
      if (!sameKey && out.bytes - bytesBefore >= maxBytes) {
        this.#resume = { key };
        break;
      }
      this.#deliver(out, key, version);
      keyBytes += versionBytes(key, version.value);
    }
    this.#loggedIndex = index;
  }

  #deliver(out: VersionBatch, key: Bytes, version: Version): void {
    if (out.replaced === undefined) {
      out.push(key, version.ts, version.value);
    } else {
      const before = this.#allVersions ? version.older : versionAt(version.older, this.#start);
      out.pushReplacing(key, version.ts, version.value, before?.value ?? null);
    }
  }
}

/** Where to go on when `version` is the first that found no room. */
function insideKey(key: Bytes, version: Version): ResumePoint {
  if (hasTestFault('a101963')) return { key: nextKey(key) };
  return { key, before: nextTimestamp(version) };
}

/** Versions of one key that a piece takes. The bug put back shows in rows of a few bytes as well as in large ones. */
function keyBytesMaxOf(maxBytes: number): number {
  return hasTestFault('a101963') ? Math.min(maxBytes, 128) : maxBytes;
}

/** The exclusive bound under which this version comes first. */
function nextTimestamp(version: Version): Timestamp {
  return (version.ts + 1) as Timestamp;
}

function logIsCheaper(state: StoreState, start: Timestamp, end: Timestamp): boolean {
  if (start === 0 || start < state.log.floor) return false;
  return state.log.countBetween(start, end) * LOG_ENTRY_COST < state.tree.size;
}

/** The span's versions in (start, end] by the log, in the order of an export; of each key the newest, or all. */
function loggedVersions(state: StoreState, span: Span, start: Timestamp, end: Timestamp, allVersions: boolean): SortedVersions {
  const keys: Bytes[] = [];
  const versions: Version[] = [];
  state.log.walk(span, start, end, (key, version) => {
    keys.push(key);
    versions.push(version);
    return false;
  });
  for (const part of mergeSpans(state.log.ingestedSpans(span, start, end))) {
    state.tree.walk(part, (key, head) => {
      for (let version = versionAt(head, end); version !== undefined && version.ts > start; version = version.older) {
        keys.push(key);
        versions.push(version);
      }
      return false;
    });
  }
  const order = sortByKey(keys, (a, b) => (versions[b] as Version).ts - (versions[a] as Version).ts);
  const sortedKeys: Bytes[] = [];
  const sortedVersions: Version[] = [];
  let last: Bytes | undefined;
  for (let i = 0; i < order.length; i++) {
    const index = order[i] as number;
    const key = keys[index] as Bytes;
    const version = versions[index] as Version;
    // What was ingested and then written comes by both ways; in latest mode older versions are passed over too.
    if (key === last && (!allVersions || sortedVersions.at(-1)?.ts === version.ts)) continue;
    sortedKeys.push(key);
    sortedVersions.push(version);
    last = key;
  }
  return { keys: sortedKeys, versions: sortedVersions };
}
