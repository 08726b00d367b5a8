/**
 * SHOW CREATE: descriptors as CockroachDB prints them, and the definitions of single parts.
 */
import type { CatalogSnapshot } from '../../catalog/catalog.ts';
import {
  type ColumnDescriptor,
  type DatabaseDescriptor,
  type ForeignKeyDescriptor,
  implicitKeyColumns,
  type IndexDescriptor,
  type TableDescriptor,
  type UniqueConstraintDescriptor,
} from '../../catalog/descriptor.ts';
import { localityOf, localityText, regionsOf } from '../../catalog/regions.ts';
import { quoteLiteral, quoteName, quoteNames } from '../../catalog/names.ts';
import { sqlTypeName } from '../../catalog/type.ts';
import { parseExpression } from '../parse/parse.ts';

const nameOf = (table: TableDescriptor, id: number): string =>
  quoteName(table.columns.find((column) => column.id === id)?.name ?? `[${id}]`);
const namesOf = (table: TableDescriptor, ids: readonly number[]): string => ids.map((id) => nameOf(table, id)).join(', ');
const keyOf = (table: TableDescriptor, index: IndexDescriptor): string =>
  index.columnIds
    .map((id, i) =>
      index.inverted && i === index.columnIds.length - 1
        ? nameOf(table, index.inverted.columnId)
        : `${keyPart(table, id)} ${index.directions[i] ?? 'ASC'}`,
    )
    .slice(implicitKeyColumns(index))
    .join(', ');
const shardingOf = ({ sharded }: IndexDescriptor): string => (sharded ? ` USING HASH WITH BUCKET_COUNT = ${sharded.buckets}` : '');
const methodOf = (index: IndexDescriptor): string => (index.inverted ? 'gin' : 'btree');

/** A key's column, or its expression: in parentheses unless it is a call. */
function keyPart(table: TableDescriptor, id: number): string {
  const column = table.columns.find((one) => one.id === id);
  if (!column?.isIndexExpression || column.computeExpr === undefined) return nameOf(table, id);
  return parseExpression(column.computeExpr).kind === 'call' ? column.computeExpr : `(${column.computeExpr})`;
}

/** A stored expression with sequences by name, as users write it. */
export function displayExpr(text: string, snapshot: CatalogSnapshot): string {
  return text.replaceAll(/\((\d+)::REGCLASS\)/g, (whole, id: string) => {
    const sequence = snapshot.tableById(Number(id));
    return sequence ? `(${quoteLiteral(quoteNames(snapshot.fullName(sequence).slice(1)))}::REGCLASS)` : whole;
  });
}

/** A stored expression as information_schema has it: constants bare, without the types they are annotated with. */
export function plainExpr(text: string): string {
  return text.replaceAll(ANNOTATED, (_, literal: string) => literal);
}

/** As pg_catalog has it: numbers bare, other constants cast (`'a'::STRING`). */
export function catalogExpr(text: string): string {
  return text.replaceAll(ANNOTATED, (_, literal: string, type: string) => (literal.startsWith("'") ? `${literal}::${type}` : literal));
}

/** A constant with its annotation: `1:::INT8`, `(-1):::INT8`, `'it''s':::STRING`, `'a':::public.mood`. */
const ANNOTATED =
  /('(?:[^']|'')*'|\(-[\d.e+-]+\)|[\d.]+(?:e[+-]?\d+)?):::((?:"(?:[^"]|"")*"|[A-Za-z_][\w]*)(?:\.(?:"(?:[^"]|"")*"|[A-Za-z_][\w]*))*(?:\(\d+(?:,\d+)?\))?(?:\[\])?)/g;

export function columnText(column: ColumnDescriptor, snapshot: CatalogSnapshot): string {
  const parts = [quoteName(column.name), sqlTypeName(column.type)];
  if (column.hidden) parts.push('NOT VISIBLE');
  parts.push(column.nullable ? 'NULL' : 'NOT NULL');
  if (column.generatedAsIdentity) parts.push(identityText(column, column.generatedAsIdentity, snapshot));
  else if (column.defaultExpr !== undefined) parts.push(`DEFAULT ${displayExpr(column.defaultExpr, snapshot)}`);
  if (column.onUpdateExpr !== undefined) parts.push(`ON UPDATE ${displayExpr(column.onUpdateExpr, snapshot)}`);
  if (column.computeExpr !== undefined) parts.push(`AS (${column.computeExpr}) ${column.isVirtual ? 'VIRTUAL' : 'STORED'}`);
  return parts.join(' ');
}

