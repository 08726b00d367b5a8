/**
 * The job statements, parsed by the real parser and run over a toy cluster. The context stands in for
 * a session: it evaluates literals, and answers every subquery with the ids that the test names.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { type Bytes, utf8Decode } from '../../src/base/bytes.ts';
import type { Datum } from '../../src/catalog/datum.ts';
import { systemTable } from '../../src/catalog/systemRows.ts';
import { Type } from '../../src/catalog/type.ts';
import { createUser, grantRole, setRoleOption } from '../../src/catalog/users.ts';
import { CREATED_BY_SCHEDULE } from '../../src/jobs/job.ts';
import { registerJobStatements } from '../../src/sql/exec/jobStatements.ts';
import { type StatementContext, StatementHooks } from '../../src/sql/exec/statement.ts';
import { parseStatements } from '../../src/sql/parse/parse.ts';
import { ToyCluster } from './toyJobs.ts';

const test = suite('job statements');

interface Outcome {
  readonly tag: string;
  /** Column name to value, strings decoded. */
  readonly rows: Record<string, unknown>[];
}

async function setUp() {
  const toys = new ToyCluster(1);
  await toys.registry.start();
  const hooks = new StatementHooks();
  registerJobStatements(hooks, toys.registry);
  await toys.kv.run(async (txn) => {
    await systemTable('users').upsert(txn, { username: 'root', hashedPassword: null, isRole: false });
    await systemTable('users').upsert(txn, { username: 'admin', hashedPassword: null, isRole: true });
    for (const name of ['joe', 'viewer', 'operator', 'boss']) await createUser(txn, name);
    await setRoleOption(txn, 'viewer', 'VIEWJOB');
    await setRoleOption(txn, 'operator', 'CONTROLJOB');
    await grantRole(txn, 'admin', 'boss');
  });
  let subqueryIds: readonly number[] = [];

  /** Runs one statement in a transaction of its own, as a session does for an implicit one. */
  const run = (sql: string, user = 'root'): Promise<Outcome> => {
    const [parsed] = parseStatements(sql);
    assert.ok(parsed);
    const hook = hooks.get(parsed.ast.kind);
    assert.ok(hook, `no hook for ${parsed.ast.kind}`);
    return toys.kv.run(async (txn) => {
      const literal = async (expr: unknown) => expr as { kind: string; text: string; value: string };
      const context = {
        engine: {
          kv: toys.kv,
          runNested: async () => ({
            tag: '',
            columns: [{ name: 'id', type: Type.Int8 }],
            rows: subqueryIds.map((id) => [id]),
            notices: [],
          }),
        },
        user,
        txn,
        signal: new AbortController().signal,
        statementTimestamp: toys.kv.reading(),
        evalInt: async (expr: unknown) => ((await literal(expr)).kind === 'null' ? undefined : Number((await literal(expr)).text)),
        evalString: async (expr: unknown) => (await literal(expr)).value,
      } as unknown as StatementContext;
      const result = await hook.run(context, parsed.ast);
      const columns = hook.columns(parsed.ast, context) ?? [];
      const decode = (value: Datum, family: string) => (family === 'string' && value !== null ? utf8Decode(value as Bytes) : value);
      return {
        tag: result.tag,
        rows: (result.rows ?? []).map((row) =>
          Object.fromEntries(columns.map(({ name, type }, i) => [name, decode(row[i] ?? null, type.family)])),
        ),
      };
    });
  };
  const errorOf = (sql: string, user?: string) =>
    run(sql, user).then(
      () => 'no error',
      (error: { code: string; message: string }) => `${error.code} ${error.message}`,
    );
  const createAs = (user: string, steps: readonly string[], createdBy?: { type: string; id: number }) =>
    toys.kv.run((txn) =>
      toys.registry.create(txn, { type: 'TOY', description: 'd'.repeat(120), user, createdBy, details: { name: user, steps, revert: [] } }),
    );
  const statusOf = async (id: number) => (await toys.registry.get(id))?.status;
  const answerSubqueries = (ids: readonly number[]) => {
    subqueryIds = ids;
  };
  return { toys, run, errorOf, createAs, statusOf, answerSubqueries };
}

