/**
 * The HTTP address: `/health` for probes, `/_status/vars` for Prometheus.
 *
 * Answers GET and HEAD only, holds no state, and never shows more of a failure than its message.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { formatPrometheus, type MetricCollector, PROMETHEUS_CONTENT_TYPE } from './prometheusText.ts';

export interface HttpServerOptions {
  readonly host: string;
  /** 0 picks a free port. */
  readonly port: number;
  /** False while draining: `/health?ready=1` then answers 503. */
  readonly isReady: () => boolean;
  readonly collectors: readonly MetricCollector[];
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

function answer(url: URL, options: HttpServerOptions): Answer {
  switch (url.pathname) {
    case '/health': {
      const ready = options.isReady();
      if (url.searchParams.has('ready') && !ready)
        return { status: 503, contentType: 'application/json', body: '{"error":"node is not ready"}\n' };
      return { status: 200, contentType: 'application/json', body: '{}\n' };
    }
    case '/_status/vars':
      return {
        status: 200,
        contentType: PROMETHEUS_CONTENT_TYPE,
        body: formatPrometheus(options.collectors.flatMap((collect) => [...collect()])),
      };
    default:
      return { status: 404, contentType: 'text/plain; charset=utf-8', body: 'not found; try /health or /_status/vars\n' };
  }
}

/** Listens. Rejects with the system's error when the address is taken. */
export function startHttpServer(options: HttpServerOptions): Promise<RunningHttpServer> {
  const server: Server = createServer((request, response) => {
    let result: Answer;
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('Allow', 'GET, HEAD');
      result = { status: 405, contentType: 'text/plain; charset=utf-8', body: 'method not allowed\n' };
    } else {
      try {
        result = answer(new URL(request.url ?? '/', 'http://localhost'), options);
      } catch (error) {
        result = { status: 500, contentType: 'text/plain; charset=utf-8', body: `${(error as Error).message}\n` };
      }
    }
    response.writeHead(result.status, { 'Content-Type': result.contentType, 'Content-Length': Buffer.byteLength(result.body) });
    response.end(request.method === 'HEAD' ? undefined : result.body);
  });
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
