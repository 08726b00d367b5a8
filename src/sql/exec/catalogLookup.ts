/**
 * CatalogLookup over a snapshot: what functions and casts ask of names and oids.
 *
 * Oids: a relation, database or user type is its descriptor id (types plus 100000, as column types
 * carry it); virtual tables count down from 2^32 - 1; everything else is a hash (oids.ts).
 */
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { enumTypeOf } from '../../catalog/enumType.ts';
import { arrayOf, type ColumnType, USER_TYPE_OID_BASE } from '../../catalog/type.ts';
import { userType } from './userType.ts';
import type { CatalogSnapshot, NameContext } from '../../catalog/catalog.ts';
import {
  allIndexes,
  columnByName,
  givenKeyColumnIds,
  type IndexDescriptor,
  type TableDescriptor,
  namedKeyColumnIds,
} from '../../catalog/descriptor.ts';
import { quoteName, quoteNames } from '../../catalog/names.ts';
import { schemaMeant } from '../../catalog/snapshot.ts';
import type { CatalogLookup } from '../expr/evalContext.ts';
import type { VirtualTables } from '../plan/virtualTable.ts';
import { createFunctionText, shownSignature } from './functionText.ts';
import { checkOid, foreignKeyOid, indexOid, primaryKeyOid, schemaOid, uniqueOid, userOid } from './oids.ts';
import { constraintText, indexText } from './showCreate.ts';

/** Splits `a."B c".d` into its folded parts. */
export function splitName(text: string): string[] {
  const parts: string[] = [];
  for (const match of text.trim().matchAll(/(?:"((?:[^"]|"")*)"|([^".]+))(?:\.|$)/g)) {
    parts.push(match[1] !== undefined ? match[1].replaceAll('""', '"') : (match[2] ?? '').toLowerCase());
  }
  return parts;
}

/** A constraint with its oid. */
export interface ConstraintInfo {
  readonly oid: number;
  readonly name: string;
  /** pg_constraint.contype. */
  readonly type: 'p' | 'u' | 'c' | 'f';
  readonly id: number;
  readonly columnIds: readonly number[];
  readonly index: IndexDescriptor | undefined;
}

/** Every constraint of a table but those on hidden columns alone, in pg_constraint's order. `schemaName`: where the table stands, for the oids. */
export function constraintsOf(table: TableDescriptor, schemaName = 'public'): ConstraintInfo[] {
  const place = { databaseId: table.parentId, schemaName, tableId: table.id };
  const found: ConstraintInfo[] = [];
  const isHidden = ({ columnIds }: IndexDescriptor): boolean =>
    columnIds.every((id) => table.columns.find((column) => column.id === id)?.hidden === true);
  if (!table.view && !table.sequence && !isHidden(table.primaryIndex)) {
    const { primaryIndex } = table;
    found.push({
      oid: primaryKeyOid(place, primaryIndex.id),
      name: primaryIndex.name,
      type: 'p',
      id: primaryIndex.id,
      columnIds: givenKeyColumnIds(primaryIndex),
      index: primaryIndex,
    });
  }
  for (const index of table.indexes) {
    if (!index.unique || index.state !== 'public' || isHidden(index)) continue;
    found.push({
      oid: uniqueOid(place, index.id),
      name: index.name,
      type: 'u',
      id: index.id,
      columnIds: givenKeyColumnIds(index),
      index,
    });
  }
  for (const { id, name, columnIds } of table.uniqueWithoutIndex ?? []) {
    found.push({ oid: checkOid(place, name, `unique ${id}`), name, type: 'u', id, columnIds, index: undefined });
  }
  for (const check of table.checks) {
    found.push({
      oid: checkOid(place, check.name, check.expr),
      name: check.name,
      type: 'c',
      id: check.id,
      columnIds: check.columnIds,
      index: undefined,
    });
  }
  for (const fk of table.foreignKeys) {
    found.push({
      oid: foreignKeyOid(place, fk.name, fk.referencedTableId),
      name: fk.name,
      type: 'f',
      id: fk.id,
      columnIds: fk.columnIds,
      index: undefined,
    });
  }
  return found;
}

