/**
 * Data file writer: streams sorted versions into one file of a storage.
 *
 *   main thread     | encode block 3 | encode block 4 | ...
 *   worker             | compress and seal block 2 | block 3 | ...
 *   storage               | write block 1 | write block 2 | ...
 *
 * The storage pulls: at most IN_FLIGHT_MAX blocks are between encoder and storage, each in one buffer from its first
 * entry to its last stored byte, so memory is bounded however slow the storage is. The file appears whole or not at
 * all (S1 of the port).
 */
import { crc32 } from 'node:zlib';

import type { Executor } from '../base/executor.ts';
import type { Timestamp } from '../base/timestamp.ts';
import type { ExternalStorage } from '../storage/externalStorage.ts';

import { giveBlockBuffer } from './blockBuffers.ts';
import type { VersionRun } from './block.ts';
import { BLOCK_TARGET_BYTES, BlockEncoder } from './block.ts';
import type { FileCipher } from './cipher.ts';
import type { BlockInfo } from './dataFile.ts';
import { encodeFooter, encodeHeader, encodeIndex, footerFacts, HEADER_BYTES } from './dataFile.ts';
import type { StoredBlock } from './frame.ts';
import { crcBytes, FRAME_BYTES, storeBlock } from './frame.ts';

/** One being written, two being compressed: what two cores can use. */
const IN_FLIGHT_MAX = 3;

export interface DataFileOptions {
  readonly executor: Executor;
  /** Undefined for a file that is not encrypted. */
  readonly cipher?: FileCipher | undefined;
  readonly signal?: AbortSignal;
  /** Kept up to date while the file is written: what a source looks at that ends when the file is large enough. */
  readonly progress?: { storedBytes: number };
  /** Raw size at which a block is closed; for tests. */
  readonly blockTargetBytes?: number;
}

export interface WrittenDataFile {
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly entryCount: number;
  readonly tombstoneCount: number;
  readonly dataBytes: number;
}

/** The sum of what blocks told about themselves. */
interface Totals {
  entryCount: number;
  tombstoneCount: number;
  dataBytes: number;
  lowestTime: number;
  highestTime: number;
}

/**
 * Writes `runs`, which continue one another in order, as the file `name`. A failing source or
 * storage, or the signal, rejects and leaves no file. The source cannot be replayed, so a storage
 * error is for the caller to retry with a new source.
 */
export async function writeDataFile(
  storage: ExternalStorage,
  name: string,
  runs: AsyncIterable<VersionRun>,
  options: DataFileOptions,
): Promise<WrittenDataFile> {
  const totals: Totals = { entryCount: 0, tombstoneCount: 0, dataBytes: 0, lowestTime: 0, highestTime: 0 };
  const result = await storage.write(name, encodeFile(runs, options, totals), { signal: options.signal });
  const { entryCount, tombstoneCount, dataBytes } = totals;
  return { ...result, entryCount, tombstoneCount, dataBytes };
}

/** The file's bytes in pieces. `totals` is complete when the last piece has been delivered. */
async function* encodeFile(runs: AsyncIterable<VersionRun>, options: DataFileOptions, totals: Totals): AsyncGenerator<Buffer> {
  const { executor, progress, cipher } = options;
  const isEncrypted = cipher !== undefined;
  const encoder = new BlockEncoder(options.blockTargetBytes ?? BLOCK_TARGET_BYTES);
  const inFlight: Promise<StoredBlock & { info: Omit<BlockInfo, 'offset'>; buffer: Buffer }>[] = [];
  const blocks: BlockInfo[] = [];
  let offset = HEADER_BYTES;
  let blocksCrc = 0;
  let startedCount = 0;

  const startBlock = () => {
    const raw = encoder.take();
    if (totals.entryCount === 0 || raw.lowestTime < totals.lowestTime) totals.lowestTime = raw.lowestTime;
    if (raw.highestTime > totals.highestTime) totals.highestTime = raw.highestTime;
    totals.entryCount += raw.entryCount;
    totals.tombstoneCount += raw.tombstoneCount;
    totals.dataBytes += raw.dataBytes;
    const { entryCount, firstKey, lastKey, buffer, rawSize } = raw;
    const sealing = cipher?.sealing(startedCount++);
    const stored = executor.run('compress backup block', async () => {
      const block = await storeBlock(buffer, rawSize, entryCount, { isInline: executor.isInline, sealing });
      return { ...block, info: { storedSize: block.storedSize, rawSize, entryCount, firstKey, lastKey }, buffer };
    });
    // A failure is thrown where the block is awaited; until then it must not count as unhandled.
    stored.catch(() => {});
    inFlight.push(stored);
  };
  /** Whoever takes a piece is done with it when the next one is asked for. */
  const writeBlock = async function* (): AsyncGenerator<Buffer> {
    const { info, frame, storedSize, crc, buffer } = await (inFlight.shift() as (typeof inFlight)[number]);
    blocks.push({ offset, ...info });
    offset += FRAME_BYTES + storedSize;
    if (progress) progress.storedBytes = offset;
    blocksCrc = crc32(crcBytes(crc), blocksCrc);
    yield frame;
    giveBlockBuffer(buffer);
  };

  try {
    yield encodeHeader(isEncrypted);
    for await (const run of runs) {
      if (executor.shouldYield()) await executor.yield();
      for (let at = 0; at < run.keys.length; ) {
        at = encoder.fill(run, at);
        if (!encoder.isFull) break;
        startBlock();
        if (inFlight.length >= IN_FLIGHT_MAX) yield* writeBlock();
      }
    }
    if (encoder.entryCount > 0) startBlock();
    while (inFlight.length > 0) yield* writeBlock();
  } finally {
    encoder.drop();
    // Nobody writes any more what is under way; a buffer is free when its worker has left it.
    for (const stored of inFlight)
      void stored.then(
        ({ buffer }) => giveBlockBuffer(buffer),
        () => {},
      );
  }

  const footerOf = (indexSize: number) =>
    encodeFooter(
      {
        indexOffset: offset,
        indexSize,
        blockCount: blocks.length,
        entryCount: totals.entryCount,
        tombstoneCount: totals.tombstoneCount,
        dataBytes: totals.dataBytes,
        lowestTime: totals.lowestTime as Timestamp,
        highestTime: totals.highestTime as Timestamp,
        blocksCrc,
      },
      isEncrypted,
    );
  const facts = footerFacts(footerOf(0));
  const content = encodeIndex(blocks);
  const index = await storeBlock(content, content.length, blocks.length, {
    isInline: executor.isInline,
    sealing: cipher?.sealing(blocks.length, facts),
  });
  blocksCrc = crc32(crcBytes(index.crc), blocksCrc);
  yield index.frame;
  yield footerOf(FRAME_BYTES + index.storedSize);
}
