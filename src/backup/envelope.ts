/**
 * Envelope: a JSON document in a file: magic, version, sizes, checksum, one zstd frame.
 * Manifests, checkpoints, index files and locality parts are stored this way. Format: docs/format.md 3, 4 and 6.
 */
import { crc32 } from 'node:zlib';

import { assert } from '../base/assert.ts';

import type { Cipher, DocumentCipher } from './cipher.ts';
import { appearsEncrypted, notAuthentic, placeText } from './cipher.ts';
import { corruptFile, expectEqual } from './corruption.ts';
import { FLAG_ENCRYPTED, unsupportedVersion } from './dataFile.ts';
import { compress, decompress, hex32 } from './frame.ts';

export const MANIFEST_MAGIC = Buffer.from('89564d460d0a1a0a', 'hex');
export const CHECKPOINT_MAGIC = Buffer.from('895643500d0a1a0a', 'hex');
export const STATISTICS_MAGIC = Buffer.from('895653540d0a1a0a', 'hex');
export const INDEX_MAGIC = Buffer.from('895649580d0a1a0a', 'hex');
export const PART_MAGIC = Buffer.from('895650540d0a1a0a', 'hex');
export const ENCRYPTION_INFO_MAGIC = Buffer.from('895645490d0a1a0a', 'hex');
const HEADER_BYTES = 24;
/** A manifest of a million files is below this; a bad length must not take the memory. */
const RAW_BYTES_MAX = 1 << 30;

/** `cipher`: what seals the document; none leaves it plain. */
export async function encodeEnvelope(magic: Buffer, version: number, text: string, cipher?: DocumentCipher): Promise<Buffer> {
  const raw = Buffer.from(text, 'utf8');
  assert(raw.length <= RAW_BYTES_MAX, `a backup document of ${raw.length} bytes`);
  const compressed = compress(raw);
  const header = Buffer.allocUnsafe(HEADER_BYTES);
  magic.copy(header, 0);
  header.writeUInt16LE(version, 8);
  header.writeUInt16LE(cipher === undefined ? 0 : FLAG_ENCRYPTED, 10);
  header.writeUInt32LE(raw.length, 12);
  const stored = cipher === undefined ? compressed : seal(compressed, cipher, header);
  header.writeUInt32LE(stored.length, 16);
  header.writeUInt32LE(crc32(stored, crc32(header.subarray(0, 20))), 20);
  return Buffer.concat([header, stored]);
}

/** A document as its reader knows it. */
export interface DocumentPlace {
  /** `manifest`. */
  readonly what: string;
  /** Within the collection. */
  readonly file: string;
  /** The chain's, when it is encrypted. */
  readonly cipher?: Cipher | undefined;
  /** Name within the layer, of a document that may be encrypted. */
  readonly name?: string;
}

/**
 * The document's text. 0A000 for a later version, 22023 for an encrypted document without a key, XX001 when
 * it is not what was written. Versions of this format keep header and checksum where they are.
 */
export async function decodeEnvelope(
  magic: Buffer,
  versions: number | readonly number[],
  bytes: Buffer,
  of: DocumentPlace,
): Promise<string> {
  const { what, file, cipher } = of;
  const known = [versions].flat();
  const version = Math.max(...known);
  const place = { file, offset: 0 };
  if (bytes.length < HEADER_BYTES) throw corruptFile(place, 'header', `${HEADER_BYTES} bytes`, bytes.length);
  expectEqual(place, 'magic', magic.toString('hex'), bytes.subarray(0, 8).toString('hex'));
  const stored = bytes.subarray(HEADER_BYTES);
  const crc = hex32(crc32(stored, crc32(bytes.subarray(0, 20))));
  const isIntact = crc === hex32(bytes.readUInt32LE(20));
  const found = bytes.readUInt16LE(8);
  if (found > version && isIntact) throw unsupportedVersion(what, file, found, version);
  expectEqual({ file, offset: 20 }, 'checksum', hex32(bytes.readUInt32LE(20)), crc);
  expectEqual({ file, offset: 8 }, 'format version', known.includes(found) ? found : version, found);
  const flags = bytes.readUInt16LE(10);
  if (flags === FLAG_ENCRYPTED && cipher === undefined) throw appearsEncrypted(file);
  // A plain document in the place of an encrypted one is somebody else's.
  expectEqual({ file, offset: 10 }, 'flags', cipher === undefined ? 0 : FLAG_ENCRYPTED, flags);
  const rawSize = bytes.readUInt32LE(12);
  if (rawSize > RAW_BYTES_MAX) throw corruptFile({ file, offset: 12 }, 'size', `at most ${RAW_BYTES_MAX}`, rawSize);
  expectEqual({ file, offset: 16 }, 'stored size', stored.length, bytes.readUInt32LE(16));
  const compressed = cipher === undefined ? stored : open(stored, cipher, of, bytes);
  const raw = decompress(compressed, rawSize, { file, offset: HEADER_BYTES });
  return raw.toString('utf8');
}

/** Whether a document says of itself that it is encrypted. */
export function isSealed(bytes: Buffer): boolean {
  return bytes.length > HEADER_BYTES && bytes.readUInt16LE(10) === FLAG_ENCRYPTED;
}

/** The layer that an encrypted document says it is of, which nothing has proved; undefined of a plain one. */
export function sealedLayerId(bytes: Buffer): string | undefined {
  if (!isSealed(bytes)) return undefined;
  return bytes.subarray(HEADER_BYTES + 1, HEADER_BYTES + 1 + (bytes[HEADER_BYTES] ?? 0)).toString();
}

/** The layer's id goes before the sealed content, in clear: a reader of a manifest cannot know it yet. */
function seal(content: Buffer, { cipher, layerId, name }: DocumentCipher, header: Buffer): Buffer {
  const id = Buffer.from(layerId);
  assert(id.length < 256, 'a layer id is short');
  return Buffer.concat([Buffer.from([id.length]), id, cipher.seal(content, documentPlace(layerId, name, header))]);
}

function open(stored: Buffer, cipher: Cipher, { what, file, name = '' }: DocumentPlace, header: Buffer): Buffer {
  const sealedFrom = 1 + (stored[0] ?? 0);
  const layerId = stored.subarray(1, sealedFrom).toString();
  const content = cipher.open(stored.subarray(sealedFrom), documentPlace(layerId, name, header));
  if (content === undefined) throw notAuthentic({ file, offset: HEADER_BYTES }, `the ${what} of this layer, as it was written`);
  return content;
}

function documentPlace(layerId: string, name: string, header: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${placeText(layerId, name)}\0`), header.subarray(0, 16)]);
}
