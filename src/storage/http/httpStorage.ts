/**
 * http://, https:// (and file-http://, file-https://, the same by CockroachDB's other name): any server that
 * answers GET, PUT and DELETE. PUT stores its body under the path, GET gives it back, DELETE removes it.
 *
 *   H1  nothing else is asked of a server. One that takes ranges is read in ranges; of one that does not, the
 *       bytes before are passed over. There is no listing (listed.ts keeps one) and no conditional create
 *   H2  a write is whole when the server has said 200, 201 or 204. An aborted one breaks the connection before
 *       the body's end; a server that keeps half a body then is none to keep backups on
 *   H3  a body that ends early is noticed by its announced length, and is an error that may be retried
 *   H4  redirects are not followed: they would carry files and passwords to places that nobody has named
 *
 * A user and password in the URI are sent as Basic authentication.
 */
import { createHash } from 'node:crypto';

import { StatementError, StorageError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';

import type {
  ExternalStorage,
  ReadOptions,
  StorageCapabilities,
  StorageOperation,
  WriteOptions,
  WriteResult,
  WriteSource,
} from '../externalStorage.ts';
import { checkBasePath, checkName, chunksOf, gather, missingFile } from '../names.ts';
import type { ParsedUri } from '../uri.ts';
import type { HttpClient, HttpRequest, HttpResponse } from './httpClient.ts';
import { answerError, connectionError, isFolderRedirect } from './httpError.ts';

const CAPABILITIES: StorageCapabilities = Object.freeze({ list: false, delete: true, conditionalCreate: false });
/** A large buffer goes out in pieces, whose progress is watched. */
const PIECE_BYTES = 1 << 20;

/** Throws 22023 for a URI without a server, with parameters or with a path that is not normalised. */
export function openHttp(uri: ParsedUri, client: HttpClient): ExternalStorage {
  uri.refuseOtherParameters([]);
  checkBasePath(uri.path, uri);
  return new HttpStorage(uri, originOf(uri), client);
}

function originOf(uri: ParsedUri): string {
  const scheme = uri.scheme.replace(/^file-/, '');
  const url = URL.parse(`${scheme}://${uri.host}/`);
  if (uri.host === '' || url === null || url.pathname !== '/' || url.search !== '' || url.hash !== '') {
    throw new StatementError(SqlState.InvalidParameterValue, `no server in "${uri}"`, { hint: `write '${uri.scheme}://host:port/path'` });
  }
  return url.origin;
}

class HttpStorage implements ExternalStorage {
  readonly uri: ParsedUri;
  readonly capabilities = CAPABILITIES;
  readonly #origin: string;
  /** Percent-encoded, with slashes at both ends. */
  readonly #base: string;
  readonly #client: HttpClient;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(uri: ParsedUri, origin: string, client: HttpClient) {
    this.uri = uri;
    this.#origin = origin;
    this.#base = uri.path === '' ? '/' : `/${encodePath(uri.path)}/`;
    this.#client = client;
    this.#headers = {
      'accept-encoding': 'identity',
      'user-agent': 'varve',
      ...(uri.userInfo !== undefined && { authorization: `Basic ${Buffer.from(uri.userInfo).toString('base64')}` }),
    };
  }

  async write(name: string, source: WriteSource, options: WriteOptions = {}): Promise<WriteResult> {
    checkName(name);
    if (options.ifAbsent) throw this.#unsupported('write', 'create a file only if it is absent');
    const { signal } = options;
    const hash = createHash('sha256');
    let sizeBytes = 0;
    async function* body(): AsyncGenerator<Uint8Array> {
      for await (const chunk of chunksOf(source, signal)) {
        hash.update(chunk);
        sizeBytes += chunk.length;
        for (let at = 0; at < chunk.length; at += PIECE_BYTES) yield chunk.subarray(at, at + PIECE_BYTES);
      }
    }
    const length = knownLength(source);
    const headers = { 'content-type': 'application/octet-stream', ...(length !== undefined && { 'content-length': String(length) }) };
    const response = await this.#request('write', name, { method: 'PUT', headers, body, signal });
    if (![200, 201, 204].includes(response.status)) throw await answerError(this.uri, 'write', name, response);
    await response.dispose();
    return { sizeBytes, sha256: hash.digest('hex') };
  }

  async read(name: string, options: ReadOptions = {}): Promise<Uint8Array> {
    return await gather(this.#get('read', name, options));
  }

  readStream(name: string, options: ReadOptions = {}): AsyncIterable<Uint8Array> {
    return this.#get('readStream', name, options);
  }

  async size(name: string): Promise<number> {
    checkName(name);
    const response = await this.#request('size', name, { method: 'GET', headers: { range: 'bytes=0-0' } });
    await this.#requireContent('size', name, response);
    const total = /^bytes (?:\d+-\d+|\*)\/(\d+)$/.exec(response.header('content-range') ?? '')?.[1] ?? wholeLength(response);
    if (total !== undefined) {
      await response.dispose();
      return Number(total);
    }
    // The server tells no length: count.
    await response.dispose();
    let bytes = 0;
    for await (const piece of this.#get('size', name, {})) bytes += piece.length;
    return bytes;
  }

  async list(): Promise<string[]> {
    throw this.#unsupported('list', 'list files');
  }

  async delete(name: string): Promise<void> {
    checkName(name);
    const response = await this.#request('delete', name, { method: 'DELETE', headers: {} });
    if (![200, 202, 204, 404, 410].includes(response.status)) throw await answerError(this.uri, 'delete', name, response);
    await response.dispose();
  }

  /** The connections are the client's. */
  async close(): Promise<void> {}

  async *#get(operation: StorageOperation, name: string, options: ReadOptions): AsyncGenerator<Uint8Array> {
    checkName(name);
    const { offset = 0, length = Number.POSITIVE_INFINITY, signal } = options;
    // A range has at least one byte, and a missing file is an error also when nothing of it is asked for.
    const last = length === Number.POSITIVE_INFINITY ? '' : String(offset + Math.max(length, 1) - 1);
    const headers: Record<string, string> = offset > 0 || last !== '' ? { range: `bytes=${offset}-${last}` } : {};
    const response = await this.#request(operation, name, { method: 'GET', headers, signal });
    await this.#requireContent(operation, name, response);
    const range = /^bytes (\d+)-(\d+)\//.exec(response.header('content-range') ?? '');
    if (response.status === 416 || length === 0) return await response.dispose();
    if (response.status === 206 && Number(range?.[1]) !== offset) {
      await response.dispose();
      throw this.#broken(
        operation,
        name,
        `asked for bytes from ${offset}, the server sent ${response.header('content-range') ?? 'others'}`,
      );
    }
    let skipBytes = response.status === 206 ? 0 : offset;
    const announced = range && response.status === 206 ? Number(range[2]) - offset + 1 : wholeLength(response);
    let receivedBytes = 0;
    let leftBytes = length;
    try {
      for await (const piece of response.pieces()) {
        receivedBytes += piece.length;
        const passed = Math.min(skipBytes, piece.length);
        skipBytes -= passed;
        const wanted = piece.subarray(passed, passed + Math.min(piece.length, leftBytes));
        leftBytes -= wanted.length;
        if (wanted.length > 0) yield wanted;
        if (leftBytes === 0) return;
      }
    } catch (error) {
      throw this.#failure(operation, name, error, signal);
    }
    signal?.throwIfAborted();
    if (announced !== undefined && receivedBytes < announced) {
      throw this.#broken(operation, name, `the connection ended after ${receivedBytes} of ${announced} bytes`);
    }
  }

  async #request(operation: StorageOperation, name: string, request: Omit<HttpRequest, 'origin' | 'path'>): Promise<HttpResponse> {
    const { signal, headers } = request;
    try {
      return await this.#client.request({
        ...request,
        origin: this.#origin,
        path: this.#base + encodePath(name),
        headers: { ...this.#headers, ...headers },
      });
    } catch (error) {
      throw this.#failure(operation, name, error, signal);
    }
  }

  /** 58P01 for a file that is not there, and another error for an answer that is no file. */
  async #requireContent(operation: StorageOperation, name: string, response: HttpResponse): Promise<void> {
    const { status } = response;
    if ([404, 410].includes(status) || isFolderRedirect(response, this.#base + encodePath(name))) {
      await response.dispose();
      throw missingFile(this.uri, operation, name);
    }
    if (![200, 206, 416].includes(status)) throw await answerError(this.uri, operation, name, response);
    const encoding = response.header('content-encoding') ?? 'identity';
    if (encoding === 'identity') return;
    await response.dispose();
    throw this.#broken(operation, name, `the server sends the file in encoding ${encoding}, though asked for it as it is`, false);
  }

  /** What to throw for whatever a request threw: the caller's own reasons stay what they are. */
  #failure(operation: StorageOperation, name: string, error: unknown, signal: AbortSignal | undefined): unknown {
    if (signal?.aborted) return signal.reason;
    return connectionError(this.uri, operation, name, error) ?? error;
  }

  #broken(operation: StorageOperation, name: string, what: string, isRetryable = true): StorageError {
    return new StorageError(SqlState.IoError, `cannot ${operation} "${name}" in "${this.uri}": ${what}`, {
      operation,
      redactedUri: String(this.uri),
      isRetryable,
    });
  }

  #unsupported(operation: StorageOperation, what: string): StorageError {
    return new StorageError(SqlState.FeatureNotSupported, `an HTTP server cannot ${what}`, { operation, redactedUri: String(this.uri) });
  }
}

function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}

function wholeLength(response: HttpResponse): number | undefined {
  const length = response.header('content-length');
  return response.status === 200 && length !== undefined && /^\d+$/.test(length) ? Number(length) : undefined;
}

function knownLength(source: WriteSource): number | undefined {
  if (source instanceof Uint8Array) return source.length;
  return Array.isArray(source) ? source.reduce((sum: number, chunk: Uint8Array) => sum + chunk.length, 0) : undefined;
}
