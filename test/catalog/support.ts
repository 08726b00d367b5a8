/** A cluster with a catalog on a manual clock, and descriptors for tests. */
import { InlineExecutor } from '../../src/base/executor.ts';
import { Ids } from '../../src/base/ids.ts';
import { ManualClock } from '../../src/base/manualClock.ts';
import { seededRandom } from '../../src/base/random.ts';
import { MIN_TIMESTAMP } from '../../src/base/timestamp.ts';
import { type CatalogServices, openCatalog } from '../../src/catalog/bootstrap.ts';
import { type ColumnDescriptor, type IndexDescriptor, PUBLIC_SCHEMA_ID, type TableDescriptor } from '../../src/catalog/descriptor.ts';
import { ownerPrivileges } from '../../src/catalog/privileges.ts';
import type { ColumnType } from '../../src/catalog/type.ts';
import type { Kv, KvOptions } from '../../src/kv/kv.ts';
import { openKv } from '../../src/kv/localKv.ts';

export interface TestCluster extends CatalogServices {
  readonly clock: ManualClock;
}

export function testKv(options: Partial<KvOptions> = {}): { kv: Kv; clock: ManualClock } {
  const clock = new ManualClock('2026-11-20T00:00:00Z');
  const kv = openKv({ clock, activity: clock.activity, executor: new InlineExecutor(), ids: new Ids(seededRandom(1), clock), ...options });
  return { kv, clock };
}

export async function testCluster(): Promise<TestCluster> {
  const { kv, clock } = testKv();
  return { ...(await openCatalog(kv)), clock };
}

export interface TestColumn {
  readonly name: string;
  readonly type: ColumnType;
  readonly nullable?: boolean;
  readonly family?: number;
}

export interface TestIndex {
  readonly name: string;
  readonly columns: readonly string[];
  readonly desc?: readonly string[];
  readonly unique?: boolean;
  readonly storing?: readonly string[];
}

/** A table of these columns; the primary key columns are NOT NULL. Column ids are 1, 2, … in order. */
export function testTable(
  id: number,
  name: string,
  columns: readonly TestColumn[],
  primaryKey: readonly string[],
  options: { parentId?: number; indexes?: readonly TestIndex[]; pkDesc?: readonly string[] } = {},
): TableDescriptor {
  const idOf = (columnName: string) => columns.findIndex((column) => column.name === columnName) + 1;
  const keyIds = primaryKey.map(idOf);
  const families = [...new Set([0, ...columns.map((column) => column.family ?? 0)])].sort((a, b) => a - b);
  const index = (indexId: number, spec: TestIndex, isPrimary: boolean): IndexDescriptor => ({
    id: indexId,
    name: spec.name,
    unique: isPrimary || spec.unique === true,
    columnIds: spec.columns.map(idOf),
    directions: spec.columns.map((column) => (spec.desc?.includes(column) ? 'DESC' : 'ASC')),
    storeColumnIds: (spec.storing ?? []).map(idOf),
    keySuffixColumnIds: isPrimary ? [] : keyIds.filter((keyId) => !spec.columns.map(idOf).includes(keyId)),
    state: 'public',
  });
  const described: ColumnDescriptor[] = columns.map((column, i) => ({
    id: i + 1,
    name: column.name,
    type: column.type,
    nullable: column.nullable ?? !primaryKey.includes(column.name),
    state: 'public',
  }));
  return {
    kind: 'table',
    id,
    name,
    parentId: options.parentId ?? 50,
    schemaId: PUBLIC_SCHEMA_ID,
    version: 1,
    modificationTime: MIN_TIMESTAMP,
    state: 'PUBLIC',
    privileges: ownerPrivileges('root'),
    columns: described,
    nextColumnId: columns.length + 1,
    families: families.map((family) => ({
      id: family,
      name: `f${family}`,
      columnIds: described.filter((_, i) => (columns[i]?.family ?? 0) === family).map((column) => column.id),
    })),
    nextFamilyId: Math.max(...families) + 1,
    primaryIndex: index(1, { name: 'primary', columns: primaryKey, ...(options.pkDesc && { desc: options.pkDesc }) }, true),
    indexes: (options.indexes ?? []).map((spec, i) => index(i + 2, spec, false)),
    nextIndexId: (options.indexes?.length ?? 0) + 2,
    checks: [],
    foreignKeys: [],
    referencedByIds: [],
    dependedOnByIds: [],
    nextConstraintId: 1,
    createTime: MIN_TIMESTAMP,
  };
}
