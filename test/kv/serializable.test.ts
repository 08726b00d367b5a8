/**
 * Serializable means: the committed transactions, replayed one after another in commit order on a
 * plain map, read what they read. Random transactions interleave on a few keys; some commits are
 * large enough (three keys here) to be applied in slices while the others go on.
 */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { utf8Decode } from '../../src/base/bytes.ts';
import { isVarveError } from '../../src/base/errors.ts';
import type { Timestamp } from '../../src/base/timestamp.ts';
import type { Savepoint, Txn } from '../../src/kv/kv.ts';
import { key, makeKv, rows, tableSpan, value } from './support.ts';
import { runs } from '../support/depth.ts';

const NAMES = ['a', 'b', 'c', 'd', 'e', 'f'];

type Action =
  | { readonly kind: 'get' | 'del' | 'lock'; readonly name: string }
  | { readonly kind: 'put'; readonly name: string; readonly text: string }
  | { readonly kind: 'scan'; readonly from: string; readonly to: string; readonly limit: number | undefined; readonly reverse: boolean }
  | { readonly kind: 'begin' | 'commit' | 'rollback' | 'refresh' | 'savepoint' | 'rollbackTo' };

/** What a transaction did, in order, with the answers it got. */
interface Step {
  readonly action: Action;
  readonly answer: string;
}

interface History {
  readonly txn: Txn;
  readonly steps: Step[];
  savepoint: Savepoint | undefined;
  ended: Promise<'committed' | 'refused'> | undefined;
}

const name = fc.constantFrom(...NAMES);
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('get' as const), name }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('put' as const), name, text: fc.integer({ min: 0, max: 99 }).map(String) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('del' as const, 'lock' as const), name }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('scan' as const),
      from: name,
      to: name,
      limit: fc.constantFrom(undefined, 1, 2),
      reverse: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constantFrom('begin' as const, 'commit' as const, 'commit' as const) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constantFrom('rollback' as const, 'refresh' as const, 'savepoint' as const, 'rollbackTo' as const) }),
  },
);
const schedule = fc.array(fc.record({ slot: fc.integer({ min: 0, max: 3 }), action }), { minLength: 10, maxLength: 60, size: 'max' });

function scanned(map: ReadonlyMap<string, string>, scan: Extract<Action, { kind: 'scan' }>): string {
  const names = [...map.keys()].filter((candidate) => scan.from <= candidate && candidate < scan.to).sort();
  if (scan.reverse) names.reverse();
  return names
    .slice(0, scan.limit)
    .map((found) => `${found}=${map.get(found)}`)
    .join(' ');
}

/** Runs the steps on a map and checks every answer; returns what the map is afterwards. */
function replay(before: ReadonlyMap<string, string>, steps: readonly Step[]): Map<string, string> {
  let map = new Map(before);
  let saved: Map<string, string> | undefined;
  for (const { action: done, answer } of steps) {
    if (done.kind === 'get') assert.is(answer, map.get(done.name) ?? '', `get ${done.name}`);
    else if (done.kind === 'scan') assert.is(answer, scanned(map, done), JSON.stringify(done));
    else if (done.kind === 'put') map.set(done.name, done.text);
    else if (done.kind === 'del') map.delete(done.name);
    else if (done.kind === 'savepoint') saved = new Map(map);
    else if (done.kind === 'rollbackTo' && saved) map = new Map(saved);
  }
  return map;
}

async function perform(history: History, todo: Action): Promise<void> {
  const { txn, steps } = history;
  if (todo.kind === 'get') {
    const [found] = await txn.get([key(todo.name)]);
    steps.push({ action: todo, answer: found === undefined ? '' : utf8Decode(found) });
  } else if (todo.kind === 'scan') {
    const span = { key: key(todo.from), endKey: key(todo.to) };
    steps.push({ action: todo, answer: await rows(txn, { limit: todo.limit, reverse: todo.reverse }, span) });
  } else if (todo.kind === 'put' || todo.kind === 'del') {
    txn.write([key(todo.name)], [todo.kind === 'put' ? value(todo.text) : null]);
    steps.push({ action: todo, answer: '' });
  } else if (todo.kind === 'lock') {
    await txn.lock([key(todo.name)], { wait: 'skip' });
  } else if (todo.kind === 'refresh') {
    txn.refresh();
  } else if (todo.kind === 'savepoint') {
    history.savepoint = txn.savepoint();
    steps.push({ action: todo, answer: '' });
  } else if (todo.kind === 'rollbackTo' && history.savepoint !== undefined) {
    txn.rollbackTo(history.savepoint);
    steps.push({ action: todo, answer: '' });
  }
}

