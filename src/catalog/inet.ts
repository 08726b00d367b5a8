/**
 * INET: an IPv4 or IPv6 address with a prefix length, held as family byte (4 or 6), prefix length
 * byte and the 4 or 16 address bytes.
 */
import { asBytes, type Bytes } from '../base/bytes.ts';
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';

/** `192.168.0.1`, `10.0.0.0/8`, `::1`; 22P02 for anything else. */
export function parseInet(text: string): Bytes {
  const fail = (): never => {
    throw new StatementError(SqlState.InvalidTextRepresentation, `could not parse "${text}" as type inet: invalid IP`);
  };
  const [address = '', prefix, ...rest] = text.trim().split('/');
  if (rest.length > 0 || (prefix !== undefined && !/^\d{1,3}$/.test(prefix))) return fail();
  const bytes = address.includes(':') ? ipv6Bytes(address) : ipv4Bytes(address);
  if (!bytes) return fail();
  const bits = bytes.length * 8;
  const length = prefix === undefined ? bits : Number(prefix);
  if (length > bits) return fail();
  return asBytes(String.fromCharCode(bits === 32 ? 4 : 6, length, ...bytes));
}

function ipv4Bytes(text: string): number[] | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) <= 255)) return undefined;
  return parts.map(Number);
}

function ipv6Bytes(text: string): number[] | undefined {
  let source = text;
  const embedded = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  if (embedded) {
    const v4 = ipv4Bytes(embedded[2] ?? '');
    if (!v4) return undefined;
    const [a = 0, b = 0, c = 0, d = 0] = v4;
    source = `${embedded[1]}${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
  }
  const halves = source.split('::');
  if (halves.length > 2) return undefined;
  const [head = [], tail = []] = halves.map((half) => (half === '' ? [] : half.split(':')));
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const groups = [...head, ...new Array<string>(halves.length === 2 ? missing : 0).fill('0'), ...tail];
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined;
  return groups.flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff]);
}

/** The prefix length is left out when it is the whole address; IPv6 in the form of RFC 5952. */
export function formatInet(inet: Bytes): string {
  const length = inet.charCodeAt(1);
  const bytes = [...inet.slice(2)].map((char) => char.charCodeAt(0));
  const suffix = length === bytes.length * 8 ? '' : `/${length}`;
  if (bytes.length === 4) return bytes.join('.') + suffix;
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push((bytes[i] ?? 0) * 256 + (bytes[i + 1] ?? 0));
  // The longest run of zero groups, of two or more, becomes `::`.
  let best = { at: -1, length: 1 };
  for (let at = 0; at < 8; at++) {
    let end = at;
    while (groups[end] === 0) end++;
    if (end - at > best.length) best = { at, length: end - at };
    at = Math.max(at, end - 1);
  }
  const hex = groups.map((group) => group.toString(16));
  if (best.at < 0) return hex.join(':') + suffix;
  return `${hex.slice(0, best.at).join(':')}::${hex.slice(best.at + best.length).join(':')}${suffix}`;
}
