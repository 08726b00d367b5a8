/**
 * Backup privileges: who may back up what, in the two models that CockroachDB knows side by side.
 *
 *              now: the privilege BACKUP     until v22.1, and still honoured, with a notice
 *   cluster    of the system                 -
 *   database   on each database              CONNECT on it, SELECT on its tables, USAGE on its schemas and types
 *   table      on each table                 SELECT on it, USAGE on the schema and the types that come with it
 *
 * Functions come with their database, and nothing is asked for them: who may use a schema may read their texts.
 * BACKUP is not passed down: on a database it is not enough for its tables. Admins may do all of it.
 * The words are CockroachDB's, for scripts that compare them.
 */
import { isVarveError, StatementError, withFields } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Descriptor } from '../catalog/descriptor.ts';
import { checkPrivilege, type Grantees, hasPrivilege, isAdmin, userOf } from '../catalog/privileges.ts';

import type { ResolvedTargets } from './backupTargets.ts';

/** The user behind a statement, and what it holds. */
export interface BackupGrantees {
  /** Every name the user goes by. */
  readonly grantees: Grantees;
  /** It holds the system privilege BACKUP. */
  readonly hasSystemBackup: boolean;
}

/** Throws 42501. Returns what to tell a user who may only by the old model. */
export function checkBackupPrivileges(targets: ResolvedTargets, { grantees, hasSystemBackup }: BackupGrantees): string | undefined {
  if (isAdmin(grantees)) return undefined;
  if (targets.scope === 'cluster') {
    if (hasSystemBackup) return undefined;
    throw new StatementError(
      SqlState.InsufficientPrivilege,
      `only users with the admin role or the BACKUP system privilege are allowed to perform full cluster backups: user ${userOf(grantees)} does not have BACKUP system privilege`,
    );
  }
  if (targets.requested.every((descriptor) => hasPrivilege(grantees, descriptor.privileges, 'BACKUP'))) return undefined;
  const notice = deprecation(targets, grantees);
  try {
    for (const descriptor of targets.descriptors) checkOldModel(targets, descriptor, grantees);
  } catch (error) {
    throw isVarveError(error) ? withFields(error, { hint: notice }) : error;
  }
  return notice;
}

function checkOldModel(targets: ResolvedTargets, descriptor: Descriptor, grantees: Grantees): void {
  if (descriptor.kind === 'table') checkPrivilege(grantees, descriptor, 'SELECT');
  else if (descriptor.kind === 'schema' || descriptor.kind === 'type') checkPrivilege(grantees, descriptor, 'USAGE');
  else if (descriptor.kind === 'database' && targets.scope === 'databases') checkPrivilege(grantees, descriptor, 'CONNECT');
}

function deprecation({ scope, requested }: ResolvedTargets, grantees: Grantees): string {
  const names = requested.map(({ name }) => name).join(', ');
  const [what, where] = scope === 'databases' ? ['DATABASE', 'database'] : ['TABLE', 'tables:'];
  return `${deprecationNotice('BACKUP', what, `user ${userOf(grantees)} will exclusively require the BACKUP privilege on ${where} ${names}`)}.`;
}

/** What CockroachDB says of privileges that will not do for ever, without the stop at its end. */
export function deprecationNotice(statement: 'BACKUP' | 'RESTORE', what: string, requirement: string): string {
  const page = `https://www.cockroachlabs.com/docs/stable/${statement.toLowerCase()}.html#required-privileges`;
  return `The existing privileges are being deprecated in favour of a fine-grained privilege model explained here ${page}. In a future release, to run ${statement} ${what}, ${requirement}`;
}
