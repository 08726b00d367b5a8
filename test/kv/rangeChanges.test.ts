/**
 * Splits, merges and lease moves in the middle of a transaction, an export and an ingest: what comes
 * out is what would have come out without them.
 */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import type { Bytes } from '../../src/base/bytes.ts';
import type { Timestamp } from '../../src/base/timestamp.ts';
import type { ExportPiece, ExportResume, Kv } from '../../src/kv/kv.ts';
import { makeKv, numberKey, tableSpan, value } from './support.ts';

const TABLE = 106;
const ROWS = 40;
const key = (n: number): Bytes => numberKey(n, TABLE);

type Disturbance = { readonly kind: 'split' | 'merge' | 'lease' | 'crash' | 'queue'; readonly n: number };

const disturbance = fc.record({
  kind: fc.constantFrom<Disturbance['kind']>('split', 'merge', 'lease', 'crash', 'queue'),
  n: fc.nat(ROWS - 1),
});

async function disturb(kv: Kv, { kind, n }: Disturbance): Promise<void> {
  const node = (n % 3) + 1;
  if (kind === 'split') kv.ranges.split(key(n));
  else if (kind === 'merge') kv.ranges.merge(key(n));
  else if (kind === 'lease') kv.ranges.transferLease(kv.ranges.lookup(key(n))?.rangeId ?? 0, node);
  else if (kind === 'queue') await kv.rangeQueue.run();
  else {
    kv.cluster.stopNode(node);
    kv.cluster.startNode(node);
  }
  assert.equal(kv.check(), []);
}

async function filled(): Promise<Kv> {
  const { kv } = makeKv({ localities: ['', '', ''] });
  // Sizes at which the queue has something to do: about eight rows a range.
  kv.rangeQueue.usePolicy({
    sizesOf: () => ({ minBytes: 40, maxBytes: 160 }),
    leasePreferencesOf: () => [],
    boundsOf: () => [],
    rowStart: (at) => at,
  });
  for (let round = 0; round < 2; round++) {
    await kv.run(async (txn) => {
      for (let n = 0; n < ROWS; n++) txn.write([key(n)], [n % 7 === round ? null : value(`${round}-${n}`)]);
    });
  }
  return kv;
}

const test = suite('kv: ranges change meanwhile');

test('a transaction reads, writes and commits as if nothing had moved', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(disturbance, { minLength: 4, maxLength: 12 }), async (steps) => {
      const kv = await filled();
      const txn = kv.begin();
      const seen: (Bytes | undefined)[] = [];
      for (const [i, step] of steps.entries()) {
        seen.push(...(await txn.get([key(step.n)])));
        txn.write([key(step.n)], [value(`own-${i}`)]);
        await disturb(kv, step);
        const { keys } = await txn.scan(tableSpan(TABLE));
        assert.equal([...keys], [...keys].sort(), 'a scan across new bounds stays in key order, each key once');
        assert.is(new Set(keys).size, keys.length);
        assert.equal(await txn.get([key(step.n)]), [value(`own-${i}`)]);
      }
      await txn.commit();
      const last = new Map(steps.map(({ n }, i) => [n, `own-${i}`]));
      for (const [n, text] of last) assert.equal(await kv.at(kv.reading()).get([key(n)]), [value(text)]);
      kv.close();
    }),
    { numRuns: 60 },
  );
});

test('a conflict is still found after a split between the read and the commit', async () => {
  const kv = await filled();
  const txn = kv.begin();
  await txn.scan({ key: key(5), endKey: key(25) });
  kv.ranges.split(key(15));
  await kv.run(async (other) => other.write([key(16)], [value('other')]));
  kv.ranges.merge(key(14));
  txn.write([key(1)], [value('mine')]);
  let code = '';
  await txn.commit().catch((error: { code: string }) => {
    code = error.code;
  });
  assert.is(code, '40001');
  kv.close();
});

