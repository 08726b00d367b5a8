/**
 * Stored expressions: the SQL text that a descriptor keeps of a DEFAULT, a CHECK, a computed column or an
 * index predicate.
 *
 * The text is made from the typed form, constants annotated with their types (`0:::INT8`), so that
 * it means the same whatever is the session that reads it. Sequences are named by id
 * (`nextval(52::REGCLASS)`), so that renaming one breaks nothing; SHOW CREATE prints their names.
 */
import { isVarveError, StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import { type Bytes, utf8Decode } from '../../../base/bytes.ts';
import type { Datum } from '../../../catalog/datum.ts';
import { formatDatum } from '../../../catalog/datumText.ts';
import { quoteLiteral, quoteName } from '../../../catalog/names.ts';
import type { TableDescriptor } from '../../../catalog/descriptor.ts';
import { type ColumnType, familyName, sqlTypeName, Type, typesEquivalent } from '../../../catalog/type.ts';
import { analyzeBool, analyzeExpr } from '../../expr/analyze.ts';
import { canCast } from '../../expr/castFunction.ts';
import { formatExpr } from '../../expr/formatExpr.ts';
import { traits } from '../../expr/traits.ts';
import type { TypedConst, TypedExpr } from '../../expr/typedExpr.ts';
import { mapExpr, visitExpr } from '../../expr/walk.ts';
import { parseExpression } from '../../parse/parse.ts';
import { printExpr } from '../../parse/printer.ts';
import type { Expr, TypeName } from '../../parse/ast.ts';
import { splitName } from '../catalogLookup.ts';
import { rowAnalysis } from '../tableWriter.ts';
import type { UserFunctions } from '../../expr/userFunction.ts';
import { catalogFunctions } from '../userFunctions.ts';
import type { SchemaChange } from './common.ts';

const CONST_BASE = 1_000_000;
const TIME_CALLS = new Set([
  'now',
  'current_timestamp',
  'transaction_timestamp',
  'statement_timestamp',
  'clock_timestamp',
  'localtimestamp',
]);

function constText({ type, value }: TypedConst): string {
  if (value === null) return 'NULL';
  switch (type.family) {
    case 'bool':
      return value === true ? 'true' : 'false';
    case 'int':
      return Number(value) < 0 ? `(${value}):::INT8` : `${value}:::INT8`;
    case 'decimal':
    case 'float': {
      const text = formatDatum(type, value);
      const typeName = type.family === 'decimal' ? 'DECIMAL' : 'FLOAT8';
      if (!/^-?\d+(?:\.\d+)?(?:e[+-]?\d+)?$/i.test(text)) return `'${text}':::${typeName}`;
      return text.startsWith('-') ? `(${text}):::${typeName}` : `${text}:::${typeName}`;
    }
    case 'string':
      return `${quoteLiteral(utf8Decode(value as Bytes))}:::STRING`;
    case 'array': {
      // Labels are found by the type beside them when one is renamed.
      const { element } = type;
      if (element?.family !== 'enum') return formatExpr({ kind: 'const', type, value });
      return `ARRAY[${(value as readonly Datum[]).map((item) => constText({ kind: 'const', type: element, value: item })).join(', ')}]`;
    }
    case 'tuple':
      return formatExpr({ kind: 'const', type, value });
    default:
      return `${quoteLiteral(formatDatum(type, value))}:::${sqlTypeName(type)}`;
  }
}

function typedText(expr: TypedExpr): string {
  const constants: string[] = [];
  const marked = mapExpr(expr, (node) => {
    if (node.kind !== 'const') return undefined;
    constants.push(constText(node));
    return { kind: 'column', type: node.type, index: CONST_BASE + constants.length - 1, name: '' };
  });
  const names = new Map<number, string>();
  visitExpr(expr, (node) => {
    if (node.kind === 'column') names.set(node.index, node.name);
  });
  const text = formatExpr(marked, (index) =>
    index >= CONST_BASE ? (constants[index - CONST_BASE] as string) : quoteName(names.get(index) ?? `column${index}`),
  );
  return expr.kind === 'call' && TIME_CALLS.has(expr.overload.name) ? `${text}:::${sqlTypeName(expr.type)}` : text;
}

/** The typed text when it reads back, else the text as written. */
function settled(ast: Expr, typed: TypedExpr, readBack: (text: string) => void): string {
  const text = typedText(typed);
  try {
    readBack(text);
    return text;
  } catch (error) {
    if (!isVarveError(error)) throw error;
    return printExpr(ast);
  }
}

export interface StoredDefault {
  readonly text: string;
  readonly sequenceIds: readonly number[];
}

/** A DEFAULT or ON UPDATE expression for a column. 42804 when it does not fit, 42P10 when it names columns. */
export function storeDefault(change: SchemaChange, ast: Expr, type: ColumnType, columnName: string, clause = 'DEFAULT'): StoredDefault {
  const sequences = resolveSequences(change, ast);
  const { functions } = change.context.engine;
  const context = {
    ...rowAnalysis(EMPTY_TABLE, functions, clause),
    scope: undefined,
    session: change.context.session.values,
    resolveType: typesOf(change),
    userFunctions: functionsOf(change),
  };
  const typed = analyzeExpr(sequences.expr, context, type);
  if (!canCast(typed.type, type, 'assignment') && !typesEquivalent(typed.type, type) && typed.type.family !== 'unknown') {
    throw new StatementError(
      SqlState.DatatypeMismatch,
      `expected ${clause} expression to have type ${familyName(type)}, but '${printExpr(ast)}' has type ${familyName(typed.type)}`,
      { column: columnName },
    );
  }
  const text =
    sequences.ids.length > 0
      ? printExpr(sequences.expr)
      : settled(ast, typed, (candidate) => void analyzeExpr(parseExpression(candidate), context, type));
  return { text, sequenceIds: sequences.ids };
}

/** User types for a text about to be stored: by the session's names, else in the database of the table. */
function typesOf(change: SchemaChange, table?: TableDescriptor): (name: TypeName) => ColumnType {
  const [database] = table ? change.snapshot.fullName(table) : [];
  return (name) => change.columnType(name, database === undefined ? undefined : { currentDatabase: database, searchPath: ['public'] }).type;
}

/** Functions of users for a text about to be stored, in which they are called by their names with a schema. 0A000 for one of another database. */
function functionsOf(change: SchemaChange, table?: TableDescriptor): UserFunctions {
  const { snapshot, roles, context } = change;
  return catalogFunctions(snapshot, context.names, {
    roles,
    keepsCalls: true,
    note: (_name, called) => {
      if (table === undefined || table.parentId === 0 || called.parentId === table.parentId) return;
      throw new StatementError(SqlState.FeatureNotSupported, `the function "${called.name}" is of another database`);
    },
  });
}

const EMPTY_TABLE = { id: 0, name: '', columns: [], primaryIndex: { columnIds: [] } } as unknown as TableDescriptor;

/** Replaces sequence names in nextval calls by ids. */
function resolveSequences(change: SchemaChange, ast: Expr): { expr: Expr; ids: number[] } {
  const ids: number[] = [];
  const visit = (node: Expr): Expr => {
    if (node.kind === 'call' && node.name.parts.at(-1)?.text.toLowerCase() === 'nextval') {
      const [arg] = node.args;
      const inner = arg?.kind === 'cast' || arg?.kind === 'annotate' ? arg.operand : arg;
      if (inner?.kind !== 'string') return node;
      const { descriptor } = change.snapshot.requireTable(splitName(inner.value), change.context.names);
      if (!descriptor.sequence) throw new StatementError(SqlState.WrongObjectType, `"${descriptor.name}" is not a sequence`);
      ids.push(descriptor.id);
      return { ...node, args: [sequenceArgument(descriptor.id)] };
    }
    if (node.kind === 'cast') return { ...node, operand: visit(node.operand) };
    if (node.kind === 'call') return { ...node, args: node.args.map(visit) };
    if (node.kind === 'binary') return { ...node, left: visit(node.left), right: visit(node.right) };
    return node;
  };
  return { expr: visit(ast), ids };
}

function sequenceArgument(id: number): Expr {
  return parseExpression(`${id}::REGCLASS`);
}

/** The DEFAULT of a column that reads a sequence. */
export function nextvalText(sequenceId: number): string {
  return `nextval(${sequenceId}::REGCLASS)`;
}

export interface StoredCondition {
  readonly text: string;
  /** The columns it reads, in the order of their ids. */
  readonly columnIds: readonly number[];
  /** The same as the expression names them. */
  readonly namedIds: readonly number[];
}

/** A column that is not there is told with the expression that names it. */
function referencedIn<T>(ast: Expr, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!isVarveError(error) || error.code !== SqlState.UndefinedColumn) throw error;
    throw new StatementError(error.code, `${error.message}, referenced in "${printExpr(ast)}"`, { location: error.location });
  }
}

