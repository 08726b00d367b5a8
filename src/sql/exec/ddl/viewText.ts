/**
 * View texts: a query as a view keeps it, and what it depends on.
 *
 * The query is planned once with everyone listening: which object each name stands for, which columns
 * are named, what each `*` stands for. Then it is printed with full names in place of those written and
 * columns in place of stars, so that it means the same under any search path, and after columns were
 * added. Names of sequences and tables in constants (`'t'::REGCLASS`, `nextval('s')`) count too.
 */
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import { type FunctionDescriptor, MAX_SYSTEM_ID, type TableDescriptor, type ViewDefinition } from '../../../catalog/descriptor.ts';
import { quoteNames } from '../../../catalog/names.ts';
import type { ResolvedObject } from '../../../catalog/catalog.ts';
import type { CallExpr, Expr, ObjectName, SelectCore, SelectStatement, SelectTarget, Star, TableRef, TypeName } from '../../parse/ast.ts';
import { printSelect } from '../../parse/printer.ts';
import { planStatement } from '../../plan/planner.ts';
import type { PlanColumn } from '../../plan/plan.ts';
import type { ScopeColumn } from '../../plan/scope.ts';
import { splitName } from '../catalogLookup.ts';
import { planEnvironment } from '../planEnvironment.ts';
import type { SchemaChange } from './common.ts';
import { type Rewrite, rewriteTree, visitTree } from './storedTexts.ts';

export interface ViewText {
  readonly columns: readonly PlanColumn[];
  readonly definition: ViewDefinition;
  /** Databases of what it depends on. */
  readonly databaseIds: ReadonlySet<number>;
}

const SEQUENCE_FUNCTIONS: ReadonlySet<string> = new Set(['nextval', 'currval', 'setval']);
const MUTATIONS: ReadonlySet<string> = new Set(['insert', 'update', 'delete']);

/** Throws what planning the query throws; 0A000 for what no view can hold. */
export function viewText(change: SchemaChange, query: SelectStatement): ViewText {
  checkContents(query);
  const noted = new Dependencies(change);
  const { context, snapshot, roles } = change;
  const env = planEnvironment(context, snapshot, roles, { notes: noted });
  const plan = planStatement(env, query, [], noted);
  if (plan.placeholderTypes.length > 0) {
    throw new StatementError(SqlState.FeatureNotSupported, 'views cannot use placeholders');
  }
  const text = rewriteTree(query, noted.rewrite);
  return { columns: plan.columns, definition: noted.definition(printSelect(text, {})), databaseIds: noted.databaseIds };
}

/** Plans a view that is there; throws what its text no longer means. */
export function checkView(change: SchemaChange, view: TableDescriptor): void {
  const [database = ''] = change.snapshot.fullName(view);
  const env = planEnvironment(change.context, change.snapshot, change.roles);
  const source = env.viewSource(view, database);
  planStatement(source.env, source.query);
}

export function checkContents(query: SelectStatement): void {
  visitTree(query, (node) => {
    const kind = String(node['kind']);
    if (MUTATIONS.has(kind)) {
      throw new StatementError(SqlState.SyntaxError, `${kind.toUpperCase()} cannot be used inside a view definition`);
    }
    if (kind === 'statementSource' && (node['statement'] as { kind: string }).kind !== 'select') {
      const shown = (node['statement'] as { kind: string }).kind;
      if (MUTATIONS.has(shown)) {
        throw new StatementError(SqlState.SyntaxError, `${shown.toUpperCase()} cannot be used inside a view definition`);
      }
      throw new StatementError(SqlState.FeatureNotSupported, 'only queries can be used inside a view definition');
    }
    if (kind === 'selectCore' && (node as unknown as SelectCore).asOf) {
      throw new StatementError(SqlState.SyntaxError, 'AS OF SYSTEM TIME must be provided on a top-level statement');
    }
    if (kind === 'placeholder') throw new StatementError(SqlState.FeatureNotSupported, 'views cannot use placeholders');
  });
}

export class Dependencies {
  readonly #change: SchemaChange;
  readonly #names = new Map<unknown, readonly string[]>();
  readonly #stars = new Map<Star, readonly ScopeColumn[]>();
  readonly #tables = new Map<number, { readonly table: TableDescriptor; readonly uses: Set<number> }>();
  readonly #types = new Set<number>();
  readonly #functions = new Set<number>();
  readonly databaseIds = new Set<number>();
  readonly #pendingUses = new Map<number, Set<number>>();

  constructor(change: SchemaChange) {
    this.#change = change;
  }

  // NameNotes
  relation(name: ObjectName, { descriptor }: ResolvedObject): void {
    this.#names.set(name, this.#change.snapshot.fullName(descriptor));
    this.#add(descriptor);
  }

  virtual(name: ObjectName, table: { readonly schema: string; readonly name: string }): void {
    if (name.parts.length === 1) this.#names.set(name, [table.schema, table.name]);
  }

  type(name: TypeName, type: Parameters<SchemaChange['snapshot']['fullName']>[0]): void {
    this.#names.set(name.name, this.#change.snapshot.fullName(type));
    this.#types.add(type.id);
    this.databaseIds.add(type.parentId);
  }

