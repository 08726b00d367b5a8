/**
 * pg_catalog: as much of it as tools need to find tables, columns, keys and types.
 *
 * Oids are those of catalogLookup.ts. Columns that Varve has nothing to say about are NULL, as in
 * CockroachDB. Source of the shapes: PostgreSQL's system catalogs chapter.
 */
import type { Datum } from '../../../catalog/datum.ts';
import { allIndexes, type IndexDescriptor, type TableDescriptor } from '../../../catalog/descriptor.ts';
import { quoteNames } from '../../../catalog/names.ts';
import { arrayOf, builtinTypes, enumOf, pgTypname, typlenOf, typmodOf, VectorType } from '../../../catalog/type.ts';
import { listUsers } from '../../../catalog/users.ts';
import type { VirtualTable } from '../../plan/virtualTable.ts';
import { constraintsOf, hashOid, indexOid, schemaOid, userOid, virtualSchemaOid } from '../catalogLookup.ts';
import { constraintText, displayExpr, indexText } from '../showCreate.ts';
import { columns, relations, text, textOrNull, Type } from './support.ts';

type Table = Omit<VirtualTable, 'oid'>;

const relkind = (table: TableDescriptor): Datum => text(table.sequence ? 'S' : table.view ? (table.view.isMaterialized ? 'm' : 'v') : 'r');
const numberOf = (table: TableDescriptor, columnId: number): number => table.columns.find((column) => column.id === columnId)?.id ?? 0;
const hasIndexes = (table: TableDescriptor): readonly IndexDescriptor[] => (table.sequence || table.view ? [] : allIndexes(table));

const pgClass: Table = {
  schema: 'pg_catalog',
  name: 'pg_class',
  columns: columns({
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
    relistemp: Type.Bool,
    relkind: Type.QChar,
    relnatts: Type.Int2,
    relchecks: Type.Int2,
    relhasoids: Type.Bool,
    relhaspkey: Type.Bool,
    relhasrules: Type.Bool,
    relhastriggers: Type.Bool,
    relhassubclass: Type.Bool,
    relfrozenxid: Type.Int8,
    relacl: arrayOf(Type.String),
    reloptions: arrayOf(Type.String),
    relforcerowsecurity: Type.Bool,
    relispartition: Type.Bool,
    relispopulated: Type.Bool,
    relreplident: Type.QChar,
    relrewrite: Type.Oid,
    relrowsecurity: Type.Bool,
    relpartbound: Type.String,
    relminmxid: Type.Int8,
  }),
  rows: async (context, database) => {
    const { list } = await relations(context, database);
    const row = (oid: number, name: string, namespace: number, owner: number, kind: Datum, natts: number, checks: number, hasIndex: boolean, am: number): Datum[] => [
      oid, text(name), namespace, 0, 0, owner, am, 0, 0, null, null, 0, 0, hasIndex, false, text('p'), false, kind, natts, checks,
      false, hasIndex, false, false, false, 0, null, null, false, false, true, text('n'), 0, false, null, 0,
    ];
    const rows: Datum[][] = [];
    for (const { table, database: owner, schemaId } of list) {
      const namespace = schemaOid(owner.id, schemaId);
      const user = userOid(table.privileges.owner);
      const indexes = hasIndexes(table);
      rows.push(row(table.id, table.name, namespace, user, relkind(table), table.columns.length, table.checks.length, indexes.length > 0, 0));
      for (const index of indexes) {
        rows.push(row(indexOid(table.id, index.id), index.name, namespace, user, text('i'), index.columnIds.length, 0, false, hashOid('am', 'prefix')));
      }
    }
    for (const virtual of context.engine.virtualTables.all()) {
      rows.push(row(virtual.oid, virtual.name, virtualSchemaOid(virtual.schema), userOid('node'), text('r'), virtual.columns.length, 0, false, 0));
    }
    return rows;
  },
};

