/**
 * CREATE TABLE: column and constraint definitions to a descriptor.
 *
 * Elements are taken in order: columns first, then families, keys, indexes and checks, then foreign
 * keys, since each needs what came before. The same builders serve ALTER TABLE.
 */
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import type { ResolvedSchema } from '../../../catalog/catalog.ts';
import { isKeyable } from '../../../catalog/columnCodec.ts';
import {
  TABLE_COLUMNS_MAX,
  allIndexes,
  type CheckDescriptor,
  type ColumnDescriptor,
  columnByName,
  type FamilyDescriptor,
  type ForeignKeyDescriptor,
  type IndexDescriptor,
  type TableDescriptor,
  type UniqueConstraintDescriptor,
  updated,
} from '../../../catalog/descriptor.ts';
import { sqlTypeName, Type } from '../../../catalog/type.ts';
import { isByteOrder } from '../../expr/analysis.ts';
import type {
  ColumnDef,
  ColumnQualifier,
  CreateTable,
  ForeignKeyReference,
  IndexElement,
  Name,
  Option,
  TableConstraint,
  TableElement,
  TableLocalityClause,
} from '../../parse/ast.ts';
import { alreadyExists, freeName, type SchemaChange } from './common.ts';
import { foreignKeyName, nameStyle, primaryKeyName } from './constraintNames.ts';
import { foreignKeyOf } from './foreignKeyOf.ts';
import { expressionColumn } from './indexExpressions.ts';
import { storeComputed, storeCondition, storeDefault } from './storedExpr.ts';
import { emptyTable } from './emptyTable.ts';
import { copyLike } from './likeTable.ts';
import { bucketColumn, bucketsOf } from './hashSharded.ts';
import { checkInverted, invertedColumn } from './invertedIndexes.ts';
import { checkRegionalIndex, takeLocality, withRegionFirst } from './localities.ts';
import { elementOf, type NewIndex, type TableInMaking } from './tableInMaking.ts';
import { uniqueWithoutIndex } from './uniqueWithoutIndex.ts';
import { serialColumn, withSequence } from './serialColumn.ts';
import { newPlace } from './temporary.ts';

/** CREATE TABLE; false when IF NOT EXISTS found the name taken. */
export async function createTable(change: SchemaChange, stmt: CreateTable): Promise<TableDescriptor | undefined> {
  const { schema, name, taken } = await newPlace(change, stmt.name, stmt.temporary);
  if (taken) {
    if (stmt.ifNotExists) {
      change.context.notice(`relation "${name}" already exists, skipping`);
      return undefined;
    }
    throw alreadyExists(taken, name);
  }
  const id = await change.allocateId();
  const builder = new TableBuilder(change, emptyTable(id, name, schema, change.context));
  for (const param of stmt.storageParams)
    builder.storageParam(param, await change.context.evalDatum(param.value ?? { kind: 'boolean', value: true, pos: 0 }));
  await builder.addElements(stmt.elements, stmt.locality);
  builder.finish();
  return publishTable(change, builder, schema);
}

/** Writes a new table with what hangs on it: its name, the tables it refers to, its sequences. */
export async function publishTable(change: SchemaChange, builder: TableBuilder, schema: ResolvedSchema): Promise<TableDescriptor> {
  const { table } = builder;
  await change.writeName(schema.database.id, schema.id, table.name, table.id);
  await change.write(table);
  await builder.writeReferences();
  return table;
}

type Indexed = Extract<TableConstraint, { kind: 'primaryKey' | 'unique' }>;

/** A table under construction, or under change. */
export class TableBuilder implements TableInMaking {
  readonly change: SchemaChange;
  table: TableDescriptor;
  /** Tables that this one came to refer to. */
  readonly #referenced = new Set<number>();
  readonly #sequences = new Map<number, number>();
  #hasPrimaryKey = false;
  readonly #families: { name: string | undefined; columns: string[] }[] = [];

