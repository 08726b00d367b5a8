/** The syntax tree of schema statements. See ast.ts for the rules every node follows. */
import type { Expr, IndexName, Name, ObjectName, Option, SelectStatement, TypeName } from './astCore.ts';

declare module './astCore.ts' {
  interface Statements {
    createDatabase: CreateDatabase;
    alterDatabase: AlterDatabase;
    dropDatabase: DropDatabase;
    createSchema: CreateSchema;
    alterSchema: AlterSchema;
    dropSchema: DropSchema;
    createTable: CreateTable;
    createTableAs: CreateTableAs;
    alterTable: AlterTable;
    dropTable: DropRelation;
    dropView: DropRelation;
    dropSequence: DropRelation;
    truncate: Truncate;
    refreshView: RefreshView;
    commentOn: CommentOn;
    createIndex: CreateIndex;
    alterIndex: AlterIndex;
    dropIndex: DropIndex;
    createSequence: CreateSequence;
    alterSequence: AlterSequence;
    createView: CreateView;
    alterRelation: AlterRelation;
    createType: CreateType;
    alterType: AlterType;
    dropType: DropType;
    configureZone: ConfigureZone;
    showZone: ShowZone;
  }
}

export type DropBehavior = 'cascade' | 'restrict' | undefined;

// ---- databases and schemas --------------------------------------------------------------------

export interface CreateDatabase {
  readonly kind: 'createDatabase';
  readonly name: Name;
  readonly ifNotExists: boolean;
  /** owner, template, encoding, lc_collate, lc_ctype, connection limit: lower-case. */
  readonly options: readonly Option[];
  readonly regions: DatabaseRegionsClause;
  readonly pos: number;
}
/** PRIMARY REGION, REGIONS and so on of CREATE DATABASE: what was given. */
export interface DatabaseRegionsClause {
  readonly primary?: Name;
  readonly secondary?: Name;
  readonly names?: readonly Name[];
  readonly survive?: 'zone' | 'region';
  readonly placement?: 'default' | 'restricted';
}
/** What follows LOCALITY. Without a region the primary one, without a column crdb_region. */
export type TableLocalityClause =
  | { readonly type: 'global' }
  | { readonly type: 'table'; readonly region: Name | undefined }
  | { readonly type: 'row'; readonly column: Name | undefined };
export interface AlterDatabase {
  readonly kind: 'alterDatabase';
  readonly name: Name;
  readonly action:
    | { readonly type: 'rename'; readonly newName: Name }
    | { readonly type: 'owner'; readonly owner: Name }
    | { readonly type: 'set'; readonly variable: string; readonly values: readonly Expr[] }
    | { readonly type: 'reset'; readonly variable: string | undefined }
    | { readonly type: 'primaryRegion' | 'secondaryRegion'; readonly region: Name }
    | { readonly type: 'dropSecondaryRegion'; readonly ifExists: boolean }
    | { readonly type: 'addRegion'; readonly ifNotExists: boolean; readonly region: Name }
    | { readonly type: 'dropRegion'; readonly ifExists: boolean; readonly region: Name }
    | { readonly type: 'survive'; readonly goal: 'zone' | 'region' }
    | { readonly type: 'placement'; readonly placement: 'default' | 'restricted' };
  readonly pos: number;
}
export interface DropDatabase {
  readonly kind: 'dropDatabase';
  readonly name: Name;
  readonly ifExists: boolean;
  readonly behavior: DropBehavior;
  readonly pos: number;
}
export interface CreateSchema {
  readonly kind: 'createSchema';
  /** Absent for CREATE SCHEMA AUTHORIZATION role, where the schema takes the role's name. */
  readonly name: ObjectName | undefined;
  readonly owner: Name | undefined;
  readonly ifNotExists: boolean;
  readonly pos: number;
}
export interface AlterSchema {
  readonly kind: 'alterSchema';
  readonly name: ObjectName;
  readonly action: { readonly type: 'rename'; readonly newName: Name } | { readonly type: 'owner'; readonly owner: Name };
  readonly pos: number;
}
export interface DropSchema {
  readonly kind: 'dropSchema';
  readonly names: readonly ObjectName[];
  readonly ifExists: boolean;
  readonly behavior: DropBehavior;
  readonly pos: number;
}

// ---- tables -----------------------------------------------------------------------------------

