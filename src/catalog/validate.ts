/**
 * Validation of descriptors: every rule a stored definition obeys, as a list of what is broken.
 *
 * validateDescriptor looks at one descriptor alone and runs before every write; validateCatalog
 * looks at the references between all of them and is for tests, restore and repair.
 */
import { isKeyable, isStorable } from './columnCodec.ts';
import {
  columnById,
  type DatabaseDescriptor,
  type Descriptor,
  type IndexDescriptor,
  type FunctionDescriptor,
  isTable,
  namePlace,
  PUBLIC_SCHEMA_ID,
  type TableDescriptor,
} from './descriptor.ts';
import { functionIdsUsed, typeIdsUsed } from './enumType.ts';
import { regionsOf } from './regions.ts';
import type { CatalogSnapshot } from './snapshot.ts';

/** Every broken rule in words; empty when the descriptor is sound. */
export function validateDescriptor(desc: Descriptor): string[] {
  const problems: string[] = [];
  const check = (holds: boolean, problem: string) => {
    if (!holds) problems.push(problem);
  };
  check(Number.isSafeInteger(desc.id) && desc.id > 0, `id ${desc.id} is not a positive integer`);
  check(desc.name !== '', 'name is empty');
  check(desc.version >= 1, `version ${desc.version} is below 1`);
  check(desc.privileges.owner !== '', 'owner is empty');
  check((desc.state === 'OFFLINE') === (desc.offlineReason !== undefined), `state ${desc.state} with offline reason ${desc.offlineReason}`);
  if (desc.kind === 'database') check(desc.parentId === 0, `a database with parent ${desc.parentId}`);
  else check(desc.parentId > 0, `no parent database`);
  if (desc.kind === 'type') {
    check(unique(desc.members), 'duplicate enum labels');
    check(desc.physical.length === desc.members.length, 'enum labels without representation');
    check(
      desc.physical.every((one, i) => i === 0 || (desc.physical[i - 1] as string) < one),
      'enum representations out of order',
    );
  }
  if (desc.kind === 'table') checkTable(desc, check);
  return problems;
}

type Check = (holds: boolean, problem: string) => void;

function checkTable(desc: TableDescriptor, check: Check): void {
  check(desc.schemaId > 0, 'no schema');
  if (desc.view) return;
  const ids = desc.columns.map((column) => column.id);
  check(unique(ids), 'duplicate column ids');
  check(unique(desc.columns.map((column) => column.name)), 'duplicate column names');
  for (const column of desc.columns) {
    check(column.id > 0 && column.id < desc.nextColumnId, `column id ${column.id} is not below ${desc.nextColumnId}`);
    check(column.name !== '', `column ${column.id} has no name`);
    check(isStorable(column.type), `column ${column.name} has a type that cannot be stored`);
    check(!column.isVirtual || column.computeExpr !== undefined, `virtual column ${column.name} has no expression`);
    check(!column.computeExpr || !column.defaultExpr, `generated column ${column.name} has a default`);
  }
  checkFamilies(desc, check);
  checkIndexes(desc, check);
  const exists = (id: number) => ids.includes(id);
  for (const constraint of desc.checks) {
    check(constraint.columnIds.every(exists), `check ${constraint.name} names a column that is not there`);
    check(constraint.id < desc.nextConstraintId, `constraint id ${constraint.id} is not below ${desc.nextConstraintId}`);
  }
  for (const key of desc.foreignKeys) {
    check(key.columnIds.every(exists), `foreign key ${key.name} names a column that is not there`);
    check(key.columnIds.length === key.referencedColumnIds.length, `foreign key ${key.name} pairs columns unevenly`);
    check(key.columnIds.length > 0, `foreign key ${key.name} has no columns`);
    check(key.id < desc.nextConstraintId, `constraint id ${key.id} is not below ${desc.nextConstraintId}`);
  }
  const names = [...desc.checks, ...desc.foreignKeys].map((constraint) => constraint.name);
  const uniqueNames = desc.indexes.filter((index) => index.isConstraint).map((index) => index.name);
  check(unique([...names, ...uniqueNames]), 'duplicate constraint names');
}

