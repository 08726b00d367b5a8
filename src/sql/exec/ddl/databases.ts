/**
 * Databases and schemas: CREATE, ALTER; renaming and comments of anything.
 */
import { StateError, StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import { MIN_TIMESTAMP } from '../../../base/timestamp.ts';
import { type DatabaseDescriptor, type SchemaDescriptor, type TableDescriptor, updated } from '../../../catalog/descriptor.ts';
import { functionIdsUsed } from '../../../catalog/enumType.ts';
import { quoteNames } from '../../../catalog/names.ts';
import { isNewerForm } from '../../../catalog/newerForm.ts';
import { schemaHolder } from '../../../catalog/publicSchema.ts';
import { hasSystemPrivilege } from '../../../catalog/globalPrivileges.ts';
import type { ResolvedSchema } from '../../../catalog/catalog.ts';
import { schemaMeant } from '../../../catalog/snapshot.ts';
import { requireUser } from '../../../catalog/users.ts';
import type { AlterDatabase, AlterRelation, AlterSchema, CommentOn, CreateDatabase, CreateSchema, ObjectName } from '../../parse/ast.ts';
import { alreadyExists, partsOf, requireUserType, type SchemaChange } from './common.ts';
import { newSchemaPrivileges } from './newPrivileges.ts';
import { requireOwner, setOwner } from './ownership.ts';
import { refuseTemporaryMove } from './temporary.ts';
import { alterDatabaseDefaults } from './roleDefaults.ts';
import { findIndex } from './indexes.ts';
import { addRegions, alterRegions, type RegionAction, wantedRegions } from './regions.ts';
import { namesType, refreshUsers, typeRenaming } from './typeUsers.ts';

/** Options whose values could ask for what a database here never is. */
const CHECKED_OPTIONS: ReadonlySet<string> = new Set(['connection limit', 'encoding', 'lc_collate', 'lc_ctype', 'template']);

export async function createDatabase(change: SchemaChange, stmt: CreateDatabase): Promise<void> {
  const name = stmt.name.text;
  if (name === '') throw new StatementError(SqlState.SyntaxError, 'empty database name');
  for (const option of stmt.options) {
    // What is not checked means nothing here, whatever its value.
    if (!CHECKED_OPTIONS.has(option.name) || !option.value || option.value.kind === 'default') continue;
    if (option.name === 'connection limit') {
      const limit = await change.context.evalInt(option.value);
      if (limit !== -1) throw new StatementError(SqlState.FeatureNotSupported, `only connection limit -1 is supported, got: ${limit}`);
      continue;
    }
    const value = await change.context.evalString(option.value);
    if (option.name === 'encoding' && value !== undefined && !/^utf-?8$/i.test(value)) {
      throw new StatementError(SqlState.FeatureNotSupported, `unsupported encoding: ${value}`);
    }
    if ((option.name === 'lc_collate' || option.name === 'lc_ctype') && value !== undefined && value !== 'C.UTF-8' && value !== 'C') {
      throw new StatementError(
        SqlState.FeatureNotSupported,
        `unsupported ${option.name === 'lc_collate' ? 'collation' : 'character classification'}: ${value}`,
      );
    }
    if (option.name === 'template' && value !== undefined && value !== 'template0') {
      throw new StatementError(SqlState.FeatureNotSupported, `unsupported template: ${value}`);
    }
  }
  const taken = change.snapshot.lookup(0, 0, name) !== undefined;
  change.note();
  if (taken) {
    if (stmt.ifNotExists) {
      change.context.notice(`database "${name}" already exists, skipping`);
      return;
    }
    throw new StatementError(SqlState.DuplicateDatabase, `database "${name}" already exists`);
  }
  if (!(await hasSystemPrivilege(change.txn, change.roles, 'CREATEDB'))) {
    throw new StatementError(SqlState.InsufficientPrivilege, 'permission denied to create database');
  }
  const owner = stmt.options.find((option) => option.name === 'owner')?.value;
  const ownerName = owner ? ((await change.context.evalString(owner)) ?? change.context.user) : change.context.user;
  if (owner) await requireUser(change.txn, ownerName);
  const regions = wantedRegions(change.context, stmt.regions);
  const database = await change.context.engine.catalog.createDatabase(change.txn, {
    name,
    owner: ownerName,
    ownPublicSchema: isNewerForm(change.context.engine.settings),
  });
  if (!regions) return;
  await change.refresh();
  await addRegions(change, database, regions);
}

export async function alterDatabase(change: SchemaChange, stmt: AlterDatabase): Promise<void> {
  const database = change.database(stmt.name.text);
  if (isRegionAction(stmt.action)) return alterRegions(change, database, stmt.action);
  if (database.name === 'system') throw new StatementError(SqlState.InsufficientPrivilege, 'cannot alter the system database');
  const { action } = stmt;
  switch (action.type) {
    case 'rename': {
      const name = action.newName.text;
      if (name === '') throw new StatementError(SqlState.SyntaxError, 'empty database name');
      await requireMayRename(change, database);
      if (name === database.name) return;
      refuseNamedInViews(change, 'database', ({ parentId }) => parentId === database.id);
      refuseNamedInDefaults(change, database);
      if (change.snapshot.lookup(0, 0, name) !== undefined) {
        throw new StatementError(SqlState.DuplicateDatabase, `the new database name "${name}" already exists`);
      }
      await change.deleteName(0, 0, database.name);
      await change.writeName(0, 0, name, database.id);
      await change.write(updated(database, { name }));
      return;
    }
    case 'owner':
      await setOwner(change, database, action.owner);
      return;
    case 'set':
    case 'reset':
      requireOwner(change, database);
      await alterDatabaseDefaults(change, database.id, action);
  }
}

const isRegionAction = (action: AlterDatabase['action']): action is RegionAction =>
  !['rename', 'owner', 'set', 'reset'].includes(action.type);

/** By a schema that is being restored, too: it cannot be used yet, and has its name already. */
function isSchemaNameTaken(change: SchemaChange, database: DatabaseDescriptor, name: string): boolean {
  return change.snapshot.schema(database, name) !== undefined || change.snapshot.lookup(database.id, 0, name) !== undefined;
}

export async function createSchema(change: SchemaChange, stmt: CreateSchema): Promise<void> {
  const parts = stmt.name ? partsOf(stmt.name) : [stmt.owner?.text ?? ''];
  const name = parts.at(-1) ?? '';
  const database = change.database(parts.length > 1 ? (parts[0] ?? '') : change.context.names.currentDatabase);
  change.check(database, 'CREATE');
  if (name.startsWith('pg_')) {
    throw new StatementError(SqlState.ReservedName, `unacceptable schema name "${name}"`, {
      detail: 'The prefix "pg_" is reserved for system schemas.',
    });
  }
  if (isSchemaNameTaken(change, database, name) || change.context.engine.virtualTables.hasSchema(name)) {
    if (stmt.ifNotExists) {
      change.context.notice(`schema "${name}" already exists, skipping`);
      return;
    }
    throw new StatementError(SqlState.DuplicateSchema, `schema "${name}" already exists`);
  }
  if (stmt.owner) await requireUser(change.txn, stmt.owner.text);
  const id = await change.allocateId();
  const schema: SchemaDescriptor = {
    kind: 'schema',
    id,
    name,
    parentId: database.id,
    version: 1,
    modificationTime: MIN_TIMESTAMP,
    state: 'PUBLIC',
    privileges: newSchemaPrivileges(stmt.owner?.text ?? change.context.user, database),
  };
  await change.writeName(database.id, 0, name, id);
  await change.write(schema);
}

export async function alterSchema(change: SchemaChange, stmt: AlterSchema): Promise<void> {
  const parts = partsOf(stmt.name);
  const database = change.database(parts.length > 1 ? (parts[0] ?? '') : change.context.names.currentDatabase);
  const schema = change.snapshot.requireSchema(database, parts.at(-1) ?? '');
  if (!schema.descriptor) throw new StatementError(SqlState.InsufficientPrivilege, `cannot modify schema "${schema.name}"`);
  if (stmt.action.type === 'owner') {
    await setOwner(change, schema.descriptor, stmt.action.owner);
    return;
  }
  requireOwner(change, schema.descriptor);
  change.check(database, 'CREATE');
  const name = stmt.action.newName.text;
  if (isSchemaNameTaken(change, database, name)) throw new StatementError(SqlState.DuplicateSchema, `schema "${name}" already exists`);
  const isInside = (relation: Placed) => relation.parentId === database.id && relation.schemaId === schema.id;
  refuseNamedInViews(change, 'schema', isInside);
  await change.deleteName(database.id, 0, schema.name);
  await change.writeName(database.id, 0, name, schema.id);
  const types = change.snapshot.typesOf(database.id).filter((type) => type.schemaId === schema.id);
  const renamings = types.map((type) => typeRenaming(namesType(change, type), name, type.name));
  await change.write(updated(schema.descriptor, { name }));
  for (const [i, type] of types.entries()) await refreshUsers(change, change.snapshot.typeById(type.id) ?? type, renamings[i]);
}

/** What has a database and a schema. */
type Placed = Pick<TableDescriptor, 'parentId' | 'schemaId'>;

/** 2BP01 when a view or function names something that is called otherwise after a rename of what holds it: their texts hold full names. */
function refuseNamedInViews(change: SchemaChange, what: 'database' | 'schema', isInside: (used: Placed) => boolean): void {
  const { snapshot } = change;
  for (const user of snapshot.all()) {
    if (user.state === 'DROP' || !(user.kind === 'function' || (user.kind === 'table' && (user.view || user.exprFunctions)))) continue;
    const uses = user.kind === 'function' ? [...user.dependsOnIds, ...user.typeIds] : (user.view?.dependsOnIds ?? []);
    for (const id of [...uses, ...functionIdsUsed(user)]) {
      const used = snapshot.byId(id);
      if (!used || used.kind === 'database' || used.kind === 'schema' || !isInside(used)) continue;
      // Stored expressions of a table name its functions without the database.
      if (used.kind === 'function' && user.kind === 'table' && !user.view && what === 'database') continue;
      const [of, by] = [used, user].map((one) => quoteNames(snapshot.fullName(one)));
      throw new StateError(
        SqlState.DependentObjectsStillExist,
        `cannot rename ${what} because ${user.kind === 'function' ? 'function' : 'relation'} "${by}" depends on ${used.kind === 'table' ? 'relation' : used.kind} "${of}"`,
        { hint: `you can drop "${by}" instead` },
      );
    }
  }
}

/** 42501 unless the user owns the database and may create one; 01000 for the current one under sql_safe_updates. */
async function requireMayRename(change: SchemaChange, database: DatabaseDescriptor): Promise<void> {
  const { session } = change.context;
  requireOwner(change, database);
  if (!(await hasSystemPrivilege(change.txn, change.roles, 'CREATEDB'))) {
    throw new StatementError(SqlState.InsufficientPrivilege, 'permission denied to rename database');
  }
  if (session.vars.isOn('sql_safe_updates') && change.context.names.currentDatabase === database.name) {
    throw new StatementError(SqlState.Warning, 'rejected (sql_safe_updates = true): RENAME DATABASE on current database');
  }
}

/** 2BP01 when a default elsewhere reads a sequence of the database, or names it with the database. */
function refuseNamedInDefaults(change: SchemaChange, database: DatabaseDescriptor): void {
  const { snapshot } = change;
  for (const sequence of snapshot.tablesOf(database.id, { withTemporary: true })) {
    if (!sequence.sequence) continue;
    for (const id of sequence.dependedOnByIds) {
      const user = snapshot.tableById(id);
      if (!user || user.view || user.parentId === database.id) continue;
      const column = user.columns.find((one) => one.usesSequenceIds?.includes(sequence.id));
      if (!column) continue;
      const [by, of] = [user, sequence].map((one) => quoteNames(snapshot.fullName(one)));
      throw new StateError(
        SqlState.DependentObjectsStillExist,
        `cannot rename database because relation "${by}" depends on relation "${of}"`,
        { hint: `you can drop the column default "${column.name}" of "${of}" referencing "${by}"` },
      );
    }
  }
}

/** RENAME TO of a table, view or sequence; a qualified name may lie in another database if nothing ties it to its own. */
export async function renameRelation(change: SchemaChange, table: TableDescriptor, newName: ObjectName): Promise<void> {
  change.check(table, 'DROP');
  const database = change.snapshot.databaseById(table.parentId);
  const own = database && change.snapshot.schemaById(database, table.schemaId);
  if (!database || !own) return;
  const parts = partsOf(newName);
  const name = parts.at(-1) ?? '';
  if (name === '') throw new StatementError(SqlState.SyntaxError, 'empty table name');
  const schema = parts.length > 1 ? change.snapshot.resolveTarget(parts, change.context.names).schema : own;
  change.check(schemaHolder(schema), 'CREATE');
  refuseTemporaryMove(own, schema, 'cannot change schema of table with RENAME');
  if (schema.database.id !== database.id) refuseTies(change, table);
  await moveRelation(change, table, schema.id, name, schema.database.id);
}

/** The schema that SET SCHEMA names, in an object's own database. 0A000 for a virtual one, 42501 without CREATE. */
export function schemaToMoveTo(change: SchemaChange, database: DatabaseDescriptor, name: string, fromId: number): ResolvedSchema {
  if (change.context.engine.virtualTables.hasSchema(name)) {
    throw new StatementError(SqlState.FeatureNotSupported, 'cannot move objects into or out of virtual schemas');
  }
  const schema = change.snapshot.requireSchema(database, schemaMeant(name, change.context.names));
  const from = change.snapshot.schemaById(database, fromId);
  if (from) refuseTemporaryMove(from, schema, 'cannot move objects into or out of temporary schemas');
  change.check(schemaHolder(schema), 'CREATE');
  return schema;
}

/** 0A000 for a relation that could not go on in another database: what it is tied to stays behind. */
function refuseTies(change: SchemaChange, table: TableDescriptor): void {
  const usesSequence = table.columns.some((column) => (column.usesSequenceIds ?? column.ownsSequenceIds ?? []).length > 0);
  const usesType = table.columns.some((column) => column.type.family === 'enum' || column.type.element?.family === 'enum');
  const isOwned = table.sequence?.ownedBy !== undefined;
  const isUsedByDefault = table.sequence !== undefined && table.dependedOnByIds.length > 0;
  if (table.foreignKeys.length + table.referencedByIds.length === 0 && !usesSequence && !usesType && !isOwned && !isUsedByDefault) return;
  throw new StatementError(SqlState.FeatureNotSupported, 'cannot change the database of a relation with RENAME TO', {
    detail: `${quoteNames(change.snapshot.fullName(table))} is tied to types, sequences, defaults or foreign keys of its database`,
  });
}

export async function moveRelation(
  change: SchemaChange,
  table: TableDescriptor,
  schemaId: number,
  name: string,
  databaseId: number = table.parentId,
): Promise<void> {
  if (schemaId === table.schemaId && name === table.name && databaseId === table.parentId) return;
  const taken = change.snapshot.lookup(databaseId, schemaId, name);
  if (taken !== undefined) throw alreadyExists(change.snapshot.byId(taken), name);
  await change.deleteName(table.parentId, table.schemaId, table.name);
  await change.writeName(databaseId, schemaId, name, table.id);
  await change.write(updated(table, { name, schemaId, parentId: databaseId }));
}

export async function alterRelation(change: SchemaChange, stmt: AlterRelation): Promise<void> {
  const kind = stmt.relation === 'materializedView' ? 'materialized view' : stmt.relation;
  const found = change.relation(stmt.name, kind, stmt.ifExists);
  if (!found) return;
  const { descriptor, schema } = found;
  switch (stmt.action.type) {
    case 'rename':
      return renameRelation(change, descriptor, stmt.action.newName);
    case 'owner':
      return setOwner(change, descriptor, stmt.action.owner);
    case 'setSchema':
      return moveRelation(
        change,
        descriptor,
        schemaToMoveTo(change, schema.database, stmt.action.schema.text, schema.id).id,
        descriptor.name,
      );
  }
}

export async function commentOn(change: SchemaChange, stmt: CommentOn): Promise<void> {
  const comment = stmt.comment === '' ? undefined : stmt.comment;
  const parts = partsOf(stmt.name);
  const last = parts.at(-1) ?? '';
  switch (stmt.on) {
    case 'database': {
      const database = change.database(last);
      change.check(database, 'CREATE');
      await change.write(updated(database, { comment }));
      return;
    }
    case 'schema': {
      const database = change.database(parts.length > 1 ? (parts[0] ?? '') : change.context.names.currentDatabase);
      const schema = change.snapshot.requireSchema(database, last);
      change.check(schemaHolder(schema), 'CREATE');
      if (schema.descriptor) await change.write(updated(schema.descriptor, { comment }));
      return;
    }
    case 'type': {
      const type = requireUserType(change, stmt.name);
      change.check(type, 'CREATE');
      await change.write(updated(type, { comment }));
      return;
    }
    case 'table':
    case 'view':
    case 'materialized view':
    case 'sequence': {
      const table = change.relation(stmt.name, stmt.on)?.descriptor;
      if (!table) return;
      change.check(table, 'CREATE');
      await change.write(updated(table, { comment }));
      return;
    }
    case 'column': {
      const table = change.table({ parts: stmt.name.parts.slice(0, -1), pos: stmt.name.pos });
      change.check(table, 'CREATE');
      if (!table.columns.some((column) => column.name === last)) {
        throw new StatementError(SqlState.UndefinedColumn, `column "${last}" does not exist`);
      }
      await change.write(
        updated(table, { columns: table.columns.map((column) => (column.name === last ? { ...column, comment } : column)) }),
      );
      return;
    }
    case 'index': {
      const found = stmt.index && findIndex(change, stmt.index, false);
      if (!found) return;
      const { table, index } = found;
      change.check(table, 'CREATE');
      const commented = { ...index, comment };
      if (index.id === table.primaryIndex.id) await change.write(updated(table, { primaryIndex: commented }));
      else await change.write(updated(table, { indexes: table.indexes.map((one) => (one.id === index.id ? commented : one)) }));
      return;
    }
    default:
      throw new StatementError(SqlState.FeatureNotSupported, `COMMENT ON ${stmt.on.toUpperCase()} is not supported yet`);
  }
}