interface FoundIndex {
  readonly table: TableDescriptor;
  readonly index: IndexDescriptor;
}

export class SnapshotLookup implements CatalogLookup {
  readonly #snapshot: CatalogSnapshot;
  readonly #names: NameContext;
  readonly #virtual: VirtualTables;
  /** Indexes by oid, made when the first is asked for. */
  #indexes: Map<number, FoundIndex> | undefined;

  constructor(snapshot: CatalogSnapshot, names: NameContext, virtual: VirtualTables) {
    this.#snapshot = snapshot;
    this.#names = names;
    this.#virtual = virtual;
  }

  relationOid(name: string): number | undefined {
    const parts = splitName(name);
    const [first = '', second = ''] = parts;
    const virtual =
      parts.length === 1 ? this.#virtual.get('pg_catalog', first) : this.#virtual.get(parts.at(-2) ?? '', parts.at(-1) ?? second);
    if (virtual) return virtual.oid;
    return this.#snapshot.resolveTable(parts, this.#names)?.descriptor.id;
  }

  relationName(oid: number): string | undefined {
    const table = this.#snapshot.tableById(oid);
    if (table) {
      const full = this.#snapshot.fullName(table);
      if (this.isRelationVisible(oid)) return quoteName(table.name);
      const [database = '', ...rest] = full;
      return quoteNames(database === this.#names.currentDatabase ? rest : full);
    }
    const virtual = this.#virtual.all().find((candidate) => candidate.oid === oid);
    if (virtual) return virtual.schema === 'pg_catalog' ? virtual.name : `${virtual.schema}.${virtual.name}`;
    return this.#indexOf(oid)?.index.name;
  }

  schemaOid(name: string): number | undefined {
    const only = splitName(name).at(-1) ?? '';
    const database = this.#snapshot.database(this.#names.currentDatabase);
    if (this.#virtual.hasSchema(only)) return schemaOid(database?.id ?? 0, only);
    const schema = database && this.#snapshot.schema(database, schemaMeant(only, this.#names));
    return database && schema && schemaOid(database.id, schema.name);
  }

  schemaName(oid: number): string | undefined {
    const virtual = this.#virtual.schemas();
    for (const database of this.#snapshot.allDatabases()) {
      const own = this.#snapshot.schemasOf(database, { withTemporary: true }).map((schema) => schema.name);
      const found = [...virtual, ...own].find((name) => schemaOid(database.id, name) === oid);
      if (found !== undefined) return found;
    }
    return virtual.find((name) => schemaOid(0, name) === oid);
  }

  isRelationVisible(oid: number): boolean {
    const table = this.#snapshot.tableById(oid);
    if (!table) {
      const index = this.#indexOf(oid);
      if (index) return this.isRelationVisible(index.table.id);
      return this.#virtual.all().some((virtual) => virtual.oid === oid && virtual.schema === 'pg_catalog');
    }
    return this.#snapshot.resolveTable([table.name], this.#names)?.descriptor.id === oid;
  }

  indexDefinition(oid: number, columnNumber: number): string | undefined {
    const found = this.#indexOf(oid);
    if (!found) return undefined;
    const { table, index } = found;
    if (columnNumber > 0) {
      const id = [...namedKeyColumnIds(index), ...index.storeColumnIds][columnNumber - 1];
      const column = table.columns.find((candidate) => candidate.id === id);
      return column ? quoteName(column.name) : '';
    }
    return indexText(table, index, quoteNames(this.#snapshot.fullName(table)));
  }

  constraintDefinition(oid: number): string | undefined {
    for (const descriptor of this.#snapshot.all()) {
      if (descriptor.kind !== 'table' || descriptor.state === 'DROP') continue;
      const constraint = constraintsOf(descriptor, this.#snapshot.fullName(descriptor)[1]).find((candidate) => candidate.oid === oid);
      if (constraint) return constraintText(descriptor, constraint.type, constraint.id, this.#snapshot, constraint.index === undefined);
    }
    return undefined;
  }

  userType(oid: number): { readonly type: ColumnType; readonly isVisible: boolean } | undefined {
    const id = oid - USER_TYPE_OID_BASE;
    const own = this.#snapshot.typeById(id);
    const descriptor = own ?? this.#snapshot.typeById(id - 1);
    if (descriptor?.state !== 'PUBLIC') return undefined;
    const type = enumTypeOf(descriptor, this.#snapshot);
    const isVisible = this.#snapshot.resolveType([descriptor.name], this.#names)?.descriptor.id === descriptor.id;
    return { type: own ? type : arrayOf(type), isVisible };
  }

  userTypeNamed(name: string): ColumnType | undefined {
    const isArray = name.trim().endsWith('[]');
    const parts = splitName(name.trim().replace(/\[\]$/, '')).map((text) => ({ text, pos: 0 }));
    if (parts.length === 0) return undefined;
    return userType(this.#snapshot, { kind: 'typeName', name: { parts, pos: 0 }, args: [], isArray, pos: 0 }, this.#names)?.type;
  }

  viewDefinition(oid: number): string | undefined {
    return this.#snapshot.tableById(oid)?.view?.query;
  }

  userFunction(oid: number): { readonly args: string; readonly result: string; readonly definition: string } | undefined {
    const one = this.#snapshot.functionById(oid - USER_TYPE_OID_BASE);
    return one && { ...shownSignature(one), definition: createFunctionText(one, this.#snapshot) };
  }

  serialSequence(tableName: string, columnName: string): string | undefined {
    const found = this.#snapshot.resolveTable(splitName(tableName), this.#names);
    if (!found) throw new StatementError(SqlState.UndefinedTable, `relation "${tableName}" does not exist`);
    const column = columnByName(found.descriptor, columnName);
    if (!column) throw new StatementError(SqlState.UndefinedColumn, `column "${columnName}" does not exist`);
    const id = column.ownsSequenceIds?.[0] ?? column.usesSequenceIds?.[0];
    const sequence = id === undefined ? undefined : this.#snapshot.tableById(id);
    return sequence && quoteNames(this.#snapshot.fullName(sequence).slice(1));
  }

  comment(oid: number, sub: number): string | undefined {
    const table = this.#snapshot.tableById(oid);
    if (table) return sub === 0 ? table.comment : table.columns.find((column) => column.id === sub)?.comment;
    if (sub !== 0) return undefined;
    const index = this.#indexOf(oid);
    if (index) return index.index.comment;
    for (const database of this.#snapshot.allDatabases()) {
      const schema = this.#snapshot.schemasOf(database).find(({ name }) => schemaOid(database.id, name) === oid);
      if (schema) return this.#snapshot.byId(schema.id)?.comment;
    }
    return (this.#snapshot.typeById(oid - USER_TYPE_OID_BASE) ?? this.#snapshot.byId(oid))?.comment;
  }

  databaseOid(name: string): number | undefined {
    return this.#snapshot.database(name)?.id;
  }

  userName(oid: number): string | undefined {
    for (const descriptor of this.#snapshot.all()) if (userOid(descriptor.privileges.owner) === oid) return descriptor.privileges.owner;
    return userOid('root') === oid ? 'root' : userOid('admin') === oid ? 'admin' : undefined;
  }

  schemaNames(): readonly string[] {
    const database = this.#snapshot.database(this.#names.currentDatabase);
    return [
      ...this.#virtual.schemas(),
      ...(database ? this.#snapshot.schemasOf(database, { withTemporary: true }).map((schema) => schema.name) : []),
    ];
  }

  #indexOf(oid: number): FoundIndex | undefined {
    if (!this.#indexes) {
      this.#indexes = new Map();
      for (const descriptor of this.#snapshot.all()) {
        if (descriptor.kind !== 'table' || descriptor.state === 'DROP') continue;
        for (const index of allIndexes(descriptor)) this.#indexes.set(indexOid(descriptor.id, index.id), { table: descriptor, index });
      }
    }
    return this.#indexes.get(oid);
  }
}
