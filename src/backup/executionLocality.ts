/**
 * Execution locality: WITH EXECUTION LOCALITY restricts which nodes coordinate a job and work for it.
 *
 *   X1  the job's claim goes to a node that matches while there is one (registry.ts asks mayRunOn); without
 *       any the job fails. Data of ranges whose leaseholder does not match is read by the matching node
 *       that is nearest to it
 *   X2  a filter is kept as text, as the user wrote it; '' is none
 *
 * Error texts are CockroachDB's.
 */
import { StateError, StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Cluster } from '../kv/cluster.ts';
import type { Locality } from '../kv/locality.ts';
import { formatLocality, matchesLocality, parseLocality } from '../kv/locality.ts';
import type { ClusterNode } from '../kv/nodeActor.ts';
import type { StatementContext } from '../sql/exec/statement.ts';
import type { Option } from '../sql/parse/ast.ts';

import { requireText } from './statementValues.ts';

export const EXECUTION_LOCALITY = 'execution locality';

/** The filter of a statement; '' without one. 22023 for what is no locality, 55000 when no live node matches. */
export async function readExecutionLocality(context: StatementContext, option: Option | undefined, cluster: Cluster): Promise<string> {
  if (option === undefined) return '';
  if (option.value === undefined) {
    throw new StatementError(SqlState.SyntaxError, `option ${option.name} needs a value`, { location: { position: option.pos + 1 } });
  }
  const filter = formatLocality(parseLocality(await requireText(context, option.value, `option ${option.name}`)));
  requireNodes(cluster, filter);
  return filter;
}

/** True when a node may work for a job with this filter. */
export function mayRunOn(filter: string, node: ClusterNode): boolean {
  return filter === '' || matchesLocality(node.locality, parseLocality(filter));
}

/** The live nodes that match, never none. 55000. */
export function requireNodes(cluster: Cluster, filter: string): ClusterNode[] {
  const nodes = cluster.liveNodes().filter((node) => mayRunOn(filter, node));
  if (nodes.length > 0 || filter === '') return nodes;
  const there = cluster.liveNodes().map((node) => `${node.id}: ${formatLocality(node.locality) || 'none'}`);
  throw new StateError(SqlState.ObjectNotInPrerequisiteState, `no instances found matching locality filter ${filter}`, {
    detail: `localities of the live nodes are ${there.join('; ')}`,
    hint: 'start a node with such a locality, or name one that there is in EXECUTION LOCALITY',
  });
}

/** The node to do the work that would be `node`'s: itself when it matches, or else the nearest that does, by common tiers from the widest on. */
export function workerFor(cluster: Cluster, filter: string, node: ClusterNode): ClusterNode {
  if (mayRunOn(filter, node)) return node;
  let best: ClusterNode | undefined;
  for (const candidate of requireNodes(cluster, filter)) {
    if (best === undefined || commonTiers(candidate.locality, node.locality) > commonTiers(best.locality, node.locality)) best = candidate;
  }
  return best as ClusterNode;
}

function commonTiers(a: Locality, b: Locality): number {
  let count = 0;
  while (count < a.tiers.length && a.tiers[count]?.key === b.tiers[count]?.key && a.tiers[count]?.value === b.tiers[count]?.value) count++;
  return count;
}
