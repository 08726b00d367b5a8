/**
 * Model: what the database must hold, at every moment there has been. It never forgets.
 *
 *   M1  commits are applied in the order of their timestamps; each is the operations of one
 *       transaction, run again here on what the model holds just below that timestamp
 *   M2  what an operation gave the client then must equal what it gives here: since every commit
 *       is validated, the transaction might as well have run whole at its commit timestamp
 *       M4 below SERIALIZABLE each operation ran on a snapshot of its own or its transaction's: it must
 *       equal what it gives there, and no row that it wrote or locked may have changed since
 *   M3  a name stands for different tables at different times; TRUNCATE and restores make new ones
 *
 * The model knows nothing of keys, encodings, indexes or plans: it is maps of plain rows.
 */

export type Value = number | string | null;
/** By column key. */
export type Row = Readonly<Record<string, Value>>;

/** No end. */
export const FOREVER = Number.POSITIVE_INFINITY;
/** Later than every commit: what is there now. */
export const NOW = Number.MAX_SAFE_INTEGER;

export interface ColumnModel {
  /** Never given to another column of the table, whatever its name. */
  readonly key: string;
  readonly name: string;
  readonly type: 'INT' | 'STRING';
  readonly default: Value;
  readonly from: number;
  until: number;
}

export interface ForeignKeyModel {
  readonly column: string;
  /** Name of the parent in the same database; its column is `id`. */
  readonly parent: string;
  readonly cascades: boolean;
}

export interface IndexModel {
  readonly name: string;
  readonly column: string;
  readonly unique: boolean;
}

interface Version {
  readonly ts: number;
  readonly row: Row | undefined;
}

export class TableModel {
  readonly uid: number;
  /** Of its descriptor; set with the name. */
  id = 0;
  readonly columns: ColumnModel[];
  readonly primaryKey: readonly string[];
  readonly sequence: string | undefined;
  /** Rows may only move money among themselves; their sum stays. */
  readonly isBank: boolean;
  indexes: IndexModel[];
  foreignKey: ForeignKeyModel | undefined;
  /** From when on backups leave its rows out, or take them again. */
  readonly #exclusions: { readonly ts: number; readonly isExcluded: boolean }[] = [];
  /** As of the last commit applied. */
  readonly rows = new Map<string, Row>();
  readonly #versions = new Map<string, Version[]>();

  constructor(spec: Omit<TableSpec, 'database' | 'name'>, uid: number) {
    this.uid = uid;
    this.columns = spec.columns.map((column) => ({ ...column }));
    this.primaryKey = spec.primaryKey;
    this.indexes = [...spec.indexes];
    this.foreignKey = spec.foreignKey;
    this.sequence = spec.sequence;
    this.isBank = spec.isBank;
  }

  setExcluded(ts: number, isExcluded: boolean): void {
    this.#exclusions.push({ ts, isExcluded });
  }

  /** Whether a restore to this time brings the table back without rows. */
  isExcludedAt(ts: number): boolean {
    return this.#exclusions.findLast((one) => one.ts <= ts)?.isExcluded ?? false;
  }

  /** Whether it was excluded at some time in [from, to]. */
  wasExcluded(from: number, to: number): boolean {
    return this.isExcludedAt(from) || this.#exclusions.some(({ ts, isExcluded }) => isExcluded && from <= ts && ts <= to);
  }

  columnsAt(ts: number): ColumnModel[] {
    return this.columns.filter((column) => column.from <= ts && ts < column.until);
  }

  column(name: string, ts: number): ColumnModel | undefined {
    return this.columns.find((column) => column.name === name && column.from <= ts && ts < column.until);
  }

  keyOf(row: Row): string {
    return JSON.stringify(this.primaryKey.map((key) => row[key]));
  }

  set(key: string, row: Row | undefined): void {
    if (row === undefined) this.rows.delete(key);
    else this.rows.set(key, row);
  }

  /** Makes what `rows` holds of a key its version at a time. */
  record(key: string, ts: number): void {
    const versions = this.#versions.get(key) ?? [];
    this.#versions.set(key, versions);
    versions.push({ ts, row: this.rows.get(key) });
  }

  /** When a key was last written; 0 for never. */
  changedAt(key: string): number {
    return this.#versions.get(key)?.at(-1)?.ts ?? 0;
  }

  rowsAt(ts: number): Map<string, Row> {
    const rows = new Map<string, Row>();
    for (const [key, versions] of this.#versions) {
      const row = versions.findLast((version) => version.ts <= ts)?.row;
      if (row !== undefined) rows.set(key, row);
    }
    return rows;
  }
}

