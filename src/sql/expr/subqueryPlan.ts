/**
 * SubqueryPlan: a planned subquery as expressions and evaluation see it. It stands apart because the
 * typed tree holds it and the evaluation context runs it, and neither may need the other.
 */
import type { ColumnType } from '../../catalog/type.ts';

/**
 * How the rows of a subquery become one datum:
 *   scalar  its one column of its one row, NULL without rows, 21000 for more than one row; a tuple
 *           when it has several columns
 *   exists  a boolean
 *   array   Datum[] of its one column in row order (tuples for several columns): IN, ANY, ALL, ARRAY()
 */
export type SubqueryForm = 'scalar' | 'exists' | 'array';

/** What the planner made of a subquery: opaque here, but for these. */
export interface SubqueryPlan {
  readonly form: SubqueryForm;
  readonly columns: readonly { readonly name: string; readonly type: ColumnType }[];
  /** True when it refers to a row of an enclosing query. */
  readonly isCorrelated: boolean;
  /** True when it writes or calls volatile functions. */
  readonly isVolatile: boolean;
  /** Columns (index) of the immediately enclosing row that it reads. */
  readonly outerColumns: readonly number[];
  /** One line for EXPLAIN and formatExpr, e.g. `@S1`. */
  readonly label: string;
}
