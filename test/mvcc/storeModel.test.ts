/**
 * The store against the oracle. Goal: no sequence of commits, deletes, ingests, clears, collections
 * and forks makes an answer differ. Method: a run is a list of numbers, each op reads what it needs
 * from them, so fast-check can shrink a failing run; after each op the invariant walker runs, and
 * every store of the family is compared with its own model.
 */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Bytes } from '../../src/base/bytes.ts';
import { seededRandom } from '../../src/base/random.ts';
import type { Span } from '../../src/base/span.ts';
import { EVERYTHING, nextKey, spanContains, spansOverlap } from '../../src/base/span.ts';
import type { Timestamp } from '../../src/base/timestamp.ts';
import { MAX_TIMESTAMP } from '../../src/base/timestamp.ts';
import { Store } from '../../src/mvcc/store.ts';
import { VersionBatch } from '../../src/mvcc/versionBatch.ts';
import type { OracleRow } from '../support/oracle.ts';
import { Oracle } from '../support/oracle.ts';
import { runs } from '../support/depth.ts';

const KEYS = ['a', 'b', 'bb', 'c', 'd\x00', 'e', 'f', 'g'] as Bytes[];
const BOUNDS = ['', 'b', 'bc', 'd', 'f\x00', 'm', 'n2', 'n4', '\xff\xff'] as Bytes[];

/** One store with its model. */
interface Member {
  store: Store;
  oracle: Oracle;
  now: number;
  /** Reads are checked above this. */
  threshold: number;
  ingests: { span: Span; at: number }[];
  clears: { span: Span; at: number }[];
  runCount: number;
}

class Run {
  readonly family: Member[] = [];
  readonly #numbers: readonly number[];
  #at = 0;

  constructor(numbers: readonly number[]) {
    this.#numbers = numbers;
    const oracle = new Oracle();
    this.family.push({ store: new Store(EVERYTHING), oracle, now: 10, threshold: 0, ingests: [], clears: [], runCount: 0 });
  }

  get done(): boolean {
    return this.#at >= this.#numbers.length;
  }

