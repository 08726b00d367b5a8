/**
 * Azure Blob Storage on loopback, as far as storage uses it: block blobs put whole or in staged blocks, conditions,
 * ranges, listings in short pages. It looks at the account or the token and does not check signatures: Azurite does.
 * Over TLS it also signs app registrations in, as Entra ID does.
 */
import { createHash } from 'node:crypto';

import { type Answer, faulty, json, type Request, type ServerFault, startServer, type TestServer } from './httpServer.ts';
import { selfSigned } from './selfSigned.ts';

export const AZURE_ACCOUNT = 'varvetest';

export interface AzureBlob {
  readonly content: Buffer;
  readonly headers: Request['headers'];
}

export interface AzureBlobServer extends TestServer {
  /** By name, of the one container "container". */
  readonly blobs: Map<string, AzureBlob>;
  /** Blocks that are staged and not committed, by blob and id. */
  readonly blocks: Map<string, Map<string, Buffer>>;
  /** Asked before each request of storage. */
  fault: (request: Request) => ServerFault | undefined;
  /** Who vouches for the server, in PEM; '' without TLS. */
  readonly ca: string;
}

/** An app registration that may sign in. */
export interface AzureApp {
  readonly tenant: string;
  readonly clientId: string;
  readonly clientSecret: string;
}

const PAGE_NAMES = 4;
const TOKEN = 'eyJ.blob-token';

type State = Pick<AzureBlobServer, 'blobs' | 'blocks' | 'fault'>;

/** With `app`, over TLS. */
export async function startAzureBlobServer(app?: AzureApp): Promise<AzureBlobServer> {
  const state: State = { blobs: new Map(), blocks: new Map(), fault: () => undefined };
  const tls = app && selfSigned();
  const server = await startServer((request) => {
    const signedIn = app && signIn(app, request);
    if (signedIn) return signedIn;
    return faulty(state.fault(request), () => answerTo(state, request, app !== undefined), failed);
  }, tls);
  return Object.assign(state, server, { ca: tls?.ca ?? '' });
}

function signIn(app: AzureApp, { url, headers, body }: Request): Answer | undefined {
  const authority = `https://${headers.host}/${app.tenant}`;
  if (url.pathname.endsWith('/openid-configuration')) {
    const endpoints = { authorization_endpoint: `${authority}/authorize`, jwks_uri: `${authority}/keys`, issuer: `${authority}/v2.0` };
    return json(200, { token_endpoint: `${authority}/oauth2/v2.0/token`, ...endpoints });
  }
  if (!url.pathname.endsWith('/oauth2/v2.0/token')) return undefined;
  const form = new URLSearchParams(body.toString());
  if (form.get('client_id') === app.clientId && form.get('client_secret') === app.clientSecret) {
    return json(200, { token_type: 'Bearer', access_token: TOKEN, expires_in: 3600 });
  }
  const words = `AADSTS7000215: Invalid client secret provided: ${form.get('client_secret')}`;
  return json(401, { error: 'invalid_client', error_description: words });
}

