import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { EMPTY_BYTES } from '../../src/base/bytes.ts';
import { isVarveError } from '../../src/base/errors.ts';
import { indexPrefix } from '../../src/base/keycode.ts';
import { nextKey } from '../../src/base/span.ts';
import { openCatalog } from '../../src/catalog/bootstrap.ts';
import type { NameContext } from '../../src/catalog/catalog.ts';
import type { TableDescriptor } from '../../src/catalog/descriptor.ts';
import { DEFAULTDB_ID, PUBLIC_SCHEMA_ID } from '../../src/catalog/descriptor.ts';
import { decodeDescriptor, encodeDescriptor } from '../../src/catalog/descriptorCodec.ts';
import { systemTables } from '../../src/catalog/systemTables.ts';
import { Type } from '../../src/catalog/type.ts';
import { validateCatalog, validateDescriptor } from '../../src/catalog/validate.ts';
import type { Txn } from '../../src/kv/kv.ts';
import { type TestCluster, testCluster, testTable } from './support.ts';

const catalogs = suite('catalog');

const DEFAULT: NameContext = { currentDatabase: 'defaultdb', searchPath: ['public'] };
const code = (expected: string) => (error: unknown) => isVarveError(error) && error.code === expected;

async function rejects(promise: Promise<unknown>, expected: string): Promise<void> {
  try {
    await promise;
  } catch (error) {
    assert.ok(code(expected)(error), String(error));
    return;
  }
  assert.unreachable(`no ${expected}`);
}

const columns = [
  { name: 'id', type: Type.Int8 },
  { name: 'v', type: Type.String },
];

async function createTable(cluster: TestCluster, txn: Txn, name: string, parentId = DEFAULTDB_ID): Promise<TableDescriptor> {
  const id = await cluster.catalog.allocateIds(1);
  cluster.catalog.writeName(txn, parentId, PUBLIC_SCHEMA_ID, name, id);
  return cluster.catalog.writeDescriptor(txn, testTable(id, name, columns, ['id'], { parentId }));
}

catalogs('a new cluster has its databases and system tables, and every rule holds', async () => {
  const { catalog } = await testCluster();
  const snapshot = await catalog.current();
  assert.equal(
    snapshot.allDatabases().map((database) => `${database.name} ${database.id}`),
    ['defaultdb 50', 'postgres 51', 'system 1'],
  );
  assert.equal(validateCatalog(snapshot), []);
  assert.is(snapshot.requireTable(['system', 'jobs'], DEFAULT).descriptor.id, 15);
  assert.is(snapshot.requireTable(['system', 'public', 'jobs'], DEFAULT).descriptor.id, 15);
  assert.equal(snapshot.tablesOf(1).length, Object.keys(systemTables).length);
  assert.is(await catalog.allocateIds(3), 52);
  assert.is(await catalog.allocateIds(1), 55);
});

catalogs('descriptors survive JSON, frozen and with shared types', () => {
  for (const { desc } of Object.values(systemTables)) {
    const back = decodeDescriptor(encodeDescriptor(desc), desc.modificationTime) as TableDescriptor;
    assert.equal(back, desc);
    assert.ok(Object.isFrozen(back.columns[0]));
    assert.is(back.columns[0]?.type, desc.columns[0]?.type);
  }
});

catalogs('a transaction sees its own tables, others after the commit, the past never', async () => {
  const cluster = await testCluster();
  const { catalog, kv } = cluster;
  const before = kv.reading();
  const txn = kv.begin();
  await createTable(cluster, txn, 't');
  assert.ok((await catalog.snapshot(txn)).resolveTable(['t'], DEFAULT));
  assert.is((await catalog.current()).resolveTable(['t'], DEFAULT), undefined);
  const committed = await txn.commit();
  const found = (await catalog.current()).requireTable(['t'], DEFAULT);
  assert.is(found.descriptor.version, 1);
  assert.is(found.descriptor.modificationTime, committed);
  assert.is((await catalog.snapshot(kv.at(before))).resolveTable(['t'], DEFAULT), undefined);
  assert.ok((await catalog.snapshot(kv.at(committed))).resolveTable(['t'], DEFAULT));
});

