/**
 * GC against a model that never forgets: whatever is collected whenever, a read at T either gives
 * exactly what the model has at T, or is refused, and it is refused exactly when T lies at or below
 * the threshold that the rule gives: the running maximum of min(now - ttl, oldest protection - 1).
 */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { utf8Decode } from '../../src/base/bytes.ts';
import { isVarveError } from '../../src/base/errors.ts';
import { EVERYTHING } from '../../src/base/span.ts';
import type { Timestamp } from '../../src/base/timestamp.ts';
import { MIN_TIMESTAMP, timestamp } from '../../src/base/timestamp.ts';
import type { SpanConfigs } from '../../src/gc/spanConfigs.ts';
import { DEFAULT_TABLE_CONFIG } from '../../src/gc/spanConfigs.ts';
import { failure, key, keyName, makeKv, rows, TABLE, value } from '../kv/support.ts';

const NAMES = ['a', 'b', 'c'];
const name = fc.constantFrom(...NAMES);
const micros = fc.integer({ min: 1, max: 3_000_000 });

const action = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('write' as const), name, text: fc.option(fc.integer({ max: 99, min: 0 }).map(String)) }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('advance' as const), micros }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('gc' as const) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('read' as const), back: micros }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('ttl' as const), seconds: fc.integer({ min: 1, max: 5 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('protect' as const), id: fc.constantFrom('p', 'q'), back: micros }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('release' as const), id: fc.constantFrom('p', 'q') }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('fork' as const) }) },
);

interface ModelVersion {
  readonly ts: number;
  readonly name: string;
  readonly text: string | null;
}

const neverForget = suite('gc: against a model that never forgets');

neverForget('reads are right or refused, and refused exactly below the threshold', async () => {
  let servedCount = 0;
  let refusedCount = 0;
  let removedCount = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(action, { minLength: 20, maxLength: 80, size: 'max' }), async (actions) => {
      let { kv, clock } = makeKv();
      let ttlSeconds = 2;
      let configVersion = 0;
      let listeners = new Set<() => void>();
      const configs: SpanConfigs = {
        get version() {
          return configVersion;
        },
        configOf: () => ({ ...DEFAULT_TABLE_CONFIG, ttlSeconds }),
        tableIds: () => [TABLE],
        onBeforeChange(listener) {
          listeners.add(listener);
          return () => listeners.delete(listener);
        },
      };
      kv.gc.useConfigs(configs);

      const model: ModelVersion[] = [];
      const held = new Map<string, number>();
      let floor = 0;
      const threshold = () => {
        floor = Math.max(floor, Math.min(kv.reading() - ttlSeconds * 1_000_000, ...[...held.values()].map((ts) => ts - 1)));
        return floor;
      };
      const modelAt = (ts: number) => {
        const seen = new Map<string, string | null>();
        for (const version of model) if (version.ts <= ts) seen.set(version.name, version.text);
        return NAMES.flatMap((n) => (seen.get(n) == null ? [] : [`${n}=${seen.get(n)}`])).join(' ');
      };
      const past = (back: number): Timestamp => timestamp(Math.max(1, kv.reading() - back));

      for (const todo of actions) {
        threshold();
        switch (todo.kind) {
          case 'write': {
            const txn = kv.begin();
            txn.write([key(todo.name)], [todo.text === null ? null : value(todo.text)]);
            model.push({ ts: await txn.commit(), name: todo.name, text: todo.text });
            break;
          }
          case 'advance':
            await clock.advance(todo.micros);
            break;
          case 'gc':
            removedCount += (await kv.gc.runGc()).removedVersions;
            break;
          case 'read': {
            const ts = past(todo.back);
            if (ts <= threshold()) {
              refusedCount++;
              assert.is((await failure(rows(kv.at(ts)))).code, '72000');
            } else {
              servedCount++;
              assert.is(await rows(kv.at(ts)), modelAt(ts), `at ${ts}`);
            }
            break;
          }
          case 'ttl':
            for (const listener of listeners) listener();
            ttlSeconds = todo.seconds;
            configVersion++;
            break;
          case 'protect': {
            const record = { id: todo.id, ts: past(todo.back), metaType: 'user', meta: '', target: { kind: 'cluster' as const } };
            const isTooLate = record.ts <= threshold();
            try {
              kv.gc.verifyProtection(record);
              assert.not.ok(isTooLate, 'a record below the threshold was taken');
              kv.gc.protections.put(record);
              held.set(record.id, record.ts);
            } catch (error) {
              if (!isVarveError(error)) throw error;
              assert.ok(isTooLate, 'a good record was refused');
            }
            break;
          }
          case 'release':
            threshold();
            assert.is(kv.gc.protections.remove(todo.id), held.delete(todo.id));
            break;
          case 'fork': {
            listeners = new Set();
            kv = kv.fork();
            clock = kv.clock as typeof clock;
            kv.gc.useConfigs(configs);
            break;
          }
        }
        assert.is(Math.max(kv.gc.thresholds.of(TABLE), 0), Math.max(threshold(), 0), 'the threshold itself');
      }
      // What is left of history is what the model has above the threshold, and one version below it.
      const end = kv.reading();
      const piece = await kv.exportSpan(EVERYTHING, MIN_TIMESTAMP, end, { allVersions: true, maxBytes: 50 });
      assert.ok(piece.keys.every((k) => NAMES.includes(keyName(k))));
      const now = await kv.at(end).scan(EVERYTHING);
      assert.is(now.keys.map((k, i) => `${keyName(k)}=${utf8Decode(now.values[i] ?? value(''))}`).join(' '), modelAt(end));
      assert.equal(kv.check(), []);
      kv.close();
    }),
    { numRuns: 250 },
  );
  assert.ok(servedCount > 500 && refusedCount > 200 && removedCount > 200, `${servedCount} ${refusedCount} ${removedCount}`);
});
neverForget.run();
