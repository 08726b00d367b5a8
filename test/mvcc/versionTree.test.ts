/**
 * The tree against sorted-btree. Goal: splits, deletions, span deletions and clones keep T1 to T4.
 * Method: random operations over a few thousand keys on a family of clones, each beside a
 * sorted-btree of its own; check() and a full comparison every so often.
 */
import sortedBtree from 'sorted-btree';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Bytes } from '../../src/base/bytes.ts';
import { seededRandom } from '../../src/base/random.ts';
import type { Span } from '../../src/base/span.ts';
import { EVERYTHING } from '../../src/base/span.ts';
import type { Timestamp } from '../../src/base/timestamp.ts';
import { Version } from '../../src/mvcc/version.ts';
import { VersionTree } from '../../src/mvcc/versionTree.ts';

type Model = InstanceType<typeof sortedBtree.default<Bytes, number>>;

function newModel(): Model {
  return new sortedBtree.default<Bytes, number>(undefined, (a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

function keyOf(n: number): Bytes {
  return n.toString(36).padStart(4, '0') as Bytes;
}

function forwards(tree: VersionTree, span: Span): [Bytes, number][] {
  const found: [Bytes, number][] = [];
  tree.walk(span, (key, head) => {
    found.push([key, head.ts]);
    return false;
  });
  return found;
}

function backwards(tree: VersionTree, span: Span): [Bytes, number][] {
  const found: [Bytes, number][] = [];
  tree.walkLeavesReverse(span, (keys, heads, from, to) => {
    for (let i = to - 1; i >= from; i--) found.push([keys[i] as Bytes, (heads[i] as Version).ts]);
    return false;
  });
  return found;
}

function compare(tree: VersionTree, model: Model, span: Span): void {
  const expected = model.getRange(span.key, span.endKey, false);
  assert.equal(forwards(tree, span), expected);
  assert.equal(backwards(tree, span), expected.reverse());
  assert.is(tree.size, model.size);
  assert.equal(tree.check(), []);
}

const test = suite('version tree');

for (const [name, keyCount, ascending, deletePart] of [
  ['random inserts and few deletions', 4000, false, 2],
  ['ascending inserts', 100_000, true, 1],
  ['as many deletions as inserts', 800, false, 6],
] as const) {
  test(name, () => {
    const random = seededRandom(name);
    const family: { tree: VersionTree; model: Model }[] = [{ tree: new VersionTree(), model: newModel() }];
    let next = 0;
    for (let step = 1; step <= 30_000; step++) {
      const { tree, model } = family[random.int(family.length)] as { tree: VersionTree; model: Model };
      const key = keyOf(ascending && random.int(10) > 0 ? next++ : random.int(keyCount));
      const op = random.int(12);
      const rare = random.int(2000);
      if (op < deletePart) {
        tree.delete(key);
        model.delete(key);
      } else if (rare === 0) {
        const [low, high] = [keyOf(random.int(keyCount)), keyOf(random.int(keyCount))].sort() as [Bytes, Bytes];
        tree.deleteSpan({ key: low, endKey: high }, model.deleteRange(low, high, false));
      } else if (ascending && random.int(500) === 0) {
        // A run above every key there is, from a single one to several leaves' worth.
        const first = Math.max(next, keyCount);
        const keys = Array.from({ length: 1 + random.int(random.int(8) === 0 ? 5_000 : 200) }, (_, i) => keyOf(first + i));
        next = Math.max(next, first + keys.length);
        if ((tree.lastKey ?? '') < (keys[0] as Bytes)) {
          tree.append(
            keys,
            keys.map(() => new Version(step as Timestamp, null, undefined)),
          );
          for (const appended of keys) model.set(appended, step);
        }
      } else if (rare === 1) {
        family.push({ tree: tree.clone(), model: model.clone() });
        if (family.length > 5) family.shift();
      } else {
        const version = tree.push(key, step as Timestamp, null);
        assert.is(version.older?.ts, model.get(key));
        assert.is(tree.placedKey, key);
        model.set(key, step);
      }
      assert.is(tree.get(key)?.ts, model.get(key));
      if (step % 1500 === 0) {
        const [low, high] = [keyOf(random.int(keyCount)), keyOf(random.int(keyCount))].sort() as [Bytes, Bytes];
        for (const each of family) {
          compare(each.tree, each.model, EVERYTHING);
          compare(each.tree, each.model, { key: low, endKey: high });
        }
      }
    }
  });
}

test('a tree emptied key by key can be filled again', () => {
  const tree = new VersionTree();
  for (let round = 0; round < 2; round++) {
    for (let n = 0; n < 10_000; n++) tree.push(keyOf(n), 1 as Timestamp, null);
    assert.is(tree.size, 10_000);
    for (let n = 0; n < 10_000; n++) {
      // Half of them from the end, so that last children empty first.
      tree.delete(keyOf(n < 5000 ? 9999 - n : ((n - 5000) * 7919) % 5000));
      if (n % 64 === 0) assert.equal(tree.check(), []);
    }
    assert.is(tree.size, 0);
    assert.equal(tree.check(), []);
  }
});

test('a walk stops when the visitor says so', () => {
  const tree = new VersionTree();
  for (let n = 0; n < 1000; n++) tree.push(keyOf(n), 1 as Timestamp, null);
  let seen = 0;
  tree.walk(EVERYTHING, () => ++seen === 500);
  assert.is(seen, 500);
});

test.run();
