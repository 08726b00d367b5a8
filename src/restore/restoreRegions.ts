/**
 * Regions in a restore: whether those of the backup are here, and what becomes of them.
 *
 *   G1  the regions of restored databases and region columns have to be regions of this cluster's live nodes, unless
 *       skip_localities_check says that they need not
 *   G2  remove_regions makes databases without regions: their types stay as plain enums, tables lose their localities
 *   G3  a database of the backup without regions gets the cluster's default primary region, if it has one
 *   G4  a table goes into a database with regions if that has those that the table names; into one without them if the
 *       table had none
 *
 * Zones are not restored but made anew, when all is published (publish.ts).
 */
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import { MIN_TIMESTAMP } from '../base/timestamp.ts';
import type { DatabaseDescriptor, TableDescriptor, TypeDescriptor } from '../catalog/descriptor.ts';
import { PUBLIC_SCHEMA_ID } from '../catalog/descriptor.ts';
import { firstRepresentations } from '../catalog/enumType.ts';
import { typePrivileges } from '../catalog/privileges.ts';
import { clusterRegions, localityOf, REGION_TYPE_NAME, regionsOf } from '../catalog/regions.ts';
import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import type { Kv } from '../kv/kv.ts';

import type { Report } from './problems.ts';
import type { RestoreTargets } from './restoreTargets.ts';

export interface RegionOptions {
  readonly skipsLocalities: boolean;
  readonly removesRegions: boolean;
  /** sql.defaults.primary_region; empty for none. */
  readonly defaultRegion: string;
  readonly notice: (message: string, more?: { readonly hint?: string }) => void;
}

const DEFAULT_REGION = 'sql.defaults.primary_region';

/** The targets with the regions that they are to have here. Reports what does not go (G1 to G3). */
export function withRegionsHere(
  targets: RestoreTargets,
  backup: CatalogSnapshot,
  kv: Pick<Kv, 'cluster'>,
  options: RegionOptions,
  report: Report,
): RestoreTargets {
  if (options.removesRegions) return withoutRegions(targets, report);
  const live = [...clusterRegions(kv.cluster.nodes.filter((node) => node.isLive).map(({ locality }) => locality)).keys()];
  if (!options.skipsLocalities) checkLocalities(targets, live, report);
  return withDefaultRegion(targets, backup, live, options, report);
}

function checkLocalities({ types }: RestoreTargets, live: readonly string[], report: Report): void {
  const wanted = new Set(types.flatMap(({ isRegions, members }) => (isRegions ? members : [])));
  const missing = [...wanted].filter((region) => !live.includes(region)).sort();
  if (missing.length === 0) return;
  report(
    new StatementError(
      SqlState.ObjectNotInPrerequisiteState,
      `detected a mismatch in regions between the restore cluster and the backup cluster, missing regions detected: ${missing.join(', ')}.`,
      {
        hint: 'there are two ways you can resolve this issue: 1) update the cluster to which you\'re restoring to ensure that the regions present on the nodes\' --locality flags match those present in the backup image, or 2) restore with the "skip_localities_check" option',
      },
    ),
  );
}

function withoutRegions(targets: RestoreTargets, report: Report): RestoreTargets {
  const byRow = targets.tables.find(({ locality }) => locality?.kind === 'row');
  if (byRow) {
    report(
      new StatementError(
        SqlState.FeatureNotSupported,
        `cannot perform a remove_regions RESTORE with region by row enabled table ${byRow.name} in BACKUP target`,
      ),
    );
  }
  return {
    ...targets,
    databases: targets.databases.map(({ regions: _regions, ...database }) => database),
    types: targets.types.map(({ isRegions: _isRegions, ...type }) => type),
    tables: targets.tables.map(({ locality: _locality, ...table }) => table),
  };
}

