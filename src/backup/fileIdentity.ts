/**
 * File identity: whether a data file that is read in parts is the one that the manifest names. A whole read ends with
 * the proof of its SHA-256; a partial one compares what footer and index say with what the manifest says, which
 * no other file of a chain agrees with in all: bytes, interval of time, keys.
 */
import { expectEqual } from './corruption.ts';
import { FOOTER_BYTES } from './dataFile.ts';
import type { DataFileReader } from './dataFileReader.ts';
import type { ManifestFile } from './manifest.ts';

/** XX001 unless a file's footer and index fit its entry in the manifest. */
export function requireFile({ name, footer, blocks }: DataFileReader, { parts, sizeBytes }: ManifestFile): void {
  const place = { file: name, offset: sizeBytes - FOOTER_BYTES };
  const start = Math.min(...parts.map(({ startTime }) => startTime));
  const end = Math.max(...parts.map(({ endTime }) => endTime));
  const dataBytes = parts.reduce((sum, part) => sum + part.dataBytes, 0);
  expectEqual(place, 'bytes of keys and values', dataBytes, footer.dataBytes);
  const [first, last] = [blocks[0], blocks.at(-1)];
  if (first === undefined || last === undefined) return;
  if (footer.lowestTime <= start) expectEqual(place, 'lowest timestamp', `one above ${start}`, footer.lowestTime);
  if (footer.highestTime > end) expectEqual(place, 'highest timestamp', `one up to ${end}`, footer.highestTime);
  const isWithin = parts.some(({ span }) => span.key <= first.firstKey) && parts.some(({ span }) => last.lastKey < span.endKey);
  if (!isWithin) expectEqual(place, 'keys', 'those of the spans in the manifest', 'others');
}
