/**
 * Schema: one session that creates, changes, truncates and drops tables and indexes and sets zones,
 * beside the clients' transactions and the backups.
 */
import type { TableDescriptor } from '../../src/catalog/descriptor.ts';
import type { Session } from '../../src/sql/exec/session.ts';
import type { Dice } from './dice.ts';
import { type ColumnModel, FOREVER, type ForeignKeyModel, type IndexModel, NOW, TableModel, type TableSpec, type Value } from './model.ts';
import { createTableSql, literal } from './sqlText.ts';
import type { Zones } from './zones.ts';
import { codeOf, committedWrite, type Stamp, tell, type World } from './world.ts';

export const DATABASES = ['d0', 'd1'] as const;
const TABLES_MAX = 5;
export const BANK_ROWS = 8;
export const BANK_MONEY = 100;

/** Others got in between, or the statement does not fit what is there. */
const EXPECTED = new Set(['40001', '42P07', '42P01', '42701', '42703', '42704', '2BP01', '55000']);
/** What the job of an online change may end with, after its statement's own transaction: paused, canceled, duplicates. */
const JOB_CODES = new Set(['55000', '57014', '23505', '40001']);
const TTLS = [1, 20, 60, 600, 3600, 14_400, 90_000] as const;

/** A table under a name that stands for it now. */
export interface NamedTable {
  readonly database: string;
  /** With the database. */
  readonly name: string;
  readonly table: TableModel;
}

/** Undefined when there is nothing that it could change. */
type Change = (dice: Dice) => Promise<void> | undefined;

export class Schema {
  readonly #world: World;
  readonly #zones: Zones;
  readonly #session: Session;
  #uid = 0;
  #changes: [weight: number, change: Change][] = [];
  isBusy = false;
  /** Every table descriptor's newest version that was seen. */
  readonly #seen = new Map<number, number>();
  readonly #tables = new Map<number, TableModel>();
  /** Defaults of columns asked for, by table and column name, one for good: the model's own word, not the descriptor's. */
  readonly #defaults = new Map<string, Value>();

