/**
 * Mounts: parts of the keyspace that are read from somewhere else, such as a backup in place, and never written.
 *
 *   MT1  table ids from MOUNTED_TABLE_ID_MIN on are never stored here: every key of theirs is a mount's
 *   MT2  a mount that is gone is gone with an error (55000), never with an empty table: ids are not used again
 *   MT3  writing or locking such a key is 25006
 *
 * A mount knows its times itself: what it shows for a read timestamp is its owner's rule. Its content never
 * changes, so what is read of it joins no read set. A fork has none of its parent's mounts.
 */
import type { Bytes } from '../base/bytes.ts';
import { StateError, StatementError } from '../base/errors.ts';
import { tablePrefix } from '../base/keycode.ts';
import type { Span } from '../base/span.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { tableOfKey } from './indexOfKey.ts';
import type { ExportOptions, ExportPiece, ScanOptions, ScanResult } from './batches.ts';

/** Ids of stored tables lie far below. */
export const MOUNTED_TABLE_ID_MIN = 3_000_000_000;
const MOUNTED_KEY_MIN: Bytes = tablePrefix(MOUNTED_TABLE_ID_MIN);

/** What stands behind a mount: a store that can only be read. A span lies within one index. */
export interface MountedSource {
  /** Values in the order of `keys`; undefined where no live row is. */
  get(keys: readonly Bytes[], at: Timestamp): Promise<(Bytes | undefined)[]>;
  /** As KvReader.scan. */
  scan(span: Span, at: Timestamp, options: ScanOptions): Promise<ScanResult>;
  /** As Kv.exportSpan. */
  export(span: Span, start: Timestamp, end: Timestamp, options: ExportOptions): Promise<ExportPiece>;
  /** Live keys and their bytes, about. */
  estimate(span: Span): { readonly keys: number; readonly bytes: number };
}

interface Mount {
  /** Inclusive. */
  readonly firstTableId: number;
  /** Exclusive. */
  readonly endTableId: number;
  readonly source: MountedSource;
}

export class Mounts {
  #mounts: readonly Mount[] = [];
  #nextTableId = MOUNTED_TABLE_ID_MIN;

  /** Table ids that no mount ever had. Returns the first. */
  allocateIds(count: number): number {
    const first = this.#nextTableId;
    this.#nextTableId += count;
    return first;
  }

  /** Puts a source behind allocated table ids. Returns the function that takes it away. */
  add(firstTableId: number, count: number, source: MountedSource): () => void {
    const mount = { firstTableId, endTableId: firstTableId + count, source };
    this.#mounts = [...this.#mounts, mount];
    return () => {
      this.#mounts = this.#mounts.filter((one) => one !== mount);
    };
  }

  /** Who answers for a key; undefined for what is stored here. 55000 when the mount is gone. Cheap for stored keys. */
  sourceOf(key: Bytes | undefined): MountedSource | undefined {
    if (key === undefined || key < MOUNTED_KEY_MIN) return undefined;
    const tableId = tableOfKey(key) ?? 0;
    const mount = this.#mounts.find(({ firstTableId, endTableId }) => firstTableId <= tableId && tableId < endTableId);
    if (mount !== undefined) return mount.source;
    throw new StateError(SqlState.ObjectNotInPrerequisiteState, 'the backup that held this table has been detached');
  }
}

/** 25006 when a key to be written or locked is a mount's. Batches stay within one table. */
export function checkNotMounted(key: Bytes | undefined): void {
  if (key === undefined || key < MOUNTED_KEY_MIN) return;
  throw new StatementError(SqlState.ReadOnlySqlTransaction, 'an attached backup cannot be written', {
    hint: 'INSERT INTO ... SELECT from it, or RESTORE it',
  });
}
