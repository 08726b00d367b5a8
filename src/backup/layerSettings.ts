/** What governs the writing of a layer, and what its job tells when it is done: of a backup, and of a compaction. */
import type { ClusterSettings } from '../catalog/settings.ts';

import type { EntryCounts } from './manifest.ts';

/** Present values of the cluster settings that govern backups. */
export interface BackupSettings {
  /** bulkio.backup.file_size. */
  fileSizeBytes(): number;
  /** bulkio.backup.checkpoint_interval. */
  checkpointIntervalMicros(): number;
}

export function layerSettings(settings: ClusterSettings): BackupSettings {
  return {
    fileSizeBytes: () => settings.number('bulkio.backup.file_size'),
    checkpointIntervalMicros: () => settings.number('bulkio.backup.checkpoint_interval'),
  };
}

/** What a succeeded job's record keeps for the waiting statement. */
export interface BackupResult extends EntryCounts {
  readonly [name: string]: number;
}
