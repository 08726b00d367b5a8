/**
 * Overlay: a transaction's own buffered writes merged over the snapshot it reads, in key order,
 * forward or reverse. A buffered value hides the stored one, a buffered delete removes the row.
 */
import type { Bytes } from '../base/bytes.ts';
import type { Span } from '../base/span.ts';
import { nextKey } from '../base/span.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { MIN_TIMESTAMP } from '../base/timestamp.ts';
import type { KvCore } from './core.ts';
import type { ScanOptions, ScanResult } from './kv.ts';
import { scanSnapshot } from './snapshotReads.ts';
import type { WriteBuffer } from './writeBuffer.ts';

/** The scan's result, and the part of the span that it really looked at. */
export interface OverlayScan extends ScanResult {
  readonly extent: Span;
}

/** Scans `span` at `ts` as the owner of `buffer` sees it. */
export async function scanOverlay(
  core: KvCore,
  buffer: WriteBuffer,
  span: Span,
  ts: Timestamp,
  options: ScanOptions,
): Promise<OverlayScan> {
  const { limit = Number.POSITIVE_INFINITY, maxBytes = Number.POSITIVE_INFINITY, reverse = false } = options;
  const out: ScanResult & { resume: undefined } = { keys: [], values: [], timestamps: [], resume: undefined };
  let bytes = 0;
  /** Takes a row; true when the scan is full. */
  const take = (key: Bytes, value: Bytes, rowTs: Timestamp): boolean => {
    out.keys.push(key);
    out.values.push(value);
    out.timestamps.push(rowTs);
    bytes += key.length + value.length;
    return out.keys.length >= limit || bytes >= maxBytes;
  };
  const stoppedAt = (resume: Bytes): OverlayScan => ({
    ...out,
    resume: isEmpty(span, resume, reverse) ? undefined : resume,
    extent: reverse ? { key: resume, endKey: span.endKey } : { key: span.key, endKey: resume },
  });

  let rest = span;
  while (rest.key < rest.endKey) {
    if (limit <= out.keys.length || maxBytes <= bytes) return stoppedAt(reverse ? rest.endKey : rest.key);
    const { rows, resume } = await scanSnapshot(core, rest, ts, { limit: limit - out.keys.length, maxBytes: maxBytes - bytes, reverse });
    // What the snapshot answered for, and the own writes in it.
    const covered = resume === undefined ? rest : reverse ? { key: resume, endKey: rest.endKey } : { key: rest.key, endKey: resume };
    const own = buffer.keysIn(covered);
    let i = 0;
    let j = reverse ? own.length - 1 : 0;
    while (i < rows.length || (j >= 0 && j < own.length)) {
      const stored = rows.keys[i];
      const written = own[j];
      const takeOwn = stored === undefined || (written !== undefined && (reverse ? written >= stored : written <= stored));
      const key = (takeOwn ? written : stored) as Bytes;
      let full = false;
      if (takeOwn) {
        if (written === stored) i++;
        j += reverse ? -1 : 1;
        const value = buffer.get(key);
        if (value !== null && value !== undefined) full = take(key, value, MIN_TIMESTAMP);
      } else {
        full = take(key, rows.values[i] as Bytes, rows.timestamps[i] as Timestamp);
        i++;
      }
      if (full) return stoppedAt(reverse ? key : nextKey(key));
    }
    rest = reverse ? { key: rest.key, endKey: covered.key } : { key: covered.endKey, endKey: rest.endKey };
  }
  return { ...out, extent: span };
}

function isEmpty(span: Span, resume: Bytes, reverse: boolean): boolean {
  return reverse ? resume <= span.key : resume >= span.endKey;
}
