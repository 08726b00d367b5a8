/**
 * Part fingerprint: what a backup records of a stretch of keys while it exports them, so that it can be
 * proved later that what was brought back is what was there.
 *
 *   versions   the sum over every stored version (key, time, value or deletion): finds any one that is
 *              missing, altered, or of another time
 *   changes    how the fingerprint of the live entries moved: (time, plus what came, minus what went).
 *              Added up from the start of the chain they give the fingerprint at any recorded time
 *
 *   PF1  what comes and goes is taken from the versions and from what each of them replaced, so an
 *        incremental layer costs what changed
 *   PF2  without revision history there is one change, at the part's end. With it there is one for each
 *        commit; where that would be more than CHANGES_MAX, neighbouring commits share one, in steps of
 *        a power of two of microseconds: which ones depends on the set of times alone. A change then
 *        stands at the last of its commits, and the times between are proved by `versions`
 *   PF3  a part from time 0 with history begins with the state at the layer's lower bound
 *
 * Lives elsewhere: the hash (base/fingerprint.ts). Format: docs/format.md 8.
 */
import { assert } from '../base/assert.ts';
import type { Bytes } from '../base/bytes.ts';
import { EntryHasher, Fingerprint } from '../base/fingerprint.ts';
import type { Timestamp } from '../base/timestamp.ts';

import { BlockReader, writeUvarint } from './block.ts';
import type { FilePlace } from './corruption.ts';

/** As the manifest keeps it. `changes` is decoded only by who needs it (decodeChanges). */
export interface PartFingerprint {
  /** 32 hexadecimal digits. */
  readonly versions: string;
  /** Base64. */
  readonly changes: string;
}

/** How the fingerprint of a part's live entries moved, up to and including `time`. */
export interface FingerprintChange {
  readonly time: Timestamp;
  readonly delta: Fingerprint;
}

/** Changes of one part at most: about 4 KiB of a manifest. */
export const CHANGES_MAX = 256;
const CHANGE_BYTES_MAX = 8 + 16;

/** Versions in the order of an export, and what each replaced. */
export interface ReplacingRun {
  readonly keys: readonly Bytes[];
  readonly timestamps: readonly Timestamp[];
  readonly values: readonly (Bytes | null)[];
  readonly replaced?: readonly (Bytes | null)[] | undefined;
}

export interface FingerprintOptions {
  /** Length of the index prefix, which is not hashed. */
  readonly prefixLength: number;
  /** The part's end: where everything counts without history. */
  readonly endTime: Timestamp;
  /** With revision history: its lower bound; what is older counts there. */
  readonly historyFrom: Timestamp | undefined;
}

interface GrowingChange {
  time: Timestamp;
  readonly delta: Fingerprint;
}

/** Takes a part's versions as they are exported. */
export class FingerprintBuilder {
  readonly #options: FingerprintOptions;
  readonly #hasher = new EntryHasher();
  readonly #versions = new Fingerprint();
  /** By the number of the step that a time lies in. */
  #changes = new Map<number, GrowingChange>();
  #stepMicros = 1;
  /** The change that was met last, and the time: versions of one commit mostly come together. */
  #recent: GrowingChange | undefined;
  #recentTime = -1;

  constructor(options: FingerprintOptions) {
    this.#options = options;
  }

  /** The next versions, in the order of an export. */
  add({ keys, timestamps, values, replaced }: ReplacingRun): void {
    const { prefixLength } = this.#options;
    const hasher = this.#hasher;
    const older = new Int32Array(4);
    // Backwards, so that the hash of what a version replaced is at hand where that was exported too.
    for (let i = keys.length - 1; i >= 0; i--) {
      const key = keys[i] as Bytes;
      const time = timestamps[i] as Timestamp;
      const value = values[i] ?? null;
      const before = replaced?.[i] ?? null;
      const change = this.#changeAt(time);
      if (before !== null) {
        const isExported = keys[i + 1] === key && values[i + 1] === before;
        if (!isExported) {
          hasher.hash(key, prefixLength, before);
          older.set(hasher.entry);
        }
        change.subtractHash(older);
      }
      hasher.hash(key, prefixLength, value);
      hasher.stamp(time);
      this.#versions.addHash(hasher.version);
      if (value !== null) {
        change.addHash(hasher.entry);
        older.set(hasher.entry);
      }
    }
  }

