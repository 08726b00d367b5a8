/** Sessions that read rows in order to write them take turns after a conflict: nobody else notices, and no wait is without end. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { isVarveError } from '../../src/base/errors.ts';
import { type Client, open, type Varve } from '../../src/index.ts';

const test = suite('reads to write');

const READ = 'SELECT value FROM test WHERE id = $1';
const WRITE = 'UPDATE test SET value = $2 WHERE id = $1';

async function start(): Promise<{ db: Varve; a: Client; b: Client }> {
  const db = await open();
  await db.query('CREATE TABLE test (id INT PRIMARY KEY, value INT NOT NULL); INSERT INTO test VALUES (1, 10), (2, 20)');
  return { db, a: db.connect(), b: db.connect() };
}

const valueIn = async (client: Pick<Client, 'query'>, id = 1): Promise<number> => (await client.query(READ, [id])).rows[0]?.['value'];

async function refused(work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    assert.ok(isVarveError(error) && error.code === '40001', String(error));
    return;
  }
  assert.unreachable('it was not refused');
}

/** What comes without waiting for a turn: a few hundred turns of the event loop are far less than its 50 ms. */
async function atOnce<T>(work: Promise<T>): Promise<T | 'waits'> {
  let result: T | 'waits' = 'waits';
  void work.then((value) => {
    result = value;
  });
  for (let i = 0; i < 300 && result === 'waits'; i++) await new Promise((resolve) => setImmediate(resolve));
  return result;
}

/** Both read the row, one writes and commits, and the other is refused: from then on it takes turns. */
async function meet(loser: Client, winner: Client): Promise<void> {
  await loser.query('BEGIN');
  await winner.query('BEGIN');
  await valueIn(loser);
  await winner.query(WRITE, [1, (await valueIn(winner)) + 1]);
  await winner.query('COMMIT');
  await refused(loser.query(WRITE, [1, 0]));
  await loser.query('ROLLBACK');
}

test('two that have met a conflict read one after the other, and neither is refused', async () => {
  const { db, a, b } = await start();
  await meet(a, b);
  await meet(b, a);
  await a.query('BEGIN');
  await b.query('BEGIN');
  const first = await valueIn(a);
  const second = valueIn(b);
  await a.query(WRITE, [1, first + 100]);
  await a.query('COMMIT');
  assert.is(await second, first + 100);
  await b.query(WRITE, [1, (await second) + 100]);
  await b.query('COMMIT');
  assert.is(await valueIn(db), first + 200);
  await db.close();
});

test('a turn that does not come is not waited for without end, and what was read is checked as ever', async () => {
  const { db, a, b } = await start();
  await meet(a, b);
  await meet(b, a);
  await a.query('BEGIN');
  await b.query('BEGIN');
  const seen = await valueIn(a);
  assert.is(await valueIn(b), seen);
  await a.query(WRITE, [1, seen + 1]);
  await a.query('COMMIT');
  await refused(b.query(WRITE, [1, seen + 1]));
  await b.query('ROLLBACK');
  await db.close();
});

test('writers, and readers without a conflict, do not see turns', async () => {
  const { db, a, b } = await start();
  await meet(a, b);
  await a.query('BEGIN');
  const seen = await valueIn(a);
  assert.is(await valueIn(b), seen);
  await b.query(WRITE, [1, 5]);
  assert.is(await valueIn(db), 5);
  await refused(a.query(WRITE, [1, 6]));
  await a.query('ROLLBACK');
  await db.close();
});

test('two that wait for each other go on, and one of them is refused by what it has read', async () => {
  const { db, a, b } = await start();
  await meet(a, b);
  await meet(b, a);
  await a.query('BEGIN');
  await b.query('BEGIN');
  await valueIn(a, 1);
  await valueIn(b, 2);
  await Promise.all([valueIn(a, 2), valueIn(b, 1)]);
  const done = await Promise.allSettled(
    [a, b].map(async (client) => {
      await client.query(WRITE, [1, 7]);
      await client.query(WRITE, [2, 7]);
      await client.query('COMMIT');
    }),
  );
  assert.equal(done.map((one) => one.status).sort(), ['fulfilled', 'rejected']);
  await db.close();
});

test('a transaction that becomes READ COMMITTED after BEGIN takes no turn, and one that dies gives its up', async () => {
  const { db, a, b } = await start();
  await meet(a, b);
  await meet(b, a);
  await b.query('BEGIN');
  const seen = await valueIn(b);
  await a.query('BEGIN; SET TRANSACTION ISOLATION LEVEL READ COMMITTED');
  assert.is(await atOnce(valueIn(a)), seen);
  await a.query('ROLLBACK');
  await a.query('BEGIN');
  const waiting = valueIn(a);
  await b.close();
  assert.is(await atOnce(waiting), seen);
  await db.close();
});

test('turns end with a transaction that writes less than it took turns for, and by the setting', async () => {
  const { db, a, b } = await start();
  await meet(a, b);
  await meet(b, a);
  await a.query('BEGIN');
  await valueIn(a);
  await a.query('COMMIT');
  // Now a takes no turns: both read at once, which a turn held by b would not allow for a while.
  for (const setting of ['on', 'off']) {
    if (setting === 'off') {
      await meet(a, b);
      await a.query('SET enable_implicit_select_for_update = off');
    }
    await b.query('BEGIN');
    await valueIn(b);
    await a.query('BEGIN');
    let isRead = false;
    const read = valueIn(a).then(() => {
      isRead = true;
    });
    for (let turn = 0; turn < 20; turn++) await null;
    assert.ok(isRead, setting);
    await read;
    await a.query('ROLLBACK');
    await b.query('ROLLBACK');
  }
  await db.close();
});

test.run();
