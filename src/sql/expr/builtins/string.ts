/**
 * Functions on strings and bytes. Positions and lengths count characters (code points) for strings
 * and bytes for bytes; positions start at 1.
 */
import { createHash } from 'node:crypto';

import { type Bytes as ByteString, fromBuffer, toBuffer, utf8Decode, utf8Encode } from '../../../base/bytes.ts';
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import type { Datum } from '../../../catalog/datum.ts';
import { textFunction } from '../castFunction.ts';
import { alias, Bool, Bytes, Int8, pure, Text, VarBit } from '../define.ts';
import type { Int } from '../intArithmetic.ts';
import type { Overload } from '../overload.ts';
import { checkResultSize, joinAll } from '../resultSize.ts';
import { regexpExtract } from './regexp.ts';

const text = (bytes: Datum): string => utf8Decode(bytes as ByteString);
const isAscii = (bytes: ByteString, decoded: string): boolean => decoded === (bytes as string);
/** The characters of a string; an ASCII string is its own list. */
const characters = (bytes: ByteString): ArrayLike<string> & { slice(start?: number, end?: number): unknown } => {
  const decoded = utf8Decode(bytes);
  return isAscii(bytes, decoded) ? decoded : Array.from(decoded);
};
const joined = (part: unknown): ByteString => (typeof part === 'string' ? (part as ByteString) : utf8Encode((part as string[]).join('')));

/** The part from `start` (1-based, may lie before the string) of `length` characters. 22011-like 22023 for a negative length. */
function slice(source: ByteString, start: Int, length: Int | undefined, isBytes: boolean): ByteString {
  if (length !== undefined && length < 0)
    throw new StatementError(SqlState.InvalidParameterValue, `negative substring length ${length} not allowed`);
  const all = isBytes ? source : characters(source);
  const from = Number(start) - 1;
  const to = length === undefined ? all.length : from + Number(length);
  return joined(all.slice(Math.max(0, from), Math.max(0, to)));
}

function pad(source: ByteString, length: Int, fill: ByteString, side: 'left' | 'right'): ByteString {
  const wanted = Number(length);
  checkResultSize(wanted);
  const own = Array.from(utf8Decode(source));
  if (wanted <= own.length) return utf8Encode(own.slice(0, Math.max(0, wanted)).join(''));
  const filler = Array.from(utf8Decode(fill));
  if (filler.length === 0) return source;
  const padding = Array.from({ length: wanted - own.length }, (_, i) => filler[i % filler.length]).join('');
  return utf8Encode(side === 'left' ? padding + own.join('') : own.join('') + padding);
}

function trim(source: ByteString, chars: ByteString, left: boolean, right: boolean): ByteString {
  const set = new Set(utf8Decode(chars));
  const all = Array.from(utf8Decode(source));
  let from = 0;
  let to = all.length;
  while (left && from < to && set.has(all[from] as string)) from++;
  while (right && to > from && set.has(all[to - 1] as string)) to--;
  return utf8Encode(all.slice(from, to).join(''));
}

function trims(name: string, left: boolean, right: boolean): Overload[] {
  return [
    pure<[ByteString]>(name, [Text], Text, (a) => trim(a, ' \t\n\r\v\f' as ByteString, left, right)),
    pure<[ByteString, ByteString]>(name, [Text, Text], Text, (a, chars) => trim(a, chars, left, right)),
  ];
}

function head(source: ByteString, count: Int, isBytes: boolean): ByteString {
  const all = isBytes ? source : characters(source);
  const n = Number(count);
  return joined(all.slice(0, n < 0 ? Math.max(0, all.length + n) : n));
}

function tail(source: ByteString, count: Int, isBytes: boolean): ByteString {
  const all = isBytes ? source : characters(source);
  const n = Number(count);
  return joined(all.slice(n < 0 ? Math.min(all.length, -n) : Math.max(0, all.length - n)));
}

/** First letter of each word upper, the rest lower; a word is letters and digits. */
function initcap(source: string): string {
  return source.toLowerCase().replace(/[\p{L}\p{N}]+/gu, (word) => {
    const [first = ''] = word;
    return first.toUpperCase() + word.slice(first.length);
  });
}

function translate(source: string, from: string, to: string): string {
  const targets = Array.from(to);
  const map = new Map<string, string>();
  for (const [i, char] of Array.from(from).entries()) if (!map.has(char)) map.set(char, targets[i] ?? '');
  return Array.from(source, (char) => map.get(char) ?? char).join('');
}

/** 1-based; 0 when it does not occur. */
function position(haystack: ByteString, needle: ByteString): number {
  const at = haystack.indexOf(needle);
  return at < 0 ? 0 : Array.from(utf8Decode(haystack.slice(0, at) as ByteString)).length + 1;
}

