/**
 * pg_catalog: constraints, sequences, dependencies and comments.
 */
import { type ForeignKeyAction, isTable, type TableDescriptor } from '../../../../catalog/descriptor.ts';
import { readSequence } from '../../../../catalog/sequences.ts';
import { arrayOf, Type } from '../../../../catalog/type.ts';
import { constraintsOf } from '../../catalogLookup.ts';
import { defaultOid, indexOid, ruleOid, schemaOid, uniqueOid } from '../../oids.ts';
import { catalogExpr, constraintText } from '../../showCreate.ts';
import { hidden, inSchema, intOfText } from '../defineTable.ts';

const table = inSchema('pg_catalog');
const Int2Array = arrayOf(Type.Int2);
const OidArray = arrayOf(Type.Oid);

const ACTION_CODES: Readonly<Record<ForeignKeyAction, string>> = {
  'NO ACTION': 'a',
  RESTRICT: 'r',
  CASCADE: 'c',
  'SET NULL': 'n',
  'SET DEFAULT': 'd',
};

/** The unique index of the referenced table over exactly the referenced columns: what PostgreSQL names as conindid. */
function referencedIndexOid(parent: TableDescriptor | undefined, columnIds: readonly number[]): number {
  if (!parent) return 0;
  const covers = (ids: readonly number[]) => ids.length === columnIds.length && columnIds.every((id) => ids.includes(id));
  const index = [parent.primaryIndex, ...parent.indexes].find((candidate) => candidate.unique && covers(candidate.columnIds));
  return index ? indexOid(parent.id, index.id) : 0;
}

const pgConstraint = table(
  'pg_constraint',
  {
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
    conparentid: Type.Oid,
    confrelid: Type.Oid,
    confupdtype: Type.QChar,
    confdeltype: Type.QChar,
    confmatchtype: Type.QChar,
    conislocal: Type.Bool,
    coninhcount: Type.Int4,
    connoinherit: Type.Bool,
    conkey: Int2Array,
    confkey: Int2Array,
    conpfeqop: OidArray,
    conppeqop: OidArray,
    conffeqop: OidArray,
    conexclop: OidArray,
    conbin: Type.String,
    // What CockroachDB adds for clients without pg_get_constraintdef.
    condef: Type.String,
    consrc: hidden(Type.String),
  },
  function* (view) {
    for (const { table: relation, schemaName, schemaOid: connamespace } of view.relations()) {
      for (const constraint of constraintsOf(relation, schemaName)) {
        const { type: contype, id } = constraint;
        const common = {
          oid: constraint.oid,
          conname: constraint.name,
          connamespace,
          contype,
          condeferrable: false,
          condeferred: false,
          convalidated: true,
          conrelid: relation.id,
          contypid: 0,
          conindid: 0,
          conparentid: 0,
          confrelid: 0,
          conislocal: true,
          coninhcount: 0,
          connoinherit: contype !== 'c',
          conkey: constraint.columnIds,
          condef: constraintText(relation, contype, id, view.snapshot, constraint.index === undefined),
        };
        const fk = contype === 'f' ? relation.foreignKeys.find((candidate) => candidate.id === id) : undefined;
        const check = contype === 'c' ? relation.checks.find((candidate) => candidate.id === id) : undefined;
        if (fk) {
          const parent = fk.referencedTableId === relation.id ? relation : view.snapshot.tableById(fk.referencedTableId);
          yield {
            ...common,
            convalidated: fk.validated,
            conindid: referencedIndexOid(parent, fk.referencedColumnIds),
            confrelid: fk.referencedTableId,
            confupdtype: ACTION_CODES[fk.onUpdate],
            confdeltype: ACTION_CODES[fk.onDelete],
            condeferrable: fk.deferral !== undefined,
            condeferred: fk.deferral === 'deferred',
            confmatchtype: fk.match === 'FULL' ? 'f' : 's',
            confkey: fk.referencedColumnIds,
          };
        } else if (check) {
          yield { ...common, convalidated: check.validated, conbin: catalogExpr(check.expr), consrc: catalogExpr(check.expr) };
        } else if (constraint.index) {
          yield { ...common, conindid: indexOid(relation.id, constraint.index.id) };
        } else {
          const unique = relation.uniqueWithoutIndex?.find((candidate) => candidate.id === id);
          yield { ...common, convalidated: unique?.validated !== false };
        }
      }
    }
  },
);

const pgSequence = table(
  'pg_sequence',
  {
    seqrelid: Type.Oid,
    seqtypid: Type.Oid,
    seqstart: Type.Int8,
    seqincrement: Type.Int8,
    seqmax: Type.Int8,
    seqmin: Type.Int8,
    seqcache: Type.Int8,
    seqcycle: Type.Bool,
  },
  function* (view) {
    for (const { table: relation } of view.sequences()) {
      const options = relation.sequence;
      if (!options) continue;
      yield {
        seqrelid: relation.id,
        seqtypid: sequenceType(options.integerWidth).oid,
        seqstart: intOfText(options.start),
        seqincrement: intOfText(options.increment),
        seqmax: intOfText(options.maxValue),
        seqmin: intOfText(options.minValue),
        seqcache: intOfText(options.cacheSize),
        seqcycle: options.cycle === true,
      };
    }
  },
);

const sequenceType = (width: 16 | 32 | 64) => (width === 16 ? Type.Int2 : width === 32 ? Type.Int4 : Type.Int8);

