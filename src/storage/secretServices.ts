/**
 * Secret services: where keys come from: bytes that nobody can foretell, keys from passphrases, and the
 * key management services by the scheme of their URIs. The server fills it once; nothing here knows a
 * provider by name.
 */
import { pbkdf2, pbkdf2Sync, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';

import { StatementError } from '../base/errors.ts';
import type { Executor } from '../base/executor.ts';
import { SqlState } from '../base/sqlState.ts';

import type { Kms, KmsContext, KmsOpener } from './kms/kms.ts';
import { ParsedUri } from './uri.ts';

export interface SecretServices {
  /** For keys, salts and nonces. */
  readonly secureBytes: (count: number) => Buffer;
  /** PBKDF2-SHA-256 to 32 bytes; some 15 ms at 64,000 iterations, off the main thread. */
  deriveKey(passphrase: string, salt: Buffer, iterations: number): Promise<Buffer>;
  /** Throws 22023 for a malformed URI, an unknown scheme or parameter. Touches no network. */
  openKms(uri: string | ParsedUri, context: KmsContext): Kms;
}

export interface SecretServicesOptions {
  /** Default: node:crypto's. The simulator's repeats, and is not secure. */
  readonly secureBytes?: (count: number) => Buffer;
  /** Runs the derivation of keys; default: on the calling thread. */
  readonly executor?: Executor;
  /** What the URI of a key stands for, which may be a name; throws where it must not be opened. */
  readonly admit?: (uri: ParsedUri) => ParsedUri;
}

const KEY_BYTES = 32;
const deriveOnPool = promisify(pbkdf2);

export class SecretRegistry implements SecretServices {
  readonly #openers = new Map<string, KmsOpener>();
  readonly #options: SecretServicesOptions;
  readonly secureBytes: (count: number) => Buffer;

  constructor(options: SecretServicesOptions = {}) {
    this.#options = options;
    this.secureBytes = options.secureBytes ?? ((count) => randomBytes(count));
  }

  registerKms(scheme: string, opener: KmsOpener): void {
    this.#openers.set(scheme, opener);
  }

  async deriveKey(passphrase: string, salt: Buffer, iterations: number): Promise<Buffer> {
    const { executor } = this.#options;
    if (executor === undefined || executor.isInline) return pbkdf2Sync(passphrase, salt, iterations, KEY_BYTES, 'sha256');
    return await executor.run('derive key', () => deriveOnPool(passphrase, salt, iterations, KEY_BYTES, 'sha256'));
  }

  openKms(uri: string | ParsedUri, context: KmsContext): Kms {
    const asked = typeof uri === 'string' ? ParsedUri.parse(uri) : uri;
    const parsed = this.#options.admit?.(asked) ?? asked;
    const opener = this.#openers.get(parsed.scheme);
    if (opener === undefined) {
      throw new StatementError(SqlState.InvalidParameterValue, `no KMS for scheme "${parsed.scheme}"`, {
        detail: `in "${parsed}"`,
        hint: `the schemes of keys are ${[...this.#openers.keys()].map((scheme) => `${scheme}:///`).join(', ')}`,
      });
    }
    return opener(parsed, context);
  }
}
