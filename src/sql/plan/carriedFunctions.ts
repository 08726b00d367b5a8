/**
 * Functions of users from what descriptors say of them: those that a table carries for its stored expressions, and the
 * tree of a body. Bodies are parsed once.
 */
import type { CarriedFunction, FunctionBody, TableDescriptor } from '../../catalog/descriptor.ts';
import { type ColumnType, sqlTypeName } from '../../catalog/type.ts';
import { parameterName, type UserFunction, type UserFunctions } from '../expr/userFunction.ts';
import type { Expr, SelectStatement, TypeName } from '../parse/ast.ts';
import { parseQuery, parseType } from '../parse/parse.ts';

const statementsOf = new WeakMap<readonly string[], readonly SelectStatement[]>();

/** The queries of a body. */
export function bodyStatements({ statements }: FunctionBody): readonly SelectStatement[] {
  let parsed = statementsOf.get(statements);
  if (!parsed) {
    parsed = statements.map(parseQuery);
    statementsOf.set(statements, parsed);
  }
  return parsed;
}

/** The expression that a query is, with nothing around it that would need to be run. */
export function onlyExpression(statements: readonly SelectStatement[]): Expr | undefined {
  const [query] = statements;
  if (!query || statements.length > 1 || query.body.kind !== 'selectCore') return undefined;
  const { body } = query;
  const hasClauses = query.with || query.orderBy.length > 0 || query.limit || query.offset || query.locking.length > 0;
  const { distinct, targets, from, where, groupBy, having, windows } = body;
  if (hasClauses || distinct !== 'all' || from.length > 0 || where || groupBy.length > 0 || having || windows.length > 0) return undefined;
  const expr = targets.length === 1 ? targets[0]?.expr : undefined;
  return expr && expr.kind !== 'star' && !hasQueries(expr) ? expr : undefined;
}

/** Subqueries, aggregates by their clauses, and windows: an aggregate by name alone is refused where it would be typed. */
function hasQueries(tree: unknown): boolean {
  if (Array.isArray(tree)) return tree.some(hasQueries);
  if (typeof tree !== 'object' || tree === null) return false;
  const { kind, over } = tree as { kind?: unknown; over?: unknown };
  if (kind === 'select' || over !== undefined) return true;
  return Object.values(tree).some(hasQueries);
}

/** How a type is named where a full name means the same to everybody. `place`: database and schema of a user type. */
export function fullTypeName(type: ColumnType, placeOf: (type: ColumnType) => readonly string[] | undefined): TypeName {
  const user = type.family === 'enum' ? type : type.element?.family === 'enum' ? type.element : undefined;
  const place = user && placeOf(user);
  if (!user || !place) return parseType(sqlTypeName(type));
  const parts = place.map((text) => ({ text, pos: 0 }));
  return { kind: 'typeName', name: { parts, pos: 0 }, args: [], isArray: user !== type, pos: 0 };
}

const volatileStatements = new WeakMap<readonly SelectStatement[], readonly SelectStatement[]>();

/** Every query in them is run for each call. */
function perRow(statements: readonly SelectStatement[]): readonly SelectStatement[] {
  let marked = volatileStatements.get(statements);
  if (!marked) {
    const mark = (node: unknown): unknown => {
      if (Array.isArray(node)) return node.map(mark);
      if (typeof node !== 'object' || node === null) return node;
      const made = Object.fromEntries(Object.entries(node).map(([key, value]) => [key, mark(value)]));
      return made['kind'] === 'select' ? { ...made, isPerRow: true } : made;
    };
    marked = mark(statements) as SelectStatement[];
    volatileStatements.set(statements, marked);
  }
  return marked;
}

/** `placeOf`: full names of user types. */
export function userFunction(
  { id, schema, name, ...body }: CarriedFunction,
  placeOf: (type: ColumnType) => readonly string[] | undefined,
): UserFunction {
  const parsed = bodyStatements(body);
  const statements = body.volatility === 'volatile' ? perRow(parsed) : parsed;
  return {
    id,
    schema,
    name,
    params: body.params.map(({ name: own, type }, i) => ({ name: parameterName(own, i), type, typeName: fullTypeName(type, placeOf) })),
    returns: body.returns,
    returnsName: fullTypeName(body.returns, placeOf),
    returnsSet: body.returnsSet === true,
    volatility: body.volatility,
    isStrict: body.isStrict === true,
    statements,
    expression: body.returns.family === 'void' ? undefined : onlyExpression(statements),
  };
}

const NOTHING: UserFunctions = { named: () => [], called: () => undefined };
const known = new WeakMap<readonly CarriedFunction[], UserFunctions>();

/** The functions that a table's stored expressions may call: whoever may write the table may. */
export function carriedFunctions({ exprFunctions }: TableDescriptor): UserFunctions {
  if (!exprFunctions) return NOTHING;
  let made = known.get(exprFunctions);
  if (!made) {
    const all = exprFunctions.map((one) => ({
      schema: one.schema,
      made: userFunction(one, ({ schema, name }) => [schema ?? 'public', name ?? '']),
    }));
    made = {
      named: ({ parts }) => {
        const [name, schema] = [parts.at(-1)?.text, parts.at(-2)?.text];
        return all.filter((one) => one.made.name === name && (schema === undefined || one.schema === schema)).map((one) => one.made);
      },
      called: () => undefined,
    };
    known.set(exprFunctions, made);
  }
  return made;
}
