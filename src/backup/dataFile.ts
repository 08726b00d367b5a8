/**
 * Data file: the layout around the blocks: header, index, footer. Encode and decode, no storage.
 *
 *   header | block ... | index block | footer
 *
 *   F1  blocks lie one behind the other, without a gap, in key order; the index names each
 *   F2  what the footer counts is the sum of what the index and the blocks count
 *   F3  the footer's checksum of checksums ties every block to this file
 *
 * Lives elsewhere: blocks (block.ts), writing to and reading from a storage (dataFileWriter.ts,
 * dataFileReader.ts). Format: docs/format.md 2.
 */
import { crc32 } from 'node:zlib';

import type { Bytes } from '../base/bytes.ts';
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Timestamp } from '../base/timestamp.ts';

import { BlockReader, writeUvarint } from './block.ts';
import { appearsEncrypted } from './cipher.ts';
import type { FilePlace } from './corruption.ts';
import { corruptFile, expectEqual } from './corruption.ts';
import { FRAME_BYTES, hex32 } from './frame.ts';

export const DATA_FILE_MAGIC = Buffer.from('89564b560d0a1a0a', 'hex');
export const DATA_FILE_VERSION = 1;
export const HEADER_BYTES = 16;
export const FOOTER_BYTES = 96;
/** Header flag: block contents are encrypted. */
export const FLAG_ENCRYPTED = 1;

/** One block as the index names it. */
export interface BlockInfo {
  /** File offset of the block's frame. */
  readonly offset: number;
  readonly storedSize: number;
  readonly rawSize: number;
  readonly entryCount: number;
  readonly firstKey: Bytes;
  readonly lastKey: Bytes;
}

export interface Footer {
  readonly indexOffset: number;
  /** Frame header included. */
  readonly indexSize: number;
  readonly blockCount: number;
  readonly entryCount: number;
  readonly tombstoneCount: number;
  /** Bytes of keys and values. */
  readonly dataBytes: number;
  /** Both 0 without entries. */
  readonly lowestTime: Timestamp;
  readonly highestTime: Timestamp;
  /** CRC-32 over the CRC-32s of all blocks, the index's last. */
  readonly blocksCrc: number;
}

export function encodeHeader(isEncrypted: boolean): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  DATA_FILE_MAGIC.copy(header, 0);
  header.writeUInt16LE(DATA_FILE_VERSION, 8);
  header.writeUInt16LE(isEncrypted ? FLAG_ENCRYPTED : 0, 10);
  header.writeUInt32LE(crc32(header.subarray(0, 12)), 12);
  return header;
}

/** Checks the first 16 bytes of a file, which is to be encrypted or not. 0A000 for a later version, 22023 for an encrypted file without a key, XX001 otherwise. */
export function checkHeader(header: Buffer, file: string, isEncrypted: boolean): void {
  const place = { file, offset: 0 };
  if (header.length < HEADER_BYTES) throw corruptFile(place, 'header', `${HEADER_BYTES} bytes`, header.length);
  expectEqual(place, 'magic', DATA_FILE_MAGIC.toString('hex'), header.subarray(0, 8).toString('hex'));
  expectEqual(place, 'checksum of the header', hex32(crc32(header.subarray(0, 12))), hex32(header.readUInt32LE(12)));
  checkVersionAndFlags(header.readUInt16LE(8), header.readUInt16LE(10), isEncrypted, place);
}

function checkVersionAndFlags(version: number, flags: number, isEncrypted: boolean, place: FilePlace): void {
  if (version > DATA_FILE_VERSION) throw unsupportedVersion('data file', place.file, version, DATA_FILE_VERSION);
  expectEqual(place, 'format version', DATA_FILE_VERSION, version);
  if (flags === FLAG_ENCRYPTED && !isEncrypted) throw appearsEncrypted(place.file);
  // A plain file in the place of an encrypted one is somebody else's.
  expectEqual(place, 'flags', isEncrypted ? FLAG_ENCRYPTED : 0, flags);
}

/** 0A000. */
export function unsupportedVersion(what: string, file: string, found: number, known: number): StatementError {
  return new StatementError(
    SqlState.FeatureNotSupported,
    `backup ${what} "${file}" has format version ${found}, which this Varve cannot read`,
    {
      detail: `it reads versions up to ${known}`,
      hint: 'use the version of Varve that wrote the backup, or a later one',
    },
  );
}

/** Raw content of the index block. */
export function encodeIndex(blocks: readonly BlockInfo[]): Buffer {
  let size = 0;
  for (const block of blocks) size += block.firstKey.length + block.lastKey.length + 6 * 8;
  const out = Buffer.allocUnsafe(size);
  let at = 0;
  const writeKey = (key: Bytes) => {
    at = writeUvarint(out, at, key.length);
    at += out.latin1Write(key, at);
  };
  for (const block of blocks) {
    at = writeUvarint(out, at, block.offset);
    at = writeUvarint(out, at, block.storedSize);
    at = writeUvarint(out, at, block.rawSize);
    at = writeUvarint(out, at, block.entryCount);
    writeKey(block.firstKey);
    writeKey(block.lastKey);
  }
  return out.subarray(0, at);
}