function checkFamilies(desc: TableDescriptor, check: Check): void {
  check(
    desc.families.some((family) => family.id === 0),
    'no family 0',
  );
  check(unique(desc.families.map((family) => family.id)), 'duplicate family ids');
  check(unique(desc.families.map((family) => family.name)), 'duplicate family names');
  for (const family of desc.families) check(family.id < desc.nextFamilyId, `family id ${family.id} is not below ${desc.nextFamilyId}`);
  const assigned = desc.families.flatMap((family) => family.columnIds);
  check(unique(assigned), 'a column is in two families');
  for (const column of desc.columns) {
    check(assigned.includes(column.id) === !column.isVirtual, `column ${column.name} is ${column.isVirtual ? '' : 'not '}in a family`);
  }
  check(assigned.length === desc.columns.filter((column) => !column.isVirtual).length, 'a family names a column that is not there');
}

function checkIndexes(desc: TableDescriptor, check: Check): void {
  const indexes = [desc.primaryIndex, ...desc.indexes];
  check(unique(indexes.map((index) => index.id)), 'duplicate index ids');
  check(unique(indexes.map((index) => index.name)), 'duplicate index names');
  check(desc.primaryIndex.unique, 'the primary index is not unique');
  check(desc.primaryIndex.keySuffixColumnIds.length === 0, 'the primary index has a key suffix');
  for (const index of indexes) checkIndex(desc, index, check);
  for (const id of desc.primaryIndex.columnIds) {
    check(columnById(desc, id)?.nullable === false || !isTable(desc), `primary key column ${id} may be null`);
  }
}

function checkIndex(desc: TableDescriptor, index: IndexDescriptor, check: Check): void {
  check(index.id > 0 && index.id < desc.nextIndexId, `index id ${index.id} is not below ${desc.nextIndexId}`);
  check(index.columnIds.length > 0, `index ${index.name} has no columns`);
  check(index.columnIds.length === index.directions.length, `index ${index.name} has ${index.directions.length} directions`);
  const all = [...index.columnIds, ...index.keySuffixColumnIds, ...index.storeColumnIds];
  check(unique(all), `index ${index.name} names a column twice`);
  for (const id of all) check(columnById(desc, id) !== undefined, `index ${index.name} names column ${id}, which is not there`);
  for (const id of [...index.columnIds, ...index.keySuffixColumnIds]) {
    const column = columnById(desc, id);
    check(column === undefined || isKeyable(column.type), `index ${index.name}: column ${column?.name} is not indexable`);
  }
  if (index.id === desc.primaryIndex.id) return;
  const missing = desc.primaryIndex.columnIds.filter((id) => !index.columnIds.includes(id));
  check(sameSet(missing, index.keySuffixColumnIds), `index ${index.name} does not end in the primary key`);
}

/** Broken references between descriptors and names, as `name (id): problem`. */
export function validateCatalog(snapshot: CatalogSnapshot): string[] {
  const problems: string[] = [];
  for (const desc of snapshot.all()) {
    const report = (problem: string) => problems.push(`${desc.name} (${desc.id}): ${problem}`);
    for (const problem of validateDescriptor(desc)) report(problem);
    if (desc.state === 'DROP') continue;
    const place = namePlace(desc);
    const schemaId = Math.abs(place.schemaId);
    const named = snapshot.lookup(place.parentId, place.schemaId, place.name);
    if (named !== desc.id) report(`its name stands for ${named ?? 'nothing'}`);
    if (desc.kind !== 'database' && !snapshot.databaseById(desc.parentId)) report(`database ${desc.parentId} is not there`);
    if (schemaId !== 0 && schemaId !== PUBLIC_SCHEMA_ID && snapshot.byId(schemaId)?.kind !== 'schema')
      report(`schema ${schemaId} is not there`);
    if (desc.kind === 'database') validateRegions(desc, snapshot, report);
    if (desc.kind === 'table') {
      validateReferences(desc, snapshot, report);
      validateLocality(desc, snapshot, report);
    }
    if (desc.kind === 'type') {
      for (const id of desc.referencedByIds) {
        const user = snapshot.byId(id);
        if (!user || user.state === 'DROP' || !typeIdsUsed(user).includes(desc.id))
          report(`${user?.kind ?? 'table'} ${id} does not use it`);
      }
    }
    for (const id of functionIdsUsed(desc)) {
      if (!snapshot.functionById(id)?.referencedByIds.includes(desc.id))
        report(`function ${id} does not know that this ${desc.kind} uses it`);
    }
    if (desc.kind === 'function') validateFunction(desc, snapshot, report);
  }
  return problems;
}

