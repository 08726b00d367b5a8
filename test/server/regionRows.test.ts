/**
 * A REGIONAL BY ROW table beside one of a database without regions: whatever is done to both, from nodes of every region and
 * with rows that move between them, has the same effect, the same results and the same errors.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { InlineExecutor } from '../../src/base/executor.ts';
import { ManualClock } from '../../src/base/manualClock.ts';
import { seededRandom } from '../../src/base/random.ts';
import type { Descriptor, RegionConfig, TableDescriptor } from '../../src/catalog/descriptor.ts';
import { validateCatalog } from '../../src/catalog/validate.ts';
import { Database } from '../../src/server/database.ts';
import type { Session } from '../../src/sql/exec/session.ts';
import { resultTable } from '../support/resultTable.ts';

const test = suite('server: rows by region');
const REGIONS = ['ap', 'eu', 'us'] as const;
const STATEMENTS = 80;

/** `home`: the locality clause. */
const tables = (home: string): string => `
  CREATE TABLE a (id INT PRIMARY KEY, u INT UNIQUE, v INT, w STRING, UNIQUE INDEX aw (w) STORING (v), INDEX av (v DESC)) ${home};
  CREATE TABLE b (
    id INT PRIMARY KEY,
    a_id INT REFERENCES a (id) ON DELETE CASCADE ON UPDATE CASCADE,
    a_u INT REFERENCES a (u) ON DELETE SET NULL ON UPDATE CASCADE,
    INDEX (a_id)
  ) ${home}`;

/** Everything there is, through every index. */
const CONTENTS = [
  ...['a@a_pkey', 'a@a_u_key', 'a@aw', 'a@av'].map((index) => `SELECT * FROM ${index} ORDER BY id`),
  'SELECT * FROM b ORDER BY id',
];

/** Statements whose `n` stand for small numbers and `m` for those or NULL. */
const SHAPES = [
  "INSERT INTO a VALUES (n, m, n, 'wn')",
  "INSERT INTO a VALUES (n, m, n, 'wn')",
  "INSERT INTO a VALUES (n, m, n, 'wn'), (n, m, n, NULL)",
  "UPSERT INTO a VALUES (n, m, n, 'wn')",
  "INSERT INTO a VALUES (n, m, n, 'wn') ON CONFLICT DO NOTHING",
  "INSERT INTO a VALUES (n, m, n, 'wn') ON CONFLICT (id) DO UPDATE SET v = excluded.v + 1, u = excluded.u RETURNING *",
  "INSERT INTO a VALUES (n, m, n, 'wn') ON CONFLICT (u) DO UPDATE SET v = a.v + 1, id = a.id + 1 RETURNING *",
  'UPDATE a SET id = id + 1 WHERE id = n RETURNING *',
  "UPDATE a SET u = m, w = 'wn' WHERE id = n",
  'UPDATE a SET v = v + 1 WHERE u = n RETURNING id',
  'DELETE FROM a WHERE id = n RETURNING *',
  "DELETE FROM a WHERE w IN ('wn', 'wn')",
  'INSERT INTO b VALUES (n, m, m)',
  'INSERT INTO b VALUES (n, m, m)',
  'UPSERT INTO b (id) VALUES (n) RETURNING *',
  'UPDATE b SET a_id = m, a_u = m WHERE id = n',
  'SELECT * FROM a WHERE id IN (n, n, n) ORDER BY id',
  'SELECT * FROM a WHERE v > n ORDER BY v DESC, id LIMIT 3',
  "SELECT id FROM a WHERE w = 'wn' OR u = n ORDER BY id",
  'SELECT b.id, a.id, a.w FROM b JOIN a ON b.a_id = a.id ORDER BY 1',
  'SELECT b.id, a.id, a.w FROM b LEFT JOIN a@a_u_key ON b.a_u = a.u ORDER BY 1',
];

/** The tables that come out, or the error: which of several broken constraints it names is left open. */
async function outcome(session: Session, text: string): Promise<string> {
  const out: string[] = [];
  try {
    await session.execute(text, { onResult: (result) => out.push(resultTable(result)) });
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    out.push(code?.startsWith('23') ? 'constraint violation' : `${code} ${message}`);
  }
  return out.join('\n');
}

