import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import type { Bytes } from '../../src/base/bytes.ts';
import { toHex, utf8Encode } from '../../src/base/bytes.ts';
import { indexPrefix, KeyReader } from '../../src/base/keycode.ts';
import { prettyKey, prettySpan } from '../../src/base/prettyKey.ts';
import { compareDatums, compareNullable, type Datum, Decimal } from '../../src/catalog/datum.ts';
import { allIndexes, MVCC_TIMESTAMP_COLUMN_ID, TABLE_OID_COLUMN_ID, type TableDescriptor } from '../../src/catalog/descriptor.ts';
import { indexColumnIds, type KeyValues, rowDecoder, spanForConstraint, tableCodec } from '../../src/catalog/rowCodec.ts';
import { isKeyable } from '../../src/catalog/columnCodec.ts';
import { type ColumnType, Type } from '../../src/catalog/type.ts';
import { validateDescriptor } from '../../src/catalog/validate.ts';
import { arbitraryDatum, looksEqual, STORABLE_TYPES } from './arbitraries.ts';
import { testTable } from './support.ts';

const rows = suite('row codec');

const encode = (desc: TableDescriptor, ...all: Datum[][]): { keys: Bytes[]; values: Bytes[] } => {
  const out: KeyValues = { keys: [], values: [] };
  for (const row of all) tableCodec(desc).encodeRow(row, out);
  return out as { keys: Bytes[]; values: Bytes[] };
};

const decode = (desc: TableDescriptor, ids: readonly number[], kvs: { keys: Bytes[]; values: Bytes[] }): Datum[][] => {
  const out: Datum[][] = [];
  rowDecoder(desc, desc.primaryIndex, ids).decode(kvs.keys, kvs.values, true, out);
  return out;
};

rows('known answers: the bytes of a small row and its entries', () => {
  const desc = testTable(
    52,
    't',
    [
      { name: 'id', type: Type.Int8 },
      { name: 'name', type: Type.String },
      { name: 'price', type: Type.Decimal },
    ],
    ['id'],
    {
      indexes: [
        { name: 'by_name', columns: ['name'] },
        { name: 'one_price', columns: ['price'], unique: true, storing: ['name'] },
      ],
    },
  );
  assert.equal(validateDescriptor(desc), []);
  const row = [7, utf8Encode('cat'), Decimal.of(150n, 2)];
  const { keys, values } = encode(desc, row);
  assert.is(prettyKey(keys[0] as Bytes), '/Table/52/1/7/0');
  assert.is(toHex(keys[0] as Bytes), 'bc898f88');
  // Tuple; column 2 bytes "cat"; column 3 decimal 1.50.
  assert.is(toHex(values[0] as Bytes), '0a' + '2603636174' + '15033489' + '96');
  const [byName, onePrice] = desc.indexes.map((index) => tableCodec(desc).encodeEntry(index, row));
  assert.is(prettyKey(byName?.key as Bytes), '/Table/52/2/"cat"/7/0');
  assert.is(toHex(byName?.value as Bytes), '03');
  // The unique entry keeps the primary key, the stored name, and the price's lost zero.
  assert.is(prettyKey(onePrice?.key as Bytes), '/Table/52/3/1.5/0');
  assert.is(toHex(onePrice?.value as Bytes), '03' + '8f' + '2603636174' + '15033489' + '96');
});

rows('a unique index lets NULLs repeat: such entries are keyed by row', () => {
  const desc = testTable(
    53,
    'u',
    [
      { name: 'id', type: Type.Int8 },
      { name: 'a', type: Type.Int8 },
      { name: 'b', type: Type.Int8 },
    ],
    ['id'],
    { indexes: [{ name: 'ab', columns: ['a', 'b'], unique: true }] },
  );
  const codec = tableCodec(desc);
  const [index] = desc.indexes;
  assert.ok(index);
  const keyOf = (...row: Datum[]) => prettyKey(codec.entryKey(index, row));
  assert.is(keyOf(1, 5, 6), '/Table/53/2/5/6/0');
  assert.is(keyOf(1, 5, null), '/Table/53/2/5/NULL/1/0');
  assert.is(keyOf(2, 5, null), '/Table/53/2/5/NULL/2/0');
  assert.is(codec.uniqueSpan(index, [1, 5, null]), undefined);
  assert.is(prettyKey(codec.uniqueSpan(index, [1, 5, 6])?.key as Bytes), '/Table/53/2/5/6/0');
  const decoder = rowDecoder(desc, index, indexColumnIds(desc, index));
  for (const row of [
    [1, 5, 6],
    [1, 5, null],
    [3, null, null],
  ]) {
    const entry = codec.encodeEntry(index, row);
    assert.equal(decoder.decodeOne(entry.key, entry.value), [row[1], row[2], row[0]]);
  }
});