catalogs('a rolled back savepoint takes its schema changes along', async () => {
  const cluster = await testCluster();
  const { catalog, kv } = cluster;
  const txn = kv.begin();
  await createTable(cluster, txn, 'kept');
  const savepoint = txn.savepoint();
  await createTable(cluster, txn, 'gone');
  assert.ok((await catalog.snapshot(txn)).resolveTable(['gone'], DEFAULT));
  txn.rollbackTo(savepoint);
  assert.is((await catalog.snapshot(txn)).resolveTable(['gone'], DEFAULT), undefined);
  assert.ok((await catalog.snapshot(txn)).resolveTable(['kept'], DEFAULT));
  await txn.commit();
  assert.equal(
    (await catalog.current()).tablesOf(DEFAULTDB_ID).map((table) => table.name),
    ['kept'],
  );
});

catalogs('every version can be read at its time, from memory and from the rows', async () => {
  const cluster = await testCluster();
  const { catalog, kv } = cluster;
  const times: number[] = [];
  let table = await kv.run((txn) => createTable(cluster, txn, 't'));
  for (let i = 1; i <= 100; i++) {
    const next = { ...table, excludeDataFromBackup: i % 2 === 0 };
    table = await kv.run(async (txn) => {
      const written = catalog.writeDescriptor(txn, next);
      times.push(0);
      return written;
    });
    times[times.length - 1] = kv.reading();
    await cluster.clock.advance('1s');
  }
  // More versions than are kept in memory: the oldest come from the rows, and a fresh catalog reads all there.
  const fresh = await openCatalog(kv);
  for (const source of [catalog, fresh.catalog]) {
    for (const i of [1, 2, 40, 99, 100]) {
      const seen = (await source.snapshot(kv.at(times[i - 1] as never))).tableById(table.id);
      assert.is(seen?.version, i + 1);
      assert.is(seen?.excludeDataFromBackup, i % 2 === 0);
    }
  }
  fresh.close();
});

catalogs('a plan whose table changes before the commit is refused with 40001', async () => {
  const cluster = await testCluster();
  const { catalog, kv } = cluster;
  const table = await kv.run((txn) => createTable(cluster, txn, 't'));
  const use = async (names: string[]) => {
    const txn = kv.begin();
    const snapshot = (await catalog.snapshot(txn)).tracked();
    snapshot.resolveTable(names, DEFAULT);
    catalog.noteReads(txn, snapshot.dependencies);
    txn.write([nextKey(indexPrefix(200, 1))], [EMPTY_BYTES]);
    return txn;
  };
  const unaffected = await use(['t']);
  await kv.run((txn) => createTable(cluster, txn, 'other'));
  await unaffected.commit();
  const changed = await use(['t']);
  await kv.run(async (txn) => catalog.writeDescriptor(txn, { ...table, excludeDataFromBackup: true }));
  await rejects(changed.commit(), '40001');
  // A name that was not there is a dependency too.
  const missing = await use(['later']);
  await kv.run((txn) => createTable(cluster, txn, 'later'));
  await rejects(missing.commit(), '40001');
});

catalogs('databases: created with public, never twice', async () => {
  const cluster = await testCluster();
  const { catalog, kv } = cluster;
  const bank = await kv.run((txn) => catalog.createDatabase(txn, { name: 'bank', owner: 'root' }));
  assert.is(bank.id, 52);
  await rejects(
    kv.run((txn) => catalog.createDatabase(txn, { name: 'bank', owner: 'root' })),
    '42P04',
  );
  const both = await Promise.allSettled(
    ['twin', 'twin'].map((name) => kv.run((txn) => catalog.createDatabase(txn, { name, owner: 'root' }))),
  );
  assert.equal(both.map((result) => result.status).sort(), ['fulfilled', 'rejected']);
  await kv.run((txn) => createTable(cluster, txn, 't', bank.id));
  const snapshot = await catalog.current();
  assert.equal(validateCatalog(snapshot), []);
  for (const parts of [
    ['bank', 't'],
    ['bank', 'public', 't'],
  ]) {
    const found = snapshot.requireTable(parts, DEFAULT);
    assert.equal(snapshot.fullName(found.descriptor), ['bank', 'public', 't']);
  }
  assert.ok(snapshot.resolveTable(['t'], { currentDatabase: 'bank', searchPath: ['missing', 'public'] }));
  assert.equal(snapshot.resolveTarget(['bank', 'n'], DEFAULT).schema.database.id, bank.id);
  assert.throws(() => snapshot.requireTable(['t'], DEFAULT), code('42P01'));
  assert.throws(() => snapshot.requireDatabase('nope'), code('3D000'));
  assert.throws(() => snapshot.resolveTarget(['nope', 'n'], DEFAULT), code('3F000'));
});

