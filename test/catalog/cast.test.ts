import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { isVarveError } from '../../src/base/errors.ts';
import { type CastContext, findCast, fitter, requireCast } from '../../src/catalog/cast.ts';
import { requireTimeZone } from '../../src/catalog/datetime.ts';
import { formatDatum, parseDatum, type TextContext } from '../../src/catalog/datumText.ts';
import { arrayOf, type ColumnType, decimalOf, sqlTypeName, stringOf, Type, tupleOf, withPrecision, bitOf } from '../../src/catalog/type.ts';

const casts = suite('casts');

const UTC: TextContext = {};

function cast(from: ColumnType, input: string, to: ColumnType, context: CastContext = 'explicit', env = UTC): string {
  const datum = requireCast(from, to, context)(parseDatum(from, input, env), env);
  return datum === null ? 'NULL' : formatDatum(to, datum, env);
}

casts('values convert', () => {
  const cases: readonly [ColumnType, string, ColumnType, string][] = [
    [Type.Int8, '3', Type.Float8, '3'],
    [Type.Int8, '9223372036854775807', Type.Decimal, '9223372036854775807'],
    [Type.Int8, '0', Type.Bool, 'f'],
    [Type.Int8, '-1', Type.Oid, '4294967295'],
    [Type.Int8, '86400', Type.Timestamp, '1970-01-02 00:00:00'],
    [Type.Int8, '90', Type.Interval, '00:01:30'],
    [Type.Float8, '2.5', Type.Int8, '2'],
    [Type.Float8, '3.5', Type.Int8, '4'],
    [Type.Float8, '-2.6', Type.Int8, '-3'],
    [Type.Float8, '0.1', Type.Decimal, '0.1'],
    [Type.Decimal, '2.5', Type.Int8, '3'],
    [Type.Decimal, '-2.5', Type.Int8, '-3'],
    [Type.Decimal, '1.10', Type.Float8, '1.1'],
    [Type.Bool, 'true', Type.Int8, '1'],
    [Type.Bool, 'false', Type.String, 'false'],
    [Type.Decimal, '1.005', decimalOf(10, 2), '1.01'],
    [Type.Int8, '5', decimalOf(10, 2), '5.00'],
    [Type.String, 'abcdef', stringOf(Type.VarChar, 3), 'abc'],
    [Type.String, 'héé', stringOf(Type.VarChar, 2), 'hé'],
    [Type.String, 'ab  ', stringOf(Type.Char, 5), 'ab'],
    [Type.String, '42', Type.Int8, '42'],
    [Type.String, '{1,NULL}', arrayOf(Type.Int8), '{1,NULL}'],
    [Type.String, '2026-11-20', Type.Date, '2026-11-20'],
    [Type.Date, '2026-11-20', Type.Timestamp, '2026-11-20 00:00:00'],
    [Type.Date, '1970-01-11', Type.Int8, '10'],
    [Type.Timestamp, '2026-11-20 10:11:12.5', Type.Date, '2026-11-20'],
    [Type.Timestamp, '1969-12-31 23:59:59.5', Type.Int8, '-1'],
    [Type.Timestamp, '1970-01-01 00:00:01.5', Type.Decimal, '1.500000'],
    [Type.Timestamp, '2026-11-20 10:11:12.5', Type.Time, '10:11:12.5'],
    [Type.Timestamp, '2026-11-20 10:11:12.5678', withPrecision(Type.Timestamp, 2), '2026-11-20 10:11:12.57'],
    [Type.Interval, '1 day 01:00:00', Type.Time, '01:00:00'],
    [Type.Interval, '1 day', Type.Int8, '86400'],
    [Type.Jsonb, '1.5', Type.Decimal, '1.5'],
    [Type.Jsonb, 'true', Type.Bool, 't'],
    [Type.Jsonb, 'null', Type.Int8, 'NULL'],
    [Type.Jsonb, '{"a":1}', Type.String, '{"a": 1}'],
    [Type.Bytes, '\\x61', Type.String, '\\x61'],
    [arrayOf(Type.Int8), '{1,2}', arrayOf(Type.String), '{1,2}'],
    [arrayOf(Type.Int8), '{1,NULL}', Type.String, '{1,NULL}'],
    [tupleOf([Type.Int8, Type.Bool]), '(1,t)', tupleOf([Type.String, Type.Int8]), '(1,1)'],
    [Type.VarBit, '101', Type.Int8, '5'],
    [Type.Int8, '-1', bitOf(Type.Bit, 4), '1111'],
    [Type.Time, '10:00', Type.Interval, '10:00:00'],
  ];
  for (const [from, input, to, output] of cases) {
    assert.is(cast(from, input, to), output, `${sqlTypeName(from)} ${input} to ${sqlTypeName(to)}`);
  }
});

