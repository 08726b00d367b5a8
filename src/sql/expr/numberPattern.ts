/**
 * to_char and to_number for numbers: PostgreSQL's number patterns.
 *
 *   9 0 . D , G    digits, the point and the separator of groups (those of the C locale)
 *   S MI PL SG PR  signs; without any, a minus or a blank stands before the first digit
 *   FM             no blanks, and no zeros at the end that a 9 stands for
 *   V EEEE RN TH L shifted, scientific, Roman, ordinal, the currency sign (a blank in the C locale)
 *
 * What is quoted or means nothing stands for itself. Lives elsewhere: patterns of dates (toChar.ts).
 * Source: PostgreSQL's manual, "Data Type Formatting Functions".
 */
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { Decimal } from '../../catalog/datum.ts';

interface Pattern {
  readonly parts: readonly string[];
  readonly trims: boolean;
  /** Digits before the point (those behind V too), and after it. */
  readonly whole: number;
  readonly fraction: number;
  /** Digits behind V. */
  readonly shift: number;
  /** Whether a sign is written out; otherwise it stands before the number. */
  readonly has: (part: string) => boolean;
}

const PARTS = /"(?:[^"\\]|\\.)*"|FM|SG|MI|PL|PR|RN|TH|EEEE|[90.,DGSLV]|[\s\S]/gi;
const MEANINGS = new Set(['9', '0', '.', ',', 'D', 'G', 'S', 'SG', 'MI', 'PL', 'PR', 'RN', 'TH', 'EEEE', 'L', 'V', 'FM']);

function readPattern(text: string): Pattern {
  const parts = (text.match(PARTS) ?? []).map((part) => (part === 'th' || part === 'rn' ? part : known(part)));
  const points = parts.filter((part) => part === '.');
  if (points.length > 1) throw new StatementError(SqlState.SyntaxError, 'multiple decimal points');
  const isDigit = (part: string): boolean => part === '9' || part === '0';
  const point = parts.indexOf('.');
  const shiftAt = parts.indexOf('V');
  if (shiftAt >= 0 && point >= 0) throw new StatementError(SqlState.SyntaxError, 'cannot use "V" and decimal point together');
  const set = new Set(parts);
  return {
    parts,
    trims: set.has('FM'),
    whole: parts.slice(0, point < 0 ? parts.length : point).filter(isDigit).length,
    fraction: point < 0 ? 0 : parts.slice(point).filter(isDigit).length,
    shift: shiftAt < 0 ? 0 : parts.slice(shiftAt).filter(isDigit).length,
    has: (part) => set.has(part),
  };
}

/** A part in capitals where it means something; text as it is, quoted text with its quote. */
function known(part: string): string {
  const upper = part.toUpperCase();
  if (!MEANINGS.has(upper)) return part.startsWith('"') ? part : `"${part}"`;
  return upper === 'D' ? '.' : upper === 'G' ? ',' : upper;
}

const literal = (part: string): string => part.slice(1, part.length > 1 && part.endsWith('"') ? -1 : undefined).replace(/\\(.)/gs, '$1');

const ROMAN: readonly (readonly [number, string])[] = [
  [1000, 'M'], [900, 'CM'], [500, 'D'], [400, 'CD'], [100, 'C'], [90, 'XC'], [50, 'L'], [40, 'XL'], [10, 'X'], [9, 'IX'], [5, 'V'], [4, 'IV'], [1, 'I'],
]; // biome-ignore format: a table

function roman(value: number): string {
  if (!(value >= 1 && value <= 3999)) return '#'.repeat(15);
  let rest = value;
  let out = '';
  for (const [size, letters] of ROMAN) {
    while (rest >= size) {
      out += letters;
      rest -= size;
    }
  }
  return out;
}

/** `st`, `nd`, `rd` or `th`, by the last two digits. */
export function ordinal(digits: string): string {
  const last = Number(digits.slice(-2));
  if (last >= 11 && last <= 13) return 'th';
  return last % 10 === 1 ? 'st' : last % 10 === 2 ? 'nd' : last % 10 === 3 ? 'rd' : 'th';
}

/** The number by a pattern. 42601 for a pattern that contradicts itself. */
export function numberToChar(value: Decimal, text: string): string {
  const pattern = readPattern(text);
  const { parts, trims } = pattern;
  if (parts.includes('RN') || parts.includes('rn')) {
    const letters = value.isFinite ? roman(value.withScale(0).toNumber()) : '#'.repeat(15);
    const shown = parts.includes('rn') ? letters.toLowerCase() : letters;
    return trims ? shown : shown.padStart(15);
  }
  if (pattern.has('EEEE')) return scientific(value, pattern);
  const isNegative = value.sign < 0;
  const rounded = value.isFinite
    ? value
        .abs()
        .times(Decimal.fromInt(10n ** BigInt(pattern.shift)))
        .withScale(pattern.fraction)
    : value;
  const [integer = '', fraction = ''] = value.isFinite ? rounded.toFixed().split('.') : [];
  const overflows = !value.isFinite || integer.length > pattern.whole + (integer === '0' ? 1 : 0);
  const digits = integer === '0' && pattern.fraction > 0 ? '' : integer;
  return written(
    pattern,
    overflows ? '#'.repeat(pattern.whole) : digits,
    overflows ? '#'.repeat(pattern.fraction) : fraction,
    isNegative && !(rounded.isZero && value.isFinite),
  );
}

