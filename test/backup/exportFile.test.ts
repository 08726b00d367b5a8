/**
 * Export to files: whatever the sizes of pieces, blocks and files, the files together hold what the
 * store holds, each key in one file, in parts that are disjoint and leave nothing out; and what a
 * node had under way when it stopped goes to another.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import type { Bytes } from '../../src/base/bytes.ts';
import { seededRandom } from '../../src/base/random.ts';
import { mergeSpans, subtractSpans } from '../../src/base/span.ts';
import type { Timestamp } from '../../src/base/timestamp.ts';
import { readDataFile } from '../../src/backup/dataFileReader.ts';
import { collectionAt } from '../../src/backup/collectionStorage.ts';
import type { ExportUnit } from '../../src/backup/exportFile.ts';
import { exportFile, WorkerLostError } from '../../src/backup/exportFile.ts';
import { exportLayer } from '../../src/backup/exportLayer.ts';
import type { BackupDetails } from '../../src/backup/backupDetails.ts';
import type { ManifestFilePart, SpanInterval } from '../../src/backup/manifest.ts';
import { Harness } from './harness.ts';

const test = suite('export to files');
const T = 'bank.t';

async function history(seed: string, nodes = 1): Promise<Harness> {
  const random = seededRandom(seed);
  const harness = await Harness.open({ nodes });
  await harness.createDatabase('bank');
  await harness.createTable(T);
  for (let commit = 0; commit < 25; commit++) {
    const rows = Array.from(
      { length: 1 + random.int(4) },
      () => [random.int(12), random.int(5) === 0 ? null : 'v'.repeat(random.int(30))] as const,
    );
    await harness.put(T, new Map(rows));
  }
  return harness;
}

function unitsOf(harness: Harness, startTime: Timestamp, endTime: Timestamp): ExportUnit[] {
  return harness.kv.rangesOf(harness.tableSpan(T)).map(({ span }) => ({ span, startTime, endTime }));
}

type Version = readonly [key: Bytes, time: Timestamp, value: Bytes | null];

async function versionsOf(harness: Harness, units: readonly ExportUnit[], allVersions: boolean): Promise<Version[]> {
  const versions: Version[] = [];
  for (const { span, startTime, endTime } of units) {
    const piece = await harness.kv.exportSpan(span, startTime, endTime, { allVersions, maxBytes: 1e9 });
    piece.keys.forEach((key, i) => {
      versions.push([key, piece.timestamps[i] as Timestamp, piece.values[i] ?? null]);
    });
  }
  return versions;
}

test('files of any size hold the store together, and no key twice', async () => {
  const random = seededRandom('sizes');
  for (let round = 0; round < 60; round++) {
    const harness = await history(`history ${round % 5}`);
    const end = harness.kv.hlc.now();
    const start = (random.int(2) === 0 ? 0 : end - 60) as Timestamp;
    const allVersions = random.int(2) === 0;
    const units = unitsOf(harness, start, end);
    const sizes = { pieceBytes: 1 + random.int(120), blockTargetBytes: 1 + random.int(200), targetBytes: 1 + random.int(600) };

    const found: Version[] = [];
    const parts: ManifestFilePart[] = [];
    const empty: SpanInterval[] = [];
    let files = 0;
    for (let rest: readonly ExportUnit[] = units; rest.length > 0; ) {
      const name = `f${++files}`;
      const { kv } = harness;
      const signal = new AbortController().signal;
      const storage = harness.collection;
      const exported = await exportFile(rest, {
        kv,
        executor: kv.executor,
        storage,
        name,
        allVersions,
        isAlive: () => true,
        signal,
        ...sizes,
      });
      rest = exported.rest;
      empty.push(...exported.emptySpans);
      if (exported.file === undefined) continue;
      parts.push(...exported.file.parts);
      const last = found.at(-1)?.[0];
      for await (const run of readDataFile(storage, name, exported.file, { executor: kv.executor })) {
        assert.ok(last === undefined || (run.keys[0] as Bytes) > last, 'a key is in one file only');
        run.keys.forEach((key, i) => {
          found.push([key, run.timestamps[i] as Timestamp, run.values[i] ?? null]);
        });
      }
    }
    assert.equal(found, await versionsOf(harness, units, allVersions), `round ${round}`);
    const spans = [...parts, ...empty].map(({ span }) => span).sort((a, b) => (a.key < b.key ? -1 : 1));
    spans.forEach((span, i) => {
      assert.ok(i === 0 || spans[i - 1]!.endKey <= span.key, 'parts are disjoint');
    });
    assert.equal(subtractSpans(mergeSpans(units.map(({ span }) => span)), mergeSpans(spans)), []);
    const bytes = found.reduce((sum, [key, , value]) => sum + key.length + (value?.length ?? 0), 0);
    assert.is(
      parts.reduce((sum, part) => sum + part.dataBytes, 0),
      bytes,
    );
    const live = found.filter(([, , value]) => value !== null).length;
    assert.is(
      parts.reduce((sum, part) => sum + part.rows + part.indexEntries, 0),
      live,
    );
    harness.close();
  }
});

test('a worker whose node stops throws, and its file is not there', async () => {
  const harness = await history('lost');
  let questions = 0;
  const { kv } = harness;
  const options = { kv, executor: kv.executor, storage: harness.collection, allVersions: true, signal: new AbortController().signal };
  try {
    await exportFile(unitsOf(harness, 0 as Timestamp, kv.hlc.now()), {
      ...options,
      name: 'f',
      targetBytes: 1e9,
      pieceBytes: 50,
      isAlive: () => ++questions < 4,
    });
    assert.unreachable();
  } catch (error) {
    assert.instance(error, WorkerLostError);
  }
  assert.equal(await harness.fileNames(), []);
  harness.close();
});

test('a layer survives the loss of a worker: others take its work up', async () => {
  const harness = await history('layer', 3);
  const endTime = harness.kv.hlc.now();
  const units = unitsOf(harness, 0 as Timestamp, endTime);
  const spans = units.map(({ span }) => span);
  const holder = harness.kv.rangesOf(spans[0]!)[0]!.leaseholder;
  const storage = harness.collection;
  let stopped = false;
  let number = 0;
  const progress = await exportLayer({
    kv: harness.kv,
    details: {
      directory: 'd',
      startTime: 0,
      endTime,
      spans,
      introducedSpans: [],
      revisionHistory: true,
      executionLocality: '',
    } as unknown as BackupDetails,
    done: { files: [], emptySpans: [] },
    fileTargetBytes: 1e9,
    signal: new AbortController().signal,
    newFileName: () => `data/f${++number}`,
    storageFor: (node) => {
      // After it has taken the work, and just before its first piece.
      if (node.id === holder && !stopped) {
        stopped = true;
        harness.kv.cluster.stopNode(holder);
      }
      return collectionAt(storage);
    },
    onProgress: async () => {},
  });
  assert.ok(stopped);
  const found: Version[] = [];
  for (const file of progress.files) {
    for await (const run of readDataFile(storage, `d/${file.path}`, file, { executor: harness.kv.executor })) {
      run.keys.forEach((key, i) => {
        found.push([key, run.timestamps[i] as Timestamp, run.values[i] ?? null]);
      });
    }
  }
  found.sort(([a, s], [b, t]) => (a < b ? -1 : a > b ? 1 : t - s));
  assert.equal(found, await versionsOf(harness, units, true));
  harness.close();
});

test.run();
