/**
 * HttpClient: requests to storage servers over undici, for all locations of one database: connections are kept
 * alive and shared, proxies come from HTTP_PROXY, HTTPS_PROXY and NO_PROXY, certificate authorities from the system
 * and a setting, and a request that does not move ends on the injected clock (patience.ts).
 *
 * undici is loaded by the first request: most databases never make one.
 *
 * It makes one request, and says of a failure what class it is of; repeating it is retry.ts's business.
 */
import type { Dispatcher } from 'undici';

import type { Clock } from '../../base/clock.ts';
import type { ConnectionCounts } from '../connectionCounts.ts';
import { Patience } from '../patience.ts';

/** Longest time that a request may stand still, whatever cloudstorage.timeout allows. */
const SILENCE_MICROS_MAX = 60_000_000;
const CONNECTIONS_MAX = 32;
const KEEP_ALIVE_MS = 4_000;

export interface HttpClientOptions {
  readonly clock: Clock;
  /** PEM text of certificate authorities beside the system's; '' for none. */
  readonly customCa?: () => string;
  /** cloudstorage.timeout. */
  readonly timeoutMicros?: () => number;
  readonly connections?: ConnectionCounts | undefined;
}

export interface HttpRequest {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  readonly origin: string;
  /** Percent-encoded. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Called once; the pieces of a PUT or POST. */
  readonly body?: () => AsyncIterable<Uint8Array>;
  readonly signal?: AbortSignal | undefined;
}

export interface HttpResponse {
  readonly status: number;
  /** The first value of a header, by its lower-case name. */
  header(name: string): string | undefined;
  /** The body as it comes. Rejects with what broke it. */
  pieces(): AsyncGenerator<Uint8Array>;
  /** Lets go of the body: reads a small rest, so that the connection is used again, or breaks the connection. Never throws. */
  dispose(): Promise<void>;
}

/** The other side has not moved for longer than is allowed. */
export class HttpSilence extends Error {
  readonly limitMicros: number;

  constructor(limitMicros: number) {
    super(`no answer within ${limitMicros / 1e6} s`);
    this.limitMicros = limitMicros;
  }
}

const REST_BYTES_MAX = 64 << 10;

export class HttpClient {
  readonly #options: HttpClientOptions;
  #agent: { readonly dispatcher: Promise<Dispatcher>; readonly ca: string } | undefined;
  /** Connections opened that have not carried a request yet: the next one went there. */
  #freshConnections = 0;

  constructor(options: HttpClientOptions) {
    this.#options = options;
  }

  /** Resolves with the status and headers. Rejects with the signal's reason, HttpSilence, what `body` threw, or the system's error. */
  async request(request: HttpRequest): Promise<HttpResponse> {
    const { signal, body } = request;
    signal?.throwIfAborted();
    const limitMicros = Math.min(SILENCE_MICROS_MAX, this.#options.timeoutMicros?.() ?? SILENCE_MICROS_MAX);
    const ending = new AbortController();
    const onAbort = () => ending.abort(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    const patience = new Patience(this.#options.clock, limitMicros, () => ending.abort(new HttpSilence(limitMicros)));
    const end = () => {
      patience.end();
      signal?.removeEventListener('abort', onAbort);
    };
    const sent = body && watched(body(), patience);
    try {
      patience.enter();
      const response = await (await this.#dispatcher()).request({
        origin: request.origin,
        path: request.path,
        method: request.method,
        headers: request.headers,
        signal: ending.signal,
        // It takes any async iterable, which its types do not say.
        ...(sent && { body: sent.pieces as unknown as Dispatcher.RequestOptions['body'] }),
      });
      patience.leave();
      this.#noteRequest();
      return received(response, { patience, ending, end });
    } catch (error) {
      end();
      if (sent?.failure) throw sent.failure.error;
      throw ending.signal.aborted ? ending.signal.reason : error;
    }
  }

  /** Ends every connection. The next request opens new ones. */
  async close(): Promise<void> {
    const agent = this.#agent;
    this.#agent = undefined;
    await (await agent?.dispatcher)?.destroy();
  }

  #dispatcher(): Promise<Dispatcher> {
    const ca = this.#options.customCa?.() ?? '';
    if (this.#agent?.ca !== ca) {
      // Requests under way end as they began.
      void this.#agent?.dispatcher.then((before) => before.close());
      this.#agent = { dispatcher: newDispatcher(ca, (isTls) => this.#noteOpened(isTls)), ca };
    }
    return this.#agent.dispatcher;
  }

  #noteOpened(isTls: boolean): void {
    this.#freshConnections++;
    this.#options.connections?.noteOpened(isTls);
  }

  #noteRequest(): void {
    if (this.#freshConnections > 0) this.#freshConnections--;
    else this.#options.connections?.noteReused();
  }
}

async function newDispatcher(ca: string, onOpened: (isTls: boolean) => void): Promise<Dispatcher> {
  const { EnvHttpProxyAgent, Pool } = await import('undici');
  const authorities = ca === '' ? undefined : [...(await import('node:tls')).rootCertificates, ca];
  return new EnvHttpProxyAgent({
    connections: CONNECTIONS_MAX,
    factory: (origin, options) => new Pool(origin, options).on('connect', ({ protocol }) => onOpened(protocol === 'https:')),
    keepAliveTimeout: KEEP_ALIVE_MS,
    // Its own timers are off: patience.ts watches.
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: { timeout: 0, ...(authorities && { ca: authorities }) },
  });
}

/** The body on its way out. `failure`: what its source threw, which the caller gets instead of the connection's end. */
function watched(
  source: AsyncIterable<Uint8Array>,
  patience: Patience,
): { pieces: AsyncIterable<Uint8Array>; failure?: { error: unknown } } {
  const sent: { pieces: AsyncIterable<Uint8Array>; failure?: { error: unknown } } = { pieces: pieces() };
  async function* pieces(): AsyncGenerator<Uint8Array> {
    patience.leave();
    try {
      for await (const piece of source) {
        patience.enter();
        yield piece;
        patience.leave();
      }
    } catch (error) {
      sent.failure = { error };
      throw error;
    }
    patience.enter();
  }
  return sent;
}

interface Exchange {
  readonly patience: Patience;
  readonly ending: AbortController;
  readonly end: () => void;
}

function received(response: Dispatcher.ResponseData, { patience, ending, end }: Exchange): HttpResponse {
  const { body } = response;
  // An error after nobody listens any more is nobody's.
  body.on('error', () => {});
  async function* pieces(): AsyncGenerator<Uint8Array> {
    try {
      const iterator = body[Symbol.asyncIterator]();
      for (;;) {
        patience.enter();
        const next = await iterator.next();
        patience.leave();
        if (next.done) return;
        yield next.value as Uint8Array;
      }
    } catch (error) {
      throw ending.signal.aborted ? ending.signal.reason : error;
    } finally {
      end();
      body.destroy();
    }
  }
  return {
    status: response.statusCode,
    header: (name) => {
      const value = response.headers[name];
      return Array.isArray(value) ? value[0] : value;
    },
    pieces,
    dispose: async () => {
      patience.enter();
      await body.dump({ limit: REST_BYTES_MAX, signal: ending.signal }).catch(() => {});
      end();
      body.destroy();
    },
  };
}
