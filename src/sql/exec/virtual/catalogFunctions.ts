/**
 * PostgreSQL's catalog functions that need the engine: sizes, function signatures, and those about
 * objects Varve has none of, which psql calls all the same.
 *
 * Lives elsewhere: the ones that only read the catalog (../../expr/builtins/pgCompat.ts).
 */
import { type Bytes, utf8Decode, utf8Encode } from '../../../base/bytes.ts';
import { tablePrefix } from '../../../base/keycode.ts';
import { prefixSpan, type Span } from '../../../base/span.ts';
import type { Datum } from '../../../catalog/datum.ts';
import { allIndexes } from '../../../catalog/descriptor.ts';
import { indexSpan } from '../../../catalog/indexSpans.ts';
import { type ColumnType, pgTypeName, Type } from '../../../catalog/type.ts';
import { contextual } from '../../expr/define.ts';
import type { GeneratorOverload, Overload, Param } from '../../expr/overload.ts';
import { functionOid, indexOid } from '../oids.ts';
import type { EngineServices } from '../statement.ts';
import { UTF8_ENCODING } from './pgCatalog/constants.ts';

/** Adds the functions to an engine's own. */
export function registerCatalogFunctions(engine: EngineServices): void {
  engine.functions.register(...sizeFunctions(engine), ...signatureFunctions(engine), ...ABSENT);
  engine.functions.registerGenerator(...ABSENT_SETS);
}

const stable = (name: string, params: readonly Param[], returns: ColumnType, fn: (...args: Datum[]) => Datum): Overload =>
  contextual(name, params, returns, 'stable', (_, ...args) => fn(...args));

/** Bytes of live rows, as the store counts them. */
function sizeFunctions(engine: EngineServices): Overload[] {
  const { kv, catalog } = engine;
  const bytesOf = (span: Span): number => kv.stats(span).liveBytes;
  const wholeTable = (oid: number): Span => prefixSpan(tablePrefix(oid));
  // Oids of indexes are hashes, so the newest catalog is searched for one.
  const indexSize = (oid: number): Datum => {
    for (const descriptor of catalog.currentNow()?.all() ?? []) {
      if (descriptor.kind !== 'table') continue;
      const index = allIndexes(descriptor).find((candidate) => indexOid(descriptor.id, candidate.id) === oid);
      if (index) return bytesOf(indexSpan(descriptor, index));
    }
    return null;
  };
  const primary = (oid: number): Datum => {
    const table = catalog.currentNow()?.tableById(oid);
    return table ? bytesOf(indexSpan(table, table.primaryIndex)) : indexSize(oid);
  };
  const whole = (oid: number): Datum => (catalog.currentNow()?.tableById(oid) ? bytesOf(wholeTable(oid)) : indexSize(oid));
  const indexes = (oid: number): Datum => {
    const [all, rows] = [whole(oid), primary(oid)];
    return all === null || rows === null ? null : Number(all) - Number(rows);
  };
  const database = (id: number | undefined): Datum => {
    const snapshot = catalog.currentNow();
    if (id === undefined || !snapshot?.databaseById(id)) return null;
    return snapshot.tablesOf(id, { withTemporary: true }).reduce((sum, table) => sum + bytesOf(wholeTable(table.id)), 0);
  };
  return [
    stable('pg_relation_size', [Type.Oid], Type.Int8, (oid) => primary(Number(oid))),
    stable('pg_table_size', [Type.Oid], Type.Int8, (oid) => primary(Number(oid))),
    stable('pg_indexes_size', [Type.Oid], Type.Int8, (oid) => indexes(Number(oid))),
    stable('pg_total_relation_size', [Type.Oid], Type.Int8, (oid) => whole(Number(oid))),
    stable('pg_database_size', [Type.Oid], Type.Int8, (oid) => database(Number(oid))),
    {
      ...stable('pg_database_size', [Type.String], Type.Int8, (name) =>
        database(catalog.currentNow()?.database(utf8Decode(name as Bytes))?.id),
      ),
      preferred: true,
    },
  ];
}

/** `text, bigint`; wildcards by PostgreSQL's names for them. */
function paramText(param: Param): string {
  if (typeof param !== 'string') return pgTypeName(param);
  return param === 'any' ? '"any"' : param === 'anytuple' ? 'record' : param;
}

