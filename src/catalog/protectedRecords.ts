/**
 * Protected timestamp records: the rows of system.protected_ts_records, and GC's index of them.
 *
 * A record is written in the caller's transaction, next to the job that needs it. A commit hook
 * verifies it against the thresholds and puts it into the index inside the commit step: a record
 * whose time is at or below a target's threshold fails its commit with 72000, and one that commits
 * keeps its time readable until it is released.
 */
import { type Bytes, utf8Decode, utf8Encode } from '../base/bytes.ts';
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Timestamp } from '../base/timestamp.ts';
import type { ProtectionRecord, ProtectionTarget } from '../gc/protectedTimestamps.ts';
import type { CommittedWrites, Kv, KvReader, Txn } from '../kv/kv.ts';

import { Decimal } from './decimal.ts';
import { ProtectionMetrics } from './protectionMetrics.ts';
import { type PlainRow, systemTable } from './systemRows.ts';

const MICROS_SCALE = 1000n;

/** CockroachDB's decimal form of a timestamp: nanoseconds and ten logical digits. */
export function timestampToDecimal(ts: Timestamp): Decimal {
  return Decimal.of(BigInt(ts) * MICROS_SCALE * 10_000_000_000n, 10);
}

/** Floors to microseconds. */
export function decimalToTimestamp(decimal: Decimal): Timestamp {
  return Number(decimal.truncated().withScale(0).coefficient / MICROS_SCALE) as Timestamp;
}

function toRow(record: ProtectionRecord): PlainRow {
  return {
    id: record.id,
    ts: timestampToDecimal(record.ts),
    meta_type: record.metaType,
    meta: utf8Encode(record.meta),
    num_spans: 0,
    spans: '' as Bytes,
    verified: true,
    target: record.target,
  };
}

function fromRow(row: PlainRow): ProtectionRecord {
  return {
    id: String(row['id']),
    ts: decimalToTimestamp(row['ts'] as Decimal),
    metaType: String(row['meta_type']),
    meta: utf8Decode((row['meta'] ?? '') as Bytes),
    target: row['target'] as ProtectionTarget,
  };
}

/** Limits of kv.protectedts.*; 0 is unlimited. */
export interface ProtectionLimits {
  readonly maxBytes: number;
  /** Targets of all records together; CockroachDB counts spans. */
  readonly maxTargets: number;
}

export class ProtectedRecords {
  readonly #kv: Kv;
  readonly #limits: () => ProtectionLimits;
  readonly #removeHook: () => void;
  readonly #metrics: ProtectionMetrics;