/** All pieces of an export, with a disturbance after each. */
async function exported(kv: Kv, end: Timestamp, allVersions: boolean, steps: readonly Disturbance[]): Promise<string[]> {
  const out: string[] = [];
  let resume: ExportResume | undefined;
  let turn = 0;
  do {
    const piece: ExportPiece = await kv.exportSpan(tableSpan(TABLE), 0 as Timestamp, end, {
      allVersions,
      maxBytes: 30,
      ...(resume && { resume }),
    });
    out.push(...piece.keys.map((at, i) => `${at}@${piece.timestamps[i]}=${piece.values[i]}`));
    resume = piece.resume;
    const step = steps[turn++ % Math.max(1, steps.length)];
    if (step) await disturb(kv, step);
  } while (resume !== undefined);
  return out;
}

test('an export in pieces gives the same versions, in the same order', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(disturbance, { minLength: 1, maxLength: 10 }), fc.boolean(), async (steps, allVersions) => {
      const kv = await filled();
      const end = kv.hlc.now();
      const quiet = await exported(kv, end, allVersions, []);
      assert.ok(quiet.length >= ROWS - Math.ceil(ROWS / 7));
      assert.equal(await exported(kv, end, allVersions, steps), quiet);
      kv.close();
    }),
    { numRuns: 60 },
  );
});

test('an export range by range covers the table once, wherever the ranges are cut meanwhile', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(disturbance, { minLength: 1, maxLength: 10 }), async (steps) => {
      const kv = await filled();
      const end = kv.hlc.now();
      const quiet = await exported(kv, end, false, []);
      const out: string[] = [];
      let rest = tableSpan(TABLE);
      for (let turn = 0; rest.key < rest.endKey; turn++) {
        const [first] = kv.rangesOf(rest);
        if (!first) break;
        const piece = await kv.exportSpan(first.span, 0 as Timestamp, end, { allVersions: false, maxBytes: 1_000_000 });
        out.push(...piece.keys.map((at, i) => `${at}@${piece.timestamps[i]}=${piece.values[i]}`));
        rest = { key: first.span.endKey, endKey: rest.endKey };
        const step = steps[turn % steps.length];
        if (step) await disturb(kv, step);
      }
      assert.equal(out, quiet);
      kv.close();
    }),
    { numRuns: 60 },
  );
});

test('runs ingested around splits, merges and lease moves all arrive', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(disturbance, { minLength: 3, maxLength: 8 }), async (steps) => {
      const kv = await filled();
      const restored = 107;
      const expected: Bytes[] = [];
      for (const [i, step] of steps.entries()) {
        const keys = Array.from({ length: 10 }, (_, n) => numberKey(i * 10 + n, restored));
        expected.push(...keys);
        const arrival = kv.ingest({ keys, values: keys.map(() => value('x'.repeat(10))) });
        await disturb(kv, step);
        kv.ranges.split(numberKey(i * 10 + (step.n % 10), restored));
        await kv.rangeQueue.run();
        await arrival;
      }
      const { keys } = await kv.at(kv.reading()).scan(tableSpan(restored));
      assert.equal(keys, expected);
      assert.equal(kv.check(), []);
      kv.close();
    }),
    { numRuns: 40 },
  );
});

test('the queue splits and merges until nothing is left to do, and then leaves ranges alone', async () => {
  const kv = await filled();
  const bounds = () => kv.rangesOf(tableSpan(TABLE)).map(({ span }) => span.key);
  await kv.rangeQueue.run();
  const settled = bounds();
  assert.ok(settled.length > 3, `${settled.length} ranges`);
  for (let i = 0; i < 3; i++) await kv.rangeQueue.run();
  assert.equal(bounds(), settled);
  for (const { span } of kv.rangesOf(tableSpan(TABLE))) assert.ok(kv.stats(span).totalBytes <= 160);
  kv.rangeQueue.usePolicy({
    sizesOf: () => ({ minBytes: 1e6, maxBytes: 1e7 }),
    leasePreferencesOf: () => [],
    boundsOf: () => [],
    rowStart: (at) => at,
  });
  await kv.rangeQueue.run();
  assert.is(bounds().length, 1);
  kv.close();
});

test.run();
