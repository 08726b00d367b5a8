/**
 * EXPLAIN's text: one line a node with its attributes below, children joined by branches.
 *
 *   • limit
 *   │ count: 10
 *   │
 *   └── • scan
 *         estimated row count: 400
 *         table: t@t_pkey
 *         spans: [a >= 1]
 */
import { MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND } from '../../base/duration.ts';
import type { Timestamp } from '../../base/timestamp.ts';
import { indexById } from '../../catalog/descriptor.ts';
import { formatExpr } from '../expr/formatExpr.ts';
import type { TypedExpr } from '../expr/typedExpr.ts';
import { knownEstimate } from './estimate.ts';
import {
  inputsOf,
  type JoinNode,
  type KeyAlternative,
  type KeyRange,
  type Plan,
  type PlanNode,
  type PreludeStep,
  type ScanNode,
} from './plan.ts';

interface Line {
  readonly title: string;
  readonly attributes: readonly string[];
  readonly children: readonly Line[];
}

/** What a run has counted at a node, as further attributes of it. */
export type Annotate = (node: PlanNode) => readonly string[];

/** The lines of a plan, its subqueries and WITH queries after it. `now`: from when the age of statistics is told. */
export function explainPlan(plan: Plan, now: Timestamp, annotate: Annotate = () => []): string[] {
  const describe = (node: PlanNode): Line => describeNode(node, (of) => [...annotate(of), ...estimateOf(of, now)]);
  const root = describe(plan.root);
  const describeStep = (step: PreludeStep): Line => {
    if (step.kind === 'slot')
      return {
        title: 'subquery',
        attributes: [`id: ${step.plan.label}`, `exec mode: ${step.plan.form}`],
        children: [describe(step.plan.node)],
      };
    const { recursive } = step;
    const children = recursive
      ? [describe(step.node), describe(recursive.step), ...recursive.prelude.map(describeStep)]
      : [describe(step.node)];
    return { title: 'with', attributes: [`name: ${step.name}`], children };
  };
  const extra = plan.prelude.map(describeStep);
  return print(extra.length === 0 ? root : { title: 'root', attributes: [], children: [root, ...extra] });
}

function print(line: Line): string[] {
  const lines = [`• ${line.title}`];
  const hasChildren = line.children.length > 0;
  for (const attribute of line.attributes) lines.push(`${hasChildren ? '│' : ' '} ${attribute}`);
  line.children.forEach((child, i) => {
    const isLast = i === line.children.length - 1;
    lines.push('│');
    const [first = '', ...rest] = print(child);
    lines.push(`${isLast ? '└' : '├'}── ${first}`);
    for (const text of rest) lines.push(`${isLast ? '    ' : '│   '}${text}`);
  });
  return lines;
}

/** Shown where rows come from or get fewer; elsewhere they are the input's. */
const ESTIMATED: ReadonlySet<PlanNode['kind']> = new Set(['scan', 'filter', 'join', 'lookupJoin', 'aggregate', 'setOperation']);

function estimateOf(node: PlanNode, now: Timestamp): string[] {
  const rows = ESTIMATED.has(node.kind) ? knownEstimate(node) : undefined;
  if (rows === undefined) return [];
  return [`estimated row count: ${rows.toLocaleString('en-US')}${node.kind === 'scan' ? groundOf(node, rows, now) : ''}`];
}

/** What a scan's estimate stands on: the table's size is counted, the values in it were looked at some time ago. */
function groundOf({ rowCount = 0, statistics }: ScanNode, rows: number, now: Timestamp): string {
  if (!statistics) return '';
  const share = rowCount === 0 ? 100 : Math.min(100, (rows / rowCount) * 100);
  const percent = share < 1 ? '<1' : String(Math.round(share));
  return ` (${percent}% of the table; stats collected ${ageText(now - statistics.createdAt)} ago)`;
}

