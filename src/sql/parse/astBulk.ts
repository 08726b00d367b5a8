/** The syntax tree of IMPORT INTO and EXPORT. See ast.ts for the rules every node follows. */
import type { Expr, Name, ObjectName, Option, SelectStatement } from './astCore.ts';

declare module './astCore.ts' {
  interface Statements {
    exportInto: ExportInto;
    importInto: ImportInto;
  }
}

/** EXPORT INTO CSV 'location' WITH ... FROM query. */
export interface ExportInto {
  readonly kind: 'exportInto';
  /** Upper-case. */
  readonly format: string;
  readonly location: Expr;
  readonly options: readonly Option[];
  readonly query: SelectStatement;
  readonly pos: number;
}

/** IMPORT INTO t (columns) CSV DATA ('location', ...) WITH ... */
export interface ImportInto {
  readonly kind: 'importInto';
  readonly table: ObjectName;
  /** Empty: all columns in order. */
  readonly columns: readonly Name[];
  /** Upper-case. */
  readonly format: string;
  readonly files: readonly Expr[];
  readonly options: readonly Option[];
  readonly pos: number;
}
