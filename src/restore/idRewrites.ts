/**
 * Id rewrites: a backup's descriptors as the descriptors to create: under new ids, with every
 * reference between them moved along, and references out of the restore refused or left out.
 *
 *   R1  databases, schemas, types, tables and sequences get new ids; columns, families, indexes and
 *       constraints keep theirs, so that rows fit without a change of their values
 *   R2  a reference is kept only when both ends are restored: a foreign key never points at a table
 *       that was there before. What points *to* a restored table from one that is not is left out;
 *       what a restored table itself needs must be restored too, or be given up by a skip option
 *   R3  a schema change under way at the restored time counts as not begun: its indexes and columns
 *       are left out
 *   R4  who owns what, and what is granted on it, is for the caller to say (restorePrivileges.ts)
 *
 * What is made is OFFLINE and version 1. Lives elsewhere: keys (keyRewriter.ts), writing it all
 * (publish.ts).
 */
import { assert } from '../base/assert.ts';
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import { MIN_TIMESTAMP } from '../base/timestamp.ts';
import type {
  ColumnDescriptor,
  DatabaseDescriptor,
  Descriptor,
  ForeignKeyDescriptor,
  FunctionBody,
  FunctionDescriptor,
  SchemaDescriptor,
  TableDescriptor,
  TypeDescriptor,
  ViewDefinition,
} from '../catalog/descriptor.ts';
import { PUBLIC_SCHEMA_ID } from '../catalog/descriptor.ts';
import { quoteNames } from '../catalog/names.ts';
import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import type { ColumnType } from '../catalog/type.ts';
import { arrayOf, enumOf } from '../catalog/type.ts';

import type { Report } from './problems.ts';
import type { NewNames } from './renames.ts';
import type { RestoredPrivileges } from './restorePrivileges.ts';
import type { RestoreTargets } from './restoreTargets.ts';
import { rewriteSequenceIds, sequenceIdsIn } from '../sql/exec/ddl/sequenceRefs.ts';
import { withoutFunctionCalls } from './functionRefs.ts';
import { renameInExpressions, renameInQuery } from './viewRefs.ts';

/** Why an object cannot be used yet, as errors show it. */
export const OFFLINE_REASON = 'restoring';

export interface SkipOptions {
  readonly foreignKeys: boolean;
  readonly sequences: boolean;
  readonly sequenceOwners: boolean;
  readonly views: boolean;
  readonly functions: boolean;
}

export interface RewriteOptions {
  readonly privileges: RestoredPrivileges;
  readonly skip: SkipOptions;
  /** For texts of views and expressions. */
  readonly names: NewNames;
  /** Takes what is missing; when it returns, what needs it is given up. */
  readonly report: Report;
  /** The backup's catalog, for names in errors. */
  readonly backup: CatalogSnapshot;
  /** Types that are here already, by id in the backup: those of regions may have more labels than the backup's. */
  readonly typesHere?: ReadonlyMap<number, TypeDescriptor | undefined>;
}

/** Ids of the backup to ids here. */
export interface IdMap {
  /** Everything that is created. */
  readonly created: ReadonlyMap<number, number>;
  /** What is here already and stands for a part of the backup: the database that tables go into, its schemas and types. */
  readonly existing: ReadonlyMap<number, number>;
}

/**
 * New descriptors for those of `targets` that are created, ascending by id. Reports 22023 naming what
 * is missing and the option that gives it up. Views that miss something are out of `targets` (viewRefs.ts).
 */
export function rewriteDescriptors(targets: RestoreTargets, ids: IdMap, options: RewriteOptions): Descriptor[] {
  const rewriter = new Rewriter(targets, ids, options);
  const isCreated = (descriptor: Descriptor) => ids.created.has(descriptor.id);
  return [
    ...targets.databases.map((database) => rewriter.database(database)),
    ...targets.schemas.filter(isCreated).map((schema) => rewriter.schema(schema)),
    ...targets.types.filter(isCreated).map((type) => rewriter.type(type)),
    ...targets.functions.map((one) => rewriter.function(one)),
    ...targets.tables.map((table) => rewriter.table(table)),
  ].sort((a, b) => a.id - b.id);
}

class Rewriter {
  readonly #ids: IdMap;
  readonly #options: RewriteOptions;
  readonly #tables: ReadonlyMap<number, TableDescriptor>;
  readonly #functions: ReadonlySet<number>;

  constructor(targets: RestoreTargets, ids: IdMap, options: RewriteOptions) {
    this.#ids = ids;
    this.#options = options;
    this.#tables = new Map(targets.tables.map((table) => [table.id, table]));
    this.#functions = new Set(targets.functions.map(({ id }) => id));
  }

