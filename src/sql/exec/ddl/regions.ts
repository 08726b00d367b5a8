/**
 * CREATE and ALTER DATABASE, as far as they are about regions.
 *
 * The regions are the labels of an enum, so that tables can have columns of it: adding and dropping one is ALTER TYPE, with
 * the zones written anew after it (catalog/regionZones.ts). Lives elsewhere: where tables are at home (localities.ts).
 */
import { StateError, StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import { MIN_TIMESTAMP } from '../../../base/timestamp.ts';
import {
  type DatabaseDescriptor,
  type RegionConfig,
  SYSTEM_DATABASE_ID,
  type TableDescriptor,
  type TypeDescriptor,
  updated,
} from '../../../catalog/descriptor.ts';
import { firstRepresentations, representationBetween, typeIdsUsed } from '../../../catalog/enumType.ts';
import { quoteName, quoteNames } from '../../../catalog/names.ts';
import { clusterRegions, type DatabaseRegions, localityOf, REGION_TYPE_NAME, regionsOf } from '../../../catalog/regions.ts';
import { modifiedField, writeRegionZones } from '../../../catalog/regionZones.ts';
import type { AlterDatabase, DatabaseRegionsClause } from '../../parse/ast.ts';
import type { RunContext } from '../context.ts';
import type { SchemaChange } from './common.ts';
import { newPrivileges } from './newPrivileges.ts';
import { removeLabel, writeType } from './enumLabels.ts';

type Action = AlterDatabase['action'];
export type RegionAction = Exclude<Action, { readonly type: 'rename' | 'owner' | 'set' | 'reset' }>;

const DEFAULT_REGION = 'sql.defaults.primary_region';
const REGIONS_TO_SURVIVE = 3;

const refuse = (code: SqlState, message: string, hint?: string): never => {
  throw new StatementError(code, message, hint === undefined ? {} : { hint });
};
const quoted = (region: string): string => `"${region}"`;

/** The regions of the live nodes, in order. */
export function liveRegions(context: RunContext): string[] {
  const nodes = context.engine.kv.cluster.nodes.filter((node) => node.isLive);
  return [...clusterRegions(nodes.map(({ locality }) => locality)).keys()];
}

/** 42602 unless a live node is in the region. `hint` comes after the list of those that there are. */
export function requireLive(context: RunContext, region: string, hint?: string): void {
  const live = liveRegions(context);
  if (live.includes(region)) return;
  const valid = `valid regions: ${live.join(', ')}`;
  refuse(SqlState.InvalidName, `region ${quoted(region)} does not exist`, hint === undefined ? valid : `${valid}\n--\n${hint}`);
}

function requireEnough(goal: 'zone' | 'region', count: number): void {
  if (goal === 'zone' || count >= REGIONS_TO_SURVIVE) return;
  refuse(
    SqlState.InvalidParameterValue,
    `at least ${REGIONS_TO_SURVIVE} regions are required for surviving a region failure`,
    'you must add additional regions to the database or change the survivability goal',
  );
}

function requirePlacementAllowed(context: RunContext): void {
  if (context.session.vars.isOn('enable_multiregion_placement_policy')) return;
  refuse(
    SqlState.FeatureNotSupported,
    'PLACEMENT requires that the session setting enable_multiregion_placement_policy is enabled',
    'to use PLACEMENT, enable the session setting with SET enable_multiregion_placement_policy = true or enable the cluster setting sql.defaults.multiregion_placement_policy.enabled',
  );
}

const RESTRICTED_ONLY_ZONE = 'PLACEMENT RESTRICTED may only be used with SURVIVE ZONE FAILURE';

// ---- CREATE DATABASE ------------------------------------------------------------------------------

interface Wanted {
  readonly names: readonly string[];
  readonly config: Omit<RegionConfig, 'typeId'>;
}

/** What the clauses ask for, the cluster's default included; undefined for a database without regions. */
export function wantedRegions(context: RunContext, clause: DatabaseRegionsClause): Wanted | undefined {
  const { names = [], survive = 'zone', placement, secondary } = clause;
  const byDefault = String(context.engine.settings.get(DEFAULT_REGION));
  const primaryRegion = clause.primary?.text ?? byDefault;
  if (primaryRegion === '') {
    const required = (when: string) => refuse(SqlState.InvalidDatabaseDefinition, `PRIMARY REGION must be specified ${when}`);
    if (clause.survive) required('when using SURVIVE');
    if (clause.placement) required('when using PLACEMENT');
    if (clause.secondary) required('when using SECONDARY REGION');
    if (names.length > 0) required('if REGIONS are specified');
    return undefined;
  }
  if (placement !== undefined) requirePlacementAllowed(context);
  if (clause.primary === undefined) {
    context.notice(`defaulting to 'WITH PRIMARY REGION ${quoteName(byDefault)}' as no primary region was specified`);
  }
  const found = new Set<string>();
  for (const { text } of names) {
    if (found.has(text)) refuse(SqlState.InvalidName, `region ${quoted(text)} defined multiple times`);
    found.add(text);
  }
  const all = [...found.add(primaryRegion)].sort();
  const defaultHint = `set the default PRIMARY REGION to a region that exists (see SHOW REGIONS FROM CLUSTER) then using SET CLUSTER SETTING ${DEFAULT_REGION} = 'region'`;
  requireLive(context, primaryRegion, clause.primary === undefined ? defaultHint : undefined);
  for (const region of all) requireLive(context, region);
  requireEnough(survive, all.length);
  if (placement === 'restricted' && survive === 'region') {
    refuse(
      SqlState.InvalidParameterValue,
      'a region-survivable database cannot also have a restricted placement policy',
      RESTRICTED_ONLY_ZONE,
    );
  }
  if (secondary !== undefined) requireSecondary(secondary.text, primaryRegion, all);
  return {
    names: all,
    config: {
      primaryRegion,
      survivalGoal: survive,
      ...(placement === 'restricted' && { isPlacementRestricted: true }),
      ...(secondary !== undefined && { secondaryRegion: secondary.text }),
    },
  };
}

/** Makes a database a multi-region one: its type, its configuration, its zones. */
export async function addRegions(change: SchemaChange, database: DatabaseDescriptor, { names, config }: Wanted): Promise<void> {
  const schema = change.snapshot.requireSchema(database, 'public');
  const typeId = await change.context.engine.catalog.allocateIds(2);
  const type: TypeDescriptor = {
    kind: 'type',
    id: typeId,
    name: REGION_TYPE_NAME,
    parentId: database.id,
    schemaId: schema.id,
    version: 1,
    modificationTime: MIN_TIMESTAMP,
    state: 'PUBLIC',
    privileges: newPrivileges('type', database.privileges.owner, schema),
    members: names,
    physical: firstRepresentations(names.length),
    isRegions: true,
    referencedByIds: [],
  };
  await change.writeName(database.id, schema.id, REGION_TYPE_NAME, typeId);
  await change.write(updated(database, { regions: { typeId, ...config } }), type);
  await rezone(change, database);
}

/** Writes the zones after a change of the regions. */
async function rezone(change: SchemaChange, { id }: DatabaseDescriptor): Promise<void> {
  const database = change.snapshot.databaseById(id);
  if (database) await writeRegionZones(change.txn, change.snapshot, database);
}

// ---- ALTER DATABASE -------------------------------------------------------------------------------

export async function alterRegions(change: SchemaChange, database: DatabaseDescriptor, action: RegionAction): Promise<void> {
  if (database.id === SYSTEM_DATABASE_ID) {
    if (!change.context.engine.settings.bool('sql.multiregion.system_database_multiregion.enabled')) {
      refuse(SqlState.FeatureNotSupported, 'adding a primary region to the system database is not supported');
    }
    change.requireAdmin('alter the system database');
  } else change.check(database, 'CREATE');
  const regions = regionsOf(database, change.snapshot);
  if (!regions) {
    if (action.type === 'primaryRegion') return firstRegion(change, database, action.region.text);
    return refuseWithoutRegions(change, database, action);
  }
  await refuseModified(change, database);
  switch (action.type) {
    case 'primaryRegion':
      return setPrimary(change, database, regions, action.region.text);
    case 'secondaryRegion':
      requireSecondary(action.region.text, regions.primaryRegion, regions.names, database);
      return configure(change, database, { secondaryRegion: action.region.text });
    case 'dropSecondaryRegion':
      if (regions.secondaryRegion === undefined && !action.ifExists) {
        refuse(SqlState.InvalidDatabaseDefinition, `database ${quoteName(database.name)} doesn't have a secondary region defined`);
      }
      return configure(change, database, { secondaryRegion: undefined });
    case 'addRegion':
      return addRegion(change, database, regions, action);
    case 'dropRegion':
      return dropRegion(change, database, regions, action);
    case 'survive':
      requireEnough(action.goal, regions.names.length);
      if (action.goal === 'region' && regions.isPlacementRestricted) {
        refuse(
          SqlState.InvalidParameterValue,
          'a region-survivable database cannot also have a restricted placement policy',
          RESTRICTED_ONLY_ZONE,
        );
      }
      return configure(change, database, { survivalGoal: action.goal });
    case 'placement':
      requirePlacementAllowed(change.context);
      if (action.placement === 'restricted' && regions.survivalGoal === 'region') {
        refuse(
          SqlState.InvalidParameterValue,
          'a region-survivable database cannot also have a restricted placement policy',
          RESTRICTED_ONLY_ZONE,
        );
      }
      return configure(change, database, { isPlacementRestricted: action.placement === 'restricted' ? true : undefined });
  }
}

type Changes = { readonly [K in keyof RegionConfig]?: RegionConfig[K] | undefined };

async function configure(change: SchemaChange, database: DatabaseDescriptor, changes: Changes): Promise<void> {
  const kept = Object.entries({ ...database.regions, ...changes }).filter(([, value]) => value !== undefined);
  await change.write(updated(database, { regions: Object.fromEntries(kept) as unknown as RegionConfig }));
  await rezone(change, database);
}

function refuseWithoutRegions(change: SchemaChange, database: DatabaseDescriptor, action: RegionAction): void {
  const name = quoteName(database.name);
  const first = `you must first add a primary region to the database using ALTER DATABASE ${name} PRIMARY REGION <region_name>`;
  switch (action.type) {
    case 'addRegion':
      refuse(
        SqlState.InvalidDatabaseDefinition,
        `cannot add region ${quoted(action.region.text)} to database ${name}`,
        `you must add a PRIMARY REGION first using ALTER DATABASE ${name} PRIMARY REGION ${quoteName(action.region.text)}`,
      );
      break;
    case 'dropRegion':
      if (!action.ifExists) refuse(SqlState.InvalidDatabaseDefinition, 'database has no regions to drop');
      change.context.notice('database has no regions to drop; skipping');
      break;
    case 'survive':
      refuse(SqlState.InvalidDatabaseDefinition, 'database must have associated regions before a survival goal can be set', first);
      break;
    case 'placement':
      requirePlacementAllowed(change.context);
      refuse(SqlState.InvalidDatabaseDefinition, 'database must have associated regions before a placement policy can be set', first);
      break;
    default:
      refuse(SqlState.InvalidDatabaseDefinition, 'database must have associated regions before a secondary region can be set', first);
  }
}

/** 42P17 when a variable that the regions decide was set by hand, unless it may be overwritten. */
async function refuseModified(change: SchemaChange, database: DatabaseDescriptor): Promise<void> {
  if (change.context.session.vars.isOn('override_multi_region_zone_config')) return;
  const found = await modifiedField(change.txn, change.snapshot, database);
  if (!found) return;
  throw new StatementError(
    SqlState.InvalidObjectDefinition,
    `attempting to update zone configuration for ${found.what} which contains modified field "${found.variable}"`,
    {
      detail: 'the attempted operation will overwrite a user modified field',
      hint: 'to proceed with the overwrite, SET override_multi_region_zone_config = true, and reissue the statement',
    },
  );
}

/** The first region of a database: what was in it is at home there from now on. */
async function firstRegion(change: SchemaChange, database: DatabaseDescriptor, region: string): Promise<void> {
  requireLive(change.context, region);
  // The system database has more replicas than others from the start.
  const found = database.id === SYSTEM_DATABASE_ID ? undefined : await modifiedField(change.txn, change.snapshot, database);
  if (found && !change.context.session.vars.isOn('override_multi_region_zone_config')) {
    refuse(
      SqlState.InvalidObjectDefinition,
      `zone configuration for ${found.what} has field "${found.variable}" set which will be overwritten when setting the the initial PRIMARY REGION (expected=${found.expected} actual=${found.actual})`,
      'discard the zone config using CONFIGURE ZONE DISCARD before continuing',
    );
  }
  const schema = change.snapshot.requireSchema(database, 'public');
  if (change.snapshot.lookup(database.id, schema.id, REGION_TYPE_NAME) !== undefined) {
    const name = [database.name, 'public', REGION_TYPE_NAME].join('.');
    throw new StatementError(SqlState.DuplicateObject, `type ${quoted(name)} already exists`, {
      detail: `multi-region databases employ an internal enum called ${REGION_TYPE_NAME} to manage regions which conflicts with the existing object`,
      hint: `object "${REGION_TYPE_NAME}s" must be renamed or dropped before adding the primary region`,
    });
  }
  await addRegions(change, database, { names: [region], config: { primaryRegion: region, survivalGoal: 'zone' } });
}

async function setPrimary(change: SchemaChange, database: DatabaseDescriptor, regions: DatabaseRegions, region: string): Promise<void> {
  if (!regions.names.includes(region)) {
    refuse(
      SqlState.InvalidName,
      `region ${quoted(region)} has not been added to the database`,
      `you must add the region to the database before setting it as primary region, using ALTER DATABASE ${quoteName(database.name)} ADD REGION ${quoteName(region)}`,
    );
  }
  // What was the second one cannot be first and second.
  return configure(change, database, { primaryRegion: region, ...(regions.secondaryRegion === region && { secondaryRegion: undefined }) });
}

function requireSecondary(region: string, primary: string, names: readonly string[], database?: DatabaseDescriptor): void {
  if (region === primary) {
    refuse(
      SqlState.InvalidDatabaseDefinition,
      `region ${quoted(region)} is currently the primary region`,
      'the secondary region must be another region of the database',
    );
  }
  if (names.includes(region)) return;
  refuse(
    SqlState.InvalidDatabaseDefinition,
    `region ${quoted(region)} has not been added to the database`,
    database &&
      `you must add the region to the database before setting it as secondary region, using ALTER DATABASE ${quoteName(database.name)} ADD REGION ${quoteName(region)}`,
  );
}

async function addRegion(
  change: SchemaChange,
  database: DatabaseDescriptor,
  regions: DatabaseRegions,
  action: Extract<RegionAction, { type: 'addRegion' }>,
): Promise<void> {
  const region = action.region.text;
  const type = change.snapshot.typeById(regions.typeId);
  if (!type) return;
  if (type.members.includes(region)) {
    if (!action.ifNotExists) refuse(SqlState.DuplicateObject, `region ${quoted(region)} already added to database`);
    change.context.notice(`region ${quoted(region)} already added to database; skipping`);
    return;
  }
  requireLive(change.context, region);
  const after = type.members.findIndex((member) => member > region);
  const at = after < 0 ? type.members.length : after;
  const put = <T>(list: readonly T[], item: T): T[] => [...list.slice(0, at), item, ...list.slice(at)];
  const representation = representationBetween(type.physical[at - 1], type.physical[at]);
  await writeType(change, updated(type, { members: put(type.members, region), physical: put(type.physical, representation) }));
  await rezone(change, database);
}

async function dropRegion(
  change: SchemaChange,
  database: DatabaseDescriptor,
  regions: DatabaseRegions,
  action: Extract<RegionAction, { type: 'dropRegion' }>,
): Promise<void> {
  const region = action.region.text;
  const type = change.snapshot.typeById(regions.typeId);
  if (!type) return;
  if (!regions.names.includes(region)) {
    if (!action.ifExists) refuse(SqlState.UndefinedObject, `region ${quoted(region)} has not been added to the database`);
    change.context.notice(`region ${quoted(region)} has not been added to the database; skipping`);
    return;
  }
  if (region === regions.primaryRegion) {
    if (regions.names.length === 1) return dropLastRegion(change, database, type);
    refuse(
      SqlState.InvalidDatabaseDefinition,
      `cannot drop region ${quoted(region)}`,
      `You must designate another region as the primary region using ALTER DATABASE ${quoteName(database.name)} PRIMARY REGION <region name> or remove all other regions before attempting to drop region ${quoted(region)}`,
    );
  }
  if (region === regions.secondaryRegion) {
    refuse(
      SqlState.InvalidDatabaseDefinition,
      `cannot drop region ${quoted(region)}`,
      `You must designate another region as the secondary region using ALTER DATABASE ${quoteName(database.name)} SET SECONDARY REGION <region name> or remove the secondary region using ALTER DATABASE ${quoteName(database.name)} DROP SECONDARY REGION in order to drop region ${quoted(region)}`,
    );
  }
  requireEnough(regions.survivalGoal, regions.names.length - 1);
  for (const table of change.snapshot.tablesOf(database.id, { withTemporary: true })) {
    if (table.locality?.kind !== 'table' || table.locality.region !== region) continue;
    throw new StateError(
      SqlState.DependentObjectsStillExist,
      `could not remove enum value ${quoted(region)} as it is the home region for table ${quoted(table.name)}`,
    );
  }
  await removeLabel(change, type, region);
  await rezone(change, database);
}

/** The database is none of regions any more. */
async function dropLastRegion(change: SchemaChange, database: DatabaseDescriptor, type: TypeDescriptor): Promise<void> {
  const { catalog, settings } = change.context.engine;
  if (database.id === SYSTEM_DATABASE_ID) {
    refuse(SqlState.FeatureNotSupported, 'dropping the last region of the system database is not supported');
  }
  if (!settings.bool('sql.multiregion.drop_primary_region.enabled')) {
    refuse(
      SqlState.InvalidDatabaseDefinition,
      'databases in this cluster must have at least 1 region',
      `to drop all regions from your database, turn on sql.multiregion.drop_primary_region.enabled`,
    );
  }
  const tables = change.snapshot.tablesOf(database.id, { withTemporary: true });
  const isBound = (table: TableDescriptor): boolean => {
    const locality = localityOf(table, change.snapshot);
    return (
      locality?.kind === 'row' || (locality?.kind === 'table' && locality.region !== undefined) || typeIdsUsed(table).includes(type.id)
    );
  };
  const bound = tables.filter(isBound).map((table) => quoteNames(change.snapshot.fullName(table)));
  if (bound.length > 0) {
    throw new StateError(
      SqlState.DependentObjectsStillExist,
      `error removing primary region from database ${database.name}: cannot drop type "${type.name}" because other objects ([${bound.join(' ')}]) still depend on it`,
    );
  }
  const { regions: _gone, ...plain } = database;
  const homeless = tables.filter(({ locality }) => locality !== undefined).map(({ locality: _home, ...table }) => table);
  await change.write(plain, ...homeless);
  await change.deleteName(type.parentId, type.schemaId, type.name);
  await catalog.lock(change.txn, [type.id]);
  catalog.deleteDescriptor(change.txn, type.id);
  await change.refresh();
  await rezone(change, database);
}
