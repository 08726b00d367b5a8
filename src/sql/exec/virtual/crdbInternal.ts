/**
 * crdb_internal: what Varve tells of itself under CockroachDB's names.
 */
import type { Datum } from '../../../catalog/datum.ts';
import { printSetting } from '../../../catalog/settings.ts';
import { ZoneSet } from '../../../catalog/zones.ts';
import type { VirtualTable } from '../../plan/virtualTable.ts';
import { columns, text, textOrNull, Type } from './support.ts';

type Table = Omit<VirtualTable, 'oid'>;

export const crdbInternalTables: readonly Table[] = [
  {
    schema: 'crdb_internal',
    name: 'tables',
    columns: columns({
      table_id: Type.Int8,
      parent_id: Type.Int8,
      name: Type.String,
      database_name: Type.String,
      version: Type.Int8,
      mod_time: Type.Timestamp,
      state: Type.String,
      schema_name: Type.String,
      drop_time: Type.Timestamp,
    }),
    rows: async (context) => {
      const snapshot = await context.catalog();
      const rows: Datum[][] = [];
      for (const table of snapshot.all()) {
        if (table.kind !== 'table') continue;
        const [database, schema] = snapshot.fullName(table);
        rows.push([
          table.id,
          table.parentId,
          text(table.name),
          textOrNull(database),
          table.version,
          table.modificationTime,
          text(table.state),
          textOrNull(schema),
          null,
        ]);
      }
      return rows.sort((a, b) => Number(a[0]) - Number(b[0]));
    },
  },
  {
    schema: 'crdb_internal',
    name: 'databases',
    columns: columns({ id: Type.Int8, name: Type.String, owner: Type.Name }),
    rows: async (context) =>
      (await context.catalog())
        .allDatabases()
        .map((database): Datum[] => [database.id, text(database.name), text(database.privileges.owner)]),
  },
  {
    schema: 'crdb_internal',
    name: 'cluster_settings',
    columns: columns({ variable: Type.String, value: Type.String, type: Type.String, public: Type.Bool, description: Type.String }),
    rows: (context) =>
      context.engine.settings
        .list()
        .map(({ setting, value }): Datum[] => [
          text(setting.name),
          text(printSetting(setting, value)),
          text(setting.type),
          true,
          text(setting.description),
        ]),
  },
  {
    schema: 'crdb_internal',
    name: 'zones',
    columns: columns({ zone_id: Type.Int8, target: Type.String, raw_config_sql: Type.String }),
    rows: async (context) => {
      const snapshot = await context.catalog();
      const zones = await ZoneSet.read(context.reader, snapshot);
      return zones.showAll().map((zone, i): Datum[] => [i, text(zone.target), text(zone.rawConfigSql)]);
    },
  },
  {
    schema: 'crdb_internal',
    name: 'node_build_info',
    columns: columns({ node_id: Type.Int8, field: Type.String, value: Type.String }),
    rows: (context) =>
      [
        ['Name', 'Varve'],
        ['ClusterID', context.engine.kv.clusterId],
        ['Organization', ''],
        ['Build', context.engine.version],
        ['Version', context.engine.version],
        ['Channel', 'official'],
      ].map(([field, value]): Datum[] => [context.session.nodeId, text(field ?? ''), text(value ?? '')]),
  },
  {
    schema: 'crdb_internal',
    name: 'session_variables',
    columns: columns({ variable: Type.String, value: Type.String, hidden: Type.Bool }),
    rows: (context) => context.session.vars.entries().map(([name, value]): Datum[] => [text(name), text(value), false]),
  },
  {
    schema: 'crdb_internal',
    name: 'node_sessions',
    columns: columns({
      node_id: Type.Int8,
      session_id: Type.String,
      user_name: Type.String,
      client_address: Type.String,
      application_name: Type.String,
      active_queries: Type.String,
      session_start: Type.Timestamp,
    }),
    rows: (context) =>
      context.engine
        .sessions()
        .map((session): Datum[] => [
          session.nodeId,
          text(session.id),
          text(session.user),
          text(session.clientAddress ?? ''),
          text(session.vars.get('application_name')),
          text(session.activeQuery),
          session.startedAt,
        ]),
  },
];
