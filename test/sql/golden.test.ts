/**
 * Golden SQL scripts, test/golden/sql/{exec,schemaChange,statistics}/<topic>, on a manual clock that starts at 2026-11-20.
 *
 *   exec [session=a [user=u]] runs the statements; prints each tag, notices, or the error
 *   query [session=a] [types] prints columns and rows of the last statement; NULL as NULL
 *   clock advance=25h         moves the clock
 *   gc                        collects garbage, then dropped tables; prints what went
 *   start session=b           runs the statements without waiting for them (they wait for a lock)
 *   finish session=b          waits for what `start` began, and prints it
 *
 * `{now}` in a statement stands for the clock's time in nanoseconds, `{mark:x}` for the time that
 * `mark name=x` took (an HLC reading after all that came before).
 */
import { formatDecimal, type Timestamp } from '../../src/base/timestamp.ts';
import type { StatementResult } from '../../src/sql/exec/statement.ts';
import { collectDropped } from '../../src/sql/exec/ddl/drop.ts';
import { type GoldenCommand, type GoldenHandler, goldenSuite } from '../support/golden.ts';
import { describeError, openSql, type SqlHarness, type SqlHarnessOptions, textRows } from '../support/sqlHarness.ts';

goldenSuite('sql/exec', () => handler({}));
// With jobs, so that changes of tables with rows are online.
goldenSuite('sql/schemaChange', () => handler({ jobs: true }));
goldenSuite('sql/statistics', () => handler({ jobs: true }));

async function handler(options: SqlHarnessOptions): Promise<GoldenHandler> {
  const db = await openSql(options);
  const marks = new Map<string, Timestamp>();
  const started = new Map<string, Promise<string>>();
  const run = (command: GoldenCommand): Promise<string> => runText(db, expand(command.input, db, marks), sessionOf(db, command));
  return {
    async run(command) {
      switch (command.name) {
        case 'exec':
          return run(command);
        case 'query':
          return query(db, expand(command.input, db, marks), command);
        case 'clock':
          await db.clock.advance(command.arg('advance') ?? '0s');
          return '';
        case 'mark':
          marks.set(command.arg('name') ?? '', db.kv.hlc.now());
          return '';
        case 'gc': {
          const result = await db.kv.gc.runGc();
          const dropped = await collectDropped(db.engine);
          return `versions removed: ${result.removedVersions > 0 ? 'some' : 'none'}; tables cleared: ${dropped.length}`;
        }
        case 'start':
          started.set(command.arg('session') ?? '', run(command));
          await new Promise((resolve) => setImmediate(resolve));
          return '';
        case 'finish':
          return (await started.get(command.arg('session') ?? '')) ?? 'nothing was started';
        default:
          throw new Error(`${command.where}: unknown command ${command.name}`);
      }
    },
    close: () => db.close(),
  };
}

/** The command's session; `user=` names who it belongs to, at its first use. */
function sessionOf(db: SqlHarness, command: GoldenCommand): string | undefined {
  const name = command.arg('session');
  const user = command.arg('user');
  if (name !== undefined && user !== undefined) db.session(name, { user });
  return name;
}

function expand(text: string, db: SqlHarness, marks: ReadonlyMap<string, Timestamp>): string {
  return text
    .replaceAll('{now}', String(db.clock.nowMicros() * 1000))
    .replaceAll(/\{mark:(\w+)\}/g, (_, name: string) => formatDecimal(marks.get(name) ?? (0 as Timestamp)));
}

async function runText(db: SqlHarness, sql: string, session: string | undefined): Promise<string> {
  const lines: string[] = [];
  const onResult = (result: StatementResult): void => {
    for (const notice of result.notices) lines.push(`${notice.severity.toLowerCase()}: ${notice.message}`);
    lines.push(result.tag);
  };
  try {
    await db.exec(sql, { session, onResult });
  } catch (error) {
    lines.push(describeError(error));
  }
  return lines.join('\n');
}

async function query(db: SqlHarness, sql: string, command: GoldenCommand): Promise<string> {
  let last: StatementResult | undefined;
  try {
    await db.exec(sql, {
      session: command.arg('session'),
      onResult: (result) => {
        last = result;
      },
    });
  } catch (error) {
    return describeError(error);
  }
  return table(last, command.has('types'));
}

/** Columns padded to their widest value, values of several lines as they are. */
function table(result: StatementResult | undefined, withTypes: boolean): string {
  if (!result?.columns) return result?.tag ?? '';
  const header = result.columns.map((column) => (withTypes ? `${column.name}:${column.type.family}` : column.name));
  const rows = textRows(result).map((row) => row.map((value) => value ?? 'NULL'));
  const widths = header.map((name, i) => Math.max(name.length, ...rows.map((row) => (row[i] ?? '').length)));
  const hasLongText = rows.some((row) => row.some((value) => value.includes('\n')));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => (hasLongText ? cell : cell.padEnd(widths[i] ?? 0)))
      .join('  ')
      .trimEnd();
  return [line(header), ...rows.map(line)].join('\n');
}
