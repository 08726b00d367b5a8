/**
 * The regexp functions: PostgreSQL's names and flags over re2js (../regex.ts).
 *
 * Flags: g all matches, i no case (c takes it back), n m p let . stop at a newline, n m w let ^ and $ match at lines.
 */
import { type Bytes as ByteString, utf8Decode, utf8Encode } from '../../../base/bytes.ts';
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import type { Datum } from '../../../catalog/datum.ts';
import { Bool, Int8, pure, StringArray, Text } from '../define.ts';
import type { Int } from '../intArithmetic.ts';
import type { GeneratorOverload, Overload } from '../overload.ts';
import { compileRegex } from '../regex.ts';

const text = (bytes: Datum | undefined): string => utf8Decode(bytes as ByteString);

function regexFlags(flags: string, allowsGlobal = true): string {
  for (const flag of flags) {
    if (!'gicsmnwpx'.includes(flag)) throw new StatementError(SqlState.InvalidParameterValue, `invalid regexp flag: "${flag}"`);
    if (flag === 'g' && !allowsGlobal)
      throw new StatementError(SqlState.InvalidParameterValue, 'this function does not support the "global" option');
  }
  return (flags.includes('i') && !flags.includes('c') ? 'i' : '') + (/[nmp]/.test(flags) ? '' : 's') + (/[nmw]/.test(flags) ? 'm' : '');
}

interface Match {
  /** Where it stands in the text, in UTF-16 units. */
  readonly start: number;
  readonly end: number;
  /** The whole match first, then the groups. */
  readonly groups: readonly (string | null)[];
  readonly groupStarts: readonly number[];
  readonly groupEnds: readonly number[];
}

/** Matches in order, none overlapping another; an empty one right behind a match does not count. */
function* matches(source: string, pattern: string, flags: string, from = 0): Generator<Match> {
  const matcher = compileRegex(pattern, flags).matcher(source);
  let isFound = matcher.find(from);
  while (isFound) {
    const groups: (string | null)[] = [];
    const groupStarts: number[] = [];
    const groupEnds: number[] = [];
    for (let i = 0; i <= matcher.groupCount(); i++) {
      groups.push(matcher.group(i) ?? null);
      groupStarts.push(matcher.start(i));
      groupEnds.push(matcher.end(i));
    }
    yield { start: matcher.start(), end: matcher.end(), groups, groupStarts, groupEnds };
    isFound = matcher.find();
  }
}

/** `replacement` with \1 to \9, \& and \\ filled in. */
function filled(replacement: string, { groups }: Match): string {
  return replacement.replace(/\\(\\|&|\d)/g, (_, ref: string) => (ref === '\\' ? '\\' : (groups[ref === '&' ? 0 : Number(ref)] ?? '')));
}

/** Replaces match number `which` (1-based), or all from it on where it is 0. */
function replaced(source: string, pattern: string, replacement: string, flags: string, from: number, which: number): string {
  let out = '';
  let at = 0;
  let count = 0;
  for (const match of matches(source, pattern, regexFlags(flags), from)) {
    count++;
    if (which !== 0 && count < which) continue;
    out += source.slice(at, match.start) + filled(replacement, match);
    at = match.end;
    if (which !== 0) break;
  }
  return out + source.slice(at);
}

/** The first capture group, or the whole match without one; NULL when nothing matches. */
export function regexpExtract(source: string, pattern: string): Datum {
  for (const { groups } of matches(source, pattern, 's')) {
    const found = groups.length > 1 ? groups[1] : groups[0];
    return found === null || found === undefined ? null : utf8Encode(found);
  }
  return null;
}

/** What regexp_match gives of one match: its groups, or the whole of it where there are none. */
const given = ({ groups }: Match): Datum =>
  (groups.length > 1 ? groups.slice(1) : groups).map((group) => (group === null ? null : utf8Encode(group)));

/** The parts between the matches. An empty match cuts between characters. */
export function splitByRegex(source: string, pattern: string, flags = ''): string[] {
  const parts: string[] = [];
  let at = 0;
  for (const { start, end } of matches(source, pattern, regexFlags(flags, false))) {
    if (end === start && (start === 0 || start >= source.length)) continue;
    parts.push(source.slice(at, start));
    at = end;
  }
  parts.push(source.slice(at));
  return parts;
}

/** A position counted in characters from 1, as an offset of UTF-16 units. 22023 below 1. */
function offsetOf(source: string, position: Int): number {
  const at = Number(position);
  if (at < 1) throw new StatementError(SqlState.InvalidParameterValue, `invalid value for parameter "start": ${at}`);
  return Array.from(source)
    .slice(0, at - 1)
    .join('').length;
}

function positive(name: string, value: Int, low: number): number {
  if (Number(value) < low) throw new StatementError(SqlState.InvalidParameterValue, `invalid value for parameter "${name}": ${value}`);
  return Number(value);
}

