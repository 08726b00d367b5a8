/**
 * What /_status/vars shows of a database: jobs by type and status, storage, transactions' history,
 * connections. Everything is read from the parts at the time of the scrape.
 */
import { isTerminal } from '../jobs/jobMachine.ts';
import { EVERYTHING } from '../base/span.ts';
import { MICROS_PER_SECOND } from '../base/duration.ts';
import type { Database } from './database.ts';
import type { Metric } from './prometheusText.ts';

/** The metrics of one moment. Cost: one walk of the ranges and of the jobs that run. */
export async function databaseMetrics(database: Database, connectionCount: number): Promise<Metric[]> {
  const metrics: Metric[] = [];
  const { kv, jobs } = database;
  const gauge = (name: string, help: string, value: number): void => {
    metrics.push({ name, type: 'gauge', help, samples: [{ value }] });
  };
  gauge('sql.conns', 'Open SQL connections', connectionCount);
  gauge('sql.sessions', 'Open SQL sessions, those of the process itself included', database.engine.sessions().length);
  gauge('liveness.livenodes', 'Nodes that are live', kv.cluster.liveNodes().length);
  const stats = kv.stats(EVERYTHING);
  gauge('livecount', 'Live keys', stats.liveKeys);
  gauge('keycount', 'Keys with any version', stats.totalKeys);
  gauge('valcount', 'Versions, tombstones included', stats.versions);
  gauge('livebytes', 'Bytes of live keys and values', stats.liveBytes);
  gauge('totalbytes', 'Bytes of all keys and versions', stats.totalBytes);
  const memory = kv.memory.figures();
  gauge('varve.memory.limit_bytes', 'The memory budget', memory.limitBytes);
  gauge('varve.memory.used_bytes', 'What is used of the memory budget', memory.usedBytes);
  for (const { account, bytes } of memory.accounts)
    gauge(`varve.memory.${account}_bytes`, `Account "${account}" of the memory budget`, bytes);
  gauge('ranges', 'Ranges', kv.rangesOf(EVERYTHING).length);
  gauge('hlc.timestamp_seconds', 'Reading of the hybrid logical clock', kv.reading() / MICROS_PER_SECOND);

  const running = new Map<string, number>();
  for (const { type, status } of await jobs.list()) {
    if (!running.has(type)) running.set(type, 0);
    if (!isTerminal(status) && status !== 'paused') running.set(type, (running.get(type) ?? 0) + 1);
  }
  for (const [type, count] of running) {
    gauge(`jobs.${type.toLowerCase().replaceAll(' ', '_')}.currently_running`, `Jobs of type ${type} that run`, count);
  }

  const { kmsInaccessibleAt } = database.backupMetrics;
  gauge(
    'backup.last-failed-time.kms-inaccessible',
    'When a backup WITH updates_cluster_monitoring_metrics last failed because its KMS was out of reach, in seconds since the epoch; 0: never',
    kmsInaccessibleAt === undefined ? 0 : Math.floor(kmsInaccessibleAt / MICROS_PER_SECOND),
  );

  const records = kv.gc.protections.list();
  gauge('spanconfig.kvsubscriber.protected_record_count', 'Protected timestamp records', records.length);
  const oldest = records[0];
  gauge(
    'spanconfig.kvsubscriber.oldest_protected_record_nanos',
    'Age of the oldest protected timestamp in nanoseconds; 0 without one',
    oldest === undefined ? 0 : (kv.reading() - oldest.ts) * 1000,
  );
  return metrics;
}
