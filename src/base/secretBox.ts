/**
 * Secret box: what the database keeps for itself only, such as credentials in a job's record, sealed under a key that
 * this process has drawn. Whoever reads the record, in SQL or in a backup, reads nothing; another process cannot
 * open it, and has no use for it, since the records live and die with the process.
 *
 * Equal texts seal to equal boxes, so that a record does not change by being written again: the nonce is a keyed digest
 * of the text (the construction of SIV, RFC 5297).
 */
import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto';

import { StateError } from './errors.ts';
import { SqlState } from './sqlState.ts';

const ALGORITHM = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const KEY = randomBytes(32);
const NONCE_KEY = randomBytes(32);

export function sealSecret(text: string): string {
  const nonce = createHmac('sha256', NONCE_KEY).update(text).digest().subarray(0, NONCE_BYTES);
  const cipher = createCipheriv(ALGORITHM, KEY, nonce);
  const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
  return Buffer.concat([nonce, sealed, cipher.getAuthTag()]).toString('base64');
}

/** Throws 55000 for what another process has sealed. */
export function openSecret(sealed: string): string {
  const bytes = Buffer.from(sealed, 'base64');
  try {
    const decipher = createDecipheriv(ALGORITHM, KEY, bytes.subarray(0, NONCE_BYTES));
    decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
    return decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8');
  } catch {
    throw new StateError(SqlState.ObjectNotInPrerequisiteState, 'a record has secrets that this process did not write', {
      hint: 'give the statement again',
    });
  }
}