function nth(source: string, pattern: string, start: Int, which: Int, flags: string): Match | undefined {
  let count = positive('n', which, 1);
  const from = offsetOf(source, start);
  if (from > source.length) return undefined;
  for (const match of matches(source, pattern, regexFlags(flags, false), from)) if (--count === 0) return match;
  return undefined;
}

/** Overloads that leave off arguments from the end, down to `least` of them. */
function optional(
  name: string,
  params: readonly (typeof Text)[],
  least: number,
  returns: Overload['returns'],
  fn: (args: Datum[]) => Datum,
): Overload[] {
  return Array.from({ length: params.length - least + 1 }, (_, i) =>
    pure(name, params.slice(0, least + i), returns, (...args: Datum[]) => fn(args)),
  );
}

const characterAt = (source: string, offset: number): number => Array.from(source.slice(0, offset)).length + 1;

export const regexpFunctions: readonly Overload[] = [
  pure<[ByteString, ByteString]>('regexp_extract', [Text, Text], Text, (a, pattern) => regexpExtract(text(a), text(pattern))),
  ...optional('regexp_replace', [Text, Text, Text, Text], 3, Text, ([a, pattern, to, flags]) => {
    const written = flags === undefined ? '' : text(flags);
    return utf8Encode(replaced(text(a), text(pattern), text(to), written, 0, written.includes('g') ? 0 : 1));
  }),
  ...optional('regexp_replace', [Text, Text, Text, Int8, Int8, Text], 4, Text, ([a, pattern, to, start, which, flags]) => {
    const source = text(a);
    const written = flags === undefined ? '' : text(flags);
    const count = which === undefined ? (written.includes('g') ? 0 : 1) : positive('n', which as Int, 0);
    return utf8Encode(replaced(source, text(pattern), text(to), written, offsetOf(source, start as Int), count));
  }),
  ...optional('regexp_match', [Text, Text, Text], 2, StringArray, ([a, pattern, flags]) => {
    for (const match of matches(text(a), text(pattern), regexFlags(flags === undefined ? '' : text(flags), false))) return given(match);
    return null;
  }),
  ...optional('regexp_like', [Text, Text, Text], 2, Bool, ([a, pattern, flags]) => {
    for (const _ of matches(text(a), text(pattern), regexFlags(flags === undefined ? '' : text(flags), false))) return true;
    return false;
  }),
  ...optional('regexp_count', [Text, Text, Int8, Text], 2, Int8, ([a, pattern, start = 1, flags]) => {
    const source = text(a);
    const from = offsetOf(source, start as Int);
    let count = 0;
    if (from > source.length) return 0;
    for (const _ of matches(source, text(pattern), regexFlags(flags === undefined ? '' : text(flags), false), from)) count++;
    return count;
  }),
  ...optional(
    'regexp_instr',
    [Text, Text, Int8, Int8, Int8, Text, Int8],
    2,
    Int8,
    ([a, pattern, start = 1, which = 1, endOption = 0, flags, group = 0]) => {
      const source = text(a);
      const match = nth(source, text(pattern), start as Int, which as Int, flags === undefined ? '' : text(flags));
      const at = (Number(endOption) === 0 ? match?.groupStarts : match?.groupEnds)?.[positive('subexpr', group as Int, 0)];
      return at === undefined || at < 0 ? 0 : characterAt(source, at);
    },
  ),
  ...optional('regexp_substr', [Text, Text, Int8, Int8, Text, Int8], 2, Text, ([a, pattern, start = 1, which = 1, flags, group = 0]) => {
    const found = nth(text(a), text(pattern), start as Int, which as Int, flags === undefined ? '' : text(flags));
    const part = found?.groups[positive('subexpr', group as Int, 0)];
    return part === undefined || part === null ? null : utf8Encode(part);
  }),
  ...optional('regexp_split_to_array', [Text, Text, Text], 2, StringArray, ([a, pattern, flags]) =>
    splitByRegex(text(a), text(pattern), flags === undefined ? '' : text(flags)).map(utf8Encode),
  ),
];

function rows(
  name: string,
  type: typeof Text,
  make: (source: string, pattern: string, flags: string) => Iterable<Datum>,
): GeneratorOverload[] {
  return [
    [Text, Text],
    [Text, Text, Text],
  ].map((params) => ({
    name,
    params,
    columns: () => [{ name, type }],
    volatility: 'immutable',
    rows: function* (_, [source, pattern, flags]) {
      for (const value of make(text(source), text(pattern), flags === undefined ? '' : text(flags))) yield [value];
    },
  }));
}

export const regexpGenerators: readonly GeneratorOverload[] = [
  ...rows('regexp_split_to_table', Text, (source, pattern, flags) => splitByRegex(source, pattern, flags).map(utf8Encode)),
  ...rows('regexp_matches', StringArray, function* (source, pattern, flags) {
    for (const match of matches(source, pattern, regexFlags(flags))) {
      yield given(match);
      if (!flags.includes('g')) return;
    }
  }),
];
