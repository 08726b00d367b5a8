/** Layers whose files may lie in storage although no job of theirs has succeeded. */
import { type BackupDetails, detailsFromJson } from '../../src/backup/backupDetails.ts';
import { isTerminal } from '../../src/jobs/jobMachine.ts';
import { FILES_ARE_LEFT, type Jobs } from './jobs.ts';

/** Layers of which files may be there although no job of theirs has succeeded: of one under way, or a revert that storage hindered. */
export function unfinishedLayers(jobs: Jobs): BackupDetails[] {
  const layers: BackupDetails[] = [];
  for (const { record } of jobs.watched.values()) {
    if (record.type !== 'BACKUP') continue;
    const isHindered = record.runningStatus?.startsWith(FILES_ARE_LEFT) || record.status === 'revert-failed';
    if (!isTerminal(record.status) || isHindered) layers.push(detailsFromJson(record.details));
  }
  return layers;
}
