/**
 * Multipart upload: a stream of any length in parts, a few of them on their way at once, visible when the last call
 * puts them together.
 *
 *   P1  each part is retried by itself: the stream that it came from cannot be read again
 *   P2  parts grow with their number (parts.ts), so that 10,000 of them, which is what S3 takes, hold 5 TB
 *   P3  when anything fails the upload is given up, best effort: a bucket whose rights do not allow that keeps the parts
 *       unseen until its lifecycle rule clears them
 *   P4  a last call whose answer was lost is not believed to have failed: the object says which upload made it
 */
import type { StorageError } from '../../base/errors.ts';
import { sendParts } from '../parts.ts';
import type { CallOptions } from '../providerCalls.ts';
import { type RetryContext, retrying } from '../retry.ts';
import type { S3Calls, S3Refusal } from './s3Client.ts';

const ID_METADATA = 'varve-upload';

export interface UploadTarget {
  readonly calls: S3Calls;
  readonly call: CallOptions;
  readonly place: { readonly Bucket: string; readonly Key: string };
  /** Storage class and encryption. */
  readonly stored: object;
  /** Parts on their way at once. */
  readonly partsInFlight: number;
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
    calls.call(call, ({ sdk, client }, abortSignal) =>
      client.send(new sdk.CreateMultipartUploadCommand({ ...place, ...stored, Metadata: { [ID_METADATA]: id } }), { abortSignal }),
    ),
  );
  const upload = { ...place, UploadId: created.UploadId };
  try {
    const Parts = await sendParts(parts, target.partsInFlight, async (Body, index) => {
      const PartNumber = index + 1;
      const { ETag } = await retrying(retry, call.signal, () =>
        calls.call(call, ({ sdk, client }, abortSignal) =>
          client.send(new sdk.UploadPartCommand({ ...upload, PartNumber, Body }), { abortSignal }),
        ),
      );
      return { PartNumber, ETag };
    });
    call.signal?.throwIfAborted();
    await retrying(retry, call.signal, async (attempt) => {
      try {
        await calls.call(
          call,
          ({ sdk, client }, abortSignal) =>
            client.send(new sdk.CompleteMultipartUploadCommand({ ...upload, ...condition, MultipartUpload: { Parts } }), { abortSignal }),
          refused,
        );
      } catch (error) {
        if (attempt === 1 || !(await isOwn(target, id))) throw error;
      }
    });
  } catch (error) {
    await calls
      .call({ ...call, signal: undefined }, ({ sdk, client }, abortSignal) =>
        client.send(new sdk.AbortMultipartUploadCommand(upload), { abortSignal }),
      )
      .catch(() => {});
    throw error;
  }
}

/** Whether the object that stands there is that of this upload. */
async function isOwn({ calls, call, place }: UploadTarget, id: string): Promise<boolean> {
  try {
    const head = await calls.call(call, ({ sdk, client }, abortSignal) => client.send(new sdk.HeadObjectCommand(place), { abortSignal }));
    return head.Metadata?.[ID_METADATA] === id;
  } catch {
    return false;
  }
}
