/** Functions in the catalog: how their names stand in the namespace, their stored form, and what validation sees. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import type { Timestamp } from '../../src/base/timestamp.ts';
import { type Descriptor, type FunctionDescriptor, namePlace } from '../../src/catalog/descriptor.ts';
import { decodeDescriptor, encodeDescriptor } from '../../src/catalog/descriptorCodec.ts';
import { CatalogSnapshot, nameKey } from '../../src/catalog/snapshot.ts';
import { Type } from '../../src/catalog/type.ts';
import { validateCatalog } from '../../src/catalog/validate.ts';

const test = suite('functions in the catalog');

const common = {
  parentId: 60,
  version: 1,
  modificationTime: 5 as Timestamp,
  state: 'PUBLIC',
  privileges: { owner: 'root', grants: [] },
} as const;
const database: Descriptor = { ...common, kind: 'database', id: 60, name: 'd', parentId: 0 };

function made(id: number, slot: number, more: Partial<FunctionDescriptor> = {}): FunctionDescriptor {
  const uses = { dependsOnIds: [], columnUses: [], typeIds: [], functionIds: [], referencedByIds: [] };
  const body = { params: [{ name: 'a', type: Type.Int8 }], returns: Type.Int8, volatility: 'immutable', statements: ['SELECT a'] } as const;
  return { ...common, ...uses, ...body, kind: 'function', id, name: 'f', schemaId: 29, slot, ...more };
}

function snapshotOf(descriptors: readonly Descriptor[]): CatalogSnapshot {
  const byId = new Map(descriptors.map((one) => [one.id, one]));
  const entries = descriptors.map((one) => ({ ...namePlace(one), id: one.id }));
  const names = new Map(entries.map((entry) => [nameKey(entry.parentId, entry.schemaId, entry.name), entry]));
  const content = {
    version: 1,
    descriptorOf: (id: number) => byId.get(id),
    ids: () => byId.keys(),
    idOf: (parentId: number, schemaId: number, name: string) => names.get(nameKey(parentId, schemaId, name))?.id,
    names: () => names.values(),
  };
  return new CatalogSnapshot(content, 5 as Timestamp);
}

test('the overloads of a name are found in their order, beside a relation of that name', () => {
  const snapshot = snapshotOf([database, made(71, 1), made(70, 0), made(72, 0, { name: 'g' })]);
  assert.equal(
    snapshot.functionsNamed(60, 29, 'f').map(({ id }) => id),
    [70, 71],
  );
  assert.is(snapshot.lookup(60, 29, 'f'), undefined);
  const names = { currentDatabase: 'd', searchPath: ['nowhere', 'public'] };
  assert.equal([snapshot.resolveFunctions(['public', 'g'], names)[0]?.id, snapshot.resolveFunctions(['h'], names)], [72, []]);
});

test('the stored form reads back', () => {
  const one = made(70, 0, { returnsSet: true, isStrict: true });
  assert.equal(decodeDescriptor(encodeDescriptor(one), 5 as Timestamp), one);
});

test('validation sees references that one side only knows, and a name that stands for another', () => {
  assert.equal(validateCatalog(snapshotOf([database, made(70, 0)])), []);
  const problems = validateCatalog(
    snapshotOf([database, made(70, 0), made(71, 1, { functionIds: [70], dependsOnIds: [99] }), made(72, 1)]),
  );
  assert.ok(problems.includes('f (71): function 70 does not know that this function uses it'), problems.join('; '));
  assert.ok(problems.includes('f (71): object 99 does not know that this function uses it'));
  assert.ok(problems.includes('f (71): its name stands for 72'));
});

test.run();
