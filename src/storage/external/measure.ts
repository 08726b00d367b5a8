/**
 * Measure: how fast a location takes and gives, by a file that is written, read back and deleted. What CHECK EXTERNAL
 * CONNECTION shows, a row for each run.
 *
 * The content is one random piece over and over: nothing is kept but that piece, whatever the size, and what comes back
 * is compared byte by byte.
 */
import type { Clock } from '../../base/clock.ts';
import { isVarveError, StorageError } from '../../base/errors.ts';
import type { Random } from '../../base/random.ts';
import { SqlState } from '../../base/sqlState.ts';
import { toBuffer } from '../../base/bytes.ts';

import type { ExternalStorage } from '../externalStorage.ts';

const PIECE_BYTES = 32 * 1024;

export interface MeasureOptions {
  readonly sizeBytes: number;
  /** Goes on until so much time has passed; a file is always finished. */
  readonly minMicros: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly signal?: AbortSignal;
}

/** Totals over all files of a run. `error`: '' when all went well. */
export interface Measured {
  readonly isOk: boolean;
  readonly error: string;
  readonly writtenBytes: number;
  readonly writeMicros: number;
  readonly readBytes: number;
  readonly readMicros: number;
  readonly canDelete: boolean;
}

/** Never throws but for the signal: what failed is part of the result. A location that cannot delete is no failure. */
export async function measureStorage(open: () => ExternalStorage, options: MeasureOptions): Promise<Measured> {
  const { clock, minMicros, signal } = options;
  let total: Measured = { isOk: false, error: '', writtenBytes: 0, writeMicros: 0, readBytes: 0, readMicros: 0, canDelete: false };
  const started = clock.nowMicros();
  do {
    signal?.throwIfAborted();
    try {
      const storage = open();
      try {
        total = await measureFile(storage, options, total);
      } finally {
        await storage.close();
      }
    } catch (error) {
      signal?.throwIfAborted();
      total = { ...total, isOk: false, error: textOf(error) };
    }
  } while (total.isOk && clock.nowMicros() - started < minMicros);
  return total;
}

async function measureFile(storage: ExternalStorage, options: MeasureOptions, before: Measured): Promise<Measured> {
  const { clock, random, signal } = options;
  const name = `varve-storage-test-${random.nextUint32().toString(16).padStart(8, '0')}${random.nextUint32().toString(16).padStart(8, '0')}`;
  const piece = toBuffer(random.bytes(Math.min(PIECE_BYTES, Math.max(1, options.sizeBytes))));
  const writing = clock.nowMicros();
  const { sizeBytes } = await storage.write(name, repeated(piece, options.sizeBytes), { signal });
  const reading = clock.nowMicros();
  const writeMicros = before.writeMicros + (reading - writing);
  let readBytes = 0;
  let error = '';
  try {
    for await (const part of storage.readStream(name, { signal })) {
      checkPart(storage, name, piece, part, readBytes);
      readBytes += part.length;
    }
    if (readBytes !== sizeBytes) throw changed(storage, name, `${sizeBytes} bytes were written, ${readBytes} came back`);
  } catch (failure) {
    signal?.throwIfAborted();
    error = textOf(failure);
  }
  const readMicros = before.readMicros + (clock.nowMicros() - reading);
  const canDelete = await canRemove(storage, name);
  return {
    isOk: error === '',
    error,
    writtenBytes: before.writtenBytes + sizeBytes,
    writeMicros,
    readBytes: before.readBytes + readBytes,
    readMicros,
    canDelete,
  };
}

async function canRemove(storage: ExternalStorage, name: string): Promise<boolean> {
  if (!storage.capabilities.delete) return false;
  try {
    await storage.delete(name);
    return true;
  } catch (error) {
    if (isVarveError(error)) return false;
    throw error;
  }
}

async function* repeated(piece: Buffer, sizeBytes: number): AsyncGenerator<Uint8Array> {
  for (let left = sizeBytes; left > 0; left -= piece.length) yield left < piece.length ? piece.subarray(0, left) : piece;
}

/** `offset`: where in the file the part begins. */
function checkPart(storage: ExternalStorage, name: string, piece: Buffer, part: Uint8Array, offset: number): void {
  for (let at = 0; at < part.length; ) {
    const from = (offset + at) % piece.length;
    const length = Math.min(piece.length - from, part.length - at);
    if (piece.compare(part, at, at + length, from, from + length) !== 0) throw changed(storage, name, `from byte ${offset + at} on`);
    at += length;
  }
}

function changed(storage: ExternalStorage, name: string, detail: string): StorageError {
  const redactedUri = String(storage.uri);
  return new StorageError(
    SqlState.IoError,
    `file "${name}" in "${redactedUri}" came back with another content than was written: ${detail}`,
    {
      operation: 'read',
      redactedUri,
    },
  );
}

/** Of errors that are not ours nothing is known of what they quote. */
function textOf(error: unknown): string {
  return isVarveError(error) ? error.message : `internal error: ${(error as Error)?.name ?? 'unknown'}`;
}
