import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { asBytes, utf8Encode } from '../../src/base/bytes.ts';
import { isVarveError } from '../../src/base/errors.ts';
import { KeyReader, KeyWriter } from '../../src/base/keycode.ts';
import { TupleReader, TupleWriter } from '../../src/base/valuecode.ts';
import { isKeyable, isLossy, keyDecoder, keyEncoder, valueDecoder, valueEncoder } from '../../src/catalog/columnCodec.ts';
import { requireTimeZone } from '../../src/catalog/datetime.ts';
import { compareDatums, compareNullable, type Datum, hashKey } from '../../src/catalog/datum.ts';
import { binaryDecoder, binaryEncoder } from '../../src/catalog/datumBinary.ts';
import { formatDatum, parseDatum, type TextContext } from '../../src/catalog/datumText.ts';
import { arrayOf, type ColumnType, sqlTypeName, tupleOf, Type } from '../../src/catalog/type.ts';
import { arbitraryDatum, looksEqual, STORABLE_TYPES } from './arbitraries.ts';

const roundTrips = suite('datum round trips');

// -0 and exponents are printed, so text keeps everything but a decimal's form below zero scale.
for (const type of STORABLE_TYPES) {
  const name = sqlTypeName(type);
  const datum = arbitraryDatum(type);

  roundTrips(`${name}: text`, () => {
    fc.assert(fc.property(datum, (d) => looksEqual(type, d, parseDatum(type, formatDatum(type, d)))));
  });

  roundTrips(`${name}: binary`, () => {
    const encode = binaryEncoder(type);
    const decode = binaryDecoder(type);
    // The wire's numeric has no negative scale: compared by value.
    const same = (a: Datum, b: Datum) => compareNullable(compareDatums(type))(a, b) === 0;
    fc.assert(fc.property(datum, (d) => same(d, decode(encode(d)))));
  });

  roundTrips(`${name}: value encoding`, () => {
    const encode = valueEncoder(type);
    const decode = valueDecoder(type);
    fc.assert(
      fc.property(datum, fc.integer({ min: 1, max: 300 }), (d, id) => {
        const writer = new TupleWriter().reset();
        encode(writer, id, d);
        const reader = new TupleReader(writer.finish());
        return reader.seek(id) && looksEqual(type, d, decode(reader)) && !reader.next();
      }),
    );
  });

  roundTrips(`${name}: equal datums hash alike, others do not`, () => {
    const compare = compareDatums(type);
    const hash = hashKey(type);
    fc.assert(
      fc.property(datum, datum, (a, b) => {
        const [x, y] = [hash(a), hash(b)];
        return (compare(a, b) === 0) === (Object.is(x, y) || x === y);
      }),
    );
  });

  if (!isKeyable(type)) continue;
  for (const descending of [false, true]) {
    roundTrips(`${name}: key ${descending ? 'descending' : 'ascending'} keeps order and value`, () => {
      const encode = keyEncoder(type, descending);
      const decode = keyDecoder(type, descending);
      const compare = compareDatums(type);
      const keyOf = (d: Datum) => {
        const writer = new KeyWriter().reset();
        encode(writer, d);
        return writer.finish();
      };
      fc.assert(
        fc.property(datum, datum, (a, b) => {
          const [x, y] = [keyOf(a), keyOf(b)];
          const byKey = x < y ? -1 : x > y ? 1 : 0;
          assert.is(Math.sign(compare(a, b)) * (descending ? -1 : 1) + 0, byKey + 0, `${formatDatum(type, a)} and ${formatDatum(type, b)}`);
          const back = decode(new KeyReader(x));
          assert.is(compare(a, back), 0);
          assert.is(looksEqual(type, a, back), !isLossy(type, a), `lossy: ${formatDatum(type, a)}`);
        }),
      );
    });
  }
}

roundTrips.run();

const text = suite('datum text');

const prints = (type: ColumnType, input: string, output: string, context?: TextContext) => {
  assert.is(formatDatum(type, parseDatum(type, input, context), context), output, `${input} as ${sqlTypeName(type)}`);
};

text('floats print as PostgreSQL prints them', () => {
  for (const [input, output] of [
    ['1', '1'],
    ['0.1', '0.1'],
    ['1e15', '1e+15'],
    ['123456789012345', '123456789012345'],
    ['0.0001', '0.0001'],
    ['0.00001', '1e-05'],
    ['-1.5e300', '-1.5e+300'],
    ['-0', '-0'],
    ['nan', 'NaN'],
    ['-inf', '-Infinity'],
  ] as const) {
    prints(Type.Float8, input, output);
  }
  prints(Type.Float4, '0.1', '0.1');
  prints(Type.Float4, '1000000', '1e+06');
  prints(Type.Float4, '16777217', '1.6777216e+07');
});