for (const seed of ['one', 'two']) {
  test(`as in a table without regions: ${seed}`, async () => {
    const random = seededRandom(seed);
    const localities = REGIONS.map((region) => `region=${region}`);
    const clock = new ManualClock('2026-11-20T12:00:00Z');
    const db = await Database.open({ clock, executor: new InlineExecutor(), seed, localities });
    const sessions = async (database: string): Promise<Session[]> => {
      const all = REGIONS.map((_, i) => db.newSession({ user: 'root', nodeId: i + 1 }));
      for (const session of all) await outcome(session, `USE ${database}`);
      return all;
    };
    try {
      const root = db.newSession({ user: 'root' });
      assert.is(
        await outcome(root, 'CREATE DATABASE spread PRIMARY REGION eu REGIONS = ap, us; CREATE DATABASE plain'),
        'CREATE DATABASE\nCREATE DATABASE',
      );
      const [spread, plain] = [await sessions('spread'), await sessions('plain')];
      const [first, other] = [spread[0] as Session, plain[0] as Session];
      assert.is(await outcome(first, tables('LOCALITY REGIONAL BY ROW')), await outcome(other, tables('')));
      const number = (): string => String(random.int(14));
      for (let i = 0; i < STATEMENTS; i++) {
        const node = random.int(REGIONS.length);
        if (random.int(6) === 0) {
          const move = `SET crdb_region = '${REGIONS[random.int(REGIONS.length)]}' WHERE id = ${number()}`;
          await outcome(spread[node] as Session, `UPDATE ${random.int(2) === 0 ? 'a' : 'b'} ${move}`);
        }
        const shape = SHAPES[random.int(SHAPES.length)] as string;
        const text = shape.replace(/\bn\b|(?<=w)n/g, number).replace(/\bm\b/g, () => (random.int(4) === 0 ? 'NULL' : number()));
        assert.is(await outcome(spread[node] as Session, text), await outcome(plain[node] as Session, text), `${i}: ${text}`);
        if (text.startsWith('SELECT')) continue;
        const all = CONTENTS.join('; ');
        assert.is(await outcome(first, all), await outcome(other, all), `${i}: after ${text}`);
      }
      assert.is(await outcome(first, 'SELECT count(DISTINCT crdb_region) > 1 AS spread FROM a'), 'spread\nt');
      assert.equal(validateCatalog(await db.services.catalog.current()), []);
    } finally {
      await db.close();
    }
  });
}

test('a catalog whose localities do not fit its regions is told of', async () => {
  const localities = REGIONS.map((region) => `region=${region}`);
  const clock = new ManualClock('2026-11-20T12:00:00Z');
  const db = await Database.open({ clock, executor: new InlineExecutor(), seed: 'rules', localities });
  try {
    const { catalog } = db.services;
    const session = db.newSession({ user: 'root' });
    await outcome(
      session,
      'CREATE DATABASE d PRIMARY REGION eu REGIONS = us; CREATE TABLE d.t (id INT PRIMARY KEY, r d.crdb_internal_region)',
    );
    await outcome(session, 'CREATE TABLE d.by_row (id INT PRIMARY KEY, v INT UNIQUE) LOCALITY REGIONAL BY ROW');
    const sound = await catalog.current();
    const { id, regions } = sound.requireDatabase('d');
    const descriptorOf = (name: string): Descriptor => [...sound.all()].find((one) => one.name === name) as Descriptor;
    const table = descriptorOf('t') as TableDescriptor;
    const byRow = descriptorOf('by_row') as TableDescriptor;
    const { locality: _, ...rest } = byRow;
    const config = regions as RegionConfig;
    const broken: [string, Descriptor][] = [
      [`d (${id}): type 1 has none of its regions`, { ...sound.requireDatabase('d'), regions: { ...config, typeId: 1 } }],
      [`d (${id}): ap is none of its regions`, { ...sound.requireDatabase('d'), regions: { ...config, primaryRegion: 'ap' } }],
      [
        `d (${id}): its secondary region is the primary one`,
        { ...sound.requireDatabase('d'), regions: { ...config, secondaryRegion: 'eu' } },
      ],
      [`t (${table.id}): ap is no region of its database`, { ...table, locality: { kind: 'table', region: 'ap' } }],
      [`t (${table.id}): index t_pkey does not begin with the region`, { ...table, locality: { kind: 'row', columnId: 2 } }],
      [`by_row (${byRow.id}): the column of its regions is of another type`, { ...byRow, locality: { kind: 'row', columnId: 1 } }],
      [`by_row (${byRow.id}): index by_row_v_key does not begin with the region`, rest],
    ];
    for (const [problem, descriptor] of broken) {
      const problems = validateCatalog(
        sound.overlaid((content) => ({
          version: -1,
          descriptorOf: (one) => (one === descriptor.id ? descriptor : content.descriptorOf(one)),
          ids: () => content.ids(),
          idOf: (...name) => content.idOf(...name),
          names: (...schema) => content.names(...schema),
        })),
      );
      assert.ok(problems.includes(problem), `${problem}: ${problems.join('; ')}`);
    }
    assert.equal(validateCatalog(sound), []);
  } finally {
    await db.close();
  }
});

test.run();
