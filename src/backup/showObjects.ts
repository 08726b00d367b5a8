/**
 * Show objects: the rows of SHOW BACKUP and SHOW BACKUP SCHEMAS. One row an object a layer, the full first; in
 * a layer database after database, what is in each in the order of ids, which is that of making, a type's array
 * with it. An unchanged table of an incremental has a row with zeros.
 *
 * Cost: the descriptors and the file parts of each layer, each looked at once.
 */
import { utf8Encode } from '../base/bytes.ts';
import type { Datum } from '../catalog/datum.ts';
import type { DatabaseDescriptor, Descriptor, SchemaDescriptor, TableDescriptor } from '../catalog/descriptor.ts';
import { PUBLIC_SCHEMA_ID, SYSTEM_DATABASE_ID } from '../catalog/descriptor.ts';
import { quoteName } from '../catalog/names.ts';
import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import { type ColumnType, Type } from '../catalog/type.ts';
import { tableOfKey } from '../kv/indexOfKey.ts';
import { createViewText } from '../sql/exec/ddl/views.ts';
import { createFunctionText } from '../sql/exec/functionText.ts';
import { createSequenceText, createTableText } from '../sql/exec/showCreate.ts';
import type { ResultColumn } from '../sql/exec/statement.ts';

import { backupSnapshot } from './backupCatalog.ts';
import { typeOfLayer } from './compactedLayer.ts';
import type { Layer, Manifest } from './manifest.ts';

/** Which columns there are beside the usual ones. */
export interface ObjectColumns {
  readonly schemas: boolean;
  readonly checkFiles: boolean;
  readonly debugIds: boolean;
  readonly privileges: boolean;
}

export function objectColumns(show: ObjectColumns): readonly ResultColumn[] {
  const when = (condition: boolean, name: string, type: ColumnType): ResultColumn[] => (condition ? [{ name, type }] : []);
  return [
    { name: 'database_name', type: Type.String },
    ...when(show.debugIds, 'database_id', Type.Int8),
    { name: 'parent_schema_name', type: Type.String },
    ...when(show.debugIds, 'parent_schema_id', Type.Int8),
    { name: 'object_name', type: Type.String },
    ...when(show.debugIds, 'object_id', Type.Int8),
    { name: 'object_type', type: Type.String },
    { name: 'backup_type', type: Type.String },
    { name: 'start_time', type: Type.TimestampTz },
    { name: 'end_time', type: Type.TimestampTz },
    { name: 'size_bytes', type: Type.Int8 },
    { name: 'rows', type: Type.Int8 },
    { name: 'is_full_cluster', type: Type.Bool },
    { name: 'regions', type: Type.String },
    ...when(show.schemas, 'create_statement', Type.String),
    ...when(show.privileges, 'privileges', Type.String),
    ...when(show.privileges, 'owner', Type.String),
    ...when(show.checkFiles, 'file_bytes', Type.Int8),
  ];
}

/** The rows of a chain's layers. `skipSize`: sizes are not added up, and NULL. */
export function objectRows(layers: readonly Layer[], show: ObjectColumns, skipSize: boolean): Datum[][] {
  return layers.flatMap(({ manifest }) => {
    const sizes = skipSize ? undefined : tableSizes(manifest);
    const snapshot = show.schemas ? backupSnapshot(manifest, manifest.endTime) : undefined;
    return objectsOf(manifest).map((object) => rowOf(manifest, object, show, sizes, snapshot));
  });
}

/** What a row is about; the synthetic schema `public` has no descriptor. */
interface ShownObject {
  readonly database: DatabaseDescriptor | undefined;
  readonly schema: { readonly id: number; readonly name: string } | undefined;
  readonly id: number;
  readonly name: string;
  readonly type: Descriptor['kind'];
  readonly descriptor: Descriptor | undefined;
}

function objectsOf({ descriptors, scope }: Manifest): ShownObject[] {
  const schemas = new Map(descriptors.filter((one): one is SchemaDescriptor => one.kind === 'schema').map((one) => [one.id, one]));
  const databases = descriptors.filter((one): one is DatabaseDescriptor => one.kind === 'database');
  const members = new Map<number, ShownObject[]>();
  const byId = new Map(databases.map((database) => [database.id, database]));
  for (const one of databases) members.set(one.id, []);
  for (const one of descriptors) {
    const own = members.get(one.parentId);
    if (one.kind === 'database' || own === undefined) continue;
    const schema = one.kind === 'schema' ? undefined : { id: one.schemaId, name: schemas.get(one.schemaId)?.name ?? 'public' };
    const shown: ShownObject = { database: byId.get(one.parentId), schema, id: one.id, name: one.name, type: one.kind, descriptor: one };
    own.push(shown);
    if (one.kind === 'type') own.push({ ...shown, id: one.id + 1, name: `_${one.name}` });
  }
  return databases.flatMap((database) => {
    const own = (members.get(database.id) ?? []).sort((a, b) => a.id - b.id);
    const itself: ShownObject = {
      database: undefined,
      schema: undefined,
      id: database.id,
      name: database.name,
      type: 'database',
      descriptor: database,
    };
    const publicSchema: ShownObject = {
      database,
      schema: undefined,
      id: PUBLIC_SCHEMA_ID,
      name: 'public',
      type: 'schema',
      descriptor: undefined,
    };
    // The system database's public schema is no user's: a cluster backup does not list it. One of tables lists what holds them.
    const isHolding = scope !== 'tables' || own.some(({ schema }) => schema?.id === PUBLIC_SCHEMA_ID);
    const hasPublic = database.id !== SYSTEM_DATABASE_ID && isHolding;
    return [itself, ...(hasPublic ? [publicSchema] : []), ...own];
  });
}

