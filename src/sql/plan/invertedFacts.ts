/**
 * What a condition says about the keys of inverted indexes.
 *
 *   doc @> '{"a": {"b": 1}}'   tags @> ARRAY['x']   and <@ the other way round
 *   doc->'a'->'b' = '1'        doc->'a'->>'b' = 'x'
 *
 * Each becomes equalities on the index's key column: rows that meet the condition are among those that they find, each once
 * (IK1 of invertedKeys.ts), and the condition is tested on them. Of the keys of one value the longest is looked up.
 * Lives elsewhere: facts that are about columns (spanFacts.ts).
 */
import { type Bytes, utf8Decode } from '../../base/bytes.ts';
import { letGo, StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { Datum, Json } from '../../catalog/datum.ts';
import type { IndexDescriptor, TableDescriptor } from '../../catalog/descriptor.ts';
import { containmentKeys, pathKey, PRESENT } from '../../catalog/invertedKeys.ts';
import { type JsonValue, parseJson } from '../../catalog/json.ts';
import { arrayOf, type ColumnType, Type, typesEquivalent } from '../../catalog/type.ts';
import { invertedFunctions } from '../expr/builtins/inverted.ts';
import { traits } from '../expr/traits.ts';
import type { TypedExpr } from '../expr/typedExpr.ts';
import type { KeyAlternative, ScanNode } from './plan.ts';
import type { Fact } from './spanFacts.ts';

/** The facts about the inverted indexes of a scan's table; none without such an index. */
export function invertedFacts(conjuncts: readonly TypedExpr[], scan: ScanNode): Fact[] {
  const inverted = scan.table.indexes.filter((index) => index.inverted && index.state === 'public');
  if (inverted.length === 0) return [];
  return conjuncts.flatMap((conjunct) => {
    const found = contained(conjunct, scan) ?? atPath(conjunct, scan);
    if (!found) return [];
    return inverted.flatMap((index): Fact[] =>
      index.inverted?.columnId === found.columnId
        ? [{ columnId: keyColumnId(index), conjunct, isExact: false, says: { equals: found.alternatives } }]
        : [],
    );
  });
}

/** 42809 for an inverted index that a hint asks for and no condition can use. */
export function requireUsable(table: TableDescriptor, name: string): void {
  if (!table.indexes.some((index) => index.name === name && index.inverted)) return;
  throw new StatementError(SqlState.WrongObjectType, `index "${name}" is inverted and cannot be used for this query`);
}

const keyColumnId = (index: IndexDescriptor): number => index.columnIds.at(-1) ?? 0;

interface Found {
  readonly columnId: number;
  readonly alternatives: readonly KeyAlternative[];
}

const columnOf = (expr: TypedExpr | undefined, scan: ScanNode): number | undefined =>
  expr?.kind === 'column' ? scan.columnIds[expr.index] : undefined;

const key = (value: Datum): KeyAlternative => ({ kind: 'value', value: { kind: 'const', type: Type.Bytes, value } });

function contained(expr: TypedExpr, scan: ScanNode): Found | undefined {
  if (expr.kind !== 'call' || (expr.operator !== '@>' && expr.operator !== '<@')) return undefined;
  const [container, part] = expr.operator === '@>' ? expr.args : [expr.args[1], expr.args[0]];
  const columnId = columnOf(container, scan);
  if (columnId === undefined || !container || !part) return undefined;
  if (part.kind === 'const') {
    if (part.value === null || !isSameKind(container.type, part.type)) return undefined;
    const keys = containmentKeys(container.type, part.value);
    return keys.includes(PRESENT) ? undefined : { columnId, alternatives: keys.map(key) };
  }
  const { isRowIndependent, isAsync } = traits(part);
  if (!isRowIndependent || isAsync || !isSameKind(container.type, part.type)) return undefined;
  const overload = invertedFunctions.find(
    (one) => one.name === 'crdb_internal.containment_keys' && (one.params[0] === 'anyarray') === (part.type.family === 'array'),
  );
  if (!overload) return undefined;
  const array: TypedExpr = { kind: 'call', type: arrayOf(Type.Bytes), overload, args: [part] };
  return { columnId, alternatives: [{ kind: 'elements', array }] };
}

/** Elements are encoded by the column's type. */
function isSameKind(column: ColumnType, part: ColumnType): boolean {
  if (column.family === 'jsonb') return part.family === 'jsonb';
  return column.element !== undefined && part.element !== undefined && typesEquivalent(column.element, part.element);
}

/** A member reached by names alone equals a scalar. */
function atPath(expr: TypedExpr, scan: ScanNode): Found | undefined {
  if (expr.kind !== 'comparison' || expr.op !== '=') return undefined;
  const [path, value] = expr.right.kind === 'const' ? [expr.left, expr.right] : [expr.right, expr.left];
  if (value.kind !== 'const' || value.value === null || path.kind !== 'call') return undefined;
  const isText = path.operator === '->>';
  const members: string[] = [];
  let at: TypedExpr | undefined = path;
  while (at?.kind === 'call' && (at.operator === '->' || (isText && at === path))) {
    const [object, name]: readonly TypedExpr[] = at.args;
    if (name?.kind !== 'const' || name.type.family !== 'string' || name.value === null) return undefined;
    members.unshift(utf8Decode(name.value as Bytes));
    at = object;
  }
  const columnId = columnOf(at, scan);
  if (columnId === undefined || members.length === 0) return undefined;
  if (!isText && value.type.family !== 'jsonb') return undefined;
  const values = isText ? spokenAs(utf8Decode(value.value as Bytes)) : [(value.value as Json).value];
  const keys = values?.map((one) => pathKey(members, one));
  if (!keys?.every((one) => one !== undefined)) return undefined;
  return { columnId, alternatives: keys.map(key) };
}

/** The scalars whose text by ->> is this one; undefined where an object or array may have it. */
function spokenAs(text: string): JsonValue[] | undefined {
  if (/^[[{]/.test(text)) return undefined;
  const values: JsonValue[] = [text];
  if (text === 'true' || text === 'false') values.push(text === 'true');
  if (/^-?\d/.test(text)) {
    try {
      values.push(parseJson(text));
    } catch (error) {
      // No number: text only.
      letGo(error);
    }
  }
  return values;
}