function answerTo(state: State, request: Request, isToken: boolean): Answer {
  const { method, url, headers, body } = request;
  const isKnown = isToken
    ? headers.authorization === `Bearer ${TOKEN}`
    : headers.authorization?.startsWith(`SharedKey ${AZURE_ACCOUNT}:`) === true;
  if (!isKnown) return failed(403, 'AuthenticationFailed');
  const [, account, container, ...rest] = url.pathname.split('/').map(decodeURIComponent);
  if (account !== AZURE_ACCOUNT) return failed(400, 'InvalidUri');
  if (container !== 'container') return failed(404, 'ContainerNotFound');
  const name = rest.join('/');
  if (url.searchParams.get('comp') === 'list') return list(state.blobs, url.searchParams);
  const stored = state.blobs.get(name);
  const isTaken = stored !== undefined && headers['if-none-match'] === '*';
  switch (`${method} ${url.searchParams.get('comp') ?? ''}`) {
    case 'PUT ':
      if (isTaken) return failed(409, 'BlobAlreadyExists');
      state.blobs.set(name, { content: body, headers });
      state.blocks.delete(name);
      return { status: 201, body: '' };
    case 'PUT block': {
      const blocks = state.blocks.get(name) ?? new Map<string, Buffer>();
      state.blocks.set(name, blocks.set(url.searchParams.get('blockid') ?? '', body));
      return { status: 201, body: '' };
    }
    case 'PUT blocklist': {
      if (isTaken) return failed(409, 'BlobAlreadyExists');
      const ids = [...body.toString().matchAll(/<Latest>([^<]+)<\/Latest>/g)].map((match) => match[1] ?? '');
      const parts = ids.map((id) => state.blocks.get(name)?.get(id));
      if (parts.includes(undefined)) return failed(400, 'InvalidBlockList');
      state.blobs.set(name, { content: Buffer.concat(parts as Buffer[]), headers });
      state.blocks.delete(name);
      return { status: 201, body: '' };
    }
    case 'GET ':
    case 'HEAD ':
      return stored ? read(stored, request) : failed(404, 'BlobNotFound');
    case 'DELETE ':
      return state.blobs.delete(name) ? { status: 202, body: '' } : failed(404, 'BlobNotFound');
    default:
      return failed(405, 'UnsupportedHttpVerb');
  }
}

function read({ content, headers }: AzureBlob, { method, headers: asked }: Request): Answer {
  const range = /^bytes=(\d+)-(\d*)$/.exec(String(asked['x-ms-range'] ?? asked.range ?? ''));
  const start = range ? Number(range[1]) : 0;
  if (range && start >= content.length) return failed(416, 'InvalidRange');
  const body = content.subarray(start, range?.[2] ? Number(range[2]) + 1 : content.length);
  const metadata = Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith('x-ms-meta-'))) as Record<string, string>;
  const etag = `"${createHash('md5').update(content).digest('hex')}"`;
  return {
    status: range ? 206 : 200,
    headers: {
      ...metadata,
      etag,
      'x-ms-blob-type': 'BlockBlob',
      'content-length': String(body.length),
      ...(range && { 'content-range': `bytes ${start}-${start + body.length - 1}/${content.length}` }),
    },
    body: method === 'HEAD' ? '' : body,
  };
}

function list(blobs: ReadonlyMap<string, AzureBlob>, query: URLSearchParams): Answer {
  const prefix = query.get('prefix') ?? '';
  const delimiter = query.get('delimiter');
  const entries = new Set<string>();
  for (const name of blobs.keys()) {
    if (!name.startsWith(prefix)) continue;
    const slash = delimiter === null ? -1 : name.indexOf(delimiter, prefix.length);
    entries.add(slash === -1 ? name : name.slice(0, slash + 1));
  }
  const sorted = [...entries].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const start = Number(query.get('marker') ?? 0);
  const page = sorted.slice(start, start + PAGE_NAMES).map((entry) => {
    const isFolder = delimiter !== null && entry.endsWith(delimiter);
    const nameOf = `<Name>${xmlText(entry)}</Name>`;
    return isFolder
      ? `<BlobPrefix>${nameOf}</BlobPrefix>`
      : `<Blob>${nameOf}<Properties><BlobType>BlockBlob</BlobType></Properties></Blob>`;
  });
  const next = start + PAGE_NAMES < sorted.length ? String(start + PAGE_NAMES) : '';
  return xml(200, `<EnumerationResults><Blobs>${page.join('')}</Blobs><NextMarker>${next}</NextMarker></EnumerationResults>`);
}

const xmlText = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
const xml = (status: number, body: string, headers: Record<string, string> = {}): Answer => ({
  status,
  headers: { 'content-type': 'application/xml', ...headers },
  body: `<?xml version="1.0" encoding="utf-8"?>${body}`,
});
const failed = (status: number, code: string): Answer =>
  xml(status, `<Error><Code>${code}</Code><Message>told so\nRequestId:1</Message></Error>`, { 'x-ms-error-code': code });
