/** SHOW REGIONS, SHOW SURVIVAL GOAL, SHOW PARTITIONS, and what other SHOW statements tell of regions. */
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { Datum } from '../../catalog/datum.ts';
import { allIndexes, columnById, type DatabaseDescriptor, type TableDescriptor } from '../../catalog/descriptor.ts';
import { hasAnyPrivilege } from '../../catalog/privileges.ts';
import { clusterRegions, localityOf, localityText, regionsOf } from '../../catalog/regions.ts';
import type { CatalogSnapshot } from '../../catalog/snapshot.ts';
import { arrayOf, type ColumnType, Type } from '../../catalog/type.ts';
import { zoneSql } from '../../catalog/zoneConfig.ts';
import { ZoneSet, type ZoneTarget } from '../../catalog/zones.ts';
import type { Show } from '../parse/ast.ts';
import type { RunContext } from './context.ts';
import { SchemaChange } from './ddl/common.ts';
import { text, textOrNull } from './virtual/support.ts';

type RegionShow = Extract<Show, { what: 'regions' | 'survivalGoal' | 'partitions' }>;

const Texts = arrayOf(Type.String);

/** By what is shown. */
export const REGION_COLUMNS = {
  cluster: { region: Type.String, zones: Texts },
  database: { database: Type.String, region: Type.String, primary: Type.Bool, secondary: Type.Bool, zones: Texts },
  allDatabases: { database_name: Type.String, regions: Texts, primary_region: Type.String, secondary_region: Type.String },
  everything: { region: Type.String, zones: Texts, database_names: Texts, primary_region_of: Texts, secondary_region_of: Texts },
  survivalGoal: { database: Type.String, survival_goal: Type.String },
  partitions: {
    database_name: Type.String,
    table_name: Type.String,
    partition_name: Type.String,
    parent_partition: Type.String,
    column_names: Type.String,
    index_name: Type.String,
    partition_value: Type.String,
    zone_config: Type.String,
    full_zone_config: Type.String,
  },
} as const satisfies Readonly<Record<string, Readonly<Record<string, ColumnType>>>>;

export function regionView(stmt: RegionShow): keyof typeof REGION_COLUMNS {
  return stmt.what === 'regions' ? (stmt.of ?? 'everything') : stmt.what;
}

/** primary_region, secondary_region, regions and survival_goal of SHOW DATABASES. */
export function regionCells(database: DatabaseDescriptor, snapshot: CatalogSnapshot): [Datum, Datum, Datum, Datum] {
  const regions = regionsOf(database, snapshot);
  if (!regions) return [null, null, [], null];
  return [text(regions.primaryRegion), text(regions.secondaryRegion ?? ''), regions.names.map(text), text(regions.survivalGoal)];
}

export function localityCell(table: TableDescriptor, snapshot: CatalogSnapshot): Datum {
  const locality = localityOf(table, snapshot);
  return locality ? text(localityText(locality, table)) : null;
}

export async function showRegions(context: RunContext, stmt: RegionShow): Promise<Datum[][]> {
  if (stmt.what === 'partitions') return showPartitions(context, stmt);
  const snapshot = await context.catalog();
  const roles = await context.roles();
  const nodes = context.engine.kv.cluster.nodes.filter((node) => node.isLive);
  const zones = clusterRegions(nodes.map(({ locality }) => locality));
  const zonesOf = (region: string): Datum => (zones.get(region) ?? []).map(text);
  const databases = snapshot.allDatabases().filter(({ privileges }) => hasAnyPrivilege(roles, privileges));
  if (stmt.what === 'regions' && stmt.of === 'cluster') return [...zones.keys()].map((region) => [text(region), zonesOf(region)]);
  if (stmt.what === 'regions' && stmt.of === 'allDatabases') {
    return databases.map((database) => {
      const [primary, secondary, names] = regionCells(database, snapshot);
      return [text(database.name), names, primary, secondary];
    });
  }
  if (stmt.what === 'regions' && stmt.of === undefined) {
    const having = (test: (regions: NonNullable<ReturnType<typeof regionsOf>>) => boolean): Datum =>
      databases.flatMap((database) => {
        const regions = regionsOf(database, snapshot);
        return regions && test(regions) ? [text(database.name)] : [];
      });
    return [...zones.keys()].map((region) => [
      text(region),
      zonesOf(region),
      having(({ names }) => names.includes(region)),
      having(({ primaryRegion }) => primaryRegion === region),
      having(({ secondaryRegion }) => secondaryRegion === region),
    ]);
  }
  const name = stmt.database?.text ?? context.names.currentDatabase;
  if (name === '') throw new StatementError(SqlState.InvalidCatalogName, 'no database specified');
  const database = snapshot.requireDatabase(name);
  const regions = regionsOf(database, snapshot);
  if (stmt.what === 'survivalGoal') return [[text(name), textOrNull(regions?.survivalGoal)]];
  if (!regions) return [];
  const { primaryRegion, secondaryRegion, names } = regions;
  return [primaryRegion, ...names.filter((region) => region !== primaryRegion)].map((region) => [
    text(name),
    text(region),
    region === primaryRegion,
    region === secondaryRegion,
    zonesOf(region),
  ]);
}

/** The parts of a REGIONAL BY ROW table: one of each region in each index. Others have none. */
async function showPartitions(context: RunContext, stmt: Extract<RegionShow, { what: 'partitions' }>): Promise<Datum[][]> {
  const change = await SchemaChange.begin(context);
  const table = change.table(stmt.table);
  const database = change.snapshot.databaseById(table.parentId);
  const regions = regionsOf(database, change.snapshot);
  if (table.locality?.kind !== 'row' || !regions) return [];
  const column = columnById(table, table.locality.columnId)?.name ?? '';
  const zones = await ZoneSet.read(context.reader, change.snapshot);
  // Only what comes after USING: the rest of the statement stands in the other columns.
  const variables = (target: ZoneTarget, config: Parameters<typeof zoneSql>[1]): string =>
    zoneSql(zones.nameOf(target), config).split('\n').slice(1).map((line) => line.trim()).join('\n'); // biome-ignore format: one line
  return allIndexes(table).flatMap((index) =>
    regions.names.map((region): Datum[] => {
      const target: ZoneTarget = { kind: 'partition', id: table.id, indexId: index.id, region };
      const own = zones.own(target);
      return [
        text(database?.name ?? ''),
        text(table.name),
        text(region),
        null,
        text(column),
        text(`${table.name}@${index.name}`),
        text(`('${region.replaceAll("'", "''")}')`),
        own ? text(variables(target, own)) : null,
        text(variables(target, zones.effective(target))),
      ];
    }),
  );
}
