/**
 * The main job over the wire: a schema with foreign keys and indexes is filled, backed up, changed at
 * random, backed up again with its history, dropped, and restored to a moment between; every table
 * equals what a reader saw at that moment. Once for each kind of storage that a server has by itself.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { seededRandom } from '../../src/base/random.ts';
import { open } from '../../src/index.ts';

const test = suite('back to the moment');

const SCHEMA = `
  CREATE TABLE author (id INT PRIMARY KEY, name VARCHAR(80) NOT NULL, born DATE, UNIQUE (name));
  CREATE TABLE book (
    id SERIAL PRIMARY KEY, author_id INT NOT NULL REFERENCES author (id) ON DELETE CASCADE, title STRING,
    price DECIMAL(10,2) CHECK (price >= 0), tags JSONB, added TIMESTAMPTZ DEFAULT now(), INDEX (author_id), INDEX (price DESC, title));
  CREATE TABLE loan (book_id INT, day DATE, reader UUID DEFAULT gen_random_uuid(), note BYTES, PRIMARY KEY (book_id, day));
  CREATE SEQUENCE ticket START 100 INCREMENT 5;
`;
const TABLES = ['author', 'book', 'loan'];
const AUTHORS = 40;
const CHANGES = 200;

/** Every row of every table as sorted text: what a reader sees. */
async function contents(client: pg.Client, database: string): Promise<Record<string, string[]>> {
  const seen: Record<string, string[]> = {};
  for (const table of TABLES) {
    const { rows } = await client.query(`SELECT * FROM ${database}.${table}`);
    seen[table] = rows.map((row) => JSON.stringify(row)).sort();
  }
  return seen;
}

async function fill(client: pg.Client): Promise<void> {
  await client.query(SCHEMA);
  for (let id = 1; id <= AUTHORS; id++) {
    await client.query('INSERT INTO author VALUES ($1, $2, $3)', [id, `author é ${id}`, `19${String(10 + id).padStart(2, '0')}-01-02`]);
    await client.query(
      'INSERT INTO book (author_id, title, price, tags) SELECT $1, $2 || g::STRING, g * 1.50, jsonb_build_object($3::STRING, g) FROM generate_series(1, 3) AS g',
      [id, `title ${id}-`, 'n'],
    );
    await client.query('INSERT INTO loan (book_id, day, note) VALUES ($1, $2, $3)', [id, '2026-11-20', Buffer.from([0, id, 255])]);
  }
}

async function changeSomething(client: pg.Client, random: ReturnType<typeof seededRandom>): Promise<void> {
  const id = 1 + random.int(AUTHORS);
  switch (random.int(5)) {
    case 0:
      await client.query('UPDATE book SET price = price + $1, title = upper(title) WHERE author_id = $2', [
        (random.int(500) / 100).toFixed(2),
        id,
      ]);
      break;
    case 1:
      await client.query('DELETE FROM author WHERE id = $1', [id]);
      break;
    case 2:
      await client.query('UPSERT INTO author VALUES ($1, $2)', [id, `again ${id} ${random.int(1000)}`]);
      break;
    case 3:
      await client.query(
        "INSERT INTO loan (book_id, day, note) VALUES ($1, '2026-12-01', NULL) ON CONFLICT (book_id, day) DO UPDATE SET note = excluded.note",
        [id],
      );
      break;
    default:
      await client.query("SELECT nextval('ticket')");
  }
}

for (const collection of ['nodelocal://1/books', 'userfile:///books', 'mem://books']) {
  test(collection, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'varve-moment-'));
    const db = await open({ externalIoDir: folder, seed: 'moment' });
    const server = await db.listen();
    const admin = new pg.Client({ connectionString: server.url });
    await admin.connect();
    try {
      await admin.query('CREATE DATABASE library');
      const client = new pg.Client({ connectionString: server.url.replace('/defaultdb', '/library') });
      await client.connect();
      await fill(client);
      const full = await admin.query(`BACKUP DATABASE library INTO '${collection}'`);
      assert.is(full.rows[0].status, 'succeeded');
      const random = seededRandom(collection);
      let moment = '';
      let expected: Record<string, string[]> = {};
      for (let i = 0; i < CHANGES; i++) {
        await changeSomething(client, random);
        if (i !== CHANGES >> 1) continue;
        await client.query('BEGIN');
        moment = (await client.query('SELECT cluster_logical_timestamp() AS t')).rows[0].t;
        expected = await contents(client, 'library');
        await client.query('COMMIT');
      }
      const last = await contents(client, 'library');
      await client.end();
      await admin.query(`BACKUP DATABASE library INTO LATEST IN '${collection}' WITH revision_history`);
      await admin.query('DROP DATABASE library CASCADE');

      await admin.query(`RESTORE DATABASE library FROM LATEST IN '${collection}' AS OF SYSTEM TIME '${moment}' WITH new_db_name = 'past'`);
      assert.equal(await contents(admin, 'past'), expected);
      await admin.query(`RESTORE DATABASE library FROM LATEST IN '${collection}'`);
      assert.equal(await contents(admin, 'library'), last);
      assert.not.equal(expected, last);

      // What came back lives: constraints, indexes, the sequence behind SERIAL.
      const orphan = await admin
        .query("INSERT INTO library.book (author_id, title) VALUES (9999, 'orphan')")
        .catch((error: pg.DatabaseError) => error);
      assert.is((orphan as pg.DatabaseError).code, '23503');
      const { rows } = await admin
        .query(
          "INSERT INTO library.author VALUES (9999, 'new'); INSERT INTO library.book (author_id, title) VALUES (9999, 'new') RETURNING id",
        )
        .then((results) => (results as unknown as pg.QueryResult[])[1] as pg.QueryResult);
      assert.is(rows.length, 1);
      const byIndex = await admin.query('SELECT count(*) AS n FROM library.book WHERE author_id = 9999');
      assert.is(byIndex.rows[0].n, '1');
    } finally {
      await admin.end();
      await server.close();
      await db.close();
      await rm(folder, { recursive: true, force: true });
    }
  });
}

test.run();