catalogs('a schema of the current database comes before a database of the same name', async () => {
  const { catalog, kv } = await testCluster();
  const bank = await kv.run((txn) => catalog.createDatabase(txn, { name: 'bank', owner: 'root' }));
  const schemaId = await catalog.allocateIds(1);
  await kv.run(async (txn) => {
    catalog.writeName(txn, bank.id, 0, 'bank', schemaId);
    catalog.writeDescriptor(txn, {
      kind: 'schema',
      id: schemaId,
      name: 'bank',
      parentId: bank.id,
      version: 1,
      modificationTime: bank.modificationTime,
      state: 'PUBLIC',
      privileges: bank.privileges,
    });
  });
  const snapshot = await catalog.current();
  assert.is(snapshot.resolveTarget(['bank', 't'], { currentDatabase: 'bank', searchPath: [] }).schema.id, schemaId);
  assert.is(snapshot.resolveTarget(['bank', 't'], DEFAULT).schema.id, PUBLIC_SCHEMA_ID);
  assert.equal(
    snapshot.schemasOf(snapshot.requireDatabase('bank')).map((schema) => schema.name),
    ['public', 'bank'],
  );
});

catalogs('offline tables are invisible, and say why when named', async () => {
  const cluster = await testCluster();
  const { catalog, kv } = cluster;
  const table = await kv.run((txn) => createTable(cluster, txn, 't'));
  await kv.run(async (txn) => catalog.writeDescriptor(txn, { ...table, state: 'OFFLINE', offlineReason: 'restoring' }));
  const snapshot = await catalog.current();
  assert.is(snapshot.resolveTable(['t'], DEFAULT), undefined);
  assert.throws(() => snapshot.requireTable(['t'], DEFAULT), /relation "t" is offline: restoring/);
  assert.equal(snapshot.tablesOf(DEFAULTDB_ID), []);
});

catalogs('a broken descriptor is never written', async () => {
  const cluster = await testCluster();
  const { catalog, kv } = cluster;
  const table = testTable(99, 't', columns, ['id'], { indexes: [{ name: 'i', columns: ['v'] }] });
  const broken: [string, TableDescriptor][] = [
    ['duplicate column names', { ...table, columns: table.columns.map((column) => ({ ...column, name: 'x' })) }],
    ['column id 2 is not below 2', { ...table, nextColumnId: 2 }],
    ['column v is not in a family', { ...table, families: [{ id: 0, name: 'f', columnIds: [1] }] }],
    ['primary key column 1 may be null', { ...table, columns: table.columns.map((column) => ({ ...column, nullable: true })) }],
    [
      'index i does not end in the primary key',
      { ...table, indexes: table.indexes.map((index) => ({ ...index, keySuffixColumnIds: [] })) },
    ],
    ['state OFFLINE with offline reason undefined', { ...table, state: 'OFFLINE' }],
  ];
  for (const [problem, desc] of broken) {
    assert.ok(
      validateDescriptor(desc).some((found) => found.includes(problem)),
      `${problem}: ${validateDescriptor(desc)}`,
    );
    const txn = kv.begin();
    assert.throws(() => catalog.writeDescriptor(txn, desc), code('XX000'));
    txn.rollback();
  }
});

catalogs('a fork goes its own way', async () => {
  const cluster = await testCluster();
  const { kv } = cluster;
  await kv.run((txn) => createTable(cluster, txn, 'shared'));
  const forkKv = kv.fork();
  const fork = { ...(await openCatalog(forkKv, cluster)), clock: cluster.clock };
  await forkKv.run((txn) => createTable(fork, txn, 'forks'));
  await kv.run((txn) => createTable(cluster, txn, 'parents'));
  const names = async (side: TestCluster) => (await side.catalog.current()).tablesOf(DEFAULTDB_ID).map((table) => table.name);
  assert.equal(await names(fork), ['shared', 'forks']);
  assert.equal(await names(cluster), ['shared', 'parents']);
  fork.close();
  forkKv.close();
});

catalogs.run();
