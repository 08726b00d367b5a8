/**
 * Plan nodes: what a statement will do, as plain data.
 *
 * A plan is a tree; rows flow from the leaves up. Each node says which columns its rows have, and
 * its expressions refer to the columns of its input by position. A plan holds descriptors and typed
 * expressions but no values of a run, so one plan serves many runs (cached by text and catalog):
 *
 *   limit 10                             rows: 10 at most
 *   └── project name, total              [name, total]
 *       └── hash join (inner)            left columns, then right columns
 *           ├── scan artist@artist_pkey  the columns that something above reads
 *           └── aggregate                keys, then aggregates
 *
 *   P1  `columns` is what the rows hold, in order; a join's are left's, then right's (a semi join's: left's)
 *   P2  the planner's scans hold every column of their table (tableShape.ts); the optimizer narrows them
 *   P3  the optimizer rewrites nodes, never changes one
 *
 * Lives elsewhere: making plans (planner.ts), improving them (optimizer.ts), running them
 * (../exec/executor.ts), printing them (explain.ts).
 */
import type { IndexDescriptor, TableDescriptor } from '../../catalog/descriptor.ts';
import type { KnownStatistics } from '../../catalog/tableStatistics.ts';
import type { ColumnType } from '../../catalog/type.ts';
import type { Statement } from '../parse/ast.ts';
import type { SubqueryForm, SubqueryPlan, TypedAggregate, TypedExpr, TypedGenerator, TypedWindow } from '../expr/typedExpr.ts';
import type { VirtualTable } from './virtualTable.ts';

/** A key's expression over a scan's columns, and the position of the column that holds it. */
export interface IndexExpression {
  readonly index: number;
  readonly expr: TypedExpr;
}

/** A partial index and its predicate over a scan's columns. */
export interface PartialIndex {
  readonly indexId: number;
  readonly predicate: TypedExpr;
}

export interface PlanColumn {
  readonly name: string;
  readonly type: ColumnType;
  /** The table column it is, unchanged. */
  readonly tableId?: number;
  readonly columnId?: number;
}

export type PlanNode =
  | ValuesNode
  | ScanNode
  | VirtualScanNode
  | FilterNode
  | ProjectNode
  | ProjectSetNode
  | JoinNode
  | LookupJoinNode
  | ApplyNode
  | AggregateNode
  | WindowNode
  | SortNode
  | LimitNode
  | DistinctNode
  | SetOperationNode
  | OrdinalityNode
  | CteScanNode
  | StatementNode
  | LockRowsNode
  | InsertNode
  | UpdateNode
  | DeleteNode;

interface Node {
  readonly columns: readonly PlanColumn[];
}

/** Rows of constant expressions. No columns and one row stands for a SELECT without FROM. */
export interface ValuesNode extends Node {
  readonly kind: 'values';
  readonly rows: readonly (readonly TypedExpr[])[];
}

/** What a key column may equal: a value; NULL; or any element of an array. */
export type KeyAlternative =
  | { readonly kind: 'value'; readonly value: TypedExpr }
  | { readonly kind: 'elements'; readonly array: TypedExpr }
  | { readonly kind: 'null' };
export interface KeyBound {
  readonly value: TypedExpr;
  readonly inclusive: boolean;
}
export interface KeyRange {
  readonly low: KeyBound | undefined;
  readonly high: KeyBound | undefined;
}
/**
 * Which part of an index a scan reads: equalities on its first columns, then at most one range on
 * the column after them, or several. Values are row independent, and are evaluated when the scan starts.
 */
export interface IndexConstraint extends KeyRange {
  readonly prefix: readonly (readonly KeyAlternative[])[];
  /** Several ranges in any order, in place of the one; they may overlap. */
  readonly ranges?: readonly KeyRange[];
}

