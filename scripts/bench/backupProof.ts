/**
 * Proof of backups and backups in place: what fingerprints cost while a backup is taken, VERIFY BACKUP beside
 * RESTORE, and point reads of an attached backup. All figures are of processor time.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Timestamp } from '../../src/base/timestamp.ts';
import { EVERYTHING } from '../../src/base/span.ts';
import { seededRandom } from '../../src/base/random.ts';
import { BlockEncoder } from '../../src/backup/block.ts';
import { giveBlockBuffer } from '../../src/backup/blockBuffers.ts';
import { FingerprintBuilder } from '../../src/backup/partFingerprint.ts';
import { bankStatements } from '../../src/cli/workload/bank.ts';
import { open, type Varve } from '../../src/index.ts';
import { indexOfKey } from '../../src/kv/indexOfKey.ts';
import { BANK_ROW_BYTES, bankRows } from './bankRows.ts';
import { type BenchCase, type BenchRow, collectGarbage, throughput } from './bench.ts';

/** Rows of a piece of an export: 128 KiB of them. */
const PIECE_ROWS = 1000;
const POINT_READS = 5_000;

/** Milliseconds of processor time, all threads together: what can be compared on a machine that others use too. */
async function timed(work: () => Promise<unknown> | unknown): Promise<number> {
  collectGarbage();
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/** Of an export's main thread: hashing its rows beside encoding them. */
async function fingerprints(rows: number): Promise<BenchRow> {
  const { keys, values } = bankRows(rows);
  const pieces = Array.from({ length: Math.ceil(rows / PIECE_ROWS) }, (_, i) => {
    const part = keys.slice(i * PIECE_ROWS, (i + 1) * PIECE_ROWS);
    return {
      keys: part,
      values: values.slice(i * PIECE_ROWS, (i + 1) * PIECE_ROWS),
      timestamps: part.map(() => 1_780_000_000_000_000 as Timestamp),
    };
  });
  const bytes = rows * BANK_ROW_BYTES;
  let hashMs = Number.POSITIVE_INFINITY;
  let encodeMs = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 3; i++) {
    const builder = new FingerprintBuilder({
      prefixLength: indexOfKey(keys[0]!).length,
      endTime: 1_780_000_000_000_001 as Timestamp,
      historyFrom: undefined,
    });
    hashMs = Math.min(
      hashMs,
      await timed(() => {
        for (const piece of pieces) builder.add(piece);
      }),
    );
    const encoder = new BlockEncoder();
    encodeMs = Math.min(
      encodeMs,
      await timed(() => {
        for (const piece of pieces) {
          for (let at = 0; at < piece.keys.length; ) {
            at = encoder.fill(piece, at);
            if (encoder.isFull) giveBlockBuffer(encoder.take().buffer);
          }
        }
      }),
    );
  }
  return {
    name: 'backup proof: fingerprints',
    measured: `${throughput(bytes, hashMs)}, ${((hashMs / rows) * 1e6).toFixed(0)} ns a row`,
    ceiling: `encoding the same ${throughput(bytes, encodeMs)}`,
    ratio: hashMs / encodeMs,
  };
}

async function pointReads(db: Varve, table: string, rows: number): Promise<number> {
  const random = seededRandom('point');
  const client = db.connect();
  const ms = await timed(async () => {
    for (let i = 0; i < POINT_READS; i++) await client.query(`SELECT balance FROM ${table} WHERE id = $1`, [random.int(rows)]);
  });
  client.close();
  return (ms / POINT_READS) * 1000;
}

async function run({ rows }: { rows: number }): Promise<BenchRow[]> {
  const table: BenchRow[] = [await fingerprints(rows)];
  const folder = await mkdtemp(join(tmpdir(), 'varve-bench-'));
  const db = await open({ externalIoDir: folder, seed: 'bench' });
  try {
    const base = db.database.kv.stats(EVERYTHING).liveBytes;
    for (const { sql } of bankStatements({ rows })) await db.query(sql);
    const bytes = db.database.kv.stats(EVERYTHING).liveBytes - base;
    await db.query("BACKUP DATABASE bank INTO 'nodelocal://1/bench'");
    const restoreMs = await timed(() =>
      db.query("RESTORE DATABASE bank FROM LATEST IN 'nodelocal://1/bench' WITH new_db_name = 'restored'"),
    );
    await db.query('DROP DATABASE restored CASCADE');
    const verifyMs = await timed(() => db.query("VERIFY BACKUP FROM LATEST IN 'nodelocal://1/bench'"));
    table.push({
      name: 'backup proof: verify',
      measured: throughput(bytes, verifyMs),
      ceiling: `restore ${throughput(bytes, restoreMs)}`,
      ratio: verifyMs / restoreMs,
    });
    const attachMs = await timed(() => db.query("ATTACH BACKUP FROM LATEST IN 'nodelocal://1/bench' AS old"));
    const firstMs = await timed(() => db.query('SELECT balance FROM old.public.bank WHERE id = 1'));
    const [state] = (await db.query('SELECT blocks_read FROM [SHOW ATTACHED BACKUPS]')).rows;
    table.push({
      name: 'backup proof: attach, first point read',
      measured: `${attachMs.toFixed(1)} ms, ${firstMs.toFixed(1)} ms`,
      ceiling: `${state?.['blocks_read']} block of about ${Math.ceil(bytes / (1 << 20))} read`,
    });
    const live = await pointReads(db, 'bank.public.bank', rows);
    const attached = await pointReads(db, 'old.public.bank', rows);
    const [after] = (await db.query('SELECT blocks_read FROM [SHOW ATTACHED BACKUPS]')).rows;
    table.push({
      name: 'backup proof: attached point reads',
      measured: `${attached.toFixed(0)} µs, ${after?.['blocks_read']} blocks read by ${POINT_READS}`,
      ceiling: `of the live table ${live.toFixed(0)} µs`,
      ratio: attached / live,
    });
  } finally {
    await db.close();
    await rm(folder, { recursive: true, force: true });
  }
  return table;
}

export const cases: readonly BenchCase[] = [{ name: 'backup proof', run }];