function ageText(micros: number): string {
  const units: readonly (readonly [micros: number, name: string])[] = [
    [MICROS_PER_DAY, 'day'],
    [MICROS_PER_HOUR, 'hour'],
    [MICROS_PER_MINUTE, 'minute'],
  ];
  const [unit, name] = units.find(([length]) => micros >= length) ?? [MICROS_PER_SECOND, 'second'];
  const count = Math.max(0, Math.floor(micros / unit));
  return `${count} ${name}${count === 1 ? '' : 's'}`;
}

const JOIN_SUFFIXES: Readonly<Record<JoinNode['type'], string>> = Object.freeze({
  inner: '',
  left: ' (left outer)',
  right: ' (right outer)',
  full: ' (full outer)',
  semi: ' (semi)',
  anti: ' (anti)',
});

function describeNode(node: PlanNode, annotate: Annotate): Line {
  const children = inputsOf(node).map((input) => describeNode(input, annotate));
  const line = (title: string, ...attributes: (string | undefined)[]): Line => ({
    title,
    attributes: [...annotate(node), ...attributes.filter((attribute) => attribute !== undefined)],
    children,
  });
  const over = (input: PlanNode) => (expr: TypedExpr) => formatExpr(expr, (index) => input.columns[index]?.name ?? `@${index + 1}`);
  switch (node.kind) {
    case 'values':
      return line(
        'values',
        `size: ${node.columns.length} column${node.columns.length === 1 ? '' : 's'}, ${node.rows.length} row${node.rows.length === 1 ? '' : 's'}`,
      );
    case 'scan':
      return line(node.reverse ? 'revscan' : 'scan', ...scanAttributes(node));
    case 'virtualScan':
      return line('virtual table', `table: ${node.table.schema}.${node.table.name}`);
    case 'filter':
      return line('filter', `filter: ${over(node.input)(node.predicate)}`);
    case 'project':
      return line('render', `columns: ${node.exprs.map(over(node.input)).join(', ')}`);
    case 'projectSet':
      return line('project set', `functions: ${node.generators.map((generator) => formatExpr(generator)).join(', ')}`);
    case 'join': {
      const keys = node.leftKeys.map((left, i) => `${over(node.left)(left)} = ${over(node.right)(node.rightKeys[i] as TypedExpr)}`);
      const name = node.merge ? 'merge join' : keys.length > 0 ? 'hash join' : 'cross join';
      const kept = node.keepsLeft ? 'kept in memory: left side' : undefined;
      return line(
        `${name}${JOIN_SUFFIXES[node.type]}`,
        keys.length > 0 ? `equality: ${keys.join(' AND ')}` : undefined,
        kept,
        node.on && `pred: ${formatExpr(node.on, (index) => [...node.left.columns, ...node.right.columns][index]?.name ?? `@${index + 1}`)}`,
      );
    }
    case 'lookupJoin':
      return line(
        `lookup join${node.type === 'left' ? ' (left outer)' : ''}`,
        `table: ${node.scan.table.name}@${node.scan.index.name}`,
        `equality: ${node.keys.map((key, i) => `${over(node.input)(key)} = ${columnName(node.scan, node.scan.index.columnIds[i] ?? 0)}`).join(' AND ')}`,
        node.on && `pred: ${over(node)(node.on)}`,
      );
    case 'apply':
      return line(`apply join${node.type === 'left' ? ' (left outer)' : ''}`, node.on && `pred: ${over(node)(node.on)}`);
    case 'aggregate':
      return line(
        node.isScalar ? 'group (scalar)' : 'group (hash)',
        node.keys.length > 0 ? `group by: ${node.keys.map(over(node.input)).join(', ')}` : undefined,
        node.aggregates.length > 0 ? `aggregates: ${node.aggregates.map(over(node.input)).join(', ')}` : undefined,
      );
    case 'window':
      return line('window', ...node.windows.map((window) => `function: ${over(node.input)(window)}`));
    case 'sort': {
      const order = node.keys.map((key) => `${key.descending ? '-' : '+'}${node.input.columns[key.index]?.name}`).join(',');
      return line(node.top ? 'top-k' : 'sort', `order: ${order}`, node.top && `k: ${node.top.map((expr) => formatExpr(expr)).join(' + ')}`);
    }
    case 'limit':
      return line('limit', node.limit && `count: ${formatExpr(node.limit)}`, node.offset && `offset: ${formatExpr(node.offset)}`);
    case 'distinct':
      return line('distinct', `distinct on: ${node.on.map((index) => node.input.columns[index]?.name).join(', ')}`);
    case 'setOperation':
      return line(`${node.op}${node.all ? ' all' : ''}`);
    case 'ordinality':
      return line('ordinality');
    case 'cteScan':
      return line('scan buffer', `label: ${node.name}`);
    case 'statement':
      return line('statement', node.statement.kind);
    case 'lockRows':
      return line('lock rows', `strength: ${node.strength === 'exclusive' ? 'for update' : 'for share'}`);
    case 'insert': {
      const title = node.conflict?.type === 'upsert' ? 'upsert' : 'insert';
      return line(
        title,
        `into: ${node.table.name}(${node.table.columns.map((column) => column.name).join(', ')})`,
        node.conflict && node.conflict.type !== 'upsert' ? `on conflict: do ${node.conflict.type}` : undefined,
      );
    }
    case 'update':
      return line(
        'update',
        `table: ${node.table.name}`,
        `set: ${node.targets.map((position) => node.table.columns[position]?.name).join(', ')}`,
      );
    case 'delete':
      return line('delete', `from: ${node.table.name}`);
  }
}

