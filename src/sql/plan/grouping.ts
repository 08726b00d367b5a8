/**
 * Grouping: expressions over FROM rows become expressions over groups.
 *
 * GROUP BY expressions are the keys. In what stands above, a part that equals a key becomes that
 * key's column, an aggregate becomes its column, and any other column is an error, unless the keys
 * hold the primary key of its table: then it has one value a group, and joins the keys.
 */
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { TypedAggregate, TypedExpr } from '../expr/typedExpr.ts';
import { traits } from '../expr/traits.ts';
import { ExprPlaces, mapExpr } from '../expr/walk.ts';
import { moveColumns, moveSubquery } from './moveExpr.ts';
import type { PlanColumn, PlanNode } from './plan.ts';
import type { SelectScope } from './scope.ts';

// While expressions are rewritten keys may still join, so aggregates are numbered from here until
// the number of keys is known.
const AGGREGATE_BASE = 1_000_000;

export class Grouping {
  readonly #input: PlanNode;
  readonly #scope: SelectScope;
  readonly #keys: TypedExpr[] = [];
  readonly #keyPlaces = new ExprPlaces();
  readonly #aggregates: TypedAggregate[] = [];
  readonly #aggregatePlaces = new ExprPlaces();

  constructor(input: PlanNode, scope: SelectScope) {
    this.#input = input;
    this.#scope = scope;
  }

  /** A GROUP BY expression. Constants group nothing. */
  addKey(expr: TypedExpr): void {
    if (traits(expr).hasAggregates) throw new StatementError(SqlState.GroupingError, 'aggregate functions are not allowed in GROUP BY');
    if (traits(expr).hasGenerators)
      throw new StatementError(SqlState.FeatureNotSupported, 'set-returning functions are not allowed in GROUP BY');
    if (this.#keyPlaces.find(expr) < 0) this.#keyPlaces.add(expr, this.#keys.push(expr) - 1);
  }

  /** Expressions over FROM rows to expressions over the rows of `node()`. 42803 for a column that has no one value in a group. */
  rewrite(exprs: readonly TypedExpr[]): TypedExpr[] {
    const rewritten = exprs.map((expr) => mapExpr(expr, (part) => this.#replace(part)));
    return rewritten.map((expr) =>
      moveColumns(expr, (index) => (index >= AGGREGATE_BASE ? index - AGGREGATE_BASE + this.#keys.length : index)),
    );
  }

  #replace(part: TypedExpr): TypedExpr | undefined {
    const key = part.kind === 'const' ? -1 : this.#keyPlaces.find(part);
    if (key >= 0) return keyColumn(key, part);
    if (part.kind === 'aggregate') {
      let at = this.#aggregatePlaces.find(part);
      if (at < 0) {
        at = this.#aggregates.push(part) - 1;
        this.#aggregatePlaces.add(part, at);
      }
      return { kind: 'column', type: part.type, index: AGGREGATE_BASE + at, name: part.overload.name };
    }
    if (part.kind === 'column') return keyColumn(this.#dependentKey(part.index), part);
    if (part.kind === 'subquery' && part.plan.outerColumns.length > 0) return moveSubquery(part, (index) => this.#dependentKey(index));
    return undefined;
  }

  /** The key that a column is, or becomes by functional dependency. */
  #dependentKey(index: number): number {
    const known = this.#keys.findIndex((key) => key.kind === 'column' && key.index === index);
    if (known >= 0) return known;
    const column = this.#scope.columns.find((candidate) => candidate.index === index);
    const owner = this.#scope.columns.find((candidate) => candidate.index === index && candidate.table?.keyColumnIds);
    const keyColumnIds = owner?.table?.keyColumnIds;
    if (owner && keyColumnIds && keyColumnIds.length > 0) {
      const isKey = (id: number): boolean =>
        this.#scope.columns.some(
          (candidate) =>
            candidate.table === owner.table &&
            candidate.columnId === id &&
            this.#keys.some((key) => key.kind === 'column' && key.index === candidate.index),
        );
      if (keyColumnIds.every(isKey)) {
        const key: TypedExpr = { kind: 'column', type: owner.type, index, name: owner.name };
        const place = this.#keys.push(key) - 1;
        this.#keyPlaces.add(key, place);
        return place;
      }
    }
    const name = column?.name ?? this.#input.columns[index]?.name ?? '?column?';
    throw new StatementError(
      SqlState.GroupingError,
      `column "${name}" must appear in the GROUP BY clause or be used in an aggregate function`,
    );
  }

  /** The aggregate node; only after everything was rewritten. */
  node(isScalar: boolean): PlanNode {
    const columns: PlanColumn[] = [
      ...this.#keys.map((key, i) => ({ name: key.kind === 'column' ? key.name : `group${i}`, type: key.type })),
      ...this.#aggregates.map((aggregate) => ({ name: aggregate.overload.name, type: aggregate.type })),
    ];
    return { kind: 'aggregate', input: this.#input, keys: this.#keys, isScalar, aggregates: this.#aggregates, columns };
  }
}

function keyColumn(key: number, part: TypedExpr): TypedExpr {
  return { kind: 'column', type: part.type, index: key, name: part.kind === 'column' ? part.name : `group${key}` };
}