function splitPart(source: ByteString, separator: ByteString, field: Int): ByteString {
  if (field === 0) throw new StatementError(SqlState.InvalidParameterValue, 'field position must not be zero');
  const parts = separator === '' ? [source as string] : source.split(separator);
  return (parts.at(Number(field) > 0 ? Number(field) - 1 : Number(field)) ?? '') as ByteString;
}

const digest = (algorithm: string) => (source: ByteString) => createHash(algorithm).update(toBuffer(source)).digest('hex') as ByteString;

function hashes(name: string, algorithm = name): Overload[] {
  const hash = digest(algorithm);
  return [pure<[ByteString]>(name, [Text], Text, hash, { preferred: true }), pure<[ByteString]>(name, [Bytes], Text, hash)];
}

/** FNV-1 and FNV-1a over bytes, as BigInt: they are for sharding small keys. */
function fnv(source: ByteString, width: 32 | 64, xorFirst: boolean): number | bigint {
  const prime = width === 32 ? 0x01000193n : 0x100000001b3n;
  let hash = width === 32 ? 0x811c9dc5n : 0xcbf29ce484222325n;
  for (let i = 0; i < source.length; i++) {
    const byte = BigInt(source.charCodeAt(i));
    hash = xorFirst ? BigInt.asUintN(width, (hash ^ byte) * prime) : BigInt.asUintN(width, hash * prime) ^ byte;
  }
  const signed = BigInt.asIntN(64, hash);
  return signed >= -9007199254740991n && signed <= 9007199254740991n ? Number(signed) : signed;
}

function fnvs(name: string, width: 32 | 64, xorFirst: boolean): Overload[] {
  const hash = (source: ByteString): number | bigint => fnv(source, width, xorFirst);
  return [pure<[ByteString]>(name, [Text], Int8, hash, { preferred: true }), pure<[ByteString]>(name, [Bytes], Int8, hash)];
}

function encode(source: ByteString, format: string): ByteString {
  switch (format.toLowerCase()) {
    case 'hex':
      return toBuffer(source).toString('hex') as ByteString;
    case 'base64':
      return toBuffer(source).toString('base64') as ByteString;
    case 'escape':
      return Array.from(source as string, (char) => {
        const code = char.charCodeAt(0);
        if (char === '\\') return '\\\\';
        return code === 0 || code >= 0x80 ? `\\${code.toString(8).padStart(3, '0')}` : char;
      }).join('') as ByteString;
    default:
      throw new StatementError(SqlState.InvalidParameterValue, "only 'hex', 'escape', and 'base64' formats are supported for encode()");
  }
}

function decode(source: string, format: string): ByteString {
  const invalid = (what: string) => new StatementError(SqlState.InvalidParameterValue, `invalid ${what} input: "${source}"`);
  switch (format.toLowerCase()) {
    case 'hex':
      if (source.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(source)) throw invalid('hex');
      return fromBuffer(Buffer.from(source, 'hex'));
    case 'base64':
      if (!/^[A-Za-z0-9+/]*={0,2}$/.test(source) || source.length % 4 !== 0) throw invalid('base64');
      return fromBuffer(Buffer.from(source, 'base64'));
    case 'escape':
      return utf8Encode(source).replace(/\\(\\|[0-3][0-7]{2})/g, (_, code: string) =>
        code === '\\' ? '\\' : String.fromCharCode(Number.parseInt(code, 8)),
      ) as ByteString;
    default:
      throw new StatementError(SqlState.InvalidParameterValue, "only 'hex', 'escape', and 'base64' formats are supported for decode()");
  }
}

