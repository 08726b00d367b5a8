/**
 * ALTER BACKUP ... ADD NEW_KMS = ... WITH OLD_KMS = ...: one more key, or several, for an encrypted chain. An old key
 * opens the chain's data key, which is wrapped for each new one into an ENCRYPTION_INFO file more. Nothing else is
 * touched: neither data nor the files that are there.
 */
import { isVarveError, StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import { isAdmin } from '../catalog/privileges.ts';
import type { ClusterSettings } from '../catalog/settings.ts';
import type { StatementContext, StatementHook } from '../sql/exec/statement.ts';
import type { AlterBackup, UriList } from '../sql/parse/ast.ts';
import type { ExternalStorage } from '../storage/externalStorage.ts';
import { ParsedUri } from '../storage/uri.ts';

import { resolveToken, tokenOf, usesIds } from './backupToken.ts';
import { type Cipher, EncryptionError } from './cipher.ts';
import { decodeBackupId } from './backupId.ts';
import type { EncryptionInfo, KmsWrap } from './encryptionInfo.ts';
import { encodeEncryptionInfo, wrapForKms, writeEncryptionInfo } from './encryptionInfo.ts';
import { checkKmsAccess } from './encryptionOptions.ts';
import { checkFeature } from './jobResult.ts';
import { findWrap, type KeyAccess, keyName, openInfo, requireInfo, requireWraps, withKms } from './keyring.ts';
import { readLocation } from './readLocation.ts';
import { granteesOf, requireText } from './statementValues.ts';
import { type ShowBackupDeps, withCollection } from './showCollection.ts';

export interface AlterBackupDeps extends ShowBackupDeps {
  readonly settings: ClusterSettings;
}

/** Statements at the same moment each take the next number; more than a few are not after the same backup by chance. */
const ATTEMPTS_MAX = 10;

export function alterBackupHook(deps: AlterBackupDeps): StatementHook<AlterBackup> {
  return {
    columns: () => undefined,
    run: async (context, stmt) => {
      await runAlterBackup(deps, context, stmt);
      return { tag: 'ALTER BACKUP' };
    },
    ownTransaction: true,
  };
}

async function runAlterBackup(deps: AlterBackupDeps, context: StatementContext, stmt: AlterBackup): Promise<void> {
  checkFeature('BACKUP', deps.settings, 'ALTER BACKUP');
  const grantees = await granteesOf(context);
  if (!isAdmin(grantees)) {
    throw new StatementError(SqlState.InsufficientPrivilege, 'only users with the admin role are allowed to ALTER BACKUP');
  }
  const newUris = await readKeys(context, stmt.newKms, 'NEW_KMS');
  const oldUris = await readKeys(context, stmt.oldKms, 'OLD_KMS');
  await checkKmsAccess(context, [...newUris, ...oldUris], grantees);
  const { source } = stmt;
  await withCollection(deps, context, await readLocation(context, source.uris), async (storage) => {
    const full = source.type === 'uri' ? '' : await fullOf(context, storage, source);
    const access = { services: deps.storage.secrets, context: { user: context.user } };
    const cipher = await openWithAny(access, storage, full, oldUris, context.signal);
    await addKeys(access, storage, full, cipher, newUris, context);
  });
}

async function readKeys(context: StatementContext, list: UriList, what: string): Promise<string[]> {
  const uris: string[] = [];
  for (const expr of list) {
    const uri = await requireText(context, expr, what);
    ParsedUri.parse(uri);
    uris.push(uri);
  }
  return uris;
}

/** 22023 for an incremental layer: the keys are the full's. */
async function fullOf(
  context: StatementContext,
  storage: Parameters<typeof resolveToken>[0],
  source: Exclude<AlterBackup['source'], { type: 'uri' }>,
): Promise<string> {
  const text = source.type === 'latest' ? 'LATEST' : await requireText(context, source.subdir, 'the subdirectory of a backup');
  const { full, id } = await resolveToken(storage, tokenOf(text), { useIds: usesIds(context), signal: context.signal });
  const times = id === undefined || source.type === 'latest' ? undefined : decodeBackupId(id);
  if (times === undefined || times.layerTime === times.fullTime) return full;
  throw new StatementError(SqlState.InvalidParameterValue, `backup with ID ${id} is an incremental one`, {
    detail: `the keys of its chain are those of its full backup, "${full}"`,
    hint: 'name the full backup',
  });
}

type Access = Omit<KeyAccess, 'secrets'>;

/** The chain's data key, by the first of the old keys that opens it. EncryptionError when none is one of the chain's. */
async function openWithAny(
  access: Access,
  storage: ExternalStorage,
  full: string,
  uris: readonly string[],
  signal: AbortSignal,
): Promise<Cipher> {
  const { info } = await requireInfo(storage, full, signal);
  requireWraps(info, 'kms', full);
  const used: string[] = [];
  for (const uri of uris) {
    if (await withKms(access.services, access.context, uri, async (kms) => findWrap(info, kms) !== undefined)) used.push(uri);
  }
  if (used.length === 0) {
    throw new EncryptionError('wrongKey', 'no key in OLD_KMS matches a key that was previously used to encrypt the backup', {
      detail: `backup "${full}" is encrypted with ${info.wraps.map(keyName).join(', ')}`,
      hint: 'name one of these keys after OLD_KMS',
    });
  }
  return await openInfo({ ...access, secrets: { type: 'kms', uris: used } }, info, full, signal);
}

async function addKeys(
  access: Access,
  storage: ExternalStorage,
  full: string,
  cipher: Cipher,
  uris: readonly string[],
  context: StatementContext,
): Promise<void> {
  const { signal } = context;
  for (let attempt = 1; ; attempt++) {
    const { info, fileCount } = await requireInfo(storage, full, signal);
    const wraps = await wrapForNew(access, info, cipher, uris, signal);
    if (wraps.length === 0) {
      context.notice(`backup "${full}" can be opened with ${uris.length === 1 ? 'this key' : 'these keys'} already`);
      return;
    }
    try {
      await writeEncryptionInfo(storage, full, fileCount + 1, await encodeEncryptionInfo({ ...info, wraps }), signal);
      return;
    } catch (error) {
      const isTaken = isVarveError(error) && error.code === SqlState.DuplicateFile;
      if (!isTaken || attempt === ATTEMPTS_MAX) throw error;
    }
  }
}

/** Wraps for those of the keys that cannot open the chain yet. */
async function wrapForNew(
  { services, context }: Access,
  info: EncryptionInfo,
  cipher: Cipher,
  uris: readonly string[],
  signal: AbortSignal,
): Promise<KmsWrap[]> {
  const wraps: KmsWrap[] = [];
  for (const uri of uris) {
    await withKms(services, context, uri, async (kms) => {
      const isKnown = findWrap({ ...info, wraps: [...info.wraps, ...wraps] }, kms) !== undefined;
      if (!isKnown) wraps.push(await wrapForKms(cipher, kms, signal));
    });
  }
  return wraps;
}
