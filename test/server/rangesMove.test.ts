/**
 * A transaction, a backup and a restore while ranges are cut, joined and moved and nodes come and go,
 * at every call to the storage. Ranges are metadata: nothing may be missing, twice, or changed.
 * Lives elsewhere: the same for single exports and ingests (test/kv/rangeChanges.test.ts).
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { EVERYTHING } from '../../src/base/span.ts';
import { type Random, seededRandom } from '../../src/base/random.ts';
import { ManualClock, open, type Varve } from '../../src/index.ts';
import type { ExternalStorage } from '../../src/storage/externalStorage.ts';

const test = suite('server: ranges move');

const NODES = ['region=a', 'region=b', 'region=c'];
const ROWS = 3000;

/** Counts what was done to ranges and nodes, by kind. */
class Disturber {
  readonly done = new Map<string, number>();
  readonly #random: Random;
  readonly #db: () => Varve | undefined;

  constructor(seed: string, db: () => Varve | undefined) {
    this.#random = seededRandom(seed);
    this.#db = db;
  }

  async once(): Promise<void> {
    const kv = this.#db()?.database.kv;
    if (!kv) return;
    const { cluster, ranges } = kv;
    const all = kv.rangesOf(EVERYTHING).filter((range) => range.tableId >= 50);
    const range = all[this.#random.int(Math.max(1, all.length))];
    const id = 1 + this.#random.int(cluster.nodes.length);
    const kinds: Record<string, () => unknown> = {
      split: async () => {
        const { keys } = await kv.at(kv.reading()).scan(range?.span ?? EVERYTHING, { limit: 1 + this.#random.int(ROWS) });
        return keys.length > 1 && ranges.splitBySize(keys.at(-1) as (typeof keys)[0]);
      },
      merge: () => range && ranges.merge(range.span.key),
      lease: () => range && ranges.transferLease(range.rangeId, id),
      stop: () => cluster.liveNodes().length > 1 && cluster.stopNode(id),
      start: () => cluster.startNode(id),
      decommission: () => {
        const others = cluster.liveNodes().filter((node) => node.id !== id && node.membership === 'active');
        if (others.length > 0) cluster.decommissionNode(id);
      },
      recommission: () => cluster.node(id).membership === 'decommissioning' && cluster.recommissionNode(id),
    };
    const kind = Object.keys(kinds)[this.#random.int(Object.keys(kinds).length)] as string;
    this.done.set(kind, (this.done.get(kind) ?? 0) + 1);
    await kinds[kind]?.();
    // The state a node may not be left in, or nothing would go on: all of them stopped.
    if (cluster.liveNodes().length === 0) cluster.startNode(1);
    assert.equal(ranges.check(), []);
  }

  /** The storage, with something happening beside each call. */
  wrap(storage: ExternalStorage): ExternalStorage {
    const disturb = () => this.once();
    return new Proxy(storage, {
      get(target, name) {
        const member = Reflect.get(target, name, target) as unknown;
        if (typeof member !== 'function') return member;
        return (...args: unknown[]) => {
          const result: unknown = member.apply(target, args);
          return result instanceof Promise ? disturb().then(() => result) : result;
        };
      },
    });
  }
}

const CONTENT = 'SELECT count(*) AS n, sum(id) AS ids, sum(v) AS vs, min(t) AS first, max(t) AS last FROM';

for (const seed of ['one', 'two', 'three']) {
  test(`a backup with history, an incremental and their restore: ${seed}`, async () => {
    let db: Varve | undefined;
    const disturber = new Disturber(seed, () => db);
    db = await open({
      clock: new ManualClock('2026-11-20T12:00:00Z'),
      seed,
      localities: NODES,
      restoreCheckpointBytes: 8 * 1024,
      wrapStorage: (storage) => disturber.wrap(storage),
    });
    const { database } = db;
    await db.query('CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY, v INT, t STRING, INDEX (v))');
    await db.query(`INSERT INTO d.t SELECT i, i % 7, 'text ' || i::STRING FROM generate_series(1, ${ROWS}) AS g(i)`);
    await db.query("BACKUP DATABASE d INTO 'mem://b' WITH revision_history");
    const full = (await db.query(`${CONTENT} d.t`)).rows;
    await (db.clock as ManualClock).advance('1m');
    await db.query('UPDATE d.t SET v = v + 1 WHERE id % 3 = 0');
    await db.query('DELETE FROM d.t WHERE id % 11 = 0');
    await db.query("BACKUP DATABASE d INTO LATEST IN 'mem://b' WITH revision_history");
    const last = (await db.query(`${CONTENT} d.t`)).rows;
    await db.query("RESTORE DATABASE d FROM LATEST IN 'mem://b' WITH new_db_name = 'd_last'");
    await db.query("RESTORE DATABASE d FROM LATEST IN 'mem://b' AS OF SYSTEM TIME '-30s' WITH new_db_name = 'd_full'");
    assert.equal((await db.query(`${CONTENT} d_last.t`)).rows, last);
    assert.equal((await db.query(`${CONTENT} d_full.t`)).rows, full);
    assert.equal((await db.query('SELECT count(*) AS n FROM d_last.t@t_v_idx WHERE v >= 0')).rows, [{ n: last[0]?.['n'] }]);
    assert.equal(database.kv.check(), []);
    assert.ok(disturber.done.size >= 5, `done: ${[...disturber.done].join(' ')}`);
    await db.close();
  });

  test(`an open transaction: ${seed}`, async () => {
    const db = await open({ clock: new ManualClock('2026-11-20T12:00:00Z'), seed, localities: NODES });
    const disturber = new Disturber(seed, () => db);
    const disturb = async () => {
      for (let i = 0; i < 5; i++) await disturber.once();
    };
    await db.query('CREATE TABLE t (id INT PRIMARY KEY, v INT, INDEX (v))');
    await db.query(`INSERT INTO t SELECT i, 1 FROM generate_series(1, ${ROWS}) AS g(i)`);
    await db.query('BEGIN');
    await disturb();
    assert.equal((await db.query('SELECT sum(v) AS s FROM t')).rows, [{ s: String(ROWS) }]);
    await disturb();
    await db.query('UPDATE t SET v = 2 WHERE id % 2 = 0');
    await disturb();
    assert.equal((await db.query('SELECT count(*) AS n FROM t@t_v_idx WHERE v = 2')).rows, [{ n: ROWS / 2 }]);
    await disturb();
    await db.query('COMMIT');
    await disturb();
    assert.equal((await db.query('SELECT sum(v) AS s FROM t')).rows, [{ s: String(ROWS * 1.5) }]);
    assert.equal(db.database.kv.check(), []);
    await db.close();
  });
}

test.run();
