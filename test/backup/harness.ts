/**
 * A cluster with catalog, jobs, mem:// storage and backup on a manual clock, below SQL: tables are
 * made by descriptors, rows written through the row codec, and BACKUP statements are parsed and run
 * by their hooks. A reference reader brings a chain's rows back without restore's code.
 */
import type { Bytes } from '../../src/base/bytes.ts';
import { utf8Decode, utf8Encode } from '../../src/base/bytes.ts';
import { InlineExecutor } from '../../src/base/executor.ts';
import { Ids } from '../../src/base/ids.ts';
import { ManualClock } from '../../src/base/manualClock.ts';
import { seededRandom } from '../../src/base/random.ts';
import { SqlState } from '../../src/base/sqlState.ts';
import { StatementError } from '../../src/base/errors.ts';
import type { Timestamp } from '../../src/base/timestamp.ts';
import { chooseLayers, loadChain } from '../../src/backup/chain.ts';
import type { CollectionStorage } from '../../src/backup/collectionStorage.ts';
import { collectionAt } from '../../src/backup/collectionStorage.ts';
import { readLatest } from '../../src/backup/collection.ts';
import { proveCoverage } from '../../src/backup/coverage.ts';
import { readDataFile } from '../../src/backup/dataFileReader.ts';
import type { Manifest } from '../../src/backup/manifest.ts';
import { registerBackup } from '../../src/backup/registerBackup.ts';
import type { CatalogServices } from '../../src/catalog/bootstrap.ts';
import { openCatalog } from '../../src/catalog/bootstrap.ts';
import type { Datum } from '../../src/catalog/datum.ts';
import type { TableDescriptor } from '../../src/catalog/descriptor.ts';
import { PUBLIC_SCHEMA_ID } from '../../src/catalog/descriptor.ts';
import { rowDecoder, tableCodec } from '../../src/catalog/rowCodec.ts';
import { Type } from '../../src/catalog/type.ts';
import { configureZone } from '../../src/catalog/zones.ts';
import { systemJobTable } from '../../src/jobs/jobTable.ts';
import { JobRegistry } from '../../src/jobs/registry.ts';
import type { Kv, KvReader } from '../../src/kv/kv.ts';
import { openKv } from '../../src/kv/localKv.ts';
import type { StatementContext } from '../../src/sql/exec/statement.ts';
import { StatementHooks } from '../../src/sql/exec/statement.ts';
import type { Expr } from '../../src/sql/parse/ast.ts';
import { parseStatements } from '../../src/sql/parse/parse.ts';
import type { ExternalStorage } from '../../src/storage/externalStorage.ts';
import { MemoryFiles, openMemory } from '../../src/storage/memory.ts';
import { StorageRegistry } from '../../src/storage/registry.ts';
import { ParsedUri } from '../../src/storage/uri.ts';
import { testTable } from '../catalog/support.ts';

export const START = '2026-11-20T12:00:00Z';
/** The collection that scripts back up into. */
export const COLLECTION = 'mem://bucket/c';

export interface HarnessOptions {
  readonly nodes?: number;
  readonly wrap?: (storage: ExternalStorage) => ExternalStorage;
  readonly seed?: string;
}

/** A statement's rows as objects, STRING values decoded. */
export interface StatementRows {
  readonly tag: string;
  readonly rows: Record<string, unknown>[];
}

export class Harness {
  readonly kv: Kv;
  readonly clock: ManualClock;
  readonly services: CatalogServices;
  readonly jobs: JobRegistry;
  readonly files = new MemoryFiles();
  readonly statements = new StatementHooks();
  pausepoints = '';
  #tables = new Map<string, number>();

  private constructor(clock: ManualClock, services: CatalogServices, options: HarnessOptions) {
    this.clock = clock;
    this.kv = services.kv;
    this.services = services;
    this.jobs = new JobRegistry({
      kv: this.kv,
      table: systemJobTable,
      settings: {
        pausepoints: () => this.pausepoints,
        retryInitialDelayMicros: () => 30_000_000,
        retryMaxDelayMicros: () => 3600_000_000,
        retentionMicros: () => 14 * 24 * 3600_000_000,
      },
    });
    const storage = new StorageRegistry(options.wrap ? { wrap: options.wrap } : {});
    storage.register('mem', (uri) => openMemory(uri, this.files));
    registerBackup({ ...services, engine: { statements: this.statements }, jobs: this.jobs, storage });
  }

