/**
 * pg_catalog: relations and their parts: schemas, tables, indexes, columns, defaults.
 *
 * Oids: ../../oids.ts; an attnum is the column's id, as comments and keys use
 * it. Virtual tables are listed beside the stored ones, so that tools find every relation.
 */
import {
  type ColumnDescriptor,
  columnById,
  type IndexDescriptor,
  isTable,
  type TableDescriptor,
  namedKeyColumnIds,
} from '../../../../catalog/descriptor.ts';
import { quoteNames } from '../../../../catalog/names.ts';
import { NODE_USER } from '../../../../catalog/privileges.ts';
import { indexSpan } from '../../../../catalog/indexSpans.ts';
import { arrayOf, type ColumnType, Type, typlenOf, typmodOf, VectorType } from '../../../../catalog/type.ts';
import { defaultOid, indexOid, schemaOid, userOid } from '../../oids.ts';
import { catalogExpr, displayExpr, indexText } from '../../showCreate.ts';
import { postgresDefault, showsPostgresExprs } from '../postgresExpr.ts';
import { type CatalogView, schemaOwner } from '../catalogView.ts';
import { hidden, inSchema, required } from '../defineTable.ts';
import { aclOf } from './acl.ts';
import { collationOf, INDEX_ACCESS_METHOD, INVERTED_ACCESS_METHOD } from './constants.ts';

const table = inSchema('pg_catalog');
const TextArray = arrayOf(Type.String);

/** What pg_class says of every relation. */
const RELATION = {
  reltype: 0,
  reloftype: 0,
  relam: 0,
  reltablespace: 0,
  relallvisible: 0,
  reltoastrelid: 0,
  relisshared: false,
  relpersistence: 'p',
  relchecks: 0,
  relhasindex: false,
  relhasrules: false,
  relhastriggers: false,
  relhassubclass: false,
  relrowsecurity: false,
  relforcerowsecurity: false,
  relispopulated: true,
  relreplident: 'd',
  relispartition: false,
  relrewrite: 0,
  relhasoids: false,
  relhaspkey: false,
  relistemp: false,
} as const;

/** pg_class.relkind. */
export function relkind(relation: TableDescriptor): string {
  if (relation.sequence) return 'S';
  if (relation.view) return relation.view.isMaterialized ? 'm' : 'v';
  return 'r';
}

/** What is temporary says so. */
const persistence = ({ temporary }: TableDescriptor): object => (temporary ? { relpersistence: 't', relistemp: true } : {});

function sizeOf(view: CatalogView, relation: TableDescriptor, index: IndexDescriptor): { reltuples: number; relpages: number } {
  const { liveKeys, liveBytes } = view.context.engine.kv.stats(indexSpan(relation, index));
  const keysPerRow = index.id === relation.primaryIndex.id ? Math.max(1, relation.families.length) : 1;
  return { reltuples: Math.ceil(liveKeys / keysPerRow), relpages: Math.ceil(liveBytes / 8192) };
}

