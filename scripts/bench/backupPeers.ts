/**
 * What backs up and restores the same rows elsewhere: pg_dump, pg_restore and pg_basebackup against a
 * PostgreSQL without fsync, where it is installed, and SQLite's backup().
 *
 * Processor time of PostgreSQL's tools is theirs and the server's together. pg_basebackup copies the whole
 * cluster, so its rate is of the cluster's bytes; the others' is of Varve's count of the table's bytes.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import pg from 'pg';

import { bankStatements } from '../../src/cli/workload/bank.ts';
import { type Cost, costOf, lesser } from './bench.ts';
import { optional } from './peers.ts';
import { startPostgres } from './servers.ts';

/** What a peer took, least of a few runs. */
export interface PeerCost extends Cost {
  readonly name: string;
  /** When it is of other bytes than the table's. */
  readonly bytes?: number;
}

export interface PeerCosts {
  readonly backups: readonly PeerCost[];
  readonly restores: readonly PeerCost[];
}

const TIMES = 2;
const CREATE = 'CREATE TABLE bank (id INT8 NOT NULL PRIMARY KEY, balance INT8, payload TEXT)';

/** The inserts of the bank table, for a table without a schema. */
function* inserts(rows: number): Generator<string> {
  for (const { sql } of bankStatements({ rows })) if (sql.startsWith('INSERT')) yield sql.replace('bank.bank', 'bank');
}

const TOOLS = ['pg_dump', 'pg_restore', 'pg_basebackup'];

/** Undefined where PostgreSQL, or one of its tools, is not installed. */
export async function postgresCosts(rows: number): Promise<PeerCosts | undefined> {
  if (TOOLS.some((tool) => spawnSync(tool, ['--version']).status !== 0)) return undefined;
  const server = await startPostgres();
  if (server === undefined) return undefined;
  const folder = await mkdtemp(join(tmpdir(), 'varve-bench-'));
  try {
    const client = new pg.Client({ connectionString: server.url });
    await client.connect();
    await client.query(CREATE);
    for (const sql of inserts(rows)) await client.query(sql);
    await client.query('CHECKPOINT');
    const sizes = await client.query('SELECT sum(pg_database_size(oid))::INT8 AS bytes FROM pg_database');
    const run = async (
      name: string,
      command: string,
      args: string[],
      prepare: () => Promise<unknown> = async () => {},
    ): Promise<PeerCost> => {
      let least: Cost | undefined;
      for (let i = 0; i < TIMES; i++) {
        await prepare();
        const cost = await costOfProcess(command, args, () => server.cpuMs() ?? 0);
        least = least ? lesser(least, cost) : cost;
      }
      return { name, ...(least as Cost) };
    };
    const dump = join(folder, 'dump');
    const [dumped, fast] = [
      await run('pg_dump -Fc', 'pg_dump', ['-Fc', '-f', dump, server.url]),
      await run('pg_dump -Fc -Z1', 'pg_dump', ['-Fc', '-Z1', '-f', join(folder, 'fast'), server.url]),
    ];
    const base = join(folder, 'base');
    const copied = await run('pg_basebackup', 'pg_basebackup', ['-D', base, '-X', 'none', '-c', 'fast', '-d', server.url], () =>
      rm(base, { recursive: true, force: true }),
    );
    const target = server.url.replace(/postgres$/, 'restored');
    const restored = await run('pg_restore', 'pg_restore', ['-d', target, dump], async () => {
      await client.query('DROP DATABASE IF EXISTS restored');
      await client.query('CREATE DATABASE restored');
    });
    await client.end();
    return { backups: [dumped, fast, { ...copied, bytes: Number(sizes.rows[0].bytes) }], restores: [restored] };
  } finally {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

/** A process's own time and its processor time, with what `alsoMs` counts beside it. */
async function costOfProcess(command: string, args: readonly string[], alsoMs: () => number): Promise<Cost> {
  const also = alsoMs();
  const start = performance.now();
  // `times` of the shell tells what the children took, which Node does not.
  const child = spawn('sh', ['-c', '"$@"; status=$?; times; exit $status', 'sh', command, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const texts: Buffer[] = [];
  const errors: Buffer[] = [];
  child.stdout.on('data', (piece: Buffer) => texts.push(piece));
  child.stderr.on('data', (piece: Buffer) => errors.push(piece));
  const [code] = (await once(child, 'close')) as [number];
  const wallMs = performance.now() - start;
  if (code !== 0) throw new Error(`${command} ended with ${code}: ${Buffer.concat(errors).toString()}`);
  const children = Buffer.concat(texts).toString().trim().split('\n').at(-1) ?? '';
  const seconds = [...children.matchAll(/(\d+)m([\d.]+)s/g)].reduce(
    (sum, [, minutes, rest]) => sum + Number(minutes) * 60 + Number(rest),
    0,
  );
  return { wallMs, processorMs: seconds * 1000 + alsoMs() - also };
}

interface Sqlite {
  exec(sql: string): unknown;
  close(): void;
}

/** better-sqlite3 where it is installed, Node's own SQLite otherwise: the same rows from one file into another. */
export async function sqliteCost(rows: number): Promise<PeerCost> {
  const folder = await mkdtemp(join(tmpdir(), 'varve-bench-'));
  try {
    const better = await optional<{ default: new (file: string) => Sqlite & { backup(to: string): Promise<unknown> } }>('better-sqlite3');
    const file = join(folder, 'from');
    let db: Sqlite;
    let backup: (to: string) => Promise<unknown>;
    if (better) {
      const opened = new better.default(file);
      db = opened;
      backup = (to) => opened.backup(to);
    } else {
      const sqlite = await import('node:sqlite');
      const opened = new sqlite.DatabaseSync(file);
      db = opened;
      // All pages in one step, as better-sqlite3 is fastest too.
      backup = (to) => sqlite.backup(opened, to, { rate: 1_000_000 });
    }
    db.exec('PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY');
    db.exec(CREATE);
    db.exec('BEGIN');
    for (const sql of inserts(rows)) db.exec(sql);
    db.exec('COMMIT');
    let least: Cost | undefined;
    for (let i = 0; i < TIMES; i++) {
      const cost = await costOf(() => backup(join(folder, `to${i}`)));
      least = least ? lesser(least, cost) : cost;
    }
    db.close();
    return { name: better ? 'better-sqlite3 backup()' : 'node:sqlite backup()', ...(least as Cost) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
