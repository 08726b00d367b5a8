/**
 * Buckets of hash-sharded indexes: a number from a hash (FNV-1, 32 bits) of the key's values as they are encoded in keys.
 * What is equal as a key is in the same bucket, whatever its type's width or its trailing zeros.
 */
import type { Bytes } from '../base/bytes.ts';
import { KeyWriter } from '../base/keycode.ts';
import { keyEncoder } from './columnCodec.ts';
import type { Datum } from './datum.ts';
import { columnById, type IndexDescriptor, type TableDescriptor } from './descriptor.ts';
import type { ColumnType } from './type.ts';

const writer = new KeyWriter();

/** The values of a key, one behind the other. */
export function encodeDatums(types: readonly ColumnType[], values: readonly Datum[]): Bytes {
  writer.reset();
  values.forEach((value, i) => {
    const type = types[i];
    if (value === null || type === undefined) writer.null(false);
    else keyEncoder(type, false)(writer, value);
  });
  return writer.finish();
}

function fnv32(bytes: Bytes): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < bytes.length; i++) hash = (Math.imul(hash, 0x01000193) ^ bytes.charCodeAt(i)) >>> 0;
  return hash;
}

/** The bucket, from 0 on, that the values are in. */
export function bucketOf(types: readonly ColumnType[], values: readonly Datum[], buckets: number): number {
  return fnv32(encodeDatums(types, values)) % buckets;
}

/** Puts the bucket into a row that has the columns of a hash-sharded index. */
export function fillBucket(table: TableDescriptor, index: IndexDescriptor, row: Datum[], positionOf: (id: number) => number): void {
  const [bucketId = 0, ...ids] = index.columnIds;
  const types = ids.map((id) => columnById(table, id)?.type as ColumnType);
  const values = ids.map((id) => row[positionOf(id)] ?? null);
  row[positionOf(bucketId)] = bucketOf(types, values, index.sharded?.buckets ?? 1);
}

/** The name of the column that holds the bucket. */
export function bucketColumnName(columns: readonly string[], buckets: number): string {
  return `crdb_internal_${columns.join('_')}_shard_${buckets}`;
}
