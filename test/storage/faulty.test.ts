/** The fault injector does what its rules say, repeatably; the retry wrapper rides out what may be ridden out. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import type { Clock } from '../../src/base/clock.ts';
import { StorageError } from '../../src/base/errors.ts';
import { ManualClock } from '../../src/base/manualClock.ts';
import { seededRandom } from '../../src/base/random.ts';
import { SqlState } from '../../src/base/sqlState.ts';
import type { ExternalStorage } from '../../src/storage/externalStorage.ts';
import { FaultInjector, type FaultRule } from '../../src/storage/faulty.ts';
import { MemoryFiles, openMemory } from '../../src/storage/memory.ts';
import { withRetry } from '../../src/storage/retry.ts';
import { ParsedUri } from '../../src/storage/uri.ts';
import { storageConformance } from './conformance.ts';

const START = '2026-11-20T00:00:00Z';

function setUp(rules: readonly FaultRule[], seed = 'faulty') {
  const clock = new ManualClock(START);
  const inner = openMemory(ParsedUri.parse('mem://b'), new MemoryFiles());
  const injector = new FaultInjector({ rules, random: seededRandom(seed), clock });
  const faulty = injector.wrap(inner);
  const retrying = withRetry(faulty, { clock, random: seededRandom('retry') });
  return { clock, inner, injector, faulty, retrying };
}

/** Runs a call while the clock moves, an hour at most. */
async function whileTimePasses<T>(clock: ManualClock, call: Promise<T>): Promise<T> {
  let done = false;
  const finished = call.finally(() => {
    done = true;
  });
  finished.catch(() => {});
  for (let second = 0; second < 3600 && !done; second++) await clock.advance('1s');
  return await finished;
}

const codeOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'no error',
    (error: { code: string; message: string; detail?: string }) =>
      `${error.code} ${error.message}${error.detail ? ` (${error.detail})` : ''}`,
  );
const content = (storage: ExternalStorage, name: string) => storage.read(name).then((bytes) => Buffer.from(bytes).toString());

// Wrappers without faults are invisible.
{
  const files = new MemoryFiles();
  const clock = new ManualClock(START);
  const injector = new FaultInjector({ rules: [], random: seededRandom(1), clock });
  const wrap = (storage: ExternalStorage) => withRetry(injector.wrap(storage), { clock, random: seededRandom(1) });
  let opened = 0;
  storageConformance('memory behind faulty and retry', {
    open: async () => wrap(openMemory(ParsedUri.parse(`mem://b/${++opened}`), files)),
    reopen: async (storage) => wrap(openMemory(storage.uri, files)),
  });
}

const test = suite('faulty storage');

