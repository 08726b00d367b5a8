/**
 * Text of typed expressions: for EXPLAIN, for messages, and to compare by eye. Not meant to be parsed
 * again where types are not visible (use parse/printer.ts on the syntax tree for that).
 */
import { utf8Decode, type utf8Encode } from '../../base/bytes.ts';
import type { Datum } from '../../catalog/datum.ts';
import { type ColumnType, sqlTypeName } from '../../catalog/type.ts';
import { plainText } from './castFunction.ts';
import { quoteLiteral, quoteIdentifier } from './builtins/string.ts';
import type { TypedExpr, TypedFrameBound, TypedWindow } from './typedExpr.ts';

/** The expression as SQL-like text. `columnName` overrides the names of columns. */
export function formatExpr(expr: TypedExpr, columnName?: (index: number) => string): string {
  const print = (node: TypedExpr): string => formatExpr(node, columnName);
  const inner = (node: TypedExpr): string => (isAtom(node) ? print(node) : `(${print(node)})`);
  switch (expr.kind) {
    case 'const':
      return formatConstant(expr.type, expr.value);
    case 'column':
      return columnName?.(expr.index) ?? (expr.name === '' ? `@${expr.index + 1}` : quoteIdentifier(expr.name));
    case 'outer':
      return quoteIdentifier(expr.name);
    case 'placeholder':
      return `$${expr.index + 1}`;
    case 'call': {
      const [first, second, third] = expr.args;
      if (expr.operator === undefined) return `${expr.overload.name}(${expr.args.map(print).join(', ')})`;
      if (expr.args.length === 1 && first) return `${expr.operator}${inner(first)}`;
      const escapeText = third ? ` ESCAPE ${inner(third)}` : '';
      return first && second ? `${inner(first)} ${expr.operator} ${inner(second)}${escapeText}` : expr.operator;
    }
    case 'comparison':
      return `${inner(expr.left)} ${expr.op === '<>' ? '!=' : expr.op} ${inner(expr.right)}`;
    case 'distinct':
      return `${inner(expr.left)} IS ${expr.negated ? 'NOT ' : ''}DISTINCT FROM ${inner(expr.right)}`;
    case 'and':
    case 'or': {
      const side = (node: TypedExpr): string => (node.kind === expr.kind ? print(node) : inner(node));
      return `${side(expr.left)} ${expr.kind.toUpperCase()} ${side(expr.right)}`;
    }
    case 'not':
      return `NOT ${inner(expr.operand)}`;
    case 'isNull':
      return `${inner(expr.operand)} IS ${expr.negated ? 'NOT ' : ''}NULL`;
    case 'isTruth':
      return `${inner(expr.operand)} IS ${expr.negated ? 'NOT ' : ''}${expr.value ? 'TRUE' : 'FALSE'}`;
    case 'in':
      return `${inner(expr.operand)} ${expr.negated ? 'NOT ' : ''}IN (${expr.list.map(print).join(', ')})`;
    case 'anyAll': {
      const op = typeof expr.op === 'string' ? expr.op : expr.op.name;
      return `${inner(expr.left)} ${op} ${expr.quantifier.toUpperCase()} (${print(expr.right)})`;
    }
    case 'case': {
      const operand = expr.operand ? ` ${print(expr.operand)}` : '';
      const branches = expr.branches.map(({ when, then }) => ` WHEN ${print(when)} THEN ${print(then)}`).join('');
      const otherwise = expr.otherwise ? ` ELSE ${print(expr.otherwise)}` : '';
      return `CASE${operand}${branches}${otherwise} END`;
    }
    case 'coalesce':
      return `COALESCE(${expr.args.map(print).join(', ')})`;
    case 'nullIf':
      return `NULLIF(${print(expr.left)}, ${print(expr.right)})`;
    case 'cast':
      return `${inner(expr.operand)}::${sqlTypeName(expr.type)}`;
    case 'array':
      return `ARRAY[${expr.elements.map(print).join(', ')}]`;
    case 'tuple':
      return `(${expr.elements.map(print).join(', ')}${expr.elements.length === 1 ? ',' : ''})`;
    case 'subscript':
      return `${inner(expr.operand)}[${print(expr.index)}]`;
    case 'field':
      return `(${print(expr.operand)}).${quoteIdentifier(expr.name)}`;
    case 'subquery':
      return expr.plan.form === 'exists' ? `EXISTS (${expr.plan.label})` : `(${expr.plan.label})`;
    case 'aggregate': {
      const distinct = expr.distinct ? 'DISTINCT ' : '';
      const args = expr.args.length === 0 ? '*' : expr.args.map(print).join(', ');
      const order =
        expr.orderBy.length > 0
          ? ` ORDER BY ${expr.orderBy.map((key) => print(key.expr) + (key.descending ? ' DESC' : '')).join(', ')}`
          : '';
      const filter = expr.filter ? ` FILTER (WHERE ${print(expr.filter)})` : '';
      return `${expr.overload.name}(${distinct}${args}${order})${filter}`;
    }
    case 'generator':
      return `${expr.overload.name}(${expr.args.map(print).join(', ')})`;
    case 'window': {
      const filter = expr.filter ? ` FILTER (WHERE ${print(expr.filter)})` : '';
      return `${expr.overload.name}(${expr.args.map(print).join(', ')})${filter} OVER (${formatWindow(expr, print)})`;
    }
  }
}

