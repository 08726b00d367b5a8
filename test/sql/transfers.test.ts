/** Money moves between accounts and is neither made nor lost; a transaction over many rows holds few locks. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { isVarveError } from '../../src/base/errors.ts';
import { seededRandom } from '../../src/base/random.ts';
import { interleave } from '../support/interleave.ts';
import { openSql } from '../support/sqlHarness.ts';

const ACCOUNTS = 6;
const CLIENTS = 8;
const TRANSFERS = 12;

const test = suite('sql transfers');

for (const level of ['serializable', 'repeatable read', 'read committed']) {
  test(`eight clients under ${level} keep the sum, and everybody gets through`, async () => {
    const db = await openSql();
    await db.exec('SET CLUSTER SETTING sql.txn.repeatable_read_isolation.enabled = true');
    await db.exec('CREATE TABLE accounts (id INT PRIMARY KEY, balance INT NOT NULL CHECK (balance >= 0))');
    await db.exec(`INSERT INTO accounts SELECT i, 100 FROM generate_series(1, ${ACCOUNTS}) AS g (i)`);
    let done = 0;
    let refused = 0;
    await interleave(
      seededRandom(level),
      Array.from({ length: CLIENTS }, (_, n) => async (gate) => {
        const session = `client${n}`;
        const random = seededRandom(session);
        const say = async (sql: string) => {
          await gate();
          return db.rows(sql, { session });
        };
        await say(`SET default_transaction_isolation = '${level}'`);
        for (let i = 0; i < TRANSFERS; ) {
          const from = 1 + random.int(ACCOUNTS);
          const to = 1 + ((from + random.int(ACCOUNTS - 1)) % ACCOUNTS);
          try {
            await say('BEGIN');
            const [row] = await say(`SELECT balance FROM accounts WHERE id = ${from} FOR UPDATE`);
            const amount = Math.min(Number(row?.[0]), 1 + random.int(40));
            await say(`UPDATE accounts SET balance = ${Number(row?.[0]) - amount} WHERE id = ${from}`);
            await say(`UPDATE accounts SET balance = balance + ${amount} WHERE id = ${to}`);
            await say('COMMIT');
            done++;
            i++;
          } catch (error) {
            if (!isVarveError(error) || error.code !== '40001') throw error;
            refused++;
            if (db.session(session).transactionStatus !== 'I') await say('ROLLBACK');
          }
          assert.equal(await db.rows('SELECT sum(balance) FROM accounts', { session: 'auditor' }), [[String(ACCOUNTS * 100)]]);
        }
      }),
    );
    assert.is(done, CLIENTS * TRANSFERS);
    assert.ok(refused > 0, 'the clients never met');
    assert.is(db.kv.locks.list().length, 0);
    db.close();
  });
}

test('an UPDATE of very many rows holds a bounded number of locks, and the row of another stays its own', async () => {
  const db = await openSql();
  await db.exec('CREATE TABLE t (id INT PRIMARY KEY, v INT NOT NULL)');
  await db.exec('INSERT INTO t SELECT i, 0 FROM generate_series(1, 50000) AS g (i)');
  await db.exec('BEGIN; SELECT * FROM t WHERE id = 40000 FOR UPDATE', { session: 'small' });
  await db.exec('BEGIN ISOLATION LEVEL READ COMMITTED', { session: 'big' });
  const [result] = await db.exec('UPDATE t SET v = v + 1 WHERE id <> 40000', { session: 'big' });
  assert.is(result?.tag, 'UPDATE 49999');
  const count = db.kv.locks.list().length;
  assert.ok(count < 20_010, `${count} locks`);
  await db.exec('UPDATE t SET v = 7 WHERE id = 40000; COMMIT', { session: 'small' });
  const waiting = db.exec('UPDATE t SET v = v + 1 WHERE id = 123', { session: 'other' });
  await db.exec('COMMIT', { session: 'big' });
  await waiting;
  assert.equal(await db.rows('SELECT sum(v) FROM t'), [[String(49_999 + 7 + 1)]]);
  assert.is(db.kv.locks.list().length, 0);
  db.close();
});
test.run();
