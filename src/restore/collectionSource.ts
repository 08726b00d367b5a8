/**
 * Collection source: `FROM {LATEST | 'name'} IN uris [AS OF SYSTEM TIME t] [WITH ...]` of the statements that read a backup
 * where it lies (VERIFY BACKUP, ATTACH BACKUP), evaluated; or `FROM uris, ...` with the layers of the older statements.
 */
import type { Timestamp } from '../base/timestamp.ts';
import type { StatementContext } from '../sql/exec/statement.ts';
import type { AsOfClause, Option, Restore } from '../sql/parse/ast.ts';
import type { StorageFactory } from '../storage/externalStorage.ts';

import { type BackupToken, checkNewest, chooseNamed, loadNamed, resolveToken, tokenOf, usesIds } from '../backup/backupToken.ts';
import { type Chain, type ChosenLayers, type PassedOver, passedOverNotice } from '../backup/chain.ts';
import type { CollectionStorage } from '../backup/collectionStorage.ts';
import { ENCRYPTION_OPTIONS, readEncryption } from '../backup/encryptionOptions.ts';
import { readListedChain } from '../backup/listedLayers.ts';
import { type LocationDetails, type PlaceUris, urisOf } from '../backup/locationDetails.ts';
import { defaultFirst, INCREMENTAL_LOCATION, readLocation, readUris, refuseIncrementalLocation } from '../backup/readLocation.ts';
import { checkLocationAccess, granteesOf, readOptions, requireText } from '../backup/statementValues.ts';

export interface CollectionSource {
  readonly backup: BackupToken;
  readonly location: LocationDetails;
  readonly asOf: Timestamp | undefined;
}

interface SourceClauses {
  readonly source: Restore['source'];
  readonly asOf: AsOfClause | undefined;
  readonly options: readonly Option[];
}

/** 42601 and 22023 for options, locations and times that cannot be, 42501 without access to the location; of a list also what reading it throws. */
export async function readCollectionSource(
  statement: string,
  deps: { readonly storage: StorageFactory },
  context: StatementContext,
  { source, asOf, options: given }: SourceClauses,
): Promise<CollectionSource> {
  const options = readOptions(statement, given, [INCREMENTAL_LOCATION, ...ENCRYPTION_OPTIONS]);
  const time = asOf && (await context.resolveAsOf(asOf.expr));
  const secrets = await readEncryption(context, options);
  const grantees = await granteesOf(context);
  const incremental = options.get(INCREMENTAL_LOCATION);
  if (source.type !== 'layers') {
    const text = source.type === 'latest' ? 'LATEST' : await requireText(context, source.subdir, 'the subdirectory of a backup');
    const location = { ...(await readLocation(context, source.uris, incremental)), ...secrets };
    await checkLocationAccess(context, urisOf(location), grantees);
    return { backup: tokenOf(text), location, asOf: time };
  }
  refuseIncrementalLocation('RESTORE', incremental);
  const lists: PlaceUris[] = [];
  for (const uris of source.layers) lists.push(defaultFirst(await readUris(context, uris)));
  await checkLocationAccess(context, lists.flat(), grantees);
  const { user, session, signal } = context;
  const { full, location } = await readListedChain(deps.storage, lists, secrets, { user, nodeId: session.nodeId, signal });
  return { backup: tokenOf(full), location, asOf: time };
}

/**
 * The chain that is meant, and what of it a restore to the time would read (choose(), as chooseNamed); `isWhole` when all of it is meant. The
 * session is told of compacted layers that are passed over, unless `onPassedOver` hears of them.
 */
export async function loadSource(
  storage: CollectionStorage,
  { backup, asOf }: CollectionSource,
  context: StatementContext,
  onPassedOver: PassedOver = (directory, why) => context.notice(passedOverNotice(directory, why)),
): Promise<{ readonly chain: Chain; readonly full: string; readonly choose: () => ChosenLayers; readonly isWhole: boolean }> {
  const { signal } = context;
  const named = await resolveToken(storage, backup, { useIds: usesIds(context), signal });
  const chain = await loadNamed(storage, named, signal, onPassedOver);
  await checkNewest(storage, chain, named, asOf, signal);
  return { chain, full: named.full, choose: () => chooseNamed(chain, named, asOf), isWhole: asOf === undefined && named.id === undefined };
}