function columnName(scan: ScanNode, id: number): string {
  return scan.table.columns.find((column) => column.id === id)?.name ?? `[${id}]`;
}

function scanAttributes(node: ScanNode): (string | undefined)[] {
  const { table, index, constraint } = node;
  const held = new Set([...index.columnIds, ...index.keySuffixColumnIds, ...index.storeColumnIds]);
  const isCovering = index.id === table.primaryIndex.id || node.columnIds.every((id) => held.has(id));
  return [
    `table: ${table.name}@${indexById(table, index.id)?.name ?? index.name}${isCovering ? '' : ' (index join)'}`,
    `spans: ${constraint ? spansText(node) : node.limit ? 'LIMITED SCAN' : 'FULL SCAN'}`,
    node.limit && `limit: ${node.limit.map((expr) => formatExpr(expr)).join(' + ')}`,
  ];
}

function alternativeText(alternative: KeyAlternative): string {
  if (alternative.kind === 'null') return 'NULL';
  return alternative.kind === 'value' ? formatExpr(alternative.value) : `ANY ${formatExpr(alternative.array)}`;
}

function spansText(node: ScanNode): string {
  const { constraint, index } = node;
  if (!constraint) return '';
  const ids = [...index.columnIds, ...index.keySuffixColumnIds];
  const parts = constraint.prefix.map((alternatives, i) => {
    const shown = alternatives.slice(0, 5).map(alternativeText);
    if (alternatives.length > 5) shown.push(`… ${alternatives.length - 5} more`);
    const name = columnName(node, ids[i] ?? 0);
    return shown.length === 1 ? `${name} = ${shown[0]}` : `${name} IN (${shown.join(', ')})`;
  });
  const name = columnName(node, ids[constraint.prefix.length] ?? 0);
  const ranges = (constraint.ranges ?? [constraint]).map((range) => rangeText(name, range)).filter((text) => text !== '');
  const [only] = ranges;
  if (only !== undefined) parts.push(ranges.length === 1 ? only : `(${ranges.join(' OR ')})`);
  return `[${parts.join(' AND ')}]`;
}

function rangeText(name: string, { low, high }: KeyRange): string {
  if (low && low === high) return `${name} = ${formatExpr(low.value)}`;
  const bounds: string[] = [];
  if (low) bounds.push(`${name} ${low.inclusive ? '>=' : '>'} ${formatExpr(low.value)}`);
  if (high) bounds.push(`${name} ${high.inclusive ? '<=' : '<'} ${formatExpr(high.value)}`);
  return bounds.join(' AND ');
}
