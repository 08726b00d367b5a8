/**
 * Golden scripts of the engine room: ranges, leases, nodes, zones, GC and protection, in SQL on a
 * whole database of three nodes and a manual clock. Masked: ids that are drawn, stray microseconds.
 *
 *   sql [user=joe] [fork=w1]  runs the statements in the input and prints notices, each result's rows or tag,
 *                   or the error. `$NAME` stands for a time that `mark` took, in AS OF SYSTEM TIME's
 *                   decimal form; `$job` for the last job id that a result had
 *   mark NAME       takes the present time
 *   advance BY      moves the clock
 *   gc              collects garbage now, and lets what follows from it run
 *   check           lists broken invariants of stores and ranges
 */
import { InlineExecutor } from '../../src/base/executor.ts';
import { ManualClock } from '../../src/base/manualClock.ts';
import { formatDecimal, type Timestamp } from '../../src/base/timestamp.ts';
import { Database } from '../../src/server/database.ts';
import type { Session } from '../../src/sql/exec/session.ts';
import type { StatementResult } from '../../src/sql/exec/statement.ts';
import type { GoldenCommand } from '../support/golden.ts';
import { goldenSuite } from '../support/golden.ts';
import { resultTable } from '../support/resultTable.ts';
import { describeError } from '../support/sqlHarness.ts';

const LOCALITIES = ['region=us-east1,zone=a', 'region=us-east1,zone=b', 'region=europe-west1,zone=c'];

/** Takes out job ids, which are drawn, and the microseconds that say how often the clock was asked before. */
function mask(text: string): string {
  return text
    .replace(/\b\d{15,19}\b(?!\.)/g, '<job>')
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, '<uuid>')
    .replace(/\.([05])000\d\d(000)?(?!\d)/g, (_, half) => (half === '0' ? '' : '.5'));
}

goldenSuite('engine', async () => {
  const clock = new ManualClock('2026-11-20T12:00:00Z');
  const db = await Database.open({ clock, executor: new InlineExecutor(), seed: 'golden', localities: LOCALITIES });
  const sessions = new Map<string, Session>();
  const marks = new Map<string, Timestamp>();
  let job = 0;

  const runSql = async (command: GoldenCommand): Promise<string> => {
    const sql = command.input.replace(/\$(\w+)/g, (whole, name) => {
      const mark = marks.get(name);
      return mark !== undefined ? formatDecimal(mark) : name === 'job' ? String(job) : whole;
    });
    const user = command.arg('user') ?? 'root';
    const fork = command.arg('fork') ?? 'main';
    const session = sessions.get(`${user}@${fork}`) ?? db.forks.require(fork).newSession({ user });
    sessions.set(`${user}@${fork}`, session);
    const outputs: string[] = [];
    const onResult = (result: StatementResult): void => {
      for (const notice of result.notices) {
        outputs.push(`${notice.severity.toLowerCase()}: ${notice.message}`);
        if (notice.detail !== undefined) outputs.push(`detail: ${notice.detail}`);
        if (notice.hint !== undefined) outputs.push(`hint: ${notice.hint}`);
      }
      const at = result.columns?.findIndex((column) => column.name === 'job_id') ?? -1;
      for (const row of result.rows) if (typeof row[at] === 'number') job = row[at];
      outputs.push(resultTable(result));
    };
    try {
      await session.execute(sql, { onResult });
    } catch (error) {
      outputs.push(describeError(error));
    }
    return mask(outputs.join('\n'));
  };

  const run = async (command: GoldenCommand): Promise<string> => {
    const [first = ''] = [...command.args.keys()];
    switch (command.name) {
      case 'sql':
        return runSql(command);
      case 'mark':
        marks.set(first, db.kv.hlc.now());
        return '';
      case 'advance':
        await clock.advance(first);
        return '';
      case 'gc': {
        const { removedVersions } = await db.kv.gc.runGc();
        await clock.activity.settled();
        return removedVersions > 0 ? 'versions removed' : 'nothing removed';
      }
      case 'check':
        return db.kv.check().join('\n') || 'sound';
      default:
        throw new Error(`no command ${command.name}`);
    }
  };
  return { run, close: () => db.close() };
});
