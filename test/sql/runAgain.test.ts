/** How often a statement runs again: often after a conflict, hardly after reads that expired. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import type { Bytes } from '../../src/base/bytes.ts';
import type { Timestamp } from '../../src/base/timestamp.ts';
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

test.run();
