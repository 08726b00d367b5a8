/**
 * Families: which parser takes a statement, by its first words. Each parser is built when its family
 * is first met and kept; all share one cursor, so any of them can call for a query, an expression or
 * a statement of another family in the middle of its own.
 */
import type { Expr, OrderItem, SelectStatement, Statement } from '../ast.ts';
import { T, type TokenType } from '../tokens.ts';
import { AccessParser } from './access.ts';
import { AlterParser } from './alter.ts';
import { BackupParser } from './backup.ts';
import type { FamilyParser } from './base.ts';
import { ConnectionsParser } from './connections.ts';
import { CreateParser } from './create.ts';
import { Cursor, type NestedParsers } from './cursor.ts';
import { DmlParser } from './dml.ts';
import { DropParser } from './drop.ts';
import { parseExpr } from './expressions.ts';
import { FunctionsParser } from './functions.ts';
import { JobsParser } from './jobs.ts';
import { SchedulesParser } from './schedules.ts';
import { SessionParser } from './session.ts';
import { ShowParser } from './show.ts';
import { SqlCursorsParser } from './sqlCursors.ts';

const builders = {
  dml: (c: Cursor) => new DmlParser(c),
  create: (c: Cursor) => new CreateParser(c),
  alter: (c: Cursor) => new AlterParser(c),
  drop: (c: Cursor) => new DropParser(c),
  access: (c: Cursor) => new AccessParser(c),
  session: (c: Cursor) => new SessionParser(c),
  show: (c: Cursor) => new ShowParser(c),
  jobs: (c: Cursor) => new JobsParser(c),
  backup: (c: Cursor) => new BackupParser(c),
  schedules: (c: Cursor) => new SchedulesParser(c),
  functions: (c: Cursor) => new FunctionsParser(c),
  connections: (c: Cursor) => new ConnectionsParser(c),
  cursors: (c: Cursor) => new SqlCursorsParser(c),
} satisfies Record<string, (c: Cursor) => FamilyParser>;

export type Family = keyof typeof builders;
export const families = Object.keys(builders) as Family[];

/** Family by the first token; a function where the second decides. */
const byFirstWord = new Map<TokenType, Family | ((c: Cursor) => Family)>();
function starts(family: Family | ((c: Cursor) => Family), ...types: TokenType[]): void {
  for (const type of types) byFirstWord.set(type, family);
}
const isRole = (c: Cursor): boolean => c.atAt(1, T.USER) || c.atAt(1, T.ROLE);
const isFunction = (c: Cursor): boolean => c.atAt(1, T.FUNCTION);
const isConnection = (c: Cursor, at = 1): boolean =>
  c.atAt(at, T.EXTERNAL) && (c.atAt(at + 1, T.CONNECTION) || c.atAt(at + 1, T.CONNECTIONS));
starts('dml', T.SELECT, T.VALUES, T.TABLE, T.WITH, T.LParen, T.INSERT, T.UPSERT, T.UPDATE);
starts((c) => (c.atAt(1, T.BACKUP) ? 'backup' : 'dml'), T.DELETE);
const isSchedules = (c: Cursor): boolean => c.atAt(1, T.SCHEDULE) || c.atAt(1, T.SCHEDULES);
starts('connections', T.CHECK);
starts((c) => {
  if (isConnection(c)) return 'connections';
  if (isFunction(c) || (c.atAt(1, T.OR) && c.atAt(3, T.FUNCTION))) return 'functions';
  return isRole(c) ? 'access' : c.atAt(1, T.SCHEDULE) ? 'schedules' : 'create';
}, T.CREATE);
starts((c) => {
  if (isConnection(c)) return 'connections';
  if (isFunction(c)) return 'functions';
  if (c.atAt(1, T.BACKUP)) return c.atAt(2, T.SCHEDULE) ? 'schedules' : 'backup';
  return isRole(c) || (c.atAt(1, T.DEFAULT) && c.atAt(2, T.PRIVILEGES)) ? 'access' : 'alter';
}, T.ALTER);
starts((c) => {
  if (isConnection(c)) return 'connections';
  if (isSchedules(c)) return 'schedules';
  if (isFunction(c)) return 'functions';
  return isRole(c) || (c.atAt(1, T.OWNED) && c.atAt(2, T.BY)) ? 'access' : 'drop';
}, T.DROP);
starts('drop', T.TRUNCATE, T.COMMENT, T.REFRESH);
starts('access', T.GRANT, T.REVOKE, T.REASSIGN);
starts('session', T.BEGIN, T.START, T.COMMIT, T.END, T.ABORT, T.ROLLBACK, T.SAVEPOINT, T.RELEASE, T.SET, T.RESET, T.USE);
starts('session', T.PREPARE, T.DEALLOCATE, T.EXPLAIN, T.ANALYZE, T.ANALYSE, T.DISCARD, T.COPY, T.UNLISTEN);
starts('cursors', T.DECLARE, T.FETCH, T.MOVE, T.CLOSE);
// EXECUTE schedule runs a prepared statement of that name.
starts(
  (c) => (c.atAt(1, T.SCHEDULE) && !c.atAt(2, T.EOF) && !c.atAt(2, T.Semicolon) && !c.atAt(2, T.LParen) ? 'schedules' : 'session'),
  T.EXECUTE,
);
starts((c) => (isSchedules(c) ? 'schedules' : 'jobs'), T.PAUSE, T.RESUME);
starts('jobs', T.CANCEL);
starts('backup', T.BACKUP, T.RESTORE, T.EXPORT, T.IMPORT, T.VERIFY, T.ATTACH, T.DETACH, T.COMPACT, T.EXPIRE);
starts((c) => {
  if (isConnection(c) || (c.atAt(1, T.BACKUP) && c.atAt(2, T.CONNECTION))) return 'connections';
  if (c.atAt(1, T.CREATE) && (isConnection(c, 2) || (c.atAt(2, T.ALL) && isConnection(c, 3)))) return 'connections';
  if (c.atAt(1, T.BACKUP) || c.atAt(1, T.BACKUPS) || (c.atAt(1, T.ATTACHED) && c.atAt(2, T.BACKUPS))) return 'backup';
  if (isSchedules(c) || isShownSchedules(c)) return 'schedules';
  return c.atAt(1, T.JOB) || c.atAt(1, T.JOBS) || c.atAt(1, T.AUTOMATIC) ? 'jobs' : 'show';
}, T.SHOW);

