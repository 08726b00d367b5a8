/**
 * Nodes in SQL, for lessons and tests over the wire; for admins.
 *
 *   varve_internal.stop_node(id)    a crash: leases and job claims are void at once
 *   varve_internal.drain_node(id)   hands leases and jobs over, waits for its work, then stops it
 *   varve_internal.start_node(id)   starts it again, with a new liveness epoch
 *   varve_internal.decommission_node(id [, wait])   takes it out for good; without waiting it only begins to
 *   varve_internal.recommission_node(id)            takes it back, as long as that has not ended
 *
 * Each returns whether the node's state, or membership, has changed. Connections do not belong to a node's life: all
 * nodes are one process, and a session goes on when its gateway node stops.
 */
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Datum } from '../catalog/datum.ts';
import { isAdmin } from '../catalog/privileges.ts';
import { type ColumnType, Type } from '../catalog/type.ts';
import { rolesOf } from '../catalog/users.ts';
import type { Cluster } from '../kv/cluster.ts';
import type { ClusterNode } from '../kv/nodeActor.ts';
import type { EvalContext } from '../sql/expr/evalContext.ts';
import type { Overload } from '../sql/expr/overload.ts';
import type { EngineServices } from '../sql/exec/statement.ts';

export function registerNodeFunctions(engine: EngineServices): void {
  const { kv } = engine;
  const { cluster } = kv;
  const overload = (
    name: string,
    change: (cluster: Cluster, node: ClusterNode, option?: Datum) => void | Promise<void>,
    options: readonly ColumnType[] = [],
  ): Overload => ({
    name: `varve_internal.${name}`,
    params: [Type.Int8, ...options],
    returns: Type.Bool,
    volatility: 'volatile',
    asyncFn: async (ctx: EvalContext, id?: Datum, option?: Datum) => {
      if (!isAdmin(await rolesOf(kv.at(kv.reading()), ctx.session.user))) {
        throw new StatementError(SqlState.InsufficientPrivilege, `only users with the admin role are allowed to use ${name}()`);
      }
      const node = cluster.node(Number(id));
      const before = `${node.status} ${node.membership}`;
      await change(cluster, node, option);
      return `${node.status} ${node.membership}` !== before;
    },
  });
  engine.functions.register(
    overload('stop_node', (nodes, { id }) => nodes.stopNode(id)),
    overload('drain_node', (nodes, { id }) => nodes.drainNode(id)),
    overload('start_node', (nodes, { id }) => nodes.startNode(id)),
    overload('decommission_node', decommission),
    overload('decommission_node', decommission, [Type.Bool]),
    overload('recommission_node', (nodes, { id }) => nodes.recommissionNode(id)),
  );
}

async function decommission(nodes: Cluster, { id }: ClusterNode, wait: Datum = true): Promise<void> {
  nodes.decommissionNode(id);
  if (wait === true) await nodes.finishDecommission(id);
}
