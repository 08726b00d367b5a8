/** The key codec: CockroachDB's known answers, then order, prefix freedom and round trip of every type. */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Bytes } from '../../src/base/bytes.ts';
import { fromBuffer, toHex, utf8Encode } from '../../src/base/bytes.ts';
import type { DecimalParts } from '../../src/base/decimalcode.ts';
import { isVarveError } from '../../src/base/errors.ts';
import type { Int } from '../../src/base/int64.ts';
import { canonicalInt } from '../../src/base/int64.ts';
import { indexPrefix, KeyReader, KeyWriter, tablePrefix } from '../../src/base/keycode.ts';
import { prettyKey } from '../../src/base/prettyKey.ts';
import { prefixEnd } from '../../src/base/span.ts';

const writer = new KeyWriter();
const hex = (build: (writer: KeyWriter) => KeyWriter): string => toHex(build(writer.reset()).finish());
const unhex = (text: string): Bytes => fromBuffer(Buffer.from(text, 'hex'));

function decimal(text: string): DecimalParts {
  const [whole = '', fraction = ''] = text.split('.');
  return { form: 'finite', coefficient: BigInt(whole + fraction), scale: fraction.length };
}

const known = suite('key codec: known answers');

known('the dumps of the encoding tech note', () => {
  // /Table/51/1/1/1/1: table, index, key column, family 1 and the length of its encoding
  assert.is(
    hex((w) => w.tableIndex(51, 1).int(1).family(1)),
    'bb89898989',
  );
  assert.is(
    hex((w) => w.tableIndex(51, 1).int(1).family(0)),
    'bb898988',
  );
  // Values of the unique index with the old STORING format: implicit id and stored balance in key form
  assert.is(
    hex((w) => w.int(4).decimal(decimal('9400.10'))),
    '8c2bbd011400',
  );
  assert.is(
    hex((w) => w.int(5).null()),
    '8d00',
  );
  assert.is(
    hex((w) => w.int(1).decimal(decimal('10000.50'))),
    '892c0301016400',
  );
  assert.is(
    hex((w) => w.int(2).decimal(decimal('25000.00'))),
    '8a2c056400',
  );
});

known('integers, by the length of their magnitude', () => {
  for (const [value, bytes] of [
    [0, '88'],
    [109, 'f5'],
    [110, 'f66e'],
    [255, 'f6ff'],
    [256, 'f70100'],
    [-1, '87ff'],
    [-255, '8701'],
    [-256, '86ff00'],
    [-65535, '860001'],
    [2 ** 32, 'fa0100000000'],
    [-(2 ** 32), '83ff00000000'],
    [Number.MAX_SAFE_INTEGER, 'fc1fffffffffffff'],
    [Number.MIN_SAFE_INTEGER, '81e0000000000001'],
    [2n ** 63n - 1n, 'fd7fffffffffffffff'],
    [-(2n ** 63n), '808000000000000000'],
  ] as [Int, string][]) {
    assert.is(
      hex((w) => w.int(value)),
      bytes,
      String(value),
    );
  }
});

known('bytes escape their zeros and end with 00 01', () => {
  assert.is(
    hex((w) => w.bytes('a\x00b' as Bytes)),
    '126100ff620001',
  );
  assert.is(
    hex((w) => w.bytes('a\x00b' as Bytes, true)),
    '139eff009dfffe',
  );
});

known('prefixes and their ends', () => {
  assert.is(toHex(tablePrefix(52)), 'bc');
  assert.is(toHex(indexPrefix(110, 2)), 'f66e8a');
  assert.is(prettyKey(prefixEnd(tablePrefix(52))), '/Table/53');
});

known('keys print as CockroachDB prints them', () => {
  const table = () => new KeyWriter().tableIndex(51, 2);
  assert.is(
    prettyKey(
      table()
        .bytes('Alice' as Bytes)
        .family(0)
        .finish(),
    ),
    '/Table/51/2/"Alice"/0',
  );
  assert.is(prettyKey(table().null().int(4).decimal(decimal('9400.10')).family(0).finish()), '/Table/51/2/NULL/4/9400.1/0');
  assert.is(
    prettyKey(
      table()
        .bytes('Bob' as Bytes)
        .int(2)
        .decimal(decimal('25000.00'))
        .family(0)
        .finish(),
    ),
    '/Table/51/2/"Bob"/2/2.5E+4/0',
  );
  assert.is(prettyKey(table().decimal(decimal('0.050')).finish()), '/Table/51/2/0.05');
  assert.is(prettyKey(table().decimal(decimal('-0.00000012')).finish()), '/Table/51/2/-1.2E-7');
  assert.is(prettyKey(table().time(1489427290, 811792567).finish()), '/Table/51/2/2017-03-13T17:48:10.811792567Z');
  assert.is(prettyKey(table().bytes(utf8Encode('naïve')).float(-1.5).finish()), '/Table/51/2/"naïve"/-1.5');
  assert.is(
    prettyKey(
      table()
        .bytes('\xff\x00' as Bytes)
        .finish(),
    ),
    '/Table/51/2/"\\xff\\x00"',
  );
  assert.is(prettyKey('' as Bytes), '/Min');
  assert.is(prettyKey('\xff\xff' as Bytes), '/Max');
  assert.is(prettyKey(unhex('bb89126162')), '/Table/51/1/???126162');
});

