/**
 * Ingest: a sorted run put straight into stores that were never public, as restore and index
 * backfill do. No validation, no locks, no hooks: nobody can have read there.
 */
import { assert } from '../base/assert.ts';
import type { Bytes } from '../base/bytes.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { VersionBatch } from '../mvcc/versionBatch.ts';
import type { KvCore } from './core.ts';
import { underWay } from './core.ts';
import { addDelay } from './kvMetrics.ts';
import { bufferedBytes, committedBytes } from './memory.ts';
import type { IngestOptions, IngestRun } from './kv.ts';

/** Returns the timestamp of arrival, which is also the versions' own where the run brings none. Throws 53200 when memory has no room. */
export async function ingestRun(core: KvCore, run: IngestRun, options: IngestOptions): Promise<Timestamp> {
  const { clock, counts, memory } = core;
  counts.ingests.add();
  const bytes = run.bytes === undefined ? committedBytes(run.keys, run.values) : bufferedBytes(run.keys.length, run.bytes);
  const waitsFrom = memory.budget.fits(bytes) && underWay(core) === undefined ? undefined : clock.nowMicros();
  await memory.makeRoom(bytes);
  if (waitsFrom !== undefined) addDelay(counts.ingestBackpressure, clock, waitsFrom);
  for (let large = underWay(core); large !== undefined; large = underWay(core)) await large.published;
  if (waitsFrom !== undefined) addDelay(counts.ingestDelay, clock, waitsFrom);
  const arrival = core.hlc.now();
  const { keys, values, timestamps } = run;
  assert(
    keys.length === values.length && (timestamps === undefined || timestamps.length === keys.length),
    'an ingested run of uneven arrays',
  );
  const at = options.at ?? arrival;
  assert(at <= arrival, `ingest at @${at}, which is in the future of @${arrival}`);
  const batch = new VersionBatch();
  for (let start = 0; start < keys.length; ) {
    const { store, span } = core.keyspace.ensure(keys[start] as Bytes);
    const isWhole = start === 0 && (keys[keys.length - 1] as Bytes) < span.endKey;
    if (isWhole && timestamps === undefined && isRows(values)) {
      store.ingestRows({ keys, values, at }, arrival);
      counts.ingestedRuns.add();
      break;
    }
    batch.clear();
    let end = start;
    for (; end < keys.length && (keys[end] as Bytes) < span.endKey; end++) {
      batch.push(keys[end] as Bytes, timestamps?.[end] ?? at, values[end] ?? null);
    }
    assert(end > start, 'an ingested run out of key order');
    store.ingest(batch, arrival);
    counts.ingestedRuns.add();
    start = end;
  }
  core.rangeQueue.noteWrites();
  core.memory.noteGrowth();
  return arrival;
}

/** No deletion among them. */
function isRows(values: readonly (Bytes | null)[]): values is readonly Bytes[] {
  return !values.includes(null);
}
