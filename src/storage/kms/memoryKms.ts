/**
 * Memory KMS: `mem-kms:///<key>`: keys that live as long as the database and its forks, as mem:// files do. For tests
 * and lessons: a backup whose keys are here opens nowhere else.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';

import type { ParsedUri } from '../uri.ts';

import { invalid } from '../authParameter.ts';
import { type Kms, KmsError } from './kms.ts';

const ALGORITHM = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Keys by name, made when they are first used. */
export class MemoryKeys {
  readonly #keys = new Map<string, Buffer>();
  readonly #secureBytes: (count: number) => Buffer;
  /** Keys that are refused, and what the refusal says; for tests. */
  readonly refused = new Map<string, { readonly message: string; readonly isRetryable: boolean }>();

  constructor(secureBytes: (count: number) => Buffer) {
    this.#secureBytes = secureBytes;
  }

  keyOf(name: string): Buffer {
    const key = this.#keys.get(name) ?? this.#secureBytes(32);
    this.#keys.set(name, key);
    return key;
  }

  nonce(): Buffer {
    return this.#secureBytes(NONCE_BYTES);
  }
}

/** 22023 for a URI without a key. */
export function openMemoryKms(uri: ParsedUri, keys: MemoryKeys): Kms {
  uri.refuseOtherParameters([]);
  if (uri.path === '') throw invalid('a KMS URI names a key', uri, 'write mem-kms:///key');
  return new MemoryKms(uri, keys);
}

class MemoryKms implements Kms {
  readonly provider = 'memory';
  readonly key: string;
  readonly #uri: ParsedUri;
  readonly #keys: MemoryKeys;

  constructor(uri: ParsedUri, keys: MemoryKeys) {
    this.#uri = uri;
    this.#keys = keys;
    this.key = uri.path;
  }

  async encrypt(plaintext: Uint8Array): Promise<Uint8Array> {
    this.#requireAllowed('encrypt');
    const nonce = this.#keys.nonce();
    const cipher = createCipheriv(ALGORITHM, this.#keys.keyOf(this.key), nonce);
    const sealed = cipher.update(plaintext);
    cipher.final();
    return Buffer.concat([nonce, sealed, cipher.getAuthTag()]);
  }

  async decrypt(ciphertext: Uint8Array): Promise<Uint8Array> {
    this.#requireAllowed('decrypt');
    const bytes = Buffer.from(ciphertext);
    try {
      const decipher = createDecipheriv(ALGORITHM, this.#keys.keyOf(this.key), bytes.subarray(0, NONCE_BYTES));
      decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
      return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]);
    } catch {
      throw new KmsError(this.#uri, 'decrypt', 'another key has made this, or it was changed');
    }
  }

  async close(): Promise<void> {}

  #requireAllowed(operation: 'encrypt' | 'decrypt'): void {
    const refusal = this.#keys.refused.get(this.key);
    if (refusal) throw new KmsError(this.#uri, operation, refusal.message, { isRetryable: refusal.isRetryable });
  }
}
