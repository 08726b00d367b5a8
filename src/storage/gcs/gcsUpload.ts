/**
 * Resumable upload: a stream of any length in parts, one after another, visible when the last has come.
 *
 *   P1  a part that fails is asked after: what the service has of it is not sent again. The stream that it came from
 *       cannot be read twice
 *   P2  when anything fails the session is ended, best effort; one that is left ends by itself after a week
 *   P3  a last part whose answer was lost is not believed to have failed: the session says whether the file stands
 *
 * Protocol: Google, "Perform resumable uploads". Parts but the last are multiples of 256 KiB (parts.ts makes 8 MiB).
 */
import type { StorageError } from '../../base/errors.ts';
import type { HttpResponse } from '../http/httpClient.ts';
import type { CallOptions } from '../providerCalls.ts';
import { type RetryContext, retrying } from '../retry.ts';
import type { GcsClient, GcsRefusal } from './gcsClient.ts';

const INCOMPLETE = 308;
/** The answer to the end of a session; no mistake. */
const CLIENT_CLOSED = 499;

export interface UploadTarget {
  readonly client: GcsClient;
  readonly call: CallOptions;
  /** Where a session begins. */
  readonly path: string;
  /** No session is anywhere else. */
  readonly origin: string;
}

/** Resolves when the file stands there whole. `refused` reads what the last part was refused for. */
export async function uploadResumable(
  target: UploadTarget,
  retry: RetryContext,
  parts: AsyncIterable<Uint8Array>,
  refused: (refusal: GcsRefusal) => StorageError | undefined,
): Promise<void> {
  const { client, call } = target;
  const session = await retrying(retry, call.signal, () => begin(target, refused));
  try {
    let start = 0;
    let held: Uint8Array | undefined;
    // One part is held back: the last says how long the file is.
    for await (const part of parts) {
      if (held) {
        await sendPart(target, retry, session, { part: held, start, isLast: false }, refused);
        start += held.length;
      }
      held = part;
    }
    call.signal?.throwIfAborted();
    await sendPart(target, retry, session, { part: held ?? new Uint8Array(), start, isLast: true }, refused);
  } catch (error) {
    const ended = { ...call, signal: undefined };
    await client
      .request(ended, { method: 'DELETE', target: { session } }, [CLIENT_CLOSED, 204, 404, 410])
      .then((response) => response.dispose())
      .catch(() => {});
    throw error;
  }
}

async function begin(
  { client, call, path, origin }: UploadTarget,
  refused: (refusal: GcsRefusal) => StorageError | undefined,
): Promise<URL> {
  const headers = { 'x-upload-content-type': 'application/octet-stream' };
  const response = await client.request(call, { method: 'POST', target: { path }, headers }, [200, 201], refused);
  await response.dispose();
  const session = URL.parse(response.header('location') ?? '');
  if (session?.origin !== origin) throw client.error(call, 'the service names no upload session of its own');
  return session;
}

interface Part {
  readonly part: Uint8Array;
  readonly start: number;
  readonly isLast: boolean;
}

async function sendPart(
  { client, call }: UploadTarget,
  retry: RetryContext,
  session: URL,
  { part, start, isLast }: Part,
  refused: (refusal: GcsRefusal) => StorageError | undefined,
): Promise<void> {
  const end = start + part.length;
  const total = isLast ? String(end) : '*';
  let storedBytes = start;
  const put = async (body: Uint8Array, range: string): Promise<HttpResponse> => {
    const headers = { 'content-range': `bytes ${range}/${total}` };
    const response = await client.request(
      call,
      { method: 'PUT', target: { session }, headers, body: [body] },
      [INCOMPLETE, 200, 201],
      refused,
    );
    await response.dispose();
    return response;
  };
  await retrying(retry, call.signal, async (attempt) => {
    // Without bytes it asks what has come, and makes the file stand when that is all.
    let response = attempt > 1 ? await put(new Uint8Array(), '*') : undefined;
    let isAsked = response !== undefined;
    for (;;) {
      if (response !== undefined) {
        if (response.status !== INCOMPLETE) return;
        const committed = Number(/^bytes=0-(\d+)$/.exec(response.header('range') ?? '')?.[1] ?? -1) + 1;
        // What was only asked after need not be more than before; what was sent must be.
        const isProgress = committed > storedBytes || (isAsked && committed === storedBytes);
        isAsked = false;
        if (committed < start || committed > end || !isProgress) throw client.error(call, 'the upload session has lost what was sent');
        storedBytes = committed;
        if (storedBytes === end && !isLast) return;
      }
      const rest = part.subarray(storedBytes - start);
      response = await put(rest, rest.length === 0 ? '*' : `${storedBytes}-${end - 1}`);
    }
  });
}
