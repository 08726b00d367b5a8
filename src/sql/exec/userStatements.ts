/**
 * Users, roles and privileges: CREATE, ALTER, DROP ROLE; GRANT and REVOKE.
 */
import { StateError, StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { type Descriptor, type Privilege, updated } from '../../catalog/descriptor.ts';
import { privilegesOf, withGrant, withoutGrant } from '../../catalog/privileges.ts';
import {
  createUser,
  dropUser,
  grantRole,
  normalizeUserName,
  requireUser,
  revokeRole,
  setRoleOption,
  userExists,
} from '../../catalog/users.ts';
import type { AlterRole, CreateRole, DropRole, Grant, GrantRole, GrantTarget, Option, Revoke } from '../parse/ast.ts';
import type { RunContext } from './context.ts';
import { partsOf, SchemaChange } from './ddl/common.ts';
import type { StatementHooks } from './statement.ts';
import { statementName } from './tags.ts';

async function setOptions(change: SchemaChange, username: string, options: readonly Option[]): Promise<void> {
  for (const option of options) {
    const name = option.name.toUpperCase();
    if (name === 'PASSWORD') {
      // Passwords are checked where authentication is; NULL takes a password away, and there is none to take.
      if (option.value && (await change.context.evalDatum(option.value)).value !== null) {
        throw new StatementError(SqlState.FeatureNotSupported, 'passwords are not supported yet', {
          hint: 'the server accepts every user on a loopback address',
        });
      }
      continue;
    }
    const value = option.value ? await change.context.evalString(option.value) : undefined;
    await setRoleOption(change.txn, username, name, value);
  }
}

async function createRole(change: SchemaChange, stmt: CreateRole): Promise<void> {
  change.requireAdmin('create users');
  const name = normalizeUserName(stmt.name.text);
  if (stmt.ifNotExists && (await userExists(change.txn, name))) return;
  await createUser(change.txn, name, { isRole: !stmt.isUser });
  await setOptions(change, name, stmt.options);
}

async function alterRole(change: SchemaChange, stmt: AlterRole): Promise<void> {
  change.requireAdmin('alter users');
  if (!stmt.name || stmt.set || stmt.reset !== undefined) {
    throw new StatementError(SqlState.FeatureNotSupported, 'ALTER ROLE ... SET and ALTER ROLE ALL are not supported yet');
  }
  const name = normalizeUserName(stmt.name.text);
  if (!(await userExists(change.txn, name))) {
    if (stmt.ifExists) return;
    await requireUser(change.txn, name);
  }
  await setOptions(change, name, stmt.options);
}

async function dropRole(change: SchemaChange, stmt: DropRole): Promise<void> {
  change.requireAdmin('drop users');
  for (const { text } of stmt.names) {
    const name = text.toLowerCase();
    if (stmt.ifExists && !(await userExists(change.txn, name))) continue;
    for (const descriptor of change.snapshot.all()) {
      if (descriptor.state === 'DROP') continue;
      const isOwner = descriptor.privileges.owner === name;
      if (!isOwner && !descriptor.privileges.grants.some((grant) => grant.grantee === name)) continue;
      throw new StateError(
        SqlState.DependentObjectsStillExist,
        isOwner
          ? `role ${name} cannot be dropped because some objects depend on it`
          : `cannot drop role/user ${name}: grants still exist on ${descriptor.name}`,
        isOwner ? { detail: `owner of ${descriptor.kind} ${descriptor.name}` } : {},
      );
    }
    await dropUser(change.txn, name);
  }
}

function targetsOf(change: SchemaChange, target: GrantTarget): Descriptor[] {
  const { snapshot } = change;
  const { names } = change.context;
  switch (target.type) {
    case 'database':
      return target.names.map((name) => change.database(name.parts.at(-1)?.text ?? ''));
    case 'schema':
      return target.names.flatMap((name): Descriptor[] => {
        const parts = partsOf(name);
        const database = change.database(parts.length > 1 ? (parts[0] ?? '') : names.currentDatabase);
        const schema = snapshot.requireSchema(database, parts.at(-1) ?? '');
        return schema.descriptor ? [schema.descriptor] : [];
      });
    case 'type':
      return target.names.map((name) => {
        const found = snapshot.resolveType(partsOf(name), names);
        if (!found) throw new StatementError(SqlState.UndefinedObject, `type "${partsOf(name).join('.')}" does not exist`);
        return found.descriptor;
      });
    case 'sequence':
      return target.names.flatMap((name) => change.relation(name, 'sequence')?.descriptor ?? []);
    case 'table':
      return target.patterns.flatMap((pattern): Descriptor[] => {
        if (!pattern.star) {
          const relation = change.relation({ parts: pattern.parts, pos: pattern.pos }, 'any');
          return relation ? [relation.descriptor] : [];
        }
        const database = change.database(pattern.parts[0]?.text ?? names.currentDatabase);
        return snapshot.tablesOf(database.id);
      });
    case 'allIn':
      return target.schemas.flatMap((name) => {
        const parts = partsOf(name);
        const database = change.database(parts.length > 1 ? (parts[0] ?? '') : names.currentDatabase);
        const schema = snapshot.requireSchema(database, parts.at(-1) ?? '');
        return snapshot
          .tablesOf(database.id, { schemaId: schema.id })
          .filter((table) => (table.sequence !== undefined) === (target.objects === 'sequences'));
      });
    default:
      throw new StatementError(SqlState.FeatureNotSupported, 'grants on this kind of object are not supported yet');
  }
}

async function changeGrants(change: SchemaChange, stmt: Grant | Revoke): Promise<void> {
  const privileges = stmt.privileges as readonly Privilege[];
  if (stmt.kind === 'revoke' && stmt.grantOptionOnly) {
    throw new StatementError(SqlState.FeatureNotSupported, 'REVOKE GRANT OPTION FOR is not supported yet');
  }
  for (const { text } of stmt.grantees) if (text !== 'public') await requireUser(change.txn, text);
  for (const target of targetsOf(change, stmt.target)) {
    let descriptor = target;
    if (!change.roles.has(descriptor.privileges.owner)) change.requireAdmin(`change privileges on ${descriptor.name}`);
    for (const { text } of stmt.grantees) {
      const next =
        stmt.kind === 'grant'
          ? withGrant(descriptor.privileges, text, privileges, { grantOption: stmt.withGrantOption })
          : withoutGrant(descriptor.privileges, text, privileges, privilegesOf(descriptor));
      descriptor = updated(descriptor, { privileges: next });
    }
    await change.write(descriptor);
  }
}

async function changeMembership(change: SchemaChange, stmt: GrantRole): Promise<void> {
  change.requireAdmin('grant and revoke roles');
  for (const role of stmt.roles) {
    for (const member of stmt.members) {
      if (stmt.kind === 'grantRole') await grantRole(change.txn, role.text, member.text, { withAdmin: stmt.adminOption });
      else await revokeRole(change.txn, role.text, member.text);
    }
  }
}

export function registerUserStatements(hooks: StatementHooks): void {
  const add = <S extends CreateRole | AlterRole | DropRole | Grant | Revoke | GrantRole>(
    kind: S['kind'],
    run: (change: SchemaChange, stmt: S) => Promise<void>,
  ): void => {
    hooks.register<S>(kind, {
      columns: () => undefined,
      run: async (context, stmt) => {
        const change = await SchemaChange.begin(context as RunContext);
        await run(change, stmt);
        change.note();
        return { tag: statementName(stmt) };
      },
    });
  };
  add<CreateRole>('createRole', createRole);
  add<AlterRole>('alterRole', alterRole);
  add<DropRole>('dropRole', dropRole);
  add<Grant>('grant', changeGrants);
  add<Revoke>('revoke', changeGrants);
  add<GrantRole>('grantRole', changeMembership);
  add<GrantRole>('revokeRole', changeMembership);
}