const pgClass = table(
  'pg_class',
  {
    oid: Type.Oid,
    relname: Type.Name,
    relnamespace: Type.Oid,
    reltype: Type.Oid,
    reloftype: Type.Oid,
    relowner: Type.Oid,
    relam: Type.Oid,
    relfilenode: Type.Oid,
    reltablespace: Type.Oid,
    relpages: Type.Int4,
    reltuples: Type.Float4,
    relallvisible: Type.Int4,
    reltoastrelid: Type.Oid,
    relhasindex: Type.Bool,
    relisshared: Type.Bool,
    relpersistence: Type.QChar,
    relkind: Type.QChar,
    relnatts: Type.Int2,
    relchecks: Type.Int2,
    relhasrules: Type.Bool,
    relhastriggers: Type.Bool,
    relhassubclass: Type.Bool,
    relrowsecurity: Type.Bool,
    relforcerowsecurity: Type.Bool,
    relispopulated: Type.Bool,
    relreplident: Type.QChar,
    relispartition: Type.Bool,
    relrewrite: Type.Oid,
    relfrozenxid: Type.Int8,
    relminmxid: Type.Int8,
    relacl: TextArray,
    reloptions: TextArray,
    relpartbound: Type.String,
    relhasoids: hidden(Type.Bool),
    relhaspkey: hidden(Type.Bool),
    relistemp: hidden(Type.Bool),
  },
  function* (view) {
    for (const { table: relation, schemaOid: relnamespace } of view.relations()) {
      yield {
        ...RELATION,
        ...persistence(relation),
        ...(isTable(relation) ? sizeOf(view, relation, relation.primaryIndex) : { reltuples: 0, relpages: 0 }),
        oid: relation.id,
        relname: relation.name,
        relnamespace,
        relowner: userOid(relation.privileges.owner),
        relacl: aclOf(relation.privileges, relation.sequence ? 'sequence' : 'table'),
        relfilenode: relation.id,
        relhasindex: isTable(relation),
        relhaspkey: isTable(relation),
        relkind: relkind(relation),
        relnatts: relation.columns.length,
        relchecks: relation.checks.length,
        // Foreign keys are triggers in PostgreSQL, on both sides; clients look for them only where this is set.
        relhastriggers: relation.foreignKeys.length > 0 || relation.referencedByIds.length > 0,
      };
    }
    for (const { table: relation, index, schemaOid: relnamespace } of view.indexes()) {
      const oid = indexOid(relation.id, index.id);
      yield {
        ...RELATION,
        ...persistence(relation),
        ...sizeOf(view, relation, index),
        oid,
        relname: index.name,
        relnamespace,
        relowner: userOid(relation.privileges.owner),
        relam: index.inverted ? INVERTED_ACCESS_METHOD : INDEX_ACCESS_METHOD,
        relfilenode: oid,
        relkind: 'i',
        relnatts: index.columnIds.length + index.storeColumnIds.length,
        relreplident: 'n',
      };
    }
    for (const virtual of view.virtualTables) {
      yield {
        ...RELATION,
        oid: virtual.oid,
        relname: virtual.name,
        relnamespace: view.virtualSchemaOid(virtual.schema),
        relowner: userOid(NODE_USER),
        relfilenode: 0,
        relpages: 0,
        reltuples: 0,
        relkind: 'r',
        relnatts: view.visibleColumns(virtual).length,
        relreplident: 'n',
      };
    }
  },
);

const pgNamespace = table(
  'pg_namespace',
  { oid: Type.Oid, nspname: required(Type.Name), nspowner: Type.Oid, nspacl: TextArray },
  function* (view) {
    for (const nspname of view.virtualSchemas) yield { oid: view.virtualSchemaOid(nspname), nspname };
    for (const schema of view.schemas()) {
      const own = schema.descriptor?.privileges ?? schema.database.publicSchema;
      yield {
        oid: schemaOid(schema.database.id, schema.name),
        nspname: schema.name,
        nspowner: userOid(schemaOwner(schema)),
        nspacl: own && aclOf(own, 'schema'),
      };
    }
  },
);

/** pg_attribute.attstorage and attalign are PostgreSQL's on-disk matters: those of its types. */
function attribute(type: ColumnType) {
  const attlen = typlenOf(type);
  return {
    atttypid: type.oid,
    attstattarget: -1,
    attlen,
    attndims: type.family === 'array' ? 1 : 0,
    attcacheoff: -1,
    atttypmod: typmodOf(type),
    attbyval: attlen > 0 && attlen <= 8,
    attstorage: attlen > 0 ? 'p' : 'x',
    attalign: attlen > 4 ? 'd' : attlen === 1 ? 'c' : attlen === 2 ? 's' : 'i',
    atthasmissing: false,
    attidentity: '',
    attgenerated: '',
    attisdropped: false,
    attislocal: true,
    attinhcount: 0,
    attcollation: collationOf(type),
  };
}

function identityOf(column: ColumnDescriptor): string {
  return column.generatedAsIdentity === undefined ? '' : column.generatedAsIdentity === 'always' ? 'a' : 'd';
}