/** With the options of its sequence that are not the usual ones. */
function identityText(column: ColumnDescriptor, kind: string, snapshot: CatalogSnapshot): string {
  const options = snapshot.tableById(column.usesSequenceIds?.[0] ?? 0)?.sequence;
  const parts: string[] = [];
  if (options) {
    const usual = options.integerWidth === 64 ? '9223372036854775807' : options.integerWidth === 32 ? '2147483647' : '32767';
    const isUsual = BigInt(options.increment) > 0n && options.minValue === '1' && options.maxValue === usual;
    if (!isUsual) parts.push(`MINVALUE ${options.minValue}`, `MAXVALUE ${options.maxValue}`);
    if (options.increment !== '1') parts.push(`INCREMENT ${options.increment}`);
    if (options.start !== '1') parts.push(`START ${options.start}`);
    if (options.cacheSize !== '1') parts.push(`CACHE ${options.cacheSize}`);
    if (options.cycle) parts.push('CYCLE');
  }
  return `GENERATED ${kind.toUpperCase()} AS IDENTITY${parts.length > 0 ? ` (${parts.join(' ')})` : ''}`;
}

function foreignKeyTail(fk: ForeignKeyDescriptor): string {
  const match = fk.match === 'FULL' ? ' MATCH FULL' : '';
  const onDelete = fk.onDelete === 'NO ACTION' ? '' : ` ON DELETE ${fk.onDelete}`;
  const onUpdate = fk.onUpdate === 'NO ACTION' ? '' : ` ON UPDATE ${fk.onUpdate}`;
  const deferrable = `${fk.deferral ? ' DEFERRABLE' : ''}${fk.deferral === 'deferred' ? ' INITIALLY DEFERRED' : ''}`;
  return `${match}${onDelete}${onUpdate}${deferrable}${fk.validated ? '' : ' NOT VALID'}`;
}

function referencedName(table: TableDescriptor, fk: ForeignKeyDescriptor, snapshot: CatalogSnapshot): string {
  const parent = fk.referencedTableId === table.id ? table : snapshot.tableById(fk.referencedTableId);
  if (!parent) return `[${fk.referencedTableId}]`;
  const full = snapshot.fullName(parent);
  return quoteNames(parent.parentId === table.parentId ? full.slice(1) : full);
}

/** `isShort`: the table it refers to by its name alone. */
export function foreignKeyText(table: TableDescriptor, fk: ForeignKeyDescriptor, snapshot: CatalogSnapshot, isShort = false): string {
  const parent = fk.referencedTableId === table.id ? table : snapshot.tableById(fk.referencedTableId);
  const columns = parent ? namesOf(parent, fk.referencedColumnIds) : '';
  return `FOREIGN KEY (${namesOf(table, fk.columnIds)}) REFERENCES ${isShort && parent ? quoteName(parent.name) : referencedName(table, fk, snapshot)}(${columns})${foreignKeyTail(fk)}`;
}

function storingText(table: TableDescriptor, index: IndexDescriptor): string {
  return index.storeColumnIds.length > 0 ? ` STORING (${namesOf(table, index.storeColumnIds)})` : '';
}

/** `CREATE UNIQUE INDEX i ON db.public.t USING btree (a ASC)`, as pg_indexes shows it. */
export function indexText(table: TableDescriptor, index: IndexDescriptor, tableName: string): string {
  const where = index.predicate === undefined ? '' : ` WHERE (${catalogExpr(index.predicate)})`;
  return `CREATE ${index.unique ? 'UNIQUE ' : ''}INDEX ${quoteName(index.name)} ON ${tableName} USING ${methodOf(index)} (${keyOf(table, index)})${shardingOf(index)}${storingText(table, index)}${where}`;
}

/** A unique constraint that has no index. */
export function uniqueText(table: TableDescriptor, { columnIds, validated }: UniqueConstraintDescriptor): string {
  return `UNIQUE WITHOUT INDEX (${namesOf(table, columnIds)})${validated ? '' : ' NOT VALID'}`;
}

/** A constraint's definition, as SHOW CONSTRAINTS and pg_get_constraintdef print it. */
export function constraintText(
  table: TableDescriptor,
  type: 'p' | 'u' | 'c' | 'f',
  id: number,
  snapshot: CatalogSnapshot,
  isWithoutIndex: boolean,
): string {
  if (type === 'c') {
    const check = table.checks.find((candidate) => candidate.id === id);
    return `CHECK ((${catalogExpr(check?.expr ?? '')}))${check?.validated === false ? ' NOT VALID' : ''}`;
  }
  if (type === 'f') {
    const fk = table.foreignKeys.find((candidate) => candidate.id === id);
    return fk ? foreignKeyText(table, fk, snapshot, true) : '';
  }
  if (type === 'u' && isWithoutIndex) {
    const unique = table.uniqueWithoutIndex?.find((candidate) => candidate.id === id);
    return unique ? uniqueText(table, unique) : '';
  }
  const index = type === 'p' ? table.primaryIndex : table.indexes.find((candidate) => candidate.id === id);
  if (!index) return '';
  const where = index.predicate === undefined ? '' : ` WHERE (${catalogExpr(index.predicate)})`;
  return `${type === 'p' ? 'PRIMARY KEY' : 'UNIQUE'} (${keyOf(table, index)})${where}`;
}

