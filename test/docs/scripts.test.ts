/** The shell scripts of docs/backup_places.md run: a week's nightly backups through a `cockroach` that is varve, and their restore. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..', '..');
const varve = join(root, 'bin', 'varve.js');

/** A script of the page. */
async function scriptOf(name: string): Promise<string> {
  const page = await readFile(join(root, 'docs', 'backup_places.md'), 'utf8');
  const match = new RegExp(`<!-- script: ${name} -->\\n\`\`\`sh\\n(.*?)\`\`\``, 's').exec(page);
  if (!match?.[1]) throw new Error(`no script ${name} in the page`);
  return match[1];
}

async function writeProgram(folder: string, name: string, text: string): Promise<void> {
  await writeFile(join(folder, name), text);
  await chmod(join(folder, name), 0o755);
}

async function startServer(folder: string): Promise<{ process: ChildProcess; host: string }> {
  const flags = ['--listen-addr', '127.0.0.1:0', '--http-addr', '127.0.0.1:0', '--listening-url-file', join(folder, 'url')];
  const clock = ['--clock', 'manual', '--clock-start', '2026-11-20T00:00:00Z'];
  const child = spawn(process.execPath, [varve, 'start', ...flags, ...clock, '--external-io-dir', join(folder, 'extern')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await new Promise<void>((resolve) => child.stdout.on('data', (chunk) => String(chunk).includes('clusterID') && resolve()));
  return { process: child, host: new URL((await readFile(join(folder, 'url'), 'utf8')).trim()).host };
}

const test = suite('scripts in the docs');

test('a nightly script takes a full backup and continues it, and its list restores', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'varve-scripts-'));
  const server = await startServer(folder);
  try {
    await writeProgram(folder, 'cockroach', await scriptOf('cockroach'));
    await writeProgram(folder, 'nightly.sh', await scriptOf('nightly.sh'));
    await writeProgram(folder, 'varve', `#!/bin/sh\nexec '${process.execPath}' '${varve}' "$@"\n`);
    // A calendar of its own: %A is the day of the week.
    await writeProgram(folder, 'date', '#!/bin/sh\nif [ "$1" = +%A ]; then echo "$DAY"; else echo "$DATE"; fi\n');
    const env = { ...process.env, PATH: `${folder}${delimiter}${process.env['PATH']}`, COCKROACH_HOST: server.host };
    const sql = async (text: string) => (await run('cockroach', ['sql', '--insecure', '-e', text], { env })).stdout;
    const night = (DAY: string, DATE: string) => run('nightly.sh', [], { cwd: folder, env: { ...env, DAY, DATE } });
    const pass = "SELECT varve_internal.advance_clock('1h'::INTERVAL) AS now";

    await sql(`CREATE DATABASE bank; CREATE TABLE bank.t (k INT PRIMARY KEY); INSERT INTO bank.t VALUES (1); ${pass}`);
    await night('Sunday', '20261122');
    await sql(`INSERT INTO bank.t VALUES (2); ${pass}`);
    await night('Monday', '20261123');
    await sql(`INSERT INTO bank.t VALUES (3); DELETE FROM bank.t WHERE k = 1; ${pass}`);
    await night('Tuesday', '20261124');

    const layers = (await readFile(join(folder, 'layers.txt'), 'utf8')).trim().split('\n');
    assert.equal(layers, ['nodelocal://1/nightly/20261122', 'nodelocal://1/nightly/20261123', 'nodelocal://1/nightly/20261124']);
    const from = layers.map((layer) => `'${layer}'`).join(', ');
    const out = await sql(`RESTORE DATABASE bank FROM ${from} WITH new_db_name = 'again'; SELECT k FROM again.t ORDER BY k`);
    assert.ok(out.endsWith('k\n2\n3\n'), out);
  } finally {
    const exited = once(server.process, 'exit');
    server.process.kill('SIGTERM');
    await exited;
    await rm(folder, { recursive: true, force: true });
  }
});

test.run();