function scientific(value: Decimal, { fraction, trims, has }: Pattern): string {
  const text = value.isFinite
    ? value
        .toNumber()
        .toExponential(fraction)
        .replace(/e([+-])(\d)$/, 'e$10$2')
    : '#';
  const sign = text.startsWith('-') ? '' : has('S') || has('SG') ? '+' : trims ? '' : ' ';
  return sign + text;
}

/** The digits in their places, from left to right; what stands before the first of them is blank. */
function written({ parts, trims, whole, has }: Pattern, integer: string, fraction: string, isNegative: boolean): string {
  const blank = trims ? '' : ' ';
  const leadsWithSign = has('S') && parts.indexOf('S') < parts.findIndex((part) => part === '9' || part === '0' || part === '.');
  // The sign before the first digit: of S in front, of PR, or the one that nobody asked for.
  const anchored = leadsWithSign
    ? isNegative
      ? '-'
      : '+'
    : has('S') || has('MI') || has('SG')
      ? ''
      : has('PR')
        ? isNegative
          ? '<'
          : blank
        : isNegative
          ? '-'
          : blank;
  const lastZero = parts.lastIndexOf('0');
  const kept = trims ? fraction.replace(/0+$/, '').length : fraction.length;
  let out = '';
  let place = 0;
  let isStarted = false;
  let isFraction = false;
  let zeros = false;
  const start = (): void => {
    if (!isStarted) out += anchored;
    isStarted = true;
  };
  parts.forEach((part, at) => {
    switch (part) {
      case '9':
      case '0': {
        if (isFraction) {
          const digit = fraction[place++] ?? '';
          if (place <= kept || at <= lastZero) out += digit;
          return;
        }
        zeros ||= part === '0';
        const index = place++ - (whole - integer.length);
        if (index < 0 && !zeros) {
          out += blank;
          return;
        }
        start();
        out += index < 0 ? '0' : (integer[index] ?? '');
        return;
      }
      case '.':
        start();
        out += '.';
        isFraction = true;
        place = 0;
        return;
      case ',':
        out += isStarted ? ',' : blank;
        return;
      case 'S':
        if (!leadsWithSign) out += isNegative ? '-' : '+';
        return;
      case 'SG':
        out += isNegative ? '-' : '+';
        return;
      case 'MI':
        out += isNegative ? '-' : blank;
        return;
      case 'PL':
        out += isNegative ? blank : '+';
        return;
      case 'PR':
        out += isNegative ? '>' : blank;
        return;
      case 'L':
        out += blank;
        return;
      case 'TH':
      case 'th':
        if (!isNegative && !isFraction) out += part === 'TH' ? ordinal(integer).toUpperCase() : ordinal(integer);
        return;
      case 'FM':
      case 'V':
        return;
      default:
        out += literal(part);
    }
  });
  return out;
}

/** The number that a text shows by a pattern. 22P02 when there is none in it. */
export function toNumber(source: string, text: string): Decimal {
  const { parts, shift } = readPattern(text);
  let at = 0;
  let digits = '';
  let isNegative = false;
  const skipBlanks = (): void => {
    while (source[at] === ' ') at++;
  };
  const sign = (): void => {
    if (source[at] === '-' || source[at] === '<') isNegative = true;
    if (/[-+<>]/.test(source[at] ?? '')) at++;
  };
  for (const part of parts) {
    switch (part) {
      case '9':
      case '0':
        skipBlanks();
        if (digits === '') sign();
        if (/\d/.test(source[at] ?? '')) digits += source[at++];
        break;
      case '.':
        if (source[at] === '.') {
          digits += '.';
          at++;
        }
        break;
      case ',':
        if (source[at] === ',') at++;
        break;
      case 'S':
      case 'SG':
      case 'MI':
      case 'PL':
      case 'PR':
        skipBlanks();
        sign();
        break;
      case 'L':
        if (source[at] !== undefined && !/[\d+-.]/.test(source[at] as string)) at++;
        break;
      case 'TH':
      case 'th':
        at += 2;
        break;
      case 'FM':
      case 'V':
        break;
      case 'EEEE':
      case 'RN':
      case 'rn':
        throw new StatementError(SqlState.FeatureNotSupported, `"${part}" is not supported for input`);
      default:
        at += literal(part).length;
    }
  }
  sign();
  const value = Decimal.parse(digits.replace(/^\./, '0.'));
  if (!value) throw new StatementError(SqlState.InvalidTextRepresentation, `invalid input syntax for type numeric: "${source}"`);
  const shifted = shift > 0 ? value.dividedBy(Decimal.fromInt(10n ** BigInt(shift))) : value;
  return isNegative ? shifted.negated() : shifted;
}
