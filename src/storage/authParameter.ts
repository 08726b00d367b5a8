/**
 * AUTH and ASSUME_ROLE as all cloud locations have them.
 */
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { ParsedUri } from './uri.ts';

/** `specified`: credentials are in the URI; `implicit`: in the server's environment. */
export type AuthMode = 'specified' | 'implicit';

/** 22023 for another value than the two. */
export function authMode(uri: ParsedUri): AuthMode {
  const mode = uri.parameters.get('AUTH') ?? 'specified';
  if (mode === 'specified' || mode === 'implicit') return mode;
  throw invalid(`unsupported value ${mode} for AUTH`, uri, 'AUTH is specified or implicit');
}

/** Values of parameters that must be there. 22023 naming the first that is not, in CockroachDB's words. */
export function requireParameters<T extends string>(uri: ParsedUri, ...names: readonly T[]): { readonly [K in T]: string } {
  const found: Partial<Record<T, string>> = {};
  for (const name of names) {
    const value = uri.parameters.get(name);
    if (value === undefined || value === '') {
      throw invalid(
        `AUTH is set to 'specified', but ${name} is not set`,
        uri,
        `add ${name}=..., or AUTH=implicit to use the server's own credentials`,
      );
    }
    found[name] = value;
  }
  return found as { readonly [K in T]: string };
}

/** One role of ASSUME_ROLE. */
export interface AssumedRole {
  readonly role: string;
  readonly externalId: string | undefined;
}

/** `r1,r2;external_id=x`: each role assumes the next; the last one does the work. */
export function assumedRoles(uri: ParsedUri): AssumedRole[] {
  const text = uri.parameters.get('ASSUME_ROLE') ?? '';
  if (text === '') return [];
  return text.split(',').map((one) => {
    const [role = '', ...settings] = one.trim().split(';');
    const external = settings.find((setting) => setting.trim().startsWith('external_id='));
    if (role === '') throw invalid('ASSUME_ROLE names an empty role', uri, 'roles are separated by commas: r1,r2');
    return { role, externalId: external?.trim().slice('external_id='.length) };
  });
}

export function invalid(message: string, uri: ParsedUri, hint: string): StatementError {
  return new StatementError(SqlState.InvalidParameterValue, message, { detail: `in "${uri}"`, hint });
}
