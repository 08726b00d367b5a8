/** Merging layers: the newest version at or below the time, however versions are spread over files and blocks. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import fc from 'fast-check';

import type { Bytes } from '../../src/base/bytes.ts';
import { InlineExecutor } from '../../src/base/executor.ts';
import type { Timestamp } from '../../src/base/timestamp.ts';
import type { VersionRun } from '../../src/backup/block.ts';
import { collectionAt } from '../../src/backup/collectionStorage.ts';
import { writeDataFile } from '../../src/backup/dataFileWriter.ts';
import { FileCursor } from '../../src/restore/fileCursor.ts';
import { KeyRewriter } from '../../src/restore/keyRewriter.ts';
import { mergeUnit, type RowSink } from '../../src/restore/mergeUnit.ts';
import type { LayerFile } from '../../src/restore/spanCovering.ts';
import { MemoryFiles, openMemory } from '../../src/storage/memory.ts';
import { ParsedUri } from '../../src/storage/uri.ts';
import { parseSpan } from '../backup/support.ts';

const test = suite('merge unit');

const executor = new InlineExecutor();
const signal = new AbortController().signal;

type Version = readonly [key: string, time: number, value: string | null];

/** A sink that is full after every `size` rows, and fails the test when it is not drained then. */
class Collector implements RowSink {
  readonly rows: [string, string][] = [];
  readonly #size: number;
  #held = 0;

  constructor(size: number) {
    this.#size = size;
  }

  add(key: Bytes, value: Bytes): boolean {
    assert.ok(this.#held < this.#size, 'a row came in although the sink was full');
    this.rows.push([key, value]);
    return ++this.#held < this.#size;
  }

  async drain(): Promise<void> {
    this.#held = 0;
  }
}

/** Stores sorted versions with blocks of a few entries. */
async function fileOf(versions: readonly Version[], name: string, files: MemoryFiles): Promise<LayerFile> {
  const storage = openMemory(ParsedUri.parse('mem://b/c'), files);
  const sorted = [...versions].sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : b[1] - a[1]));
  async function* runs(): AsyncGenerator<VersionRun> {
    const keys = sorted.map(([key]) => key as Bytes);
    const timestamps = sorted.map(([, time]) => time as Timestamp);
    if (keys.length > 0) yield { keys, timestamps, values: sorted.map(([, , value]) => value as Bytes | null) };
  }
  const { sizeBytes, sha256 } = await writeDataFile(storage, name, runs(), { executor, blockTargetBytes: 24 });
  const dataBytes = sorted.reduce((sum, [key, , value]) => sum + key.length + (value?.length ?? 0), 0);
  const whole = {
    span: { key: '' as Bytes, endKey: '\xff' as Bytes },
    startTime: -1 as Timestamp,
    endTime: Number.MAX_SAFE_INTEGER as Timestamp,
  };
  const parts = [{ ...whole, rows: 0, indexEntries: 0, dataBytes }];
  return { name, directory: '', file: { path: name, sizeBytes, sha256, locality: '', parts } };
}

/** The rows of units `a-e` and so on, from files of versions, as of `time`. */
async function merged(
  layers: readonly (readonly Version[])[],
  time: number,
  spans: string[],
  isWhole: boolean,
  sinkSize: number,
  importStart?: number,
) {
  const files = new MemoryFiles();
  const storage = openMemory(ParsedUri.parse('mem://b/c'), files);
  const cursors: FileCursor[] = [];
  for (const [i, versions] of layers.entries()) {
    cursors.push(new FileCursor(await fileOf(versions, `f${i}`, files), isWhole, { storage: collectionAt(storage), executor, signal }));
  }
  const sink = new Collector(sinkSize);
  for (const span of spans) {
    await Promise.all(cursors.map((cursor) => cursor.enter(parseSpan(span))));
    await mergeUnit(cursors, time as Timestamp, sink, importStart as Timestamp | undefined);
    await sink.drain();
  }
  for (const cursor of cursors) await cursor.finish();
  return sink.rows;
}

