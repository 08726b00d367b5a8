/**
 * crdb_internal: nodes, ranges, sessions, settings and jobs as they are now.
 */
import { EVERYTHING } from '../../../../base/span.ts';
import { prettyKey } from '../../../../base/prettyKey.ts';
import { hasSystemPrivilege, requireAnySystemPrivilege } from '../../../../catalog/globalPrivileges.ts';
import { printSetting } from '../../../../catalog/settings.ts';
import { indexById } from '../../../../catalog/descriptor.ts';
import { clusterRegions } from '../../../../catalog/regions.ts';
import { arrayOf, Type } from '../../../../catalog/type.ts';
import { systemJobTable } from '../../../../jobs/jobTable.ts';
import { jobRow } from '../../../../jobs/showJobs.ts';
import { formatLocality } from '../../../../kv/locality.ts';
import type { CatalogView } from '../catalogView.ts';
import { ACTIVITY_COLUMNS, runningStatement } from '../../showActivity.ts';
import { hidden, inSchema, required } from '../defineTable.ts';
import { visibleSessions } from '../pgCatalog/server.ts';

const table = inSchema('crdb_internal');

// ---- nodes --------------------------------------------------------------------------------------

const nodesOf = (view: CatalogView) => view.context.engine.kv.cluster.nodes;

const gossipNodes = table(
  'gossip_nodes',
  {
    node_id: Type.Int8,
    locality: Type.String,
    server_version: Type.String,
    cluster_name: Type.String,
    is_live: Type.Bool,
    ranges: Type.Int8,
    leases: Type.Int8,
  },
  (view) => {
    const ranges = view.context.engine.kv.rangesOf(EVERYTHING);
    return nodesOf(view).map((node) => ({
      node_id: node.id,
      locality: formatLocality(node.locality),
      server_version: view.context.engine.version,
      cluster_name: '',
      is_live: node.isLive,
      // There is one copy of the data, so a node has the ranges it leads.
      ranges: ranges.filter((range) => range.leaseholder === node.id).length,
      leases: ranges.filter((range) => range.leaseholder === node.id).length,
    }));
  },
);

const regions = table('regions', { region: Type.String, zones: arrayOf(Type.String) }, (view) => {
  const live = nodesOf(view).filter((node) => node.isLive);
  return [...clusterRegions(live.map(({ locality }) => locality))].map(([region, zones]) => ({ region, zones }));
});

const kvNodeLiveness = table(
  'kv_node_liveness',
  { node_id: Type.Int8, epoch: Type.Int8, draining: Type.Bool, membership: Type.String, is_live: Type.Bool },
  (view) =>
    nodesOf(view).map((node) => ({
      node_id: node.id,
      epoch: node.epoch,
      draining: node.status === 'draining',
      membership: node.membership,
      is_live: node.isLive,
    })),
);

const kvNodeStatus = table(
  'kv_node_status',
  {
    node_id: Type.Int8,
    address: Type.String,
    locality: Type.String,
    server_version: Type.String,
    started_at: Type.Timestamp,
    updated_at: Type.Timestamp,
  },
  (view) => {
    const { engine } = view.context;
    const now = engine.kv.clock.nowMicros();
    return nodesOf(view).map((node) => ({
      node_id: node.id,
      // All nodes are one process; whoever is connected knows its address.
      address: null,
      locality: formatLocality(node.locality),
      server_version: engine.version,
      started_at: node.startedAt === 0 ? null : node.startedAt,
      updated_at: Math.floor(now),
    }));
  },
);

const gossipLiveness = table(
  'gossip_liveness',
  {
    node_id: Type.Int8,
    epoch: Type.Int8,
    expiration: Type.String,
    draining: Type.Bool,
    decommissioning: Type.Bool,
    membership: Type.String,
  },
  (view) =>
    nodesOf(view).map((node) => ({
      node_id: node.id,
      epoch: node.epoch,
      draining: node.status === 'draining',
      decommissioning: node.membership !== 'active',
      membership: node.membership,
    })),
);

