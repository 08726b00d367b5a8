/**
 * What has to hold of a table after schema changes, looked at below SQL: every index holds exactly the
 * entries of the rows, and nothing is left of what was taken back.
 */
import type { Bytes } from '../../../src/base/bytes.ts';
import type { Timestamp } from '../../../src/base/timestamp.ts';
import type { TableDescriptor } from '../../../src/catalog/descriptor.ts';
import { indexSpan } from '../../../src/catalog/rowCodec.ts';
import { changeRun } from '../../../src/sql/exec/schemaChange/changeRun.ts';
import { tableRows } from '../../../src/sql/exec/schemaChange/tableRows.ts';
import type { EngineServices } from '../../../src/sql/exec/statement.ts';
import { tableWriter } from '../../../src/sql/exec/tableWriter.ts';

/** The table of a name in any database; the newest when there are several. */
export function tableNamed(engine: EngineServices, name: string): TableDescriptor {
  const found = [...(engine.catalog.currentNow()?.all() ?? [])].filter(
    (desc): desc is TableDescriptor => desc.kind === 'table' && desc.name === name && desc.state === 'PUBLIC',
  );
  const table = found.sort((a, b) => b.id - a.id)[0];
  if (!table) throw new Error(`no table ${name}`);
  return table;
}

/** What disagrees between rows and public indexes as of `ts`, in words; empty when all is well. Pending indexes are left out. */
export async function disagreements(engine: EngineServices, table: TableDescriptor, ts: Timestamp): Promise<string[]> {
  const { run } = await changeRun(engine, ts, new AbortController().signal);
  const writer = tableWriter(table, engine.functions);
  const problems: string[] = [];
  const wanted = new Map(table.indexes.map((index) => [index.id, new Map<Bytes, Bytes | null>()]));
  for await (const { rows } of tableRows(run.reader, table, run, 1000)) {
    for (const index of table.indexes) {
      for (const row of rows) {
        const { keys, values } = writer.entriesOf(index, [row], run, new Map());
        if (keys[0] === undefined) continue;
        const ofIndex = wanted.get(index.id);
        if (ofIndex?.has(keys[0])) problems.push(`${index.name}: two rows share a key`);
        ofIndex?.set(keys[0], values[0] ?? null);
      }
    }
  }
  for (const index of table.indexes) {
    if (index.state !== 'public') continue;
    const ofIndex = wanted.get(index.id) ?? new Map<Bytes, Bytes | null>();
    const { keys, values } = await engine.kv.at(ts).scan(indexSpan(table, index));
    keys.forEach((key, i) => {
      if (!ofIndex.has(key)) problems.push(`${index.name}: an entry without a row`);
      else if (ofIndex.get(key) !== values[i]) problems.push(`${index.name}: an entry that is not its row's`);
      ofIndex.delete(key);
    });
    if (ofIndex.size > 0) problems.push(`${index.name}: ${ofIndex.size} rows without their entry`);
  }
  return problems;
}

/** What a finished or undone change may not leave behind. */
export async function leftovers(engine: EngineServices, table: TableDescriptor): Promise<string[]> {
  const { kv } = engine;
  const problems = kv.check();
  if (table.pendingChange) problems.push(`${table.name} still has a pending change`);
  for (const one of [...table.columns, ...table.indexes]) if (one.state !== 'public') problems.push(`${one.name} is ${one.state}`);
  for (const record of kv.gc.protections.list()) problems.push(`protection ${record.metaType} of ${record.ts} is left`);
  for (let id = 2; id < table.nextIndexId; id++) {
    if (table.indexes.some((index) => index.id === id)) continue;
    const index = { ...table.primaryIndex, id };
    if (kv.stats(indexSpan(table, index)).versions > 0) problems.push(`data of index ${id} is left`);
  }
  return problems;
}