const pgNamespace: Table = {
  schema: 'pg_catalog',
  name: 'pg_namespace',
  columns: columns({ oid: Type.Oid, nspname: Type.Name, nspowner: Type.Oid, nspacl: arrayOf(Type.String) }),
  rows: async (context, database) => {
    const snapshot = await context.catalog();
    const rows: Datum[][] = context.engine.virtualTables.schemas().map((name) => [virtualSchemaOid(name), text(name), userOid('node'), null]);
    const current = database === undefined ? undefined : snapshot.database(database);
    for (const schema of current ? snapshot.schemasOf(current) : []) {
      rows.push([schemaOid(schema.database.id, schema.id), text(schema.name), userOid((schema.descriptor ?? schema.database).privileges.owner), null]);
    }
    return rows;
  },
};

const pgAttribute: Table = {
  schema: 'pg_catalog',
  name: 'pg_attribute',
  columns: columns({
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
    attidentity: Type.QChar,
    attgenerated: Type.QChar,
    attisdropped: Type.Bool,
    attislocal: Type.Bool,
    attinhcount: Type.Int4,
    attcollation: Type.Oid,
    attacl: arrayOf(Type.String),
    attoptions: arrayOf(Type.String),
    attfdwoptions: arrayOf(Type.String),
    atthasmissing: Type.Bool,
    attmissingval: arrayOf(Type.String),
  }),
  rows: async (context, database) => {
    const { list } = await relations(context, database);
    const rows: Datum[][] = [];
    const add = (relation: number, column: TableDescriptor['columns'][number], number: number): void => {
      const { type } = column;
      const identity = column.generatedAsIdentity === 'always' ? 'a' : column.generatedAsIdentity ? 'd' : '';
      rows.push([
        relation, text(column.name), type.oid, 0, typlenOf(type), number, type.family === 'array' ? 1 : 0, -1, typmodOf(type), null, null, null,
        !column.nullable, column.defaultExpr !== undefined || column.computeExpr !== undefined, text(identity),
        text(column.computeExpr === undefined ? '' : 's'), false, true, 0, 0, null, null, null, null, null,
      ]);
    };
    for (const { table } of list) {
      for (const column of table.columns) if (column.state === 'public') add(table.id, column, column.id);
      for (const index of hasIndexes(table)) {
        index.columnIds.forEach((id, i) => {
          const column = table.columns.find((candidate) => candidate.id === id);
          if (column) add(indexOid(table.id, index.id), column, i + 1);
        });
      }
    }
    for (const virtual of context.engine.virtualTables.all()) {
      virtual.columns.forEach((column, i) => {
        add(virtual.oid, { id: i + 1, name: column.name, type: column.type, nullable: true, state: 'public' }, i + 1);
      });
    }
    return rows;
  },
};

const pgIndex: Table = {
  schema: 'pg_catalog',
  name: 'pg_index',
  columns: columns({
    indexrelid: Type.Oid,
    indrelid: Type.Oid,
    indnatts: Type.Int2,
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
    indnkeyatts: Type.Int2,
  }),
  rows: async (context, database) => {
    const { list } = await relations(context, database);
    return list.flatMap(({ table }) =>
      hasIndexes(table).map((index): Datum[] => {
        const isPrimary = index.id === table.primaryIndex.id;
        const key = index.columnIds.map((id) => numberOf(table, id));
        return [
          indexOid(table.id, index.id), table.id, key.length, index.unique, isPrimary, false, index.unique, false, index.state === 'public', false,
          index.state === 'public', true, false, key, key.map(() => 0), key.map(() => 0),
          index.directions.map((direction) => (direction === 'DESC' ? 3 : 2)), null, textOrNull(index.predicate), key.length,
        ];
      }),
    );
  },
};

