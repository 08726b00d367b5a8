/**
 * CatalogSnapshot: every name and descriptor as of one moment, and the rules that resolve names.
 *
 * Immutable. All look-ups are synchronous, over maps that catalog.ts keeps current, so planning
 * never waits. `tracked()` gives a view that records what was looked up, found or not: the rows a
 * plan stands on, which its transaction then adds to its read set (Catalog.noteReads).
 *
 * Name resolution (CockroachDB's): one part goes through the search path of the current database;
 * `a.b` is schema a of the current database, else table b of schema public in database a; `a.b.c`
 * is database, schema, table. Virtual schemas (pg_catalog and so on) are the SQL layer's.
 */
import { StateError, StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Timestamp } from '../base/timestamp.ts';

import {
  type DatabaseDescriptor,
  type Descriptor,
  type FunctionDescriptor,
  functionPlace,
  PUBLIC_SCHEMA_ID,
  type SchemaDescriptor,
  SYSTEM_DATABASE_ID,
  type TableDescriptor,
  type TypeDescriptor,
} from './descriptor.ts';
import type { NameParts } from './names.ts';

/** How names are resolved: the session's current database and search path. */
export interface NameContext {
  /** Empty when the session has none. */
  readonly currentDatabase: string;
  /** Schema names in order, `"$user"` already replaced. */
  readonly searchPath: readonly string[];
  /** The session's temporary schema, once it has made one: what `pg_temp` means, and first in the path unless the path names it. */
  readonly temporarySchema?: string | undefined;
}

/** What a session calls its own temporary schema. */
export const TEMPORARY_SCHEMA = 'pg_temp';

/** The schema name that a session means: `pg_temp` is its own temporary schema. */
export function schemaMeant(name: string, context: NameContext): string {
  return name === TEMPORARY_SCHEMA ? (context.temporarySchema ?? name) : name;
}

/** The schemas in which unqualified relations are looked up, in order. */
export function relationPath(context: NameContext): readonly string[] {
  const { searchPath, temporarySchema } = context;
  if (temporarySchema === undefined) return searchPath;
  if (searchPath.includes(TEMPORARY_SCHEMA)) return searchPath.map((name) => schemaMeant(name, context));
  return [temporarySchema, ...searchPath];
}

/** A schema of a database; `public` is synthetic and has no descriptor. */
export interface ResolvedSchema {
  readonly database: DatabaseDescriptor;
  readonly id: number;
  readonly name: string;
  readonly descriptor: SchemaDescriptor | undefined;
}

export interface ResolvedObject<D extends TableDescriptor | TypeDescriptor = TableDescriptor> {
  readonly descriptor: D;
  readonly schema: ResolvedSchema;
}

/** One row of system.namespace. */
export interface NameEntry {
  readonly parentId: number;
  readonly schemaId: number;
  readonly name: string;
  readonly id: number;
}

/** What a snapshot stands on; built by catalog.ts. */
export interface CatalogContent {
  /** Grows with every change of the catalog; equal numbers mean equal content. Negative for content of a transaction's own. */
  readonly version: number;
  descriptorOf(id: number): Descriptor | undefined;
  ids(): Iterable<number>;
  idOf(parentId: number, schemaId: number, name: string): number | undefined;
  names(parentId: number, schemaId: number): Iterable<NameEntry>;
}

/** Ids and names looked up through a tracked snapshot. */
export interface CatalogDependencies {
  readonly ids: Set<number>;
  /** Names, found or not, as `nameKey` makes them. */
  readonly names: Map<string, { parentId: number; schemaId: number; name: string }>;
}

export function nameKey(parentId: number, schemaId: number, name: string): string {
  return `${parentId}/${schemaId}/${name}`;
}

/** The content of a time whose schemas may be gone: whatever is looked up fails with that. */
export function unreadableContent(error: Error): CatalogContent {
  const refuse = (): never => {
    throw error;
  };
  return { version: -1, descriptorOf: refuse, ids: refuse, idOf: refuse, names: refuse };
}

export class CatalogSnapshot {
  private readonly content: CatalogContent;
  /** The read timestamp it shows. */
  readonly timestamp: Timestamp;
  /** What was looked up, in a tracked view. */
  readonly dependencies: CatalogDependencies | undefined;

  constructor(content: CatalogContent, timestamp: Timestamp, dependencies?: CatalogDependencies) {
    this.content = content;
    this.timestamp = timestamp;
    this.dependencies = dependencies;
  }

  /** Equal versions of one catalog mean equal content: the key of plan caches. Negative ones are a transaction's own. */
  get version(): number {
    return this.content.version;
  }