text('decimals keep their scale', () => {
  for (const [input, output] of [
    ['1.00', '1.00'],
    ['-0.10', '-0.10'],
    ['1e3', '1E+3'],
    ['1.5e-8', '1.5E-8'],
    ['0.000001', '0.000001'],
    ['Infinity', 'Infinity'],
  ] as const) {
    prints(Type.Decimal, input, output);
  }
});

text('dates and times', () => {
  prints(Type.Date, '2026-1-2', '2026-01-02');
  prints(Type.Date, '20260102', '2026-01-02');
  prints(Type.Date, 'Jan 2, 2026', '2026-01-02');
  prints(Type.Date, '1/2/2026', '2026-01-02');
  prints(Type.Date, '0044-03-15 BC', '0044-03-15 BC');
  prints(Type.Date, 'infinity', 'infinity');
  prints(Type.Timestamp, '2026-11-20T11:59:59.1234567', '2026-11-20 11:59:59.123457');
  prints(Type.Timestamp, '2026-11-20', '2026-11-20 00:00:00');
  prints(Type.Timestamp, '2026-11-20 1:05 PM', '2026-11-20 13:05:00');
  prints(Type.Timestamp, '2300-01-01 00:00:00.000001', '2300-01-01 00:00:00.000001');
  prints(Type.Timestamp, '2026-11-20 10:00:00+02', '2026-11-20 10:00:00');
  prints(Type.TimestampTz, '2026-11-20 10:00:00+02', '2026-11-20 08:00:00+00');
  prints(Type.TimestampTz, '2026-11-20 10:00:00 Europe/Berlin', '2026-11-20 09:00:00+00');
  prints(Type.TimestampTz, '2026-11-20 10:00:00Z', '2026-11-20 10:00:00+00');
  prints(Type.TimestampTz, 'epoch', '1970-01-01 00:00:00+00');
  prints(Type.Time, '8:30', '08:30:00');
  prints(Type.Time, '24:00:00', '24:00:00');
  prints(Type.TimeTz, '8:30-05:30', '08:30:00-05:30');
});

text('a session zone reads and prints local times, across daylight saving', () => {
  const berlin: TextContext = { timeZone: requireTimeZone('Europe/Berlin'), nowMicros: 0 };
  prints(Type.TimestampTz, '2026-07-01 12:00:00', '2026-07-01 12:00:00+02', berlin);
  prints(Type.TimestampTz, '2026-12-01 12:00:00', '2026-12-01 12:00:00+01', berlin);
  assert.is(formatDatum(Type.TimestampTz, parseDatum(Type.TimestampTz, '2026-07-01 12:00:00', berlin)), '2026-07-01 10:00:00+00');
  // Skipped by the clock: the offset before the gap counts, so it shows an hour later.
  prints(Type.TimestampTz, '2026-03-29 02:30:00', '2026-03-29 03:30:00+02', berlin);
  // Occurs twice: the first one.
  prints(Type.TimestampTz, '2026-10-25 02:30:00', '2026-10-25 02:30:00+02', berlin);
  prints(Type.TimestampTz, '1890-01-01 00:00:00', '1890-01-01 00:00:00+00:53:28', berlin);
  prints(Type.Timestamp, 'now', '1970-01-01 01:00:00', berlin);
});

text('intervals', () => {
  for (const [input, output] of [
    ['1 year 2 mons 3 days 04:05:06.789', '1 year 2 mons 3 days 04:05:06.789'],
    ['-4h', '-04:00:00'],
    ['1h30m', '01:30:00'],
    ['1-2 3 04:05:06', '1 year 2 mons 3 days 04:05:06'],
    ['P1Y2M3DT4H5M6S', '1 year 2 mons 3 days 04:05:06'],
    ['1.5 days', '1 day 12:00:00'],
    ['1.5 months', '1 mon 15 days'],
    ['2 weeks ago', '-14 days'],
    ['-1 day 2 hours', '-1 days +02:00:00'],
    ['10', '00:00:10'],
    ['0', '00:00:00'],
    ['25h', '25:00:00'],
    ['-10s', '-00:00:10'],
  ] as const) {
    prints(Type.Interval, input, output);
  }
  const interval = parseDatum(Type.Interval, '1-2 3 04:05:06.5');
  assert.is(formatDatum(Type.Interval, interval, { intervalStyle: 'iso_8601' }), 'P1Y2M3DT4H5M6.5S');
  assert.is(formatDatum(Type.Interval, interval, { intervalStyle: 'sql_standard' }), '1-2 3 4:05:06.5');
});

