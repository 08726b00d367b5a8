/**
 * Retention job: deletes what was planned, a chain at a time.
 *
 *   mark -> nobody uses it? -> each layer, what others depend on last: index, pointer, checksum, manifest, files -> mark off
 *
 *   D1  after the mark stands nobody adds a layer (backup/deletionMark.ts); who came before shows by a lock, a job or a layer
 *       that the plan does not know, and the chain is left
 *   D2  every step may be the last: what remains is a whole chain, or directories that nobody lists, which this job goes on with
 *       and the next EXPIRE finds
 *   D3  a storage that refuses a deletion ends the job with what it refused and what is left; nothing is undone, for what
 *       is gone is gone
 */
import { isVarveError, StateError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { Timestamp } from '../../base/timestamp.ts';
import type { JobContext, JobOutcome, Json, Resumer } from '../../jobs/job.ts';
import { isRetryableJobError } from '../../jobs/job.ts';
import type { JobRegistry } from '../../jobs/registry.ts';
import type { Kv } from '../../kv/kv.ts';
import type { ExternalStorage, StorageFactory } from '../../storage/externalStorage.ts';

import {
  fullDirectoryTime,
  directoryTime,
  LATEST_DIRECTORY,
  MANIFEST_CHECKSUM_NAME,
  MANIFEST_NAME,
  timeOfDescending,
} from '../../backup/collection.ts';
import { type CollectionStorage, openCollection } from '../../backup/collectionStorage.ts';
import { listChainDirectories } from '../../backup/compactedLayer.ts';
import { markName, writeMark } from '../../backup/deletionMark.ts';
import { ENCRYPTION_INFO_NAME } from '../../backup/encryptionInfo.ts';
import { type Claimant, holdersOf, holderText } from '../../backup/holders.ts';
import { chainUsesOf } from './chainUses.ts';
import type { DoomedChain, DoomedLayer, RetentionDetails, RetentionResult } from './retentionDetails.ts';

/** In the order in which a deletion comes to them; the middle ones once for each layer. */
export const RETENTION_PAUSEPOINTS = Object.freeze([
  'retention.beforeMark',
  'retention.afterMark',
  'retention.afterIndex',
  'retention.afterPointer',
  'retention.afterChecksum',
  'retention.afterManifest',
  'retention.afterLayer',
  'retention.afterChain',
] as const);

export const RETENTION_ATTEMPTS_MAX = 6;

export interface RetentionJobDeps {
  readonly kv: Kv;
  readonly jobs: JobRegistry;
  readonly storage: StorageFactory;
}

export class RetentionResumer implements Resumer {
  readonly #deps: RetentionJobDeps;
  readonly #details: RetentionDetails;

  constructor(deps: RetentionJobDeps, details: RetentionDetails) {
    this.#deps = deps;
    this.#details = details;
  }

  async resume(ctx: JobContext): Promise<JobOutcome> {
    const { chains, garbage, isStrict } = this.#details;
    const left: { full: string; reason: string }[] = [];
    const storage = this.#open(ctx);
    try {
      const steps = chains.length + garbage.length;
      for (const [i, chain] of chains.entries()) {
        const reason = await this.#deleteChain(storage, ctx, chain);
        if (reason !== undefined && isStrict) throw inUse(chain.full, reason);
        if (reason !== undefined) left.push({ full: chain.full, reason });
        await ctx.setFraction((i + 1) / steps);
      }
      for (const layer of garbage) if (!(await this.#isHeld(storage, ctx, layer))) await this.#deleteLayer(storage, ctx, layer, undefined);
    } finally {
      await storage.close();
    }
    const result: RetentionResult = { left };
    return { result: result as unknown as Json };
  }

  /** What is gone stays gone; the marks go. */
  async onFailOrCancel(ctx: JobContext): Promise<undefined> {
    const storage = this.#open(ctx);
    try {
      for (const { full } of this.#details.chains) await this.#removeMark(storage, ctx, full);
    } catch (error) {
      // A terminal job's mark holds nothing.
      if (isRetryableJobError(error)) throw error;
    } finally {
      await storage.close();
    }
    return undefined;
  }

  #open(ctx: JobContext): CollectionStorage {
    const { location, user } = this.#details;
    return openCollection(this.#deps.storage, location, { user, nodeId: ctx.node.id });
  }

  #claimant(ctx: JobContext): Claimant {
    const { clusterId, clock } = this.#deps.kv;
    return { clusterId, jobId: String(ctx.jobId), nodeId: ctx.node.id, now: clock.nowMicros() as Timestamp };
  }

  /** Why the chain was left; undefined when it is gone. */
  async #deleteChain(storage: CollectionStorage, ctx: JobContext, chain: DoomedChain): Promise<string | undefined> {
    const { full } = chain;
    await ctx.pausepoint('retention.beforeMark');
    await ctx.checkClaim();
    await writeMark(storage, full, this.#claimant(ctx), ctx.signal);
    await ctx.pausepoint('retention.afterMark');
    const reason = await this.#whyNot(storage, ctx, chain);
    const mark = markName(full, String(ctx.jobId));
    if (reason === undefined) for (const layer of chain.layers) await this.#deleteLayer(storage, ctx, layer, mark);
    await this.#removeMark(storage, ctx, full);
    await ctx.pausepoint('retention.afterChain');
    return reason;
  }

  /** Who came between the plan and the mark (D1). */
  async #whyNot(storage: CollectionStorage, ctx: JobContext, { full, known }: DoomedChain): Promise<string | undefined> {
    const use = await chainUsesOf(this.#deps.storage).find(this.#details.location, full, this.#deps.jobs, ctx.jobId);
    if (use !== undefined) return `it is in use by ${use}`;
    const { incrementals, compacted } = await listChainDirectories(storage, full, ctx.signal);
    for (const directory of [full, ...incrementals, ...compacted]) {
      const names = await storage.list(`${directory}/BACKUP`, { signal: ctx.signal });
      const [holder] = await holdersOf(storage, names, this.#claimant(ctx), this.#deps.jobs, ctx.signal);
      if (holder !== undefined) return `it is in use by ${holderText(holder)}`;
      const isWhole = names.includes(`${directory}/${MANIFEST_NAME}`) && names.includes(`${directory}/${MANIFEST_CHECKSUM_NAME}`);
      if (isWhole && !known.includes(directory)) return `layer "${directory}" has been added to it`;
    }
    return undefined;
  }

  async #isHeld(storage: CollectionStorage, ctx: JobContext, { directory }: DoomedLayer): Promise<boolean> {
    const names = await storage.list(`${directory}/BACKUP`, { signal: ctx.signal });
    return (await holdersOf(storage, names, this.#claimant(ctx), this.#deps.jobs, ctx.signal)).length > 0;
  }

  async #deleteLayer(storage: CollectionStorage, ctx: JobContext, layer: DoomedLayer, mark: string | undefined): Promise<void> {
    const { directory, indexNames } = layer;
    await ctx.checkClaim();
    for (const name of indexNames) await this.#delete(storage, name, directory);
    await ctx.pausepoint('retention.afterIndex');
    if (fullDirectoryTime(directory) !== undefined) await this.#deletePointer(storage, ctx, directory);
    await ctx.pausepoint('retention.afterPointer');
    await this.#delete(storage, `${directory}/${MANIFEST_CHECKSUM_NAME}`, directory);
    await ctx.pausepoint('retention.afterChecksum');
    await this.#delete(storage, `${directory}/${MANIFEST_NAME}`, directory);
    await ctx.pausepoint('retention.afterManifest');
    for (const place of storage.layerStorages(directory)) {
      const names = (await place.list(`${directory}/`, { signal: ctx.signal })).filter((name) => name !== mark);
      // Keys last: what is left of an encrypted layer can still be told from noise.
      const isKey = (name: string) => name.startsWith(`${directory}/${ENCRYPTION_INFO_NAME}`);
      for (const name of [...names.filter((one) => !isKey(one)), ...names.filter(isKey)]) await this.#delete(place, name, directory);
    }
    await ctx.pausepoint('retention.afterLayer');
  }

  async #deletePointer(storage: CollectionStorage, ctx: JobContext, full: string): Promise<void> {
    const prefix = `${LATEST_DIRECTORY}/LATEST-`;
    const time = fullDirectoryTime(full);
    for (const name of await storage.list(prefix, { signal: ctx.signal })) {
      if (directoryTime(timeOfDescending(name.slice(prefix.length))) === time) await this.#delete(storage, name, full);
    }
  }

  async #removeMark(storage: CollectionStorage, ctx: JobContext, full: string): Promise<void> {
    await storage.delete(markName(full, String(ctx.jobId)));
  }

  async #delete(storage: ExternalStorage, name: string, directory: string): Promise<void> {
    try {
      await storage.delete(name);
    } catch (error) {
      if (!isVarveError(error) || isRetryableJobError(error)) throw error;
      throw new StateError(error.code, `"${name}" could not be deleted: ${error.message}`, {
        detail: `deleting "${directory}" in "${storage.uri}"; layers older than it are untouched`,
        hint: 'a place with object lock or a retention policy refuses deletions until its time has passed: run the statement again then',
        cause: error,
      });
    }
  }
}

function inUse(full: string, reason: string): StateError {
  return new StateError(SqlState.ObjectInUse, `backup "${full}" cannot be deleted: ${reason}`, {
    hint: 'wait until it is done, or cancel it; an attached backup is let go by DETACH BACKUP',
  });
}