const pgConstraint: Table = {
  schema: 'pg_catalog',
  name: 'pg_constraint',
  columns: columns({
    oid: Type.Oid,
    conname: Type.Name,
    connamespace: Type.Oid,
    contype: Type.QChar,
    condeferrable: Type.Bool,
    condeferred: Type.Bool,
    convalidated: Type.Bool,
    conrelid: Type.Oid,
    contypid: Type.Oid,
    conindid: Type.Oid,
    confrelid: Type.Oid,
    confupdtype: Type.QChar,
    confdeltype: Type.QChar,
    confmatchtype: Type.QChar,
    conislocal: Type.Bool,
    coninhcount: Type.Int4,
    connoinherit: Type.Bool,
    conkey: arrayOf(Type.Int2),
    confkey: arrayOf(Type.Int2),
    conbin: Type.String,
    consrc: Type.String,
    condef: Type.String,
  }),
  rows: async (context, database) => {
    const { list, snapshot } = await relations(context, database);
    const actions: Readonly<Record<string, string>> = { 'NO ACTION': 'a', RESTRICT: 'r', CASCADE: 'c', 'SET NULL': 'n', 'SET DEFAULT': 'd' };
    return list.flatMap(({ table, database: owner, schemaId }) =>
      constraintsOf(table).map((constraint): Datum[] => {
        const fk = constraint.type === 'f' ? table.foreignKeys.find((candidate) => candidate.id === constraint.id) : undefined;
        const check = constraint.type === 'c' ? table.checks.find((candidate) => candidate.id === constraint.id) : undefined;
        const parent = fk && (fk.referencedTableId === table.id ? table : snapshot.tableById(fk.referencedTableId));
        return [
          constraint.oid, text(constraint.name), schemaOid(owner.id, schemaId), text(constraint.type), false, false,
          fk?.validated ?? check?.validated ?? true, table.id, 0, constraint.index ? indexOid(table.id, constraint.index.id) : 0,
          fk?.referencedTableId ?? 0, fk ? text(actions[fk.onUpdate] ?? 'a') : null, fk ? text(actions[fk.onDelete] ?? 'a') : null,
          fk ? text(fk.match === 'FULL' ? 'f' : 's') : null, true, 0, true,
          constraint.columnIds.map((id) => numberOf(table, id)), fk && parent ? fk.referencedColumnIds.map((id) => numberOf(parent, id)) : null,
          textOrNull(check?.expr), textOrNull(check?.expr), text(constraintText(table, constraint.type, constraint.id, snapshot)),
        ];
      }),
    );
  },
};

const pgAttrdef: Table = {
  schema: 'pg_catalog',
  name: 'pg_attrdef',
  columns: columns({ oid: Type.Oid, adrelid: Type.Oid, adnum: Type.Int2, adbin: Type.String, adsrc: Type.String }),
  rows: async (context, database) => {
    const { list, snapshot } = await relations(context, database);
    return list.flatMap(({ table }) =>
      table.columns.flatMap((column): Datum[][] => {
        const expr = column.defaultExpr ?? column.computeExpr;
        if (expr === undefined) return [];
        const shown = text(displayExpr(expr, snapshot));
        return [[hashOid('default', table.id, column.id), table.id, column.id, shown, shown]];
      }),
    );
  },
};

const pgType: Table = {
  schema: 'pg_catalog',
  name: 'pg_type',
  columns: columns({
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
    typnotnull: Type.Bool,
    typbasetype: Type.Oid,
    typtypmod: Type.Int4,
    typndims: Type.Int4,
    typcollation: Type.Oid,
    typdefaultbin: Type.String,
    typdefault: Type.String,
  }),
  rows: async (context, database) => {
    const snapshot = await context.catalog();
    const categories: Readonly<Record<string, string>> = {
      bool: 'B', int: 'N', float: 'N', decimal: 'N', oid: 'N', string: 'S', date: 'D', timestamp: 'D', timestamptz: 'D', time: 'D', timetz: 'D',
      interval: 'T', array: 'A', enum: 'E', inet: 'I', bit: 'V',
    };
    const catalogSchema = virtualSchemaOid('pg_catalog');
    const rows = builtinTypes().map((type): Datum[] => {
      const array = type.family === 'array' || type.family === 'unknown' || type.family === 'void' ? 0 : arrayOf(type).oid;
      return [
        type.oid, text(pgTypname(type)), catalogSchema, userOid('node'), typlenOf(type), typlenOf(type) > 0 && typlenOf(type) <= 8, text('b'),
        text(categories[type.family] ?? 'U'), false, true, text(','), 0, type.element?.oid ?? 0, array, false, 0, -1, 0, 0, null, null,
      ];
    });
    const current = database === undefined ? undefined : snapshot.database(database);
    for (const type of current ? snapshot.typesOf(current.id) : []) {
      const column = enumOf(type.id, type.name, type.members);
      rows.push([
        column.oid, text(type.name), schemaOid(type.parentId, type.schemaId), userOid(type.privileges.owner), 4, true, text('e'), text('E'), false, true,
        text(','), 0, 0, 0, false, 0, -1, 0, 0, null, null,
      ]);
    }
    return rows;
  },
};

