/**
 * Faults: storage that fails, waits, cuts short or lies, at the n-th call or by chance, for a while.
 */
import type { StorageOperation } from '../../src/storage/externalStorage.ts';
import type { FaultAction, FaultRule } from '../../src/storage/faulty.ts';
import type { Dice } from './dice.ts';
import type { World } from './world.ts';

/**
 * What waits on the clock is what a job waits for, one call at a time: neither a statement's planning, nor
 * a read ahead that nobody may want any more, nor one of several workers.
 */
const JOB_FILES = /BACKUP-LOCK|BACKUP-CHECKPOINT|BACKUP_MANIFEST/;

const DATA_FILES = /\.vkv$/;

/** Switches some faults on, or all of them off. */
export function randomFaults(world: World, dice: Dice): void {
  if (world.faultsOn) {
    world.note('faults off');
    world.setFaults([]);
    return;
  }
  const rules = Array.from({ length: dice.between(1, 2) }, () => randomRule(dice));
  for (const { action } of rules) world.count(`fault ${action.kind}`);
  world.note(`faults ${JSON.stringify(rules.map((rule) => ({ ...rule, name: rule.name?.source })))}`);
  world.setFaults(rules);
}

function randomRule(dice: Dice): FaultRule {
  const action = dice.weighted<() => FaultAction>([
    [4, () => ({ kind: 'fail', isRetryable: false, after: dice.percent(30) })],
    [4, () => ({ kind: 'fail', isRetryable: true, after: dice.percent(30) })],
    [3, () => ({ kind: 'delay', micros: dice.between(1, 30_000_000) })],
    [2, () => ({ kind: 'truncate', keepBytes: dice.between(0, 100) })],
    [2, () => ({ kind: 'corrupt' })],
  ])();
  const waits = action.kind === 'delay';
  const operations: StorageOperation[] | undefined = waits
    ? ['write']
    : dice.percent(60)
      ? [dice.pick(['write', 'write', 'read', 'readStream', 'list', 'delete', 'size'])]
      : undefined;
  const when = dice.percent(60) ? { nth: dice.between(1, 12), count: dice.between(1, 3) } : { probability: dice.between(5, 40) / 100 };
  // Rows are in data files: what is lost there nothing but a restore tells.
  const ofData = action.kind === 'fail' && operations?.[0] === 'write' && dice.percent(70);
  const name = waits ? JOB_FILES : ofData ? DATA_FILES : undefined;
  return { ...(operations && { operations }), ...(name && { name }), ...when, action };
}
