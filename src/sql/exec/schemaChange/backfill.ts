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
  /** Rows that are read and looked at in one step. */
  readonly readRows: number;
  /** Rows whose entries are sorted and ingested together. */
  readonly indexRows: number;
  /** Rows between checkpoints: what a crash makes it do again. */
  readonly checkpointRows: number;
}

export const PIECE_SIZES: PieceSizes = { columnRows: 250, readRows: 512, indexRows: 4_096, checkpointRows: 32_768 };

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
  for await (const { rows, next } of tableRows(txn, plain, run, rowsMax, from, to)) {
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

/** Entries of rows that were read, until there are enough to be ingested together. Bounded by PieceSizes.indexRows. */
export class EntryBatch {
  readonly #engine: EngineServices;
  readonly #at: Timestamp;
  readonly #signal: AbortSignal;
  readonly #byIndex = new Map<number, { entries: KeyValues; seen: Map<Bytes, true> }>();
  rows = 0;

  /** Ingests at `at` (B3). */
  constructor(engine: EngineServices, at: Timestamp, signal: AbortSignal) {
    this.#engine = engine;
    this.#at = at;
    this.#signal = signal;
  }

  /** Adds the rows' entries in each index. 23505 when two rows of the batch share a unique key. */
  add(table: TableDescriptor, indexes: readonly IndexDescriptor[], rows: readonly Datum[][], run: Run): void {
    const writer = tableWriter(table, this.#engine.functions);
    for (const index of indexes) {
      let batch = this.#byIndex.get(index.id);
      if (!batch) {
        batch = { entries: { keys: [], values: [] }, seen: new Map() };
        this.#byIndex.set(index.id, batch);
      }
      const { keys, values } = writer.entriesOf(index, rows, run, batch.seen);
      for (let i = 0; i < keys.length; i++) {
        batch.entries.keys.push(keys[i] as Bytes);
        batch.entries.values.push(values[i] ?? null);
      }
    }
    this.rows += rows.length;
  }

  /** Ingests what there is, in key order, for those indexes that `isWanted`; then it is empty. */
  async flush(isWanted: (indexId: number) => boolean): Promise<void> {
    const { kv } = this.#engine;
    for (const [indexId, { entries }] of this.#byIndex) {
      const { keys, values } = entries;
      const order = keys.map((_, i) => i).sort((a, b) => ((keys[a] as Bytes) < (keys[b] as Bytes) ? -1 : 1));
      for (let from = 0; from < order.length; from += INGEST_KEYS) {
        await giveWay(kv, this.#signal);
        if (!isWanted(indexId)) break;
        const run = order.slice(from, from + INGEST_KEYS);
        await kv.ingest({ keys: run.map((i) => keys[i] as Bytes), values: run.map((i) => values[i] ?? null) }, { at: this.#at });
      }
    }
    this.#byIndex.clear();
    this.rows = 0;
  }
}

/** Keys that are ingested in one step: a millisecond or two. */
const INGEST_KEYS = 512;
/** Turns of the event loop that a change gives away for each slice it has used, so that the traffic beside it comes first. */
const TURNS_GIVEN = 8;

/** Ends the time slice when it is used up, and the work when it is to stop. */
export async function giveWay(kv: Kv, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  if (!kv.executor.shouldYield()) return;
  for (let turn = 0; turn < TURNS_GIVEN; turn++) await kv.executor.yield();
  signal.throwIfAborted();
}
