/** The lock table alone: exclusion, no starvation, no cycle that stands, and what ends a wait. */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { isVarveError } from '../../src/base/errors.ts';
import { nextTurn } from '../../src/base/idle.ts';
import { seededRandom } from '../../src/base/random.ts';
import type { LockStrength, Priority } from '../../src/kv/kv.ts';
import type { LockOwner } from '../../src/kv/lockOwner.ts';
import { LockTable } from '../../src/kv/lockTable.ts';
import { failure, key, makeKv, numberKey } from './support.ts';
import { runs } from '../support/depth.ts';

function owner(id: string, priority: Priority = 'normal'): LockOwner {
  return { id, name: '', priority, lockedKeys: [], waitingFor: undefined };
}

const table = suite('lockTable');

table('random lockers exclude each other, deadlocks are broken, and everybody finishes', async () => {
  let deadlockCount = 0;
  let waitCount = 0;
  const plan = fc.array(
    fc.array(fc.record({ name: fc.constantFrom('a', 'b', 'c', 'd'), strength: fc.constantFrom<LockStrength>('exclusive', 'shared') }), {
      minLength: 1,
      maxLength: 5,
    }),
    { minLength: 2, maxLength: 8 },
  );
  await fc.assert(
    fc.asyncProperty(plan, async (plans) => {
      // With spans after the second key, owners hold keys that they never asked for, and all must hold as well.
      const locks = new LockTable({ escalationKeysMin: plans.length % 2 === 0 ? 2 : undefined });
      const random = seededRandom(plans.length);
      const held = new Map<string, Map<LockOwner, LockStrength>>();
      const hold = (me: LockOwner, name: string, strength: LockStrength) => {
        const holders = held.get(name) ?? new Map<LockOwner, LockStrength>();
        held.set(name, holders);
        if (holders.get(me) !== 'exclusive') holders.set(me, strength);
        const mine = holders.get(me);
        for (const [other, theirs] of holders) {
          assert.ok(other === me || (mine === 'shared' && theirs === 'shared'), `${name} held by two`);
        }
      };
      const work = async (id: number, steps: (typeof plans)[number]) => {
        for (let attempt = 1; ; attempt++) {
          const me = owner(`t${id}`, (['low', 'normal', 'high'] as const)[id % 3]);
          let isDone = false;
          try {
            for (const { name, strength } of steps) {
              if (!locks.tryLock(me, key(name), strength)) {
                waitCount++;
                await locks.lock(me, key(name), strength, 'block');
              }
              hold(me, name, strength);
              await Promise.resolve();
            }
            isDone = true;
          } catch (error) {
            if (!isVarveError(error) || error.code !== '40001') throw error;
            deadlockCount++;
            assert.ok(attempt < 200, 'no progress');
          }
          for (const holders of held.values()) holders.delete(me);
          locks.releaseAll(me);
          if (isDone) return;
          // Victims that start again in step can meet for ever; chance parts them, as kv.run does.
          for (let turns = random.int(2 ** Math.min(attempt, 6)); turns > 0; turns--) await Promise.resolve();
        }
      };
      await Promise.all(plans.map((steps, id) => work(id, steps)));
      assert.is(locks.size, 0);
    }),
    { numRuns: runs(300) },
  );
  assert.ok(deadlockCount > 20 && waitCount > 200, `${deadlockCount} deadlocks, ${waitCount} waits`);
});

table('a signal ends the wait with its reason, and the line goes on without it', async () => {
  const locks = new LockTable();
  const [a, b, c] = [owner('a'), owner('b'), owner('c')];
  locks.tryLock(a, key('x'), 'exclusive');
  const controller = new AbortController();
  const waiting = locks.lock(b, key('x'), 'exclusive', 'block', controller.signal);
  const behind = locks.lock(c, key('x'), 'exclusive', 'block');
  controller.abort(new Error('enough'));
  assert.is((await failure(waiting)).message, 'enough');
  locks.releaseAll(a);
  assert.is(await behind, true);
  locks.releaseAll(c);
  assert.is(locks.size, 0);
});