  #id(id: number): number {
    if (id === PUBLIC_SCHEMA_ID) return id;
    const found = this.#ids.created.get(id) ?? this.#ids.existing.get(id);
    assert(found !== undefined, `descriptor ${id} has no new id`);
    return found;
  }

  #base<D extends Descriptor>(descriptor: D): Pick<D, 'id' | 'version' | 'modificationTime' | 'state' | 'offlineReason' | 'privileges'> {
    return {
      id: this.#id(descriptor.id),
      version: 1,
      modificationTime: MIN_TIMESTAMP,
      state: 'OFFLINE',
      offlineReason: OFFLINE_REASON,
      privileges: this.#options.privileges.of(descriptor),
    };
  }

  database({ defaultPrivileges, publicSchema, regions, ...database }: DatabaseDescriptor): DatabaseDescriptor {
    const { privileges } = this.#options;
    const own = privileges.ofDatabase({ privileges: database.privileges, ...(publicSchema && { publicSchema }) });
    const regionsHere = regions && { regions: { ...regions, typeId: this.#id(regions.typeId) } };
    return { ...database, ...regionsHere, ...privileges.defaults(defaultPrivileges), ...this.#base(database), ...own };
  }

  schema({ defaultPrivileges, ...schema }: SchemaDescriptor): SchemaDescriptor {
    return {
      ...schema,
      ...this.#options.privileges.defaults(defaultPrivileges),
      ...this.#base(schema),
      parentId: this.#id(schema.parentId),
    };
  }

  type(type: TypeDescriptor): TypeDescriptor {
    return {
      ...type,
      ...this.#base(type),
      parentId: this.#id(type.parentId),
      schemaId: this.#id(type.schemaId),
      referencedByIds: this.#restoredUsers(type.referencedByIds),
    };
  }

  function(one: FunctionDescriptor): FunctionDescriptor {
    return {
      ...one,
      ...this.#base(one),
      ...this.#body(one, this.#databaseOf(one)),
      parentId: this.#id(one.parentId),
      schemaId: this.#id(one.schemaId),
      dependsOnIds: this.#restored(one.dependsOnIds),
      columnUses: one.columnUses.map((use) => ({ ...use, id: this.#id(use.id) })),
      typeIds: one.typeIds.map((id) => this.#id(id)).sort((a, b) => a - b),
      functionIds: this.#restoredUsers(one.functionIds),
      referencedByIds: this.#restoredUsers(one.referencedByIds),
    };
  }

  #body(body: FunctionBody, database: string): Pick<FunctionBody, 'params' | 'returns' | 'statements'> {
    return {
      params: body.params.map((param) => ({ ...param, type: this.#type(param.type) })),
      returns: this.#type(body.returns),
      statements: body.statements.map((text) => renameInQuery(text, database, this.#options.names)),
    };
  }

  /** The functions that a table carries; none when they do not come along, and what calls them is given up. */
  #carried({ exprFunctions = [] }: TableDescriptor, database: string): { readonly exprFunctions?: TableDescriptor['exprFunctions'] } {
    if (exprFunctions.length === 0 || exprFunctions.some(({ id }) => !this.#functions.has(id))) return {};
    const renamed = exprFunctions.map((one) => {
      const [, schema = one.schema, name = one.name] = this.#options.names.of([database, one.schema, one.name]) ?? [];
      return { ...one, ...this.#body(one, database), id: this.#id(one.id), schema, name };
    });
    return { exprFunctions: renamed.sort((a, b) => a.id - b.id) };
  }

  /** The table without the defaults and checks that call functions which are not restored. */
  #withoutLostFunctions(table: TableDescriptor): TableDescriptor {
    const missing = table.exprFunctions?.find(({ id }) => !this.#functions.has(id));
    if (!missing) return table;
    const what = `cannot restore table ${this.#nameOf(table.id)} without referenced function ${missing.id}`;
    const detail = `it calls ${quoteNames([missing.schema, missing.name])}()`;
    if (!this.#options.skip.functions) this.#missing(what, detail, 'skip_missing_udfs');
    const kept = withoutFunctionCalls(table);
    if (kept.needed !== undefined && this.#options.skip.functions) {
      this.#options.report(
        new StatementError(
          SqlState.InvalidParameterValue,
          `${kept.needed} cannot be restored when referenced UDF is missing (even with skip_missing_udfs option)`,
          { detail },
        ),
      );
    }
    return kept.table;
  }

  table(source: TableDescriptor): TableDescriptor {
    const {
      past: _past,
      importing: _importing,
      exprFunctions: _carried,
      ...table
    } = renameInExpressions(this.#withoutLostFunctions(withoutUnfinished(source)), this.#databaseOf(source), this.#options.names);
    return {
      ...table,
      ...this.#base(table),
      parentId: this.#id(table.parentId),
      schemaId: this.#id(table.schemaId),
      columns: table.columns.map((column) => this.#column(table, column)),
      foreignKeys: table.foreignKeys.flatMap((key) => this.#foreignKey(table, key)),
      referencedByIds: this.#restored(table.referencedByIds).filter((id) => this.#stillReferences(id, source)),
      dependedOnByIds: this.#restoredUsers(table.dependedOnByIds),
      ...this.#carried(source, this.#databaseOf(source)),
      ...(table.view && { view: this.#view(table, table.view) }),
      ...(table.exprTypes && { exprTypes: table.exprTypes.map((type) => this.#type(type)) }),
      ...(table.sequence && { sequence: this.#sequence(table) }),
      createTime: MIN_TIMESTAMP,
    };
  }

  /** As the backup calls it. */
  #databaseOf({ parentId }: TableDescriptor | FunctionDescriptor): string {
    return this.#options.backup.databaseById(parentId)?.name ?? '';
  }

  /** New ids of those tables that are restored, ascending. */
  #restored(ids: readonly number[]): number[] {
    return [...new Set(ids)]
      .filter((id) => this.#tables.has(id))
      .map((id) => this.#id(id))
      .sort((a, b) => a - b);
  }

  /** The same of tables and functions. */
  #restoredUsers(ids: readonly number[]): number[] {
    return [...new Set(ids)]
      .filter((id) => this.#tables.has(id) || this.#functions.has(id))
      .map((id) => this.#id(id))
      .sort((a, b) => a - b);
  }

  /** A table whose unfinished foreign key was left out does not refer any more. */
  #stillReferences(newId: number, referenced: TableDescriptor): boolean {
    for (const table of this.#tables.values()) {
      if (this.#id(table.id) !== newId) continue;
      return withoutUnfinished(table).foreignKeys.some((key) => key.referencedTableId === referenced.id);
    }
    return false;
  }

  #column(table: TableDescriptor, column: ColumnDescriptor): ColumnDescriptor {
    const { usesSequenceIds = [], ownsSequenceIds = [], onUpdateExpr, ...kept } = column;
    const uses = this.#sequences(table, column, usesSequenceIds, 'default');
    const usedOnUpdate = onUpdateExpr === undefined ? [] : sequenceIdsIn(onUpdateExpr);
    const isOnUpdateLost = this.#sequences(table, column, usedOnUpdate, 'ON UPDATE').length < usedOnUpdate.length;
    const owned = ownsSequenceIds.filter((id) => this.#isOwnerKept(id, `table ${this.#nameOf(table.id)} without the sequence it owns,`));
    const { defaultExpr, ...withoutDefault } = kept;
    const isDefaultLost = uses.length < usesSequenceIds.length;
    return {
      ...withoutDefault,
      type: this.#type(column.type),
      ...(defaultExpr !== undefined &&
        !isDefaultLost && { defaultExpr: uses.length > 0 ? rewriteSequenceIds(defaultExpr, this.#ids.created) : defaultExpr }),
      ...(onUpdateExpr !== undefined &&
        !isOnUpdateLost && {
          onUpdateExpr: usedOnUpdate.length > 0 ? rewriteSequenceIds(onUpdateExpr, this.#ids.created) : onUpdateExpr,
        }),
      ...(uses.length > 0 && !isDefaultLost && { usesSequenceIds: uses.map((id) => this.#id(id)) }),
      ...(owned.length > 0 && { ownsSequenceIds: owned.map((id) => this.#id(id)) }),
    };
  }

  /** Those of the sequences that are restored. */
  #sequences(table: TableDescriptor, column: ColumnDescriptor, ids: readonly number[], clause: 'default' | 'ON UPDATE'): number[] {
    const missing = ids.find((id) => !this.#tables.has(id));
    if (missing !== undefined && !this.#options.skip.sequences) {
      this.#missing(
        `cannot restore table ${this.#nameOf(table.id)} without referenced sequence ${this.#nameOf(missing)}`,
        `the ${clause} of column "${column.name}" uses it`,
        'skip_missing_sequences',
      );
    }
    return ids.filter((id) => this.#tables.has(id));
  }

  /** False when the other end of an ownership is given up. */
  #isOwnerKept(id: number, what: string): boolean {
    if (this.#tables.has(id)) return true;
    if (this.#options.skip.sequenceOwners) return false;
    this.#missing(`cannot restore ${what} ${this.#nameOf(id)}`, undefined, 'skip_missing_sequence_owners');
    return false;
  }

  #nameOf(id: number): string {
    const descriptor = this.#options.backup.byId(id);
    return descriptor === undefined ? `[${id}]` : `"${descriptor.name}"`;
  }

  #missing(message: string, detail: string | undefined, option: string): void {
    this.#options.report(
      new StatementError(SqlState.InvalidParameterValue, `${message} (or "${option}" option)`, {
        ...(detail !== undefined && { detail }),
        hint: `restore it in the same statement, or give it up: WITH ${option}`,
      }),
    );
  }

  #foreignKey(table: TableDescriptor, key: ForeignKeyDescriptor): ForeignKeyDescriptor[] {
    if (this.#tables.has(key.referencedTableId)) return [{ ...key, referencedTableId: this.#id(key.referencedTableId) }];
    if (this.#options.skip.foreignKeys) return [];
    this.#missing(
      `cannot restore table ${this.#nameOf(table.id)} without referenced table ${this.#nameOf(key.referencedTableId)}`,
      `foreign key "${key.name}" refers to it`,
      'skip_missing_foreign_keys',
    );
    return [];
  }

  #sequence(table: TableDescriptor): TableDescriptor['sequence'] {
    const { ownedBy, ...options } = table.sequence as NonNullable<TableDescriptor['sequence']>;
    if (ownedBy === undefined || !this.#isOwnerKept(ownedBy.tableId, `sequence ${this.#nameOf(table.id)} without the table that owns it,`))
      return options;
    const owner = this.#tables.get(ownedBy.tableId) as TableDescriptor;
    const hasColumn = withoutUnfinished(owner).columns.some((column) => column.id === ownedBy.columnId);
    return hasColumn ? { ...options, ownedBy: { ...ownedBy, tableId: this.#id(ownedBy.tableId) } } : options;
  }

  /** What it reads is restored with it: see viewRefs.ts. */
  #view(table: TableDescriptor, view: ViewDefinition): ViewDefinition {
    return {
      ...view,
      query: renameInQuery(view.query, this.#databaseOf(table), this.#options.names),
      dependsOnIds: this.#restored(view.dependsOnIds),
      columnUses: view.columnUses.map((use) => ({ ...use, id: this.#id(use.id) })),
      typeIds: view.typeIds.map((id) => this.#id(id)).sort((a, b) => a - b),
      ...(view.functionIds && { functionIds: this.#restoredUsers(view.functionIds) }),
    };
  }

  #type(type: ColumnType): ColumnType {
    if (type.element !== undefined) {
      const element = this.#type(type.element);
      return element === type.element ? type : arrayOf(element);
    }
    if (type.typeId === undefined) return type;
    const { name = '', schema = '' } = type;
    const { members = [], physical = [] } = this.#options.typesHere?.get(type.typeId) ?? type;
    const inBackup = this.#options.backup.typeById(type.typeId);
    const schemaHere = (inBackup && this.#options.names.of(this.#options.backup.fullName(inBackup))?.[1]) ?? schema;
    return enumOf({ typeId: this.#id(type.typeId), name, schema: schemaHere, members, physical });
  }
}

/** The table without what a schema change had not finished: what is pending, indexes and columns that are not public (R3). */
export function withoutUnfinished(source: TableDescriptor): TableDescriptor {
  const { pendingChange, ...rest } = source;
  const unproved = new Set([...(pendingChange?.constraintIds ?? []), ...(pendingChange?.notNull.map((one) => one.checkId) ?? [])]);
  const table: TableDescriptor = pendingChange
    ? {
        ...rest,
        checks: rest.checks.filter((check) => !unproved.has(check.id)),
        foreignKeys: rest.foreignKeys.filter((key) => !unproved.has(key.id)),
      }
    : source;
  const indexes = table.indexes.filter((index) => index.state === 'public');
  const keyed = new Set(
    [table.primaryIndex, ...indexes].flatMap((index) => [...index.columnIds, ...index.keySuffixColumnIds, ...index.storeColumnIds]),
  );
  // A column that a public index holds has its values: it counts as public.
  const columns = table.columns
    .filter((column) => column.state === 'public' || keyed.has(column.id))
    .map((column) => (column.state === 'public' ? column : { ...column, state: 'public' as const }));
  if (
    indexes.length === table.indexes.length &&
    columns.length === table.columns.length &&
    columns.every((column, i) => column === table.columns[i])
  )
    return table;
  const kept = new Set(columns.map((column) => column.id));
  const isKept = (id: number) => kept.has(id);
  return {
    ...table,
    indexes,
    columns,
    families: table.families.map((family) => ({ ...family, columnIds: family.columnIds.filter(isKept) })),
    checks: table.checks.filter((check) => check.columnIds.every(isKept)),
    foreignKeys: table.foreignKeys.filter((key) => key.columnIds.every(isKept)),
  };
}
