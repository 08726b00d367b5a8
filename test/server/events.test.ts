/** The event log: statuses of jobs as they commit, in system.eventlog until its TTL, and as lines. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { type LogEvent, logLine } from '../../src/base/eventLog.ts';
import { ManualClock } from '../../src/base/manualClock.ts';
import { startLog } from '../../src/cli/logFile.ts';
import { Varve } from '../../src/server/varve.ts';

interface World {
  db: Varve;
  clock: ManualClock;
  events: LogEvent[];
}

const test = suite<World>('events');

test.before(async (world) => {
  world.clock = new ManualClock('2026-11-20T12:00:00Z');
  world.db = await Varve.open({ clock: world.clock, seed: 'events' });
  world.events = [];
  world.db.database.kv.events.subscribe((event) => world.events.push(event));
  await world.db.query('CREATE TABLE t (k INT PRIMARY KEY)');
});
test.after(({ db }) => db.close());
test.before.each(({ events }) => void events.splice(0));

const statuses = (events: readonly LogEvent[], jobId: number): string[] =>
  events
    .filter(({ fields }) => fields['JobID'] === jobId && fields['NewStatus'])
    .map(({ fields }) => `${fields['PreviousStatus']}>${fields['NewStatus']}`);

test('each change of a job tells the status before and after, and whose job it is', async ({ db, clock, events }) => {
  await db.query("SET CLUSTER SETTING jobs.debug.pausepoints = 'backup.afterLock'");
  const job = await db.backup({ into: 'mem://b', targets: { database: 'defaultdb' } });
  await clock.advance('1s');
  await db.query('RESET CLUSTER SETTING jobs.debug.pausepoints');
  await db.query(`RESUME JOB ${job.id}`);
  await job.wait();
  assert.equal(statuses(events, job.id), ['>pending', 'pending>running', 'running>paused', 'paused>running', 'running>succeeded']);
  const last = events.filter(({ fields }) => fields['JobID'] === job.id && fields['NewStatus']).at(-1);
  assert.ok(last);
  assert.match(String(last.fields['Description']), /^BACKUP DATABASE defaultdb INTO .* IN 'mem:\/\/b'/);
  assert.equal(
    { ...last, micros: 0, fields: { ...last.fields, JobID: 0, RunNum: 0, Description: '' } },
    {
      channel: 'OPS',
      type: 'status_change',
      micros: 0,
      fields: {
        JobID: 0,
        JobType: 'BACKUP',
        Description: '',
        User: 'root',
        PreviousStatus: 'running',
        NewStatus: 'succeeded',
        RunNum: 0,
        Error: undefined,
      },
    },
  );
  const paused = events.find(({ fields }) => fields['NewStatus'] === 'paused');
  assert.match(String(paused?.fields['Error']), 'pause point "backup.afterLock" hit');
});

test('a backup, a restore and a schedule are told of once each, without names, places and secrets', async ({ db, clock, events }) => {
  await (await db.backup({ into: 'mem://b', targets: { database: 'defaultdb' } })).wait();
  await db.query("RESTORE DATABASE defaultdb FROM LATEST IN 'mem://b' WITH new_db_name = 'other'");
  await db.query(
    "CREATE SCHEDULE secretname FOR BACKUP DATABASE other INTO 'mem://scheduled' RECURRING '@hourly' WITH SCHEDULE OPTIONS first_run = 'now'",
  );
  await clock.advance('1m');
  const told = events.filter(({ channel }) => channel === 'TELEMETRY');
  assert.equal(
    told.map(({ type, fields }) => `${type} ${fields['RecoveryType']}`),
    ['backup', 'restore', 'create_schedule', 'scheduled_backup'].map((what) => `recovery_event ${what}`),
  );
  assert.equal(told[0]?.fields['DestinationStorageTypes'], ['mem']);
  // What tells of a job that a schedule made tells of the schedule too, and names the schedule by its id.
  const scheduled = events.filter(({ fields }) => fields['JobID'] === told[3]?.fields['JobID'] && fields['NewStatus']);
  const { rows } = await db.query('SELECT id FROM [SHOW SCHEDULES]');
  for (const { fields } of scheduled) assert.ok(rows.some(({ id }) => Number(id) === fields['ScheduleID']));
  assert.is(told[1]?.fields['TargetScope'], 'database');
  assert.is(told[2]?.fields['RecurringCron'], '@hourly');
  assert.not.match(told.map(logLine).join('\n'), /secretname|defaultdb|other|scheduled\W*$|mem:/m);
  await db.query('DROP SCHEDULES SELECT id FROM [SHOW SCHEDULES]');
});

test('a line is one JSON object, its times whole to the nanosecond', ({ events }) => {
  const event: LogEvent = {
    channel: 'OPS',
    type: 'status_change',
    micros: 1_795_176_000_000_001,
    fields: { JobID: 1, Error: undefined, List: ['a'] },
  };
  const line = logLine(event);
  assert.is(
    line,
    '{"channel":"OPS","severity":"INFO","timestamp":"1795176000.000001000","event":{"Timestamp":1795176000000001000,"EventType":"status_change","JobID":1,"List":["a"]}}',
  );
  assert.not(line.includes('\n'));
  for (const real of events) assert.type(JSON.parse(logLine(real)), 'object');
});

test('a log file gets the lines of its channels, after those that are there', async ({ db }) => {
  const folder = await mkdtemp(join(tmpdir(), 'varve-log-'));
  const file = join(folder, 'events.log');
  const said: string[] = [];
  const io = { out: () => {}, err: (text: string) => void said.push(text), isTerminal: false, monotonicMicros: () => 0 };
  try {
    await writeFile(file, 'before\n');
    const { events } = db.database.kv;
    const ends = [await startLog(events, file, new Set(['TELEMETRY']), io), await startLog(events, '-', new Set(['OPS']), io)];
    await (await db.backup({ into: 'mem://b', targets: { database: 'defaultdb' } })).wait();
    for (const end of ends) await end();
    const [before, event = '', ...rest] = (await readFile(file, 'utf8')).split('\n');
    assert.equal([before, rest], ['before', ['']]);
    assert.is((JSON.parse(event) as { event: { EventType: string } }).event.EventType, 'recovery_event');
    assert.is(said.length, 3);
    for (const line of said) assert.match(line, /^{"channel":"OPS",.*}\n$/);
    await startLog(events, join(folder, 'missing', 'events.log'), new Set(['OPS']), io).then(
      () => assert.unreachable(),
      (error: NodeJS.ErrnoException) => assert.is(error.code, 'ENOENT'),
    );
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('rows of system.eventlog commit with the change, and go after server.eventlog.ttl', async ({ db, clock }) => {
  const count = async (): Promise<number> => Number((await db.query('SELECT count(*) AS n FROM system.eventlog')).rows[0]?.['n']);
  const job = await db.backup({ into: 'mem://b', targets: { database: 'defaultdb' } });
  await job.wait();
  const { rows } = await db.query(
    `SELECT "eventType", info::JSONB->>'NewStatus' AS status FROM system.eventlog WHERE info::JSONB->>'JobID' = '${job.id}' ORDER BY timestamp`,
  );
  assert.equal(
    rows.map((row) => `${row['eventType']} ${row['status']}`),
    ['status_change pending', 'status_change running', 'status_change succeeded'],
  );
  await clock.advance('2159h');
  assert.ok((await count()) >= 3);
  await clock.advance('2h');
  assert.is(await count(), 0);
});

test('a shorter TTL counts at once, and no rows are written where the log is off', async ({ db, clock, events }) => {
  const count = async (): Promise<number> => Number((await db.query('SELECT count(*) AS n FROM system.eventlog')).rows[0]?.['n']);
  await (await db.backup({ into: 'mem://b', targets: { database: 'defaultdb' } })).wait();
  assert.ok((await count()) > 0);
  await db.query("SET CLUSTER SETTING server.eventlog.ttl = '1h'");
  await clock.advance('2h');
  assert.is(await count(), 0);
  await db.query('SET CLUSTER SETTING server.eventlog.enabled = false');
  events.splice(0);
  await (await db.backup({ into: 'mem://b', targets: { database: 'defaultdb' } })).wait();
  assert.is(await count(), 0);
  assert.ok(events.length > 0);
});

test('a fork keeps the rows and removes them by itself', async ({ db }) => {
  await db.query('RESET CLUSTER SETTING server.eventlog.enabled');
  await (await db.backup({ into: 'mem://b', targets: { database: 'defaultdb' } })).wait();
  const fork = await db.fork();
  const count = async (side: Varve): Promise<number> =>
    Number((await side.query('SELECT count(*) AS n FROM system.eventlog')).rows[0]?.['n']);
  await (fork.database.clock as ManualClock).advance('3h');
  assert.is(await count(fork), 0);
  assert.ok((await count(db)) > 0);
  await fork.close();
});

test.run();
