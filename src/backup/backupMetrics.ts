/** Backup metrics: what /_status/vars tells of backups that no table holds. */
import type { Timestamp } from '../base/timestamp.ts';

export class BackupMetrics {
  #kmsInaccessibleAt: Timestamp | undefined;

  /** When a backup that asked for it (updates_cluster_monitoring_metrics) last failed for want of its KMS. */
  get kmsInaccessibleAt(): Timestamp | undefined {
    return this.#kmsInaccessibleAt;
  }

  noteKmsInaccessible(at: Timestamp): void {
    this.#kmsInaccessibleAt = at;
  }
}
