/** Queries and row changes as SQL text. */
import type {
  Assignment,
  DeleteStatement,
  InsertStatement,
  QueryBody,
  Returning,
  SelectCore,
  SelectStatement,
  SelectTarget,
  TableAlias,
  TableRef,
  TableSource,
  UpdateStatement,
  WithClause,
} from '../ast.ts';
import { printExpr, printExprs, printOrderBy, printWindow } from './expr.ts';
import { printName, printNames, printObjectName, printObjectNames } from './names.ts';
import { nestedPrinters } from './nested.ts';
import type { PrintOptions } from './options.ts';

const lockWords = { update: 'UPDATE', noKeyUpdate: 'NO KEY UPDATE', share: 'SHARE', keyShare: 'KEY SHARE' } as const;

export function printSelect(select: SelectStatement, o: PrintOptions): string {
  let text = `${printWith(select.with, o)}${printBody(select.body, o, 0)}`;
  if (select.orderBy.length > 0) text += ` ${printOrderBy(select.orderBy, o)}`;
  if (select.limit !== undefined) text += ` LIMIT ${printExpr(select.limit, o)}`;
  if (select.offset !== undefined) text += ` OFFSET ${printExpr(select.offset, o)}`;
  for (const lock of select.locking) {
    text += ` FOR ${lockWords[lock.strength]}${lock.of.length > 0 ? ` OF ${printObjectNames(lock.of)}` : ''}`;
    if (lock.wait !== 'block') text += lock.wait === 'nowait' ? ' NOWAIT' : ' SKIP LOCKED';
  }
  return text;
}

function printWith(clause: WithClause | undefined, o: PrintOptions): string {
  if (clause === undefined) return '';
  const tables = clause.tables.map((table) => {
    const columns = table.columns.length > 0 ? ` (${printNames(table.columns)})` : '';
    const materialized = table.materialized === undefined ? '' : table.materialized ? 'MATERIALIZED ' : 'NOT MATERIALIZED ';
    return `${printName(table.name)}${columns} AS ${materialized}(${nestedPrinters.statement(table.statement, o)})`;
  });
  return `WITH ${clause.recursive ? 'RECURSIVE ' : ''}${tables.join(', ')} `;
}

/** `min`: 0 anywhere, 1 as left side of UNION, 2 beside INTERSECT and as right side of UNION, 3 right of INTERSECT. */
function printBody(body: QueryBody, o: PrintOptions, min: number): string {
  switch (body.kind) {
    case 'select':
      return `(${printSelect(body, o)})`;
    case 'values':
      return `VALUES ${body.rows.map((row) => `(${printExprs(row, o)})`).join(', ')}`;
    case 'selectCore':
      return printCore(body, o);
    case 'setOperation': {
      const power = body.op === 'intersect' ? 2 : 1;
      const text = `${printBody(body.left, o, power)} ${body.op.toUpperCase()}${body.all ? ' ALL' : ''} ${printBody(body.right, o, power + 1)}`;
      return power < min ? `(${text})` : text;
    }
  }
}

function printTargets(targets: readonly SelectTarget[], o: PrintOptions): string {
  return targets.map(({ expr, alias }) => `${printExpr(expr, o)}${alias === undefined ? '' : ` AS ${printName(alias)}`}`).join(', ');
}

function printCore(core: SelectCore, o: PrintOptions): string {
  const distinct =
    core.distinct === 'all' ? '' : core.distinct === 'distinct' ? 'DISTINCT ' : `DISTINCT ON (${printExprs(core.distinct, o)}) `;
  let text = `SELECT ${distinct}${printTargets(core.targets, o)}`.trimEnd();
  if (core.from.length > 0) text += ` FROM ${printSources(core.from, o)}`;
  if (core.asOf !== undefined) text += ` AS OF SYSTEM TIME ${printExpr(core.asOf.expr, o)}`;
  if (core.where !== undefined) text += ` WHERE ${printExpr(core.where, o)}`;
  if (core.groupBy.length > 0) text += ` GROUP BY ${printExprs(core.groupBy, o)}`;
  if (core.having !== undefined) text += ` HAVING ${printExpr(core.having, o)}`;
  if (core.windows.length > 0)
    text += ` WINDOW ${core.windows.map(({ name, spec }) => `${printName(name)} AS ${printWindow(spec, o)}`).join(', ')}`;
  return text;
}

const printSources = (sources: readonly TableSource[], o: PrintOptions): string =>
  sources.map((source) => printSource(source, o)).join(', ');

function suffix(source: { withOrdinality: boolean; alias: TableAlias | undefined }): string {
  const ordinality = source.withOrdinality ? ' WITH ORDINALITY' : '';
  if (source.alias === undefined) return ordinality;
  const columns = source.alias.columns.length > 0 ? ` (${printNames(source.alias.columns)})` : '';
  return `${ordinality} AS ${printName(source.alias.name)}${columns}`;
}

