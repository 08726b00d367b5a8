/**
 * Addresses that only this machine can reach: where a server without passwords may listen.
 */
import { isIPv4 } from 'node:net';

import { StateError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}

/** 28000 for an address that other machines can reach. */
export function requireLoopback(host: string): void {
  if (isLoopback(host)) return;
  throw new StateError(SqlState.InvalidAuthorization, `${host} can be reached from other machines, and there are no certificates`, {
    hint: 'listen on 127.0.0.1 or [::1], or start with --certs-dir: varve cert makes the files',
  });
}