export interface CreateTable {
  readonly kind: 'createTable';
  readonly name: ObjectName;
  readonly ifNotExists: boolean;
  readonly temporary: boolean;
  /** In source order. */
  readonly elements: readonly TableElement[];
  readonly storageParams: readonly Option[];
  readonly locality: TableLocalityClause | undefined;
  readonly pos: number;
}
export interface CreateTableAs {
  readonly kind: 'createTableAs';
  readonly name: ObjectName;
  readonly ifNotExists: boolean;
  readonly temporary: boolean;
  readonly columns: readonly AsColumn[];
  /** A primary key and families given beside the columns. */
  readonly elements: readonly (TableConstraint | FamilyDef)[];
  readonly storageParams: readonly Option[];
  readonly query: SelectStatement;
  readonly pos: number;
}
/** A column of CREATE TABLE ... AS: the query gives its type. */
export interface AsColumn {
  readonly name: Name;
  readonly isPrimaryKey: boolean;
  readonly family: Name | undefined;
}
export type TableElement = ColumnDef | TableConstraint | IndexDef | FamilyDef | LikeTable;

export interface ColumnDef {
  readonly kind: 'columnDef';
  readonly name: Name;
  readonly type: TypeName;
  /** NOT VISIBLE. */
  readonly hidden: boolean;
  /** In source order; conflicts are the planner's business. */
  readonly qualifiers: readonly ColumnQualifier[];
  readonly pos: number;
}
export type ColumnQualifier = { readonly name: Name | undefined; readonly pos: number } & (
  | { readonly type: 'null' }
  | { readonly type: 'notNull' }
  | { readonly type: 'default'; readonly expr: Expr }
  | { readonly type: 'onUpdate'; readonly expr: Expr }
  | { readonly type: 'primaryKey'; readonly sharded?: HashSharding }
  | { readonly type: 'unique'; readonly sharded?: HashSharding; readonly withoutIndex?: true }
  | { readonly type: 'check'; readonly expr: Expr }
  | { readonly type: 'references'; readonly reference: ForeignKeyReference }
  | { readonly type: 'computed'; readonly expr: Expr; readonly stored: boolean }
  | { readonly type: 'identity'; readonly always: boolean; readonly options: readonly SequenceOption[] }
  | { readonly type: 'collate'; readonly locale: string }
  | { readonly type: 'family'; readonly family: Name | undefined; readonly create: boolean; readonly ifNotExists: boolean }
);
export type ReferentialAction = 'noAction' | 'restrict' | 'cascade' | 'setNull' | 'setDefault';
export interface ForeignKeyReference {
  readonly table: ObjectName;
  /** Empty: the primary key of the table. */
  readonly columns: readonly Name[];
  readonly match: 'simple' | 'full';
  readonly onDelete: ReferentialAction;
  readonly onUpdate: ReferentialAction;
  /** INITIALLY what, when DEFERRABLE. */
  readonly deferral: 'immediate' | 'deferred' | undefined;
}
export type TableConstraint =
  | {
      readonly kind: 'primaryKey' | 'unique';
      readonly name: Name | undefined;
      readonly columns: readonly IndexElement[];
      readonly storing: readonly Name[];
      readonly where: Expr | undefined;
      readonly sharded?: HashSharding;
      /** Of a unique constraint: kept by reading. */
      readonly withoutIndex?: true;
      readonly pos: number;
    }
  | { readonly kind: 'check'; readonly name: Name | undefined; readonly expr: Expr; readonly pos: number }
  | {
      readonly kind: 'foreignKey';
      readonly name: Name | undefined;
      readonly columns: readonly Name[];
      readonly reference: ForeignKeyReference;
      readonly pos: number;
    };
