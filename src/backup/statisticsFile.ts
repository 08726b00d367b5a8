/**
 * Statistics file: what was known of the values in a backup's tables, so that a restored table need not be
 * looked through before it can be planned for.
 *
 *   F1  statistics are those made at or before the layer's end, as they stood when it was exported
 *   F2  the file is proved by the digest in the manifest, and sealed as the manifest is: histograms hold values
 *   F3  nothing depends on it: what cannot be read of it costs a restore its statistics, and is said
 *
 * Format: docs/format.md 7. Lives elsewhere: who makes statistics (sql/exec/statistics).
 */
import { createHash } from 'node:crypto';

import type { Timestamp } from '../base/timestamp.ts';
import { readStatistics, type Statistic } from '../catalog/tableStatistics.ts';
import type { KvReader } from '../kv/kv.ts';

import type { LayerCipher } from './cipher.ts';
import { statisticsFileName } from './collection.ts';
import type { CollectionStorage } from './collectionStorage.ts';
import { expectEqual } from './corruption.ts';
import { decodeEnvelope, encodeEnvelope, STATISTICS_MAGIC } from './envelope.ts';
import { JsonFields } from './jsonFields.ts';
import type { Layer, StatisticsFile } from './manifest.ts';

const VERSION = 1;
const FORMAT = 'varve-backup-statistics';

/** What is known of tables at or before a time. */
export async function statisticsOf(reader: KvReader, tableIds: readonly number[], until: Timestamp): Promise<Statistic[]> {
  const statistics: Statistic[] = [];
  for (const id of tableIds) statistics.push(...(await readStatistics(reader, id)).filter(({ createdAt }) => createdAt <= until));
  return statistics;
}

/** Writes a layer's statistics under a name of the job's own; undefined when there are none. Read back by readBackupStatistics(). */
export async function writeStatistics(
  storage: CollectionStorage,
  directory: string,
  statistics: readonly Statistic[],
  by: { readonly jobId: string; readonly claimEpoch: number; readonly cipher: LayerCipher | undefined; readonly signal?: AbortSignal },
): Promise<StatisticsFile | undefined> {
  if (statistics.length === 0) return undefined;
  const path = statisticsFileName(by.jobId, by.claimEpoch);
  const text = JSON.stringify({ format: FORMAT, statistics });
  const bytes = await encodeEnvelope(STATISTICS_MAGIC, VERSION, text, by.cipher?.forDocument(path));
  await storage.write(`${directory}/${path}`, bytes, { signal: by.signal });
  const file = { path, sizeBytes: bytes.length, sha256: sha256(bytes) };
  await readProved(storage, directory, file, by.signal);
  return file;
}

/** The statistics of a layer, none when it has none. 58P01 when the file is missing, XX001 when it is damaged. */
export async function readBackupStatistics(
  storage: CollectionStorage,
  { directory, manifest, cipher }: Layer,
  signal?: AbortSignal,
): Promise<Statistic[]> {
  const { statistics } = manifest;
  if (statistics === undefined) return [];
  const bytes = await readProved(storage, directory, statistics, signal);
  const file = `${directory}/${statistics.path}`;
  const of = { what: 'statistics file', file, cipher: cipher?.cipher, name: statistics.path };
  const fields = JsonFields.parse(await decodeEnvelope(STATISTICS_MAGIC, VERSION, bytes, of), file);
  fields.literal('format', FORMAT);
  return fields.objects('statistics').map(
    (one): Statistic => ({
      tableId: one.integer('tableId'),
      id: one.integer('id'),
      name: one.raw['name'] === undefined ? undefined : one.string('name'),
      columnIds: one.integers('columnIds'),
      createdAt: one.time('createdAt'),
      rowCount: one.integer('rowCount'),
      distinctCount: one.integer('distinctCount'),
      nullCount: one.integer('nullCount'),
      avgSize: one.integer('avgSize'),
      histogram: one.raw['histogram'] === undefined ? undefined : (one.object('histogram').raw as unknown as Statistic['histogram']),
    }),
  );
}

async function readProved(storage: CollectionStorage, directory: string, file: StatisticsFile, signal?: AbortSignal): Promise<Buffer> {
  const name = `${directory}/${file.path}`;
  const bytes = Buffer.from(await storage.read(name, { signal }));
  expectEqual({ file: name, offset: 0 }, 'size', file.sizeBytes, bytes.length);
  expectEqual({ file: name, offset: 0 }, 'SHA-256', file.sha256, sha256(bytes));
  return bytes;
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