known('bytes that no encoder wrote are refused as corrupt', () => {
  for (const text of ['', '12', '1261', '12610002', 'f6', 'fd01', '03', '05aa', '1488', '2c03', '7f']) {
    try {
      new KeyReader(unhex(text)).skip();
      assert.unreachable(text);
    } catch (error) {
      assert.ok(isVarveError(error) && error.code === 'XX001', text);
    }
  }
});

known.run();

const compareNumbers = (a: number, b: number): number => (a < b ? -1 : a > b ? 1 : 0);
const anyBytes = fc.uint8Array({ maxLength: 12 }).map((array) => fromBuffer(array));
const zeroHeavyBytes = fc.array(fc.constantFrom('\x00', '\x01', '\xfe', '\xff', 'a')).map((chars) => chars.join('') as Bytes);
const anyInt = fc.oneof(
  fc.integer({ min: -70_000, max: 70_000 }),
  fc.maxSafeInteger(),
  fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n).map(canonicalInt),
);
const anyDecimal = fc
  .record({
    coefficient: fc.bigInt(-(10n ** 30n), 10n ** 30n),
    shrink: fc.integer({ min: 0, max: 30 }),
    scale: fc.integer({ min: -40, max: 40 }),
  })
  .map(({ coefficient, shrink, scale }): DecimalParts => ({ form: 'finite', coefficient: coefficient / 10n ** BigInt(shrink), scale }));
const anyDecimalOrSpecial = fc.oneof(
  { weight: 20, arbitrary: anyDecimal },
  fc.constantFrom<DecimalParts>(
    { form: 'nan', coefficient: 0n, scale: 0 },
    { form: 'infinity', coefficient: 0n, scale: 0 },
    { form: '-infinity', coefficient: 0n, scale: 0 },
  ),
);

const FORM_ORDER = ['nan', '-infinity', 'finite', 'infinity'];

function compareDecimals(a: DecimalParts, b: DecimalParts): number {
  if (a.form !== b.form) return compareNumbers(FORM_ORDER.indexOf(a.form), FORM_ORDER.indexOf(b.form));
  const scale = Math.max(a.scale, b.scale);
  const left = a.coefficient * 10n ** BigInt(scale - a.scale);
  const right = b.coefficient * 10n ** BigInt(scale - b.scale);
  return left < right ? -1 : left > right ? 1 : 0;
}

interface Codec<T> {
  readonly values: fc.Arbitrary<T>;
  write(writer: KeyWriter, value: T, descending: boolean): KeyWriter;
  read(reader: KeyReader, descending: boolean): T;
  compare(a: T, b: T): number;
}

function defineCodec<T>(codec: Codec<T>): Codec<unknown> {
  return codec as Codec<unknown>;
}

