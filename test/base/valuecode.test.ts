/** The tuple codec: CockroachDB's known answers, then round trip of random rows and old rows under new columns. */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Bytes } from '../../src/base/bytes.ts';
import { fromBuffer, toHex, utf8Encode } from '../../src/base/bytes.ts';
import type { DecimalParts } from '../../src/base/decimalcode.ts';
import { isVarveError } from '../../src/base/errors.ts';
import { canonicalInt } from '../../src/base/int64.ts';
import { TupleReader, TupleWriter, ValueKind, ValueType } from '../../src/base/valuecode.ts';

const writer = new TupleWriter();

function decimal(coefficient: bigint, scale: number): DecimalParts {
  return { form: 'finite', coefficient, scale };
}

const known = suite('value codec: known answers');

known('the dumps of the encoding tech note, without their checksums', () => {
  const bytes = (build: TupleWriter) => toHex(build.finish());
  assert.is(bytes(writer.reset().decimal(3, decimal(1000050n, 2))), '0a3505348d0f4272');
  assert.is(bytes(writer.reset().decimal(3, decimal(2500000n, 2))), '0a3505348d2625a0');
  assert.is(bytes(writer.reset().decimal(3, decimal(940010n, 2))), '0a3505348c0e57ea');
  assert.is(bytes(writer.reset()), '0a');
  assert.is(bytes(writer.reset().bytes(2, utf8Encode('Alice')).decimal(3, decimal(1000050n, 2))), '0a2605416c6963651505348d0f4272');
  assert.is(bytes(writer.reset().bytes(2, utf8Encode('Carol'))), '0a26054361726f6c');
  // A unique index entry in the new STORING format: the implicit id 4 in key form, then the stored balance
  assert.is(bytes(writer.reset(ValueKind.Bytes, '\x8c' as Bytes).decimal(3, decimal(940010n, 2))), '038c3505348c0e57ea');
});

known('tags beyond one byte, and types beyond the tag', () => {
  assert.is(
    toHex(
      writer
        .reset()
        .bool(8, true)
        .json(9, 'x' as Bytes)
        .finish(),
    ),
    '0a810a1f0f0178',
  );
  const reader = new TupleReader(writer.finish());
  assert.ok(reader.next());
  assert.equal([reader.columnId, reader.type, reader.bool()], [8, ValueType.True, true]);
  assert.ok(reader.next());
  assert.equal([reader.columnId, reader.type, reader.json()], [9, ValueType.Json, 'x']);
  assert.not.ok(reader.next());
});

known('a column that a row does not have is passed over', () => {
  const reader = new TupleReader(
    writer
      .reset()
      .int(2, 7)
      .bytes(5, 'five' as Bytes)
      .uuid(9, '0123456789abcdef' as Bytes)
      .finish(),
  );
  assert.is(reader.kind, ValueKind.Tuple);
  assert.not.ok(reader.seek(1));
  assert.not.ok(reader.seek(4));
  assert.ok(reader.seek(5));
  assert.is(reader.bytes(), 'five');
  assert.ok(reader.seek(9));
  assert.is(reader.uuid(), '0123456789abcdef');
  assert.not.ok(reader.seek(10));
});

known('bad bytes and wrong types are refused as corrupt', () => {
  const expectCorrupt = (read: () => void) => {
    try {
      read();
      assert.unreachable();
    } catch (error) {
      assert.ok(isVarveError(error) && error.code === 'XX001', String(error));
    }
  };
  expectCorrupt(() => new TupleReader('' as Bytes));
  for (const text of ['0a26', '0a260561', '0a14', '0a13', '0a1380', '0a1f63', '0a10']) {
    expectCorrupt(() => {
      const reader = new TupleReader(fromBuffer(Buffer.from(text, 'hex')));
      while (reader.next()) {}
    });
  }
  expectCorrupt(() => {
    const reader = new TupleReader(writer.reset().int(1, 5).finish());
    reader.next();
    reader.bytes();
  });
});

known.run();