function validateFunction(desc: FunctionDescriptor, snapshot: CatalogSnapshot, report: (problem: string) => void): void {
  for (const id of desc.dependsOnIds) {
    if (!snapshot.tableById(id)?.dependedOnByIds.includes(desc.id)) report(`object ${id} does not know that this function uses it`);
  }
  for (const id of desc.typeIds) {
    if (!snapshot.typeById(id)?.referencedByIds.includes(desc.id)) report(`type ${id} does not know that this function uses it`);
  }
  for (const id of desc.referencedByIds) {
    const user = snapshot.byId(id);
    if (!user || user.state === 'DROP' || !functionIdsUsed(user).includes(desc.id)) report(`object ${id} does not use it`);
  }
}

function validateRegions(desc: DatabaseDescriptor, snapshot: CatalogSnapshot, report: (problem: string) => void): void {
  if (!desc.regions) return;
  const { typeId, primaryRegion, secondaryRegion } = desc.regions;
  const type = snapshot.typeById(typeId);
  if (!type?.isRegions || type.parentId !== desc.id || type.state === 'DROP') {
    report(`type ${typeId} has none of its regions`);
    return;
  }
  for (const region of [primaryRegion, secondaryRegion ?? primaryRegion]) {
    if (!type.members.includes(region)) report(`${region} is none of its regions`);
  }
  if (primaryRegion === secondaryRegion) report('its secondary region is the primary one');
}

/** A table's home is a region of its database; where rows have one each, every index begins with it. */
function validateLocality(desc: TableDescriptor, snapshot: CatalogSnapshot, report: (problem: string) => void): void {
  const { locality } = desc;
  const rowRegion = locality?.kind === 'row' ? locality.columnId : undefined;
  for (const index of desc.view && !desc.view.isMaterialized ? [] : [desc.primaryIndex, ...desc.indexes]) {
    const beginsWithRegion = rowRegion !== undefined && index.columnIds[0] === rowRegion;
    if (beginsWithRegion !== (rowRegion !== undefined) || (index.regional && !beginsWithRegion)) {
      report(`index ${index.name} does not begin with the region`);
    }
  }
  if (!locality || locality.kind === 'global') return;
  const regions = regionsOf(snapshot.databaseById(desc.parentId), snapshot);
  if (!regions) report('a locality in a database without regions');
  else if (locality.kind === 'row' && columnById(desc, locality.columnId)?.type.typeId !== regions.typeId) {
    report('the column of its regions is of another type');
  } else if (locality.kind === 'table' && locality.region !== undefined && !regions.names.includes(locality.region)) {
    report(`${locality.region} is no region of its database`);
  }
}

function validateReferences(desc: TableDescriptor, snapshot: CatalogSnapshot, report: (problem: string) => void): void {
  for (const key of desc.foreignKeys) {
    const target = snapshot.tableById(key.referencedTableId);
    if (!target) {
      report(`foreign key ${key.name} references table ${key.referencedTableId}, which is not there`);
      continue;
    }
    if (!target.referencedByIds.includes(desc.id)) report(`foreign key ${key.name}: ${target.name} does not know of it`);
    if (!key.referencedColumnIds.every((id) => columnById(target, id))) report(`foreign key ${key.name} references a missing column`);
  }
  for (const id of desc.referencedByIds) {
    const source = snapshot.tableById(id);
    if (!source?.foreignKeys.some((key) => key.referencedTableId === desc.id)) report(`table ${id} does not reference it`);
  }
  for (const id of desc.view?.dependsOnIds ?? []) {
    if (!snapshot.tableById(id)?.dependedOnByIds.includes(desc.id)) report(`object ${id} does not know that this view uses it`);
  }
  for (const id of typeIdsUsed(desc)) {
    if (!snapshot.typeById(id)?.referencedByIds.includes(desc.id)) report(`type ${id} does not know that this table uses it`);
  }
  for (const id of desc.dependedOnByIds) {
    const user = snapshot.tableById(id);
    const isUsed = user?.view?.dependsOnIds.includes(desc.id) || user?.columns.some((column) => column.usesSequenceIds?.includes(desc.id));
    if (user?.view && user.state !== 'DROP' && !isUsed) report(`view ${id} does not use it`);
  }
  const isSequence = (id: number): boolean => {
    const one = snapshot.tableById(id);
    return one?.sequence !== undefined && one.state !== 'DROP';
  };
  for (const column of desc.columns) {
    for (const id of column.usesSequenceIds ?? []) {
      if (!isSequence(id)) report(`column ${column.name} uses sequence ${id}, which is not there`);
    }
    for (const id of column.ownsSequenceIds ?? []) {
      if (!isSequence(id)) report(`column ${column.name} owns sequence ${id}, which is not there`);
    }
  }
}

function unique(values: readonly unknown[]): boolean {
  return new Set(values).size === values.length;
}

function sameSet(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((id) => b.includes(id));
}
