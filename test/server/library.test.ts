/** The library as a program uses it: options, parameters, order of calls, jobs, and what remains after close(). */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { isVarveError, ManualClock, open, type OpenOptions, type Varve } from '../../src/index.ts';

/** The SQLSTATE that work fails with; throws when it succeeds or fails with what is no VarveError. */
async function codeOf(work: () => unknown): Promise<string> {
  try {
    await work();
  } catch (error) {
    if (isVarveError(error)) return error.code;
    throw error;
  }
  throw new Error('succeeded');
}

const test = suite<{ db: Varve }>('library');

test.before(async (context) => {
  context.db = await open({ seed: 'library' });
});
test.after(({ db }) => db.close());

test('options that cannot be are refused by name', async () => {
  const wrong: Record<string, unknown>[] = [
    { nodes: 0 },
    { nodes: 1.5 },
    { nodes: 1e9 },
    { nodes: '2' },
    { localities: 'region=a' },
    { localities: ['region=a', 'region=b'], nodes: 1 },
    { clock: '2026-11-20' },
    { externalIoDir: '' },
    { externalIODir: './extern' },
    { memoryBytes: 1000 },
    { memoryBytes: '1GB' },
    { seed: 5 },
  ];
  for (const options of wrong) assert.is(await codeOf(() => open(options as OpenOptions)), '22023', JSON.stringify(options));
  await (await open({ seed: undefined as never })).close();
});

test('calls without await between them run in their order, each with its own parameters', async ({ db }) => {
  const results = await Promise.all([
    db.query('BEGIN'),
    db.query('SELECT $1::INT8 AS a', [1]),
    db.query('SELECT $1::INT8 AS a, $2::STRING AS b', [2, 'x']),
    db.sql`SELECT ${3}::INT8 AS a`,
    db.query('COMMIT'),
    db.query('SHOW TRANSACTION STATUS'),
  ]);
  assert.equal(
    results.slice(1, 4).map((result) => result.rows),
    [[{ a: 1 }], [{ a: 2, b: 'x' }], [{ a: 3 }]],
  );
  assert.equal(results[5]?.rows, [{ 'TRANSACTION STATUS': 'NoTxn' }]);
});

test('parameters come back as they went', async ({ db }) => {
  const cases: [string, unknown][] = [
    ['INT8', 42],
    ['INT8', 2n ** 63n - 1n],
    ['FLOAT8', -0],
    ['FLOAT8', Number.POSITIVE_INFINITY],
    ['BOOL', false],
    ['STRING', 'é😀'],
    ['BYTES', Buffer.from([0, 255])],
    ['TIMESTAMPTZ', new Date('2026-11-20T01:02:03.456Z')],
    ['TIMESTAMP', new Date('+012000-01-01T00:00:00Z')],
    ['TIMESTAMPTZ', new Date('-000044-03-15T00:00:00Z')],
    ['TIMESTAMPTZ', Number.NEGATIVE_INFINITY],
    ['JSONB', { a: [1, null, 'é'] }],
    ['JSONB', [1, 2]],
    ['INT8[]', [1, null, 3]],
    ['STRING[]', ['a', 'b"c', '']],
    ['INT8', null],
  ];
  for (const [type, value] of cases) {
    const { rows } = await db.query(`SELECT $1::${type} AS v`, [value]);
    assert.equal(rows[0]?.['v'], value, type);
  }
});

test('values that are no SQL value are refused, with the session intact', async ({ db }) => {
  const cycle: Record<string, unknown> = {};
  cycle['self'] = cycle;
  const cases: [string, unknown, string][] = [
    ['TIMESTAMPTZ', new Date(Number.NaN), '22023'],
    ['JSONB', cycle, '22023'],
    ['JSONB', { a: 1n }, '22023'],
    ['JSONB', () => 1, '22023'],
    ['STRING', Symbol('x'), '22023'],
    ['STRING', {}, '22023'],
    ['STRING', '\ud800', '22021'],
    ['INT8', 1.5, '22P02'],
    ['INT8', 2n ** 63n, '22003'],
  ];
  for (const [type, value, code] of cases) assert.is(await codeOf(() => db.query(`SELECT $1::${type}`, [value])), code, type);
  assert.is(await codeOf(() => db.query('SELECT $1::INT8', [1, 2])), '08P01');
  assert.is(await codeOf(() => db.query('SELECT 1; SELECT $1::INT8', [1])), '42601');
  assert.equal((await db.query('SELECT 1 AS one')).rows, [{ one: 1 }]);
});

