/**
 * Staged blocks: a stream of any length in blocks, a few of them on their way at once, visible when they are committed.
 *
 *   P1  each block is retried by itself: the stream that it came from cannot be read again
 *   P2  blocks grow with their number (parts.ts): Azure takes 50,000
 *   P3  blocks that nobody commits are never seen, and Azure clears them away after a week
 *   P4  a commit whose answer was lost is not believed to have failed: the blob says which upload made it
 */
import type { StorageError } from '../../base/errors.ts';

import { sendParts, viewOf } from '../parts.ts';
import type { CallOptions } from '../providerCalls.ts';
import { type RetryContext, retrying } from '../retry.ts';
import type { AzureCalls, AzureRefusal } from './azureClient.ts';

/** Metadata has names of identifiers. */
const ID_METADATA = 'varve_upload';

export interface BlockTarget {
  readonly calls: AzureCalls;
  readonly call: CallOptions;
  readonly key: string;
  /** Blocks on their way at once. */
  readonly buffers: number;
}

/** Resolves when the blob stands there whole. `refused` reads what the commit was refused for. */
export async function uploadBlocks(
  { calls, call, key, buffers }: BlockTarget,
  retry: RetryContext,
  conditions: { readonly ifNoneMatch?: string },
  parts: AsyncIterable<Uint8Array>,
  refused: (refusal: AzureRefusal) => StorageError | undefined,
): Promise<void> {
  const id = Buffer.from(retry.random.bytes(12), 'latin1').toString('hex');
  const blocks = await sendParts(parts, buffers, async (part, index) => {
    // Ids are of one length, and no other upload has them.
    const block = Buffer.from(`${id}-${String(index).padStart(6, '0')}`).toString('base64');
    await retrying(retry, call.signal, () =>
      calls.call(call, (container, abortSignal) =>
        container.getBlockBlobClient(key).stageBlock(block, viewOf(part), part.length, { abortSignal }),
      ),
    );
    return block;
  });
  call.signal?.throwIfAborted();
  await retrying(retry, call.signal, async (attempt) => {
    try {
      await calls.call(
        call,
        (container, abortSignal) =>
          container.getBlockBlobClient(key).commitBlockList(blocks, { abortSignal, conditions, metadata: { [ID_METADATA]: id } }),
        refused,
      );
    } catch (error) {
      if (attempt === 1 || !(await isOwn())) throw error;
    }
  });

  /** Whether the blob that stands there is that of this upload. */
  async function isOwn(): Promise<boolean> {
    try {
      const { metadata } = await calls.call(call, (container, abortSignal) => container.getBlobClient(key).getProperties({ abortSignal }));
      return metadata?.[ID_METADATA] === id;
    } catch {
      return false;
    }
  }
}
