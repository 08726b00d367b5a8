/**
 * Servers that benches talk to over the wire, each a process of its own: Varve from the sources, and
 * PostgreSQL in a temporary cluster with fsync off, where its binaries are installed.
 *
 * PostgreSQL looks for a deadlock only after deadlock_timeout. Here that is 10 ms: with its default of
 * a second, transfers that meet would mostly measure that pause.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import pg from 'pg';

export interface Server {
  readonly url: string;
  /** CPU milliseconds that its processes have taken so far; undefined where the system does not tell. */
  cpuMs(): number | undefined;
  stop(): Promise<void>;
}

/** What a process may be run as when we are the superuser, whom PostgreSQL refuses: nobody. */
const NOBODY = 65_534;
/** Clock ticks of /proc are hundredths of a second on every Linux that Node runs on. */
const TICK_MS = 10;

/** Varve, and PostgreSQL when it is installed. */
export async function startServers(): Promise<[Server] | [Server, Server]> {
  const varve = await startVarve();
  const postgres = await startPostgres();
  return postgres ? [varve, postgres] : [varve];
}

/** CPU time of a process and its children, those that have ended too. */
function cpuMsOf(pid: number | undefined): number | undefined {
  try {
    let ticks = 0;
    for (const name of readdirSync('/proc')) {
      if (!/^\d+$/.test(name)) continue;
      let stat: string;
      try {
        stat = readFileSync(`/proc/${name}/stat`, 'latin1');
      } catch {
        continue;
      }
      const fields = stat
        .slice(stat.lastIndexOf(')') + 2)
        .split(' ')
        .map(Number);
      const [, parent] = fields;
      if (Number(name) !== pid && parent !== pid) continue;
      ticks += (fields[11] ?? 0) + (fields[12] ?? 0);
      if (Number(name) === pid) ticks += (fields[13] ?? 0) + (fields[14] ?? 0);
    }
    return ticks * TICK_MS;
  } catch {
    return undefined;
  }
}

export async function startVarve(): Promise<Server> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'contentionServer.ts')], { stdio: ['pipe', 'pipe', 'inherit'] });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return {
    url: line.toString().trim(),
    cpuMs: () => cpuMsOf(child.pid),
    stop: async () => {
      child.stdin.end();
      await once(child, 'exit');
    },
  };
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  return typeof address === 'object' && address ? address.port : 0;
}

/** A PostgreSQL of our own; undefined when it is not installed. */
export async function startPostgres(): Promise<Server | undefined> {
  if (spawnSync('initdb', ['--version']).status !== 0 || spawnSync('postgres', ['--version']).status !== 0) return undefined;
  const folder = await mkdtemp(join(tmpdir(), 'varve-postgres-'));
  const isRoot = process.getuid?.() === 0;
  if (isRoot) await chown(folder, NOBODY, NOBODY);
  const as = isRoot ? { uid: NOBODY, gid: NOBODY } : {};
  const data = join(folder, 'data');
  const made = spawnSync('initdb', ['-D', data, '-A', 'trust', '-U', 'root', '-N', '-E', 'UTF8', '--locale=C'], { ...as, cwd: folder });
  if (made.status !== 0) {
    await rm(folder, { recursive: true, force: true });
    return undefined;
  }
  const port = await freePort();
  const settings = [
    'fsync=off',
    'synchronous_commit=off',
    'full_page_writes=off',
    'deadlock_timeout=10ms',
    'listen_addresses=127.0.0.1',
    `unix_socket_directories=${folder}`,
  ];
  const child: ChildProcess = spawn('postgres', ['-D', data, '-p', String(port), ...settings.flatMap((setting) => ['-c', setting])], {
    ...as,
    cwd: folder,
    stdio: 'ignore',
  });
  const url = `postgresql://root@127.0.0.1:${port}/postgres`;
  for (let attempt = 1; ; attempt++) {
    try {
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      await client.end();
      break;
    } catch (error) {
      if (attempt >= 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  return {
    url,
    cpuMs: () => cpuMsOf(child.pid),
    stop: async () => {
      child.kill('SIGINT');
      await once(child, 'exit');
      await rm(folder, { recursive: true, force: true });
    },
  };
}
