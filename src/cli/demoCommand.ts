/**
 * `varve demo [WORKLOAD]`: a cluster in this process, filled with a workload's data, and a shell on it.
 *
 * Everything ends with the shell: data, addresses, and the directory behind nodelocal://. Until then
 * other clients may connect to the addresses that it prints.
 *
 * Source of the flags: CockroachDB documentation, page "cockroach demo".
 */
import { createInterface } from 'node:readline';

import { VERSION } from '../base/version.ts';
import { errorReport, UsageError } from './cliError.ts';
import type { Command, CommandIo } from './command.ts';
import { type DemoCluster, openDemoCluster } from './demo/demoCluster.ts';
import { demoCommand as demoVerbs } from './demo/demoVerbs.ts';
import { embeddedClient } from './embeddedClient.ts';
import { EXTERNAL_IO_RULE_FLAGS, externalIoRuleOptions } from './externalIoFlags.ts';
import type { FlagDefinitions, Flags } from './flags.ts';
import { RESULT_FORMATS } from './resultFormat.ts';
import { OPTION_NAMES, type ShellOptions } from './shell/options.ts';
import { Shell, type ShellSetup } from './shell/shell.ts';
import { printNotices, runText, shellOptions } from './sqlCommand.ts';
import { runShell } from './sqlShell.ts';
import { loadWorkload, type Workload } from './workload/workload.ts';
import { findWorkload, WORKLOAD_NAMES } from './workload/workloads.ts';

const FLAGS: FlagDefinitions = {
  nodes: { type: 'string', value: 'N', help: 'nodes of the cluster (default 1, or one for each locality)' },
  'demo-locality': {
    type: 'string',
    value: 'TIERS:TIERS...',
    help: 'localities of the nodes, such as region=us-east,az=b:region=europe,az=a',
  },
  'no-example-database': { type: 'boolean', env: 'COCKROACH_NO_EXAMPLE_DATABASE', help: 'start without a workload' },
  empty: { type: 'boolean', help: 'the same' },
  execute: { type: 'string', short: 'e', value: 'STATEMENT', multiple: true, help: 'run these statements and exit; repeatable' },
  format: { type: 'string', value: 'FORMAT', help: `${RESULT_FORMATS.join(', ')}; table on a terminal, else tsv` },
  set: { type: 'string', value: 'NAME=VALUE', multiple: true, help: `client option: ${OPTION_NAMES.join(', ')}; repeatable` },
  'sql-port': { type: 'string', value: 'PORT', help: 'port for other clients; 0 picks a free one (default 26257 if free)' },
  'http-port': { type: 'string', value: 'PORT', help: 'port of /health and /_status/vars; 0 picks a free one (default 8080 if free)' },
  ...EXTERNAL_IO_RULE_FLAGS,
  rows: { type: 'string', value: 'N', help: "rows of the workload's largest table" },
  insecure: { type: 'boolean', help: 'accepted for CockroachDB scripts: a demo listens on this machine only, and is so anyway' },
};

const NODES_MAX = 64;
/** Where the nodes are when nothing says so: three zones in each of three regions, as in CockroachDB's demo. */
const USUAL_LOCALITIES: readonly string[] = Object.freeze(
  ['us-east1', 'us-west1', 'europe-west1'].flatMap((region) => ['b', 'c', 'd'].map((zone) => `region=${region},az=${zone}`)),
);

