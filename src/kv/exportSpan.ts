/**
 * exportSpan: one piece of the versions in (start, end], across stores, inside the readable window.
 *
 * An incremental start must lie above every touched table's threshold; a full export (start 0) is
 * a read at `end`. With all versions a full export gives, for each key, what a reader of the window
 * can see: the versions above the threshold and the one value that stood at it, whether or not GC
 * has taken the rest yet.
 */
import type { Span } from '../base/span.ts';
import { intersectSpans } from '../base/span.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { MIN_TIMESTAMP } from '../base/timestamp.ts';
import type { ExportCursor } from '../mvcc/export.ts';
import { VersionBatch } from '../mvcc/versionBatch.ts';
import type { KvCore } from './core.ts';
import type { ExportOptions, ExportPiece, ExportResume } from './kv.ts';
import { checkReadable } from './snapshotReads.ts';

/** An export under way: passing back the very resume object goes on without gathering the changed keys again. */
interface Continuation {
  readonly cursor: ExportCursor;
  readonly endKey: string;
  readonly start: Timestamp;
  readonly end: Timestamp;
  readonly allVersions: boolean;
}
const continuations = new WeakMap<ExportResume, Continuation>();

/** Synchronous: thresholds are checked and the piece is cut in one step. */
export function exportPiece(core: KvCore, span: Span, start: Timestamp, end: Timestamp, options: ExportOptions): ExportPiece {
  const { allVersions, maxBytes, resume, unchecked = false } = options;
  if (!unchecked) checkReadable(core, span, start > MIN_TIMESTAMP ? start : end);
  const out = new VersionBatch();
  let next: ExportResume | undefined = resume ?? { key: span.key };
  while (next !== undefined && next.key < span.endKey) {
    const entry = core.keyspace.firstIn({ key: next.key, endKey: span.endKey });
    if (entry === undefined) break;
    const part = intersectSpans(entry.span, span) as Span;
    const from: ExportResume = next.key > part.key ? next : next.key === part.key ? next : { key: part.key };
    const cursor = continueWith(from, part, start, end, allVersions) ?? openCursor();
    const left = maxBytes - out.bytes;
    const reached = cursor.next(out, Math.max(1, left));
    if (reached === undefined) {
      next = part.endKey < span.endKey ? { key: part.endKey } : undefined;
      if (out.bytes >= maxBytes) break;
      continue;
    }
    next = reached.before === undefined ? { key: reached.key } : { key: reached.key, below: reached.before };
    continuations.set(next, { cursor, endKey: part.endKey, start, end, allVersions });
    break;

    function openCursor(): ExportCursor {
      const { key, below } = from;
      return (entry as NonNullable<typeof entry>).store.openExport(part, start, end, {
        allVersions,
        resume: below === undefined ? { key } : { key, before: below },
      });
    }
  }
  if (next !== undefined && next.key >= span.endKey) next = undefined;
  const piece = allVersions && start === MIN_TIMESTAMP && !unchecked ? dropUnreadable(core, out, resume) : out;
  return { keys: piece.keys, timestamps: piece.timestamps, values: piece.values, bytes: piece.bytes, resume: next };
}

function continueWith(resume: ExportResume, part: Span, start: Timestamp, end: Timestamp, allVersions: boolean): ExportCursor | undefined {
  const found = continuations.get(resume);
  if (found === undefined) return undefined;
  const isSame = found.endKey === part.endKey && found.start === start && found.end === end && found.allVersions === allVersions;
  return isSame ? found.cursor : undefined;
}

/** Keeps the versions above the table's threshold and, of each key, the newest at or below it unless that is a tombstone. */
function dropUnreadable(core: KvCore, batch: VersionBatch, resume: ExportResume | undefined): VersionBatch {
  const kept = new VersionBatch();
  let key = resume?.below === undefined ? undefined : resume.key;
  let threshold = MIN_TIMESTAMP;
  let hasBase = false;
  for (let i = 0; i < batch.length; i++) {
    const nextKey = batch.keys[i] as typeof key & string;
    const ts = batch.timestamps[i] as Timestamp;
    const value = batch.values[i] ?? null;
    const isNew = nextKey !== key;
    if (isNew || i === 0) {
      const entry = core.keyspace.find(nextKey);
      threshold = entry === undefined ? MIN_TIMESTAMP : core.gc.thresholds.of(entry.tableId);
      // The piece before may have delivered this key's base already.
      hasBase = !isNew && resume?.below !== undefined && resume.below <= threshold;
      key = nextKey;
    }
    if (ts > threshold) {
      kept.push(nextKey, ts, value);
    } else if (!hasBase) {
      hasBase = true;
      if (value !== null) kept.push(nextKey, ts, value);
    }
  }
  return kept;
}
