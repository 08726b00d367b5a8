/**
 * COPY's formats: what encode.ts writes decode.ts reads back, wherever the data is cut into pieces.
 * NULL, empty text, delimiters, quotes, line ends, backslashes and the mark \. are all values.
 */
import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { type Bytes, utf8Encode } from '../../src/base/bytes.ts';
import { isVarveError } from '../../src/base/errors.ts';
import { Type } from '../../src/catalog/type.ts';
import { copyDecoder } from '../../src/sql/exec/copy/decode.ts';
import { copyEncoder } from '../../src/sql/exec/copy/encode.ts';
import { type CopyOptions, copyOptions } from '../../src/sql/exec/copy/options.ts';

const test = suite('copy formats');

const option = (name: string, value: string) => ({ name, value: { kind: 'string' as const, value, pos: 0 }, pos: 0 });
const VARIANTS: readonly CopyOptions[] = [
  copyOptions([]),
  copyOptions([option('delimiter', '|'), option('null', 'NULL')]),
  copyOptions([option('format', 'csv')]),
  copyOptions([option('format', 'csv'), option('quote', "'"), option('escape', '\\'), option('delimiter', ';'), option('null', 'null')]),
  copyOptions([option('format', 'binary')]),
];

const character = fc.constantFrom('a', '1', ' ', ',', ';', '|', '\t', '\n', '\r', '\\', '"', "'", '.', 'N', 'é', '\b', '\v', '\u{1F600}');
const value = fc.oneof(
  fc.string({ unit: character, maxLength: 6 }).map((text): Bytes | null => utf8Encode(text)),
  fc.constantFrom<Bytes | null>(null, utf8Encode('\\.'), utf8Encode('\\N'), utf8Encode('NULL'), utf8Encode('null')),
);

function read(options: CopyOptions, data: string, cuts: readonly number[]): (Bytes | null)[][] {
  const decoder = copyDecoder(options);
  const rows: (Bytes | null)[][] = [];
  let from = 0;
  for (const cut of [...cuts.map((at) => at % (data.length + 1)).sort((a, b) => a - b), data.length]) {
    for (const row of decoder.push(data.slice(from, cut) as Bytes)) rows.push([...row.fields]);
    from = cut;
  }
  for (const row of decoder.finish()) rows.push([...row.fields]);
  return rows;
}

test('what is written is read back, however it is cut', () => {
  const table = fc
    .integer({ min: 1, max: 3 })
    .chain((width) => fc.array(fc.array(value, { minLength: width, maxLength: width }), { maxLength: 5 }));
  fc.assert(
    fc.property(table, fc.constantFrom(...VARIANTS), fc.array(fc.nat(200), { maxLength: 8 }), (rows, options, cuts) => {
      const columns = (rows[0] ?? []).map((_, i) => ({ name: `c${i}`, type: Type.String }));
      const encoder = copyEncoder(options, columns, {});
      const data = encoder.head + rows.map((row) => encoder.row(row)).join('') + encoder.tail;
      // A text written like NULL is NULL, unless NULL is \N, which no value looks like.
      const expected = rows.map((row) =>
        row.map((one) => (options.format === 'text' && one === 'NULL' && one === options.nullText ? null : one)),
      );
      assert.equal(read(options, data, cuts), expected);
    }),
    { numRuns: 1000 },
  );
});

test('data as others write it', () => {
  const text = VARIANTS[0] as CopyOptions;
  const csv = VARIANTS[2] as CopyOptions;
  assert.equal(read(text, '1\t\\N\r\n2\t\\x41\\102\\t\\q\r\n', []), [
    ['1', null],
    ['2', 'AB\tq'],
  ]);
  assert.equal(read(text, 'a\\\nb\tc\n\\.\nignored\n', []), [['a\nb', 'c']]);
  assert.equal(read(text, 'no line end', []), [['no line end']]);
  assert.equal(read(csv, 'a"b,""c\n",,""\n', []), [['ab,"c\n', null, '']]);
  assert.equal(read(csv, '"x" ,y\r\n', [1, 2]), [['x ', 'y']]);
});

test('lines are counted as the client counts them', () => {
  const decoder = copyDecoder(VARIANTS[2] as CopyOptions);
  const rows = decoder.push('a\n"b\nc"\nd\n' as Bytes);
  assert.equal(
    rows.map((row) => row.line),
    [1, 2, 4],
  );
});

test('data that is none is refused', () => {
  const failure = (options: CopyOptions, data: string): string => {
    try {
      read(options, data, []);
    } catch (error) {
      if (isVarveError(error)) return `${error.code} ${error.message}`;
      throw error;
    }
    return 'read';
  };
  assert.is(failure(VARIANTS[2] as CopyOptions, 'a,"b'), '22P04 unterminated CSV quoted field');
  const binary = VARIANTS[4] as CopyOptions;
  const head = 'PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0';
  assert.is(failure(binary, ''), '22P04 COPY file signature not recognized');
  assert.is(failure(binary, 'not binary data at all'), '22P04 COPY file signature not recognized');
  assert.is(failure(binary, `${head}\0\x01\0\0\0\x05abc`), '22P04 unexpected EOF in COPY data');
  assert.is(failure(binary, `${head}\0\x01\xff\xff\xff\xfeabc`), '22P04 invalid field size');
  assert.is(failure(binary, `${head}\xff\xff`), 'read');
});

test('any bytes are rows or a 22P04', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.constantFrom(...VARIANTS), (bytes, options) => {
      try {
        read(options, Buffer.from(bytes).toString('latin1'), [7, 20]);
      } catch (error) {
        assert.ok(isVarveError(error) && error.code === '22P04', String(error));
      }
    }),
  );
});

test.run();
