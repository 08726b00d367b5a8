/**
 * Keyring: opens the data keys of encrypted chains with the secrets that a statement gave, or that a job keeps.
 *
 *   K1  a chain's key is looked for when its first encrypted file is read, and then kept; without secrets nothing
 *       is read and everything is plain
 *   K2  with secrets everything must be encrypted: a chain without ENCRYPTION_INFO is refused, so a key given in
 *       vain never goes unnoticed, and plain files cannot stand in for encrypted ones
 *   K3  of several KMS keys each must be one of the chain's; the first that answers opens it
 *   K4  a job keeps the data key in place of a passphrase: the passphrase itself is nowhere. Of a KMS it keeps
 *       the URIs, and asks again whenever it resumes
 *
 * Lives elsewhere: what is in the files (encryptionInfo.ts), reading secrets from statements (encryptionOptions.ts).
 */
import { inspect } from 'node:util';

import { isVarveError } from '../base/errors.ts';
import type { ExternalStorage } from '../storage/externalStorage.ts';
import { type Kms, type KmsContext, KmsError } from '../storage/kms/kms.ts';
import type { SecretServices } from '../storage/secretServices.ts';

import { type Cipher, EncryptionError, NOT_AUTHENTIC } from './cipher.ts';
import { fullOfDirectory } from './collection.ts';
import { corruptFile } from './corruption.ts';
import type { EncryptionInfo, KeyWrap, KmsWrap } from './encryptionInfo.ts';
import {
  encryptionInfoName,
  newDataKey,
  provenKey,
  readEncryptionInfo,
  unwrapWithKms,
  unwrapWithPassphrase,
  wrapForKms,
  wrapForPassphrase,
} from './encryptionInfo.ts';

/** CockroachDB's first words. */
const NO_INFO = 'could not find or read encryption information';

/** What opens a backup. `dataKey`, in hexadecimal, is what a job keeps of a passphrase. */
export type EncryptionSecrets =
  | { readonly type: 'passphrase'; readonly passphrase: string }
  | { readonly type: 'kms'; readonly uris: readonly string[] }
  | { readonly type: 'dataKey'; readonly keyId: string; readonly dataKey: string };

export class Keyring {
  readonly #secrets: EncryptionSecrets | undefined;
  readonly #services: SecretServices | undefined;
  readonly #context: KmsContext | undefined;
  /** By directory of the full. */
  readonly #ciphers = new Map<string, Promise<Cipher>>();

  constructor(secrets: EncryptionSecrets | undefined, services?: SecretServices, context?: KmsContext) {
    this.#secrets = secrets;
    this.#services = services;
    this.#context = context;
  }

