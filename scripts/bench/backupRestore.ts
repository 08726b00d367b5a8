/**
 * BACKUP and RESTORE of the bank table through SQL, to nodelocal: plain and encrypted, on all cores and on one,
 * an incremental, point reads beside it; with PostgreSQL's tools and SQLite's
 * backup() over the same rows where they are installed.
 *
 * Rates are of the table's keys and values. Each is given twice: by the clock, and by the processor time of all
 * threads, which others on the machine disturb less; ratios are of processor time, but for those of one core,
 * of an incremental and of latencies.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zstdCompressSync, constants } from 'node:zlib';

import { EVERYTHING } from '../../src/base/span.ts';
import { bankStatements } from '../../src/cli/workload/bank.ts';
import { open, type Varve } from '../../src/index.ts';
import { type PeerCost, postgresCosts, sqliteCost } from './backupPeers.ts';
import { type BenchCase, type BenchRow, type Cost, costOf, lesser, leastCost, throughput, throughputs } from './bench.ts';
import { micros, p99, readLatencies } from './latencies.ts';

const TIMES = 5;
const PASSPHRASE = "encryption_passphrase = 'bench'";
const LEVEL_1 = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };
/** Aims of issue 5. */
const RATE_MIN = 200;
const OF_DUMP = 1 / 8;
const ENCRYPTED_MAX = 1.15;
const INCREMENTAL_MAX = 1 / 20;
const LATENCY_MAX = 3;

export interface Loaded {
  readonly db: Varve;
  /** Bytes of keys and values of the table. */
  readonly bytes: number;
  close(): Promise<void>;
}