/** SHOW CREATE TABLE. `name`: how the statement is to call it. */
export function createTableText(
  table: TableDescriptor,
  snapshot: CatalogSnapshot,
  name = quoteNames(snapshot.fullName(table).slice(1)),
): string {
  const lines: string[] = table.columns
    .filter((column) => column.state === 'public' && !column.isIndexExpression)
    .map((column) => columnText(column, snapshot));
  lines.push(
    `CONSTRAINT ${quoteName(table.primaryIndex.name)} PRIMARY KEY (${keyOf(table, table.primaryIndex)})${shardingOf(table.primaryIndex)}`,
  );
  for (const fk of table.foreignKeys) lines.push(`CONSTRAINT ${quoteName(fk.name)} ${foreignKeyText(table, fk, snapshot)}`);
  for (const index of table.indexes) {
    if (index.state !== 'public') continue;
    const where = index.predicate === undefined ? '' : ` WHERE ${index.predicate}`;
    lines.push(
      `${index.unique ? 'UNIQUE ' : index.inverted ? 'INVERTED ' : ''}INDEX ${quoteName(index.name)} (${keyOf(table, index)})${shardingOf(index)}${storingText(table, index)}${where}`,
    );
  }
  const families = table.families.filter((family) => table.families.length > 1 || family.name !== 'primary' || family.columnIds.length > 0);
  const isNamed = (id: number): boolean => table.columns.find((column) => column.id === id)?.isIndexExpression !== true;
  for (const family of families) lines.push(`FAMILY ${quoteName(family.name)} (${namesOf(table, family.columnIds.filter(isNamed))})`);
  for (const check of table.checks) {
    lines.push(`CONSTRAINT ${quoteName(check.name)} CHECK (${check.expr})${check.validated ? '' : ' NOT VALID'}`);
  }
  for (const unique of table.uniqueWithoutIndex ?? []) lines.push(`CONSTRAINT ${quoteName(unique.name)} ${uniqueText(table, unique)}`);
  const params: string[] = [];
  if (table.excludeDataFromBackup) params.push('exclude_data_from_backup = true');
  for (const [key, value] of Object.entries(table.storageParams ?? {})) params.push(`${key} = ${value}`);
  const locality = localityOf(table, snapshot);
  const home = locality ? ` LOCALITY ${localityText(locality, table)}` : '';
  const tail = `${params.length > 0 ? ` WITH (${params.join(', ')})` : ''}${home}`;
  const comments: string[] = [];
  if (table.comment !== undefined) comments.push(`COMMENT ON TABLE ${name} IS ${quoteLiteral(table.comment)}`);
  for (const column of table.columns) {
    if (column.comment !== undefined)
      comments.push(`COMMENT ON COLUMN ${name}.${quoteName(column.name)} IS ${quoteLiteral(column.comment)}`);
  }
  for (const index of table.indexes) {
    if (index.comment !== undefined) comments.push(`COMMENT ON INDEX ${name}@${quoteName(index.name)} IS ${quoteLiteral(index.comment)}`);
  }
  return [`CREATE ${table.temporary ? 'TEMP ' : ''}TABLE ${name} (\n\t${lines.join(',\n\t')}\n)${tail}`, ...comments].join(';\n');
}

export function createSequenceText(table: TableDescriptor, snapshot: CatalogSnapshot): string {
  const options = table.sequence;
  const name = quoteNames(snapshot.fullName(table).slice(1));
  const kind = table.temporary ? 'TEMP SEQUENCE' : 'SEQUENCE';
  if (!options) return `CREATE ${kind} ${name}`;
  const cache = options.cacheSize === '1' ? '' : ` CACHE ${options.cacheSize}`;
  return `CREATE ${kind} ${name} MINVALUE ${options.minValue} MAXVALUE ${options.maxValue} INCREMENT ${options.increment} START ${options.start}${cache}${options.cycle ? ' CYCLE' : ''}${options.isVirtual ? ' VIRTUAL' : ''}`;
}

/** `CREATE DATABASE d PRIMARY REGION "r" REGIONS = "q", "r" SURVIVE ZONE FAILURE`. */
export function createDatabaseText(database: DatabaseDescriptor, snapshot: CatalogSnapshot): string {
  const regions = regionsOf(database, snapshot);
  const head = `CREATE DATABASE ${quoteName(database.name)}`;
  if (!regions) return head;
  const { primaryRegion, secondaryRegion, names, survivalGoal, isPlacementRestricted } = regions;
  return [
    head,
    ` PRIMARY REGION ${quoteName(primaryRegion)} REGIONS = ${names.map(quoteName).join(', ')} SURVIVE ${survivalGoal.toUpperCase()} FAILURE`,
    isPlacementRestricted ? ' PLACEMENT RESTRICTED' : '',
    secondaryRegion === undefined ? '' : ` SECONDARY REGION ${quoteName(secondaryRegion)}`,
  ].join('');
}