/** A CHECK or index predicate over a table's columns. 42804 unless boolean; no subqueries, no volatile functions in predicates. */
export function storeCondition(change: SchemaChange, ast: Expr, table: TableDescriptor, clause: string): StoredCondition {
  const context = {
    ...rowAnalysis(table, change.context.engine.functions, clause),
    session: change.context.session.values,
    resolveType: typesOf(change, table),
    userFunctions: functionsOf(change, table),
  };
  const typed = referencedIn(ast, () => analyzeExpr(ast, context, Type.Bool));
  if (typed.type.family !== 'bool' && typed.type.family !== 'unknown') {
    throw new StatementError(
      SqlState.DatatypeMismatch,
      `expected ${clause} expression to have type bool, but '${printExpr(ast)}' has type ${familyName(typed.type)}`,
    );
  }
  const columnIds = [...traits(typed).columns].map((position) => table.columns[position]?.id ?? 0).filter((id) => id > 0);
  const text = settled(ast, analyzeBool(ast, context), (candidate) => void analyzeBool(parseExpression(candidate), context));
  return { text, columnIds: columnIds.toSorted((a, b) => a - b), namedIds: columnIds };
}

const COMPUTED = 'computed column';

/** What to write instead of a cast that depends on the session. */
function contextHint(expr: TypedExpr): string | undefined {
  let hint: string | undefined;
  visitExpr(expr, (node) => {
    if (node.kind !== 'cast') return;
    const [from, to] = [node.operand.type.family, node.type.family];
    if (from === 'string' && (to === 'timestamp' || to === 'date' || to === 'time' || to === 'interval')) {
      hint = `STRING to ${to.toUpperCase()} casts depend on the session; use parse_${to}() instead`;
    }
    if (from === 'timestamptz') {
      hint = `TIMESTAMPTZ to ${sqlTypeName(node.type)} casts depend on the current timezone; consider using AT TIME ZONE 'UTC' instead`;
    }
  });
  return hint;
}

