/**
 * History: a database under random statements, and beside it a model that never forgets: the whole
 * state after every commit, by time.
 */
import { EVERYTHING } from '../../src/base/span.ts';
import type { Random } from '../../src/base/random.ts';
import type { Timestamp } from '../../src/base/timestamp.ts';
import { isVarveError } from '../../src/base/errors.ts';
import { FIRST_USER_ID } from '../../src/catalog/descriptor.ts';
import { DESCRIPTOR_SPAN } from '../../src/catalog/catalogContent.ts';
import { tableOfKey } from '../../src/kv/indexOfKey.ts';

import type { TestDatabase } from './database.ts';

type Cell = string | null;

export interface ModelTable {
  readonly columns: readonly string[];
  /** By id; cells in the order of the columns. */
  readonly rows: ReadonlyMap<number, readonly Cell[]>;
  readonly indexes: readonly string[];
  /** Its rows are left out of backups. */
  readonly isExcluded: boolean;
}

/** What a reader of a moment sees. Immutable. */
export interface ModelState {
  readonly tables: ReadonlyMap<string, ModelTable>;
  /** The last value that the sequence gave; undefined before the first. */
  readonly sequence: number | undefined;
}

interface Moment {
  /** Commit of the statement's first change, and of its last: between them the model has no opinion. */
  readonly first: Timestamp;
  readonly last: Timestamp;
  readonly state: ModelState;
}

const NAMES = ['t0', 't1', 't2'];
const IDS = 24;

export class History {
  readonly #test: TestDatabase;
  readonly #random: Random;
  readonly #moments: Moment[] = [];
  #state: ModelState = { tables: new Map(), sequence: undefined };
  #commits: Timestamp[] = [];
  #columnCount = 0;

  constructor(test: TestDatabase, random: Random) {
    this.#test = test;
    this.#random = random;
    test.db.kv.addCommitHook(EVERYTHING, {
      apply: (writes, at) => {
        const isOurs = writes.keys.some(
          (key) => (tableOfKey(key) ?? 0) >= FIRST_USER_ID || (key >= DESCRIPTOR_SPAN.key && key < DESCRIPTOR_SPAN.endKey),
        );
        if (isOurs) this.#commits.push(at);
      },
    });
  }