const codecs: Record<string, Codec<unknown>> = {
  int: defineCodec<Int>({
    values: anyInt,
    write: (w, value, descending) => w.int(value, descending),
    read: (r, descending) => r.int(descending),
    compare: (a, b) => (a < b ? -1 : a > b ? 1 : 0),
  }),
  bytes: defineCodec<Bytes>({
    values: fc.oneof(anyBytes, zeroHeavyBytes),
    write: (w, value, descending) => w.bytes(value, descending),
    read: (r) => r.bytes(),
    compare: (a, b) => (a < b ? -1 : a > b ? 1 : 0),
  }),
  float: defineCodec<number>({
    values: fc.oneof(fc.double(), fc.integer()).map((value) => (value === 0 ? 0 : value)),
    write: (w, value, descending) => w.float(value, descending),
    read: (r, descending) => r.float(descending) + 0,
    compare: (a, b) =>
      Number.isNaN(a) || Number.isNaN(b) ? compareNumbers(Number(!Number.isNaN(a)), Number(!Number.isNaN(b))) : compareNumbers(a, b),
  }),
  decimal: defineCodec<DecimalParts>({
    values: anyDecimalOrSpecial,
    write: (w, value, descending) => w.decimal(value, descending),
    read: (r, descending) => r.decimal(descending),
    compare: compareDecimals,
  }),
  time: defineCodec({
    values: fc.record({ seconds: fc.integer({ min: -(10 ** 11), max: 10 ** 11 }), nanos: fc.integer({ min: 0, max: 999_999_999 }) }),
    write: (w, value, descending) => w.time(value.seconds, value.nanos, descending),
    read: (r, descending) => r.time(descending),
    compare: (a, b) => compareNumbers(a.seconds, b.seconds) || compareNumbers(a.nanos, b.nanos),
  }),
  bool: defineCodec<boolean>({
    values: fc.boolean(),
    write: (w, value, descending) => w.bool(value, descending),
    read: (r, descending) => r.bool(descending),
    compare: (a, b) => compareNumbers(Number(a), Number(b)),
  }),
  interval: defineCodec<{ months: number; days: number; nanos: Int }>({
    values: fc.record({
      months: fc.integer({ min: -1000, max: 1000 }),
      days: fc.integer({ min: -20_000, max: 20_000 }),
      nanos: fc.maxSafeInteger(),
    }),
    write: (w, value, descending) => w.interval(value, descending),
    read: (r, descending) => r.interval(descending),
    compare: (a, b) => compareLengths(a, b) || compareNumbers(a.months, b.months) || compareNumbers(a.days, b.days),
  }),
};

function compareLengths(a: { months: number; days: number; nanos: Int }, b: { months: number; days: number; nanos: Int }): number {
  const nanosOf = ({ months, days, nanos }: typeof a) => BigInt(nanos) + BigInt(days + 30 * months) * 86_400_000_000_000n;
  return nanosOf(a) < nanosOf(b) ? -1 : nanosOf(a) > nanosOf(b) ? 1 : 0;
}

const properties = suite('key codec: properties');

for (const [name, codec] of Object.entries(codecs)) {
  for (const descending of [false, true]) {
    properties(`${name} ${descending ? 'descending' : 'ascending'} keeps order, is prefix-free and reads back`, () => {
      fc.assert(
        fc.property(codec.values, codec.values, (a, b) => {
          const encodedA = codec.write(writer.reset(), a, descending).finish();
          const encodedB = codec.write(writer.reset(), b, descending).finish();
          const order = codec.compare(a, b) * (descending ? -1 : 1);
          assert.is(encodedA < encodedB ? -1 : encodedA > encodedB ? 1 : 0, order === 0 ? 0 : order);
          if (order !== 0) assert.not.ok(encodedB.startsWith(encodedA));
          const reader = new KeyReader(`${encodedA}tail` as Bytes);
          assert.is(codec.compare(codec.read(reader, descending), a), 0);
          assert.is(reader.position, encodedA.length);
          assert.ok(writer.reset().null(descending).finish() < encodedA === !descending);
          assert.ok(writer.reset().notNull(descending).finish() < encodedA === !descending);
          const skipper = new KeyReader(encodedA);
          skipper.skip();
          assert.ok(skipper.done);
        }),
        { numRuns: 400, seed: 11 },
      );
    });
  }
}

properties('decimals that are equal have one encoding', () => {
  fc.assert(
    fc.property(anyDecimal, fc.integer({ min: 0, max: 5 }), (value, zeros) => {
      const padded: DecimalParts = { ...value, coefficient: value.coefficient * 10n ** BigInt(zeros), scale: value.scale + zeros };
      assert.is(
        hex((w) => w.decimal(padded)),
        hex((w) => w.decimal(value)),
      );
    }),
    { seed: 12 },
  );
});

properties('a composite key sorts as its columns do', () => {
  const column = fc.tuple(fc.option(anyInt), zeroHeavyBytes);
  fc.assert(
    fc.property(column, column, (a, b) => {
      const encode = ([first, second]: [Int | null, Bytes]): Bytes => {
        writer.reset();
        return (first === null ? writer.null() : writer.int(first)).bytes(second, true).finish();
      };
      const byFirst = a[0] === b[0] ? 0 : a[0] === null || (b[0] !== null && a[0] < b[0]) ? -1 : 1;
      const order = byFirst || (a[1] < b[1] ? 1 : a[1] > b[1] ? -1 : 0);
      const [x, y] = [encode(a), encode(b)];
      assert.is(x < y ? -1 : x > y ? 1 : 0, order);
    }),
    { seed: 13 },
  );
});

properties.run();
