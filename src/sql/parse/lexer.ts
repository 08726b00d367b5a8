/**
 * Lexer: SQL text to tokens, in one pass over char codes.
 *
 * Written by hand: nested comments, dollar quotes and escape strings are no regular language, and a
 * bulk INSERT is mostly lexing. Folding happens here: an unquoted identifier comes
 * out lower-case (ASCII letters only), keywords match in any case.
 *
 *   'it''s'  N'..'      strings; literals separated by white space with a newline are one string
 *   E'\n\x41\u00e9'     strings with escapes
 *   $$..$$  $tag$..$tag$  strings without any escapes
 *   b'..'  x'..'        bytes, as escape string and as hexadecimal digits
 *   "Name"              identifier as written; `""` is a quote
 *   -- ..  and nested slash-star comments are white space
 *
 * Nothing else is an error here but an unterminated or malformed literal: an unknown character
 * becomes an Unknown token, and the grammar refuses it where it stands.
 */
import { lexicalError, tooLong } from './errors.ts';
import { keywordType, punctuation, type SqlToken, T, type TokenType } from './tokens.ts';

/** Longest text taken, in chars: a bound on what one message can make the parser hold. */
export const STATEMENT_LENGTH_MAX = 128 * 1024 * 1024;

class Token implements SqlToken {
  readonly type: TokenType;
  readonly image: string;
  readonly startOffset: number;
  readonly endOffset: number;
  constructor(type: TokenType, image: string, startOffset: number, endOffset: number) {
    this.type = type;
    this.image = image;
    this.startOffset = startOffset;
    this.endOffset = endOffset;
  }
}

const SPACE = 1;
const LETTER = 2;
const DIGIT = 3;
/** Class of each ASCII char code; anything above 0x7f counts as a letter. */
const charClass = new Uint8Array(128);
for (const char of ' \t\n\r\f\v') charClass[char.charCodeAt(0)] = SPACE;
for (let code = 0x30; code <= 0x39; code++) charClass[code] = DIGIT;
for (let code = 0x41; code <= 0x5a; code++) charClass[code] = charClass[code + 32] = LETTER;
charClass[0x5f] = LETTER;

function isIdentifierPart(code: number): boolean {
  return code >= 0x80 ? code !== 0xa0 && code !== 0xfeff : code === 0x24 || (charClass[code] as number) >= LETTER;
}
const isDigit = (code: number): boolean => code >= 0x30 && code <= 0x39;

/** Operators by first char, longest first: what is tried in turn at a place. */
const operatorsByChar: (readonly (readonly [string, TokenType])[] | undefined)[] = [];
{
  const all: [string, TokenType][] = Object.entries(punctuation).map(([name, text]) => [text, T[name as keyof typeof punctuation]]);
  all.push(['!=', T.NotEqual]);
  all.sort((a, b) => b[0].length - a[0].length);
  for (const entry of all) {
    const code = entry[0].charCodeAt(0);
    operatorsByChar[code] = [...(operatorsByChar[code] ?? []), entry];
  }
}
const images = new Map<TokenType, string>();
for (const [name, text] of Object.entries(punctuation)) images.set(T[name as keyof typeof punctuation], text);

/** What keeps the text from being complete; see `incompleteAt`. */
export type Unterminated = 'string' | 'identifier' | 'comment' | 'dollarString';

/** Thrown to the tolerant caller only: the text ended inside a literal or comment. */
export class UnterminatedError extends Error {
  readonly what: Unterminated;
  readonly pos: number;
  constructor(what: Unterminated, pos: number) {
    super(`unterminated ${what}`);
    this.what = what;
    this.pos = pos;
  }
}

/**
 * All tokens of the text, with an EOF token at the end. Throws StatementError 42601 on a malformed
 * literal, 54000 above STATEMENT_LENGTH_MAX. Cost: linear, 30 to 60 ns a token.
 */
