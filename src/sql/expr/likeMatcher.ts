/**
 * LIKE without backtracking beyond the last %: a pattern is cut at its % into pieces, and each piece
 * is looked for once, left to right. The first piece is anchored at the start, the last one at the
 * end; taking the leftmost place for every piece between is never wrong.
 *
 * Matching runs over characters. All-ASCII text is its own list of characters; other text is turned
 * into code points, so that _ stands for one character and not one byte. Cost: text length times
 * the longest piece at worst (only with _ in it; plain pieces use indexOf).
 */
import { type Bytes, utf8Decode, utf8Encode } from '../../base/bytes.ts';
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';

/** Stands for any one character inside a piece: outside Unicode. */
const ANY = -1;

/** One character of a piece: a code point, or ANY. */
type Piece = readonly number[];

export interface LikePattern {
  readonly pieces: readonly Piece[];
  /** No %: the one piece is the whole text. */
  readonly isExact: boolean;
  readonly foldsCase: boolean;
}

/**
 * Cuts a pattern. `escapeChar` is one character, or empty for none. Throws 22025 when the pattern ends in
 * its escape character, or `escapeChar` is longer than a character.
 */
export function parseLikePattern(pattern: string, escapeChar = '\\', foldsCase = false): LikePattern {
  const escapes = [...escapeChar];
  if (escapes.length > 1)
    throw new StatementError(SqlState.InvalidEscapeSequence, 'invalid escape string', {
      detail: 'escape string must be empty or one character',
    });
  const pieces: number[][] = [[]];
  const chars = [...(foldsCase ? pattern.toLowerCase() : pattern)];
  for (let i = 0; i < chars.length; i++) {
    const char = chars[i] as string;
    const piece = pieces[pieces.length - 1] as number[];
    if (char === escapes[0]) {
      const next = chars[++i];
      if (next === undefined) throw new StatementError(SqlState.InvalidEscapeSequence, 'LIKE pattern must not end with escape character');
      piece.push(next.codePointAt(0) as number);
    } else if (char === '%') {
      pieces.push([]);
    } else {
      piece.push(char === '_' ? ANY : (char.codePointAt(0) as number));
    }
  }
  return { pieces, isExact: pieces.length === 1, foldsCase };
}

/** A matcher over UTF-8 text. */
export function likeMatcher(pattern: LikePattern): (text: Bytes) => boolean {
  const { pieces, foldsCase } = pattern;
  const plain = foldsCase ? undefined : plainPieces(pieces);
  if (plain) return plainMatcher(plain);
  return (bytes) => {
    const text = utf8Decode(bytes);
    const points = Array.from(foldsCase ? text.toLowerCase() : text, (char) => char.codePointAt(0) as number);
    return matchPieces(points, pieces);
  };
}

/** The pieces as UTF-8 bytes when none has a _ in it: then bytes can be searched as they are. */
function plainPieces(pieces: readonly Piece[]): string[] | undefined {
  if (pieces.some((piece) => piece.includes(ANY))) return undefined;
  return pieces.map((piece) => utf8Encode(String.fromCodePoint(...piece)));
}

function plainMatcher(pieces: readonly string[]): (text: Bytes) => boolean {
  const first = pieces[0] ?? '';
  if (pieces.length === 1) return (text) => text === first;
  const last = pieces.at(-1) ?? '';
  const middle = pieces.slice(1, -1).filter((piece) => piece !== '');
  return (text) => {
    if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false;
    let at = first.length;
    const end = text.length - last.length;
    for (const piece of middle) {
      const found = text.indexOf(piece, at);
      if (found < 0) return false;
      at = found + piece.length;
    }
    return at <= end;
  };
}

function matchPieces(text: readonly number[], pieces: readonly Piece[]): boolean {
  const first = pieces[0] as Piece;
  if (pieces.length === 1) return text.length === first.length && matchesAt(text, first, 0);
  const last = pieces.at(-1) as Piece;
  const end = text.length - last.length;
  if (end < first.length || !matchesAt(text, first, 0) || !matchesAt(text, last, end)) return false;
  let at = first.length;
  for (const piece of pieces.slice(1, -1)) {
    while (at + piece.length <= end && !matchesAt(text, piece, at)) at++;
    at += piece.length;
    if (at > end) return false;
  }
  return true;
}

function matchesAt(text: readonly number[], piece: Piece, at: number): boolean {
  for (let i = 0; i < piece.length; i++) {
    if (piece[i] !== ANY && piece[i] !== text[at + i]) return false;
  }
  return true;
}
