/**
 * Google Cloud KMS by REST on loopback, and IAM's generateAccessToken: keys by resource name, CRC-32C sums checked and
 * given, callers known by a JWT that their service account's key has signed, or by a token.
 */
import { createPublicKey, createVerify, generateKeyPairSync } from 'node:crypto';

import { crc32c } from '../../src/storage/kms/crc32c.ts';
import { type Answer, json, type Request, startServer, type TestServer } from './httpServer.ts';
import { WrappingKeys } from './wrappingKeys.ts';

export interface GcpKmsServer extends TestServer {
  readonly keys: WrappingKeys;
  /** The JSON key of the one service account, base64-encoded, as CREDENTIALS wants it. */
  readonly credentials: string;
  /** What may be used in place of it. */
  readonly token: string;
  /** Spoils the next answer's sum. */
  readonly state: { spoilSum: boolean };
}

const EMAIL = 'varve@project.iam.gserviceaccount.com';

/** `impersonated`: a service account that EMAIL may act as, through `delegates`. */
export async function startGcpKms(options: {
  keys: readonly string[];
  impersonated?: string;
  delegates?: readonly string[];
}): Promise<GcpKmsServer> {
  const keys = new WrappingKeys(...options.keys);
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const publicKey = createPublicKey(privateKey);
  const tokens = new Set(['ya29.the-token']);
  const state = { spoilSum: false };
  const isKnown = (request: Request): boolean => {
    const bearer = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
    if (tokens.has(bearer)) return true;
    const [header = '', claims = '', signature = ''] = bearer.split('.');
    if (!createVerify('RSA-SHA256').update(`${header}.${claims}`).verify(publicKey, signature, 'base64url')) return false;
    return (JSON.parse(Buffer.from(claims, 'base64url').toString()) as { iss: string }).iss === EMAIL;
  };
  const server = await startServer((request): Answer => {
    if (!isKnown(request)) return refuse(401, 'UNAUTHENTICATED', 'Request had invalid authentication credentials.');
    const path = decodeURIComponent(request.url.pathname);
    const body = JSON.parse(request.body.toString()) as Record<string, unknown>;
    const account = /^\/v1\/projects\/-\/serviceAccounts\/(.+):generateAccessToken$/.exec(path)?.[1];
    if (account !== undefined) {
      const delegates = (body['delegates'] as string[] | undefined) ?? [];
      const isAllowed = account === options.impersonated && delegates.join() === (options.delegates ?? []).join();
      if (!isAllowed) return refuse(403, 'PERMISSION_DENIED', `Permission 'iam.serviceAccounts.getAccessToken' denied on ${account}`);
      tokens.add(`ya29.${account}`);
      return json(200, { accessToken: `ya29.${account}`, expireTime: '2200-01-01T00:00:00Z' });
    }
    const [, name = '', operation] = /^\/v1\/(.+):(encrypt|decrypt)$/.exec(path) ?? [];
    if (keys.keys.get(name) !== 'enabled') return refuse(404, 'NOT_FOUND', `CryptoKey ${name} not found.`);
    const given = Buffer.from(String(body[operation === 'encrypt' ? 'plaintext' : 'ciphertext']), 'base64');
    const sum = body[operation === 'encrypt' ? 'plaintextCrc32c' : 'ciphertextCrc32c'];
    if (Number(sum) !== crc32c(given)) return refuse(400, 'INVALID_ARGUMENT', 'the checksum does not match');
    const result = operation === 'encrypt' ? keys.encrypt(name, given) : keys.decrypt(name, given);
    if (result === undefined) return refuse(400, 'INVALID_ARGUMENT', 'Decryption failed: the ciphertext is invalid.');
    const resultSum = String(crc32c(result) + (state.spoilSum ? 1 : 0));
    state.spoilSum = false;
    return operation === 'encrypt'
      ? json(200, { name, ciphertext: result.toString('base64'), ciphertextCrc32c: resultSum, verifiedPlaintextCrc32c: true })
      : json(200, { plaintext: result.toString('base64'), plaintextCrc32c: resultSum });
  });
  const key = { type: 'service_account', client_email: EMAIL, private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }) };
  return Object.assign(server, {
    keys,
    credentials: Buffer.from(JSON.stringify(key)).toString('base64'),
    token: 'ya29.the-token',
    state,
  });
}

const refuse = (status: number, code: string, message: string): Answer => json(status, { error: { code: status, status: code, message } });
