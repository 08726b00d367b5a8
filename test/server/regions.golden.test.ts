/**
 * Golden scripts of multi-region databases: what regions make of zones and tables, and backups of them from one cluster to
 * another. All clusters of a script share the files of mem:// locations, and have a node for each locality.
 *
 *   cluster NAME [REGION ...]   goes on in the cluster of that name; the first time makes it, with a node in each region,
 *                               in zone `<region>a`; `-` is a node nowhere
 *   sql [node=2]                runs the statements in the input and prints notices, and each result's rows or tag, or the error
 *   settle                      lets everything that can run now run
 *   check                       lists what is wrong with stores, ranges and the catalog
 */
import { InlineExecutor } from '../../src/base/executor.ts';
import { ManualClock } from '../../src/base/manualClock.ts';
import { validateCatalog } from '../../src/catalog/validate.ts';
import { Database } from '../../src/server/database.ts';
import type { Session } from '../../src/sql/exec/session.ts';
import type { StatementResult } from '../../src/sql/exec/statement.ts';
import { MemoryFiles, openMemory } from '../../src/storage/memory.ts';
import { maskText } from '../backup/maskText.ts';
import type { GoldenCommand } from '../support/golden.ts';
import { goldenSuite } from '../support/golden.ts';
import { resultTable } from '../support/resultTable.ts';
import { describeError } from '../support/sqlHarness.ts';

const START = '2026-11-20T12:00:00Z';

goldenSuite('regions', async () => {
  const files = new MemoryFiles();
  const clusters = new Map<string, { db: Database; clock: ManualClock; sessions: Map<number, Session> }>();
  let current: ReturnType<typeof clusters.get>;

  const open = async (name: string, regions: readonly string[]): Promise<void> => {
    current = clusters.get(name);
    if (current) return;
    const localities = regions.map((region) => (region === '-' ? '' : `region=${region},zone=${region}a`));
    // Later ones begin later: ids of rows have the time in them.
    const clock = new ManualClock(new Date(Date.parse(START) + clusters.size * 3_600_000).toISOString());
    const db = await Database.open({ clock, executor: new InlineExecutor(), seed: name, ...(localities.length > 0 && { localities }) });
    db.storage.register('mem', (uri) => openMemory(uri, files));
    current = { db, clock, sessions: new Map() };
    clusters.set(name, current);
  };

  const runSql = async (command: GoldenCommand): Promise<string> => {
    if (!current) throw new Error('no cluster yet');
    const { db, sessions } = current;
    const nodeId = Number(command.arg('node') ?? 1);
    const session = sessions.get(nodeId) ?? db.newSession({ user: 'root', nodeId });
    sessions.set(nodeId, session);
    const outputs: string[] = [];
    const onResult = (result: StatementResult): void => {
      for (const { severity, message, hint } of result.notices) {
        outputs.push(`${severity.toLowerCase()}: ${message}`);
        if (hint !== undefined) outputs.push(`hint: ${hint}`);
      }
      const isJob = result.columns?.[0]?.name === 'job_id';
      outputs.push(isJob ? result.tag : resultTable(result));
    };
    try {
      await session.execute(command.input, { onResult });
    } catch (error) {
      outputs.push(describeError(error));
    }
    return maskText(outputs.join('\n'), START);
  };

  const run = async (command: GoldenCommand): Promise<string> => {
    const [first = '', ...others] = [...command.args.keys()];
    switch (command.name) {
      case 'cluster':
        await open(first, others);
        return '';
      case 'sql':
        return runSql(command);
      case 'settle':
        await current?.clock.activity.settled();
        return '';
      case 'check': {
        const problems = current
          ? [...current.db.kv.check(), ...validateCatalog(await current.db.services.catalog.current())]
          : ['no cluster'];
        return problems.join('\n') || 'sound';
      }
      default:
        throw new Error(`no command ${command.name}`);
    }
  };
  return {
    run,
    close: async () => {
      for (const { db } of clusters.values()) await db.close();
    },
  };
});
