/**
 * Virtual tables: relations whose rows are computed when they are read.
 *
 * pg_catalog, information_schema, crdb_internal and what upper layers register (varve_internal) are
 * rows of one registry: `schema.name`, columns, and a function that gives the rows of a moment.
 *
 * Lives elsewhere: the tables themselves (../exec/virtual/).
 */
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { Datum } from '../../catalog/datum.ts';
import type { CatalogSnapshot, NameContext } from '../../catalog/catalog.ts';
import type { ColumnType } from '../../catalog/type.ts';
import type { KvReader } from '../../kv/kv.ts';

export interface VirtualColumn {
  readonly name: string;
  readonly type: ColumnType;
  readonly hidden?: boolean;
  /** Said of it by SHOW CREATE and the catalogs. */
  readonly notNull?: boolean;
}

/** What every reader of a virtual table has; the executor passes its whole StatementContext. */
export interface VirtualTableContext {
  readonly user: string;
  readonly reader: KvReader;
  readonly names: NameContext;
  catalog(): Promise<CatalogSnapshot>;
}

export interface VirtualTable {
  readonly schema: string;
  readonly name: string;
  readonly columns: readonly VirtualColumn[];
  /** A stable number: the oid pg_class shows it under. */
  readonly oid: number;
  readonly comment?: string;
  /**
   * The rows now, in any order, each as wide as `columns`. `database` is the one the statement names
   * or the session's; undefined when there is none.
   */
  rows(context: VirtualTableContext, database: string | undefined): Promise<Iterable<Datum[]>> | Iterable<Datum[]>;
}

/** Oids of virtual tables count down from here, as CockroachDB's do. */
const OID_MAX = 4294967295;

export class VirtualTables {
  readonly #parent: VirtualTables | undefined;
  readonly #tables = new Map<string, VirtualTable>();
  readonly #schemas = new Set<string>();
  #all: readonly VirtualTable[] = [];

  /** With a parent: its tables, which are complete by now, and what is registered here. */
  constructor(parent?: VirtualTables) {
    this.#parent = parent;
  }

  /** Adds a table; a second one of the same name is a bug (42P07). */
  register(table: Omit<VirtualTable, 'oid'>): void {
    const key = `${table.schema}.${table.name}`;
    if (this.get(table.schema, table.name))
      throw new StatementError(SqlState.DuplicateRelation, `virtual table "${key}" is registered twice`);
    this.#tables.set(key, { ...table, oid: OID_MAX - this.#size });
    this.#schemas.add(table.schema);
  }

  get(schema: string, name: string): VirtualTable | undefined {
    return this.#tables.get(`${schema}.${name}`) ?? this.#parent?.get(schema, name);
  }

  hasSchema(schema: string): boolean {
    return this.#schemas.has(schema) || this.#parent?.hasSchema(schema) === true;
  }

  /** Schemas, sorted. */
  schemas(): string[] {
    return [...new Set([...this.#schemas, ...(this.#parent?.schemas() ?? [])])].sort();
  }

  /** Tables in order of schema and name; sorted anew when one has been registered. */
  all(): readonly VirtualTable[] {
    if (this.#all.length !== this.#size) {
      const tables = [...this.#tables.values(), ...(this.#parent?.all() ?? [])];
      this.#all = tables.sort((a, b) => (a.schema + '.' + a.name < b.schema + '.' + b.name ? -1 : 1));
    }
    return this.#all;
  }

  get #size(): number {
    return this.#tables.size + (this.#parent ? this.#parent.#size : 0);
  }
}
