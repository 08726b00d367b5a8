/**
 * Table diff: which rows of a table differ between two times, or between two databases of one family.
 *
 * The keys that may differ come from change logs, so a diff costs what changed, not what exists:
 *
 *   two times       keys that the log names in (earlier, later]
 *   two databases   keys that either log names since both had one history (kv/forkPoint.ts)
 *
 * Where logs cannot tell, every row of both sides is compared: the table was truncated, dropped and
 * made again, given another primary key or lost a column in between, or GC has taken the history back
 * to the fork.
 *
 *   TD1  changes come in primary key order, a row at most once; a row that has come back to what it was is none
 *   TD2  a table that one side does not have has no rows there, and a column only NULL: so adding a
 *        column changes the rows that get a value, dropping it those that had one, renaming it none
 *
 * Lives elsewhere: exports (mvcc/export.ts), SQL's forms of it (historyFunctions.ts).
 */
import type { Bytes } from '../base/bytes.ts';
import { indexPrefix, KeyWriter } from '../base/keycode.ts';
import type { Timestamp } from '../base/timestamp.ts';
import type { Datum } from '../catalog/datum.ts';
import { formatDatum } from '../catalog/datumText.ts';
import { type ColumnDescriptor, columnById, type TableDescriptor, visibleColumns } from '../catalog/descriptor.ts';
import { indexSpan, type RowDecoder, rowDecoder } from '../catalog/rowCodec.ts';
import { rowPrefixLength } from '../catalog/rowDecoder.ts';
import { forkPoint } from '../kv/forkPoint.ts';
import type { Kv, KvReader } from '../kv/kv.ts';

/** One side: the table as a database had it at a time. */
export interface DiffSide {
  readonly kv: Kv;
  readonly at: Timestamp;
  /** As the catalog of that time has it; undefined when it had none. */
  readonly table: TableDescriptor | undefined;
}

/** A row as columns and values: first those of the primary key. */
export interface DiffRow {
  readonly columns: DiffColumns;
  readonly values: readonly Datum[];
}

export interface DiffColumns {
  readonly key: readonly ColumnDescriptor[];
  /** What `*` stands for, without what is computed on reading; their values follow the key's. */
  readonly visible: readonly ColumnDescriptor[];
}

export interface RowChange {
  readonly op: 'insert' | 'update' | 'delete';
  readonly before: DiffRow | undefined;
  readonly after: DiffRow | undefined;
}

const PIECE_BYTES = 1024 * 1024;
const BATCH_ROWS = 1024;

/**
 * The rows that differ. Throws 72000 for a time that GC has passed. Databases of one family or one
 * database; strangers are compared row by row.
 */
export async function* tableChanges(before: DiffSide, after: DiffSide): AsyncGenerator<RowChange> {
  const left = new SideReader(before);
  const right = new SideReader(after);
  const isSameTable = before.table !== undefined && before.table.id === after.table?.id;
  const isSameShape = isSameTable && !hasLost(before.table, after.table) && !hasLost(after.table, before.table);
  let last: Bytes | undefined;
  for await (const found of changedKeys(before, after)) {
    // The last row of a batch may come again, when a piece has cut its families apart.
    const keys = found[0] === last ? found.slice(1) : found;
    last = found.at(-1);
    const [olds, news] = [await left.rows(keys), await right.rows(keys)];
    for (let i = 0; i < keys.length; i++) {
      const [old, now] = [olds[i], news[i]];
      if (old === undefined && now === undefined) continue;
      if (old !== undefined && now !== undefined) {
        if (isSameShape && old.stored === now.stored) continue;
        if (textOf(old, isSameTable) === textOf(now, isSameTable)) continue;
      }
      yield { op: old === undefined ? 'insert' : now === undefined ? 'delete' : 'update', before: old, after: now };
    }
  }
}

/** Key columns first, then the visible ones. */
export function diffColumns(table: TableDescriptor): DiffColumns {
  return {
    key: table.primaryIndex.columnIds.flatMap((id) => columnById(table, id) ?? []),
    visible: visibleColumns(table).filter((column) => !column.isVirtual),
  };
}

/** True when a column of `from` is none of `to`. */
function hasLost(from: TableDescriptor | undefined, to: TableDescriptor | undefined): boolean {
  const left = new Set(to && visibleColumns(to).map(({ id }) => id));
  return from !== undefined && diffColumns(from).visible.some(({ id }) => !left.has(id));
}

// ---- which rows to look at: batches of keys without prefix and family, ascending -----------------

type Keys = AsyncGenerator<Bytes[]>;

function changedKeys(before: DiffSide, after: DiffSide): Keys {
  const { table } = before;
  const isOneIndex = table !== undefined && table.id === after.table?.id && table.primaryIndex.id === after.table.primaryIndex.id;
  const point = forkPoint(before.kv, after.kv);
  if (!isOneIndex || point === undefined) return merged(allKeys(before), allKeys(after));
  const base = Math.min(point, before.at, after.at) as Timestamp;
  const [earlier, later] = before.at <= after.at ? [before, after] : [after, before];
  // A column is filled row by row, and dropped from all at once.
  if (hasLost(earlier.table, later.table) || (before.kv !== after.kv && hasLost(later.table, earlier.table))) {
    return merged(allKeys(before), allKeys(after));
  }
  if (before.kv === after.kv) return keysSince(later, base);
  if (![before, after].every((side) => side.at === base || side.kv.gc.thresholds.isReadable(table.id, base, table.primaryIndex.id))) {
    return merged(allKeys(before), allKeys(after));
  }
  return merged(keysSince(before, base), keysSince(after, base));
}

