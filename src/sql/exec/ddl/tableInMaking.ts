/** A table in the making, as the files see it that make one part of it: LIKE, keys without an index. The maker: createTable.ts. */
import type { ColumnDescriptor, IndexDescriptor, TableDescriptor, UniqueConstraintDescriptor } from '../../../catalog/descriptor.ts';
import type { IndexElement, Name, TableConstraint } from '../../parse/ast.ts';
import type { SchemaChange } from './common.ts';

type Indexed = Extract<TableConstraint, { kind: 'primaryKey' | 'unique' }>;

export interface NewIndex {
  readonly name: Name | undefined;
  readonly unique: boolean;
  readonly columns: readonly IndexElement[];
  readonly storing: readonly Name[];
  readonly where: Indexed['where'];
  readonly isConstraint?: boolean;
  readonly kind?: string;
  readonly state?: IndexDescriptor['state'];
  readonly inverted?: boolean;
  readonly buckets?: number | undefined;
}

export interface TableInMaking {
  readonly change: SchemaChange;
  readonly table: TableDescriptor;
  set(changes: Partial<Omit<TableDescriptor, 'kind' | 'id'>>): void;
  /** 42703 when there is none. */
  column(name: string): ColumnDescriptor;
  keyColumns(elements: readonly IndexElement[]): { columnIds: number[] };
  takePrimaryKey(columnIds: readonly number[], directions: IndexDescriptor['directions'], buckets: number | undefined): void;
  addIndex(element: NewIndex): IndexDescriptor;
  /** Settles families. */
  finish(): void;
  addUniqueWithoutIndex(element: Indexed, validated?: boolean): UniqueConstraintDescriptor;
}

export function elementOf(name: Name): IndexElement {
  return { expr: { kind: 'column', parts: [name], pos: name.pos }, descending: false, nulls: undefined, pos: name.pos };
}
