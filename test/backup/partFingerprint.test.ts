/**
 * Fingerprints taken while exporting: summed up they are the fingerprint of what a reader sees, at every
 * commit, whatever the sizes of pieces and however layers follow each other.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import type { Bytes } from '../../src/base/bytes.ts';
import { EntryHasher, Fingerprint } from '../../src/base/fingerprint.ts';
import { seededRandom } from '../../src/base/random.ts';
import type { Timestamp } from '../../src/base/timestamp.ts';
import type { ExportPiece } from '../../src/kv/kv.ts';
import { indexOfKey } from '../../src/kv/indexOfKey.ts';
import {
  CHANGES_MAX,
  decodeChanges,
  type FingerprintChange,
  FingerprintBuilder,
  VersionsFingerprint,
} from '../../src/backup/partFingerprint.ts';
import { Harness } from './harness.ts';

const test = suite('fingerprint of a part');
const T = 'bank.t';
const PLACE = { file: 'f', offset: 0 };

async function history(seed: string, commits: number): Promise<{ harness: Harness; times: Timestamp[] }> {
  const random = seededRandom(seed);
  const harness = await Harness.open({});
  await harness.createDatabase('bank');
  await harness.createTable(T);
  const times: Timestamp[] = [];
  for (let commit = 0; commit < commits; commit++) {
    const rows = Array.from(
      { length: 1 + random.int(4) },
      () => [random.int(12), random.int(4) === 0 ? null : 'v'.repeat(random.int(30))] as const,
    );
    await harness.put(T, new Map(rows));
    times.push(harness.kv.hlc.last());
  }
  return { harness, times };
}

/** What the fingerprint of a table at a time must be: from its rows. */
async function fingerprintAt({ kv, tableSpan }: Harness, span: ReturnType<typeof tableSpan>, at: Timestamp): Promise<string> {
  const hasher = new EntryHasher();
  const sum = new Fingerprint();
  const { keys, values } = await kv.at(at).scan(span);
  keys.forEach((key, i) => {
    hasher.hash(key, indexOfKey(key).length, values[i] as Bytes);
    sum.addHash(hasher.entry);
  });
  return sum.toHex();
}

async function build(harness: Harness, start: Timestamp, end: Timestamp, allVersions: boolean, maxBytes: number) {
  const [range] = harness.kv.rangesOf(harness.tableSpan(T));
  const span = range?.span ?? harness.tableSpan(T);
  const prefixLength = indexOfKey(span.key).length;
  const builder = new FingerprintBuilder({ prefixLength, endTime: end, historyFrom: allVersions ? start : undefined });
  const versions = new VersionsFingerprint(prefixLength);
  let resume: ExportPiece['resume'];
  do {
    const piece = await harness.kv.exportSpan(span, start, end, { allVersions, maxBytes, resume, withReplaced: true });
    builder.add(piece);
    versions.add(piece, 0, piece.keys.length);
    resume = piece.resume;
  } while (resume !== undefined);
  const { fingerprint } = builder;
  assert.is(fingerprint.versions, versions.sum.toHex());
  return { span, fingerprint, changes: decodeChanges(fingerprint.changes, PLACE) };
}

function sumUpTo(layers: readonly (readonly FingerprintChange[])[], time: Timestamp): string {
  const sum = new Fingerprint();
  for (const { time: at, delta } of layers.flat()) if (at <= time) sum.add(delta);
  return sum.toHex();
}

test('layers with and without history add up to what can be read', async () => {
  const random = seededRandom('layers');
  for (let round = 0; round < 60; round++) {
    const { harness, times } = await history(`fingerprints ${round % 6}`, 30);
    const ends = [0, ...times.filter(() => random.int(6) === 0), times.at(-1) as Timestamp] as Timestamp[];
    const layers: FingerprintChange[][] = [];
    for (let i = 0; i + 1 < ends.length; i++) {
      const [start, end] = [ends[i] as Timestamp, ends[i + 1] as Timestamp];
      if (start === end) continue;
      const allVersions = random.int(2) === 0;
      const { span, changes } = await build(harness, start, end, allVersions, 1 + random.int(200));
      layers.push(changes);
      const readable = allVersions ? times.filter((time) => time > start && time <= end) : [end];
      for (const time of readable) assert.is(sumUpTo(layers, time), await fingerprintAt(harness, span, time), `round ${round} at ${time}`);
    }
    harness.close();
  }
});

test('neither sizes of pieces nor what came before change it', async () => {
  const { harness, times } = await history('pieces', 40);
  const [start, end] = [times[10] as Timestamp, times[35] as Timestamp];
  const { fingerprint } = await build(harness, start, end, true, 1 << 20);
  for (const maxBytes of [1, 7, 60, 500]) assert.equal((await build(harness, start, end, true, maxBytes)).fingerprint, fingerprint);
  harness.close();
});

test('many commits share changes, and each change stands at a commit where it is exact', async () => {
  const { harness, times } = await history('bounded', 900);
  const { span, changes } = await build(harness, times[0] as Timestamp, times.at(-1) as Timestamp, true, 3000);
  assert.ok(changes.length <= CHANGES_MAX && changes.length > CHANGES_MAX / 4, `${changes.length} changes`);
  const before = new Fingerprint();
  const first = await build(harness, 0 as Timestamp, times[0] as Timestamp, false, 3000);
  for (const { delta } of first.changes) before.add(delta);
  for (const { time, delta } of changes) {
    before.add(delta);
    assert.ok(times.includes(time));
    assert.is(before.toHex(), await fingerprintAt(harness, span, time));
  }
  harness.close();
});

test('which commits share a change depends on their times alone', () => {
  const random = seededRandom('steps');
  const keys = Array.from({ length: 2000 }, (_, i) => `\xbc\x89${String(i).padStart(5, '0')}` as Bytes);
  const times = keys.map(() => (1_000_000_000 + random.int(1_000_000)) as Timestamp);
  const values = keys.map(() => 'v' as Bytes);
  const order = [...keys.keys()];
  const made = [1, 2, 3].map(() => {
    const builder = new FingerprintBuilder({ prefixLength: 2, endTime: 2_000_000_000 as Timestamp, historyFrom: 1 as Timestamp });
    for (const i of order.sort(() => random.float() - 0.5)) {
      builder.add({ keys: [keys[i] as Bytes], timestamps: [times[i] as Timestamp], values: [values[i] as Bytes] });
    }
    return builder.fingerprint;
  });
  assert.equal(made[1], made[0]);
  assert.equal(made[2], made[0]);
});

test('changes that nobody wrote are XX001', () => {
  for (const bytes of [
    [1, 0, ...new Array(16).fill(0)],
    [1, 5, 1, 2],
    [0, 7],
    [2, 1, ...new Array(16).fill(0)],
  ]) {
    assert.throws(
      () => decodeChanges(Buffer.from(bytes).toString('base64'), PLACE),
      (error: { code?: string }) => error.code === 'XX001',
    );
  }
});

test.run();
