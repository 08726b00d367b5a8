/** Statements about backup schedules as SQL text. */
import type {
  AlterBackupSchedule,
  AlterScheduleCommand,
  ControlSchedules,
  CreateSchedule,
  FullBackupClause,
  Option,
  ShowCreateSchedules,
  ShowSchedules,
} from '../ast.ts';
import { targets, uris, withOptions } from './backupParts.ts';
import { printExpr } from './expr.ts';
import type { PrintOptions } from './options.ts';
import { printSelect } from './query.ts';

type SchedulesStatement = CreateSchedule | AlterBackupSchedule | ShowSchedules | ShowCreateSchedules | ControlSchedules;

export function printSchedules(s: SchedulesStatement, o: PrintOptions): string {
  switch (s.kind) {
    case 'createSchedule': {
      const label = s.label === undefined ? '' : ` ${printExpr(s.label, o)}`;
      const begin = `CREATE SCHEDULE${s.ifNotExists ? ' IF NOT EXISTS' : ''}${label} FOR BACKUP${targets(s.targets)}`;
      const full = s.fullBackup === undefined ? '' : ` ${fullBackup(s.fullBackup, o)}`;
      const options =
        s.scheduleOptions.length === 0 ? '' : ` WITH SCHEDULE OPTIONS ${s.scheduleOptions.map((one) => option(one, o)).join(', ')}`;
      return `${begin} INTO ${uris(s.into, o)}${withOptions(s.options, o)} RECURRING ${printExpr(s.recurring, o)}${full}${options}`;
    }
    case 'alterBackupSchedule':
      return `ALTER BACKUP SCHEDULE ${printExpr(s.schedule, o)} ${s.commands.map((one) => command(one, o)).join(', ')}`;
    case 'showSchedules': {
      if (s.schedule !== undefined) return `SHOW SCHEDULE ${printExpr(s.schedule, o)}`;
      const which = s.which === 'all' ? '' : `${s.which.toUpperCase()} `;
      return `SHOW ${which}SCHEDULES${s.purpose === undefined ? '' : ` FOR ${s.purpose.toUpperCase()}`}`;
    }
    case 'showCreateSchedules':
      return s.schedule === undefined ? 'SHOW CREATE ALL SCHEDULES' : `SHOW CREATE SCHEDULE ${printExpr(s.schedule, o)}`;
    case 'controlSchedules': {
      const { schedules } = s;
      const which = schedules.type === 'id' ? `SCHEDULE ${printExpr(schedules.id, o)}` : `SCHEDULES ${printSelect(schedules.query, o)}`;
      return `${s.command.toUpperCase()} ${which}`;
    }
  }
}

function command(c: AlterScheduleCommand, o: PrintOptions): string {
  switch (c.type) {
    case 'setLabel':
      return `SET LABEL ${printExpr(c.label, o)}`;
    case 'setInto':
      return `SET INTO ${uris(c.into, o)}`;
    case 'setWith': {
      const options = withOptions(c.options, o).trimStart();
      return c.options.length === 1 ? `SET ${options}` : `SET ${options.replace(/^WITH /, 'WITH OPTIONS (')})`;
    }
    case 'setRecurring':
      return `SET RECURRING ${printExpr(c.recurring, o)}`;
    case 'setFullBackup':
      return `SET ${fullBackup(c.fullBackup, o)}`;
    case 'setOption':
      return `SET SCHEDULE OPTION ${option(c.option, o)}`;
    case 'execute':
      return c.full ? 'EXECUTE FULL IMMEDIATELY' : 'EXECUTE IMMEDIATELY';
  }
}

function fullBackup(clause: FullBackupClause, o: PrintOptions): string {
  return clause.type === 'always' ? 'FULL BACKUP ALWAYS' : `FULL BACKUP ${printExpr(clause.recurring, o)}`;
}

function option({ name, value }: Option, o: PrintOptions): string {
  return value === undefined ? name : `${name} = ${printExpr(value, o)}`;
}
