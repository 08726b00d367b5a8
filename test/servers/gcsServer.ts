/**
 * Google Cloud Storage on loopback by its JSON API, as far as storage uses it: multipart and resumable uploads, media in
 * ranges, listings in pages, conditions, deletion, errors as the service words them; and what hands out tokens:
 * OAuth for service accounts, whose signatures are verified, and IAM's generateAccessToken.
 *
 * Protocol: Google, "Cloud Storage JSON API reference", "Perform resumable uploads", "Using OAuth 2.0 for server to
 * server applications".
 */
import { createHash, createPublicKey, createVerify, generateKeyPairSync, type KeyObject } from 'node:crypto';

import { type Answer, faulty, json, type Request, type ServerFault, startServer, type TestServer } from './httpServer.ts';
import type { ServerUnderTest } from './process.ts';

export const GCS_BUCKET = 'bucket';
const EMAIL = 'varve@project.iam.gserviceaccount.com';
const CHUNK_BYTES = 256 << 10;
const SKEW_SECONDS_MAX = 300;
const AUDIENCE = 'https://oauth2.googleapis.com/token';

interface Session {
  readonly name: string;
  readonly isConditional: boolean;
  received: Buffer[];
  receivedBytes: number;
  /** The file stands; queries are told so. */
  isDone: boolean;
}

export interface GcsServer extends TestServer {
  /** By name, of the one bucket. */
  readonly objects: Map<string, Buffer>;
  /** Uploads that have begun and not ended, by id. */
  readonly sessions: Map<string, Session>;
  /** The JSON key of the one service account. */
  readonly accountKey: string;
  /** What may be used in place of it. */
  readonly token: string;
  /** Asked before each request of storage. */
  fault: (request: Request) => ServerFault | undefined;
  /** Of the server's clock, which tokens are held against. */
  skewSeconds: number;
  /** A chunk is kept to this many bytes, as the service may. */
  keepBytesMax: number;
}

export interface GcsOptions {
  /** A service account that EMAIL may act as, through `delegates`. */
  readonly impersonated?: string;
  readonly delegates?: readonly string[];
  readonly pageNames?: number;
}

/** As one of the servers that storageServers.ts runs; the service account signs in. */
export async function startGcs(): Promise<ServerUnderTest> {
  const server = await startGcsServer({ pageNames: 1000 });
  const key = encodeURIComponent(Buffer.from(server.accountKey).toString('base64'));
  const parameters = `CREDENTIALS=${key}&GOOGLE_ENDPOINT=${encodeURIComponent(server.origin)}`;
  return { uri: (name) => `gs://${GCS_BUCKET}/${name}?${parameters}`, stop: () => server.close() };
}

type State = Pick<GcsServer, 'objects' | 'sessions' | 'fault' | 'skewSeconds' | 'keepBytesMax'>;

export async function startGcsServer(options: GcsOptions = {}): Promise<GcsServer> {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const publicKey = createPublicKey(privateKey);
  const tokens = new Set(['ya29.the-token']);
  const state: State = {
    objects: new Map(),
    sessions: new Map(),
    fault: () => undefined,
    skewSeconds: 0,
    keepBytesMax: Number.POSITIVE_INFINITY,
  };
  const server = await startServer((request) => {
    const path = request.url.pathname;
    if (path === '/token') return grant(request, publicKey, tokens, given.skewSeconds);
    return faulty(
      given.fault(request),
      () => answerTo(given, request, tokens, options),
      (status, reason) => refuse(status, reason, 'told so'),
    );
  });
  const key = { type: 'service_account', client_email: EMAIL, private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }) };
  const given: GcsServer = Object.assign(state, server, { accountKey: JSON.stringify(key), token: 'ya29.the-token' });
  return given;
}

/** A token for a JWT that the service account has signed. */
function grant({ body }: Request, publicKey: KeyObject, tokens: Set<string>, skewSeconds: number): Answer {
  const form = new URLSearchParams(body.toString());
  const refused = (words: string) => json(400, { error: 'invalid_grant', error_description: words });
  if (form.get('grant_type') !== 'urn:ietf:params:oauth:grant-type:jwt-bearer') return json(400, { error: 'unsupported_grant_type' });
  const [header = '', claims = '', signature = ''] = (form.get('assertion') ?? '').split('.');
  const isSigned = createVerify('RSA-SHA256').update(`${header}.${claims}`).verify(publicKey, signature, 'base64url');
  if (!isSigned) return refused('Invalid JWT Signature.');
  const { iss, aud, iat, exp, scope } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as Record<string, unknown>;
  if (iss !== EMAIL) return refused('Invalid grant: account not found');
  if (aud !== AUDIENCE || !String(scope).includes('devstorage.read_write')) return refused('Invalid audience or scope.');
  const now = Date.now() / 1000 + skewSeconds;
  if (Number(iat) > now + SKEW_SECONDS_MAX || Number(exp) < now - SKEW_SECONDS_MAX) {
    return refused('Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe.');
  }
  const token = `ya29.of-account-${tokens.size}`;
  tokens.add(token);
  return json(200, { access_token: token, expires_in: 3599, token_type: 'Bearer' });
}

