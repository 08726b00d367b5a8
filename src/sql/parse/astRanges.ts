/** The syntax tree of statements about ranges and their leases. See ast.ts for the rules every node follows. */
import type { Expr, IndexName, ObjectName, SelectStatement } from './astCore.ts';

declare module './astCore.ts' {
  interface Statements {
    splitAt: SplitAt;
    unsplitAt: UnsplitAt;
    scatter: Scatter;
    relocateLease: RelocateLease;
  }
}

/** Whose ranges: a table's primary index, or an index. */
export type RangesOf =
  | { readonly type: 'table'; readonly name: ObjectName; readonly ifExists: boolean }
  | { readonly type: 'index'; readonly index: IndexName; readonly ifExists: boolean };

/** Each row gives values of the index's leading columns. */
export interface SplitAt {
  readonly kind: 'splitAt';
  readonly of: RangesOf;
  readonly rows: SelectStatement;
  readonly expiration: Expr | undefined;
  readonly pos: number;
}
export interface UnsplitAt {
  readonly kind: 'unsplitAt';
  readonly of: RangesOf;
  /** Absent: UNSPLIT ALL. */
  readonly rows: SelectStatement | undefined;
  readonly pos: number;
}
export interface Scatter {
  readonly kind: 'scatter';
  readonly of: RangesOf;
  readonly pos: number;
}
export interface RelocateLease {
  readonly kind: 'relocateLease';
  /** A range by its id, the ranges whose ids a query gives, or those of keys: rows of a store id and values of leading columns. */
  readonly ranges:
    | { readonly type: 'id'; readonly id: Expr; readonly to: Expr }
    | { readonly type: 'query'; readonly query: SelectStatement; readonly to: Expr }
    | { readonly type: 'keys'; readonly of: RangesOf; readonly rows: SelectStatement };
  readonly pos: number;
}
