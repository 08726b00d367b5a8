/** The Postgres protocol over a real socket, spoken by `pg` and by hand. */
import { connect } from 'node:net';
import { once } from 'node:events';
import pg from 'pg';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { open, type Varve } from '../../src/index.ts';

interface Context {
  db: Varve;
  url: string;
  port: number;
  close(): Promise<void>;
}

const test = suite<Context>('pgwire');

test.before(async (context) => {
  context.db = await open({ seed: 'pgwire' });
  const server = await context.db.listen();
  context.url = server.url;
  context.port = server.port;
  context.close = async () => {
    await server.close();
    await context.db.close();
  };
});

test.after(async (context) => {
  await context.close();
});

async function withClient<T>(context: Context, run: (client: pg.Client) => Promise<T>, options: pg.ClientConfig = {}): Promise<T> {
  const client = new pg.Client({ connectionString: context.url, ...options });
  await client.connect();
  try {
    return await run(client);
  } finally {
    await client.end();
  }
}

test('several statements in one simple query', async (context) => {
  await withClient(context, async (client) => {
    const results = (await client.query(
      'CREATE TABLE a (id INT PRIMARY KEY, s STRING); INSERT INTO a VALUES (1, $$é$$), (2, NULL); SELECT * FROM a ORDER BY id',
    )) as unknown as pg.QueryResult[];
    assert.equal(
      results.map((result) => result.command),
      ['CREATE', 'INSERT', 'SELECT'],
    );
    assert.equal(results[2]?.rows, [
      { id: '1', s: 'é' },
      { id: '2', s: null },
    ]);
  });
});

test('an empty query is answered', async (context) => {
  await withClient(context, async (client) => {
    const result = await client.query('');
    assert.equal(result.rows, []);
  });
});

test('parameters of every common type, text and binary', async (context) => {
  const values = [
    42,
    2.5,
    'text é',
    true,
    Buffer.from([0, 255]),
    new Date('2026-11-20T01:02:03.456Z'),
    '1.50',
    '00000000-0000-4000-8000-00000000002a',
    { a: [1] },
    '2026-11-20',
  ];
  const sql =
    'SELECT $1::INT8 AS i, $2::FLOAT8 AS f, $3::STRING AS s, $4::BOOL AS b, $5::BYTES AS y, $6::TIMESTAMPTZ AS t, $7::DECIMAL AS d, $8::UUID AS u, $9::JSONB AS j, $10::DATE::STRING AS day';
  await withClient(context, async (client) => {
    const { rows } = await client.query(sql, values);
    assert.equal(rows[0], {
      i: '42',
      f: 2.5,
      s: 'text é',
      b: true,
      y: Buffer.from([0, 255]),
      t: new Date('2026-11-20T01:02:03.456Z'),
      d: '1.50',
      u: '00000000-0000-4000-8000-00000000002a',
      j: { a: [1] },
      day: '2026-11-20',
    });
    const binary = await client.query({
      text: 'SELECT $1::INT8 AS i, $2::FLOAT8 AS f, $3::STRING AS s, $4::BOOL AS b',
      values: values.slice(0, 4),
      binary: true,
    } as pg.QueryConfig);
    assert.is(Number(binary.rows[0].i), 42);
    assert.is(binary.rows[0].f, 2.5);
    assert.is(binary.rows[0].s, 'text é');
    assert.is(binary.rows[0].b, true);
  });
});

test('a named statement is prepared once and run again', async (context) => {
  await withClient(context, async (client) => {
    for (const n of [1, 2, 3]) {
      const { rows } = await client.query({ name: 'double', text: 'SELECT $1::INT8 * 2 AS n', values: [n] });
      assert.is(rows[0].n, String(n * 2));
    }
  });
});

test('an error carries SQLSTATE, position and constraint, and the session goes on', async (context) => {
  await withClient(context, async (client) => {
    await client.query('CREATE TABLE e (id INT PRIMARY KEY, n INT NOT NULL)');
    const failure = async (sql: string, values?: unknown[]): Promise<pg.DatabaseError> => {
      try {
        await client.query(sql, values as never);
      } catch (error) {
        return error as pg.DatabaseError;
      }
      throw new Error(`succeeded: ${sql}`);
    };
    const syntax = await failure('SELECT 1 FROM WHERE');
    assert.is(syntax.code, '42601');
    assert.is(syntax.position, '15');
    assert.is((await failure('SELECT * FROM nowhere')).code, '42P01');
    await client.query('INSERT INTO e VALUES (1, 1)');
    const unique = await failure('INSERT INTO e VALUES ($1, 2)', [1]);
    assert.is(unique.code, '23505');
    assert.is(unique.constraint, 'e_pkey');
    assert.is((await failure('INSERT INTO e VALUES ($1, NULL)', [2])).code, '23502');
    assert.is((await failure('SELECT $1::INT8', ['x'])).code, '22P02');
    assert.equal((await client.query('SELECT count(*) AS n FROM e')).rows, [{ n: '1' }]);
  });
});