  /** The same moment with other content, such as attached databases beside the stored ones. */
  overlaid(overlay: (content: CatalogContent) => CatalogContent): CatalogSnapshot {
    const content = overlay(this.content);
    return content === this.content ? this : new CatalogSnapshot(content, this.timestamp, this.dependencies);
  }

  /** The same snapshot, recording its look-ups afresh. */
  tracked(): CatalogSnapshot & { readonly dependencies: CatalogDependencies } {
    return new CatalogSnapshot(this.content, this.timestamp, { ids: new Set(), names: new Map() }) as CatalogSnapshot & {
      readonly dependencies: CatalogDependencies;
    };
  }

  /** Any descriptor, whatever its state. */
  byId(id: number): Descriptor | undefined {
    this.dependencies?.ids.add(id);
    return this.content.descriptorOf(id);
  }

  /** A table, view or sequence, whatever its state. */
  tableById(id: number): TableDescriptor | undefined {
    const descriptor = this.byId(id);
    return descriptor?.kind === 'table' ? descriptor : undefined;
  }

  databaseById(id: number): DatabaseDescriptor | undefined {
    const descriptor = this.byId(id);
    return descriptor?.kind === 'database' ? descriptor : undefined;
  }

  typeById(id: number): TypeDescriptor | undefined {
    const descriptor = this.byId(id);
    return descriptor?.kind === 'type' ? descriptor : undefined;
  }

  functionById(id: number): FunctionDescriptor | undefined {
    const descriptor = this.byId(id);
    return descriptor?.kind === 'function' ? descriptor : undefined;
  }

  /** The functions of a name in a schema, whatever their state: its overloads. */
  functionsNamed(databaseId: number, schemaId: number, name: string): FunctionDescriptor[] {
    const found: FunctionDescriptor[] = [];
    for (;;) {
      const place = functionPlace(databaseId, schemaId, name, found.length);
      const id = this.lookup(place.parentId, place.schemaId, place.name);
      const descriptor = id === undefined ? undefined : this.functionById(id);
      if (!descriptor) return found;
      found.push(descriptor);
    }
  }

  /** The PUBLIC functions that a name stands for, those of the first schema in the path first. */
  resolveFunctions(parts: NameParts, context: NameContext): FunctionDescriptor[] {
    const name = parts.at(-1) ?? '';
    const found: FunctionDescriptor[] = [];
    for (const schema of this.candidateSchemas(parts, context)) {
      for (const one of this.functionsNamed(schema.database.id, schema.id, name)) if (one.state === 'PUBLIC') found.push(one);
    }
    return found;
  }

  /** Functions of a database, by id. */
  functionsOf(databaseId: number): FunctionDescriptor[] {
    const functions: FunctionDescriptor[] = [];
    for (const one of this.all()) if (one.kind === 'function' && one.parentId === databaseId && one.state === 'PUBLIC') functions.push(one);
    return functions.sort((a, b) => a.id - b.id);
  }

  /** The id a name stands for. `schemaId` is 0 for schemas and databases, `parentId` 0 for databases. */
  lookup(parentId: number, schemaId: number, name: string): number | undefined {
    this.dependencies?.names.set(nameKey(parentId, schemaId, name), { parentId, schemaId, name });
    return this.content.idOf(parentId, schemaId, name);
  }

  /** A PUBLIC database of that name. */
  database(name: string): DatabaseDescriptor | undefined {
    const id = this.lookup(0, 0, name);
    const database = id === undefined ? undefined : this.databaseById(id);
    return database?.state === 'PUBLIC' ? database : undefined;
  }

  /** Throws 3D000. */
  requireDatabase(name: string): DatabaseDescriptor {
    const database = this.database(name);
    if (!database) throw new StatementError(SqlState.InvalidCatalogName, `database "${name}" does not exist`);
    return database;
  }

  /** A schema of a database: `public` always, user schemas when PUBLIC. */
  schema(database: DatabaseDescriptor, name: string): ResolvedSchema | undefined {
    if (name === 'public') return { database, id: PUBLIC_SCHEMA_ID, name, descriptor: undefined };
    const id = this.lookup(database.id, 0, name);
    if (id === undefined) return undefined;
    const descriptor = this.byId(id);
    if (descriptor?.kind !== 'schema' || descriptor.state !== 'PUBLIC') return undefined;
    return { database, id, name, descriptor };
  }

  /** Throws 3F000. */
  requireSchema(database: DatabaseDescriptor, name: string): ResolvedSchema {
    const schema = this.schema(database, name);
    if (!schema) throw new StatementError(SqlState.InvalidSchemaName, `unknown schema "${name}"`);
    return schema;
  }

