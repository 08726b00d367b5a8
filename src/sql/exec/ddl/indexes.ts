/**
 * CREATE INDEX, DROP INDEX, ALTER INDEX RENAME.
 *
 * An index on a table with rows is published write-only and filled by a job (../schemaChange). On a
 * table that is new in this transaction it is filled in the transaction: the scan of the table is in
 * its read set, and validated at every isolation level. Taking an index away needs no second state:
 * who planned with it stands on the old descriptor and fails at commit.
 */
import type { Bytes } from '../../../base/bytes.ts';
import { StateError, StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import {
  allIndexes,
  givenKeyColumnIds,
  type IndexDescriptor,
  indexByName,
  type TableDescriptor,
  updated,
} from '../../../catalog/descriptor.ts';
import type { AlterIndex, CreateIndex, DropIndex, IndexName } from '../../parse/ast.ts';
import { indexNamed } from '../../plan/indexNamed.ts';
import { wholeScan } from '../keyRows.ts';
import { compileReadOnly } from '../operators.ts';
import { tableWriter } from '../tableWriter.ts';
import { inAllRegions } from '../keptByReading.ts';
import { validateUnique } from '../uniqueChecks.ts';
import type { SchemaChange } from './common.ts';
import { TableBuilder } from './createTable.ts';
import { dropViewsOf } from './drop.ts';
import { bucketsOf } from './hashSharded.ts';
import { withoutIdleExpressions } from './indexExpressions.ts';

/** What USING may say; btree is how every index is kept. */
const METHODS: ReadonlySet<string> = new Set(['btree', 'gin', 'inverted', 'prefix']);

/** Writes the entries of an index for every row there is. 23505 when two rows share a unique key. */
export async function fillIndex(change: SchemaChange, table: TableDescriptor, index: IndexDescriptor): Promise<void> {
  const run = change.context.newRun(0, 0);
  const writer = tableWriter(table, change.context.engine.functions);
  const seen = new Map<Bytes, true>();
  for await (const rows of compileReadOnly(wholeScan(table))(run)) {
    const { keys, values } = writer.entriesOf(index, rows, run, seen);
    change.txn.write(keys, values);
  }
  if (index.unique && index.regional) await validateUnique(table, inAllRegions(index), run);
}

export async function createIndex(change: SchemaChange, stmt: CreateIndex): Promise<void> {
  const { descriptor } = change.relation(stmt.table, 'any') ?? {};
  if (descriptor?.view && !descriptor.view.isMaterialized) {
    throw new StatementError(SqlState.WrongObjectType, `"${descriptor.name}" is not a table or materialized view`);
  }
  if (stmt.concurrently) change.context.notice('CONCURRENTLY is not required as all indexes are created concurrently');
  const table = descriptor?.view ? descriptor : change.table(stmt.table);
  change.check(table, 'CREATE');
  await change.awaitPending(table);
  if (stmt.method !== undefined && !METHODS.has(stmt.method)) {
    throw new StatementError(SqlState.FeatureNotSupported, `index method "${stmt.method}" is not supported`);
  }
  if (stmt.name && indexByName(table, stmt.name.text)) {
    if (stmt.ifNotExists) {
      change.context.notice(`index "${stmt.name.text}" already exists, skipping`);
      return;
    }
    throw new StatementError(SqlState.DuplicateRelation, `index with name "${stmt.name.text}" already exists`);
  }
  const builder = new TableBuilder(change, table);
  const buckets = await bucketsOf(change, stmt);
  if (await change.isOnline(table)) {
    const { id, name } = builder.addIndex({ ...stmt, buckets, state: 'write_only' });
    const described = { ...stmt, name: { text: name, pos: 0 }, table: change.fullName(table, stmt.table) };
    return change.writePending(builder.table, { indexIds: [id] }, described);
  }
  const index = builder.addIndex({ ...stmt, buckets });
  await change.write(builder.table);
  await fillIndex(change, builder.table, index);
}

/** The table and index of a name; undefined with `ifExists`. A bare index name is looked for in the search path's tables. */
export function findIndex(
  change: SchemaChange,
  name: IndexName,
  ifExists: boolean,
): { table: TableDescriptor; index: IndexDescriptor } | undefined {
  const wanted = name.index.text;
  const missing = (): undefined => {
    if (ifExists) return undefined;
    throw new StatementError(SqlState.UndefinedObject, `index "${wanted}" does not exist`);
  };
  if (name.table) {
    const relation = change.relation(name.table, 'any', ifExists);
    if (relation && !relation.descriptor.view?.isMaterialized) change.relation(name.table, 'table');
    const index = relation && indexNamed(relation.descriptor, wanted);
    return relation && index ? { table: relation.descriptor, index } : missing();
  }
  const { snapshot } = change;
  const [first, second] = name.qualifier.map(({ text }) => text);
  const inPlace = (databaseName: string, schema?: string): { table: TableDescriptor; index: IndexDescriptor }[] => {
    const database = snapshot.database(databaseName);
    return [...(database ? snapshot.tablesOf(database.id, { withTemporary: true }) : [])].flatMap((table) => {
      const index = schema === undefined || snapshot.fullName(table)[1] === schema ? indexByName(table, wanted) : undefined;
      return index ? [{ table, index }] : [];
    });
  };
  const { currentDatabase } = change.context.names;
  // `s.i` is of a schema here, or of a database's public schema.
  let found = first !== undefined && second !== undefined ? inPlace(first, second) : inPlace(currentDatabase, first);
  if (found.length === 0 && first !== undefined && second === undefined) found = inPlace(first, 'public');
  if (found.length > 1) {
    throw new StatementError(
      SqlState.AmbiguousAlias,
      `index name "${wanted}" is ambiguous (found in ${found.map(({ table }) => table.name).join(' and ')})`,
    );
  }
  return found[0] ?? missing();
}

export async function dropIndex(change: SchemaChange, stmt: DropIndex): Promise<void> {
  if (stmt.concurrently) change.context.notice('CONCURRENTLY is not required as all indexes are dropped concurrently');
  for (const name of stmt.indexes) {
    const found = findIndex(change, name, stmt.ifExists);
    if (!found) continue;
    const { table, index } = found;
    change.check(table, 'CREATE');
    await change.awaitPending(table);
    if (index.id === table.primaryIndex.id) {
      throw new StatementError(SqlState.FeatureNotSupported, `cannot drop the primary index of a table using DROP INDEX`);
    }
    if (index.isConstraint && stmt.behavior !== 'cascade') {
      throw new StateError(SqlState.DependentObjectsStillExist, `index "${index.name}" is in use as unique constraint`, {
        hint: 'use CASCADE if you really want to drop it.',
      });
    }
    await removeIndex(change, table, index, stmt.behavior === 'cascade');
    change.context.notice('the data for dropped indexes is reclaimed asynchronously', {
      hint: 'The reclamation delay can be customized in the zone configuration for the table.',
    });
  }
}

/** Takes an index out of the descriptor. Its store goes with the table's collection. */
export async function removeIndex(change: SchemaChange, table: TableDescriptor, index: IndexDescriptor, cascade: boolean): Promise<void> {
  if (cascade) await dropViewsOf(change, table, { indexId: index.id });
  if (index.unique) await releaseReferences(change, table, index, cascade);
  const current = change.snapshot.tableById(table.id) ?? table;
  const rest = updated(current, { indexes: current.indexes.filter((one) => one.id !== index.id) });
  await change.write({ ...rest, columns: withoutIdleExpressions(rest) });
}

/** Foreign keys that only this unique index serves hinder its removal, or go with it. */
async function releaseReferences(change: SchemaChange, table: TableDescriptor, index: IndexDescriptor, cascade: boolean): Promise<void> {
  const serves = (candidate: IndexDescriptor, ids: readonly number[]): boolean =>
    candidate.unique && givenKeyColumnIds(candidate).length === ids.length && givenKeyColumnIds(candidate).every((id) => ids.includes(id));
  for (const childId of table.referencedByIds) {
    const child = change.snapshot.tableById(childId);
    for (const fk of child?.foreignKeys ?? []) {
      if (!child || fk.referencedTableId !== table.id || !serves(index, fk.referencedColumnIds)) continue;
      if (allIndexes(table).some((other) => other.id !== index.id && serves(other, fk.referencedColumnIds))) continue;
      if (!cascade) {
        throw new StateError(
          SqlState.DependentObjectsStillExist,
          `"${index.name}" is referenced by foreign key from table "${child.name}"`,
        );
      }
      const current = change.snapshot.tableById(childId) ?? child;
      const foreignKeys = current.foreignKeys.filter((one) => one.id !== fk.id);
      await change.write(updated(current, { foreignKeys }));
      if (foreignKeys.some((one) => one.referencedTableId === table.id)) continue;
      const parent = change.snapshot.tableById(table.id);
      if (parent) await change.write(updated(parent, { referencedByIds: parent.referencedByIds.filter((id) => id !== childId) }));
    }
  }
}

export async function alterIndex(change: SchemaChange, stmt: AlterIndex): Promise<void> {
  const found = findIndex(change, stmt.index, stmt.ifExists);
  if (!found) return;
  const { table, index } = found;
  change.check(table, 'CREATE');
  await change.awaitPending(table);
  const name = stmt.action.newName.text;
  if (name !== index.name && indexByName(table, name)) {
    throw new StatementError(SqlState.DuplicateRelation, `index name "${name}" already exists`);
  }
  const renamed = { ...index, name };
  if (index.id === table.primaryIndex.id) await change.write(updated(table, { primaryIndex: renamed }));
  else await change.write(updated(table, { indexes: table.indexes.map((one) => (one.id === index.id ? renamed : one)) }));
}
