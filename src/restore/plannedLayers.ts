/**
 * Planned layers: what planning has read of a backup, handed to the job that it made, so that the manifests of a long chain
 * are not read twice.
 *
 * Handed over once: a job that goes on after a pause, a failure or on another node reads them again, and finds them changed
 * if they are. Bounded, for a job may never begin.
 */
import type { JobId } from '../jobs/job.ts';

import type { Layer } from '../backup/manifest.ts';

/** Jobs that were planned and have not begun yet. */
const KEPT_MAX = 4;

export class PlannedLayers {
  readonly #byJob = new Map<JobId, readonly Layer[]>();

  keep(jobId: JobId, layers: readonly Layer[]): void {
    this.#byJob.set(jobId, layers);
    for (const oldest of this.#byJob.keys()) {
      if (this.#byJob.size <= KEPT_MAX) break;
      this.#byJob.delete(oldest);
    }
  }

  take(jobId: JobId): readonly Layer[] | undefined {
    const layers = this.#byJob.get(jobId);
    this.#byJob.delete(jobId);
    return layers;
  }
}
