/**
 * exportSpan: one piece of the versions in (start, end], across stores, inside the readable window.
 *
 * An incremental start must lie above every touched index's threshold; a full export (start 0) is
 * a read at `end`. With all versions a full export gives, for each key, what a reader of the window
 * can see: the versions above the threshold and the one value that stood at it, whether or not GC
 * has taken the rest yet.
 */
import type { Bytes } from '../base/bytes.ts';
import type { Span } from '../base/span.ts';
import { intersectSpans } from '../base/span.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { MIN_TIMESTAMP } from '../base/timestamp.ts';
import type { ExportCursor } from '../mvcc/export.ts';
import { VersionBatch } from '../mvcc/versionBatch.ts';
import type { KvCore } from './core.ts';
import type { IndexStore } from './keyspace.ts';
import type { ExportOptions, ExportPiece, ExportResume } from './kv.ts';
import { checkReadable } from './snapshotReads.ts';

/** What a cursor delivers: the rest of `part` in (start, end]. */
interface Interval {
  /** Which store: a resume point may be taken to a fork. */
  readonly entry: IndexStore;
  readonly part: Span;
  readonly start: Timestamp;
  readonly end: Timestamp;
  readonly allVersions: boolean;
}

/** Cursors under way: who passes back the very resume object goes on without gathering the changed keys again. */
const continuations = new WeakMap<ExportResume, { readonly cursor: ExportCursor; readonly interval: Interval }>();

/** Synchronous: thresholds are checked and the piece is cut in one step. */
export function exportPiece(core: KvCore, span: Span, start: Timestamp, end: Timestamp, options: ExportOptions): ExportPiece {
  const { allVersions, maxBytes, unchecked = false, withReplaced = false } = options;
  if (!unchecked) checkReadable(core, span, start > MIN_TIMESTAMP ? start : end);
  const out = new VersionBatch({ withReplaced });
  let from: ExportResume | undefined = options.resume ?? { key: span.key };
  while (from !== undefined && from.key < span.endKey && out.bytes < maxBytes) {
    const entry = core.keyspace.firstIn({ key: from.key, endKey: span.endKey });
    const part = entry && intersectSpans(entry.span, span);
    if (entry === undefined || part === undefined) {
      from = undefined;
      break;
    }
    const interval: Interval = { entry, part, start, end, allVersions };
    const cursor = cursorAt(from.key < part.key ? { key: part.key } : from, interval);
    const reached = cursor.next(out, maxBytes - out.bytes);
    if (reached === undefined) {
      from = { key: part.endKey };
    } else {
      from = reached.before === undefined ? { key: reached.key } : { key: reached.key, below: reached.before };
      continuations.set(from, { cursor, interval });
      break;
    }
  }
  if (from !== undefined && from.key >= span.endKey) from = undefined;
  const piece = allVersions && start === MIN_TIMESTAMP && !unchecked ? dropUnreadable(core, out, options.resume) : out;
  const { keys, timestamps, values, replaced, bytes } = piece;
  return { keys, timestamps, values, replaced, bytes, resume: from };
}

function cursorAt(from: ExportResume, interval: Interval): ExportCursor {
  const { entry, part, start, end, allVersions } = interval;
  const found = continuations.get(from);
  if (found !== undefined) {
    const known = found.interval;
    const isSamePart = known.entry === entry && known.part.endKey === part.endKey;
    const isSame = isSamePart && known.start === start && known.end === end && known.allVersions === allVersions;
    // A resume object that was used before has a cursor that has moved on.
    const stands = found.cursor.resumePoint;
    if (isSame && stands?.key === from.key && stands.before === from.below) return found.cursor;
  }
  const resume = from.below === undefined ? { key: from.key } : { key: from.key, before: from.below };
  return entry.store.openExport(part, start, end, { allVersions, resume });
}

/** Keeps the versions above the index's threshold and, of each key, the newest at or below it unless that is a tombstone. */
function dropUnreadable(core: KvCore, batch: VersionBatch, resume: ExportResume | undefined): VersionBatch {
  const kept = new VersionBatch({ withReplaced: batch.replaced !== undefined });
  let key: Bytes | undefined;
  let threshold = MIN_TIMESTAMP;
  let baseSeen = false;
  for (let i = 0; i < batch.length; i++) {
    const rowKey = batch.keys[i] as Bytes;
    const ts = batch.timestamps[i] as Timestamp;
    const value = batch.values[i] ?? null;
    if (rowKey !== key) {
      key = rowKey;
      const entry = core.keyspace.find(key);
      threshold = entry === undefined ? MIN_TIMESTAMP : core.gc.thresholds.of(entry.tableId, entry.indexId);
      // A piece that starts inside a key follows one that has delivered the version at `below`.
      baseSeen = resume?.key === key && resume.below !== undefined && resume.below <= threshold;
    }
    if (ts > threshold) {
      kept.pushReplacing(key, ts, value, batch.replaced?.[i] ?? null);
    } else if (!baseSeen) {
      baseSeen = true;
      // What it replaced cannot be read any more.
      if (value !== null) kept.pushReplacing(key, ts, value, null);
    }
  }
  return kept;
}
