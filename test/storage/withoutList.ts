/** A storage whose listing is taken away: what a plain HTTP server is. */
import { StorageError } from '../../src/base/errors.ts';
import { SqlState } from '../../src/base/sqlState.ts';
import type { ExternalStorage } from '../../src/storage/externalStorage.ts';

export function withoutList(storage: ExternalStorage): ExternalStorage {
  const refuse = (operation: 'list' | 'write', what: string) =>
    new StorageError(SqlState.FeatureNotSupported, `this storage cannot ${what}`, { operation, redactedUri: String(storage.uri) });
  return {
    uri: storage.uri,
    capabilities: { ...storage.capabilities, list: false, conditionalCreate: false },
    write: async (name, source, options) => {
      if (options?.ifAbsent) throw refuse('write', 'create a file only if it is absent');
      return await storage.write(name, source, options);
    },
    read: (name, options) => storage.read(name, options),
    readStream: (name, options) => storage.readStream(name, options),
    size: (name) => storage.size(name),
    delete: (name) => storage.delete(name),
    close: () => storage.close(),
    list: () => {
      throw refuse('list', 'list');
    },
  };
}
