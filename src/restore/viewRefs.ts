/**
 * Views in a restore: which of them can be restored, and their texts under new database names.
 *
 * A view needs everything it reads to be restored with it, views below it included. What a view's text
 * names it names in full, so a restore into another database changes the database in it.
 */
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { TableDescriptor } from '../catalog/descriptor.ts';
import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import { quoteNames } from '../catalog/names.ts';
import type { Expr, ObjectName } from '../sql/parse/ast.ts';
import { parseQuery } from '../sql/parse/parse.ts';
import { printSelect } from '../sql/parse/printer.ts';
import { splitName } from '../sql/exec/catalogLookup.ts';
import { type Rewrite, rewriteTree } from '../sql/exec/ddl/storedTexts.ts';

import type { RestoreTargets } from './restoreTargets.ts';

/** The targets without views whose sources are not restored; 22023 for one unless `skip`. */
export function withoutLostViews(targets: RestoreTargets, skip: boolean, backup: CatalogSnapshot): RestoreTargets {
  let tables = targets.tables;
  for (;;) {
    const ids = new Set(tables.map(({ id }) => id));
    const missingOf = (table: TableDescriptor) => table.view?.dependsOnIds.find((id) => !ids.has(id));
    const lost = tables.find((table) => missingOf(table) !== undefined);
    if (!lost) return { ...targets, tables };
    if (!skip) {
      const missing = backup.tableById(missingOf(lost) ?? 0);
      throw new StatementError(
        SqlState.InvalidParameterValue,
        `cannot restore view "${lost.name}" without restoring referenced table (or "skip_missing_views" option)`,
        {
          detail: `it reads ${missing ? quoteNames(backup.fullName(missing)) : 'a table that the backup does not hold'}`,
          hint: 'restore it in the same statement, or give the view up: WITH skip_missing_views',
        },
      );
    }
    // What reads a view that is given up is lost with it: next time round.
    tables = tables.filter((table) => missingOf(table) === undefined);
  }
}

/** A view's text with databases renamed; `names`: old names to new ones. */
export function renameDatabases(query: string, names: ReadonlyMap<string, string>): string {
  const isSame = [...names].every(([from, to]) => from === to);
  return isSame ? query : printSelect(rewriteTree(parseQuery(query), renaming(names)), {});
}

function renaming(names: ReadonlyMap<string, string>): Rewrite {
  const renamed = (parts: readonly string[], full: number): string[] | undefined => {
    const to = parts.length === full ? names.get(parts[0] ?? '') : undefined;
    return to === undefined ? undefined : [to, ...parts.slice(1)];
  };
  const nameOf = (name: ObjectName, full: number): ObjectName => {
    const parts = renamed(
      name.parts.map((part) => part.text),
      full,
    );
    return parts ? { ...name, parts: parts.map((text) => ({ text, pos: 0 })) } : name;
  };
  const literalOf = (expr: Expr): Expr => {
    const parts = expr.kind === 'string' ? renamed(splitName(expr.value), 3) : undefined;
    return parts && expr.kind === 'string' ? { ...expr, value: quoteNames(parts) } : expr;
  };
  // A node is made anew once: its parts are visited with the change made.
  const done = new WeakSet<object>();
  const rewrite: Rewrite = (node) => {
    if (done.has(node)) return undefined;
    const next = ((): Record<string, unknown> | undefined => {
      switch (node['kind']) {
        case 'table':
        case 'typeName':
          return { ...node, name: nameOf(node['name'] as ObjectName, 3) };
        case 'column': {
          // db.schema.table.column
          const made = nameOf(node as unknown as ObjectName, 4);
          return { ...node, parts: made.parts };
        }
        case 'cast':
        case 'annotate':
          return { ...node, operand: literalOf(node['operand'] as Expr) };
        case 'call': {
          const args = node['args'] as readonly Expr[];
          const [first] = args;
          return first ? { ...node, args: [literalOf(first), ...args.slice(1)] } : undefined;
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
