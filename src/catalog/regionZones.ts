/**
 * The zones of a multi-region database and its tables, written as its regions decide them (regions.ts), and compared with
 * what they would decide: a variable that somebody set by hand is not overwritten unasked.
 */
import type { Txn } from '../kv/kv.ts';

import type { TableDescriptor, DatabaseDescriptor } from './descriptor.ts';
import {
  databaseZone,
  type DatabaseRegions,
  localityOf,
  partitionZones,
  REGION_FIELDS,
  regionsOf,
  tableZone,
  withoutRegionFields,
  withRegionFields,
} from './regions.ts';
import type { CatalogSnapshot } from './snapshot.ts';
import { ZONE_VARIABLES, type ZoneConfig } from './zoneConfig.ts';
import { putZone, type StoredZone, ZoneSet } from './zones.ts';

const isSame = (a: StoredZone, b: StoredZone): boolean => JSON.stringify(a) === JSON.stringify(b);

const storedOr = (zones: ZoneSet, id: number): StoredZone => zones.zoneOf(id) ?? { id, config: undefined, indexes: {}, partitions: {} };

/** Tables and materialized views, those being restored included: what has data. */
const withData = (database: DatabaseDescriptor, snapshot: CatalogSnapshot): TableDescriptor[] =>
  [...snapshot.all()].filter(
    (one): one is TableDescriptor =>
      one.kind === 'table' && one.parentId === database.id && one.state !== 'DROP' && (!one.view || one.view.isMaterialized === true),
  );

/** What the regions make of a table's row; of one in a database without regions, what is left when they are gone. */
function ofTable(stored: StoredZone, table: TableDescriptor, regions: DatabaseRegions | undefined, snapshot: CatalogSnapshot): StoredZone {
  const locality = regions && localityOf(table, snapshot);
  if (!regions || !locality) return { ...stored, config: withoutRegionFields(stored.config), partitions: {} };
  const indexes: Record<string, ZoneConfig> = {};
  for (const [id, config] of Object.entries(stored.indexes)) {
    const left = withoutRegionFields(config);
    if (left) indexes[id] = left;
  }
  const config = withRegionFields(stored.config, tableZone(locality, regions));
  return { ...stored, config, indexes, partitions: locality.kind === 'row' ? partitionZones(table, regions) : {} };
}

/** Writes the zones of a database and of everything in it as its regions are now. */
export async function writeRegionZones(txn: Txn, snapshot: CatalogSnapshot, database: DatabaseDescriptor): Promise<void> {
  const zones = await ZoneSet.read(txn, snapshot);
  const regions = regionsOf(database, snapshot);
  const stored = storedOr(zones, database.id);
  const config = regions ? withRegionFields(stored.config, databaseZone(regions)) : withoutRegionFields(stored.config);
  if (!isSame(stored, { ...stored, config })) await putZone(txn, { ...stored, config });
  await writeTables(txn, snapshot, zones, withData(database, snapshot), regions);
}

/** The same for some tables of one database. */
export async function writeTableZones(txn: Txn, snapshot: CatalogSnapshot, tables: readonly TableDescriptor[]): Promise<void> {
  const [first] = tables;
  if (!first) return;
  const regions = regionsOf(snapshot.databaseById(first.parentId), snapshot);
  await writeTables(txn, snapshot, await ZoneSet.read(txn, snapshot), tables, regions);
}

async function writeTables(
  txn: Txn,
  snapshot: CatalogSnapshot,
  zones: ZoneSet,
  tables: readonly TableDescriptor[],
  regions: DatabaseRegions | undefined,
): Promise<void> {
  for (const table of tables) {
    const stored = storedOr(zones, table.id);
    const next = ofTable(stored, table, regions, snapshot);
    if (!isSame(stored, next)) await putZone(txn, next);
  }
}

/** A variable that is not what the regions decide. */
export interface ModifiedField {
  /** `database d`, `table t`. */
  readonly what: string;
  readonly variable: string;
  readonly expected: string;
  readonly actual: string;
}

/** The first variable that was set by hand in the zones of a database with regions, or of what is in it. */
export async function modifiedField(txn: Txn, snapshot: CatalogSnapshot, database: DatabaseDescriptor): Promise<ModifiedField | undefined> {
  const regions = regionsOf(database, snapshot);
  const zones = await ZoneSet.read(txn, snapshot);
  const ownZone = differs(`database ${database.name}`, storedOr(zones, database.id).config, regions ? databaseZone(regions) : {});
  if (ownZone) return ownZone;
  for (const table of withData(database, snapshot)) {
    const stored = storedOr(zones, table.id);
    const expected = ofTable(stored, table, regions, snapshot);
    const found =
      differs(`table ${table.name}`, stored.config, expected.config) ??
      Object.keys({ ...expected.partitions, ...stored.partitions })
        .flatMap((indexId) => {
          const [has, wants] = [stored.partitions[indexId] ?? {}, expected.partitions[indexId] ?? {}];
          return Object.keys({ ...wants, ...has }).map((region) =>
            differs(`partition ${region} of table ${table.name}`, has[region], wants[region]),
          );
        })
        .find((one) => one !== undefined);
    if (found) return found;
  }
  return undefined;
}

function differs(what: string, actual: ZoneConfig = {}, expected: ZoneConfig = {}): ModifiedField | undefined {
  const shown = (value: unknown): string => (value === undefined ? 'nil' : String(value));
  const field = REGION_FIELDS.find((one) => actual[one] !== expected[one]);
  const variable = ZONE_VARIABLES.find((one) => one.field === field)?.name;
  if (field === undefined || variable === undefined) return undefined;
  return { what, variable, expected: shown(expected[field]), actual: shown(actual[field]) };
}