export interface ScanNode extends Node {
  readonly kind: 'scan';
  readonly table: TableDescriptor;
  /** The name the statement calls it by, for EXPLAIN. */
  readonly alias: string;
  readonly index: IndexDescriptor;
  /** Undefined: the whole index. */
  readonly constraint: IndexConstraint | undefined;
  /** Ids of the table's columns that its rows hold, in the order of `columns`. */
  readonly columnIds: readonly number[];
  readonly reverse: boolean;
  /** Stop after as many rows: the sum of these row independent INTs (NULL: no limit). */
  readonly limit: readonly TypedExpr[] | undefined;
  /** The name of an index the statement insists on (t@i). */
  readonly forcedIndex: string | undefined;
  /** True when the rows are read in order to be written: they are locked, and held to what was read. */
  readonly forWrite: boolean;
  /** True for a constraint's reads: validated at every isolation level. */
  readonly isConstraint?: boolean;
  /** True under SKIP LOCKED: rows that are skipped do not count as read. */
  readonly skipsLocked?: boolean;
  /** Expressions that indexes are over, while its rows are still laid out as the table's. */
  readonly expressions?: readonly IndexExpression[];
  /** Rows that the table had when the plan was made. */
  readonly rowCount?: number;
  /** What was known of its values then. */
  readonly statistics?: KnownStatistics;
  /** Its table's partial indexes, in the same layout. */
  readonly partialIndexes?: readonly PartialIndex[];
  /** Partial indexes that hold every row wanted of it. */
  readonly usableIndexIds?: readonly number[];
}

export interface VirtualScanNode extends Node {
  readonly kind: 'virtualScan';
  readonly table: VirtualTable;
  /** The database whose catalog it shows. */
  readonly database: string | undefined;
  readonly alias: string;
}

export interface FilterNode extends Node {
  readonly kind: 'filter';
  readonly input: PlanNode;
  readonly predicate: TypedExpr;
}

export interface ProjectNode extends Node {
  readonly kind: 'project';
  readonly input: PlanNode;
  readonly exprs: readonly TypedExpr[];
}

/** Set-returning functions: input columns, then each generator's columns; the shorter are padded with NULL. */
export interface ProjectSetNode extends Node {
  readonly kind: 'projectSet';
  readonly input: PlanNode;
  readonly generators: readonly TypedGenerator[];
}

export type JoinType = 'inner' | 'left' | 'right' | 'full';

/**
 * Hash join when there are keys (a merge join if `merge` says so), else a nested loop. A semi join gives the left rows that match, once
 * each, an anti join those that do not: their rows hold the left columns alone.
 */
export interface JoinNode extends Node {
  readonly kind: 'join';
  readonly type: JoinType | 'semi' | 'anti';
  readonly left: PlanNode;
  readonly right: PlanNode;
  /** Pairs that must be equal: over the left row, and over the right row. */
  readonly leftKeys: readonly TypedExpr[];
  readonly rightKeys: readonly TypedExpr[];
  /** What else must hold, over the joined row. */
  readonly on: TypedExpr | undefined;
  /** A merge join: both sides come in the order of these key pairs, which are all of them. */
  readonly merge?: readonly number[];
  /** A semi or anti join that keeps its left side in memory, not the right one. */
  readonly keepsLeft?: boolean;
}

/** For each left row, the rows of an index whose first columns equal `keys`. Columns: left, then the table's. */
export interface LookupJoinNode extends Node {
  readonly kind: 'lookupJoin';
  readonly type: 'inner' | 'left';
  readonly input: PlanNode;
  readonly scan: ScanNode;
  /** Over the input row, one for each of the index's first columns. */
  readonly keys: readonly TypedExpr[];
  /** Over the joined row. */
  readonly on: TypedExpr | undefined;
}

/** LATERAL: the right side runs once for each left row, which is its outer row. */
export interface ApplyNode extends Node {
  readonly kind: 'apply';
  readonly type: 'inner' | 'left';
  readonly left: PlanNode;
  readonly right: PlanNode;
  readonly on: TypedExpr | undefined;
}

