/**
 * KMS calls: what adapters of key management services have in common: a client of the provider's SDK that the first call opens, and
 * errors that name the key and no secret (kms.ts, K3).
 */
import { scrub } from '../providerError.ts';
import type { ParsedUri } from '../uri.ts';

import { KmsError } from './kms.ts';

/** What a provider's error comes to. */
export interface Refusal {
  readonly what: string;
  readonly isRetryable: boolean;
}

export class KmsCalls<Client> {
  readonly #uri: ParsedUri;
  readonly #open: () => Promise<Client>;
  readonly #refusalOf: (error: unknown) => Refusal;
  #client: Promise<Client> | undefined;

  constructor(uri: ParsedUri, open: () => Promise<Client>, refusalOf: (error: unknown) => Refusal) {
    this.#uri = uri;
    this.#open = open;
    this.#refusalOf = refusalOf;
  }

  /** What `send` gets; KmsError for its error, or for no result. What opening the client throws is thrown as it is. */
  async call(
    operation: 'encrypt' | 'decrypt',
    signal: AbortSignal | undefined,
    send: (client: Client) => Promise<Uint8Array | undefined>,
  ): Promise<Uint8Array> {
    signal?.throwIfAborted();
    this.#client ??= this.#open();
    const client = await this.#client;
    let result: Uint8Array | undefined;
    try {
      result = await send(client);
    } catch (error) {
      signal?.throwIfAborted();
      const { what, isRetryable } = this.#refusalOf(error);
      throw new KmsError(this.#uri, operation, scrub(this.#uri, what), { isRetryable });
    }
    if (result === undefined) throw new KmsError(this.#uri, operation, 'the service answered without a result');
    return result;
  }

  /** `shut`: of a client that has been opened. */
  async close(shut: (client: Client) => void | Promise<void> = () => {}): Promise<void> {
    // What it could not be opened for, its call has said.
    const client = await this.#client?.catch(() => undefined);
    if (client !== undefined) await shut(client);
    this.#client = undefined;
  }
}
