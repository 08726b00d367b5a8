/**
 * Real conversations, damaged: what `pg` and psql send is recorded by a proxy, cut into messages,
 * and sent again with bytes flipped, messages cut, lost, repeated, swapped, or with another length.
 * The server stays up, serves a good client all the time, and lets go of everything.
 *
 * `node test/fuzz/wire.test.ts --runs 20000 --seed mine` goes on for longer.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import pg from 'pg';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { type Random, seededRandom } from '../../src/base/random.ts';
import { open, type Varve } from '../../src/index.ts';
import { fuzzOptions } from './options.ts';
import { hasPsql } from '../support/programs.ts';

const test = suite('fuzzed conversations');
const { runs, seed } = fuzzOptions(150);

/** Passes bytes on both ways, and keeps what clients sent, a buffer for each connection. */
async function recordingProxy(port: number) {
  const recordings: Buffer[][] = [];
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1');
    const sent: Buffer[] = [];
    recordings.push(sent);
    client.on('data', (chunk) => {
      sent.push(chunk);
      upstream.write(chunk);
    });
    upstream.on('data', (chunk) => client.write(chunk));
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      one.on('error', () => {});
      one.on('close', () => other.destroy());
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    conversations: () => recordings.map((chunks) => Buffer.concat(chunks)),
    close: () => new Promise<void>((done) => server.close(() => done())),
  };
}

/** What node-postgres sends: simple and extended queries, types, pipelined errors, transactions, a cursor's rows. */
async function talkAsPg(port: number): Promise<void> {
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'root', database: 'defaultdb' });
  client.on('error', () => {});
  await client.connect();
  await client.query('CREATE TABLE IF NOT EXISTS talk (a INT PRIMARY KEY, b STRING, c BYTES); SELECT 1');
  await client.query('BEGIN');
  await client.query({ name: 'put', text: 'UPSERT INTO talk VALUES ($1, $2, $3)', values: [1, 'é', Buffer.from([0, 255])] });
  await client.query({ name: 'put', text: 'UPSERT INTO talk VALUES ($1, $2, $3)', values: [2, null, null] });
  await client.query('SELECT 1 / $1', [0]).catch(() => {});
  await client.query('ROLLBACK');
  await client.query('SELECT $1::INT[], $2::JSONB, $3::TIMESTAMPTZ', [[1, 2], { a: [1] }, new Date(0)]);
  await client.query('SELECT i FROM generate_series(1, 500) AS g (i)');
  await client.query('SELEKT').catch(() => {});
  await client.end();
}

/** What psql sends, where there is one: `\d` is a dozen catalog queries, `\copy` a COPY. */
async function talkAsPsql(port: number): Promise<void> {
  if (!hasPsql) return console.log('psql is not installed: what it sends is not recorded');
  const psql = spawn('psql', ['-X', `postgres://root@127.0.0.1:${port}/defaultdb?sslmode=prefer`], { stdio: ['pipe', 'ignore', 'ignore'] });
  psql.stdin.end(
    "\\d\n\\d talk\nCOPY talk FROM STDIN;\n7\tseven\t\\N\n8\teight\t\\\\x00\n\\.\nCOPY talk TO STDOUT;\nDELETE FROM talk;\nSELECT 'x' \\gx\n",
  );
  await once(psql, 'close');
}

/** A client's bytes as its messages: untyped ones first, up to the start-up message. */
function messagesOf(bytes: Buffer): Buffer[] {
  const messages: Buffer[] = [];
  let started = false;
  for (let at = 0; at + 8 <= bytes.length || (started && at + 5 <= bytes.length); ) {
    const length = started ? 1 + bytes.readInt32BE(at + 1) : bytes.readInt32BE(at);
    if (!started && bytes.readInt32BE(at + 4) >> 16 === 3) started = true;
    messages.push(Buffer.from(bytes.subarray(at, at + length)));
    at += length;
  }
  return messages;
}