const pgSequences = table(
  'pg_sequences',
  {
    schemaname: Type.Name,
    sequencename: Type.Name,
    sequenceowner: Type.Name,
    data_type: Type.RegType,
    start_value: Type.Int8,
    min_value: Type.Int8,
    max_value: Type.Int8,
    increment_by: Type.Int8,
    cycle: Type.Bool,
    cache_size: Type.Int8,
    last_value: Type.Int8,
  },
  async (view) => {
    const rows = [];
    for (const { table: relation, schemaName } of view.sequences()) {
      const options = relation.sequence;
      if (!options) continue;
      const { isCalled, lastValue } = await readSequence(view.context.reader, relation);
      rows.push({
        schemaname: schemaName,
        sequencename: relation.name,
        sequenceowner: relation.privileges.owner,
        data_type: sequenceType(options.integerWidth).oid,
        start_value: intOfText(options.start),
        min_value: intOfText(options.minValue),
        max_value: intOfText(options.maxValue),
        increment_by: intOfText(options.increment),
        cycle: options.cycle === true,
        cache_size: intOfText(options.cacheSize),
        last_value: isCalled ? lastValue : undefined,
      });
    }
    return rows;
  },
);

/**
 * Who goes with whom: a sequence with the column that owns it (auto, or internal for identity
 * columns), a default with the sequence it reads, a constraint with its index, a view with its tables.
 */
const pgDepend = table(
  'pg_depend',
  {
    classid: Type.Oid,
    objid: Type.Oid,
    objsubid: Type.Int4,
    refclassid: Type.Oid,
    refobjid: Type.Oid,
    refobjsubid: Type.Int4,
    deptype: Type.QChar,
  },
  function* (view) {
    const classes = { relation: view.classOid('pg_class'), constraint: view.classOid('pg_constraint'), rule: view.classOid('pg_rewrite') };
    const defaults = view.classOid('pg_attrdef');
    for (const { table: relation, schemaName } of view.relations()) {
      const owner = relation.sequence?.ownedBy;
      if (owner) {
        const column = view.snapshot.tableById(owner.tableId)?.columns.find((candidate) => candidate.id === owner.columnId);
        yield {
          classid: classes.relation,
          objid: relation.id,
          objsubid: 0,
          refclassid: classes.relation,
          refobjid: owner.tableId,
          refobjsubid: owner.columnId,
          deptype: column?.generatedAsIdentity === undefined ? 'a' : 'i',
        };
      }
      for (const column of relation.columns) {
        for (const id of column.usesSequenceIds ?? []) {
          yield {
            classid: defaults,
            objid: defaultOid(relation.id, column.id),
            objsubid: 0,
            refclassid: classes.relation,
            refobjid: id,
            refobjsubid: 0,
            deptype: 'n',
          };
        }
      }
      if (isTable(relation)) {
        for (const index of relation.indexes) {
          if (!index.unique) continue;
          yield {
            classid: classes.relation,
            objid: indexOid(relation.id, index.id),
            objsubid: 0,
            refclassid: classes.constraint,
            refobjid: uniqueOid({ databaseId: relation.parentId, schemaName, tableId: relation.id }, index.id),
            refobjsubid: 0,
            deptype: 'i',
          };
        }
      }
      for (const id of relation.view?.dependsOnIds ?? []) {
        yield {
          classid: classes.rule,
          objid: ruleOid(relation.id),
          objsubid: 0,
          refclassid: classes.relation,
          refobjid: id,
          refobjsubid: 0,
          deptype: 'n',
        };
      }
    }
  },
);

const pgRewrite = table(
  'pg_rewrite',
  {
    oid: Type.Oid,
    rulename: Type.Name,
    ev_class: Type.Oid,
    ev_type: Type.QChar,
    ev_enabled: Type.QChar,
    is_instead: Type.Bool,
    ev_qual: Type.String,
    ev_action: Type.String,
  },
  function* (view) {
    for (const { table: relation } of view.views()) {
      yield { oid: ruleOid(relation.id), rulename: '_RETURN', ev_class: relation.id, ev_type: '1', ev_enabled: 'O', is_instead: true };
    }
  },
);

const pgDescription = table(
  'pg_description',
  { objoid: Type.Oid, classoid: Type.Oid, objsubid: Type.Int4, description: Type.String },
  function* (view) {
    const classoid = view.classOid('pg_class');
    for (const { table: relation } of view.relations()) {
      if (relation.comment !== undefined) yield { objoid: relation.id, classoid, objsubid: 0, description: relation.comment };
      for (const column of relation.columns) {
        if (column.comment !== undefined) yield { objoid: relation.id, classoid, objsubid: column.id, description: column.comment };
      }
      for (const index of relation.indexes) {
        if (index.comment === undefined) continue;
        yield { objoid: indexOid(relation.id, index.id), classoid, objsubid: 0, description: index.comment };
      }
    }
    for (const { oid, comment } of view.virtualTables) {
      if (comment !== undefined) yield { objoid: oid, classoid, objsubid: 0, description: comment };
    }
    for (const schema of view.schemas()) {
      const description = schema.descriptor?.comment;
      if (description === undefined) continue;
      yield { objoid: schemaOid(schema.database.id, schema.name), classoid: view.classOid('pg_namespace'), objsubid: 0, description };
    }
  },
);

const pgShdescription = table('pg_shdescription', { objoid: Type.Oid, classoid: Type.Oid, description: Type.String }, function* (view) {
  for (const { id, comment } of view.snapshot.allDatabases()) {
    if (comment !== undefined) yield { objoid: id, classoid: view.classOid('pg_database'), description: comment };
  }
});

export const constraintTables = [pgConstraint, pgDepend, pgDescription, pgRewrite, pgSequence, pgSequences, pgShdescription];