  get fingerprint(): PartFingerprint {
    return { versions: this.#versions.toHex(), changes: encodeChanges(this.changes) };
  }

  /** Ascending by time. */
  get changes(): FingerprintChange[] {
    return [...this.#changes.values()].sort((a, b) => a.time - b.time);
  }

  #changeAt(time: Timestamp): Fingerprint {
    if (time === this.#recentTime && this.#recent !== undefined) return this.#recent.delta;
    const { historyFrom, endTime } = this.#options;
    if (historyFrom === undefined && this.#recent !== undefined) return this.#recent.delta;
    this.#recent = this.#findChange(historyFrom === undefined ? endTime : time > historyFrom ? time : historyFrom);
    this.#recentTime = time;
    return this.#recent.delta;
  }

  #findChange(at: Timestamp): GrowingChange {
    const step = Math.floor(at / this.#stepMicros);
    const found = this.#changes.get(step);
    if (found !== undefined) {
      if (at > found.time) found.time = at;
      return found;
    }
    const change = { time: at, delta: new Fingerprint() };
    this.#changes.set(step, change);
    if (this.#changes.size <= CHANGES_MAX) return change;
    this.#widen();
    return this.#findChange(at);
  }

  #widen(): void {
    while (this.#changes.size > CHANGES_MAX) {
      this.#stepMicros *= 2;
      const wider = new Map<number, GrowingChange>();
      for (const { time, delta } of this.#changes.values()) {
        const step = Math.floor(time / this.#stepMicros);
        const found = wider.get(step);
        if (found === undefined) {
          wider.set(step, { time, delta });
        } else {
          found.delta.add(delta);
          if (time > found.time) found.time = time;
        }
      }
      this.#changes = wider;
    }
  }
}

/** The fingerprint of versions alone, as a file holds them. */
export class VersionsFingerprint {
  readonly sum: Fingerprint = new Fingerprint();
  readonly #hasher = new EntryHasher();
  readonly #prefixLength: number;

  constructor(prefixLength: number) {
    this.#prefixLength = prefixLength;
  }

  /** Adds versions `from` to `to` (exclusive) of a run. */
  add({ keys, timestamps, values }: ReplacingRun, from: number, to: number): void {
    const hasher = this.#hasher;
    for (let i = from; i < to; i++) {
      hasher.hash(keys[i] as Bytes, this.#prefixLength, values[i] ?? null);
      hasher.stamp(timestamps[i] as Timestamp);
      this.sum.addHash(hasher.version);
    }
  }
}

/**
 * The fingerprint of parts that follow one another in time, merged into one: `versions` as counted over what is stored now;
 * their changes one after the other, or with `at` as one change at that time (PF2).
 */
export function combineFingerprints(
  parts: readonly PartFingerprint[],
  versions: string,
  at: Timestamp | undefined,
  place: FilePlace,
): PartFingerprint {
  const all = parts.flatMap(({ changes }) => decodeChanges(changes, place));
  const byTime = (step: number) => {
    const groups = new Map<number, GrowingChange>();
    for (const { time, delta } of all) {
      const key = at === undefined ? Math.floor(time / step) : 0;
      const group = groups.get(key) ?? { time: at ?? time, delta: new Fingerprint() };
      if (time > group.time) group.time = time;
      group.delta.add(delta);
      groups.set(key, group);
    }
    return groups;
  };
  let step = 1;
  while (at === undefined && new Set(all.map(({ time }) => Math.floor(time / step))).size > CHANGES_MAX) step *= 2;
  const changes = [...byTime(step).values()].sort((a, b) => a.time - b.time);
  return { versions, changes: encodeChanges(changes) };
}

function encodeChanges(changes: readonly FingerprintChange[]): string {
  const out = Buffer.allocUnsafe(8 + changes.length * CHANGE_BYTES_MAX);
  let at = writeUvarint(out, 0, changes.length);
  let last = 0;
  for (const { time, delta } of changes) {
    at = writeUvarint(out, at, time - last);
    delta.write(out, at);
    at += 16;
    last = time;
  }
  return out.toString('base64', 0, at);
}

/** What encodeChanges made, ascending by time. XX001 for anything else. */
export function decodeChanges(text: string, place: FilePlace): FingerprintChange[] {
  const content = Buffer.from(text, 'base64');
  const reader = new BlockReader(content, place);
  const count = reader.uvarint('number of fingerprint changes');
  const changes: FingerprintChange[] = [];
  let time = 0;
  for (let i = 0; i < count; i++) {
    const step = reader.uvarint('time of a fingerprint change');
    time += step;
    if (step === 0 || time > Number.MAX_SAFE_INTEGER) throw reader.corrupt('time of a fingerprint change', 'an ascending time', time);
    changes.push({ time: time as Timestamp, delta: Fingerprint.read(content, reader.skip(16, 'fingerprint')) });
  }
  assert(content.length >= reader.at, 'a reader beyond its content');
  if (reader.at !== content.length) throw reader.corrupt('fingerprint changes', content.length, reader.at);
  return changes;
}