/** A computed column's expression. 42804 when its type does not fit. */
export function storeComputed(change: SchemaChange, ast: Expr, table: TableDescriptor, type: ColumnType): string {
  const context = rowContext(change, table, COMPUTED);
  const typed = analyzeExpr(ast, context, type);
  if (!typesEquivalent(typed.type, type) && typed.type.family !== 'unknown' && !canCast(typed.type, type, 'assignment')) {
    throw new StatementError(
      SqlState.DatatypeMismatch,
      `expected ${COMPUTED} expression to have type ${familyName(type)}, but '${printExpr(ast)}' has type ${familyName(typed.type)}`,
    );
  }
  requireImmutable(typed, table, COMPUTED);
  return settled(ast, typed, (candidate) => void analyzeExpr(parseExpression(candidate), context, type));
}

const INDEX_ELEMENT = 'index element';

/** An expression that an index is over, with its type. 42P16 unless it depends on plain columns of the row alone. */
export function storeIndexExpression(change: SchemaChange, ast: Expr, table: TableDescriptor): { text: string; type: ColumnType } {
  const context = rowContext(change, table, INDEX_ELEMENT);
  const typed = analyzeExpr(ast, context);
  if (typed.type.family === 'unknown' || typed.type.family === 'tuple') {
    throw new StatementError(SqlState.InvalidTableDefinition, `type of ${INDEX_ELEMENT} ${printExpr(ast)} is ambiguous`, {
      hint: 'consider adding a type cast to the expression',
    });
  }
  requireImmutable(typed, table, INDEX_ELEMENT);
  const text = settled(ast, typed, (candidate) => void analyzeExpr(parseExpression(candidate), context, typed.type));
  return { text, type: typed.type };
}

function rowContext(change: SchemaChange, table: TableDescriptor, clause: string) {
  return {
    ...rowAnalysis(table, change.context.engine.functions, clause),
    session: change.context.session.values,
    resolveType: typesOf(change, table),
    userFunctions: functionsOf(change, table),
  };
}

function requireImmutable(typed: TypedExpr, table: TableDescriptor, clause: string): void {
  const { volatility, columns } = traits(typed);
  if (volatility === 'volatile')
    throw new StatementError(SqlState.InvalidTableDefinition, `volatile functions are not allowed in ${clause}`);
  if (volatility !== 'immutable') {
    throw new StatementError(SqlState.InvalidTableDefinition, `context-dependent operators are not allowed in ${clause}`, {
      hint: contextHint(typed),
    });
  }
  if (
    [...columns].some((position) => table.columns[position]?.isVirtual || (clause === COMPUTED && table.columns[position]?.computeExpr))
  ) {
    throw new StatementError(SqlState.InvalidTableDefinition, `${clause} expression cannot reference computed columns`);
  }
}

/** Rewrites a stored text after a column was renamed. */
export function renameInText(text: string, from: string, to: string): string {
  const visit = (node: unknown): unknown => {
    if (Array.isArray(node)) return node.map(visit);
    if (typeof node !== 'object' || node === null) return node;
    const record = node as Record<string, unknown>;
    if (record['kind'] === 'column') {
      const column = node as Extract<Expr, { kind: 'column' }>;
      const parts = column.parts.map((part, i) => (i === column.parts.length - 1 && part.text === from ? { ...part, text: to } : part));
      return { ...column, parts };
    }
    return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, visit(value)]));
  };
  return printExpr(visit(parseExpression(text)) as Expr);
}