  static async open(options: HarnessOptions = {}): Promise<Harness> {
    const clock = new ManualClock(START);
    const localities = Array.from({ length: options.nodes ?? 1 }, () => '');
    const ids = new Ids(seededRandom(options.seed ?? 'backup'), clock);
    const kv = openKv({ clock, activity: clock.activity, executor: new InlineExecutor(), ids, localities });
    const harness = new Harness(clock, await openCatalog(kv), options);
    await harness.jobs.start();
    return harness;
  }

  close(): void {
    this.jobs.close();
    this.services.close();
    this.kv.close();
  }

  // ---- catalog and rows -------------------------------------------------------------------------

  async createDatabase(name: string): Promise<void> {
    await this.kv.run((txn) => this.services.catalog.createDatabase(txn, { name, owner: 'root' }));
  }

  /** `db.t`: (id INT PRIMARY KEY, v STRING, INDEX (v)). */
  async createTable(name: string, options: { readonly state?: 'OFFLINE' } = {}): Promise<void> {
    const [database = '', table = ''] = name.split('.');
    const { catalog } = this.services;
    const id = await catalog.allocateIds(1);
    await this.kv.run(async (txn) => {
      const { id: parentId } = (await catalog.snapshot(txn)).requireDatabase(database);
      const columns = [
        { name: 'id', type: Type.Int8 },
        { name: 'v', type: Type.String },
      ];
      const desc = testTable(id, table, columns, ['id'], { parentId, indexes: [{ name: 'by_v', columns: ['v'] }] });
      const state = options.state ? { state: options.state, offlineReason: 'restoring' } : {};
      catalog.writeDescriptor(txn, { ...desc, ...state });
      catalog.writeName(txn, parentId, PUBLIC_SCHEMA_ID, table, id);
    });
    this.#tables.set(name, id);
  }

  /** Changes fields of a table's descriptor. */
  async alterTable(name: string, changes: Partial<TableDescriptor>): Promise<void> {
    const { catalog } = this.services;
    await this.kv.run(async (txn) => {
      const table = await this.#table(name, txn);
      catalog.writeDescriptor(txn, { ...table, ...changes });
    });
  }

  /** As DROP TABLE: the name goes, the descriptor stays in state DROP until its history has expired. */
  async dropTable(name: string): Promise<void> {
    const { catalog } = this.services;
    await this.kv.run(async (txn) => {
      const table = await this.#table(name, txn);
      catalog.deleteName(txn, table.parentId, table.schemaId, table.name);
      catalog.writeDescriptor(txn, { ...table, state: 'DROP', dropTime: this.kv.reading() });
    });
  }

  /** As TRUNCATE: a copy of the table with another id takes the name. The table before is `old/NAME`. */
  async truncateTable(name: string): Promise<void> {
    const { catalog } = this.services;
    const id = await catalog.allocateIds(1);
    await this.kv.run(async (txn) => {
      const table = await this.#table(name, txn);
      catalog.writeDescriptor(txn, { ...table, state: 'DROP', dropTime: this.kv.reading() });
      catalog.writeDescriptor(txn, { ...table, id, version: 1 });
      catalog.writeName(txn, table.parentId, table.schemaId, table.name, id);
    });
    // A name that was truncated before has an old one already.
    let old = `old/${name}`;
    while (this.#tables.has(old)) old = `old/${old}`;
    this.#tables.set(old, this.tableId(name));
    this.#tables.set(name, id);
  }

  /** Removes a dropped table and its data, as is done when its TTL has passed. */
  async collectTable(name: string): Promise<void> {
    const id = this.tableId(name);
    await this.kv.run(async (txn) => this.services.catalog.deleteDescriptor(txn, id));
    this.kv.clearTable(id);
  }

  /** Rows by id; null deletes. */
  async put(name: string, rows: ReadonlyMap<number, string | null>): Promise<Timestamp> {
    const table = await this.#table(name, this.kv.at(this.kv.reading()));
    const codec = tableCodec(table);
    const txn = this.kv.begin();
    for (const [id, value] of rows) {
      const old = await this.#row(table, id, txn);
      const out = { keys: [] as Bytes[], values: [] as (Bytes | null)[] };
      const index = table.indexes[0];
      if (old && index) {
        out.keys.push(codec.entryKey(index, old));
        out.values.push(null);
      }
      const row: Datum[] = [id, value === null ? null : utf8Encode(value)];
      if (value === null) codec.encodeRowDelete(row, out);
      else {
        codec.encodeRow(row, out);
        if (index) {
          const entry = codec.encodeEntry(index, row);
          out.keys.push(entry.key);
          out.values.push(entry.value);
        }
      }
      txn.write(out.keys, out.values);
    }
    return await txn.commit();
  }

  async #row(table: TableDescriptor, id: number, reader: KvReader): Promise<Datum[] | undefined> {
    const key = tableCodec(table).rowKey([id, null]);
    const [value] = await reader.get([key]);
    return value === undefined ? undefined : rowDecoder(table, table.primaryIndex, [1, 2]).decodeOne(key, value);
  }

