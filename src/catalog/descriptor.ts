/**
 * Descriptors: the stored definitions of databases, schemas, tables (views and sequences are
 * tables too) and user types. Plain data, deep-frozen when decoded: a change makes a new object
 * with the next version, written by Catalog.writeDescriptor.
 *
 *   D1  an id never changes and is never reused; names live in the namespace table as well
 *   D2  references between descriptors are ids; expressions are SQL text that names columns
 *   D3  column, family, index and constraint ids are unique in their table and never reused,
 *       so old rows keep their meaning
 *   D4  the primary index has id 1 and stores every stored column through the families
 *   D5  a table that is not PUBLIC is invisible to statements; OFFLINE says why
 *
 * Lives elsewhere: the rules (validate.ts), JSON (descriptorCodec.ts), builders of system tables (systemTables.ts).
 */
import type { Timestamp } from '../base/timestamp.ts';

import type { ColumnType } from './type.ts';

export type DescriptorState = 'PUBLIC' | 'OFFLINE' | 'DROP' | 'ADD';

export type Privilege =
  | 'ALL'
  | 'CREATE'
  | 'DROP'
  | 'GRANT'
  | 'SELECT'
  | 'INSERT'
  | 'UPDATE'
  | 'DELETE'
  | 'USAGE'
  | 'CONNECT'
  | 'ZONECONFIG'
  | 'BACKUP'
  | 'RESTORE'
  | 'EXECUTE';

export interface Grant {
  readonly grantee: string;
  /** Sorted. ALL stands alone. */
  readonly privileges: readonly Privilege[];
  /** Those of `privileges` the grantee may pass on. */
  readonly grantOption?: readonly Privilege[];
}

export interface Privileges {
  readonly owner: string;
  /** Sorted by grantee. */
  readonly grants: readonly Grant[];
}

export type DefaultPrivilegesOn = 'tables' | 'sequences' | 'types' | 'schemas';

/** What new objects of a kind start with beside their owner's privileges: ALTER DEFAULT PRIVILEGES. */
export interface DefaultPrivileges {
  /** Whose new objects; absent for those of all roles. */
  readonly role?: string;
  readonly on: DefaultPrivilegesOn;
  /** Sorted by grantee. */
  readonly grants: readonly Grant[];
  /** Only in schema public, which has no descriptor: the entry stands in its database's. */
  readonly inPublic?: true;
  /** New types are not everybody's: USAGE was revoked from public. */
  readonly withoutPublicUsage?: true;
}

interface DescriptorBase {
  readonly id: number;
  readonly name: string;
  /** The database; 0 for a database itself. */
  readonly parentId: number;
  /** Counts up by one with every published change. */
  readonly version: number;
  /** Commit time of this version: of its row, so it is not in the stored text. 0 while its transaction is open. */
  readonly modificationTime: Timestamp;
  readonly state: DescriptorState;
  /** Why it is OFFLINE: `restoring`, `importing`. */
  readonly offlineReason?: string;
  readonly privileges: Privileges;
  readonly comment?: string;
}

export type SurvivalGoal = 'zone' | 'region';

/** What makes a database a multi-region one. Its regions are the labels of its region type (regions.ts). */
export interface RegionConfig {
  /** The type crdb_internal_region in schema public. */
  readonly typeId: number;
  readonly primaryRegion: string;
  readonly secondaryRegion?: string;
  readonly survivalGoal: SurvivalGoal;
  /** Replicas that do not vote stay in the home region, but for those of GLOBAL tables. */
  readonly isPlacementRestricted?: true;
}

export interface DatabaseDescriptor extends DescriptorBase {
  readonly kind: 'database';
  readonly regions?: RegionConfig;
  /** Those of schema public, where it has its own (publicSchema.ts). */
  readonly publicSchema?: Privileges;
  /** For new objects anywhere in it. */
  readonly defaultPrivileges?: readonly DefaultPrivileges[];
}

