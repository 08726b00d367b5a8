/**
 * Deletions: which layers EXPIRE BACKUPS and DELETE BACKUP have taken away, as the records of their jobs say.
 *
 *   D1  what a job that succeeded was to delete, and did not leave, is gone
 *   D2  of one that failed or was canceled a part may be gone. What is left shows in storage once no fault hides it: each layer
 *       there can be restored as before, for the newest go first
 *   D3  while a chain is being deleted, and until that is known, whoever reads or continues it may find something missing
 */
import { isLayer } from '../../src/backup/collection.ts';
import { openCollection } from '../../src/backup/collectionStorage.ts';
import { defaultUri } from '../../src/backup/locationDetails.ts';
import {
  type DoomedChain,
  RETENTION_JOB_TYPE,
  type RetentionDetails,
  type RetentionResult,
  retentionDetails,
} from '../../src/restore/retention/retentionDetails.ts';
import type { Jobs, WatchedJob } from './jobs.ts';
import type { World } from './world.ts';

interface Unsure {
  readonly uri: string;
  readonly details: RetentionDetails;
  readonly chain: DoomedChain;
}

export class Deletions {
  readonly #world: World;
  readonly #jobs: Jobs;
  readonly #forget: (uri: string, directories: readonly string[]) => void;
  #unsure: Unsure[] = [];
  /** By job: when its end was heard of. Until then somebody may ask for what is gone. */
  readonly #heardAt = new Map<number, number>();
  /** Directories of which files may be left: nobody lists them. */
  readonly #remains = new Set<string>();

  /** `forget` hears which layers are gone. */
  constructor(world: World, jobs: Jobs, forget: (uri: string, directories: readonly string[]) => void) {
    this.#world = world;
    this.#jobs = jobs;
    this.#forget = forget;
    jobs.onTerminal((job) => {
      if (job.type === RETENTION_JOB_TYPE) this.#note(job);
    });
  }

  #note({ id, record }: WatchedJob): void {
    this.#heardAt.set(id, this.#world.now);
    const details = retentionDetails(record.details);
    const uri = uriOf(details);
    const { left } = (record.result ?? { left: [] }) as unknown as RetentionResult;
    for (const chain of details.chains) {
      if (record.status !== 'succeeded') this.#unsure.push({ uri, details, chain });
      else if (!left.some(({ full }) => full === chain.full)) {
        this.#forget(
          uri,
          chain.layers.map(({ directory }) => directory),
        );
      }
    }
  }

  /** Looks what deletions that did not come to their end have left. Call it while no fault is on. */
  async resolve(): Promise<void> {
    for (const one of this.#unsure.splice(0)) {
      const { uri, details, chain } = one;
      if (this.#underWay(uri, chain.full)) {
        this.#unsure.push(one);
        continue;
      }
      const storage = openCollection(this.#world.db.storage, details.location, { user: 'root', nodeId: 1 });
      const gone: string[] = [];
      for (const { directory } of chain.layers) if (!(await isLayer(storage, directory))) gone.push(directory);
      await storage.close();
      for (const directory of gone) this.#remains.add(directory);
      this.#forget(uri, gone);
      this.#world.count('deletion that did not come to its end');
    }
  }

  #underWay(uri: string, full: string): boolean {
    return this.#jobs
      .active()
      .some(({ type, record }) => type === RETENTION_JOB_TYPE && takes(retentionDetails(record.details), uri, full));
  }

  /** Whether something of a chain, or of any in the collection, may have been missing at some time from `from` on (D3). */
  touched(uri: string, full: string | undefined, from: number): boolean {
    if (this.#unsure.some((one) => one.uri === uri && (full === undefined || one.chain.full === full))) return true;
    return [...this.#jobs.watched.values()].some(
      ({ id, type, record }) =>
        type === RETENTION_JOB_TYPE &&
        (this.#heardAt.get(id) ?? Number.POSITIVE_INFINITY) >= from &&
        takes(retentionDetails(record.details), uri, full),
    );
  }

  /** Whether a file may be one that an unfinished deletion has left. */
  mayBeLeft(name: string): boolean {
    return [...this.#remains].some((directory) => name.startsWith(`${directory}/`));
  }
}

function takes(details: RetentionDetails, uri: string, full: string | undefined): boolean {
  return uriOf(details) === uri && (full === undefined || details.chains.some((chain) => chain.full === full));
}

function uriOf({ location }: RetentionDetails): string {
  return defaultUri(location).replace(/\?.*$/, '');
}
