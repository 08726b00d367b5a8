/**
 * Restore privileges: who may restore what, and what is granted on what comes back.
 *
 *              now: the privilege RESTORE    until v22.1, and still honoured, with a notice
 *   cluster    of the system                 -
 *   database   of the system                 CREATEDB
 *   table      on the target database        CREATE on the target database
 *
 * Admins may do all of it. Users and grants are a cluster's, so they come back with a cluster only:
 * anything less belongs to the restoring user, with what the target database and schema give to new
 * objects by ALTER DEFAULT PRIVILEGES. With the option GRANTS those users that are here, too, get
 * what the backup granted them, by name.
 */
import { isVarveError, StatementError, withFields } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { DefaultSources } from '../catalog/defaultPrivileges.ts';
import { withDefaults } from '../catalog/defaultPrivileges.ts';
import type { DatabaseDescriptor, DefaultPrivileges, Descriptor, Grant, Privileges } from '../catalog/descriptor.ts';
import {
  checkPrivilege,
  type Grantees,
  functionPrivileges,
  grantsWith,
  hasPrivilege,
  isAdmin,
  isAlwaysAllowed,
  objectKind,
  ownerPrivileges,
  PUBLIC_ROLE,
  userOf,
} from '../catalog/privileges.ts';
import type { BackupTargets } from '../sql/parse/ast.ts';

import { type DatabasePrivileges, newDatabasePrivileges } from '../catalog/publicSchema.ts';
import { deprecationNotice } from '../backup/backupPrivileges.ts';

/** The user behind a statement, and what it holds. */
export interface RestoreGrantees {
  /** Every name the user goes by. */
  readonly grantees: Grantees;
  /** It holds the system privilege RESTORE. */
  readonly hasSystemRestore: boolean;
  readonly hasCreateDb: boolean;
}

// ---- who may -------------------------------------------------------------------------------------

/** Throws 42501 for what can be said before the backup is read. Returns what to tell a user who may only by the old model. */
export function checkRestoreStatement(targets: BackupTargets['type'], who: RestoreGrantees): string | undefined {
  const { grantees, hasSystemRestore, hasCreateDb } = who;
  if (isAdmin(grantees) || targets === 'tables' || hasSystemRestore) return undefined;
  const user = userOf(grantees);
  if (targets !== 'databases') {
    throw new StatementError(
      SqlState.InsufficientPrivilege,
      `only users with the admin role or the RESTORE system privilege are allowed to perform a cluster restore: user ${user} does not have RESTORE system privilege`,
    );
  }
  const notice = `${deprecationNotice('RESTORE', 'DATABASE', `user ${user} will exclusively require the RESTORE system privilege`)}.`;
  if (hasCreateDb) return notice;
  throw new StatementError(SqlState.InsufficientPrivilege, 'only users with the CREATEDB privilege can restore databases', {
    hint: notice,
  });
}

/** Throws 42501 unless the user may restore tables into these databases. Returns what to tell a user who may only by the old model. */
export function checkRestoreInto(databases: readonly DatabaseDescriptor[], { grantees }: RestoreGrantees): string | undefined {
  const byOldModel = databases.filter((database) => !hasPrivilege(grantees, database.privileges, 'RESTORE'));
  const notice = (where: string) =>
    deprecationNotice('RESTORE', 'TABLE', `user ${userOf(grantees)} will exclusively require the RESTORE privilege on ${where}`);
  for (const database of byOldModel) {
    try {
      checkPrivilege(grantees, database, 'CREATE');
    } catch (error) {
      throw isVarveError(error) ? withFields(error, { hint: `${notice(`database ${database.name}`)}.` }) : error;
    }
  }
  return byOldModel.length === 0 ? undefined : notice(`databases ${byOldModel.map(({ name }) => name).join(', ')}`);
}

// ---- what is granted -----------------------------------------------------------------------------

/** Of each restored object: its owner and grants, and what new objects in it start with. */
export interface RestoredPrivileges {
  of(descriptor: Descriptor): Privileges;
  /** Of a database, and of its schema public where that has its own. */
  ofDatabase(backedUp: DatabasePrivileges): DatabasePrivileges;
  defaults(backedUp: readonly DefaultPrivileges[] | undefined): { readonly defaultPrivileges?: readonly DefaultPrivileges[] };
}

/** As the backup has them: its users come back with it. */
export const PRIVILEGES_AS_BACKED_UP: RestoredPrivileges = Object.freeze({
  of: ({ privileges }: Descriptor) => privileges,
  ofDatabase: (backedUp: DatabasePrivileges) => backedUp,
  defaults: (defaultPrivileges: readonly DefaultPrivileges[] | undefined) => ({ ...(defaultPrivileges && { defaultPrivileges }) }),
});

/** Everything is `owner`'s. `placeOf`: what an existing database and schema give to an object that comes into them. */
export function ownedBy(owner: string, placeOf: (descriptor: Descriptor) => DefaultSources | undefined): RestoredPrivileges {
  return {
    of: (descriptor) => {
      if (descriptor.kind === 'function') return functionPrivileges(owner);
      const place = placeOf(descriptor);
      return place === undefined ? ownerPrivileges(owner) : withDefaults(ownerPrivileges(owner), objectKind(descriptor), place);
    },
    ofDatabase: ({ publicSchema }) => (publicSchema ? newDatabasePrivileges(owner) : { privileges: ownerPrivileges(owner) }),
    // Grants to roles that may not be here.
    defaults: () => ({}),
  };
}

/** Beside `base`, what the backup grants to users and roles in `users`, and to public. */
export function withGrantsTo(users: ReadonlySet<string>, base: RestoredPrivileges): RestoredPrivileges {
  const isHere = (grantee: string) => grantee === PUBLIC_ROLE || users.has(grantee);
  const known = (grants: readonly Grant[]) => grants.filter(({ grantee }) => isHere(grantee));
  const added = (own: Privileges, { grants }: Privileges): Privileges => {
    const granted = known(grants).filter(({ grantee }) => !isAlwaysAllowed(grantee));
    return { ...own, grants: granted.reduce(withAll, own.grants) };
  };
  return {
    of: (descriptor) => added(base.of(descriptor), descriptor.privileges),
    ofDatabase: ({ privileges, publicSchema }) => {
      // What public may is as it was, no more.
      const own = base.ofDatabase({ privileges }).privileges;
      return { privileges: added(own, privileges), ...(publicSchema && { publicSchema: added(own, publicSchema) }) };
    },
    defaults: (backedUp = []) => {
      const kept = backedUp
        .filter(({ role }) => role === undefined || isHere(role))
        .map((entry) => ({ ...entry, grants: known(entry.grants) }))
        .filter(({ grants, withoutPublicUsage }) => grants.length > 0 || withoutPublicUsage === true);
      return kept.length === 0 ? {} : { defaultPrivileges: kept };
    },
  };
}

function withAll(grants: readonly Grant[], { grantee, privileges, grantOption = [] }: Grant): readonly Grant[] {
  const granted = grantsWith(grants, grantee, privileges);
  return grantOption.length === 0 ? granted : grantsWith(granted, grantee, grantOption, { grantOption: true });
}
