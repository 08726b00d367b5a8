/**
 * Every kind of object through a restore: what refers to another object by its id, or is stored as the text
 * of an expression, works in the copy as it does in the original, and needs nothing of the original.
 * Once as databases under new names, so under new ids; once as a cluster.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { MemoryFiles } from '../../src/storage/memory.ts';

import { COLLECTION, TestDatabase, type TextRow } from './database.ts';

const test = suite('object kinds in a restore');

interface Kind {
  readonly setup: readonly string[];
  /** Run in the original after its backup, and in each copy: they may change rows. */
  readonly checks: readonly string[];
  /** The text of its tables shows ids. */
  readonly showsIds?: true;
}

const KINDS: Readonly<Record<string, Kind>> = {
  enums_and_arrays: {
    setup: [
      "CREATE TYPE mood AS ENUM ('a', 'b')",
      "CREATE TABLE t (id INT PRIMARY KEY, m mood[], d mood DEFAULT 'b', CHECK (d != 'a'))",
      "INSERT INTO t VALUES (1, ARRAY['a', 'b'])",
      "ALTER TYPE mood ADD VALUE 'between' BEFORE 'b'",
    ],
    checks: [
      "INSERT INTO t VALUES (2, ARRAY['b']::mood[]) RETURNING id, m, d",
      "SELECT * FROM t WHERE m @> ARRAY['a'::mood]",
      "SELECT 'between'::mood < 'b'::mood",
    ],
  },
  enum_in_expressions: {
    setup: [
      'CREATE SCHEMA s',
      "CREATE TYPE s.mood AS ENUM ('a', 'b')",
      "CREATE TABLE t (id INT PRIMARY KEY, m s.mood, c BOOL AS (m = 'a'::s.mood) STORED, INDEX only_a (id) WHERE m = 'a')",
      "INSERT INTO t (id, m) VALUES (1, 'a'), (2, 'b')",
      "CREATE VIEW v AS SELECT id, 'b'::s.mood AS m FROM t WHERE m = 'a'",
    ],
    checks: ["SELECT id, c FROM t@only_a WHERE m = 'a'", 'SELECT * FROM v', "INSERT INTO t (id, m) VALUES (3, 'a') RETURNING c"],
  },
  sequences: {
    setup: [
      'CREATE SEQUENCE q START 10',
      "CREATE TABLE t (id INT PRIMARY KEY DEFAULT nextval('q'::REGCLASS), l INT DEFAULT currval('q'), n INT DEFAULT 0 ON UPDATE nextval('q'))",
      'INSERT INTO t (l) VALUES (0)',
      "CREATE VIEW next AS SELECT nextval('q') AS n",
    ],
    checks: ['INSERT INTO t (id) VALUES (DEFAULT) RETURNING id, l', 'UPDATE t SET l = 1 WHERE id = 10 RETURNING n', 'SELECT * FROM next'],
    showsIds: true,
  },
  owned_sequences: {
    setup: [
      "SET serial_normalization = 'sql_sequence'",
      'CREATE TABLE t (id SERIAL PRIMARY KEY, b INT GENERATED ALWAYS AS IDENTITY (START 5 INCREMENT 2), v STRING)',
      "SET serial_normalization = 'rowid'",
      "INSERT INTO t (v) VALUES ('x'), ('y')",
      'CREATE SEQUENCE o OWNED BY t.v',
    ],
    checks: [
      "INSERT INTO t (v) VALUES ('z') RETURNING id, b",
      "SELECT nextval('o')",
      'ALTER TABLE t DROP COLUMN v CASCADE',
      'SHOW SEQUENCES',
    ],
  },
  computed_columns: {
    setup: [
      'CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT AS (a * 2) STORED, c INT AS (a + 1) VIRTUAL, INDEX by_c (c))',
      'INSERT INTO t (id, a) VALUES (1, 10)',
    ],
    checks: ['SELECT id, b FROM t@by_c WHERE c = 11', 'INSERT INTO t (id, a) VALUES (2, 4) RETURNING b, c'],
  },
  expression_indexes: {
    setup: [
      "CREATE TABLE t (id INT PRIMARY KEY, a STRING, UNIQUE INDEX lowered (lower(a)), INDEX late (a) WHERE a > 'm')",
      "INSERT INTO t VALUES (1, 'A'), (2, 'z')",
    ],
    checks: ["SELECT id FROM t@lowered WHERE lower(a) = 'a'", "SELECT id FROM t@late WHERE a > 'm'"],
  },
  views: {
    setup: [
      'CREATE SCHEMA s',
      'CREATE TABLE s.t (id INT PRIMARY KEY)',
      'INSERT INTO s.t VALUES (1), (2)',
      'CREATE VIEW v AS SELECT id FROM s.t WHERE id > 1',
      'CREATE VIEW w AS SELECT v.id, t.id AS other FROM v, s.t AS t',
      'CREATE MATERIALIZED VIEW m AS SELECT id FROM w',
      'CREATE INDEX by_id ON m (id)',
      'INSERT INTO s.t VALUES (3)',
    ],
    checks: [
      'SELECT * FROM w ORDER BY 1, 2',
      'SELECT id FROM m@by_id ORDER BY 1',
      'REFRESH MATERIALIZED VIEW m',
      'SELECT id FROM m@by_id ORDER BY 1',
      'DROP TABLE s.t CASCADE',
      'SELECT table_name FROM [SHOW TABLES]',
    ],
  },
  foreign_keys: {
    setup: [
      'CREATE TABLE a (id INT PRIMARY KEY, parent INT REFERENCES a (id), INDEX (parent))',
      'CREATE TABLE b (id INT PRIMARY KEY, a INT REFERENCES a (id) ON DELETE CASCADE)',
      'INSERT INTO a VALUES (1, 1), (2, 1)',
      'INSERT INTO b VALUES (1, 2)',
    ],
    checks: ['SELECT * FROM b', 'DELETE FROM a WHERE id = 2 RETURNING id', 'SELECT count(*) FROM b'],
  },
  comments: {
    setup: [
      'CREATE SCHEMA s',
      'CREATE TABLE s.t (id INT PRIMARY KEY, v INT, INDEX i (v))',
      "COMMENT ON SCHEMA s IS 'of a schema'",
      "COMMENT ON TABLE s.t IS 'of a table'",
      "COMMENT ON COLUMN s.t.v IS 'of a column'",
      "COMMENT ON INDEX s.t@i IS 'of an index'",
    ],
    checks: [
      'SELECT comment FROM [SHOW TABLES FROM s WITH COMMENT]',
      'SELECT comment FROM [SHOW COLUMNS FROM s.t WITH COMMENT]',
      'SELECT comment FROM [SHOW INDEX FROM s.t WITH COMMENT]',
      "SELECT obj_description('s'::REGNAMESPACE::OID)",
    ],
  },
  column_families: {
    setup: ['CREATE TABLE t (id INT PRIMARY KEY, a INT, b STRING, FAMILY f (id, a), FAMILY g (b))', "INSERT INTO t VALUES (1, 2, 'x')"],
    checks: ['SELECT * FROM t', 'UPDATE t SET b = NULL RETURNING a, b'],
  },
  replaced_primary_key: {
    setup: [
      'CREATE TABLE t (id INT NOT NULL, b INT NOT NULL, PRIMARY KEY (id))',
      'INSERT INTO t VALUES (1, 2)',
      'ALTER TABLE t ALTER PRIMARY KEY USING COLUMNS (b)',
    ],
    checks: ['SELECT * FROM t', 'INSERT INTO t VALUES (3, 4) RETURNING b'],
  },
  inverted_indexes: {
    setup: [
      'CREATE TABLE t (id INT PRIMARY KEY, j JSONB, a INT[], INVERTED INDEX by_j (j), INVERTED INDEX by_a (a))',
      `INSERT INTO t VALUES (1, '{"a": [1, 2]}', ARRAY[1, 2]), (2, '{"b": 1}', ARRAY[3])`,
    ],
    checks: [
      `SELECT id FROM t@by_j WHERE j @> '{"b": 1}'`,
      'SELECT id FROM t@by_a WHERE a @> ARRAY[2]',
      `UPDATE t SET j = '{"b": 2}' WHERE id = 2 RETURNING id`,
      `SELECT count(*) FROM t@by_j WHERE j @> '{"b": 1}'`,
    ],
  },
  hash_sharded_keys: {
    setup: [
      'CREATE TABLE t (id INT PRIMARY KEY USING HASH WITH (bucket_count = 4), v INT, INDEX by_v (v) USING HASH WITH (bucket_count = 3))',
      'INSERT INTO t VALUES (1, 10), (2, 20), (3, 30)',
    ],
    checks: [
      'SELECT * FROM t ORDER BY id',
      'SELECT id FROM t@by_v WHERE v = 20',
      'INSERT INTO t VALUES (4, 40) RETURNING v',
      'SELECT count(*) FROM t@by_v',
    ],
  },
  temporary_tables_left_out: {
    setup: [
      'CREATE TABLE kept (id INT PRIMARY KEY)',
      'SET experimental_enable_temp_tables = on',
      'CREATE TEMP TABLE gone (id INT PRIMARY KEY)',
      'CREATE TEMP SEQUENCE gone_too',
      'INSERT INTO gone VALUES (1)',
    ],
    checks: ["SELECT table_name FROM [SHOW TABLES] WHERE schema_name = 'public'"],
    showsIds: true,
  },
};

