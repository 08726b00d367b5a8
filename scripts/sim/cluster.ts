/**
 * Cluster: what happens below SQL: splits, merges, lease moves, nodes that die, drain and return, GC, time.
 */
import type { Bytes } from '../../src/base/bytes.ts';
import { tablePrefix } from '../../src/base/keycode.ts';
import type { Dice } from './dice.ts';
import { NODES, SimFailure, settle, type World } from './world.ts';

const MICROS = 1_000_000;
/** Turns of the event loop that a call which needs no client may take. */
const TURNS_MAX = 20_000;
/** Of what ends a run, restore after restore: some thousand turns each. */
export const ENDING_TURNS_MAX = 1_000_000;

/** Cuts a range at a row. */
export async function split(world: World, dice: Dice): Promise<void> {
  const { kv } = world.db;
  const tableId = dice.maybe(kv.tableIds().filter((id) => id >= 50));
  if (tableId === undefined) return;
  const { keys } = await kv.at(kv.reading(), { unchecked: true }).scan({ key: tablePrefix(tableId), endKey: tablePrefix(tableId + 1) });
  const key = dice.maybe(keys);
  if (key === undefined) return;
  // Without the family: a row is not cut.
  const at = key.slice(0, -1) as Bytes;
  world.count('split');
  world.note(`split table ${tableId} at ${Buffer.from(at, 'latin1').toString('hex')}: r${kv.ranges.split(at)}`);
}

export function merge(world: World, dice: Dice): void {
  const range = someRange(world, dice);
  if (!range) return;
  world.count('merge');
  world.note(`merge r${range.rangeId}: ${world.db.kv.ranges.merge(range.span.key)}`);
}

export function moveLease(world: World, dice: Dice): void {
  const range = someRange(world, dice);
  if (!range) return;
  const node = dice.between(1, NODES);
  world.count('move lease');
  world.note(`lease of r${range.rangeId} to n${node}: ${world.db.kv.ranges.transferLease(range.rangeId, node)}`);
}

function someRange(world: World, dice: Dice) {
  const { kv } = world.db;
  return dice.maybe(kv.rangesOf({ key: tablePrefix(50), endKey: tablePrefix(1_000_000) }));
}

/** Stops a node, or starts one that is stopped; seldom the last one. */
export function nodes(world: World, dice: Dice): void {
  const { cluster } = world.db.kv;
  const node = cluster.node(dice.between(1, NODES));
  if (!node.isLive) {
    world.count('node start');
    world.note(`start n${node.id}`);
    cluster.startNode(node.id);
  } else if (cluster.liveNodes().length > 1 || dice.percent(20)) {
    const drains = dice.percent(30);
    world.count(drains ? 'node drain' : 'node stop');
    if (cluster.liveNodes().length === 1) world.count('no node is left');
    world.note(`${drains ? 'drain' : 'stop'} n${node.id}`);
    if (drains) void cluster.drainNode(node.id);
    else cluster.stopNode(node.id);
  }
}

export function startAllNodes(world: World): void {
  for (const node of world.db.kv.cluster.nodes) world.db.kv.cluster.startNode(node.id);
}

export function collectGarbage(world: World): void {
  world.count('gc run');
  void world.db.kv.gc.runGc().then(({ removedVersions }) => {
    world.note(`gc removed ${removedVersions}`);
    if (removedVersions > 0) world.count('gc run that removed versions');
  });
}

export async function advance(world: World, dice: Dice): Promise<void> {
  const seconds = dice.weighted<() => number>([
    [6, () => dice.between(1, 1000) / 1000],
    [6, () => dice.between(1, 60)],
    [4, () => dice.between(60, 1800)],
    [1, () => dice.between(1800, 20_000)],
  ])();
  await advanceBy(world, Math.floor(seconds * MICROS));
}

export async function advanceBy(world: World, micros: number): Promise<void> {
  world.count('clock advance');
  world.note(`advance ${micros}`);
  await within(world, world.clock.advance(micros), `the clock does not get on by ${micros}`);
}

/** Awaits what must end by itself; a great many turns of the event loop later it is stuck. */
export async function within<T>(world: World, work: Promise<T>, what: string, turnsMax = TURNS_MAX): Promise<T> {
  let isDone = false;
  const done = work.finally(() => {
    isDone = true;
  });
  done.catch(() => {});
  for (let turn = 0; turn < turnsMax && !isDone; turn++) await settle();
  if (!isDone) throw new SimFailure('stuck', `${what}; runnable: ${world.clock.activity.names().join('; ')}`);
  return await done;
}
