/**
 * The files of --certs-dir, under CockroachDB's names:
 *
 *   ca.crt                 the CA that node and client certificates are checked against
 *   node.crt, node.key     the server's own
 *   ca-client.crt          another CA for client certificates; optional
 *
 * A key that others on the machine can read is refused, as CockroachDB refuses it.
 */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { SecureContext } from 'node:tls';

import { StateError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import { nodeTls } from './lazyModules.ts';

export interface ServerCerts {
  readonly cert: Buffer;
  readonly key: Buffer;
  /** Of the CA that client certificates come from. */
  readonly clientCa: Buffer;
}

/** Reads and checks the files. F0000 (config_file_error) names the one that is missing or wrong. */
export async function loadServerCerts(directory: string): Promise<ServerCerts> {
  const ca = await file(directory, 'ca.crt');
  const certs: ServerCerts = {
    cert: await file(directory, 'node.crt'),
    key: await keyFile(directory, 'node.key'),
    // Only one that is not there leaves clients to the servers' CA: one that cannot be read is no permission to believe another.
    clientCa: await file(directory, 'ca-client.crt').catch((error: StateError) => {
      if ((error.cause as NodeJS.ErrnoException).code === 'ENOENT') return ca;
      throw error;
    }),
  };
  secureContext(certs);
  return certs;
}

/** TLS 1.2 or later. F0000 when key and certificate do not fit. */
export function secureContext({ cert, key, clientCa }: ServerCerts): SecureContext {
  try {
    return nodeTls().createSecureContext({ cert, key, ca: clientCa, minVersion: 'TLSv1.2' });
  } catch (cause) {
    throw broken(`node.crt and node.key cannot be used: ${(cause as Error).message}`, cause);
  }
}

/** Throws F0000 for a key that others may read. */
export async function keyFile(directory: string, name: string): Promise<Buffer> {
  const content = await file(directory, name);
  const { mode } = await stat(join(directory, name));
  if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
    throw broken(
      `key file ${join(directory, name)} can be read by others (mode ${(mode & 0o777).toString(8)})`,
      undefined,
      'chmod 600 makes it private',
    );
  }
  return content;
}

async function file(directory: string, name: string): Promise<Buffer> {
  try {
    return await readFile(join(directory, name));
  } catch (cause) {
    throw broken(`cannot read ${join(directory, name)}: ${(cause as Error).message}`, cause, 'varve cert makes the files');
  }
}

function broken(message: string, cause: unknown, hint?: string): StateError {
  return new StateError(SqlState.ConfigFileError, message, { cause, ...(hint !== undefined && { hint }) });
}
