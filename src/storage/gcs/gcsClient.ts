/**
 * GcsClient: requests to the JSON API of Cloud Storage for one location, signed in by Google's own library, which is
 * loaded at the first of them.
 *
 * Google's SDK for storage is not used: its calls cannot be aborted, wait and repeat on a clock of their own, and give up
 * an upload at the first part that fails. What it adds to the requests is here and in gcsUpload.ts.
 *
 * Protocol: Google, "Cloud Storage JSON API reference".
 */
import { type Clock, sleep } from '../../base/clock.ts';
import { isVarveError, StorageError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';

import { type GoogleAuthClient, googleAuthClient, type GoogleSignIn } from '../googleCredentials.ts';
import { type HttpClient, type HttpRequest, type HttpResponse, HttpSilence } from '../http/httpClient.ts';
import { connectionError } from '../http/httpError.ts';
import type { CallOptions } from '../providerCalls.ts';
import { isRetryableStatus, scrub } from '../providerError.ts';
import type { ParsedUri } from '../uri.ts';
import type { GcsOptions } from './gcsOptions.ts';

const ORIGIN = 'https://storage.googleapis.com';
const SCOPE = 'https://www.googleapis.com/auth/devstorage.read_write';
const SIGN_IN_MICROS_MAX = 60_000_000;
const ERROR_BYTES_MAX = 64 << 10;
/** A large buffer goes out in pieces, whose progress is watched. */
const PIECE_BYTES = 1 << 20;

export interface GcsRequest {
  readonly method: HttpRequest['method'];
  /** Percent-encoded, with its query; or the URL of an upload session, which needs nobody to sign in. */
  readonly target: { readonly path: string } | { readonly session: URL };
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: readonly Uint8Array[];
}

/** What an answer means that is not the one asked for. */
export interface GcsRefusal {
  readonly status: number;
  readonly message: string;
}

export class GcsClient {
  readonly #uri: ParsedUri;
  readonly #options: GcsOptions;
  readonly #http: HttpClient;
  readonly #clock: Clock;
  #auth: Promise<GoogleAuthClient> | undefined;

  constructor(uri: ParsedUri, options: GcsOptions, http: HttpClient, clock: Clock) {
    this.#uri = uri;
    this.#options = options;
    this.#http = http;
    this.#clock = clock;
  }

  /** `/storage/v1/b/bucket/o` and what follows. */
  path(object: string | undefined, query: Readonly<Record<string, string | undefined>>, service = '/storage/v1'): string {
    const { bucket, prefix, billingProject } = this.#options;
    const name = object === undefined ? '' : `/${encodeURIComponent(prefix + object)}`;
    const given = Object.entries({ ...query, userProject: billingProject }).filter(([, value]) => value !== undefined);
    const text = given.map(([key, value]) => `${key}=${encodeURIComponent(value ?? '')}`).join('&');
    return `${service}/b/${encodeURIComponent(bucket)}/o${name}${text === '' ? '' : `?${text}`}`;
  }

  /** The answer, when its status is one of `expected`; otherwise what `handle` or the answer says is thrown. */
  async request(
    call: CallOptions,
    request: GcsRequest,
    expected: readonly number[],
    handle: (refusal: GcsRefusal) => StorageError | undefined = () => undefined,
  ): Promise<HttpResponse> {
    call.signal?.throwIfAborted();
    const base = new URL(this.#options.endpoint ?? ORIGIN);
    const at = 'session' in request.target ? request.target.session : undefined;
    const headers = {
      'accept-encoding': 'identity',
      'user-agent': 'varve',
      ...(at === undefined && { authorization: `Bearer ${await this.#token(call)}` }),
      ...(request.method !== 'GET' && { 'content-length': String(sizeOf(request.body)) }),
      ...request.headers,
    };
    const { body = [] } = request;
    let response: HttpResponse;
    try {
      response = await this.#http.request({
        method: request.method,
        origin: at?.origin ?? base.origin,
        path: 'path' in request.target ? base.pathname.replace(/\/$/, '') + request.target.path : `${at?.pathname}${at?.search}`,
        headers,
        ...(sizeOf(body) > 0 && { body: () => piecesOf(body) }),
        signal: call.signal,
      });
    } catch (error) {
      throw this.failure(call, error);
    }
    if (expected.includes(response.status)) return response;
    const { message, reason } = await refusalOf(response);
    throw handle({ status: response.status, message }) ?? this.#refused(call, response.status, message, reason);
  }

  /** The JSON of an answer. */
  async json<T>(call: CallOptions, response: HttpResponse): Promise<T> {
    let text = '';
    try {
      const pieces: Uint8Array[] = [];
      for await (const piece of response.pieces()) pieces.push(piece);
      text = Buffer.concat(pieces).toString('utf8');
    } catch (error) {
      throw this.failure(call, error);
    }
    try {
      const value = JSON.parse(text) as T;
      if (typeof value === 'object' && value !== null) return value;
    } catch {
      // Said below.
    }
    throw this.error(call, 'the answer is not JSON', { hint: STRANGER_HINT });
  }

  /** What to throw for whatever a request threw: the caller's own reasons stay what they are. */
  failure(call: CallOptions, error: unknown): unknown {
    if (call.signal?.aborted) return call.signal.reason;
    return connectionError(this.#uri, call.operation, call.name, error) ?? error;
  }

  error(
    { operation, name }: CallOptions,
    what: string,
    fields: { isRetryable?: boolean; hint?: string; code?: SqlState } = {},
  ): StorageError {
    const { code = SqlState.IoError, isRetryable = false, hint } = fields;
    const message = `cannot ${operation} "${name}" in "${this.#uri}": ${what}`;
    return new StorageError(code, message, { operation, redactedUri: String(this.#uri), isRetryable, hint });
  }

  /** The library caches tokens, and fetches the next before one runs out. */
  async #token(call: CallOptions): Promise<string> {
    const { account, endpoint } = this.#options;
    const waiting = new AbortController();
    try {
      const purpose = 'storage in Google Cloud';
      const stopped = call.signal ? AbortSignal.any([call.signal, waiting.signal]) : waiting.signal;
      const silence = sleep(this.#clock, SIGN_IN_MICROS_MAX, stopped).then(() => Promise.reject(new HttpSilence(SIGN_IN_MICROS_MAX)));
      // The library's requests cannot be aborted: whoever gives up does not wait for them.
      silence.catch(() => {});
      this.#auth ??= this.#signIn({ purpose, scope: SCOPE, account, endpoint });
      const client = await Promise.race([this.#auth, silence]);
      const { token } = await Promise.race([client.getAccessToken(), silence]);
      if (token) return token;
    } catch (error) {
      throw this.#signInError(call, error);
    } finally {
      waiting.abort();
    }
    throw this.#signInError(call, new Error('there is no token'));
  }

  /** The next call tries again what failed: the environment may have no answer for a moment. */
  #signIn(signIn: GoogleSignIn): Promise<GoogleAuthClient> {
    return googleAuthClient(this.#uri, signIn).catch((error) => {
      this.#auth = undefined;
      throw error;
    });
  }

  #signInError(call: CallOptions, error: unknown): unknown {
    if (call.signal?.aborted) return call.signal.reason;
    const { status, message, response } = error as Error & { status?: unknown; response?: { status?: unknown } };
    const answered = [status, response?.status].find((one) => typeof one === 'number');
    if (isVarveError(error) || !(error instanceof Error)) return error;
    // A key that cannot be read has a code of OpenSSL's or of the file system.
    if (answered === undefined && !/^(?:ERR_|ENOENT|EACCES|EPERM|EISDIR|ENOTDIR)/.test(String((error as { code?: unknown }).code))) {
      const broken = connectionError(this.#uri, call.operation, call.name, error);
      if (broken) return broken;
    }
    const isRetryable = answered !== undefined && isRetryableStatus(answered as number);
    return this.error(call, `signing in failed: ${scrub(this.#uri, message)}`, {
      isRetryable,
      code: isRetryable ? SqlState.IoError : SqlState.InsufficientPrivilege,
      hint: SIGN_IN_HINT,
    });
  }

  #refused(call: CallOptions, status: number, message: string, reason: string): StorageError {
    const words = scrub(this.#uri, message);
    const what = `the service answered ${status}${reason === '' ? '' : ` (${reason})`}${words === '' ? '' : `: ${words}`}`;
    const isRate = /rateLimitExceeded/i.test(reason);
    return this.error(call, what, {
      isRetryable: isRate || (isRetryableStatus(status) && status !== 501 && status !== 505),
      code: isRate ? SqlState.IoError : (CODES[status] ?? SqlState.IoError),
      ...(hintOf(status, message, reason) !== undefined && { hint: hintOf(status, message, reason) as string }),
    });
  }
}

export function isMissingBucket({ status, message }: GcsRefusal): boolean {
  return status === 404 && /bucket does not exist/i.test(message);
}

const SIGN_IN_HINT = 'check CREDENTIALS or BEARER_TOKEN, ASSUME_ROLE, and the clock of the server; with AUTH=implicit, its environment';
const STRANGER_HINT = "is GOOGLE_ENDPOINT a service that speaks Cloud Storage's JSON API?";

const CODES: Readonly<Record<number, SqlState>> = {
  401: SqlState.InsufficientPrivilege,
  403: SqlState.InsufficientPrivilege,
  413: SqlState.ProgramLimitExceeded,
  501: SqlState.FeatureNotSupported,
};

function hintOf(status: number, message: string, reason: string): string | undefined {
  if (isMissingBucket({ status, message })) return 'make the bucket first, or check its name: the host of the URI';
  if (status === 401) return 'the token has run out, or was never one';
  if (reason === 'retentionPolicyNotMet') return 'the retention policy of the bucket keeps the file as it is';
  if (status === 403 && reason !== '') return 'the service account needs storage.objects.create, get and list on the bucket';
  return reason === '' && status < 500 && status !== 408 && status !== 429 ? STRANGER_HINT : undefined;
}

async function refusalOf(response: HttpResponse): Promise<{ message: string; reason: string }> {
  let text = '';
  try {
    for await (const piece of response.pieces()) {
      text += Buffer.from(piece).toString('utf8');
      if (text.length > ERROR_BYTES_MAX) break;
    }
    const { error } = JSON.parse(text) as { error?: { message?: unknown; errors?: { reason?: unknown }[] } };
    const message = typeof error?.message === 'string' ? error.message : '';
    return { message, reason: String(error?.errors?.[0]?.reason ?? '') };
  } catch {
    // What has come, if it is text.
    return {
      message: /^[\x20-\x7e\s]*$/.test(text)
        ? text
            .replace(/<[^>]*>|\s+/g, ' ')
            .trim()
            .slice(0, 200)
        : '',
      reason: '',
    };
  }
}

function sizeOf(body: readonly Uint8Array[] | undefined): number {
  return (body ?? []).reduce((sum, part) => sum + part.length, 0);
}

async function* piecesOf(body: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const part of body) for (let at = 0; at < part.length; at += PIECE_BYTES) yield part.subarray(at, at + PIECE_BYTES);
}
