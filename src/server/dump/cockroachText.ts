/**
 * Statements of a dump in CockroachDB's dialect: as SHOW CREATE prints them, without what must wait
 * for the rows. Objects of schema public go by their bare names, so that the dump can be replayed
 * into any database.
 */
import type { ColumnDescriptor, FunctionDescriptor, TableDescriptor, TypeDescriptor } from '../../catalog/descriptor.ts';
import { quoteLiteral, quoteName, quoteNames } from '../../catalog/names.ts';
import { type ColumnType, sqlTypeName } from '../../catalog/type.ts';
import type { CatalogSnapshot } from '../../catalog/snapshot.ts';
import { hasActionThatFails, NULL_ACTIONS_SETTING } from '../../sql/exec/ddl/foreignKeyOf.ts';
import { withPlaceholders } from '../../sql/exec/functionText.ts';
import { dollarQuoted } from '../../sql/parse/print/functions.ts';
import { createSequenceText, createTableText, foreignKeyText, indexText, uniqueText } from '../../sql/exec/showCreate.ts';
import type { DumpDialect, DumpStep } from './dumpPlan.ts';
import { portableQuery } from './portableSql.ts';

export function cockroachText(snapshot: CatalogSnapshot, database: string): DumpDialect {
  const nameOf = (object: TableDescriptor | TypeDescriptor | FunctionDescriptor): string => {
    const [, schema = 'public', name = ''] = snapshot.fullName(object);
    return schema === 'public' ? quoteName(name) : quoteNames([schema, name]);
  };
  const step = (phase: DumpStep['phase'], kind: string, object: TableDescriptor | TypeDescriptor, statement: string): DumpStep => ({
    phase,
    kind,
    name: nameOf(object),
    statement,
  });
  return {
    name: nameOf,
    column: quoteName,
    schema: ({ name }) => `CREATE SCHEMA IF NOT EXISTS ${quoteName(name)}`,
    // Regions are the database's: tables say where they live, and need one that has them.
    type: (type) => (type.isRegions ? undefined : `CREATE TYPE ${nameOf(type)} AS ENUM (${type.members.map(quoteLiteral).join(', ')})`),
    sequence: (sequence) => renamed(createSequenceText(sequence, snapshot), 'CREATE SEQUENCE', nameOf(sequence), sequence, snapshot),
    table: (table) => [step('schema', 'table', table, createTableText(withoutLateParts(table), snapshot, nameOf(table)))],
    constraints: (table) => [
      ...(table.uniqueWithoutIndex ?? []).flatMap((unique) => [
        step('after', 'setting', table, 'SET experimental_enable_unique_without_index_constraints = on'),
        step(
          'after',
          'constraint',
          table,
          `ALTER TABLE ${nameOf(table)} ADD CONSTRAINT ${quoteName(unique.name)} ${uniqueText(table, unique)}`,
        ),
      ]),
      ...table.checks
        .filter((check) => !check.validated)
        .map(({ name, expr }) =>
          step('after', 'constraint', table, `ALTER TABLE ${nameOf(table)} ADD CONSTRAINT ${quoteName(name)} CHECK (${expr}) NOT VALID`),
        ),
      ...table.columns
        .filter((column) => column.generatedAsIdentity === 'always')
        .map(({ name }) =>
          step('after', 'identity', table, `ALTER TABLE ${nameOf(table)} ALTER COLUMN ${quoteName(name)} SET GENERATED ALWAYS`),
        ),
    ],
    foreignKeys: (table) => [
      ...actionSettings(table).map((statement) => step('after', 'setting', table, statement)),
      ...table.foreignKeys.map((fk) =>
        step(
          'after',
          'foreign key',
          table,
          `ALTER TABLE ${nameOf(table)} ADD CONSTRAINT ${quoteName(fk.name)} ${foreignKeyText(table, fk, snapshot)}`,
        ),
      ),
      ...table.foreignKeys
        .filter((fk) => fk.validated)
        .map((fk) => step('after', 'validation', table, `ALTER TABLE ${nameOf(table)} VALIDATE CONSTRAINT ${quoteName(fk.name)}`)),
    ],
    view: (view) => {
      const columns = view.columns.filter((column) => !column.hidden).map((column) => quoteName(column.name));
      const kind = view.view?.isMaterialized ? 'MATERIALIZED VIEW' : 'VIEW';
      const query = portableQuery(view.view?.query ?? '', database, 'cockroach');
      return `CREATE ${kind} ${nameOf(view)} (${columns.join(', ')}) AS ${query}`;
    },
    function: (one) =>
      functionText(
        one,
        nameOf(one),
        (type) => sqlTypeName(type),
        (text) => portableQuery(text, database, 'cockroach'),
      ),
    indexes: (view) =>
      view.indexes
        .filter((index) => index.state === 'public')
        .map((index) => step('after', 'index', view, indexText(view, index, nameOf(view)))),
    comments: (object) => commentsOn(object, nameOf(object), (index) => `${nameOf(object)}@${quoteName(index)}`, quoteName),
    afterData: () => [],
  };
}