export interface TableSpec {
  readonly database: string;
  readonly name: string;
  readonly columns: readonly ColumnModel[];
  /** Column keys, which are also their names. */
  readonly primaryKey: readonly string[];
  readonly indexes: readonly IndexModel[];
  readonly foreignKey: ForeignKeyModel | undefined;
  /** Gives the ids of rows that are inserted without one. */
  readonly sequence: string | undefined;
  readonly isBank: boolean;
}

/** `column` in [low, high). */
export interface Where {
  readonly column: string;
  readonly low: number;
  readonly high: number;
}

/** SELECT ... FOR, and what to do about rows that others have locked. */
export interface RowLock {
  readonly strength: 'UPDATE' | 'SHARE';
  readonly wait: '' | 'NOWAIT' | 'SKIP LOCKED';
}

export type Operation =
  | {
      readonly kind: 'select';
      readonly table: string;
      readonly columns: readonly string[];
      readonly where: Where;
      readonly index?: string;
      readonly lock?: RowLock;
    }
  | {
      readonly kind: 'insert' | 'upsert';
      readonly table: string;
      readonly columns: readonly string[];
      readonly rows: readonly (readonly Value[])[];
      /** The first column, `id`, is left to its default. */
      readonly generatesId?: boolean;
    }
  | {
      readonly kind: 'update';
      readonly table: string;
      readonly keyColumns: readonly string[];
      readonly column: string;
      readonly add: number;
      readonly where: Where;
    }
  | { readonly kind: 'delete'; readonly table: string; readonly keyColumns: readonly string[]; readonly where: Where };

/** An operation as it ran: what it gave, in canonical form. */
export interface DoneOperation {
  readonly operation: Operation;
  readonly given: string;
  /** Below SERIALIZABLE: the snapshot that it ran on. */
  readonly at?: number;
}

interface NameVersion {
  readonly ts: number;
  readonly table: TableModel | undefined;
}

/** The database did what the model says it must not, or did not what it must. */
export class ModelError extends Error {}

/** Throws unless an operation gave what it had to; of rows that others had locked some may be left out. */
export function checkGiven(operation: Operation, given: string, expected: string, where: string): void {
  const skips = operation.kind === 'select' && operation.lock?.wait === 'SKIP LOCKED';
  const left = expected.split(' ');
  const isRight = skips
    ? given === '' || given.split(' ').every((row) => left.includes(row) && left.splice(left.indexOf(row), 1))
    : given === expected;
  if (!isRight) throw new ModelError(`${describe(operation)} ${where}\n    gave     ${given}\n    expected ${expected}`);
}

/** Rows without order, as text that can be compared. */
export function canonical(rows: readonly (readonly Value[])[]): string {
  return rows
    .map((row) => JSON.stringify(row))
    .sort()
    .join(' ');
}

export class Model {
  readonly #names = new Map<string, NameVersion[]>();
  /** When each was created. */
  readonly #databases = new Map<string, number>();
  /** The timestamp of the last commit applied. */
  appliedTo = 0;
  /** From here on every database has what it starts with. */
  completeFrom = FOREVER;

  addDatabase(name: string, ts: number): void {
    this.#databases.set(name, ts);
  }

