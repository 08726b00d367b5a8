/**
 * Probe: whether a location or a key can be used at all, by using it once. What a new connection has to stand.
 *
 * Storage keeps the file that was written, as in CockroachDB: it says what the place is for. Storage that cannot list
 * is not asked to.
 */
import { StorageError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';

import type { ExternalStorage, StorageOperation } from '../externalStorage.ts';
import type { Kms } from '../kms/kms.ts';

export const MARKER_FILE = 'crdb_external_storage_location';
const MARKER = Buffer.from('a Varve cluster keeps files at this location\n');

/** Writes, lists and reads a file. Throws what failed, 58030 when what comes back is something else. */
export async function probeStorage(storage: ExternalStorage, signal?: AbortSignal): Promise<void> {
  await storage.write(MARKER_FILE, [MARKER], { signal });
  if (storage.capabilities.list && !(await storage.list(MARKER_FILE, { signal })).includes(MARKER_FILE)) {
    throw unusable(
      storage,
      'list',
      `failed to find sentinel ExternalStorage file '${MARKER_FILE}'`,
      'a listing must have what was written',
    );
  }
  const content = await storage.read(MARKER_FILE, { signal });
  if (Buffer.compare(content, MARKER) !== 0) {
    const hint = 'does something between here and the storage change or cache what it passes on?';
    throw unusable(storage, 'read', `file '${MARKER_FILE}' came back with another content than was written`, hint);
  }
}

function unusable(storage: ExternalStorage, operation: StorageOperation, message: string, hint: string): StorageError {
  const redactedUri = String(storage.uri);
  return new StorageError(SqlState.IoError, message, { operation, redactedUri, detail: `in "${redactedUri}"`, hint });
}

/** Encrypts and decrypts. Throws what failed, 58030 when what comes back is something else. */
export async function probeKms(kms: Kms, signal?: AbortSignal): Promise<void> {
  const decrypted = await kms.decrypt(await kms.encrypt(MARKER, signal), signal);
  if (Buffer.compare(decrypted, MARKER) === 0) return;
  throw new StorageError(SqlState.IoError, 'the key does not give back what was encrypted with it', {
    operation: 'kms decrypt',
    redactedUri: kms.key,
    detail: `the key is ${kms.provider} ${kms.key}`,
  });
}
