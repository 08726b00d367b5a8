/**
 * Views in a restore: which of them can be restored, and their texts under new database names.
 *
 * A view needs everything it reads and calls to be restored with it, views below it included. What a view's text
 * names it names in full, so a restore into another database, or under other names, changes them in it.
 */
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { TableDescriptor } from '../catalog/descriptor.ts';
import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import { quoteNames } from '../catalog/names.ts';
import type { ColumnRef, Expr, ObjectName, TableRef } from '../sql/parse/ast.ts';
import { parseQuery } from '../sql/parse/parse.ts';
import { printSelect } from '../sql/parse/printer.ts';
import { splitName } from '../sql/exec/catalogLookup.ts';
import { type Rewrite, rewriteStoredTexts, rewriteTree } from '../sql/exec/ddl/storedTexts.ts';

import type { Report } from './problems.ts';
import type { NewNames } from './renames.ts';
import type { RestoreTargets } from './restoreTargets.ts';

/** The targets without views whose sources, or functions, are not restored; reports a 22023 for one that `skip` does not give up. */
export function withoutLostViews(targets: RestoreTargets, skip: SkipLost, backup: CatalogSnapshot, report: Report): RestoreTargets {
  let tables = targets.tables;
  const functionIds = new Set(targets.functions.map(({ id }) => id));
  for (;;) {
    const ids = new Set(tables.map(({ id }) => id));
    const missingOf = ({ view }: TableDescriptor): Missing | undefined => {
      const table = view?.dependsOnIds.find((id) => !ids.has(id));
      if (table !== undefined) return { id: table, isFunction: false };
      const called = view?.functionIds?.find((id) => !functionIds.has(id));
      return called === undefined ? undefined : { id: called, isFunction: true };
    };
    const kept = tables.filter((table) => missingOf(table) === undefined);
    if (kept.length === tables.length) return { ...targets, tables };
    for (const view of tables) {
      const missing = missingOf(view);
      if (missing && !skip.views && !(missing.isFunction && skip.functions)) report(lostView(view, missing, backup));
    }
    // What reads a view that is given up is lost with it: next time round.
    tables = kept;
  }
}

/** `views`: those that read or call what is not restored; `functions`: those that call it. */
interface SkipLost {
  readonly views: boolean;
  readonly functions: boolean;
}

interface Missing {
  readonly id: number;
  readonly isFunction: boolean;
}

function lostView(view: TableDescriptor, { id, isFunction }: Missing, backup: CatalogSnapshot): StatementError {
  const missing = backup.tableById(id) ?? backup.functionById(id);
  const name = missing && quoteNames(backup.fullName(missing));
  if (isFunction) {
    return new StatementError(
      SqlState.InvalidParameterValue,
      `cannot restore table "${view.name}" without referenced function ${id} (or "skip_missing_udfs" option)`,
      {
        detail: `it calls ${name ?? 'a function that the backup does not hold'}`,
        hint: 'functions come back with their database; give the view up: WITH skip_missing_udfs',
      },
    );
  }
  return new StatementError(
    SqlState.InvalidParameterValue,
    `cannot restore view "${view.name}" without restoring referenced table (or "skip_missing_views" option)`,
    {
      detail: `it reads ${name ?? 'a table that the backup does not hold'}`,
      hint: 'restore it in the same statement, or give the view up: WITH skip_missing_views',
    },
  );
}

/** A view's text with everything under its new name; `database`: the view's own in the backup. */
export function renameInQuery(query: string, database: string, names: NewNames): string {
  return names.isSame ? query : printSelect(rewriteTree(parseQuery(query), renaming(names, database)), {});
}

/** A table with the types that its expressions name under their new names. */
export function renameInExpressions(table: TableDescriptor, database: string, names: NewNames): TableDescriptor {
  return names.isSame || table.view !== undefined ? table : rewriteStoredTexts(table, renaming(names, database));
}

const nameParts = (parts: readonly string[]) => parts.map((text) => ({ text, pos: 0 }));

function renaming(names: NewNames, database: string): Rewrite {
  /** Two parts are of the text's own database, and stay two. */
  const newPath = (parts: readonly string[]): readonly string[] | undefined =>
    parts.length === 2 ? names.of([database, ...parts])?.slice(1) : names.of(parts);
  const nameOf = (name: ObjectName): ObjectName => {
    const parts = newPath(name.parts.map(({ text }) => text));
    return parts ? { ...name, parts: nameParts(parts) } : name;
  };
  const literalOf = (expr: Expr): Expr => {
    const parts = expr.kind === 'string' ? splitName(expr.value) : [];
    const full = parts.length === 3 ? names.of(parts) : undefined;
    return full && expr.kind === 'string' ? { ...expr, value: quoteNames(full) } : expr;
  };
  /** Under a new name of its own a table keeps the old one as its alias: columns go on naming it. */
  const tableOf = (node: TableRef): TableRef => {
    const old = node.name.parts.at(-1)?.text ?? '';
    const name = nameOf(node.name);
    const isSame = name.parts.at(-1)?.text === old;
    return { ...node, name, alias: node.alias ?? (isSame ? undefined : { name: { text: old, pos: 0 }, columns: [] }) };
  };
  /** `db.schema.table.column` and `schema.table.column`. */
  const columnOf = (node: ColumnRef): ColumnRef => {
    const parts = node.parts.map(({ text }) => text);
    const [table = '', column = ''] = parts.slice(-2);
    const full = parts.length > 2 ? newPath(parts.slice(0, -1)) : undefined;
    if (!full) return node;
    return { ...node, parts: nameParts(full.at(-1) === table ? [...full, column] : [table, column]) };
  };
  // A node is made anew once: its parts are visited with the change made.
  const done = new WeakSet<object>();
  const rewrite: Rewrite = (node) => {
    if (done.has(node)) return undefined;
    const next = ((): Record<string, unknown> | undefined => {
      switch (node['kind']) {
        case 'table':
          return { ...tableOf(node as unknown as TableRef) };
        case 'typeName':
          return { ...node, name: nameOf(node['name'] as ObjectName) };
        case 'column':
          return { ...columnOf(node as unknown as ColumnRef) };
        case 'cast':
        case 'annotate':
          return { ...node, operand: literalOf(node['operand'] as Expr) };
        case 'call': {
          const args = node['args'] as readonly Expr[];
          const [first, ...others] = args;
          const name = nameOf(node['name'] as ObjectName);
          return { ...node, name, args: first ? [literalOf(first), ...others] : [] };
        }
        default:
          return undefined;
      }
    })();
    if (!next) return undefined;
    done.add(next);
    return rewriteTree(next, rewrite);
  };
  return rewrite;
}