test('a digit after a value does not change which value it is', async ({ db }) => {
  assert.is(await codeOf(() => db.sql`SELECT ${1}::INT8 + ${2}0`), '42601');
});

test('a result tells columns, tag and count', async ({ db }) => {
  await db.query('CREATE TABLE counted (a INT PRIMARY KEY)');
  const inserted = await db.query('INSERT INTO counted VALUES ($1), ($2)', [1, 2]);
  assert.equal([inserted.tag, inserted.rowCount], ['INSERT 0 2', 2]);
  const selected = await db.query('SELECT * FROM counted WHERE a > $1', [1]);
  assert.equal([selected.tag, selected.rowCount, selected.columns], ['SELECT 1', 1, [{ name: 'a', type: 'INT8' }]]);
});

test('a query that chooses what a statement acts on takes parameters', async ({ db }) => {
  const tagOf = async (sql: string, value: string) => (await db.query(sql, [value])).tag;
  await db.query("SET CLUSTER SETTING jobs.debug.pausepoints = 'backup.afterLock'");
  await db.query('CREATE TABLE many AS SELECT i FROM generate_series(1, 3) AS g(i)');
  await db.query("BACKUP TABLE many INTO 'userfile:///many'").then(
    () => assert.unreachable(),
    ({ code }) => assert.is(code, '55000'),
  );
  assert.is(await tagOf('CANCEL JOBS SELECT job_id FROM [SHOW JOBS] WHERE job_type = $1', 'RESTORE'), 'CANCEL JOBS 0');
  assert.is(await tagOf('CANCEL JOBS SELECT job_id FROM [SHOW JOBS] WHERE job_type = $1', 'BACKUP'), 'CANCEL JOBS 1');
  await db.query("CREATE SCHEDULE daily FOR BACKUP TABLE many INTO 'userfile:///kept' RECURRING '@daily' FULL BACKUP ALWAYS");
  assert.is(await tagOf('PAUSE SCHEDULES WITH x AS (SHOW SCHEDULES) SELECT id FROM x WHERE label = $1', 'daily'), 'PAUSE SCHEDULES 1');
  assert.is(await tagOf('CANCEL QUERIES SELECT query_id FROM [SHOW QUERIES] WHERE query LIKE $1', 'nobody asked%'), 'CANCEL QUERIES 0');
});

test('jobs that do not exist and targets that are missing are said so', async ({ db }) => {
  assert.is(await codeOf(() => db.job(12345).wait()), '42704');
  assert.is(await codeOf(() => db.job(12345).cancel()), '42704');
  assert.is(await codeOf(() => db.job(12345).progress().next()), '42704');
  assert.is(await codeOf(() => db.job(Number.NaN)), '22023');
  assert.is(await codeOf(() => db.backup({ into: 'mem://x', targets: { tables: [] } })), '22023');
  assert.is(await codeOf(() => db.backup({ into: 'mem://x' } as never)), '22023');
  assert.is(await codeOf(() => db.explainGc('nowhere')), '42P01');
});

test('times that no clock shows are refused', async () => {
  const db = await open({ clock: new ManualClock('2026-11-20T00:00:00Z') });
  assert.is(await codeOf(() => db.query("SELECT varve_internal.set_clock('infinity')")), '22023');
  assert.is(await codeOf(() => db.query("SELECT varve_internal.protect_timestamp('defaultdb', '-infinity'::TIMESTAMPTZ)")), '22023');
  assert.is(await codeOf(() => db.query("SELECT varve_internal.protect_timestamp('defaultdb', '-infinity')")), '22023');
  await db.close();
});

test('a fork has rows, clock and a future of its own; its jobs wait', async () => {
  const clock = new ManualClock('2026-11-20T00:00:00Z');
  const db = await open({ clock });
  await db.query('CREATE DATABASE bank; CREATE TABLE bank.a (id INT PRIMARY KEY); INSERT INTO bank.a VALUES (1)');
  const job = await db.backup({ into: 'mem://c', targets: { database: 'bank' } });
  const fork = await db.fork();
  const status = (await fork.job(job.id).record())?.status;
  assert.ok(status === 'paused' || status === 'pause-requested', status);
  await job.wait();
  assert.is((await fork.job(job.id).record())?.status, 'paused');
  await clock.advance('1h');
  assert.is(clock.nowMicros() - fork.clock.nowMicros(), 3_600_000_000);
  await fork.query('DELETE FROM bank.a WHERE true');
  assert.equal((await db.query('SELECT count(*) AS n FROM bank.a')).rows, [{ n: 1 }]);
  await fork.close();
  assert.equal((await db.query('SELECT count(*) AS n FROM bank.a')).rows, [{ n: 1 }]);
  await db.close();
});

