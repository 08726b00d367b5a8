/** What exports and ingestion count, on a clock that shows a microsecond more at every look. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { MIN_TIMESTAMP } from '../../src/base/timestamp.ts';
import { DEFAULT_TABLE_CONFIG } from '../../src/gc/spanConfigs.ts';
import type { Kv } from '../../src/kv/kv.ts';
import { makeKv, numberKey, tableSpan, value } from './support.ts';

const test = suite('kv metrics');

/** The counters of these names, without what they begin with. */
async function shown(kv: Kv, prefix: string): Promise<Record<string, number>> {
  const metrics = (await kv.metrics.read()).filter(({ name }) => name.startsWith(prefix));
  return Object.fromEntries(metrics.map(({ name, value: count }) => [name.slice(prefix.length), count]));
}

/** A commit that is applied in slices and has begun. */
function beginLargeCommit(kv: Kv): Promise<unknown> {
  const txn = kv.begin();
  const keys = Array.from({ length: 200 }, (_, i) => numberKey(i));
  txn.write(
    keys,
    keys.map((_, i) => value(`v${i}`)),
  );
  return txn.commit();
}

function makeTicking() {
  const made = makeKv({ sliceCount: 1, slicedCommitKeysMin: 20 });
  const { clock } = made;
  const shownMicros = clock.nowMicros.bind(clock);
  let looks = 0;
  clock.nowMicros = () => shownMicros() + ++looks;
  return made.kv;
}

test('an export that has to wait for a large commit counts the wait, another counts none', async () => {
  const kv = makeTicking();
  const committing = beginLargeCommit(kv);
  await Promise.resolve();
  const exported = kv.exportSpan(tableSpan(), MIN_TIMESTAMP, kv.reading(), { allVersions: false, maxBytes: 1e6 });
  await committing;
  assert.is((await exported).keys.length, 200);
  const { total = 0 } = await shown(kv, 'exportrequest.delay.');
  assert.ok(total >= 1_000, `${total} ns`);
  await kv.exportSpan(tableSpan(), MIN_TIMESTAMP, kv.reading(), { allVersions: false, maxBytes: 1e6 });
  assert.is((await shown(kv, 'exportrequest.delay.'))['total'], total);
  kv.close();
});

test('a run that is ingested counts once, and once for each index in it', async () => {
  const kv = makeTicking();
  const keys = [numberKey(1, 200), numberKey(2, 200), numberKey(1, 201)];
  await kv.ingest({ keys, values: keys.map(() => value('v')) });
  assert.equal(await shown(kv, 'addsstable.'), { applications: 2, proposals: 1, 'delay.enginebackpressure': 0, 'delay.total': 0 });
  const committing = beginLargeCommit(kv);
  await Promise.resolve();
  await kv.ingest({ keys: [numberKey(1, 202)], values: [value('v')] });
  await committing;
  const counted = await shown(kv, 'addsstable.');
  assert.ok((counted['delay.total'] ?? 0) >= 1_000);
  assert.ok((counted['delay.enginebackpressure'] ?? 0) <= (counted['delay.total'] ?? 0));
  kv.close();
});

test('garbage collection counts its time, the indexes that it went through, and what it removed', async () => {
  const kv = makeTicking();
  for (const text of ['old', 'new']) await kv.run(async (txn) => txn.write([numberKey(1)], [value(text)]));
  kv.gc.useConfigs({ ...kv.gc.configs, configOf: () => ({ ...DEFAULT_TABLE_CONFIG, ttlSeconds: 0 }) });
  await kv.gc.runGc();
  const { 'process.success': indexes = 0, processingnanos = 0 } = await shown(kv, 'queue.gc.');
  assert.is(indexes, 1);
  assert.ok(processingnanos >= 1_000, `${processingnanos} ns`);
  assert.is((await shown(kv, 'varve.gc.'))['removed_versions'], 1);
  kv.close();
});

test.run();
