/**
 * Cipher: AES-256-GCM over blocks and documents of a backup, under the data key of a chain.
 *
 *   stored   nonce, 12 bytes | ciphertext, as long as the content | tag, 16 bytes
 *
 *   E1  what is sealed says where it belongs: layer, file within the layer, place in the file. Moved, cut or
 *       swapped content does not open, nor does that of another chain, whose key is another
 *   E2  nonces are drawn at random for every seal: a key seals at most 2^32 times (format.md 2.6), some four
 *       pebibytes of blocks
 *   E3  a key's bytes never leave this object but to be wrapped (encryptionInfo.ts), and are never printed
 *
 * Lives elsewhere: the algorithm (blockCodec.ts: it runs where a block is compressed, which gets the key as an object that
 * cannot be read), where keys come from (keyring.ts). Format: docs/format.md 2.6 and 3.1.
 */
import { createSecretKey, type KeyObject } from 'node:crypto';
import { inspect } from 'node:util';

import { assert } from '../base/assert.ts';
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';

import type { Opening, Sealing } from './blockCodec.ts';
import { CODEC, NONCE_BYTES, SEAL_BYTES } from './blockCodec.ts';
import type { FilePlace } from './corruption.ts';
import { corruptFile } from './corruption.ts';

export const KEY_BYTES = 32;

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
  readonly #key: KeyObject;
  readonly #secureBytes: SecureBytes;

  constructor(key: Buffer, secureBytes: SecureBytes) {
    assert(key.length === KEY_BYTES, `a key of ${key.length} bytes`);
    this.#key = createSecretKey(key);
    this.#secureBytes = secureBytes;
  }

  /** The key itself, for wrapping. */
  exportKey(): Buffer {
    return this.#key.export();
  }

  /** What seals something once, and what opens it. */
  sealing(belongsTo: Uint8Array): Sealing {
    return { key: this.#key, nonce: this.#secureBytes(NONCE_BYTES), belongsTo };
  }

  opening(belongsTo: Uint8Array): Opening {
    return { key: this.#key, belongsTo };
  }

  seal(content: Uint8Array, belongsTo: Uint8Array): Buffer {
    const sealed = Buffer.alloc(content.length + SEAL_BYTES);
    CODEC.seal(sealed, content, this.sealing(belongsTo));
    return sealed;
  }

  /** Undefined when it was not sealed with this key for this place, or has changed since. */
  open(stored: Uint8Array, belongsTo: Uint8Array): Buffer | undefined {
    return CODEC.unseal(stored, this.opening(belongsTo));
  }

  toJSON(): string {
    return 'Cipher';
  }

  [inspect.custom](): string {
    return 'Cipher';
  }
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

/** What opens a block, and which one it is. */
export interface BlockOpening extends Opening {
  readonly number: number;
}

/** Seals and opens the blocks of one data file. */
export class FileCipher {
  readonly #cipher: Cipher;
  readonly #prefix: string;

  constructor({ cipher, layerId }: LayerCipher, path: string) {
    this.#cipher = cipher;
    this.#prefix = `${placeText(layerId, path)}\0`;
  }

  /** What seals a block, once. `facts`: what else must be as it was, of the index the footer's numbers. */
  sealing(blockNumber: number, facts?: Uint8Array): Sealing {
    return this.#cipher.sealing(this.#place(blockNumber, facts));
  }

  /** What opens it. */
  opening(blockNumber: number, facts?: Uint8Array): BlockOpening {
    return { ...this.#cipher.opening(this.#place(blockNumber, facts)), number: blockNumber };
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
