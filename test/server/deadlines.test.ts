/** The time a client has to start its session is the sockets' own: a slow one is let go, and has cost nothing. */
import { once } from 'node:events';
import { connect } from 'node:net';
import pg from 'pg';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { ManualClock, open } from '../../src/index.ts';

const test = suite('deadlines of clients');

/** What a client sends to start: user root, and nothing else. */
const STARTUP = Buffer.from('\0\0\0\x13\0\x03\0\0user\0root\0\0', 'latin1');

test('a client that sends a byte now and then and never starts is closed after a minute', async () => {
  const ioClock = new ManualClock('2026-11-20T00:00:00Z');
  const db = await open({ ioClock });
  const server = await db.listen();
  const sessions = db.database.engine.sessions().length;
  const slow = connect(server.port, '127.0.0.1');
  slow.on('error', () => {});
  await once(slow, 'connect');
  let isClosed = false;
  const closed = once(slow, 'close').then(() => {
    isClosed = true;
  });
  // Another comes in meanwhile, and stays.
  const quick = new pg.Client(server.url);
  await quick.connect();
  for (let sent = 0; sent < 5; sent++) {
    slow.write(STARTUP.subarray(sent, sent + 1));
    await quick.query('SELECT 1');
    assert.is(isClosed, false, `closed after ${sent} pieces`);
    assert.is(server.connectionCount, 1);
    assert.is(db.database.engine.sessions().length, sessions + 1);
    await ioClock.advance('12s');
  }
  slow.resume();
  await closed;
  await ioClock.advance('1h');
  assert.equal((await quick.query('SELECT 1 AS a')).rows, [{ a: '1' }]);
  await quick.end();
  await server.close();
  await db.close();
});

test('a client that has started stays as long as it likes', async () => {
  const ioClock = new ManualClock('2026-11-20T00:00:00Z');
  const db = await open({ ioClock });
  const server = await db.listen();
  const socket = connect(server.port, '127.0.0.1');
  await once(socket, 'connect');
  socket.write(STARTUP);
  await once(socket, 'data');
  await ioClock.advance('24h');
  socket.write(Buffer.from('Q\0\0\0\x0dSELECT 1\0', 'latin1'));
  const [answer] = (await once(socket, 'data')) as [Buffer];
  assert.ok(answer.toString('latin1').includes('SELECT 1'));
  socket.end(Buffer.from('X\0\0\0\x04', 'latin1'));
  await server.close();
  await db.close();
});

test.run();
