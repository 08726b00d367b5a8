import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { isVarveError } from '../../src/base/errors.ts';
import {
  arrayOf,
  builtinTypes,
  decimalOf,
  pgTypeName,
  pgTypname,
  sqlTypeName,
  Type,
  typeFromJson,
  typeOfOid,
  typesEqual,
  typesEquivalent,
  typeToJson,
  typmodOf,
} from '../../src/catalog/type.ts';
import { requireType, resolveTypeName } from '../../src/catalog/typeName.ts';
import { STORABLE_TYPES } from './arbitraries.ts';

const types = suite('column types');

// What the user writes: name, arguments, array; then SQL name, pg name, pg_type row, OID, typmod.
const NAMES: readonly [string, readonly number[], boolean, string, string, string, number, number][] = [
  ['INT', [], false, 'INT8', 'bigint', 'int8', 20, -1],
  ['integer', [], false, 'INT8', 'bigint', 'int8', 20, -1],
  ['SMALLINT', [], false, 'INT2', 'smallint', 'int2', 21, -1],
  ['pg_catalog.int4', [], false, 'INT4', 'integer', 'int4', 23, -1],
  ['text', [], false, 'STRING', 'text', 'text', 25, -1],
  ['STRING', [5], false, 'STRING(5)', 'text(5)', 'text', 25, 9],
  ['character  varying', [20], false, 'VARCHAR(20)', 'character varying(20)', 'varchar', 1043, 24],
  ['CHAR', [], false, 'CHAR', 'character(1)', 'bpchar', 1042, 5],
  ['character', [3], false, 'CHAR(3)', 'character(3)', 'bpchar', 1042, 7],
  ['"char"', [], false, '"char"', '"char"', 'char', 18, -1],
  ['numeric', [10, 2], false, 'DECIMAL(10,2)', 'numeric(10,2)', 'numeric', 1700, 655366],
  ['DECIMAL', [10], false, 'DECIMAL(10)', 'numeric(10,0)', 'numeric', 1700, 655364],
  ['dec', [], false, 'DECIMAL', 'numeric', 'numeric', 1700, -1],
  ['real', [], false, 'FLOAT4', 'real', 'float4', 700, -1],
  ['double precision', [], false, 'FLOAT8', 'double precision', 'float8', 701, -1],
  ['float', [24], false, 'FLOAT4', 'real', 'float4', 700, -1],
  ['bytea', [], false, 'BYTES', 'bytea', 'bytea', 17, -1],
  ['boolean', [], false, 'BOOL', 'boolean', 'bool', 16, -1],
  ['json', [], false, 'JSONB', 'jsonb', 'jsonb', 3802, -1],
  ['timestamp', [3], false, 'TIMESTAMP(3)', 'timestamp(3) without time zone', 'timestamp', 1114, 3],
  ['timestamp with time zone', [], false, 'TIMESTAMPTZ', 'timestamp with time zone', 'timestamptz', 1184, -1],
  ['uuid', [], true, 'UUID[]', 'uuid[]', '_uuid', 2951, -1],
  ['varchar', [3], true, 'VARCHAR(3)[]', 'character varying(3)[]', '_varchar', 1015, 7],
  ['bit varying', [4], false, 'VARBIT(4)', 'bit varying(4)', 'varbit', 1562, 4],
  ['regclass', [], false, 'REGCLASS', 'regclass', 'regclass', 2205, -1],
];

types('names, aliases, OIDs and typmods', () => {
  for (const [name, args, isArray, sql, pg, typname, oid, typmod] of NAMES) {
    const type = requireType({ name, args, arrayDimensions: isArray ? 1 : 0 });
    assert.equal([sqlTypeName(type), pgTypeName(type), pgTypname(type), type.oid, typmodOf(type)], [sql, pg, typname, oid, typmod], name);
  }
});

types('SERIAL is flagged, unknown names are for the caller', () => {
  assert.equal(resolveTypeName({ name: 'BIGSERIAL' }), { type: Type.Int8, isSerial: true });
  assert.equal(resolveTypeName({ name: 'serial4' }), { type: Type.Int4, isSerial: true });
  assert.is(resolveTypeName({ name: 'nvarchar' }), undefined);
});

types('bad arguments are refused', () => {
  for (const [name, args, code] of [
    ['varchar', [0], '22023'],
    ['decimal', [5, 6], '22023'],
    ['decimal', [0], '22023'],
    ['timestamp', [7], '22023'],
    ['float', [54], '22023'],
    ['int', [4], '42601'],
    ['geometry', [], '42704'],
    ['serial', [], '0A000'],
  ] as const) {
    assert.throws(
      () => requireType({ name, args }),
      (error: unknown) => isVarveError(error) && error.code === code,
      name,
    );
  }
  assert.throws(() => requireType({ name: 'int', arrayDimensions: 2 }), /nested arrays/);
});

types('JSON round trip gives the shared object for unbounded types', () => {
  for (const type of [...STORABLE_TYPES, ...builtinTypes()]) {
    const back = typeFromJson(JSON.parse(JSON.stringify(typeToJson(type))));
    assert.ok(typesEqual(type, back), sqlTypeName(type));
  }
  assert.is(typeFromJson(JSON.parse(JSON.stringify(Type.Int8))), Type.Int8);
  assert.is(typeFromJson(JSON.parse(JSON.stringify(arrayOf(Type.String)))), arrayOf(Type.String));
});

types('equality looks at bounds, equivalence at representation', () => {
  assert.not(typesEqual(Type.Int4, Type.Int8));
  assert.ok(typesEquivalent(Type.Int4, Type.Int8));
  assert.not(typesEqual(decimalOf(10, 2), decimalOf(10, 3)));
  assert.not(typesEquivalent(Type.Int8, Type.Float8));
  assert.ok(typesEquivalent(arrayOf(Type.Int4), arrayOf(Type.Int8)));
});

types('OIDs lead back to types', () => {
  assert.is(typeOfOid(20), Type.Int8);
  assert.is(typeOfOid(1016), arrayOf(Type.Int8));
  assert.is(typeOfOid(114), Type.Jsonb);
  assert.is(typeOfOid(1), undefined);
});

types.run();
