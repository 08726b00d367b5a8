/**
 * RowStream: where a statement gives the rows of a large result while it makes them.
 *
 * A result is held until it is complete as long as it is small: then a conflict runs its statement
 * again and nobody can tell. One that grows beyond STREAM_BYTES_MIN goes to the client from there on,
 * piece by piece; after the first piece the statement cannot run again by itself.
 *
 * Only queries stream, and of those only what is given before the transaction ends anyway: those of an
 * explicit transaction, and those that are all their transaction does, whose commit cannot fail.
 */
import type { Datum } from '../../catalog/datum.ts';
import { type KeptRows, rowBytes } from './keptRows.ts';
import type { Batches } from './run.ts';
import type { ResultColumn } from './statement.ts';

export interface RowStream {
  /** True from the first write() on. */
  readonly hasBegun: boolean;
  /** Resolves when more may come; rejects when nobody takes the rows any more. */
  write(columns: readonly ResultColumn[], rows: readonly Datum[][]): Promise<void>;
}

/** A result of less is held until it is complete. */
export const STREAM_BYTES_MIN = 256 * 1024;

/**
 * Pulls a query's rows: all of them while they are few, else through the stream, unless `mayBegin` says
 * no by then. `rows` are those that were not streamed; they count as results, 53200 when there is no room.
 */
export async function pullThrough(
  batches: Batches,
  columns: readonly ResultColumn[],
  stream: RowStream,
  mayBegin: () => boolean,
  kept: KeptRows,
): Promise<{ rows: Datum[][]; rowCount: number }> {
  let held: Datum[][] = [];
  let heldBytes = 0;
  let rowCount = 0;
  for await (const batch of batches) {
    rowCount += batch.length;
    if (stream.hasBegun) {
      await stream.write(columns, batch);
      continue;
    }
    for (const row of batch) heldBytes += rowBytes(row);
    await kept.add(batch);
    held = held.length === 0 ? batch : held.concat(batch);
    if (heldBytes < STREAM_BYTES_MIN || !mayBegin()) continue;
    const rows = held;
    held = [];
    await stream.write(columns, rows);
    kept.release();
  }
  return { rows: held, rowCount };
}