  schemaById(database: DatabaseDescriptor, id: number): ResolvedSchema | undefined {
    if (id === PUBLIC_SCHEMA_ID) return { database, id, name: 'public', descriptor: undefined };
    const descriptor = this.byId(id);
    return descriptor?.kind === 'schema' ? { database, id, name: descriptor.name, descriptor } : undefined;
  }

  /** The schema in which a new object of this name would be created. Throws 3D000, 3F000, or 42601 for more than three parts. */
  resolveTarget(parts: NameParts, context: NameContext): { schema: ResolvedSchema; name: string } {
    const name = parts.at(-1) ?? '';
    if (parts.length === 1) {
      const database = this.requireDatabase(requireCurrent(context));
      for (const schemaName of context.searchPath) {
        const schema = this.schema(database, schemaMeant(schemaName, context));
        if (schema) return { schema, name };
      }
      throw new StatementError(SqlState.InvalidName, 'no schema has been selected to create in');
    }
    const [first = '', second = ''] = parts;
    if (parts.length === 2) {
      const current = context.currentDatabase === '' ? undefined : this.database(context.currentDatabase);
      const schema = current && this.schema(current, schemaMeant(first, context));
      // `a.b`: public exists everywhere, so a database named like no schema is what is left.
      if (schema) return { schema, name };
      const database = this.database(first);
      if (database) return { schema: this.requireSchema(database, 'public'), name };
      throw new StatementError(
        SqlState.InvalidSchemaName,
        `cannot create "${parts.join('.')}" because the target database or schema does not exist`,
        {
          detail: `"${first}" is neither a schema of database "${context.currentDatabase}" nor a database`,
          hint: 'verify that the current database and search_path are valid and/or the target database exists',
        },
      );
    }
    if (parts.length === 3) return { schema: this.requireSchema(this.requireDatabase(first), schemaMeant(second, context)), name };
    throw new StatementError(SqlState.SyntaxError, `name has too many parts: ${parts.join('.')}`);
  }

  /** The PUBLIC table, view or sequence a name stands for; with `includeOffline`, an OFFLINE one too. */
  resolveTable(parts: NameParts, context: NameContext, options: { includeOffline?: boolean } = {}): ResolvedObject | undefined {
    return this.resolveObject(parts, context, (id, schema) => {
      const descriptor = this.tableById(id);
      if (!descriptor) return undefined;
      const isUsable = descriptor.state === 'PUBLIC' || (options.includeOffline === true && descriptor.state === 'OFFLINE');
      return isUsable ? { descriptor, schema } : undefined;
    });
  }

  /** As resolveTable; throws 42P01, or 55000 when the table is there but OFFLINE. */
  requireTable(parts: NameParts, context: NameContext): ResolvedObject {
    const found = this.resolveTable(parts, context, { includeOffline: true });
    if (!found) throw new StatementError(SqlState.UndefinedTable, `relation "${parts.join('.')}" does not exist`);
    if (found.descriptor.state === 'OFFLINE') throw offlineError(found.descriptor);
    return found;
  }

  /** The PUBLIC user type a name stands for. */
  resolveType(parts: NameParts, context: NameContext): ResolvedObject<TypeDescriptor> | undefined {
    return this.resolveObject(parts, context, (id, schema) => {
      const descriptor = this.typeById(id);
      return descriptor?.state === 'PUBLIC' ? { descriptor, schema } : undefined;
    });
  }

