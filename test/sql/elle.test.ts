/**
 * Elle's check through SQL: what sessions add to the key-value layer (locking reads, statements and
 * transactions that run again by themselves, a snapshot a statement) keeps the levels' promises.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { isVarveError } from '../../src/base/errors.ts';
import { type Random, seededRandom } from '../../src/base/random.ts';
import type { Isolation } from '../../src/kv/kv.ts';
import { findAnomalies, FORBIDDEN, formatHistory, type Op, type Transaction } from '../support/elle.ts';
import { type Gate, interleave } from '../support/interleave.ts';
import { openSql, type SqlHarness } from '../support/sqlHarness.ts';
import { runs } from '../support/depth.ts';

const KEYS = ['x', 'y', 'z'];
const numbersOf = (text: string | null | undefined): number[] => (text ? text.split(' ').map(Number) : []);

interface Run {
  readonly db: SqlHarness;
  readonly random: Random;
  /** Keys of this history begin with it. */
  readonly prefix: string;
  readonly tick: () => number;
  readonly record: (one: Transaction) => void;
}

/** Three transactions of one session, statement by statement or in one text. */
async function client({ db, random, prefix, tick, record }: Run, session: string, gate: Gate): Promise<void> {
  const say = (sql: string) => db.rows(sql, { session });
  for (let n = 0; n < 3; n++) {
    await gate();
    const beganAt = tick();
    const ops: Op[] = [];
    let isCommitted = false;
    const plans = Array.from({ length: 1 + random.int(3) }, () => planned(random, prefix, tick));
    try {
      if (random.int(4) === 0) {
        // The whole transaction in one text: it runs again by itself, so only its last answers count.
        const results = await db.exec(['BEGIN', ...plans.map((plan) => plan.sql), 'COMMIT'].join('; '), { session });
        plans.forEach((plan, i) => {
          const row = results[i + 1]?.rows[0];
          ops.push(plan.opOf(row === undefined ? undefined : String(row[0])));
        });
      } else {
        await say('BEGIN');
        for (const plan of plans) {
          await gate();
          const [row] = await say(plan.sql);
          ops.push(plan.opOf(row?.[0] ?? undefined));
        }
        await gate();
        if (random.int(10) === 0) throw new Error('rolled back');
        await say('COMMIT');
      }
      isCommitted = true;
    } catch (error) {
      if (isVarveError(error) && error.code !== '40001') throw error;
      if (db.session(session).transactionStatus !== 'I') await say('ROLLBACK');
    }
    record({ id: `${session}${n}`, ops, isCommitted, beganAt, endedAt: tick() });
  }
}

/** A statement, and what it did once its row is known. */
function planned(random: Random, prefix: string, tick: () => number): { sql: string; opOf: (found: string | undefined) => Op } {
  const key = KEYS[random.int(KEYS.length)] as string;
  const name = `'${prefix}${key}'`;
  const kind = random.int(6);
  if (kind < 3) {
    const locking = kind === 2 ? (random.int(2) === 0 ? ' FOR UPDATE' : ' FOR SHARE') : '';
    return { sql: `SELECT v FROM lists WHERE k = ${name}${locking}`, opOf: (found) => ({ kind: 'read', key, saw: numbersOf(found) }) };
  }
  const value = tick();
  const sql =
    kind === 3
      ? `UPDATE lists SET v = v || ' ${value}' WHERE k = ${name} RETURNING k`
      : `INSERT INTO lists VALUES (${name}, '${value}') ON CONFLICT (k) DO UPDATE SET v = lists.v || ' ${value}'`;
  // An UPDATE that finds no row has read that there is none.
  return { sql, opOf: (found) => (kind === 3 && found === undefined ? { kind: 'read', key, saw: [] } : { kind: 'append', key, value }) };
}

const elle = suite('elle: sql');
for (const level of ['serializable', 'snapshot', 'read committed'] as const satisfies readonly Isolation[]) {
  elle(`sessions under ${level} show nothing that it forbids`, async () => {
    const db = await openSql();
    await db.exec('SET CLUSTER SETTING sql.txn.repeatable_read_isolation.enabled = true');
    await db.exec('CREATE TABLE lists (k STRING PRIMARY KEY, v STRING NOT NULL)');
    for (const session of ['a', 'b', 'c']) await db.exec(`SET default_transaction_isolation = '${level}'`, { session });
    let committed = 0;
    let refused = 0;
    for (let seed = 0; seed < runs(100); seed++) {
      const transactions: Transaction[] = [];
      let events = 0;
      const run: Run = {
        db,
        random: seededRandom(`${level}${seed}`),
        prefix: `${seed}/`,
        tick: () => ++events,
        record: (one) => transactions.push(one),
      };
      await interleave(
        run.random,
        ['a', 'b', 'c'].map((session) => (gate: Gate) => client(run, session, gate)),
      );
      const final = await db.rows(`SELECT k, v FROM lists WHERE k >= '${seed}/' AND k < '${seed}0'`);
      const ops = final.map(([k, v]): Op => ({ kind: 'read', key: String(k).slice(-1), saw: numbersOf(v) }));
      transactions.push({ id: 'last', ops, isCommitted: true, beganAt: events + 1, endedAt: events + 2 });
      for (const one of transactions) one.isCommitted ? committed++ : refused++;
      for (const { name, witness } of findAnomalies({ transactions })) {
        assert.not.ok(FORBIDDEN[level].includes(name), `seed ${seed}: ${name}\n${witness}\n\n${formatHistory({ transactions })}`);
      }
    }
    assert.is(db.kv.locks.list().length, 0);
    assert.ok(committed > runs(500) && refused > runs(20), `${committed} committed, ${refused} not`);
    db.close();
  });
}
elle.run();