  async setTtl(name: string, seconds: number): Promise<void> {
    await this.kv.run(async (txn) => {
      const snapshot = await this.services.catalog.snapshot(txn);
      const target = name.includes('.')
        ? ({ kind: 'table', id: (await this.#table(name, txn)).id } as const)
        : ({ kind: 'database', id: snapshot.requireDatabase(name).id } as const);
      await configureZone(txn, snapshot, target, { gcTtlSeconds: seconds });
    });
  }

  /** A table's id; those that were dropped too. */
  tableId(name: string): number {
    const id = this.#tables.get(name);
    if (id === undefined) throw new Error(`no table ${name}`);
    return id;
  }

  async #table(name: string, reader: KvReader): Promise<TableDescriptor> {
    const table = (await this.services.catalog.snapshot(reader)).tableById(this.tableId(name));
    if (table === undefined) throw new Error(`table ${name} is gone`);
    return table;
  }

  /** Live keys and values of a table as of a time: what a backup must bring back. */
  async liveData(name: string, time: Timestamp): Promise<Map<Bytes, Bytes>> {
    const { key, endKey } = this.tableSpan(name);
    const { keys, values } = await this.kv.at(time, { unchecked: true }).scan({ key, endKey });
    return new Map(keys.map((k, i) => [k, values[i] as Bytes]));
  }

  /** Names of the tables, also those that were dropped or truncated since, that were PUBLIC at a time. */
  async publicTablesAt(time: Timestamp): Promise<string[]> {
    const snapshot = await this.services.catalog.snapshot(this.kv.at(time, { unchecked: true }));
    return [...this.#tables].filter(([, id]) => snapshot.tableById(id)?.state === 'PUBLIC').map(([name]) => name);
  }

  tableSpan(name: string): { key: Bytes; endKey: Bytes } {
    const id = this.tableId(name);
    const byte = (n: number) => String.fromCharCode(0x88 + n);
    return { key: byte(id) as Bytes, endKey: byte(id + 1) as Bytes };
  }

  // ---- statements -------------------------------------------------------------------------------

  /** Runs one statement in an implicit transaction. */
  async run(
    sql: string,
    options: { readonly user?: string; readonly explicit?: boolean; readonly beforeCommit?: () => Promise<void> } = {},
  ): Promise<StatementRows> {
    const [parsed] = parseStatements(sql);
    const hook = parsed && this.statements.get(parsed.ast.kind);
    if (!parsed || !hook) throw new Error(`no hook for ${sql}`);
    const txn = this.kv.begin();
    const context = this.#context(txn, options.user ?? 'root', options.explicit === true);
    try {
      const result = await hook.run(context, parsed.ast);
      await options.beforeCommit?.();
      if (options.explicit) await txn.commit();
      const columns = hook.columns(parsed.ast, context) ?? [];
      const rows = (result.rows ?? []).map((row) => {
        if (row.length !== columns.length) throw new Error(`${row.length} values for ${columns.length} columns`);
        return Object.fromEntries(
          columns.map(({ name, type }, i) => [name, type === Type.String && row[i] !== null ? utf8Decode(row[i] as Bytes) : row[i]]),
        );
      });
      return { tag: result.tag, rows };
    } finally {
      txn.rollback();
    }
  }

  #context(txn: ReturnType<Kv['begin']>, user: string, inExplicitTransaction: boolean): StatementContext {
    const text = async (expr: Expr) => {
      if (expr.kind === 'null') return undefined;
      if (expr.kind !== 'string') throw new StatementError(SqlState.DatatypeMismatch, `not a string: ${expr.kind}`);
      return expr.value;
    };
    const context: Partial<StatementContext> & Record<string, unknown> = {
      txn,
      user,
      inExplicitTransaction,
      signal: new AbortController().signal,
      engine: { externalIo: {} } as unknown as StatementContext['engine'],
      session: {
        names: { currentDatabase: 'bank', searchPath: ['public'] },
        nodeId: 1,
        showVariable: () => 'off',
      } as unknown as StatementContext['session'],
      // Scripts of the server show what statements warn of.
      notice: () => {},
      evalString: text,
      evalDatum: async (expr) => {
        if (expr.kind === 'boolean') return { type: Type.Bool, value: expr.value };
        const value = await text(expr);
        return { type: Type.String, value: value === undefined ? null : utf8Encode(value) };
      },
      // `'-10s'`, or microseconds since the epoch.
      resolveAsOf: async (expr) => {
        const value = await text(expr);
        const ago = /^-(\d+)s$/.exec(value ?? '');
        const time = ago ? this.clock.nowMicros() - Number(ago[1]) * 1e6 : Number(value);
        if (time > this.kv.reading()) {
          throw new StatementError(SqlState.InvalidParameterValue, 'AS OF SYSTEM TIME: cannot specify timestamp in the future');
        }
        return time as Timestamp;
      },
    };
    return context as unknown as StatementContext;
  }

  // ---- storage ----------------------------------------------------------------------------------

  /** The collection, without what `wrap` puts around it. */
  get collection(): CollectionStorage {
    return collectionAt(openMemory(ParsedUri.parse(COLLECTION), this.files));
  }

  async fileNames(): Promise<string[]> {
    return await this.collection.list('');
  }

  /**
   * What the newest chain (or the one of `full`) brings back of a table at a time: live keys and
   * values. The coverage is proved, every file checked whole, and no version may come twice.
   */
  async readBack(name: string, time?: Timestamp, full?: string): Promise<{ data: Map<Bytes, Bytes>; manifest: Manifest; time: Timestamp }> {
    const storage = this.collection;
    const chain = await loadChain(storage, full ?? (await readLatest(storage)));
    const chosen = chooseLayers(chain, time);
    proveCoverage(chosen.layers);
    const { key, endKey } = this.tableSpan(name);
    const newest = new Map<Bytes, { time: Timestamp; value: Bytes | null }>();
    for (const { directory, manifest } of chosen.layers) {
      for (const file of manifest.files) {
        for await (const run of readDataFile(storage, `${directory}/${file.path}`, file, { executor: this.kv.executor })) {
          for (const [i, k] of run.keys.entries()) {
            const at = run.timestamps[i] as Timestamp;
            if (k < key || k >= endKey || at > chosen.time) continue;
            const known = newest.get(k);
            if (known === undefined || at > known.time) newest.set(k, { time: at, value: run.values[i] ?? null });
          }
        }
      }
    }
    const data = new Map<Bytes, Bytes>();
    for (const k of [...newest.keys()].sort()) {
      const value = newest.get(k)?.value;
      if (value !== null && value !== undefined) data.set(k, value);
    }
    const layer = chosen.layers.at(-1);
    if (layer === undefined) throw new Error('no layer');
    return { data, manifest: layer.manifest, time: chosen.time };
  }

  /** Rows of a table's primary index among keys and values, as `1=a 2=b`. */
  async showRows(name: string, data: ReadonlyMap<Bytes, Bytes>): Promise<string> {
    const table = await this.#table(name, this.kv.at(this.kv.reading()));
    const decoder = rowDecoder(table, table.primaryIndex, [1, 2]);
    const prefix = tableCodec(table).rowKey([1, null]).slice(0, 2);
    const rows = [...data].filter(([key]) => key.startsWith(prefix)).map(([key, value]) => decoder.decodeOne(key, value));
    return rows.map(([id, value]) => `${id}=${utf8Decode(value as Bytes)}`).join(' ') || 'no rows';
  }
}
