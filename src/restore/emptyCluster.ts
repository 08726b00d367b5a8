/**
 * Empty cluster: a restore of a cluster needs one without databases and tables of a user's. The two
 * databases that every new cluster begins with give way: they come back only if the backup has them.
 */
import { StateError, StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { DatabaseDescriptor, Descriptor } from '../catalog/descriptor.ts';
import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import { isSystemObject } from '../catalog/snapshot.ts';

import { refuse, type Report } from './problems.ts';

/** What a new cluster begins with, by name. */
const FIRST_DATABASES: readonly string[] = ['defaultdb', 'postgres'];
/** Names of objects in the way that an error lists. */
const NAMES_SHOWN_MAX = 20;

/**
 * The databases that give way, by id. Reports 55000 naming what else there is; what has been dropped does not
 * count, nor do the ids in `own`: a restore's own objects.
 */
export function requireEmptyCluster(
  snapshot: CatalogSnapshot,
  own: ReadonlySet<number> = new Set(),
  report: Report = refuse,
): DatabaseDescriptor[] {
  const present = [...snapshot.all()].filter((one) => one.state !== 'DROP' && !isSystemObject(one) && !isOwn(one, own));
  const first = present.filter((one): one is DatabaseDescriptor => one.kind === 'database' && FIRST_DATABASES.includes(one.name));
  const others = present.filter((one) => !first.includes(one as DatabaseDescriptor)).sort((a, b) => a.id - b.id);
  if (others.length > 0) report(notEmpty(others));
  return first.sort((a, b) => a.id - b.id);
}

function notEmpty(others: readonly Descriptor[]): StateError {
  const names = others.slice(0, NAMES_SHOWN_MAX).map(({ name }) => name);
  if (others.length > NAMES_SHOWN_MAX) names.push('...');
  return new StateError(
    SqlState.ObjectNotInPrerequisiteState,
    `full cluster restore can only be run on a cluster with no tables or databases but found ${others.length} descriptors: ${names.join(', ')}`,
    { hint: 'restore into a new cluster, or restore databases or tables of the backup: RESTORE DATABASE ... FROM ...' },
  );
}

/** A database of a new cluster may be there under an id that the restore uses too: its own is OFFLINE. */
function isOwn({ id, state }: Descriptor, own: ReadonlySet<number>): boolean {
  return own.has(id) && state === 'OFFLINE';
}

/** Throws 22023 for a backup of anything less than a cluster. */
export function requireClusterBackup(scope: string): void {
  if (scope === 'cluster') return;
  throw new StatementError(SqlState.InvalidParameterValue, 'full cluster RESTORE can only be used on full cluster BACKUP files');
}