function withDefaultRegion(
  targets: RestoreTargets,
  backup: CatalogSnapshot,
  live: readonly string[],
  { defaultRegion, notice }: RegionOptions,
  report: Report,
): RestoreTargets {
  const plain = targets.databases.filter(({ regions }) => regions === undefined);
  if (defaultRegion === '' || plain.length === 0) return targets;
  if (!live.includes(defaultRegion)) {
    report(
      new StatementError(SqlState.InvalidName, `region "${defaultRegion}" does not exist`, {
        hint: `valid regions: ${live.join(', ')}\n--\nset the default PRIMARY REGION to a region that exists (see SHOW REGIONS FROM CLUSTER) then using SET CLUSTER SETTING ${DEFAULT_REGION} = 'region'`,
      }),
    );
    return targets;
  }
  // The types are new, and have ids that nothing in the backup has.
  let nextId = Math.max(0, ...[...backup.all()].map(({ id }) => id + 1)) + 1;
  const types: TypeDescriptor[] = [];
  const databases = targets.databases.map((database): DatabaseDescriptor => {
    if (database.regions !== undefined) return database;
    notice(`setting the PRIMARY REGION as ${defaultRegion} on database ${database.name}`, {
      hint: `to change the default primary region, use SET CLUSTER SETTING ${DEFAULT_REGION} = 'region' or use RESET CLUSTER SETTING ${DEFAULT_REGION} to disable this behavior`,
    });
    const typeId = nextId;
    nextId += 2;
    types.push(regionType(typeId, database, defaultRegion));
    return { ...database, regions: { typeId, primaryRegion: defaultRegion, survivalGoal: 'zone' } };
  });
  return { ...targets, databases, types: [...targets.types, ...types] };
}

function regionType(id: number, database: DatabaseDescriptor, region: string): TypeDescriptor {
  return {
    kind: 'type',
    id,
    name: REGION_TYPE_NAME,
    parentId: database.id,
    schemaId: PUBLIC_SCHEMA_ID,
    version: 1,
    modificationTime: MIN_TIMESTAMP,
    state: 'PUBLIC',
    privileges: typePrivileges(database.privileges.owner),
    members: [region],
    physical: firstRepresentations(1),
    isRegions: true,
    referencedByIds: [],
  };
}

/** Reports a table that cannot live in the database that it is to go into (G4). `removesRegions`: it has lost its locality. */
export function checkHome(
  table: TableDescriptor,
  database: DatabaseDescriptor,
  { here, backup, removesRegions }: { readonly here: CatalogSnapshot; readonly backup: CatalogSnapshot; readonly removesRegions: boolean },
  report: Report,
): void {
  const locality = removesRegions ? undefined : localityOf(table, backup);
  if (!locality) return;
  const regions = regionsOf(database, here);
  if (!regions) {
    report(
      new StatementError(
        SqlState.FeatureNotSupported,
        `cannot restore descriptor for multi-region table ${table.name} into non-multi-region database ${database.name}`,
      ),
    );
    return;
  }
  if (locality.kind !== 'table' || locality.region === undefined || regions.names.includes(locality.region)) return;
  report(
    new StatementError(
      SqlState.InvalidParameterValue,
      `cannot restore REGIONAL BY TABLE ${table.name} IN REGION "${locality.region}" (table ID: ${table.id}) into database "${database.name}"; region "${locality.region}" not found in database regions ${regions.names.map((region) => `"${region}"`).join(', ')}`,
    ),
  );
}

/**
 * Why the region type of a backup cannot be that of a database here: each of its regions has to be there, and be stored the
 * same way, which it is when regions were added in the same order. Undefined when it can.
 */
export function regionTypeMismatch(type: TypeDescriptor, found: TypeDescriptor): string | undefined {
  if (!found.isRegions) return `"${found.name}" of type "ENUM" is not compatible with type "MULTIREGION_ENUM"`;
  for (const [i, member] of type.members.entries()) {
    const at = found.members.indexOf(member);
    if (at < 0) return `could not find enum value "${member}" in "${found.name}"`;
    if (found.physical[at] !== type.physical[i]) return `"${found.name}" has differing physical representation for value "${member}"`;
  }
  return undefined;
}