  /** A number in [0, bound). */
  pick(bound: number): number {
    return (this.#numbers[this.#at++] ?? 0) % bound;
  }

  key(member: Member): Bytes {
    const known = member.oracle.keys();
    return this.pick(4) === 0 && known.length > 0 ? (known[this.pick(known.length)] as Bytes) : (KEYS[this.pick(KEYS.length)] as Bytes);
  }

  value(): Bytes | null {
    return this.pick(4) === 0 ? null : (`v${'x'.repeat(this.pick(9))}` as Bytes);
  }

  span(): Span {
    const a = this.pick(BOUNDS.length);
    const b = this.pick(BOUNDS.length);
    if (a === b || this.pick(3) === 0) return EVERYTHING;
    return { key: BOUNDS[Math.min(a, b)] as Bytes, endKey: BOUNDS[Math.max(a, b)] as Bytes };
  }

  /** A timestamp that reads may use. */
  readable(member: Member): Timestamp {
    return (member.threshold + 1 + this.pick(Math.max(1, member.now - member.threshold))) as Timestamp;
  }

  step(): void {
    const member = this.family[this.pick(this.family.length)] as Member;
    const op = this.pick(12);
    if (op < 5) this.commit(member);
    else if (op === 5) this.ingest(member);
    else if (op === 6 && this.pick(4) === 0) this.clear(member);
    else if (op === 6 && this.pick(3) === 0) this.ingestRows(member);
    else if (op === 7 || op === 8) this.collect(member);
    else if (op === 9 && this.family.length < 4) this.fork(member);
    else if (op === 10) checkExport(this, member);
    else checkReads(this, member);
    for (const each of this.family) {
      assert.equal(each.store.check(), []);
      assert.equal(dump(each.store), each.oracle.held());
    }
  }

  commit(member: Member): void {
    member.now += 1 + this.pick(3);
    const ts = member.now as Timestamp;
    const writes = new Map<Bytes, Bytes | null>();
    for (let i = 1 + this.pick(5); i > 0; i--) writes.set(this.key(member), this.value());
    const keys = [...writes.keys()];
    const values = [...writes.values()];
    const cut = this.pick(keys.length + 1);
    member.store.apply(ts, { keys, values }, 0, cut);
    member.store.apply(ts, { keys, values }, cut);
    for (const [key, value] of writes) member.oracle.put(key, ts, value);
  }

  /** New keys with history; delivered whole, or twice, or as two layers that share keys. */
  ingest(member: Member): void {
    const layers = [new VersionBatch(), new VersionBatch()] as const;
    const prefix = `n${this.pick(6)}${member.runCount++}`;
    const layered = this.pick(2) === 0;
    for (let i = 0, count = 1 + this.pick(3); i < count; i++) {
      const key = `${prefix}${i}` as Bytes;
      let ts = member.now + 1;
      for (let versions = 1 + this.pick(4); versions > 0 && ts > 1; versions--) {
        ts = 1 + this.pick(ts - 1);
        const value = this.value();
        (layered && this.pick(2) === 1 ? layers[1] : layers[0]).push(key, ts as Timestamp, value);
        member.oracle.put(key, ts as Timestamp, value);
      }
    }
    member.now += 1;
    for (const layer of this.pick(4) === 0 ? [layers[0], ...layers] : layers) {
      member.store.ingest(layer, member.now as Timestamp);
      if (layer.length === 0) continue;
      const span = { key: layer.keys[0] as Bytes, endKey: nextKey(layer.keys.at(-1) as Bytes) };
      member.ingests.push({ span, at: member.now });
    }
  }

  /** New rows of one time; now and then above all there is, and delivered twice. */
  ingestRows(member: Member): void {
    const prefix = `${this.pick(2) === 0 ? 'z' : 'n'}${String(member.runCount++).padStart(6, '0')}`;
    const keys = Array.from(
      { length: 1 + this.pick(this.pick(8) === 0 ? 70 : 3) },
      (_, i) => `${prefix}${String(i).padStart(3, '0')}` as Bytes,
    );
    const values = keys.map((_, i) => `${prefix}=${i}` as Bytes);
    const at = (1 + this.pick(member.now)) as Timestamp;
    keys.forEach((key, i) => {
      member.oracle.put(key, at, values[i] as Bytes);
    });
    member.now += 1;
    for (let times = this.pick(4) === 0 ? 2 : 1; times > 0; times--) {
      member.store.ingestRows({ keys, values, at }, member.now as Timestamp);
    }
    member.ingests.push({ span: { key: keys[0] as Bytes, endKey: nextKey(keys.at(-1) as Bytes) }, at: member.now });
  }

  clear(member: Member): void {
    const span = this.span();
    member.now += 1;
    member.store.clearSpan(span, member.now as Timestamp);
    member.oracle.clear(span);
    member.clears.push({ span, at: member.now });
  }

  collect(member: Member): void {
    const span = this.span();
    const threshold = this.pick(member.now) as Timestamp;
    member.threshold = Math.max(member.threshold, threshold);
    const budget = { maxVersions: 1 + this.pick(10) };
    let removed = 0;
    const before = member.store.stats();
    for (let done = false; !done; ) {
      const result = member.store.collect(span, threshold, budget);
      done = result.done;
      removed += result.removedVersions;
      assert.equal(member.store.check(), []);
      checkScan(this, member, this.readable(member));
    }
    member.oracle.collect(span, threshold);
    assert.is(before.versions - member.store.stats().versions, removed);
    assert.equal(member.store.collect(span, threshold, budget), { removedVersions: 0, removedBytes: 0, done: true });
  }

  fork(member: Member): void {
    this.family.push({
      ...member,
      store: member.store.fork(),
      oracle: member.oracle.clone(),
      ingests: [...member.ingests],
      clears: [...member.clears],
    });
  }
}

function rows(batch: VersionBatch): OracleRow[] {
  return batch.keys.map((key, i) => ({ key, ts: batch.timestamps[i] as Timestamp, value: batch.values[i] as Bytes | null }));
}

function dump(store: Store): OracleRow[] {
  const batch = new VersionBatch();
  store.exportSpan(
    EVERYTHING,
    0 as Timestamp,
    MAX_TIMESTAMP,
    { allVersions: true, maxBytes: Number.POSITIVE_INFINITY, via: 'tree' },
    batch,
  );
  return rows(batch);
}

function checkScan(run: Run, member: Member, ts: Timestamp): void {
  const span = run.span();
  const tombstones = run.pick(2) === 0 && ts > member.threshold;
  const reverse = run.pick(2) === 0;
  const limit = 1 + run.pick(5);
  const maxBytes = 1 + run.pick(20);
  const got: OracleRow[] = [];
  const batch = new VersionBatch();
  let rest: Span | undefined = span;
  while (rest !== undefined && rest.key < rest.endKey) {
    batch.clear();
    const resume: Bytes | undefined = member.store.scan(rest, ts, { tombstones, reverse, limit, maxBytes }, batch);
    assert.ok(batch.length <= limit);
    assert.is(
      batch.bytes,
      batch.keys.reduce((sum, key, i) => sum + key.length + (batch.values[i]?.length ?? 0), 0),
    );
    got.push(...rows(batch));
    if (resume === undefined) rest = undefined;
    else rest = reverse ? { key: span.key, endKey: resume } : { key: resume, endKey: span.endKey };
  }
  // A collected tombstone is an answer that may go: no row and a deleted row read the same.
  const visible = (row: OracleRow) => row.value !== null;
  const expected = member.oracle.scan(span, ts, tombstones);
  assert.equal((reverse ? got.reverse() : got).filter(visible), expected.filter(visible));
  if (tombstones && member.threshold === 0) assert.equal(got, expected);
}

function checkReads(run: Run, member: Member): void {
  const ts = run.readable(member);
  for (const key of member.oracle.keys()) {
    const got = member.store.get(key, ts);
    const expected = member.oracle.get(key, ts);
    if (got === undefined) assert.is(expected?.value ?? null, null);
    else assert.equal({ key, ts: got.ts, value: got.value }, expected);
  }
  checkScan(run, member, ts);

  const after = (member.threshold + run.pick(Math.max(1, member.now - member.threshold + 1))) as Timestamp;
  const span = run.span();
  const cleared = member.clears.some((clear) => clear.at > after && spansOverlap(clear.span, span));
  const arrived = member.ingests.some((event) => event.at > after && spansOverlap(event.span, span));
  const changed = member.store.changedSince(span, after);
  if (cleared || arrived || member.oracle.changedSince(span, after)) assert.ok(changed, 'a change went unnoticed');
  // Runs that arrived one after the other count as one span, at the later arrival.
  else if (!member.ingests.some((event) => event.at > after)) assert.is(changed, undefined);
  const key = run.key(member);
  const keyChanged = member.store.keyChangedSince(key, after);
  const newest = member.oracle.get(key, MAX_TIMESTAMP);
  if (newest !== undefined && newest.ts > after) assert.ok(keyChanged !== undefined);
  else if (![...member.ingests, ...member.clears].some((event) => event.at > after)) assert.is(keyChanged, undefined);
}

function checkExport(run: Run, member: Member): void {
  const span = run.span();
  const allVersions = run.pick(2) === 0;
  const start = (
    run.pick(3) === 0 && !allVersions ? 0 : member.threshold + run.pick(Math.max(1, member.now - member.threshold))
  ) as Timestamp;
  const end = (Math.max(start, member.threshold) + 1 + run.pick(Math.max(1, member.now - Math.max(start, member.threshold)))) as Timestamp;
  if (start === 0 && allVersions) return;
  const expected = member.oracle.export(span, start, end, allVersions);
  const ways = start > 0 && start >= member.store.logFloor ? (['log', 'tree', undefined] as const) : (['tree', undefined] as const);
  for (const via of ways) {
    const maxBytes = 1 + run.pick(30);
    const batch = new VersionBatch();
    const cursor = member.store.openExport(span, start, end, { allVersions, via });
    while (cursor.next(batch, maxBytes) !== undefined) {}
    assert.equal(rows(batch), expected);
    // The same from checkpoints: each piece by a cursor of its own.
    const pieces = new VersionBatch();
    let resume = member.store.exportSpan(span, start, end, { allVersions, via, maxBytes }, pieces);
    while (resume !== undefined) {
      assert.ok(spanContains(span, resume.key) || resume.key === span.endKey);
      resume = member.store.exportSpan(span, start, end, { allVersions, via, maxBytes, resume }, pieces);
    }
    assert.equal(rows(pieces), expected);
  }
}

function play(numbers: readonly number[]): void {
  const run = new Run(numbers);
  while (!run.done) run.step();
}

const test = suite('store against the oracle');

test('short runs that shrink', () => {
  fc.assert(fc.property(fc.array(fc.nat(997), { minLength: 20, maxLength: 400 }), play), { numRuns: runs(150), seed: 7 });
});

for (let seed = 1; seed <= 8; seed++) {
  test(`a long run, seed ${seed}`, () => {
    const random = seededRandom(`store ${seed}`);
    play(Array.from({ length: 2500 }, () => random.int(997)));
  });
}

test.run();