function answerTo(state: State, request: Request, tokens: Set<string>, options: GcsOptions): Answer {
  const { method, url, headers } = request;
  const sessionId = url.searchParams.get('upload_id');
  // A session's URL is its own credential.
  if (sessionId !== null) return sessionAnswer(state, request, sessionId);
  const bearer = /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1];
  if (bearer === undefined) return refuse(401, 'required', 'Anonymous caller does not have storage.objects access.');
  if (!tokens.has(bearer)) return refuse(401, 'authError', 'Invalid Credentials');
  if (url.pathname.endsWith(':generateAccessToken')) return impersonate(request, tokens, options);
  const [, upload, bucket, name] = /^(\/upload)?\/storage\/v1\/b\/([^/]+)\/o(?:\/([^/]*))?$/.exec(url.pathname) ?? [];
  if (bucket === undefined) return refuse(404, 'notFound', 'Not Found');
  if (decodeURIComponent(bucket) !== GCS_BUCKET) return refuse(404, 'notFound', 'The specified bucket does not exist.');
  if (upload !== undefined && method === 'POST') return beginUpload(state, request);
  if (name === undefined) return list(state.objects, url.searchParams, options.pageNames ?? 4);
  const key = decodeURIComponent(name);
  const content = state.objects.get(key);
  if (content === undefined) return refuse(404, 'notFound', `No such object: ${GCS_BUCKET}/${key}`);
  if (method === 'DELETE') {
    state.objects.delete(key);
    return { status: 204, body: '' };
  }
  return url.searchParams.get('alt') === 'media' ? media(content, headers.range) : json(200, resource(key, content));
}

function impersonate({ url, body }: Request, tokens: Set<string>, options: GcsOptions): Answer {
  const account = /serviceAccounts\/(.+):generateAccessToken$/.exec(url.pathname)?.[1] ?? '';
  const { delegates = [] } = JSON.parse(body.toString()) as { delegates?: string[] };
  const names = delegates.map((one) => one.replace('projects/-/serviceAccounts/', ''));
  const isAllowed = account === options.impersonated && JSON.stringify(names) === JSON.stringify(options.delegates ?? []);
  if (!isAllowed) return refuse(403, 'forbidden', `Permission 'iam.serviceAccounts.getAccessToken' denied on ${account}`);
  tokens.add(`ya29.${account}`);
  return json(200, { accessToken: `ya29.${account}`, expireTime: '2200-01-01T00:00:00Z' });
}

function beginUpload(state: State, { url, headers, body }: Request): Answer {
  const query = url.searchParams;
  const isConditional = query.get('ifGenerationMatch') === '0';
  if (query.get('uploadType') === 'resumable') {
    const name = query.get('name') ?? '';
    if (name === '') return refuse(400, 'required', 'Required');
    const id = `session-${state.sessions.size + 1}-${name.length}`;
    state.sessions.set(id, { name, isConditional, received: [], receivedBytes: 0, isDone: false });
    const location = `http://${headers.host}/upload/storage/v1/b/${GCS_BUCKET}/o?uploadType=resumable&upload_id=${id}`;
    return { status: 200, headers: { location }, body: '' };
  }
  if (query.get('uploadType') !== 'multipart') return refuse(400, 'badRequest', 'Bad Request');
  const boundary = /boundary=([\w-]+)/.exec(headers['content-type'] ?? '')?.[1] ?? '';
  const opening = Buffer.from(`--${boundary}\r\n`);
  const second = body.indexOf(opening, opening.length);
  const contentAt = body.indexOf('\r\n\r\n', second) + 4;
  const contentEnd = body.length - Buffer.byteLength(`\r\n--${boundary}--`);
  const isWhole = second !== -1 && body.subarray(contentEnd).equals(Buffer.from(`\r\n--${boundary}--`));
  if (!isWhole) return refuse(400, 'badRequest', 'Malformed multipart body.');
  const metadata = body.subarray(body.indexOf('\r\n\r\n') + 4, second).toString();
  const { name, md5Hash } = JSON.parse(metadata) as { name: string; md5Hash?: string };
  const content = Buffer.from(body.subarray(contentAt, contentEnd));
  if (md5Hash !== undefined && md5Hash !== md5(content))
    return refuse(400, 'invalid', 'Provided MD5 hash does not match calculated MD5 hash.');
  return store(state, name, content, isConditional);
}

