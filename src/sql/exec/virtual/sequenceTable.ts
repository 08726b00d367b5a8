/**
 * What `SELECT ... FROM a_sequence` reads: one row with its state, as PostgreSQL gives it.
 */
import { readSequence } from '../../../catalog/sequences.ts';
import type { TableDescriptor } from '../../../catalog/descriptor.ts';
import { Type } from '../../../catalog/type.ts';
import type { VirtualTable } from '../../plan/virtualTable.ts';

const COLUMNS = [
  { name: 'last_value', type: Type.Int8 },
  { name: 'log_cnt', type: Type.Int8 },
  { name: 'is_called', type: Type.Bool },
];

/** A sequence as a table of one row, read where the statement reads. */
export function sequenceTable(descriptor: TableDescriptor): VirtualTable {
  return {
    schema: 'public',
    name: descriptor.name,
    columns: COLUMNS,
    oid: descriptor.id,
    async rows(context) {
      const { lastValue, isCalled } = await readSequence(context.reader, descriptor);
      // Nothing is written ahead, so log_cnt is always 0.
      return [[lastValue, 0, isCalled]];
    },
  };
}
