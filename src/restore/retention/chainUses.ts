/**
 * Chain uses: who reads or extends a chain of backups at this moment, so that nothing is deleted below them.
 *
 *   jobs         unfinished BACKUP, RESTORE, COMPACT BACKUP and deletions of this cluster, by their records
 *   statements   VERIFY BACKUP and attached backups, held here
 *   elsewhere    other clusters' jobs show by their locks and marks (backup/holders.ts); their statements do not
 *
 *   U1  two places are the same when scheme, host and path are: credentials and options say nothing of where files lie.
 *       An external connection may be any place, so it counts as the same
 */
import type { JobId } from '../../jobs/job.ts';
import type { JobRegistry } from '../../jobs/registry.ts';
import type { StorageFactory } from '../../storage/externalStorage.ts';
import { ParsedUri } from '../../storage/uri.ts';

import { BACKUP_JOB_TYPE, detailsFromJson as backupDetails } from '../../backup/backupDetails.ts';
import { fullOfDirectory } from '../../backup/collection.ts';
import { defaultUri, type LocationDetails } from '../../backup/locationDetails.ts';
import { COMPACTION_JOB_TYPE, compactionDetails } from '../compact/compactionDetails.ts';
import { RESTORE_JOB_TYPE, detailsFromJson as restoreDetails } from '../restoreDetails.ts';
import { RETENTION_JOB_TYPE, retentionDetails } from './retentionDetails.ts';

interface Use {
  readonly location: LocationDetails;
  readonly full: string;
  readonly what: string;
}

/** Uses by statements of one process. */
export class ChainUses {
  readonly #uses = new Set<Use>();

  /** Holds a chain until the function that it returns is called. `what`: as an error names it. */
  hold(location: LocationDetails, full: string, what: string): () => void {
    const use = { location, full, what };
    this.#uses.add(use);
    return () => {
      this.#uses.delete(use);
    };
  }

  /** Undefined when nobody but job `own` uses the chain. */
  async find(location: LocationDetails, full: string, jobs: JobRegistry, own?: JobId): Promise<string | undefined> {
    const isMeant = (use: { readonly location: LocationDetails; readonly full: string }) =>
      use.full === full && mayBeSamePlace(use.location, location);
    for (const use of this.#uses) if (isMeant(use)) return use.what;
    for (const record of await jobs.listUnfinished()) {
      if (record.id === own) continue;
      const uses = usesOf(record.type, record.details);
      if (uses.some(isMeant)) return `job ${record.id} (${record.type}), which is ${record.status}`;
    }
    return undefined;
  }
}

const byFactory = new WeakMap<StorageFactory, ChainUses>();

/** One for all statements of a database. */
export function chainUsesOf(factory: StorageFactory): ChainUses {
  const uses = byFactory.get(factory) ?? new ChainUses();
  byFactory.set(factory, uses);
  return uses;
}

function usesOf(type: string, details: Parameters<typeof backupDetails>[0]): Pick<Use, 'location' | 'full'>[] {
  switch (type) {
    case BACKUP_JOB_TYPE: {
      const { location, directory } = backupDetails(details);
      const full = fullOfDirectory(directory);
      return full === undefined ? [] : [{ location, full }];
    }
    case RESTORE_JOB_TYPE: {
      const { location, layers } = restoreDetails(details);
      return layers.slice(0, 1).map(({ directory }) => ({ location, full: directory }));
    }
    case COMPACTION_JOB_TYPE: {
      const { location, full } = compactionDetails(details);
      return [{ location, full }];
    }
    case RETENTION_JOB_TYPE: {
      const { location, chains } = retentionDetails(details);
      return chains.map(({ full }) => ({ location, full }));
    }
    default:
      return [];
  }
}

function mayBeSamePlace(a: LocationDetails, b: LocationDetails): boolean {
  const [one, other] = [ParsedUri.parse(defaultUri(a)), ParsedUri.parse(defaultUri(b))];
  if (one.scheme === 'external' || other.scheme === 'external') return true;
  const place = ({ scheme, host, path }: ParsedUri) => `${scheme}://${host}/${path.replace(/^\/+|\/+$/g, '')}`;
  return place(one) === place(other);
}