rows('families: each its own key, absent when all NULL, assembled again across batches', () => {
  const desc = testTable(
    54,
    'f',
    [
      { name: 'id', type: Type.Int8 },
      { name: 'a', type: Type.String, family: 1 },
      { name: 'b', type: Type.Int8, family: 2 },
      { name: 'c', type: Type.Int8 },
    ],
    ['id'],
  );
  assert.equal(validateDescriptor(desc), []);
  const all: Datum[][] = [
    [1, utf8Encode('x'), 10, 100],
    [2, null, 20, null],
    [3, null, null, null],
    [300, utf8Encode('z'), null, 5],
  ];
  const kvs = encode(desc, ...all);
  assert.equal(kvs.keys.map(prettyKey), [
    '/Table/54/1/1/0',
    '/Table/54/1/1/1/1',
    '/Table/54/1/1/2/1',
    '/Table/54/1/2/0',
    '/Table/54/1/2/2/1',
    '/Table/54/1/3/0',
    '/Table/54/1/300/0',
    '/Table/54/1/300/1/1',
  ]);
  assert.equal(decode(desc, [1, 2, 3, 4], kvs), all);
  assert.equal(
    decode(desc, [3], kvs),
    all.map((row) => [row[2] ?? null]),
  );
  for (let batch = 1; batch < 5; batch++) {
    const decoder = rowDecoder(desc, desc.primaryIndex, [4, 2, 1]);
    const out: Datum[][] = [];
    for (let at = 0; at < kvs.keys.length; at += batch) {
      const isLast = at + batch >= kvs.keys.length;
      decoder.decode(kvs.keys.slice(at, at + batch), kvs.values.slice(at, at + batch), isLast, out);
    }
    assert.equal(
      out,
      all.map(([id, a, , c]) => [c, a, id]),
      `batches of ${batch}`,
    );
  }
  const reversed = { keys: [...kvs.keys].reverse(), values: [...kvs.values].reverse() };
  assert.equal(decode(desc, [1, 2, 3, 4], reversed), [...all].reverse());

  const codec = tableCodec(desc);
  assert.equal(codec.lookupKeys([2]), codec.familyKeys(all[1] as Datum[]));
  const found = codec.lookupKeys([2]).map((key) => kvs.values[kvs.keys.indexOf(key)]);
  assert.equal(rowDecoder(desc, desc.primaryIndex, [1, 2, 3]).decodeFamilies(codec.lookupKeys([2]), found), [2, null, 20]);
  const update: KeyValues = { keys: [], values: [] };
  codec.encodeRow(all[1] as Datum[], update, { all: true });
  assert.equal(
    update.values.map((value) => value === null),
    [false, true, false],
  );
});

rows('old rows read NULL in a column added later; a dropped column is passed over', () => {
  const columns = [
    { name: 'id', type: Type.Int8 },
    { name: 'a', type: Type.String },
    { name: 'b', type: Type.Decimal },
  ];
  const before = testTable(55, 'v', columns, ['id']);
  const kvs = encode(before, [1, utf8Encode('old'), Decimal.of(5n, 1)]);
  const added = testTable(55, 'v', [...columns, { name: 'c', type: Type.Jsonb }], ['id']);
  assert.equal(decode(added, [4, 2, 1], kvs), [[null, utf8Encode('old'), 1]]);
  const dropped: TableDescriptor = {
    ...before,
    columns: before.columns.filter((column) => column.id !== 2),
    families: [{ id: 0, name: 'f0', columnIds: [1, 3] }],
  };
  assert.equal(
    decode(dropped, [1, 3], kvs).map((row) => row.map(String)),
    [['1', '0.5']],
  );
});

