/**
 * Columns that number themselves: SERIAL by the session's serial_normalization, and GENERATED AS IDENTITY.
 *
 * The sequence is named after table and column, is owned by the column, and goes with it.
 */
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import type { ResolvedSchema } from '../../../catalog/catalog.ts';
import type { ColumnDescriptor, TableDescriptor } from '../../../catalog/descriptor.ts';
import { initializeSequence, sequenceOptions } from '../../../catalog/sequences.ts';
import { Type } from '../../../catalog/type.ts';
import type { ObjectName, SequenceOption } from '../../parse/ast.ts';
import { alreadyExists, type SchemaChange } from './common.ts';
import { readSequenceOptions, sequenceDescriptor } from './sequences.ts';
import { nextvalText } from './storedExpr.ts';

/** A SERIAL column with its default: unique_rowid(), or a sequence of its own, which may be virtual. */
export async function serialColumn(change: SchemaChange, table: TableDescriptor, column: ColumnDescriptor): Promise<ColumnDescriptor> {
  const mode = change.context.session.vars.get('serial_normalization');
  if (mode === 'rowid' || mode === 'unordered_rowid') return { ...column, type: Type.Int8, defaultExpr: 'unique_rowid()' };
  if (mode === 'virtual_sequence') return withSequence(change, table, { ...column, type: Type.Int8 }, [{ type: 'virtual', pos: 0 }]);
  return withSequence(change, table, column, []);
}

/** The name that SEQUENCE NAME gives. 42P07 when it is taken, 0A000 for one in another schema than the table. */
function namedSequence(change: SchemaChange, schema: ResolvedSchema, asked: ObjectName): string {
  const [name = '', schemaName = schema.name] = asked.parts.map((part) => part.text).reverse();
  if (schemaName !== schema.name) {
    throw new StatementError(SqlState.FeatureNotSupported, 'the sequence of an identity column stands in the schema of its table');
  }
  const taken = change.snapshot.lookup(schema.database.id, schema.id, name);
  if (taken !== undefined) throw alreadyExists(change.snapshot.byId(taken), name);
  return name;
}

function freeSequenceName(change: SchemaChange, schema: ResolvedSchema, table: TableDescriptor, column: ColumnDescriptor): string {
  const nameWith = (label: string): string => sequenceName(table.name, column.name, label);
  let name = nameWith('seq');
  for (let i = 1; change.snapshot.lookup(schema.database.id, schema.id, name) !== undefined; i++) name = nameWith(`seq${i}`);
  return name;
}

/** Bytes of a name in PostgreSQL. */
const NAME_BYTES_MAX = 63;

/** `table_column_label`, the longer of the two shortened until PostgreSQL can hold it: functions and dumps go by such names. */
function sequenceName(table: string, column: string, label: string): string {
  let [first, second] = [[...table], [...column]];
  const bytesOf = (): number => Buffer.byteLength(`${first.join('')}_${second.join('')}_${label}`);
  while (bytesOf() > NAME_BYTES_MAX) {
    if (first.length > second.length) first = first.slice(0, -1);
    else second = second.slice(0, -1);
  }
  return `${first.join('')}_${second.join('')}_${label}`;
}

/** A column whose default is the next value of a new sequence. */
export async function withSequence(
  change: SchemaChange,
  table: TableDescriptor,
  column: ColumnDescriptor,
  given: readonly SequenceOption[],
): Promise<ColumnDescriptor> {
  const database = change.snapshot.databaseById(table.parentId);
  const schema = database && change.snapshot.schemaById(database, table.schemaId);
  if (!schema) throw new StatementError(SqlState.InvalidSchemaName, 'unknown schema');
  const asked = readSequenceOptions(change, given);
  const name = asked.name ? namedSequence(change, schema, asked.name) : freeSequenceName(change, schema, table, column);
  const id = await change.allocateId();
  const { width } = column.type;
  const integerWidth = column.type.family === 'int' && (width === 16 || width === 32) && column.generatedAsIdentity ? width : 64;
  const options = sequenceOptions({ integerWidth, ...asked.options, ownedBy: { tableId: table.id, columnId: column.id } });
  const sequence = { ...sequenceDescriptor(id, name, schema, change.context.user, options), dependedOnByIds: [table.id] };
  await change.writeName(schema.database.id, schema.id, name, id);
  await change.write(sequence);
  initializeSequence(change.txn, id, options);
  return { ...column, defaultExpr: nextvalText(id), usesSequenceIds: [id], ownsSequenceIds: [id] };
}