/** Rows that were written in (base, side.at]. */
async function* keysSince({ kv, at, table }: DiffSide, base: Timestamp): Keys {
  if (table === undefined || at <= base) return;
  const span = indexSpan(table, table.primaryIndex);
  let resume: Parameters<Kv['exportSpan']>[3]['resume'];
  do {
    const piece = await kv.exportSpan(span, base, at, { allVersions: false, maxBytes: PIECE_BYTES, ...(resume && { resume }) });
    yield* batches(piece.keys, table);
    resume = piece.resume;
  } while (resume !== undefined);
}

async function* allKeys({ kv, at, table }: DiffSide): Keys {
  if (table === undefined) return;
  const reader = kv.at(at);
  let { key, endKey } = indexSpan(table, table.primaryIndex);
  while (key < endKey) {
    const { keys, resume } = await reader.scan({ key, endKey }, { maxBytes: PIECE_BYTES });
    yield* batches(keys, table);
    key = resume ?? endKey;
  }
}

/** Rows once each, but for one whose families a piece has cut apart: it is the last of one and the first of the next. */
function* batches(keys: readonly Bytes[], table: TableDescriptor): Generator<Bytes[]> {
  const skip = indexPrefix(table.id, table.primaryIndex.id).length;
  let batch: Bytes[] = [];
  for (const key of keys) {
    const row = key.slice(skip, rowPrefixLength(key)) as Bytes;
    if (batch.at(-1) === row) continue;
    if (batch.length === BATCH_ROWS) {
      yield batch;
      batch = [];
    }
    batch.push(row);
  }
  if (batch.length > 0) yield batch;
}

async function* merged(left: Keys, right: Keys): Keys {
  const sides = [new Cursor(left), new Cursor(right)] as const;
  let batch: Bytes[] = [];
  for (;;) {
    const [a, b] = [await sides[0].peek(), await sides[1].peek()];
    if (a === undefined && b === undefined) break;
    const least = a === undefined || (b !== undefined && b < a) ? (b as Bytes) : a;
    if (a === least) sides[0].pass();
    if (b === least) sides[1].pass();
    if (batch.at(-1) === least) continue;
    if (batch.length === BATCH_ROWS) {
      yield batch;
      batch = [];
    }
    batch.push(least);
  }
  if (batch.length > 0) yield batch;
}

class Cursor {
  readonly #keys: Keys;
  #batch: readonly Bytes[] = [];
  #index = 0;

  constructor(keys: Keys) {
    this.#keys = keys;
  }

  async peek(): Promise<Bytes | undefined> {
    while (this.#index >= this.#batch.length) {
      const next = await this.#keys.next();
      if (next.done) return undefined;
      [this.#batch, this.#index] = [next.value, 0];
    }
    return this.#batch[this.#index];
  }

  pass(): void {
    this.#index++;
  }
}

// ---- the rows themselves -----------------------------------------------------------------------

interface StoredRow extends DiffRow {
  /** The stored values of its families: equal bytes, equal row. */
  readonly stored: string;
}

class SideReader {
  readonly #reader: KvReader;
  readonly #table: TableDescriptor | undefined;
  readonly #columns: DiffColumns | undefined;
  readonly #decoder: RowDecoder | undefined;
  readonly #writer = new KeyWriter();

  constructor({ kv, at, table }: DiffSide) {
    this.#reader = kv.at(at);
    this.#table = table;
    if (table === undefined) return;
    this.#columns = diffColumns(table);
    const ids = [...this.#columns.key, ...this.#columns.visible].map((column) => column.id);
    this.#decoder = rowDecoder(table, table.primaryIndex, [...new Set(ids)]);
  }

  /** In the order of the keys; undefined where there is no row. */
  async rows(keys: readonly Bytes[]): Promise<(StoredRow | undefined)[]> {
    const [table, columns, decoder] = [this.#table, this.#columns, this.#decoder];
    if (table === undefined || columns === undefined || decoder === undefined) return keys.map(() => undefined);
    const prefix = indexPrefix(table.id, table.primaryIndex.id);
    const families = table.families.length;
    const wanted = keys.flatMap((key) =>
      table.families.map(({ id }) =>
        this.#writer
          .reset((prefix + key) as Bytes)
          .family(id)
          .finish(),
      ),
    );
    const values = await this.#reader.get(wanted);
    const places = [...columns.key, ...columns.visible].map((column) => decoder.columnIds.indexOf(column.id));
    return keys.map((_, i) => {
      const stored = values.slice(i * families, (i + 1) * families);
      const row = decoder.decodeFamilies(wanted.slice(i * families, (i + 1) * families), stored);
      return row && { columns, values: places.map((place) => row[place] ?? null), stored: JSON.stringify(stored) };
    });
  }
}

/** What the row holds, by column ids or, for tables that are not one, by names. */
function textOf({ columns, values }: DiffRow, byId: boolean): string {
  const all = [...columns.key, ...columns.visible];
  const held = all.flatMap(({ id, name, type }, i) => {
    const value = values[i] ?? null;
    return value === null ? [] : [[byId ? String(id) : name, formatDatum(type, value)] as const];
  });
  return JSON.stringify(held.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}
