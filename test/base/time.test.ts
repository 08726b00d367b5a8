/** Time: durations, moments, the hybrid clock, the manual clock and how it knows that all is quiet. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { sleep } from '../../src/base/clock.ts';
import { formatDuration, parseDuration } from '../../src/base/duration.ts';
import { isVarveError } from '../../src/base/errors.ts';
import { Hlc } from '../../src/base/hlc.ts';
import { Activity } from '../../src/base/idle.ts';
import { ManualClock, type Moment, momentToMicros } from '../../src/base/manualClock.ts';
import { SystemClock } from '../../src/base/systemClock.ts';
import type { Timestamp } from '../../src/base/timestamp.ts';
import { formatDecimal, formatForError, formatUtc, parseDecimal, timestamp } from '../../src/base/timestamp.ts';

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (isVarveError(error)) return error.code;
    throw error;
  }
  return 'no error';
}

async function codeOfAsync(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'no error',
    (error) => error.code,
  );
}

const durations = suite('durations');

durations('are read in every form that people write', () => {
  for (const [text, micros] of [
    ['25h', 90_000_000_000],
    ['90s', 90_000_000],
    ['1h30m', 5_400_000_000],
    ['2 days', 172_800_000_000],
    ['10ms', 10_000],
    ['4h0m0s', 14_400_000_000],
    ['1.5h', 5_400_000_000],
    ['0.1s', 100_000],
    ['5µs', 5],
    ['1500ns', 1],
    ['1 week 1 hour', 608_400_000_000],
    ['-10s', -10_000_000],
    ['0', 0],
  ] as const) {
    assert.is(parseDuration(text), micros, text);
  }
  for (const text of ['', '25', 'h', '1 month', '1h x', '--1s', '1e3s', '99999999999999h']) {
    assert.is(
      codeOf(() => parseDuration(text)),
      '22023',
      text,
    );
  }
});

durations('print as settings show them, and read back', () => {
  for (const text of ['4h0m0s', '25h0m0s', '1m30.5s', '10ms', '1.5ms', '250µs', '0s', '-1h0m0s', '59.999999s']) {
    assert.is(formatDuration(parseDuration(text)), text);
  }
});

durations.run();

const timestamps = suite('timestamps');

timestamps('print in three forms and read back from one', () => {
  const ts = timestamp(1_763_639_999_123_456);
  assert.is(formatDecimal(ts), '1763639999123456000.0000000000');
  assert.is(formatForError(ts), '1763639999.123456000,0');
  assert.is(formatUtc(ts), '2025-11-20 11:59:59.123456+00:00');
  assert.is(parseDecimal(formatDecimal(ts)), ts);
  assert.is(parseDecimal('1763639999123456999'), ts);
  for (const same of ['1.763639999123456E+18', '1.763639999123456999e18', '1763639999.123456E9', '176363999912345699.99E1'])
    assert.is(parseDecimal(same), ts, same);
  for (const text of ['x', '', '1.5E', 'E5', '1E-5', '-1', '9E18', '9E99', '1e400', 'NaN', 'Infinity']) {
    assert.is(parseDecimal(text), text === '9E18' ? 9e15 : undefined, text);
  }
  assert.is(parseDecimal('99999999999999999999'), undefined);
});

timestamps('moments are text, dates or microseconds', () => {
  assert.is(momentToMicros('1970-01-01T00:00:01.000002Z'), 1_000_002);
  assert.is(momentToMicros('1970-01-02'), 86_400_000_000);
  assert.is(momentToMicros('1970-01-01 02:00:00+01'), 3_600_000_000);
  assert.is(momentToMicros('1970-01-01 02:00+01:30'), 1_800_000_000);
  assert.is(momentToMicros(new Date(5)), 5000);
  assert.is(momentToMicros(7), 7);
  assert.is(momentToMicros('2028-02-29'), Date.parse('2028-02-29') * 1000);
  const wrong: [string, unknown[]][] = [
    ['22007', ['yesterday', '', '2026-13-01', '2026-02-30', '2026-01-01T25:00', '2026-01-01+99:99']],
    ['22007', [Number.NaN, new Date(Number.NaN), null, undefined, {}, true, 5n]],
    ['22023', ['1969-12-31', '2300-01-01', '9999-12-31T23:59:59Z', new Date(-5), new Date('2300-01-01')]],
    ['22023', [-1, 1.5, 2 ** 53, 1e300, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]],
  ];
  for (const [code, moments] of wrong) {
    for (const moment of moments)
      assert.is(
        codeOf(() => new ManualClock(moment as Moment)),
        code,
        String(moment),
      );
  }
});

timestamps.run();

const clocks = suite('clocks');

clocks('the hybrid clock is unique, never behind physical time, and above what it was forwarded to', async () => {
  const clock = new ManualClock(1000);
  const hlc = new Hlc(clock);
  assert.equal([hlc.now(), hlc.now(), hlc.last()], [1000, 1001, 1001]);
  await clock.advance('1ms');
  assert.is(hlc.now(), 2000);
  hlc.forward(5000 as Timestamp);
  hlc.forward(10 as Timestamp);
  assert.is(hlc.last(), 5000);
  assert.is(hlc.now(), 5001);
  assert.is(new Hlc(clock, 9000 as Timestamp).now(), 9001);
});

clocks('timers fire in order of due time, then of creation, at their own time', async () => {
  const clock = new ManualClock(0);
  const log: string[] = [];
  const note = (name: string) => () => log.push(`${name}@${clock.nowMicros()}`);
  clock.setTimer(20, note('b'));
  clock.setTimer(10, note('a'));
  clock.setTimer(20, note('c'));
  const cancelled = clock.setTimer(15, note('never'));
  clock.setTimer(10, () => clock.setTimer(5, note('nested')));
  clock.setTimer(31, note('later'));
  cancelled.cancel();
  cancelled.cancel();
  assert.is(clock.nextDue(), 10);
  await clock.advance(30);
  assert.equal(log, ['a@10', 'nested@15', 'b@20', 'c@20']);
  assert.is(clock.nowMicros(), 30);
  await clock.set(31);
  assert.is(log.at(-1), 'later@31');
});

clocks('time waits for what a timer has started', async () => {
  const clock = new ManualClock(0);
  const log: string[] = [];
  clock.setTimer(10, () => {
    clock.activity.during('slow work', async () => {
      for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
      log.push(`worked@${clock.nowMicros()}`);
    });
  });
  clock.setTimer(20, () => log.push(`next@${clock.nowMicros()}`));
  await clock.advance('1s');
  assert.equal(log, ['worked@10', 'next@20']);
});

clocks('an effect that waits for the clock does not hold it', async () => {
  const clock = new ManualClock(0);
  const log: string[] = [];
  const job = clock.activity.during('job', async () => {
    for (let i = 0; i < 3; i++) {
      await clock.activity.suspend(sleep(clock, 10));
      log.push(`woke@${clock.nowMicros()}`);
    }
  });
  const statement = clock.activity.during('statement', () => clock.activity.suspend(clock.advance('1ms')));
  await Promise.all([job, statement]);
  assert.equal(log, ['woke@10', 'woke@20', 'woke@30']);
  assert.is(clock.activity.busy, 0);
});

clocks('calls queue, and time never goes back', async () => {
  const clock = new ManualClock('2026-01-01');
  const start = clock.nowMicros();
  await Promise.all([clock.advance(5), clock.advance(7)]);
  assert.is(clock.nowMicros(), start + 12);
  assert.is(await codeOfAsync(clock.set('2025-12-31')), '55000');
  for (const moment of [Number.NaN, Number.POSITIVE_INFINITY, 'rubbish']) assert.is.not(await codeOfAsync(clock.set(moment)), 'no error');
  assert.is(await codeOfAsync(clock.advance('-1s')), '22023');
  assert.is(await codeOfAsync(clock.advance(Number.MAX_SAFE_INTEGER)), '22023');
  assert.is(await codeOfAsync(clock.advance(1)), 'no error');
});

clocks('a sleep ends with its signal', async () => {
  const clock = new ManualClock(0);
  const controller = new AbortController();
  const asleep = sleep(clock, 10, controller.signal);
  controller.abort(new Error('stop'));
  assert.is(await asleep.catch((error) => error.message), 'stop');
  assert.is(clock.nextDue(), undefined);
});

clocks('the system clock gives whole microseconds near the wall clock, and fires and cancels timers', async () => {
  const clock = new SystemClock();
  assert.ok(Number.isSafeInteger(clock.nowMicros()));
  assert.ok(Math.abs(clock.nowMicros() - Date.now() * 1000) < 2_000_000);
  let fired = 0;
  clock.setTimer(40 * 86_400_000_000, () => fired++).cancel();
  clock.setTimer(0, () => fired++).cancel();
  // Unref'd timers do not keep the process alive, so something else must while this one is awaited.
  const keepAlive = setInterval(() => {}, 1000);
  await new Promise<void>((resolve) => clock.setTimer(1, resolve));
  clearInterval(keepAlive);
  assert.is(fired, 0);
});

clocks.run();

const activity = suite('activity');

activity('settled waits for effects begun while it waits', async () => {
  const all = new Activity();
  const log: string[] = [];
  const endFirst = all.begin('first');
  const settled = all.settled().then(() => log.push('settled'));
  setImmediate(() => {
    const endSecond = all.begin('second');
    log.push(all.names().join());
    endFirst();
    endFirst();
    setImmediate(() => {
      log.push(`busy ${all.busy}`);
      endSecond();
    });
  });
  await settled;
  assert.equal(log, ['first,second', 'busy 1', 'settled']);
});

activity('waits count once for the effect they belong to, and for nobody when they belong to none', async () => {
  const clock = new ManualClock(0);
  const { activity: all } = clock;
  const log: string[] = [];
  const nap = async (who: string, micros: number): Promise<void> => {
    await all.suspend(sleep(clock, micros));
    log.push(`${who}@${clock.nowMicros()}`);
  };
  const client = nap('client', 15);
  const job = all.during('job', async () => {
    await Promise.all([nap('a', 10), nap('b', 20), nap('c', 20)]);
    await all.alongside('worker', [() => nap('first', 10), () => nap('second', 30)]);
    // A worker that works holds time back while another sleeps.
    await all.alongside('worker', [
      () => nap('sleeper', 10),
      async () => {
        for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
        log.push(`worked@${clock.nowMicros()}`);
      },
    ]);
  });
  const busy = all.during('busy', async () => {
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    log.push(`busy@${clock.nowMicros()}`);
  });
  assert.is(all.busy, 1);
  await clock.advance('1ms');
  await Promise.all([client, job, busy]);
  assert.equal(log, ['busy@0', 'a@10', 'client@15', 'b@20', 'c@20', 'first@30', 'second@50', 'worked@50', 'sleeper@60']);
  assert.is(all.busy, 0);
  assert.is(await all.suspend(Promise.resolve(7)), 7);
});

activity('an effect that ends while a branch of it waits leaves nothing behind', async () => {
  const clock = new ManualClock(0);
  let branch: Promise<unknown> | undefined;
  await clock.activity.during('job', async () => {
    branch = clock.activity.suspend(sleep(clock, 10));
  });
  assert.is(clock.activity.busy, 0);
  await clock.advance(10);
  await branch;
  assert.is(clock.activity.busy, 0);
});

activity.run();
