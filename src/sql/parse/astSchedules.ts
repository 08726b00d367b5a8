/** The syntax tree of statements about backup schedules. See ast.ts for the rules every node follows. */
import type { Expr, Option, SelectStatement } from './astCore.ts';
import type { BackupTargets, UriList } from './astStatements.ts';

declare module './astCore.ts' {
  interface Statements {
    createSchedule: CreateSchedule;
    alterBackupSchedule: AlterBackupSchedule;
    showSchedules: ShowSchedules;
    showCreateSchedules: ShowCreateSchedules;
    controlSchedules: ControlSchedules;
  }
}

/** FULL BACKUP ALWAYS, or its own crontab. */
export type FullBackupClause = { readonly type: 'always' } | { readonly type: 'recurring'; readonly recurring: Expr };

/** CREATE SCHEDULE FOR BACKUP. */
export interface CreateSchedule {
  readonly kind: 'createSchedule';
  readonly ifNotExists: boolean;
  /** A string, a placeholder; a bare word is a string. */
  readonly label: Expr | undefined;
  readonly targets: BackupTargets;
  readonly into: UriList;
  /** Of the backup. */
  readonly options: readonly Option[];
  readonly recurring: Expr;
  readonly fullBackup: FullBackupClause | undefined;
  readonly scheduleOptions: readonly Option[];
  readonly pos: number;
}

export type AlterScheduleCommand =
  | { readonly type: 'setLabel'; readonly label: Expr; readonly pos: number }
  | { readonly type: 'setInto'; readonly into: UriList; readonly pos: number }
  | { readonly type: 'setWith'; readonly options: readonly Option[]; readonly pos: number }
  | { readonly type: 'setRecurring'; readonly recurring: Expr; readonly pos: number }
  | { readonly type: 'setFullBackup'; readonly fullBackup: FullBackupClause; readonly pos: number }
  | { readonly type: 'setOption'; readonly option: Option; readonly pos: number }
  | { readonly type: 'execute'; readonly full: boolean; readonly pos: number };

export interface AlterBackupSchedule {
  readonly kind: 'alterBackupSchedule';
  readonly schedule: Expr;
  /** Not empty. */
  readonly commands: readonly AlterScheduleCommand[];
  readonly pos: number;
}

/** SHOW SCHEDULES in its forms, and SHOW SCHEDULE id. */
export interface ShowSchedules {
  readonly kind: 'showSchedules';
  readonly which: 'all' | 'running' | 'paused';
  readonly purpose: 'backup' | 'sql statistics' | 'changefeed' | undefined;
  /** The only one. */
  readonly schedule: Expr | undefined;
  readonly pos: number;
}

/** SHOW CREATE SCHEDULE id, SHOW CREATE ALL SCHEDULES. */
export interface ShowCreateSchedules {
  readonly kind: 'showCreateSchedules';
  readonly schedule: Expr | undefined;
  readonly pos: number;
}

export interface ControlSchedules {
  readonly kind: 'controlSchedules';
  readonly command: 'pause' | 'resume' | 'drop' | 'execute';
  readonly schedules: { readonly type: 'id'; readonly id: Expr } | { readonly type: 'select'; readonly query: SelectStatement };
  readonly pos: number;
}
