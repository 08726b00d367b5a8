/** Unreliable storage: every call fails while it is away, as when a network is; the same call may succeed later. */
import { StorageError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { ExternalStorage, StorageOperation } from '../../storage/externalStorage.ts';

export function unreliable(inner: ExternalStorage, isAway: () => boolean): ExternalStorage {
  const check = (operation: StorageOperation): void => {
    if (!isAway()) return;
    const redactedUri = String(inner.uri);
    throw new StorageError(SqlState.IoError, `cannot ${operation} in "${redactedUri}": the storage is away`, {
      operation,
      redactedUri,
      isRetryable: true,
    });
  };
  const checked = async <T>(operation: StorageOperation, call: () => Promise<T>): Promise<T> => {
    check(operation);
    return await call();
  };
  return {
    uri: inner.uri,
    capabilities: inner.capabilities,
    write: (name, source, options) => checked('write', () => inner.write(name, source, options)),
    read: (name, options) => checked('read', () => inner.read(name, options)),
    async *readStream(name, options) {
      check('readStream');
      yield* inner.readStream(name, options);
    },
    size: (name) => checked('size', () => inner.size(name)),
    list: (prefix, options) => checked('list', () => inner.list(prefix, options)),
    delete: (name) => checked('delete', () => inner.delete(name)),
    close: () => inner.close(),
  };
}
