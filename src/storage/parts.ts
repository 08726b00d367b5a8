/**
 * Parts: a stream of any length cut into pieces that are sent one by one, as clouds take large files. Memory is
 * bounded by the parts on their way, plus the one that is being made.
 *
 * Parts grow with their number, so that the most parts a cloud takes hold the largest file it takes.
 */
import { createHash } from 'node:crypto';

import type { WriteResult, WriteSource } from './externalStorage.ts';
import { lentChunksOf } from './names.ts';

const PART_BYTES_MIN = 8 << 20;
/** Parts of one size, before the size doubles: sizes of 8 MiB to 4 GiB. */
const PARTS_OF_A_SIZE = 1000;

/** Chunks on their way into parts; each byte is copied once, or twice in a file of less than a part. */
export class PartBuffer {
  readonly #full: Uint8Array[] = [];
  #part: Buffer = Buffer.alloc(0);
  #bytes = 0;
  #made = 0;
  readonly #firstBytes: number;

  constructor(firstBytes: number = PART_BYTES_MIN) {
    this.#firstBytes = firstBytes;
  }

  /** Keeps a copy: the caller may use its buffer again. */
  add(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) {
      const size = this.#firstBytes * 2 ** Math.floor(this.#made / PARTS_OF_A_SIZE);
      if (this.#bytes === size) {
        this.#full.push(this.#part);
        this.#part = Buffer.alloc(0);
        this.#bytes = 0;
        this.#made++;
        continue;
      }
      const piece = chunk.subarray(at, at + size - this.#bytes);
      this.#makeRoom(this.#bytes + piece.length, size);
      this.#part.set(piece, this.#bytes);
      this.#bytes += piece.length;
      at += piece.length;
    }
  }

  /** Whether there is more than one part takes. */
  get isOverfull(): boolean {
    return this.#full.length > 0;
  }

  /** Parts that are full, but for one that may be the last. */
  *whole(): Generator<Uint8Array> {
    for (let part = this.#full.shift(); part !== undefined; part = this.#full.shift()) yield part;
  }

  /** What is left. */
  rest(): Uint8Array {
    const rest = this.#part.subarray(0, this.#bytes);
    this.#part = Buffer.alloc(0);
    this.#bytes = 0;
    return rest;
  }

  /** The first part grows to its size, for most files are less; others begin with theirs. */
  #makeRoom(bytes: number, size: number): void {
    if (this.#part.length >= bytes) return;
    const grown = Buffer.allocUnsafeSlow(this.#made > 0 ? size : Math.min(size, Math.max(bytes, 2 * this.#part.length)));
    grown.set(this.#part.subarray(0, this.#bytes));
    this.#part = grown;
  }
}

/**
 * Stores a source: what fits in one part goes to `whole`, in one call; only more is worth an upload of `parts`, which are
 * made as they are taken.
 */
export async function writeInParts(
  source: WriteSource,
  signal: AbortSignal | undefined,
  whole: (content: Uint8Array) => Promise<void>,
  parts: (parts: AsyncIterable<Uint8Array>) => Promise<void>,
  partBytes?: number,
): Promise<WriteResult> {
  const hash = createHash('sha256');
  const buffer = new PartBuffer(partBytes);
  // Lent: the buffer keeps a copy of each before the next one is asked for.
  const chunks = lentChunksOf(source, signal);
  let sizeBytes = 0;
  const take = (chunk: Uint8Array) => {
    hash.update(chunk);
    sizeBytes += chunk.length;
    buffer.add(chunk);
  };
  async function* all(): AsyncGenerator<Uint8Array> {
    yield* buffer.whole();
    for await (const chunk of chunks) {
      take(chunk);
      yield* buffer.whole();
    }
    const rest = buffer.rest();
    if (rest.length > 0) yield rest;
  }
  for (let next = await chunks.next(); ; next = await chunks.next()) {
    if (next.done) {
      await whole(buffer.rest());
      break;
    }
    take(next.value);
    if (!buffer.isOverfull) continue;
    await parts(all());
    break;
  }
  return { sizeBytes, sha256: hash.digest('hex') };
}

/**
 * Sends each part with its number from 0, `inFlightMax` at once, and resolves with what `send` did, in order. Rejects
 * with the first failure, and only when nothing is on its way any more.
 */
export async function sendParts<T>(
  parts: AsyncIterable<Uint8Array>,
  inFlightMax: number,
  send: (part: Uint8Array, index: number) => Promise<T>,
): Promise<T[]> {
  const sent: Promise<T>[] = [];
  const inFlight = new Set<Promise<unknown>>();
  let failed: { error: unknown } | undefined;
  try {
    for await (const part of parts) {
      // The next part is made while these are on their way.
      if (inFlight.size >= inFlightMax) await Promise.race(inFlight);
      if (failed) throw failed.error;
      const sending = send(part, sent.length);
      sent.push(sending);
      const settled: Promise<unknown> = sending
        .catch((error: unknown) => {
          failed ??= { error };
        })
        .finally(() => inFlight.delete(settled));
      inFlight.add(settled);
    }
  } finally {
    await Promise.all(inFlight);
  }
  return await Promise.all(sent);
}

/** The same bytes as a Buffer. */
export function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
