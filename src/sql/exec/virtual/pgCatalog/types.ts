/**
 * pg_catalog: types, functions, and what they refer to.
 */
import {
  arrayOf,
  builtinTypes,
  type ColumnType,
  pgTypname,
  Type,
  typlenOf,
  USER_TYPE_OID_BASE,
  VectorType,
} from '../../../../catalog/type.ts';
import type { FunctionDescriptor } from '../../../../catalog/descriptor.ts';
import { enumTypeOf } from '../../../../catalog/enumType.ts';
import { NODE_USER } from '../../../../catalog/privileges.ts';
import type { FunctionDefinition } from '../../../expr/registry.ts';
import type { Param } from '../../../expr/overload.ts';
import { functionOid as userFunctionOid, shownStatement } from '../../functionText.ts';
import { enumLabelOid, functionOid, schemaOid, userOid } from '../../oids.ts';
import type { CatalogView } from '../catalogView.ts';
import { hidden, inSchema } from '../defineTable.ts';
import { aclOf } from './acl.ts';
import {
  C_COLLATION,
  collationOf,
  DEFAULT_COLLATION,
  INDEX_ACCESS_METHOD,
  INVERTED_ACCESS_METHOD,
  INTERNAL_LANGUAGE,
  SQL_LANGUAGE,
  TABLE_ACCESS_METHOD,
} from './constants.ts';

const table = inSchema('pg_catalog');
const TextArray = arrayOf(Type.String);

/** pg_type.typcategory by family. */
const CATEGORIES: Readonly<Partial<Record<ColumnType['family'], string>>> = {
  array: 'A',
  bool: 'B',
  bit: 'V',
  date: 'D',
  decimal: 'N',
  enum: 'E',
  float: 'N',
  inet: 'I',
  int: 'N',
  interval: 'T',
  oid: 'N',
  string: 'S',
  time: 'D',
  timestamp: 'D',
  timestamptz: 'D',
  timetz: 'D',
  tuple: 'P',
  unknown: 'X',
  void: 'P',
};

/** The types that a category prefers when a literal could be several. */
const PREFERRED: ReadonlySet<number> = new Set(
  [Type.Bool, Type.Float8, Type.String, Type.TimestampTz, Type.Interval, Type.Inet, Type.VarBit, Type.Oid].map((type) => type.oid),
);

const POLYMORPHIC = { any: 2276, anyarray: 2277, anyelement: 2283 } as const;

function typeRow(type: ColumnType) {
  const typlen = typlenOf(type);
  const isPseudo = type.family === 'tuple' || type.family === 'void' || type.family === 'unknown';
  const hasArray = type.family !== 'array' && !(isPseudo && type.family !== 'tuple');
  return {
    oid: type.oid,
    typname: pgTypname(type),
    typlen,
    typbyval: typlen > 0 && typlen <= 8,
    typtype: type.family === 'enum' ? 'e' : isPseudo ? 'p' : 'b',
    typcategory: CATEGORIES[type.family] ?? 'U',
    typispreferred: PREFERRED.has(type.oid),
    typisdefined: true,
    typdelim: ',',
    typrelid: 0,
    typelem: type.element?.oid ?? 0,
    typarray: hasArray ? arrayOf(type).oid : 0,
    typalign: typlen > 4 ? 'd' : typlen === 1 ? 'c' : typlen === 2 ? 's' : 'i',
    typstorage: typlen > 0 ? 'p' : 'x',
    typnotnull: false,
    typbasetype: 0,
    typtypmod: -1,
    typndims: 0,
    typcollation: collationOf(type),
    ...ioFunctions(type),
  };
}

/** PostgreSQL names these after the type; clients recognize array types by them. */
function ioFunctions(type: ColumnType) {
  const base = type.family === 'array' ? 'array_' : type.family === 'enum' ? 'enum_' : pgTypname(type);
  const named = (suffix: string) => functionOid(`${base}${suffix}`, 0);
  return {
    typinput: named('in'),
    typoutput: named('out'),
    typreceive: named('recv'),
    typsend: named('send'),
    typmodin: 0,
    typmodout: 0,
    typanalyze: 0,
  };
}

