/** COPY over a real socket, spoken by hand: message by message, in order and out of it. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { open, type Varve } from '../../src/index.ts';

interface Context {
  db: Varve;
  port: number;
  close(): Promise<void>;
}

const test = suite<Context>('copy over the wire');

test.before(async (context) => {
  context.db = await open({ seed: 'copy' });
  const server = await context.db.listen();
  context.port = server.port;
  context.close = async () => {
    await server.close();
    await context.db.close();
  };
});
test.after((context) => context.close());

/** A client that sends what it is told, and shows what comes. */
class Wire {
  readonly socket: Socket;
  #bytes = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      socket.emit('bytes');
    });
  }

  static async open(port: number): Promise<Wire> {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    const wire = new Wire(socket);
    const body = Buffer.from('\0\x03\0\0user\0root\0database\0defaultdb\0\0', 'latin1');
    const head = Buffer.alloc(4);
    head.writeInt32BE(body.length + 4);
    socket.write(Buffer.concat([head, body]));
    await wire.until('Z');
    return wire;
  }

  send(type: string, body: string | Buffer = ''): void {
    const bytes = Buffer.isBuffer(body) ? body : Buffer.from(body, 'utf8');
    const head = Buffer.alloc(5);
    head.write(type);
    head.writeInt32BE(bytes.length + 4, 1);
    this.socket.write(Buffer.concat([head, bytes]));
  }

  query(sql: string): void {
    this.send('Q', `${sql}\0`);
  }

  /** Messages up to one of that type, each as its type and what matters of it. */
  async until(type: string): Promise<string[]> {
    const seen: string[] = [];
    for (;;) {
      const length = this.#bytes.length >= 5 ? this.#bytes.readInt32BE(1) + 1 : Number.POSITIVE_INFINITY;
      if (this.#bytes.length < length) {
        await once(this.socket, 'bytes');
        continue;
      }
      const message = this.#bytes.subarray(0, length);
      this.#bytes = this.#bytes.subarray(length);
      const kind = String.fromCharCode(message[0] as number);
      seen.push(shown(kind, message.subarray(5)));
      if (kind === type) return seen;
    }
  }

  /** The answer to a whole query. */
  ask(sql: string): Promise<string[]> {
    this.query(sql);
    return this.until('Z');
  }
}

function shown(kind: string, body: Buffer): string {
  switch (kind) {
    case 'E': {
      const fields = new Map(
        body
          .toString('utf8')
          .split('\0')
          .filter((field) => field !== '')
          .map((field) => [field[0], field.slice(1)]),
      );
      return ['E', fields.get('C'), fields.get('M'), fields.get('D')].filter((part) => part !== undefined).join(' ');
    }
    case 'D': {
      const values: string[] = [];
      for (let at = 2; at < body.length; ) {
        const size = body.readInt32BE(at);
        values.push(size < 0 ? 'NULL' : body.toString('utf8', at + 4, at + 4 + size));
        at += 4 + Math.max(0, size);
      }
      return `D ${values.join(' ')}`;
    }
    case 'C':
      return `C ${body.toString('utf8', 0, body.length - 1)}`;
    case 'd':
      return `d ${JSON.stringify(body.toString('latin1'))}`;
    case 'G':
    case 'H':
      return `${kind} ${body.toString('hex')}`;
    case 'Z':
      return `Z ${body.toString('latin1')}`;
    default:
      return kind;
  }
}

test('data comes in pieces of any size', async ({ port }) => {
  const wire = await Wire.open(port);
  await wire.ask('CREATE TABLE a (id INT PRIMARY KEY, s STRING, n INT DEFAULT 7)');
  wire.query('COPY a (id, s) FROM STDIN');
  assert.equal(await wire.until('G'), ['G 00000200000000']);
  for (const piece of ['1\ton', 'e\n2\t\\N\n', '3\té', '\n']) wire.send('d', piece);
  wire.send('c');
  assert.equal(await wire.until('Z'), ['C COPY 3', 'Z I']);
  assert.equal(await wire.ask('SELECT * FROM a ORDER BY id'), ['T', 'D 1 one 7', 'D 2 NULL 7', 'D 3 é 7', 'C SELECT 3', 'Z I']);
  assert.equal(await wire.ask("COPY (SELECT id, s FROM a ORDER BY id) TO STDOUT (FORMAT csv, HEADER, NULL 'null')"), [
    'H 00000200000000',
    `d ${JSON.stringify(Buffer.from('id,s\n1,one\n2,null\n3,é\n').toString('latin1'))}`,
    'c',
    'C COPY 3',
    'Z I',
  ]);
  wire.socket.destroy();
});

