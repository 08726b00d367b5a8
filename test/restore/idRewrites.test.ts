/** Descriptors under new ids: what changes, what stays, and what of an unfinished schema change is left out. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import type { Timestamp } from '../../src/base/timestamp.ts';
import type { DatabaseDescriptor, Descriptor, SchemaDescriptor, TableDescriptor, TypeDescriptor } from '../../src/catalog/descriptor.ts';
import { ownerPrivileges, withGrant } from '../../src/catalog/privileges.ts';
import { arrayOf, enumOf, Type } from '../../src/catalog/type.ts';
import { validateDescriptor } from '../../src/catalog/validate.ts';
import type { Manifest } from '../../src/backup/manifest.ts';
import { backupSnapshot, descriptorsAt } from '../../src/backup/backupCatalog.ts';
import { type IdMap, rewriteDescriptors, withoutUnfinished } from '../../src/restore/idRewrites.ts';
import { refuse } from '../../src/restore/problems.ts';
import { newNames, renamed } from '../../src/restore/renames.ts';
import { ownedBy } from '../../src/restore/restorePrivileges.ts';
import { rewriteSequenceIds } from '../../src/sql/exec/ddl/sequenceRefs.ts';
import { testTable } from '../catalog/support.ts';

const test = suite('id rewrites');

const base = {
  version: 9,
  modificationTime: 5 as Timestamp,
  state: 'PUBLIC' as const,
  privileges: withGrant(ownerPrivileges('ann'), 'bob', ['SELECT']),
};
const database: DatabaseDescriptor = { ...base, kind: 'database', id: 60, name: 'd', parentId: 0 };
const schema: SchemaDescriptor = { ...base, kind: 'schema', id: 61, name: 's', parentId: 60 };
const mood: TypeDescriptor = {
  ...base,
  kind: 'type',
  id: 62,
  name: 'mood',
  parentId: 60,
  schemaId: 61,
  members: ['sad', 'ok'],
  physical: ['55', 'aa'],
  referencedByIds: [64, 99],
};
const parent = {
  ...testTable(63, 'parent', [{ name: 'id', type: Type.Int8 }], ['id'], { parentId: 60 }),
  ...base,
  referencedByIds: [64, 98],
};
const child: TableDescriptor = {
  ...testTable(
    64,
    'child',
    [
      { name: 'id', type: Type.Int8 },
      { name: 'p', type: Type.Int8 },
      { name: 'm', type: enumOf({ typeId: 62, name: 'mood', schema: 's', members: ['sad', 'ok'], physical: ['55', 'aa'] }) },
      { name: 'ms', type: arrayOf(enumOf({ typeId: 62, name: 'mood', schema: 's', members: ['sad', 'ok'], physical: ['55', 'aa'] })) },
    ],
    ['id'],
    { parentId: 60, indexes: [{ name: 'by_p', columns: ['p'] }] },
  ),
  ...base,
  schemaId: 61,
  foreignKeys: [
    {
      id: 1,
      name: 'fk',
      columnIds: [2],
      referencedTableId: 63,
      referencedColumnIds: [1],
      onDelete: 'CASCADE',
      onUpdate: 'NO ACTION',
      match: 'SIMPLE',
      validated: true,
    },
  ],
  nextConstraintId: 2,
};

const everything = {
  databases: [database],
  schemas: [schema],
  types: [mood],
  functions: [],
  tables: [parent, child],
  parents: [],
  systemTables: [],
};
const created = new Map([60, 61, 62, 63, 64].map((id) => [id, id + 100]));
const ids: IdMap = { created, existing: new Map() };
const skip = { foreignKeys: false, sequences: false, sequenceOwners: false, views: false, functions: false };
const manifest = {
  endTime: 10,
  descriptors: [database, schema, mood, parent, child] as Descriptor[],
  descriptorChanges: [],
} as unknown as Manifest;
const backup = backupSnapshot(manifest, 10 as Timestamp);
const options = {
  privileges: ownedBy('joe', () => undefined),
  skip,
  names: newNames(everything, new Map(), new Map([['d', 'e']]), backup),
  report: refuse,
  backup,
};

test('every reference moves along; ids inside tables stay', () => {
  const rewritten = rewriteDescriptors(renamed(everything, new Map(), 'e'), ids, options);
  assert.equal(
    rewritten.map(({ id, name, parentId, state, version }) => [id, name, parentId, state, version]),
    [
      [160, 'e', 0, 'OFFLINE', 1],
      [161, 's', 160, 'OFFLINE', 1],
      [162, 'mood', 160, 'OFFLINE', 1],
      [163, 'parent', 160, 'OFFLINE', 1],
      [164, 'child', 160, 'OFFLINE', 1],
    ],
  );
  for (const descriptor of rewritten) {
    assert.equal(validateDescriptor(descriptor), []);
    assert.equal(descriptor.privileges, ownerPrivileges('joe'), 'owner and grants');
  }
  const [, , type, newParent, newChild] = rewritten as [Descriptor, Descriptor, TypeDescriptor, TableDescriptor, TableDescriptor];
  assert.equal(type.referencedByIds, [164]);
  assert.is(type.schemaId, 161);
  assert.equal(newParent.referencedByIds, [164]);
  assert.is(newChild.schemaId, 161);
  assert.is(newChild.foreignKeys[0]?.referencedTableId, 163);
  assert.equal(
    newChild.columns.map((column) => column.type.typeId ?? column.type.element?.typeId),
    [undefined, undefined, 162, 162],
  );
  assert.equal(newChild.indexes, child.indexes);
  assert.equal(newChild.families, child.families);
});

test('what is here already is pointed at and not made again', () => {
  const targets = { ...everything, databases: [], tables: [child], parents: [database] };
  const partly: IdMap = {
    created: new Map([[64, 164]]),
    existing: new Map([
      [60, 70],
      [61, 71],
      [62, 72],
    ]),
  };
  const [only, ...others] = rewriteDescriptors(targets, partly, { ...options, skip: { ...skip, foreignKeys: true } }) as TableDescriptor[];
  assert.equal(others, []);
  assert.equal([only?.id, only?.parentId, only?.schemaId, only?.columns[2]?.type.typeId], [164, 70, 71, 72]);
  assert.equal(only?.foreignKeys, []);
  assert.throws(() => rewriteDescriptors(targets, partly, options), /cannot restore table "child" without referenced table "parent"/);
});

test('an unfinished schema change counts as not begun', () => {
  const changing: TableDescriptor = {
    ...child,
    columns: child.columns.map((column) => (column.name === 'm' ? { ...column, state: 'write_only' as const } : column)),
    indexes: [...child.indexes, { ...(child.indexes[0] as (typeof child.indexes)[0]), id: 3, name: 'new', state: 'write_only' }],
    nextIndexId: 4,
    checks: [{ id: 2, name: 'c', expr: 'm IS NOT NULL', columnIds: [3], validated: true }],
    nextConstraintId: 3,
  };
  assert.equal(validateDescriptor(changing), []);
  const settled = withoutUnfinished(changing);
  assert.equal(validateDescriptor(settled), []);
  assert.equal(
    settled.columns.map((column) => column.name),
    ['id', 'p', 'ms'],
  );
  assert.equal(
    settled.indexes.map((index) => index.name),
    ['by_p'],
  );
  assert.equal(settled.checks, []);
  assert.is(settled.nextColumnId, changing.nextColumnId, 'ids are not used again');
  assert.is(withoutUnfinished(child), child);
  // A column that a public index holds stays.
  const keyed = {
    ...child,
    columns: child.columns.map((column) => (column.name === 'p' ? { ...column, state: 'write_only' as const } : column)),
  };
  assert.is(withoutUnfinished(keyed).columns[1]?.state, 'public');
});

test('sequence ids are replaced where a sequence is meant, and nowhere else', () => {
  const map = new Map([[52, 152]]);
  assert.is(rewriteSequenceIds('nextval(52::REGCLASS)', map), 'nextval(152::REGCLASS)');
  assert.is(rewriteSequenceIds('52 + nextval(52::REGCLASS)', map), '52 + nextval(152::REGCLASS)');
  assert.is(rewriteSequenceIds('nextval(53::REGCLASS)', map), 'nextval(53::REGCLASS)');
  assert.is(rewriteSequenceIds("concat('52', nextval(52::REGCLASS)::STRING)", map), "concat('52', nextval(152::REGCLASS)::STRING)");
});

test('a layer shows its descriptors as of any time in it, PUBLIC ones only', () => {
  const at = (name: string, time: number, state: Descriptor['state'] = 'PUBLIC') => ({
    ...parent,
    name,
    modificationTime: time as Timestamp,
    state,
  });
  const layer = {
    endTime: 40,
    descriptors: [at('last', 30)],
    descriptorChanges: [
      { id: 63, time: 5, descriptor: at('first', 5) },
      { id: 63, time: 20, descriptor: at('first', 20, 'OFFLINE') },
      { id: 63, time: 30, descriptor: at('last', 30) },
      { id: 64, time: 6, descriptor: child },
      { id: 64, time: 25, descriptor: undefined },
    ],
  } as unknown as Manifest;
  const names = (time: number) => descriptorsAt(layer, time as Timestamp).map(({ name }) => name);
  assert.equal(names(5), ['first']);
  assert.equal(names(19), ['first', 'child']);
  assert.equal(names(20), ['child']);
  assert.equal(names(25), []);
  assert.equal(names(30), ['last']);
  assert.equal(names(40), ['last']);
});

test.run();
