/**
 * The HTTP address: `/health` for probes, `/_status/vars` and `/metrics` for Prometheus.
 *
 * Answers GET and HEAD only, holds no state, and never shows more of a failure than its message.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import type { MetricRegistry } from '../base/metrics.ts';
import type { ServerCerts } from './certs.ts';
import { nodeHttp, nodeHttps } from './lazyModules.ts';
import { type MetricsForm, metricsText } from './metricsText.ts';

export interface HttpServerOptions {
  readonly host: string;
  /** 0 picks a free port. */
  readonly port: number;
  /** False while draining: `/health?ready=1` then answers 503. */
  readonly isReady: () => boolean;
  readonly metrics: MetricRegistry;
  /** Turns it into HTTPS. */
  readonly certs?: ServerCerts;
}

export interface RunningHttpServer {
  readonly host: string;
  readonly port: number;
  close(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

const METRICS: Readonly<Record<string, MetricsForm>> = Object.freeze({ '/_status/vars': 'names', '/metrics': 'labels' });

async function answer(url: URL, options: HttpServerOptions): Promise<Answer> {
  if (url.pathname === '/health') {
    const ready = options.isReady();
    if (url.searchParams.has('ready') && !ready)
      return { status: 503, contentType: 'application/json', body: '{"error":"node is not ready"}\n' };
    return { status: 200, contentType: 'application/json', body: '{}\n' };
  }
  const form = METRICS[url.pathname];
  if (form !== undefined) return { status: 200, ...(await metricsText(await options.metrics.read(), form)) };
  return { status: 404, contentType: 'text/plain; charset=utf-8', body: 'not found; try /health, /_status/vars or /metrics\n' };
}

/** The answer to a request; never rejects. */
async function respond(request: IncomingMessage, options: HttpServerOptions): Promise<Answer> {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return { status: 405, contentType: 'text/plain; charset=utf-8', body: 'method not allowed\n' };
  }
  const base = 'http://localhost';
  const path = request.url ?? '/';
  if (!URL.canParse(path, base)) return { status: 400, contentType: 'text/plain; charset=utf-8', body: 'bad request\n' };
  try {
    return await answer(new URL(path, base), options);
  } catch (error) {
    return { status: 500, contentType: 'text/plain; charset=utf-8', body: `${(error as Error).message}\n` };
  }
}

/** Listens. Rejects with the system's error when the address is taken. */
export function startHttpServer(options: HttpServerOptions): Promise<RunningHttpServer> {
  const { certs } = options;
  const answerRequest = (request: IncomingMessage, response: ServerResponse): void => {
    void respond(request, options).then(({ status, contentType, body }) => {
      if (status === 405) response.setHeader('Allow', 'GET, HEAD');
      response.writeHead(status, { 'Content-Type': contentType, 'Content-Length': Buffer.byteLength(body) });
      response.end(request.method === 'HEAD' ? undefined : body);
    });
  };
  const server: Server = certs
    ? nodeHttps().createServer({ cert: certs.cert, key: certs.key, minVersion: 'TLSv1.2' }, answerRequest)
    : nodeHttp().createServer(answerRequest);
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, () => {
      server.off('error', reject);
      resolve({
        host: options.host,
        port: (server.address() as AddressInfo).port,
        close: () =>
          new Promise<void>((done) => {
            server.close(() => done());
            server.closeAllConnections();
          }),
      });
    });
  });
}