test('a failed transaction refuses statements until it ends', async (context) => {
  await withClient(context, async (client) => {
    await client.query('BEGIN');
    await client.query('SELECT * FROM nowhere').catch(() => {});
    try {
      await client.query('SELECT 1');
      assert.unreachable();
    } catch (error) {
      assert.is((error as pg.DatabaseError).code, '25P02');
    }
    await client.query('ROLLBACK');
    assert.is((await client.query('SELECT 1 AS one')).rows[0].one, '1');
  });
});

test('a portal gives rows piece by piece', async (context) => {
  await withClient(context, async (client) => {
    const seen: number[] = [];
    const query = new pg.Query({ text: 'SELECT i FROM generate_series(1, 25) AS g(i)', rows: 10, values: [] } as never);
    client.query(query);
    query.on('row', (row: { i: string }) => seen.push(Number(row.i)));
    await once(query as unknown as NodeJS.EventEmitter, 'end');
    assert.equal(
      seen,
      Array.from({ length: 25 }, (_, i) => i + 1),
    );
  });
});

test('a cancel request ends the statement with 57014', async (context) => {
  await withClient(context, async (client) => {
    const { processID, secretKey } = client as unknown as { processID: number; secretKey: number };
    const running = client.query('SELECT count(*) FROM generate_series(1, 3000) AS a, generate_series(1, 3000) AS b').then(
      () => undefined,
      (error: pg.DatabaseError) => error,
    );
    const packet = Buffer.alloc(16);
    packet.writeInt32BE(16, 0);
    packet.writeInt32BE(80877102, 4);
    packet.writeInt32BE(processID, 8);
    packet.writeInt32BE(secretKey, 12);
    const socket = connect(context.port, '127.0.0.1', () => socket.end(packet));
    await once(socket, 'close');
    assert.is((await running)?.code, '57014');
    assert.is((await client.query('SELECT 1 AS one')).rows[0].one, '1');
  });
});

test('two clients see isolation and each other', async (context) => {
  await withClient(context, async (one) => {
    await withClient(context, async (two) => {
      await one.query('CREATE TABLE iso (id INT PRIMARY KEY, n INT); INSERT INTO iso VALUES (1, 0)');
      await one.query('BEGIN');
      await one.query('UPDATE iso SET n = 1');
      assert.is((await two.query('SELECT n FROM iso')).rows[0].n, '0');
      await one.query('COMMIT');
      assert.is((await two.query('SELECT n FROM iso')).rows[0].n, '1');
    });
  });
});

test('start-up options set variables, and the client hears of changes', async (context) => {
  await withClient(
    context,
    async (client) => {
      assert.is((await client.query('SHOW application_name')).rows[0].application_name, 'tests');
      const heard = new Map<string, string>();
      (client as unknown as { connection: NodeJS.EventEmitter }).connection.on(
        'parameterStatus',
        (message: { parameterName: string; parameterValue: string }) => heard.set(message.parameterName, message.parameterValue),
      );
      await client.query("SET TIME ZONE 'Europe/Berlin'");
      assert.is(heard.get('TimeZone'), 'Europe/Berlin');
    },
    { application_name: 'tests' },
  );
});

test('an unknown database is refused at the door', async (context) => {
  try {
    await withClient(context, async () => {}, { connectionString: context.url.replace('/defaultdb', '/nowhere') });
    assert.unreachable();
  } catch (error) {
    assert.is((error as pg.DatabaseError).code, '3D000');
  }
});

test('defaultdb lets clients in while a restore of a cluster has taken it away', async (context) => {
  const elsewhere = { connectionString: context.url.replace('/defaultdb', '/system') };
  await withClient(context, async (client) => void (await client.query('DROP DATABASE defaultdb')), elsewhere);
  await withClient(context, async (client) => {
    assert.is((await client.query('SELECT count(*)::INT AS n FROM [SHOW JOBS]')).rows.length, 1);
    await client.query('CREATE DATABASE defaultdb');
  });
});

test('garbage closes its connection and nothing else', async (context) => {
  for (const garbage of [
    Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
    Buffer.alloc(64, 0xff),
    Buffer.from([0, 0, 0, 9, 0, 3, 0, 0, 1]),
  ]) {
    const socket = connect(context.port, '127.0.0.1');
    await once(socket, 'connect');
    socket.write(garbage);
    socket.resume();
    await once(socket, 'close');
  }
  await withClient(context, async (client) => {
    assert.is((await client.query('SELECT 1 AS one')).rows[0].one, '1');
  });
});

test('a client that goes away mid-transaction leaves no lock behind', async (context) => {
  await withClient(context, async (client) => {
    await client.query('CREATE TABLE gone (id INT PRIMARY KEY, n INT); INSERT INTO gone VALUES (1, 0)');
    const lost = new pg.Client({ connectionString: context.url });
    lost.on('error', () => {});
    await lost.connect();
    await lost.query('BEGIN');
    await lost.query('UPDATE gone SET n = 1');
    (lost as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
    await client.query('UPDATE gone SET n = 2');
    assert.is((await client.query('SELECT n FROM gone')).rows[0].n, '2');
  });
});

test.run();
