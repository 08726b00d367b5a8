/**
 * `node bin/run.js test/servers/faultSweep.ts [NAME...]`: a full backup, an incremental and a restore over each protocol, once for
 * each request that goes wrong: it is reset, stalls, is cut short, is refused with 429, 500 or 503, or is answered 500
 * though it was done. Every one of them must end as if nothing had been; and where a service goes away for good, the
 * statement must say so, with nothing in the collection that is not whole.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import type { Clock } from '../../src/base/clock.ts';
import { SystemClock } from '../../src/base/systemClock.ts';
import { embeddedClient } from '../../src/cli/embeddedClient.ts';
import { Database } from '../../src/server/database.ts';
import { AZURE_ACCOUNT, startAzureBlobServer } from './azureBlobServer.ts';
import { startFileServer } from './fileServer.ts';
import { GCS_BUCKET, startGcsServer } from './gcsServer.ts';
import type { ServerFault } from './httpServer.ts';
import { S3_ACCESS_KEY, startS3Server } from './s3Server.ts';

/** What a protocol's server is told. */
interface Target {
  readonly name: string;
  readonly uri: (place: string) => string;
  /** Of so many requests one goes wrong at a time. */
  readonly stride: number;
  /** Asked before each request. */
  setFault(fault: () => ServerFault | undefined): void;
  close(): Promise<void>;
}

const FAULTS: readonly ServerFault[] = [
  'reset',
  { status: 503, code: 'ServiceUnavailable' },
  'truncate',
  { status: 500, code: 'InternalError', after: true },
  'stall',
  { status: 429, code: 'SlowDown' },
  { status: 500, code: 'InternalError' },
];
const STALL_EVERY = 3;
const HURRY = 400;

const system = new SystemClock();
const START_MICROS = system.nowMicros();
/** Time that runs so much faster: for waits of storage and of jobs. */
const hurried: Clock = {
  nowMicros: () => START_MICROS + (system.nowMicros() - START_MICROS) * HURRY,
  setTimer: (delayMicros, callback, options) => system.setTimer(Math.ceil(delayMicros / HURRY), callback, options),
  isManual: false,
};

async function targets(): Promise<Target[]> {
  const [files, s3, azure, gcs] = [
    await startFileServer(),
    await startS3Server(),
    await startAzureBlobServer(),
    await startGcsServer({ pageNames: 1000 }),
  ];
  const s3Parameters = `AWS_ACCESS_KEY_ID=${S3_ACCESS_KEY}&AWS_SECRET_ACCESS_KEY=s&AWS_USE_PATH_STYLE=true&AWS_ENDPOINT=${encodeURIComponent(s3.origin)}`;
  const azureParameters = `AZURE_ACCOUNT_NAME=${AZURE_ACCOUNT}&AZURE_ACCOUNT_KEY=a2V5&AZURE_ENDPOINT=${encodeURIComponent(`${azure.origin}/${AZURE_ACCOUNT}`)}`;
  const gcsParameters = `BEARER_TOKEN=${gcs.token}&GOOGLE_ENDPOINT=${encodeURIComponent(gcs.origin)}`;
  const cloud = (name: string, server: { fault: unknown; close(): Promise<void> }, uri: (place: string) => string): Target => ({
    name,
    uri,
    stride: 2,
    setFault: (fault) => {
      server.fault = fault;
    },
    close: () => server.close(),
  });
  return [
    {
      name: 'http',
      // Listings are files there: three times the requests of the others.
      stride: 6,
      uri: (place) => `http://${files.origin}/${place}`,
      setFault: (fault) => {
        files.misbehave = () => {
          const wanted = fault();
          return typeof wanted === 'object' ? wanted.status : wanted;
        };
      },
      close: () => files.close(),
    },
    cloud('s3', s3, (place) => `s3://bucket/${place}?${s3Parameters}`),
    cloud('azure', azure, (place) => `azure-blob://container/${place}?${azureParameters}`),
    cloud('gcs', gcs, (place) => `gs://${GCS_BUCKET}/${place}?${gcsParameters}`),
  ];
}

type Run = (sql: string) => Promise<readonly unknown[]>;

async function inDatabase<T>(work: (run: Run) => Promise<T>): Promise<T> {
  const database = await Database.open({ clock: hurried, ioClock: hurried, seed: 'sweep' });
  try {
    const client = embeddedClient(database);
    return await work(async (sql) => (await client.run(sql)).rows);
  } finally {
    await database.close();
  }
}

async function chain(run: Run, uri: string): Promise<void> {
  await run('CREATE DATABASE d');
  await run('CREATE TABLE d.t (id INT PRIMARY KEY, v INT)');
  await run('INSERT INTO d.t SELECT i, i FROM generate_series(1, 100) AS g(i)');
  await run(`BACKUP DATABASE d INTO '${uri}'`);
  await run('UPDATE d.t SET v = v + 1 WHERE id % 3 = 0');
  await run(`BACKUP DATABASE d INTO LATEST IN '${uri}'`);
  await run(`RESTORE DATABASE d FROM LATEST IN '${uri}' WITH new_db_name = 'back'`);
  assert.equal(await run('SELECT * FROM back.t ORDER BY id'), await run('SELECT * FROM d.t ORDER BY id'));
  await run(`SHOW BACKUP FROM LATEST IN '${uri}' WITH check_files`);
}

const wanted = process.argv.slice(2);
for (const target of await targets()) {
  if (wanted.length > 0 && !wanted.includes(target.name)) {
    await target.close();
    continue;
  }
  const test = suite(`fault sweep: ${target.name}`);

  test('each request that goes wrong is made good', async () => {
    let wentWrong = true;
    for (let nth = 1; wentWrong; nth += target.stride) {
      let requests = 0;
      const turn = FAULTS[((nth / target.stride) % FAULTS.length) | 0] as ServerFault;
      const fault = turn === 'stall' && nth % STALL_EVERY !== 0 ? 'reset' : turn;
      target.setFault(() => (++requests === nth ? fault : undefined));
      await inDatabase((run) => chain(run, target.uri(`sweep-${nth}`)));
      wentWrong = requests >= nth;
    }
  });

  test('a service that goes away for good is told of, and what is there is whole', async () => {
    for (const [after, status, message] of [
      [3, 403, /403|AccessDenied/],
      [9, 403, /403|AccessDenied/],
      [15, 403, /403|AccessDenied/],
    ] as const) {
      let requests = 0;
      target.setFault(() => (++requests > after ? { status, code: 'AccessDenied' } : undefined));
      const uri = target.uri(`gone-${after}`);
      const error = await inDatabase((run) =>
        chain(run, uri).then(
          () => undefined,
          (thrown: Error) => thrown,
        ),
      );
      assert.match(String(error?.message), message, `${after} requests: ${error?.message}`);
      target.setFault(() => undefined);
      // Whatever backups are listed can be restored.
      await inDatabase(async (run) => {
        for (const row of await run(`SHOW BACKUPS IN '${uri}'`)) {
          const [path] = row as [string];
          await run(`RESTORE DATABASE d FROM '${path}' IN '${uri}'`);
          assert.equal(
            await run('SELECT id FROM d.t ORDER BY id'),
            Array.from({ length: 100 }, (_, index) => [String(index + 1)]),
          );
          await run('DROP DATABASE d CASCADE');
        }
      });
    }
  });

  test.after(() => target.close());
  test.run();
}