  private resolveObject<T>(
    parts: NameParts,
    context: NameContext,
    load: (id: number, schema: ResolvedSchema) => T | undefined,
  ): T | undefined {
    const name = parts.at(-1) ?? '';
    for (const schema of this.candidateSchemas(parts, context)) {
      const id = this.lookup(schema.database.id, schema.id, name);
      const found = id === undefined ? undefined : load(id, schema);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  private *candidateSchemas(parts: NameParts, context: NameContext): Generator<ResolvedSchema> {
    const [first = '', second = ''] = parts;
    const current = context.currentDatabase === '' || parts.length > 2 ? undefined : this.database(context.currentDatabase);
    if (parts.length === 1) {
      for (const schemaName of relationPath(context)) {
        const schema = current && this.schema(current, schemaName);
        if (schema) yield schema;
      }
    } else if (parts.length === 2) {
      const schema = current && this.#ownSchema(current, first, context);
      if (schema) yield schema;
      const database = this.database(first);
      const inPublic = database && this.schema(database, 'public');
      if (inPublic) yield inPublic;
    } else if (parts.length === 3) {
      const database = this.database(first);
      const schema = database && this.#ownSchema(database, second, context);
      if (schema) yield schema;
    }
  }

  /** A schema named by the session. 0A000 for another session's temporary one. */
  #ownSchema(database: DatabaseDescriptor, name: string, context: NameContext): ResolvedSchema | undefined {
    const schema = this.schema(database, schemaMeant(name, context));
    if (schema?.descriptor?.temporary && schema.name !== context.temporarySchema) {
      throw new StatementError(SqlState.FeatureNotSupported, 'cannot access temporary tables of other sessions');
    }
    return schema;
  }

  /** Every database in state PUBLIC, by name; `system` included. */
  allDatabases(): DatabaseDescriptor[] {
    const databases: DatabaseDescriptor[] = [];
    for (const descriptor of this.all()) {
      if (descriptor.kind === 'database' && descriptor.state === 'PUBLIC') databases.push(descriptor);
    }
    return databases.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** The schemas of a database, `public` first, then by name. Temporary ones only if asked for. */
  schemasOf(database: DatabaseDescriptor, options: { withTemporary?: boolean } = {}): ResolvedSchema[] {
    const schemas: ResolvedSchema[] = [];
    for (const descriptor of this.all()) {
      if (descriptor.kind === 'schema' && descriptor.temporary && options.withTemporary !== true) continue;
      if (descriptor.kind === 'schema' && descriptor.parentId === database.id && descriptor.state === 'PUBLIC') {
        schemas.push({ database, id: descriptor.id, name: descriptor.name, descriptor });
      }
    }
    schemas.sort((a, b) => (a.name < b.name ? -1 : 1));
    return [{ database, id: PUBLIC_SCHEMA_ID, name: 'public', descriptor: undefined }, ...schemas];
  }

  /**
   * Tables, views and sequences of a database (of one schema, when given), by id. Only PUBLIC ones unless `anyState`, and
   * temporary ones only in a schema that was given or if asked for.
   */
  tablesOf(databaseId: number, options: { schemaId?: number; anyState?: boolean; withTemporary?: boolean } = {}): TableDescriptor[] {
    const tables: TableDescriptor[] = [];
    for (const descriptor of this.all()) {
      if (descriptor.kind !== 'table' || descriptor.parentId !== databaseId) continue;
      if (options.schemaId !== undefined) {
        if (descriptor.schemaId !== options.schemaId) continue;
      } else if (descriptor.temporary && options.withTemporary !== true) continue;
      if (options.anyState === true || descriptor.state === 'PUBLIC') tables.push(descriptor);
    }
    return tables.sort((a, b) => a.id - b.id);
  }

  /** User types of a database, by id. */
  typesOf(databaseId: number): TypeDescriptor[] {
    const types: TypeDescriptor[] = [];
    for (const descriptor of this.all()) {
      if (descriptor.kind === 'type' && descriptor.parentId === databaseId && descriptor.state === 'PUBLIC') types.push(descriptor);
    }
    return types.sort((a, b) => a.id - b.id);
  }

  /** Every descriptor in every state, in no order. Not tracked: what stands on the whole catalog reads its span. */
  *all(): Generator<Descriptor> {
    for (const id of this.content.ids()) {
      const descriptor = this.content.descriptorOf(id);
      if (descriptor) yield descriptor;
    }
  }

  /** `db.public.t`: the parts of an object's full name; missing parents show as `[id]`. */
  fullName(descriptor: TableDescriptor | TypeDescriptor | SchemaDescriptor | FunctionDescriptor): string[] {
    const database = this.databaseById(descriptor.parentId);
    const databaseName = database?.name ?? `[${descriptor.parentId}]`;
    if (descriptor.kind === 'schema') return [databaseName, descriptor.name];
    const schema = database && this.schemaById(database, descriptor.schemaId);
    return [databaseName, schema?.name ?? `[${descriptor.schemaId}]`, descriptor.name];
  }
}

export function isSystemObject(descriptor: Descriptor): boolean {
  return descriptor.id === SYSTEM_DATABASE_ID || descriptor.parentId === SYSTEM_DATABASE_ID;
}

export function offlineError(descriptor: TableDescriptor | DatabaseDescriptor): StateError {
  const what = descriptor.kind === 'table' ? 'relation' : 'database';
  const why = descriptor.offlineReason === undefined ? '' : `: ${descriptor.offlineReason}`;
  return new StateError(SqlState.ObjectNotInPrerequisiteState, `${what} "${descriptor.name}" is offline${why}`);
}

function requireCurrent(context: NameContext): string {
  if (context.currentDatabase === '') {
    throw new StatementError(SqlState.InvalidCatalogName, 'no database specified', { hint: 'USE a database, or qualify the name' });
  }
  return context.currentDatabase;
}
