/**
 * CREATE, ALTER and DROP TYPE: enums.
 *
 * Tables carry the types of their columns whole, so that rows are read without a look at the
 * catalog. What changes a type therefore rewrites the descriptors that use it, and stored texts that
 * name it or one of its labels, in the same transaction. Rows never change: a label's representation
 * is its own for good (catalog/enumType.ts).
 */
import { StateError, StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import { MIN_TIMESTAMP } from '../../../base/timestamp.ts';
import { utf8Encode } from '../../../base/bytes.ts';
import { describeKind, type Descriptor, type TableDescriptor, type TypeDescriptor, updated } from '../../../catalog/descriptor.ts';
import { firstRepresentations, representationBetween } from '../../../catalog/enumType.ts';
import { quoteNames } from '../../../catalog/names.ts';
import type { ResolvedSchema } from '../../../catalog/catalog.ts';
import type { AlterType, CreateType, DropType, Expr } from '../../parse/ast.ts';
import { alreadyExists, partsOf, requireUserType, type SchemaChange } from './common.ts';
import { checkViews, labelOf, removeLabel, writeType } from './enumLabels.ts';
import { schemaToMoveTo } from './databases.ts';
import { newPrivileges } from './newPrivileges.ts';
import { requireOwner, setOwner } from './ownership.ts';
import { namesType, typeRenaming } from './typeUsers.ts';

type Action<T extends AlterType['action']['type']> = Extract<AlterType['action'], { type: T }>;

const LABEL_BYTES_MAX = 63;

function checkLabel(label: string): void {
  if (utf8Encode(label).length > LABEL_BYTES_MAX) {
    throw new StatementError(SqlState.InvalidName, `invalid enum label "${label}"`, {
      detail: `labels must be ${LABEL_BYTES_MAX} bytes or less`,
    });
  }
}

/** The type whose array has the name: `_t` is t's. */
function typeOfArray(change: SchemaChange, schema: ResolvedSchema, name: string): TypeDescriptor | undefined {
  const id = name.startsWith('_') ? change.snapshot.lookup(schema.database.id, schema.id, name.slice(1)) : undefined;
  const found = id === undefined ? undefined : change.snapshot.byId(id);
  return found?.kind === 'type' ? found : undefined;
}

export async function createType(change: SchemaChange, stmt: CreateType): Promise<void> {
  const target = change.target(stmt.name);
  const { schema, name } = target;
  const taken = target.taken ?? typeOfArray(change, schema, name);
  if (schema.descriptor?.temporary) throw new StatementError(SqlState.FeatureNotSupported, 'temporary types are not supported');
  if (taken) {
    if (stmt.ifNotExists && taken.kind === 'type') {
      change.context.notice(`type "${name}" already exists, skipping`);
      return;
    }
    throw alreadyExists(taken, stmt.name.parts.length > 1 ? quoteNames([schema.database.name, schema.name, name]) : name);
  }
  const seen = new Set<string>();
  for (const label of stmt.labels) {
    checkLabel(label);
    if (seen.has(label)) {
      throw new StatementError(SqlState.InvalidObjectDefinition, `enum definition contains duplicate value "${label}"`);
    }
    seen.add(label);
  }
  // The next id is that of the type's array.
  const id = await change.context.engine.catalog.allocateIds(2);
  const type: TypeDescriptor = {
    kind: 'type',
    id,
    name,
    parentId: schema.database.id,
    schemaId: schema.id,
    version: 1,
    modificationTime: MIN_TIMESTAMP,
    state: 'PUBLIC',
    privileges: newPrivileges('type', change.context.user, schema),
    members: stmt.labels,
    physical: firstRepresentations(stmt.labels.length),
    referencedByIds: [],
  };
  await change.writeName(schema.database.id, schema.id, name, id);
  await change.write(type);
}

export async function alterType(change: SchemaChange, stmt: AlterType): Promise<void> {
  const type = requireUserType(change, stmt.name);
  const { action } = stmt;
  refuseRegions(change, type, "can't be modified using the alter type command", 'try adding/removing the region using ALTER DATABASE');
  if (action.type === 'owner') return setOwner(change, type, action.owner);
  requireOwner(change, type);
  switch (action.type) {
    case 'addValue':
      return addValue(change, type, action);
    case 'dropValue':
      return dropValue(change, type, action.label);
    case 'renameValue':
      return renameValue(change, type, action);
    case 'rename':
      return moveType(change, type, type.schemaId, action.newName.text);
    case 'setSchema': {
      const database = change.snapshot.databaseById(type.parentId);
      if (!database) return;
      return moveType(change, type, schemaToMoveTo(change, database, action.schema.text, type.schemaId).id, type.name);
    }
  }
}

async function addValue(change: SchemaChange, type: TypeDescriptor, action: Action<'addValue'>): Promise<void> {
  const { label, placement } = action;
  checkLabel(label);
  if (type.members.includes(label)) {
    if (!action.ifNotExists) throw new StatementError(SqlState.DuplicateObject, `enum value "${label}" already exists`);
    change.context.notice(`enum value "${label}" already exists, skipping`);
    return;
  }
  let at = type.members.length;
  if (placement) {
    const beside = type.members.indexOf(placement.label);
    if (beside < 0) throw new StatementError(SqlState.InvalidParameterValue, `"${placement.label}" is not an existing enum value`);
    at = placement.side === 'before' ? beside : beside + 1;
  }
  const representation = representationBetween(type.physical[at - 1], type.physical[at]);
  const members = [...type.members.slice(0, at), label, ...type.members.slice(at)];
  const physical = [...type.physical.slice(0, at), representation, ...type.physical.slice(at)];
  await writeType(change, updated(type, { members, physical }));
}

async function renameValue(change: SchemaChange, type: TypeDescriptor, { label, newLabel }: Action<'renameValue'>): Promise<void> {
  checkLabel(newLabel);
  if (!type.members.includes(label)) {
    throw new StatementError(SqlState.InvalidParameterValue, `${label} is not an existing enum value`);
  }
  if (type.members.includes(newLabel)) {
    throw new StatementError(SqlState.DuplicateObject, `enum value ${newLabel} already exists`);
  }
  const isOfType = namesType(change, type);
  await writeType(change, updated(type, { members: type.members.map((one) => (one === label ? newLabel : one)) }), (node) => {
    if (!labelOf(node, isOfType, label)) return undefined;
    return node['kind'] === 'typedLiteral'
      ? { ...node, value: newLabel }
      : { ...node, operand: { ...(node['operand'] as Expr), value: newLabel } };
  });
  checkViews(change, type, (view) => `could not rename enum value "${label}" as it is being used by "${view}"`);
}

/** 42809 for the type of a database's regions, which ALTER DATABASE changes. */
function refuseRegions(change: SchemaChange, type: TypeDescriptor, what: string, hint: string): void {
  if (!type.isRegions) return;
  throw new StatementError(SqlState.WrongObjectType, `"${change.snapshot.fullName(type).join('.')}" is a multi-region enum and ${what}`, {
    hint,
  });
}

async function dropValue(change: SchemaChange, type: TypeDescriptor, label: string): Promise<void> {
  if (change.context.session.vars.isOn('sql_safe_updates')) {
    throw new StatementError(
      SqlState.Warning,
      'rejected (sql_safe_updates = true): ALTER TYPE ... DROP VALUE may cause view/default/computed expressions to stop working if the enum label is used inside them',
    );
  }
  await removeLabel(change, type, label);
}

async function moveType(change: SchemaChange, type: TypeDescriptor, schemaId: number, name: string): Promise<void> {
  if (schemaId === type.schemaId && name === type.name) return;
  if (name === '') throw new StatementError(SqlState.SyntaxError, 'empty type name');
  const taken = change.snapshot.lookup(type.parentId, schemaId, name);
  if (taken !== undefined) throw alreadyExists(change.snapshot.byId(taken), name);
  const database = change.snapshot.databaseById(type.parentId);
  const schema = database && change.snapshot.schemaById(database, schemaId);
  const isOfType = namesType(change, type);
  await change.deleteName(type.parentId, type.schemaId, type.name);
  await change.writeName(type.parentId, schemaId, name, type.id);
  await writeType(change, updated(type, { name, schemaId }), typeRenaming(isOfType, schema?.name ?? 'public', name));
}

export async function dropType(change: SchemaChange, stmt: DropType): Promise<void> {
  if (stmt.behavior === 'cascade') throw new StatementError(SqlState.FeatureNotSupported, 'DROP TYPE CASCADE is not yet supported');
  const { catalog } = change.context.engine;
  for (const name of stmt.names) {
    const parts = partsOf(name);
    const found = change.snapshot.resolveType(parts, change.context.names);
    if (!found) {
      if (!stmt.ifExists) throw new StatementError(SqlState.UndefinedObject, `type "${parts.join('.')}" does not exist`);
      change.context.notice(`type "${parts.join('.')}" does not exist, skipping`);
      continue;
    }
    const type = found.descriptor;
    refuseRegions(change, type, 'cannot be modified directly', 'try ALTER DATABASE DROP REGION');
    requireOwner(change, type);
    const users = type.referencedByIds.map((id) => change.snapshot.byId(id)).filter((user) => user !== undefined && user.state !== 'DROP');
    if (users.length > 0) {
      const list = users.map((user) => quoteNames(change.snapshot.fullName(user as TableDescriptor)));
      throw new StateError(
        SqlState.DependentObjectsStillExist,
        `cannot drop type "${type.name}" because other objects ([${list.join(' ')}]) still depend on it`,
        { detail: users.map((user) => `${describeKind(user as Descriptor)} "${user?.name}" uses it`).join('; ') },
      );
    }
    await change.deleteName(type.parentId, type.schemaId, type.name);
    await catalog.lock(change.txn, [type.id]);
    catalog.deleteDescriptor(change.txn, type.id);
    await change.refresh();
  }
}

/** `CREATE TYPE public.t AS ENUM ('a', 'b')`. */
export function createTypeText(type: TypeDescriptor, schema: string): string {
  const labels = type.members.map((member) => `'${member.replaceAll("'", "''")}'`);
  return `CREATE TYPE ${quoteNames([schema, type.name])} AS ENUM (${labels.join(', ')})`;
}
