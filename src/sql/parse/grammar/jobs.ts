/** SHOW JOBS, PAUSE, RESUME and CANCEL of jobs; CANCEL of queries and sessions. */
import type { ControlJobs, Expr, JobSelection, Option, SelectStatement, Statement } from '../ast.ts';
import { T, type TokenType } from '../tokens.ts';
import { FamilyParser } from './base.ts';
import { atQuery } from './primary.ts';

export class JobsParser extends FamilyParser {
  readonly statement = this.rule('jobs', (): Statement => {
    const pos = this.pos;
    return this.choose<Statement>([
      [[T.SHOW, T.JOBS], () => this.showJobs(pos)],
      [[T.SHOW, T.JOB], () => this.showJob(pos)],
      [[T.SHOW, T.AUTOMATIC, T.JOBS], () => this.show({ type: 'automatic' }, pos)],
      [T.PAUSE, () => this.control('pause', pos)],
      [T.RESUME, () => this.control('resume', pos)],
      [T.CANCEL, () => this.cancel(pos)],
    ]);
  });

  // ---- SHOW ---------------------------------------------------------------------------------------

  private show(jobs: JobSelection, pos: number, whenComplete = false, single = false): Statement {
    return { kind: 'showJobs', jobs, single, whenComplete, options: this.options(), pos };
  }

  private showJobs(pos: number): Statement {
    const whenComplete = this.whenComplete();
    return this.show(this.forSchedules() ?? this.optionalQuery() ?? { type: 'all' }, pos, whenComplete);
  }

  private showJob(pos: number): Statement {
    const whenComplete = this.whenComplete();
    return this.show({ type: 'ids', ids: [this.expr()] }, pos, whenComplete, true);
  }

  private whenComplete(): boolean {
    return this.when([T.WHEN, T.COMPLETE], () => true) ?? false;
  }

  /** FOR SCHEDULE id, FOR SCHEDULES query. */
  private forSchedules(): JobSelection | undefined {
    return this.when(T.FOR, () =>
      this.choose<JobSelection>([
        [T.SCHEDULE, () => ({ type: 'schedule', schedule: this.expr() })],
        [T.SCHEDULES, () => ({ type: 'schedules', query: this.query() })],
      ]),
    );
  }

  private optionalQuery(): JobSelection | undefined {
    if (this.recorder !== undefined) {
      this.recorder.optional(() => this.query());
      return undefined;
    }
    if (this.atOptions()) return undefined;
    return atQuery(this.c) || this.c.at(T.LParen) ? { type: 'select', query: this.query() } : undefined;
  }

  /** WITH begins a query too. */
  private atOptions(): boolean {
    const { c } = this;
    const isOption = (first: TokenType, second: TokenType) => c.atAt(1, first) && c.atAt(2, second);
    return c.at(T.WITH) && (isOption(T.EXECUTION, T.DETAILS) || isOption(T.RESOLVED, T.TIMESTAMP));
  }

  /** WITH EXECUTION DETAILS, RESOLVED TIMESTAMP. */
  private options(): Option[] {
    return (
      this.when(T.WITH, () =>
        this.list((): Option => {
          const pos = this.pos;
          return this.choose<Option>([
            [[T.EXECUTION, T.DETAILS], () => ({ name: 'execution details', value: undefined, pos })],
            [[T.RESOLVED, T.TIMESTAMP], () => ({ name: 'resolved timestamp', value: undefined, pos })],
          ]);
        }),
      ) ?? []
    );
  }

  // ---- PAUSE, RESUME, CANCEL ----------------------------------------------------------------------

  private control(command: ControlJobs['command'], pos: number): Statement {
    const jobs = this.choose<JobSelection>([
      [T.JOB, () => oneJob(this.expr())],
      [T.JOBS, () => this.forSchedules() ?? { type: 'select', query: this.query() }],
      [T.ALL, () => this.allOfType()],
    ]);
    const reason =
      command === 'pause'
        ? this.when([T.WITH, T.REASON], () => {
            this.tok(T.Equal);
            return this.expr();
          })
        : undefined;
    return { kind: 'controlJobs', command, jobs, reason, pos };
  }

  private allOfType(): JobSelection {
    const jobType = this.label().text;
    if (this.recorder === undefined && !['backup', 'restore', 'import', 'changefeed'].includes(jobType))
      throw this.c.error(this.c.peek(-1));
    this.tok(T.JOBS);
    return { type: 'allOfType', jobType };
  }

  private cancel(pos: number): Statement {
    const sessions = (kind: 'cancelQuery' | 'cancelSession', many: boolean) => (): Statement => {
      const ifExists = this.words(T.IF, T.EXISTS);
      const ids: Expr | SelectStatement = many ? this.query() : this.expr();
      return { kind, ifExists, ids, pos };
    };
    return this.choose<Statement>(
      [
        [T.QUERY, sessions('cancelQuery', false)],
        [T.QUERIES, sessions('cancelQuery', true)],
        [T.SESSION, sessions('cancelSession', false)],
        [T.SESSIONS, sessions('cancelSession', true)],
      ],
      () => this.control('cancel', pos),
    );
  }
}

/** A subquery in the place of an id is a query of one row: none is no job, several are an error. */
function oneJob(id: Expr): JobSelection {
  if (id.kind !== 'subquery') return { type: 'ids', ids: [id] };
  const { pos } = id;
  const body = { kind: 'values', rows: [[id]], pos } as const;
  return {
    type: 'select',
    query: { kind: 'select', with: undefined, body, orderBy: [], limit: undefined, offset: undefined, locking: [], pos },
  };
}