const nodeBuildInfo = table('node_build_info', { node_id: Type.Int8, field: Type.String, value: Type.String }, (view) => {
  const { engine, session } = view.context;
  const info = {
    Name: 'Varve',
    ClusterID: engine.kv.clusterId,
    Organization: '',
    Build: `Varve ${engine.version}`,
    Version: engine.version,
  };
  return Object.entries(info).map(([field, value]) => ({ node_id: session.nodeId, field, value }));
});

// ---- ranges -------------------------------------------------------------------------------------

const RANGE_COLUMNS = {
  range_id: Type.Int8,
  start_key: Type.Bytes,
  start_pretty: Type.String,
  end_key: Type.Bytes,
  end_pretty: Type.String,
  table_id: Type.Int8,
  database_name: Type.String,
  schema_name: Type.String,
  table_name: Type.String,
  index_name: Type.String,
  replicas: arrayOf(Type.Int8),
  replica_localities: arrayOf(Type.String),
} as const;

function* rangeRows(view: CatalogView) {
  for (const range of view.context.engine.kv.rangesOf(EVERYTHING)) {
    const descriptor = view.snapshot.tableById(range.tableId);
    const [database_name, schema_name, table_name] = descriptor ? view.snapshot.fullName(descriptor) : [];
    const holder = nodesOf(view).find((node) => node.id === range.leaseholder);
    yield {
      range_id: range.rangeId,
      start_key: range.span.key,
      start_pretty: prettyKey(range.span.key),
      end_key: range.span.endKey,
      end_pretty: prettyKey(range.span.endKey),
      table_id: range.tableId,
      database_name,
      schema_name,
      table_name,
      index_name: descriptor && indexById(descriptor, range.indexId)?.name,
      replicas: holder ? [holder.id] : [],
      replica_localities: holder ? [formatLocality(holder.locality)] : [],
      lease_holder: range.leaseholder,
      range_size: range.sizeBytes,
    };
  }
}

const ranges = table('ranges', { ...RANGE_COLUMNS, lease_holder: Type.Int8, range_size: Type.Int8 }, rangeRows);

const rangesNoLeases = table('ranges_no_leases', RANGE_COLUMNS, function* (view) {
  for (const { lease_holder: _holder, range_size: _size, ...row } of rangeRows(view)) yield row;
});

// ---- sessions and settings ------------------------------------------------------------------------

const SESSION_COLUMNS = {
  node_id: Type.Int8,
  session_id: Type.String,
  user_name: Type.String,
  client_address: Type.String,
  application_name: Type.String,
  active_queries: Type.String,
  last_active_query: Type.String,
  session_start: Type.Timestamp,
  oldest_query_start: Type.Timestamp,
  kv_txn: Type.String,
  alloc_bytes: Type.Int8,
  max_alloc_bytes: Type.Int8,
  database_name: hidden(Type.String),
  status: hidden(Type.String),
} as const;

function* sessionRows(view: CatalogView) {
  for (const session of visibleSessions(view)) {
    yield {
      node_id: session.nodeId,
      session_id: session.id,
      user_name: session.user,
      client_address: session.clientAddress ?? '',
      application_name: session.vars.get('application_name'),
      active_queries: runningStatement(session),
      session_start: session.startedAt,
      database_name: session.database,
      status: session.activeQuery === '' ? 'IDLE' : 'ACTIVE',
    };
  }
}

const clusterSessions = table('cluster_sessions', SESSION_COLUMNS, sessionRows);

const nodeSessions = table('node_sessions', SESSION_COLUMNS, function* (view) {
  for (const row of sessionRows(view)) if (row.node_id === view.context.session.nodeId) yield row;
});

const { query_id, ...QUERY_REST } = ACTIVITY_COLUMNS.statements;
const QUERY_COLUMNS = { query_id: query_id ?? Type.String, txn_id: Type.Uuid, ...QUERY_REST };