export function printTableRef(table: TableRef): string {
  let hint = '';
  if (table.hint !== undefined) {
    const { index, indexId, direction, flags } = table.hint;
    const items = [
      ...(index === undefined ? [] : [`FORCE_INDEX=${printName(index)}`]),
      ...(direction === undefined ? [] : [direction.toUpperCase()]),
    ];
    items.push(...flags.map((flag) => flag.toUpperCase()));
    hint = items.length === 1 && index !== undefined ? `@${printName(index)}` : `@{${items.join(',')}}`;
    if (indexId !== undefined) hint = `@[${indexId}]`;
  }
  if (table.name.id !== undefined) {
    const ids = table.columnIds === undefined ? '' : `(${table.columnIds.join(', ')})`;
    return `[${table.name.id}${ids}${suffix({ ...table, withOrdinality: false })}]${hint}${table.withOrdinality ? ' WITH ORDINALITY' : ''}`;
  }
  return `${printObjectName(table.name)}${hint}${suffix(table)}`;
}

function printSource(source: TableSource, o: PrintOptions): string {
  switch (source.kind) {
    case 'table':
      return printTableRef(source);
    case 'subquerySource':
      return `${source.lateral ? 'LATERAL ' : ''}(${printSelect(source.query, o)})${suffix(source)}`;
    case 'functionSource': {
      const calls = source.calls.map((call) => printExpr(call, o));
      const text = calls.length === 1 ? (calls[0] as string) : `ROWS FROM (${calls.join(', ')})`;
      return `${source.lateral ? 'LATERAL ' : ''}${text}${suffix(source)}`;
    }
    case 'statementSource':
      return `[${nestedPrinters.statement(source.statement, o)}]${suffix(source)}`;
    case 'join': {
      const right = source.right.kind === 'join' ? `(${printSource(source.right, o)})` : printSource(source.right, o);
      const type = source.type === 'inner' ? (source.hint === undefined ? '' : 'INNER ') : `${source.type.toUpperCase()} `;
      const hint = source.hint === undefined ? '' : `${source.hint.toUpperCase()} `;
      let text = `${printSource(source.left, o)} ${source.natural ? 'NATURAL ' : ''}${type}${hint}JOIN ${right}`;
      if (source.using.length > 0) text += ` USING (${printNames(source.using)})`;
      if (source.on !== undefined) text += ` ON ${printExpr(source.on, o)}`;
      return text;
    }
  }
}

// ---- row changes --------------------------------------------------------------------------------

function printReturning(returning: Returning, o: PrintOptions): string {
  if (returning === undefined) return '';
  return ` RETURNING ${returning === 'nothing' ? 'NOTHING' : printTargets(returning, o)}`;
}

function printAssignments(set: readonly Assignment[], o: PrintOptions): string {
  return set
    .map(({ columns, isTuple, value }) => `${isTuple ? `(${printNames(columns)})` : printNames(columns)} = ${printExpr(value, o)}`)
    .join(', ');
}

export function printInsert(s: InsertStatement, o: PrintOptions): string {
  let text = `${printWith(s.with, o)}${s.upsert ? 'UPSERT' : 'INSERT'} INTO ${printObjectName(s.table)}`;
  if (s.alias !== undefined) text += ` AS ${printName(s.alias)}`;
  if (s.columns.length > 0) text += ` (${printNames(s.columns)})`;
  if (s.overriding !== undefined) text += ` OVERRIDING ${s.overriding.toUpperCase()} VALUE`;
  text += s.source === undefined ? ' DEFAULT VALUES' : ` ${printSelect(s.source, o)}`;
  if (s.onConflict !== undefined) {
    const { columns, constraint, arbiterWhere, update } = s.onConflict;
    text += ' ON CONFLICT';
    if (constraint !== undefined) text += ` ON CONSTRAINT ${printName(constraint)}`;
    if (columns.length > 0) text += ` (${printNames(columns)})`;
    if (arbiterWhere !== undefined) text += ` WHERE ${printExpr(arbiterWhere, o)}`;
    text += update === undefined ? ' DO NOTHING' : ` DO UPDATE SET ${printAssignments(update.set, o)}`;
    if (update?.where !== undefined) text += ` WHERE ${printExpr(update.where, o)}`;
  }
  return text + printReturning(s.returning, o);
}

function printTail(s: UpdateStatement | DeleteStatement, o: PrintOptions): string {
  let text = s.where === undefined ? '' : ` WHERE ${printExpr(s.where, o)}`;
  if (s.orderBy.length > 0) text += ` ${printOrderBy(s.orderBy, o)}`;
  if (s.limit !== undefined) text += ` LIMIT ${printExpr(s.limit, o)}`;
  return text + printReturning(s.returning, o);
}

export function printUpdate(s: UpdateStatement, o: PrintOptions): string {
  const from = s.from.length > 0 ? ` FROM ${printSources(s.from, o)}` : '';
  return `${printWith(s.with, o)}UPDATE ${printTableRef(s.table)} SET ${printAssignments(s.set, o)}${from}${printTail(s, o)}`;
}

export function printDelete(s: DeleteStatement, o: PrintOptions): string {
  const using = s.using.length > 0 ? ` USING ${printSources(s.using, o)}` : '';
  return `${printWith(s.with, o)}DELETE FROM ${printTableRef(s.table)}${using}${printTail(s, o)}`;
}
