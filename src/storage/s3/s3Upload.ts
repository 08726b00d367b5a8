/**
 * Multipart upload: a stream of any length in parts, a few of them on their way at once, visible when the last call
 * puts them together.
 *
 *   P1  each part is retried by itself: the stream that it came from cannot be read again
 *   P2  parts grow with their number, so that 10,000 of them, which is what S3 takes, hold 5 TB
 *   P3  when anything fails the upload is given up, best effort: a bucket whose rights do not allow that keeps the parts
 *       unseen until its lifecycle rule clears them
 *   P4  a last call whose answer was lost is not believed to have failed: the object says which upload made it
 */
import type { StorageError } from '../../base/errors.ts';
import { type RetryContext, retrying } from '../retry.ts';
import type { CallOptions, S3Calls, S3Refusal } from './s3Client.ts';

const PART_BYTES_MIN = 8 << 20;
/** Parts of one size, before the size doubles: sizes of 8 MiB to 4 GiB. */
const PARTS_OF_A_SIZE = 1000;
const PARTS_IN_FLIGHT_MAX = 4;
const ID_METADATA = 'varve-upload';

/** Chunks on their way into parts. */
export class PartBuffer {
  #chunks: Uint8Array[] = [];
  #bytes = 0;
  #made = 0;
  readonly #firstBytes: number;

  constructor(firstBytes: number = PART_BYTES_MIN) {
    this.#firstBytes = firstBytes;
  }

  /** Keeps a copy: the caller may use its buffer again. */
  add(chunk: Uint8Array): void {
    this.#chunks.push(Buffer.from(chunk));
    this.#bytes += chunk.length;
  }

  /** Whether there is more than one part takes. */
  get isOverfull(): boolean {
    return this.#bytes > this.#partBytes();
  }

  /** Parts that are full. */
  *whole(): Generator<Uint8Array> {
    while (this.#bytes >= this.#partBytes()) {
      const all = this.#joined();
      const size = this.#partBytes();
      this.#made++;
      this.#chunks = all.length > size ? [all.subarray(size)] : [];
      this.#bytes = all.length - size;
      yield all.subarray(0, size);
    }
  }

  /** What is left. */
  rest(): Uint8Array {
    const all = this.#joined();
    this.#chunks = [];
    this.#bytes = 0;
    return all;
  }

  #joined(): Uint8Array {
    const [only] = this.#chunks;
    return this.#chunks.length === 1 && only ? only : Buffer.concat(this.#chunks);
  }

  #partBytes(): number {
    return this.#firstBytes * 2 ** Math.floor(this.#made / PARTS_OF_A_SIZE);
  }
}

export interface UploadTarget {
  readonly calls: S3Calls;
  readonly call: CallOptions;
  readonly place: { readonly Bucket: string; readonly Key: string };
  /** Storage class and encryption. */
  readonly stored: object;
}

/** Resolves when the object stands there whole. `refused` reads what the last call was refused for. */
export async function uploadParts(
  target: UploadTarget,
  retry: RetryContext,
  condition: { readonly IfNoneMatch?: string },
  parts: AsyncIterable<Uint8Array>,
  refused: (refusal: S3Refusal) => StorageError | undefined,
): Promise<void> {
  const { calls, call, place, stored } = target;
  const id = Buffer.from(retry.random.bytes(12), 'latin1').toString('hex');
  const created = await retrying(retry, call.signal, () =>
    calls.call(call, (sdk, client, abortSignal) =>
      client.send(new sdk.CreateMultipartUploadCommand({ ...place, ...stored, Metadata: { [ID_METADATA]: id } }), { abortSignal }),
    ),
  );
  const upload = { ...place, UploadId: created.UploadId };
  try {
    const Parts = await sendParts(target, retry, upload, parts);
    call.signal?.throwIfAborted();
    await retrying(retry, call.signal, async (attempt) => {
      try {
        await calls.call(
          call,
          (sdk, client, abortSignal) =>
            client.send(new sdk.CompleteMultipartUploadCommand({ ...upload, ...condition, MultipartUpload: { Parts } }), { abortSignal }),
          refused,
        );
      } catch (error) {
        if (attempt === 1 || !(await isOwn(target, id))) throw error;
      }
    });
  } catch (error) {
    await calls
      .call({ ...call, signal: undefined }, (sdk, client, abortSignal) =>
        client.send(new sdk.AbortMultipartUploadCommand(upload), { abortSignal }),
      )
      .catch(() => {});
    throw error;
  }
}

async function sendParts(
  { calls, call }: UploadTarget,
  retry: RetryContext,
  upload: { readonly Bucket: string; readonly Key: string; readonly UploadId: string | undefined },
  parts: AsyncIterable<Uint8Array>,
): Promise<{ PartNumber: number; ETag: string | undefined }[]> {
  const sent: Promise<{ PartNumber: number; ETag: string | undefined }>[] = [];
  const inFlight = new Set<Promise<unknown>>();
  let failed: { error: unknown } | undefined;
  try {
    for await (const Body of parts) {
      const PartNumber = sent.length + 1;
      const sending = retrying(retry, call.signal, () =>
        calls.call(call, (sdk, client, abortSignal) =>
          client.send(new sdk.UploadPartCommand({ ...upload, PartNumber, Body }), { abortSignal }),
        ),
      ).then(({ ETag }) => ({ PartNumber, ETag }));
      sent.push(sending);
      const settled: Promise<unknown> = sending
        .catch((error: unknown) => {
          failed ??= { error };
        })
        .finally(() => inFlight.delete(settled));
      inFlight.add(settled);
      if (inFlight.size >= PARTS_IN_FLIGHT_MAX) await Promise.race(inFlight);
      if (failed) throw failed.error;
    }
  } finally {
    // Nothing is on its way any more when the upload is given up.
    await Promise.all(inFlight);
  }
  return await Promise.all(sent);
}

/** Whether the object that stands there is that of this upload. */
async function isOwn({ calls, call, place }: UploadTarget, id: string): Promise<boolean> {
  try {
    const head = await calls.call(call, (sdk, client, abortSignal) => client.send(new sdk.HeadObjectCommand(place), { abortSignal }));
    return head.Metadata?.[ID_METADATA] === id;
  } catch {
    return false;
  }
}
