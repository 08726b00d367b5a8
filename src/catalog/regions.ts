/**
 * Regions: what makes a database a multi-region one, and the zone configurations that follow from it.
 *
 * A region is a value of the nodes' `region` locality tier. A database's regions are the labels of its type
 * crdb_internal_region, in alphabetical order; its primary region, survival goal and placement stand in its descriptor. A
 * table there is REGIONAL BY TABLE IN PRIMARY REGION, a materialized view GLOBAL, unless the descriptor says otherwise.
 *
 *   survival goal   voters                          replicas
 *   zone            3, all in the home region       one more for each other region, unless placement is restricted
 *   region          5, two of them at home          one for each other region, at least 5
 *
 * The variables in REGION_FIELDS belong to the regions: whatever changes them writes the zones anew and leaves the other
 * variables alone. The rules for the numbers follow CockroachDB's documentation. Varve keeps one copy of the data, so that of
 * all this the lease preferences alone move anything: who serves it.
 */
import type { Locality } from '../kv/locality.ts';

import { allIndexes, type DatabaseDescriptor, type RegionConfig, type TableDescriptor, type TableLocality } from './descriptor.ts';
import { quoteName } from './names.ts';
import type { CatalogSnapshot } from './snapshot.ts';
import type { ZoneConfig } from './zoneConfig.ts';

/** The type of a database's regions, in its schema public. */
export const REGION_TYPE_NAME = 'crdb_internal_region';
/** The column of a row's region, unless the user names one. */
export const REGION_COLUMN_NAME = 'crdb_region';

/** Variables that the regions of a database decide. In the order of CockroachDB's checks. */
export const REGION_FIELDS = Object.freeze([
  'numReplicas',
  'numVoters',
  'constraints',
  'voterConstraints',
  'leasePreferences',
  'globalReads',
] as const satisfies readonly (keyof ZoneConfig)[]);

/** A database's regions, with everything that is said about them. */
export interface DatabaseRegions extends RegionConfig {
  /** In alphabetical order. */
  readonly names: readonly string[];
}

/** Undefined for a database without regions. */
export function regionsOf(database: DatabaseDescriptor | undefined, snapshot: CatalogSnapshot): DatabaseRegions | undefined {
  const config = database?.regions;
  const type = config && snapshot.typeById(config.typeId);
  return config && type && { ...config, names: type.members };
}

/** The locality of a table, view or sequence; undefined in a database without regions. */
export function localityOf(table: TableDescriptor, snapshot: CatalogSnapshot): TableLocality | undefined {
  if (table.locality) return table.locality;
  if (table.temporary || !snapshot.databaseById(table.parentId)?.regions) return undefined;
  return table.view?.isMaterialized ? { kind: 'global' } : { kind: 'table' };
}

/** As SHOW TABLES and the LOCALITY clause write it: `REGIONAL BY TABLE IN "us-east1"`. */
export function localityText(locality: TableLocality, table: TableDescriptor): string {
  switch (locality.kind) {
    case 'global':
      return 'GLOBAL';
    case 'table':
      return `REGIONAL BY TABLE IN ${locality.region === undefined ? 'PRIMARY REGION' : quoteName(locality.region)}`;
    case 'row': {
      const column = table.columns.find(({ id }) => id === locality.columnId)?.name ?? '';
      return locality.isNamed || column !== REGION_COLUMN_NAME ? `REGIONAL BY ROW AS ${quoteName(column)}` : 'REGIONAL BY ROW';
    }
  }
}

/** The region of a node, by its locality. */
export function regionOf(locality: Locality): string | undefined {
  return locality.tiers.find(({ key }) => key === 'region')?.value;
}

const ZONE_KEYS: ReadonlySet<string> = new Set(['zone', 'availability-zone', 'az']);

/** The regions of some nodes with the zones in them, both in alphabetical order. */
export function clusterRegions(localities: readonly Locality[]): Map<string, string[]> {
  const found = new Map<string, Set<string>>();
  for (const locality of localities) {
    const region = regionOf(locality);
    if (region === undefined) continue;
    const zones = found.get(region) ?? new Set<string>();
    found.set(region, zones);
    for (const { key, value } of locality.tiers) if (ZONE_KEYS.has(key)) zones.add(value);
  }
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([region, zones]) => [region, [...zones].sort()]));
}

