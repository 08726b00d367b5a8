/**
 * Bootstrap: the first contents of a cluster, written in one transaction, and the services that
 * keep the catalog's state current.
 *
 * A new cluster has the system database with its tables, databases defaultdb and postgres, users
 * root and admin, and zones for RANGE default, the named ranges and the system database.
 */
import { MIN_TIMESTAMP } from '../base/timestamp.ts';
import type { Kv, Txn } from '../kv/kv.ts';

import { Catalog, newDatabase } from './catalog.ts';
import { namespaceKey } from './catalogContent.ts';
import { EventTable } from './eventTable.ts';
import { ExternalConnections } from './externalConnections.ts';
import { DEFAULTDB_ID, type Descriptor, FIRST_USER_ID, POSTGRES_ID, PUBLIC_SCHEMA_ID, SYSTEM_DATABASE_ID } from './descriptor.ts';
import { encodeDescriptor } from './descriptorCodec.ts';
import { ADMIN_ROLE, ROOT_USER } from './privileges.ts';
import { ProtectedRecords } from './protectedRecords.ts';
import { encodeSequenceValue, sequenceKey, Sequences } from './sequences.ts';
import { ZoneRangePolicy } from './rangePolicy.ts';
import { ClusterSettings, requireSetting, settingRow } from './settings.ts';
import { systemTable } from './systemRows.ts';
import { TableStatistics } from './tableStatistics.ts';
import { DESCRIPTOR_ID_SEQUENCE_ID, systemDatabase, systemTables } from './systemTables.ts';
import { DEFAULT_ZONE } from './zoneConfig.ts';
import { RANGE_ZONE_IDS, zoneRow, Zones } from './zones.ts';

/** TTL of the system database, so that descriptors outlive what they describe. */
const SYSTEM_TTL_SECONDS = 90_000;

/** Writes the first contents; false when the cluster has them already. */
export async function bootstrapCatalog(kv: Kv): Promise<boolean> {
  return kv.run(
    async (txn) => {
      const [existing] = await txn.get([namespaceKey(0, 0, 'system')]);
      if (existing !== undefined) return false;
      writeDescriptors(txn);
      writeUsers(txn);
      writeZones(txn);
      const version = requireSetting('version');
      systemTable('settings').put(txn, settingRow(version, version.default, txn.readTimestamp));
      systemTable('protected_ts_meta').put(txn, { singleton: true, version: 1, num_records: 0, num_spans: 0, total_bytes: 0 });
      txn.write([sequenceKey(DESCRIPTOR_ID_SEQUENCE_ID)], [encodeSequenceValue(FIRST_USER_ID)]);
      return true;
    },
    { name: 'bootstrap' },
  );
}

function writeDescriptors(txn: Txn): void {
  const write = (desc: Descriptor, schemaId: number) => {
    systemTable('descriptor').put(txn, { id: desc.id, descriptor: encodeDescriptor(desc) });
    systemTable('namespace').put(txn, { parentID: desc.parentId, parentSchemaID: schemaId, name: desc.name, id: desc.id });
  };
  const databases = [systemDatabase, newDatabase(DEFAULTDB_ID, 'defaultdb', ROOT_USER), newDatabase(POSTGRES_ID, 'postgres', ROOT_USER)];
  for (const database of databases) {
    write(database, 0);
    systemTable('namespace').put(txn, { parentID: database.id, parentSchemaID: 0, name: 'public', id: PUBLIC_SCHEMA_ID });
  }
  for (const { desc } of Object.values(systemTables)) write({ ...desc, modificationTime: MIN_TIMESTAMP }, PUBLIC_SCHEMA_ID);
}

function writeUsers(txn: Txn): void {
  systemTable('users').put(txn, { username: ADMIN_ROLE, hashedPassword: null, isRole: true });
  systemTable('users').put(txn, { username: ROOT_USER, hashedPassword: null, isRole: false });
  systemTable('role_members').put(txn, { role: ADMIN_ROLE, member: ROOT_USER, isAdmin: true });
}

function writeZones(txn: Txn): void {
  const zones = systemTable('zones');
  zones.put(txn, zoneRow(RANGE_ZONE_IDS.default, DEFAULT_ZONE));
  zones.put(txn, zoneRow(SYSTEM_DATABASE_ID, { gcTtlSeconds: SYSTEM_TTL_SECONDS, numReplicas: 5 }));
  zones.put(txn, zoneRow(RANGE_ZONE_IDS.meta, { gcTtlSeconds: 3600, numReplicas: 5 }));
  zones.put(txn, zoneRow(RANGE_ZONE_IDS.system, { gcTtlSeconds: SYSTEM_TTL_SECONDS, numReplicas: 5 }));
  zones.put(txn, zoneRow(RANGE_ZONE_IDS.liveness, { gcTtlSeconds: 600, numReplicas: 5 }));
}

/** What the layers above use of the catalog, over one kv. */
export interface CatalogServices {
  readonly kv: Kv;
  readonly catalog: Catalog;
  readonly zones: Zones;
  readonly settings: ClusterSettings;
  readonly protections: ProtectedRecords;
  readonly sequences: Sequences;
  readonly statistics: TableStatistics;
  readonly connections: ExternalConnections;
  readonly events: EventTable;
  close(): void;
}

/**
 * Bootstraps a new cluster, opens the services and plugs the zones into GC. For a fork of a cluster,
 * `parent` lends the contents of its catalog, zones and settings. Cost: a few milliseconds; of a fork, a few steps.
 */
export async function openCatalog(kv: Kv, parent?: CatalogServices): Promise<CatalogServices> {
  if (!parent) await bootstrapCatalog(kv);
  const catalog = parent ? parent.catalog.fork(kv) : new Catalog(kv);
  // What a fork takes over it takes before anybody can commit to the parent again.
  const settings = parent ? parent.settings.fork(kv) : await ClusterSettings.open(kv);
  const zones = parent ? parent.zones.fork(kv, catalog) : await Zones.open(kv, catalog);
  const statistics = parent ? parent.statistics.fork(kv) : await TableStatistics.open(kv);
  const connections = parent ? parent.connections.fork(kv) : await ExternalConnections.open(kv);
  const events = await EventTable.open(kv, settings);
  kv.gc.useConfigs(zones);
  kv.rangeQueue.usePolicy(new ZoneRangePolicy(zones));
  zones.onZoneChange(() => kv.rangeQueue.policyChanged());
  const applyInterval = () => {
    kv.gc.intervalMicros = settings.number('varve.gc.interval');
  };
  applyInterval();
  settings.onChange('varve.gc.interval', applyInterval);
  const protections = await ProtectedRecords.open(kv, () => ({
    maxBytes: settings.number('kv.protectedts.max_bytes'),
    maxTargets: settings.number('kv.protectedts.max_spans'),
  }));
  return {
    kv,
    catalog,
    zones,
    settings,
    protections,
    sequences: new Sequences(kv),
    statistics,
    connections,
    events,
    close: () => {
      events.close();
      connections.close();
      statistics.close();
      protections.close();
      zones.close();
      settings.close();
      catalog.close();
    },
  };
}
