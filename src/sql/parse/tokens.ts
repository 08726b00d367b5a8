/**
 * The token types: one for every keyword and operator, and one for each kind of literal. `T.SELECT`,
 * `T.LParen` and so on are what the lexer makes and the grammar names.
 */
import {
  columnNameKeywords,
  functionNameKeywords,
  type Keyword,
  type KeywordClass,
  labelNeedsAs,
  reservedKeywords,
  unreservedKeywords,
} from './keywords.ts';

/** Operators and punctuation by their names. */
export const punctuation = {
  LParen: '(',
  RParen: ')',
  LBracket: '[',
  RBracket: ']',
  LBrace: '{',
  RBrace: '}',
  Comma: ',',
  Semicolon: ';',
  Dot: '.',
  Colon: ':',
  DoubleColon: '::',
  TripleColon: ':::',
  Plus: '+',
  Minus: '-',
  Star: '*',
  Slash: '/',
  FloorDiv: '//',
  Percent: '%',
  Caret: '^',
  Less: '<',
  Greater: '>',
  Equal: '=',
  LessEqual: '<=',
  GreaterEqual: '>=',
  NotEqual: '<>',
  Tilde: '~',
  TildeStar: '~*',
  NotTilde: '!~',
  NotTildeStar: '!~*',
  LikeOp: '~~',
  ILikeOp: '~~*',
  NotLikeOp: '!~~',
  NotILikeOp: '!~~*',
  Concat: '||',
  Pipe: '|',
  SquareRoot: '|/',
  CubeRoot: '||/',
  Hash: '#',
  Amp: '&',
  AmpAmp: '&&',
  ShiftLeft: '<<',
  ShiftRight: '>>',
  Arrow: '->',
  ArrowText: '->>',
  HashArrow: '#>',
  HashArrowText: '#>>',
  HashMinus: '#-',
  Contains: '@>',
  ContainedBy: '<@',
  Question: '?',
  QuestionPipe: '?|',
  QuestionAmp: '?&',
  At: '@',
} as const;

type PunctuationName = keyof typeof punctuation;
const otherNames = [
  'Identifier',
  'QuotedIdentifier',
  'String',
  'Bytes',
  'Bits',
  'Integer',
  'Decimal',
  'Placeholder',
  'Unknown',
  'EOF',
] as const;

/** A kind of token. Compare by identity, or by `index` in tables. */
export interface TokenType {
  /** The keyword, or the name in `punctuation`. */
  readonly name: string;
  /** How a person writes it: `<=`, `SELECT`; for literals the kind's name. */
  readonly label: string;
  readonly index: number;
}

/** How free each token type is to be a name: by index; undefined for what is not a word. */
const classByType: (KeywordClass | undefined)[] = [];
const needsAsByType: boolean[] = [];

const types: Record<string, TokenType> = {};
const keywordTypes = new Map<string, TokenType>();
/** All types, by their index. */
export const tokenTypes: TokenType[] = [];

function addType(name: string, label: string): TokenType {
  const type: TokenType = { name, label, index: tokenTypes.length };
  tokenTypes.push(type);
  types[name] = type;
  return type;
}

function addKeywords(list: readonly string[], keywordClass: KeywordClass): void {
  for (const word of list) {
    const type = addType(word, word);
    keywordTypes.set(word.toLowerCase(), type);
    classByType[type.index] = keywordClass;
  }
}
addKeywords(reservedKeywords, 'reserved');
addKeywords(functionNameKeywords, 'functionName');
addKeywords(columnNameKeywords, 'columnName');
addKeywords(unreservedKeywords, 'unreserved');
for (const [name, label] of Object.entries(punctuation)) addType(name, label);
for (const name of otherNames) addType(name, name);

/** Every token type by name. */
export const T = types as Record<Keyword | PunctuationName | (typeof otherNames)[number], TokenType>;

classByType[T.Identifier.index] = 'unreserved';
classByType[T.QuotedIdentifier.index] = 'unreserved';
for (const word of labelNeedsAs) needsAsByType[T[word].index] = true;

/** The keyword's type, by its lower-case text; undefined for a plain identifier. */
export function keywordType(lowerCase: string): TokenType | undefined {
  return keywordTypes.get(lowerCase);
}

/** How free a token is to be a name; undefined when it is not a word at all. */
export function nameClass(token: SqlToken): KeywordClass | undefined {
  return classByType[token.type.index];
}

/** True for a word that can be a column label without AS. */
export function isBareLabel(token: SqlToken): boolean {
  return classByType[token.type.index] !== undefined && needsAsByType[token.type.index] !== true;
}

/**
 * A token. `image` is its value: the folded identifier, the decoded string (bytes as latin1), the
 * number's text, the operator. The text as written is source.slice(startOffset, endOffset).
 */
export interface SqlToken {
  readonly type: TokenType;
  readonly image: string;
  readonly startOffset: number;
  /** Exclusive. */
  readonly endOffset: number;
}