rows('virtual, timestamp and oid columns', () => {
  const base = testTable(
    56,
    'w',
    [
      { name: 'id', type: Type.Int8 },
      { name: 'v', type: Type.Int8 },
    ],
    ['id'],
  );
  const desc: TableDescriptor = {
    ...base,
    columns: base.columns.map((column) => (column.id === 2 ? { ...column, isVirtual: true, computeExpr: 'id + 1' } : column)),
    families: [{ id: 0, name: 'f0', columnIds: [1] }],
  };
  const { keys, values } = encode(desc, [1, 2]);
  assert.is(toHex(values[0] as Bytes), '0a');
  assert.equal(indexColumnIds(desc, desc.primaryIndex), [1]);
  const out: Datum[][] = [];
  rowDecoder(desc, desc.primaryIndex, [TABLE_OID_COLUMN_ID, MVCC_TIMESTAMP_COLUMN_ID, 1]).decode(
    keys,
    values,
    true,
    out,
    [1780000000123456],
  );
  assert.equal(out[0]?.map(String), ['56', '1780000000123456000.0000000000', '1']);
  assert.throws(() => rowDecoder(desc, desc.primaryIndex, [2]), /does not hold column 2/);
});

const keyTypes = STORABLE_TYPES.filter(isKeyable);

/** A random table (types of all columns, key, directions, families, one index of each sort) and some of its rows. */
const arbitraryTable = fc
  .record({
    types: fc.array(fc.constantFrom(...STORABLE_TYPES), { minLength: 1, maxLength: 4 }),
    keys: fc.array(fc.constantFrom(...keyTypes), { minLength: 1, maxLength: 2 }),
    others: fc.array(fc.constantFrom(...keyTypes), { minLength: 1, maxLength: 2 }),
    families: fc.array(fc.nat(2), { minLength: 8, maxLength: 8 }),
    desc: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
    unique: fc.boolean(),
  })
  .chain(({ types, keys, others, families, desc, unique }) => {
    const key = keys.map((type, i) => ({ name: `k${i}`, type }));
    const indexed = others.map((type, i) => ({ name: `x${i}`, type, family: families[i] ?? 0 }));
    const stored = types.map((type, i) => ({ name: `s${i}`, type, family: families[i + 2] ?? 0 }));
    const columns = [...stored.slice(0, 1), ...key, ...indexed, ...stored.slice(1)];
    const names = indexed.map((column) => column.name);
    const table = testTable(
      60,
      'r',
      columns,
      key.map((column) => column.name),
      {
        pkDesc: key.filter((_, i) => desc[i]).map((column) => column.name),
        indexes: [{ name: 'i', columns: names, desc: names.filter((_, i) => desc[i + 2]), unique, storing: ['s0'] }],
      },
    );
    const row = fc.tuple(
      ...columns.map((column) =>
        column.name.startsWith('k') ? arbitraryDatum(column.type) : fc.option(arbitraryDatum(column.type), { nil: null, freq: 4 }),
      ),
    );
    return fc.record({ table: fc.constant(table), rows: fc.array(row, { minLength: 1, maxLength: 6 }) });
  });

const same = (table: TableDescriptor, ids: readonly number[], a: readonly Datum[], b: readonly Datum[]) =>
  ids.every((id, i) => looksEqual(table.columns[id - 1]?.type as ColumnType, a[i] ?? null, b[i] ?? null));

rows('random tables: every row comes back from every index', () => {
  fc.assert(
    fc.property(arbitraryTable, ({ table, rows: all }) => {
      const codec = tableCodec(table);
      assert.equal(validateDescriptor(table), []);
      for (const row of all) {
        const ids = table.columns.map((column) => column.id);
        const [back] = decode(table, ids, encode(table, row));
        assert.ok(back && same(table, ids, row, back), 'primary index');
        for (const index of table.indexes) {
          const held = indexColumnIds(table, index);
          const entry = codec.encodeEntry(index, row);
          const found = rowDecoder(table, index, held).decodeOne(entry.key, entry.value);
          assert.ok(
            same(
              table,
              held,
              held.map((id) => row[id - 1] ?? null),
              found,
            ),
            index.name,
          );
        }
      }
    }),
    { numRuns: 300 },
  );
});