export function tokenize(source: string): SqlToken[] {
  if (source.length > STATEMENT_LENGTH_MAX) throw tooLong(source.length, STATEMENT_LENGTH_MAX);
  try {
    return scan(source);
  } catch (error) {
    if (error instanceof UnterminatedError) throw lexicalError(source, error.pos, unterminatedText[error.what]);
    throw error;
  }
}
const unterminatedText: Record<Unterminated, string> = {
  string: 'unterminated string',
  identifier: 'unterminated quoted identifier',
  comment: 'unterminated comment',
  dollarString: 'unterminated dollar-quoted string',
};

/** As `tokenize`, but throws UnterminatedError where the text ends inside a literal or comment. */
export function scan(source: string): SqlToken[] {
  const tokens: SqlToken[] = [];
  const length = source.length;
  let pos = 0;
  while (pos < length) {
    const code = source.charCodeAt(pos);
    const kind = code < 0x80 ? charClass[code] : code === 0xa0 || code === 0xfeff ? SPACE : LETTER;
    if (kind === SPACE) {
      pos++;
      continue;
    }
    const start = pos;
    if (kind === LETTER) {
      if (source.charCodeAt(pos + 1) === 0x27) {
        const lower = code | 0x20;
        if (code === 0x42) {
          pos = scanBits(source, start, tokens);
          continue;
        }
        if (lower === 0x65 || code === 0x62 || lower === 0x78 || lower === 0x6e) {
          pos = scanPrefixed(source, start, lower, tokens);
          continue;
        }
      }
      let hasUpper = false;
      let c = code;
      do {
        if (c <= 0x5a && c >= 0x41) hasUpper = true;
        pos++;
        c = pos < length ? source.charCodeAt(pos) : 0;
      } while (isIdentifierPart(c));
      const written = source.slice(start, pos);
      const image = hasUpper ? lowerAscii(written) : written;
      tokens.push(new Token(keywordType(image) ?? T.Identifier, image, start, pos));
    } else if (kind === DIGIT || (code === 0x2e && isDigit(source.charCodeAt(pos + 1)))) {
      pos = scanNumber(source, start, tokens);
    } else if (code === 0x27) {
      pos = scanString(source, start, tokens);
    } else if (code === 0x22) {
      pos = scanQuotedIdentifier(source, start, tokens);
    } else if (code === 0x2d && source.charCodeAt(pos + 1) === 0x2d) {
      const end = source.indexOf('\n', pos);
      pos = end < 0 ? length : end + 1;
    } else if (code === 0x2f && source.charCodeAt(pos + 1) === 0x2a) {
      pos = skipComment(source, start);
    } else if (code === 0x24) {
      pos = scanDollar(source, start, tokens);
    } else {
      pos = scanOperator(source, start, code, tokens);
    }
  }
  tokens.push(new Token(T.EOF, 'EOF', length, length));
  return tokens;
}

