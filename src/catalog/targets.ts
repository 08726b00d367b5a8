/**
 * Targets: the databases and tables that a BACKUP, RESTORE, SHOW or GRANT names, resolved to
 * descriptors as of a snapshot, and to the spans that hold their rows.
 *
 *   t   s.t   d.t   d.s.t     one table, view or sequence
 *   *                         the search path's first schema of the current database
 *   x.*                       schema x of the current database, else every schema of database x
 *   d.s.*                     one schema
 *
 * Offline and dropped tables are no targets: named ones are an error, wildcards pass over them.
 */
import { StatementError } from '../base/errors.ts';
import { indexPrefix } from '../base/keycode.ts';
import { prefixSpan, type Span } from '../base/span.ts';
import { SqlState } from '../base/sqlState.ts';

import {
  allIndexes,
  type DatabaseDescriptor,
  type Descriptor,
  type FunctionDescriptor,
  PUBLIC_SCHEMA_ID,
  type SchemaDescriptor,
  type TableDescriptor,
  type TypeDescriptor,
} from './descriptor.ts';
import { typeIdsUsed } from './enumType.ts';
import type { CatalogSnapshot, NameContext, ResolvedSchema } from './snapshot.ts';

export type TargetPattern =
  | { readonly kind: 'database'; readonly name: string }
  | { readonly kind: 'table'; readonly parts: readonly string[] }
  /** `parts` without the star: [], [x] or [d, s]. */
  | { readonly kind: 'wildcard'; readonly parts: readonly string[] };

export interface ResolvedTargets {
  /** Databases asked for as a whole: by name, or by `d.*`; by id. */
  readonly databases: readonly DatabaseDescriptor[];
  /** Schemas asked for as a whole by a wildcard, or contained in a whole database; user schemas only, by id. */
  readonly schemas: readonly SchemaDescriptor[];
  /** Tables, views and sequences, by id. */
  readonly tables: readonly TableDescriptor[];
  /** User types of whole databases, and those that tables use; by id. */
  readonly types: readonly TypeDescriptor[];
  /** Functions of whole databases; by id. */
  readonly functions: readonly FunctionDescriptor[];
  /** Databases of the above that were not asked for as a whole; by id. */
  readonly parentDatabases: readonly DatabaseDescriptor[];
}

class Collector {
  readonly databases = new Map<number, DatabaseDescriptor>();
  readonly schemas = new Map<number, SchemaDescriptor>();
  readonly tables = new Map<number, TableDescriptor>();
  readonly types = new Map<number, TypeDescriptor>();
  readonly functions = new Map<number, FunctionDescriptor>();
  readonly parents = new Map<number, DatabaseDescriptor>();
  readonly snapshot: CatalogSnapshot;

  constructor(snapshot: CatalogSnapshot) {
    this.snapshot = snapshot;
  }

  addDatabase(database: DatabaseDescriptor): void {
    this.databases.set(database.id, database);
    for (const schema of this.snapshot.schemasOf(database)) if (schema.descriptor) this.schemas.set(schema.id, schema.descriptor);
    for (const table of this.snapshot.tablesOf(database.id)) this.addTable(table);
    for (const type of this.snapshot.typesOf(database.id)) this.types.set(type.id, type);
    for (const one of this.snapshot.functionsOf(database.id)) this.functions.set(one.id, one);
  }

  addTable(table: TableDescriptor): void {
    this.tables.set(table.id, table);
    const database = this.snapshot.databaseById(table.parentId);
    if (database) this.parents.set(database.id, database);
    const schema = table.schemaId === PUBLIC_SCHEMA_ID ? undefined : this.snapshot.byId(table.schemaId);
    if (schema?.kind === 'schema') this.schemas.set(schema.id, schema);
    for (const typeId of typeIdsUsed(table)) {
      const type = this.snapshot.typeById(typeId);
      if (type) this.types.set(type.id, type);
    }
  }

  addSchema(schema: ResolvedSchema): void {
    this.parents.set(schema.database.id, schema.database);
    if (schema.descriptor) this.schemas.set(schema.id, schema.descriptor);
    for (const table of this.snapshot.tablesOf(schema.database.id, { schemaId: schema.id })) this.addTable(table);
  }

  finish(): ResolvedTargets {
    const sorted = <D extends Descriptor>(map: Map<number, D>): D[] => [...map.values()].sort((a, b) => a.id - b.id);
    for (const id of this.databases.keys()) this.parents.delete(id);
    return {
      databases: sorted(this.databases),
      schemas: sorted(this.schemas),
      tables: sorted(this.tables),
      types: sorted(this.types),
      functions: sorted(this.functions),
      parentDatabases: sorted(this.parents),
    };
  }
}

/** Throws 3D000, 3F000, 42P01, or 55000 for a table that is OFFLINE. */
export function resolveTargets(snapshot: CatalogSnapshot, patterns: readonly TargetPattern[], context: NameContext): ResolvedTargets {
  const found = new Collector(snapshot);
  for (const pattern of patterns) {
    if (pattern.kind === 'database') found.addDatabase(snapshot.requireDatabase(pattern.name));
    else if (pattern.kind === 'table') found.addTable(snapshot.requireTable(pattern.parts, context).descriptor);
    else addWildcard(found, pattern.parts, context);
  }
  return found.finish();
}

/** Every database but `system`, whole: what a cluster backup covers beside the system tables. */
export function resolveCluster(snapshot: CatalogSnapshot): ResolvedTargets {
  const found = new Collector(snapshot);
  for (const database of snapshot.allDatabases()) if (database.name !== 'system') found.addDatabase(database);
  return found.finish();
}

function addWildcard(found: Collector, parts: readonly string[], context: NameContext): void {
  const { snapshot } = found;
  const [first = '', second = ''] = parts;
  if (parts.length === 2) {
    found.addSchema(snapshot.requireSchema(snapshot.requireDatabase(first), second));
    return;
  }
  const current = context.currentDatabase === '' ? undefined : snapshot.database(context.currentDatabase);
  if (parts.length === 0) {
    const database = current ?? snapshot.requireDatabase(context.currentDatabase);
    const schemas = context.searchPath.map((name) => snapshot.schema(database, name));
    const schema = schemas.find((candidate) => candidate !== undefined);
    if (!schema) throw new StatementError(SqlState.InvalidSchemaName, 'no schema of the search path exists');
    found.addSchema(schema);
    return;
  }
  const schema = current && snapshot.schema(current, first);
  const database = schema ? undefined : snapshot.database(first);
  if (schema) found.addSchema(schema);
  else if (database) found.addDatabase(database);
  else throw new StatementError(SqlState.InvalidSchemaName, `"${first}.*" does not match any valid database or schema`);
}

/** The spans of a table's indexes, in key order; none for views that hold no rows. */
export function tableIndexSpans(desc: TableDescriptor): Span[] {
  if (desc.view && !desc.view.isMaterialized) return [];
  const ids = desc.sequence ? [desc.primaryIndex.id] : allIndexes(desc).map((index) => index.id);
  return ids.sort((a, b) => a - b).map((id) => prefixSpan(indexPrefix(desc.id, id)));
}

/** The index spans of many tables, in key order, disjoint. */
export function targetSpans(tables: Iterable<TableDescriptor>): Span[] {
  return [...tables].sort((a, b) => a.id - b.id).flatMap(tableIndexSpans);
}
