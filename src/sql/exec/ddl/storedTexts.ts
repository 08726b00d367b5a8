/**
 * Stored texts of a descriptor: defaults, computed columns, checks, index predicates and a view's query,
 * visited and rewritten as syntax trees.
 */
import type { TableDescriptor } from '../../../catalog/descriptor.ts';
import { updated } from '../../../catalog/descriptor.ts';
import type { CallExpr, TypeName } from '../../parse/ast.ts';
import { parseExpression, parseQuery } from '../../parse/parse.ts';
import { printExpr, printSelect } from '../../parse/printer.ts';

/** A new node, or undefined to go on into the parts of this one. */
export type Rewrite = (node: Readonly<Record<string, unknown>>) => unknown;

/** Rebuilds a syntax tree, from the outside in. */
export function rewriteTree<T>(tree: T, rewrite: Rewrite): T {
  const visit = (node: unknown): unknown => {
    if (Array.isArray(node)) return node.map(visit);
    if (typeof node !== 'object' || node === null) return node;
    const made = rewrite(node as Record<string, unknown>);
    if (made !== undefined) return made;
    return Object.fromEntries(Object.entries(node).map(([key, value]) => [key, visit(value)]));
  };
  return visit(tree) as T;
}

/** Calls `see` for every node of a tree. */
export function visitTree(tree: unknown, see: (node: Readonly<Record<string, unknown>>) => void): void {
  if (Array.isArray(tree)) {
    for (const item of tree) visitTree(item, see);
  } else if (typeof tree === 'object' && tree !== null) {
    see(tree as Record<string, unknown>);
    for (const value of Object.values(tree)) visitTree(value, see);
  }
}

/** The expressions that a descriptor keeps as text, a view's query left out. */
export function storedExpressions(table: TableDescriptor): string[] {
  const texts = table.columns.flatMap((column) => [column.defaultExpr, column.onUpdateExpr, column.computeExpr]);
  texts.push(...table.checks.map((check) => check.expr), ...table.indexes.map((index) => index.predicate));
  return texts.filter((text) => text !== undefined);
}

/** The descriptor with every stored text rewritten; texts in which nothing changes stay as they are. */
export function rewriteStoredTexts(table: TableDescriptor, rewrite: Rewrite): TableDescriptor {
  const expression = (text: string): string => changed(text, parseExpression(text), (tree) => printExpr(tree), rewrite);
  const optional = <K extends string>(key: K, text: string | undefined) =>
    text === undefined ? {} : ({ [key]: expression(text) } as Record<K, string>);
  return updated(table, {
    columns: table.columns.map((column) => ({
      ...column,
      ...optional('defaultExpr', column.defaultExpr),
      ...optional('onUpdateExpr', column.onUpdateExpr),
      ...optional('computeExpr', column.computeExpr),
    })),
    checks: table.checks.map((check) => ({ ...check, expr: expression(check.expr) })),
    indexes: table.indexes.map((index) => ({ ...index, ...optional('predicate', index.predicate) })),
    ...(table.view && {
      view: { ...table.view, query: changed(table.view.query, parseQuery(table.view.query), (tree) => printSelect(tree, {}), rewrite) },
    }),
  });
}

function changed<T>(text: string, tree: T, print: (tree: T) => string, rewrite: Rewrite): string {
  let isChanged = false;
  const made = rewriteTree(tree, (node) => {
    const next = rewrite(node);
    if (next !== undefined) isChanged = true;
    return next;
  });
  return isChanged ? print(made) : text;
}

/** The calls in a tree whose names are qualified, as stored texts name functions of users. */
export function qualifiedCalls(tree: unknown): CallExpr[] {
  const found: CallExpr[] = [];
  visitTree(tree, (node) => {
    const call = node['kind'] === 'call' ? (node as unknown as CallExpr) : undefined;
    if (call && call.name.parts.length > 1) found.push(call);
  });
  return found;
}

/** The type names in a tree that are qualified, as stored texts name user types. */
export function qualifiedTypes(tree: unknown): TypeName[] {
  const found: TypeName[] = [];
  visitTree(tree, (node) => {
    if (node['kind'] === 'typeName' && (node as unknown as TypeName).name.parts.length > 1) found.push(node as unknown as TypeName);
  });
  return found;
}
