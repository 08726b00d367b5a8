/**
 * TTLs of indexes against a model: each index's threshold is the running maximum of min(now - its TTL,
 * oldest protection - 1), whatever TTLs are set and taken away, whenever GC runs, in forks too; a
 * read of an index is right or refused, exactly at that bound; the table's threshold is the highest.
 */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { utf8Decode } from '../../src/base/bytes.ts';
import { isVarveError } from '../../src/base/errors.ts';
import { EVERYTHING } from '../../src/base/span.ts';
import { timestamp } from '../../src/base/timestamp.ts';
import type { SpanConfigs } from '../../src/gc/spanConfigs.ts';
import { DEFAULT_TABLE_CONFIG } from '../../src/gc/spanConfigs.ts';
import { failure, key, makeKv, put, TABLE } from '../kv/support.ts';

const S = 1_000_000;
const INDEXES = [1, 2, 3];
const index = fc.constantFrom(...INDEXES);
const micros = fc.integer({ min: 1, max: 3 * S });
const seconds = fc.integer({ min: 1, max: 6 });

const action = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('write' as const), index }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('advance' as const), micros }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('gc' as const) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('read' as const), index, back: fc.integer({ min: 0, max: 8 * S }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('table ttl' as const), seconds }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('index ttl' as const), index, seconds: fc.option(seconds, { freq: 3 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('protect' as const), back: micros }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('release' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('fork' as const) }) },
);

const indexes = suite('gc: thresholds of indexes');

indexes('each index goes by its own TTL, or the table by its', async () => {
  const seen = { served: 0, refused: 0, removed: 0, differ: 0 };
  await fc.assert(
    fc.asyncProperty(fc.array(action, { minLength: 30, maxLength: 100, size: 'max' }), async (actions) => {
      let { kv, clock } = makeKv();
      let ttlSeconds = 3;
      const own = new Map<number, number>();
      let version = 0;
      const listeners = new Set<() => void>();
      const configs: SpanConfigs = {
        get version() {
          return version;
        },
        configOf: (id) =>
          id !== TABLE ? undefined : { ...DEFAULT_TABLE_CONFIG, ttlSeconds, indexes: { ttlSeconds: new Map(own), ids: INDEXES } },
        tableIds: () => [TABLE],
        onBeforeChange(listener) {
          listeners.add(listener);
          return () => listeners.delete(listener);
        },
      };
      kv.gc.useConfigs(configs);
      const change = (make: () => void): void => {
        for (const listener of listeners) listener();
        make();
        version++;
      };
      const versions: { readonly ts: number; readonly index: number; readonly text: string }[] = [];
      const floors = new Map(INDEXES.map((id) => [id, 0]));
      let held = Number.POSITIVE_INFINITY;
      const floorOf = (id: number): number => {
        const bound = Math.min(kv.reading() - (own.get(id) ?? ttlSeconds) * S, held - 1);
        floors.set(id, Math.max(floors.get(id) as number, bound));
        return floors.get(id) as number;
      };
      for (const step of actions) {
        for (const id of INDEXES) floorOf(id);
        if (step.kind === 'write') {
          const text = String(versions.length);
          versions.push({ ts: await put(kv, { [`${TABLE}/${step.index}:a`]: text }), index: step.index, text });
        } else if (step.kind === 'advance') await clock.advance(step.micros);
        else if (step.kind === 'gc') seen.removed += (await kv.gc.runGc()).removedVersions;
        else if (step.kind === 'table ttl') change(() => (ttlSeconds = step.seconds));
        else if (step.kind === 'index ttl')
          change(() => (step.seconds === null ? own.delete(step.index) : own.set(step.index, step.seconds)));
        else if (step.kind === 'protect') {
          const record = {
            id: 'p',
            ts: timestamp(Math.max(1, kv.reading() - step.back)),
            metaType: 'user',
            meta: '',
            target: { kind: 'cluster' } as const,
          };
          const mayBe = INDEXES.every((id) => record.ts > floorOf(id));
          if (mayBe) {
            kv.gc.verifyProtection(record);
            kv.gc.protections.put(record);
            held = record.ts;
          } else
            assert.throws(
              () => kv.gc.verifyProtection(record),
              (error: unknown) => isVarveError(error) && error.code === '72000',
            );
        } else if (step.kind === 'release') {
          kv.gc.protections.remove('p');
          held = Number.POSITIVE_INFINITY;
        } else if (step.kind === 'fork') {
          kv = kv.fork();
          clock = kv.clock as typeof clock;
        } else {
          const ts = timestamp(Math.max(1, kv.reading() - step.back));
          const name = key(`${TABLE}/${step.index}:a`);
          if (ts <= floorOf(step.index)) {
            seen.refused++;
            assert.is((await failure(kv.at(ts).get([name]))).code, '72000');
          } else {
            seen.served++;
            const [found] = await kv.at(ts).get([name]);
            const expected = versions.findLast((one) => one.index === step.index && one.ts <= ts)?.text;
            assert.is(found === undefined ? undefined : utf8Decode(found), expected);
          }
        }
        const now = INDEXES.map((id) => Math.max(0, floorOf(id)));
        assert.equal(
          INDEXES.map((id) => kv.gc.thresholds.of(TABLE, id)),
          now,
          `after ${step.kind}`,
        );
        assert.is(kv.gc.thresholds.of(TABLE), Math.max(...now), `the whole table's, after ${step.kind}`);
        const lowest = kv.gc.thresholds.lowestOf(TABLE);
        assert.ok(lowest <= Math.min(...now), `the lowest, after ${step.kind}`);
        if (new Set(now).size > 1) seen.differ++;
      }
    }),
    { numRuns: 150, seed: 7 },
  );
  for (const [what, count] of Object.entries(seen)) assert.ok(count > 100, `${what} ${count}`);
});

indexes('a scan over several indexes needs all of them, an export too', async () => {
  const { kv, clock } = makeKv();
  kv.gc.useConfigs({
    version: 1,
    configOf: () => ({ ...DEFAULT_TABLE_CONFIG, ttlSeconds: 100, indexes: { ttlSeconds: new Map([[2, 10]]), ids: [1, 2] } }),
    tableIds: () => [TABLE],
    onBeforeChange: () => () => {},
  });
  await put(kv, { a: '1', [`${TABLE}/2:a`]: '1' });
  const early = kv.hlc.now();
  await clock.advance('50s');
  await kv.at(early).get([key('a')]);
  assert.is((await failure(kv.at(early).scan(EVERYTHING))).code, '72000');
  assert.is((await failure(kv.exportSpan(EVERYTHING, early, kv.reading(), { allVersions: false, maxBytes: 1e6 }))).code, '72000');
  const refused = await failure(kv.at(early).get([key(`${TABLE}/2:none`)]));
  assert.match(refused.detail ?? '', /index 106\/2: /);
  assert.equal(kv.gc.thresholds.indexesApart(TABLE), [2]);
  const [rest, second] = kv.gc.explainParts(TABLE);
  assert.equal([rest?.ttlSeconds, rest?.indexId, second?.ttlSeconds, second?.indexId], [100, undefined, 10, 2]);
  assert.is(kv.gc.thresholds.unreadableAt(TABLE, kv.reading()), kv.reading() + 10 * S);
});
indexes.run();
