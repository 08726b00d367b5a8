/** Diffs against brute force, over times and forks; and that they cost what differs. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { seededRandom } from '../../src/base/random.ts';
import { ManualClock, open, type RowDifference, type Varve } from '../../src/index.ts';
import type { Kv } from '../../src/kv/kv.ts';
import type { Database } from '../../src/server/database.ts';
import { forkSides, timeSides } from '../../src/server/historyFunctions.ts';
import { rowVersions } from '../../src/server/rowVersions.ts';
import { type DiffSide, tableChanges } from '../../src/server/tableDiff.ts';

const test = suite('server: table diff');

type Rows = Map<string, Record<string, unknown>>;

async function rowsOf(db: Varve, asOf = ''): Promise<Rows> {
  const { rows } = await db.query(`SELECT * FROM t ${asOf} ORDER BY a, b`);
  return new Map(rows.map((row) => [JSON.stringify([row['a'], row['b']]), row]));
}

function bruteForce(before: Rows, after: Rows): RowDifference[] {
  const keys = [...new Set([...before.keys(), ...after.keys()])].map((key) => JSON.parse(key) as [number, string]);
  keys.sort(([a1, b1], [a2, b2]) => a1 - a2 || (b1 < b2 ? -1 : 1));
  return keys.flatMap(([a, b]): RowDifference[] => {
    const [old, now] = [before.get(JSON.stringify([a, b])), after.get(JSON.stringify([a, b]))];
    const key = { a, b };
    if (!old) return now ? [{ op: 'insert', key, after: now }] : [];
    if (!now) return [{ op: 'delete', key, before: old }];
    return JSON.stringify(old) === JSON.stringify(now) ? [] : [{ op: 'update', key, before: old, after: now }];
  });
}

const SETUP = 'CREATE TABLE t (a INT, b STRING, v INT, w STRING, PRIMARY KEY (a, b), FAMILY (a, b, v), FAMILY (w), INDEX (v))';

for (const seed of ['one', 'two', 'three', 'four']) {
  test(`random histories and forks: ${seed}`, async () => {
    const random = seededRandom(seed);
    const clock = new ManualClock('2026-11-20T00:00:00Z');
    const main = await open({ clock, seed });
    await main.query(SETUP);
    const sides: Varve[] = [main];
    const marks: string[] = [];
    const step = async (db: Varve): Promise<void> => {
      const [a, b] = [random.int(6), 'xyz'[random.int(3)]];
      const writes = [
        `UPSERT INTO t VALUES (${a}, '${b}', ${random.int(5)}, 'w${random.int(3)}')`,
        `UPDATE t SET w = NULL WHERE a = ${a}`,
        `UPDATE t SET v = ${random.int(3)} WHERE a = ${a} AND b = '${b}'`,
        `DELETE FROM t WHERE a = ${a} AND b = '${b}'`,
        `DELETE FROM t WHERE b = '${b}'`,
        'TRUNCATE t',
      ];
      await db.query(writes[random.int(30) === 0 ? 5 : random.int(5)] as string);
    };
    for (let i = 0; i < 150; i++) {
      const db = sides[random.int(sides.length)] as Varve;
      await step(db);
      if (random.int(10) === 0) marks.push(String((await main.query('SELECT cluster_logical_timestamp()::STRING AS t')).rows[0]?.['t']));
      if (random.int(25) === 0 && sides.length < 5) sides.push(await db.fork());
    }
    for (let i = 0; i < 25 && marks.length > 1; i++) {
      const [from, to] = [marks[random.int(marks.length)], marks[random.int(marks.length)]] as [string, string];
      const expected = bruteForce(await rowsOf(main, `AS OF SYSTEM TIME ${from}`), await rowsOf(main, `AS OF SYSTEM TIME ${to}`));
      assert.equal(await main.diff('t', { from, to }), expected);
    }
    // Some forks outlive the history they share: then every row is compared.
    for (const horizon of ['0s', '30h']) {
      await clock.advance(horizon);
      for (const left of sides) {
        for (const right of sides) assert.equal(await left.diff('t', { fork: right }), bruteForce(await rowsOf(left), await rowsOf(right)));
      }
    }
    for (const side of sides.reverse()) await side.close();
  });
}

/** The side over a kv that counts keys: those that exports and scans give, and those that are looked up. */
function counting(side: DiffSide, counts: { keys: number }): DiffSide {
  const { kv: real } = side;
  const kv = new Proxy(real, {
    get(target, name) {
      if (name === 'exportSpan') {
        return async (...args: Parameters<Kv['exportSpan']>) => {
          const piece = await target.exportSpan(...args);
          counts.keys += piece.keys.length;
          return piece;
        };
      }
      if (name === 'at') {
        return (...args: Parameters<Kv['at']>) => {
          const reader = target.at(...args);
          return {
            readTimestamp: reader.readTimestamp,
            get: (keys: Parameters<typeof reader.get>[0]) => {
              counts.keys += keys.length;
              return reader.get(keys);
            },
            scan: async (...scan: Parameters<typeof reader.scan>) => {
              const found = await reader.scan(...scan);
              counts.keys += found.keys.length;
              return found;
            },
          };
        };
      }
      const value = Reflect.get(target, name, target) as unknown;
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  return { ...side, kv };
}

test('a column that one side lacks is NULL there: adding and dropping change the rows that hold something', async () => {
  const db = await open({ clock: new ManualClock('2026-11-20T00:00:00Z'), seed: 'columns' });
  await db.query(
    "CREATE TABLE t (k INT PRIMARY KEY, v INT, s STRING, FAMILY (k, v), FAMILY (s)); INSERT INTO t VALUES (1, 1, 's'), (2, 2, NULL)",
  );
  const mark = async () => String((await db.query('SELECT cluster_logical_timestamp()::STRING AS t')).rows[0]?.['t']);
  const diff = async (from: string) => (await db.diff('t', { from })).map(({ op, key, before, after }) => [op, key['k'], before, after]);
  const start = await mark();
  const fork = await db.fork();
  await db.query('ALTER TABLE t DROP COLUMN s');
  const dropped = [['update', 1, { k: 1, v: 1, s: 's' }, { k: 1, v: 1 }]];
  assert.equal(await diff(start), dropped);
  assert.equal((await db.diff('t', { fork })).length, 1, 'a fork that still has the column');
  const without = await mark();
  await db.query('UPDATE t SET v = 9; UPDATE t SET v = k');
  assert.equal(await diff(start), dropped, 'what was rewritten with the same values');
  assert.equal(await diff(without), [], 'the value of the dropped column went with the first write');
  await db.query('ALTER TABLE t RENAME COLUMN v TO w');
  assert.equal(await diff(without), []);
  await db.query('ALTER TABLE t ADD COLUMN c INT');
  assert.equal(await diff(without), []);
  await db.query('UPDATE t SET c = 5 WHERE k = 2');
  assert.equal(await diff(without), [['update', 2, { k: 2, v: 2 }, { k: 2, w: 2, c: 5 }]]);
  await fork.close();
  await db.close();
});

test('a diff looks at what changed, however many rows there are', async () => {
  const db = await open({ clock: new ManualClock('2026-11-20T00:00:00Z'), seed: 'cost' });
  await db.query('CREATE TABLE t (id INT PRIMARY KEY, v INT)');
  await db.query('INSERT INTO t SELECT i, i FROM generate_series(1, 20000) AS g(i)');
  const { database } = db;
  const from = database.kv.hlc.now();
  const fork = await db.fork();
  await db.query('UPDATE t SET v = 0 WHERE id IN (7, 700, 7000); DELETE FROM t WHERE id = 8');
  await fork.query('UPDATE t SET v = 0 WHERE id = 9');
  const session = db.database.newSession();
  const asker = { user: 'root', names: session.names };
  const cost = async (sides: [DiffSide, DiffSide]): Promise<{ rows: number; keys: number }> => {
    const counts = { keys: 0 };
    let rows = 0;
    const kvs = new Map<Kv, Kv>();
    const [before, after] = sides.map((side) => {
      const counted = counting(side, counts);
      // One cluster stays one cluster.
      kvs.set(side.kv, kvs.get(side.kv) ?? counted.kv);
      return { ...side, kv: kvs.get(side.kv) as Kv };
    }) as [DiffSide, DiffSide];
    for await (const _ of tableChanges(before, after)) rows++;
    return { rows, keys: counts.keys };
  };
  // Four rows: exported once, and looked up on both sides.
  assert.equal(await cost(await timeSides(database, 't', [from, database.kv.reading()], asker)), { rows: 4, keys: 12 });
  // Five rows, four of one log and one of the other.
  const pair: [Database, Database] = [database, fork.database];
  assert.equal(await cost(await forkSides('t', pair, asker)), { rows: 5, keys: 15 });
  session.close();
  await fork.close();
  await db.close();
});

test('the versions of a row cost what the row has been', async () => {
  const db = await open({ clock: new ManualClock('2026-11-20T00:00:00Z'), seed: 'versions' });
  await db.query('CREATE TABLE t (id INT PRIMARY KEY, v INT)');
  await db.query('INSERT INTO t SELECT i, 0 FROM generate_series(1, 20000) AS g(i)');
  for (let v = 1; v <= 5; v++) await db.query('UPDATE t SET v = $1 WHERE id = 700', [v]);
  const { kv, services } = db.database;
  const session = db.database.newSession();
  const { descriptor: table } = (await services.catalog.current()).requireTable(['t'], session.names);
  const counts = { keys: 0 };
  const versions = await rowVersions(counting({ kv, at: kv.reading(), table }, counts).kv, table, [700], kv.reading());
  assert.equal(
    versions.map(({ row }) => row?.values.at(-1)),
    [5, 4, 3, 2, 1, 0],
  );
  // Six versions, and the read that asks whether the time may be read.
  assert.is(counts.keys, 7);
  session.close();
  await db.close();
});

test('many changes come in pieces, in order, each row once', async () => {
  const db = await open({ clock: new ManualClock('2026-11-20T00:00:00Z'), seed: 'pieces' });
  await db.query('CREATE TABLE t (id INT PRIMARY KEY, v STRING, w STRING, FAMILY (id, v), FAMILY (w))');
  await db.query("INSERT INTO t SELECT i, repeat('v', 300), repeat('w', 300) FROM generate_series(1, 6000) AS g(i)");
  const fork = await db.fork();
  await fork.query("UPDATE t SET v = repeat('x', 300), w = repeat('y', 300) WHERE true");
  await fork.query('DELETE FROM t WHERE id % 3 = 0');
  const changes = await db.diff('t', { fork });
  assert.equal(
    changes.map(({ op, key }) => [op, key['id']]),
    Array.from({ length: 6000 }, (_, i) => [(i + 1) % 3 === 0 ? 'delete' : 'update', i + 1]),
  );
  await fork.close();
  await db.close();
});

test.run();