const pgDatabase: Table = {
  schema: 'pg_catalog',
  name: 'pg_database',
  columns: columns({
    oid: Type.Oid,
    datname: Type.Name,
    datdba: Type.Oid,
    encoding: Type.Int4,
    datcollate: Type.Name,
    datctype: Type.Name,
    datistemplate: Type.Bool,
    datallowconn: Type.Bool,
    datconnlimit: Type.Int4,
    datlastsysoid: Type.Oid,
    datfrozenxid: Type.Int4,
    datminmxid: Type.Int4,
    dattablespace: Type.Oid,
    datacl: arrayOf(Type.String),
  }),
  rows: async (context) => {
    const snapshot = await context.catalog();
    return snapshot.allDatabases().map((database): Datum[] => [
      database.id, text(database.name), userOid(database.privileges.owner), 6, text('en_US.utf8'), text('en_US.utf8'), false, true, -1, 0, null, null, 0, null,
    ]);
  },
};

const pgProc: Table = {
  schema: 'pg_catalog',
  name: 'pg_proc',
  columns: columns({ oid: Type.Oid, proname: Type.Name, pronamespace: Type.Oid, proowner: Type.Oid, pronargs: Type.Int2, provolatile: Type.QChar, prokind: Type.QChar }),
  rows: (context) =>
    context.engine.functions.all().flatMap((definition) =>
      definition.overloads.map((overload, i): Datum[] => {
        const [schema, name] = definition.name.includes('.') ? definition.name.split('.') : ['pg_catalog', definition.name];
        const volatility = 'volatility' in overload ? overload.volatility[0] : 'i';
        const kind = definition.kind === 'aggregate' ? 'a' : 'f';
        return [hashOid('proc', definition.name, i), text(name ?? ''), virtualSchemaOid(schema ?? ''), userOid('node'), overload.params.length, text(volatility ?? 'v'), text(kind)];
      }),
    ),
};

const pgSettings: Table = {
  schema: 'pg_catalog',
  name: 'pg_settings',
  columns: columns({
    name: Type.String,
    setting: Type.String,
    unit: Type.String,
    category: Type.String,
    short_desc: Type.String,
    extra_desc: Type.String,
    context: Type.String,
    vartype: Type.String,
    source: Type.String,
    min_val: Type.String,
    max_val: Type.String,
    enumvals: Type.String,
    boot_val: Type.String,
    reset_val: Type.String,
    sourcefile: Type.String,
    sourceline: Type.Int4,
    pending_restart: Type.Bool,
  }),
  rows: (context) =>
    context.session.vars
      .entries()
      .map(([name, value]): Datum[] => [
        text(name), text(value), null, null, null, null, text('user'), text('string'), null, null, null, null, text(value), text(value), null, null, false,
      ]),
};

const pgTables: Table = {
  schema: 'pg_catalog',
  name: 'pg_tables',
  columns: columns({
    schemaname: Type.Name,
    tablename: Type.Name,
    tableowner: Type.Name,
    tablespace: Type.Name,
    hasindexes: Type.Bool,
    hasrules: Type.Bool,
    hastriggers: Type.Bool,
    rowsecurity: Type.Bool,
  }),
  rows: async (context, database) => {
    const { list } = await relations(context, database);
    return list
      .filter(({ table }) => !table.view && !table.sequence)
      .map(({ table, schema }): Datum[] => [text(schema), text(table.name), text(table.privileges.owner), null, true, false, false, false]);
  },
};