/** What \df prints of a row of pg_proc. */
function signatureFunctions(engine: EngineServices): Overload[] {
  // The texts by oid; made anew when functions have been added.
  let known: Map<number, { args: string; result: string }> | undefined;
  let count = -1;
  const signature = (oid: Datum) => {
    const definitions = engine.functions.all();
    if (!known || count !== definitions.length) {
      known = new Map();
      count = definitions.length;
      for (const definition of definitions) {
        for (const [i, overload] of definition.overloads.entries()) {
          const args = overload.params.map(paramText);
          if ('variadic' in overload && overload.variadic !== undefined) args.push(`VARIADIC ${paramText(overload.variadic)}[]`);
          const returns = 'returns' in overload ? overload.returns : undefined;
          const result = returns === undefined ? 'SETOF record' : typeof returns === 'function' ? 'anyelement' : pgTypeName(returns);
          known.set(functionOid(definition.name, i), { args: args.join(', '), result });
        }
      }
    }
    return known.get(Number(oid));
  };
  const spoken = (text: string | undefined): Datum => (text === undefined ? null : utf8Encode(text));
  const text = (name: string, pick: (found: { args: string; result: string }) => string) =>
    contextual(name, [Type.Oid], Type.String, 'stable', ({ catalog }, oid) => {
      const found = signature(oid ?? null) ?? catalog.userFunction(Number(oid));
      return spoken(found && pick(found));
    });
  return [
    text('pg_get_function_arguments', (found) => found.args),
    text('pg_get_function_identity_arguments', (found) => found.args),
    text('pg_get_function_result', (found) => found.result),
    contextual('pg_get_functiondef', [Type.Oid], Type.String, 'stable', ({ catalog }, oid) =>
      spoken(catalog.userFunction(Number(oid))?.definition),
    ),
    contextual('pg_function_is_visible', [Type.Oid], Type.Bool, 'stable', ({ catalog }, oid) =>
      signature(oid ?? null) || catalog.userFunction(Number(oid)) ? true : null,
    ),
  ];
}

const noText = (name: string, ...params: readonly Param[]): Overload => stable(name, params, Type.String, () => null);
const neverVisible = (what: string): Overload => stable(`pg_${what}_is_visible`, [Type.Oid], Type.Bool, () => null);

/** About triggers, rules, publications, partitions and text search: none exist, so none is found. */
const ABSENT: readonly Overload[] = [
  stable('pg_char_to_encoding', [Type.String], Type.Int8, (name) => (/^utf-?8$/i.test(name as Bytes) ? UTF8_ENCODING : -1)),
  stable('pg_relation_is_publishable', [Type.RegClass], Type.Bool, () => false),
  noText('pg_get_partition_constraintdef', Type.Oid),
  noText('pg_get_ruledef', Type.Oid),
  noText('pg_get_ruledef', Type.Oid, Type.Bool),
  noText('pg_get_statisticsobjdef_columns', Type.Oid),
  noText('pg_get_triggerdef', Type.Oid),
  noText('pg_get_triggerdef', Type.Oid, Type.Bool),
  // In memory: a tablespace is nowhere.
  stable('pg_tablespace_location', [Type.Oid], Type.String, () => utf8Encode('')),
  neverVisible('conversion'),
  neverVisible('operator'),
  neverVisible('opfamily'),
  neverVisible('statistics_obj'),
  neverVisible('ts_config'),
  neverVisible('ts_dict'),
  neverVisible('ts_parser'),
  neverVisible('ts_template'),
];

const emptySet = (name: string, params: readonly Param[], columns: readonly { name: string; type: ColumnType }[]): GeneratorOverload => ({
  name,
  params,
  columns: () => columns,
  volatility: 'stable',
  rows: () => [],
});

const ABSENT_SETS: readonly GeneratorOverload[] = [
  emptySet('pg_partition_ancestors', [Type.RegClass], [{ name: 'relid', type: Type.RegClass }]),
  emptySet(
    'pg_options_to_table',
    ['anyarray'],
    [
      { name: 'option_name', type: Type.String },
      { name: 'option_value', type: Type.String },
    ],
  ),
];
