/**
 * Oracle: the model a store is compared with. A sorted array of versions that never forgets.
 *
 * Every answer is worked out from the whole array, so there is nothing to get wrong twice. Garbage
 * collection only marks versions that may go: reads use the marked ones too, which is what makes
 * "no read above the threshold changes" a test.
 */
import type { Bytes } from '../../src/base/bytes.ts';
import type { Span } from '../../src/base/span.ts';
import { spanContains } from '../../src/base/span.ts';
import type { Timestamp } from '../../src/base/timestamp.ts';

export interface OracleVersion {
  readonly key: Bytes;
  readonly ts: Timestamp;
  readonly value: Bytes | null;
}

export interface OracleRow {
  readonly key: Bytes;
  readonly ts: Timestamp;
  readonly value: Bytes | null;
}

export class Oracle {
  /** Sorted by (key ascending, ts descending). */
  #versions: OracleVersion[] = [];
  /** Versions that a finished collection has removed from the store. */
  #collected = new Set<OracleVersion>();

  clone(): Oracle {
    const copy = new Oracle();
    copy.#versions = [...this.#versions];
    copy.#collected = new Set(this.#collected);
    return copy;
  }

  /** Adds one version; one that is there already stays. */
  put(key: Bytes, ts: Timestamp, value: Bytes | null): void {
    const at = this.#versions.findIndex((version) => version.key > key || (version.key === key && version.ts <= ts));
    if (at < 0) this.#versions.push({ key, ts, value });
    else if (this.#versions[at]?.key !== key || this.#versions[at]?.ts !== ts) this.#versions.splice(at, 0, { key, ts, value });
  }

  /** Dropped ids: the one thing that is forgotten. */
  clear(span: Span): void {
    this.#versions = this.#versions.filter((version) => !spanContains(span, version.key));
  }

  get(key: Bytes, ts: Timestamp): OracleVersion | undefined {
    return this.#versions.find((version) => version.key === key && version.ts <= ts);
  }

  keys(): Bytes[] {
    return [...new Set(this.#versions.map((version) => version.key))];
  }

  scan(span: Span, ts: Timestamp, tombstones = false): OracleRow[] {
    return this.keys()
      .filter((key) => spanContains(span, key))
      .map((key) => this.get(key, ts))
      .filter((version) => version !== undefined)
      .filter((version) => tombstones || version.value !== null);
  }

  /** Versions in (start, end], as an export delivers them. */
  export(span: Span, start: Timestamp, end: Timestamp, allVersions: boolean): OracleRow[] {
    const inside = this.#versions.filter((version) => spanContains(span, version.key) && version.ts > start && version.ts <= end);
    if (allVersions) return inside;
    return inside.filter((version, i) => inside[i - 1]?.key !== version.key).filter((version) => start > 0 || version.value !== null);
  }

  changedSince(span: Span, after: Timestamp): boolean {
    return this.#versions.some((version) => spanContains(span, version.key) && version.ts > after);
  }

  /** What a store holds after a finished collection. */
  collect(span: Span, threshold: Timestamp): void {
    for (const key of this.keys()) {
      if (!spanContains(span, key)) continue;
      const old = this.#versions.filter((version) => version.key === key && version.ts <= threshold);
      const stays = old[0]?.value === null ? [] : old.slice(0, 1);
      for (const version of old) if (!stays.includes(version)) this.#collected.add(version);
    }
  }

  /** Every version that no finished collection has removed. */
  held(): OracleVersion[] {
    return this.#versions.filter((version) => !this.#collected.has(version));
  }
}