export interface SchemaDescriptor extends DescriptorBase {
  readonly kind: 'schema';
  /** Holds the temporary relations of one session, whose name for it is pg_temp, and goes with it. */
  readonly temporary?: true;
  /** For new objects in it. */
  readonly defaultPrivileges?: readonly DefaultPrivileges[];
}

export type SchemaChangeState = 'public' | 'write_only';

export interface ColumnDescriptor {
  readonly id: number;
  readonly name: string;
  readonly type: ColumnType;
  readonly nullable: boolean;
  /** SQL text of the DEFAULT; absent means NULL. */
  readonly defaultExpr?: string;
  /** SQL text of ON UPDATE. */
  readonly onUpdateExpr?: string;
  /** SQL text of a generated column; it names columns of this table. */
  readonly computeExpr?: string;
  /** A generated column that is computed on read and never stored. */
  readonly isVirtual?: boolean;
  /** Virtual, and there for the indexes over its expression alone: nothing names it. */
  readonly isIndexExpression?: true;
  readonly generatedAsIdentity?: 'always' | 'by default';
  /** Left out of `*` and of SHOW COLUMNS' visible part: rowid. */
  readonly hidden?: boolean;
  /** Sequences its default reads. */
  readonly usesSequenceIds?: readonly number[];
  /** Sequences it owns (SERIAL with a sequence, OWNED BY). */
  readonly ownsSequenceIds?: readonly number[];
  /** `write_only` while it is being backfilled: written, never read by statements. */
  readonly state: SchemaChangeState;
  readonly comment?: string;
}

export interface FamilyDescriptor {
  readonly id: number;
  readonly name: string;
  /** Ids of its columns, primary key columns included (in family 0), ascending by position. */
  readonly columnIds: readonly number[];
}

export type IndexDirection = 'ASC' | 'DESC';

export interface IndexDescriptor {
  readonly id: number;
  readonly name: string;
  readonly unique: boolean;
  /** The key columns in order. */
  readonly columnIds: readonly number[];
  readonly directions: readonly IndexDirection[];
  /** STORING columns; for the primary index empty (it stores all). */
  readonly storeColumnIds: readonly number[];
  /** Primary key columns not already in `columnIds`: the key suffix of a non-unique entry. Empty for the primary index. */
  readonly keySuffixColumnIds: readonly number[];
  readonly state: SchemaChangeState;
  /** Made by a UNIQUE constraint rather than CREATE INDEX. */
  readonly isConstraint?: boolean;
  /** SQL text of a partial index's WHERE. */
  readonly predicate?: string;
  /** An entry for each inverted key of this column (invertedKeys.ts); the last key column is a virtual one that stands for them. */
  readonly inverted?: { readonly columnId: number };
  /** Its first key column is a computed one: in which of so many buckets a hash of the others puts a row. */
  readonly sharded?: { readonly buckets: number };
  /** Of a REGIONAL BY ROW table: its first key column is the row's region, which nobody named. Unique without it as well. */
  readonly regional?: true;
  readonly comment?: string;
}

export interface CheckDescriptor {
  readonly id: number;
  readonly name: string;
  /** SQL text over this table's column names. */
  readonly expr: string;
  readonly columnIds: readonly number[];
  /** False for NOT VALID: checked for new rows only. */
  readonly validated: boolean;
}

export type ForeignKeyAction = 'NO ACTION' | 'RESTRICT' | 'CASCADE' | 'SET NULL' | 'SET DEFAULT';

/**
 * What a schema change has published but not finished. Columns and indexes in it are `write_only`;
 * constraints are enforced for new rows and not yet validated. Ids whose object is gone mean nothing.
 */
export interface PendingChange {
  /** The SCHEMA CHANGE job that finishes it, or takes it back. */
  readonly jobId: number;
  readonly columnIds: readonly number[];
  readonly indexIds: readonly number[];
  /** Checks and foreign keys that are new: taken back with the change. */
  readonly constraintIds: readonly number[];
  /** SET NOT NULL: a check stands in until every row was looked at. */
  readonly notNull: readonly { readonly columnId: number; readonly checkId: number }[];
  /** VALIDATE CONSTRAINT: checks and foreign keys that stay NOT VALID when it fails. */
  readonly validateIds: readonly number[];
}