/** A conversation with a few things wrong. */
function damaged(random: Random, conversation: readonly Buffer[], others: readonly (readonly Buffer[])[]): Buffer {
  const messages: Buffer[] = conversation.map((message) => Buffer.from(message));
  for (let count = 1 + random.int(4); count > 0 && messages.length > 0; count--) {
    const at = random.int(messages.length);
    const message = messages[at] as Buffer;
    switch (random.int(8)) {
      case 0:
        message[random.int(message.length)] = random.int(256);
        break;
      case 1: {
        const bit = random.int(message.length * 8);
        message[bit >> 3] = (message[bit >> 3] as number) ^ (1 << (bit & 7));
        break;
      }
      case 2:
        messages[at] = message.subarray(0, random.int(message.length + 1));
        break;
      case 3:
        if (message.length >= 5)
          message.writeInt32BE([0, -1, 3, 4, 5, 2 ** 31 - 1, message.length + 7][random.int(7)] as number, at === 0 ? 0 : 1);
        break;
      case 4:
        messages.splice(at, 1);
        break;
      case 5:
        messages.splice(at, 0, ...Array.from({ length: 1 + random.int(20) }, () => message));
        break;
      case 6: {
        const other = random.int(messages.length);
        [messages[at], messages[other]] = [messages[other] as Buffer, message];
        break;
      }
      default: {
        const donor = others[random.int(others.length)] as readonly Buffer[];
        messages.splice(at, 0, donor[random.int(donor.length)] as Buffer);
      }
    }
  }
  return Buffer.concat(messages);
}

/** Sends bytes in a few pieces and waits until the server is done with them. */
async function send(port: number, bytes: Buffer, random: Random): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
  // Some read late: they must not wait for the server to take all that they send.
  if (random.int(10) > 0) socket.resume();
  else setImmediate(() => setImmediate(() => socket.resume()));
  const cut = random.int(bytes.length + 1);
  socket.write(bytes.subarray(0, cut));
  // Some clients vanish in the middle of it.
  if (random.int(10) === 0) setImmediate(() => socket.resetAndDestroy());
  else socket.end(bytes.subarray(cut));
  await closed;
}

async function settled(db: Varve, server: { readonly connectionCount: number }, connections: number): Promise<void> {
  for (let turn = 0; turn < 20_000 && server.connectionCount > connections; turn++) await new Promise((resolve) => setImmediate(resolve));
  assert.is(server.connectionCount, connections, 'connections left');
  assert.is(db.database.engine.sessions().length, connections + 1, 'sessions left');
  const { budget } = db.database.kv.memory;
  assert.equal([budget.buffered('sorts'), budget.buffered('results'), budget.buffered('transactions')], [0, 0, 0], 'bytes left');
}

test('a damaged conversation harms nobody else and leaves nothing behind', async () => {
  const db = await open({ seed: 'fuzz' });
  const server = await db.listen();
  const proxy = await recordingProxy(server.port);
  await talkAsPg(proxy.port);
  await talkAsPsql(proxy.port);
  const conversations = proxy
    .conversations()
    .map(messagesOf)
    .filter((messages) => messages.length > 0);
  await proxy.close();
  assert.ok(conversations.flat().length > 30, `${conversations.flat().length} messages recorded`);

  const good = new pg.Client({ host: '127.0.0.1', port: server.port, user: 'root', database: 'defaultdb' });
  await good.connect();
  for (let run = 0; run < runs; run++) {
    const random = seededRandom(`${seed} wire ${run}`);
    const bytes = damaged(random, conversations[random.int(conversations.length)] as readonly Buffer[], conversations);
    const sent = send(server.port, bytes, random);
    const { rows } = await good.query('SELECT $1::INT AS run', [run]);
    assert.is(Number(rows[0].run), run, `seed ${seed}, run ${run}: the good client`);
    await sent;
  }
  await settled(db, server, 1);
  // Nobody holds a lock on the rows that the conversations write.
  await good.query('CREATE TABLE IF NOT EXISTS talk (a INT PRIMARY KEY, b STRING, c BYTES)');
  assert.is((await good.query("UPSERT INTO talk (a, b) VALUES (1, 'x'), (2, 'y'), (7, 'z')")).rowCount, 3);
  await good.end();
  await settled(db, server, 0);
  await server.close();
  await db.close();
});

test.run();
