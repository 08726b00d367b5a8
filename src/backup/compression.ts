/**
 * Compression of blocks and documents: zstd level 1, on the thread pool through the executor, and
 * on the spot where the executor is the simulator's, so that a run stays the same every time.
 */
import { promisify } from 'node:util';
import {
  constants,
  zstdCompress as zstdCompressCallback,
  zstdCompressSync,
  zstdDecompress as zstdDecompressCallback,
  zstdDecompressSync,
} from 'node:zlib';

import { type Executor, InlineExecutor } from '../base/executor.ts';

const zstdCompress = promisify(zstdCompressCallback);
const zstdDecompress = promisify(zstdDecompressCallback);

const LEVEL = 1;

/** A zstd frame of `raw`. Holds on to `raw` until it resolves. */
export function compress(executor: Executor, raw: Buffer): Promise<Buffer> {
  const options = {
    params: { [constants.ZSTD_c_compressionLevel]: LEVEL },
    // Room for the worst case, so that the result is one piece: Node's default makes one of every 16 KiB.
    chunkSize: raw.length + (raw.length >>> 7) + 1024,
  };
  return executor.run('compress', () => (executor instanceof InlineExecutor ? zstdCompressSync(raw, options) : zstdCompress(raw, options)));
}

/**
 * The content of a zstd frame that should hold exactly `rawLength` bytes; undefined when `stored` is
 * no such frame. Never makes more than `rawLength` bytes, whatever the frame says.
 */
export async function decompress(executor: Executor, stored: Buffer, rawLength: number): Promise<Buffer | undefined> {
  const options = { maxOutputLength: Math.max(1, rawLength), chunkSize: Math.max(64, rawLength) };
  try {
    const raw = await executor.run('decompress', () =>
      executor instanceof InlineExecutor ? zstdDecompressSync(stored, options) : zstdDecompress(stored, options),
    );
    return raw.length === rawLength ? raw : undefined;
  } catch {
    // Whatever zstd finds wrong, the caller says which file and where.
    return undefined;
  }
}