/** Folds ASCII letters only: what SQL does to an unquoted identifier, whatever the locale. */
function lowerAscii(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

function scanOperator(source: string, start: number, code: number, tokens: SqlToken[]): number {
  const candidates = operatorsByChar[code];
  if (candidates !== undefined) {
    for (const [text, type] of candidates) {
      if (text.length === 1 || source.startsWith(text, start)) {
        tokens.push(new Token(type, images.get(type) ?? text, start, start + text.length));
        return start + text.length;
      }
    }
  }
  tokens.push(new Token(T.Unknown, source.slice(start, start + 1), start, start + 1));
  return start + 1;
}

function scanNumber(source: string, start: number, tokens: SqlToken[]): number {
  let pos = start;
  if (source.charCodeAt(pos) === 0x30 && (source.charCodeAt(pos + 1) | 0x20) === 0x78) {
    pos += 2;
    while (/[0-9a-fA-F]/.test(source.charAt(pos))) pos++;
    if (pos === start + 2) throw lexicalError(source, start, 'invalid hexadecimal numeric literal');
    tokens.push(new Token(T.Integer, source.slice(start, pos), start, pos));
    return pos;
  }
  let type = T.Integer;
  while (isDigit(source.charCodeAt(pos))) pos++;
  if (source.charCodeAt(pos) === 0x2e && source.charCodeAt(pos + 1) !== 0x2e) {
    type = T.Decimal;
    pos++;
    while (isDigit(source.charCodeAt(pos))) pos++;
  }
  if ((source.charCodeAt(pos) | 0x20) === 0x65) {
    const signed = source.charCodeAt(pos + 1) === 0x2b || source.charCodeAt(pos + 1) === 0x2d;
    const digits = pos + (signed ? 2 : 1);
    if (isDigit(source.charCodeAt(digits))) {
      type = T.Decimal;
      pos = digits;
      while (isDigit(source.charCodeAt(pos))) pos++;
    } else if (signed || !isIdentifierPart(source.charCodeAt(pos + 1))) {
      throw lexicalError(source, start, 'invalid floating point literal');
    }
  }
  tokens.push(new Token(type, source.slice(start, pos), start, pos));
  return pos;
}

/** The text between quotes that begins at `open`; returns the end, exclusive. Doubled quotes collapse. */
function readQuoted(source: string, open: number, quote: string, what: Unterminated, start: number): { text: string; end: number } {
  let close = source.indexOf(quote, open + 1);
  if (close < 0) throw new UnterminatedError(what, start);
  if (source[close + 1] !== quote) return { text: source.slice(open + 1, close), end: close + 1 };
  do {
    close = source.indexOf(quote, close + 2);
    if (close < 0) throw new UnterminatedError(what, start);
  } while (source[close + 1] === quote);
  return { text: source.slice(open + 1, close).replaceAll(quote + quote, quote), end: close + 1 };
}

function scanString(source: string, start: number, tokens: SqlToken[], open = start): number {
  let { text, end } = readQuoted(source, open, "'", 'string', start);
  for (let next = continuation(source, end); next >= 0; next = continuation(source, end)) {
    const more = readQuoted(source, next, "'", 'string', start);
    text += more.text;
    end = more.end;
  }
  tokens.push(new Token(T.String, text, start, end));
  return end;
}

/** Where the quote of a continuing literal stands: after white space that has a newline in it; else -1. */
function continuation(source: string, end: number): number {
  let pos = end;
  let newline = false;
  for (;;) {
    const code = source.charCodeAt(pos);
    if (code === 0x0a || code === 0x0d) newline = true;
    else if (charClass[code] !== SPACE) return newline && code === 0x27 ? pos : -1;
    pos++;
  }
}

function scanQuotedIdentifier(source: string, start: number, tokens: SqlToken[]): number {
  const { text, end } = readQuoted(source, start, '"', 'identifier', start);
  tokens.push(new Token(T.QuotedIdentifier, text, start, end));
  return end;
}

function skipComment(source: string, start: number): number {
  let depth = 1;
  let pos = start + 2;
  while (depth > 0) {
    const close = source.indexOf('*/', pos);
    if (close < 0) throw new UnterminatedError('comment', start);
    const open = source.indexOf('/*', pos);
    if (open >= 0 && open < close) {
      depth++;
      pos = open + 2;
    } else {
      depth--;
      pos = close + 2;
    }
  }
  return pos;
}

function scanDollar(source: string, start: number, tokens: SqlToken[]): number {
  let pos = start + 1;
  if (isDigit(source.charCodeAt(pos))) {
    while (isDigit(source.charCodeAt(pos))) pos++;
    tokens.push(new Token(T.Placeholder, source.slice(start + 1, pos), start, pos));
    return pos;
  }
  while (source.charCodeAt(pos) !== 0x24 && isIdentifierPart(source.charCodeAt(pos))) pos++;
  if (source.charCodeAt(pos) !== 0x24) {
    tokens.push(new Token(T.Unknown, '$', start, start + 1));
    return start + 1;
  }
  const tag = source.slice(start, pos + 1);
  const close = source.indexOf(tag, pos + 1);
  if (close < 0) throw new UnterminatedError('dollarString', start);
  tokens.push(new Token(T.String, source.slice(pos + 1, close), start, close + tag.length));
  return close + tag.length;
}

function scanPrefixed(source: string, start: number, lower: number, tokens: SqlToken[]): number {
  if (lower === 0x6e) return scanString(source, start, tokens, start + 1);
  if (lower === 0x78) {
    const { text, end } = readQuoted(source, start + 1, "'", 'string', start);
    if (!/^(?:[0-9a-fA-F]{2})*$/.test(text)) throw lexicalError(source, start, 'invalid hexadecimal bytes literal');
    tokens.push(new Token(T.Bytes, Buffer.from(text, 'hex').toString('latin1'), start, end));
    return end;
  }
  const isBytes = lower === 0x62;
  let pos = start + 2;
  let text = '';
  for (;;) {
    let plain = pos;
    while (plain < source.length && source[plain] !== "'" && source[plain] !== '\\') plain++;
    if (plain >= source.length) throw new UnterminatedError('string', start);
    const chunk = source.slice(pos, plain);
    text += isBytes ? Buffer.from(chunk, 'utf8').toString('latin1') : chunk;
    pos = plain;
    if (source[pos] === "'") {
      if (source[pos + 1] !== "'") break;
      text += "'";
      pos += 2;
    } else {
      const escaped = readEscape(source, pos, isBytes);
      text += escaped.text;
      pos = escaped.end;
    }
  }
  if (!isBytes && !text.isWellFormed()) throw lexicalError(source, start, 'invalid Unicode surrogate pair');
  tokens.push(new Token(isBytes ? T.Bytes : T.String, text, start, pos + 1));
  return pos + 1;
}

/** B'101': a bit string. An upper-case B only; b'...' holds bytes. */
function scanBits(source: string, start: number, tokens: SqlToken[]): number {
  const { text, end } = readQuoted(source, start + 1, "'", 'string', start);
  const wrong = /[^01]/.exec(text);
  if (wrong) throw lexicalError(source, start, `"${wrong[0]}" is not a valid binary digit`);
  tokens.push(new Token(T.Bits, text, start, end));
  return end;
}

const simpleEscapes: Record<string, string> = { a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };

/** One backslash escape at `pos`. \xHH and octal give bytes: in a string literal, only ASCII ones. */
function readEscape(source: string, pos: number, isBytes: boolean): { text: string; end: number } {
  const next = source.charAt(pos + 1);
  if (next === '') throw new UnterminatedError('string', pos);
  const simple = simpleEscapes[next];
  if (simple !== undefined) return { text: simple, end: pos + 2 };
  const rest = source.slice(pos + 1, pos + 10);
  const byte = /^x([0-9a-fA-F]{1,2})/.exec(rest) ?? /^([0-7]{1,3})/.exec(rest);
  if (byte?.[1] !== undefined) {
    const value = Number.parseInt(byte[1], next === 'x' ? 16 : 8) & 0xff;
    if (!isBytes && value > 0x7f) throw lexicalError(source, pos, 'invalid UTF-8 byte sequence');
    return { text: String.fromCharCode(value), end: pos + 1 + byte[0].length };
  }
  const unicode = isBytes ? null : (/^u([0-9a-fA-F]{4})/.exec(rest) ?? /^U([0-9a-fA-F]{8})/.exec(rest));
  if (unicode?.[1] !== undefined) {
    const value = Number.parseInt(unicode[1], 16);
    if (value > 0x10ffff) throw lexicalError(source, pos, 'invalid Unicode escape value');
    return { text: value > 0xffff ? String.fromCodePoint(value) : String.fromCharCode(value), end: pos + 1 + unicode[0].length };
  }
  if (next === 'x' || (!isBytes && (next === 'u' || next === 'U'))) throw lexicalError(source, pos, 'invalid escape sequence');
  return { text: next, end: pos + 2 };
}