/** The index's raw content, checked against the footer (F1, F2). */
export function decodeIndex(content: Buffer, footer: Footer, file: string): BlockInfo[] {
  const place = { file, offset: footer.indexOffset };
  const reader = new BlockReader(content, place);
  const blocks: BlockInfo[] = [];
  let offset = HEADER_BYTES;
  let entryCount = 0;
  let lastKey = '' as Bytes;
  for (let i = 0; i < footer.blockCount; i++) {
    const block: BlockInfo = {
      offset: reader.uvarint('offset of a block'),
      storedSize: reader.uvarint('stored size of a block'),
      rawSize: reader.uvarint('raw size of a block'),
      entryCount: reader.uvarint('entry count of a block'),
      firstKey: reader.bytes('first key of a block'),
      lastKey: reader.bytes('last key of a block'),
    };
    expectEqual(place, `offset of block ${i} in the index`, offset, block.offset);
    if (block.firstKey < lastKey || block.lastKey < block.firstKey)
      throw corruptFile(place, `keys of block ${i} in the index`, 'ascending keys', 'others');
    offset += FRAME_BYTES + block.storedSize;
    entryCount += block.entryCount;
    lastKey = block.lastKey;
    blocks.push(block);
  }
  expectEqual(place, 'size of the index', content.length, reader.at);
  expectEqual(place, 'end of the last block', footer.indexOffset, offset);
  expectEqual(place, 'number of entries in the index', footer.entryCount, entryCount);
  return blocks;
}

/** The footer's bytes about the blocks: what an encrypted index is sealed together with. */
export function footerFacts(footer: Buffer): Buffer {
  return footer.subarray(12, 56);
}

export function encodeFooter(footer: Footer, isEncrypted: boolean): Buffer {
  const out = Buffer.alloc(FOOTER_BYTES);
  writeU64(out, 0, footer.indexOffset);
  out.writeUInt32LE(footer.indexSize, 8);
  out.writeUInt32LE(footer.blockCount, 12);
  writeU64(out, 16, footer.entryCount);
  writeU64(out, 24, footer.tombstoneCount);
  writeU64(out, 32, footer.dataBytes);
  writeU64(out, 40, footer.lowestTime);
  writeU64(out, 48, footer.highestTime);
  out.writeUInt32LE(footer.blocksCrc, 56);
  out.writeUInt16LE(DATA_FILE_VERSION, 80);
  out.writeUInt16LE(isEncrypted ? FLAG_ENCRYPTED : 0, 82);
  out.writeUInt32LE(crc32(out.subarray(0, 84)), 84);
  DATA_FILE_MAGIC.copy(out, 88);
  return out;
}

/** The last 96 bytes of a file of `fileSize` bytes. */
export function decodeFooter(bytes: Buffer, file: string, fileSize: number, isEncrypted: boolean): Footer {
  const place = { file, offset: fileSize - FOOTER_BYTES };
  if (bytes.length < FOOTER_BYTES)
    throw corruptFile({ file, offset: 0 }, 'size', `at least ${HEADER_BYTES + FRAME_BYTES + FOOTER_BYTES} bytes`, fileSize);
  expectEqual(place, 'magic at the end', DATA_FILE_MAGIC.toString('hex'), bytes.subarray(88).toString('hex'));
  expectEqual(place, 'checksum of the footer', hex32(crc32(bytes.subarray(0, 84))), hex32(bytes.readUInt32LE(84)));
  checkVersionAndFlags(bytes.readUInt16LE(80), bytes.readUInt16LE(82), isEncrypted, place);
  const footer: Footer = {
    indexOffset: readU64(bytes, 0, place),
    indexSize: bytes.readUInt32LE(8),
    blockCount: bytes.readUInt32LE(12),
    entryCount: readU64(bytes, 16, place),
    tombstoneCount: readU64(bytes, 24, place),
    dataBytes: readU64(bytes, 32, place),
    lowestTime: readU64(bytes, 40, place) as Timestamp,
    highestTime: readU64(bytes, 48, place) as Timestamp,
    blocksCrc: bytes.readUInt32LE(56),
  };
  expectEqual(place, 'unused bytes of the footer', '0'.repeat(40), bytes.subarray(60, 80).toString('hex'));
  expectEqual(place, 'end of the index', fileSize - FOOTER_BYTES, footer.indexOffset + footer.indexSize);
  return footer;
}

function writeU64(out: Buffer, at: number, value: number): void {
  out.writeUInt32LE(value % 2 ** 32, at);
  out.writeUInt32LE(Math.floor(value / 2 ** 32), at + 4);
}

function readU64(bytes: Buffer, at: number, place: FilePlace): number {
  const value = bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32;
  if (value > Number.MAX_SAFE_INTEGER) throw corruptFile(place, `number at byte ${at} of the footer`, 'below 2^53', value);
  return value;
}