test('SHOW JOBS and SHOW JOB: columns, descriptions, unknown ids', async () => {
  const { toys, run, errorOf, createAs } = await setUp();
  const id = await createAs('root', ['hold']);
  await toys.settle();
  const { rows, tag } = await run('SHOW JOBS');
  assert.is(tag, 'SHOW JOBS 1');
  assert.equal(Object.keys(rows[0] ?? {}), [
    'job_id',
    'job_type',
    'description',
    'statement',
    'user_name',
    'status',
    'running_status',
    'created',
    'started',
    'finished',
    'modified',
    'fraction_completed',
    'error',
    'coordinator_id',
    'trace_id',
    'execution_errors',
  ]);
  assert.equal([rows[0]?.['job_id'], rows[0]?.['status'], rows[0]?.['coordinator_id'], rows[0]?.['finished']], [id, 'running', 1, null]);
  assert.is(String(rows[0]?.['description']).length, 103);
  assert.is(String((await run(`SHOW JOB ${id}`)).rows[0]?.['description']).length, 120);
  assert.is(await errorOf('SHOW JOB 404'), '42704 job with ID 404 does not exist');
  assert.is(await errorOf('SHOW JOB NULL'), '22023 an id must not be NULL');
  assert.equal((await run('SHOW AUTOMATIC JOBS')).rows, []);
  toys.close();
});

test('WITH EXECUTION DETAILS and RESOLVED TIMESTAMP add columns, in their own order', async () => {
  const { toys, run, createAs } = await setUp();
  const id = await createAs('root', ['fraction 0.5', 'hold']);
  await toys.settle();
  for (const sql of [`SHOW JOB ${id} WITH RESOLVED TIMESTAMP, EXECUTION DETAILS`, 'SHOW JOBS WITH EXECUTION DETAILS, RESOLVED TIMESTAMP']) {
    const [row] = (await run(sql)).rows;
    assert.equal(Object.keys(row ?? {}).slice(-4), [
      'execution_errors',
      'plan_diagram',
      'component_fraction_progressed',
      'resolved_timestamp',
    ]);
    assert.is(row?.['plan_diagram'], 'start -> half -> end');
    assert.is(row?.['component_fraction_progressed'], '{"n1":0.5}');
    assert.is(row?.['resolved_timestamp'], null);
  }
  await run(`CANCEL JOB ${id}`);
  await toys.settle();
  assert.is((await run(`SHOW JOB ${id} WITH EXECUTION DETAILS`)).rows[0]?.['component_fraction_progressed'], null, 'nobody works on it');
  toys.close();
});

test('PAUSE, RESUME and CANCEL take effect at the commit and are counted', async () => {
  const { toys, run, errorOf, createAs, statusOf } = await setUp();
  const id = await createAs('root', ['hold']);
  await toys.settle();
  assert.is((await run(`PAUSE JOB ${id} WITH REASON = 'lunch'`)).tag, 'PAUSE JOBS 1');
  await toys.settle();
  assert.is(await statusOf(id), 'paused');
  assert.is((await run(`SHOW JOB ${id}`)).rows[0]?.['running_status'], 'pause reason: lunch');
  assert.is((await run(`RESUME JOB ${id}`)).tag, 'RESUME JOBS 1');
  await toys.settle();
  assert.is(await statusOf(id), 'running');
  assert.is((await run(`CANCEL JOB ${id}`)).tag, 'CANCEL JOBS 1');
  await toys.settle();
  assert.is(await statusOf(id), 'canceled');
  assert.is(await errorOf(`CANCEL JOB ${id}`), '55000 job with status canceled cannot be requested to be canceled');
  assert.is(await errorOf('PAUSE JOB 404'), '42704 job with ID 404 does not exist');
  toys.close();
});

test('a group is asked for what of it can follow; ids of a query all have to', async () => {
  const { toys, run, errorOf, createAs, statusOf, answerSubqueries } = await setUp();
  const schedule = { type: CREATED_BY_SCHEDULE, id: 7 };
  const running = await createAs('root', ['hold'], schedule);
  const done = await createAs('root', [], schedule);
  const other = await createAs('root', ['hold']);
  await toys.settle();
  assert.is((await run('PAUSE JOBS FOR SCHEDULE 7')).tag, 'PAUSE JOBS FOR SCHEDULES 1');
  await toys.settle();
  assert.equal([await statusOf(running), await statusOf(done), await statusOf(other)], ['paused', 'succeeded', 'running']);
  assert.equal(
    (await run('SHOW JOBS FOR SCHEDULE 7')).rows.map((row) => row['job_id']),
    [running, done],
  );
  answerSubqueries([7, 8]);
  assert.is((await run('RESUME JOBS FOR SCHEDULES SELECT 1')).tag, 'RESUME JOBS FOR SCHEDULES 1');
  await toys.settle();
  assert.is((await run('PAUSE ALL BACKUP JOBS')).tag, 'PAUSE JOBS 0');
  answerSubqueries([running, done]);
  assert.is(await errorOf('CANCEL JOBS (SELECT 1)'), '55000 job with status succeeded cannot be requested to be canceled');
  await toys.settle();
  assert.is(await statusOf(running), 'running');
  answerSubqueries([running, other, 404]);
  assert.is((await run('CANCEL JOBS (SELECT 1)')).tag, 'CANCEL JOBS 2');
  toys.close();
});