/** PARTITION BY, ORDER BY and the frame, the last only where it is not the usual one. */
export function formatWindow({ partitionBy, orderBy, frame }: TypedWindow, print: (node: TypedExpr) => string): string {
  const parts: string[] = [];
  if (partitionBy.length > 0) parts.push(`PARTITION BY ${partitionBy.map(print).join(', ')}`);
  if (orderBy.length > 0) {
    parts.push(`ORDER BY ${orderBy.map((key) => `${print(key.expr)}${key.descending ? ' DESC' : ''}`).join(', ')}`);
  }
  const bound = ({ type, offset }: TypedFrameBound): string => {
    const words = type.replace(/[A-Z]/g, (letter) => ` ${letter}`).toUpperCase();
    return offset ? `${print(offset)} ${words}` : words;
  };
  const isUsual = frame.mode === 'range' && frame.start.type === 'unboundedPreceding' && frame.end.type === 'currentRow' && !frame.exclude;
  if (!isUsual) {
    const exclude = frame.exclude ? ` EXCLUDE ${frame.exclude === 'currentRow' ? 'CURRENT ROW' : frame.exclude.toUpperCase()}` : '';
    parts.push(`${frame.mode.toUpperCase()} BETWEEN ${bound(frame.start)} AND ${bound(frame.end)}${exclude}`);
  }
  return parts.join(' ');
}

function isAtom(expr: TypedExpr): boolean {
  switch (expr.kind) {
    case 'call':
      return expr.operator === undefined;
    case 'const':
    case 'column':
    case 'outer':
    case 'placeholder':
    case 'coalesce':
    case 'nullIf':
    case 'cast':
    case 'array':
    case 'tuple':
    case 'subscript':
    case 'field':
    case 'subquery':
    case 'aggregate':
    case 'generator':
    case 'window':
    case 'case':
      return true;
    default:
      return false;
  }
}

/** A constant as SQL: numbers and booleans bare, text quoted, other types as typed text. */
export function formatConstant(type: ColumnType, value: Datum): string {
  if (value === null) return 'NULL';
  switch (type.family) {
    case 'bool':
      return value ? 'true' : 'false';
    case 'int':
    case 'oid':
    case 'decimal':
      return plainText(type, value);
    case 'float': {
      const text = plainText(type, value);
      return /^-?\d+$/.test(text) ? `${text}.0` : /^-?[\d.e+-]+$/i.test(text) ? text : `'${text}'::FLOAT8`;
    }
    case 'string':
    case 'enum':
      return quoteLiteral(utf8Decode(value as ReturnType<typeof utf8Encode>));
    case 'array': {
      const { element } = type;
      return element ? `ARRAY[${(value as readonly Datum[]).map((item) => formatConstant(element, item)).join(', ')}]` : '';
    }
    case 'tuple':
      return `(${(value as readonly Datum[]).map((item, i) => formatConstant(type.fields?.[i] ?? type, item)).join(', ')})`;
    default:
      return `${quoteLiteral(plainText(type, value))}::${sqlTypeName(type)}`;
  }
}