function rowOf(
  manifest: Manifest,
  object: ShownObject,
  show: ObjectColumns,
  sizes: ReadonlyMap<number, TableSize> | undefined,
  snapshot: CatalogSnapshot | undefined,
): Datum[] {
  const { database, schema, descriptor, type } = object;
  const text = (value: string | undefined): Datum => (value === undefined ? null : utf8Encode(value));
  const size = type === 'table' && sizes ? (sizes.get(object.id) ?? NOTHING) : undefined;
  const id = (value: number | undefined): Datum[] => (show.debugIds ? [value ?? null] : []);
  return [
    text(database?.name),
    ...id(database?.id),
    text(schema?.name),
    ...id(schema?.id),
    text(object.name),
    ...id(object.id),
    text(type),
    text(typeOfLayer(manifest)),
    manifest.kind === 'full' ? null : manifest.startTime,
    manifest.endTime,
    size?.dataBytes ?? null,
    size?.rows ?? null,
    manifest.scope === 'cluster',
    text(descriptor?.kind === 'database' ? regionsText(descriptor, manifest) : undefined),
    ...(snapshot ? [text(createText(descriptor, snapshot))] : []),
    ...(show.privileges ? [text(descriptor && grantsOf(object, descriptor)), text(descriptor?.privileges.owner)] : []),
    ...(show.checkFiles ? [size ? Math.round(size.fileBytes) : null] : []),
  ];
}

/** The statements that give a database its regions: `ALTER DATABASE d SET PRIMARY REGION "r"; ALTER DATABASE d ADD REGION "q";`. */
function regionsText({ name, regions }: DatabaseDescriptor, { descriptors }: Manifest): string | undefined {
  const type = regions && descriptors.find(({ id }) => id === regions.typeId);
  if (!regions || type?.kind !== 'type') return undefined;
  const others = type.members.filter((region) => region !== regions.primaryRegion).map((region) => `ADD REGION "${region}"`);
  return [`SET PRIMARY REGION "${regions.primaryRegion}"`, ...others]
    .map((action) => `ALTER DATABASE ${quoteName(name)} ${action};`)
    .join(' ');
}

interface TableSize {
  rows: number;
  dataBytes: number;
  fileBytes: number;
}

const NOTHING: TableSize = Object.freeze({ rows: 0, dataBytes: 0, fileBytes: 0 });

/** Each table's share of a layer; of a file that several tables share, by bytes of data. */
function tableSizes(manifest: Manifest): Map<number, TableSize> {
  const sizes = new Map<number, TableSize>();
  for (const file of manifest.files) {
    const whole = file.parts.reduce((sum, part) => sum + part.dataBytes, 0);
    for (const part of file.parts) {
      const id = tableOfKey(part.span.key) ?? 0;
      const size = sizes.get(id) ?? { ...NOTHING };
      sizes.set(id, size);
      size.rows += part.rows;
      size.dataBytes += part.dataBytes;
      size.fileBytes += whole === 0 ? 0 : (file.sizeBytes * part.dataBytes) / whole;
    }
  }
  return sizes;
}

/** The CREATE statement without comments, and without foreign keys to tables that the backup does not hold. */
function createText(table: Descriptor | undefined, snapshot: CatalogSnapshot): string | undefined {
  if (table?.kind === 'function') return createFunctionText(table, snapshot);
  if (table?.kind !== 'table') return undefined;
  if (table.sequence) return createSequenceText(table, snapshot);
  if (table.view) return createViewText(table, snapshot.fullName(table)[1] ?? 'public');
  const { comment: _, ...rest } = table;
  const shown: TableDescriptor = {
    ...rest,
    columns: table.columns.map(({ comment: _1, ...column }) => column),
    indexes: table.indexes.map(({ comment: _2, ...index }) => index),
    foreignKeys: table.foreignKeys.filter(({ referencedTableId }) => snapshot.tableById(referencedTableId) !== undefined),
  };
  return createTableText(shown, snapshot);
}

/** `GRANT ALL ON TABLE t TO admin WITH GRANT OPTION; GRANT SELECT ON TABLE t TO u; `. */
function grantsOf({ type, name }: ShownObject, descriptor: Descriptor): string {
  const statement = (privileges: readonly string[], grantee: string, tail: string) =>
    privileges.length === 0
      ? ''
      : `GRANT ${privileges.join(', ')} ON ${type.toUpperCase()} ${quoteName(name)} TO ${quoteName(grantee)}${tail}; `;
  return descriptor.privileges.grants
    .map(({ grantee, privileges, grantOption = [] }) => {
      const plain = privileges.filter((one) => !grantOption.includes(one));
      return statement(grantOption, grantee, ' WITH GRANT OPTION') + statement(plain, grantee, '');
    })
    .join('');
}