/** UNIQUE WITHOUT INDEX: kept by reading. Other unique constraints are indexes. */
export interface UniqueConstraintDescriptor {
  readonly id: number;
  readonly name: string;
  readonly columnIds: readonly number[];
  /** False for NOT VALID: rows that were there before may break it. */
  readonly validated: boolean;
}

/** Held by the referencing table; the referenced one lists its id in `referencedByIds`. */
/** Columns of a table, as in PostgreSQL: every statement on it looks at all of them. */
export const TABLE_COLUMNS_MAX = 1600;

export interface ForeignKeyDescriptor {
  readonly id: number;
  readonly name: string;
  readonly columnIds: readonly number[];
  readonly referencedTableId: number;
  readonly referencedColumnIds: readonly number[];
  readonly onDelete: ForeignKeyAction;
  readonly onUpdate: ForeignKeyAction;
  readonly match: 'SIMPLE' | 'FULL';
  readonly validated: boolean;
  /** Present when DEFERRABLE: whether transactions begin with its checks at the end of each statement, or at the commit. */
  readonly deferral?: 'immediate' | 'deferred';
}

export interface ViewDefinition {
  /** SQL text of the query, with names resolved. */
  readonly query: string;
  /** Tables, views and sequences it reads; ascending. */
  readonly dependsOnIds: readonly number[];
  /** Which columns of them it names, by their id; `*` counts as each column it stood for. */
  readonly columnUses: readonly { readonly id: number; readonly columnIds: readonly number[]; readonly indexIds?: readonly number[] }[];
  /** User types that its text names. */
  readonly typeIds: readonly number[];
  /** Functions of users that its text calls; ascending. */
  readonly functionIds?: readonly number[];
  readonly isMaterialized?: boolean;
}

export interface SequenceOptions {
  /** 64-bit values as decimal text, so that JSON keeps them exact. */
  readonly increment: string;
  readonly minValue: string;
  readonly maxValue: string;
  readonly start: string;
  readonly cacheSize: string;
  readonly cycle?: boolean;
  /** nextval gives unique_rowid() instead of counting. */
  readonly isVirtual?: boolean;
  readonly integerWidth: 16 | 32 | 64;
  readonly ownedBy?: { readonly tableId: number; readonly columnId: number };
}

/** Where a table's data is at home, in a multi-region database. */
export type TableLocality =
  | { readonly kind: 'global' }
  /** Without a region the database's primary one. */
  | { readonly kind: 'table'; readonly region?: string }
  /** Each row has its region in a column. `isNamed`: the user said which one (AS). */
  | { readonly kind: 'row'; readonly columnId: number; readonly isNamed?: true };

/** A table that an IMPORT INTO writes to. */
export interface Importing {
  /**
   * Rows up to here are the table's own, newer ones the import's, which writes only keys that were not there: what has a
   * newer version is left out, the rest is the table from before. Absent until the import begins to write.
   */
  readonly start?: Timestamp;
}

/** The history that a restore brought with a table (restoredPast.ts). */
export interface RestoredPast {
  readonly from: Timestamp;
  /** Inclusive, as `from`. */
  readonly until: Timestamp;
  /** PUBLIC, as it was restored. Its id is the one whose rows it tells of: a copy of the descriptor under another id has no past. */
  readonly table: TableDescriptor;
}

