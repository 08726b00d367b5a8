/**
 * crdb_internal: descriptors as they are stored, whatever their state.
 *
 * These list every database's objects, also offline and dropped ones: they are for operators.
 */
import { quoteName, quoteNames } from '../../../../catalog/names.ts';
import { timestampToDecimal } from '../../../../catalog/protectedRecords.ts';
import {
  allIndexes,
  columnById,
  type Descriptor,
  describeKind,
  publicColumns,
  type TableDescriptor,
  namedKeyColumnIds,
} from '../../../../catalog/descriptor.ts';
import { arrayOf, sqlTypeName, Type } from '../../../../catalog/type.ts';
import { localityOf, localityText, regionsOf } from '../../../../catalog/regions.ts';
import { RANGE_ZONE_IDS, type StoredZone, type ZoneTarget, ZoneSet } from '../../../../catalog/zones.ts';
import { zoneSql } from '../../../../catalog/zoneConfig.ts';
import { createDatabaseText, createSequenceText, createTableText, displayExpr } from '../../showCreate.ts';
import type { CatalogView } from '../catalogView.ts';
import { hidden, inSchema } from '../defineTable.ts';

const table = inSchema('crdb_internal');

function allDescriptors<K extends Descriptor['kind']>(view: CatalogView, kind: K): Extract<Descriptor, { kind: K }>[] {
  const found: Extract<Descriptor, { kind: K }>[] = [];
  for (const descriptor of view.snapshot.all()) {
    if (descriptor.kind === kind && view.canSee(descriptor)) found.push(descriptor as Extract<Descriptor, { kind: K }>);
  }
  return found.sort((a, b) => a.id - b.id);
}

function localityName(descriptor: TableDescriptor, { snapshot }: CatalogView): string | undefined {
  const locality = localityOf(descriptor, snapshot);
  return locality && localityText(locality, descriptor);
}

const databases = table(
  'databases',
  {
    id: Type.Int8,
    name: Type.String,
    owner: Type.Name,
    primary_region: Type.String,
    secondary_region: Type.String,
    regions: arrayOf(Type.String),
    survival_goal: Type.String,
    placement_policy: Type.String,
    create_statement: Type.String,
  },
  (view) =>
    view.snapshot
      .allDatabases()
      .filter((database) => view.canSee(database))
      .map((database) => {
        const regions = regionsOf(database, view.snapshot);
        return {
          id: database.id,
          name: database.name,
          owner: database.privileges.owner,
          primary_region: regions?.primaryRegion,
          secondary_region: regions && (regions.secondaryRegion ?? ''),
          regions: regions?.names ?? [],
          survival_goal: regions?.survivalGoal,
          placement_policy: regions && (regions.isPlacementRestricted ? 'restricted' : 'default'),
          create_statement: createDatabaseText(database, view.snapshot),
        };
      }),
);

const tables = table(
  'tables',
  {
    table_id: Type.Int8,
    parent_id: Type.Int8,
    name: Type.String,
    database_name: Type.String,
    version: Type.Int8,
    mod_time: Type.Timestamp,
    mod_time_logical: Type.Decimal,
    format_version: Type.String,
    state: Type.String,
    sc_lease_node_id: Type.Int8,
    sc_lease_expiration_time: Type.Timestamp,
    drop_time: Type.Timestamp,
    audit_mode: Type.String,
    schema_name: Type.String,
    parent_schema_id: Type.Int8,
    locality: Type.String,
    offline_reason: hidden(Type.String),
    descriptor_type: hidden(Type.String),
  },
  function* (view) {
    for (const descriptor of allDescriptors(view, 'table')) {
      const [database_name, schema_name] = view.snapshot.fullName(descriptor);
      yield {
        table_id: descriptor.id,
        parent_id: descriptor.parentId,
        name: descriptor.name,
        database_name,
        version: descriptor.version,
        mod_time: descriptor.modificationTime,
        mod_time_logical: timestampToDecimal(descriptor.modificationTime),
        format_version: 'InterleavedFormatVersion',
        audit_mode: 'DISABLED',
        state: descriptor.state,
        offline_reason: descriptor.offlineReason,
        schema_name,
        parent_schema_id: descriptor.schemaId,
        locality: localityName(descriptor, view),
        descriptor_type: describeKind(descriptor),
      };
    }
  },
);

const tableColumns = table(
  'table_columns',
  {
    descriptor_id: Type.Int8,
    descriptor_name: Type.String,
    column_id: Type.Int8,
    column_name: Type.String,
    column_type: Type.String,
    nullable: Type.Bool,
    default_expr: Type.String,
    hidden: Type.Bool,
  },
  function* (view) {
    for (const { table: relation } of view.relations()) {
      for (const column of relation.columns) {
        if (column.isIndexExpression) continue;
        yield {
          descriptor_id: relation.id,
          descriptor_name: relation.name,
          column_id: column.id,
          column_name: column.name,
          column_type: sqlTypeName(column.type),
          nullable: column.nullable,
          default_expr: column.defaultExpr === undefined ? undefined : displayExpr(column.defaultExpr, view.snapshot),
          hidden: column.hidden === true,
        };
      }
    }
  },
);

const tableIndexes = table(
  'table_indexes',
  {
    descriptor_id: Type.Int8,
    descriptor_name: Type.String,
    index_id: Type.Int8,
    index_name: Type.String,
    index_type: Type.String,
    is_unique: Type.Bool,
    is_inverted: Type.Bool,
    state: hidden(Type.String),
  },
  function* (view) {
    for (const { table: relation } of view.tables()) {
      for (const index of allIndexes(relation)) {
        yield {
          descriptor_id: relation.id,
          descriptor_name: relation.name,
          index_id: index.id,
          index_name: index.name,
          index_type: index.id === relation.primaryIndex.id ? 'primary' : 'secondary',
          is_unique: index.unique,
          is_inverted: false,
          state: index.state,
        };
      }
    }
  },
);

