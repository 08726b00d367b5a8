/**
 * The server's side of a SCRAM-SHA-256 exchange: texts in, texts out.
 *
 *   client-first   n,,n=,r=<client nonce>
 *   server-first   r=<client nonce><server nonce>,s=<salt>,i=<iterations>
 *   client-final   c=biws,r=<both nonces>,p=<proof>
 *   server-final   v=<signature>
 *
 * The name inside the message is ignored, as in PostgreSQL: the start-up message has named the user.
 * Channel binding is not offered; a client that could and was told so ("y") is believed.
 *
 * Source: RFC 5802, sections 5 and 7; PostgreSQL documentation, "SASL Authentication". Keys: catalog/scram.ts.
 */
import { randomBytes } from 'node:crypto';

import { VarveError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { checkProof, type ScramVerifier, serverSignature } from '../../catalog/scram.ts';

export const SCRAM_MECHANISM = 'SCRAM-SHA-256';
const NONCE_BYTES = 18;

const malformed = (what: string): VarveError => new VarveError(SqlState.ProtocolViolation, `malformed SCRAM message: ${what}`);

export class ScramExchange {
  readonly #verifier: ScramVerifier;
  readonly #serverNonce: string;
  #header = '';
  #nonce = '';
  #clientFirstBare = '';
  #serverFirst = '';

  constructor(verifier: ScramVerifier, serverNonce: string = randomBytes(NONCE_BYTES).toString('base64')) {
    this.#verifier = verifier;
    this.#serverNonce = serverNonce;
  }

  /** The answer to client-first. Throws 08P01 for what is none. */
  first(message: string): string {
    const match = /^((?:[ny]|p=[^,]*),(?:a=[^,]*)?,)((m=[^,]*,)?n=[^,]*,r=([\x21-\x2b\x2d-\x7e]+)(?:,.*)?)$/s.exec(message);
    if (!match) throw malformed('client-first');
    const [, header = '', bare = '', mandatory, clientNonce = ''] = match;
    if (header.startsWith('p=')) throw malformed('channel binding was not offered');
    if (mandatory !== undefined) throw malformed('unknown mandatory extension');
    this.#header = header;
    this.#clientFirstBare = bare;
    this.#nonce = `${clientNonce}${this.#serverNonce}`;
    const { salt, iterations } = this.#verifier;
    this.#serverFirst = `r=${this.#nonce},s=${salt.toString('base64')},i=${iterations}`;
    return this.#serverFirst;
  }

  /** The answer to client-final, or undefined when the proof is wrong. Throws 08P01 for what is no client-final. */
  final(message: string): string | undefined {
    const match = /^(c=([A-Za-z0-9+/=]+),r=([^,]+)(?:,(?!p=)[^,]*)*),p=([A-Za-z0-9+/]+={0,2})$/.exec(message);
    if (!match) throw malformed('client-final');
    const [, withoutProof = '', binding = '', nonce = '', proof = ''] = match;
    if (Buffer.from(binding, 'base64').toString('latin1') !== this.#header) throw malformed('channel binding has changed');
    if (nonce !== this.#nonce) throw malformed('nonce has changed');
    const authMessage = `${this.#clientFirstBare},${this.#serverFirst},${withoutProof}`;
    if (!checkProof(this.#verifier, authMessage, Buffer.from(proof, 'base64'))) return undefined;
    return `v=${serverSignature(this.#verifier, authMessage).toString('base64')}`;
  }
}
