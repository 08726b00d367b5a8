/** Clients that mean harm, or are merely broken: whatever arrives, the server stays up and lets go of what it held. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import fc from 'fast-check';
import pg from 'pg';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { open, type Varve } from '../../src/index.ts';

interface Context {
  db: Varve;
  server: Awaited<ReturnType<Varve['listen']>>;
}

const test = suite<Context>('hostile clients');

test.before(async (context) => {
  context.db = await open({ seed: 'hostile' });
  context.server = await context.db.listen();
});
test.after(async ({ db, server }) => {
  await server.close();
  await db.close();
});

const int16 = (value: number) => Buffer.from([(value >> 8) & 0xff, value & 0xff]);
const int32 = (value: number) => Buffer.from([(value >> 24) & 0xff, (value >> 16) & 0xff, (value >> 8) & 0xff, value & 0xff]);
const text = (value: string | Buffer) => Buffer.concat([Buffer.from(value as string), Buffer.of(0)]);
const packet = (...parts: Buffer[]) => {
  const body = Buffer.concat(parts);
  return Buffer.concat([int32(body.length + 4), body]);
};
const message = (type: string, ...parts: Buffer[]) => Buffer.concat([Buffer.from(type), packet(...parts)]);
const startup = (version = 0x30000, parameters: string[] = ['user', 'root']) =>
  packet(int32(version), ...parameters.map(text), Buffer.of(0));
const query = (sql: string | Buffer) => message('Q', text(sql));
const parse = (name: string, sql: string | Buffer) => message('P', text(name), text(sql), int16(0));
const bind = (portal: string, name: string, ...values: Buffer[]) =>
  message(
    'B',
    text(portal),
    text(name),
    int16(0),
    int16(values.length),
    ...values.flatMap((value) => [int32(value.length), value]),
    int16(0),
  );
const execute = (portal: string, rows = 0) => message('E', text(portal), int32(rows));
const SYNC = message('S');
const TERMINATE = message('X');
const SSL = packet(int32(80877103));

/** The answers' types in order, an error as its SQLSTATE, without what start-up says: `Z T D C Z`. */
function answers(bytes: Buffer): string {
  const seen: string[] = [];
  for (let at = 0; at + 5 <= bytes.length; at += 1 + bytes.readInt32BE(at + 1)) {
    const type = String.fromCharCode(bytes[at] as number);
    if (type === 'E') seen.push(/\0C([0-9A-Z]{5})\0/.exec(bytes.toString('latin1', at))?.[1] ?? '?');
    else if (!'RSK'.includes(type)) seen.push(type);
  }
  return seen.join(' ');
}

/** Sends everything and returns what came back until the server closed. */
async function talk({ server }: Context, ...pieces: Buffer[]): Promise<Buffer> {
  const socket = connect(server.port, '127.0.0.1');
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.on('error', () => {});
  socket.write(Buffer.concat(pieces));
  await once(socket, 'close');
  return Buffer.concat(chunks);
}

