/**
 * JobHandle: a backup or restore as a program holds it.
 */
import type { JobRecord } from '../jobs/job.ts';
import { isTerminal, type JobStatus } from '../jobs/jobMachine.ts';
import { systemJobTable } from '../jobs/jobTable.ts';
import { requireSucceeded, unknownJob } from '../jobs/registry.ts';
import type { Database } from './database.ts';

export interface JobProgress {
  readonly status: JobStatus;
  /** 0 to 1: the share of the work that is done. */
  readonly fraction: number;
}

export class JobHandle {
  readonly id: number;
  readonly #database: Database;

  constructor(database: Database, id: number) {
    this.#database = database;
    this.id = id;
  }

  /** The job's record now. */
  async record(): Promise<JobRecord | undefined> {
    return await this.#database.jobs.get(this.id);
  }

  /** Resolves when the job has succeeded; throws why it failed, or 57014 when it was canceled. A paused job is waited for. */
  async wait(): Promise<JobRecord> {
    return requireSucceeded(await this.#database.jobs.wait(this.id, { throughPauses: true }));
  }

  pause(reason?: string): Promise<void> {
    return this.#database.jobs.pause(this.id, reason);
  }

  resume(): Promise<void> {
    return this.#database.jobs.resume(this.id);
  }

  cancel(): Promise<void> {
    return this.#database.jobs.cancel(this.id);
  }

  /**
   * Each change of status or progress, from now to the end; wakes by commits, never by polling.
   * Throws 42704 for a job that does not exist, 57P01 when the database closes before the end.
   */
  async *progress(): AsyncGenerator<JobProgress> {
    let wake: () => void = () => {};
    let isDue = true;
    const { closing } = this.#database;
    const onClosing = () => wake();
    closing.addEventListener('abort', onClosing, { once: true });
    const stop = this.#database.kv.addCommitHook(systemJobTable.span, {
      apply: (writes) => {
        if (!writes.keys.some((key) => systemJobTable.idOfKey(key) === this.id)) return;
        isDue = true;
        wake();
      },
    });
    try {
      let last = '';
      for (;;) {
        closing.throwIfAborted();
        if (!isDue) {
          await new Promise<void>((resolve) => (wake = resolve));
          closing.throwIfAborted();
        }
        isDue = false;
        const record = await this.record();
        if (!record) throw unknownJob(this.id);
        const progress = { status: record.status, fraction: record.fractionCompleted };
        const text = JSON.stringify(progress);
        if (text !== last) yield progress;
        last = text;
        if (isTerminal(record.status)) return;
      }
    } finally {
      closing.removeEventListener('abort', onClosing);
      stop();
    }
  }
}
