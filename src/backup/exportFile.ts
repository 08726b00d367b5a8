/**
 * Export file: a worker's step: versions of some units of work into one data file.
 *
 *   E1  a unit lies in one index and one range, so its node is known and what it counts too
 *   E2  the main thread is never held longer than one piece takes; between pieces the worker's node
 *       and the signal are looked at
 *   E3  a file ends between two keys, never inside one: what is left of a unit starts at a key
 */
import { StateError, StorageError } from '../base/errors.ts';
import type { Executor } from '../base/executor.ts';
import { indexPrefix } from '../base/keycode.ts';
import { prefixSpan, type Span } from '../base/span.ts';
import { SqlState } from '../base/sqlState.ts';
import { hasTestFault } from '../base/testFaults.ts';
import { MIN_TIMESTAMP, type Timestamp } from '../base/timestamp.ts';
import { PRIMARY_INDEX_ID } from '../catalog/descriptor.ts';
import { indexOfKey } from '../kv/indexOfKey.ts';
import type { ExportPiece, ExportResume, Kv } from '../kv/kv.ts';
import type { ExternalStorage } from '../storage/externalStorage.ts';

import { engineReads } from './backupMetrics.ts';
import type { FileCipher } from './cipher.ts';
import { writeDataFile } from './dataFileWriter.ts';
import type { EntryCounts, ManifestFile, ManifestFilePart, SpanInterval } from './manifest.ts';
import { NO_ENTRIES } from './manifest.ts';
import { FingerprintBuilder } from './partFingerprint.ts';

/** About a millisecond of walking and encoding, a few where rows lie scattered on the heap. */
const PIECE_BYTES = 1 << 17;
/** The last byte of a row's first key: column family 0. */
const FAMILY_ZERO = 0x88;

/** A span of one range of one index, over (startTime, endTime]. */
export type ExportUnit = SpanInterval;

export interface ExportFileOptions {
  readonly kv: Kv;
  readonly executor: Executor;
  readonly storage: ExternalStorage;
  /** Within the collection. */
  readonly name: string;
  /** Undefined: not encrypted. */
  readonly cipher?: FileCipher | undefined;
  readonly allVersions: boolean;
  /** The layer claims history from here on; undefined when it claims only its end. */
  readonly historyFrom?: Timestamp | undefined;
  /** Tables that were not there before a later time than that. */
  readonly lateTables?: ReadonlyMap<number, Timestamp> | undefined;
  /** The file ends at the first key after this much is stored. */
  readonly targetBytes: number;
  /** False once the worker's node is gone: its work is thrown away. */
  readonly isAlive: () => boolean;
  readonly signal: AbortSignal;
  /** Sizes of pieces and blocks; for tests. */
  readonly pieceBytes?: number;
  readonly blockTargetBytes?: number;
}

export interface ExportedFile {
  /** Undefined when there was nothing to store. */
  readonly file: Omit<ManifestFile, 'path' | 'locality'> | undefined;
  readonly emptySpans: readonly SpanInterval[];
  /** Units, and the rest of one, that a next file takes up; in key order. */
  readonly rest: readonly ExportUnit[];
}

/**
 * Throws 72000 when data that the unit is to bring may have been collected by now. A job's protection holds its
 * tables, except those that are excluded from backups meanwhile.
 */
export function checkNothingIsGone(
  kv: Kv,
  { span, startTime, endTime }: ExportUnit,
  historyFrom: Timestamp | undefined,
  lateTables: ReadonlyMap<number, Timestamp> = new Map(),
): void {
  const from = startTime > MIN_TIMESTAMP ? startTime : (historyFrom ?? endTime);
  // Spans of neighbouring indexes may have been merged: each ends where the next one begins.
  for (let key = span.key; key < span.endKey; ) {
    const { tableId, indexId } = indexOfKey(key);
    kv.gc.thresholds.check(tableId, Math.max(from, lateTables.get(tableId) ?? MIN_TIMESTAMP) as Timestamp, indexId);
    key = prefixSpan(indexPrefix(tableId, indexId)).endKey;
  }
}

/** The worker's node stopped: its units are for another. */
export class WorkerLostError extends StateError {
  constructor() {
    super(SqlState.AdminShutdown, 'the node that exported has stopped');
  }
}