  private constructor(kv: Kv, limits: () => ProtectionLimits) {
    this.#kv = kv;
    this.#limits = limits;
    this.#metrics = new ProtectionMetrics(kv.metrics);
    this.#removeHook = kv.addCommitHook(systemTable('protected_ts_records').span, {
      validate: (writes) => {
        for (const record of committedRecords(writes)) {
          const present = kv.gc.protections.get(record.id);
          // Moving a record forward needs no look at thresholds: it holds them down already.
          if (!present || record.ts < present.ts) this.#verify(record);
        }
      },
      apply: (writes) => {
        for (const record of committedRecords(writes)) kv.gc.protections.put(record);
        for (const id of deletedIds(writes)) kv.gc.protections.remove(id);
      },
    });
  }

  /** Follows the rows, having put those that are there into GC's index. */
  static async open(kv: Kv, limits: () => ProtectionLimits = () => ({ maxBytes: 0, maxTargets: 0 })): Promise<ProtectedRecords> {
    const records = new ProtectedRecords(kv, limits);
    for (const record of await records.list(kv.at(kv.reading()))) kv.gc.protections.put(record);
    return records;
  }

  close(): void {
    this.#removeHook();
  }

  #verify(record: ProtectionRecord): void {
    try {
      this.#kv.gc.verifyProtection(record);
    } catch (error) {
      this.#metrics.noteRefused();
      throw error;
    }
  }

  /**
   * Writes a record; it counts once the transaction commits. 42710 when the id exists, 22023 for a
   * zero time, 54000 over the limits; the commit fails with 72000 when the time is not kept any more.
   */
  protect(txn: Txn, record: ProtectionRecord): Promise<void> {
    return this.#metrics.protect(txn, () => this.#protect(txn, record));
  }

  async #protect(txn: Txn, record: ProtectionRecord): Promise<void> {
    if (record.ts <= 0) throw new StatementError(SqlState.InvalidParameterValue, 'invalid zero value timestamp');
    const table = systemTable('protected_ts_records');
    if ((await table.get(txn, record.id)) !== undefined) {
      throw new StatementError(SqlState.DuplicateObject, `protected timestamp record ${record.id} already exists`);
    }
    await this.#count(txn, 1, targetCount(record), sizeOf(record));
    await table.upsert(txn, toRow(record));
  }

  /** Moves a record's time forward. 42704 when there is none, 22023 for an earlier time. */
  update(txn: Txn, id: string, ts: Timestamp): Promise<void> {
    return this.#metrics.update(txn, () => this.#update(txn, id, ts));
  }

  async #update(txn: Txn, id: string, ts: Timestamp): Promise<void> {
    const record = await this.#read(txn, id);
    if (!record) throw notFound(id);
    if (ts < record.ts) {
      throw new StatementError(SqlState.InvalidParameterValue, `cannot move protected timestamp record ${id} back`, {
        detail: `it protects ${record.ts}, asked for ${ts}`,
      });
    }
    await systemTable('protected_ts_records').upsert(txn, toRow({ ...record, ts }));
    await this.#count(txn, 0, 0, 0);
  }

  /** Removes a record. 42704 when there is none. */
  release(txn: Txn, id: string): Promise<void> {
    return this.#metrics.release(txn, () => this.#release(txn, id));
  }

  async #release(txn: Txn, id: string): Promise<void> {
    const record = await this.#read(txn, id);
    if (!record) throw notFound(id);
    await systemTable('protected_ts_records').delete(txn, id);
    await this.#count(txn, -1, -targetCount(record), -sizeOf(record));
  }

  get(reader: KvReader, id: string): Promise<ProtectionRecord | undefined> {
    return this.#metrics.get(() => this.#read(reader, id));
  }

  async #read(reader: KvReader, id: string): Promise<ProtectionRecord | undefined> {
    const row = await systemTable('protected_ts_records').get(reader, id);
    return row && fromRow(row);
  }

  /** Every record, by id. */
  async list(reader: KvReader): Promise<ProtectionRecord[]> {
    return (await systemTable('protected_ts_records').scan(reader)).map(fromRow);
  }

  /** Every record that counts now, oldest first: GC's index. */
  current(): ProtectionRecord[] {
    return this.#kv.gc.protections.list();
  }

  // The row of totals: its version grows with every change.
  async #count(txn: Txn, records: number, targets: number, bytes: number): Promise<void> {
    const table = systemTable('protected_ts_meta');
    await txn.lock([table.key(true)]);
    const row = (await table.get(txn, true)) ?? { version: 0, num_records: 0, num_spans: 0, total_bytes: 0 };
    const totals = {
      singleton: true,
      version: Number(row['version']) + 1,
      num_records: Number(row['num_records']) + records,
      num_spans: Number(row['num_spans']) + targets,
      total_bytes: Number(row['total_bytes']) + bytes,
    };
    const limits = this.#limits();
    const refuse = (setting: string, limit: number, wanted: number) => {
      throw new StatementError(SqlState.ProgramLimitExceeded, 'protected timestamp limit exceeded', {
        detail: `${setting} is ${limit}, the records would take ${wanted}`,
        hint: `release records, or raise the cluster setting ${setting}`,
      });
    };
    if (targets > 0 && limits.maxTargets > 0 && totals.num_spans > limits.maxTargets) {
      refuse('kv.protectedts.max_spans', limits.maxTargets, totals.num_spans);
    }
    if (bytes > 0 && limits.maxBytes > 0 && totals.total_bytes > limits.maxBytes) {
      refuse('kv.protectedts.max_bytes', limits.maxBytes, totals.total_bytes);
    }
    await table.upsert(txn, totals);
  }
}

function notFound(id: string): StatementError {
  return new StatementError(SqlState.UndefinedObject, `protected timestamp record ${id} does not exist`);
}

function targetCount(record: ProtectionRecord): number {
  return record.target.kind === 'cluster' ? 1 : record.target.ids.length;
}

function sizeOf(record: ProtectionRecord): number {
  return JSON.stringify(record).length;
}

function committedRecords(writes: CommittedWrites): ProtectionRecord[] {
  const table = systemTable('protected_ts_records');
  return writes.keys.flatMap((key, i) => {
    const value = writes.values[i] ?? null;
    return value === null ? [] : [fromRow(table.decode(key, value))];
  });
}

function deletedIds(writes: CommittedWrites): string[] {
  const table = systemTable('protected_ts_records');
  return writes.keys.filter((_, i) => (writes.values[i] ?? null) === null).map((key) => String(table.decodeKey(key)['id']));
}
