/**
 * The catalog in memory against the catalog's rows, at many times, while several writers change the
 * schema at once and some commits are large enough to be applied in slices.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { utf8Decode } from '../../src/base/bytes.ts';
import { isVarveError } from '../../src/base/errors.ts';
import { InlineExecutor } from '../../src/base/executor.ts';
import { seededRandom } from '../../src/base/random.ts';
import type { Timestamp } from '../../src/base/timestamp.ts';
import { openCatalog } from '../../src/catalog/bootstrap.ts';
import { Catalog, type CatalogSnapshot } from '../../src/catalog/catalog.ts';
import { DEFAULTDB_ID, PUBLIC_SCHEMA_ID, type TableDescriptor } from '../../src/catalog/descriptor.ts';
import { systemTable } from '../../src/catalog/systemRows.ts';
import { Type } from '../../src/catalog/type.ts';
import type { Kv } from '../../src/kv/kv.ts';
import { testKv, testTable } from './support.ts';

/** Yields at every opportunity, for real: other work runs in between. */
class YieldingExecutor extends InlineExecutor {
  override shouldYield(): boolean {
    return true;
  }

  override async yield(): Promise<void> {
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  }
}

const history = suite('catalog history');

const columns = [{ name: 'id', type: Type.Int8 }];

/** Names and versions of the tables of defaultdb, from the rows alone. */
async function fromRows(kv: Kv, ts: Timestamp): Promise<string[]> {
  const reader = kv.at(ts);
  const names = await systemTable('namespace').scan(reader, DEFAULTDB_ID, PUBLIC_SCHEMA_ID);
  const rows = await systemTable('descriptor').scan(reader);
  const versions = new Map(rows.map((row) => [row['id'], (JSON.parse(utf8Decode(row['descriptor'] as never)) as TableDescriptor).version]));
  return names.map((row) => `${row['name']}=${row['id']}v${versions.get(row['id'])}`).sort();
}

function fromSnapshot(snapshot: CatalogSnapshot): string[] {
  const database = snapshot.requireDatabase('defaultdb');
  return snapshot
    .tablesOf(database.id)
    .map((table) => `${table.name}=${snapshot.lookup(database.id, PUBLIC_SCHEMA_ID, table.name)}v${table.version}`)
    .sort();
}

for (const seed of [1, 2, 3, 4, 5]) {
  history(`snapshots equal the rows at every time, seed ${seed}`, async () => {
    const { kv } = testKv({ slicedCommitKeysMin: seed % 2 === 0 ? 6 : 10_000 });
    const services = await openCatalog(kv);
    const { catalog } = services;
    const random = seededRandom(seed);
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    const times: Timestamp[] = [];
    const late = new Catalog(kv);

    const change = async (): Promise<void> => {
      const picked = names.filter(() => random.int(3) === 0);
      const ids = await catalog.allocateIds(Math.max(1, picked.length));
      await kv.run(async (txn) => {
        const snapshot = (await catalog.snapshot(txn)).tracked();
        picked.forEach((name, i) => {
          const id = snapshot.lookup(DEFAULTDB_ID, PUBLIC_SCHEMA_ID, name);
          const table = id === undefined ? undefined : snapshot.tableById(id);
          catalog.noteReads(txn, snapshot.dependencies);
          if (!table) {
            catalog.writeDescriptor(txn, testTable(ids + i, name, columns, ['id']));
            catalog.writeName(txn, DEFAULTDB_ID, PUBLIC_SCHEMA_ID, name, ids + i);
          } else if (random.int(3) === 0) {
            catalog.deleteDescriptor(txn, table.id);
            catalog.deleteName(txn, DEFAULTDB_ID, PUBLIC_SCHEMA_ID, name);
          } else {
            catalog.writeDescriptor(txn, { ...table, excludeDataFromBackup: !table.excludeDataFromBackup });
          }
        });
      });
      times.push(kv.reading());
    };

    const writer = async (): Promise<void> => {
      for (let i = 0; i < 12; i++) {
        try {
          await change();
        } catch (error) {
          // Out of retries under contention: nothing was written, which the comparison will see.
          assert.ok(isVarveError(error) && error.code === '40001', String(error));
        }
      }
    };
    // One catalog is loaded while the writers are at work.
    await Promise.all([writer(), writer(), writer(), late.current()]);

    assert.ok(times.length > 20, `${times.length} changes`);
    const fresh = new Catalog(kv);
    for (const ts of times) {
      const expected = await fromRows(kv, ts);
      for (const source of [catalog, late, fresh]) assert.equal(fromSnapshot(await source.snapshot(kv.at(ts))), expected, `at ${ts}`);
    }
    assert.equal(fromSnapshot(await late.current()), await fromRows(kv, kv.reading()));
    late.close();
    fresh.close();
    services.close();
    kv.close();
  });
}

history('what commits while the catalog is first read is not lost', async () => {
  const { kv } = testKv();
  const services = await openCatalog(kv);
  // A kv whose scans answer only after a table has been created meanwhile.
  let isSlow = true;
  let created = 0;
  const slow: Kv = new Proxy(kv, {
    get: (target, property) => {
      if (property !== 'at') {
        const value = Reflect.get(target, property, target) as unknown;
        return typeof value === 'function' ? value.bind(target) : value;
      }
      return (ts: Timestamp, options?: { unchecked?: boolean }) => {
        const reader = target.at(ts, options);
        const scan = async (...args: Parameters<typeof reader.scan>) => {
          const result = await reader.scan(...args);
          if (isSlow) await create(`meanwhile${created++}`);
          return result;
        };
        return { readTimestamp: ts, get: reader.get.bind(reader), scan };
      };
    },
  });
  const create = async (name: string) => {
    const id = await services.catalog.allocateIds(1);
    await kv.run(async (txn) => {
      services.catalog.writeDescriptor(txn, testTable(id, name, columns, ['id']));
      services.catalog.writeName(txn, DEFAULTDB_ID, PUBLIC_SCHEMA_ID, name, id);
    });
  };
  const catalog = new Catalog(slow);
  const snapshot = await catalog.current();
  isSlow = false;
  assert.equal(snapshot.tablesOf(DEFAULTDB_ID).length, 2);
  assert.equal(fromSnapshot(snapshot), await fromRows(kv, kv.reading()));
  catalog.close();
  services.close();
});

history('a reader above a large commit under way waits for it', async () => {
  const { kv } = testKv({ slicedCommitKeysMin: 4, executor: new YieldingExecutor() });
  const services = await openCatalog(kv);
  const id = await services.catalog.allocateIds(30);
  const txn = kv.begin();
  for (let i = 0; i < 30; i++) {
    services.catalog.writeDescriptor(txn, testTable(id + i, `t${i}`, columns, ['id']));
    services.catalog.writeName(txn, DEFAULTDB_ID, PUBLIC_SCHEMA_ID, `t${i}`, id + i);
  }
  const committed = txn.commit();
  for (let turn = 0; turn < 3; turn++) await Promise.resolve();
  const reader = kv.at(kv.reading());
  const seen = (await services.catalog.snapshot(reader)).tablesOf(DEFAULTDB_ID).length;
  const ts = await committed;
  assert.is(seen, reader.readTimestamp >= ts ? 30 : 0);
  services.close();
});

history.run();