/** Columns: the group keys, then the aggregates. Without keys there is exactly one row. */
export interface AggregateNode extends Node {
  readonly kind: 'aggregate';
  readonly input: PlanNode;
  readonly keys: readonly TypedExpr[];
  /** True for GROUP BY () and aggregates without GROUP BY: one group, also over no rows. */
  readonly isScalar: boolean;
  readonly aggregates: readonly TypedAggregate[];
}

/** Input columns, then each window function's value. Rows come in the order of the last window. */
export interface WindowNode extends Node {
  readonly kind: 'window';
  readonly input: PlanNode;
  readonly windows: readonly TypedWindow[];
}

export interface SortKey {
  readonly index: number;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
}
export interface SortNode extends Node {
  readonly kind: 'sort';
  readonly input: PlanNode;
  readonly keys: readonly SortKey[];
  /** Keep only as many of the first rows: row independent INTs, limit plus offset. */
  readonly top: readonly TypedExpr[] | undefined;
}

/** NULL for either means none. */
export interface LimitNode extends Node {
  readonly kind: 'limit';
  readonly input: PlanNode;
  readonly limit: TypedExpr | undefined;
  readonly offset: TypedExpr | undefined;
}

/** The first row of each combination of `on` columns. */
export interface DistinctNode extends Node {
  readonly kind: 'distinct';
  readonly input: PlanNode;
  readonly on: readonly number[];
}

export interface SetOperationNode extends Node {
  readonly kind: 'setOperation';
  readonly op: 'union' | 'intersect' | 'except';
  readonly all: boolean;
  readonly left: PlanNode;
  readonly right: PlanNode;
}

/** Input columns, then the row number from 1. */
export interface OrdinalityNode extends Node {
  readonly kind: 'ordinality';
  readonly input: PlanNode;
}

/** Rows of a WITH query, which ran before. */
export interface CteScanNode extends Node {
  readonly kind: 'cteScan';
  readonly cte: number;
  readonly name: string;
}

/** `[SHOW ...]`: another statement's rows. */
export interface StatementNode extends Node {
  readonly kind: 'statement';
  readonly statement: Statement;
}

/** SELECT FOR UPDATE: locks the rows' primary keys. */
export interface LockRowsNode extends Node {
  readonly kind: 'lockRows';
  readonly input: PlanNode;
  /** Stop after as many rows that were locked: the sum of these row independent INTs (NULL: no limit). */
  readonly limit?: readonly TypedExpr[];
  readonly strength: 'exclusive' | 'shared';
  readonly wait: 'block' | 'nowait' | 'skip';
  /** Where each table's primary key lies in the row. */
  readonly targets: readonly { readonly table: TableDescriptor; readonly keyPositions: readonly number[] }[];
}

/** How a conflict is met; without one, INSERT fails with 23505. */
export type ConflictAction =
  /** The row is left out. Undefined arbiters: a conflict on any unique index counts. */
  | { readonly type: 'nothing'; readonly arbiters: readonly IndexDescriptor[] | undefined }
  /** UPSERT: the row with the same primary key takes the new values of `targets`. */
  | { readonly type: 'upsert' }
  | {
      readonly type: 'update';
      readonly arbiter: IndexDescriptor;
      /** Columns that take new values, and the values: over the existing row (shape width), then the proposed one. */
      readonly targets: readonly number[];
      readonly exprs: readonly TypedExpr[];
      readonly where: TypedExpr | undefined;
    };

/** Rows are whole table rows in the order of the descriptor's columns, defaults filled in, computed columns NULL. */
export interface InsertNode extends Node {
  readonly kind: 'insert';
  readonly table: TableDescriptor;
  readonly alias: string;
  readonly input: PlanNode;
  /** Positions of the columns that the statement gave values for. */
  readonly targets: readonly number[];
  readonly conflict: ConflictAction | undefined;
  readonly returning: readonly TypedExpr[] | undefined;
}

