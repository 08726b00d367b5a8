/**
 * Read mark: while a restore reads a chain, a small file beside the full says so to the clusters that could delete the chain.
 *
 *   <full>/BACKUP-READ-<jobId>-<clusterId>      content as of a lock
 *
 *   R1  best effort: a restore never fails for its mark. A place that may only be read (object lock, a read-only bucket or
 *       folder) is restored from without one, and nobody can delete there either, or not before the lock's time has passed
 *   R2  it is written before the first file is read, again by whoever goes on with the job, and when it has become old (holders.ts);
 *       it goes when everything has been read, or when the restore is undone. What a killed process leaves lapses
 *   R3  a deletion marks the chain first and looks for readers then. A restore that begins after that look finds files missing and
 *       says which: it waits for no deletion, for its mark may be a dead one's
 */
import type { Clock } from '../base/clock.ts';
import { letGo } from '../base/errors.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { isRetryableJobError } from '../jobs/job.ts';

import type { CollectionStorage } from './collectionStorage.ts';
import { type Claimant, claimOf, READ_MARK, RENEW_MICROS } from './holders.ts';

export class ReadMark {
  readonly #full: string;
  readonly #reader: Omit<Claimant, 'now'>;
  readonly #clock: Clock;
  #writtenAt: number | undefined;

  constructor(full: string, reader: Omit<Claimant, 'now'>, clock: Clock) {
    this.#full = full;
    this.#reader = reader;
    this.#clock = clock;
  }

  /** To be called before the first read and now and then: writes the mark when it is not there or has become old. */
  async keep(storage: CollectionStorage, signal?: AbortSignal): Promise<void> {
    const now = this.#clock.nowMicros() as Timestamp;
    // Layers that the older statements name by their URIs are no collection: nothing there expires.
    if (!storage.isCollection || (this.#writtenAt !== undefined && now - this.#writtenAt < RENEW_MICROS)) return;
    this.#writtenAt = now;
    await storage.write(this.#name(), claimOf({ ...this.#reader, now }), { signal }).catch((error: unknown) => {
      signal?.throwIfAborted();
      letGo(error);
    });
  }

  /** What cannot be deleted lapses; `mayTryAgain`: errors that pass are thrown. */
  async remove(storage: CollectionStorage, mayTryAgain = false): Promise<void> {
    if (!storage.isCollection || !storage.capabilities.delete) return;
    await storage.delete(this.#name()).catch((error: unknown) => {
      if (mayTryAgain && isRetryableJobError(error)) throw error;
      letGo(error);
    });
  }

  #name(): string {
    const { clusterId, jobId } = this.#reader;
    return `${this.#full}/${READ_MARK}${jobId}-${clusterId}`;
  }
}
