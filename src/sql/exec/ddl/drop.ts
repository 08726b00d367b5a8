/**
 * DROP and TRUNCATE.
 *
 * A dropped table keeps its descriptor in state DROP, and its data, until the GC TTL has passed, so
 * that history stays readable; its name is free at once. TRUNCATE gives the table new ids: the old
 * one is dropped, a copy with the next id takes its name and references. `collectDropped` clears
 * what has outlived its TTL.
 */
import { StateError, StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import { MIN_TIMESTAMP, type Timestamp } from '../../../base/timestamp.ts';
import type { ResolvedSchema } from '../../../catalog/catalog.ts';
import type {
  DatabaseDescriptor,
  FunctionDescriptor,
  SchemaDescriptor,
  TableDescriptor,
  TypeDescriptor,
} from '../../../catalog/descriptor.ts';
import { indexById, MAX_SYSTEM_ID, PUBLIC_SCHEMA_ID, updated } from '../../../catalog/descriptor.ts';
import { quoteNames } from '../../../catalog/names.ts';
import { isOwner } from '../../../catalog/privileges.ts';
import { tableSpan } from '../../../catalog/rowCodec.ts';
import { forgetStatistics } from '../../../catalog/tableStatistics.ts';
import { copyZone, deleteOrphanZones } from '../../../catalog/zones.ts';
import type { DropBehavior, DropDatabase, DropRelation, DropSchema, Truncate } from '../../parse/ast.ts';
import { published } from '../schemaChange/pendingChange.ts';
import type { EngineServices } from '../statement.ts';
import { dropFunctions } from './functionNames.ts';
import { cannotDrop, dependentFunctions, dependentViews } from './viewGuards.ts';
import { callsSequence, withoutSequence } from './sequenceRefs.ts';
import { describeKind, partsOf, type SchemaChange } from './common.ts';

/** Ids that go in the same statement: references among them hinder nothing. */
type Doomed = ReadonlySet<number>;

const nameOf = (change: SchemaChange, id: number): string => change.snapshot.byId(id)?.name ?? `[${id}]`;

/** The owner of a schema may drop what is in it; who is not needs DROP on the relation: 42501. */
function checkDroppable(change: SchemaChange, table: TableDescriptor): void {
  const schema = change.snapshot.byId(table.schemaId);
  if (schema?.kind === 'schema' && isOwner(change.roles, schema.privileges)) return;
  change.check(table, 'DROP');
}

/** Takes a relation out of sight: name gone, state DROP, references to it and from it gone. */
async function dropOne(change: SchemaChange, table: TableDescriptor, behavior: DropBehavior, doomed: Doomed): Promise<void> {
  const current = change.snapshot.tableById(table.id) ?? table;
  if (current.state === 'DROP') return;
  checkDroppable(change, current);
  await dropReferences(change, current, behavior, doomed);
  const latest = change.snapshot.tableById(table.id) ?? current;
  await change.deleteName(latest.parentId, latest.schemaId, latest.name);
  await change.write(updated(latest, { state: 'DROP', offlineReason: undefined, importing: undefined }));
  await leaveOwner(change, latest);
  for (const column of latest.columns) {
    for (const id of column.ownsSequenceIds ?? []) {
      const sequence = change.snapshot.tableById(id);
      if (sequence && sequence.state !== 'DROP') await dropOne(change, sequence, behavior, new Set([...doomed, id]));
    }
  }
}

/** The column that owns a dropped sequence, and stays, owns it no more. */
async function leaveOwner(change: SchemaChange, dropped: TableDescriptor): Promise<void> {
  const owner = change.snapshot.tableById(dropped.sequence?.ownedBy?.tableId ?? 0);
  if (!owner || owner.state === 'DROP' || !owner.columns.some((column) => column.ownsSequenceIds?.includes(dropped.id))) return;
  const columns = owner.columns.map((column) =>
    column.ownsSequenceIds ? { ...column, ownsSequenceIds: column.ownsSequenceIds.filter((id) => id !== dropped.id) } : column,
  );
  await change.write(updated(owner, { columns }));
}

/** Drops a sequence that its owner has let go of; with RESTRICT, 2BP01 where another column calls it. */
export async function dropSequence(change: SchemaChange, id: number, behavior: DropBehavior): Promise<void> {
  const sequence = change.snapshot.tableById(id);
  if (sequence) await dropOne(change, sequence, behavior, new Set([id]));
}

async function dropReferences(change: SchemaChange, table: TableDescriptor, behavior: DropBehavior, doomed: Doomed): Promise<void> {
  for (const id of table.referencedByIds) {
    if (id === table.id || doomed.has(id)) continue;
    const child = change.snapshot.tableById(id);
    if (!child || child.state === 'DROP') continue;
    if (behavior !== 'cascade') {
      throw new StateError(SqlState.DependentObjectsStillExist, `"${table.name}" is referenced by foreign key from table "${child.name}"`, {
        hint: 'use DROP ... CASCADE to drop the constraint too',
      });
    }
    await change.write(updated(child, { foreignKeys: child.foreignKeys.filter((fk) => fk.referencedTableId !== table.id) }));
  }
  for (const fk of table.foreignKeys) {
    if (fk.referencedTableId === table.id || doomed.has(fk.referencedTableId)) continue;
    const parent = change.snapshot.tableById(fk.referencedTableId);
    if (parent && parent.state !== 'DROP') {
      await change.write(updated(parent, { referencedByIds: parent.referencedByIds.filter((id) => id !== table.id) }));
    }
  }
  for (const one of dependentFunctions(change.snapshot, table)) {
    if (doomed.has(one.id)) continue;
    if (behavior === 'cascade') {
      await dropFunctions(change, [one], (view) => dropOne(change, view, 'cascade', doomed));
      continue;
    }
    throw new StateError(
      SqlState.DependentObjectsStillExist,
      `cannot drop ${describeKind(table)} ${table.name} because other objects depend on it`,
      { hint: `function "${one.name}" uses it` },
    );
  }
  for (const id of table.dependedOnByIds) {
    if (doomed.has(id)) continue;
    const user = change.snapshot.tableById(id);
    if (!user || user.state === 'DROP') continue;
    if (user.view) {
      if (behavior !== 'cascade' && !table.sequence) throw cannotDrop(change.snapshot, table, user);
      if (behavior === 'cascade') {
        await dropOne(change, user, 'cascade', new Set([...doomed, table.id]));
        continue;
      }
    } else if (!user.columns.some((column) => callsSequence(column, table.id))) {
      continue;
    }
    if (behavior !== 'cascade') {
      throw new StateError(
        SqlState.DependentObjectsStillExist,
        `cannot drop ${describeKind(table)} ${table.name} because other objects depend on it`,
        {
          hint: `${describeKind(user)} "${user.name}" uses it`,
        },
      );
    }
    await change.write(updated(user, { columns: user.columns.map((column) => withoutSequence(column, table.id)) }));
  }
  for (const id of table.view?.dependsOnIds ?? []) {
    const used = change.snapshot.tableById(id);
    if (used && used.state !== 'DROP') {
      await change.write(updated(used, { dependedOnByIds: used.dependedOnByIds.filter((user) => user !== table.id) }));
    }
  }
  for (const column of table.columns) {
    for (const id of column.usesSequenceIds ?? []) {
      const sequence = change.snapshot.tableById(id);
      if (sequence && sequence.state !== 'DROP') {
        await change.write(updated(sequence, { dependedOnByIds: sequence.dependedOnByIds.filter((user) => user !== table.id) }));
      }
    }
  }
}

/** Views that read the named part of a table go with it under CASCADE, and hinder its drop otherwise (viewGuards.ts). */
export async function dropViewsOf(
  change: SchemaChange,
  table: TableDescriptor,
  part: { readonly columnId: number } | { readonly indexId: number },
): Promise<void> {
  for (const view of dependentViews(change.snapshot, table)) {
    const uses = view.view?.columnUses.find(({ id }) => id === table.id);
    const isUsed = 'columnId' in part ? uses?.columnIds.includes(part.columnId) : uses?.indexIds?.includes(part.indexId);
    if (!isUsed) continue;
    change.check(view, 'DROP');
    await dropOne(change, view, 'cascade', new Set());
  }
}

export async function dropRelation(change: SchemaChange, stmt: DropRelation): Promise<void> {
  const kind = stmt.kind === 'dropTable' ? 'table' : stmt.kind === 'dropView' ? 'view' : 'sequence';
  const found: TableDescriptor[] = [];
  for (const name of stmt.names) {
    const relation = change.relation(name, stmt.materialized ? 'materialized view' : kind, stmt.ifExists);
    if (!relation) {
      change.context.notice(`relation "${partsOf(name).join('.')}" does not exist, skipping`);
      continue;
    }
    checkDroppable(change, relation.descriptor);
    found.push(relation.descriptor);
  }
  const doomed = new Set(found.map((table) => table.id));
  for (const table of found) await dropOne(change, table, stmt.behavior, doomed);
}

/** Some relations and types at once: for DROP SCHEMA, DROP DATABASE and DROP OWNED. References among them hinder nothing. */
export async function dropTogether(
  change: SchemaChange,
  tables: readonly TableDescriptor[],
  types: readonly TypeDescriptor[],
  functions: readonly FunctionDescriptor[],
  behavior: DropBehavior,
): Promise<void> {
  const doomed = new Set([...tables, ...functions].map(({ id }) => id));
  for (const table of tables) await dropOne(change, table, behavior, doomed);
  await dropFunctions(change, functions, behavior === 'cascade' ? (view) => dropOne(change, view, 'cascade', doomed) : undefined);
  const { catalog } = change.context.engine;
  for (const type of types) {
    const user = change.snapshot.typeById(type.id)?.referencedByIds.map((id) => change.snapshot.byId(id))[0];
    if ((user?.kind === 'table' || user?.kind === 'function') && user.state !== 'DROP') {
      throw new StateError(
        SqlState.DependentObjectsStillExist,
        `cannot drop type "${type.name}" because other objects ([${quoteNames(change.snapshot.fullName(user))}]) still depend on it`,
      );
    }
    await change.deleteName(type.parentId, type.schemaId, type.name);
    await catalog.lock(change.txn, [type.id]);
    catalog.deleteDescriptor(change.txn, type.id);
  }
}

async function dropSchemaDescriptor(change: SchemaChange, schema: ResolvedSchema): Promise<void> {
  const { catalog } = change.context.engine;
  await change.deleteName(schema.database.id, 0, schema.name);
  if (schema.id !== PUBLIC_SCHEMA_ID) {
    await catalog.lock(change.txn, [schema.id]);
    catalog.deleteDescriptor(change.txn, schema.id);
  }
}

export async function dropSchema(change: SchemaChange, stmt: DropSchema): Promise<void> {
  for (const name of stmt.names) {
    const parts = partsOf(name);
    const database = change.database(parts.length > 1 ? (parts[0] ?? '') : change.context.names.currentDatabase);
    const schemaName = parts.at(-1) ?? '';
    const schema = change.snapshot.schema(database, schemaName);
    if (!schema) {
      if (stmt.ifExists) continue;
      throw new StatementError(SqlState.InvalidSchemaName, `unknown schema "${schemaName}"`);
    }
    if (schema.id === PUBLIC_SCHEMA_ID) throw new StatementError(SqlState.InvalidSchemaName, `cannot drop schema "${schemaName}"`);
    if (schema.descriptor && !isOwner(change.roles, schema.descriptor.privileges)) {
      throw new StatementError(SqlState.InsufficientPrivilege, `must be owner of schema ${schemaName}`);
    }
    await dropWithContents(change, schema, stmt.behavior);
  }
}

/** A schema and all in it. 2BP01 when there is something and the behaviour is not CASCADE. */
export async function dropWithContents(change: SchemaChange, schema: ResolvedSchema, behavior: DropBehavior): Promise<void> {
  const { database } = schema;
  const tables = change.snapshot.tablesOf(database.id, { schemaId: schema.id });
  const types = change.snapshot.typesOf(database.id).filter((type) => type.schemaId === schema.id);
  const functions = change.snapshot.functionsOf(database.id).filter((one) => one.schemaId === schema.id);
  if (tables.length + types.length + functions.length > 0 && behavior !== 'cascade') {
    throw new StateError(SqlState.DependentObjectsStillExist, `schema "${schema.name}" is not empty and CASCADE was not specified`);
  }
  await dropTogether(change, tables, types, functions, 'cascade');
  await dropSchemaDescriptor(change, schema);
  await change.refresh();
}

/** A schema by its descriptor, for DROP OWNED. 2BP01 when something is left in it, without CASCADE. */
export async function dropSchemaOf(change: SchemaChange, { id, name, parentId }: SchemaDescriptor, behavior: DropBehavior): Promise<void> {
  const database = change.snapshot.databaseById(parentId);
  const schema = database && change.snapshot.schemaById(database, id);
  if (schema) await dropWithContents(change, schema, behavior);
  else throw new StatementError(SqlState.InvalidSchemaName, `unknown schema "${name}"`);
}

export async function dropDatabase(change: SchemaChange, stmt: DropDatabase): Promise<void> {
  const name = stmt.name.text;
  if (name === '') throw new StatementError(SqlState.SyntaxError, 'empty database name');
  const database: DatabaseDescriptor | undefined = change.snapshot.database(name);
  if (!database) {
    if (stmt.ifExists) return;
    throw new StatementError(SqlState.InvalidCatalogName, `database "${name}" does not exist`);
  }
  if (database.name === 'system')
    throw new StatementError(SqlState.InsufficientPrivilege, `user ${change.context.user} does not have DROP privilege on database system`);
  change.check(database, 'DROP');
  const { session } = change.context;
  if (session.vars.isOn('sql_safe_updates') && stmt.behavior === undefined) {
    throw new StatementError(
      SqlState.Warning,
      'rejected (sql_safe_updates = true): DROP DATABASE on non-empty database without explicit CASCADE',
    );
  }
  const tables = change.snapshot.tablesOf(database.id, { anyState: true, withTemporary: true }).filter((table) => table.state !== 'DROP');
  const offline = tables.find((table) => table.state === 'OFFLINE');
  if (offline) {
    throw new StateError(
      SqlState.ObjectNotInPrerequisiteState,
      `cannot drop a database with OFFLINE tables, ensure ${offline.name} is dropped or made public before dropping database ${name}`,
    );
  }
  const types = change.snapshot.typesOf(database.id);
  const functions = change.snapshot.functionsOf(database.id);
  if (stmt.behavior === 'restrict' && tables.length + types.length + functions.length > 0) {
    throw new StateError(SqlState.DependentObjectsStillExist, `database "${name}" is not empty and RESTRICT was specified`);
  }
  await dropTogether(change, tables, types, functions, 'cascade');
  for (const schema of change.snapshot.schemasOf(database, { withTemporary: true })) await dropSchemaDescriptor(change, schema);
  const { catalog } = change.context.engine;
  await change.deleteName(0, 0, name);
  await catalog.lock(change.txn, [database.id]);
  catalog.deleteDescriptor(change.txn, database.id);
  change.note();
}

/** TRUNCATE: new ids for data and indexes; the old data goes with a dropped descriptor of its own. */
export async function truncate(change: SchemaChange, stmt: Truncate): Promise<void> {
  const tables = new Map<number, TableDescriptor>();
  const add = (table: TableDescriptor): void => {
    if (tables.has(table.id)) return;
    change.check(table, 'DROP');
    tables.set(table.id, table);
    for (const id of table.referencedByIds) {
      const child = change.snapshot.tableById(id);
      if (!child || child.state === 'DROP' || tables.has(id)) continue;
      if (stmt.behavior === 'cascade') add(child);
    }
  };
  for (const name of stmt.tables) {
    add(change.table(name));
  }
  for (const table of tables.values()) await change.awaitPending(table);
  for (const table of tables.values()) {
    const child = table.referencedByIds.find((id) => !tables.has(id) && change.snapshot.tableById(id)?.state !== 'DROP');
    if (child !== undefined) {
      throw new StateError(
        SqlState.DependentObjectsStillExist,
        `"${table.name}" is referenced by foreign key from table "${nameOf(change, child)}"`,
        {
          hint: 'use TRUNCATE ... CASCADE',
        },
      );
    }
  }
  const newIds = new Map<number, number>();
  for (const id of tables.keys()) newIds.set(id, await change.allocateId());
  const renewed = (id: number): number => newIds.get(id) ?? id;
  for (const table of tables.values()) {
    const current = change.snapshot.tableById(table.id) ?? table;
    const id = renewed(table.id);
    const copy: TableDescriptor = {
      // Of no rows everything that is pending holds.
      ...published(current),
      id,
      version: 1,
      modificationTime: MIN_TIMESTAMP,
      createTime: MIN_TIMESTAMP,
      referencedByIds: current.referencedByIds.map(renewed).sort((a, b) => a - b),
      foreignKeys: current.foreignKeys.map((fk) => ({ ...fk, referencedTableId: renewed(fk.referencedTableId) })),
    };
    await change.writeName(current.parentId, current.schemaId, current.name, id);
    await change.write(updated(current, { state: 'DROP' }), copy);
    await copyZone(change.txn, current.id, id);
    await renewReferences(change, current, renewed);
  }
}

/** What refers to a truncated table by id and is not truncated itself. */
async function renewReferences(change: SchemaChange, table: TableDescriptor, renewed: (id: number) => number): Promise<void> {
  const id = renewed(table.id);
  const replaced = (ids: readonly number[]): number[] => ids.map((one) => (one === table.id ? id : one)).sort((a, b) => a - b);
  for (const user of dependentViews(change.snapshot, table)) {
    const { view } = change.snapshot.tableById(user.id) ?? user;
    if (!view) continue;
    const columnUses = view.columnUses.map((use) => (use.id === table.id ? { ...use, id } : use));
    await change.write(updated(user, { view: { ...view, dependsOnIds: replaced(view.dependsOnIds), columnUses } }));
  }
  for (const one of dependentFunctions(change.snapshot, table)) {
    const columnUses = one.columnUses.map((use) => (use.id === table.id ? { ...use, id } : use));
    await change.write(updated(one, { dependsOnIds: replaced(one.dependsOnIds), columnUses }));
  }
  for (const fk of table.foreignKeys) {
    if (renewed(fk.referencedTableId) !== fk.referencedTableId) continue;
    const parent = change.snapshot.tableById(fk.referencedTableId);
    if (parent) await change.write(updated(parent, { referencedByIds: replaced(parent.referencedByIds) }));
  }
  const sequences = new Set(table.columns.flatMap((column) => [...(column.usesSequenceIds ?? []), ...(column.ownsSequenceIds ?? [])]));
  for (const sequenceId of sequences) {
    const sequence = change.snapshot.tableById(sequenceId);
    if (!sequence?.sequence) continue;
    const { ownedBy } = sequence.sequence;
    await change.write(
      updated(sequence, {
        dependedOnByIds: replaced(sequence.dependedOnByIds),
        sequence: { ...sequence.sequence, ...(ownedBy?.tableId === table.id && { ownedBy: { ...ownedBy, tableId: id } }) },
      }),
    );
  }
}

/**
 * Clears what was dropped and what no read may see any more: tables in state DROP, and indexes that
 * their table no longer has, since before their GC threshold. Gives the ids of the tables that
 * went. For a GC step to call after a run. What is locked waits for the next one: a transaction that
 * holds the lock may itself be waiting for GC to make room.
 */
export async function collectDropped(engine: EngineServices): Promise<number[]> {
  const { kv, catalog } = engine;
  const snapshot = await catalog.current();
  const collected: number[] = [];
  for (const descriptor of snapshot.all()) {
    if (descriptor.kind !== 'table' || descriptor.id <= MAX_SYSTEM_ID) continue;
    const threshold: Timestamp = kv.gc.thresholds.settle(descriptor.id);
    if (descriptor.state !== 'DROP') {
      for (const { indexId } of kv.rangesOf(tableSpan(descriptor))) {
        if (descriptor.modificationTime > kv.gc.thresholds.of(descriptor.id, indexId)) continue;
        const isHeld = indexById(descriptor, indexId) !== undefined || descriptor.sequence !== undefined || descriptor.state !== 'PUBLIC';
        if (!isHeld) kv.clearIndex(descriptor.id, indexId);
      }
      continue;
    }
    if (descriptor.modificationTime > threshold) continue;
    const isFree = await kv.run(async (txn) => {
      const locked = await catalog.tryLock(txn, descriptor.id);
      if (!locked) return false;
      catalog.deleteDescriptor(txn, descriptor.id);
      await forgetStatistics(txn, descriptor.id);
      return true;
    });
    if (!isFree) continue;
    kv.clearTable(descriptor.id);
    collected.push(descriptor.id);
  }
  await deleteOrphanZones(kv, engine.zones, await catalog.current());
  return collected;
}