  hasDatabaseAt(name: string, ts: number): boolean {
    return (this.#databases.get(name) ?? FOREVER) <= ts;
  }

  /** `database.table` of every name that stands for a table at a time, sorted. */
  tableNamesAt(ts: number, database?: string): string[] {
    const names: string[] = [];
    for (const name of this.#names.keys()) {
      if (database !== undefined && !name.startsWith(`${database}.`)) continue;
      if (this.tableAt(name, ts)) names.push(name);
    }
    return names.sort();
  }

  tableAt(name: string, ts: number): TableModel | undefined {
    return this.#names.get(name)?.findLast((version) => version.ts <= ts)?.table;
  }

  /** The table that a name stands for now. */
  table(name: string): TableModel | undefined {
    return this.tableAt(name, NOW);
  }

  setName(name: string, ts: number, table: TableModel | undefined): void {
    const versions = this.#names.get(name) ?? [];
    this.#names.set(name, versions);
    versions.push({ ts, table });
  }

  /** Times at which the name's table changed. */
  changesOf(name: string): number[] {
    return (this.#names.get(name) ?? []).map((version) => version.ts);
  }

  // ---- transactions -----------------------------------------------------------------------------

  /** Applies a transaction at its commit timestamp and checks what it gave (M1, M2). */
  commit(ts: number, operations: readonly DoneOperation[]): void {
    if (ts <= this.appliedTo) throw new ModelError(`a commit at ${ts} is told after one at ${this.appliedTo}`);
    const touched = new Map<TableModel, Set<string>>();
    const change = (table: TableModel, key: string, row: Row | undefined) => {
      table.set(key, row);
      const keys = touched.get(table) ?? new Set();
      touched.set(table, keys.add(key));
    };
    for (const { operation, given } of operations) {
      const table = this.#require(operation.table, ts);
      const expected = this.#run(operation, table, ts, (one) => one.rows, change);
      checkGiven(operation, given, expected, `of the commit at ${ts}`);
    }
    this.#record(touched, operations, ts);
  }

  #record(touched: ReadonlyMap<TableModel, ReadonlySet<string>>, operations: readonly DoneOperation[], ts: number): void {
    for (const [table, keys] of touched) {
      for (const key of keys) table.record(key, ts);
      this.#checkConstraints(table, operations[0]?.operation.table.split('.')[0] ?? '', ts);
    }
    this.appliedTo = ts;
  }

  /** Applies a transaction below SERIALIZABLE at its commit timestamp (M4). */
  commitOnSnapshots(ts: number, operations: readonly DoneOperation[]): void {
    if (ts <= this.appliedTo) throw new ModelError(`a commit at ${ts} is told after one at ${this.appliedTo}`);
    /** What the transaction has written so far, and since when nobody else may have. */
    const own = new Map<TableModel, Map<string, Row | undefined>>();
    const held = new Map<TableModel, Map<string, number>>();
    for (const { operation, given, at = ts } of operations) {
      const table = this.#require(operation.table, at);
      const hold = (one: TableModel, key: string) => {
        const keys = held.get(one) ?? new Map<string, number>();
        held.set(one, keys);
        if (!keys.has(key)) keys.set(key, at);
      };
      const rowsOf = (one: TableModel) => {
        const rows = one.rowsAt(at);
        for (const [key, row] of own.get(one) ?? []) {
          if (row === undefined) rows.delete(key);
          else rows.set(key, row);
        }
        return rows;
      };
      const change = (one: TableModel, key: string, row: Row | undefined) => {
        const rows = own.get(one) ?? new Map<string, Row | undefined>();
        own.set(one, rows.set(key, row));
        hold(one, key);
      };
      const expected = this.#run(operation, table, at, rowsOf, change, (key) => hold(table, key));
      checkGiven(operation, given, expected, `on the snapshot ${at} of the commit at ${ts}`);
    }
    for (const [table, keys] of held) {
      for (const [key, at] of keys) {
        const last = table.changedAt(key);
        if (last > at)
          throw new ModelError(`row ${key}, written or locked on the snapshot ${at} of the commit at ${ts}, was changed at ${last}`);
      }
    }
    for (const [table, rows] of own) for (const [key, row] of rows) table.set(key, row);
    this.#record(new Map([...own].map(([table, rows]) => [table, new Set(rows.keys())])), operations, ts);
  }

  /** What a read gives at a time. */
  read(operation: Operation, ts: number): string {
    const table = this.#require(operation.table, ts);
    const rowsOf = (one: TableModel) => one.rowsAt(ts);
    return this.#run(operation, table, ts, rowsOf, () => {
      throw new ModelError('a read does not write');
    });
  }

  /** A table's rows at a time, or those of them that are wanted, with its columns of that time, in canonical form. */
  contentAt(table: TableModel, ts: number, isWanted: (row: Row) => boolean = () => true): string {
    const columns = table.columnsAt(ts);
    const rows = [...table.rowsAt(ts).values()].filter(isWanted);
    return canonical(rows.map((row) => columns.map((column) => shownValue(row, column))));
  }

  #require(name: string, ts: number): TableModel {
    const table = this.tableAt(name, ts);
    if (!table) throw new ModelError(`a transaction at ${ts} used ${name}, which does not exist then`);
    return table;
  }

  #run(
    operation: Operation,
    table: TableModel,
    ts: number,
    rowsOf: (table: TableModel) => ReadonlyMap<string, Row>,
    change: (table: TableModel, key: string, row: Row | undefined) => void,
    lock: (key: string) => void = () => {},
  ): string {
    // Changes show in it only where `change` makes them in the very map, or it is asked for again.
    let rows = rowsOf(table);
    const columnOf = (name: string): ColumnModel => {
      const column = table.column(name, ts);
      if (!column) throw new ModelError(`${operation.table} has no column ${name} at ${ts}`);
      return column;
    };
    const matching = (where: Where) => {
      const column = columnOf(where.column);
      return [...rows].filter(([, row]) => {
        const value = shownValue(row, column);
        return typeof value === 'number' && where.low <= value && value < where.high;
      });
    };
    switch (operation.kind) {
      case 'select': {
        const columns = operation.columns.map(columnOf);
        const found = matching(operation.where);
        if (operation.lock && operation.lock.wait !== 'SKIP LOCKED') for (const [key] of found) lock(key);
        return canonical(found.map(([, row]) => columns.map((column) => shownValue(row, column))));
      }
      case 'insert':
      case 'upsert': {
        const columns = operation.columns.map(columnOf);
        for (const values of operation.rows) {
          const given: Record<string, Value> = {};
          columns.forEach((column, i) => {
            given[column.key] = values[i] ?? null;
          });
          const key = table.keyOf(given);
          const old = rows.get(key);
          if (old !== undefined && operation.kind === 'insert')
            throw new ModelError(`${describe(operation)} at ${ts} repeats the key ${key}`);
          const row: Record<string, Value> = { ...old };
          // A column that an old row has no value for keeps showing its default.
          for (const column of table.columnsAt(ts))
            row[column.key] = column.key in given ? (given[column.key] ?? null) : old ? shownValue(old, column) : column.default;
          change(table, key, row);
          rows = rowsOf(table);
        }
        return canonical(operation.rows);
      }
      case 'update': {
        const column = columnOf(operation.column);
        const changed: Value[][] = [];
        for (const [key, row] of matching(operation.where)) {
          const value = shownValue(row, column);
          const next = typeof value === 'number' ? value + operation.add : null;
          change(table, key, { ...row, [column.key]: next });
          changed.push([...table.primaryKey.map((name) => row[name] ?? null), next]);
        }
        return canonical(changed);
      }
      case 'delete': {
        const gone = matching(operation.where);
        for (const [key, row] of gone) {
          change(table, key, undefined);
          this.#cascade(operation.table, row, ts, rowsOf, change);
        }
        return canonical(gone.map(([, row]) => table.primaryKey.map((name) => row[name] ?? null)));
      }
    }
  }

  #cascade(
    name: string,
    parentRow: Row,
    ts: number,
    rowsOf: (table: TableModel) => ReadonlyMap<string, Row>,
    change: (table: TableModel, key: string, row: Row | undefined) => void,
  ): void {
    for (const [childName, child] of this.#childrenOf(name, ts)) {
      const { foreignKey } = child;
      if (!foreignKey?.cascades) continue;
      for (const [key, row] of [...rowsOf(child)]) {
        if (row[foreignKey.column] !== parentRow['id']) continue;
        change(child, key, undefined);
        this.#cascade(childName, row, ts, rowsOf, change);
      }
    }
  }

  *#childrenOf(name: string, ts: number): Generator<[string, TableModel]> {
    const [database = '', parent = ''] = name.split('.');
    for (const childName of this.tableNamesAt(ts, database)) {
      const child = this.tableAt(childName, ts);
      if (child?.foreignKey?.parent === parent) yield [childName, child];
    }
  }

  #checkConstraints(table: TableModel, database: string, ts: number): void {
    for (const index of table.indexes) {
      if (!index.unique) continue;
      const column = table.column(index.column, ts);
      if (!column) continue;
      const seen = new Set<Value>();
      for (const row of table.rows.values()) {
        const value = shownValue(row, column);
        if (value !== null && seen.has(value))
          throw new ModelError(`a commit at ${ts} made ${value} a duplicate in unique index ${index.name}`);
        seen.add(value);
      }
    }
    for (const name of this.tableNamesAt(ts, database)) {
      const child = this.tableAt(name, ts);
      const { foreignKey } = child ?? {};
      if (!child || !foreignKey) continue;
      const parent = this.tableAt(`${database}.${foreignKey.parent}`, ts);
      if (!parent || (parent !== table && child !== table)) continue;
      const ids = new Set([...parent.rows.values()].map((row) => row['id']));
      for (const row of child.rows.values()) {
        const value = row[foreignKey.column] ?? null;
        if (value !== null && !ids.has(value))
          throw new ModelError(`a commit at ${ts} left ${name} with a reference to ${value}, which ${foreignKey.parent} lacks`);
      }
    }
  }
}

export function shownValue(row: Row, column: ColumnModel): Value {
  return column.key in row ? (row[column.key] ?? null) : column.default;
}

export function describe(operation: Operation): string {
  return `${operation.kind} ${operation.table}`;
}
