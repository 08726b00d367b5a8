/**
 * Password verifiers for SCRAM-SHA-256: what the server keeps of a password, and how a client's proof
 * is checked against it without the password.
 *
 * Stored as `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`, base64, the form that
 * PostgreSQL and CockroachDB write too, so that a verifier made elsewhere can be given as a password.
 *
 *   SaltedPassword = PBKDF2-SHA-256(password, salt, iterations)
 *   ClientKey = HMAC(SaltedPassword, "Client Key")      StoredKey = SHA-256(ClientKey)
 *   ServerKey = HMAC(SaltedPassword, "Server Key")
 *
 * Salts come from node:crypto, never from a seed. Source: RFC 5802, RFC 7677. Messages: server/pgwire/scramExchange.ts.
 */
import { createHash, createHmac, pbkdf2Sync, randomBytes, timingSafeEqual } from 'node:crypto';

/** CockroachDB's default cost, a few milliseconds of one core. */
export const SCRAM_ITERATIONS = 10_610;
const SALT_BYTES = 16;
const KEY_BYTES = 32;

export interface ScramVerifier {
  readonly iterations: number;
  readonly salt: Buffer;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

const hmac = (key: Buffer, text: string | Buffer): Buffer => createHmac('sha256', key).update(text).digest();
const sha256 = (bytes: Buffer): Buffer => createHash('sha256').update(bytes).digest();

/** The password as it is hashed: SASLprep's mapping of spaces and NFKC; what it forbids is taken as it is. */
function prepared(password: string): string {
  return password.replaceAll(/[\u00A0\u1680\u2000-\u200B\u202F\u205F\u3000]/g, ' ').normalize('NFKC');
}

/** A verifier for a password. Cost: `iterations` hashes. */
export function makeVerifier(password: string, options: { readonly iterations?: number; readonly salt?: Buffer } = {}): ScramVerifier {
  const { iterations = SCRAM_ITERATIONS, salt = randomBytes(SALT_BYTES) } = options;
  const salted = pbkdf2Sync(prepared(password), salt, iterations, KEY_BYTES, 'sha256');
  return { iterations, salt, storedKey: sha256(hmac(salted, 'Client Key')), serverKey: hmac(salted, 'Server Key') };
}

export function formatVerifier({ iterations, salt, storedKey, serverKey }: ScramVerifier): string {
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${storedKey.toString('base64')}:${serverKey.toString('base64')}`;
}

/** Undefined for a text that is no verifier. */
export function parseVerifier(text: string): ScramVerifier | undefined {
  const match = /^SCRAM-SHA-256\$(\d{1,7}):([A-Za-z0-9+/]+={0,2})\$([A-Za-z0-9+/]{43}=):([A-Za-z0-9+/]{43}=)$/.exec(text);
  if (!match) return undefined;
  const [, iterations = '', salt = '', storedKey = '', serverKey = ''] = match;
  const bytes = (base64: string) => Buffer.from(base64, 'base64');
  return { iterations: Number(iterations), salt: bytes(salt), storedKey: bytes(storedKey), serverKey: bytes(serverKey) };
}

/** True when the proof shows that the client knows the password. `authMessage` is the exchange so far. */
export function checkProof(verifier: ScramVerifier, authMessage: string, proof: Buffer): boolean {
  if (proof.length !== KEY_BYTES) return false;
  const signature = hmac(verifier.storedKey, authMessage);
  const clientKey = Buffer.from(proof.map((byte, i) => byte ^ (signature[i] as number)));
  return timingSafeEqual(sha256(clientKey), verifier.storedKey);
}

/** What shows the client that the server knows the verifier. */
export function serverSignature(verifier: ScramVerifier, authMessage: string): Buffer {
  return hmac(verifier.serverKey, authMessage);
}

/**
 * A verifier for a user that does not exist or has no password: the exchange goes its whole way, with
 * the same salt each time, so that nobody learns which users there are. No proof fits it.
 */
export function decoyVerifier(user: string, secret: Buffer): ScramVerifier {
  const salt = hmac(secret, `salt ${user}`).subarray(0, SALT_BYTES);
  return { iterations: SCRAM_ITERATIONS, salt, storedKey: hmac(secret, `stored ${user}`), serverKey: hmac(secret, `server ${user}`) };
}
