/**
 * Block codec: one block between its raw content and the frame in which it is stored: zstd, AES-256-GCM, CRC-32.
 * Pure and synchronous, so that it runs wherever there is time for it: on a worker thread (blockWorkers.ts), or here.
 *
 * blockCodec() stands by itself: a worker is started from its text, for functions of a bundle have no file of their own.
 * So it uses nothing but its arguments, its own names and what the language brings.
 *
 * Lives elsewhere: what is right in a frame, and the words for what is not (frame.ts), keys and what a block belongs to
 * (cipher.ts). Format: docs/format.md 2.2 and 2.6.
 */
import * as nodeCrypto from 'node:crypto';
import * as nodeZlib from 'node:zlib';

/** What seals a block. */
export interface Sealing {
  readonly key: nodeCrypto.KeyObject;
  readonly nonce: Uint8Array;
  readonly belongsTo: Uint8Array;
}

/** What opens it. */
export type Opening = Omit<Sealing, 'nonce'>;

/** Raw content, or what is wrong with a frame. */
export type OpenedBlock =
  | { readonly content: Buffer }
  /** The CRC-32 of what is there. */
  | { readonly wrongCrc: number }
  | { readonly isForeign: true }
  | { readonly notZstd: string };

export interface BlockCodec {
  /**
   * The frame of the first `rawSize` bytes of `buffer`, in their place; in a buffer of its own where it does not fit, as
   * may be where content does not shrink.
   */
  store(buffer: Buffer, rawSize: number, entryCount: number, sealing: Sealing | undefined): Buffer;
  /** The content of a frame whose header has been checked. It may have another size than the header says. */
  open(frame: Buffer, opening: Opening | undefined): OpenedBlock;
  /** Writes nonce, ciphertext and tag: SEAL_BYTES more than the content. */
  seal(to: Uint8Array, content: Uint8Array, sealing: Sealing): void;
  /** Undefined when it was sealed with another key, for another place, or has changed. */
  unseal(stored: Uint8Array, opening: Opening): Buffer | undefined;
}

/** The modules that it needs. */
export interface CodecModules {
  readonly zlib: typeof nodeZlib;
  readonly crypto: typeof nodeCrypto;
}

export const NONCE_BYTES = 12;
/** What sealing adds to content: nonce and tag. */
export const SEAL_BYTES = NONCE_BYTES + 16;

export function blockCodec({ zlib, crypto }: CodecModules): BlockCodec {
  const ALGORITHM = 'aes-256-gcm';
  const HEADER_BYTES = 16;
  const NONCE_BYTES = 12;
  const TAG_BYTES = 16;
  // A cipher gives each piece in a buffer of its own: small ones come out of memory that is at hand.
  const PIECE_BYTES = 1 << 16;
  // Level 1: at about 500 MB/s a core it keeps up with the encoder, and halves typical rows.
  const params = { [zlib.constants.ZSTD_c_compressionLevel]: 1 };

  const inPieces = (cipher: { update(piece: Uint8Array): Buffer }, from: Uint8Array, to: Uint8Array): void => {
    for (let at = 0; at < from.length; at += PIECE_BYTES) to.set(cipher.update(from.subarray(at, at + PIECE_BYTES)), at);
  };

  const seal = (to: Uint8Array, content: Uint8Array, { key, nonce, belongsTo }: Sealing): void => {
    const cipher = crypto.createCipheriv(ALGORITHM, key, nonce);
    cipher.setAAD(belongsTo);
    to.set(nonce, 0);
    inPieces(cipher, content, to.subarray(NONCE_BYTES));
    cipher.final();
    to.set(cipher.getAuthTag(), NONCE_BYTES + content.length);
  };

  const unseal = (stored: Uint8Array, { key, belongsTo }: Opening): Buffer | undefined => {
    if (stored.length < NONCE_BYTES + TAG_BYTES) return undefined;
    const end = stored.length - TAG_BYTES;
    const decipher = crypto.createDecipheriv(ALGORITHM, key, stored.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
    decipher.setAAD(belongsTo);
    decipher.setAuthTag(stored.subarray(end));
    const content = Buffer.allocUnsafe(end - NONCE_BYTES);
    inPieces(decipher, stored.subarray(NONCE_BYTES, end), content);
    try {
      decipher.final();
    } catch {
      return undefined;
    }
    return content;
  };

  return {
    seal,
    unseal,
    store: (buffer, rawSize, entryCount, sealing) => {
      // One output chunk that holds the worst case.
      const chunkSize = Math.max(64, rawSize + (rawSize >> 7) + 256);
      const compressed = zlib.zstdCompressSync(buffer.subarray(0, rawSize), { chunkSize, params });
      const storedSize = compressed.length + (sealing === undefined ? 0 : NONCE_BYTES + TAG_BYTES);
      const size = HEADER_BYTES + storedSize;
      const frame = size <= buffer.length ? buffer.subarray(0, size) : Buffer.alloc(size);
      const stored = frame.subarray(HEADER_BYTES);
      if (sealing === undefined) stored.set(compressed);
      else seal(stored, compressed, sealing);
      frame.writeUInt32LE(storedSize, 0);
      frame.writeUInt32LE(rawSize, 4);
      frame.writeUInt32LE(entryCount, 8);
      frame.writeUInt32LE(zlib.crc32(stored, zlib.crc32(frame.subarray(0, 12))), 12);
      return frame;
    },
    open: (frame, opening) => {
      const stored = frame.subarray(HEADER_BYTES);
      const crc = zlib.crc32(stored, zlib.crc32(frame.subarray(0, 12)));
      if (crc !== frame.readUInt32LE(12)) return { wrongCrc: crc };
      const compressed = opening === undefined ? stored : unseal(stored, opening);
      if (compressed === undefined) return { isForeign: true };
      // A byte more than there should be, so that more shows.
      const sizeMax = frame.readUInt32LE(4) + 1;
      try {
        return { content: zlib.zstdDecompressSync(compressed, { chunkSize: Math.max(64, sizeMax), maxOutputLength: sizeMax }) };
      } catch (error) {
        return { notZstd: (error as Error).message };
      }
    },
  };
}

/** The codec on the calling thread. */
export const CODEC = blockCodec({ zlib: nodeZlib, crypto: nodeCrypto });