text('bytes, uuids, addresses, bits', () => {
  prints(Type.Bytes, '\\x6162FF', '\\x6162ff');
  prints(Type.Bytes, 'a\\\\b\\001', '\\x615c6201');
  assert.is(formatDatum(Type.Bytes, asBytes('a\\\x01\xff'), { byteaOutput: 'escape' }), 'a\\\\\\001\\377');
  prints(Type.Uuid, '{8B6E1A30-0000-4000-8000-00000000000A}', '8b6e1a30-0000-4000-8000-00000000000a');
  prints(Type.Uuid, '8b6e1a300000400080000000 0000000a'.replace(' ', ''), '8b6e1a30-0000-4000-8000-00000000000a');
  prints(Type.Inet, '192.168.0.1/24', '192.168.0.1/24');
  prints(Type.Inet, '0:0:0:0:0:0:0:1', '::1');
  prints(Type.Inet, '2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1');
  prints(Type.VarBit, '0101', '0101');
});

text('json is canonical and exact', () => {
  prints(
    Type.Jsonb,
    '{"b":[1,2.50,1e400],"a":{"é":null,"10":true,"9":"x\\ny"},"b2":"\\u00e9"}',
    '{"a": {"10": true, "9": "x\\ny", "é": null}, "b": [1, 2.50, 1E+400], "b2": "é"}',
  );
  prints(Type.Jsonb, '{"a":1,"a":2}', '{"a": 2}');
  prints(Type.Jsonb, '12345678901234567890', '12345678901234567890');
});

text('arrays and rows', () => {
  prints(arrayOf(Type.String), '{a,"b c",NULL,"NULL","",\\"}', '{a,"b c",NULL,"NULL","","\\""}');
  prints(arrayOf(Type.Int8), ' { 1 , 2,null } ', '{1,2,NULL}');
  prints(arrayOf(Type.Int8), '{}', '{}');
  const row = tupleOf([Type.Int8, Type.String, Type.String]);
  prints(row, '(1,"a ""b",)', '(1,"a ""b",)');
});

const refused = (type: ColumnType, input: string, code: string, message: string) => {
  try {
    parseDatum(type, input);
  } catch (error) {
    assert.ok(isVarveError(error), String(error));
    assert.is(`${error.code} ${error.message}`, `${code} ${message}`);
    return;
  }
  assert.unreachable(`${input} was read as ${sqlTypeName(type)}`);
};

text("bad input is refused in CockroachDB's words", () => {
  refused(Type.Int8, 'x', '22P02', 'could not parse "x" as type int: strconv.ParseInt: parsing "x": invalid syntax');
  refused(
    Type.Int8,
    '9223372036854775808',
    '22003',
    'could not parse "9223372036854775808" as type int: strconv.ParseInt: parsing "9223372036854775808": value out of range',
  );
  refused(Type.Float8, 'x', '22P02', 'could not parse "x" as type float: strconv.ParseFloat: parsing "x": invalid syntax');
  refused(Type.Float8, '1e999', '22003', 'could not parse "1e999" as type float: strconv.ParseFloat: parsing "1e999": value out of range');
  refused(Type.Decimal, '1.2.3', '22P02', 'could not parse "1.2.3" as type decimal');
  refused(Type.Bool, 'maybe', '22P02', 'could not parse "maybe" as type bool: invalid bool value');
  refused(Type.Uuid, '123', '22P02', 'could not parse "123" as type uuid: uuid: incorrect UUID length: 123');
  refused(Type.Date, 'yesterdayish', '22007', 'parsing as type date: could not parse "yesterdayish"');
  refused(Type.Date, '2026-13-01', '22008', 'parsing as type date: month value 13 is out of range');
  refused(Type.Date, '2026-02-29', '22008', 'parsing as type date: day value 29 is out of range');
  refused(Type.Timestamp, '12:00', '22007', 'parsing as type timestamp: could not parse "12:00"');
  refused(Type.Timestamp, '', '22007', 'parsing as type timestamp: could not parse ""');
  refused(Type.Timestamp, '300000-01-01', '22008', 'timestamp out of range');
  refused(
    Type.Interval,
    '3 parsecs',
    '22007',
    'could not parse "3 parsecs" as type interval: interval: unknown unit "parsecs" in duration "3 parsecs"',
  );
  refused(Type.Bytes, '\\xabc', '22P02', 'could not parse "\\xabc" as type bytes: encoding/hex: odd length hex string');
  refused(Type.Bytes, 'a\\9', '22P02', 'could not parse "a\\9" as type bytes: bytea encoded value ends with incomplete or invalid escape');
  refused(arrayOf(Type.Int8), '1,2', '22P02', 'could not parse "1,2" as type int[]: array must be enclosed in { and }');
  refused(Type.Jsonb, '{a}', '22P02', 'could not parse JSON: expected a string as object key');
  refused(Type.Jsonb, '['.repeat(5000), '22P02', 'could not parse JSON: nesting deeper than 1000');
});

