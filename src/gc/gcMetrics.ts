/**
 * GcMetrics: what garbage collection counts. Its queue's unit is the history of one index, which a run
 * walks from the oldest change on; CockroachDB's is a range.
 */
import { NANOS_PER_MICRO } from '../base/duration.ts';
import type { Counter, MetricRegistry } from '../base/metrics.ts';

export class GcMetrics {
  readonly collected: Counter;
  readonly #failed: Counter;
  readonly #nanos: Counter;
  readonly #removedVersions: Counter;
  readonly #removedBytes: Counter;

  /** `pending`: how many indexes hold garbage that time alone will free. */
  constructor(registry: MetricRegistry, pending: () => number) {
    registry.gauge({ name: 'queue.gc.pending', help: 'Indexes with garbage that nothing but its TTL holds' }, pending);
    this.collected = registry.counter({ name: 'queue.gc.process.success', help: 'Indexes whose garbage was collected' });
    this.#failed = registry.counter({ name: 'queue.gc.process.failure', help: 'Indexes whose garbage could not be collected' });
    this.#nanos = registry.counter({ name: 'queue.gc.processingnanos', help: 'Nanoseconds from the begin to the end of collections' });
    this.#removedVersions = registry.counter({ name: 'varve.gc.removed_versions', help: 'Versions of rows that were collected' });
    this.#removedBytes = registry.counter({ name: 'varve.gc.removed_bytes', help: 'Bytes of the versions that were collected' });
  }

  /** Counts what throws. */
  failing<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      this.#failed.add();
      throw error;
    }
  }

  noteRun(removedVersions: number, removedBytes: number, micros: number): void {
    this.#removedVersions.add(removedVersions);
    this.#removedBytes.add(removedBytes);
    this.#nanos.add(Math.max(0, micros) * NANOS_PER_MICRO);
  }
}
