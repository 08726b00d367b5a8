/**
 * Frame: one payload in a data file with its lengths, codec and checksum (docs/format.md section 2).
 */
import { crc32 } from 'node:zlib';

import { assert } from '../base/assert.ts';
import type { Executor } from '../base/executor.ts';

import { BLOCK_RAW_BYTES_MAX } from './block.ts';
import { compress, decompress } from './compression.ts';
import { corruptFile } from './corrupt.ts';

export const FrameKind = Object.freeze({ Data: 1, Index: 2 });
export const Codec = Object.freeze({ None: 0, Zstd: 1 });

const HEAD_BYTES = 12;
const CRC_BYTES = 4;
/** What a frame adds to its stored payload. */
export const FRAME_OVERHEAD_BYTES = HEAD_BYTES + CRC_BYTES;

/** The frame of a payload, compressed where that makes it smaller. Holds on to `raw` until it resolves. */
export async function sealFrame(kind: number, raw: Buffer, executor: Executor): Promise<Buffer> {
  assert(raw.length <= BLOCK_RAW_BYTES_MAX, `frame payload of ${raw.length} bytes`);
  const compressed = await compress(executor, raw);
  const isSmaller = compressed.length < raw.length;
  const stored = isSmaller ? compressed : raw;
  const frame = Buffer.allocUnsafeSlow(stored.length + FRAME_OVERHEAD_BYTES);
  frame.writeUInt32LE(stored.length, 0);
  frame.writeUInt32LE(raw.length, 4);
  frame[8] = kind;
  frame[9] = isSmaller ? Codec.Zstd : Codec.None;
  frame.writeUInt16LE(0, 10);
  stored.copy(frame, HEAD_BYTES);
  frame.writeUInt32LE(crc32(frame.subarray(0, HEAD_BYTES + stored.length)), HEAD_BYTES + stored.length);
  return frame;
}

/** The payload of a frame that fills `frame` exactly. Throws XX001. */
export async function openFrame(frame: Buffer, kind: number, executor: Executor, file: string, offset: number): Promise<Buffer> {
  if (frame.length < FRAME_OVERHEAD_BYTES)
    throw corruptFile(file, offset, 'frame is cut', `at least ${FRAME_OVERHEAD_BYTES}`, frame.length);
  const storedLength = frame.readUInt32LE(0);
  const rawLength = frame.readUInt32LE(4);
  if (storedLength !== frame.length - FRAME_OVERHEAD_BYTES) {
    throw corruptFile(file, offset, 'frame has another length', frame.length - FRAME_OVERHEAD_BYTES, storedLength);
  }
  const expected = frame.readUInt32LE(HEAD_BYTES + storedLength);
  const found = crc32(frame.subarray(0, HEAD_BYTES + storedLength));
  if (found !== expected) throw corruptFile(file, offset, 'checksum mismatch', hex(expected), hex(found));
  if (frame[8] !== kind) throw corruptFile(file, offset, 'frame of another kind', kind, frame[8]);
  if (frame.readUInt16LE(10) !== 0) throw corruptFile(file, offset, 'reserved bytes are not zero', 0, frame.readUInt16LE(10));
  if (rawLength > BLOCK_RAW_BYTES_MAX) throw corruptFile(file, offset, 'frame is too large', `at most ${BLOCK_RAW_BYTES_MAX}`, rawLength);
  const stored = frame.subarray(HEAD_BYTES, HEAD_BYTES + storedLength);
  if (frame[9] === Codec.None) {
    if (rawLength !== storedLength) throw corruptFile(file, offset, 'raw length of an uncompressed frame', storedLength, rawLength);
    return stored;
  }
  if (frame[9] !== Codec.Zstd) throw corruptFile(file, offset, 'unknown codec', `${Codec.None} or ${Codec.Zstd}`, frame[9]);
  const raw = await decompress(executor, stored, rawLength);
  if (!raw) throw corruptFile(file, offset, 'frame does not decompress to its length', rawLength, 'something else');
  return raw;
}

export function hex(checksum: number): string {
  return checksum.toString(16).padStart(8, '0');
}
