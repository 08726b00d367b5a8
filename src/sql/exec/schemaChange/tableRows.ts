/**
 * Rows of a whole table, piece by piece, each piece with the key at which the next one begins: what a
 * backfill checkpoints. A piece never ends inside a row, however many families it has.
 */
import type { Bytes } from '../../../base/bytes.ts';
import { prefixEnd } from '../../../base/span.ts';
import type { Datum } from '../../../catalog/datum.ts';
import type { TableDescriptor } from '../../../catalog/descriptor.ts';
import { indexSpan, tableCodec } from '../../../catalog/rowCodec.ts';
import { rowPrefixLength } from '../../../catalog/rowDecoder.ts';
import type { KvReader } from '../../../kv/kv.ts';
import type { Run } from '../run.ts';
import { tableDecoder } from '../virtualColumns.ts';

/** Bytes of a piece at most, so that wide rows do not make one large. */
const PIECE_BYTES = 4 << 20;

export interface TablePiece {
  /** Whole rows, in the order of the descriptor's columns. Not empty. */
  readonly rows: Datum[][];
  /** Every row before this key has been given. */
  readonly next: Bytes;
}

/** Rows in [from, to) (default: all), at most about `rowsMax` a piece, as the reader sees them. */
export async function* tableRows(
  reader: KvReader,
  table: TableDescriptor,
  run: Run,
  rowsMax: number,
  from?: Bytes,
  to?: Bytes,
): AsyncGenerator<TablePiece> {
  const whole = indexSpan(table, table.primaryIndex);
  const span = { key: whole.key, endKey: to ?? whole.endKey };
  const codec = tableCodec(table);
  const columnIds = table.columns.map((column) => column.id);
  const decoder = tableDecoder(table, table.primaryIndex, columnIds)(run);
  const limit = rowsMax * table.families.length;
  for (let key: Bytes | undefined = from ?? span.key; key !== undefined && key < span.endKey; ) {
    const result = await reader.scan({ key, endKey: span.endKey }, { limit, maxBytes: PIECE_BYTES, validated: true });
    const rows: Datum[][] = [];
    decoder.decode(result.keys, result.values, result.resume === undefined, rows, result.timestamps);
    const last = rows.at(-1);
    if (last) yield { rows, next: prefixEnd(codec.rowPrefix(last)) };
    key = result.resume;
  }
}

/** The key that ends the last row that the reader sees, and all its families, there or yet to come; undefined when it sees none. */
export async function endOfRows(reader: KvReader, table: TableDescriptor): Promise<Bytes | undefined> {
  const { keys } = await reader.scan(indexSpan(table, table.primaryIndex), { limit: 1, reverse: true });
  const [last] = keys;
  return last === undefined ? undefined : prefixEnd(last.slice(0, rowPrefixLength(last)) as Bytes);
}
