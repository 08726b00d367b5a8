/**
 * Collection source: `FROM {LATEST | 'name'} IN uris [AS OF SYSTEM TIME t] [WITH ...]` of the statements that read a backup
 * where it lies (VERIFY BACKUP, ATTACH BACKUP), evaluated.
 */
import type { Timestamp } from '../base/timestamp.ts';
import type { StatementContext } from '../sql/exec/statement.ts';
import type { AsOfClause, CollectionBackup, Option } from '../sql/parse/ast.ts';

import { type BackupToken, chooseNamed, resolveToken, tokenOf, usesIds } from '../backup/backupToken.ts';
import { type Chain, type ChosenLayers, loadChain } from '../backup/chain.ts';
import type { CollectionStorage } from '../backup/collectionStorage.ts';
import { ENCRYPTION_OPTIONS, readEncryption } from '../backup/encryptionOptions.ts';
import type { LocationDetails } from '../backup/locationDetails.ts';
import { INCREMENTAL_LOCATION, readLocation } from '../backup/readLocation.ts';
import { readOptions, requireText } from '../backup/statementValues.ts';

export interface CollectionSource {
  readonly backup: BackupToken;
  readonly location: LocationDetails;
  readonly asOf: Timestamp | undefined;
}

interface SourceClauses {
  readonly source: CollectionBackup;
  readonly asOf: AsOfClause | undefined;
  readonly options: readonly Option[];
}

/** 42601 and 22023 for options, locations and times that cannot be. Access to the location is the caller's to check. */
export async function readCollectionSource(
  statement: string,
  context: StatementContext,
  { source, asOf, options: given }: SourceClauses,
): Promise<CollectionSource> {
  const options = readOptions(statement, given, [INCREMENTAL_LOCATION, ...ENCRYPTION_OPTIONS]);
  const location = await readLocation(context, source.uris, options.get(INCREMENTAL_LOCATION));
  return {
    backup: tokenOf(source.type === 'latest' ? 'LATEST' : await requireText(context, source.subdir, 'the subdirectory of a backup')),
    location: { ...location, ...(await readEncryption(context, options)) },
    asOf: asOf && (await context.resolveAsOf(asOf.expr)),
  };
}

/** The chain that is meant, and what of it a restore to the time would read (choose(), as chooseNamed); `isWhole` when all of it is meant. */
export async function loadSource(
  storage: CollectionStorage,
  { backup, asOf }: CollectionSource,
  context: StatementContext,
): Promise<{ readonly chain: Chain; readonly full: string; readonly choose: () => ChosenLayers; readonly isWhole: boolean }> {
  const { signal } = context;
  const named = await resolveToken(storage, backup, { useIds: usesIds(context), signal });
  const chain = await loadChain(storage, named.full, signal);
  return { chain, full: named.full, choose: () => chooseNamed(chain, named, asOf), isWhole: asOf === undefined && named.id === undefined };
}