  function(name: ObjectName, called: FunctionDescriptor): void {
    this.#names.set(name, this.#change.snapshot.fullName(called));
    this.#functions.add(called.id);
    this.databaseIds.add(called.parentId);
  }

  // QueryRecorder
  usesOf(tableId: number): Set<number> {
    let uses = this.#pendingUses.get(tableId);
    if (!uses) {
      uses = new Set();
      this.#pendingUses.set(tableId, uses);
    }
    return uses;
  }

  star(star: Star, columns: readonly ScopeColumn[]): void {
    this.#stars.set(star, columns);
    for (const { table, columnId } of columns) if (columnId !== undefined) table?.uses?.add(columnId);
  }

  #add(table: TableDescriptor): void {
    if (table.id <= MAX_SYSTEM_ID) return;
    if (!this.#tables.has(table.id)) this.#tables.set(table.id, { table, uses: this.usesOf(table.id) });
    this.databaseIds.add(table.parentId);
  }

  readonly rewrite: Rewrite = (node) => {
    const full = this.#names.get(node);
    // A table named by id is kept by its name from here on.
    if (full) return { ...node, id: undefined, parts: full.map((text) => ({ text, pos: 0 })) };
    switch (node['kind']) {
      case 'selectCore':
        return this.#withoutStars(node as unknown as SelectCore);
      case 'table': {
        const hint = (node as unknown as TableRef).hint?.index?.text;
        const name = (node as unknown as TableRef).name;
        if (hint !== undefined) this.#useIndex(name, hint);
        if ('columnIds' in node) throw new StatementError(SqlState.FeatureNotSupported, 'views cannot name columns by their ids');
        return undefined;
      }
      case 'cast':
      case 'annotate':
      case 'typedLiteral':
        return this.#regclass(node);
      case 'call':
        return this.#sequenceCall(node as unknown as CallExpr);
      default:
        return undefined;
    }
  };

  #withoutStars(core: SelectCore): unknown {
    if (!core.targets.some(({ expr }) => expr.kind === 'star' && this.#stars.has(expr))) return undefined;
    const targets = core.targets.flatMap((target): SelectTarget[] => {
      const columns = target.expr.kind === 'star' ? this.#stars.get(target.expr) : undefined;
      return columns ? columns.map((column) => ({ ...target, expr: columnRef(column), alias: undefined })) : [target];
    });
    return rewriteTree({ ...core, targets }, this.rewrite);
  }

  readonly #indexes = new Map<number, Set<number>>();

  #useIndex(name: ObjectName, index: string): void {
    const full = this.#names.get(name);
    const table = full && this.#change.snapshot.resolveTable(full, this.#change.context.names)?.descriptor;
    const found = table?.indexes.find((one) => one.name === index);
    if (table && found) this.#indexes.set(table.id, (this.#indexes.get(table.id) ?? new Set()).add(found.id));
  }

  /** `'t'::REGCLASS` with the relation's full name; undefined for other casts and relations that are not there. */
  #regclass(node: Readonly<Record<string, unknown>>): unknown {
    const type = (node['type'] as TypeName).name.parts.at(-1)?.text.toLowerCase();
    if (type !== 'regclass') return undefined;
    if (node['kind'] === 'typedLiteral') {
      const name = this.#named(String(node['value']));
      return name === undefined ? undefined : { ...node, value: name };
    }
    const operand = this.#literal(node['operand'] as Expr);
    return operand && { ...node, operand };
  }

  #sequenceCall(call: CallExpr): unknown {
    const [first, ...rest] = call.args;
    if (!first || !SEQUENCE_FUNCTIONS.has(call.name.parts.at(-1)?.text.toLowerCase() ?? '')) return undefined;
    const literal = this.#literal(first);
    return literal && { ...call, args: [literal, ...rest.map((arg) => rewriteTree(arg, this.rewrite))] };
  }

  #literal(expr: Expr): Expr | undefined {
    if (expr.kind !== 'string') return undefined;
    const name = this.#named(expr.value);
    return name === undefined ? undefined : { ...expr, value: name };
  }

  #named(text: string): string | undefined {
    const { snapshot, context } = this.#change;
    const table = snapshot.resolveTable(splitName(text), context.names)?.descriptor;
    if (!table) return undefined;
    this.#add(table);
    return quoteNames(snapshot.fullName(table));
  }

  definition(query: string): ViewDefinition {
    const ids = [...this.#tables.keys()].sort((a, b) => a - b);
    const columnUses = ids.map((id) => ({
      id,
      columnIds: [...(this.#tables.get(id)?.uses ?? [])].sort((a, b) => a - b),
      ...(this.#indexes.has(id) && { indexIds: [...(this.#indexes.get(id) ?? [])] }),
    }));
    const sorted = (set: ReadonlySet<number>): number[] => [...set].sort((a, b) => a - b);
    const functions = this.#functions.size > 0 && { functionIds: sorted(this.#functions) };
    return { query, dependsOnIds: ids, columnUses, typeIds: sorted(this.#types), ...functions };
  }
}

function columnRef({ name, table }: ScopeColumn): Expr {
  const parts = table ? [table.name, name] : [name];
  return { kind: 'column', parts: parts.map((text) => ({ text, pos: 0 })), pos: 0 };
}