text('comparison: NaN first, strings by UTF-8 bytes, mixed integers by value', () => {
  const order = (type: ColumnType, ...sorted: Datum[]) => {
    const compare = compareNullable(compareDatums(type));
    for (let i = 1; i < sorted.length; i++) assert.is(Math.sign(compare(sorted[i - 1] ?? null, sorted[i] ?? null)), -1, `at ${i}`);
  };
  order(Type.Float8, null, Number.NaN, -Infinity, -1, 0, 1, Infinity);
  order(Type.Int8, -(2n ** 63n), -5, 0, 2 ** 53 - 1, 2n ** 60n);
  order(
    Type.Interval,
    ...['-1 mon', '29 days 23:59:59', '1 mon', '30 days 00:00:01', '1 year'].map((interval) => parseDatum(Type.Interval, interval)),
  );
  assert.is(compareDatums(Type.Interval)(parseDatum(Type.Interval, '1 mon'), parseDatum(Type.Interval, '30 days')), 0);
  order(Type.String, utf8Encode('Z'), utf8Encode('a'), utf8Encode('\uffff'), utf8Encode('\u{1f600}'));
  order(
    Type.Jsonb,
    ...['[]', 'null', '"a"', '1', '1.5', 'false', 'true', '[1]', '[1, 2]', '{}', '{"a": 1}'].map((json) => parseDatum(Type.Jsonb, json)),
  );
});

text.run();

const binary = suite('datum binary');

const hex = (type: ColumnType, input: string) => Buffer.from(binaryEncoder(type)(parseDatum(type, input)), 'latin1').toString('hex');

// Known answers: what PostgreSQL's send functions give.
binary('known answers', () => {
  assert.is(hex(Type.Int4, '-2'), 'fffffffe');
  assert.is(hex(Type.Bool, 'true'), '01');
  assert.is(hex(Type.Date, '2000-01-02'), '00000001');
  assert.is(hex(Type.Timestamp, '2000-01-01 00:00:01'), '00000000000f4240');
  assert.is(hex(Type.Decimal, '12345.678'), '0003000100000003' + '0001' + '0929' + '1a7c');
  assert.is(hex(Type.Decimal, '0.00'), '0000000000000002');
  assert.is(hex(Type.Decimal, '-0.0001'), '0001ffff40000004' + '0001');
  assert.is(hex(Type.Decimal, 'NaN'), '00000000c0000000');
  assert.is(hex(Type.Interval, '1 mon 2 days 00:00:01'), '00000000000f42400000000200000001');
  assert.is(hex(Type.Jsonb, '[1]'), '015b315d');
  assert.is(
    hex(arrayOf(Type.Int4), '{1,NULL}'),
    '00000001' + '00000001' + '00000017' + '00000002' + '00000001' + '00000004' + '00000001' + 'ffffffff',
  );
});

binary('bytes that do not fit are 22P03', () => {
  for (const [type, bytes] of [
    [Type.Int8, '\x00'],
    [Type.Uuid, 'short'],
    [Type.Bool, '\x01\x01'],
    [Type.Decimal, '\x00\x01\x00\x00\x00\x00\x00\x00\x7f\xff'],
    [arrayOf(Type.Int4), '\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x17\x7f\xff\xff\xff\x00\x00\x00\x01'],
  ] as const) {
    assert.throws(
      () => binaryDecoder(type)(asBytes(bytes)),
      (error: unknown) => isVarveError(error) && error.code === '22P03',
    );
  }
});

binary.run();