table('a transaction that ends while it waits is told so', async () => {
  const { kv } = makeKv();
  const [t1, t2] = [kv.begin(), kv.begin()];
  await t1.lock([key('x')]);
  const waiting = failure(t2.lock([key('x')]));
  await nextTurn();
  t2.rollback();
  assert.is((await waiting).code, '57014');
  t1.rollback();
  assert.is(kv.locks.list().length, 0);
});

table('locks are freed however a transaction ends', async () => {
  const { kv } = makeKv();
  for (const end of ['commit', 'rollback', 'conflict', 'hook'] as const) {
    const remove = kv.addCommitHook(
      { key: key('h'), endKey: key('i') },
      {
        validate: () => {
          throw new Error('no');
        },
      },
    );
    const txn = kv.begin();
    await txn.get([key('r')]);
    await txn.lock([key('x'), key('y')]);
    txn.write([key(end === 'hook' ? 'h' : 'x')], [key('v')]);
    if (end === 'conflict') {
      const other = kv.begin();
      other.write([key('r')], [key('v')]);
      await other.commit();
    }
    if (end === 'rollback') txn.rollback();
    else await txn.commit().catch(() => {});
    assert.is(txn.state, end === 'commit' ? 'committed' : 'aborted', end);
    assert.is(kv.locks.list().length, 0, end);
    remove();
  }
});

table('an effect that waits for a lock does not keep simulated time from passing', async () => {
  const { kv, clock } = makeKv();
  const holder = kv.begin();
  await holder.lock([key('x')]);
  const job = kv.activity.during('job', () => kv.run(async (txn) => txn.lock([key('x')]), { isEffect: true }));
  await clock.advance('1h');
  holder.rollback();
  assert.equal(await job, [key('x')]);
});

table('many keys of one owner become spans between the keys of others, and waiting on one of them works', async () => {
  const locks = new LockTable();
  const [big, small, late] = [owner('big'), owner('small'), owner('late')];
  assert.ok(locks.tryLock(small, numberKey(50_000), 'shared'));
  assert.ok(locks.tryLock(small, numberKey(70_001), 'exclusive'));
  let sizeMax = 0;
  for (let i = 0; i < 130_000; i++) {
    if (i === 50_000) continue;
    // Every other key: the span holds those between, too.
    if (i < 60_000 || i % 2 === 0) assert.ok(locks.tryLock(big, numberKey(i), 'exclusive'), `key ${i}`);
    sizeMax = Math.max(sizeMax, locks.size);
  }
  assert.ok(sizeMax <= 20_002 + 10, `${sizeMax} entries`);
  assert.not.ok(locks.tryLock(big, numberKey(50_000), 'exclusive'), 'a key that another shares is not taken');
  assert.not.ok(locks.tryLock(late, numberKey(60_001), 'shared'), 'a key between is held');
  assert.ok(locks.tryLock(small, numberKey(70_001), 'exclusive'), 'a key of another in the middle stays its own');
  assert.is((await failure(locks.lock(late, numberKey(10), 'exclusive', 'nowait'))).code, '55P03');
  assert.not.ok(await locks.lock(late, numberKey(10), 'exclusive', 'skip'));
  const waiting = locks.lock(late, numberKey(10), 'exclusive', 'block');
  assert.ok(locks.tryLock(big, numberKey(10), 'exclusive'), 'its owner still has it');
  assert.ok(locks.list().some((lock) => lock.endKey !== undefined && lock.holders[0] === 'big'));
  // The owner of the span waits for a key in the middle, whose owner waits for the span: a deadlock.
  const closing = locks.lock(big, numberKey(70_001), 'exclusive', 'block');
  assert.is((await failure(locks.lock(small, numberKey(20), 'exclusive', 'block'))).code, '40001');
  locks.releaseAll(small);
  await closing;
  locks.releaseAll(big);
  assert.ok(await waiting);
  locks.releaseAll(late);
  assert.is(locks.size, 0);
});