  constructor(change: SchemaChange, table: TableDescriptor) {
    this.change = change;
    this.table = table;
    this.#hasPrimaryKey = table.primaryIndex.columnIds.length > 0;
  }

  set(changes: Partial<Omit<TableDescriptor, 'kind' | 'id'>>): void {
    this.table = updated(this.table, changes);
  }

  async addElements(elements: readonly TableElement[], locality?: TableLocalityClause): Promise<void> {
    const computed: { column: ColumnDef; qualifier: Extract<ColumnQualifier, { type: 'computed' }> }[] = [];
    for (const element of elements) {
      if (element.kind === 'columnDef') {
        const qualifier = element.qualifiers.find((candidate) => candidate.type === 'computed');
        await this.addColumn(element);
        if (qualifier?.type === 'computed') computed.push({ column: element, qualifier });
      }
      if (element.kind === 'likeTable') copyLike(this, element);
    }
    // A computed column may name any other one.
    for (const { column, qualifier } of computed) this.setComputed(column.name.text, qualifier.expr, qualifier.stored);
    // Again, now that it is known which are computed.
    for (const { column, qualifier } of computed)
      storeComputed(this.change, qualifier.expr, this.table, this.column(column.name.text).type);
    if (locality) takeLocality(this, locality);
    for (const element of elements) if (element.kind === 'familyDef') this.#addFamily(element.name?.text, element.columns);
    for (const element of elements) if (element.kind === 'primaryKey') this.setPrimaryKey(element, await bucketsOf(this.change, element));
    for (const element of elements) if (element.kind === 'columnDef') await this.#columnKeys(element);
    if (!this.#hasPrimaryKey) await this.#addRowId();
    for (const element of elements) {
      if (element.kind === 'unique' && !element.withoutIndex) {
        this.addIndex({ ...element, unique: true, isConstraint: true, buckets: await bucketsOf(this.change, element) });
      } else if (element.kind === 'indexDef') {
        this.addIndex({ ...element, isConstraint: element.unique, buckets: await bucketsOf(this.change, element) });
      }
    }
    for (const element of elements) {
      if (element.kind === 'columnDef') {
        for (const qualifier of element.qualifiers) if (qualifier.type === 'unique') await this.#uniqueColumn(element, qualifier);
      }
    }
    for (const element of elements) if (element.kind === 'unique' && element.withoutIndex) this.addUniqueWithoutIndex(element);
    for (const element of elements) {
      if (element.kind === 'check') this.addCheck(element.name?.text, element.expr);
      if (element.kind === 'columnDef') {
        for (const qualifier of element.qualifiers) if (qualifier.type === 'check') this.addCheck(qualifier.name?.text, qualifier.expr);
      }
    }
    // Foreign keys beside the columns come before those at them, as CockroachDB lists them.
    for (const element of elements) {
      if (element.kind === 'foreignKey') this.addForeignKey(element.name?.text, element.columns, element.reference);
    }
    for (const element of elements) {
      if (element.kind === 'columnDef') {
        for (const qualifier of element.qualifiers) {
          if (qualifier.type === 'references') this.addForeignKey(qualifier.name?.text, [element.name], qualifier.reference);
        }
      }
    }
  }

  #namesOf(family: FamilyDescriptor): string[] {
    return this.table.columns.filter((column) => family.columnIds.includes(column.id)).map((column) => column.name);
  }

