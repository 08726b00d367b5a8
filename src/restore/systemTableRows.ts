/**
 * System table rows: what a backup holds of the system's own tables, as of the restored time, in plain
 * JavaScript.
 *
 * They are read by the definitions that the backup itself has of these tables, and are few, so they are
 * held in memory: whoever restores them writes them in the one transaction that ends its job.
 */
import type { Bytes } from '../base/bytes.ts';
import type { Executor } from '../base/executor.ts';
import { indexPrefix } from '../base/keycode.ts';
import { prefixSpan, type Span } from '../base/span.ts';
import type { Timestamp } from '../base/timestamp.ts';
import type { TableDescriptor } from '../catalog/descriptor.ts';
import { type PlainRow, SystemTable } from '../catalog/systemRows.ts';

import type { CollectionStorage } from '../backup/collectionStorage.ts';
import type { Layer } from '../backup/manifest.ts';

import { FileCursor } from './fileCursor.ts';
import { mergeUnit } from './mergeUnit.ts';
import { coverSpans } from './spanCovering.ts';

/** Rows by table name, in primary key order. */
export type SystemTableRows = ReadonlyMap<string, readonly PlainRow[]>;

/** What was read, and how much of it there is. */
export interface SystemRows {
  readonly byTable: SystemTableRows;
  readonly rows: number;
  /** Entries of secondary indexes, which rows of these tables always have. */
  readonly indexEntries: number;
  /** Of the rows alone. */
  readonly dataBytes: number;
}

export const NO_SYSTEM_ROWS: SystemRows = { byTable: new Map(), rows: 0, indexEntries: 0, dataBytes: 0 };

export interface SystemRowsOptions {
  readonly storage: CollectionStorage;
  readonly executor: Executor;
  /** Full first; proved to hold the tables' rows up to `time`. */
  readonly layers: readonly Layer[];
  readonly time: Timestamp;
  readonly signal: AbortSignal;
}

/** The rows of `tables`, which are as the backup has them. Throws what reading throws. */
export async function readSystemRows(tables: readonly TableDescriptor[], options: SystemRowsOptions): Promise<SystemRows> {
  const byTable = new Map<string, readonly PlainRow[]>();
  let [rowCount, indexEntries, dataBytes] = [0, 0, 0];
  for (const table of tables) {
    const { rows, bytes } = await rowsOf(table, options);
    byTable.set(table.name, rows);
    rowCount += rows.length;
    indexEntries += rows.length * table.indexes.length;
    dataBytes += bytes;
  }
  return { byTable, rows: rowCount, indexEntries, dataBytes };
}

/** Where a table's rows are: secondary entries are made anew. */
export function rowSpan(table: TableDescriptor): Span {
  return prefixSpan(indexPrefix(table.id, table.primaryIndex.id));
}

async function rowsOf(table: TableDescriptor, options: SystemRowsOptions): Promise<{ rows: PlainRow[]; bytes: number }> {
  const { storage, executor, layers, time, signal } = options;
  const decoder = new SystemTable(table);
  const rows: PlainRow[] = [];
  let bytes = 0;
  const sink = {
    add: (key: Bytes, value: Bytes) => {
      rows.push(decoder.decode(key, value));
      bytes += key.length + value.length;
      return true;
    },
    drain: async () => {},
  };
  for (const unit of coverSpans([rowSpan(table)], layers, time)) {
    const cursors = unit.files.map((file) => new FileCursor(file, false, { storage, executor, signal }));
    try {
      await Promise.all(cursors.map((cursor) => cursor.enter(unit.span)));
      await mergeUnit(cursors, time, sink);
    } finally {
      for (const cursor of cursors) await cursor.close();
    }
  }
  return { rows, bytes };
}
