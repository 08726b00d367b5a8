/** Fingerprints: the documented hash by another hand, independence of order and prefix, and additivity. */
import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import type { Bytes } from '../../src/base/bytes.ts';
import { EntryHasher, Fingerprint } from '../../src/base/fingerprint.ts';

const test = suite('fingerprint');

const M = 0xffffffffn;
const rotate = (x: bigint, by: bigint): bigint => ((x << by) | (x >> (32n - by))) & M;

/** docs/format.md 8.1, word for word, in slow integers. */
function reference(key: string, value: string | null, time?: number): string {
  const pad = (text: string) => text + '\0'.repeat((16 - (text.length % 16)) % 16);
  const message = Buffer.from(pad(key) + pad(value ?? ''), 'latin1');
  const c = [0x239b961bn, 0xab0e9789n, 0x38b34ae5n, 0xa1e38b93n];
  const [kRotate, hRotate] = [
    [15n, 16n, 17n, 18n],
    [19n, 17n, 15n, 13n],
  ];
  const plus = [0x561ccd1bn, 0x0bcaa747n, 0x96cd1c35n, 0x32ac3b17n];
  const h = [0n, 0n, 0n, 0n];
  for (let at = 0; at < message.length; at += 16) {
    for (let lane = 0; lane < 4; lane++) {
      const word = BigInt(message.readUInt32LE(at + lane * 4));
      const k = (rotate((word * c[lane]!) & M, kRotate![lane]!) * c[(lane + 1) % 4]!) & M;
      h[lane] = ((rotate(h[lane]! ^ k, hRotate![lane]!) + h[(lane + 1) % 4]!) * 5n + plus[lane]!) & M;
    }
  }
  const keyLength = BigInt(key.length);
  const valueLength = value === null ? 0xffffffffn : BigInt(value.length);
  let lanes = finish([h[0]! ^ keyLength, h[1]! ^ valueLength, h[2]! ^ keyLength, h[3]! ^ valueLength]);
  if (time !== undefined) lanes = finish([lanes[0]! ^ (BigInt(time) & M), lanes[1]! ^ (BigInt(time) >> 32n), lanes[2]!, lanes[3]!]);
  return lanes.map((lane) => lane.toString(16).padStart(8, '0')).join('');
}

function finish(lanes: bigint[]): bigint[] {
  const add = ([a, b, c, d]: bigint[]): bigint[] => {
    const first = (a! + b! + c! + d!) & M;
    return [first, (b! + first) & M, (c! + first) & M, (d! + first) & M];
  };
  const mix = (lane: bigint): bigint => {
    let x = lane ^ (lane >> 16n);
    x = (x * 0x85ebca6bn) & M;
    x ^= x >> 13n;
    x = (x * 0xc2b2ae35n) & M;
    return x ^ (x >> 16n);
  };
  return add(add(lanes).map(mix));
}

const bytes = fc.uint8Array({ maxLength: 70 }).map((array) => Buffer.from(array).latin1Slice() as Bytes);
const entries = fc.uniqueArray(fc.record({ key: bytes, value: bytes }), { maxLength: 20, selector: ({ key }) => key });

function sumOf(list: readonly { key: Bytes; value: Bytes }[]): Fingerprint {
  const hasher = new EntryHasher();
  const sum = new Fingerprint();
  for (const { key, value } of list) {
    hasher.hash(key, 0, value);
    sum.addHash(hasher.entry);
  }
  return sum;
}

test('the hash is the documented one, whatever was hashed before', () => {
  const hasher = new EntryHasher();
  fc.assert(
    fc.property(bytes, fc.option(bytes), fc.nat(15), fc.maxSafeNat(), (key, value, skip, time) => {
      const prefix = 'p'.repeat(skip);
      hasher.hash((prefix + key) as Bytes, skip, value);
      const sum = new Fingerprint();
      sum.addHash(hasher.entry);
      assert.is(sum.toHex(), reference(key, value));
      hasher.stamp(time);
      const version = new Fingerprint();
      version.addHash(hasher.version);
      assert.is(version.toHex(), reference(key, value, time));
    }),
  );
  assert.is(reference('k', 'v'), '0e415284a3028b34a5bbb0ee3bf478de', 'a known answer');
});

test('values of any size are hashed whole', () => {
  const hasher = new EntryHasher();
  const large = 'x'.repeat(100_000) as Bytes;
  hasher.hash('k' as Bytes, 0, large);
  const first = hasher.entry.slice();
  hasher.hash('k' as Bytes, 0, `${large.slice(0, -1)}y` as Bytes);
  assert.not.equal(first, hasher.entry);
});

test('the sum depends on neither order nor grouping, and what is added can be taken away', () => {
  fc.assert(
    fc.property(entries, entries, fc.context(), (some, others, context) => {
      const all = [...some, ...others];
      const whole = sumOf(all);
      assert.is(sumOf([...all].reverse()).toHex(), whole.toHex());
      const parts = sumOf(some);
      parts.add(sumOf(others));
      assert.ok(parts.equals(whole));
      const hasher = new EntryHasher();
      for (const { key, value } of others) {
        hasher.hash(key, 0, value);
        whole.subtractHash(hasher.entry);
      }
      context.log(whole.toHex());
      assert.ok(whole.equals(sumOf(some)));
      assert.ok(Fingerprint.parse(whole.toHex())?.equals(whole));
    }),
  );
  assert.is(new Fingerprint().toHex(), '0'.repeat(32));
  assert.is(Fingerprint.parse('0g'), undefined);
});

test('a deletion is not an empty value, and where a key ends counts', () => {
  const hasher = new EntryHasher();
  const hashOf = (key: string, value: string | null): string => {
    hasher.hash(key as Bytes, 0, value as Bytes | null);
    return hasher.entry.join();
  };
  const all = [hashOf('a', null), hashOf('a', ''), hashOf('a\0', ''), hashOf('a', '\0'), hashOf('', 'a')];
  assert.is(new Set(all).size, all.length);
});

test.run();