/** USING HASH: spread over buckets by a hash of the key, so that writes at neighbouring keys do not meet. */
export interface HashSharding {
  /** Absent: as many as the cluster's default says. */
  readonly buckets: Expr | undefined;
}
/** INDEX inside CREATE TABLE. */
export interface IndexDef {
  readonly kind: 'indexDef';
  readonly name: Name | undefined;
  readonly unique: boolean;
  readonly inverted: boolean;
  readonly columns: readonly IndexElement[];
  readonly storing: readonly Name[];
  readonly where: Expr | undefined;
  readonly storageParams: readonly Option[];
  readonly sharded?: HashSharding;
  readonly pos: number;
}
/** A key part: a plain column is a `column` expression with one part. */
export interface IndexElement {
  readonly expr: Expr;
  readonly descending: boolean;
  readonly nulls: 'first' | 'last' | undefined;
  readonly pos: number;
}
export interface FamilyDef {
  readonly kind: 'familyDef';
  readonly name: Name | undefined;
  readonly columns: readonly Name[];
  readonly pos: number;
}
export interface LikeTable {
  readonly kind: 'likeTable';
  readonly table: ObjectName;
  /** INCLUDING and EXCLUDING in order; `what` lower-case: all, constraints, defaults, generated, indexes. */
  readonly options: readonly { readonly including: boolean; readonly what: string }[];
  readonly pos: number;
}
export interface AlterTable {
  readonly kind: 'alterTable';
  readonly name: ObjectName;
  readonly ifExists: boolean;
  readonly actions: readonly AlterTableAction[];
  readonly pos: number;
}
export type AlterTableAction = { readonly pos: number } & (
  | { readonly type: 'addColumn'; readonly column: ColumnDef; readonly ifNotExists: boolean }
  | { readonly type: 'dropColumn'; readonly column: Name; readonly ifExists: boolean; readonly behavior: DropBehavior }
  | { readonly type: 'setDefault'; readonly column: Name; readonly expr: Expr }
  | { readonly type: 'dropDefault'; readonly column: Name }
  | { readonly type: 'setOnUpdate'; readonly column: Name; readonly expr: Expr }
  | { readonly type: 'dropOnUpdate'; readonly column: Name }
  | { readonly type: 'setNotNull'; readonly column: Name }
  /** SET STORAGE and SET STATISTICS: about pages and samples, of which there are none. */
  | { readonly type: 'setPhysical'; readonly column: Name; readonly parameter: 'STORAGE' | 'STATISTICS'; readonly value: string }
  | { readonly type: 'dropNotNull'; readonly column: Name }
  | { readonly type: 'setVisible'; readonly column: Name; readonly visible: boolean }
  | { readonly type: 'addIdentity'; readonly column: Name; readonly always: boolean; readonly options: readonly SequenceOption[] }
  | { readonly type: 'setIdentity'; readonly column: Name; readonly always: boolean }
  | { readonly type: 'dropIdentity'; readonly column: Name; readonly ifExists: boolean }
  | { readonly type: 'dropStored'; readonly column: Name }
  | { readonly type: 'setType'; readonly column: Name; readonly newType: TypeName; readonly using: Expr | undefined }
  | { readonly type: 'renameColumn'; readonly column: Name; readonly newName: Name }
  | { readonly type: 'addConstraint'; readonly constraint: TableConstraint; readonly ifNotExists: boolean; readonly notValid: boolean }
  | { readonly type: 'dropConstraint'; readonly constraint: Name; readonly ifExists: boolean; readonly behavior: DropBehavior }
  | { readonly type: 'renameConstraint'; readonly constraint: Name; readonly newName: Name }
  | { readonly type: 'validateConstraint'; readonly constraint: Name }
  | { readonly type: 'alterPrimaryKey'; readonly columns: readonly IndexElement[] }
  | { readonly type: 'setStorageParams'; readonly params: readonly Option[] }
  | { readonly type: 'resetStorageParams'; readonly names: readonly string[] }
  | { readonly type: 'rename'; readonly newName: ObjectName }
  | { readonly type: 'setSchema'; readonly schema: Name }
  | { readonly type: 'setLocality'; readonly locality: TableLocalityClause }
  | { readonly type: 'owner'; readonly owner: Name }
);
/** DROP TABLE, VIEW, SEQUENCE. */
export interface DropRelation {
  readonly kind: 'dropTable' | 'dropView' | 'dropSequence';
  /** DROP MATERIALIZED VIEW. */
  readonly materialized: boolean;
  readonly names: readonly ObjectName[];
  readonly ifExists: boolean;
  readonly behavior: DropBehavior;
  readonly pos: number;
}
export interface Truncate {
  readonly kind: 'truncate';
  readonly tables: readonly ObjectName[];
  readonly behavior: DropBehavior;
  readonly pos: number;
}
export interface CommentOn {
  readonly kind: 'commentOn';
  readonly on: 'database' | 'schema' | 'table' | 'view' | 'materialized view' | 'sequence' | 'column' | 'index' | 'type' | 'constraint';
  /** For a column: table name and column; for a constraint: its name, and `table`. */
  readonly name: ObjectName;
  readonly index: IndexName | undefined;
  readonly table: ObjectName | undefined;
  /** Absent: IS NULL, the comment goes. */
  readonly comment: string | undefined;
  readonly pos: number;
}

// ---- indexes, sequences, views, types ---------------------------------------------------------

