/**
 * X.509 certificates for a test cluster: a CA, and what it issues to nodes and clients.
 *
 * Keys are P-256, signatures ECDSA with SHA-256, both node:crypto's; this file only writes down the
 * structure around them in DER. It makes certificates and reads none: checking them is TLS's work.
 *
 * Source: RFC 5280 (certificates and extensions), RFC 5480 (EC keys), ITU-T X.690 (DER).
 */
import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIP, isIPv4 } from 'node:net';

// ---- DER ---------------------------------------------------------------------------------------

function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  if (body.length < 0x80) return Buffer.concat([Buffer.from([tag, body.length]), body]);
  const size = body.length < 0x100 ? Buffer.from([0x81, body.length]) : Buffer.from([0x82, body.length >> 8, body.length & 0xff]);
  return Buffer.concat([Buffer.from([tag]), size, body]);
}

const sequence = (...parts: readonly Uint8Array[]): Buffer => der(0x30, ...parts);
const octets = (body: Uint8Array): Buffer => der(0x04, body);
const bits = (body: Uint8Array, unused = 0): Buffer => der(0x03, Buffer.from([unused]), body);
const TRUE = Buffer.from([0x01, 0x01, 0xff]);
const utf8 = (text: string): Buffer => der(0x0c, Buffer.from(text, 'utf8'));

/** A positive integer: a zero byte in front keeps the sign. */
function integer(bytes: Uint8Array): Buffer {
  const first = bytes[0] ?? 0;
  return der(0x02, first >= 0x80 ? Buffer.concat([Buffer.from([0]), bytes]) : bytes);
}

/** An object identifier, such as 2.5.4.3: base 128, the first two numbers in one. */
function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second, ...rest].flatMap((number) => {
    const digits = [number & 0x7f];
    for (let left = number >> 7; left > 0; left >>= 7) digits.unshift((left & 0x7f) | 0x80);
    return digits;
  });
  return der(0x06, Buffer.from(bytes));
}

/** UTCTime until 2049, GeneralizedTime after. */
function time(date: Date): Buffer {
  const digits = `${date.toISOString().replaceAll(/[-:T]/g, '').slice(0, 14)}Z`;
  return date.getUTCFullYear() < 2050 ? der(0x17, Buffer.from(digits.slice(2))) : der(0x18, Buffer.from(digits));
}

// ---- certificates ------------------------------------------------------------------------------

const COMMON_NAME = '2.5.4.3';
const ORGANIZATION = '2.5.4.10';
const ECDSA_WITH_SHA256 = sequence(oid('1.2.840.10045.4.3.2'));
const SERVER_AUTH = oid('1.3.6.1.5.5.7.3.1');
const CLIENT_AUTH = oid('1.3.6.1.5.5.7.3.2');

const name = (commonName: string): Buffer =>
  sequence(der(0x31, sequence(oid(ORGANIZATION), utf8('Varve'))), der(0x31, sequence(oid(COMMON_NAME), utf8(commonName))));

const extension = (id: string, isCritical: boolean, value: Uint8Array): Buffer =>
  sequence(oid(id), ...(isCritical ? [TRUE] : []), octets(value));

/** A host as a certificate names it: an address by its bytes, or a DNS name. */
function alternativeName(host: string): Buffer {
  if (isIP(host) === 0) return der(0x82, Buffer.from(host, 'latin1'));
  return der(0x87, isIPv4(host) ? Buffer.from(host.split('.').map(Number)) : ipv6Bytes(host));
}

function ipv6Bytes(host: string): Buffer {
  // URL writes an address in its shortest form, without a dotted part.
  const [head = '', tail] = new URL(`http://[${host}]/`).hostname.slice(1, -1).split('::');
  const groups = (text: string | undefined): string[] => (text ? text.split(':') : []);
  const [left, right] = [groups(head), groups(tail)];
  const all = tail === undefined ? left : [...left, ...Array<string>(8 - left.length - right.length).fill('0'), ...right];
  return Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex');
}

/** Identifies a key: the SHA-1 of its public bits, as RFC 5280 proposes. */
const keyId = (spki: Buffer): Buffer => createHash('sha1').update(spki.subarray(-65)).digest();

const spkiOf = (key: KeyObject): Buffer => (key.type === 'public' ? key : createPublicKey(key)).export({ type: 'spki', format: 'der' });

/** Who issues: a CA's name, and its private key. */
export interface Issuer {
  readonly commonName: string;
  readonly key: KeyObject;
}

export interface CertificateRequest {
  readonly commonName: string;
  readonly use: 'ca' | 'node' | 'client';
  /** Addresses and DNS names of a node. */
  readonly hosts?: readonly string[];
  readonly from: Date;
  readonly until: Date;
}

export interface Issued {
  readonly certificate: string;
  readonly key: string;
}

export const newKey = (): KeyObject => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;

/** A key's PEM, PKCS #8. */
export const keyPem = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }) as string;

/** A certificate for a key, as PEM; a CA issues itself. */
export function issue(request: CertificateRequest, key: KeyObject, issuer: Issuer): string {
  const { commonName, use, hosts = [], from, until } = request;
  const spki = spkiOf(key);
  // keyCertSign and cRLSign for a CA, digitalSignature for the others.
  const keyUsage = use === 'ca' ? bits(Buffer.from([0x06]), 1) : bits(Buffer.from([0x80]), 7);
  // A node connects to others too, so its certificate is good for both ends.
  const extendedUsage = use === 'node' ? [SERVER_AUTH, CLIENT_AUTH] : [CLIENT_AUTH];
  const extensions = [
    extension('2.5.29.19', true, use === 'ca' ? sequence(TRUE) : sequence()),
    extension('2.5.29.15', true, keyUsage),
    ...(use === 'ca' ? [] : [extension('2.5.29.37', false, sequence(...extendedUsage))]),
    extension('2.5.29.14', false, octets(keyId(spki))),
    extension('2.5.29.35', false, sequence(der(0x80, keyId(spkiOf(issuer.key))))),
    ...(hosts.length > 0 ? [extension('2.5.29.17', false, sequence(...hosts.map(alternativeName)))] : []),
  ];
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  const content = sequence(
    der(0xa0, integer(Buffer.from([2]))),
    integer(serial),
    ECDSA_WITH_SHA256,
    name(issuer.commonName),
    sequence(time(from), time(until)),
    name(commonName),
    spki,
    der(0xa3, sequence(...extensions)),
  );
  const certificate = sequence(content, ECDSA_WITH_SHA256, bits(sign('sha256', content, issuer.key)));
  const lines = certificate.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}