const pgType = table(
  'pg_type',
  {
    oid: Type.Oid,
    typname: Type.Name,
    typnamespace: Type.Oid,
    typowner: Type.Oid,
    typlen: Type.Int2,
    typbyval: Type.Bool,
    typtype: Type.QChar,
    typcategory: Type.QChar,
    typispreferred: Type.Bool,
    typisdefined: Type.Bool,
    typdelim: Type.QChar,
    typrelid: Type.Oid,
    typelem: Type.Oid,
    typarray: Type.Oid,
    typinput: Type.RegProc,
    typoutput: Type.RegProc,
    typreceive: Type.RegProc,
    typsend: Type.RegProc,
    typmodin: Type.RegProc,
    typmodout: Type.RegProc,
    typanalyze: Type.RegProc,
    typalign: Type.QChar,
    typstorage: Type.QChar,
    typnotnull: Type.Bool,
    typbasetype: Type.Oid,
    typtypmod: Type.Int4,
    typndims: Type.Int4,
    typcollation: Type.Oid,
    typdefaultbin: Type.String,
    typdefault: Type.String,
    typacl: TextArray,
  },
  function* (view) {
    const builtin = { typnamespace: view.virtualSchemaOid('pg_catalog') };
    for (const type of builtinTypes()) yield { ...typeRow(type), ...builtin };
    for (const [typname, oid] of Object.entries(POLYMORPHIC)) {
      yield { ...typeRow(Type.Void), ...builtin, ...ioFunctions({ ...Type.Void, family: 'enum' }), oid, typname };
    }
    for (const type of view.types()) {
      const element = enumTypeOf(type, view.snapshot);
      for (const one of [element, arrayOf(element)])
        yield {
          ...typeRow(one),
          typnamespace: schemaOid(type.parentId, view.snapshot.fullName(type)[1] ?? 'public'),
          typowner: userOid(type.privileges.owner),
          typacl: aclOf(type.privileges, 'type'),
        };
    }
  },
);

const hexBytes = (hex: string): string => Buffer.from(hex, 'hex').toString('latin1');

const pgEnum = table('pg_enum', { oid: Type.Oid, enumtypid: Type.Oid, enumsortorder: Type.Float4, enumlabel: Type.Name }, function* (view) {
  for (const type of view.types()) {
    const enumtypid = USER_TYPE_OID_BASE + type.id;
    for (const [i, enumlabel] of type.members.entries()) {
      yield { oid: enumLabelOid(type.id, hexBytes(type.physical[i] ?? '')), enumtypid, enumsortorder: i, enumlabel };
    }
  }
});

function paramOid(param: Param): number {
  if (typeof param !== 'string') return param.oid;
  return param === 'anytuple' ? Type.Record.oid : POLYMORPHIC[param];
}

function* overloadsOf(definition: FunctionDefinition) {
  for (const [i, overload] of definition.overloads.entries()) {
    const isSet = definition.kind === 'generator';
    const returns = 'returns' in overload && typeof overload.returns !== 'function' ? overload.returns.oid : POLYMORPHIC.anyelement;
    const variadic = 'variadic' in overload ? overload.variadic : undefined;
    const proargtypes = [...overload.params, ...(variadic === undefined ? [] : [variadic])].map(paramOid);
    yield {
      oid: functionOid(definition.name, i),
      procost: 1,
      prorows: isSet ? 1000 : 0,
      provariadic: variadic === undefined ? 0 : paramOid(variadic),
      prosupport: 0,
      prokind: definition.kind === 'aggregate' ? 'a' : definition.kind === 'window' ? 'w' : 'f',
      prosecdef: false,
      proleakproof: false,
      proisstrict: !('nullable' in overload && overload.nullable === true),
      proretset: isSet,
      provolatile: 'volatility' in overload ? overload.volatility.charAt(0) : 'i',
      proparallel: 's',
      pronargs: proargtypes.length,
      pronargdefaults: 0,
      prorettype: isSet ? Type.Record.oid : returns,
      proargtypes,
      prosrc: definition.name,
      proisagg: definition.kind === 'aggregate',
      proiswindow: definition.kind === 'window',
    };
  }
}

/** A function of users. */
function userFunctionRow(view: CatalogView, one: FunctionDescriptor) {
  const [database, schema = 'public'] = view.snapshot.fullName(one);
  return {
    ...{ oid: userFunctionOid(one), proname: one.name, pronamespace: schemaOid(one.parentId, schema), prolang: SQL_LANGUAGE },
    ...{ proowner: userOid(one.privileges.owner), procost: 100, prorows: one.returnsSet ? 1000 : 0, provariadic: 0, prosupport: 0 },
    ...{ prokind: 'f', prosecdef: false, proleakproof: one.isLeakproof === true, proisstrict: one.isStrict === true },
    ...{ proretset: one.returnsSet === true, provolatile: one.volatility.charAt(0), proparallel: 'u', pronargs: one.params.length },
    ...{ pronargdefaults: 0, prorettype: one.returns.oid, proargtypes: one.params.map(({ type }) => type.oid) },
    ...(one.params.some(({ name }) => name !== undefined) && { proargnames: one.params.map(({ name = '' }) => name) }),
    prosrc: one.statements.map((text) => `${shownStatement(text, database ?? '')};`).join('\n'),
    ...{ proisagg: false, proiswindow: false },
  };
}