export interface CreateIndex {
  readonly kind: 'createIndex';
  readonly name: Name | undefined;
  readonly table: ObjectName;
  readonly unique: boolean;
  readonly inverted: boolean;
  readonly ifNotExists: boolean;
  readonly concurrently: boolean;
  /** USING method, lower-case; btree and prefix are plain, gin is inverted. */
  readonly method: string | undefined;
  readonly sharded?: HashSharding;
  readonly columns: readonly IndexElement[];
  readonly storing: readonly Name[];
  readonly where: Expr | undefined;
  readonly storageParams: readonly Option[];
  readonly pos: number;
}
export interface AlterIndex {
  readonly kind: 'alterIndex';
  readonly index: IndexName;
  readonly ifExists: boolean;
  readonly action: { readonly type: 'rename'; readonly newName: Name };
  readonly pos: number;
}
export interface DropIndex {
  readonly kind: 'dropIndex';
  readonly indexes: readonly IndexName[];
  readonly ifExists: boolean;
  readonly concurrently: boolean;
  readonly behavior: DropBehavior;
  readonly pos: number;
}
export type SequenceOption = { readonly pos: number } & (
  | { readonly type: 'as'; readonly dataType: TypeName }
  /** Signed decimal integer text. */
  | { readonly type: 'increment' | 'start' | 'cache'; readonly value: bigint }
  /** `value` absent: NO MINVALUE, NO MAXVALUE. */
  | { readonly type: 'minValue' | 'maxValue'; readonly value: bigint | undefined }
  | { readonly type: 'restart'; readonly value: bigint | undefined }
  | { readonly type: 'cycle' | 'noCycle' | 'virtual' }
  /** SEQUENCE NAME, of an identity column: what the sequence is called. */
  | { readonly type: 'name'; readonly name: ObjectName }
  /** Absent: OWNED BY NONE. Last part is the column. */
  | { readonly type: 'ownedBy'; readonly column: ObjectName | undefined }
);
export interface CreateSequence {
  readonly kind: 'createSequence';
  readonly name: ObjectName;
  readonly ifNotExists: boolean;
  readonly temporary: boolean;
  readonly options: readonly SequenceOption[];
  readonly pos: number;
}
export interface AlterSequence {
  readonly kind: 'alterSequence';
  readonly name: ObjectName;
  readonly ifExists: boolean;
  readonly options: readonly SequenceOption[];
  readonly pos: number;
}
export interface CreateView {
  readonly kind: 'createView';
  readonly name: ObjectName;
  readonly ifNotExists: boolean;
  readonly orReplace: boolean;
  readonly materialized: boolean;
  readonly temporary: boolean;
  readonly columns: readonly Name[];
  readonly query: SelectStatement;
  /** False: WITH NO DATA. */
  readonly withData: boolean;
  readonly pos: number;
}
export interface RefreshView {
  readonly kind: 'refreshView';
  readonly name: ObjectName;
  readonly concurrently: boolean;
  readonly withData: boolean;
  readonly pos: number;
}
/** ALTER VIEW | SEQUENCE ... RENAME TO | SET SCHEMA | OWNER TO. */
export interface AlterRelation {
  readonly kind: 'alterRelation';
  readonly relation: 'view' | 'materializedView' | 'sequence';
  readonly name: ObjectName;
  readonly ifExists: boolean;
  readonly action:
    | { readonly type: 'rename'; readonly newName: ObjectName }
    | { readonly type: 'setSchema'; readonly schema: Name }
    | { readonly type: 'owner'; readonly owner: Name };
  readonly pos: number;
}
export interface CreateType {
  readonly kind: 'createType';
  readonly name: ObjectName;
  readonly ifNotExists: boolean;
  readonly labels: readonly string[];
  readonly pos: number;
}
export interface AlterType {
  readonly kind: 'alterType';
  readonly name: ObjectName;
  readonly action:
    | {
        readonly type: 'addValue';
        readonly label: string;
        readonly ifNotExists: boolean;
        readonly placement: { readonly side: 'before' | 'after'; readonly label: string } | undefined;
      }
    | { readonly type: 'dropValue'; readonly label: string }
    | { readonly type: 'renameValue'; readonly label: string; readonly newLabel: string }
    | { readonly type: 'rename'; readonly newName: Name }
    | { readonly type: 'setSchema'; readonly schema: Name }
    | { readonly type: 'owner'; readonly owner: Name };
  readonly pos: number;
}
export interface DropType {
  readonly kind: 'dropType';
  readonly names: readonly ObjectName[];
  readonly ifExists: boolean;
  readonly behavior: DropBehavior;
  readonly pos: number;
}

// ---- zones ------------------------------------------------------------------------------------

export type ZoneTarget = { readonly pos: number } & (
  | { readonly type: 'range'; readonly name: Name }
  | { readonly type: 'database'; readonly name: Name }
  | { readonly type: 'table'; readonly name: ObjectName }
  | { readonly type: 'index'; readonly index: IndexName }
  | { readonly type: 'partition'; readonly partition: Name; readonly table: ObjectName | undefined; readonly index: IndexName | undefined }
);
export interface ConfigureZone {
  readonly kind: 'configureZone';
  readonly target: ZoneTarget;
  readonly discard: boolean;
  /** `value` absent: COPY FROM PARENT. Names lower-case: `gc.ttlseconds`. */
  readonly settings: readonly Option[];
  readonly pos: number;
}
/** SHOW ZONE CONFIGURATION FOR t, or all of them without a target. */
export interface ShowZone {
  readonly kind: 'showZone';
  readonly target: ZoneTarget | undefined;
  readonly pos: number;
}
