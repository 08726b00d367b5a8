/** The launcher: its decisions as functions, and what passes between it and the process it starts. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { findOwnNode, heapMegabytes, isRecentEnough, memoryArgument, parseSize } from '../../bin/launcher.js';

const pathOf = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const run = pathOf('../../bin/run.js');
const varve = pathOf('../../bin/varve.js');
const probe = pathOf('./fixtures/probe.ts');
const withMemory = pathOf('./fixtures/withMemory.js');
const start = (...args: string[]) => spawnSync(process.execPath, args, { encoding: 'utf8' });

const deciding = suite('launcher: deciding');

deciding('which Node will do', () => {
  for (const version of ['22.19.0', '22.20.1', '24.0.0', '100.0.0']) assert.ok(isRecentEnough(version), version);
  for (const version of ['14.0.0', '20.20.2', '22.18.9', '21.99.0']) assert.not.ok(isRecentEnough(version), version);
});

deciding('sizes', () => {
  const sizes: [string, number | undefined][] = [
    ['1073741824', 2 ** 30],
    ['2GiB', 2 ** 31],
    ['2g', 2 ** 31],
    ['512MB', 512e6],
    ['1.5kib', 1536],
    ['8 B', 8],
    ['', undefined],
    ['-1GiB', undefined],
    ['1QB', undefined],
    ['GiB', undefined],
  ];
  for (const [text, bytes] of sizes) assert.is(parseSize(text), bytes, text);
});

deciding('--memory anywhere, up to --', () => {
  assert.is(memoryArgument(['start', '--memory', '2GiB']), '2GiB');
  assert.is(memoryArgument(['--memory=1GB', 'start']), '1GB');
  assert.is(memoryArgument(['start', '--', '--memory', '2GiB']), undefined);
  assert.is(memoryArgument(['start']), undefined);
  assert.is(memoryArgument(['start', '--memory']), undefined);
});

deciding('a budget takes 70% of the heap', () => {
  assert.is(heapMegabytes(7 * 2 ** 30), 10 * 1024);
  assert.is(heapMegabytes(2 ** 20), 129, 'no heap in which the program itself has no room');
});

deciding("the package's own Node, also hoisted above it", () => {
  const root = mkdtempSync(join(tmpdir(), 'varve-launcher-'));
  try {
    const folder = join(root, 'app', 'node_modules', 'varve');
    mkdirSync(folder, { recursive: true });
    assert.is(findOwnNode(folder), undefined);
    const bin = join(root, 'app', 'node_modules', 'node', 'bin');
    mkdirSync(bin, { recursive: true });
    writeFileSync(join(bin, 'node'), '');
    assert.is(findOwnNode(folder), join(bin, 'node'));
  } finally {
    rmSync(root, { recursive: true });
  }
});
deciding.run();

const starting = suite('launcher: starting');

starting('a script here: arguments, exit code, no warning of type stripping, every other warning', () => {
  const { stdout, stderr, status } = start(run, probe, 'exit', '7', '--flag');
  assert.is(status, 7);
  assert.is(stderr, '');
  assert.equal(JSON.parse(stdout).argv, ['exit', '7', '--flag']);
  assert.match(start(run, probe, 'warn').stderr, /ExperimentalWarning: still shown/);
  const failed = start(run, probe, 'throw');
  assert.is(failed.status, 1);
  assert.match(failed.stderr, /from the script/);
});

starting('a script in a larger heap: another process, the same arguments and exit code', () => {
  const { stdout, stderr, status } = start(withMemory, 'exit', '7', '--flag');
  assert.is(status, 7, stderr);
  const seen = JSON.parse(stdout);
  assert.equal(seen.argv, ['exit', '7', '--flag']);
  // The limit that V8 reports includes its young generation.
  assert.ok(seen.heapMegabytes >= 1000 && seen.heapMegabytes < 1400, `${seen.heapMegabytes} MiB`);
  assert.is(seen.launchedMark, null);
});

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  starting(`${signal} to the launcher ends what it started`, async () => {
    const launcher = spawn(process.execPath, [withMemory, 'wait'], { stdio: ['ignore', 'pipe', 'ignore'] });
    const ended = new Promise<number | null>((resolve) => launcher.on('exit', resolve));
    const line = await new Promise<string>((resolve) => launcher.stdout.setEncoding('utf8').once('data', resolve));
    const { pid } = JSON.parse(line);
    assert.is.not(pid, launcher.pid);
    launcher.kill(signal);
    assert.is(await ended, signal === 'SIGTERM' ? 143 : 130);
    assert.throws(() => process.kill(pid, 0), /ESRCH/);
  });
}

starting('misuse says what to do', () => {
  for (const [args, message] of [
    [[run], /usage/],
    [[run, 'no-such.ts'], /no-such\.ts does not exist/],
    [[varve, '--memory', 'much'], /--memory "much" is no size/],
    [[varve, 'start', '--memory'], /--memory wants a size/],
  ] as const) {
    const { status, stderr } = start(...args);
    assert.is(status, 1);
    assert.match(stderr, message);
  }
});
starting.run();
