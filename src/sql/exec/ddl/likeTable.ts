/**
 * CREATE TABLE (LIKE other INCLUDING ...): the other table's columns, and what INCLUDING asks for. Indexes come
 * along with the primary key, when that is over columns that are copied.
 */
import {
  columnById,
  type ColumnDescriptor,
  givenKeyColumnIds,
  implicitKeyColumns,
  type IndexDescriptor,
  namedKeyColumnIds,
  type TableDescriptor,
} from '../../../catalog/descriptor.ts';
import type { IndexElement, Name, TableElement } from '../../parse/ast.ts';
import { parseExpression } from '../../parse/parse.ts';
import { elementOf, type TableInMaking } from './tableInMaking.ts';

export function copyLike(builder: TableInMaking, element: Extract<TableElement, { kind: 'likeTable' }>): void {
  const source = builder.change.table(element.table);
  const includes = (what: string): boolean => {
    let isOn = false;
    for (const option of element.options) if (option.what === what || option.what === 'all') isOn = option.including;
    return isOn;
  };
  for (const column of source.columns) {
    if (column.hidden || column.state !== 'public') continue;
    const id = builder.table.nextColumnId;
    const isComputed = includes('generated') && column.computeExpr !== undefined;
    const copy: ColumnDescriptor = {
      id,
      name: column.name,
      type: column.type,
      nullable: column.nullable,
      state: 'public',
      ...(includes('defaults') && column.defaultExpr !== undefined && { defaultExpr: column.defaultExpr }),
      ...(isComputed && { computeExpr: column.computeExpr, ...(column.isVirtual && { isVirtual: true }) }),
    };
    builder.set({ columns: [...builder.table.columns, copy], nextColumnId: id + 1 });
  }
  const idOf = (oldId: number): number => builder.column(columnById(source, oldId)?.name ?? '').id;
  if (includes('constraints')) {
    const { nextConstraintId } = builder.table;
    const checks = source.checks.map((check, i) => ({ ...check, id: nextConstraintId + i, columnIds: check.columnIds.map(idOf) }));
    builder.set({ checks: [...builder.table.checks, ...checks], nextConstraintId: nextConstraintId + checks.length });
  }
  if (includes('indexes')) {
    for (const { columnIds } of source.uniqueWithoutIndex ?? []) {
      const columns = columnIds.map((id) => elementOf({ text: columnById(source, id)?.name ?? '', pos: 0 }));
      builder.addUniqueWithoutIndex({ kind: 'unique', name: undefined, columns, storing: [], where: undefined, pos: 0 });
    }
  }
  const { primaryIndex } = source;
  const keyIds = givenKeyColumnIds(primaryIndex);
  if (!includes('indexes') || keyIds.some((id) => columnById(source, id)?.hidden)) return;
  builder.takePrimaryKey(keyIds.map(idOf), primaryIndex.directions.slice(implicitKeyColumns(primaryIndex)), primaryIndex.sharded?.buckets);
  for (const index of source.indexes) copyIndex(builder, source, index);
}

function copyIndex(builder: TableInMaking, source: TableDescriptor, index: IndexDescriptor): void {
  const named = (text: string): Name => ({ text, pos: 0 });
  const skipped = implicitKeyColumns(index);
  const columns = namedKeyColumnIds(index)
    .slice(skipped)
    .map((id, i): IndexElement => {
      const column = columnById(source, id);
      const isExpression = column?.isIndexExpression && column.computeExpr !== undefined;
      const part = elementOf(named(column?.name ?? ''));
      return {
        ...part,
        ...(isExpression && { expr: parseExpression(column.computeExpr ?? '') }),
        descending: index.directions[i + skipped] === 'DESC',
      };
    });
  builder.addIndex({
    name: named(index.name.replace(source.name, builder.table.name)),
    unique: index.unique,
    columns,
    storing: index.storeColumnIds.map((id) => named(columnById(source, id)?.name ?? '')),
    where: index.predicate === undefined ? undefined : parseExpression(index.predicate),
    isConstraint: index.isConstraint === true,
    inverted: index.inverted !== undefined,
    buckets: index.sharded?.buckets,
  });
}
