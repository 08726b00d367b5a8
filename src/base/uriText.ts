/**
 * URI text: `scheme://[user[:password]@]host/path?PARAM=value&...` cut into its parts, and printed without what is
 * secret in it. The list of secret parameters is here, once for everything that prints.
 */

/** Parameters whose values never leave the process in print. */
const SECRET_PARAMETERS: ReadonlySet<string> = new Set([
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
  'CREDENTIALS',
  'BEARER_TOKEN',
  'AZURE_ACCOUNT_KEY',
  'AZURE_CLIENT_SECRET',
]);

/** What a misspelt one, or one of a service that is not known here, is called. */
const SOUNDS_SECRET = /SECRET|TOKEN|PASSW|PASSPHRASE|CREDENTIAL|SIGNATURE|PRIVATE|_KEY$|^KEY$|^SIG$/i;

const REDACTED = 'redacted';

/** Whether the value of a parameter is never shown. */
export function isSecretParameter(name: string): boolean {
  return SECRET_PARAMETERS.has(name.toUpperCase()) || SOUNDS_SECRET.test(name);
}

/**
 * The text with every secret replaced. Never throws: a text that is no URI is cut at its first `?`
 * or `@`, where secrets could begin.
 */
export function redactUri(text: string): string {
  const split = splitText(text);
  if (!split) return /[?@]/.test(text) ? REDACTED : text;
  const broken = redactBrokenPassword(text);
  if (broken !== undefined) return broken;
  const authority = redactAuthority(split.authority);
  const query = split.query?.split('&').map(redactParameter).join('&');
  return `${split.scheme}://${authority}${split.path}${query === undefined ? '' : `?${query}`}`;
}

/** A password with a slash or question mark that should have been encoded looks like a port that is none, a path or a query. */
function redactBrokenPassword(text: string): string | undefined {
  const match = /^([^:]*:\/\/)([^/?@:[]*):([^/?@]*)[/?][\s\S]*@([\s\S]*)$/.exec(text);
  if (match === null || /^\d*$/.test(match[3] ?? '')) return undefined;
  return `${match[1]}${match[2]}:${REDACTED}@${redactUri(`${match[1]}${match[4]}`).slice(match[1]?.length)}`;
}

/** A name without a password may be a token. */
function redactAuthority(authority: string): string {
  const at = authority.lastIndexOf('@');
  if (at === -1) return authority;
  const userInfo = authority.slice(0, at);
  const colon = userInfo.indexOf(':');
  return `${colon === -1 ? REDACTED : `${userInfo.slice(0, colon)}:${REDACTED}`}${authority.slice(at)}`;
}

function redactParameter(piece: string): string {
  const equals = piece.indexOf('=');
  if (equals === -1) return piece;
  // An endpoint is a URL of its own, which may have a password.
  const hasUserInfo = /@|%40/i.test(piece.slice(equals)) && /ENDPOINT|URL/i.test(decodeName(piece));
  return hasUserInfo || isSecretParameter(decodeName(piece)) ? `${piece.slice(0, equals + 1)}${REDACTED}` : piece;
}

/** The decoded name of one `NAME=value` piece; the raw name when its escapes are broken. */
export function decodeName(piece: string): string {
  const name = piece.split('=', 1)[0] ?? '';
  try {
    return decodeURIComponent(name.replaceAll('+', ' ')).trim();
  } catch {
    return name;
  }
}

export interface UriText {
  readonly scheme: string;
  readonly authority: string;
  readonly path: string;
  readonly query: string | undefined;
}

/** Undefined for a text that is no URI. */
export function splitText(text: string): UriText | undefined {
  const match = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/([^/?]*)([^?]*)(?:\?([\s\S]*))?$/.exec(text);
  return match ? { scheme: match[1] ?? '', authority: match[2] ?? '', path: match[3] ?? '', query: match[4] } : undefined;
}
