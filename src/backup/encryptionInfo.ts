/**
 * Encryption info: who can open an encrypted chain. Files in the full's directory hold the chain's data key,
 * wrapped for a passphrase or for each of some keys of a KMS.
 *
 *   N1  files are written once, never changed: more keys are a file more; a reader takes them together
 *   N2  the data key is proved (keyCheck) before anything is opened with it, so that a wrong key and a damaged
 *       file are told apart
 *   N3  nothing in a file is secret: a KMS key is named without its credentials
 *
 * Lives elsewhere: whose secrets open it (keyring.ts). Format: docs/format.md 7.
 */
import { CorruptionError, isVarveError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { ExternalStorage } from '../storage/externalStorage.ts';
import type { Kms } from '../storage/kms/kms.ts';
import type { SecretServices } from '../storage/secretServices.ts';

import { SEAL_BYTES } from './blockCodec.ts';
import { Cipher, KEY_BYTES } from './cipher.ts';
import { corruptFile } from './corruption.ts';
import { decodeEnvelope, ENCRYPTION_INFO_MAGIC, encodeEnvelope } from './envelope.ts';
import type { JsonObject } from './jsonFields.ts';
import { JsonFields } from './jsonFields.ts';

const VERSION = 1;
const FORMAT = 'varve-encryption';
const CIPHER = 'aes-256-gcm';
const KDF = 'pbkdf2-sha256';
/** CockroachDB's number. */
const ITERATIONS = 64_000;
/** Fewer would make guessing cheap, more would hold a reader up for minutes: neither was written here. */
const ITERATIONS_MIN = 10_000;
const ITERATIONS_MAX = 10_000_000;
const ID_BYTES = 16;
const SALT_BYTES = 16;
export const ENCRYPTION_INFO_NAME = 'ENCRYPTION_INFO';

export interface PassphraseWrap {
  readonly type: 'passphrase';
  /** Where it was read. */
  readonly file?: string;
  readonly iterations: number;
  readonly salt: Buffer;
  readonly wrappedKey: Buffer;
}

export interface KmsWrap {
  readonly type: 'kms';
  /** Where it was read. */
  readonly file?: string;
  readonly provider: string;
  readonly key: string;
  readonly wrappedKey: Buffer;
}

export type KeyWrap = PassphraseWrap | KmsWrap;

/** One file, or all of a chain's taken together. */
export interface EncryptionInfo {
  /** Names the data key. */
  readonly keyId: string;
  readonly keyCheck: Buffer;
  readonly wraps: readonly KeyWrap[];
}

// ---- keys -------------------------------------------------------------------------------------

/** A new data key, not wrapped for anybody yet. */
export function newDataKey({ secureBytes }: Pick<SecretServices, 'secureBytes'>): { cipher: Cipher; info: EncryptionInfo } {
  const cipher = new Cipher(secureBytes(KEY_BYTES), secureBytes);
  const keyId = secureBytes(ID_BYTES).toString('hex');
  return { cipher, info: { keyId, keyCheck: cipher.seal(Buffer.alloc(0), checkPlace(keyId)), wraps: [] } };
}

/** The wrap by which a passphrase opens a data key. */
export async function wrapForPassphrase(
  cipher: Cipher,
  keyId: string,
  passphrase: string,
  services: SecretServices,
): Promise<PassphraseWrap> {
  const salt = services.secureBytes(SALT_BYTES);
  const wrapping = await passphraseCipher({ salt, iterations: ITERATIONS }, passphrase, services);
  return { type: 'passphrase', iterations: ITERATIONS, salt, wrappedKey: wrapping.seal(cipher.exportKey(), wrapPlace(keyId)) };
}

/** The wrap by which a KMS key opens a data key. KmsError. */
export async function wrapForKms(cipher: Cipher, kms: Kms, signal?: AbortSignal): Promise<KmsWrap> {
  const wrappedKey = Buffer.from(await kms.encrypt(cipher.exportKey(), signal));
  return { type: 'kms', provider: kms.provider, key: kms.key, wrappedKey };
}

/** The data key of a chain; undefined when the passphrase opens none of its wraps. */
export async function unwrapWithPassphrase(
  info: EncryptionInfo,
  passphrase: string,
  services: SecretServices,
): Promise<Cipher | undefined> {
  for (const wrap of info.wraps) {
    if (wrap.type !== 'passphrase') continue;
    const wrapping = await passphraseCipher(wrap, passphrase, services);
    const key = wrapping.open(wrap.wrappedKey, wrapPlace(info.keyId));
    const cipher = key && provenKey(info, key, services);
    if (cipher !== undefined) return cipher;
  }
  return undefined;
}

/** The data key of a chain, by one of its wraps; undefined when what the KMS gives back is another key. KmsError. */
export async function unwrapWithKms(
  info: EncryptionInfo,
  wrap: KmsWrap,
  kms: Kms,
  services: SecretServices,
  signal?: AbortSignal,
): Promise<Cipher | undefined> {
  return provenKey(info, Buffer.from(await kms.decrypt(wrap.wrappedKey, signal)), services);
}

/** Undefined for another key than the chain's (N2). */
export function provenKey(info: EncryptionInfo, key: Buffer, { secureBytes }: Pick<SecretServices, 'secureBytes'>): Cipher | undefined {
  if (key.length !== KEY_BYTES) return undefined;
  const cipher = new Cipher(key, secureBytes);
  return cipher.open(info.keyCheck, checkPlace(info.keyId)) === undefined ? undefined : cipher;
}

async function passphraseCipher(
  { salt, iterations }: Pick<PassphraseWrap, 'salt' | 'iterations'>,
  passphrase: string,
  services: SecretServices,
): Promise<Cipher> {
  return new Cipher(await services.deriveKey(passphrase, salt, iterations), services.secureBytes);
}

const checkPlace = (keyId: string) => Buffer.from(`varve-key-check-1\0${keyId}`);
const wrapPlace = (keyId: string) => Buffer.from(`varve-key-1\0${keyId}`);

// ---- files ------------------------------------------------------------------------------------

/** `ENCRYPTION_INFO`, `ENCRYPTION_INFO-2`, ... in a full's directory. */
export function encryptionInfoName(full: string, number: number): string {
  return `${infoPrefix(full)}${number === 1 ? '' : `-${number}`}`;
}

/** What their names begin with. A full that is opened by itself has an empty directory. */
const infoPrefix = (full: string) => (full === '' ? ENCRYPTION_INFO_NAME : `${full}/${ENCRYPTION_INFO_NAME}`);

/** How many files a chain has: numbers 1 to n. */
async function countInfos(storage: ExternalStorage, full: string, signal?: AbortSignal): Promise<number> {
  if (storage.capabilities.list) {
    const names = new Set(await storage.list(infoPrefix(full), { signal }));
    let count = 0;
    while (names.has(encryptionInfoName(full, count + 1))) count++;
    return count;
  }
  for (let count = 0; ; count++) {
    try {
      await storage.size(encryptionInfoName(full, count + 1));
    } catch (error) {
      if (isVarveError(error) && error.code === SqlState.UndefinedFile) return count;
      throw error;
    }
  }
}

/** All files of a chain as one, and how many there are; undefined without any. XX001 when one is damaged or of another chain. */
export async function readEncryptionInfo(
  storage: ExternalStorage,
  full: string,
  signal?: AbortSignal,
): Promise<{ readonly info: EncryptionInfo; readonly fileCount: number } | undefined> {
  const fileCount = await countInfos(storage, full, signal);
  let all: EncryptionInfo | undefined;
  for (let number = 1; number <= fileCount; number++) {
    const file = encryptionInfoName(full, number);
    const info = await decodeEncryptionInfo(Buffer.from(await storage.read(file, { signal })), file);
    if (all !== undefined && all.keyId !== info.keyId) {
      throw corruptFile({ file, offset: 0 }, 'data key', `${all.keyId}, as in ${encryptionInfoName(full, 1)}`, info.keyId);
    }
    all = all === undefined ? info : { ...all, wraps: [...all.wraps, ...info.wraps] };
  }
  return all && { info: all, fileCount };
}

/**
 * Writes a file of a chain, as encodeEncryptionInfo made it, and reads it back. 58P02 when there is a file of that number already, with other
 * content: another statement was faster.
 */
export async function writeEncryptionInfo(
  storage: ExternalStorage,
  full: string,
  number: number,
  bytes: Buffer,
  signal?: AbortSignal,
): Promise<void> {
  const file = encryptionInfoName(full, number);
  try {
    await storage.write(file, bytes, { signal, ifAbsent: storage.capabilities.conditionalCreate });
  } catch (error) {
    if (!isVarveError(error) || error.code !== SqlState.DuplicateFile) throw error;
    // An attempt before has written it, and died.
    if (bytes.equals(Buffer.from(await storage.read(file, { signal })))) return;
    throw error;
  }
  const stored = Buffer.from(await storage.read(file, { signal }));
  if (bytes.equals(stored)) return;
  throw new CorruptionError(SqlState.DataCorrupted, `"${file}" does not hold what was written to it`, { file });
}

export async function encodeEncryptionInfo({ keyId, keyCheck, wraps }: EncryptionInfo): Promise<Buffer> {
  const json = {
    format: FORMAT,
    majorVersion: VERSION,
    minorVersion: 0,
    cipher: CIPHER,
    keyId,
    keyCheck: keyCheck.toString('hex'),
    wraps: wraps.map(wrapToJson),
  };
  return await encodeEnvelope(ENCRYPTION_INFO_MAGIC, VERSION, JSON.stringify(json));
}

export async function decodeEncryptionInfo(bytes: Buffer, file: string): Promise<EncryptionInfo> {
  const text = await decodeEnvelope(ENCRYPTION_INFO_MAGIC, VERSION, bytes, { what: 'encryption info', file });
  const fields = JsonFields.parse(text, file);
  fields.literal('format', FORMAT);
  fields.literal('majorVersion', VERSION);
  fields.literal('cipher', CIPHER);
  const info = {
    keyId: fields.string('keyId'),
    keyCheck: bytesOf(fields, 'keyCheck'),
    wraps: fields.objects('wraps').map((one) => ({ ...wrapFromJson(one), file })),
  };
  fields.must(/^[0-9a-f]{32}$/.test(info.keyId), 'keyId is 16 bytes');
  fields.must(info.keyCheck.length === SEAL_BYTES, 'keyCheck is a nonce and a tag');
  fields.must(info.wraps.length > 0, 'a key is wrapped');
  return info;
}

export function wrapToJson(wrap: KeyWrap): JsonObject {
  const wrappedKey = wrap.wrappedKey.toString('hex');
  return wrap.type === 'kms'
    ? { type: wrap.type, provider: wrap.provider, key: wrap.key, wrappedKey }
    : { type: wrap.type, kdf: KDF, iterations: wrap.iterations, salt: wrap.salt.toString('hex'), wrappedKey };
}

export function wrapFromJson(fields: JsonFields): KeyWrap {
  const wrappedKey = bytesOf(fields, 'wrappedKey');
  if (fields.oneOf('type', ['passphrase', 'kms']) === 'kms') {
    return { type: 'kms', provider: fields.string('provider'), key: fields.string('key'), wrappedKey };
  }
  fields.literal('kdf', KDF);
  const iterations = fields.integer('iterations');
  fields.must(iterations >= ITERATIONS_MIN && iterations <= ITERATIONS_MAX, `iterations are ${ITERATIONS_MIN} to ${ITERATIONS_MAX}`);
  return { type: 'passphrase', iterations, salt: bytesOf(fields, 'salt'), wrappedKey };
}

function bytesOf(fields: JsonFields, name: string): Buffer {
  return Buffer.from(fields.hex(name), 'latin1');
}
