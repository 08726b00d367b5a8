/**
 * Column names: what a SELECT item without AS is called.
 *
 * A column keeps its name, a function call takes the function's, a cast the name of what it casts or
 * else of the type, the rest is `?column?`. Source of the rules: PostgreSQL's FigureColname.
 */
import type { Expr, SelectStatement, TypeName } from '../parse/ast.ts';

/** A name with its strength: 0 none, 1 a last resort, 2 good. */
interface Named {
  readonly strength: 0 | 1 | 2;
  readonly name: string;
}

const NONE: Named = { strength: 0, name: '?column?' };
const good = (name: string): Named => ({ strength: 2, name });

/** The name of a result column for an expression without an alias. */
export function columnNameOf(expr: Expr): string {
  return named(expr).name;
}

function named(expr: Expr): Named {
  switch (expr.kind) {
    case 'column':
      return good(expr.parts.at(-1)?.text ?? '?column?');
    case 'call':
      return good(expr.name.parts.at(-1)?.text ?? '?column?');
    case 'field':
      return expr.field ? good(expr.field.text) : named(expr.operand);
    case 'cast': {
      const inner = named(expr.operand);
      return inner.strength === 2 ? inner : { strength: 1, name: typeLabel(expr.type) };
    }
    case 'typedLiteral':
      return { strength: 1, name: typeLabel(expr.type) };
    case 'annotate':
    case 'collate':
    case 'subscript':
      return named(expr.operand);
    case 'boolean':
      return { strength: 1, name: 'bool' };
    case 'case': {
      const otherwise = expr.otherwise ? named(expr.otherwise) : NONE;
      return otherwise.strength === 2 ? otherwise : { strength: 1, name: 'case' };
    }
    case 'coalesce':
      return good('coalesce');
    case 'nullIf':
      return good('nullif');
    case 'if':
      return good('if');
    case 'array':
    case 'arraySubquery':
      return good('array');
    case 'tuple':
      return good('row');
    case 'exists':
      return good('exists');
    case 'subquery':
      return good(firstTargetName(expr.query));
    default:
      return NONE;
  }
}

function firstTargetName(query: SelectStatement): string {
  let body = query.body;
  while (body.kind === 'setOperation' || body.kind === 'select') body = body.kind === 'select' ? body.body : body.left;
  if (body.kind === 'values') return 'column1';
  const target = body.targets[0];
  return target ? (target.alias?.text ?? columnNameOf(target.expr)) : '?column?';
}

const TYPE_LABELS: Readonly<Record<string, string>> = {
  int: 'int8',
  integer: 'int8',
  bigint: 'int8',
  int64: 'int8',
  smallint: 'int2',
  string: 'text',
  boolean: 'bool',
  bytes: 'bytea',
  blob: 'bytea',
  decimal: 'numeric',
  dec: 'numeric',
  float: 'float8',
  real: 'float4',
  json: 'jsonb',
  char: 'bpchar',
};

function typeLabel(type: TypeName): string {
  const name = type.name.parts.at(-1)?.text ?? 'unknown';
  return type.isArray ? 'array' : (TYPE_LABELS[name] ?? name);
}