/** CREATE FUNCTION, which both dialects write in one way. */
export function functionText(
  one: FunctionDescriptor,
  name: string,
  typeText: (type: ColumnType) => string,
  queryText: (text: string) => string,
): string {
  const params = one.params.map((param) => `${param.name === undefined ? '' : `${quoteName(param.name)} `}${typeText(param.type)}`);
  const flags = [one.volatility.toUpperCase(), ...(one.isLeakproof ? ['LEAKPROOF'] : []), ...(one.isStrict ? ['STRICT'] : [])];
  const body = dollarQuoted(` ${one.statements.map((text) => withPlaceholders(queryText(text))).join('; ')} `);
  const returns = `${one.returnsSet ? 'SETOF ' : ''}${typeText(one.returns)}`;
  return `CREATE FUNCTION ${name}(${params.join(', ')}) RETURNS ${returns} ${flags.join(' ')} LANGUAGE SQL AS ${body}`;
}

/** What a session has to accept before foreign keys can be added whose actions can only fail. */
export function actionSettings(table: TableDescriptor): string[] {
  return table.foreignKeys.some((fk) => hasActionThatFails(table, fk)) ? [`SET ${NULL_ACTIONS_SETTING} = on`] : [];
}

/** What is added once the rows are there: foreign keys, checks that old rows may break, and that an identity is ALWAYS generated. */
function withoutLateParts(table: TableDescriptor): TableDescriptor {
  const { comment: _, uniqueWithoutIndex: _unique, ...rest } = table;
  const column = ({ comment: _comment, ...one }: ColumnDescriptor): ColumnDescriptor =>
    one.generatedAsIdentity === 'always' ? { ...one, generatedAsIdentity: 'by default' } : one;
  return {
    ...rest,
    columns: table.columns.map(column),
    indexes: table.indexes.map(({ comment: _comment, ...index }) => index),
    checks: table.checks.filter((check) => check.validated),
    foreignKeys: [],
  };
}

/** A statement of SHOW CREATE with the name that the dump gives its object. */
function renamed(text: string, start: string, name: string, object: TableDescriptor, snapshot: CatalogSnapshot): string {
  const shown = `${start} ${quoteNames(snapshot.fullName(object).slice(1))}`;
  return `${start} ${name}${text.slice(shown.length)}`;
}

/** COMMENT ON for an object and its parts. */
export function commentsOn(
  object: TableDescriptor | TypeDescriptor,
  name: string,
  indexName: (index: string) => string,
  columnName: (column: string) => string,
): DumpStep[] {
  const comment = (what: string, text: string | undefined): DumpStep[] =>
    text === undefined ? [] : [{ phase: 'after', kind: 'comment', name, statement: `COMMENT ON ${what} IS ${quoteLiteral(text)}` }];
  if (object.kind === 'type') return comment(`TYPE ${name}`, object.comment);
  const word = object.sequence ? 'SEQUENCE' : object.view ? (object.view.isMaterialized ? 'MATERIALIZED VIEW' : 'VIEW') : 'TABLE';
  return [
    ...comment(`${word} ${name}`, object.comment),
    ...object.columns.flatMap((column) => comment(`COLUMN ${name}.${columnName(column.name)}`, column.comment)),
    ...object.indexes.flatMap((index) => comment(`INDEX ${indexName(index.name)}`, index.comment)),
  ];
}