/** Exports units, given in key order, until the file is large enough or they are done. */
export async function exportFile(units: readonly ExportUnit[], options: ExportFileOptions): Promise<ExportedFile> {
  const walk = new Walk(units, options);
  const pieces = walk.pieces();
  const first = await pieces.next();
  if (first.done) return { file: undefined, emptySpans: walk.emptySpans, rest: walk.rest };
  async function* all(): AsyncGenerator<ExportPiece> {
    yield first.value as ExportPiece;
    yield* pieces;
  }
  const { executor, cipher, signal, blockTargetBytes } = options;
  const written = await writeDataFile(options.storage, options.name, all(), {
    executor,
    cipher,
    signal,
    blockTargetBytes,
    progress: walk.progress,
  }).catch((error: unknown) => {
    if (hasTestFault('a151050') && error instanceof StorageError) return undefined;
    throw error;
  });
  if (written === undefined) return { file: undefined, emptySpans: units, rest: [] };
  return {
    file: { sizeBytes: written.sizeBytes, sha256: written.sha256, parts: walk.parts },
    emptySpans: walk.emptySpans,
    rest: walk.rest,
  };
}

class Walk {
  readonly parts: ManifestFilePart[] = [];
  readonly emptySpans: SpanInterval[] = [];
  readonly progress = { storedBytes: 0 };
  rest: readonly ExportUnit[];
  readonly #options: ExportFileOptions;

  constructor(units: readonly ExportUnit[], options: ExportFileOptions) {
    this.rest = units;
    this.#options = options;
  }

  /** Pieces with something in them, in order. */
  async *pieces(): AsyncGenerator<ExportPiece> {
    const { kv, allVersions, historyFrom, lateTables, targetBytes, isAlive, signal, pieceBytes: maxBytes = PIECE_BYTES } = this.#options;
    const reads = engineReads(kv.metrics);
    for (let unit = this.rest[0]; unit !== undefined; unit = this.rest[0]) {
      const { span, startTime, endTime } = unit;
      const counter = new EntryCounter(span);
      const fingerprint = new FingerprintBuilder({ prefixLength: indexOfKey(span.key).length, endTime, historyFrom });
      let resume: ExportResume | undefined;
      do {
        signal.throwIfAborted();
        if (!isAlive()) throw new WorkerLostError();
        const piece: ExportPiece = await kv.exportSpan(span, startTime, endTime, { allVersions, maxBytes, resume, withReplaced: true });
        checkNothingIsGone(kv, unit, historyFrom, lateTables);
        resume = piece.resume;
        reads.add(piece.bytes);
        counter.add(piece);
        fingerprint.add(piece);
        if (piece.keys.length > 0) yield piece;
        const isFull = this.progress.storedBytes >= targetBytes;
        if (isFull && resume !== undefined && resume.below === undefined && resume.key < span.endKey && resume.key > span.key) {
          this.#endPart(unit, { key: span.key, endKey: resume.key }, counter, fingerprint);
          this.rest = [{ ...unit, span: { key: resume.key, endKey: span.endKey } }, ...this.rest.slice(1)];
          return;
        }
      } while (resume !== undefined);
      this.#endPart(unit, span, counter, fingerprint);
      this.rest = this.rest.slice(1);
      if (this.progress.storedBytes >= targetBytes) return;
    }
  }

  #endPart({ startTime, endTime }: ExportUnit, span: Span, { counts }: EntryCounter, { fingerprint }: FingerprintBuilder): void {
    const { isEmpty, ...entries } = counts;
    if (isEmpty) this.emptySpans.push({ span, startTime, endTime });
    else this.parts.push({ span, startTime, endTime, ...entries, fingerprint });
  }
}

/** Counts what is stored of one index: rows in the primary one, entries in the others; deletions in neither. */
export class EntryCounter {
  readonly #isPrimary: boolean;
  #rowCount = 0;
  #versionCount = 0;
  #dataBytes = 0;

  constructor(span: Span) {
    this.#isPrimary = indexOfKey(span.key).indexId === PRIMARY_INDEX_ID;
  }

  add({ keys, values, bytes }: Pick<ExportPiece, 'keys' | 'values' | 'bytes'>): void {
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i]!;
      // A row has a key for each column family that it uses, and always one for family 0.
      if (values[i] !== null && (!this.#isPrimary || key.charCodeAt(key.length - 1) === FAMILY_ZERO)) this.#rowCount++;
    }
    this.#versionCount += keys.length;
    this.#dataBytes += bytes;
  }

  get counts(): EntryCounts & { readonly isEmpty: boolean } {
    const rows = this.#isPrimary ? this.#rowCount : 0;
    return { ...NO_ENTRIES, rows, indexEntries: this.#rowCount - rows, dataBytes: this.#dataBytes, isEmpty: this.#versionCount === 0 };
  }
}
