/** Show collection: what SHOW BACKUPS and SHOW BACKUP share: opening a collection for the length of a statement. */
import type { StatementContext } from '../sql/exec/statement.ts';
import type { StorageFactory } from '../storage/externalStorage.ts';

import type { CollectionStorage } from './collectionStorage.ts';
import { namingPlaces, openCollection } from './collectionStorage.ts';
import type { LocationDetails } from './locationDetails.ts';
import { urisOf } from './locationDetails.ts';
import { checkLocationAccess, granteesOf } from './statementValues.ts';

export interface ShowBackupDeps {
  readonly storage: StorageFactory;
}

/** 42501 without access to the location. */
export async function withCollection<T>(
  deps: ShowBackupDeps,
  context: StatementContext,
  location: LocationDetails,
  show: (storage: CollectionStorage) => Promise<T>,
): Promise<T> {
  await checkLocationAccess(context, urisOf(location), await granteesOf(context));
  const storage = openCollection(deps.storage, location, { user: context.user, nodeId: context.session.nodeId });
  try {
    return await namingPlaces(storage, () => show(storage));
  } finally {
    await storage.close();
  }
}
