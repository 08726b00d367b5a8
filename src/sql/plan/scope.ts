/**
 * Scopes: which column a name means, and which enclosing query it belongs to.
 *
 * A SelectScope lists the columns of one FROM clause in row order, with the name each goes by. A
 * name not found there is looked up in the enclosing queries, nearest first. Each query expression
 * that becomes a subquery has a Frame, which notes what it reads of the row around it: so a
 * subquery knows whether it is correlated, and on which columns.
 *
 * Source of the message texts: CockroachDB's.
 */
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { ColumnType } from '../../catalog/type.ts';
import type { ResolvedColumn, Scope } from '../expr/scope.ts';
import type { ColumnRef, Name, WindowSpec } from '../parse/ast.ts';

/** One query expression inside another: what it reads of the rows around it. */
export class Frame {
  /** The scope around the subquery; undefined for a whole statement. */
  readonly outer: SelectScope | undefined;
  isCorrelated = false;
  isVolatile = false;
  /** Positions in the immediately enclosing row. */
  readonly outerColumns = new Set<number>();

  constructor(outer: SelectScope | undefined) {
    this.outer = outer;
  }
}

/** The relation that columns come from, by the names it can be called by. */
export interface ScopeTable {
  /** Alias, or the relation's own name. */
  readonly name: string;
  readonly schema: string | undefined;
  readonly database: string | undefined;
  /** For GROUP BY's functional dependency: ids of the primary key's columns; undefined when it is no table. */
  readonly keyColumnIds: readonly number[] | undefined;
  /** Collects the ids of its columns that expressions name, where someone asks (PlanContext.recorder). */
  readonly uses?: Set<number>;
}

export interface ScopeColumn {
  readonly name: string;
  readonly type: ColumnType;
  /** Position in the row. */
  readonly index: number;
  readonly table: ScopeTable | undefined;
  /** Left out of `*`, still found by name. */
  readonly isHidden: boolean;
  /** Merged by USING: found only with its table's name, and not part of `*`. */
  readonly isMerged: boolean;
  readonly tableId?: number;
  readonly columnId?: number;
  /** On a side of an outer join whose rows may be missing. */
  readonly mayBeMissing?: boolean;
}

export class SelectScope implements Scope {
  readonly columns: readonly ScopeColumn[];
  readonly frame: Frame;
  /** The WINDOW clause of the query, by name. */
  windows: ReadonlyMap<string, WindowSpec> | undefined;

  constructor(columns: readonly ScopeColumn[], frame: Frame) {
    this.columns = columns;
    this.frame = frame;
  }

  resolveColumn(parts: readonly Name[], _ref: ColumnRef): ResolvedColumn {
    const found = this.find(parts);
    if (found) return found;
    const last = parts.at(-1)?.text ?? '';
    if (parts.length > 1 && !this.hasTable(parts.slice(0, -1))) {
      throw new StatementError(SqlState.UndefinedTable, `no data source matches prefix: ${prefixText(parts)} in this context`);
    }
    throw new StatementError(SqlState.UndefinedColumn, `column "${parts.length > 1 ? `${prefixText(parts)}.` : ''}${last}" does not exist`);
  }

  resolveOrdinal(ordinal: number): ResolvedColumn | undefined {
    const column = this.columns.filter((candidate) => !candidate.isHidden && !candidate.isMerged)[ordinal - 1];
    return column && { index: column.index, type: column.type, name: column.name, depth: 0 };
  }

  resolveRow(name: Name): readonly ResolvedColumn[] | undefined {
    const columns = this.columns.filter((column) => column.table?.name === name.text && !column.isHidden);
    if (columns.length > 0) {
      for (const { table, columnId } of columns) if (columnId !== undefined) table?.uses?.add(columnId);
      return columns.map((column) => ({ index: column.index, type: column.type, name: column.name, depth: 0 }));
    }
    const around = this.frame.outer?.resolveRow(name);
    if (!around) return undefined;
    this.frame.isCorrelated = true;
    return around.map((column) => {
      if (column.depth === 0) this.frame.outerColumns.add(column.index);
      return { ...column, depth: column.depth + 1 };
    });
  }