  /**
   * The key of the chain that a layer belongs to, by the layer's directory; undefined without secrets.
   * EncryptionError when they do not fit, KmsError, XX001 for a damaged ENCRYPTION_INFO.
   */
  async cipherOf(storage: ExternalStorage, layerDirectory: string, signal?: AbortSignal): Promise<Cipher | undefined> {
    const secrets = this.#secrets;
    const services = this.#services;
    const context = this.#context;
    if (secrets === undefined || services === undefined || context === undefined) return undefined;
    const full = fullOfDirectory(layerDirectory) ?? layerDirectory;
    const known = this.#ciphers.get(full);
    if (known !== undefined) return await known;
    const opened = openChain({ secrets, services, context }, storage, full, signal);
    this.#ciphers.set(full, opened);
    // What failed may succeed when it is tried again.
    opened.catch(() => this.#ciphers.delete(full));
    return await opened;
  }

  toJSON(): string {
    return 'Keyring';
  }

  [inspect.custom](): string {
    return 'Keyring';
  }
}

/** A keyring for collections that are not encrypted. */
export const NO_KEYS: Keyring = new Keyring(undefined);

/** Secrets with what is needed to use them. */
export interface KeyAccess {
  readonly secrets: EncryptionSecrets;
  readonly services: SecretServices;
  readonly context: KmsContext;
}

/** A new chain's key: ENCRYPTION_INFO to write first of all, and what the job keeps. KmsError. */
export async function createChainKey(
  { secrets, services, context }: KeyAccess,
  signal?: AbortSignal,
): Promise<{ readonly info: EncryptionInfo; readonly forJob: EncryptionSecrets }> {
  const { cipher, info } = newDataKey(services);
  const wraps: KeyWrap[] = [];
  if (secrets.type === 'passphrase') wraps.push(await wrapForPassphrase(cipher, info.keyId, secrets.passphrase, services));
  if (secrets.type === 'kms') {
    for (const uri of secrets.uris) wraps.push(await withKms(services, context, uri, (kms) => wrapForKms(cipher, kms, signal)));
  }
  return { info: { ...info, wraps }, forJob: secretsForJob(secrets, info, cipher) };
}

/** What a job on an existing chain keeps of a statement's secrets (K4). As cipherOf. */
export async function chainSecretsForJob(
  access: KeyAccess,
  storage: ExternalStorage,
  full: string,
  signal?: AbortSignal,
): Promise<EncryptionSecrets> {
  if (access.secrets.type !== 'passphrase') return access.secrets;
  const { info } = await requireInfo(storage, full, signal);
  return secretsForJob(access.secrets, info, await openInfo(access, info, full, signal));
}

function secretsForJob(secrets: EncryptionSecrets, { keyId }: EncryptionInfo, cipher: Cipher): EncryptionSecrets {
  return secrets.type === 'passphrase' ? { type: 'dataKey', keyId, dataKey: cipher.exportKey().toString('hex') } : secrets;
}

async function openChain(access: KeyAccess, storage: ExternalStorage, full: string, signal?: AbortSignal): Promise<Cipher> {
  const { info } = await requireInfo(storage, full, signal);
  return await openInfo(access, info, full, signal);
}

/** EncryptionError when the backup has no ENCRYPTION_INFO. */
export async function requireInfo(
  storage: ExternalStorage,
  full: string,
  signal?: AbortSignal,
): Promise<{ readonly info: EncryptionInfo; readonly fileCount: number }> {
  const found = await readEncryptionInfo(storage, full, signal);
  if (found !== undefined) return found;
  throw noInfo('notEncrypted', {
    detail: `there is no ENCRYPTION_INFO for backup "${full}" in "${storage.uri}": it is not encrypted, or the file is lost`,
    hint: 'leave out encryption_passphrase and kms for a backup that is not encrypted',
  });
}

/** EncryptionError when the secrets do not fit, KmsError when no KMS answers. */
export async function openInfo(
  { secrets, services, context }: KeyAccess,
  info: EncryptionInfo,
  full: string,
  signal?: AbortSignal,
): Promise<Cipher> {
  switch (secrets.type) {
    case 'passphrase': {
      requireWraps(info, 'passphrase', full);
      const cipher = await unwrapWithPassphrase(info, secrets.passphrase, services);
      if (cipher === undefined)
        throw wrongKey(`the passphrase does not open backup "${full}"`, 'give the passphrase that its full backup was taken with');
      return cipher;
    }
    case 'dataKey': {
      const cipher = secrets.keyId === info.keyId ? provenKey(info, Buffer.from(secrets.dataKey, 'hex'), services) : undefined;
      if (cipher === undefined) {
        throw wrongKey(`the key of backup "${full}" is another one than when the job began`, 'start the backup or restore again');
      }
      return cipher;
    }
    case 'kms':
      return await openWithKms({ secrets, services, context }, secrets.uris, info, full, signal);
  }
}

async function openWithKms(
  { services, context }: KeyAccess,
  uris: readonly string[],
  info: EncryptionInfo,
  full: string,
  signal?: AbortSignal,
): Promise<Cipher> {
  requireWraps(info, 'kms', full);
  // All are looked at before any is used (K3).
  const wraps = await Promise.all(uris.map((uri) => withKms(services, context, uri, async (kms) => requireWrap(info, kms, full))));
  let failure: unknown;
  for (const [i, uri] of uris.entries()) {
    try {
      const cipher = await withKms(services, context, uri, (kms) => unwrapWithKms(info, wraps[i] as KmsWrap, kms, services, signal));
      if (cipher !== undefined) return cipher;
      failure = corruptFile(
        { file: fileOf(wraps[i], full), offset: 0 },
        `what KMS key ${keyName(wraps[i] as KmsWrap)} has wrapped`,
        `the data key ${info.keyId} of the backup`,
        'another key',
      );
    } catch (error) {
      if (!(error instanceof KmsError)) throw error;
      failure = error.isRetryable ? error : error.about(`it was given what "${fileOf(wraps[i], full)}" says it has wrapped`);
    }
  }
  throw failure;
}

/** The file that has a wrap. */
function fileOf(wrap: KmsWrap | undefined, full: string): string {
  return wrap?.file ?? encryptionInfoName(full, 1);
}

/** EncryptionError in CockroachDB's words when the chain's key is not wrapped with this KMS key. */
export function requireWrap(info: EncryptionInfo, kms: Kms, full: string): KmsWrap {
  const wrap = findWrap(info, kms);
  if (wrap !== undefined) return wrap;
  throw new EncryptionError('wrongKey', 'one of the provided URIs was not used when encrypting the base BACKUP', {
    detail: `backup "${full}" is encrypted with ${info.wraps.map(keyName).join(', ')}; it was given ${keyName(kms)}`,
    hint: 'name keys of the full backup; ALTER BACKUP ... ADD NEW_KMS adds one',
  });
}

export function findWrap(info: EncryptionInfo, kms: Pick<Kms, 'provider' | 'key'>): KmsWrap | undefined {
  return info.wraps.find((wrap): wrap is KmsWrap => wrap.type === 'kms' && wrap.provider === kms.provider && wrap.key === kms.key);
}

/** EncryptionError when the chain is encrypted the other way. */
export function requireWraps(info: EncryptionInfo, type: KeyWrap['type'], full: string): void {
  if (info.wraps.some((wrap) => wrap.type === type)) return;
  if (type === 'kms') {
    throw noInfo('wrongKey', {
      detail: `backup "${full}" is encrypted with a passphrase`,
      hint: 'give WITH encryption_passphrase = ...',
    });
  }
  // In CockroachDB, this is a failure to decrypt: scripts look for the words.
  throw new EncryptionError('wrongKey', `${NO_INFO}: failed to decrypt with a passphrase`, {
    detail: `backup "${full}" is encrypted with KMS keys: ${info.wraps.map(keyName).join(', ')}`,
    hint: 'give WITH kms = ...',
  });
}

/** A key as people name it: nothing of it is secret. */
export function keyName(key: KeyWrap | Pick<Kms, 'provider' | 'key'>): string {
  return 'provider' in key ? `${key.provider} ${key.key}` : 'a passphrase';
}

export async function withKms<T>(services: SecretServices, context: KmsContext, uri: string, use: (kms: Kms) => Promise<T>): Promise<T> {
  const kms = services.openKms(uri, context);
  try {
    return await use(kms);
  } finally {
    await kms.close();
  }
}

function noInfo(reason: EncryptionError['reason'], fields: { detail: string; hint: string }): EncryptionError {
  return new EncryptionError(reason, NO_INFO, fields);
}

function wrongKey(detail: string, hint: string): EncryptionError {
  return new EncryptionError('wrongKey', NOT_AUTHENTIC, { detail, hint });
}

/** Whether an error says that a statement's secrets do not fit a backup, rather than that the backup is damaged. */
export function isEncryptionError(error: unknown): error is EncryptionError {
  return isVarveError(error) && error instanceof EncryptionError;
}