function* queryRows(view: CatalogView) {
  for (const session of visibleSessions(view)) {
    if (session.activeQuery === '') continue;
    yield {
      query_id: session.id,
      node_id: session.nodeId,
      session_id: session.id,
      user_name: session.user,
      start: session.transaction?.startTimestamp,
      query: runningStatement(session),
      client_address: session.clientAddress ?? '',
      application_name: session.vars.get('application_name'),
      distributed: false,
      phase: 'executing',
    };
  }
}

const clusterQueries = table('cluster_queries', QUERY_COLUMNS, queryRows);

const nodeQueries = table('node_queries', QUERY_COLUMNS, function* (view) {
  for (const row of queryRows(view)) if (row.node_id === view.context.session.nodeId) yield row;
});

const featureUsage = table('feature_usage', { feature_name: required(Type.String), usage_count: required(Type.Int8) }, (view) =>
  view.context.engine.features.entries().map(([feature_name, usage_count]) => ({ feature_name, usage_count })),
);

const clusterSettings = table(
  'cluster_settings',
  { variable: Type.String, value: Type.String, type: Type.String, public: Type.Bool, description: Type.String },
  async (view) => {
    await requireAnySystemPrivilege(view.context.reader, view.roles, 'MODIFYCLUSTERSETTING', 'VIEWCLUSTERSETTING');
    return view.context.engine.settings.list().map(({ setting, value }) => ({
      variable: setting.name,
      value: printSetting(setting, value),
      type: setting.type,
      public: true,
      description: setting.description,
    }));
  },
);

const sessionVariables = table('session_variables', { variable: Type.String, value: Type.String, hidden: Type.Bool }, (view) => {
  const { session } = view.context;
  return session.vars.entries().map(([variable]) => ({ variable, value: session.showVariable(variable), hidden: false }));
});

const builtinFunctions = table(
  'builtin_functions',
  { function: Type.String, category: Type.String, volatility: Type.String, overloads: Type.Int8 },
  (view) =>
    view.context.engine.functions.all().map((definition) => {
      const [first] = definition.overloads;
      return {
        function: definition.name,
        category: definition.kind,
        volatility: first && 'volatility' in first ? first.volatility : 'immutable',
        overloads: definition.overloads.length,
      };
    }),
);

// ---- jobs -----------------------------------------------------------------------------------------

const jobs = table(
  'jobs',
  {
    job_id: Type.Int8,
    job_type: Type.String,
    description: Type.String,
    statement: Type.String,
    user_name: Type.String,
    status: Type.String,
    running_status: Type.String,
    created: Type.Timestamp,
    started: Type.Timestamp,
    finished: Type.Timestamp,
    modified: Type.Timestamp,
    fraction_completed: Type.Float8,
    error: Type.String,
    coordinator_id: Type.Int8,
    trace_id: Type.Int8,
    execution_errors: arrayOf(Type.String),
  },
  async (view) => {
    const { engine, reader, user } = view.context;
    const may = (privilege: 'VIEWJOB' | 'CONTROLJOB') => hasSystemPrivilege(reader, user, privilege);
    const seesAll = (await may('VIEWJOB')) || (await may('CONTROLJOB'));
    const records = await systemJobTable.list(reader);
    const isLiveIn = (nodeId: number, epoch: number) => engine.kv.cluster.isLiveIn(nodeId, epoch);
    return records.filter((record) => seesAll || record.user === user).map((record) => ({ ...jobRow(record, { isLiveIn }) }));
  },
);

export const clusterTables = [
  builtinFunctions,
  clusterQueries,
  clusterSessions,
  clusterSettings,
  featureUsage,
  gossipLiveness,
  gossipNodes,
  jobs,
  kvNodeLiveness,
  kvNodeStatus,
  nodeBuildInfo,
  nodeQueries,
  regions,
  nodeSessions,
  ranges,
  rangesNoLeases,
  sessionVariables,
];
