/**
 * Errors of HTTP storage: what an answer or a broken connection means, whether the same call may succeed later,
 * and what the user can do about it.
 */
import { StorageError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';

import type { StorageOperation } from '../externalStorage.ts';
import { isRetryableStatus, scrub } from '../providerError.ts';
import type { ParsedUri } from '../uri.ts';
import { type HttpResponse, HttpSilence } from './httpClient.ts';

const EXCERPT_CHARS_MAX = 200;

/** The error of an answer that is not what was asked for. Lets go of the response. */
export async function answerError(
  uri: ParsedUri,
  operation: StorageOperation,
  name: string,
  response: HttpResponse,
): Promise<StorageError> {
  const { status } = response;
  const location = response.header('location');
  const words = await excerpt(response);
  const message = `cannot ${operation} "${name}" in "${uri}": the server answered ${status}${REASONS[status] ? ` (${REASONS[status]})` : ''}`;
  return new StorageError(CODES[status] ?? SqlState.IoError, message, {
    operation,
    redactedUri: String(uri),
    // 501 and 505 will be the answer tomorrow, and 507 until somebody makes room.
    isRetryable: isRetryableStatus(status) && ![501, 505, 507].includes(status),
    detail: words === '' ? undefined : `the server says: ${scrub(uri, words)}`,
    hint: status >= 300 && status < 400 && location !== undefined ? redirectHint(location) : hintOf(status, operation),
  });
}

/** The error of a request that got no answer; undefined when the error is not the connection's. */
export function connectionError(uri: ParsedUri, operation: StorageOperation, name: string, error: unknown): StorageError | undefined {
  const fields = { operation, redactedUri: String(uri) };
  const prefix = `cannot ${operation} "${name}" in "${uri}": `;
  if (error instanceof HttpSilence) return new StorageError(SqlState.IoError, prefix + error.message, { ...fields, isRetryable: true });
  const { code, reason } = deepest(error);
  if (code === undefined) return undefined;
  const isTls = /CERT|SSL|TLS|UNABLE_TO|SELF_SIGNED/.test(code);
  return new StorageError(SqlState.IoError, `${prefix}${CONNECTION_ERRORS[code] ?? scrub(uri, reason)}`, {
    ...fields,
    isRetryable: !isTls && !FINAL_CODES.has(code),
    hint: isTls ? 'give the certificate authority of the server: SET CLUSTER SETTING cloudstorage.http.custom_ca' : undefined,
  });
}

/** A redirect from `path` to `path/`: what servers answer for a folder. */
export function isFolderRedirect(response: HttpResponse, path: string): boolean {
  if (response.status < 300 || response.status >= 400) return false;
  const location = URL.parse(response.header('location') ?? '', `http://server${path}`);
  return location !== null && decoded(location.pathname) === `${decoded(path)}/`;
}

const REASONS: Readonly<Record<number, string>> = {
  400: 'bad request',
  401: 'unauthorized',
  403: 'forbidden',
  405: 'method not allowed',
  409: 'conflict',
  413: 'too large',
  414: 'name too long',
  429: 'too many requests',
  500: 'internal error',
  501: 'not implemented',
  502: 'bad gateway',
  503: 'unavailable',
  504: 'gateway timeout',
  507: 'no space left',
};

const CODES: Readonly<Record<number, SqlState>> = {
  401: SqlState.InsufficientPrivilege,
  403: SqlState.InsufficientPrivilege,
  404: SqlState.UndefinedFile,
  405: SqlState.FeatureNotSupported,
  413: SqlState.ProgramLimitExceeded,
  501: SqlState.FeatureNotSupported,
  507: SqlState.InsufficientResources,
};

function hintOf(status: number, operation: StorageOperation): string | undefined {
  switch (status) {
    case 401:
    case 403:
      return 'the URI may carry a user and password: https://user:password@host/path';
    case 404:
      return operation === 'write' ? 'the folder must exist, or the server must make it (nginx: create_full_put_path on)' : undefined;
    case 405:
    case 501:
      return 'the server must answer GET, PUT and DELETE (nginx: dav_methods PUT DELETE)';
    case 409:
      return operation === 'write' ? 'the server must make folders (nginx: create_full_put_path on)' : undefined;
    case 413:
      return 'the server must take large files (nginx: client_max_body_size 0)';
    default:
      return undefined;
  }
}

function redirectHint(location: string): string {
  return `the server redirects to ${JSON.stringify((location.split('?', 1)[0] ?? '').slice(0, EXCERPT_CHARS_MAX))}; name the place itself`;
}

const CONNECTION_ERRORS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'the server refuses connections',
  ECONNRESET: 'the connection was reset',
  EPIPE: 'the server closed the connection while the file was sent',
  ETIMEDOUT: 'the connection timed out',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'the network cannot be reached',
  ENOTFOUND: 'the host name is not known',
  EAI_AGAIN: 'the host name cannot be looked up now',
  UND_ERR_SOCKET: 'the connection broke',
};
/** Will fail the same way again. */
const FINAL_CODES: ReadonlySet<string> = new Set(['ENOTFOUND', 'ERR_INVALID_URL', 'HPE_INVALID_CONSTANT', 'UND_ERR_INVALID_ARG']);

/** The code of the innermost error that has one: undici and Node wrap what the system says. */
function deepest(error: unknown): { code: string | undefined; reason: string } {
  let found: { code: string | undefined; reason: string } = { code: undefined, reason: '' };
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 5; depth++) {
    const { code, message, cause, errors } = at as Error & { code?: unknown; errors?: unknown };
    if (typeof code === 'string') found = { code, reason: message };
    at = cause ?? (Array.isArray(errors) ? errors[0] : undefined);
  }
  return found;
}

/** The beginning of a text answer, in one line. */
async function excerpt(response: HttpResponse): Promise<string> {
  const type = response.header('content-type') ?? '';
  if (!/text|json|xml/.test(type)) {
    await response.dispose();
    return '';
  }
  let text = '';
  try {
    for await (const piece of response.pieces()) {
      text += Buffer.from(piece).toString('utf8');
      if (text.length > 10 * EXCERPT_CHARS_MAX) break;
    }
  } catch {
    // What has come is enough.
  }
  const plain = text
    .replace(/<(style|script)[^>]*>.*?<\/\1>/gs, ' ')
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ')
    .trim();
  return plain.slice(0, EXCERPT_CHARS_MAX);
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
