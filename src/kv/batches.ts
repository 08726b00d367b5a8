/** What is asked of a scan or an export of a span, and the batch that answers. The contract they belong to: kv.ts. */
import type { Bytes } from '../base/bytes.ts';
import type { Timestamp } from '../base/timestamp.ts';

/** What the commit step must check of a read. Serializable transactions validate every read. */
export interface ReadOptions {
  /**
   * True for a constraint read, or a read of a row in order to write it: validated at every isolation level.
   */
  readonly validated?: boolean;
  /** True when nothing stands on the read itself: of what is returned, the caller locks what it uses (SKIP LOCKED). */
  readonly unrecorded?: boolean;
}

export interface ScanOptions extends ReadOptions {
  /** At most this many live rows; unlimited when absent. */
  readonly limit?: number;
  /** Stops after the row with which keys and values reach this many bytes; at least one row is returned. */
  readonly maxBytes?: number;
  /** Descending key order. */
  readonly reverse?: boolean;
}

/** Live rows in key order (descending when reversed), as parallel arrays. */
export interface ScanResult {
  readonly keys: Bytes[];
  readonly values: Bytes[];
  /** Commit timestamp of each row's version; 0 for the transaction's own buffered writes. */
  readonly timestamps: Timestamp[];
  /**
   * Undefined when the span is exhausted. Otherwise the rest is [resume, span.endKey), or [span.key,
   * resume) in reverse; the rest may turn out to be empty.
   */
  readonly resume: Bytes | undefined;
}

export interface ExportOptions {
  /** True: every version in the interval, tombstones too. False: the newest of each key (a tombstone only when start > 0). */
  readonly allVersions: boolean;
  /** The piece ends at about this many bytes of keys and values. */
  readonly maxBytes: number;
  /** `resume` of the piece before. */
  readonly resume?: ExportResume;
  /** True reads below the GC threshold all the same; for tests and repair only. */
  readonly unchecked?: boolean;
  /** True tells of each version what it replaced. */
  readonly withReplaced?: boolean;
}

/** Where the next piece starts: at `key`, or among its versions below `below` (exclusive). */
export interface ExportResume {
  readonly key: Bytes;
  readonly below?: Timestamp;
}

/** Versions sorted by (key ascending, timestamp descending), as parallel arrays. */
export interface ExportPiece {
  readonly keys: readonly Bytes[];
  readonly timestamps: readonly Timestamp[];
  /** null: a tombstone. */
  readonly values: readonly (Bytes | null)[];
  /**
   * With `withReplaced`, the live value that each version stands in the place of: with all versions
   * that of the version before it, else that of `start`. null where there was none that can be read.
   */
  readonly replaced?: readonly (Bytes | null)[] | undefined;
  /** Bytes of keys and values. */
  readonly bytes: number;
  /** Undefined when the span is done. */
  readonly resume: ExportResume | undefined;
}