test('after close() every call fails with 57P01, and nothing waits for ever', async () => {
  const db = await open();
  await db.query('CREATE DATABASE bank; CREATE TABLE bank.a (id INT PRIMARY KEY)');
  const client = db.connect();
  const job = await db.backup({ into: 'mem://c', targets: { database: 'bank' } });
  const progress = job.progress();
  await progress.next();
  const ended = codeOf(async () => {
    while (!(await progress.next()).done);
  });
  await db.close();
  await db.close();
  assert.is(await ended, '57P01');
  for (const call of [
    () => db.query('SELECT 1'),
    () => client.query('SELECT 1'),
    () => db.connect(),
    () => db.fork(),
    () => db.listen(),
    () => db.explainGc('bank.a'),
    () => db.backup({ into: 'mem://c', targets: { database: 'bank' } }),
  ]) {
    assert.is(await codeOf(call), '57P01', String(call));
  }
});

test('backups are encrypted and opened by passphrase or KMS keys', async () => {
  const db = await open({ seed: 'keys' });
  await db.query('CREATE DATABASE bank; CREATE TABLE bank.a (k INT PRIMARY KEY); INSERT INTO bank.a VALUES (1)');
  const targets = { database: 'bank' };
  for (const [into, secret] of [
    ['mem://p', { encryptionPassphrase: "it's" }],
    ['mem://k', { kms: 'mem-kms:///k' }],
    ['mem://l', { kms: ['mem-kms:///k', 'mem-kms:///l'] }],
  ] as const) {
    await (await db.backup({ into, targets, ...secret })).wait();
    assert.is(await codeOf(() => db.restore({ from: into, targets, newDbName: 'r' })), '22023');
    await (await db.restore({ from: into, targets, newDbName: `r_${into.at(-1)}`, ...secret })).wait();
  }
  assert.equal((await db.query('SELECT k FROM r_p.a UNION ALL SELECT k FROM r_k.a UNION ALL SELECT k FROM r_l.a')).rows, [
    { k: 1 },
    { k: 1 },
    { k: 1 },
  ]);
  await db.close();
});

test('a program that forgets close() ends by itself, and one that keeps it with await using too', async () => {
  const index = JSON.stringify(new URL('../../src/index.ts', import.meta.url).href);
  const program = `
    import { open, ManualClock } from ${index};
    const forgotten = await open();
    await forgotten.query('CREATE DATABASE d; CREATE TABLE d.t (a INT PRIMARY KEY)');
    await (await forgotten.backup({ into: 'mem://c', targets: { database: 'd' } })).wait();
    await using held = await open({ clock: new ManualClock('2026-11-20T00:00:00Z'), nodes: 3 });
    await held.backup({ into: 'mem://c', targets: { database: 'defaultdb' } });
    console.log('done');`;
  // Node 22 cannot parse `using`, so what it stands for is written out there.
  const text =
    Number(process.versions.node.split('.')[0]) >= 24
      ? program
      : `${program.replace('await using held', 'const held')} await held[Symbol.asyncDispose]();`;
  const flags = ['--unhandled-rejections=strict', '--input-type=module', '--eval', text];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, flags, { timeout: 20_000 });
  assert.is(stdout, 'done\n', stderr);
});

test('a statement that its session is closed under says so, whatever it was at', async () => {
  const db = await open({ seed: 'closed under' });
  await db.query('CREATE TABLE t (k INT PRIMARY KEY, v INT); INSERT INTO t SELECT i, 0 FROM generate_series(1, 3000) i');
  const holder = db.connect();
  await holder.query('BEGIN; UPDATE t SET v = 1 WHERE k = 1');
  for (const sql of ['UPDATE t SET v = v + 1', 'UPDATE t SET v = 2 WHERE k = 1', 'SELECT count(*) FROM t a, t b', 'SELECT pg_sleep(60)']) {
    const client = db.connect();
    const code = codeOf(() => client.query(sql));
    await client.close();
    assert.is(await code, '57014', sql);
  }
  const code = codeOf(() => holder.query('UPDATE t SET v = v + 1'));
  await db.close();
  assert.is(await code, '57014');
});

test.run();