/** All kinds, each in a database of its name. */
async function source(files: MemoryFiles): Promise<TestDatabase> {
  const database = await TestDatabase.open({ files });
  for (const [name, { setup }] of Object.entries(KINDS)) await database.run(`CREATE DATABASE ${name}`, `USE ${name}`, ...setup);
  await database.run('USE defaultdb');
  return database;
}

async function check(database: TestDatabase, name: string, { checks, showsIds }: Kind): Promise<TextRow[][]> {
  const session = database.db.newSession();
  await session.execute(`USE ${name}`);
  const found: TextRow[][] = [];
  if (!showsIds) found.push(await database.rows('SELECT create_statement FROM [SHOW CREATE ALL TABLES]', session));
  for (const sql of checks) found.push(await database.rows(sql, session));
  return found;
}

test('in databases under new names', async () => {
  const database = await source(new MemoryFiles());
  const names = Object.keys(KINDS).join(', ');
  await database.run(`BACKUP DATABASE ${names} INTO '${COLLECTION}' WITH revision_history`);
  for (const [name, kind] of Object.entries(KINDS)) {
    await database.run(`RESTORE DATABASE ${name} FROM LATEST IN '${COLLECTION}' WITH new_db_name = 'copy'`);
    const original = await check(database, name, kind);
    await database.run(`DROP DATABASE ${name} CASCADE`);
    assert.equal(await check(database, 'copy', kind), original, name);
    assert.equal(await database.problems(), [], name);
    await database.run('DROP DATABASE copy CASCADE');
  }
  await database.close();
});

test('temporary tables are not in the history of a backup either', async () => {
  const database = await source(new MemoryFiles());
  await database.run(`BACKUP DATABASE temporary_tables_left_out INTO '${COLLECTION}' WITH revision_history`);
  const [manifest] = await database.rows(`SHOW BACKUP FROM LATEST IN '${COLLECTION}' WITH as_json`);
  const { descriptorChanges } = JSON.parse(manifest?.[0] ?? '') as { descriptorChanges: { descriptor: { name: string } | null }[] };
  assert.equal([...new Set(descriptorChanges.map(({ descriptor }) => descriptor?.name))].sort(), ['kept', 'temporary_tables_left_out']);
  await database.close();
});

test('in a cluster', async () => {
  const files = new MemoryFiles();
  const database = await source(files);
  await database.run(`BACKUP INTO '${COLLECTION}' WITH revision_history`);
  const copy = await TestDatabase.open({ files });
  await copy.run(`RESTORE FROM LATEST IN '${COLLECTION}'`);
  for (const [name, kind] of Object.entries(KINDS)) {
    assert.equal(await check(copy, name, kind), await check(database, name, kind), name);
  }
  assert.equal(await copy.problems(), []);
  await copy.close();
  await database.close();
});

test.run();