  /** Settles families: columns in none join the first. */
  finish(): void {
    const families: FamilyDescriptor[] = [...this.table.families];
    let { nextFamilyId } = this.table;
    const inFamilies = new Set([
      ...this.#families.flatMap((wanted) => wanted.columns),
      ...families.flatMap((family) => this.#namesOf(family)),
    ]);
    const others = this.table.columns.filter((column) => !inFamilies.has(column.name) && !column.isVirtual).map((column) => column.name);
    for (const wanted of this.#families) {
      // The first one takes what is in none, and is named after that too.
      const named = families.length === 0 ? [...wanted.columns, ...others] : wanted.columns;
      const columnIds = wanted.columns.map((name) => this.#storedColumn(name, 'cannot be part of a family').id);
      const name =
        wanted.name ??
        freeName(
          `fam_${nextFamilyId}_${named.join('_')}`,
          families.map((family) => family.name),
        );
      const known = families.findIndex((family) => family.name === name);
      if (known >= 0) {
        const family = families[known] as FamilyDescriptor;
        families[known] = { ...family, columnIds: [...family.columnIds, ...columnIds] };
      } else {
        families.push({ id: nextFamilyId++, name, columnIds });
      }
    }
    this.#families.length = 0;
    if (families.length === 0) families.push({ id: nextFamilyId++, name: 'primary', columnIds: [] });
    const assigned = new Set(families.flatMap((family) => family.columnIds));
    const rest = this.table.columns.filter((column) => !assigned.has(column.id) && !column.isVirtual).map((column) => column.id);
    const [first] = families;
    if (first && rest.length > 0) families[0] = { ...first, columnIds: [...first.columnIds, ...rest] };
    // Primary key columns live in family 0, whatever family they were named in.
    const keyIds = this.table.primaryIndex.columnIds;
    const settled = families.map((family, i) => {
      const own = family.columnIds.filter((id) => i === 0 || !keyIds.includes(id));
      const moved = i === 0 ? keyIds.filter((id) => !own.includes(id)) : [];
      return { ...family, columnIds: [...moved, ...own] };
    });
    this.set({ families: settled, nextFamilyId });
  }

  column(name: string): ColumnDescriptor {
    const column = columnByName(this.table, name);
    if (!column) throw new StatementError(SqlState.UndefinedColumn, `column "${name}" does not exist`);
    return column;
  }

  /** A column that is in the rows. 0A000 says what a virtual one cannot do. */
  #storedColumn(name: string, what: string): ColumnDescriptor {
    const column = this.column(name);
    if (column.isVirtual) throw new StatementError(SqlState.FeatureNotSupported, `virtual computed column "${name}" ${what}`);
    return column;
  }

  replaceColumn(id: number, changes: Partial<ColumnDescriptor>): void {
    this.set({ columns: this.table.columns.map((column) => (column.id === id ? { ...column, ...changes } : column)) });
  }

  // ---- columns --------------------------------------------------------------------------------

  async addColumn(def: ColumnDef): Promise<ColumnDescriptor> {
    const name = def.name.text;
    if (columnByName(this.table, name)) throw new StatementError(SqlState.DuplicateColumn, `duplicate column name: "${name}"`);
    if (this.table.columns.length >= TABLE_COLUMNS_MAX) {
      throw new StatementError(SqlState.TooManyColumns, `tables can have at most ${TABLE_COLUMNS_MAX} columns`);
    }
    const { type, isSerial } = this.change.columnType(def.type);
    const has = (kind: ColumnQualifier['type']) => def.qualifiers.some((qualifier) => qualifier.type === kind);
    const ofTable = `for column "${name}" of table "${this.table.name}"`;
    if (has('null') && (has('notNull') || isSerial)) {
      throw new StatementError(SqlState.SyntaxError, `conflicting NULL/NOT NULL declarations ${ofTable}`);
    }
    if (def.qualifiers.some((qualifier) => qualifier.type === 'collate' && !isByteOrder(qualifier.locale)))
      throw new StatementError(SqlState.FeatureNotSupported, 'collated strings are not supported yet');
    const id = this.table.nextColumnId;
    let column: ColumnDescriptor = {
      id,
      name,
      type,
      nullable: !has('notNull') && !has('primaryKey') && !isSerial && !has('identity'),
      state: 'public',
      ...(def.hidden && { hidden: true }),
    };
    for (const qualifier of def.qualifiers) {
      if (qualifier.type === 'default') {
        if (isSerial || column.defaultExpr !== undefined) {
          throw new StatementError(SqlState.SyntaxError, `multiple default values specified ${ofTable}`);
        }
        const stored = storeDefault(this.change, qualifier.expr, type, name);
        column = { ...column, defaultExpr: stored.text, ...(stored.sequenceIds.length > 0 && { usesSequenceIds: stored.sequenceIds }) };
        for (const sequence of stored.sequenceIds) this.#sequences.set(sequence, id);
      } else if (qualifier.type === 'onUpdate') {
        const stored = storeDefault(this.change, qualifier.expr, type, name, 'ON UPDATE');
        column = { ...column, onUpdateExpr: stored.text };
        this.noteSequences(id, stored.sequenceIds);
      } else if (qualifier.type === 'identity') {
        column = { ...column, generatedAsIdentity: qualifier.always ? 'always' : 'by default' };
        column = await withSequence(this.change, this.table, column, qualifier.options);
      } else if (qualifier.type === 'family') {
        this.#addFamily(qualifier.family?.text, [def.name]);
      }
    }
    if (isSerial) column = await serialColumn(this.change, this.table, column);
    if (column.type.family === 'unknown') throw new StatementError(SqlState.InvalidTableDefinition, `column "${name}" has no type`);
    this.set({ columns: [...this.table.columns, column], nextColumnId: id + 1 });
    return column;
  }

  setComputed(name: string, expr: Parameters<typeof storeComputed>[1], stored: boolean): void {
    const column = this.column(name);
    if (column.defaultExpr !== undefined) {
      throw new StatementError(SqlState.InvalidTableDefinition, 'computed column cannot have default values');
    }
    const computeExpr = storeComputed(this.change, expr, this.table, column.type);
    this.replaceColumn(column.id, { computeExpr, ...(!stored && { isVirtual: true }) });
  }

  async #addRowId(): Promise<void> {
    if (this.change.context.session.vars.isOn('require_explicit_primary_keys')) {
      throw new StatementError(
        SqlState.InvalidTableDefinition,
        `no primary key specified for table ${this.table.name} (require_explicit_primary_keys = true)`,
      );
    }
    const id = this.table.nextColumnId;
    const taken = new Set(this.table.columns.map((column) => column.name));
    let name = 'rowid';
    for (let i = 1; taken.has(name); i++) name = `rowid_${i}`;
    const column: ColumnDescriptor = {
      id,
      name,
      type: Type.Int8,
      nullable: false,
      defaultExpr: 'unique_rowid()',
      hidden: true,
      state: 'public',
    };
    this.set({
      columns: [...this.table.columns, column],
      nextColumnId: id + 1,
      primaryIndex: withRegionFirst(this.table, { ...this.table.primaryIndex, columnIds: [id], directions: ['ASC'] }),
    });
    this.#hasPrimaryKey = true;
  }