const pgAttribute = table(
  'pg_attribute',
  {
    attrelid: Type.Oid,
    attname: Type.Name,
    atttypid: Type.Oid,
    attstattarget: Type.Int4,
    attlen: Type.Int2,
    attnum: Type.Int2,
    attndims: Type.Int4,
    attcacheoff: Type.Int4,
    atttypmod: Type.Int4,
    attbyval: Type.Bool,
    attstorage: Type.QChar,
    attalign: Type.QChar,
    attnotnull: Type.Bool,
    atthasdef: Type.Bool,
    atthasmissing: Type.Bool,
    attidentity: Type.QChar,
    attgenerated: Type.QChar,
    attisdropped: Type.Bool,
    attislocal: Type.Bool,
    attinhcount: Type.Int4,
    attcollation: Type.Oid,
    attacl: TextArray,
    attoptions: TextArray,
    attfdwoptions: TextArray,
    attmissingval: TextArray,
  },
  function* (view) {
    for (const { table: relation } of view.relations()) {
      for (const column of relation.columns) {
        if (column.state !== 'public' || column.isIndexExpression) continue;
        yield {
          ...attribute(column.type),
          attrelid: relation.id,
          attname: column.name,
          attnum: column.id,
          attnotnull: !column.nullable,
          atthasdef: defaultOf(column) !== undefined,
          attidentity: identityOf(column),
          attgenerated: column.computeExpr === undefined ? '' : 's',
        };
      }
    }
    for (const { table: relation, index } of view.indexes()) {
      let attnum = 0;
      for (const id of [...namedKeyColumnIds(index), ...index.storeColumnIds]) {
        const column = columnById(relation, id);
        if (!column) continue;
        attnum++;
        yield {
          ...attribute(column.type),
          attrelid: indexOid(relation.id, index.id),
          attname: column.name,
          attnum,
          attnotnull: false,
          atthasdef: false,
        };
      }
    }
    for (const virtual of view.virtualTables) {
      for (const [i, column] of view.visibleColumns(virtual).entries()) {
        yield {
          ...attribute(column.type),
          attrelid: virtual.oid,
          attname: column.name,
          attnum: i + 1,
          attnotnull: false,
          atthasdef: false,
        };
      }
    }
  },
);

/** The expression that fills a column: its DEFAULT, or what generates it. */
function defaultOf(column: ColumnDescriptor): string | undefined {
  // The sequence behind an identity column is no default.
  return column.generatedAsIdentity === undefined ? (column.defaultExpr ?? column.computeExpr) : column.computeExpr;
}

const pgAttrdef = table(
  'pg_attrdef',
  { oid: Type.Oid, adrelid: Type.Oid, adnum: Type.Int2, adbin: Type.String, adsrc: Type.String },
  function* (view) {
    for (const { table: relation } of view.tables()) {
      for (const column of relation.columns) {
        const expr = defaultOf(column);
        if (expr === undefined || column.state !== 'public' || column.isIndexExpression) continue;
        const isPostgres = showsPostgresExprs(view);
        const adbin = isPostgres ? postgresDefault(expr, column, view) : catalogExpr(displayExpr(expr, view.snapshot));
        yield { oid: defaultOid(relation.id, column.id), adrelid: relation.id, adnum: column.id, adbin, adsrc: adbin };
      }
    }
  },
);

/** pg_index.indoption: bit 0 descending, bit 1 NULLs first. NULLs are first in an ascending index here, last in a descending one. */
const INDOPTION = { ASC: 2, DESC: 1 } as const;