test('binary data goes out and comes in', async ({ port }) => {
  const wire = await Wire.open(port);
  await wire.ask(
    "CREATE TABLE b (id INT PRIMARY KEY, t TIMESTAMP, d DECIMAL); INSERT INTO b VALUES (1, '2020-01-02', 1.50), (2, NULL, -3)",
  );
  const out = await wire.ask('COPY b TO STDOUT BINARY');
  assert.is(out[0], 'H 010003000100010001');
  const data = Buffer.from(JSON.parse((out[1] as string).slice(2)), 'latin1');
  await wire.ask('CREATE TABLE b2 (id INT PRIMARY KEY, t TIMESTAMP, d DECIMAL)');
  wire.query('COPY b2 FROM STDIN (FORMAT binary)');
  await wire.until('G');
  for (let at = 0; at < data.length; at += 7) wire.send('d', data.subarray(at, at + 7));
  wire.send('c');
  assert.equal(await wire.until('Z'), ['C COPY 2', 'Z I']);
  assert.equal(await wire.ask('SELECT * FROM b EXCEPT SELECT * FROM b2'), ['T', 'C SELECT 0', 'Z I']);
  wire.socket.destroy();
});

test('an error says where, undoes the whole, and what is still under way is dropped', async ({ port }) => {
  const wire = await Wire.open(port);
  await wire.ask('CREATE TABLE e (id INT PRIMARY KEY, s VARCHAR(3), CHECK (id < 100))');
  const copy = async (data: string, ending = 'c'): Promise<string | undefined> => {
    wire.query('COPY e FROM STDIN');
    await wire.until('G');
    wire.send('d', data);
    wire.send(ending, ending === 'f' ? 'changed my mind\0' : '');
    return (await wire.until('Z'))[0];
  };
  assert.is(
    await copy('1\ta\nx\tb\n'),
    'E 22P02 could not parse "x" as type int: strconv.ParseInt: parsing "x": invalid syntax COPY e, line 2, column id: "x"',
  );
  assert.is(await copy('1\n'), 'E 22P04 missing data for column "s" line 1 of the data');
  assert.is(await copy('1\ta\tb\n'), 'E 22P04 extra data after last expected column line 1 of the data');
  assert.is(await copy('1\tlong\n'), 'E 22001 value too long for type VARCHAR(3) COPY e, line 1');
  assert.is(await copy('200\ta\n'), 'E 23514 failed to satisfy CHECK constraint (id < 100:::INT8) COPY e, line 1');
  assert.is(await copy('1\ta\n1\tb\n'), 'E 23505 duplicate key value violates unique constraint "e_pkey" Key (id)=(1) already exists.');
  assert.is(await copy('1\ta\n', 'f'), 'E 57014 COPY from stdin failed: changed my mind');
  assert.equal(await wire.ask('SELECT count(*) FROM e'), ['T', 'D 0', 'C SELECT 1', 'Z I']);
  wire.socket.destroy();
});

test('COPY is part of its transaction, and answers in its turn', async ({ port }) => {
  const wire = await Wire.open(port);
  await wire.ask('CREATE TABLE x (id INT PRIMARY KEY)');
  wire.query('BEGIN; INSERT INTO x VALUES (1); COPY x FROM STDIN; COPY x TO STDOUT; ROLLBACK');
  assert.equal(await wire.until('G'), ['C BEGIN', 'C INSERT 0 1', 'G 0000010000']);
  wire.send('d', '2\n');
  wire.send('c');
  assert.equal(await wire.until('Z'), ['C COPY 1', 'H 0000010000', 'd "1\\n2\\n"', 'c', 'C COPY 2', 'C ROLLBACK', 'Z I']);
  assert.equal(await wire.ask('SELECT count(*) FROM x'), ['T', 'D 0', 'C SELECT 1', 'Z I']);
  wire.socket.destroy();
});

test('the extended protocol carries COPY too', async ({ port }) => {
  const wire = await Wire.open(port);
  await wire.ask('CREATE TABLE y (id INT PRIMARY KEY)');
  wire.send('P', '\0COPY y FROM STDIN\0\0\0');
  wire.send('B', '\0\0\0\0\0\0\0\0');
  wire.send('D', 'P\0');
  wire.send('E', '\0\0\0\0\0');
  wire.send('H');
  assert.equal(await wire.until('G'), ['1', '2', 'n', 'G 0000010000']);
  wire.send('d', '5\n6\n');
  wire.send('c');
  wire.send('S');
  assert.equal(await wire.until('Z'), ['C COPY 2', 'Z I']);
  wire.socket.destroy();
});

test('a client that goes away while it copies leaves nothing behind', async ({ port, db }) => {
  const wire = await Wire.open(port);
  await wire.ask('CREATE TABLE z (id INT PRIMARY KEY)');
  wire.query('COPY z FROM STDIN');
  await wire.until('G');
  wire.send('d', '1\n');
  wire.socket.destroy();
  await once(wire.socket, 'close');
  // Its lock would keep this one waiting.
  await db.query('INSERT INTO z VALUES (1)');
  assert.equal((await db.query('SELECT count(*) AS n FROM z')).rows, [{ n: 1 }]);
});

test('without a wire there is no COPY', async ({ db }) => {
  try {
    await db.query('COPY x FROM STDIN');
    assert.unreachable();
  } catch (error) {
    assert.is((error as { code?: string }).code, '0A000');
  }
});

test.run();