const indexColumns = table(
  'index_columns',
  {
    descriptor_id: Type.Int8,
    descriptor_name: Type.String,
    index_id: Type.Int8,
    index_name: Type.String,
    column_type: Type.String,
    column_id: Type.Int8,
    column_name: Type.String,
    column_direction: Type.String,
    implicit: hidden(Type.Bool),
  },
  function* (view) {
    for (const { table: relation, index } of view.indexes()) {
      const common = { descriptor_id: relation.id, descriptor_name: relation.name, index_id: index.id, index_name: index.name };
      const named = (column_id: number) => ({ column_id, column_name: columnById(relation, column_id)?.name });
      for (const [i, id] of namedKeyColumnIds(index).entries()) {
        yield { ...common, ...named(id), column_type: 'key', column_direction: index.directions[i], implicit: false };
      }
      for (const id of index.storeColumnIds) yield { ...common, ...named(id), column_type: 'storing', implicit: false };
      for (const id of index.keySuffixColumnIds) yield { ...common, ...named(id), column_type: 'extra', implicit: true };
    }
  },
);

const createStatements = table(
  'create_statements',
  {
    database_id: Type.Int8,
    database_name: Type.String,
    schema_name: Type.String,
    descriptor_id: Type.Int8,
    descriptor_type: Type.String,
    descriptor_name: Type.String,
    create_statement: Type.String,
    state: Type.String,
  },
  function* (view) {
    for (const { table: relation, database, schemaName } of view.relations()) {
      yield {
        database_id: database.id,
        database_name: database.name,
        schema_name: schemaName,
        descriptor_id: relation.id,
        descriptor_type: describeKind(relation),
        descriptor_name: relation.name,
        create_statement: createText(relation, view),
        state: relation.state,
      };
    }
  },
);

function createText(relation: TableDescriptor, view: CatalogView): string {
  if (relation.sequence) return createSequenceText(relation, view.snapshot);
  if (!relation.view) return createTableText(relation, view.snapshot);
  const name = quoteNames(view.snapshot.fullName(relation).slice(1));
  const columns = publicColumns(relation).map((column) => quoteName(column.name));
  return `CREATE ${relation.view.isMaterialized ? 'MATERIALIZED ' : ''}VIEW ${name} (${columns.join(', ')}) AS ${relation.view.query}`;
}

// ---- zones --------------------------------------------------------------------------------------

const zones = table(
  'zones',
  {
    zone_id: Type.Int8,
    subzone_id: Type.Int8,
    target: Type.String,
    range_name: Type.String,
    database_name: Type.String,
    schema_name: Type.String,
    table_name: Type.String,
    index_name: Type.String,
    partition_name: Type.String,
    raw_config_yaml: Type.String,
    raw_config_sql: Type.String,
    raw_config_protobuf: Type.Bytes,
    full_config_yaml: Type.String,
    full_config_sql: Type.String,
  },
  async (view) => {
    const set = await ZoneSet.read(view.context.reader, view.snapshot);
    const rows = [];
    for (const stored of [...set.zones()].sort((a, b) => a.id - b.id)) {
      for (const target of zoneTargets(stored, view)) {
        const own = set.own(target);
        if (own === undefined) continue;
        const name = set.nameOf(target);
        rows.push({
          zone_id: stored.id,
          subzone_id: target.kind === 'index' || target.kind === 'partition' ? target.indexId : 0,
          target: name,
          ...zoneNames(target, view),
          raw_config_sql: zoneSql(name, own),
          full_config_sql: zoneSql(name, set.effective(target)),
        });
      }
    }
    return rows;
  },
);

/** What a row of system.zones is about; nothing when its object is gone. */
function zoneTargets({ id, indexes, partitions }: StoredZone, view: CatalogView): ZoneTarget[] {
  for (const [name, rangeId] of Object.entries(RANGE_ZONE_IDS)) {
    if (rangeId === id) return [{ kind: 'range', name: name as keyof typeof RANGE_ZONE_IDS }];
  }
  const descriptor = view.snapshot.byId(id);
  if (descriptor?.kind === 'database') return [{ kind: 'database', id }];
  if (descriptor?.kind !== 'table') return [];
  return [
    { kind: 'table', id },
    ...Object.keys(indexes).map((indexId): ZoneTarget => ({ kind: 'index', id, indexId: Number(indexId) })),
    ...Object.entries(partitions).flatMap(([indexId, ofRegions]) =>
      Object.keys(ofRegions).map((region): ZoneTarget => ({ kind: 'partition', id, indexId: Number(indexId), region })),
    ),
  ];
}

function zoneNames(target: ZoneTarget, view: CatalogView) {
  if (target.kind === 'range') return { range_name: target.name };
  if (target.kind === 'database') return { database_name: view.snapshot.databaseById(target.id)?.name };
  const descriptor = view.snapshot.tableById(target.id);
  if (!descriptor) return {};
  const [database_name, schema_name, table_name] = view.snapshot.fullName(descriptor);
  const index =
    target.kind === 'index' || target.kind === 'partition'
      ? allIndexes(descriptor).find((candidate) => candidate.id === target.indexId)
      : undefined;
  return {
    database_name,
    schema_name,
    table_name,
    index_name: index?.name,
    partition_name: target.kind === 'partition' ? target.region : undefined,
  };
}

export const catalogTables = [createStatements, databases, indexColumns, tableColumns, tableIndexes, tables, zones];
