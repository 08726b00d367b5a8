/**
 * CatalogView: what one statement's virtual tables see of the catalog: the databases they read, and of
 * those the relations that the user may know of.
 */
import type { CatalogSnapshot, ResolvedSchema } from '../../../catalog/catalog.ts';
import {
  type FunctionDescriptor,
  allIndexes,
  type DatabaseDescriptor,
  type Descriptor,
  type IndexDescriptor,
  isTable,
  type TableDescriptor,
  type TypeDescriptor,
} from '../../../catalog/descriptor.ts';
import { hasAnyPrivilege, hasPrivilege, isAdmin } from '../../../catalog/privileges.ts';
import { schemaHolder } from '../../../catalog/publicSchema.ts';
import { rolesOf } from '../../../catalog/users.ts';
import type { VirtualColumn, VirtualTable } from '../../plan/virtualTable.ts';
import { schemaOid } from '../oids.ts';
import type { StatementContext } from '../statement.ts';

/** A table, view or sequence with where it stands. */
export interface Relation {
  readonly table: TableDescriptor;
  readonly database: DatabaseDescriptor;
  readonly schemaName: string;
  readonly schemaOid: number;
}

/**
 * The virtual schemas that the catalogs list. Tools that read a database's schema know these, and leave
 * them out; a table of another one (varve_internal) they would take for the user's, and drop or migrate.
 */
export const isListedSchema = (name: string): boolean => LISTED_SCHEMAS.has(name);
const LISTED_SCHEMAS: ReadonlySet<string> = new Set(['crdb_internal', 'information_schema', 'pg_catalog', 'pg_extension']);

/** What one statement sees of the catalog: one database, or all when it names none. */
export class CatalogView {
  readonly context: StatementContext;
  readonly snapshot: CatalogSnapshot;
  /** The database read, or every one. */
  readonly databases: readonly DatabaseDescriptor[];
  /** The user and the roles it is in. */
  readonly roles: ReadonlySet<string>;

  private constructor(
    context: StatementContext,
    snapshot: CatalogSnapshot,
    databases: readonly DatabaseDescriptor[],
    roles: ReadonlySet<string>,
  ) {
    this.context = context;
    this.snapshot = snapshot;
    this.databases = databases;
    this.roles = roles;
  }

  static async open(context: StatementContext, database: string | undefined): Promise<CatalogView> {
    const snapshot = await context.catalog();
    const one = database ? snapshot.database(database) : undefined;
    const databases = one ? [one] : database ? [] : snapshot.allDatabases();
    const roles = isAdmin(context.user) ? new Set([context.user]) : await rolesOf(context.reader, context.user);
    return new CatalogView(context, snapshot, databases, roles);
  }

  /** Public tables, views and sequences that the user may know of, by database and id. */
  *relations(): Generator<Relation> {
    for (const database of this.databases) {
      for (const table of this.snapshot.tablesOf(database.id, { withTemporary: true })) {
        if (!this.canSee(table)) continue;
        const schemaName = this.snapshot.schemaById(database, table.schemaId)?.name ?? 'public';
        yield { table, database, schemaName, schemaOid: schemaOid(database.id, schemaName) };
      }
    }
  }

  *tables(): Generator<Relation> {
    for (const relation of this.relations()) if (isTable(relation.table)) yield relation;
  }

  *views(): Generator<Relation> {
    for (const relation of this.relations()) if (relation.table.view) yield relation;
  }

  *sequences(): Generator<Relation> {
    for (const relation of this.relations()) if (relation.table.sequence) yield relation;
  }

  /** Indexes that statements use, with their tables and materialized views. */
  *indexes(): Generator<Relation & { readonly index: IndexDescriptor }> {
    for (const relation of this.relations()) {
      if (!isTable(relation.table) && !relation.table.view?.isMaterialized) continue;
      for (const index of allIndexes(relation.table)) if (index.state === 'public') yield { ...relation, index };
    }
  }

  *schemas(): Generator<ResolvedSchema> {
    for (const database of this.databases) yield* this.snapshot.schemasOf(database, { withTemporary: true });
  }

  *types(): Generator<TypeDescriptor> {
    for (const database of this.databases) yield* this.snapshot.typesOf(database.id);
  }

  *functions(): Generator<FunctionDescriptor> {
    for (const database of this.databases) yield* this.snapshot.functionsOf(database.id);
  }

  /** Every virtual table, for the tables that list tables. */
  get virtualTables(): readonly VirtualTable[] {
    return this.context.engine.virtualTables.all().filter((table) => LISTED_SCHEMAS.has(table.schema));
  }

  /** Columns of a virtual table that `*` shows. */
  visibleColumns(virtual: VirtualTable): readonly VirtualColumn[] {
    return virtual.columns.filter((column) => column.hidden !== true);
  }

  get virtualSchemas(): readonly string[] {
    return this.context.engine.virtualTables.schemas().filter((name) => LISTED_SCHEMAS.has(name));
  }

  /** The oid of a schema of virtual tables: every database has its own, one reader of all has none. */
  virtualSchemaOid(name: string): number {
    const [only] = this.databases;
    return schemaOid(only && this.databases.length === 1 ? only.id : 0, name);
  }

  /** True for owners, admins, holders of any privilege on it, and of CONNECT on its database. */
  canSee(descriptor: Descriptor): boolean {
    if (hasAnyPrivilege(this.roles, descriptor.privileges)) return true;
    const database = this.snapshot.databaseById(descriptor.parentId);
    return database !== undefined && hasPrivilege(this.roles, database.privileges, 'CONNECT');
  }

  /** The oid of a virtual table of pg_catalog: what classid columns hold. */
  classOid(name: string): number {
    return this.context.engine.virtualTables.get('pg_catalog', name)?.oid ?? 0;
  }
}

/** Owner of a schema: public belongs to its database's where it has none of its own. */
export function schemaOwner(schema: ResolvedSchema): string {
  return schemaHolder(schema).privileges.owner;
}
