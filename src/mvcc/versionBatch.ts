/**
 * VersionBatch: versions as three parallel arrays, the one form in which they leave and enter a
 * store in bulk (scan, export, ingest); a fourth, `replaced`, only where an export asks for it.
 * Reused by its owner between calls: clear(), then fill.
 */
import type { Bytes } from '../base/bytes.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { versionBytes } from './version.ts';

export class VersionBatch {
  readonly keys: Bytes[] = [];
  /** null: a tombstone. */
  readonly values: (Bytes | null)[] = [];
  readonly timestamps: Timestamp[] = [];
  /** What each version stands in the place of; null where nothing was. */
  readonly replaced: (Bytes | null)[] | undefined;
  /** Logical bytes held: keys and values. */
  bytes = 0;

  constructor(options: { readonly withReplaced?: boolean } = {}) {
    this.replaced = options.withReplaced ? [] : undefined;
  }

  get length(): number {
    return this.keys.length;
  }

  push(key: Bytes, ts: Timestamp, value: Bytes | null): void {
    this.keys.push(key);
    this.values.push(value);
    this.timestamps.push(ts);
    this.bytes += versionBytes(key, value);
  }

  /** push() for an export that tells what a version replaced. */
  pushReplacing(key: Bytes, ts: Timestamp, value: Bytes | null, replaced: Bytes | null): void {
    this.push(key, ts, value);
    this.replaced?.push(replaced);
  }

  clear(): void {
    this.keys.length = 0;
    this.values.length = 0;
    this.timestamps.length = 0;
    if (this.replaced) this.replaced.length = 0;
    this.bytes = 0;
  }
}
