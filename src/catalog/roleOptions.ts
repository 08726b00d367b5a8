/**
 * Role options: what CREATE and ALTER ROLE say behind WITH, and the rows of system.role_options that
 * come of it.
 *
 * Only what differs from a plain user is stored, as CockroachDB does: CREATEDB, but never NOCREATEDB;
 * NOLOGIN, but never LOGIN. VALID UNTIL has a value. PASSWORD is a column of system.users.
 */
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Txn } from '../kv/kv.ts';

import { systemTable } from './systemRows.ts';

/** Options that are stored when they are given, and removed by their NO form. */
const GIVES: ReadonlySet<string> = new Set([
  'CANCELQUERY', 'CONTROLCHANGEFEED', 'CONTROLJOB', 'CREATEDB', 'CREATELOGIN', 'CREATEROLE', 'MODIFYCLUSTERSETTING', 'VIEWACTIVITY',
  'VIEWACTIVITYREDACTED', 'VIEWCLUSTERSETTING', 'VIEWJOB',
]); // biome-ignore format: one list
/** Options whose NO form is what is stored. */
const TAKES: ReadonlySet<string> = new Set(['LOGIN', 'SQLLOGIN']);
/** Known elsewhere, and nothing here yet. */
const REFUSED: ReadonlySet<string> = new Set(['BYPASSRLS', 'REPLICATION', 'SUBJECT', 'PROVISIONSRC', 'SUPERUSER', 'INHERIT']);

const bare = (name: string): string => (name.startsWith('NO') ? name.slice(2) : name);

/** Those that concern who logs in, and how: they need CREATELOGIN. */
const LOGIN_OPTIONS: ReadonlySet<string> = new Set(['CREATELOGIN', 'LOGIN', 'PASSWORD', 'SQLLOGIN', 'VALID UNTIL']);

export const isLoginOption = (name: string): boolean => LOGIN_OPTIONS.has(bare(name));

/** Every option's name, without the NO forms. */
export const roleOptionNames: readonly string[] = [...GIVES, ...TAKES, 'PASSWORD', 'VALID UNTIL'];

/**
 * Checks a list of upper-case names: 42601 for one that does not exist, is given twice, or
 * contradicts another; 0A000 for those of CockroachDB that are not supported.
 */
export function checkRoleOptions(names: readonly string[]): void {
  const seen = new Set<string>();
  for (const name of names) {
    const base = bare(name);
    if (REFUSED.has(base)) throw new StatementError(SqlState.FeatureNotSupported, `role option ${name} is not supported yet`);
    if (!GIVES.has(base) && !TAKES.has(base) && name !== 'PASSWORD' && name !== 'VALID UNTIL') {
      throw new StatementError(SqlState.SyntaxError, `unrecognized role option ${name.toLowerCase()}`);
    }
    if (seen.has(name)) throw new StatementError(SqlState.SyntaxError, 'redundant role options');
    if (seen.has(base === name ? `NO${name}` : base)) throw new StatementError(SqlState.SyntaxError, 'conflicting role options');
    seen.add(name);
  }
}

/** Applies one checked option. `value` is VALID UNTIL's; undefined there removes it. */
export async function setRoleOption(txn: Txn, username: string, name: string, value?: string): Promise<void> {
  const options = systemTable('role_options');
  const base = bare(name);
  const isStored = name === 'VALID UNTIL' ? value !== undefined : TAKES.has(base) ? name !== base : name === base;
  const stored = TAKES.has(base) ? `NO${base}` : base;
  if (isStored) await options.upsert(txn, { username, option: stored, value: value ?? null });
  else await options.delete(txn, username, stored);
}
