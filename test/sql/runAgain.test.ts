/** How often a statement runs again: often after a conflict, hardly after reads that expired. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import type { Bytes } from '../../src/base/bytes.ts';
import type { Timestamp } from '../../src/base/timestamp.ts';
import { ManualClock, open } from '../../src/index.ts';
import { readSetExpiredError, writeTooOldError } from '../../src/kv/retryErrors.ts';
import { isConflict, runsMax } from '../../src/sql/exec/runAgain.ts';

const test = suite('running again');
const at = (micros: number) => micros as Timestamp;

test('a statement that outlasts the TTL by itself is given up soon', () => {
  const expired = readSetExpiredError(104, at(5), at(7));
  assert.ok(isConflict(expired));
  assert.is(runsMax(expired), 3);
  assert.match(expired.message, /^restart transaction: .*table 104\)$/);
});

test('a conflict with others is not', () => {
  const conflict = writeTooOldError('' as Bytes, at(7), at(5));
  assert.ok(isConflict(conflict));
  assert.is(runsMax(conflict), 50);
});

test('the client of such a statement is told that it is too slow, not to try again', async () => {
  const clock = new ManualClock('2026-11-20T00:00:00Z');
  const db = await open({ clock });
  await db.query('CREATE TABLE t (a INT PRIMARY KEY, b INT); INSERT INTO t VALUES (1, 1)');
  await db.query('ALTER TABLE t CONFIGURE ZONE USING gc.ttlseconds = 1');
  const outcome = db.query('UPDATE t SET b = 2 WHERE pg_sleep(5)').then(
    () => undefined,
    (error: { code: string; message: string; detail: string; hint: string }) => error,
  );
  for (let i = 0; i < 6; i++) await clock.advance('10s');
  const error = await outcome;
  assert.is(error?.code, '72000', error?.message);
  assert.match(error?.detail ?? '', 'it ran 3 times');
  assert.match(error?.hint ?? '', 'raise gc.ttlseconds');
  assert.equal((await db.query('SELECT b FROM t')).rows, [{ b: 1 }]);
  await db.close();
});

test.run();