async function raw({ server }: Context): Promise<Socket> {
  const socket = connect(server.port, '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

/** No connection, session or transaction of a client is left. */
async function settled({ db, server }: Context): Promise<void> {
  const own = 1;
  for (let turn = 0; turn < 10_000 && (server.connectionCount > 0 || db.database.engine.sessions().length > own); turn++) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.is(server.connectionCount, 0);
  assert.is(db.database.engine.sessions().length, own);
}

test('what is no conversation ends with the right code', async (context) => {
  const cases: [string, Buffer[], string][] = [
    ['no user', [startup(0x30000, [])], '08P01'],
    ['version 2', [startup(0x20000)], '08P01'],
    ['a minor version more', [startup(0x30002), query('SELECT 1'), TERMINATE], 'v Z T D C Z'],
    ['an extension', [startup(0x30000, ['user', 'root', '_pq_.x', '1']), TERMINATE], 'v Z'],
    ['an unknown variable', [startup(0x30000, ['user', 'root', 'nonsense', '1'])], '42704'],
    ['replication', [startup(0x30000, ['user', 'root', 'replication', 'true'])], '0A000'],
    ['a message before start-up', [query('SELECT 1')], '08P01'],
    ['a password nobody asked for', [startup(), message('p', text('x'))], 'Z 08P01'],
    ['an unknown type', [startup(), message('!')], 'Z 08P01'],
    ['a length below its own', [startup(), Buffer.from([0x51, 0, 0, 0, 3])], 'Z 08P01'],
    ['a length beyond all', [startup(), Buffer.from([0x51, 0x7f, 0xff, 0xff, 0xff])], 'Z 54000'],
    ['text without an end', [startup(), message('Q', Buffer.from('SELECT 1'))], 'Z 08P01'],
    ['a function call', [startup(), message('F', int32(1)), query('SELECT 1'), TERMINATE], 'Z 0A000 Z T D C Z'],
    ['a stray COPY', [startup(), message('d', text('x')), message('c'), query(''), TERMINATE], 'Z I Z'],
  ];
  for (const [name, pieces, expected] of cases) assert.is(answers(await talk(context, ...pieces)), expected, name);
  await settled(context);
});

test('encryption is refused once; asking again ends the connection', async (context) => {
  assert.equal((await talk(context, SSL, startup(), TERMINATE)).subarray(0, 2).toString('latin1'), 'NR');
  const twice = await talk(context, SSL, SSL, startup());
  assert.is(twice.subarray(0, 1).toString('latin1'), 'N');
  assert.is(answers(twice.subarray(1)), '08P01');
});

test('text that is not UTF-8 loses its statement only', async (context) => {
  const latin1 = Buffer.from("SELECT '\xe9'", 'latin1');
  assert.is(answers(await talk(context, startup(), query(latin1), query('SELECT 1'), TERMINATE)), 'Z 22021 Z T D C Z');
  assert.is(answers(await talk(context, startup(), parse('', latin1), bind('', ''), execute(''), SYNC, TERMINATE)), 'Z 22021 Z');
  const value = Buffer.of(0xe9);
  assert.is(answers(await talk(context, startup(), parse('', 'SELECT $1::STRING'), bind('', '', value), SYNC, TERMINATE)), 'Z 1 22021 Z');
});

test('portals end with their batch, and a plan whose columns changed is not run', async (context) => {
  const portal = [bind('p', 's'), execute('p'), SYNC];
  assert.is(answers(await talk(context, startup(), parse('s', 'SELECT 1'), ...portal, ...portal, TERMINATE)), 'Z 1 2 D C Z 2 D C Z');
  const twice = [query('BEGIN'), parse('', 'SELECT 1'), bind('p', ''), bind('p', ''), SYNC];
  assert.is(answers(await talk(context, startup(), ...twice, TERMINATE)), 'Z C Z 1 2 42P03 Z');
  const changed = [
    query('CREATE TABLE changing (a INT PRIMARY KEY, b INT); INSERT INTO changing VALUES (1, 2)'),
    parse('s', 'SELECT * FROM changing'),
    ...portal,
    query('ALTER TABLE changing DROP COLUMN b'),
    ...portal,
    query('SELECT * FROM changing'),
  ];
  assert.is(answers(await talk(context, startup(), ...changed, TERMINATE)), 'Z C C Z 1 2 D C Z C Z 2 0A000 Z T D C Z');
});

test('a row limit on a row change does not cut it short', async (context) => {
  await context.db.query('CREATE TABLE limited (a INT PRIMARY KEY)');
  const insert = parse('', 'INSERT INTO limited SELECT generate_series(1, 3000) RETURNING a');
  assert.is(answers(await talk(context, startup(), insert, bind('', ''), execute('', 2), SYNC, TERMINATE)), 'Z 1 2 D D s Z');
  assert.equal((await context.db.query('SELECT count(*) AS n FROM limited')).rows, [{ n: 3000 }]);
});

test('more columns than the protocol can count are refused before anything is sent', async (context) => {
  const columns = Array.from({ length: 33_000 }, (_, index) => `${index}`).join(',');
  assert.is(answers(await talk(context, startup(), query(`SELECT ${columns}`), query('SELECT 1'), TERMINATE)), 'Z 54011 Z T D C Z');
});

test('40,000 parameters are described and bound', async (context) => {
  const client = new pg.Client(context.server.url);
  await client.connect();
  const values = Array.from({ length: 40_000 }, (_, index) => index);
  const { rows } = await client.query({
    name: 'many',
    text: `SELECT count(*) AS n FROM (VALUES ${values.map((_, i) => `($${i + 1}::INT8)`).join(',')}) AS v (a)`,
    values,
  });
  assert.equal(rows, [{ n: '40000' }]);
  await client.end();
});

test('mutated conversations neither stop the server nor leave anything behind', async (context) => {
  const conversation = Buffer.concat([
    SSL,
    startup(0x30000, ['user', 'root', 'database', 'defaultdb', 'options', '-c statement_timeout=1000']),
    query('BEGIN; CREATE TABLE IF NOT EXISTS fuzz (a INT PRIMARY KEY, b BYTES); SELECT 1'),
    parse('s', 'INSERT INTO fuzz VALUES ($1::INT8, $2::BYTES) ON CONFLICT (a) DO NOTHING RETURNING a'),
    message('D', Buffer.from('S'), text('s')),
    bind('p', 's', Buffer.from('7'), Buffer.from('\\x00ff')),
    message('D', Buffer.from('P'), text('p')),
    execute('p', 1),
    message('C', Buffer.from('P'), text('p')),
    message('H'),
    SYNC,
    query('ROLLBACK'),
    TERMINATE,
  ]);
  const mutation = fc.record({
    at: fc.nat(conversation.length - 1),
    kind: fc.constantFrom('set', 'insert', 'remove', 'repeat'),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 8 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(mutation, { minLength: 1, maxLength: 5 }), fc.nat(conversation.length), async (mutations, cut) => {
      let bytes = conversation;
      for (const { at, kind, bytes: some } of mutations) {
        const [head, tail] = [bytes.subarray(0, at), bytes.subarray(at)];
        if (kind === 'set') bytes = Buffer.concat([head, some, tail.subarray(some.length)]);
        else if (kind === 'insert') bytes = Buffer.concat([head, some, tail]);
        else if (kind === 'remove') bytes = Buffer.concat([head, tail.subarray(some.length)]);
        else bytes = Buffer.concat([head, tail.subarray(0, some.length * 8), tail]);
      }
      const socket = await raw(context);
      socket.resume();
      const closed = once(socket, 'close');
      socket.write(bytes.subarray(0, cut));
      socket.end(bytes.subarray(cut));
      await closed;
    }),
    { seed: 2, numRuns: 150 },
  );
  await settled(context);
  assert.equal((await context.db.query('SELECT 1 AS one')).rows, [{ one: 1 }]);
});

test('a client that vanishes, wherever it was, leaves no session and no lock', async (context) => {
  await context.db.query('CREATE TABLE vanish (a INT PRIMARY KEY)');
  const conversation = Buffer.concat([
    startup(),
    query('BEGIN'),
    query('INSERT INTO vanish SELECT generate_series(1, 2000)'),
    query('SELECT * FROM vanish'),
    query('SELECT count(*) FROM generate_series(1, 100000)'),
  ]);
  for (let length = 1; length <= conversation.length; length += 9) {
    const socket = await raw(context);
    socket.write(conversation.subarray(0, length));
    for (let turn = 0; turn < length % 7; turn++) await new Promise((resolve) => setImmediate(resolve));
    socket.resetAndDestroy();
  }
  await settled(context);
  assert.is((await context.db.query('INSERT INTO vanish VALUES (1)')).rowCount, 1);
});

test('a client that does not read holds up neither others nor the end of the server', async () => {
  const db = await open({ seed: 'unread' });
  const server = await db.listen();
  const socket = connect(server.port, '127.0.0.1');
  socket.on('error', () => {});
  socket.pause();
  socket.write(
    Buffer.concat([startup(), ...Array.from({ length: 20 }, () => query("SELECT repeat('x', 10000) FROM generate_series(1, 2000)"))]),
  );
  const client = new pg.Client(server.url);
  client.on('error', () => {});
  await client.connect();
  for (let turn = 0; turn < 20; turn++) assert.is((await client.query('SELECT 1 AS one')).rows[0].one, '1');
  await client.end();
  await server.close();
  await db.close();
  socket.destroy();
});

test.run();
