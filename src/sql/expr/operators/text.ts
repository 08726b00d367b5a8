/**
 * Operators on text: concatenation, LIKE and its kin, regular expressions. Patterns that are constant
 * are compiled once, with the expression.
 */
import { type Bytes as ByteString, utf8Decode } from '../../../base/bytes.ts';
import type { Datum } from '../../../catalog/datum.ts';
import { type ColumnType, Type } from '../../../catalog/type.ts';
import { textFunction } from '../castFunction.ts';
import { Bool, Bytes, pure, Text, VarBit } from '../define.ts';
import type { EvalFn, Overload } from '../overload.ts';
import { compileRegex, regexFinds, similarToRegex } from '../regex.ts';
import { joinTwo } from '../resultSize.ts';
import { likeMatcher, parseLikePattern } from '../likeMatcher.ts';

type Matcher = (text: ByteString) => boolean;

/** An overload (text, pattern[, escape]) whose matcher is made once when pattern and escape are constant. */
function pattern(name: string, makeMatcher: (pattern: string, escapeChar?: string) => Matcher, hasEscape = false): Overload {
  const make = (patternDatum: Datum, escapeChar?: Datum): Matcher =>
    makeMatcher(utf8Decode(patternDatum as ByteString), escapeChar === undefined ? undefined : utf8Decode(escapeChar as ByteString));
  return {
    name,
    params: hasEscape ? [Text, Text, Text] : [Text, Text],
    returns: Bool,
    volatility: 'immutable',
    specialize: (_, [, constant, escapeChar]): EvalFn => {
      const isConstant = constant !== undefined && constant !== null && (!hasEscape || (escapeChar !== undefined && escapeChar !== null));
      if (!isConstant) return (_ctx, text, patternDatum, escapeDatum) => make(patternDatum as Datum, escapeDatum)(text as ByteString);
      // Made at the first row: a pattern that is wrong is an error only when it is used.
      let matcher: Matcher | undefined;
      return (_ctx, text) => {
        matcher ??= make(constant, hasEscape ? escapeChar : undefined);
        return matcher(text as ByteString);
      };
    },
  };
}

const like = (source: string, escapeChar?: string): Matcher => likeMatcher(parseLikePattern(source, escapeChar));
const ilike = (source: string, escapeChar?: string): Matcher => likeMatcher(parseLikePattern(source, escapeChar, true));
const regex =
  (flags: string) =>
  (source: string): Matcher => {
    const compiled = compileRegex(source, flags);
    return (text) => regexFinds(compiled, utf8Decode(text));
  };
const similar = (source: string, escapeChar?: string): Matcher => regex('s')(similarToRegex(source, escapeChar));

/** Types whose values || turns into text beside a string. */
const SPOKEN: readonly ColumnType[] = [
  Type.Int8,
  Type.Float8,
  Type.Decimal,
  Type.Bool,
  Type.Date,
  Type.Time,
  Type.Timestamp,
  Type.TimestampTz,
  Type.Interval,
  Type.Uuid,
  Type.Oid,
  Type.Inet,
];

function spoken(type: ColumnType): Overload[] {
  const volatility = type.family === 'timestamptz' || type.family === 'oid' ? 'stable' : 'immutable';
  const text = textFunction(type);
  return [
    {
      name: '||',
      params: [Text, type],
      returns: Text,
      volatility,
      fn: (ctx, a, b) => ((a as string) + text(b as Datum, ctx)) as ByteString,
    },
    {
      name: '||',
      params: [type, Text],
      returns: Text,
      volatility,
      fn: (ctx, a, b) => (text(a as Datum, ctx) + (b as string)) as ByteString,
    },
  ];
}

export const textOperators: readonly Overload[] = [
  pure<[ByteString, ByteString]>('||', [Text, Text], Text, joinTwo, { preferred: true }),
  pure<[ByteString, ByteString]>('||', [Bytes, Bytes], Bytes, joinTwo),
  pure<[ByteString, ByteString]>('||', [VarBit, VarBit], VarBit, joinTwo),
  ...SPOKEN.flatMap(spoken),
  pattern('LIKE', like),
  pattern('LIKE ESCAPE', like, true),
  pattern('ILIKE', ilike),
  pattern('ILIKE ESCAPE', ilike, true),
  pattern('SIMILAR TO', similar),
  pattern('SIMILAR TO ESCAPE', similar, true),
  pattern('~', regex('s')),
  pattern('~*', regex('is')),
];
