/**
 * Backfill: values for new columns, and entries for new indexes, beside live traffic.
 *
 *   B1  from the commit that published them write-only, every row change maintains them: a transaction
 *       that planned on the descriptor before fails its validation
 *   B2  columns are filled in transactions of a few rows each, over the rows as they are now: a row
 *       that changes meanwhile makes its piece run again. NULL in a write-only column with a
 *       default means "not filled yet": no statement can name it, and writers fill what they touch
 *   B3  entries are ingested at one timestamp T >= B1's: the index as of T, under what was written since.
 *       A version newer than T, tombstones too, hides the ingested one, so it counts only where nothing
 *       newer exists. Doing it again changes nothing
 *   B4  a writer that looked for a unique key before a piece arrived fails its validation: the arrival is a
 *       change of the span it looked at (mvcc/store.ts)
 *
 * Memory is bounded by pieces; the caller protects T from GC and checkpoints.
 * Source of the idea: "Online, Asynchronous Schema Change in F1" (VLDB 2013), with validated
 * descriptors in the place of leases.
 */
import type { Bytes } from '../../../base/bytes.ts';
import type { Timestamp } from '../../../base/timestamp.ts';
import type { Datum } from '../../../catalog/datum.ts';
import { datumsEqual } from '../../../catalog/datum.ts';
import type { IndexDescriptor, TableDescriptor } from '../../../catalog/descriptor.ts';
import type { KeyValues } from '../../../catalog/rowCodec.ts';
import type { Kv, Txn } from '../../../kv/kv.ts';
import type { EngineServices } from '../statement.ts';
import { type RowChange, type RowChangeSink, tableWriter } from '../tableWriter.ts';
import type { Run } from '../run.ts';
import { tableRows } from './tableRows.ts';

/** How much is done at a time. Tests make it small. */
export interface PieceSizes {
  /** Rows of a transaction that fills columns: short enough to seldom meet another writer. */
  readonly columnRows: number;
  /** Rows whose entries are sorted and ingested together, and that are looked at together. */
  readonly indexRows: number;
  /** Rows between checkpoints: what a crash makes it do again. */
  readonly checkpointRows: number;
}

export const PIECE_SIZES: PieceSizes = { columnRows: 250, indexRows: 4_096, checkpointRows: 32_768 };

const NOTHING_TO_CHECK: RowChangeSink = { inserted() {}, updated() {}, deleted() {} };

/** The table as column backfill writes it: nothing but its rows, and what is computed or defaulted in the new columns. */
function bare(table: TableDescriptor): TableDescriptor {
  return { ...table, indexes: [], checks: [], foreignKeys: [], referencedByIds: [] };
}

/** Fills the columns in one piece of the rows in [from, to), in the caller's transaction. Returns where the next begins, and the rows seen. */
export async function fillColumns(
  engine: EngineServices,
  table: TableDescriptor,
  columnIds: readonly number[],
  txn: Txn,
  run: Run,
  { from, to, rowsMax }: { readonly from: Bytes | undefined; readonly to: Bytes; readonly rowsMax: number },
): Promise<{ next: Bytes | undefined; rows: number }> {
  const plain = bare(table);
  const writer = tableWriter(plain, engine.functions);
  const positions = columnIds.map((id) => table.columns.findIndex((column) => column.id === id)).filter((position) => position >= 0);
  for await (const { rows, next } of tableRows(txn, plain, rowsMax, from, to)) {
    const changes: RowChange[] = [];
    for (const old of rows) {
      const changed = old.slice();
      writer.prepare(changed, run);
      const isSame = positions.every((i) => sameDatum(table, i, old, changed));
      if (!isSame) changes.push({ old, next: changed });
    }
    await writer.update(changes, run, NOTHING_TO_CHECK);
    return { next, rows: rows.length };
  }
  return { next: undefined, rows: 0 };
}

function sameDatum(table: TableDescriptor, position: number, a: readonly Datum[], b: readonly Datum[]): boolean {
  const type = table.columns[position]?.type;
  return type === undefined || datumsEqual(type, a[position] as Datum, b[position] as Datum);
}

/** Ingests the entries of one piece of rows into each index at `at` (B3). 23505 when two rows of the piece share a unique key. */
export async function ingestEntries(
  engine: EngineServices,
  table: TableDescriptor,
  indexes: readonly IndexDescriptor[],
  rows: readonly Datum[][],
  run: Run,
  at: Timestamp,
): Promise<void> {
  const writer = tableWriter(table, engine.functions);
  for (const index of indexes) {
    const entries = writer.entriesOf(index, rows, run, new Map());
    if (entries.keys.length > 0) await ingestSorted(engine.kv, entries, at);
  }
}

async function ingestSorted(kv: Kv, { keys, values }: KeyValues, at: Timestamp): Promise<void> {
  const order = keys.map((_, i) => i).sort((a, b) => ((keys[a] as Bytes) < (keys[b] as Bytes) ? -1 : 1));
  await kv.ingest({ keys: order.map((i) => keys[i] as Bytes), values: order.map((i) => values[i] ?? null) }, { at });
}
