/**
 * Launcher: starts Varve, or a script of it, on a Node that can run it.
 *
 * The machine's own Node may be too old to run this project's TypeScript, so the dev dependency `node`
 * brings one. This module runs on any Node from 14 on, decides whether the running one will do,
 * and otherwise starts the package's own and behaves as one process with it: standard streams,
 * arguments, signals and exit code pass through.
 *
 * It starts a second process too when `--memory SIZE` asks for a heap that this one does not have.
 */
import { existsSync, realpathSync } from 'node:fs';
import nodeModule from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** The oldest Node that strips types without a flag and has zstd: `engines` in package.json. */
export const OLDEST_NODE = [22, 19];
/** The memory budget is this share of the heap; the rest is for what the budget does not count. */
export const BUDGET_SHARE_OF_HEAP = 0.7;
/** The least that the rest may be: a server that holds no data needs some 60 MiB. */
const REST_OF_HEAP_MIN = 128 * 1024 * 1024;
/** Marks a process that a launcher started, so that it never starts another. */
const LAUNCHED = 'VARVE_LAUNCHED';

export const packageRoot = dirname(dirname(fileURLToPath(import.meta.url)));

/** True when a version such as `22.19.0` is new enough. */
export function isRecentEnough(version) {
  const [major, minor] = version.split('.').map(Number);
  return major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1]);
}

/** The package's own Node: in its node_modules, or in one above it when Varve is itself a dependency. */
export function findOwnNode(from = packageRoot) {
  const names = process.platform === 'win32' ? ['node.exe', 'node'] : ['node'];
  for (let folder = from; ; folder = dirname(folder)) {
    for (const name of names) {
      const path = join(folder, 'node_modules', 'node', 'bin', name);
      if (existsSync(path)) return path;
    }
    if (dirname(folder) === folder) return undefined;
  }
}

/**
 * Bytes of a size such as `2GiB`, `512MB`, `1.5g` or `1073741824`; undefined when it is none.
 * Units as in CockroachDB's flags: KB is 1000 bytes, KiB, and the single letters, are 1024.
 */
export function parseSize(text) {
  const match = /^(\d+(?:\.\d+)?)\s*(?:([kmgt])(i?b)?|b)?$/i.exec(text);
  if (!match) return undefined;
  const unit = (match[3] || 'ib').toLowerCase() === 'ib' ? 1024 : 1000;
  const power = match[2] ? 'kmgt'.indexOf(match[2].toLowerCase()) + 1 : 0;
  return Math.floor(Number(match[1]) * unit ** power);
}

/** The SIZE of `--memory SIZE` or `--memory=SIZE` anywhere before a `--`. */
export function memoryArgument(args) {
  for (let i = 0; i < args.length && args[i] !== '--'; i++) {
    if (args[i] === '--memory') return args[i + 1];
    if (args[i].startsWith('--memory=')) return args[i].slice('--memory='.length);
  }
  return undefined;
}

/** Heap size in MiB, as --max-old-space-size takes it, in which a budget of so many bytes fits. */
export function heapMegabytes(budgetBytes) {
  const heapBytes = Math.max(budgetBytes / BUDGET_SHARE_OF_HEAP, budgetBytes + REST_OF_HEAP_MIN);
  return Math.ceil(heapBytes / (1024 * 1024));
}

/**
 * Runs `target` with `args` as its arguments: in this process when its Node will do and no other heap
 * is asked for, else in a child of which this process is only the front.
 * `launcher` is the file in bin/ that the child starts with.
 */
export function launch({ launcher, target, args, memory }) {
  const launched = process.env[LAUNCHED] === '1';
  delete process.env[LAUNCHED];
  const tooOld = !isRecentEnough(process.versions.node);
  const heap = memory === undefined ? undefined : heapMegabytes(memory);
  if (!tooOld && (heap === undefined || launched)) return runHere(target, args);

  const node = tooOld ? findOwnNode() : process.execPath;
  if (node === undefined || (tooOld && launched)) {
    fail(
      `Varve needs Node ${OLDEST_NODE.join('.')} or newer, and this is ${process.versions.node}.\n` +
        `Install a newer Node, or let npm bring one beside Varve: ${howToBring()}.`,
    );
  }
  const flags = heap === undefined ? [] : [`--max-old-space-size=${heap}`];
  return runInChild(node, [...process.execArgv, ...flags, launcher, ...process.argv.slice(2)]);
}

function howToBring() {
  const isCheckout = existsSync(join(packageRoot, 'src'));
  return isCheckout ? `"npm ci" in ${packageRoot}` : `"npm install node@24" where you installed it`;
}

/** Prints what is wrong and ends the process with 1. */
export function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

async function runHere(target, args) {
  // Compiled code, and TypeScript already stripped, kept in the temporary folder or in NODE_COMPILE_CACHE.
  if (nodeModule.enableCompileCache) nodeModule.enableCompileCache();
  hideTypeStrippingWarning();
  // As Node itself names a module, so that it can tell from argv[1] whether it was started or imported.
  const path = realpathSync(target);
  process.argv = [process.argv[0], path, ...args];
  await import(pathToFileURL(path).href);
}

/** Node 22 warns that type stripping is experimental; every other warning still shows. */
function hideTypeStrippingWarning() {
  const emit = process.emit;
  process.emit = function (event, warning, ...rest) {
    const isIt = event === 'warning' && warning && warning.name === 'ExperimentalWarning' && /type stripping/i.test(warning.message);
    return isIt ? true : emit.call(this, event, warning, ...rest);
  };
}

async function runInChild(node, args) {
  // Loaded here because a launcher that needs no child would start later for them.
  const [{ spawn }, { constants }] = await Promise.all([import('node:child_process'), import('node:os')]);
  const child = spawn(node, args, { stdio: 'inherit', env: { ...process.env, [LAUNCHED]: '1' } });
  // A terminal sends the signals of its keys to both processes, and a second SIGINT may mean more than one.
  const hasTerminal = [process.stdin, process.stdout, process.stderr].some((stream) => stream.isTTY);
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  for (const signal of ['SIGINT', 'SIGQUIT', 'SIGHUP']) process.on(signal, () => hasTerminal || child.kill(signal));
  child.on('error', (error) => fail(`cannot start ${node}: ${error.message}`));
  child.on('exit', (code, signal) => {
    process.exit(code === null ? 128 + (constants.signals[signal] || 0) : code);
  });
}
