/**
 * Scheduled backups: what the layer of schedules and this one have to tell each other. A schedule plans its backups
 * here, in its owner's name, and each of its jobs hears it when a backup has succeeded, in the transaction that ends the job.
 */
import type { Timestamp } from '../base/timestamp.ts';
import type { Txn } from '../kv/kv.ts';
import type { StatementContext } from '../sql/exec/statement.ts';
import type { Backup } from '../sql/parse/ast.ts';

import type { BackupDetails, ScheduleLink } from './backupDetails.ts';

/** A backup that has succeeded, all its files confirmed. */
export interface ScheduledSuccess {
  readonly schedule: ScheduleLink;
  readonly jobId: number;
  readonly details: BackupDetails;
}

/** Hears of successes, inside the job's last transaction and before its protections are released in it. May run again after a 40001. */
export type OnScheduledSuccess = (txn: Txn, success: ScheduledSuccess) => Promise<void>;

export interface BackupToPlan {
  readonly stmt: Backup;
  /** In place of the statement's AS OF SYSTEM TIME. */
  readonly asOf?: Timestamp | undefined;
  readonly schedule?: ScheduleLink;
}

/**
 * Plans a backup in the name of the context's user, and gives `commit` what writes job and protections, to be called
 * in a transaction: not calling it is a dry run. Returns the job's id. Throws what BACKUP throws.
 */
export type PlanScheduledBackup = (
  context: StatementContext,
  backup: BackupToPlan,
  commit: (write: (txn: Txn) => Promise<void>) => Promise<void>,
) => Promise<number>;
