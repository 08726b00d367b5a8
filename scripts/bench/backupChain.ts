/**
 * Chains: what a restore costs after 48 and 400 layers beside one, and the incremental that would be next. Each layer
 * changes a stretch of fifty rows, none twice, so that a restore of 400 layers has little more to read than one of one.
 */
import { type BenchCase, type BenchRow, type Cost, costOf, leastCost, lesser } from './bench.ts';
import { loadBank } from './backupRestore.ts';

const LENGTHS = [1, 48, 400];
const ROWS_CHANGED = 50;
const TIMES = 3;
/** The aim: the longest chain takes at most this much of one layer. */
const RATIO_MAX = 1.3;

async function run({ rows }: { rows: number }): Promise<BenchRow[]> {
  const { db, close } = await loadBank(rows);
  const uri = "'nodelocal://1/chain'";
  const table: BenchRow[] = [];
  let one: Cost | undefined;
  let layers = 0;
  let next: Cost | undefined;
  try {
    await db.query(`BACKUP DATABASE bank INTO ${uri}`);
    layers++;
    for (const length of LENGTHS) {
      for (; layers < length; layers++) {
        const first = (layers * ROWS_CHANGED) % rows;
        await db.query(`UPDATE bank.bank SET balance = balance + 1 WHERE id >= ${first} AND id < ${first + ROWS_CHANGED}`);
        const add = () => db.query(`BACKUP DATABASE bank INTO LATEST IN ${uri}`);
        // A measurement collects the heap first, which would take longer than most layers do.
        if (layers + 1 < length) await add();
        else next = await costOf(add);
      }
      let restore: Cost | undefined;
      for (let i = 0; i < TIMES; i++) {
        const cost = await costOf(() => db.query(`RESTORE DATABASE bank FROM LATEST IN ${uri} WITH new_db_name = 'restored'`));
        restore = restore ? lesser(restore, cost) : cost;
        await db.query('DROP DATABASE restored CASCADE');
      }
      one ??= restore as Cost;
      const { wallMs, processorMs } = restore as Cost;
      table.push({
        name: `backup chain of ${length}: restore`,
        measured: `${wallMs.toFixed(0)} ms, ${processorMs.toFixed(0)} of CPU`,
        ceiling: next ? `of one ${one.wallMs.toFixed(0)} ms; last layer taken in ${next.wallMs.toFixed(0)}` : '',
        ratio: processorMs / one.processorMs,
        ...(length === LENGTHS.at(-1) && { aim: RATIO_MAX }),
      });
    }
    const show = await leastCost(TIMES, () => db.query(`SELECT count(*) FROM [SHOW BACKUP FROM LATEST IN ${uri}]`));
    table.push({ name: `backup chain of ${layers}: SHOW BACKUP`, measured: `${show.wallMs.toFixed(0)} ms` });
    return table;
  } finally {
    await close();
  }
}

export const cases: readonly BenchCase[] = [{ name: 'backup chain', run }];
