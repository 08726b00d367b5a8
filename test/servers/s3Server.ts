/**
 * An S3 service on loopback, path-style, as far as storage uses one: objects with conditions and ranges, listings in
 * short pages, multipart uploads. It looks at the access key and does not check signatures.
 */
import { createHash } from 'node:crypto';

import { type Answer, faulty, type Request, type ServerFault, startServer, type TestServer } from './httpServer.ts';

export const S3_ACCESS_KEY = 'AKIAVARVETEST';

interface StoredObject {
  readonly content: Buffer;
  readonly headers: Request['headers'];
}

export interface S3Server extends TestServer {
  /** By key, of the one bucket "bucket". */
  readonly objects: Map<string, StoredObject>;
  /** Multipart uploads that have begun and not ended. */
  readonly uploads: Map<string, { readonly key: string; readonly headers: Request['headers']; readonly parts: Map<number, Buffer> }>;
  /** Asked before each request. */
  fault: (request: Request) => ServerFault | undefined;
}

const PAGE_KEYS = 4;

export async function startS3Server(): Promise<S3Server> {
  const state: Pick<S3Server, 'objects' | 'uploads' | 'fault'> = { objects: new Map(), uploads: new Map(), fault: () => undefined };
  const server = await startServer((request) => faulty(state.fault(request), () => answerTo(state, request), failed));
  return Object.assign(state, server);
}

function answerTo(state: Pick<S3Server, 'objects' | 'uploads'>, request: Request): Answer {
  const { method, url, headers } = request;
  if (!headers.authorization?.includes(`Credential=${S3_ACCESS_KEY}/`)) return failed(403, 'InvalidAccessKeyId');
  const [, bucket = '', ...rest] = url.pathname.split('/');
  if (bucket !== 'bucket') return failed(404, 'NoSuchBucket');
  const key = decodeURIComponent(rest.join('/'));
  if (key === '') return list(state.objects, url.searchParams);
  const uploadId = url.searchParams.get('uploadId');
  if (method === 'POST' && url.searchParams.has('uploads')) {
    const id = `upload-${state.uploads.size + 1}-${key.length}`;
    state.uploads.set(id, { key, headers, parts: new Map() });
    return xml(200, `<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`);
  }
  if (uploadId !== null) return uploadAnswer(state, request, key, uploadId);
  const stored = state.objects.get(key);
  switch (method) {
    case 'PUT':
      if (stored && headers['if-none-match'] === '*') return failed(412, 'PreconditionFailed');
      state.objects.set(key, { content: request.body, headers });
      return { status: 200, headers: { etag: etagOf(request.body) }, body: '' };
    case 'DELETE':
      state.objects.delete(key);
      return { status: 204, body: '' };
    case 'HEAD':
    case 'GET':
      return stored ? read(stored, method, headers.range) : failed(404, 'NoSuchKey');
    default:
      return failed(405, 'MethodNotAllowed');
  }
}

function uploadAnswer(
  state: Pick<S3Server, 'objects' | 'uploads'>,
  { method, url, headers, body }: Request,
  key: string,
  id: string,
): Answer {
  const upload = state.uploads.get(id);
  if (upload?.key !== key) return failed(404, 'NoSuchUpload');
  if (method === 'PUT') {
    upload.parts.set(Number(url.searchParams.get('partNumber')), body);
    return { status: 200, headers: { etag: etagOf(body) }, body: '' };
  }
  if (method === 'DELETE') {
    state.uploads.delete(id);
    return { status: 204, body: '' };
  }
  if (state.objects.has(key) && headers['if-none-match'] === '*') return failed(412, 'PreconditionFailed');
  const numbers = [...body.toString().matchAll(/<PartNumber>(\d+)<\/PartNumber>/g)].map((match) => Number(match[1]));
  const parts = numbers.map((number) => upload.parts.get(number));
  if (parts.some((part, index) => part === undefined || (index + 1 < parts.length && part.length < 5 << 20)))
    return failed(400, 'InvalidPart');
  state.objects.set(key, { content: Buffer.concat(parts as Buffer[]), headers: upload.headers });
  state.uploads.delete(id);
  return xml(200, '<CompleteMultipartUploadResult><ETag>"e"</ETag></CompleteMultipartUploadResult>');
}

function read({ content, headers }: StoredObject, method: string, range: string | undefined): Answer {
  const asked = /^bytes=(\d+)-(\d*)$/.exec(range ?? '');
  const start = asked ? Number(asked[1]) : 0;
  if (asked && start >= content.length) return failed(416, 'InvalidRange');
  const body = content.subarray(start, asked?.[2] ? Number(asked[2]) + 1 : content.length);
  const metadata = Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith('x-amz-meta-'))) as Record<string, string>;
  return {
    status: asked ? 206 : 200,
    headers: { ...metadata, etag: etagOf(content), 'content-length': String(body.length) },
    body: method === 'HEAD' ? '' : body,
  };
}

function list(objects: ReadonlyMap<string, StoredObject>, query: URLSearchParams): Answer {
  const prefix = query.get('prefix') ?? '';
  const delimiter = query.get('delimiter');
  const after = query.get('continuation-token') ?? '';
  const byUtf8 = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));
  const entries = new Set<string>();
  for (const key of objects.keys()) {
    if (!key.startsWith(prefix)) continue;
    const slash = delimiter === null ? -1 : key.indexOf(delimiter, prefix.length);
    entries.add(slash === -1 ? key : key.slice(0, slash + 1));
  }
  const left = [...entries].sort(byUtf8).filter((entry) => byUtf8(entry, after) > 0);
  const page = left.slice(0, PAGE_KEYS);
  const encode = (key: string) => encodeURIComponent(key).replaceAll('%20', '+').replaceAll('%2F', '/');
  const isFolder = (entry: string) => delimiter !== null && entry.endsWith(delimiter);
  const contents = page.filter((entry) => !isFolder(entry)).map((entry) => `<Contents><Key>${encode(entry)}</Key></Contents>`);
  const folders = page.filter(isFolder).map((entry) => `<CommonPrefixes><Prefix>${encode(entry)}</Prefix></CommonPrefixes>`);
  const next =
    left.length > page.length
      ? `<IsTruncated>true</IsTruncated><NextContinuationToken>${xmlText(page.at(-1) ?? '')}</NextContinuationToken>`
      : '<IsTruncated>false</IsTruncated>';
  return xml(200, `<ListBucketResult>${contents.join('')}${folders.join('')}${next}</ListBucketResult>`);
}

const xmlText = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
const etagOf = (content: Buffer) => `"${createHash('md5').update(content).digest('hex')}"`;
const xml = (status: number, body: string): Answer => ({
  status,
  headers: { 'content-type': 'application/xml' },
  body: `<?xml version="1.0" encoding="UTF-8"?>\n${body}`,
});
const failed = (status: number, code: string): Answer => xml(status, `<Error><Code>${code}</Code><Message>told so</Message></Error>`);
