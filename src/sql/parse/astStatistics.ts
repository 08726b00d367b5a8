/** The syntax tree of statements about table statistics. See ast.ts for the rules every node follows. */
import type { AsOfClause, Expr, Name, ObjectName } from './astCore.ts';

declare module './astCore.ts' {
  interface Statements {
    createStatistics: CreateStatistics;
    injectStatistics: InjectStatistics;
  }
}

/** ANALYZE is CREATE STATISTICS without a name. */
export interface CreateStatistics {
  readonly kind: 'createStatistics';
  readonly name: Name | undefined;
  /** Columns that are looked at together; empty for the usual ones. */
  readonly columns: readonly Name[];
  readonly table: ObjectName;
  readonly asOf: AsOfClause | undefined;
  readonly pos: number;
}

/** ALTER TABLE t INJECT STATISTICS: what SHOW STATISTICS USING JSON has shown takes the place of what is known. */
export interface InjectStatistics {
  readonly kind: 'injectStatistics';
  readonly table: ObjectName;
  readonly ifExists: boolean;
  readonly statistics: Expr;
  readonly pos: number;
}
