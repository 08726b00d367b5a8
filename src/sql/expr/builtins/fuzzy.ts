/** How alike words are, by spelling and by sound: PostgreSQL's fuzzystrmatch, as CockroachDB has it. */
import { type Bytes as ByteString, utf8Decode } from '../../../base/bytes.ts';
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import { Int8, pure, Text } from '../define.ts';
import type { Int } from '../intArithmetic.ts';
import type { Overload } from '../overload.ts';

const LENGTH_MAX = 255;

/** The cheapest way from one text to the other. 22023 beyond 255 characters. */
function levenshtein(from: string, to: string, insertCost = 1, deleteCost = 1, replaceCost = 1): number {
  const a = Array.from(from);
  const b = Array.from(to);
  if (a.length > LENGTH_MAX || b.length > LENGTH_MAX) {
    throw new StatementError(SqlState.InvalidParameterValue, `levenshtein argument exceeds maximum length of ${LENGTH_MAX} characters`);
  }
  let row = b.map((_, j) => (j + 1) * insertCost);
  row.unshift(0);
  for (const [i, char] of a.entries()) {
    const next = [(i + 1) * deleteCost];
    for (const [j, other] of b.entries()) {
      const replace = (row[j] as number) + (char === other ? 0 : replaceCost);
      next.push(Math.min((row[j + 1] as number) + deleteCost, (next[j] as number) + insertCost, replace));
    }
    row = next;
  }
  return row.at(-1) as number;
}

const CODES: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries({ BFPV: '1', CGJKQSXZ: '2', DT: '3', L: '4', MN: '5', R: '6' }).flatMap(([letters, code]) =>
    Array.from(letters, (letter) => [letter, code]),
  ),
);

/** A letter and three digits; empty for a text without letters. */
function soundex(source: string): string {
  const letters = source.toUpperCase().replace(/[^A-Z]/g, '');
  let out = letters.slice(0, 1);
  let last = CODES[out];
  for (const letter of letters.slice(1)) {
    const code = CODES[letter];
    if (code !== undefined && code !== last) out += code;
    // A vowel separates equal codes, H and W do not.
    if (letter !== 'H' && letter !== 'W') last = code;
    if (out.length === 4) break;
  }
  return out === '' ? '' : out.padEnd(4, '0');
}

const text = (bytes: ByteString): string => utf8Decode(bytes);

export const fuzzyFunctions: readonly Overload[] = [
  pure<[ByteString, ByteString]>('levenshtein', [Text, Text], Int8, (a, b) => levenshtein(text(a), text(b))),
  pure<[ByteString, ByteString, Int, Int, Int]>('levenshtein', [Text, Text, Int8, Int8, Int8], Int8, (a, b, insert, remove, replace) =>
    levenshtein(text(a), text(b), Number(insert), Number(remove), Number(replace)),
  ),
  pure<[ByteString]>('soundex', [Text], Text, (a) => soundex(text(a)) as ByteString),
  pure<[ByteString, ByteString]>('difference', [Text, Text], Int8, (a, b) => {
    const other = soundex(text(b));
    return Array.from(soundex(text(a))).filter((char, i) => char === other[i]).length;
  }),
];
