/**
 * CREATE, ALTER and DROP of users and roles, and who is a member of what.
 *
 *   R1  whoever is not an admin touches no admin: CREATEROLE is not a way to become one
 *   R2  a role that owns something or to which something is granted is not dropped; the error lists what
 *
 * Lives elsewhere: what is stored (catalog/users.ts, roleOptions.ts, roleSettings.ts), privileges on
 * objects (grants.ts), giving objects away (ownership.ts).
 */
import { StateError, StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import { findTimeZone, UTC } from '../../../catalog/datetime.ts';
import { formatDatum, parseDatum } from '../../../catalog/datumText.ts';
import { ADMIN_ROLE, isAdmin, isAlwaysAllowed, PUBLIC_ROLE, ROOT_USER } from '../../../catalog/privileges.ts';
import { checkRoleOptions, isLoginOption, roleOptionNames, setRoleOption } from '../../../catalog/roleOptions.ts';
import { formatVerifier, makeVerifier, parseVerifier } from '../../../catalog/scram.ts';
import { systemTable } from '../../../catalog/systemRows.ts';
import { Type } from '../../../catalog/type.ts';
import {
  administeredRoles,
  createUser,
  dropUser,
  grantRole,
  revokeRole,
  rolesOf,
  setPasswordVerifier,
  userExists,
} from '../../../catalog/users.ts';
import type { AlterRole, CreateRole, DropRole, GrantRole, Option } from '../../parse/ast.ts';
import type { SchemaChange } from './common.ts';
import { dependents } from './roleDependents.ts';
import { requireRoleOption, roleText, validRole } from './roleNames.ts';
import { alterRoleDefaults } from './roleDefaults.ts';

const optionName = (option: Option): string => option.name.toUpperCase();

/** Undefined for PASSWORD NULL. 28P01 for an empty one, 0A000 for hashes that are not checked here. */
async function verifierOf(change: SchemaChange, option: Option): Promise<string | undefined> {
  const { value } = option;
  if (!value || value.kind === 'null') return undefined;
  const password = await change.context.evalString(value);
  if (password === undefined) return undefined;
  if (password === '') throw new StatementError(SqlState.InvalidPassword, 'empty passwords are not permitted');
  if (parseVerifier(password)) return password;
  if (/^(?:CRDB-BCRYPT\$|md5[0-9a-f]{32}$|SCRAM-SHA-256\$)/.test(password)) {
    throw new StatementError(
      SqlState.FeatureNotSupported,
      'passwords hashed with bcrypt or MD5, or in a form that cannot be read, are not supported',
      {
        hint: 'give the password itself, or a SCRAM-SHA-256 verifier',
      },
    );
  }
  return formatVerifier(makeVerifier(password));
}

/** VALID UNTIL in the form it is stored in. Undefined for NULL. */
async function validUntil(change: SchemaChange, option: Option): Promise<string | undefined> {
  const text = option.value && (await change.context.evalString(option.value));
  if (text === undefined) return undefined;
  const timeZone = findTimeZone(change.context.session.values.timeZone) ?? UTC;
  // With minutes in the offset, as CockroachDB writes it.
  return formatDatum(Type.TimestampTz, parseDatum(Type.TimestampTz, text, { timeZone })).replace(/[+-]\d\d$/, '$&:00');
}

async function applyOptions(change: SchemaChange, username: string, options: readonly Option[]): Promise<void> {
  for (const option of options) {
    const name = optionName(option);
    if (name === 'PASSWORD') await setPasswordVerifier(change.txn, username, await verifierOf(change, option));
    else await setRoleOption(change.txn, username, name, name === 'VALID UNTIL' ? await validUntil(change, option) : undefined);
  }
}

export async function createRole(change: SchemaChange, stmt: CreateRole): Promise<void> {
  await requireRoleOption(change, 'CREATEROLE');
  const name = await validRole(change.context, stmt.name);
  const names = stmt.options.map(optionName);
  checkRoleOptions(names);
  if (names.some((option) => isLoginOption(option) && option !== 'NOLOGIN')) await requireRoleOption(change, 'CREATELOGIN');
  if (stmt.ifNotExists && (await userExists(change.txn, name))) return;
  await createUser(change.txn, name, { isRole: !stmt.isUser });
  if (!stmt.isUser && !names.includes('LOGIN')) await setRoleOption(change.txn, name, 'NOLOGIN');
  await applyOptions(change, name, stmt.options);
}

export async function alterRole(change: SchemaChange, stmt: AlterRole): Promise<void> {
  await requireRoleOption(change, 'CREATEROLE');
  const name = stmt.name && (await validRole(change.context, stmt.name));
  if (name === ADMIN_ROLE) throw new StatementError(SqlState.InsufficientPrivilege, 'cannot edit admin role');
  if (name !== undefined) {
    if (!(await userExists(change.txn, name))) {
      if (stmt.ifExists) return;
      throw new StatementError(SqlState.UndefinedObject, `role/user ${name} does not exist`);
    }
    await refuseAdmins(change, [name], 'alter');
  }
  if (stmt.set || stmt.reset !== undefined) return await alterRoleDefaults(change, stmt, name ?? '');
  if (name === undefined) return;
  const names = stmt.options.map(optionName);
  checkRoleOptions(names);
  if (name === ROOT_USER && names.some((option) => option === 'NOLOGIN' || option === 'NOSQLLOGIN' || option === 'VALID UNTIL')) {
    throw new StatementError(SqlState.InsufficientPrivilege, 'cannot edit root user');
  }
  if (names.some(isLoginOption)) await requireRoleOption(change, 'CREATELOGIN');
  await applyOptions(change, name, stmt.options);
}

/** R1: 42501. */
async function refuseAdmins(change: SchemaChange, names: readonly string[], verb: 'alter' | 'drop'): Promise<void> {
  if (isAdmin(change.roles)) return;
  for (const name of names) {
    if (!isAdmin(await rolesOf(change.txn, name))) continue;
    throw new StatementError(SqlState.InsufficientPrivilege, `must be superuser to ${verb} superusers`);
  }
}

export async function dropRole(change: SchemaChange, stmt: DropRole): Promise<void> {
  await requireRoleOption(change, 'CREATEROLE');
  const names: string[] = [];
  for (const name of stmt.names) names.push(await validRole(change.context, name));
  await refuseAdmins(change, names, 'drop');
  const { granted, owned, attached } = await dependents(change, new Set(names));
  if (granted.length > 0) {
    const plural = names.length > 1 ? 's' : '';
    throw new StateError(
      SqlState.DependentObjectsStillExist,
      `cannot drop role${plural}/user${plural} ${names.join(', ')}: grants still exist on ${granted.join(', ')}`,
      names.some(isAlwaysAllowed) ? {} : { hint: `REVOKE them, or use DROP OWNED BY ${names.join(', ')}` },
    );
  }
  for (const name of names) {
    const lines = owned.get(name) ?? [];
    if (lines.length > 0) {
      throw new StateError(
        SqlState.DependentObjectsStillExist,
        `role ${name} cannot be dropped because some objects depend on it\n${lines.join('\n')}`,
        { hint: `use REASSIGN OWNED BY ${name} TO another role, or DROP OWNED BY ${name}` },
      );
    }
  }
  for (const name of names) {
    const [backup] = attached.get(name) ?? [];
    if (backup !== undefined) {
      throw new StateError(
        SqlState.DependentObjectsStillExist,
        `role ${name} cannot be dropped because some objects depend on it\nowner of attached backup ${backup}`,
        { hint: `DETACH BACKUP ${backup}` },
      );
    }
    if (name === ADMIN_ROLE || name === PUBLIC_ROLE)
      throw new StatementError(SqlState.InvalidParameterValue, `cannot drop special role ${name}`);
    if (name === ROOT_USER) throw new StatementError(SqlState.InvalidParameterValue, `cannot drop special user ${name}`);
    const schedules = (await systemTable('scheduled_jobs').scan(change.txn)).filter((row) => row['owner'] === name).length;
    if (schedules > 0) {
      throw new StateError(SqlState.DependentObjectsStillExist, `cannot drop role/user ${name}; it owns ${schedules} scheduled jobs.`);
    }
    if (!(await dropUser(change.txn, name)) && !stmt.ifExists) {
      throw new StatementError(SqlState.UndefinedObject, `role/user ${name} does not exist`);
    }
  }
}

/** GRANT role TO member, REVOKE role FROM member. */
export async function changeMembership(change: SchemaChange, stmt: GrantRole): Promise<void> {
  const { context, txn } = change;
  const roles = stmt.roles.map((name) => roleText(context, name));
  const members = stmt.members.map((name) => roleText(context, name));
  const administered = await administeredRoles(txn, context.user);
  for (const role of roles) {
    if (administered.get(role) === true) continue;
    if (role === ADMIN_ROLE) {
      throw new StatementError(SqlState.InsufficientPrivilege, `${context.user} is not a role admin for role ${role}`);
    }
    if (isAdmin(change.roles)) continue;
    throw new StatementError(SqlState.InsufficientPrivilege, `${context.user} is not a superuser or role admin for role ${role}`);
  }
  for (const name of [...roles, ...members]) {
    if (await userExists(txn, name)) continue;
    const option = name.toUpperCase();
    const isOption = roles.includes(name) && roleOptionNames.includes(option);
    throw isOption
      ? new StatementError(SqlState.UndefinedObject, `role/user ${name} does not exist`, {
          hint: `${option} is a role option; ALTER ROLE changes a role's options`,
        })
      : new StatementError(SqlState.UndefinedObject, `role/user ${name} does not exist`);
  }
  for (const role of roles) {
    for (const member of members) {
      if (stmt.kind === 'grantRole') await grantRole(txn, role, member, { withAdmin: stmt.adminOption });
      else await revokeRole(txn, role, member, { adminOptionOnly: stmt.adminOption });
    }
  }
}
