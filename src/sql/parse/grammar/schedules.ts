/** CREATE SCHEDULE FOR BACKUP, ALTER BACKUP SCHEDULE, SHOW SCHEDULES, and PAUSE, RESUME, DROP and EXECUTE of schedules. */
import type {
  AlterBackupSchedule,
  AlterScheduleCommand,
  ControlSchedules,
  CreateSchedule,
  Expr,
  FullBackupClause,
  Option,
  ShowSchedules,
  Statement,
} from '../ast.ts';
import { T } from '../tokens.ts';
import { BackupPartsParser } from './backupParts.ts';
import { parseExpr } from './expressions.ts';

export class SchedulesParser extends BackupPartsParser {
  readonly statement = this.rule('schedules', (): Statement => {
    const pos = this.pos;
    return this.choose<Statement>([
      [[T.CREATE, T.SCHEDULE], () => this.createSchedule(pos)],
      [[T.ALTER, T.BACKUP, T.SCHEDULE], () => this.alterSchedule(pos)],
      [[T.SHOW, T.SCHEDULES], () => this.showSchedules('all', pos)],
      [[T.SHOW, T.RUNNING, T.SCHEDULES], () => this.showSchedules('running', pos)],
      [[T.SHOW, T.PAUSED, T.SCHEDULES], () => this.showSchedules('paused', pos)],
      [[T.SHOW, T.SCHEDULE], () => ({ kind: 'showSchedules', which: 'all', purpose: undefined, schedule: this.expr(), pos })],
      [[T.SHOW, T.CREATE, T.SCHEDULE], () => ({ kind: 'showCreateSchedules', schedule: this.expr(), pos })],
      [[T.SHOW, T.CREATE, T.ALL, T.SCHEDULES], () => ({ kind: 'showCreateSchedules', schedule: undefined, pos })],
      [T.PAUSE, () => this.control('pause', pos)],
      [T.RESUME, () => this.control('resume', pos)],
      [T.DROP, () => this.control('drop', pos)],
      [T.EXECUTE, () => this.control('execute', pos)],
    ]);
  });

  // ---- CREATE -------------------------------------------------------------------------------------

  private createSchedule(pos: number): CreateSchedule {
    const ifNotExists = this.words(T.IF, T.NOT, T.EXISTS);
    const label = this.choose<Expr | undefined>([[T.FOR, () => undefined]], () => {
      const text = this.text();
      this.tok(T.FOR);
      return text;
    });
    this.choose<void>([
      [T.BACKUP, () => {}],
      [T.CHANGEFEED, () => this.refuse('CREATE SCHEDULE FOR CHANGEFEED')],
    ]);
    const targets = this.targets([T.INTO]);
    if (targets.type === 'systemUsers' && this.recorder === undefined) throw this.c.error(this.c.peek(-1));
    this.tok(T.INTO);
    const into = this.uris();
    const options = this.options();
    this.tok(T.RECURRING);
    const recurring = this.text();
    const fullBackup = this.when([T.FULL, T.BACKUP], () => this.fullBackup());
    const scheduleOptions = this.when([T.WITH, T.SCHEDULE, T.OPTIONS], () => this.scheduleOptions()) ?? [];
    return { kind: 'createSchedule', ifNotExists, label, targets, into, options, recurring, fullBackup, scheduleOptions, pos };
  }

  private fullBackup(): FullBackupClause {
    return this.choose<FullBackupClause>([[T.ALWAYS, () => ({ type: 'always' })]], () => ({ type: 'recurring', recurring: this.text() }));
  }

  private scheduleOptions(): Option[] {
    return this.choose<Option[]>(
      [
        [
          T.LParen,
          () => {
            const options = this.list(() => this.scheduleOption());
            this.tok(T.RParen);
            return options;
          },
        ],
      ],
      () => this.list(() => this.scheduleOption()),
    );
  }

  private readonly scheduleOption = this.rule('scheduleOption', (): Option => {
    const pos = this.pos;
    const name = this.label().text.toLowerCase();
    return { name, value: this.when(T.Equal, () => this.expr()), pos };
  });

  /** A string, a placeholder, or a name, which stands for a string. */
  private text(): Expr {
    if (this.recorder !== undefined) return this.expr();
    const { c } = this;
    if (c.at(T.String) || c.at(T.Placeholder)) return parseExpr(c, 19);
    const { text, pos } = c.name();
    return { kind: 'string', value: text, pos };
  }

  // ---- ALTER --------------------------------------------------------------------------------------

  private alterSchedule(pos: number): AlterBackupSchedule {
    const schedule = this.expr();
    return { kind: 'alterBackupSchedule', schedule, commands: this.list(() => this.command()), pos };
  }

  private readonly command = this.rule('alterScheduleCommand', (): AlterScheduleCommand => {
    const pos = this.pos;
    return this.choose<AlterScheduleCommand>([
      [[T.SET, T.LABEL], () => ({ type: 'setLabel', label: this.text(), pos })],
      [[T.SET, T.INTO], () => ({ type: 'setInto', into: this.uris(), pos })],
      [[T.SET, T.WITH, T.OPTIONS], () => ({ type: 'setWith', options: this.parens(() => this.list(() => this.option())), pos })],
      // One option: a comma begins the next command.
      [[T.SET, T.WITH], () => ({ type: 'setWith', options: [this.option()], pos })],
      [[T.SET, T.RECURRING], () => ({ type: 'setRecurring', recurring: this.text(), pos })],
      [[T.SET, T.FULL, T.BACKUP], () => ({ type: 'setFullBackup', fullBackup: this.fullBackup(), pos })],
      [[T.SET, T.SCHEDULE, T.OPTION], () => ({ type: 'setOption', option: this.scheduleOption(), pos })],
      [[T.EXECUTE, T.IMMEDIATELY], () => ({ type: 'execute', full: false, pos })],
      [[T.EXECUTE, T.FULL, T.IMMEDIATELY], () => ({ type: 'execute', full: true, pos })],
    ]);
  });

  // ---- SHOW and control ---------------------------------------------------------------------------

  private showSchedules(which: ShowSchedules['which'], pos: number): ShowSchedules {
    const purpose = this.when(T.FOR, () =>
      this.choose<ShowSchedules['purpose']>([
        [T.BACKUP, () => 'backup'],
        [T.CHANGEFEED, () => 'changefeed'],
        [T.Identifier, () => this.sqlStatistics()],
      ]),
    );
    return { kind: 'showSchedules', which, purpose, schedule: undefined, pos };
  }

  /** SQL is no keyword: it means something only here. */
  private sqlStatistics(): ShowSchedules['purpose'] {
    if (this.recorder === undefined && this.c.peek(-1).image !== 'sql') throw this.c.error(this.c.peek(-1));
    this.tok(T.STATISTICS);
    return 'sql statistics';
  }

  private control(command: ControlSchedules['command'], pos: number): ControlSchedules {
    const schedules = this.choose<ControlSchedules['schedules']>([
      [T.SCHEDULE, () => ({ type: 'id', id: this.expr() })],
      [T.SCHEDULES, () => ({ type: 'select', query: this.query() })],
    ]);
    return { kind: 'controlSchedules', command, schedules, pos };
  }
}
