/**
 * ProtectedTimestamps: the in-memory index of the records that hold thresholds down.
 *
 * The records' truth is a system table (catalog); a commit hook keeps this index equal to it inside
 * the commit step. Thresholds are computed from this index, so raising one and adding a record are
 * synchronous steps over the same data and can never pass each other.
 *
 *   P1  a record that was added with ts above its targets' thresholds keeps ts readable until removed
 *   P2  the oldest record that covers a table is the one that counts
 *   P3  a record of a job or schedule does not hold tables whose data is excluded from backups
 *
 * Lives elsewhere: the check of P1's condition (gcController.ts verify), the rows (catalog).
 * Source: CockroachDB's public design of protected timestamps (ideas only).
 */
import type { Timestamp } from '../base/timestamp.ts';
import type { TableConfig } from './spanConfigs.ts';

export type ProtectionTarget =
  | { readonly kind: 'cluster' }
  /** Tables or objects that contain tables; children added later are covered too. */
  | { readonly kind: 'objects'; readonly ids: readonly number[] };

export interface ProtectionRecord {
  /** UUID text, lower case. */
  readonly id: string;
  /** Everything at and after this time stays readable. */
  readonly ts: Timestamp;
  /** 'jobs', 'schedules', or 'user' for what a person holds. */
  readonly metaType: string;
  /** Job or schedule id, or a user's note. */
  readonly meta: string;
  readonly target: ProtectionTarget;
}

export class ProtectedTimestamps {
  readonly #records = new Map<string, ProtectionRecord>();
  readonly #listeners = new Set<() => void>();
  readonly #listenersBefore = new Set<() => void>();
  #version = 0;

  /** Grows with every change. */
  get version(): number {
    return this.#version;
  }

  get size(): number {
    return this.#records.size;
  }

  get(id: string): ProtectionRecord | undefined {
    return this.#records.get(id);
  }

  /** Every record, oldest protected time first. */
  list(): ProtectionRecord[] {
    return [...this.#records.values()].sort((a, b) => a.ts - b.ts || (a.id < b.id ? -1 : 1));
  }

  /** Adds or replaces. Verify against thresholds first (GcController.verifyProtection): this does not. */
  put(record: ProtectionRecord): void {
    for (const listener of this.#listenersBefore) listener();
    this.#records.set(record.id, record);
    this.#changed();
  }

  /** False when there was none. */
  remove(id: string): boolean {
    if (!this.#records.has(id)) return false;
    for (const listener of this.#listenersBefore) listener();
    this.#records.delete(id);
    this.#changed();
    return true;
  }

  /** The record with the oldest time among those that cover the table; undefined when none does. */
  oldestCovering(tableId: number, config: TableConfig): ProtectionRecord | undefined {
    let oldest: ProtectionRecord | undefined;
    for (const record of this.#records.values()) {
      if (oldest !== undefined && record.ts >= oldest.ts) continue;
      if (covers(record, tableId, config)) oldest = record;
    }
    return oldest;
  }

  /** The record with the oldest time of all: what holds the catalog's history. */
  oldest(): ProtectionRecord | undefined {
    let oldest: ProtectionRecord | undefined;
    for (const record of this.#records.values()) if (oldest === undefined || record.ts < oldest.ts) oldest = record;
    return oldest;
  }

  /** Called before each change, synchronously. Returns the function that removes it. */
  onBeforeChange(listener: () => void): () => void {
    this.#listenersBefore.add(listener);
    return () => this.#listenersBefore.delete(listener);
  }

  /** Called after each change, synchronously. Returns the function that removes it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** An equal index without listeners, for a fork. */
  copy(): ProtectedTimestamps {
    const copy = new ProtectedTimestamps();
    for (const record of this.#records.values()) copy.#records.set(record.id, record);
    return copy;
  }

  #changed(): void {
    this.#version++;
    for (const listener of this.#listeners) listener();
  }
}

/** Records that hold history for backups only. */
const FOR_BACKUPS: ReadonlySet<string> = new Set(['jobs', 'schedules']);

/** Whether a record holds a table's history. */
export function covers(record: ProtectionRecord, tableId: number, config: TableConfig): boolean {
  if (config.excludeFromBackup && FOR_BACKUPS.has(record.metaType)) return false;
  if (record.target.kind === 'cluster') return true;
  return record.target.ids.some((id) => id === tableId || config.ancestors.includes(id));
}