  /** The primary key comes of another table. */
  takePrimaryKey(columnIds: readonly number[], directions: IndexDescriptor['directions'], buckets: number | undefined): void {
    const [ids, ways] = [[...columnIds], [...directions]];
    if (buckets !== undefined) this.#shard(ids, ways, buckets, true);
    const sharded = buckets === undefined ? {} : { sharded: { buckets } };
    this.set({ primaryIndex: { ...this.table.primaryIndex, columnIds: ids, directions: ways, ...sharded } });
    this.#hasPrimaryKey = true;
  }

  #addFamily(name: string | undefined, columns: readonly Name[]): void {
    const known = name === undefined ? undefined : this.#families.find((family) => family.name === name);
    if (known) known.columns.push(...columns.map((column) => column.text));
    else this.#families.push({ name, columns: columns.map((column) => column.text) });
  }

  // ---- keys and indexes -----------------------------------------------------------------------

  async #columnKeys(def: ColumnDef): Promise<void> {
    for (const qualifier of def.qualifiers) {
      if (qualifier.type !== 'primaryKey') continue;
      const key = { name: qualifier.name, columns: [elementOf(def.name)], storing: [], where: undefined, pos: def.pos };
      this.setPrimaryKey({ kind: 'primaryKey', ...key }, await bucketsOf(this.change, qualifier));
    }
  }

  async #uniqueColumn(def: ColumnDef, qualifier: Extract<ColumnQualifier, { type: 'unique' }>): Promise<void> {
    const key = { name: qualifier.name, columns: [elementOf(def.name)], storing: [], where: undefined };
    if (qualifier.withoutIndex) {
      this.addUniqueWithoutIndex({ kind: 'unique', ...key, pos: qualifier.pos });
      return;
    }
    this.addIndex({ ...key, unique: true, isConstraint: true, buckets: await bucketsOf(this.change, qualifier) });
  }

  /** The columns of a key; with `allowsExpressions` those that stand for expressions are made. */
  keyColumns(
    elements: readonly IndexElement[],
    { indexName, allowsExpressions = false }: { readonly indexName?: string | undefined; readonly allowsExpressions?: boolean } = {},
  ): { columnIds: number[]; directions: ('ASC' | 'DESC')[] } {
    const columnIds: number[] = [];
    for (const { expr } of elements) {
      if (expr.kind !== 'column' || expr.parts.length !== 1) {
        if (!allowsExpressions) throw new StatementError(SqlState.FeatureNotSupported, 'keys of constraints are columns, not expressions');
        const made = expressionColumn(this.change, this.table, expr);
        if (made.id === this.table.nextColumnId) this.set({ columns: [...this.table.columns, made], nextColumnId: made.id + 1 });
        columnIds.push(made.id);
        continue;
      }
      const name = expr.parts[0]?.text ?? '';
      const column = columnByName(this.table, name);
      if (!column) throw new StatementError(SqlState.UndefinedColumn, `column "${name}" does not exist`);
      if (!isKeyable(column.type)) {
        throw new StatementError(
          SqlState.FeatureNotSupported,
          `column ${column.name} is of type ${sqlTypeName(column.type).toLowerCase()} and thus is not indexable`,
        );
      }
      if (columnIds.includes(column.id)) {
        throw new StatementError(
          SqlState.DuplicateColumn,
          `index ${indexName === undefined ? '' : `"${indexName}" `}contains duplicate column "${name}"`,
        );
      }
      columnIds.push(column.id);
    }
    return { columnIds, directions: elements.map((element) => (element.descending ? 'DESC' : 'ASC')) };
  }

  setPrimaryKey(element: Indexed, buckets?: number): void {
    if (this.#hasPrimaryKey) {
      throw new StatementError(SqlState.InvalidTableDefinition, `multiple primary keys for table "${this.table.name}" are not allowed`);
    }
    const { columnIds, directions } = this.keyColumns(element.columns);
    for (const { expr } of element.columns) {
      if (expr.kind === 'column') this.#storedColumn(expr.parts[0]?.text ?? '', 'cannot be part of a primary key');
    }
    for (const id of columnIds) this.replaceColumn(id, { nullable: false });
    const name = element.name?.text ?? primaryKeyName(nameStyle(this.change.context.engine.settings), this.table.name);
    if (buckets !== undefined) this.#shard(columnIds, directions, buckets, true);
    const sharded = buckets === undefined ? {} : { sharded: { buckets } };
    checkRegionalIndex(this.table, { unique: true, buckets });
    const key = withRegionFirst(this.table, { columnIds, directions });
    this.set({ primaryIndex: { ...this.table.primaryIndex, name, ...key, ...sharded } });
    this.#hasPrimaryKey = true;
  }

  addIndex(element: NewIndex): IndexDescriptor {
    const indexName = element.name?.text;
    if (element.inverted) checkInverted(element);
    checkRegionalIndex(this.table, element);
    const plain = element.inverted ? element.columns.slice(0, -1) : element.columns;
    const { columnIds, directions } = this.keyColumns(plain, { indexName, allowsExpressions: element.kind !== 'unique' });
    const last = element.columns.at(-1);
    const inverted = element.inverted && last ? invertedColumn(this.change, this.table, last) : undefined;
    if (inverted) {
      const { key } = inverted;
      if (key.id === this.table.nextColumnId) this.set({ columns: [...this.table.columns, key], nextColumnId: key.id + 1 });
      columnIds.push(key.id);
      directions.push('ASC');
    }
    const storing = element.storing.map((name) => this.#storedColumn(name.text, 'cannot be stored in an index').id);
    for (const id of storing) {
      if (columnIds.includes(id) || this.table.primaryIndex.columnIds.includes(id)) {
        throw new StatementError(
          SqlState.DuplicateColumn,
          `index ${element.name ? `"${element.name.text}" ` : ''}already contains column "${this.table.columns.find((column) => column.id === id)?.name}"`,
        );
      }
    }
    const names = allIndexes(this.table).map((index) => index.name);
    const columnNames = (inverted ? [...columnIds.slice(0, -1), inverted.column.id] : columnIds).map((id) => {
      const column = this.table.columns.find((one) => one.id === id);
      return column?.isIndexExpression ? 'expr' : (column?.name ?? '');
    });
    const base = `${this.table.name}_${columnNames.join('_')}_${element.unique ? 'key' : 'idx'}`;
    const name = element.name?.text ?? freeName(base, names);
    if (names.includes(name)) {
      if (element.isConstraint) throw new StatementError(SqlState.DuplicateObject, `duplicate constraint name: "${name}"`);
      const isNew = !this.change.snapshot.tableById(this.table.id);
      throw new StatementError(
        SqlState.DuplicateRelation,
        isNew ? `duplicate index name: "${name}"` : `index with name "${name}" already exists`,
      );
    }
    const predicate = element.where && storeCondition(this.change, element.where, this.table, 'INDEX PREDICATE').text;
    if (element.buckets !== undefined) this.#shard(columnIds, directions, element.buckets, false);
    const index = this.#pushIndex(
      name,
      element.unique,
      columnIds,
      directions,
      storing,
      element.isConstraint === true,
      predicate,
      element.state,
    );
    if (!inverted && element.buckets === undefined) return index;
    const kind = inverted ? { inverted: { columnId: inverted.column.id } } : { sharded: { buckets: element.buckets as number } };
    const made = { ...index, ...kind };
    this.set({ indexes: this.table.indexes.map((one) => (one.id === index.id ? made : one)) });
    return made;
  }

  /** Puts the column of the bucket before the others of a key. */
  #shard(columnIds: number[], directions: ('ASC' | 'DESC')[], buckets: number, isStored: boolean): void {
    const column = bucketColumn(this.change, this.table, columnIds, buckets, isStored);
    if (column.id === this.table.nextColumnId) this.set({ columns: [...this.table.columns, column], nextColumnId: column.id + 1 });
    columnIds.unshift(column.id);
    directions.unshift('ASC');
  }

  #pushIndex(
    name: string,
    unique: boolean,
    columnIds: readonly number[],
    directions: IndexDescriptor['directions'],
    storeColumnIds: readonly number[],
    isConstraint: boolean,
    predicate: string | undefined,
    state: IndexDescriptor['state'] = 'public',
  ): IndexDescriptor {
    const key = withRegionFirst(this.table, { columnIds, directions });
    const index: IndexDescriptor = {
      id: this.table.nextIndexId,
      name,
      unique,
      ...key,
      storeColumnIds,
      keySuffixColumnIds: this.table.primaryIndex.columnIds.filter((id) => !key.columnIds.includes(id)),
      state,
      ...(isConstraint && { isConstraint }),
      ...(predicate !== undefined && { predicate }),
    };
    this.set({ indexes: [...this.table.indexes, index], nextIndexId: index.id + 1 });
    return index;
  }

  // ---- constraints ----------------------------------------------------------------------------

  #constraintNames(): string[] {
    const { table } = this;
    const others = [...table.indexes.filter((index) => index.unique), ...(table.uniqueWithoutIndex ?? []), table.primaryIndex];
    return [...table.checks, ...table.foreignKeys, ...others].map((one) => one.name);
  }

  #constraintName(given: string | undefined, base: string): string {
    if (given === undefined) return freeName(base, this.#constraintNames());
    if (this.#constraintNames().includes(given)) {
      throw new StatementError(SqlState.DuplicateObject, `duplicate constraint name: "${given}"`);
    }
    return given;
  }

  addCheck(given: string | undefined, expr: Parameters<typeof storeCondition>[1], validated = true): CheckDescriptor {
    const { text, columnIds, namedIds } = storeCondition(this.change, expr, this.table, 'CHECK');
    const names = namedIds.map((id) => this.table.columns.find((column) => column.id === id)?.name);
    const name = this.#constraintName(given, ['check', ...names].join('_'));
    const check: CheckDescriptor = { id: this.table.nextConstraintId, name, expr: text, columnIds, validated };
    this.set({ checks: [...this.table.checks, check], nextConstraintId: check.id + 1 });
    return check;
  }

  addUniqueWithoutIndex(element: Indexed, validated = true): UniqueConstraintDescriptor {
    const unique = uniqueWithoutIndex(this, element, validated, this.#constraintNames());
    const known = this.table.uniqueWithoutIndex ?? [];
    this.set({ uniqueWithoutIndex: [...known, unique], nextConstraintId: unique.id + 1 });
    return unique;
  }

  addForeignKey(
    given: string | undefined,
    columns: readonly Name[],
    reference: ForeignKeyReference,
    validated = true,
  ): ForeignKeyDescriptor {
    const style = nameStyle(this.change.context.engine.settings);
    const parent = reference.table.parts.at(-1)?.text ?? '';
    const columnNames = columns.map((column) => column.text);
    const name = this.#constraintName(given, foreignKeyName(style, this.table.name, columnNames, parent));
    const fk = foreignKeyOf(this.change, this.table, { name, columns, reference, validated });
    this.set({ foreignKeys: [...this.table.foreignKeys, fk], nextConstraintId: fk.id + 1 });
    if (fk.referencedTableId !== this.table.id) this.#referenced.add(fk.referencedTableId);
    else if (!this.table.referencedByIds.includes(this.table.id)) {
      this.set({ referencedByIds: [...this.table.referencedByIds, this.table.id].sort((x, y) => x - y) });
    }
    return fk;
  }

  storageParam(option: Option, value: { readonly value: unknown }): void {
    if (option.name === 'exclude_data_from_backup') {
      this.set({ excludeDataFromBackup: value.value === true || value.value === 'true' || value.value === 'on' });
      return;
    }
    const known = ['fillfactor', 'autovacuum_enabled', 'schema_locked', 'sql_stats_automatic_collection_enabled'];
    if (!known.includes(option.name)) {
      throw new StatementError(SqlState.InvalidParameterValue, `invalid storage parameter "${option.name}"`);
    }
    this.set({ storageParams: { ...this.table.storageParams, [option.name]: String(value.value) } });
  }

  /** Notes this table in those it refers to and in the sequences its defaults read. */
  async writeReferences(): Promise<void> {
    const { change, table } = this;
    for (const id of this.#referenced) {
      const other = change.snapshot.tableById(id);
      if (other && !other.referencedByIds.includes(table.id)) {
        await change.write(updated(other, { referencedByIds: [...other.referencedByIds, table.id].sort((a, b) => a - b) }));
      }
    }
    this.#referenced.clear();
    for (const id of this.#sequences.keys()) {
      const sequence = change.snapshot.tableById(id);
      if (sequence && !sequence.dependedOnByIds.includes(table.id)) {
        await change.write(updated(sequence, { dependedOnByIds: [...sequence.dependedOnByIds, table.id].sort((a, b) => a - b) }));
      }
    }
    this.#sequences.clear();
  }

  /** A default was set outside addColumn. */
  noteSequences(columnId: number, ids: readonly number[]): void {
    for (const id of ids) this.#sequences.set(id, columnId);
  }
}