test('a rule acts on the n-th match only', async () => {
  const { faulty, injector } = setUp([{ operations: ['write'], name: /^data\//, nth: 2, count: 1, action: { kind: 'fail' } }]);
  await faulty.write('data/1', Buffer.from('x'));
  await faulty.write('other', Buffer.from('x'));
  assert.is(await codeOf(faulty.write('data/2', Buffer.from('x'))), '58030 injected fault: write "data/2"');
  await faulty.write('data/3', Buffer.from('x'));
  assert.equal(await faulty.list(''), ['data/1', 'data/3', 'other']);
  assert.equal(
    injector.log.map((entry) => `${entry.operation} ${entry.name} ${entry.fault ?? '-'}`),
    ['write data/1 -', 'write other -', 'write data/2 fail', 'write data/3 -', 'list  -'],
  );
});

test('a failure after the work leaves the work done', async () => {
  const { faulty, inner } = setUp([{ operations: ['write'], action: { kind: 'fail', after: true } }]);
  assert.is(await codeOf(faulty.write('f', Buffer.from('x'))), '58030 injected fault: write "f"');
  assert.is(await content(inner, 'f'), 'x');
});

test('truncation and corruption of writes tell the writer nothing', async () => {
  const honest = await setUp([]).inner.write('f', Buffer.from('0123456789'));
  const truncating = setUp([{ operations: ['write'], action: { kind: 'truncate', keepBytes: 4 } }]);
  assert.equal(await truncating.faulty.write('f', Buffer.from('0123456789')), honest);
  assert.is(await content(truncating.inner, 'f'), '0123');
  const corrupting = setUp([{ operations: ['write'], action: { kind: 'corrupt' } }]);
  assert.equal(await corrupting.faulty.write('f', Buffer.from('0123456789')), honest);
  const stored = await corrupting.inner.read('f');
  assert.is(flippedBits(stored, Buffer.from('0123456789')), 1);
});

test('corruption of reads is by seed', async () => {
  const read = async (seed: string) => {
    const { faulty, inner } = setUp([{ operations: ['read', 'readStream'], action: { kind: 'corrupt' } }], seed);
    await inner.write('f', Buffer.alloc(1000));
    assert.is(flippedBits(await inner.read('f'), Buffer.alloc(1000)), 0);
    return Buffer.from(await faulty.read('f')).toString('hex');
  };
  assert.is(await read('a'), await read('a'));
  assert.is.not(await read('a'), await read('b'));
});

test('a delay waits on the clock', async () => {
  const { clock, faulty } = setUp([{ action: { kind: 'delay', micros: 5_000_000 } }]);
  let done = false;
  const write = faulty.write('f', Buffer.from('x')).then(() => {
    done = true;
  });
  await clock.advance('4s');
  assert.not(done);
  await clock.advance('1s');
  await write;
});

test('a chance is taken about as often as said, and repeats by seed', async () => {
  const outcomes = async (seed: string) => {
    const { faulty } = setUp([{ probability: 0.3, action: { kind: 'fail' } }], seed);
    const results: string[] = [];
    for (let i = 0; i < 200; i++) results.push((await codeOf(faulty.list(''))) === 'no error' ? '.' : 'x');
    return results.join('');
  };
  const first = await outcomes('s');
  assert.is(first, await outcomes('s'));
  const failures = first.split('x').length - 1;
  assert.ok(failures > 40 && failures < 80, `${failures} of 200`);
});

test('retry: a passing failure is ridden out with growing waits', async () => {
  const { clock, retrying, injector, inner } = setUp([{ operations: ['write'], count: 3, action: { kind: 'fail', isRetryable: true } }]);
  await whileTimePasses(clock, retrying.write('f', Buffer.from('x')));
  assert.is(await content(inner, 'f'), 'x');
  assert.is(injector.log.filter((entry) => entry.fault === 'fail').length, 3);
});

test('retry: gives up after five attempts and says so; a final error is not repeated', async () => {
  const outage = setUp([{ action: { kind: 'fail', isRetryable: true } }]);
  assert.is(await codeOf(whileTimePasses(outage.clock, outage.retrying.size('f'))), '58030 injected fault: size "f" (tried 5 times)');
  assert.is(outage.injector.log.length, 5);
  const denied = setUp([{ action: { kind: 'fail' } }]);
  assert.is(await codeOf(denied.retrying.size('f')), '58030 injected fault: size "f"');
  assert.is(denied.injector.log.length, 1);
});

test('retry: an ifAbsent write whose answer was lost recognises its own file', async () => {
  const lost: FaultRule = { operations: ['write'], count: 1, action: { kind: 'fail', after: true, isRetryable: true } };
  const own = setUp([lost]);
  const result = await whileTimePasses(own.clock, own.retrying.write('lock', Buffer.from('job 1'), { ifAbsent: true }));
  assert.is(result.sizeBytes, 5);
  const other = setUp([{ ...lost, action: { kind: 'fail', isRetryable: true } }]);
  await other.inner.write('lock', Buffer.from('job 2'));
  assert.is(
    await codeOf(whileTimePasses(other.clock, other.retrying.write('lock', Buffer.from('job 1'), { ifAbsent: true }))),
    '58P02 file "lock" exists already in "mem://b" (tried 2 times)',
  );
  assert.is(await content(other.inner, 'lock'), 'job 2');
});

test('retry: a source that is read once is not sent twice', async () => {
  async function* once() {
    yield Buffer.from('x');
  }
  const before = setUp([{ operations: ['write'], count: 1, action: { kind: 'fail', isRetryable: true } }]);
  await whileTimePasses(before.clock, before.retrying.write('f', once()));
  assert.is(await content(before.inner, 'f'), 'x');
  const after = setUp([{ operations: ['write'], count: 1, action: { kind: 'fail', after: true, isRetryable: true } }]);
  assert.is(await codeOf(whileTimePasses(after.clock, after.retrying.write('f', once()))), '58030 injected fault: write "f"');
});

test('retry: a broken stream goes on where it ended', async () => {
  const { clock, inner } = setUp([]);
  const whole = Buffer.from(seededRandom('stream').bytes(3_500_000), 'latin1');
  await inner.write('f', whole);
  let broken = 0;
  const breaking: ExternalStorage = Object.create(inner, {
    readStream: {
      value: async function* (name: string, options: { offset?: number; length?: number }) {
        let pieces = 0;
        for await (const piece of inner.readStream(name, options)) {
          if (++pieces === 2 && broken++ < 6) {
            throw new StorageError(SqlState.IoError, 'connection reset', {
              operation: 'readStream',
              redactedUri: 'mem://b',
              isRetryable: true,
            });
          }
          yield piece;
        }
      },
    },
  });
  const retrying = withRetry(breaking, { clock, random: seededRandom(2) });
  const collected = await whileTimePasses(
    clock,
    (async () => {
      const pieces: Uint8Array[] = [];
      for await (const piece of retrying.readStream('f', { offset: 10, length: 3_400_000 })) pieces.push(piece);
      return Buffer.concat(pieces);
    })(),
  );
  assert.ok(collected.equals(whole.subarray(10, 3_400_010)));
  assert.ok(broken >= 3);
});

test('retry: what lends its memory is not sent again, for it has something else in it by then', async () => {
  let calls = 0;
  const { inner, clock } = setUp([]);
  const failing = Object.create(inner) as ExternalStorage;
  failing.write = async (name, source) => {
    calls++;
    for await (const chunk of source as AsyncIterable<Uint8Array>) {
      await inner.write(name, chunk);
      break;
    }
    throw new StorageError(SqlState.IoError, 'broken off', { operation: 'write', redactedUri: '', isRetryable: true });
  };
  async function* lending() {
    const memory = Buffer.from('first');
    yield memory;
    memory.write('other');
    yield memory;
  }
  const retrying = withRetry(failing, { clock, random: seededRandom(3) });
  assert.match(await codeOf(whileTimePasses(clock, retrying.write('f', lending()))), 'broken off');
  assert.is(calls, 1);
});

test('retry: the process stays while somebody waits', async () => {
  const held: (boolean | undefined)[] = [];
  const { faulty, clock } = setUp([{ action: { kind: 'fail', isRetryable: true }, count: 2 }]);
  const noting: Clock = {
    isManual: true,
    nowMicros: () => clock.nowMicros(),
    setTimer: (_delay, callback, options) => {
      held.push(options?.holdsProcess);
      setImmediate(callback);
      return { cancel: () => {} };
    },
  };
  await withRetry(faulty, { clock: noting, random: seededRandom(4) }).list('');
  assert.equal(held, [true, true]);
});

test('retry: an abort ends the wait at once', async () => {
  const { retrying } = setUp([{ action: { kind: 'fail', isRetryable: true } }]);
  const controller = new AbortController();
  const call = codeOf(retrying.read('f', { signal: controller.signal }));
  await new Promise((resolve) => setImmediate(resolve));
  controller.abort(Object.assign(new Error('stopped'), { code: 'none' }));
  assert.is(await call, 'none stopped');
});

test.run();

function flippedBits(a: Uint8Array, b: Uint8Array): number {
  let count = 0;
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    for (let difference = (a[i] ?? 0) ^ (b[i] ?? 0); difference > 0; difference &= difference - 1) count++;
  }
  return count;
}
