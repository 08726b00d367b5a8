/** Messages of the extended protocol up to Sync are one implicit transaction: what is kept, what is undone, and when others see it. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import pg from 'pg';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { open, type Varve } from '../../src/index.ts';

interface Context {
  db: Varve;
  server: Awaited<ReturnType<Varve['listen']>>;
}

const test = suite<Context>('extended batches');

test.before(async (context) => {
  context.db = await open({ seed: 'batches' });
  context.server = await context.db.listen();
});
test.before.each(async ({ db }) => {
  await db.query('DROP TABLE IF EXISTS t');
  await db.query('CREATE TABLE t (a INT PRIMARY KEY, b INT)');
});
test.after(async ({ db, server }) => {
  await server.close();
  await db.close();
});

const int16 = (value: number) => Buffer.from([(value >> 8) & 0xff, value & 0xff]);
const int32 = (value: number) => Buffer.from([(value >> 24) & 0xff, (value >> 16) & 0xff, (value >> 8) & 0xff, value & 0xff]);
const text = (value: string) => Buffer.from(`${value}\0`);
const packet = (...parts: Buffer[]) => {
  const body = Buffer.concat(parts);
  return Buffer.concat([int32(body.length + 4), body]);
};
const message = (type: string, ...parts: Buffer[]) => Buffer.concat([Buffer.from(type), packet(...parts)]);
const STARTUP = packet(int32(0x30000), text('user'), text('root'), Buffer.of(0));
const SYNC = message('S');
const FLUSH = message('H');
const TERMINATE = message('X');
const query = (sql: string) => message('Q', text(sql));
const parse = (sql: string, name = '') => message('P', text(name), text(sql), int16(0));
const bind = (portal = '', name = '', value?: string) =>
  message(
    'B',
    text(portal),
    text(name),
    int16(0),
    value === undefined ? int16(0) : Buffer.concat([int16(1), int32(value.length), Buffer.from(value)]),
    int16(0),
  );
const execute = (portal = '', rows = 0) => message('E', text(portal), int32(rows));
/** Parse, Bind and Execute of one statement. */
const run = (sql: string, rows = 0) => Buffer.concat([parse(sql), bind(), execute('', rows)]);

