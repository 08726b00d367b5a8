/** `varve demo` as a user runs it: with statements, with a script on standard input, and on a terminal. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { main } from '../../src/cli/main.ts';

const varve = join(import.meta.dirname, '..', '..', 'bin', 'varve.js');
const PORTS = ['--sql-port', '0', '--http-port', '0'];

function demo(args: readonly string[], input = ''): { status: number | null; out: string; err: string } {
  const done = spawnSync(process.execPath, [varve, 'demo', ...args, ...PORTS], { input, encoding: 'utf8' });
  return { status: done.status, out: done.stdout, err: done.stderr };
}

/** What it says of a command line that it refuses, before anything starts. */
async function refusal(...args: string[]): Promise<string> {
  let said = '';
  const io = {
    out: () => {},
    err: (text: string) => {
      said += text;
    },
    isTerminal: false,
    monotonicMicros: () => 0,
  };
  assert.is(await main(['demo', ...args], io), 1);
  return said;
}

const test = suite('varve demo');

test('movr is there by default', () => {
  assert.is(demo(['--rows', '20', '-e', 'SHOW DATABASE; SELECT count(*) AS n FROM rides']).out, 'database\nmovr\nn\n20\n');
});

test('--empty starts with nothing, and goes with no workload', async () => {
  assert.is(demo(['--empty', '-e', 'SHOW DATABASE']).out, 'database\ndefaultdb\n');
  assert.match(await refusal('bank', '--no-example-database'), 'exclude each other');
  assert.match(await refusal('nonsense'), 'want one of bank, kv, movr, ycsb');
});

test('a script changes nodes, and the first error ends it', () => {
  const script = '\\demo ls\n\\demo shutdown 2\nSELECT 40\n  + 2;\n\\demo restart 2\n\\demo shutdown 9\nSELECT 1 AS never;\n';
  const { status, out, err } = demo(['--empty', '--demo-locality', 'region=a:region=b'], script);
  assert.match(out, /node 1:[\s\S]*region=a[\s\S]*node 2:[\s\S]*region=b/);
  assert.match(out, 'node 2 has been shut down\n?column?\n42\nnode 2 has been restarted\n');
  assert.match(err, 'ERROR');
  assert.not.match(out, 'never');
  assert.is(status, 1);
});

test('localities and nodes have to agree', async () => {
  assert.match(await refusal('--nodes', '3', '--demo-locality', 'region=a:region=b'), '2 localities for 3 nodes');
});

// `script` gives the program a terminal; where it is missing there is none to test with.
if (spawnSync('script', ['--version']).status === 0) {
  test('on a terminal it welcomes, prompts, completes and keeps the history', async () => {
    const home = await mkdtemp(join(tmpdir(), 'varve-home-'));
    const command = [process.execPath, varve, 'demo', '--empty', ...PORTS].map((word) => `'${word}'`).join(' ');
    const child = spawn('script', ['-qec', command, '/dev/null'], { env: { ...process.env, HOME: home, TERM: 'xterm' } });
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    const hears = async (what: RegExp): Promise<void> => {
      const from = said.length;
      while (!what.test(said.slice(from === said.length ? 0 : from))) {
        await new Promise((heard, failed) => {
          child.stdout.once('data', heard);
          child.once('exit', () => failed(new Error(`ended before ${what}: ${said}`)));
        });
      }
      said = '';
    };
    try {
      await hears(/Welcome[\s\S]*defaultdb> /);
      child.stdin.write('SEL\t');
      await hears(/SELECT /);
      child.stdin.write('6*7 AS answer;\r');
      await hears(/42[\s\S]*Time:[\s\S]*defaultdb> /);
      child.stdin.write('\\q\r');
      await new Promise((ended) => child.once('close', ended));
      assert.match(await readFile(join(home, '.varve', 'sql_history'), 'utf8'), 'SELECT 6*7 AS answer;');
    } finally {
      child.kill();
      await rm(home, { recursive: true, force: true });
    }
  });
}

test.run();
