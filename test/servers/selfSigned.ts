/** TLS for a server of a test: a certificate for loopback, and the authority that has issued it. */
import { issue, keyPem, newKey } from '../../src/cli/x509.ts';

/** In PEM. */
export function selfSigned(): { key: string; cert: string; ca: string } {
  const [caKey, key] = [newKey(), newKey()];
  const validity = { from: new Date('2020-01-01T00:00:00Z'), until: new Date('2090-01-01T00:00:00Z') };
  const issuer = { commonName: 'a test', key: caKey };
  return {
    key: keyPem(key),
    cert: issue({ commonName: 'node', use: 'node', hosts: ['127.0.0.1'], ...validity }, key, issuer),
    ca: issue({ commonName: 'a test', use: 'ca', ...validity }, caKey, issuer),
  };
}