casts('zoned casts use the session zone', () => {
  const env = { timeZone: requireTimeZone('America/New_York') };
  assert.is(cast(Type.Timestamp, '2026-07-01 12:00:00', Type.TimestampTz, 'implicit', env), '2026-07-01 12:00:00-04');
  assert.is(cast(Type.TimestampTz, '2026-07-01 02:00:00+00', Type.Date, 'assignment', env), '2026-06-30');
  assert.is(cast(Type.Date, '2026-01-01', Type.TimestampTz, 'implicit', env), '2026-01-01 00:00:00-05');
});

casts('contexts decide what is allowed', () => {
  const allowed = (from: ColumnType, to: ColumnType) =>
    (['implicit', 'assignment', 'explicit'] as const).filter((context) => findCast(from, to, context)).join(' ');
  const all = 'implicit assignment explicit';
  assert.is(allowed(Type.Int4, Type.Int8), all);
  assert.is(allowed(Type.Int8, Type.Int4), 'assignment explicit');
  assert.is(allowed(Type.Int8, Type.Decimal), all);
  assert.is(allowed(Type.Float8, Type.Int8), 'assignment explicit');
  assert.is(allowed(Type.Int8, Type.String), 'assignment explicit');
  assert.is(allowed(Type.String, Type.Int8), 'explicit');
  assert.is(allowed(Type.String, stringOf(Type.VarChar, 3)), all);
  assert.is(allowed(Type.Int8, Type.Bool), 'explicit');
  assert.is(allowed(Type.Bool, Type.Date), '');
  assert.is(allowed(Type.Unknown, Type.Jsonb), all);
  assert.is(allowed(arrayOf(Type.Float8), arrayOf(Type.Int8)), 'assignment explicit');
  assert.is(allowed(arrayOf(Type.Bool), arrayOf(Type.Date)), '');
});

const refused = (code: string, message: string, run: () => unknown) => {
  try {
    run();
  } catch (error) {
    assert.ok(isVarveError(error), String(error));
    assert.is(`${error.code} ${error.message}`, `${code} ${message}`);
    return;
  }
  assert.unreachable(message);
};

casts('what does not fit is refused on assignment', () => {
  refused('22001', 'value too long for type VARCHAR(3)', () => cast(Type.String, 'abcd', stringOf(Type.VarChar, 3), 'assignment'));
  assert.is(cast(Type.String, 'abc   ', stringOf(Type.VarChar, 3), 'assignment'), 'abc');
  refused('22003', 'integer out of range for type int2', () => cast(Type.Int8, '32768', Type.Int2, 'assignment'));
  assert.is(cast(Type.Int8, '-32768', Type.Int2, 'assignment'), '-32768');
  refused('22003', 'integer out of range', () => cast(Type.Float8, '1e19', Type.Int8));
  refused('22003', 'integer out of range', () => cast(Type.Decimal, '9223372036854775808', Type.Int8));
  refused('22003', 'integer out of range', () => cast(Type.Decimal, '1e1999', Type.Int8));
  refused('22003', 'type DECIMAL(3,2): value with precision 3, scale 2 must round to an absolute value less than 10^1', () =>
    cast(Type.Decimal, '10', decimalOf(3, 2), 'assignment'),
  );
  refused('22001', 'bit string length 3 does not match type BIT(4)', () =>
    fitter(bitOf(Type.Bit, 4), 'assignment')?.(parseDatum(Type.VarBit, '101')),
  );
  refused('42846', 'invalid cast: bool -> date', () => requireCast(Type.Bool, Type.Date, 'explicit'));
  refused('42804', "value type string doesn't match type int", () => requireCast(Type.String, Type.Int8, 'assignment'));
  refused('22023', 'cannot cast jsonb string to type int', () => cast(Type.Jsonb, '"1"', Type.Int8));
});

casts.run();