  async begin(ttlSeconds: number): Promise<void> {
    await this.#step(
      { tables: new Map(), sequence: undefined },
      `CREATE DATABASE d; USE d; CREATE SEQUENCE q; ALTER DATABASE d CONFIGURE ZONE USING gc.ttlseconds = ${ttlSeconds}`,
    );
    await this.#createTable('t0');
  }

  /** The earliest time that the model knows. */
  get from(): Timestamp {
    return this.#moments[0]?.last as Timestamp;
  }

  /** The times at which something changed. */
  get changes(): Timestamp[] {
    return this.#moments.map(({ last }) => last);
  }

  /** Undefined where a statement of several commits was under way. */
  at(time: Timestamp): ModelState | undefined {
    let found: ModelState | undefined;
    for (const { first, last, state } of this.#moments) {
      if (last <= time) found = state;
      else if (first <= time) return undefined;
    }
    return found;
  }

  /** One random statement or transaction. */
  async change(): Promise<void> {
    const random = this.#random;
    const names = [...this.#state.tables.keys()];
    const free = NAMES.filter((name) => !this.#state.tables.has(name));
    const name = names[random.int(Math.max(1, names.length))];
    const choice = random.int(100);
    if (name === undefined || (choice < 8 && free.length > 0)) return await this.#createTable(free[random.int(free.length)] as string);
    if (choice < 13) return await this.#dropTable(name);
    if (choice < 16) return await this.#truncate(name);
    if (choice < 21) return await this.#index(name);
    if (choice < 24) return await this.#column(name);
    if (choice < 27 && free[0] !== undefined) return await this.#rename(name, free[0]);
    if (choice < 30) return await this.#exclude(name);
    if (choice < 36) return await this.#takeNumber(name);
    if (choice < 48) return await this.#transaction();
    const { sql, state } = this.#rowChange(this.#state, name);
    await this.#step(state, sql);
  }

  async #step(state: ModelState, sql: string): Promise<void> {
    this.#commits = [];
    try {
      await this.#test.run(sql);
    } catch (error) {
      if (isVarveError(error)) error.message += ` in: ${sql}`;
      throw error;
    }
    const [first] = this.#commits;
    const last = this.#commits.at(-1);
    this.#state = state;
    if (first !== undefined && last !== undefined) this.#moments.push({ first, last, state });
  }

  #with(name: string, table: ModelTable | undefined, state = this.#state): ModelState {
    const tables = new Map(state.tables);
    if (table) tables.set(name, table);
    else tables.delete(name);
    return { ...state, tables };
  }

  #table(name: string, state = this.#state): ModelTable {
    return state.tables.get(name) as ModelTable;
  }

  async #createTable(name: string): Promise<void> {
    const indexes = this.#random.int(2) === 0 ? ['by_a'] : [];
    const clause = indexes.length > 0 ? ', INDEX by_a (a)' : '';
    const state = this.#with(name, { columns: ['id', 'a', 's'], rows: new Map(), indexes, isExcluded: false });
    await this.#step(state, `CREATE TABLE ${name} (id INT PRIMARY KEY, a INT, s STRING${clause}, FAMILY (id, a), FAMILY (s))`);
  }

  async #dropTable(name: string): Promise<void> {
    await this.#step(this.#with(name, undefined), `DROP TABLE ${name}`);
  }

  async #truncate(name: string): Promise<void> {
    await this.#step(this.#with(name, { ...this.#table(name), rows: new Map() }), `TRUNCATE TABLE ${name}`);
  }

  async #index(name: string): Promise<void> {
    const table = this.#table(name);
    const index = ['by_a', 'by_s'][this.#random.int(2)] as string;
    const has = table.indexes.includes(index);
    const indexes = has ? table.indexes.filter((other) => other !== index) : [...table.indexes, index].sort();
    const sql = has
      ? `DROP INDEX ${name}@${index}`
      : `CREATE INDEX ${index} ON ${name} (${index.slice(3)}) STORING (${index === 'by_a' ? 's' : 'a'})`;
    await this.#step(this.#with(name, { ...table, indexes }), sql);
  }

  async #column(name: string): Promise<void> {
    const table = this.#table(name);
    const last = table.columns.at(-1) as string;
    const mapped = (change: (row: readonly Cell[]) => Cell[]) => new Map([...table.rows].map(([id, row]) => [id, change(row)]));
    if (table.columns.length > 3) {
      const rows = mapped((row) => row.slice(0, -1));
      return await this.#step(
        this.#with(name, { ...table, columns: table.columns.slice(0, -1), rows }),
        `ALTER TABLE ${name} DROP COLUMN ${last}`,
      );
    }
    const column = `c${++this.#columnCount}`;
    const rows = mapped((row) => [...row, '7']);
    const state = this.#with(name, { ...table, columns: [...table.columns, column], rows });
    await this.#step(state, `ALTER TABLE ${name} ADD COLUMN ${column} INT DEFAULT 7`);
  }

  async #exclude(name: string): Promise<void> {
    const table = this.#table(name);
    const isExcluded = !table.isExcluded;
    await this.#step(this.#with(name, { ...table, isExcluded }), `ALTER TABLE ${name} SET (exclude_data_from_backup = ${isExcluded})`);
  }

  async #rename(name: string, to: string): Promise<void> {
    const table = this.#table(name);
    await this.#step(this.#with(to, table, this.#with(name, undefined)), `ALTER TABLE ${name} RENAME TO ${to}`);
  }

  /** A number of the sequence, and a row that keeps it. */
  async #takeNumber(name: string): Promise<void> {
    const number = (this.#state.sequence ?? 0) + 1;
    const table = this.#table(name);
    const row = [String(1000 + number), String(number), null, ...table.columns.slice(3).map(() => '7')];
    const state = this.#with(name, { ...table, rows: new Map([...table.rows, [1000 + number, row]]) });
    const sql = `INSERT INTO ${name} (id, a) VALUES (${1000 + number}, nextval('q'))`;
    await this.#step({ ...state, sequence: number }, sql);
  }

  async #transaction(): Promise<void> {
    let state = this.#state;
    const texts: string[] = [];
    const names = [...state.tables.keys()];
    for (let i = 0; i < 3; i++) {
      const change = this.#rowChange(state, names[this.#random.int(names.length)] as string);
      texts.push(change.sql);
      state = change.state;
    }
    const commits = this.#random.int(4) > 0;
    await this.#step(commits ? state : this.#state, `BEGIN; ${texts.join('; ')}; ${commits ? 'COMMIT' : 'ROLLBACK'}`);
  }

  #rowChange(state: ModelState, name: string): { sql: string; state: ModelState } {
    const random = this.#random;
    const table = this.#table(name, state);
    const rows = new Map(table.rows);
    const low = random.int(IDS);
    const high = low + 1 + random.int(IDS / 3);
    const value = random.int(1000);
    let sql: string;
    switch (random.int(4)) {
      case 0:
        sql = `DELETE FROM ${name} WHERE id >= ${low} AND id < ${high}`;
        for (const id of table.rows.keys()) if (id >= low && id < high) rows.delete(id);
        break;
      case 1:
        sql = `UPDATE ${name} SET a = a + ${value}, s = NULL WHERE id >= ${low} AND id < ${high}`;
        for (const [id, [key, a, _s, ...rest]] of table.rows) {
          if (id >= low && id < high) rows.set(id, [key as Cell, a === null ? null : String(Number(a) + value), null, ...rest]);
        }
        break;
      default: {
        const values: string[] = [];
        for (let id = low; id < high; id++) {
          values.push(`(${id}, ${value + id}, 'v${value}')`);
          const rest = rows.get(id)?.slice(3) ?? table.columns.slice(3).map(() => '7');
          rows.set(id, [String(id), String(value + id), `v${value}`, ...rest]);
        }
        sql = `INSERT INTO ${name} (id, a, s) VALUES ${values.join(', ')} ON CONFLICT (id) DO UPDATE SET a = excluded.a, s = excluded.s`;
      }
    }
    return { sql, state: this.#with(name, { ...table, rows }, state) };
  }
}
