/**
 * Transcripts: golden scripts of several clients that take turns, a statement a line.
 *
 *   level read-committed     the isolation level of every session from here on; its setting is turned on
 *   run                      lines `a: STATEMENT`; each is said to session a when its turn comes
 *   clock 2s                 moves the clock, as a line of `run`
 *   close a                  ends session a, as a line of `run`: its client was killed
 *
 * The output has a line for each answer: the tag, the rows in parentheses, or the error. A statement
 * that cannot go on `waits`, and its answer comes under the line that let it go on. A session may be
 * spoken to while it waits; what it is told then queues behind.
 */
import { isVarveError } from '../../src/base/errors.ts';
import { nextTurn } from '../../src/base/idle.ts';
import type { GoldenCommand, GoldenHandler } from '../support/golden.ts';
import { openSql, type SqlHarness, textRows } from '../support/sqlHarness.ts';

/** Turns of the event loop after which what has not answered waits: a retry takes a few. */
const TURNS = 80;

interface Turn {
  readonly session: string;
  answer: string | undefined;
}

export async function transcript(): Promise<GoldenHandler> {
  const db = await openSql();
  let level = 'serializable';
  const known = new Set<string>();
  let waiting: Turn[] = [];

  const speak = async (session: string, sql: string): Promise<string> => {
    try {
      let last = '';
      await db.exec(sql, {
        session,
        onResult: (result) => {
          const rows = textRows(result).map((row) => `(${row.map((value) => value ?? 'NULL').join(', ')})`);
          const shown = result.columns ? rows.join(' ') || 'no rows' : result.tag;
          last = [last, ...result.notices.map((notice) => `${notice.severity.toLowerCase()}: ${notice.message}`), shown]
            .filter(Boolean)
            .join('; ');
        },
      });
      return last;
    } catch (error) {
      if (!isVarveError(error)) throw error;
      return `error ${error.code}: ${error.message}`;
    }
  };

  const settle = async (lines: string[], turn: Turn | undefined): Promise<void> => {
    for (let i = 0; i < TURNS; i++) await nextTurn();
    if (turn) lines.push(`${turn.session}: ${turn.answer ?? 'waits'}`);
    const stillWaiting: Turn[] = [];
    for (const other of waiting) {
      if (other.answer === undefined) stillWaiting.push(other);
      else lines.push(`${other.session}: goes on: ${other.answer}`);
    }
    waiting = stillWaiting;
    if (turn && turn.answer === undefined) waiting.push(turn);
  };

  const run = async (db: SqlHarness, command: GoldenCommand): Promise<string> => {
    const lines: string[] = [];
    for (const line of command.input.split('\n')) {
      const advance = /^clock (\S+)$/.exec(line);
      const close = /^close (\w+)$/.exec(line);
      if (advance) {
        await db.clock.advance(advance[1] as string);
        await settle(lines, undefined);
        continue;
      }
      if (close) {
        db.session(close[1]).close();
        await settle(lines, undefined);
        continue;
      }
      const [, session, sql] = /^(\w+): (.*)$/.exec(line) ?? [];
      if (session === undefined || sql === undefined) throw new Error(`${command.where}: not a line of a transcript: ${line}`);
      if (!known.has(session)) {
        known.add(session);
        await db.exec(`SET default_transaction_isolation = '${level}'`, { session });
      }
      const turn: Turn = { session, answer: undefined };
      void speak(session, sql).then((answer) => {
        turn.answer = answer;
      });
      await settle(lines, turn);
    }
    return lines.join('\n');
  };

  return {
    async run(command) {
      if (command.name === 'run') return run(db, command);
      if (command.name !== 'level') throw new Error(`${command.where}: unknown command ${command.name}`);
      level = [...command.args.keys()].join(' ').replaceAll('-', ' ');
      await db.exec('SET CLUSTER SETTING sql.txn.repeatable_read_isolation.enabled = true');
      return '';
    },
    close: () => db.close(),
  };
}