/** Records as object literals, which compare equal to what a reader returns. */
const PLAIN = { noNullPrototype: true } as const;
const anyBytes = fc.uint8Array({ maxLength: 300 }).map((array) => fromBuffer(array));
const anyInt = fc.oneof(fc.integer(), fc.maxSafeInteger(), fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n).map(canonicalInt));
const anyDecimal = fc.oneof(
  fc.record(
    {
      form: fc.constant('finite' as const),
      coefficient: fc.oneof(fc.constant(0n), fc.bigInt(-(10n ** 40n), 10n ** 40n)),
      scale: fc.integer({ min: -50, max: 50 }),
    },
    PLAIN,
  ),
  fc.constantFrom('nan' as const, 'infinity' as const, '-infinity' as const).map((form) => ({ form, coefficient: 0n, scale: 0 })),
);

type Column =
  | { type: 'int'; value: number | bigint }
  | { type: 'float'; value: number }
  | { type: 'bytes' | 'json' | 'array' | 'uuid'; value: Bytes }
  | { type: 'decimal'; value: DecimalParts }
  | { type: 'bool'; value: boolean }
  | { type: 'time'; value: { seconds: number; nanos: number } }
  | { type: 'interval'; value: { months: number; days: number; nanos: number | bigint } };

const anyColumn: fc.Arbitrary<Column> = fc.oneof(
  anyInt.map((value): Column => ({ type: 'int', value })),
  fc.double().map((value): Column => ({ type: 'float', value })),
  anyBytes.map((value): Column => ({ type: 'bytes', value })),
  anyBytes.map((value): Column => ({ type: 'json', value })),
  anyBytes.map((value): Column => ({ type: 'array', value })),
  fc.uint8Array({ minLength: 16, maxLength: 16 }).map((array): Column => ({ type: 'uuid', value: fromBuffer(array) })),
  anyDecimal.map((value): Column => ({ type: 'decimal', value })),
  fc.boolean().map((value): Column => ({ type: 'bool', value })),
  fc.record({ seconds: fc.maxSafeInteger(), nanos: fc.nat(999_999_999) }, PLAIN).map((value): Column => ({ type: 'time', value })),
  fc.record({ months: fc.integer(), days: fc.integer(), nanos: anyInt }, PLAIN).map((value): Column => ({ type: 'interval', value })),
);

function write(columnId: number, column: Column): void {
  switch (column.type) {
    case 'time':
      writer.time(columnId, column.value.seconds, column.value.nanos);
      break;
    case 'int':
      writer.int(columnId, column.value);
      break;
    case 'float':
      writer.float(columnId, column.value);
      break;
    case 'decimal':
      writer.decimal(columnId, column.value);
      break;
    case 'bool':
      writer.bool(columnId, column.value);
      break;
    case 'interval':
      writer.interval(columnId, column.value);
      break;
    default:
      writer[column.type](columnId, column.value);
  }
}

const properties = suite('value codec: properties');

properties('a row reads back, whole or by chosen columns', () => {
  const anyRow = fc.array(fc.tuple(fc.integer({ min: 1, max: 200 }), anyColumn), { maxLength: 8 });
  fc.assert(
    fc.property(anyRow, fc.integer({ min: 1, max: 1500 }), (columns, wanted) => {
      writer.reset();
      let columnId = 0;
      const ids = columns.map(([delta, column]) => {
        columnId += delta;
        write(columnId, column);
        return columnId;
      });
      const value = writer.finish();
      const reader = new TupleReader(value);
      columns.forEach(([, column], i) => {
        assert.ok(reader.next());
        assert.is(reader.columnId, ids[i]);
        assert.equal(reader[column.type](), column.value);
        // Reading twice is the same: the data does not move.
        assert.equal(reader[column.type](), column.value);
      });
      assert.not.ok(reader.next());
      assert.is(new TupleReader(value).seek(wanted), ids.includes(wanted));
    }),
    { numRuns: 600, seed: 21 },
  );
});

properties.run();
