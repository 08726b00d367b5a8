/**
 * CREATE and ALTER SEQUENCE.
 */
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import type { ResolvedSchema } from '../../../catalog/catalog.ts';
import { columnByName, type SequenceOptions, type TableDescriptor, updated } from '../../../catalog/descriptor.ts';
import { newTable } from '../../../catalog/newTable.ts';
import { encodeSequenceValue, initializeSequence, sequenceKey, sequenceOptions } from '../../../catalog/sequences.ts';
import { Type } from '../../../catalog/type.ts';
import type { AlterSequence, CreateSequence, ObjectName, SequenceOption } from '../../parse/ast.ts';
import { alreadyExists, type SchemaChange } from './common.ts';
import { newPrivileges } from './newPrivileges.ts';
import { newPlace } from './temporary.ts';

/** A sequence is a table of one row with one column, as its keys show. */
export function sequenceDescriptor(
  id: number,
  name: string,
  schema: ResolvedSchema,
  owner: string,
  sequence: SequenceOptions,
): TableDescriptor {
  const table = newTable({
    id,
    name,
    parentId: schema.database.id,
    schemaId: schema.id,
    temporary: schema.descriptor?.temporary,
    privileges: newPrivileges('sequence', owner, schema),
    primaryKeyName: 'primary',
    columns: [{ id: 1, name: 'value', type: Type.Int8, nullable: false, state: 'public' }],
    keyColumns: 1,
  });
  return { ...table, sequence };
}

export interface Given {
  options: Parameters<typeof sequenceOptions>[0];
  restart: bigint | undefined;
  isRestarted: boolean;
  ownedBy: Extract<SequenceOption, { type: 'ownedBy' }> | undefined;
  /** What an identity column calls its sequence. */
  name: ObjectName | undefined;
}

/** What the options of a sequence say. 42601 for one given twice. */
export function readSequenceOptions(change: SchemaChange, options: readonly SequenceOption[]): Given {
  const given: { -readonly [K in keyof Given['options']]: Given['options'][K] } = {};
  const result: Given = { options: given, restart: undefined, isRestarted: false, ownedBy: undefined, name: undefined };
  const seen = new Set<string>();
  for (const option of options) {
    const kind = option.type === 'noCycle' ? 'cycle' : option.type;
    if (seen.has(kind)) throw new StatementError(SqlState.SyntaxError, 'conflicting or redundant options');
    seen.add(kind);
    switch (option.type) {
      case 'as': {
        const { type } = change.columnType(option.dataType);
        if (type.family !== 'int')
          throw new StatementError(SqlState.InvalidParameterValue, 'sequence type must be smallint, integer, or bigint');
        given.integerWidth = (type.width ?? 64) as 16 | 32 | 64;
        break;
      }
      case 'increment':
        given.increment = option.value;
        break;
      case 'start':
        given.start = option.value;
        break;
      case 'cache':
        given.cacheSize = option.value;
        break;
      case 'minValue':
        if (option.value !== undefined) given.minValue = option.value;
        break;
      case 'maxValue':
        if (option.value !== undefined) given.maxValue = option.value;
        break;
      case 'cycle':
        given.cycle = true;
        break;
      case 'noCycle':
        given.cycle = false;
        break;
      case 'virtual':
        given.isVirtual = true;
        break;
      case 'name':
        result.name = option.name;
        break;
      case 'restart':
        result.restart = option.value;
        result.isRestarted = true;
        break;
      case 'ownedBy':
        result.ownedBy = option;
        break;
    }
  }
  return result;
}

/** 42601 for SEQUENCE NAME where a sequence has been named. */
function refuseName({ name }: Given): void {
  if (!name) return;
  throw new StatementError(SqlState.SyntaxError, 'SEQUENCE NAME is for identity columns', { location: { position: name.pos + 1 } });
}

/** OWNED BY table.column: the sequence goes with the column. */
async function setOwner(change: SchemaChange, sequence: TableDescriptor, option: Given['ownedBy']): Promise<SequenceOptions['ownedBy']> {
  const before = sequence.sequence?.ownedBy;
  if (!option) return before;
  if (before) {
    const table = change.snapshot.tableById(before.tableId);
    if (table) {
      const columns = table.columns.map((column) =>
        column.id === before.columnId ? { ...column, ownsSequenceIds: column.ownsSequenceIds?.filter((id) => id !== sequence.id) } : column,
      );
      await change.write(updated(table, { columns }));
    }
  }
  if (!option.column) return undefined;
  const parts = option.column.parts;
  const table = change.table({ parts: parts.slice(0, -1), pos: option.pos });
  const name = parts.at(-1)?.text ?? '';
  const column = columnByName(table, name);
  if (!column) throw new StatementError(SqlState.UndefinedColumn, `column "${name}" does not exist`);
  const columns = table.columns.map((one) =>
    one.id === column.id ? { ...one, ownsSequenceIds: [...(one.ownsSequenceIds ?? []), sequence.id] } : one,
  );
  await change.write(updated(table, { columns }));
  return { tableId: table.id, columnId: column.id };
}

export async function createSequence(change: SchemaChange, stmt: CreateSequence): Promise<void> {
  const { schema, name, taken } = await newPlace(change, stmt.name, stmt.temporary);
  if (taken) {
    if (stmt.ifNotExists) return;
    throw alreadyExists(taken, name);
  }
  const given = readSequenceOptions(change, stmt.options);
  refuseName(given);
  const id = await change.allocateId();
  const options = sequenceOptions(given.options);
  const sequence = sequenceDescriptor(id, name, schema, change.context.user, options);
  await change.writeName(schema.database.id, schema.id, name, id);
  const ownedBy = await setOwner(change, sequence, given.ownedBy);
  await change.write(ownedBy ? { ...sequence, sequence: { ...options, ownedBy } } : sequence);
  initializeSequence(change.txn, id, options);
}

export async function alterSequence(change: SchemaChange, stmt: AlterSequence): Promise<void> {
  const found = change.relation(stmt.name, 'sequence', stmt.ifExists);
  if (!found?.descriptor.sequence) return;
  const { descriptor } = found;
  change.check(descriptor, 'CREATE');
  const old = found.descriptor.sequence;
  const given = readSequenceOptions(change, stmt.options);
  refuseName(given);
  const options = sequenceOptions({
    increment: BigInt(old.increment),
    minValue: BigInt(old.minValue),
    maxValue: BigInt(old.maxValue),
    start: BigInt(old.start),
    cacheSize: BigInt(old.cacheSize),
    integerWidth: old.integerWidth,
    ...(old.isVirtual && { isVirtual: true }),
    ...(old.cycle && { cycle: true }),
    ...given.options,
  });
  const ownedBy = await setOwner(change, descriptor, given.ownedBy);
  const next: SequenceOptions = { ...options, ...(ownedBy && { ownedBy }) };
  await change.write(updated(descriptor, { sequence: next }));
  if (given.isRestarted) {
    const from = given.restart ?? BigInt(options.start);
    change.txn.write([sequenceKey(descriptor.id)], [encodeSequenceValue(from - BigInt(options.increment))]);
  }
}
