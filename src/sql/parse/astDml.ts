/** The syntax tree of row changes. See ast.ts for the rules every node follows. */
import type { Expr, Name, ObjectName, OrderItem, SelectStatement, SelectTarget, TableRef, TableSource, WithClause } from './astCore.ts';

declare module './astCore.ts' {
  interface Statements {
    insert: InsertStatement;
    update: UpdateStatement;
    delete: DeleteStatement;
  }
}

/** RETURNING list; `nothing` for RETURNING NOTHING; absent without the clause. */
export type Returning = readonly SelectTarget[] | 'nothing' | undefined;

export interface InsertStatement {
  readonly kind: 'insert';
  readonly with: WithClause | undefined;
  /** UPSERT INTO: replace the row of the same primary key. */
  readonly upsert: boolean;
  readonly table: ObjectName;
  readonly alias: Name | undefined;
  /** Empty: all columns in order. */
  readonly columns: readonly Name[];
  /** OVERRIDING SYSTEM VALUE: columns that are ALWAYS identities take the values given; USER VALUE: none does. */
  readonly overriding?: 'system' | 'user';
  /** Absent for DEFAULT VALUES. A VALUES body may hold `default` nodes. */
  readonly source: SelectStatement | undefined;
  readonly onConflict: OnConflict | undefined;
  readonly returning: Returning;
  readonly pos: number;
}
export interface OnConflict {
  /** Conflict columns; empty when none were given. */
  readonly columns: readonly Name[];
  readonly constraint: Name | undefined;
  /** WHERE after the columns: the partial index predicate. */
  readonly arbiterWhere: Expr | undefined;
  /** Absent for DO NOTHING. */
  readonly update: { readonly set: readonly Assignment[]; readonly where: Expr | undefined } | undefined;
  readonly pos: number;
}
/** `c = e`; or `(c, d) = (e, f)` with several columns and a tuple or subquery as value. */
export interface Assignment {
  readonly columns: readonly Name[];
  readonly isTuple: boolean;
  readonly value: Expr;
  readonly pos: number;
}
export interface UpdateStatement {
  readonly kind: 'update';
  readonly with: WithClause | undefined;
  readonly table: TableRef;
  readonly set: readonly Assignment[];
  readonly from: readonly TableSource[];
  readonly where: Expr | undefined;
  readonly orderBy: readonly OrderItem[];
  readonly limit: Expr | undefined;
  readonly returning: Returning;
  readonly pos: number;
}
export interface DeleteStatement {
  readonly kind: 'delete';
  readonly with: WithClause | undefined;
  readonly table: TableRef;
  readonly using: readonly TableSource[];
  readonly where: Expr | undefined;
  readonly orderBy: readonly OrderItem[];
  readonly limit: Expr | undefined;
  readonly returning: Returning;
  readonly pos: number;
}
