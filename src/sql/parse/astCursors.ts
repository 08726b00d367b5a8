/** The syntax tree of SQL cursors. See ast.ts for the rules every node follows. */
import type { Name, SelectStatement } from './astCore.ts';

declare module './astCore.ts' {
  interface Statements {
    declareCursor: DeclareCursor;
    fetchCursor: FetchCursor;
    closeCursor: CloseCursor;
  }
}

export interface DeclareCursor {
  readonly kind: 'declareCursor';
  readonly name: Name;
  readonly binary: boolean;
  /** Absent where nothing is said: then it goes forward only. */
  readonly scroll: boolean | undefined;
  readonly hold: boolean;
  readonly query: SelectStatement;
  readonly pos: number;
}

/** Where FETCH and MOVE go. NEXT and a count are `forward`, PRIOR and a negative count `backward`. */
export type CursorMove =
  | { readonly type: 'forward' | 'backward'; readonly count: bigint | 'all' }
  | { readonly type: 'absolute' | 'relative'; readonly at: bigint };

export interface FetchCursor {
  readonly kind: 'fetchCursor';
  /** MOVE: the rows are passed, not given. */
  readonly move: boolean;
  readonly to: CursorMove;
  readonly name: Name;
  readonly pos: number;
}

export interface CloseCursor {
  readonly kind: 'closeCursor';
  /** Absent: CLOSE ALL. */
  readonly name: Name | undefined;
  readonly pos: number;
}
