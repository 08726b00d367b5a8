/** A server on loopback for a test: one handler, and the requests that it got. */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

export interface Request {
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

export interface Answer {
  readonly status: number;
  readonly headers?: Record<string, string>;
  readonly body: string | Buffer;
  /** Breaks the connection after half of the body, or before an empty one. */
  readonly isCut?: boolean;
  /** Is never given. */
  readonly isStalled?: boolean;
}

/** What happens instead of the right answer; with `after`, once that has been done. */
export type ServerFault = 'reset' | 'stall' | 'truncate' | { readonly status: number; readonly code: string; readonly after?: boolean };

/** The right answer, or what the fault makes of it. `failed` words a refusal. */
export function faulty(fault: ServerFault | undefined, right: () => Answer, failed: (status: number, code: string) => Answer): Answer {
  if (fault === undefined) return right();
  if (fault === 'reset') return { status: 0, body: '', isCut: true };
  if (fault === 'stall') return { status: 0, body: '', isStalled: true };
  if (fault === 'truncate') return { ...right(), isCut: true };
  if (fault.after) right();
  return failed(fault.status, fault.code);
}

export const json = (status: number, body: unknown, headers: Record<string, string> = {}): Answer => ({
  status,
  headers: { 'content-type': 'application/json', ...headers },
  body: JSON.stringify(body),
});

export interface TestServer {
  readonly host: string;
  readonly port: number;
  readonly origin: string;
  readonly requests: readonly Request[];
  close(): Promise<void>;
}

/** `tls`: key and certificate in PEM. */
export async function startServer(handle: (request: Request) => Answer, tls?: { key: string; cert: string }): Promise<TestServer> {
  const requests: Request[] = [];
  const onRequest: Parameters<typeof createServer>[1] = (incoming, outgoing) => {
    const pieces: Buffer[] = [];
    incoming.on('data', (piece: Buffer) => pieces.push(piece));
    incoming.on('end', () => {
      const url = new URL(incoming.url ?? '/', `http://${incoming.headers.host}`);
      const request = { method: incoming.method ?? '', url, headers: incoming.headers, body: Buffer.concat(pieces) };
      requests.push(request);
      const { status, headers, body, isCut, isStalled } = handle(request);
      if (isStalled) return;
      if (isCut && body.length === 0) return void outgoing.destroy();
      outgoing.writeHead(status, headers);
      if (isCut) outgoing.write(body.slice(0, body.length / 2), () => outgoing.destroy());
      else outgoing.end(body);
    });
  };
  const server: Server = tls === undefined ? createServer(onRequest) : createTlsServer(tls, onRequest);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    host: '127.0.0.1',
    port,
    origin: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