  presenceOf(name: Name): readonly ResolvedColumn[] | undefined {
    const columns = this.columns.filter((column) => column.table?.name === name.text);
    const [first] = columns;
    if (!first) {
      const around = this.frame.outer?.presenceOf(name);
      for (const { depth, index } of around ?? []) if (depth === 0) this.frame.outerColumns.add(index);
      return around?.map((column) => ({ ...column, depth: column.depth + 1 }));
    }
    if (!first.mayBeMissing) return undefined;
    const keyIds = first.table?.keyColumnIds;
    const key = columns.filter(({ columnId }) => columnId !== undefined && keyIds?.includes(columnId));
    const told = key.length > 0 ? key : columns.filter((column) => !column.isHidden);
    return told.map((column) => ({ index: column.index, type: column.type, name: column.name, depth: 0 }));
  }

  /** The columns of `t.*`; undefined when no such table is here or around. */
  columnsOf(qualifier: readonly Name[]): readonly ScopeColumn[] | undefined {
    const columns = this.columns.filter((column) => column.table !== undefined && matches(column.table, qualifier));
    if (columns.length === 0) return undefined;
    checkOneTable(columns, qualifier);
    return columns.filter((column) => !column.isHidden);
  }

  private find(parts: readonly Name[]): ResolvedColumn | undefined {
    const name = parts.at(-1)?.text ?? '';
    const qualifier = parts.slice(0, -1);
    let found: ScopeColumn | undefined;
    for (const column of this.columns) {
      if (column.name !== name) continue;
      if (qualifier.length === 0 ? column.isMerged : !column.table || !matches(column.table, qualifier)) continue;
      if (found && found.index !== column.index) {
        // A visible column is meant before a hidden one of the same name (rowid of two tables stays ambiguous).
        if (found.isHidden !== column.isHidden) {
          if (found.isHidden) found = column;
          continue;
        }
        throw ambiguous(name, this.columns, qualifier);
      }
      found = column;
    }
    if (found) {
      if (found.columnId !== undefined) found.table?.uses?.add(found.columnId);
      return { index: found.index, type: found.type, name: found.name, depth: 0 };
    }
    if (qualifier.length > 0 && this.#hasLocalTable(qualifier)) return undefined;
    const around = this.frame.outer?.find(parts);
    if (!around) return undefined;
    this.frame.isCorrelated = true;
    if (around.depth === 0) this.frame.outerColumns.add(around.index);
    return { ...around, depth: around.depth + 1 };
  }

  #hasLocalTable(qualifier: readonly Name[]): boolean {
    return this.columns.some((column) => column.table !== undefined && matches(column.table, qualifier));
  }

  private hasTable(qualifier: readonly Name[]): boolean {
    return this.#hasLocalTable(qualifier) || (this.frame.outer?.hasTable(qualifier) ?? false);
  }
}

/** Does `qualifier` (table, schema.table, database.table or all three) name the table? */
function matches(table: ScopeTable, qualifier: readonly Name[]): boolean {
  const name = qualifier.at(-1)?.text;
  if (name !== table.name) return false;
  if (qualifier.length === 1) return true;
  const first = qualifier[0]?.text;
  if (qualifier.length === 2) return first === table.schema || (first === table.database && table.schema === 'public');
  return first === table.database && qualifier[1]?.text === table.schema;
}

function prefixText(parts: readonly Name[]): string {
  return parts
    .slice(0, -1)
    .map((part) => part.text)
    .join('.');
}

function checkOneTable(columns: readonly ScopeColumn[], qualifier: readonly Name[]): void {
  const first = columns[0]?.table;
  if (columns.some((column) => column.table !== first)) {
    throw new StatementError(SqlState.AmbiguousAlias, `ambiguous source name: "${qualifier.map((part) => part.text).join('.')}"`);
  }
}

function ambiguous(name: string, columns: readonly ScopeColumn[], qualifier: readonly Name[]): StatementError {
  const candidates = columns
    .filter(
      (column) =>
        column.name === name && !column.isMerged && (qualifier.length === 0 || (column.table && matches(column.table, qualifier))),
    )
    .map((column) => (column.table ? `${column.table.name}.${name}` : `<anonymous>.${name}`));
  return new StatementError(SqlState.AmbiguousColumn, `column reference "${name}" is ambiguous (candidates: ${candidates.join(', ')})`);
}
