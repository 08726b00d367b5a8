/**
 * Temporary schemas: where the relations that end with their session live.
 *
 * A session that makes its first temporary relation in a database gets a schema there, under one name in all databases.
 * The session calls it pg_temp, and finds what is in it before anything else (catalog/snapshot.ts). Everything in a
 * temporary schema is temporary, sequences of columns too; what is not is elsewhere.
 *
 *   T1  no session reaches another's temporary relations by name
 *   T2  a foreign key joins temporary tables or permanent ones, never one of each
 *
 * The schema goes with DISCARD TEMP and with its session (engine.ts); what a session could not take away, since the database
 * was forked or a conflict came between, goes after a GC run.
 */
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import { MIN_TIMESTAMP } from '../../../base/timestamp.ts';
import type { ResolvedSchema } from '../../../catalog/catalog.ts';
import type { DatabaseDescriptor, Descriptor, SchemaDescriptor } from '../../../catalog/descriptor.ts';
import { schemaMeant, TEMPORARY_SCHEMA } from '../../../catalog/snapshot.ts';
import { ownerPrivileges } from '../../../catalog/privileges.ts';
import type { ObjectName } from '../../parse/ast.ts';
import type { EngineServices } from '../statement.ts';
import { partsOf, type SchemaChange } from './common.ts';
import { dropWithContents } from './drop.ts';

export interface NewPlace {
  readonly schema: ResolvedSchema;
  readonly name: string;
  readonly taken: Descriptor | undefined;
}

/** Where a new table, view or sequence goes; a temporary one, or one of schema pg_temp, makes its schema. 42P16 outside of it. */
export async function newPlace(change: SchemaChange, written: ObjectName, temporary: boolean): Promise<NewPlace> {
  const { names, session } = change.context;
  const parts = partsOf(written);
  const qualifier = parts.at(-2);
  const isOwn = (name: string | undefined): boolean => name === TEMPORARY_SCHEMA || (name !== undefined && name === names.temporarySchema);
  const goesThere = temporary || isOwn(qualifier ?? names.searchPath[0]);
  if (!goesThere) return change.target(written);
  if (qualifier !== undefined && !isOwn(qualifier)) {
    throw new StatementError(SqlState.InvalidTableDefinition, 'cannot create temporary relation in non-temporary schema');
  }
  const database = change.database(parts.length > 2 ? (parts[0] ?? '') : names.currentDatabase);
  const schema = await ensureSchema(change, database, session.useTemporarySchema());
  return change.targetIn(schema, parts.at(-1) ?? '');
}

async function ensureSchema(change: SchemaChange, database: DatabaseDescriptor, name: string): Promise<ResolvedSchema> {
  const found = change.snapshot.schema(database, name);
  if (found) return found;
  const descriptor: SchemaDescriptor = {
    kind: 'schema',
    id: await change.allocateId(),
    name,
    parentId: database.id,
    version: 1,
    modificationTime: MIN_TIMESTAMP,
    state: 'PUBLIC',
    privileges: ownerPrivileges(change.context.user),
    temporary: true,
  };
  await change.writeName(database.id, 0, name, descriptor.id);
  await change.write(descriptor);
  return { database, id: descriptor.id, name, descriptor };
}

/** 0A000 when a name with a schema would move a relation into or out of a temporary schema. */
export function refuseTemporaryMove(from: ResolvedSchema, to: ResolvedSchema, message: string): void {
  if (from.id === to.id || !(from.descriptor?.temporary || to.descriptor?.temporary)) return;
  throw new StatementError(SqlState.FeatureNotSupported, message);
}

/** DISCARD TEMP: all that the session made, in every database. */
export async function discardTemporary(change: SchemaChange): Promise<void> {
  const name = schemaMeant(TEMPORARY_SCHEMA, change.context.names);
  for (const database of change.snapshot.allDatabases()) {
    const schema = change.snapshot.schema(database, name);
    if (schema?.descriptor?.temporary) await dropWithContents(change, schema, 'cascade');
  }
}

/** Temporary schemas of sessions that are over, by name: each once, whatever the number of databases. */
export async function leftTemporarySchemas(engine: EngineServices): Promise<string[]> {
  const inUse = new Set(engine.sessions().map((session) => session.names.temporarySchema));
  const left = new Set<string>();
  for (const descriptor of (await engine.catalog.current()).all()) {
    if (descriptor.kind === 'schema' && descriptor.temporary && !inUse.has(descriptor.name)) left.add(descriptor.name);
  }
  return [...left];
}