const pgProc = table(
  'pg_proc',
  {
    oid: Type.Oid,
    proname: Type.Name,
    pronamespace: Type.Oid,
    proowner: Type.Oid,
    prolang: Type.Oid,
    procost: Type.Float4,
    prorows: Type.Float4,
    provariadic: Type.Oid,
    prosupport: Type.RegProc,
    prokind: Type.QChar,
    prosecdef: Type.Bool,
    proleakproof: Type.Bool,
    proisstrict: Type.Bool,
    proretset: Type.Bool,
    provolatile: Type.QChar,
    proparallel: Type.QChar,
    pronargs: Type.Int2,
    pronargdefaults: Type.Int2,
    prorettype: Type.Oid,
    proargtypes: VectorType.OidVector,
    proallargtypes: arrayOf(Type.Oid),
    proargmodes: TextArray,
    proargnames: TextArray,
    proargdefaults: Type.String,
    protrftypes: arrayOf(Type.Oid),
    prosrc: Type.String,
    probin: Type.String,
    proconfig: TextArray,
    proacl: TextArray,
    protransform: hidden(Type.String),
    proisagg: hidden(Type.Bool),
    proiswindow: hidden(Type.Bool),
  },
  function* (view) {
    for (const definition of view.context.engine.functions.all()) {
      const [schema = '', inner] = definition.name.split('.', 2);
      const [namespace, proname] = inner === undefined ? ['pg_catalog', schema] : [schema, inner];
      const where = { proname, pronamespace: view.virtualSchemaOid(namespace), prolang: INTERNAL_LANGUAGE };
      for (const overload of overloadsOf(definition)) yield { ...where, ...overload };
    }
    for (const one of view.functions()) yield userFunctionRow(view, one);
  },
);

const pgAm = table('pg_am', { oid: Type.Oid, amname: Type.Name, amhandler: Type.RegProc, amtype: Type.QChar }, () => [
  { oid: TABLE_ACCESS_METHOD, amname: 'heap', amhandler: 0, amtype: 't' },
  { oid: INDEX_ACCESS_METHOD, amname: 'btree', amhandler: 0, amtype: 'i' },
  { oid: INVERTED_ACCESS_METHOD, amname: 'gin', amhandler: 0, amtype: 'i' },
]);

const pgCollation = table(
  'pg_collation',
  {
    oid: Type.Oid,
    collname: Type.Name,
    collnamespace: Type.Oid,
    collowner: Type.Oid,
    collprovider: Type.QChar,
    collisdeterministic: Type.Bool,
    collencoding: Type.Int4,
    collcollate: Type.Name,
    collctype: Type.Name,
    collversion: Type.String,
  },
  (view) => {
    const common = {
      collnamespace: view.virtualSchemaOid('pg_catalog'),
      collisdeterministic: true,
      collencoding: -1,
    };
    return [
      { ...common, oid: DEFAULT_COLLATION, collname: 'default', collprovider: 'd', collcollate: '', collctype: '' },
      { ...common, oid: C_COLLATION, collname: 'C', collprovider: 'c', collcollate: 'C', collctype: 'C' },
    ];
  },
);

const pgLanguage = table(
  'pg_language',
  {
    oid: Type.Oid,
    lanname: Type.Name,
    lanowner: Type.Oid,
    lanispl: Type.Bool,
    lanpltrusted: Type.Bool,
    lanplcallfoid: Type.Oid,
    laninline: Type.Oid,
    lanvalidator: Type.Oid,
    lanacl: TextArray,
  },
  () => [
    {
      oid: INTERNAL_LANGUAGE,
      lanname: 'internal',
      lanowner: userOid(NODE_USER),
      lanispl: false,
      lanpltrusted: false,
      lanplcallfoid: 0,
      laninline: 0,
      lanvalidator: 0,
    },
    {
      ...{ oid: SQL_LANGUAGE, lanname: 'sql', lanowner: userOid(NODE_USER), lanispl: false, lanpltrusted: true },
      ...{ lanplcallfoid: 0, laninline: 0, lanvalidator: 0 },
    },
  ],
);

export const typeTables = [pgAm, pgCollation, pgEnum, pgLanguage, pgProc, pgType];