test('newer layers win, tombstones hide, later versions do not count', async () => {
  const layers: Version[][] = [
    [
      ['a', 10, 'a1'],
      ['b', 10, 'b1'],
      ['d', 5, 'd1'],
    ],
    [['b', 20, null]],
    [
      ['a', 40, 'a4'],
      ['a', 30, 'a3'],
      ['c', 40, 'c4'],
    ],
  ];
  const at = (time: number) => merged(layers, time, ['a-z'], true, 100);
  assert.equal(await at(35), [
    ['a', 'a3'],
    ['d', 'd1'],
  ]);
  assert.equal(await at(10), [
    ['a', 'a1'],
    ['b', 'b1'],
    ['d', 'd1'],
  ]);
  assert.equal(await at(9), [['d', 'd1']]);
  assert.equal(await at(4), []);
});

test('what was imported is left out, also where it went over a deletion that the layers have not', async () => {
  const layers: Version[][] = [
    [
      ['a', 10, 'a1'],
      ['b', 10, 'b1'],
    ],
    [
      ['b', 30, 'imported'],
      ['c', 30, 'imported'],
      ['d', 20, 'd2'],
    ],
  ];
  assert.equal(await merged(layers, 40, ['a-z'], true, 100, 25), [
    ['a', 'a1'],
    ['d', 'd2'],
  ]);
});

test('random layers, times, units, block cuts and sink sizes: always what a walk over all versions finds', async () => {
  const version = fc.tuple(fc.integer({ min: 0, max: 15 }), fc.integer({ min: 1, max: 40 }), fc.option(fc.integer({ min: 0, max: 9 })));
  const layersOf = fc.array(fc.array(version, { maxLength: 40 }), { minLength: 1, maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(
      layersOf,
      fc.integer({ min: 0, max: 45 }),
      fc.boolean(),
      fc.integer({ min: 1, max: 7 }),
      async (drawn, time, isWhole, size) => {
        const key = (n: number) => String.fromCharCode(97 + n).repeat(1 + (n % 3));
        // A (key, time) has one value, in whichever layers it is.
        const values = new Map<string, string | null>();
        const layers = drawn.map((versions) => {
          const own = new Map<string, Version>();
          for (const [n, at, value] of versions) {
            const id = `${key(n)}@${at}`;
            if (!values.has(id)) values.set(id, value === null ? null : `v${value}`);
            own.set(id, [key(n), at, values.get(id) ?? null]);
          }
          return [...own.values()];
        });
        const spans = ['a-d', 'd-ddx', 'e-k', 'k-zz'];
        const expected: [string, string][] = [];
        for (const name of [...new Set(layers.flat().map(([name]) => name))].sort()) {
          if (!spans.some((span) => parseSpan(span).key <= name && name < parseSpan(span).endKey)) continue;
          const seen = layers.flat().filter(([other, at]) => other === name && at <= time);
          const newest = seen.sort((a, b) => b[1] - a[1])[0];
          if (newest && newest[2] !== null) expected.push([name, newest[2]]);
        }
        assert.equal(await merged(layers, time, spans, isWhole, size), expected);
      },
    ),
    { numRuns: 150 },
  );
});

test('a file that is not what the manifest says fails at its end at the latest', async () => {
  const files = new MemoryFiles();
  const storage = openMemory(ParsedUri.parse('mem://b/c'), files);
  const file = await fileOf([['a', 1, 'x']], 'f', files);
  const cursor = new FileCursor({ ...file, file: { ...file.file, sha256: 'ab'.repeat(32) } }, true, {
    storage: collectionAt(storage),
    executor,
    signal,
  });
  const read = async () => {
    await cursor.enter(parseSpan('a-z'));
    await mergeUnit([cursor], 10 as Timestamp, new Collector(10));
    await cursor.finish();
  };
  await read().then(
    () => assert.unreachable(),
    (error: { code: string; message: string }) => {
      assert.is(error.code, 'XX001');
      assert.match(error.message, /SHA-256/);
    },
  );
});

test('keys change their prefix and nothing else, whatever the lengths', () => {
  const bytes = fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 40 }).map((list) => String.fromCharCode(...list));
  const prefix = fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 2, maxLength: 12 }).map((list) => String.fromCharCode(...list));
  fc.assert(
    fc.property(prefix, prefix, fc.array(bytes, { maxLength: 20 }), (from, to, rests) => {
      const rewriter = new KeyRewriter(from as Bytes, to as Bytes);
      for (const rest of [...rests, 'x'.repeat(3000)]) assert.is(rewriter.rewrite((from + rest) as Bytes), to + rest);
    }),
  );
  assert.throws(() => new KeyRewriter('ab' as Bytes, 'cd' as Bytes).rewrite('xyz' as Bytes), /another index/);
});

test.run();