rows('random tables: keys sort as the key columns do, and constraints cut exactly', () => {
  fc.assert(
    fc.property(arbitraryTable, fc.nat(), fc.nat(), fc.boolean(), fc.boolean(), ({ table, rows: all }, p, q, lowIn, highIn) => {
      const codec = tableCodec(table);
      for (const index of allIndexes(table)) {
        const isPrimary = index.id === 1;
        const keyOf = (row: Datum[]) => (isPrimary ? codec.rowKey(row) : codec.entryKey(index, row));
        const compares = index.columnIds.map((id) => compareNullable(compareDatums(table.columns[id - 1]?.type as ColumnType)));
        const at = (row: Datum[], i: number) => row[(index.columnIds[i] ?? 0) - 1] ?? null;
        for (const a of all) {
          for (const b of all) {
            let order = 0;
            for (let i = 0; i < compares.length && order === 0; i++) {
              order = Math.sign(compares[i]?.(at(a, i), at(b, i)) ?? 0) * (index.directions[i] === 'DESC' ? -1 : 1);
            }
            if (order !== 0) assert.is(keyOf(a) < keyOf(b), order < 0, index.name);
          }
        }
        const [low, high] = [at(all[p % all.length] as Datum[], 0), at(all[q % all.length] as Datum[], 0)];
        const span = spanForConstraint(table, index, {
          equals: [],
          ...(low !== null && { lower: { value: low, inclusive: lowIn } }),
          ...(high !== null && { upper: { value: high, inclusive: highIn } }),
        });
        const bounded = low !== null || high !== null;
        for (const row of all) {
          const value = at(row, 0);
          const compare = compares[0] as (a: Datum, b: Datum) => number;
          const meetsLow = low === null || (value !== null && (lowIn ? compare(value, low) >= 0 : compare(value, low) > 0));
          const meetsHigh = high === null || (value !== null && (highIn ? compare(value, high) <= 0 : compare(value, high) < 0));
          const key = keyOf(row);
          const inside = span !== undefined && span.key <= key && key < span.endKey;
          assert.is(inside, (!bounded || value !== null) && meetsLow && meetsHigh, `${index.name} ${prettyKey(key)}`);
        }
      }
    }),
    { numRuns: 300 },
  );
});

rows('times before 1970 keep their nanoseconds within the second, as CockroachDB has them', () => {
  const desc = testTable(58, 'm', [{ name: 'at', type: Type.Timestamp }], ['at']);
  for (const [micros, seconds, nanos] of [
    [-1, -1, 999_999_000],
    [-9_007_199_254_740_993n, -9_007_199_255, 259_007_000],
    [9_007_199_254_740_993n, 9_007_199_254, 740_993_000],
  ] as const) {
    const { keys } = encode(desc, [micros]);
    assert.equal(new KeyReader(keys[0], indexPrefix(58, 1).length).time(), { seconds, nanos });
  }
});

rows('spans of constraints, in readable form', () => {
  const desc = testTable(
    57,
    's',
    [
      { name: 'a', type: Type.Int8 },
      { name: 'b', type: Type.Int8 },
    ],
    ['a', 'b'],
    { pkDesc: ['b'] },
  );
  const show = (constraint: Parameters<typeof spanForConstraint>[2]) => {
    const span = spanForConstraint(desc, desc.primaryIndex, constraint);
    return span && prettySpan(span);
  };
  assert.is(show({ equals: [] }), '[/Table/57/1, /Table/57/2)');
  assert.is(show({ equals: [5] }), '[/Table/57/1/5, /Table/57/1/6)');
  assert.is(
    show({ equals: [], lower: { value: 3, inclusive: false }, upper: { value: 9, inclusive: true } }),
    '[/Table/57/1/4, /Table/57/1/10)',
  );
  assert.is(show({ equals: [], upper: { value: 9, inclusive: false } }), '[/Table/57/1/!NULL, /Table/57/1/9)');
  assert.is(show({ equals: [null] }), '[/Table/57/1/NULL, /Table/57/1/!NULL)');
  assert.is(show({ equals: [], lower: { value: 9, inclusive: true }, upper: { value: 3, inclusive: true } }), undefined);
});

rows.run();