/** The bank table, and a folder to back it up to. */
export async function loadBank(rows: number): Promise<Loaded> {
  const folder = await mkdtemp(join(tmpdir(), 'varve-bench-'));
  const db = await open({ externalIoDir: folder, seed: 'bench' });
  const base = db.database.kv.stats(EVERYTHING).liveBytes;
  for (const { sql } of bankStatements({ rows })) await db.query(sql);
  return {
    db,
    bytes: db.database.kv.stats(EVERYTHING).liveBytes - base,
    close: async () => {
      await db.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Least costs of a full backup, and of restoring it under another name. */
export interface RoundTrip {
  readonly backup: Cost;
  readonly restore: Cost;
}

/** A collection, and the options with which it is written and read. */
interface Side {
  readonly name: string;
  readonly options: string;
}

const PLAIN: Side = { name: 'plain', options: '' };
const ENCRYPTED: Side = { name: 'encrypted', options: PASSPHRASE };

/** Sides take turns, so that a slow moment of the machine does not fall on one of them alone. */
async function roundTrips(db: Varve, sides: readonly Side[], times = TIMES): Promise<RoundTrip[]> {
  const least = (costs: Cost[]) => costs.reduce(lesser);
  const backups = sides.map((): Cost[] => []);
  const restores = sides.map((): Cost[] => []);
  for (let i = 0; i < times; i++) {
    for (const [at, { name, options }] of sides.entries()) {
      const uri = `'nodelocal://1/${name}'`;
      backups[at]?.push(await costOf(() => db.query(`BACKUP DATABASE bank INTO ${uri}${options && ` WITH ${options}`}`)));
      const more = options && `, ${options}`;
      restores[at]?.push(await costOf(() => db.query(`RESTORE DATABASE bank FROM LATEST IN ${uri} WITH new_db_name = 'restored'${more}`)));
      await db.query('DROP DATABASE restored CASCADE');
    }
  }
  return sides.map((_, at) => ({ backup: least(backups[at] as Cost[]), restore: least(restores[at] as Cost[]) }));
}

/** zstd, level 1, on one core over as many bytes of bank rows: what no backup on one core can pass. */
async function zstdAlone(db: Varve, bytes: number): Promise<Cost> {
  const { rows } = await db.query('SELECT id, balance, payload FROM bank.bank LIMIT 10000');
  const sample = Buffer.from(rows.map((row) => `${row['id']}${row['balance']}${row['payload']}`).join(''));
  const block = Buffer.alloc(1 << 20);
  for (let at = 0; at < block.length; at += sample.length) sample.copy(block, at);
  return await leastCost(2, () => {
    for (let left = bytes; left > 0; left -= block.length) zstdCompressSync(block, LEVEL_1);
  });
}

/** What this file prints as a program of its own (below); undefined where a process cannot be bound to a core. */
async function onOneCore(rows: number): Promise<RoundTrip | undefined> {
  const child = spawn('taskset', ['-c', '0', process.execPath, ...process.execArgv, import.meta.filename, String(rows)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const pieces: Buffer[] = [];
  child.stdout.on('data', (piece: Buffer) => pieces.push(piece));
  const ended = await Promise.race([once(child, 'close'), once(child, 'error')]).catch(() => [1]);
  return ended[0] === 0 ? (JSON.parse(Buffer.concat(pieces).toString()) as RoundTrip) : undefined;
}

async function besideReads(db: Varve, rows: number): Promise<BenchRow> {
  await readLatencies(db, rows);
  const idle = p99(await readLatencies(db, rows));
  let isRunning = true;
  const backup = db.query("BACKUP DATABASE bank INTO 'nodelocal://1/beside'").finally(() => {
    isRunning = false;
  });
  const busy = p99(await readLatencies(db, rows, () => isRunning));
  await backup;
  return {
    name: 'backup: point read p99 beside',
    measured: micros(busy),
    ceiling: `idle ${micros(idle)}`,
    ratio: busy / idle,
    aim: LATENCY_MAX,
  };
}

/** Rows that compare one of ours with what peers took for the same. */
function peerRows(name: string, bytes: number, ours: Cost, peers: readonly PeerCost[]): BenchRow[] {
  return peers.map((peer) => {
    const theirs = peer.bytes ?? bytes;
    return {
      name: `${name}, ${peer.name}`,
      measured: `${(peer.wallMs / (theirs / bytes) / ours.wallMs).toFixed(1)} times its rate`,
      ceiling: throughputs(theirs, peer),
      ratio: ours.processorMs / (peer.processorMs / (theirs / bytes)),
      ...(['pg_dump -Fc', 'pg_restore'].includes(peer.name) && { aim: OF_DUMP }),
    };
  });
}

async function run({ rows }: { rows: number }): Promise<BenchRow[]> {
  const { db, bytes, close } = await loadBank(rows);
  const table: BenchRow[] = [];
  try {
    const alone = await zstdAlone(db, bytes);
    const [plain, encrypted] = (await roundTrips(db, [PLAIN, ENCRYPTED])) as [RoundTrip, RoundTrip];
    const rate = bytes / plain.backup.wallMs / 1000;
    table.push(
      {
        name: `backup full, ${Math.round(bytes / 1e6)} MB`,
        measured: throughputs(bytes, plain.backup),
        ceiling: `zstd -1 alone ${throughput(bytes, alone.processorMs)} a core`,
        ratio: plain.backup.processorMs / alone.processorMs,
        aim: `${RATE_MIN} MB/s or more`,
        met: rate >= RATE_MIN,
      },
      {
        name: 'backup restored',
        measured: throughputs(bytes, plain.restore),
        ceiling: `backup ${throughputs(bytes, plain.backup)}`,
        ratio: plain.restore.processorMs / plain.backup.processorMs,
        aim: 1,
      },
    );
    for (const side of ['backup', 'restore'] as const) {
      table.push({
        name: `backup encrypted, ${side}`,
        measured: throughputs(bytes, encrypted[side]),
        ceiling: `plain ${throughputs(bytes, plain[side])}`,
        ratio: encrypted[side].processorMs / plain[side].processorMs,
        aim: ENCRYPTED_MAX,
      });
    }
    const bound = await onOneCore(rows);
    for (const side of ['backup', 'restore'] as const) {
      if (!bound) continue;
      table.push({
        name: `backup on one core, ${side}`,
        measured: throughput(bytes, bound[side].wallMs),
        ceiling: `on all ${throughput(bytes, plain[side].wallMs)}`,
        ratio: bound[side].wallMs / plain[side].wallMs,
      });
    }
    const changes = () => db.query('UPDATE bank.bank SET balance = balance + 1 WHERE id % 100 = 0');
    const incremental = await leastCost(TIMES, () => db.query("BACKUP DATABASE bank INTO LATEST IN 'nodelocal://1/plain'"), changes);
    table.push({
      name: 'backup incremental, 1% changed',
      measured: `${incremental.wallMs.toFixed(0)} ms, ${incremental.processorMs.toFixed(0)} of CPU`,
      ceiling: `full ${plain.backup.wallMs.toFixed(0)} ms, ${plain.backup.processorMs.toFixed(0)} of CPU`,
      ratio: incremental.wallMs / plain.backup.wallMs,
      aim: INCREMENTAL_MAX,
    });
    table.push(await besideReads(db, rows));
    const postgres = await postgresCosts(rows);
    if (postgres) {
      table.push(...peerRows('backup full', bytes, plain.backup, postgres.backups));
      table.push(...peerRows('backup restored', bytes, plain.restore, postgres.restores));
    }
    table.push(...peerRows('backup full', bytes, plain.backup, [await sqliteCost(rows)]));
    return table;
  } finally {
    await close();
  }
}

export const cases: readonly BenchCase[] = [{ name: 'backup and restore', run }];

// As a program: a round trip of that many rows, as JSON.
if (process.argv[1] === import.meta.filename) {
  const { db, close } = await loadBank(Number(process.argv[2]));
  console.log(JSON.stringify((await roundTrips(db, [PLAIN], 3))[0]));
  await close();
}
