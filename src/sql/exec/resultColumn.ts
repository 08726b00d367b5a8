/** ResultColumn: what a statement tells of a column of its result. */
import type { ColumnType } from '../../catalog/type.ts';

export interface ResultColumn {
  readonly name: string;
  readonly type: ColumnType;
  /** The table column it comes from unchanged, for the wire protocol's row description. */
  readonly tableId?: number;
  readonly columnId?: number;
}