const pgIndex = table(
  'pg_index',
  {
    indexrelid: Type.Oid,
    indrelid: Type.Oid,
    indnatts: Type.Int2,
    indnkeyatts: Type.Int2,
    indisunique: Type.Bool,
    indisprimary: Type.Bool,
    indisexclusion: Type.Bool,
    indimmediate: Type.Bool,
    indisclustered: Type.Bool,
    indisvalid: Type.Bool,
    indcheckxmin: Type.Bool,
    indisready: Type.Bool,
    indislive: Type.Bool,
    indisreplident: Type.Bool,
    indkey: VectorType.Int2Vector,
    indcollation: VectorType.OidVector,
    indclass: VectorType.OidVector,
    indoption: VectorType.Int2Vector,
    indexprs: Type.String,
    indpred: Type.String,
  },
  function* (view) {
    for (const { table: relation, index } of view.indexes()) {
      // Zero stands for an expression.
      const indkey = [...namedKeyColumnIds(index), ...index.storeColumnIds].map((id) =>
        relation.columns.find((column) => column.id === id)?.isIndexExpression ? 0 : id,
      );
      yield {
        indexrelid: indexOid(relation.id, index.id),
        indrelid: relation.id,
        indnatts: indkey.length,
        indnkeyatts: index.columnIds.length,
        indisunique: index.unique,
        indisprimary: index.id === relation.primaryIndex.id,
        indisexclusion: false,
        indimmediate: true,
        indisclustered: false,
        indisvalid: true,
        indcheckxmin: false,
        indisready: true,
        indislive: true,
        indisreplident: false,
        indkey,
        indcollation: index.columnIds.map((id) => collationOf(columnById(relation, id)?.type)),
        indclass: index.columnIds.map(() => 0),
        indoption: index.directions.map((direction) => INDOPTION[direction]),
        indpred: index.predicate,
      };
    }
  },
);

const pgIndexes = table(
  'pg_indexes',
  {
    crdb_oid: Type.Oid,
    schemaname: Type.Name,
    tablename: Type.Name,
    indexname: Type.Name,
    tablespace: Type.Name,
    indexdef: Type.String,
  },
  function* (view) {
    for (const { table: relation, schemaName, index } of view.indexes()) {
      const indexdef = indexText(relation, index, quoteNames(view.snapshot.fullName(relation)));
      yield {
        crdb_oid: indexOid(relation.id, index.id),
        schemaname: schemaName,
        tablename: relation.name,
        indexname: index.name,
        indexdef,
      };
    }
  },
);

const pgTables = table(
  'pg_tables',
  {
    schemaname: Type.Name,
    tablename: Type.Name,
    tableowner: Type.Name,
    tablespace: Type.Name,
    hasindexes: Type.Bool,
    hasrules: Type.Bool,
    hastriggers: Type.Bool,
    rowsecurity: Type.Bool,
  },
  function* (view) {
    const flags = { hasrules: false, hastriggers: false, rowsecurity: false };
    for (const { table: relation, schemaName } of view.tables()) {
      yield { ...flags, schemaname: schemaName, tablename: relation.name, tableowner: relation.privileges.owner, hasindexes: true };
    }
    for (const { schema, name } of view.virtualTables) {
      yield { ...flags, schemaname: schema, tablename: name, tableowner: NODE_USER, hasindexes: false };
    }
  },
);

const pgViews = table(
  'pg_views',
  { schemaname: Type.Name, viewname: Type.Name, viewowner: Type.Name, definition: Type.String },
  function* (view) {
    for (const { table: relation, schemaName } of view.views()) {
      if (relation.view?.isMaterialized) continue;
      yield { schemaname: schemaName, viewname: relation.name, viewowner: relation.privileges.owner, definition: relation.view?.query };
    }
  },
);

const pgMatviews = table(
  'pg_matviews',
  {
    schemaname: Type.Name,
    matviewname: Type.Name,
    matviewowner: Type.Name,
    tablespace: Type.Name,
    hasindexes: Type.Bool,
    ispopulated: Type.Bool,
    definition: Type.String,
  },
  function* (view) {
    for (const { table: relation, schemaName } of view.views()) {
      if (!relation.view?.isMaterialized) continue;
      yield {
        schemaname: schemaName,
        matviewname: relation.name,
        matviewowner: relation.privileges.owner,
        hasindexes: relation.indexes.length > 0,
        ispopulated: true,
        definition: relation.view.query,
      };
    }
  },
);

export const relationTables = [pgAttrdef, pgAttribute, pgClass, pgIndex, pgIndexes, pgMatviews, pgNamespace, pgTables, pgViews];