test('SHOW JOBS WHEN COMPLETE waits, through pauses, a day at most', async () => {
  const { toys, run, errorOf, createAs } = await setUp();
  const id = await createAs('root', ['sleep 10s']);
  const waiting = run(`SHOW JOB WHEN COMPLETE ${id}`);
  await toys.clock.advance('5s');
  await run(`PAUSE JOB ${id}`);
  await toys.settle();
  await run(`RESUME JOB ${id}`);
  await toys.clock.advance('10s');
  assert.is((await waiting).rows[0]?.['status'], 'succeeded');
  const stuck = await createAs('root', ['hold']);
  const timedOut = errorOf(`SHOW JOB WHEN COMPLETE ${stuck}`);
  await toys.clock.advance('25h');
  assert.is(await timedOut, '55000 timed out waiting for jobs');
  toys.close();
});

test('privileges: own jobs, VIEWJOB, CONTROLJOB, admin by membership', async () => {
  const { toys, run, errorOf, createAs, statusOf } = await setUp();
  const ofRoot = await createAs('root', ['hold']);
  const ofBoss = await createAs('boss', ['hold']);
  const ofJoe = await createAs('joe', ['hold']);
  await toys.settle();
  const seenBy = async (user: string) => (await run('SHOW JOBS', user)).rows.map((row) => row['job_id']);
  assert.equal(await seenBy('joe'), [ofJoe]);
  assert.equal(await seenBy('viewer'), [ofRoot, ofBoss, ofJoe]);
  assert.equal(await seenBy('operator'), [ofRoot, ofBoss, ofJoe]);
  assert.is(await errorOf(`SHOW JOB ${ofRoot}`, 'joe'), `42704 job with ID ${ofRoot} does not exist`);
  assert.is(await errorOf(`PAUSE JOB ${ofJoe}`, 'viewer'), '42501 user viewer does not have CONTROLJOB privilege');
  assert.is(await errorOf(`PAUSE JOB ${ofRoot}`, 'operator'), '42501 only admins can control jobs owned by other admins');
  assert.is(await errorOf(`PAUSE JOB ${ofBoss}`, 'operator'), '42501 only admins can control jobs owned by other admins');
  assert.is((await run(`PAUSE JOB ${ofJoe}`, 'operator')).tag, 'PAUSE JOBS 1');
  assert.is((await run(`PAUSE JOB ${ofRoot}`, 'boss')).tag, 'PAUSE JOBS 1');
  await toys.settle();
  assert.equal([await statusOf(ofJoe), await statusOf(ofRoot), await statusOf(ofBoss)], ['paused', 'paused', 'running']);
  toys.close();
});

test('ALTER JOB OWNER', async () => {
  const { toys, run, errorOf, createAs } = await setUp();
  const id = await createAs('root', ['hold']);
  await toys.settle();
  assert.is((await run(`ALTER JOB ${id} OWNER TO joe`)).tag, 'ALTER JOB OWNER');
  assert.is((await toys.registry.get(id))?.user, 'joe');
  assert.is(await errorOf(`ALTER JOB ${id} OWNER TO nobody`), '42704 role/user "nobody" does not exist');
  assert.is(await errorOf(`ALTER JOB ${id} OWNER TO viewer`, 'joe'), '42501 must be member of role "viewer"');
  assert.is(await errorOf(`ALTER JOB ${id} OWNER TO viewer`, 'viewer'), `42501 must be owner of job ${id}`);
  assert.is((await run(`ALTER JOB ${id} OWNER TO joe`, 'joe')).tag, 'ALTER JOB OWNER');
  assert.is(await errorOf('ALTER JOB 404 OWNER TO joe'), '42704 job with ID 404 does not exist');
  toys.close();
});

test.run();
