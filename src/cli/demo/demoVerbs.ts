/**
 * `\demo` in the shell of `varve demo`: the nodes of the cluster, seen and changed.
 *
 *   \demo ls                  the nodes, their localities, and where to connect
 *   \demo shutdown N          stops a node in order; its leases and jobs go to others
 *   \demo restart N           starts it again
 *   \demo decommission N      takes it out for good
 *   \demo recommission N      takes it back, as long as that has not ended
 *
 * All nodes are one process: connections stay when a node stops, and all share one SQL address.
 *
 * Source of the verbs: CockroachDB documentation, page "cockroach demo".
 */
import { formatLocality } from '../../kv/locality.ts';
import { UsageError } from '../cliError.ts';
import type { CommandIo } from '../command.ts';
import type { ExtraCommand } from '../shell/shell.ts';
import type { SqlClient } from '../sqlClient.ts';
import type { DemoCluster } from './demoCluster.ts';

const VERBS: Readonly<Record<string, readonly [call: string, done: string]>> = Object.freeze({
  shutdown: ['drain_node', 'has been shut down'],
  restart: ['start_node', 'has been restarted'],
  decommission: ['decommission_node', 'has been decommissioned'],
  recommission: ['recommission_node', 'has been recommissioned'],
});

/** `control`: a connection of its own, so that a transaction open in the shell is no matter. */
export function demoCommand(cluster: DemoCluster, control: SqlClient, databaseName: string, io: CommandIo): ExtraCommand {
  return {
    name: '\\demo',
    help: 'ls; shutdown, restart, decommission or recommission N',
    async run(argument) {
      const [verb = '', id, extra] = argument.split(/\s+/);
      if (verb === 'ls' && id === undefined) return io.out(nodeList(cluster, databaseName));
      const known = Object.hasOwn(VERBS, verb) ? VERBS[verb] : undefined;
      if (!known || extra !== undefined) {
        throw new UsageError(
          `\\demo ${argument}: unknown`,
          'want ls; or shutdown, restart, decommission or recommission and the id of a node',
        );
      }
      if (id === undefined || !/^[1-9]\d*$/.test(id)) throw new UsageError(`\\demo ${verb} wants the id of a node`, '\\demo ls lists them');
      const [call, done] = known;
      if (verb === 'shutdown' && isLastLive(cluster, Number(id))) {
        throw new UsageError(`node ${id} is the last one that runs`, '\\q ends the whole cluster');
      }
      const changed = (await control.run(`SELECT varve_internal.${call}(${id})`)).rows[0]?.[0] ?? '';
      io.out(/^t/.test(changed) ? `node ${id} ${done}\n` : `node ${id}: nothing to do\n`);
    },
  };
}

function isLastLive(cluster: DemoCluster, id: number): boolean {
  const live = cluster.database.kv.cluster.liveNodes();
  return live.length === 1 && live[0]?.id === id;
}

/** A paragraph a node, as CockroachDB's demo shows them. */
export function nodeList(cluster: DemoCluster, databaseName: string): string {
  const lines = cluster.database.kv.cluster.nodes.map((node) =>
    [
      `node ${node.id}:`,
      `  state     ${node.membership === 'active' ? node.status : `${node.status}, ${node.membership}`}`,
      `  locality  ${formatLocality(node.locality) || 'none'}`,
      `  sql       ${cluster.url(databaseName)}`,
      `  http      http://${cluster.httpAddress}`,
    ].join('\n'),
  );
  return `${lines.join('\n')}\n`;
}