const serializable = suite('serializable');

serializable('committed transactions equal a serial run in commit order', async () => {
  let committedCount = 0;
  let refusedCount = 0;
  await fc.assert(
    fc.asyncProperty(schedule, async (lines) => {
      const { kv } = makeKv({ sliceCount: 0, slicedCommitKeysMin: 3 });
      const slots: (History | undefined)[] = [];
      const all: History[] = [];
      for (const { slot, action: todo } of [...lines, ...[0, 1, 2, 3].map((slot) => ({ slot, action: { kind: 'commit' as const } }))]) {
        let history = slots[slot];
        if (history === undefined) {
          history = { txn: kv.begin(), steps: [], savepoint: undefined, ended: undefined };
          slots[slot] = history;
          all.push(history);
        }
        try {
          if (todo.kind === 'commit') {
            slots[slot] = undefined;
            // Not awaited: a commit in slices overlaps with what follows.
            history.ended = history.txn.commit().then(
              () => 'committed' as const,
              (error) => {
                if (!isVarveError(error) || error.code !== '40001') throw error;
                return 'refused' as const;
              },
            );
            await Promise.resolve();
          } else if (todo.kind === 'rollback') {
            slots[slot] = undefined;
            history.txn.rollback();
          } else {
            await perform(history, todo);
          }
        } catch (error) {
          if (!isVarveError(error) || error.code !== '40001') throw error;
          slots[slot] = undefined;
          refusedCount++;
        }
      }
      const committed: { at: Timestamp; history: History }[] = [];
      for (const history of all) {
        if ((await history.ended) === 'committed') committed.push({ at: history.txn.commitTimestamp as Timestamp, history });
        else if (history.ended !== undefined) refusedCount++;
      }
      // A reader shares its time with the last commit that it sees.
      const hasWrites = ({ steps }: History) => steps.some((step) => step.action.kind === 'put' || step.action.kind === 'del');
      committed.sort((x, y) => x.at - y.at || Number(hasWrites(y.history)) - Number(hasWrites(x.history)));
      let map: Map<string, string> = new Map();
      for (const { at, history } of committed) {
        committedCount++;
        map = replay(map, history.steps);
        assert.is(
          await rows(kv.at(at)),
          scanned(map, { kind: 'scan', from: '', to: '~', limit: undefined, reverse: false }),
          `the state at ${at}`,
        );
      }
      assert.is(kv.locks.list().length, 0);
      assert.equal(kv.check(), []);
      kv.close();
    }),
    { numRuns: runs(400) },
  );
  // A run in which nothing is refused, or nothing gets through, would prove nothing.
  assert.ok(committedCount > 1000 && refusedCount > 200, `${committedCount} committed, ${refusedCount} refused`);
});

serializable('eight workers move money, and every snapshot has the same sum', async () => {
  const ACCOUNTS = 10;
  const { kv } = makeKv({ sliceCount: 3 });
  const accounts = Array.from({ length: ACCOUNTS }, (_, i) => key(`account${i}`));
  await kv.run(async (txn) =>
    txn.write(
      accounts,
      accounts.map(() => value('100')),
    ),
  );
  const sumOf = async (reader: { scan: Txn['scan'] }) =>
    (await reader.scan(tableSpan())).values.reduce((sum, text) => sum + Number(utf8Decode(text)), 0);
  let transfers = 0;
  let attempts = 0;
  const worker = async (id: number) => {
    for (let i = 0; i < 40; i++) {
      const from = (id * 7 + i * 3) % ACCOUNTS;
      const to = (from + 1 + ((id + i) % (ACCOUNTS - 1))) % ACCOUNTS;
      const keys = [accounts[from], accounts[to]].map((account) => account ?? key('none'));
      await kv.run(async (txn) => {
        attempts++;
        // Every other worker locks first, as SQL does; the rest rely on validation alone.
        if (id % 2 === 0) await txn.lock(keys);
        const [a, b] = (await txn.get(keys)).map((text) => Number(utf8Decode(text ?? value('0'))));
        await Promise.resolve();
        txn.write(keys, [value(String((a ?? 0) - 5)), value(String((b ?? 0) + 5))]);
      });
      transfers++;
      assert.is(await sumOf(kv.begin({ readOnly: true })), ACCOUNTS * 100);
    }
  };
  await Promise.all(Array.from({ length: 8 }, (_, id) => worker(id)));
  assert.is(transfers, 320);
  assert.ok(attempts > 320, 'the workers never met');
  assert.is(await sumOf(kv.begin({ readOnly: true })), ACCOUNTS * 100);
  assert.is(kv.locks.list().length, 0);
});
serializable.run();
