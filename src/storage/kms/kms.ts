/**
 * KMS: the port to a key management service, which wraps small secrets under a key that never leaves it.
 * Types and contract only.
 *
 * What every adapter promises
 *   K1  `decrypt` gives back what `encrypt` of the same key was given, or throws
 *   K2  `provider` and `key` name the key without any secret, and are equal for equal keys; nothing else of
 *       the URI is kept in a backup
 *   K3  a service that does not answer, or refuses, is KmsError (58030): it names the key and what went wrong, and
 *       no credentials. `isRetryable` says that the same call may succeed later
 *   K4  opening touches no network; the provider's SDK is loaded by the first call
 *
 * Lives elsewhere: which scheme is whose (secretServices.ts), what is wrapped (backup/encryptionInfo.ts).
 */
import { type ErrorFields, StorageError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { ParsedUri } from '../uri.ts';

export interface Kms {
  /** `aws`, `gcp`, `azure`. */
  readonly provider: string;
  /** The key's name with the provider. */
  readonly key: string;
  /** At most 4 KiB of AWS, 64 KiB of Google, 190 bytes of Azure: a data key. */
  encrypt(plaintext: Uint8Array, signal?: AbortSignal): Promise<Uint8Array>;
  decrypt(ciphertext: Uint8Array, signal?: AbortSignal): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** Who uses a key. */
export interface KmsContext {
  readonly user: string;
}

/** Throws 22023 for a URI that cannot be. */
export type KmsOpener = (uri: ParsedUri, context: KmsContext) => Kms;

/** The service is out of reach, or refuses. */
export class KmsError extends StorageError {
  readonly #again: (detail: string) => KmsError;

  constructor(uri: ParsedUri, operation: 'encrypt' | 'decrypt', what: string, fields: ErrorFields & { isRetryable?: boolean } = {}) {
    const task = operation === 'encrypt' ? 'failed to encrypt data key' : 'failed to decrypt data key';
    super(SqlState.IoError, `${task} with KMS scheme ${uri.scheme}: ${what}`, {
      hint: 'check that the key exists and is enabled, that the credentials may use it, and that the service can be reached from here',
      detail: `the key is "${uri}"`,
      ...fields,
      operation: `kms ${operation}`,
      redactedUri: String(uri),
    });
    this.#again = (detail) => new KmsError(uri, operation, what, { ...fields, detail, cause: this });
  }

  /** The same that says besides what was to be done with the key. */
  about(what: string): KmsError {
    return this.#again(`${this.detail}; ${what}`);
  }
}
