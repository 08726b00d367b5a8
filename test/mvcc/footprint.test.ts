/**
 * The footprint against a full recount. Goal: whatever is written, collected, cleared, forked and
 * dropped, the sum equals the stores' own figures, and with forks it never lies below what really exists.
 */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import type { Bytes } from '../../src/base/bytes.ts';
import { EVERYTHING } from '../../src/base/span.ts';
import type { Timestamp } from '../../src/base/timestamp.ts';
import { Footprint, heapBytesOf, VERSION_BYTES, versionHeapBytes } from '../../src/mvcc/footprint.ts';
import { countChain, emptyStats } from '../../src/mvcc/stats.ts';
import { Store } from '../../src/mvcc/store.ts';
import type { Version } from '../../src/mvcc/version.ts';

const KEYS = ['a', 'bb', 'ccc', 'dddd', 'e', 'f'] as Bytes[];

interface Op {
  readonly kind: 'write' | 'collect' | 'clear' | 'fork' | 'drop';
  readonly member: number;
  readonly key: number;
  readonly size: number;
}

const op = fc.record<Op>({
  kind: fc.constantFrom('write', 'write', 'write', 'write', 'write', 'write', 'collect', 'collect', 'clear', 'fork', 'drop'),
  member: fc.nat(3),
  key: fc.nat(KEYS.length - 1),
  size: fc.nat(40),
});

/** Runs the operations on a store, and forks of it unless `forksMax` is 0; `look` is called after each. */
function run(ops: readonly Op[], forksMax: number, look: (stores: readonly Store[], sum: Footprint) => void): void {
  const sum = new Footprint();
  let stores = [new Store(EVERYTHING, new Footprint(sum))];
  let now = 10;
  for (const { kind, member, key, size } of ops) {
    const store = stores[member % stores.length] as Store;
    now += 2;
    if (kind === 'write') {
      const keys = [...new Set([KEYS[key], KEYS[(key * 5 + size) % KEYS.length]])].sort() as Bytes[];
      store.apply(now as Timestamp, { keys, values: keys.map((_, i) => (size % 5 === i ? null : ('x'.repeat(size) as Bytes))) });
    } else if (kind === 'collect') {
      store.collect(EVERYTHING, (now - size) as Timestamp, { maxVersions: 1 + key });
    } else if (kind === 'clear') {
      store.clearSpan({ key: KEYS[key] as Bytes, endKey: 'e' as Bytes }, now as Timestamp);
    } else if (kind === 'fork' && stores.length <= forksMax) {
      stores.push(store.fork(new Footprint(sum)));
    } else if (kind === 'drop' && stores.length > 1) {
      store.drop();
      stores = stores.filter((other) => other !== store);
    }
    look(stores, sum);
  }
}

/** Every chain of a store, by key. */
function chains(store: Store): Map<Bytes, Version> {
  const found = new Map<Bytes, Version>();
  for (const key of KEYS) {
    const head = store.latest(key);
    if (head !== undefined) found.set(key, head);
  }
  return found;
}

const footprint = suite('mvcc: footprint');

footprint('equals what a walk of the store counts', () => {
  fc.assert(
    fc.property(fc.array(op, { maxLength: 60 }), (ops) => {
      run(ops, 0, ([store], sum) => {
        if (store === undefined) return;
        const counted = emptyStats();
        for (const [key, head] of chains(store)) countChain(counted, key, head, 1);
        const { live, garbage } = heapBytesOf(counted, 0);
        const { log } = store.heapBytes();
        assert.equal({ live: sum.live, garbage: sum.garbage, log: sum.log }, { live, garbage, log });
        assert.equal(store.check(), []);
      });
    }),
    { numRuns: 200 },
  );
});

footprint('of forks is at least what exists once, however often it is shared', () => {
  let shared = 0;
  fc.assert(
    fc.property(fc.array(op, { maxLength: 60 }), (ops) => {
      run(ops, 3, (stores, sum) => {
        // A version that was copied has one value all the same; each step has a timestamp of its own.
        const versions = new Set<Version>();
        const values = new Map<string, number>();
        for (const store of stores) {
          for (const [key, head] of chains(store)) {
            for (let version: Version | undefined = head; version !== undefined; version = version.older) {
              versions.add(version);
              values.set(`${key}@${version.ts}`, versionHeapBytes(version.value) - VERSION_BYTES);
            }
          }
        }
        const exists = versions.size * VERSION_BYTES + [...values.values()].reduce((all, bytes) => all + bytes, 0);
        assert.ok(sum.total + sum.shared >= exists, `${sum.total} + ${sum.shared} counted, ${exists} exist`);
        const apart = stores.reduce((all, store) => all + heapBytesOf(store.stats(), 0).live, 0);
        if (stores.length > 1 && sum.live < apart) shared++;
      });
    }),
    { numRuns: 300 },
  );
  assert.ok(shared > 0, 'no fork shared anything');
});

footprint.run();