export interface TableDescriptor extends DescriptorBase {
  readonly kind: 'table';
  readonly schemaId: number;
  /** In a temporary schema, as all in there are: no backup of its database has it. */
  readonly temporary?: true;
  /** In the order of the table's definition; write-only columns included. */
  readonly columns: readonly ColumnDescriptor[];
  readonly nextColumnId: number;
  readonly families: readonly FamilyDescriptor[];
  readonly nextFamilyId: number;
  readonly primaryIndex: IndexDescriptor;
  readonly indexes: readonly IndexDescriptor[];
  readonly nextIndexId: number;
  readonly checks: readonly CheckDescriptor[];
  readonly foreignKeys: readonly ForeignKeyDescriptor[];
  readonly uniqueWithoutIndex?: readonly UniqueConstraintDescriptor[];
  /** Tables whose foreign keys point here; ascending. */
  readonly referencedByIds: readonly number[];
  /** Views and tables (by default expressions) that use this table, view or sequence; ascending. */
  readonly dependedOnByIds: readonly number[];
  readonly nextConstraintId: number;
  readonly pendingChange?: PendingChange;
  readonly view?: ViewDefinition;
  /** User types that stored expressions name and no column has. */
  readonly exprTypes?: readonly ColumnType[];
  /** Functions of users that stored expressions call, and those that these call; ascending by id. */
  readonly exprFunctions?: readonly CarriedFunction[];
  readonly sequence?: SequenceOptions;
  readonly excludeDataFromBackup?: boolean;
  /** Absent in a database without regions, and where the default holds (regions.ts). */
  readonly locality?: TableLocality;
  /** No data of it is older: set by a restore, which ingests history. 0: the table's own first version is the bound. */
  readonly createTime: Timestamp;
  /** While it is OFFLINE for an import. */
  readonly importing?: Importing;
  /** Set by a restore that brought history. */
  readonly past?: RestoredPast;
  /** Storage parameters as written, `exclude_data_from_backup` excepted. */
  readonly storageParams?: Readonly<Record<string, string>>;
}

/** A user-defined enum. Its array type has the id after its own, and no descriptor. */
export interface TypeDescriptor extends DescriptorBase {
  readonly kind: 'type';
  readonly schemaId: number;
  /** Labels in order. */
  readonly members: readonly string[];
  /** What stands for each label in keys and values, in hexadecimal; ascending, and a label's for good (enumType.ts). */
  readonly physical: readonly string[];
  /** The regions of its database: ALTER DATABASE changes it. */
  readonly isRegions?: true;
  /** Tables and views that use it; ascending. */
  readonly referencedByIds: readonly number[];
}

export interface FunctionParam {
  /** Absent for one that the body names $1. */
  readonly name?: string;
  readonly type: ColumnType;
}

/** What a call of a function means. */
export interface FunctionBody {
  readonly params: readonly FunctionParam[];
  readonly returns: ColumnType;
  /** RETURNS SETOF. */
  readonly returnsSet?: true;
  readonly volatility: 'immutable' | 'stable' | 'volatile';
  /** NULL for a NULL argument, without a look at the body. */
  readonly isStrict?: true;
  /** Queries as text, with full names; the last one gives the result. */
  readonly statements: readonly string[];
}

/** A function as a table carries it, so that rows are written without a look at the catalog. */
export interface CarriedFunction extends FunctionBody {
  readonly id: number;
  readonly schema: string;
  readonly name: string;
}

/** A function that users wrote in SQL. Overloads are functions of their own. */
export interface FunctionDescriptor extends DescriptorBase, FunctionBody {
  readonly kind: 'function';
  readonly schemaId: number;
  /** Which of the functions of its name it is, from 0 without a gap: names are unique, overloads are not (namePlace). */
  readonly slot: number;
  readonly isLeakproof?: true;
  /** Tables, views and sequences it reads; ascending. */
  readonly dependsOnIds: readonly number[];
  readonly columnUses: ViewDefinition['columnUses'];
  /** User types of its parameters, its result and its text; ascending. */
  readonly typeIds: readonly number[];
  /** Other functions it calls; ascending. */
  readonly functionIds: readonly number[];
  /** Tables, views and functions that use it; ascending. */
  readonly referencedByIds: readonly number[];
}

export type Descriptor = DatabaseDescriptor | SchemaDescriptor | TableDescriptor | TypeDescriptor | FunctionDescriptor;

/**
 * Where a descriptor's name stands in the namespace. Functions share a name and stand apart from relations: theirs are
 * numbered, under the negative of the schema's id.
 */
