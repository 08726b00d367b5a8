/**
 * `varve node ls|status|drain|decommission|recommission|start|stop`: the nodes of a server, over a
 * SQL connection.
 *
 * A Varve server is one process that stands for all its nodes, so `start` and `stop` (a crash) are
 * commands here too; a drained node has stopped until it is started again.
 *
 * Source: CockroachDB documentation, page "cockroach node".
 */
import { UsageError } from './cliError.ts';
import type { Command, CommandIo } from './command.ts';
import type { FlagDefinitions, Flags } from './flags.ts';
import { formatResult, RESULT_FORMATS, type ResultFormat, type TextResult } from './resultFormat.ts';
import type { SqlClient } from './sqlClient.ts';
import { connectWire, DEFAULT_URL } from './wireClient.ts';

const FLAGS: FlagDefinitions = {
  url: { type: 'string', value: 'URL', env: 'COCKROACH_URL', default: DEFAULT_URL, help: 'server to use' },
  user: { type: 'string', short: 'u', value: 'NAME', help: 'user of the connection (default root)' },
  format: { type: 'string', value: 'FORMAT', default: 'tsv', help: `${RESULT_FORMATS.join(', ')}` },
  ranges: { type: 'boolean', help: 'status: ranges and leases of each node' },
  stats: { type: 'boolean', help: 'status: bytes of each node' },
  decommission: { type: 'boolean', help: 'status: whether each node drains' },
  all: { type: 'boolean', help: 'status: all of these' },
  wait: { type: 'string', value: 'all|none', default: 'all', help: 'decommission: whether to wait until the nodes are out, or only begin' },
};

/** Numbers are text to the client; what a column holds is known here. */
const STATUS_COLUMNS = `
  s.node_id AS id, $1::STRING AS address, $1::STRING AS sql_address, s.server_version AS build,
  s.started_at, s.updated_at, s.locality, l.is_live AND NOT l.draining AS is_available, l.is_live`;
const RANGE_COLUMNS = `
  g.leases AS replicas_leaders, g.leases AS replicas_leaseholders, g.ranges, 0 AS ranges_unavailable, 0 AS ranges_underreplicated`;
// One copy of the data: a node's bytes are those of the ranges that it serves. Keys and values are not counted apart.
const BYTE_COLUMNS = `
  COALESCE(r.live_bytes, 0) AS live_bytes, NULL::INT AS key_bytes, NULL::INT AS value_bytes, 0 AS intent_bytes,
  COALESCE(r.system_bytes, 0) AS system_bytes`;
const DRAIN_COLUMNS = `
  g.ranges AS gossiped_replicas, l.membership <> 'active' AS is_decommissioning, l.membership, l.draining AS is_draining`;
const STATUS_TABLES = `
  crdb_internal.kv_node_status AS s
  JOIN crdb_internal.kv_node_liveness AS l ON l.node_id = s.node_id
  JOIN crdb_internal.gossip_nodes AS g ON g.node_id = s.node_id
  LEFT JOIN (
    SELECT lease_holder, sum(range_size)::INT AS live_bytes, sum(CASE WHEN table_id < 50 THEN range_size ELSE 0 END)::INT AS system_bytes
    FROM crdb_internal.ranges GROUP BY lease_holder
  ) AS r ON r.lease_holder = s.node_id`;

export const nodeCommand: Command = {
  name: 'node',
  summary: 'list nodes, show their status, drain or decommission them',
  usage: 'varve node ls | status [ID] | drain ID | decommission ID... | recommission ID... | start ID | stop ID',
  flags: FLAGS,
  async run(flags, io) {
    const [action, ...ids] = flags.positionals;
    const [id, extra] = ids;
    const actions: Record<string, (client: SqlClient, address: string) => Promise<void>> = {
      ls: async (client) => show(io, flags, await client.run('SELECT node_id AS id FROM crdb_internal.kv_node_status ORDER BY id')),
      status: (client, address) => status(client, io, flags, address, id === undefined ? undefined : nodeId(id)),
      drain: (client) => drain(client, io, nodeId(id)),
      decommission: (client) => decommission(client, io, flags, ids.length === 0 ? [nodeId(undefined)] : ids.map(nodeId)),
      recommission: (client) => recommission(client, io, flags, ids.length === 0 ? [nodeId(undefined)] : ids.map(nodeId)),
      start: (client) => change(client, io, 'start_node', nodeId(id), 'started', 'live already'),
      stop: (client) => change(client, io, 'stop_node', nodeId(id), 'stopped', 'stopped already'),
    };
    const run = actions[action ?? ''];
    if (!run) throw new UsageError(`unknown action "${action ?? ''}": want ls, status, drain, decommission, recommission, start or stop`);
    const takesMany = action === 'decommission' || action === 'recommission';
    if ((extra !== undefined && !takesMany) || (action === 'ls' && id !== undefined))
      throw new UsageError(`unexpected argument "${extra ?? id}"`);
    const url = new URL(flags.text('url') ?? DEFAULT_URL);
    const user = flags.text('user');
    if (user !== undefined) url.username = user;
    const client = await connectWire(url.href);
    try {
      await run(client, url.host);
      return 0;
    } finally {
      await client.close();
    }
  },
};

