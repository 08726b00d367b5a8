/** Large results and slow clients: rows are made as the client takes them, and wait in no memory of the server's. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import pg from 'pg';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { int32, message } from './rawMessages.ts';
import { type ClientsServer, startClientsServer } from './support.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

interface Context {
  server: ClientsServer;
  other: pg.Client;
}

const test = suite<Context>('backpressure');
const ROWS = 16_000;
const ROW_BYTES = 1000;
const QUERY = `SELECT i, lpad(i::text, ${ROW_BYTES}, 'x') AS pad FROM generate_series(1, ${ROWS}) AS g(i)`;

test.before(async (context) => {
  context.server = await startClientsServer('backpressure');
  context.other = new pg.Client({ connectionString: context.server.url });
  await context.other.connect();
});

test.after(async ({ other, server }) => {
  await other.end();
  await server.close();
});

/** Counts messages by type, as they come. */
class Counted {
  readonly counts = new Map<string, number>();
  #rest: Buffer = Buffer.alloc(0);

  push(chunk: Buffer): void {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    while (this.#rest.length - at >= 5) {
      const size = this.#rest.readInt32BE(at + 1) + 1;
      if (this.#rest.length - at < size) break;
      const type = String.fromCharCode(this.#rest[at] ?? 0);
      this.counts.set(type, (this.counts.get(type) ?? 0) + 1);
      at += size;
    }
    this.#rest = this.#rest.subarray(at);
  }

  of(type: string): number {
    return this.counts.get(type) ?? 0;
  }
}

/** Counts what a socket brings from now on, until ReadyForQuery. */
function untilReady(socket: Socket): Promise<Counted> {
  const counted = new Counted();
  return new Promise((resolve, reject) => {
    const take = (chunk: Buffer): void => {
      counted.push(chunk);
      if (counted.of('Z') === 0) return;
      socket.off('data', take);
      socket.pause();
      resolve(counted);
    };
    socket.on('data', take);
    socket.on('close', () => reject(new Error('the server closed the connection')));
    socket.resume();
  });
}

/** A client that has logged in and asked, and reads nothing since. */
async function asked({ server }: Context, ...messages: Buffer[]): Promise<Socket> {
  const socket = connect(server.port, server.host);
  await once(socket, 'connect');
  socket.write(message('', int32(196608), 'user', server.user, 'database', server.database, Buffer.from([0])));
  await untilReady(socket);
  socket.write(Buffer.concat(messages));
  return socket;
}

/** Bytes in use once nothing is left to be collected. */
function usedBytes(): number {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Lets the server do what it can, in answering somebody else. */
async function meanwhile(other: pg.Client): Promise<void> {
  for (let i = 0; i < 15; i++) await other.query('SELECT count(*) FROM generate_series(1, 2000)');
}

const statements: readonly (readonly [string, Buffer[]])[] = [
  ['a simple query', [message('Q', QUERY)]],
  [
    'a portal run whole',
    [
      message('P', '', QUERY, Buffer.from([0, 0])),
      message('B', '', '', Buffer.from([0, 0, 0, 0, 0, 0])),
      message('D', Buffer.from('P'), ''),
      message('E', '', int32(0)),
      message('S'),
    ],
  ],
];

for (const [name, messages] of statements) {
  test(`${name}: a client that does not read costs little memory, and gets all rows later`, async (context) => {
    const before = usedBytes();
    const socket = await asked(context, ...messages);
    await meanwhile(context.other);
    const grown = usedBytes() - before;
    assert.ok(grown < 8_000_000, `${Math.round(grown / 1e6)} MB are held for ${(ROWS * ROW_BYTES) / 1e6} MB of rows`);
    const counted = await untilReady(socket);
    assert.equal([counted.of('T'), counted.of('D'), counted.of('C'), counted.of('E')], [1, ROWS, 1, 0]);
    socket.destroy();
  });
}

test('a client that goes away ends its statement', async (context) => {
  const socket = await asked(context, message('Q', QUERY));
  await meanwhile(context.other);
  socket.destroy();
  await once(socket, 'close');
  await meanwhile(context.other);
  const { rows } = await context.other.query(
    `SELECT count(*)::int AS n FROM [SHOW QUERIES] WHERE query LIKE '%lpad%' AND query NOT LIKE '%SHOW%'`,
  );
  assert.equal(rows, [{ n: 0 }]);
});

test('an error after the first rows ends the result, and the session goes on', async ({ other }) => {
  const late = `SELECT repeat('x', 100) AS pad, 1 / (${ROWS} - i) AS q FROM generate_series(1, ${ROWS}) AS g(i)`;
  const error = await other.query(late).catch((caught: pg.DatabaseError) => caught);
  assert.is((error as pg.DatabaseError).code, '22012');
  assert.equal((await other.query('SELECT 1::int AS one')).rows, [{ one: 1 }]);
  await other.query('BEGIN');
  assert.is(((await other.query(late).catch((caught: pg.DatabaseError) => caught)) as pg.DatabaseError).code, '22012');
  assert.is(((await other.query('SELECT 1').catch((caught: pg.DatabaseError) => caught)) as pg.DatabaseError).code, '25P02');
  await other.query('ROLLBACK');
});

test.run();