export function namePlace(desc: Descriptor): { readonly parentId: number; readonly schemaId: number; readonly name: string } {
  if (desc.kind === 'function') return functionPlace(desc.parentId, desc.schemaId, desc.name, desc.slot);
  const schemaId = desc.kind === 'table' || desc.kind === 'type' ? desc.schemaId : 0;
  return { parentId: desc.parentId, schemaId, name: desc.name };
}

export function functionPlace(parentId: number, schemaId: number, name: string, slot: number): ReturnType<typeof namePlace> {
  return { parentId, schemaId: -schemaId, name: `${slot}:${name}` };
}

/** Ids with a fixed meaning, as in CockroachDB v21.1. */
export const SYSTEM_DATABASE_ID = 1;
export const PUBLIC_SCHEMA_ID = 29;
export const DEFAULTDB_ID = 50;
export const POSTGRES_ID = 51;
/** The first id that CREATE hands out. */
export const FIRST_USER_ID = 52;
/** The highest id of a system object. */
export const MAX_SYSTEM_ID = 49;
export const PRIMARY_INDEX_ID = 1;
/** Stands for the commit timestamp of a row's newest family: crdb_internal_mvcc_timestamp. */
export const MVCC_TIMESTAMP_COLUMN_ID = 0xffff_ffff;
/** Stands for the table's id: tableoid. */
export const TABLE_OID_COLUMN_ID = 0xffff_fffe;

export function isTable(desc: TableDescriptor): boolean {
  return desc.view === undefined && desc.sequence === undefined;
}

/** `table`, `view`, `materialized view`, `sequence`, `database`, `schema`, `type`, `function`. */
export function describeKind(desc: Descriptor): string {
  if (desc.kind !== 'table') return desc.kind;
  if (desc.sequence) return 'sequence';
  if (desc.view) return desc.view.isMaterialized ? 'materialized view' : 'view';
  return 'table';
}

/** Columns that statements see: public ones, hidden ones included. */
export function publicColumns(desc: TableDescriptor): ColumnDescriptor[] {
  return desc.columns.filter((column) => column.state === 'public');
}

/** Columns `*` stands for. */
export function visibleColumns(desc: TableDescriptor): ColumnDescriptor[] {
  return desc.columns.filter((column) => column.state === 'public' && !column.hidden);
}

export function columnById(desc: TableDescriptor, id: number): ColumnDescriptor | undefined {
  return desc.columns.find((column) => column.id === id);
}

export function columnByName(desc: TableDescriptor, name: string): ColumnDescriptor | undefined {
  return desc.columns.find((column) => column.name === name);
}

/** The primary index and the others, in id order of definition; write-only ones included. */
export function allIndexes(desc: TableDescriptor): IndexDescriptor[] {
  return [desc.primaryIndex, ...desc.indexes];
}

export function indexByName(desc: TableDescriptor, name: string): IndexDescriptor | undefined {
  return allIndexes(desc).find((index) => index.name === name);
}

export function indexById(desc: TableDescriptor, id: number): IndexDescriptor | undefined {
  return allIndexes(desc).find((index) => index.id === id);
}

/** The key columns as users name them: an inverted index's last one is the column that it is over. */
export function namedKeyColumnIds(index: IndexDescriptor): readonly number[] {
  return index.inverted ? [...index.columnIds.slice(0, -1), index.inverted.columnId] : index.columnIds;
}

/** How many key columns come before those that users gave: the region of the row, or the bucket of a hash-sharded index. */
export function implicitKeyColumns({ sharded, regional }: IndexDescriptor): number {
  return sharded || regional ? 1 : 0;
}

/** The key columns that users gave: all but the implicit ones. */
export function givenKeyColumnIds(index: IndexDescriptor): readonly number[] {
  const implicit = implicitKeyColumns(index);
  return implicit === 0 ? index.columnIds : index.columnIds.slice(implicit);
}

/** The same table with other fields: the one way to change a descriptor in memory. */
export function updated<D extends Descriptor>(desc: D, changes: Partial<Omit<D, 'kind' | 'id'>>): D {
  return { ...desc, ...changes };
}