// ---- zones ----------------------------------------------------------------------------------------

const VOTERS = Object.freeze({ zone: 3, region: 5 });

/** Of so many voters, how many may fail while the others still are a majority. */
const failuresMax = (voters: number): number => Math.floor((voters + 1) / 2) - 1;

const inRegion = (region: string): string => `+region=${region}`;

function replicasOf({ names, survivalGoal, isPlacementRestricted, secondaryRegion }: DatabaseRegions): number {
  const voters = VOTERS[survivalGoal];
  if (survivalGoal === 'zone') return isPlacementRestricted ? voters : voters + names.length - 1;
  const atHome = failuresMax(voters);
  const inSecond = secondaryRegion === undefined ? 0 : failuresMax(voters) - 1;
  return Math.max(voters, atHome + inSecond + names.length - 1);
}

function voterConstraintsOf(home: string, regions: DatabaseRegions): string {
  if (regions.survivalGoal === 'zone') return `[${inRegion(home)}]`;
  const count = failuresMax(VOTERS.region);
  const second = regions.secondaryRegion;
  const places = second !== undefined && home === regions.primaryRegion ? [home, second] : [home];
  return `{${places.map((region) => `${inRegion(region)}: ${count}`).join(', ')}}`;
}

/** A replica in each region. */
const everywhere = ({ names }: DatabaseRegions): string => `{${names.map((region) => `${inRegion(region)}: 1`).join(', ')}}`;

/** What the regions set in the zone of their database. */
export function databaseZone(regions: DatabaseRegions): ZoneConfig {
  const { primaryRegion, secondaryRegion } = regions;
  const leases = [primaryRegion, ...(secondaryRegion === undefined ? [] : [secondaryRegion])];
  return {
    numReplicas: replicasOf(regions),
    numVoters: VOTERS[regions.survivalGoal],
    constraints: regions.isPlacementRestricted ? '[]' : everywhere(regions),
    voterConstraints: voterConstraintsOf(primaryRegion, regions),
    leasePreferences: `[${leases.map((region) => `[${inRegion(region)}]`).join(', ')}]`,
  };
}

/** What a home in a region of its own sets: for a table, or for the rows of a REGIONAL BY ROW table that are there. */
export function homeZone(region: string, regions: DatabaseRegions): ZoneConfig {
  return {
    numVoters: VOTERS[regions.survivalGoal],
    voterConstraints: voterConstraintsOf(region, regions),
    leasePreferences: `[[${inRegion(region)}]]`,
  };
}

/** What a table's locality sets in its own zone; empty where all comes from the database. */
export function tableZone(locality: TableLocality, regions: DatabaseRegions): ZoneConfig {
  if (locality.kind === 'row') return {};
  if (locality.kind === 'table') return locality.region === undefined ? {} : homeZone(locality.region, regions);
  if (!regions.isPlacementRestricted) return { globalReads: true };
  // Read fast in every region, whatever the placement of other tables.
  const { isPlacementRestricted: _restricted, ...unrestricted } = regions;
  const { leasePreferences: _inherited, ...zone } = databaseZone(unrestricted);
  return { globalReads: true, ...zone };
}

/** The zones of the parts of a REGIONAL BY ROW table: for each index, each region's. */
export function partitionZones(table: TableDescriptor, regions: DatabaseRegions): Record<string, Record<string, ZoneConfig>> {
  const ofRegions = Object.fromEntries(regions.names.map((region) => [region, homeZone(region, regions)]));
  return Object.fromEntries(allIndexes(table).map(({ id }) => [String(id), ofRegions]));
}

/** The zone without what regions decide; undefined when nothing is left. */
export function withoutRegionFields(zone: ZoneConfig | undefined): ZoneConfig | undefined {
  if (!zone) return undefined;
  const left = Object.entries(zone).filter(([field]) => !(REGION_FIELDS as readonly string[]).includes(field));
  return left.length > 0 ? Object.fromEntries(left) : undefined;
}

/** The zone with what regions decide as they decide it. */
export function withRegionFields(zone: ZoneConfig | undefined, decided: ZoneConfig): ZoneConfig | undefined {
  const merged = { ...withoutRegionFields(zone), ...decided };
  return Object.keys(merged).length > 0 ? merged : undefined;
}
