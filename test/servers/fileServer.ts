/**
 * A file server on loopback that knows GET, PUT and DELETE, and can be told to misbehave: the least that HTTP
 * storage asks of a server. A PUT becomes visible with its last byte.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What the server does instead of answering as it should. */
export type Misbehaviour = 'reset' | 'stall' | 'truncate' | number;

export interface FileServer {
  readonly origin: string;
  /** By decoded path, without the leading slash. */
  readonly files: Map<string, Buffer>;
  /** `METHOD path` of each request, in order. */
  readonly requests: string[];
  readonly authorizations: Set<string | undefined>;
  readonly connections: number;
  /** Set to serve whole files whatever range is asked for. */
  ignoresRanges: boolean;
  /** Set to leave content-length away from whole files. */
  hidesLength: boolean;
  /** Asked at each request; undefined lets it pass. */
  misbehave: (request: string) => Misbehaviour | undefined;
  close(): Promise<void>;
}

export async function startFileServer(): Promise<FileServer> {
  let connections = 0;
  const state = {
    origin: '',
    files: new Map<string, Buffer>(),
    requests: [] as string[],
    authorizations: new Set<string | undefined>(),
    get connections() {
      return connections;
    },
    ignoresRanges: false,
    hidesLength: false,
    misbehave: (_request: string): Misbehaviour | undefined => undefined,
    close: () =>
      new Promise<void>((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
  const server = createServer((incoming, outgoing) => {
    const path = decodeURIComponent((incoming.url ?? '/').slice(1));
    const request = `${incoming.method} ${path}`;
    state.requests.push(request);
    state.authorizations.add(incoming.headers.authorization);
    const fault = state.misbehave(request);
    if (fault === 'stall') return;
    if (fault === 'reset') return void incoming.socket.destroy();
    if (typeof fault === 'number') {
      incoming.resume();
      return void outgoing.writeHead(fault, { 'content-type': 'text/plain' }).end(`told to answer ${fault}`);
    }
    if (incoming.method === 'PUT') return store(state.files, path, incoming, outgoing);
    if (incoming.method === 'DELETE') return void outgoing.writeHead(state.files.delete(path) ? 204 : 404).end();
    if (incoming.method !== 'GET') return void outgoing.writeHead(405).end();
    serve(state, path, incoming.headers.range, outgoing, fault === 'truncate');
  });
  server.on('connection', () => connections++);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  state.origin = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return state;
}

function store(files: Map<string, Buffer>, path: string, incoming: IncomingMessage, outgoing: ServerResponse): void {
  const pieces: Buffer[] = [];
  incoming.on('data', (piece: Buffer) => pieces.push(piece));
  incoming.on('end', () => {
    if (!incoming.complete) return;
    const status = files.has(path) ? 204 : 201;
    files.set(path, Buffer.concat(pieces));
    outgoing.writeHead(status).end();
  });
}

function serve(
  state: Pick<FileServer, 'files' | 'ignoresRanges' | 'hidesLength'>,
  path: string,
  range: string | undefined,
  outgoing: ServerResponse,
  isTruncated: boolean,
): void {
  const content = state.files.get(path);
  if (content === undefined) {
    const isFolder = [...state.files.keys()].some((name) => name.startsWith(`${path}/`));
    const location = `/${path.split('/').map(encodeURIComponent).join('/')}/`;
    return void (isFolder ? outgoing.writeHead(301, { location }) : outgoing.writeHead(404)).end();
  }
  const asked = state.ignoresRanges ? null : /^bytes=(\d+)-(\d*)$/.exec(range ?? '');
  const start = asked ? Number(asked[1]) : 0;
  if (asked && start >= content.length) return void outgoing.writeHead(416, { 'content-range': `bytes */${content.length}` }).end();
  const end = asked?.[2] ? Math.min(content.length, Number(asked[2]) + 1) : content.length;
  const body = content.subarray(start, end);
  outgoing.writeHead(asked ? 206 : 200, {
    ...(!state.hidesLength && { 'content-length': body.length }),
    ...(asked && { 'content-range': `bytes ${start}-${end - 1}/${content.length}` }),
  });
  if (!isTruncated) return void outgoing.end(body);
  outgoing.write(body.subarray(0, body.length / 2), () => outgoing.socket?.destroy());
}
