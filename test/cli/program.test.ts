/** The program as a user runs it: a server started, spoken to by every command and by psql, and stopped by a signal. */
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { hasPsql } from '../support/programs.ts';

const run = promisify(execFile);
const varve = join(import.meta.dirname, '..', '..', 'bin', 'varve.js');

interface Server {
  readonly process: ChildProcess;
  readonly url: string;
  readonly http: string;
  readonly folder: string;
}

async function startServer(flags: readonly string[] = []): Promise<Server> {
  const folder = await mkdtemp(join(tmpdir(), 'varve-test-'));
  const urlFile = join(folder, 'url');
  const child = spawn(
    process.execPath,
    [
      varve,
      'start',
      '--listen-addr',
      '127.0.0.1:0',
      '--http-addr',
      '127.0.0.1:0',
      '--external-io-dir',
      join(folder, 'extern'),
      '--listening-url-file',
      urlFile,
      ...flags,
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let said = '';
  let failed = '';
  child.stderr.on('data', (chunk) => {
    failed += chunk;
  });
  await new Promise<void>((resolve, reject) => {
    child.stdout.on('data', (chunk) => {
      said += chunk;
      if (said.includes('clusterID')) resolve();
    });
    child.once('exit', (code) => reject(new Error(`the server ended with ${code}: ${failed}`)));
  });
  const http = /http:\s+(\S+)/.exec(said)?.[1] ?? '';
  return { process: child, url: (await readFile(urlFile, 'utf8')).trim(), http, folder };
}

async function stopServer(server: Server): Promise<number | null> {
  const exited = once(server.process, 'exit');
  server.process.kill('SIGTERM');
  const [code] = (await exited) as [number | null];
  await rm(server.folder, { recursive: true, force: true });
  return code;
}

/** Standard output of a command; throws with its standard error when it fails. */
async function cli(...args: string[]): Promise<string> {
  const { stdout } = await run(process.execPath, [varve, ...args]);
  return stdout;
}

async function cliFailure(...args: string[]): Promise<{ code: number; stderr: string }> {
  try {
    await run(process.execPath, [varve, ...args]);
  } catch (error) {
    return error as { code: number; stderr: string };
  }
  throw new Error(`succeeded: ${args.join(' ')}`);
}

const test = suite<{ server: Server }>('the program');

test.before(async (context) => {
  context.server = await startServer([
    '--locality',
    'region=a',
    '--locality',
    'region=b',
    '--clock',
    'manual',
    '--clock-start',
    '2026-11-20T00:00:00Z',
  ]);
});
test.after(async (context) => {
  await stopServer(context.server);
});

test('sql runs statements in order, in each format', async ({ server }) => {
  const out = await cli(
    'sql',
    '--url',
    server.url,
    '--format',
    'csv',
    '-e',
    'CREATE TABLE p (a INT PRIMARY KEY, b STRING)',
    '-e',
    "INSERT INTO p VALUES (1, 'x,y'), (2, NULL); SELECT * FROM p ORDER BY a",
  );
  assert.is(out, 'CREATE TABLE\nINSERT 2\na,b\n1,"x,y"\n2,NULL\n');
});

test('sql stops at the first error, says it in full, and exits with 1', async ({ server }) => {
  const { code, stderr } = await cliFailure('sql', '--url', server.url, '-e', 'SELECT * FROM missing; SELECT 1');
  assert.is(code, 1);
  assert.match(stderr, 'ERROR: relation "missing" does not exist');
  assert.match(stderr, 'SQLSTATE: 42P01');
  assert.match(stderr, 'Failed running "sql"');
});

test('sql without --url opens a database of its own', async () => {
  assert.is(await cli('sql', '--format', 'tsv', '-e', "SELECT 1 AS a, 'x' AS b"), 'a\tb\n1\tx\n');
});

test('sql reads a file and standard input', async ({ server }) => {
  const file = join(server.folder, 'script.sql');
  await writeFile(file, '-- a comment; with a semicolon\nCREATE TABLE f (a INT PRIMARY KEY);\nINSERT INTO f VALUES (1);\n');
  assert.is(await cli('sql', '--url', server.url, '-f', file), 'CREATE TABLE\nINSERT 1\n');
  const piped = spawnSync(process.execPath, [varve, 'sql', '--url', server.url], {
    input: 'SELECT count(*) AS n FROM f;\n',
    encoding: 'utf8',
  });
  assert.is(piped.stdout, 'n\n1\n');
});

test('a manual clock moves when told, on the wire too', async ({ server }) => {
  const out = await cli('sql', '--url', server.url, '--format', 'tsv', '-e', "SELECT varve_internal.advance_clock('25h'::INTERVAL) AS now");
  assert.match(out, /now\n2026-11-21 01:00:00\+00/);
});

test('health and metrics answer', async ({ server }) => {
  assert.is((await fetch(`${server.http}/health?ready=1`)).status, 200);
  assert.match(await (await fetch(`${server.http}/_status/vars`)).text(), '\nliveness_livenodes{node_id="1"} 2\n');
});

test('workload fills a bank, runs transfers and keeps the total', async ({ server }) => {
  assert.match(await cli('workload', 'init', 'bank', '--rows', '500', '--url', server.url), 'imported bank.bank: 500 rows');
  assert.match(
    await cli('workload', 'run', 'bank', '--rows', '500', '--duration', '300ms', '--url', server.url),
    'total balance 500000, as it began',
  );
});

test('userfile uploads, lists, gets and deletes', async ({ server }) => {
  const source = join(server.folder, 'data.bin');
  await writeFile(source, Buffer.from([0, 1, 255, 10]));
  assert.is(
    await cli('userfile', 'upload', source, 'dir/data.bin', '--url', server.url),
    'successfully uploaded to userfile://defaultdb.public.userfiles_root/dir/data.bin\n',
  );
  assert.is(await cli('userfile', 'list', '--url', server.url), 'userfile://defaultdb.public.userfiles_root/dir/data.bin\n');
  const target = join(server.folder, 'copy.bin');
  await cli('userfile', 'get', 'dir/data.bin', target, '--url', server.url);
  assert.equal(await readFile(target), Buffer.from([0, 1, 255, 10]));
  assert.is(
    await cli('userfile', 'delete', 'dir/*', '--url', server.url),
    'deleted userfile://defaultdb.public.userfiles_root/dir/data.bin\n',
  );
  assert.is(await cli('userfile', 'list', '--url', server.url), '');
});

(hasPsql ? test : test.skip)('psql runs scripts and describes tables', async ({ server }) => {
  const psql = async (...args: string[]) => (await run('psql', [server.url, '-X', '-A', '-t', '-v', 'ON_ERROR_STOP=1', ...args])).stdout;
  assert.is(
    await psql(
      '-c',
      'CREATE TABLE q (a INT PRIMARY KEY, b VARCHAR(10) NOT NULL)',
      '-c',
      "INSERT INTO q VALUES (1, 'é')",
      '-c',
      'SELECT * FROM q',
    ),
    'CREATE TABLE\nINSERT 0 1\n1|é\n',
  );
  assert.match(await psql('-c', '\\dt'), 'public|q|table|root');
  assert.match(await psql('-c', '\\d q'), /b\|character varying\(10\)\|+not null/);
  assert.match(await psql('-c', '\\l'), 'defaultdb|root');
  assert.match(await psql('-c', '\\d'), 'public|q|table|root');
});

test('what the command line cannot mean is refused with a hint', async ({ server }) => {
  assert.match((await cliFailure('sql', '--format', 'xml', '-e', 'SELECT 1')).stderr, 'unknown format "xml"');
  assert.match((await cliFailure('start', '--listen-addr', '0.0.0.0:1')).stderr, 'can be reached from other machines');
  assert.match((await cliFailure('userfile', 'upload', '--url', server.url)).stderr, 'upload wants SOURCE');
  assert.match((await cliFailure('nonsense')).stderr, 'unknown command "nonsense"');
});

test.run();

const stop = suite('stopping the program');

stop('SIGTERM ends a server with status 0, its clients with 57P01', async () => {
  const server = await startServer(['--memory', '64MiB']);
  const { default: pg } = await import('pg');
  const client = new pg.Client({ connectionString: server.url });
  const lost = new Promise<Error>((resolve) => client.on('error', resolve));
  await client.connect();
  const limit = await client.query("SELECT bytes FROM varve_internal.memory WHERE account = 'limit'");
  assert.equal(limit.rows, [{ bytes: String(64 * 2 ** 20) }]);
  assert.is(await stopServer(server), 0);
  assert.is(((await lost) as { code?: string }).code, '57P01');
});

stop.run();
