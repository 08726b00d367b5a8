/** Keys of a KMS under test: AES-256-GCM, the ciphertext names its key as the real ones do. */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';

export class WrappingKeys {
  /** By name; a disabled key is refused. */
  readonly keys = new Map<string, 'enabled' | 'disabled'>();

  constructor(...names: readonly string[]) {
    for (const name of names) this.keys.set(name, 'enabled');
  }

  encrypt(name: string, plaintext: Buffer): Buffer {
    const nonce = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', this.#secret(name), nonce);
    const sealed = Buffer.concat([cipher.update(plaintext), cipher.final()]);
    return Buffer.concat([this.#fingerprint(name), nonce, sealed, cipher.getAuthTag()]);
  }

  /** Undefined when another key made it, or it was changed. */
  decrypt(name: string, ciphertext: Buffer): Buffer | undefined {
    if (ciphertext.length < 36 || !ciphertext.subarray(0, 8).equals(this.#fingerprint(name))) return undefined;
    const decipher = createDecipheriv('aes-256-gcm', this.#secret(name), ciphertext.subarray(8, 20));
    decipher.setAuthTag(ciphertext.subarray(-16));
    try {
      return Buffer.concat([decipher.update(ciphertext.subarray(20, -16)), decipher.final()]);
    } catch {
      return undefined;
    }
  }

  #secret(name: string): Buffer {
    return createHash('sha256').update(`secret of ${name}`).digest();
  }

  #fingerprint(name: string): Buffer {
    return createHash('sha256').update(name).digest().subarray(0, 8);
  }
}
