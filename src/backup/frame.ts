/**
 * Frame: how a block is stored: sizes, a count and a checksum in front of one zstd frame, which may be
 * encrypted (the checksum is of what is stored, so it shows accidents to those without a key too); and the
 * compression that documents use. Blocks go to worker threads, except where the executor says inline and for content so small
 * that the way there and back would take longer. Documents stay on the calling thread, which takes several times as long to
 * make JSON of them or to read it; and who has no executor at hand would make a simulation wait for the machine's threads.
 *
 * Lives elsewhere: the bytes of a frame (blockCodec.ts), the threads (blockWorkers.ts). Format: docs/format.md 2.2.
 */
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';

import { giveBlockBuffer, takeBlockBuffer } from './blockBuffers.ts';
import type { OpenedBlock, Sealing } from './blockCodec.ts';
import { CODEC } from './blockCodec.ts';
import { openOnWorker, storeOnWorker } from './blockWorkers.ts';
import type { BlockOpening } from './cipher.ts';
import { notAuthentic } from './cipher.ts';
import type { FilePlace } from './corruption.ts';
import { corruptFile, expectEqual } from './corruption.ts';

export const FRAME_BYTES = 16;
/** A target, one entry and its numbers fit with room to spare. */
export const BLOCK_BYTES_MAX = 64 << 20;

/** The stored form of a block. */
export interface StoredBlock {
  /** Header and stored content. */
  readonly frame: Buffer;
  /** Of the content; without the header. */
  readonly storedSize: number;
  readonly crc: number;
}

/**
 * Stores the first `rawSize` bytes of `buffer`, which is used up: the frame may be in its place. `isInline`: as the
 * executor says. `rawSize` 0 makes the frame of an empty index.
 */
export async function storeBlock(
  buffer: Buffer,
  rawSize: number,
  entryCount: number,
  { isInline = false, sealing }: { readonly isInline?: boolean; readonly sealing?: Sealing | undefined } = {},
): Promise<StoredBlock> {
  const isHere = isInline || rawSize <= INLINE_BYTES_MAX || !(buffer.buffer instanceof SharedArrayBuffer);
  const frame = isHere ? CODEC.store(buffer, rawSize, entryCount, sealing) : await storeOnWorker(buffer, { rawSize, entryCount, sealing });
  return { frame, storedSize: frame.length - FRAME_BYTES, crc: frame.readUInt32LE(12) };
}

export interface FrameHeader {
  readonly storedSize: number;
  readonly rawSize: number;
  readonly entryCount: number;
  readonly crc: number;
}

/** Reads the 16 bytes in front of a block and checks them against the limits. */
export function decodeFrameHeader(header: Buffer, place: FilePlace): FrameHeader {
  if (header.length < FRAME_BYTES) throw corruptFile(place, 'block header', `${FRAME_BYTES} bytes`, header.length);
  const frame = {
    storedSize: header.readUInt32LE(0),
    rawSize: header.readUInt32LE(4),
    entryCount: header.readUInt32LE(8),
    crc: header.readUInt32LE(12),
  };
  if (frame.storedSize > BLOCK_BYTES_MAX)
    throw corruptFile(place, 'stored size of a block', `at most ${BLOCK_BYTES_MAX}`, frame.storedSize);
  if (frame.rawSize > BLOCK_BYTES_MAX) throw corruptFile(place, 'raw size of a block', `at most ${BLOCK_BYTES_MAX}`, frame.rawSize);
  // The smallest entry is four numbers of one byte: an older version of the key before it.
  if (frame.entryCount * 4 > frame.rawSize)
    throw corruptFile(place, 'entry count of a block', `at most ${Math.floor(frame.rawSize / 4)}`, frame.entryCount);
  return frame;
}

/** A block's content, to be released when nobody reads it any more: its memory is used again. */
export interface OpenBlock {
  readonly header: FrameHeader;
  readonly content: Buffer;
  release(): void;
}

/** A block's frame (header and content, nothing else) to its raw content. One at the beginning of a block buffer is opened there. XX001. */
export async function openFrame(frame: Buffer, place: FilePlace, isInline = false, opening?: BlockOpening): Promise<OpenBlock> {
  const header = decodeFrameHeader(frame, place);
  expectEqual(place, 'size of a block', FRAME_BYTES + header.storedSize, frame.length);
  let release = () => {};
  let opened: OpenedBlock;
  if (isInline || header.rawSize <= INLINE_BYTES_MAX) {
    opened = CODEC.open(frame, opening);
  } else {
    const buffer = inBlockBuffer(frame, header.rawSize + 1);
    opened = await openOnWorker(buffer, { frameSize: frame.length, opening });
    release = () => giveBlockBuffer(buffer);
  }
  if ('wrongCrc' in opened) throw corruptFile(place, 'checksum mismatch in a block', hex32(header.crc), hex32(opened.wrongCrc));
  if ('isForeign' in opened) throw notAuthentic(place, `block ${opening?.number} of this file, as it was written`);
  if ('notZstd' in opened) throw corruptFile(place, 'compressed content', 'a zstd frame', opened.notZstd);
  const { content } = opened;
  if (content.length !== header.rawSize) throw corruptFile(place, 'size of decompressed content', header.rawSize, content.length);
  return { header, content, release };
}

/** The block buffer that a frame lies at the beginning of, or one with a copy. */
function inBlockBuffer(frame: Buffer, sizeMin: number): Buffer {
  if (frame.buffer instanceof SharedArrayBuffer && frame.byteOffset === 0 && frame.buffer.byteLength >= sizeMin)
    return Buffer.from(frame.buffer);
  const buffer = takeBlockBuffer(Math.max(frame.length, sizeMin));
  frame.copy(buffer);
  return buffer;
}

export function hex32(value: number): string {
  return value.toString(16).padStart(8, '0');
}

/** Level 1: at about 500 MB/s a core it keeps up with the encoder, and halves typical rows. */
const COMPRESSION_LEVEL = 1;
/** Raw content of a block up to this size is done on the calling thread: it takes a fraction of a millisecond. */
export const INLINE_BYTES_MAX = 1 << 17;

/** A document as one zstd frame with its content size. */
export function compress(raw: Buffer): Buffer {
  // One output chunk that holds the worst case.
  const chunkSize = Math.max(64, raw.length + (raw.length >> 7) + 256);
  return zstdCompressSync(raw, { chunkSize, params: { [constants.ZSTD_c_compressionLevel]: COMPRESSION_LEVEL } });
}

/** The content of a document's zstd frame; XX001 unless it has exactly `rawSize` bytes. */
export function decompress(stored: Buffer, rawSize: number, place: FilePlace): Buffer {
  let content: Buffer;
  try {
    content = zstdDecompressSync(stored, { chunkSize: Math.max(64, rawSize + 1), maxOutputLength: rawSize + 1 });
  } catch (error) {
    throw corruptFile(place, 'compressed content', 'a zstd frame', (error as Error).message, error);
  }
  if (content.length !== rawSize) throw corruptFile(place, 'size of decompressed content', rawSize, content.length);
  return content;
}

/** A CRC as the four bytes that the checksum of checksums covers. */
export function crcBytes(crc: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32LE(crc, 0);
  return bytes;
}