/** A client that speaks by hand. */
class Talker {
  readonly #socket: Socket;
  #bytes = Buffer.alloc(0);
  #at = 0;
  #wake: () => void = () => {};

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      this.#wake();
    });
    socket.on('close', () => this.#wake());
  }

  send(...pieces: Buffer[]): this {
    this.#socket.write(Buffer.concat(pieces));
    return this;
  }

  /** The answers' types up to the first of type `last`, an error as its SQLSTATE, ReadyForQuery with its status. */
  async until(last: string): Promise<string> {
    const seen: string[] = [];
    for (;;) {
      const at = this.#at;
      const isWhole = this.#bytes.length >= at + 5 && this.#bytes.length > at + this.#bytes.readInt32BE(at + 1);
      if (!isWhole) {
        if (this.#socket.destroyed) return [...seen, 'closed'].join(' ');
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      this.#at = at + 1 + this.#bytes.readInt32BE(at + 1);
      const type = String.fromCharCode(this.#bytes[at] as number);
      if (type === 'E') seen.push(/\0C([0-9A-Z]{5})\0/.exec(this.#bytes.toString('latin1', at))?.[1] ?? '?');
      else if (type === 'Z') seen.push(`Z${String.fromCharCode(this.#bytes[at + 5] as number)}`);
      else if (!'RSKN'.includes(type)) seen.push(type);
      if (type === last) return seen.join(' ');
    }
  }

  async end(): Promise<void> {
    if (this.#socket.destroyed) return;
    this.#socket.end(TERMINATE);
    await once(this.#socket, 'close');
  }
}

async function withTalker(context: Context, work: (talker: Talker) => Promise<void>): Promise<void> {
  const socket = connect(context.server.port, '127.0.0.1');
  await once(socket, 'connect');
  const talker = new Talker(socket);
  assert.is(await talker.send(STARTUP).until('Z'), 'ZI');
  try {
    await work(talker);
  } finally {
    await talker.end();
  }
}

async function keys({ db }: Context): Promise<number[]> {
  return (await db.query('SELECT a FROM t ORDER BY a')).rows.map((row) => (row as { a: number }).a);
}

const INSERT_1 = run('INSERT INTO t VALUES (1, 1)');
const INSERT_2 = run('INSERT INTO t VALUES (2, 2)');

test('a failing statement before Sync undoes those before it; after Sync the session goes on', async (context) => {
  const failures: [string, Buffer, string][] = [
    ['Execute', INSERT_1, '1 2 23505'],
    ['Execute piece by piece', run('INSERT INTO t VALUES (1, 1) RETURNING a', 1), '1 2 23505'],
    ['Parse', parse('SELECT * FROM nowhere'), '42P01'],
    ['Parse of no SQL', parse('SELEKT'), '42601'],
    ['Bind of a bad value', Buffer.concat([parse('SELECT $1::INT8'), bind('', '', 'x')]), '1 22P02'],
    ['Bind to nothing', bind('', 'nothing'), '26000'],
    ['Execute of nothing', execute('nothing'), '34000'],
    ['COMMIT without BEGIN', run('COMMIT'), '1 2 25P01'],
  ];
  await withTalker(context, async (talker) => {
    for (const [name, failure, expected] of failures) {
      assert.is(await talker.send(INSERT_1, failure, INSERT_2, SYNC).until('Z'), `1 2 C ${expected} ZI`, name);
      assert.equal(await keys(context), [], name);
    }
    assert.is(await talker.send(INSERT_1, INSERT_2, SYNC).until('Z'), '1 2 C 1 2 C ZI');
    assert.equal(await keys(context), [1, 2]);
  });
});

test('others see a batch when Sync has come, all of it', async (context) => {
  await withTalker(context, async (talker) => {
    assert.is(await talker.send(INSERT_1, FLUSH).until('C'), '1 2 C');
    assert.equal(await keys(context), []);
    assert.is(await talker.send(INSERT_2, FLUSH).until('C'), '1 2 C');
    assert.equal(await keys(context), []);
    assert.is(await talker.send(SYNC).until('Z'), 'ZI');
    assert.equal(await keys(context), [1, 2]);
  });
});

test('Sync behind the Execute: committed when the statement is told done', async (context) => {
  await withTalker(context, async (talker) => {
    for (const [index, between] of [Buffer.alloc(0), message('C', Buffer.from('P'), text('')), FLUSH].entries()) {
      const insert = run(`INSERT INTO t VALUES (${index}, 0)`);
      assert.is(await talker.send(insert, between, SYNC).until('C'), '1 2 C');
      assert.is((await keys(context)).length, index + 1);
      await talker.until('Z');
    }
  });
});

test('wherever the bytes are cut, a batch that fails keeps nothing and one that ends keeps all', async (context) => {
  const ends = Buffer.concat([INSERT_1, INSERT_2, SYNC]);
  const fails = Buffer.concat([INSERT_1, INSERT_2, INSERT_1, SYNC]);
  await withTalker(context, async (talker) => {
    for (const [bytes, answer, kept] of [
      [fails, '1 2 C 1 2 C 1 2 23505 ZI', []],
      [ends, '1 2 C 1 2 C ZI', [1, 2]],
    ] as const) {
      for (let cut = 1; cut < bytes.length; cut += 5) {
        talker.send(bytes.subarray(0, cut));
        for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
        assert.is(await talker.send(bytes.subarray(cut)).until('Z'), answer, `cut at ${cut}`);
        assert.equal(await keys(context), kept, `cut at ${cut}`);
        await context.db.query('DELETE FROM t');
      }
    }
  });
});

test('BEGIN inside a batch takes it over', async (context) => {
  await withTalker(context, async (talker) => {
    assert.is(await talker.send(INSERT_1, run('BEGIN'), INSERT_2, SYNC).until('Z'), '1 2 C 1 2 C 1 2 C ZT');
    assert.is(await talker.send(run('ROLLBACK'), SYNC).until('Z'), '1 2 C ZI');
    assert.equal(await keys(context), []);
    assert.is(
      await talker.send(run('BEGIN'), INSERT_1, run('COMMIT'), INSERT_2, INSERT_1, SYNC).until('Z'),
      '1 2 C 1 2 C 1 2 C 1 2 C 1 2 23505 ZI',
    );
    assert.equal(await keys(context), [1]);
    assert.is(await talker.send(run('BEGIN'), INSERT_2, INSERT_1, SYNC).until('Z'), '1 2 C 1 2 C 1 2 23505 ZE');
    assert.is(await talker.send(query('ROLLBACK')).until('Z'), 'C ZI');
    assert.equal(await keys(context), [1]);
  });
});

test('what must run alone commits what stands before it', async (context) => {
  await context.db.query('INSERT INTO t VALUES (0, 0)');
  const { now } = (await context.db.query('SELECT cluster_logical_timestamp()::STRING AS now')).rows[0] as { now: string };
  await withTalker(context, async (talker) => {
    const past = run(`SELECT a FROM t AS OF SYSTEM TIME ${now}`);
    assert.is(await talker.send(INSERT_1, past, INSERT_2, INSERT_1, SYNC).until('Z'), '1 2 C 1 2 D C 1 2 C 1 2 23505 ZI');
    assert.equal(await keys(context), [0, 1]);
    assert.is(await talker.send(INSERT_2, run('CREATE INDEX ON t (b)'), INSERT_1, SYNC).until('Z'), '1 2 C 1 2 C 1 2 23505 ZI');
    assert.equal(await keys(context), [0, 1, 2]);
    const { rows } = await context.db.query('SELECT a FROM t@t_b_idx WHERE b = 2');
    assert.equal(rows, [{ a: 2 }]);
  });
});

test('a table made in a batch is there for what follows, and goes with it', async (context) => {
  await withTalker(context, async (talker) => {
    const make = run('CREATE TABLE made (a INT PRIMARY KEY)');
    assert.is(await talker.send(make, run('INSERT INTO made VALUES (1)'), run('SELECT 1/0'), SYNC).until('Z'), '1 2 C 1 2 C 1 2 22012 ZI');
    assert.is(await talker.send(make, run('INSERT INTO made VALUES (1)'), run('DROP TABLE made'), SYNC).until('Z'), '1 2 C 1 2 C 1 2 C ZI');
  });
});

test('a conflict at Sync is told before ReadyForQuery, and nothing is kept', async (context) => {
  await context.db.query('INSERT INTO t VALUES (8, 0), (9, 0)');
  await withTalker(context, async (talker) => {
    const write = run('INSERT INTO t SELECT 10, b FROM t WHERE a = 8');
    assert.is(await talker.send(write, FLUSH).until('C'), '1 2 C');
    await context.db.query('UPDATE t SET b = 1 WHERE a = 8');
    assert.is(await talker.send(SYNC).until('Z'), '40001 ZI');
    assert.equal(await keys(context), [8, 9]);
    // A statement that follows cannot be moved past the change either.
    assert.is(await talker.send(write, FLUSH).until('C'), '1 2 C');
    await context.db.query('UPDATE t SET b = 2 WHERE a = 8');
    await context.db.query('UPDATE t SET b = 2 WHERE a = 9');
    assert.is(await talker.send(run('UPDATE t SET b = 3 WHERE a = 9'), INSERT_1, SYNC).until('Z'), '1 2 40001 ZI');
    assert.equal(await keys(context), [8, 9]);
  });
});

test('the first statement of a batch waits for a lock and runs again by itself', async (context) => {
  await context.db.query('INSERT INTO t VALUES (1, 0)');
  const holder = new pg.Client(context.server.url);
  await holder.connect();
  await withTalker(context, async (talker) => {
    await holder.query('BEGIN');
    await holder.query('UPDATE t SET b = b + 1 WHERE a = 1');
    talker.send(run('UPDATE t SET b = b + 10 WHERE a = 1'), INSERT_2, SYNC);
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    await holder.query('COMMIT');
    assert.is(await talker.until('Z'), '1 2 C 1 2 C ZI');
    assert.equal((await context.db.query('SELECT b FROM t WHERE a = 1')).rows, [{ b: 11 }]);
  });
  await holder.end();
});

test('a simple query ends an open batch; a client that leaves, or calls a function, undoes it', async (context) => {
  await withTalker(context, async (talker) => {
    assert.is(await talker.send(INSERT_1, query('SELECT 1/0')).until('Z'), '1 2 C 22012 ZI');
    assert.equal(await keys(context), [1]);
    assert.is(await talker.send(INSERT_2, message('F', int32(1))).until('Z'), '1 2 C 0A000 ZI');
    assert.equal(await keys(context), [1]);
    assert.is(await talker.send(INSERT_2, FLUSH).until('C'), '1 2 C');
  });
  assert.is((await context.db.query('INSERT INTO t VALUES (2, 0)')).rowCount, 1);
});

test('a portal read in pieces and the statements beside it are one transaction', async (context) => {
  await context.db.query('INSERT INTO t VALUES (7, 0), (8, 0), (9, 0)');
  await withTalker(context, async (talker) => {
    const select = Buffer.concat([parse('SELECT a FROM t', 's'), bind('p', 's'), execute('p', 2)]);
    assert.is(await talker.send(select, INSERT_1, execute('p', 2), FLUSH).until('C'), '1 2 D D s 1 2 C');
    assert.is(await talker.until('C'), 'D C');
    assert.equal(await keys(context), [7, 8, 9]);
    assert.is(await talker.send(SYNC).until('Z'), 'ZI');
    assert.equal(await keys(context), [1, 7, 8, 9]);
    const again = Buffer.concat([bind('p', 's'), execute('p', 2)]);
    assert.is(await talker.send(again, INSERT_2, INSERT_1, SYNC).until('Z'), '2 D D s 1 2 C 1 2 23505 ZI');
    assert.is(await talker.send(execute('p'), SYNC).until('Z'), '34000 ZI');
    assert.equal(await keys(context), [1, 7, 8, 9]);
  });
});

test('queries that pg pipelines each have a Sync, and so stand or fail alone', async (context) => {
  const client = new pg.Client({ connectionString: context.server.url, pipeline: true } as pg.ClientConfig);
  await client.connect();
  const insert = (a: number) =>
    client.query('INSERT INTO t VALUES ($1, 0)', [a]).then(
      () => 'kept',
      (error: pg.DatabaseError) => error.code,
    );
  assert.equal(await Promise.all([1, 2, 1, 3, 4].map(insert)), ['kept', 'kept', '23505', 'kept', 'kept']);
  assert.equal(await keys(context), [1, 2, 3, 4]);
  await client.end();
});

test.run();
