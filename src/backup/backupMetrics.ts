/** Backup metrics: what backups read of the engine, and when one last failed for want of its KMS. */
import { MICROS_PER_SECOND } from '../base/duration.ts';
import type { Counter, MetricRegistry } from '../base/metrics.ts';
import type { Timestamp } from '../base/timestamp.ts';

export class BackupMetrics {
  #kmsInaccessibleAt: Timestamp | undefined;

  constructor(registry: MetricRegistry) {
    registry.gauge(
      {
        name: 'backup.last-failed-time.kms-inaccessible',
        help: 'When a backup with updates_cluster_monitoring_metrics last failed because its KMS was out of reach, in seconds since the epoch; 0: never',
      },
      () => (this.#kmsInaccessibleAt === undefined ? 0 : Math.floor(this.#kmsInaccessibleAt / MICROS_PER_SECOND)),
    );
    const read = engineReads(registry);
    registry.counterOf(
      { name: `${READS}.cached-bytes`, help: 'Of the bytes that backups read of the engine, those that were in memory: all' },
      () => read.value,
    );
  }

  /** A backup that asked for it (updates_cluster_monitoring_metrics) failed for want of its KMS. */
  noteKmsInaccessible(at: Timestamp): void {
    this.#kmsInaccessibleAt = at;
  }
}

const READS = 'storage.iterator.category-backup.block-load';

/** Counts bytes of keys and values. */
export function engineReads(registry: MetricRegistry): Counter {
  return registry.counter({ name: `${READS}.bytes`, help: 'Bytes of keys and values that backups read of the engine' });
}
