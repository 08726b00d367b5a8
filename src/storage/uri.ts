/**
 * Storage URIs: `scheme://[user[:password]@]host/path?PARAM=value&...`, read once, printed redacted.
 *
 *   U1  nothing that prints (toString, toJSON, inspect, template text) shows a secret; only
 *       `unredacted()` does, and only code that opens or persists a location calls it
 *   U2  redaction replaces secret values in the user's own text and leaves every other byte alone
 *   U3  an error about a malformed URI never quotes the part that could hold a secret
 *
 * Host, path and values are percent-decoded; in the query `+` is a space, so base64 keys must be
 * encoded. Parameter names are exact upper case, except that redaction ignores case.
 */
import { inspect } from 'node:util';

import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import { decodeName, redactUri, splitText } from '../base/uriText.ts';

export { isSecretParameter, redactUri } from '../base/uriText.ts';

export const LOCALITY_PARAMETER = 'COCKROACH_LOCALITY';

/** One tier of a node's locality, `key=value`. */
export interface LocalityTier {
  readonly key: string;
  readonly value: string;
}

interface UriParts {
  readonly scheme: string;
  readonly userInfo: string | undefined;
  readonly host: string;
  readonly path: string;
  readonly parameters: ReadonlyMap<string, string>;
}

export class ParsedUri {
  /** Lower case, without the colon. */
  readonly scheme: string;
  /** Decoded `user:password` text before the `@`; secret. */
  readonly userInfo: string | undefined;
  /** Decoded; empty when there is none. Case is kept. */
  readonly host: string;
  /** Decoded, without leading or trailing slashes. */
  readonly path: string;
  /** Decoded, in the order written. COCKROACH_LOCALITY included. */
  readonly parameters: ReadonlyMap<string, string>;
  readonly #text: string;

  private constructor(text: string, parts: UriParts) {
    this.#text = text;
    this.scheme = parts.scheme;
    this.userInfo = parts.userInfo;
    this.host = parts.host;
    this.path = parts.path;
    this.parameters = parts.parameters;
  }

  /** Throws 22023 when the text is no URI, a percent escape is broken, or a parameter comes twice. */
  static parse(text: string): ParsedUri {
    return new ParsedUri(text, parseParts(text));
  }

  /** The text as the user gave it, secrets included. */
  unredacted(): string {
    return this.#text;
  }

  /** The redacted text. */
  toString(): string {
    return redactUri(this.#text);
  }

  toJSON(): string {
    return this.toString();
  }

  [inspect.custom](): string {
    return `ParsedUri(${this.toString()})`;
  }

  /**
   * COCKROACH_LOCALITY: 'default', one tier, or undefined when absent.
   * Throws 22023 when it is neither `default` nor exactly one `key=value`.
   */
  get locality(): LocalityTier | 'default' | undefined {
    const text = this.parameters.get(LOCALITY_PARAMETER);
    if (text === undefined || text === 'default') return text;
    const tier = /^([^=,]+)=([^=,]+)$/.exec(text);
    if (!tier?.[1] || !tier[2]) {
      throw new StatementError(
        SqlState.InvalidParameterValue,
        `failed to parse backup locality: tier must be in the form "key=value" not "${text}"`,
        { hint: `${LOCALITY_PARAMETER} is "default" or one tier, percent-encoded: region%3Dus-east` },
      );
    }
    return { key: tier[1], value: tier[2] };
  }

  /** The same location without COCKROACH_LOCALITY: two URIs of one place compare equal by `unredacted()`. */
  withoutLocality(): ParsedUri {
    const split = splitText(this.#text);
    if (!split?.query) return this;
    const kept = split.query.split('&').filter((piece) => decodeName(piece) !== LOCALITY_PARAMETER);
    const text = this.#text.slice(0, this.#text.indexOf('?')) + (kept.length > 0 ? `?${kept.join('&')}` : '');
    return text === this.#text ? this : ParsedUri.parse(text);
  }

  /** Throws 22023 naming every parameter that is not in `known` (COCKROACH_LOCALITY is always known). `hint`: where there are none. */
  refuseOtherParameters(known: readonly string[], hint = 'parameter names are upper case'): void {
    const unknown = [...this.parameters.keys()].filter((name) => name !== LOCALITY_PARAMETER && !known.includes(name));
    if (unknown.length > 0) {
      throw new StatementError(SqlState.InvalidParameterValue, `unknown ${providerLabel(this)} query parameters: ${unknown.join(', ')}`, {
        hint: known.length > 0 ? `known parameters: ${[...known, LOCALITY_PARAMETER].join(', ')}` : hint,
      });
    }
  }
}

/** A provider as CockroachDB's errors have it. A key's URI has no host. */
function providerLabel({ scheme, host }: ParsedUri): string {
  if (scheme === 'aws' || scheme.endsWith('-kms') || (scheme === 'gs' && host === '')) return 'KMS';
  if (scheme === 's3' || scheme === 'gs') return scheme.toUpperCase();
  return scheme.startsWith('azure') ? 'azure' : scheme;
}

function parseParts(text: string): UriParts {
  const split = splitText(text);
  if (!split) {
    throw new StatementError(SqlState.InvalidParameterValue, `not a storage URI: "${redactUri(text)}"`, {
      hint: "write scheme://host/path, such as 'nodelocal://1/backups'",
    });
  }
  const at = split.authority.lastIndexOf('@');
  const parameters = new Map<string, string>();
  for (const piece of split.query?.split('&') ?? []) {
    if (piece === '') continue;
    const name = decode(piece.split('=', 1)[0] ?? '', 'parameter name', text);
    const equals = piece.indexOf('=');
    if (parameters.has(name)) {
      throw new StatementError(SqlState.InvalidParameterValue, `query parameter ${name} is given twice in "${redactUri(text)}"`);
    }
    parameters.set(name, equals === -1 ? '' : decode(piece.slice(equals + 1).replaceAll('+', ' '), `value of ${name}`, text));
  }
  return {
    scheme: split.scheme.toLowerCase(),
    userInfo: at === -1 ? undefined : decode(split.authority.slice(0, at), 'user info', text),
    host: decode(split.authority.slice(at + 1), 'host', text),
    path: decode(split.path, 'path', text).replace(/^\/+|\/+$/g, ''),
    parameters,
  };
}

function decode(piece: string, what: string, text: string): string {
  try {
    return decodeURIComponent(piece);
  } catch {
    throw new StatementError(SqlState.InvalidParameterValue, `invalid percent encoding in the ${what} of "${redactUri(text)}"`);
  }
}
