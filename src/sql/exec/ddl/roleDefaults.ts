/**
 * ALTER ROLE ... [IN DATABASE d] SET, ALTER ROLE ALL SET, ALTER DATABASE d SET: what a session begins with.
 */
import { checkNotAttached } from '../../../catalog/attached.ts';
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import { clearRoleDefaults, setRoleDefault } from '../../../catalog/roleSettings.ts';
import type { AlterDatabase, AlterRole, Expr } from '../../parse/ast.ts';
import { settingText } from '../settingText.ts';
import type { SchemaChange } from './common.ts';

/** Variables of a session that no default can be given for. */
const NO_DEFAULT: ReadonlySet<string> = new Set([
  'database',
  'role',
  'transaction_isolation',
  'transaction_priority',
  'transaction_read_only',
]);

interface Change {
  readonly set: { readonly variable: string; readonly values: readonly Expr[] } | undefined;
  /** A variable, or `all`. */
  readonly reset: string | undefined;
}

async function apply(change: SchemaChange, databaseId: number, role: string, { set, reset }: Change): Promise<void> {
  checkNotAttached(databaseId);
  if (reset === 'all') return await clearRoleDefaults(change.txn, databaseId, role);
  const { vars } = change.context.session;
  const { name, normalize } = vars.spec(set?.variable ?? reset ?? '');
  if (!normalize || NO_DEFAULT.has(name)) {
    throw new StatementError(SqlState.CantChangeRuntimeParam, `parameter "${name}" cannot be changed`);
  }
  const isDefault = !set || set.values[0]?.kind === 'default';
  const value = isDefault ? undefined : normalize(await settingText(change.context, set.values, name), name);
  await setRoleDefault(change.txn, databaseId, role, name, value);
}

/** `role` is '' for ALL, which needs an admin. Throws 3D000, 42704, 55P02. */
export async function alterRoleDefaults(change: SchemaChange, stmt: AlterRole, role: string): Promise<void> {
  if (role === '') change.requireAdmin('change default settings of all roles');
  const databaseId = stmt.inDatabase ? change.database(stmt.inDatabase.text).id : 0;
  await apply(change, databaseId, role, stmt);
}

export async function alterDatabaseDefaults(
  change: SchemaChange,
  databaseId: number,
  action: Extract<AlterDatabase['action'], { type: 'set' | 'reset' }>,
): Promise<void> {
  if (action.type === 'set') await apply(change, databaseId, '', { set: action, reset: undefined });
  else await apply(change, databaseId, '', { set: undefined, reset: action.variable ?? 'all' });
}