/** SHOW CREATE SCHEDULE, SHOW CREATE ALL SCHEDULES, SHOW RUNNING SCHEDULES, SHOW PAUSED SCHEDULES. */
function isShownSchedules(c: Cursor): boolean {
  if (c.atAt(1, T.CREATE)) return c.atAt(2, T.SCHEDULE) || (c.atAt(2, T.ALL) && c.atAt(3, T.SCHEDULES));
  return (c.atAt(1, T.RUNNING) || c.atAt(1, T.PAUSED)) && c.atAt(2, T.SCHEDULES);
}

/** The words a statement can begin with. */
export const firstWords: readonly string[] = [...byFirstWord.keys()]
  .map((type) => type.label)
  .filter((label) => /^[A-Z]/.test(label))
  .sort();

/** First words of PostgreSQL's statements that clients send, and that are no mistake of spelling. */
const NOT_SUPPORTED: ReadonlyMap<string, readonly [what: string, hint: string]> = new Map(
  [...['listen', 'notify'].map((word) => [word, 'there are no notifications: ask for changes in a query'] as const)].map(([word, hint]) => [
    word,
    [word.toUpperCase(), hint],
  ]),
);

/** First words whose second word is part of what the statement is called. */
const twoWords = new Set<TokenType>([T.CREATE, T.ALTER, T.DROP, T.SHOW]);

export class Grammar implements NestedParsers {
  readonly cursor: Cursor = new Cursor(this);
  private readonly parsers = new Map<Family, FamilyParser>();

  parser(family: Family): FamilyParser {
    let parser = this.parsers.get(family);
    if (parser === undefined) {
      parser = builders[family](this.cursor);
      this.parsers.set(family, parser);
    }
    return parser;
  }

  private get dml(): DmlParser {
    return this.parser('dml') as DmlParser;
  }

  /** A statement that is not nested in another: its words become the hint of an error. */
  topLevelStatement(): Statement {
    const { cursor } = this;
    const first = cursor.token.type;
    if (byFirstWord.has(first) && first !== T.LParen) {
      const second = cursor.peek(1);
      const named = twoWords.has(first) && /^[a-z]+$/.test(second.image) && second.type !== T.Identifier && second.type !== T.String;
      cursor.help = named ? `${first.label} ${second.type.label}` : first.label;
    } else {
      cursor.help = undefined;
    }
    cursor.depth = 0;
    return this.statement();
  }

  statement(): Statement {
    const { cursor } = this;
    const found = byFirstWord.get(cursor.token.type);
    if (found === undefined) {
      const [what, hint] = NOT_SUPPORTED.get(cursor.token.image) ?? [];
      throw what ? cursor.unimplemented(`${what} is not supported`, cursor.token, hint) : cursor.error();
    }
    cursor.enter();
    const statement = this.parser(typeof found === 'function' ? found(cursor) : found).statement();
    cursor.leave();
    return statement;
  }

  query(left?: SelectStatement): SelectStatement {
    return this.dml.parseQuery(left);
  }

  orderItems(): OrderItem[] {
    return this.dml.orderItems();
  }

  expression(min: number): Expr {
    return parseExpr(this.cursor, min);
  }
}
