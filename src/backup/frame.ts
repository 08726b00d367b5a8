/**
 * Frame: how a block is stored: sizes, a count and a checksum in front of one zstd frame, which may be
 * encrypted (the checksum is of what is stored, so it shows accidents to those without a key too); and the
 * compression that documents use. It runs on the thread pool, except where the executor says inline and for
 * content so small that the way there and back would take longer.
 *
 * Format: docs/format.md 2.2.
 */
import type { ZstdOptions } from 'node:zlib';
import { constants, crc32, zstdCompress, zstdCompressSync, zstdDecompress, zstdDecompressSync } from 'node:zlib';

import type { Seal } from './cipher.ts';
import type { FilePlace } from './corruption.ts';
import { corruptFile, expectEqual } from './corruption.ts';

export const FRAME_BYTES = 16;
/** A target, one entry and its numbers fit with room to spare. */
export const BLOCK_BYTES_MAX = 64 << 20;

/** The stored form of a block. */
export interface StoredBlock {
  /** Its frame's header and the stored content, to be written one after the other. */
  readonly pieces: readonly Buffer[];
  /** Of the content; without the header. */
  readonly storedSize: number;
  readonly crc: number;
}

/** Encrypts content in place; undefined leaves it plain. */
export type SealContent = ((content: Buffer) => Seal) | undefined;
/** Decrypts stored content. */
export type OpenContent = ((stored: Buffer) => Buffer) | undefined;

/** `isInline`: as the executor says. `rawSize` 0 makes the frame of an empty index. */
export async function storeBlock(raw: Buffer, entryCount: number, isInline = false, seal?: SealContent): Promise<StoredBlock> {
  const content = await compress(raw, isInline);
  const sealed = seal?.(content);
  const stored = sealed === undefined ? [content] : [sealed.nonce, content, sealed.tag];
  const storedSize = stored.reduce((size, piece) => size + piece.length, 0);
  const header = Buffer.allocUnsafe(FRAME_BYTES);
  header.writeUInt32LE(storedSize, 0);
  header.writeUInt32LE(raw.length, 4);
  header.writeUInt32LE(entryCount, 8);
  const crc = stored.reduce((sum, piece) => crc32(piece, sum), crc32(header.subarray(0, 12)));
  header.writeUInt32LE(crc, 12);
  // Small pieces in one: each is a write.
  const pieces = sealed === undefined ? [header, content] : [Buffer.concat([header, sealed.nonce]), content, sealed.tag];
  return { pieces, storedSize, crc };
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

/** A block's frame (header and content, nothing else) to its raw content. */
export async function openFrame(
  frame: Buffer,
  place: FilePlace,
  isInline = false,
  open?: OpenContent,
): Promise<{ header: FrameHeader; content: Buffer }> {
  const header = decodeFrameHeader(frame, place);
  expectEqual(place, 'size of a block', FRAME_BYTES + header.storedSize, frame.length);
  const stored = frame.subarray(FRAME_BYTES);
  expectEqual(place, 'checksum of a block', hex32(header.crc), hex32(crc32(stored, crc32(frame.subarray(0, 12)))));
  const compressed = open === undefined ? stored : open(stored);
  return { header, content: await decompress(compressed, header.rawSize, place, isInline) };
}

export function hex32(value: number): string {
  return value.toString(16).padStart(8, '0');
}

/** Level 1: at about 500 MB/s a core it keeps up with the encoder, and halves typical rows. */
const COMPRESSION_LEVEL = 1;
/** Raw content up to this size is done on the calling thread: it takes a fraction of a millisecond. */
const INLINE_BYTES_MAX = 1 << 17;

/** One zstd frame with its content size. */
export async function compress(raw: Buffer, isInline = false): Promise<Buffer> {
  // One output chunk that holds the worst case, or each 16 KiB of output is a trip to the pool and back.
  const options: ZstdOptions = {
    chunkSize: Math.max(64, raw.length + (raw.length >> 7) + 256),
    params: { [constants.ZSTD_c_compressionLevel]: COMPRESSION_LEVEL },
  };
  if (isInline || raw.length <= INLINE_BYTES_MAX) return zstdCompressSync(raw, options);
  return await new Promise((resolve, reject) => zstdCompress(raw, options, (error, result) => (error ? reject(error) : resolve(result))));
}

/** The content of one zstd frame; XX001 unless it has exactly `rawSize` bytes. */
export async function decompress(stored: Buffer, rawSize: number, place: FilePlace, isInline = false): Promise<Buffer> {
  const options: ZstdOptions = { chunkSize: Math.max(64, rawSize + 1), maxOutputLength: rawSize + 1 };
  let content: Buffer;
  try {
    if (isInline || rawSize <= INLINE_BYTES_MAX) content = zstdDecompressSync(stored, options);
    else content = await decompressOnPool(stored, options);
  } catch (error) {
    throw corruptFile(place, 'compressed content', 'a zstd frame', (error as Error).message, error);
  }
  if (content.length !== rawSize) throw corruptFile(place, 'size of decompressed content', rawSize, content.length);
  return content;
}

function decompressOnPool(stored: Buffer, options: ZstdOptions): Promise<Buffer> {
  return new Promise((resolve, reject) => zstdDecompress(stored, options, (error, result) => (error ? reject(error) : resolve(result))));
}

/** A CRC as the four bytes that the checksum of checksums covers. */
export function crcBytes(crc: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32LE(crc, 0);
  return bytes;
}