  constructor(world: World, zones: Zones) {
    this.#world = world;
    this.#zones = zones;
    this.#session = world.db.newSession();
    world.db.services.catalog.onChange(() => this.#watch());
  }

  /** Online changes become public when their job says so: the descriptors tell when. */
  #watch(): void {
    const world = this.#world;
    for (const descriptor of world.db.services.catalog.currentNow()?.all() ?? []) {
      if (descriptor.kind !== 'table' || descriptor.state !== 'PUBLIC' || descriptor.sequence) continue;
      const ts = descriptor.modificationTime;
      if (this.#seen.get(descriptor.id) === ts) continue;
      this.#seen.set(descriptor.id, ts);
      world.catalogChanges++;
      world.acknowledge({ ts, apply: () => this.#follow(descriptor, ts) });
    }
  }

  #follow(descriptor: TableDescriptor, ts: number): void {
    const table = this.#tables.get(descriptor.id);
    if (!table) return;
    const isPublic = (one: { state: string }) => one.state === 'public';
    const names = new Set(descriptor.columns.filter(isPublic).map(({ name }) => name));
    for (const shown of table.columnsAt(ts)) if (!names.delete(shown.name)) shown.until = ts;
    for (const name of names) {
      const value = this.#defaults.get(`${table.uid}/${name}`) ?? null;
      table.columns.push({ ...column(name, 'INT', value), key: `${name}#${ts}`, from: ts });
    }
    const nameOf = (id: number | undefined) => descriptor.columns.find((one) => one.id === id)?.name ?? '';
    table.indexes = descriptor.indexes
      .filter(isPublic)
      .map((index) => ({ name: index.name, column: nameOf(index.columnIds[0]), unique: index.unique }));
  }

  /** A name stands for a table from a commit on. */
  #setName(name: string, ts: number, table: TableModel): void {
    const [database = '', own = ''] = name.split('.');
    const { catalog } = this.#world.db.services;
    const snapshot = catalog.currentNow();
    const parent = snapshot?.database(database);
    const found = parent && snapshot?.tablesOf(parent.id).find((one) => one.name === own);
    if (found) {
      table.id = found.id;
      this.#tables.set(found.id, table);
      this.#zones.tables.set(found.id, { name, table });
      this.#follow(found, ts);
    }
    this.#world.model.setName(name, ts, table);
  }

  nextUid(): number {
    return ++this.#uid;
  }

  /** Databases, each with a bank, and some first tables. */
  async start(dice: Dice): Promise<void> {
    this.#changes = this.#drawChanges(dice);
    await this.#session.execute('SET CLUSTER SETTING sql.txn.repeatable_read_isolation.enabled = true');
    for (const database of DATABASES) {
      await this.#run(`CREATE DATABASE ${database}`, (ts) => this.#world.model.addDatabase(database, ts));
      await this.#run(`CREATE SEQUENCE ${database}.sq START 1000`, () => {});
      // Of the first table, which restores begin with.
      await this.#create(this.#bank(database), dice.percent(50) ? [['id'], ['a']] : []);
      const rows = Array.from({ length: BANK_ROWS }, (_, id) => [id, BANK_MONEY]);
      const sql = `INSERT INTO ${database}.bank VALUES ${rows.map(([id, a]) => `(${id}, ${a})`).join(', ')}`;
      await this.#run(sql, (ts) => {
        const operation = { kind: 'insert', table: `${database}.bank`, columns: ['id', 'a'], rows } as const;
        this.#world.model.commit(ts, [
          {
            operation,
            given: rows
              .map((row) => JSON.stringify(row))
              .sort()
              .join(' '),
          },
        ]);
      });
      await this.#run(`CREATE VIEW ${database}.rich AS SELECT id, a FROM ${database}.bank WHERE a > ${BANK_MONEY}`, () => {});
      await this.#run(`CREATE TYPE ${database}.mood AS ENUM ('calm', 'cross')`, () => {});
      this.#world.catchUp();
    }
    this.#world.model.completeFrom = this.#world.now;
    for (let i = dice.between(2, 4); i > 0; i--) {
      const made = this.#randomTable(dice, dice.pick(DATABASES));
      if (made) await this.#create(made.spec, made.families);
      this.#world.catchUp();
    }
  }

  step(dice: Dice): void {
    // What the last change did must be in the model before the next one is chosen.
    if (this.isBusy || !this.#world.catchUp()) return;
    void dice.weighted(this.#changes)(dice);
  }

  #drawChanges(dice: Dice): [number, Change][] {
    const createTable: Change = (d) => this.#createTable(d);
    return dice.swarm<Change>(
      [
        [12, createTable],
        [6, (d) => this.#dropTable(d)],
        [10, (d) => this.#truncate(d)],
        [10, (d) => this.#addColumn(d)],
        [6, (d) => this.#dropColumn(d)],
        [12, (d) => this.#createIndex(d)],
        [8, (d) => this.#dropIndex(d)],
        [6, (d) => this.#rename(d)],
        [30, (d) => this.#configureZone(d)],
        [18, (d) => this.#excludeData(d)],
      ],
      (change) => change === createTable,
    );
  }

  // ---- tables -----------------------------------------------------------------------------------

  #bank(database: string): TableSpec {
    const columns = ['id', 'a'].map((name) => column(name, 'INT', null));
    return { database, name: 'bank', columns, primaryKey: ['id'], indexes: [], foreignKey: undefined, sequence: undefined, isBank: true };
  }

  #randomTable(dice: Dice, database: string): { spec: TableSpec; families: string[][] } | undefined {
    const { model } = this.#world;
    const taken = model.tableNamesAt(NOW, database);
    const name = dice.maybe(Array.from({ length: TABLES_MAX }, (_, i) => `t${i}`).filter((one) => !taken.includes(`${database}.${one}`)));
    if (name === undefined) return undefined;
    const columns = [column('id', 'INT', null)];
    let primaryKey = ['id'];
    if (dice.percent(25)) {
      columns.push(column('g', 'INT', null));
      primaryKey = dice.percent(50) ? ['g', 'id'] : ['id', 'g'];
    }
    columns.push(column('a', 'INT', dice.percent(30) ? dice.between(0, 9) : null));
    columns.push(column('s', 'STRING', dice.percent(20) ? 'none' : null));
    const indexes: IndexModel[] = [];
    if (dice.percent(50)) indexes.push({ name: `${name}_a`, column: 'a', unique: false });
    if (dice.percent(30)) {
      columns.push(column('u', 'INT', null));
      indexes.push({ name: `${name}_u`, column: 'u', unique: true });
    }
    const parents = taken.filter((one) => {
      const table = model.table(one);
      return table && !table.isBank && table.primaryKey.length === 1;
    });
    const parent = dice.percent(35) ? dice.maybe(parents) : undefined;
    let foreignKey: ForeignKeyModel | undefined;
    if (parent !== undefined) {
      columns.push(column('p', 'INT', null));
      foreignKey = { column: 'p', parent: parent.slice(database.length + 1), cascades: dice.percent(50) };
      if (dice.percent(50)) indexes.push({ name: `${name}_p`, column: 'p', unique: false });
    }
    const sequence = primaryKey.length === 1 && dice.percent(25) ? 'sq' : undefined;
    const others = columns.filter(({ name: one }) => !primaryKey.includes(one)).map(({ name: one }) => one);
    const families = dice.percent(35) ? [[...primaryKey, ...others.slice(0, 1)], others.slice(1)] : [];
    return { spec: { database, name, columns, primaryKey, indexes, foreignKey, sequence, isBank: false }, families };
  }

  #create(spec: TableSpec, families: string[][]): Promise<void> {
    this.#world.count('create table');
    const name = `${spec.database}.${spec.name}`;
    return this.#run(createTableSql(spec, families), (ts) => this.#setName(name, ts, new TableModel(spec, this.nextUid())));
  }

  #createTable(dice: Dice): Promise<void> | undefined {
    const made = this.#randomTable(dice, dice.pick(DATABASES));
    return made && this.#create(made.spec, made.families);
  }

  /** Some table that is no bank. */
  #any(dice: Dice): NamedTable | undefined {
    return dice.maybe(this.#all());
  }

  #all(): NamedTable[] {
    const { model } = this.#world;
    return DATABASES.flatMap((database) =>
      model.tableNamesAt(NOW, database).flatMap((name) => {
        const table = model.table(name);
        return table?.isBank === false ? [{ database, name, table }] : [];
      }),
    );
  }

  /** Some table that is no bank and not empty. */
  someWithRows(dice: Dice): NamedTable | undefined {
    return dice.maybe(this.#all().filter(({ table }) => table.rows.size > 0));
  }

  /** Whether a name still stands for a table, and no other change is under way. */
  #isFree({ name, table }: NamedTable): boolean {
    return !this.isBusy && this.#world.catchUp() && this.#world.model.table(name) === table;
  }

  /** Names of the tables that refer to one, now. */
  #childrenOf(name: string): string[] {
    const { model } = this.#world;
    const [database = '', own = ''] = name.split('.');
    return model.tableNamesAt(NOW, database).filter((one) => model.table(one)?.foreignKey?.parent === own);
  }

  #dropTable(dice: Dice): Promise<void> | undefined {
    const found = this.#any(dice);
    if (!found) return undefined;
    const { name } = found;
    this.#world.count('drop table');
    return this.#run(`DROP TABLE ${name} CASCADE`, (ts) => {
      const { model } = this.#world;
      for (const child of this.#childrenOf(name)) {
        const table = model.table(child);
        if (table) table.foreignKey = undefined;
      }
      model.setName(name, ts, undefined);
    });
  }

  #truncate(dice: Dice): Promise<void> | undefined {
    const found = this.#any(dice);
    if (!found) return undefined;
    this.#world.count('truncate');
    return this.#run(`TRUNCATE ${found.name} CASCADE`, (ts) => {
      const { model } = this.#world;
      const names = new Set([found.name]);
      // A set being walked grows under the walk.
      for (const name of names) for (const child of this.#childrenOf(name)) names.add(child);
      for (const name of names) {
        const old = model.table(name);
        if (!old) continue;
        const fresh = new TableModel({ ...old, columns: old.columns, indexes: old.indexes, foreignKey: old.foreignKey }, this.nextUid());
        this.#zones.copyTable(old, fresh);
        if (old.isExcludedAt(ts)) fresh.setExcluded(ts, true);
        for (const [key, value] of [...this.#defaults]) {
          if (key.startsWith(`${old.uid}/`)) this.#defaults.set(`${fresh.uid}/${key.slice(key.indexOf('/') + 1)}`, value);
        }
        this.#setName(name, ts, fresh);
      }
    });
  }

  #rename(dice: Dice): Promise<void> | undefined {
    const found = this.#any(dice);
    if (!found || this.#childrenOf(found.name).length > 0) return undefined;
    const { name } = found;
    const [database = ''] = name.split('.');
    const next = `${database}.t${dice.between(0, TABLES_MAX - 1)}`;
    if (next === name) return undefined;
    this.#world.count('rename table');
    return this.#run(`ALTER TABLE ${name} RENAME TO ${next}`, (ts) => {
      const table = this.#world.model.table(name);
      this.#world.model.setName(name, ts, undefined);
      this.#world.model.setName(next, ts, table);
    });
  }

  #addColumn(dice: Dice): Promise<void> | undefined {
    const found = this.#any(dice);
    if (!found || found.table.columnsAt(NOW).length > 7) return undefined;
    const { name, table } = found;
    const made = `n${dice.between(0, 3)}`;
    const drawn = dice.percent(50) ? dice.between(1, 50) : null;
    this.#world.count('add column');
    if (table.columns.some((one) => one.name === made && one.until === FOREVER)) return undefined;
    // Known before the job can make the column public, and kept: a name may be asked for again while it is still being added.
    const key = `${table.uid}/${made}`;
    const value = this.#defaults.has(key) ? (this.#defaults.get(key) ?? null) : drawn;
    this.#defaults.set(key, value);
    return this.#run(`ALTER TABLE ${name} ADD COLUMN ${made} INT${value === null ? '' : ` DEFAULT ${literal(value)}`}`, () => {});
  }

  #dropColumn(dice: Dice): Promise<void> | undefined {
    const found = this.#any(dice);
    const chosen = found && dice.maybe(found.table.columns.filter((one) => one.until === FOREVER && one.name.startsWith('n')));
    if (!found || !chosen) return undefined;
    this.#world.count('drop column');
    return this.#run(`ALTER TABLE ${found.name} DROP COLUMN ${chosen.name} CASCADE`, () => {});
  }

  #createIndex(dice: Dice): Promise<void> | undefined {
    const found = this.#any(dice);
    return found && this.#addIndex(dice, found);
  }

  /** Creates an index, if other changes allow. */
  async createIndexOn(dice: Dice, found: NamedTable): Promise<void> {
    if (this.#isFree(found)) await this.#addIndex(dice, found);
  }

  #addIndex(dice: Dice, { name, table }: NamedTable): Promise<void> | undefined {
    const chosen = dice.maybe(
      table.columns.filter((one) => one.until === FOREVER && one.type === 'INT' && !table.primaryKey.includes(one.key)),
    );
    if (!chosen) return undefined;
    const made = `i${dice.between(0, 9)}_${chosen.name}`;
    if (table.indexes.some((index) => index.name === made)) return undefined;
    const stored = dice.percent(30) ? ' STORING (s)' : '';
    const unique = dice.percent(20) ? 'UNIQUE ' : '';
    this.#world.count(`create ${unique.toLowerCase()}index`);
    return this.#run(`CREATE ${unique}INDEX ${made} ON ${name} (${chosen.name})${stored}`, () => {});
  }

  #dropIndex(dice: Dice): Promise<void> | undefined {
    const found = this.#any(dice);
    const chosen = found && dice.maybe(found.table.indexes.filter((index) => index.name.startsWith('i')));
    if (!found || !chosen) return undefined;
    this.#world.count('drop index');
    return this.#run(`DROP INDEX ${found.name}@${chosen.name} CASCADE`, () => {});
  }

  // ---- zones ------------------------------------------------------------------------------------

  #configureZone(dice: Dice): Promise<void> | undefined {
    this.#world.count('configure zone');
    const ttl = dice.percent(20) ? undefined : dice.pick(TTLS);
    const found = dice.percent(50) ? this.#any(dice) : undefined;
    if (found) return this.#configureTable(found, ttl);
    const database = dice.pick(DATABASES);
    return this.#run(`ALTER DATABASE ${database} ${zoneSql(ttl)}`, (ts) => this.#zones.setDatabase(database, ts, ttl));
  }

  #configureTable({ name, table }: NamedTable, ttl: number | undefined): Promise<void> {
    return this.#run(`ALTER TABLE ${name} ${zoneSql(ttl)}`, (ts) => this.#zones.setTable(table, ts, ttl));
  }

  /** Gives a table a TTL, or that of its database; false when other changes do not allow it. */
  async setTtl(found: NamedTable, seconds: number | undefined): Promise<boolean> {
    if (!this.#isFree(found)) return false;
    await this.#configureTable(found, seconds);
    return true;
  }

  /** Leaves a table's rows out of backups, or takes them back in; false when other changes do not allow it. */
  async setExcluded(found: NamedTable, isExcluded: boolean): Promise<boolean> {
    if (!this.#isFree(found)) return false;
    const { name, table } = found;
    const action = isExcluded ? 'SET (exclude_data_from_backup = true)' : 'RESET (exclude_data_from_backup)';
    await this.#run(`ALTER TABLE ${name} ${action}`, (ts) => table.setExcluded(ts, isExcluded));
    return true;
  }

  /** Leaves a table's rows out of backups, or takes one back in. */
  #excludeData(dice: Dice): Promise<void> | undefined {
    const { model } = this.#world;
    const excluded = model.tableNamesAt(NOW).filter((one) => model.table(one)?.isExcludedAt(NOW));
    const name = (dice.percent(60) ? dice.maybe(excluded) : undefined) ?? this.#any(dice)?.name;
    const table = name === undefined ? undefined : model.table(name);
    if (name === undefined || !table) return undefined;
    const isExcluded = !table.isExcludedAt(NOW);
    this.#world.count(isExcluded ? 'exclude data from backup' : 'include data in backup');
    const action = isExcluded || dice.percent(50) ? `SET (exclude_data_from_backup = ${isExcluded})` : 'RESET (exclude_data_from_backup)';
    return this.#run(`ALTER TABLE ${name} ${action}`, (ts) => table.setExcluded(ts, isExcluded));
  }

  // ---- running ----------------------------------------------------------------------------------

  /** Runs a statement; `apply` tells the model of it, in the order of commits. */
  async #run(sql: string, apply: (ts: number) => void): Promise<void> {
    const world = this.#world;
    this.isBusy = true;
    world.catalogChanges++;
    world.note(`ddl > ${sql}`);
    const stamp: Stamp = { txns: [] };
    try {
      await world.attributed(stamp, () => this.#session.execute(sql));
      const ts = committedWrite(stamp);
      world.note(`ddl < ${ts}`);
      // A statement that found nothing to change changed nothing.
      if (ts !== undefined) world.acknowledge({ ts, apply: () => apply(ts) });
    } catch (error) {
      world.note(`ddl < ${tell(error)}`);
      world.count(`schema change: ${codeOf(error)}`);
      const isOnline =
        error instanceof Error && JOB_CODES.has(codeOf(error)) && /^(ALTER TABLE|CREATE (UNIQUE )?INDEX|DROP INDEX)/.test(sql);
      if (isOnline) return;
      if (committedWrite(stamp) !== undefined) world.fail('error after commit', `${sql} committed and then said ${tell(error)}`, error);
      else if (!EXPECTED.has(codeOf(error))) world.fail('unexpected error', `${sql}\n    ${tell(error)}`, error);
    } finally {
      world.catalogChanges++;
      this.isBusy = false;
    }
  }
}

function column(name: string, type: ColumnModel['type'], value: ColumnModel['default']): ColumnModel {
  return { key: name, name, type, default: value, from: 0, until: FOREVER };
}

function zoneSql(ttl: number | undefined): string {
  return `CONFIGURE ZONE ${ttl === undefined ? 'DISCARD' : `USING gc.ttlseconds = ${ttl}`}`;
}