table('many shared keys become shared spans, which several owners may hold over each other', async () => {
  const locks = new LockTable();
  const [one, two, writer, late] = [owner('one'), owner('two'), owner('writer'), owner('late')];
  assert.ok(locks.tryLock(writer, numberKey(50_000), 'exclusive'));
  let sizeMax = 0;
  for (let i = 0; i < 130_000; i++) {
    if (i === 50_000) continue;
    assert.ok(locks.tryLock(one, numberKey(i), 'shared'), `key ${i}`);
    if (i % 2 === 0) assert.ok(locks.tryLock(two, numberKey(i), 'shared'), `key ${i}, shared`);
    sizeMax = Math.max(sizeMax, locks.size);
  }
  assert.ok(sizeMax <= 40_010, `${sizeMax} entries`);
  const spans = locks.list().filter((lock) => lock.endKey !== undefined);
  assert.equal([...new Set(spans.map((lock) => `${lock.holders} ${lock.strength}`))].sort(), ['one shared', 'two shared']);
  assert.not.ok(
    spans.some((span) => span.key <= numberKey(50_000) && numberKey(50_000) < (span.endKey as string)),
    'what is held exclusively lies in none',
  );
  // Who asks in vain leaves nothing behind.
  const size = locks.size;
  assert.not.ok(locks.tryLock(one, numberKey(50_000), 'shared'));
  assert.not.ok(await locks.lock(late, numberKey(11), 'exclusive', 'skip'));
  assert.is((await failure(locks.lock(late, numberKey(11), 'exclusive', 'nowait'))).code, '55P03');
  assert.is(locks.size, size);
  assert.ok(locks.tryLock(late, numberKey(11), 'shared'), 'a third shares');
  // An exclusive request waits for every sharer, whether by span or by key; none comes in before it.
  const waiting = locks.lock(writer, numberKey(11), 'exclusive', 'block');
  assert.equal(
    locks
      .list(false)
      .find((lock) => lock.key === numberKey(11))
      ?.holders.toSorted(),
    ['late', 'one', 'two'],
  );
  assert.ok(locks.tryLock(two, numberKey(11), 'shared'), 'who has it keeps it');
  assert.not.ok(locks.tryLock(owner('another'), numberKey(11), 'shared'));
  // Two sharers that both want it alone: a deadlock.
  const upgrade = locks.lock(one, numberKey(10), 'exclusive', 'block');
  assert.is((await failure(locks.lock(two, numberKey(10), 'exclusive', 'block'))).code, '40001');
  locks.releaseAll(two);
  await upgrade;
  assert.not.ok(locks.tryLock(late, numberKey(10), 'shared'));
  assert.ok(locks.tryLock(one, numberKey(12), 'exclusive'), 'the only sharer takes it at once');
  locks.releaseAll(one);
  locks.releaseAll(late);
  assert.ok(await waiting);
  locks.releaseAll(writer);
  assert.is(locks.size, 0);
});

table('the victim of a deadlock is the one of lowest priority, and high priority goes first in line', async () => {
  const locks = new LockTable();
  const [low, high] = [owner('low', 'low'), owner('high', 'high')];
  locks.tryLock(low, key('a'), 'exclusive');
  locks.tryLock(high, key('b'), 'exclusive');
  const refused = failure(locks.lock(low, key('b'), 'exclusive', 'block'));
  const granted = locks.lock(high, key('a'), 'exclusive', 'block');
  assert.is((await refused).code, '40001');
  locks.releaseAll(low);
  await granted;
  const order: string[] = [];
  const waiters = (['low', 'normal', 'high', 'normal'] as const).map((priority, i) => {
    const me = owner(`${priority}${i}`, priority);
    return locks.lock(me, key('a'), 'exclusive', 'block').then(() => {
      order.push(me.id);
      locks.releaseAll(me);
    });
  });
  locks.releaseAll(high);
  await Promise.all(waiters);
  assert.equal(order, ['high2', 'normal1', 'normal3', 'low0']);
  assert.is(locks.size, 0);
});

table('a commit under way is not ended by one of higher priority', async () => {
  const { kv } = makeKv({ sliceCount: 0, slicedCommitKeysMin: 2 });
  const txn = kv.begin({ priority: 'low' });
  const keys = Array.from({ length: 50 }, (_, i) => numberKey(i));
  await txn.lock(keys);
  txn.write(
    keys,
    keys.map(() => key('v')),
  );
  const committing = txn.commit();
  const high = kv.begin({ priority: 'high' });
  await high.lock([numberKey(7)]);
  assert.is(txn.state, 'committed');
  await committing;
  high.rollback();
});
table.run();