/** 308 with what has come, until the last chunk. */
function sessionAnswer(state: State, { method, headers, body }: Request, id: string): Answer {
  const session = state.sessions.get(id);
  if (session === undefined) return refuse(404, 'notFound', 'Upload session not found.');
  if (method === 'DELETE') {
    state.sessions.delete(id);
    return { status: 499, body: '' };
  }
  if (session.isDone) return json(200, resource(session.name, state.objects.get(session.name) ?? Buffer.alloc(0)));
  const [, from, to, total] = /^bytes (?:(\d+)-(\d+)|\*)\/(\d+|\*)$/.exec(headers['content-range'] ?? '') ?? [];
  if (total === undefined) return refuse(400, 'badRequest', 'Failed to parse Content-Range header.');
  if (from !== undefined) {
    const isAligned = total !== '*' || body.length % CHUNK_BYTES === 0;
    if (Number(from) !== session.receivedBytes || Number(to) - Number(from) + 1 !== body.length || !isAligned) {
      return refuse(400, 'badRequest', `Invalid request. ${headers['content-range']} after ${session.receivedBytes} bytes.`);
    }
    const kept = body.subarray(0, state.keepBytesMax);
    session.received.push(kept);
    session.receivedBytes += kept.length;
  }
  if (total !== '*' && session.receivedBytes === Number(total)) {
    const stored = store(state, session.name, Buffer.concat(session.received), session.isConditional);
    session.isDone = stored.status === 200;
    session.received = [];
    return stored;
  }
  const range: Record<string, string> = session.receivedBytes === 0 ? {} : { range: `bytes=0-${session.receivedBytes - 1}` };
  return { status: 308, headers: { ...range, 'content-length': '0' }, body: '' };
}

function store(state: State, name: string, content: Buffer, isConditional: boolean): Answer {
  if (isConditional && state.objects.has(name)) {
    return refuse(412, 'conditionNotMet', 'At least one of the pre-conditions you specified did not hold.');
  }
  state.objects.set(name, content);
  return json(200, resource(name, content));
}

function media(content: Buffer, range: string | undefined): Answer {
  const asked = /^bytes=(\d+)-(\d*)$/.exec(range ?? '');
  if (!asked) return { status: 200, headers: { 'content-length': String(content.length) }, body: content };
  const start = Number(asked[1]);
  if (start >= content.length) return refuse(416, 'requestedRangeNotSatisfiable', 'Request range not satisfiable');
  const body = content.subarray(start, asked[2] ? Number(asked[2]) + 1 : content.length);
  const contentRange = `bytes ${start}-${start + body.length - 1}/${content.length}`;
  return { status: 206, headers: { 'content-length': String(body.length), 'content-range': contentRange }, body };
}

function list(objects: ReadonlyMap<string, Buffer>, query: URLSearchParams, pageNames: number): Answer {
  const prefix = query.get('prefix') ?? '';
  const delimiter = query.get('delimiter');
  const entries = new Set<string>();
  for (const name of objects.keys()) {
    if (!name.startsWith(prefix)) continue;
    const slash = delimiter === null ? -1 : name.indexOf(delimiter, prefix.length);
    entries.add(slash === -1 ? name : name.slice(0, slash + 1));
  }
  const sorted = [...entries].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const start = Number(Buffer.from(query.get('pageToken') ?? '', 'base64').toString() || 0);
  const page = sorted.slice(start, start + pageNames);
  const isFolder = (entry: string) => delimiter !== null && entry.endsWith(delimiter);
  const items = page.filter((entry) => !isFolder(entry)).map((name) => ({ name }));
  const prefixes = page.filter(isFolder);
  const end = start + pageNames;
  return json(200, {
    ...(items.length > 0 && { items }),
    ...(prefixes.length > 0 && { prefixes }),
    ...(end < sorted.length && { nextPageToken: Buffer.from(String(end)).toString('base64') }),
  });
}

const md5 = (content: Buffer) => createHash('md5').update(content).digest('base64');
const resource = (name: string, content: Buffer) => ({ kind: 'storage#object', name, bucket: GCS_BUCKET, size: String(content.length) });
const refuse = (status: number, reason: string, message: string): Answer =>
  json(status, { error: { code: status, message, errors: [{ message, domain: 'global', reason }] } });