export const demoCommand: Command = {
  name: 'demo',
  summary: 'open a shell on a temporary cluster with data in it',
  usage: `varve demo [${WORKLOAD_NAMES.join('|')}] [flags]`,
  flags: FLAGS,
  async run(flags, io) {
    const workload = workloadOf(flags);
    const localities = flags.text('demo-locality')?.split(':') ?? [];
    const nodes = flags.integer('nodes', 1, NODES_MAX) ?? Math.max(1, localities.length);
    if (localities.length > 0 && localities.length !== nodes) {
      throw new UsageError(
        `--demo-locality names ${localities.length} localities for ${nodes} ${nodes === 1 ? 'node' : 'nodes'}`,
        'separate the localities of two nodes by a colon',
      );
    }
    const given = flags.all('execute');
    const isInteractive = given.length === 0 && process.stdin.isTTY === true;
    const options = shellOptions(flags, io, isInteractive);
    const cluster = await openDemoCluster({
      nodes,
      localities: localities.length > 0 ? localities : USUAL_LOCALITIES.slice(0, nodes),
      sqlPort: flags.integer('sql-port', 0, 65535),
      httpPort: flags.integer('http-port', 0, 65535),
      rules: externalIoRuleOptions(flags),
    });
    try {
      if (isInteractive) io.out(welcome(cluster, workload));
      if (workload) await load(cluster, workload, flags, io, isInteractive);
      return await session(cluster, workload, io, options, isInteractive ? undefined : given);
    } finally {
      await cluster.close();
    }
  },
};

function workloadOf(flags: Flags): Workload | undefined {
  const [name, extra] = flags.positionals;
  if (extra !== undefined) throw new UsageError(`unexpected argument "${extra}"`);
  const workload = findWorkload(name ?? 'movr');
  if (!workload) throw new UsageError(`unknown workload "${name}": want one of ${WORKLOAD_NAMES.join(', ')}`);
  const isEmpty = flags.isSet('empty') || flags.isSet('no-example-database');
  if (isEmpty && name !== undefined) throw new UsageError(`--no-example-database and the workload ${name} exclude each other`);
  return isEmpty ? undefined : workload;
}

async function load(cluster: DemoCluster, workload: Workload, flags: Flags, io: CommandIo, isTold: boolean): Promise<void> {
  const client = embeddedClient(cluster.database);
  try {
    const started = io.monotonicMicros();
    const rows = await loadWorkload(client, workload, { rows: flags.integer('rows', 1, 10_000_000) ?? workload.defaultRows });
    const seconds = ((io.monotonicMicros() - started) / 1e6).toFixed(1);
    if (isTold) io.out(`# Loaded ${workload.name}: ${rows} rows in ${seconds} s.\n#\n`);
  } finally {
    await client.close();
  }
}

/** The statements given, or what standard input holds, or a person. Returns the exit status. */
async function session(
  cluster: DemoCluster,
  workload: Workload | undefined,
  io: CommandIo,
  options: ShellOptions,
  given: readonly string[] | undefined,
): Promise<number> {
  const name = workload?.database ?? 'defaultdb';
  const client = embeddedClient(cluster.database, { database: name });
  const control = embeddedClient(cluster.database);
  printNotices(client, io);
  const setup: ShellSetup = { client, io, options, address: cluster.sqlAddress, extras: [demoVerbs(cluster, control, name, io)] };
  try {
    if (!given) {
      io.out('# Statements end with a semicolon. \\? shows help, \\q leaves.\n');
      return await runShell(setup);
    }
    if (given.length > 0) {
      let failures = 0;
      for (const text of given) failures += await runText(client, io, options, text);
      return failures > 0 ? 1 : 0;
    }
    const shell = new Shell(setup);
    await shell.lines(createInterface({ input: process.stdin }));
    return shell.failures > 0 ? 1 : 0;
  } catch (error) {
    io.err(`${errorReport(error)}\n`);
    return 1;
  } finally {
    await client.close();
    await control.close();
  }
}

function welcome(cluster: DemoCluster, workload: Workload | undefined): string {
  const count = cluster.database.kv.cluster.nodes.length;
  const lines = [
    'Welcome to the Varve demo.',
    '',
    `This is Varve ${VERSION}: a cluster of ${count} ${count === 1 ? 'node' : 'nodes'} in the memory of this process.`,
    'It ends, with all its data, when you leave. Clients of this machine may connect without a password:',
    '',
    `  sql   ${cluster.url(workload?.database ?? 'defaultdb')}`,
    `  http  http://${cluster.httpAddress}`,
    '',
    '\\demo ls lists the nodes; \\demo shutdown, restart and decommission change them.',
    '',
  ];
  return `${lines.map((line) => (line === '' ? '#' : `# ${line}`)).join('\n')}\n`;
}
