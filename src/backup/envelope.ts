/**
 * Envelope: a JSON document in a file: magic, version, sizes, checksum, one zstd frame.
 * Manifests, checkpoints and index files are stored this way. Format: docs/format.md 3, 4 and 6.
 */
import { crc32 } from 'node:zlib';

import { assert } from '../base/assert.ts';

import { corruptFile, expectEqual } from './corruption.ts';
import { encryptedFile, FLAG_ENCRYPTED, unsupportedVersion } from './dataFile.ts';
import { compress, decompress, hex32 } from './frame.ts';

export const MANIFEST_MAGIC = Buffer.from('89564d460d0a1a0a', 'hex');
export const CHECKPOINT_MAGIC = Buffer.from('895643500d0a1a0a', 'hex');
export const INDEX_MAGIC = Buffer.from('895649580d0a1a0a', 'hex');
const HEADER_BYTES = 24;
/** A manifest of a million files is below this; a bad length must not take the memory. */
const RAW_BYTES_MAX = 1 << 30;

export async function encodeEnvelope(magic: Buffer, version: number, text: string): Promise<Buffer> {
  const raw = Buffer.from(text, 'utf8');
  assert(raw.length <= RAW_BYTES_MAX, `a backup document of ${raw.length} bytes`);
  const stored = await compress(raw);
  const header = Buffer.allocUnsafe(HEADER_BYTES);
  magic.copy(header, 0);
  header.writeUInt16LE(version, 8);
  header.writeUInt16LE(0, 10);
  header.writeUInt32LE(raw.length, 12);
  header.writeUInt32LE(stored.length, 16);
  header.writeUInt32LE(crc32(stored, crc32(header.subarray(0, 20))), 20);
  return Buffer.concat([header, stored]);
}

/**
 * The document's text. 0A000 for a later version or an encrypted document, XX001 when it is not
 * what was written. Versions of this format keep header and checksum where they are.
 */
export async function decodeEnvelope(magic: Buffer, version: number, bytes: Buffer, of: { what: string; file: string }): Promise<string> {
  const { what, file } = of;
  const place = { file, offset: 0 };
  if (bytes.length < HEADER_BYTES) throw corruptFile(place, 'header', `${HEADER_BYTES} bytes`, bytes.length);
  expectEqual(place, 'magic', magic.toString('hex'), bytes.subarray(0, 8).toString('hex'));
  const stored = bytes.subarray(HEADER_BYTES);
  const crc = hex32(crc32(stored, crc32(bytes.subarray(0, 20))));
  const isIntact = crc === hex32(bytes.readUInt32LE(20));
  const found = bytes.readUInt16LE(8);
  if (found > version && isIntact) throw unsupportedVersion(what, file, found, version);
  expectEqual({ file, offset: 20 }, 'checksum', hex32(bytes.readUInt32LE(20)), crc);
  expectEqual({ file, offset: 8 }, 'format version', version, found);
  const flags = bytes.readUInt16LE(10);
  if (flags === FLAG_ENCRYPTED) throw encryptedFile(file);
  expectEqual({ file, offset: 10 }, 'flags', 0, flags);
  const rawSize = bytes.readUInt32LE(12);
  if (rawSize > RAW_BYTES_MAX) throw corruptFile({ file, offset: 12 }, 'size', `at most ${RAW_BYTES_MAX}`, rawSize);
  expectEqual({ file, offset: 16 }, 'stored size', stored.length, bytes.readUInt32LE(16));
  const raw = await decompress(stored, rawSize, { file, offset: HEADER_BYTES });
  return raw.toString('utf8');
}