/** An identifier as it has to be written: quoted unless it is plain and lower-case. */
export function quoteIdentifier(name: string): string {
  return /^[a-z_][a-z0-9_$]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

export function quoteLiteral(value: string): string {
  const quoted = `'${value.replaceAll("'", "''")}'`;
  return value.includes('\\') ? `e${quoted.replaceAll('\\', '\\\\')}` : quoted;
}

const length = [
  pure<[ByteString]>('length', [Text], Int8, (a) => characters(a).length, { preferred: true }),
  pure<[ByteString]>('length', [Bytes], Int8, (a) => a.length),
  pure<[ByteString]>('length', [VarBit], Int8, (a) => a.length),
];
const substring = [
  pure<[ByteString, Int]>('substring', [Text, Int8], Text, (a, from) => slice(a, from, undefined, false), { preferred: true }),
  pure<[ByteString, Int, Int]>('substring', [Text, Int8, Int8], Text, (a, from, count) => slice(a, from, count, false), {
    preferred: true,
  }),
  pure<[ByteString, ByteString]>('substring', [Text, Text], Text, (a, pattern) => regexpExtract(text(a), text(pattern))),
  pure<[ByteString, Int]>('substring', [Bytes, Int8], Bytes, (a, from) => slice(a, from, undefined, true)),
  pure<[ByteString, Int, Int]>('substring', [Bytes, Int8, Int8], Bytes, (a, from, count) => slice(a, from, count, true)),
];
const strpos = [
  pure<[ByteString, ByteString]>('strpos', [Text, Text], Int8, position, { preferred: true }),
  pure<[ByteString, ByteString]>('strpos', [Bytes, Bytes], Int8, (a, b) => a.indexOf(b) + 1),
];

/** Types whose values concat, concat_ws and format take. */
const anyText = (name: string, params: Overload['params'], join: (parts: (string | null)[]) => Datum): Overload => ({
  name,
  params,
  variadic: 'any',
  returns: Text,
  volatility: 'stable',
  nullable: true,
  specialize: (types) => {
    const speak = types.map(textFunction);
    return (ctx, ...args) =>
      join(args.map((arg, i) => (arg === null ? null : ((speak[i] as (d: Datum, c: typeof ctx) => ByteString)(arg, ctx) as string))));
  },
});

/** format(): %s text, %I identifier, %L literal, %% percent; positions as %1$s. */
function format(template: string, args: readonly (string | null)[]): string {
  let next = 0;
  return template.replace(/%(?:(\d+)\$)?(-?\d+)?(.)/gs, (_, at: string | undefined, width: string | undefined, kind: string) => {
    if (kind === '%') return '%';
    const index = at === undefined ? next++ : Number(at) - 1;
    if (index >= args.length || index < 0) throw new StatementError(SqlState.InvalidParameterValue, 'not enough arguments for format()');
    const value = args[index] ?? null;
    const decoded = value === null ? null : utf8Decode(value as ByteString);
    const shown = spoken(kind, decoded);
    const size = Math.abs(Number(width ?? 0));
    checkResultSize(size);
    return width?.startsWith('-') ? shown.padEnd(size) : shown.padStart(size);
  });
}

function spoken(kind: string, value: string | null): string {
  switch (kind) {
    case 's':
      return value ?? '';
    case 'I':
      if (value === null) throw new StatementError(SqlState.InvalidParameterValue, 'NULL cannot be formatted as a SQL identifier');
      return quoteIdentifier(value);
    case 'L':
      return value === null ? 'NULL' : quoteLiteral(value);
    default:
      throw new StatementError(SqlState.InvalidParameterValue, `unrecognized verb in format string: "%${kind}"`);
  }
}

const DIGIT_NAMES = ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine'];

/** Digit by digit: `minus-one-zero`. */
const inEnglish = (value: Int): string =>
  Array.from(String(value), (digit) => (digit === '-' ? 'minus' : (DIGIT_NAMES[Number(digit)] ?? digit))).join('-');

export const stringFunctions: readonly Overload[] = [
  pure<[Int]>('to_english', [Int8], Text, (value) => utf8Encode(inEnglish(value))),
  ...length,
  ...alias('char_length', length.slice(0, 1)),
  ...alias('character_length', length.slice(0, 1)),
  pure<[ByteString]>('octet_length', [Text], Int8, (a) => a.length, { preferred: true }),
  pure<[ByteString]>('octet_length', [Bytes], Int8, (a) => a.length),
  pure<[ByteString]>('bit_length', [Text], Int8, (a) => a.length * 8, { preferred: true }),
  pure<[ByteString]>('bit_length', [Bytes], Int8, (a) => a.length * 8),
  pure<[ByteString]>('lower', [Text], Text, (a) => utf8Encode(text(a).toLowerCase())),
  pure<[ByteString]>('upper', [Text], Text, (a) => utf8Encode(text(a).toUpperCase())),
  pure<[ByteString]>('initcap', [Text], Text, (a) => utf8Encode(initcap(text(a)))),
  ...substring,
  ...alias('substr', substring),
  ...trims('btrim', true, true),
  ...trims('ltrim', true, false),
  ...trims('rtrim', false, true),
  pure<[ByteString, Int]>('lpad', [Text, Int8], Text, (a, n) => pad(a, n, ' ' as ByteString, 'left')),
  pure<[ByteString, Int, ByteString]>('lpad', [Text, Int8, Text], Text, (a, n, fill) => pad(a, n, fill, 'left')),
  pure<[ByteString, Int]>('rpad', [Text, Int8], Text, (a, n) => pad(a, n, ' ' as ByteString, 'right')),
  pure<[ByteString, Int, ByteString]>('rpad', [Text, Int8, Text], Text, (a, n, fill) => pad(a, n, fill, 'right')),
  pure<[ByteString, Int]>('left', [Text, Int8], Text, (a, n) => head(a, n, false), { preferred: true }),
  pure<[ByteString, Int]>('left', [Bytes, Int8], Bytes, (a, n) => head(a, n, true)),
  pure<[ByteString, Int]>('right', [Text, Int8], Text, (a, n) => tail(a, n, false), { preferred: true }),
  pure<[ByteString, Int]>('right', [Bytes, Int8], Bytes, (a, n) => tail(a, n, true)),
  pure<[ByteString, ByteString, ByteString]>('replace', [Text, Text, Text], Text, (a, from, to) => {
    if (from === '') return a;
    checkResultSize(a.length + (a.split(from).length - 1) * to.length);
    return a.replaceAll(from, () => to) as ByteString;
  }),
  pure<[ByteString, ByteString, ByteString]>('translate', [Text, Text, Text], Text, (a, from, to) =>
    utf8Encode(translate(text(a), text(from), text(to))),
  ),
  pure<[ByteString, ByteString, Int, Int]>('overlay', [Text, Text, Int8, Int8], Text, (a, b, from, count) =>
    utf8Encode(text(slice(a, 1, Number(from) - 1, false)) + text(b) + text(slice(a, Number(from) + Number(count), undefined, false))),
  ),
  pure<[ByteString, ByteString, Int]>('overlay', [Text, Text, Int8], Text, (a, b, from) =>
    utf8Encode(
      text(slice(a, 1, Number(from) - 1, false)) + text(b) + text(slice(a, Number(from) + characters(b).length, undefined, false)),
    ),
  ),
  pure<[ByteString]>('reverse', [Text], Text, (a) => utf8Encode(Array.from(text(a)).reverse().join(''))),
  pure<[ByteString, Int]>('repeat', [Text, Int8], Text, (a, count) => {
    const times = Math.max(0, Number(count));
    checkResultSize(a.length * times);
    return a.repeat(times) as ByteString;
  }),
  anyText(
    'concat',
    [],
    (parts) =>
      joinAll(
        parts.filter((part) => part !== null),
        '',
      ) as ByteString,
  ),
  anyText('concat_ws', [Text], ([separator, ...parts]) =>
    separator === null || separator === undefined
      ? null
      : (joinAll(
          parts.filter((part) => part !== null),
          separator,
        ) as ByteString),
  ),
  anyText('format', [Text], ([template, ...args]) =>
    template === null || template === undefined ? null : utf8Encode(format(utf8Decode(template as ByteString), args)),
  ),
  pure<[ByteString, ByteString, Int]>('split_part', [Text, Text, Int8], Text, splitPart),
  ...strpos,
  ...alias('position', strpos),
  pure<[ByteString, ByteString]>('starts_with', [Text, Text], Bool, (a, prefix) => a.startsWith(prefix)),
  ...hashes('md5'),
  ...hashes('sha1'),
  ...hashes('sha224'),
  ...hashes('sha256'),
  ...hashes('sha384'),
  ...hashes('sha512'),
  ...fnvs('fnv32', 32, false),
  ...fnvs('fnv32a', 32, true),
  ...fnvs('fnv64', 64, false),
  ...fnvs('fnv64a', 64, true),
  pure<[ByteString, ByteString]>('encode', [Bytes, Text], Text, (a, how) => encode(a, text(how))),
  pure<[ByteString, ByteString]>('decode', [Text, Text], Bytes, (a, how) => decode(text(a), text(how))),
  pure<[Int]>('to_hex', [Int8], Text, (a) => BigInt.asUintN(64, BigInt(a)).toString(16) as ByteString, { preferred: true }),
  pure<[ByteString]>('to_hex', [Bytes], Text, (a) => encode(a, 'hex')),
  pure<[ByteString]>('to_hex', [Text], Text, (a) => encode(a, 'hex')),
  pure<[ByteString]>('ascii', [Text], Int8, (a) => {
    const code = text(a).codePointAt(0);
    if (code === undefined) throw new StatementError(SqlState.InvalidParameterValue, 'the input string must not be empty');
    return code;
  }),
  pure<[Int]>('chr', [Int8], Text, (code) => {
    if (code < 1 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) {
      throw new StatementError(SqlState.InvalidParameterValue, `input value must be a character's code, not ${code}`);
    }
    return utf8Encode(String.fromCodePoint(Number(code)));
  }),
  pure<[ByteString]>('quote_ident', [Text], Text, (a) => utf8Encode(quoteIdentifier(text(a)))),
  pure<[ByteString]>('quote_literal', [Text], Text, (a) => utf8Encode(quoteLiteral(text(a)))),
  pure<[ByteString | null]>(
    'quote_nullable',
    [Text],
    Text,
    (a) => (a === null ? ('NULL' as ByteString) : utf8Encode(quoteLiteral(text(a)))),
    {
      nullable: true,
    },
  ),
];