/** `returning` is over the row as written (shape width), then the columns of FROM. */
export interface UpdateNode extends Node {
  readonly kind: 'update';
  readonly table: TableDescriptor;
  readonly alias: string;
  /** Rows: the table's row (shape width), then columns of FROM, then the new values in the order of `targets`. */
  readonly input: PlanNode;
  readonly targets: readonly number[];
  /** Where the new values start in the input row. */
  readonly valuesOffset: number;
  readonly returning: readonly TypedExpr[] | undefined;
}

/** `returning` is over the deleted row (shape width), then the columns of USING. */
export interface DeleteNode extends Node {
  readonly kind: 'delete';
  readonly table: TableDescriptor;
  readonly alias: string;
  /** Rows: the table's row (shape width), then columns of USING. */
  readonly input: PlanNode;
  readonly returning: readonly TypedExpr[] | undefined;
}

/** A subquery in an expression: F1's opaque plan, made concrete. */
export interface PlannedSubquery extends SubqueryPlan {
  readonly form: SubqueryForm;
  readonly node: PlanNode;
  /** The plan before it was optimized, of one that is correlated. */
  readonly unoptimized?: PlanNode;
  /**
   * Where the enclosing row's columns lie after the expression was moved to another row layout: from
   * the position at analysis to the position now. Undefined: unmoved.
   */
  readonly outerMap: ReadonlyMap<number, number> | undefined;
}

/** What runs before the rows: WITH queries and uncorrelated subqueries, each after what it uses. */
export type PreludeStep =
  | {
      readonly kind: 'cte';
      readonly cte: number;
      readonly name: string;
      readonly node: PlanNode;
      readonly recursive: RecursiveCte | undefined;
    }
  | { readonly kind: 'slot'; readonly slot: number; readonly plan: PlannedSubquery };

/** WITH RECURSIVE: `node` is the first rows; `step` runs over the rows that came last until none come. */
export interface RecursiveCte {
  readonly step: PlanNode;
  /** What the step has of its own: its WITH queries and subqueries, which run anew before each turn. */
  readonly prelude: readonly PreludeStep[];
  readonly all: boolean;
}

/** A whole statement, planned. */
export interface Plan {
  readonly root: PlanNode;
  readonly columns: readonly PlanColumn[];
  readonly prelude: readonly PreludeStep[];
  readonly slotCount: number;
  readonly cteCount: number;
  readonly placeholderTypes: readonly ColumnType[];
  /** True when it writes. */
  readonly mutates: boolean;
  /** True when another run of the same text may reuse it. */
  readonly isCacheable: boolean;
}

/** The inputs of a node, left to right. */
export function inputsOf(node: PlanNode): readonly PlanNode[] {
  switch (node.kind) {
    case 'values':
    case 'scan':
    case 'virtualScan':
    case 'cteScan':
    case 'statement':
      return [];
    case 'join':
    case 'apply':
    case 'setOperation':
      return [node.left, node.right];
    default:
      return [node.input];
  }
}

/** The same node over other inputs, in the order of `inputsOf`. */
export function withInputs(node: PlanNode, inputs: readonly PlanNode[]): PlanNode {
  switch (node.kind) {
    case 'values':
    case 'scan':
    case 'virtualScan':
    case 'cteScan':
    case 'statement':
      return node;
    case 'join':
    case 'apply':
    case 'setOperation':
      return { ...node, left: inputs[0] ?? node.left, right: inputs[1] ?? node.right };
    default:
      return { ...node, input: inputs[0] ?? node.input };
  }
}

/** Rewrites bottom up: `rewrite` sees a node whose inputs are done. */
export function mapPlan(node: PlanNode, rewrite: (node: PlanNode) => PlanNode): PlanNode {
  const inputs = inputsOf(node);
  const mapped = inputs.map((input) => mapPlan(input, rewrite));
  const changed = mapped.some((input, i) => input !== inputs[i]);
  return rewrite(changed ? withInputs(node, mapped) : node);
}
