/**
 * Azure Key Vault and Entra ID on loopback over TLS: sign-in by client secret (OpenID configuration, token), the
 * challenge that tells where to sign in, RSA keys with their versions, decryption by RSA-OAEP-256.
 */
import { constants, generateKeyPairSync, type KeyObject, privateDecrypt, publicEncrypt } from 'node:crypto';

import { type Answer, json, startServer, type TestServer } from './httpServer.ts';
import { selfSigned } from './selfSigned.ts';

export interface AzureKeyVaultServer extends TestServer {
  /** Who vouches for the server, in PEM. */
  readonly ca: string;
}

const TOKEN = 'eyJ.the-token';

/** `keys`: as `name/version`. */
export async function startAzureKeyVault(options: {
  readonly tenant: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly keys: readonly string[];
}): Promise<AzureKeyVaultServer> {
  const keys = new Map<string, KeyObject>(
    options.keys.map((name) => [name, generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey]),
  );
  const tls = selfSigned();
  const server = await startServer((request): Answer => {
    const { pathname } = request.url;
    const origin = `https://${request.headers.host}`;
    const authority = `${origin}/${options.tenant}`;
    if (pathname.endsWith('/openid-configuration')) {
      const endpoints = { authorization_endpoint: `${authority}/authorize`, jwks_uri: `${authority}/keys`, issuer: `${authority}/v2.0` };
      return json(200, { token_endpoint: `${authority}/oauth2/v2.0/token`, ...endpoints });
    }
    if (pathname === `/${options.tenant}/oauth2/v2.0/token`) {
      const form = new URLSearchParams(request.body.toString());
      const isKnown = form.get('client_id') === options.clientId && form.get('client_secret') === options.clientSecret;
      if (!isKnown || form.get('grant_type') !== 'client_credentials') {
        return json(401, {
          error: 'invalid_client',
          error_description: `AADSTS7000215: Invalid client secret provided: ${form.get('client_secret')}`,
        });
      }
      return json(200, { token_type: 'Bearer', access_token: TOKEN, expires_in: 3600 });
    }
    if (request.headers.authorization !== `Bearer ${TOKEN}`) {
      const challenge = `Bearer authorization="${authority}", resource="https://vault.azure.net"`;
      return json(
        401,
        { error: { code: 'Unauthorized', message: 'AKV10000: Request is missing a Bearer token.' } },
        { 'www-authenticate': challenge },
      );
    }
    const [, name = '', operation] = /^\/keys\/([^/]+\/[^/]+)(?:\/(encrypt|decrypt))?$/.exec(pathname) ?? [];
    const key = keys.get(name);
    if (key === undefined)
      return json(404, { error: { code: 'KeyNotFound', message: `A key with (name/id) ${name} was not found in this key vault.` } });
    const kid = `${origin}/keys/${name}`;
    if (operation === undefined) {
      const { n, e } = key.export({ format: 'jwk' });
      return json(200, { key: { kid, kty: 'RSA', key_ops: ['encrypt', 'decrypt'], n, e }, attributes: { enabled: true } });
    }
    const { alg, value } = JSON.parse(request.body.toString()) as { alg: string; value: string };
    if (alg !== 'RSA-OAEP-256') return json(400, { error: { code: 'BadParameter', message: `algorithm ${alg}` } });
    try {
      const padding = { key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' };
      const given = Buffer.from(value, 'base64url');
      const result = operation === 'encrypt' ? publicEncrypt(padding, given) : privateDecrypt(padding, given);
      return json(200, { kid, value: result.toString('base64url') });
    } catch {
      return json(400, { error: { code: 'BadParameter', message: 'The parameter is incorrect.' } });
    }
  }, tls);
  return Object.assign(server, { ca: tls.ca });
}
