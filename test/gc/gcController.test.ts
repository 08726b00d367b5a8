/** Work after a run, the timer's rest, and protections against running collections. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import type { Timestamp } from '../../src/base/timestamp.ts';
import { timestamp } from '../../src/base/timestamp.ts';
import type { SpanConfigs } from '../../src/gc/spanConfigs.ts';
import { DEFAULT_TABLE_CONFIG } from '../../src/gc/spanConfigs.ts';
import { failure, key, makeKv, numberKey, put, TABLE, value } from '../kv/support.ts';

const HOUR_MICROS = 3_600_000_000;

const controller = suite('gc: controller');

controller('a dropped table keeps the timer awake until the work after a run removes it', async () => {
  const { kv, clock } = makeKv();
  const droppedAt = timestamp(clock.nowMicros());
  let isThere = true;
  const configs: SpanConfigs = {
    version: 0,
    configOf: () => ({ ...DEFAULT_TABLE_CONFIG, droppedAt: isThere ? droppedAt : undefined }),
    tableIds: () => (isThere ? [TABLE] : []),
    onBeforeChange: () => () => {},
  };
  kv.gc.useConfigs(configs);
  await put(kv, { a: '1' });
  let runs = 0;
  kv.gc.addAfterRun(({ thresholds }) => {
    runs++;
    if (!isThere || (thresholds.get(TABLE) ?? 0) < droppedAt) return;
    isThere = false;
    kv.clearTable(TABLE);
  });
  kv.gc.start();
  await clock.advance('3h');
  assert.ok(isThere);
  assert.is(kv.gc.actor.getSnapshot().value, 'waiting');
  await clock.advance('2h');
  assert.not.ok(isThere);
  assert.is(kv.gc.actor.getSnapshot().value, 'idle');
  const runsSoFar = runs;
  await clock.advance('8760h');
  assert.is(runs, runsSoFar, 'a year without garbage cost something');
  kv.close();
});

controller('a record that is put while a collection is under way is honoured, or was refused', async () => {
  const { kv, clock } = makeKv({ sliceCount: 0 });
  const keys = Array.from({ length: 3_000 }, (_, i) => numberKey(i));
  const write = (text: string) =>
    kv.run(async (txn) =>
      txn.write(
        keys,
        keys.map(() => value(text)),
      ),
    );
  for (const text of ['1', '2', '3']) {
    await write(text);
    await clock.advance('1h');
  }
  const first = timestamp(kv.reading() - 2 * HOUR_MICROS);
  const second = timestamp(kv.reading() - HOUR_MICROS);
  await clock.advance('150m');
  const running = kv.gc.runGc();
  await Promise.resolve();
  const record = (ts: Timestamp) => ({ id: `p${ts}`, ts: ts, metaType: 'user', meta: '', target: { kind: 'cluster' as const } });
  assert.throws(
    () => kv.gc.verifyProtection(record(first)),
    (error: { code: string }) => error.code === '72000',
  );
  kv.gc.verifyProtection(record(second));
  kv.gc.protections.put(record(second));
  await clock.advance('100h');
  await running;
  await kv.gc.runGc();
  const seen = await kv.at(second).get([numberKey(0), numberKey(2_999)]);
  assert.equal(seen, ['2', '2']);
  assert.is((await failure(kv.at(first).get([key('a')]))).code, '72000');
  kv.close();
});
controller.run();