function nodeId(text: string | undefined): number {
  if (text === undefined || !/^[1-9]\d*$/.test(text))
    throw new UsageError(`want the id of a node, got "${text ?? ''}"`, 'varve node ls lists them');
  return Number(text);
}

function show(io: CommandIo, flags: Flags, result: TextResult): void {
  const wanted = flags.text('format');
  const format = RESULT_FORMATS.find((known): known is ResultFormat => known === wanted);
  if (!format) throw new UsageError(`unknown format "${wanted}": want one of ${RESULT_FORMATS.join(', ')}`);
  io.out(formatResult(result, format));
}

async function status(client: SqlClient, io: CommandIo, flags: Flags, address: string, id: number | undefined): Promise<void> {
  const all = flags.isSet('all');
  const columns = [
    STATUS_COLUMNS,
    ...(all || flags.isSet('ranges') ? [RANGE_COLUMNS] : []),
    ...(all || flags.isSet('stats') ? [BYTE_COLUMNS] : []),
    ...(all || flags.isSet('decommission') ? [DRAIN_COLUMNS] : []),
  ];
  const where = id === undefined ? '' : `WHERE s.node_id = ${id}`;
  const result = await client.runWith(`SELECT ${columns.join(',')} FROM ${STATUS_TABLES} ${where} ORDER BY id`, [address]);
  if (id !== undefined && result.rows.length === 0) throw new Error(`node ${id} does not exist`);
  show(io, flags, result);
}

async function drain(client: SqlClient, io: CommandIo, id: number): Promise<void> {
  io.out('node is draining... ');
  await client.run(`SELECT varve_internal.drain_node(${id})`);
  const left = await client.run(`SELECT leases FROM crdb_internal.gossip_nodes WHERE node_id = ${id}`);
  io.out(`remaining: ${left.rows[0]?.[0] ?? '0'} (complete)\ndrain ok\n`);
}

/** The table that CockroachDB prints of the nodes named, in their order. */
async function showMembership(client: SqlClient, io: CommandIo, flags: Flags, ids: readonly number[]): Promise<void> {
  const columns =
    "l.node_id AS id, l.is_live, g.ranges AS replicas, l.membership <> 'active' AS is_decommissioning, l.membership, l.draining AS is_draining";
  const tables = 'crdb_internal.kv_node_liveness AS l JOIN crdb_internal.gossip_nodes AS g ON g.node_id = l.node_id';
  show(io, flags, await client.run(`SELECT ${columns} FROM ${tables} WHERE l.node_id IN (${ids.join(', ')}) ORDER BY id`));
}

async function decommission(client: SqlClient, io: CommandIo, flags: Flags, ids: readonly number[]): Promise<void> {
  const wait = flags.text('wait') ?? 'all';
  if (wait !== 'all' && wait !== 'none') throw new UsageError(`--wait wants all or none, got "${wait}"`);
  for (const id of ids) await client.run(`SELECT varve_internal.decommission_node(${id}, ${wait === 'all'})`);
  await showMembership(client, io, flags, ids);
  if (wait === 'all') {
    io.out('\nNo more data reported on target nodes. Please verify cluster health before removing the nodes.\n');
  }
}

async function recommission(client: SqlClient, io: CommandIo, flags: Flags, ids: readonly number[]): Promise<void> {
  for (const id of ids) await client.run(`SELECT varve_internal.recommission_node(${id})`);
  await showMembership(client, io, flags, ids);
}

async function change(client: SqlClient, io: CommandIo, name: string, id: number, done: string, already: string): Promise<void> {
  const result = await client.run(`SELECT varve_internal.${name}(${id})`);
  io.out(`node ${id} ${/^t/.test(result.rows[0]?.[0] ?? '') ? done : `is ${already}`}\n`);
}