const pgIndexes: Table = {
  schema: 'pg_catalog',
  name: 'pg_indexes',
  columns: columns({ crdb_oid: Type.Oid, schemaname: Type.Name, tablename: Type.Name, indexname: Type.Name, tablespace: Type.Name, indexdef: Type.String }),
  rows: async (context, database) => {
    const { list, snapshot } = await relations(context, database);
    return list.flatMap(({ table, schema }) =>
      hasIndexes(table).map((index): Datum[] => [
        indexOid(table.id, index.id), text(schema), text(table.name), text(index.name), null,
        text(indexText(table, index, quoteNames(snapshot.fullName(table)))),
      ]),
    );
  },
};

const pgSequences: Table = {
  schema: 'pg_catalog',
  name: 'pg_sequence',
  columns: columns({
    seqrelid: Type.Oid,
    seqtypid: Type.Oid,
    seqstart: Type.Int8,
    seqincrement: Type.Int8,
    seqmax: Type.Int8,
    seqmin: Type.Int8,
    seqcache: Type.Int8,
    seqcycle: Type.Bool,
  }),
  rows: async (context, database) => {
    const { list } = await relations(context, database);
    const int = (value: string): Datum => {
      const big = BigInt(value);
      return Number.isSafeInteger(Number(big)) ? Number(big) : big;
    };
    return list.flatMap(({ table }): Datum[][] => {
      const options = table.sequence;
      if (!options) return [];
      return [[table.id, 20, int(options.start), int(options.increment), int(options.maxValue), int(options.minValue), int(options.cacheSize), false]];
    });
  },
};

const pgRoles: Table = {
  schema: 'pg_catalog',
  name: 'pg_roles',
  columns: columns({
    oid: Type.Oid,
    rolname: Type.Name,
    rolsuper: Type.Bool,
    rolinherit: Type.Bool,
    rolcreaterole: Type.Bool,
    rolcreatedb: Type.Bool,
    rolcanlogin: Type.Bool,
    rolreplication: Type.Bool,
    rolconnlimit: Type.Int4,
    rolpassword: Type.String,
    rolvaliduntil: Type.TimestampTz,
    rolbypassrls: Type.Bool,
    rolconfig: arrayOf(Type.String),
  }),
  rows: async (context) =>
    (await listUsers(context.reader)).map((user): Datum[] => {
      const isSuper = user.username === 'root' || user.username === 'admin';
      return [
        userOid(user.username), text(user.username), isSuper, true, isSuper || user.options.includes('CREATEROLE'),
        isSuper || user.options.includes('CREATEDB'), !user.isRole && !user.options.includes('NOLOGIN'), false, -1, text('********'), null, false, null,
      ];
    }),
};

const pgDescription: Table = {
  schema: 'pg_catalog',
  name: 'pg_description',
  columns: columns({ objoid: Type.Oid, classoid: Type.Oid, objsubid: Type.Int4, description: Type.String }),
  rows: async (context, database) => {
    const { list } = await relations(context, database);
    const rows: Datum[][] = [];
    const classOid = context.engine.virtualTables.get('pg_catalog', 'pg_class')?.oid ?? 0;
    for (const { table } of list) {
      if (table.comment !== undefined) rows.push([table.id, classOid, 0, text(table.comment)]);
      for (const column of table.columns) if (column.comment !== undefined) rows.push([table.id, classOid, column.id, text(column.comment)]);
    }
    return rows;
  },
};

const pgEnum: Table = {
  schema: 'pg_catalog',
  name: 'pg_enum',
  columns: columns({ oid: Type.Oid, enumtypid: Type.Oid, enumsortorder: Type.Float4, enumlabel: Type.String }),
  rows: async (context, database) => {
    const snapshot = await context.catalog();
    const current = database === undefined ? undefined : snapshot.database(database);
    return (current ? snapshot.typesOf(current.id) : []).flatMap((type) =>
      type.members.map((label, i): Datum[] => [hashOid('enum', type.id, label), 100_000 + type.id, i, text(label)]),
    );
  },
};

export const pgCatalogTables: readonly Table[] = [
  pgAttrdef,
  pgAttribute,
  pgClass,
  pgConstraint,
  pgDatabase,
  pgDescription,
  pgEnum,
  pgIndex,
  pgIndexes,
  pgNamespace,
  pgProc,
  pgRoles,
  pgSequences,
  pgSettings,
  pgTables,
  pgType,
];
