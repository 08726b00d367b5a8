/**
 * Cipher: AES-256-GCM over blocks and documents of a backup, under the data key of a chain.
 *
 *   stored   nonce, 12 bytes | ciphertext, as long as the content | tag, 16 bytes
 *
 *   E1  what is sealed says where it belongs: layer, file within the layer, place in the file. Moved, cut or
 *       swapped content does not open, nor does that of another chain, whose key is another
 *   E2  nonces are drawn at random for every seal: a key seals at most 2^32 times (format.md 2.6), some four
 *       pebibytes of blocks
 *   E3  keys never leave this object but to be wrapped (encryptionInfo.ts), and are never printed
 *
 * It runs on the calling thread. At 2.5 GB/s a core for blocks of half a MiB it takes 0.2 ms a block; the thread
 * pool (WebCrypto) copies in and out on the calling thread, and saves a third of that.
 *
 * Lives elsewhere: where keys come from (keyring.ts). Format: docs/format.md 2.6 and 3.1.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { inspect } from 'node:util';

import { assert } from '../base/assert.ts';
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';

import type { FilePlace } from './corruption.ts';
import { corruptFile } from './corruption.ts';

const ALGORITHM = 'aes-256-gcm';
export const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const PIECE_BYTES = 1 << 16;
/** What sealing adds to content. */
export const SEAL_BYTES = NONCE_BYTES + TAG_BYTES;

/** CockroachDB's words, which Go's cipher gave it. */
export const NOT_AUTHENTIC = 'cipher: message authentication failed';

/** Bytes that nobody can foretell; the simulator plugs in a source that repeats. */
export type SecureBytes = (count: number) => Buffer;

/** The statement's secrets do not fit the backup: none, the wrong one, or one for a backup that needs none. 22023. */
export class EncryptionError extends StatementError {
  readonly reason: 'needsKey' | 'wrongKey' | 'notEncrypted';

  constructor(reason: EncryptionError['reason'], message: string, fields: { detail?: string; hint?: string; cause?: unknown }) {
    super(SqlState.InvalidParameterValue, message, fields);
    this.reason = reason;
  }

  /** The same with other particulars. */
  about(detail: string, hint = this.hint): EncryptionError {
    return new EncryptionError(this.reason, this.message, { detail, ...(hint !== undefined && { hint }), cause: this });
  }
}

/** A file is encrypted, and the statement names no key. CockroachDB's words. */
export function appearsEncrypted(file: string): EncryptionError {
  return new EncryptionError('needsKey', 'file appears encrypted -- try specifying one of "encryption_passphrase" or "kms"', {
    detail: `the file is "${file}"`,
    hint: 'give the option that the backup was taken with: WITH encryption_passphrase = ..., or WITH kms = ...',
  });
}

/** A data key at work. */
export class Cipher {
  readonly #key: Buffer;
  readonly #secureBytes: SecureBytes;

  constructor(key: Buffer, secureBytes: SecureBytes) {
    assert(key.length === KEY_BYTES, `a key of ${key.length} bytes`);
    this.#key = key;
    this.#secureBytes = secureBytes;
  }

  /** The key itself, for wrapping. */
  exportKey(): Buffer {
    return Buffer.from(this.#key);
  }

  seal(content: Uint8Array, belongsTo: Uint8Array): Buffer {
    const sealed = Buffer.from(content);
    const { nonce, tag } = this.sealInPlace(sealed, belongsTo);
    return Buffer.concat([nonce, sealed, tag]);
  }

  /** The same with the content itself becoming the ciphertext: nothing large is allocated. */
  sealInPlace(content: Buffer, belongsTo: Uint8Array): Seal {
    const nonce = this.#secureBytes(NONCE_BYTES);
    const cipher = createCipheriv(ALGORITHM, this.#key, nonce);
    cipher.setAAD(belongsTo);
    inPieces(cipher, content, content);
    cipher.final();
    return { nonce, tag: cipher.getAuthTag() };
  }

  /** Undefined when it was not sealed with this key for this place, or has changed since. */
  open(stored: Buffer, belongsTo: Uint8Array): Buffer | undefined {
    if (stored.length < SEAL_BYTES) return undefined;
    const end = stored.length - TAG_BYTES;
    const decipher = createDecipheriv(ALGORITHM, this.#key, stored.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
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
  }

  toJSON(): string {
    return 'Cipher';
  }

  [inspect.custom](): string {
    return 'Cipher';
  }
}

/** What is stored before and after ciphertext. */
export interface Seal {
  readonly nonce: Buffer;
  readonly tag: Buffer;
}

/**
 * Runs a cipher over `from`, into `to`, which may be the same. It gives each piece in a buffer of its own: small ones come out of memory
 * that is at hand, where one for the whole would have to be mapped first, which takes as long as the cipher.
 */
function inPieces(cipher: { update(piece: Uint8Array): Buffer }, from: Uint8Array, to: Buffer): void {
  for (let at = 0; at < from.length; at += PIECE_BYTES) to.set(cipher.update(from.subarray(at, at + PIECE_BYTES)), at);
}

/** A cipher that seals for one layer. */
export class LayerCipher {
  readonly cipher: Cipher;
  readonly layerId: string;

  constructor(cipher: Cipher, layerId: string) {
    this.cipher = cipher;
    this.layerId = layerId;
  }

  /** For a data file, named as in the manifest. */
  forFile(path: string): FileCipher {
    return new FileCipher(this, path);
  }

  /** For a document, such as the manifest, named within the layer. */
  forDocument(name: string): DocumentCipher {
    return { cipher: this.cipher, layerId: this.layerId, name };
  }
}

/** What seals a document; a reader learns the layer's id from the document. */
export interface DocumentCipher {
  readonly cipher: Cipher;
  readonly layerId: string;
  /** Within the layer. */
  readonly name: string;
}

/** Seals and opens the blocks of one data file. */
export class FileCipher {
  readonly #cipher: Cipher;
  readonly #prefix: string;

  constructor({ cipher, layerId }: LayerCipher, path: string) {
    this.#cipher = cipher;
    this.#prefix = `${placeText(layerId, path)}\0`;
  }

  /** In place. `facts`: what else must be as it was, of the index the footer's numbers. */
  sealBlock(content: Buffer, blockNumber: number, facts?: Uint8Array): Seal {
    return this.#cipher.sealInPlace(content, this.#place(blockNumber, facts));
  }

  /** XX001 when the block is not what was written at this place of this file of this layer. */
  openBlock(stored: Buffer, blockNumber: number, place: FilePlace, facts?: Uint8Array): Buffer {
    const content = this.#cipher.open(stored, this.#place(blockNumber, facts));
    if (content === undefined) throw notAuthentic(place, `block ${blockNumber} of this file, as it was written`);
    return content;
  }

  #place(blockNumber: number, facts: Uint8Array | undefined): Buffer {
    const place = Buffer.from(`${this.#prefix}${blockNumber}`);
    return facts === undefined ? place : Buffer.concat([place, Buffer.from([0]), facts]);
  }
}

/** `varve-backup-1 \0 layer id \0 name within the layer`. */
export function placeText(layerId: string, name: string): string {
  return `varve-backup-1\0${layerId}\0${name}`;
}

/** XX001: content that the key does not open, though it opens the chain. */
export function notAuthentic(place: FilePlace, expected: string): Error {
  return corruptFile(place, NOT_AUTHENTIC, expected, 'something else, or a change');
}
