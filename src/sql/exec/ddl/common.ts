/**
 * What schema changes share: a view of the catalog inside the transaction, locks on what changes,
 * and writing descriptors so that later parts of the same statement see them.
 *
 * A change that has to look at rows is done in the statement's transaction where that is cheap and
 * sound (the table is new in this transaction, or has no rows); elsewhere the statement publishes it
 * as pending and creates a SCHEMA CHANGE job, for which the commit waits (../schemaChange).
 *
 *   C1  everything a change looked up, found or not, joins the transaction's read set
 *   C2  a descriptor or name is locked before it is written; the user types of a written table learn of it with it, and the
 *       zones of one that has another home than before
 *   C3  a table has at most one pending change; a statement of another transaction waits for its end,
 *       or fails with 55000 where it cannot wait
 */
import { RetryError, StateError, StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import type { Bytes } from '../../../base/bytes.ts';
import type { CatalogDependencies, CatalogSnapshot, NameContext, ResolvedObject, ResolvedSchema } from '../../../catalog/catalog.ts';
import type { DatabaseDescriptor, Descriptor, TableDescriptor, TypeDescriptor } from '../../../catalog/descriptor.ts';
import { allIndexes, describeKind, MAX_SYSTEM_ID, updated } from '../../../catalog/descriptor.ts';
import { quoteNames } from '../../../catalog/names.ts';
import { writeTableZones } from '../../../catalog/regionZones.ts';
import { checkPrivilege, hasPrivilege, isAdmin } from '../../../catalog/privileges.ts';
import { checkUsable, schemaHolder } from '../../../catalog/publicSchema.ts';
import { indexSpan } from '../../../catalog/rowCodec.ts';
import { resolveTypeName } from '../../../catalog/typeName.ts';
import type { ColumnType } from '../../../catalog/type.ts';
import type { Txn } from '../../../kv/kv.ts';
import { isByteOrder } from '../../expr/analysis.ts';
import type { ObjectName, Statement, TypeName } from '../../parse/ast.ts';
import { printStatement } from '../../parse/printer.ts';
import type { RunContext } from '../context.ts';
import { userType } from '../userType.ts';
import { type PendingParts, withParts } from '../schemaChange/pendingChange.ts';
import { withTypeReferences } from './typeReferences.ts';
import { refuseVirtualSchema, resolveVirtual, virtualTableIsFixed } from '../virtual/virtualNames.ts';
import { checkViewsStand } from './viewGuards.ts';

export const partsOf = (name: ObjectName): string[] => name.parts.map((part) => part.text);

/** One schema-changing statement. */
export class SchemaChange {
  readonly context: RunContext;
  #snapshot: CatalogSnapshot & { readonly dependencies: CatalogDependencies };
  readonly roles: ReadonlySet<string>;
  /** The database of the object first named: where what is created or altered is, and the user types it may use. */
  #home: number | undefined;

  private constructor(context: RunContext, snapshot: CatalogSnapshot, roles: ReadonlySet<string>) {
    this.context = context;
    this.#snapshot = snapshot.tracked();
    this.roles = roles;
  }

  static async begin(context: RunContext): Promise<SchemaChange> {
    const snapshot = await context.catalog();
    const roles = await context.roles();
    return new SchemaChange(context, snapshot, roles);
  }

  /** 25006 under AS OF SYSTEM TIME: SHOW uses a change too, and asks for no transaction. */
  get txn(): Txn {
    return this.context.txn;
  }

  get snapshot(): CatalogSnapshot {
    return this.#snapshot;
  }

  /** Notes what was looked up and takes a snapshot with this statement's own writes. */
  async refresh(): Promise<void> {
    this.note();
    this.#snapshot = (await this.context.catalog()).tracked();
  }

  note(): void {
    this.context.engine.catalog.noteReads(this.txn, this.#snapshot.dependencies);
  }

  /** Writes descriptors under their locks, and goes on with a snapshot that has them. */
  async write(...descriptors: readonly Descriptor[]): Promise<void> {
    const { catalog } = this.context.engine;
    const all = withTypeReferences(this.#snapshot, descriptors);
    const rehomed: number[] = [];
    for (const descriptor of descriptors) {
      if (descriptor.kind !== 'table') continue;
      const before = this.#snapshot.tableById(descriptor.id);
      if (before) checkViewsStand(this.#snapshot, before, descriptor);
      if (homeOf(before) !== homeOf(descriptor)) rehomed.push(descriptor.id);
    }
    await catalog.lock(
      this.txn,
      all.map((descriptor) => descriptor.id),
    );
    for (const descriptor of all) catalog.writeDescriptor(this.txn, descriptor);
    await this.refresh();
    const tables = rehomed.map((id) => this.#snapshot.tableById(id)).filter((table) => table !== undefined);
    const inRegions = tables.filter((table) => this.#snapshot.databaseById(table.parentId)?.regions);
    await writeTableZones(this.txn, this.#snapshot, inRegions);
  }

  async writeName(parentId: number, schemaId: number, name: string, id: number): Promise<void> {
    const { catalog } = this.context.engine;
    await catalog.lock(this.txn, [], [{ parentId, schemaId, name }]);
    catalog.writeName(this.txn, parentId, schemaId, name, id);
  }

  async deleteName(parentId: number, schemaId: number, name: string): Promise<void> {
    const { catalog } = this.context.engine;
    await catalog.lock(this.txn, [], [{ parentId, schemaId, name }]);
    catalog.deleteName(this.txn, parentId, schemaId, name);
  }

  /**
   * True when what needs the rows is for a job: the table was there before this transaction, and has
   * committed rows. An empty one stays in the read set as empty, so that a row that comes in between fails the commit.
   */
  async isOnline(table: TableDescriptor): Promise<boolean> {
    const { kv, catalog, schemaChanges } = this.context.engine;
    if (!schemaChanges || table.id <= MAX_SYSTEM_ID) return false;
    if (!catalog.currentNow()?.tableById(table.id)) return false;
    const span = indexSpan(table, table.primaryIndex);
    const committed = await kv.at(this.txn.readTimestamp).scan(span, { limit: 1 });
    if (committed.keys.length > 0) return true;
    this.txn.noteReadSpan(span);
    return false;
  }

  /**
   * Writes a table whose new parts are write-only, or not yet validated, and the job that finishes
   * them. `statement` describes the job, with the table's full name in it.
   */
  async writePending(table: TableDescriptor, parts: PendingParts, statement: Statement): Promise<void> {
    const { context } = this;
    const service = context.engine.schemaChanges;
    if (!service) throw new StatementError(SqlState.InternalError, 'internal error: a schema change without jobs');
    const jobId = table.pendingChange?.jobId ?? service.newJobId();
    const pendingChange = withParts(table.pendingChange, jobId, parts);
    await this.write(updated(table, { pendingChange }));
    await service.create(this.txn, {
      jobId,
      tableId: table.id,
      indexIds: pendingChange.indexIds,
      description: printStatement(statement),
      user: context.user,
    });
    context.transaction.noteSchemaChange(jobId, () => service.finish(jobId, context.signal));
  }

  /** The name of a table with database and schema, as job descriptions print it. */
  fullName(table: TableDescriptor, written: ObjectName): ObjectName {
    return { ...written, parts: this.#snapshot.fullName(table).map((text) => ({ text, pos: 0 })) };
  }

  /** Lets a pending change of another transaction end first (C3). */
  async awaitPending(table: TableDescriptor): Promise<void> {
    const { context } = this;
    const jobId = table.pendingChange?.jobId;
    if (jobId === undefined || context.transaction.hasSchemaChange(jobId)) return;
    const service = context.engine.schemaChanges;
    // Locks held while waiting could be those that the job needs.
    if (!service || context.inExplicitTransaction || this.txn.hasWrites) {
      throw new StateError(SqlState.ObjectNotInPrerequisiteState, `a schema change of relation "${table.name}" is in progress`, {
        detail: `job ${jobId}`,
        hint: 'try again when it is done; a statement of its own waits for it',
      });
    }
    await service.settled(jobId, table.name, context.signal);
    throw new RetryError(SqlState.SerializationFailure, `restart transaction: a schema change of relation "${table.name}" has ended`);
  }

  allocateId(): Promise<number> {
    return this.context.engine.catalog.allocateIds(1);
  }

  /** Keys that lie under a transaction's write buffer in one go. */
  writeKeys(keys: readonly Bytes[], values: readonly (Bytes | null)[]): void {
    this.txn.write(keys, values);
  }

  /** The relation of a name; 42P01, or undefined with `ifExists`. 42809 when it is of another kind, or virtual. */
  relation(
    name: ObjectName,
    kind: 'table' | 'sequence' | 'view' | 'materialized view' | 'any',
    ifExists = false,
  ): ResolvedObject | undefined {
    const parts = partsOf(name);
    const virtual = resolveVirtual(this.context.engine.virtualTables, this.#snapshot, parts, this.context.names);
    if (virtual) throw virtualTableIsFixed(virtual.table);
    const found = ifExists
      ? this.#snapshot.resolveTable(parts, this.context.names)
      : this.#snapshot.requireTable(parts, this.context.names);
    if (!found) return undefined;
    const actual = found.descriptor.sequence ? 'sequence' : found.descriptor.view ? 'view' : 'table';
    this.#home ??= found.descriptor.parentId;
    checkUsable(this.roles, found.schema);
    const isMaterialized = found.descriptor.view?.isMaterialized === true;
    if (kind === 'view' && isMaterialized) {
      throw new StatementError(SqlState.WrongObjectType, `"${found.descriptor.name}" is a materialized view`, {
        hint: 'use the corresponding MATERIALIZED VIEW command',
      });
    }
    if (kind !== 'any' && kind !== (isMaterialized ? 'materialized view' : actual)) {
      throw new StatementError(SqlState.WrongObjectType, `"${found.descriptor.name}" is not a ${kind}`);
    }
    return found;
  }

  table(name: ObjectName): TableDescriptor {
    const found = this.relation(name, 'table');
    if (!found) throw new StatementError(SqlState.UndefinedTable, `relation "${partsOf(name).join('.')}" does not exist`);
    return found.descriptor;
  }

  database(name: string): DatabaseDescriptor {
    if (name === '') throw new StatementError(SqlState.SyntaxError, 'empty database name');
    return this.#snapshot.requireDatabase(name);
  }

  /** Where a new object goes, and whether the name is taken there. */
  target(name: ObjectName): { schema: ResolvedSchema; name: string; taken: Descriptor | undefined } {
    refuseVirtualSchema(this.context.engine.virtualTables, partsOf(name));
    const target = this.#snapshot.resolveTarget(partsOf(name), this.context.names);
    if (target.schema.database.name === 'system') {
      throw new StatementError(
        SqlState.InsufficientPrivilege,
        `user ${this.context.user} does not have CREATE privilege on database system`,
      );
    }
    this.check(schemaHolder(target.schema), 'CREATE');
    this.#home ??= target.schema.database.id;
    const id = this.#snapshot.lookup(target.schema.database.id, target.schema.id, target.name);
    return { ...target, taken: id === undefined ? undefined : this.#snapshot.byId(id) };
  }

  /** As target(), in a schema at hand; whether the user may is not asked. */
  targetIn(schema: ResolvedSchema, name: string): { schema: ResolvedSchema; name: string; taken: Descriptor | undefined } {
    this.#home ??= schema.database.id;
    const id = this.#snapshot.lookup(schema.database.id, schema.id, name);
    return { schema, name, taken: id === undefined ? undefined : this.#snapshot.byId(id) };
  }

  check(descriptor: Descriptor, privilege: Parameters<typeof checkPrivilege>[2]): void {
    checkPrivilege(this.roles, descriptor, privilege);
  }

  /** 42501 unless the user owns a relation, or may CREATE on it. */
  checkAlterable(descriptor: Descriptor): void {
    if (hasPrivilege(this.roles, descriptor.privileges, 'CREATE')) return;
    const what = `table ${descriptor.name}`;
    throw new StatementError(SqlState.InsufficientPrivilege, `must be owner of ${what} or have CREATE privilege on ${what}`);
  }

  /** 42501 unless the user is in admin. `what` completes "only users with the admin role are allowed to". */
  requireAdmin(what: string): void {
    if (!isAdmin(this.roles)) {
      throw new StatementError(SqlState.InsufficientPrivilege, `only users with the admin role are allowed to ${what}`);
    }
  }

  /** The type of a column, built in or user-defined. `within`: where a name is looked up that the session's names do not know. 42704. */
  columnType(name: TypeName, within?: NameContext): { type: ColumnType; isSerial: boolean } {
    if (name.collation !== undefined && !isByteOrder(name.collation))
      throw new StatementError(SqlState.FeatureNotSupported, 'collated strings are not supported yet');
    const last = name.name.parts.at(-1)?.text ?? '';
    const parts = partsOf(name.name);
    if (parts.length === 1 || parts[0] === 'pg_catalog') {
      const resolved = resolveTypeName({ name: last, args: name.args, arrayDimensions: name.isArray ? 1 : 0 });
      if (resolved) return resolved;
    }
    const user = userType(this.#snapshot, name, this.context.names) ?? userType(this.#snapshot, name, within ?? this.context.names);
    if (!user) {
      throw new StatementError(SqlState.UndefinedObject, `type "${parts.join('.')}" does not exist`, {
        location: { position: name.pos + 1 },
      });
    }
    if (this.#home !== undefined && user.descriptor.parentId !== this.#home) {
      const full = quoteNames(this.#snapshot.fullName(user.descriptor));
      throw new StatementError(SqlState.FeatureNotSupported, `cross database type references are not supported: ${full}`);
    }
    checkPrivilege(this.roles, user.descriptor, 'USAGE');
    return { type: user.type, isSerial: false };
  }
}

/** What decides the zones of a table in a database with regions, as text: where it is at home, and which indexes it has there. */
function homeOf(table: TableDescriptor | undefined): string {
  if (!table) return '';
  const home = table.locality ?? (table.view?.isMaterialized ? { kind: 'global' } : undefined);
  return home ? JSON.stringify([home, home.kind === 'row' && allIndexes(table).map(({ id }) => id)]) : '';
}

/** `relation "t" already exists`, by what holds the name. */
export function alreadyExists(descriptor: Descriptor | undefined, name: string): StatementError {
  if (descriptor?.kind === 'type') return new StatementError(SqlState.DuplicateObject, `type "${name}" already exists`);
  return new StatementError(SqlState.DuplicateRelation, `relation "${name}" already exists`);
}

/** A name not in `taken`: `base`, else base1, base2, ... */
export function freeName(base: string, taken: Iterable<string>): string {
  const set = new Set(taken);
  if (!set.has(base)) return base;
  for (let i = 1; ; i++) if (!set.has(`${base}${i}`)) return `${base}${i}`;
}

export { describeKind };

/** The user type of a name; 42704, 42809 for a built-in one. */
export function requireUserType(change: SchemaChange, name: ObjectName): TypeDescriptor {
  const found = change.snapshot.resolveType(partsOf(name), change.context.names);
  if (!found) throw new StatementError(SqlState.UndefinedObject, `type "${partsOf(name).join('.')}" does not exist`);
  return found.descriptor;
}
