/**
 * Completion: which words may come next, from the grammar and the catalog.
 *
 * The grammar is asked by trying: a keyword fits when the parser takes the text before the cursor
 * with that keyword at its end, or fails only behind it. A text takes some 20 us to parse, so all
 * keywords take some tens of milliseconds. Where any name would do, keywords that could only be names are left
 * out, and what the catalog holds is offered: tables after FROM, columns of the tables in sight in
 * expressions, and so on.
 */
import { isVarveError } from '../../base/errors.ts';
import { quoteName } from '../../catalog/names.ts';
import { allKeywords, firstWords, parseStatements, splitStatements, unreservedKeywords } from '../../sql/parse/parse.ts';

/** What the shell knows of the database it talks to. */
export interface CatalogNames {
  readonly databases: readonly string[];
  readonly schemas: readonly string[];
  /** By table name. */
  readonly tables: ReadonlyMap<string, readonly string[]>;
}

const UNRESERVED: ReadonlySet<string> = new Set(unreservedKeywords);
/** A word that is no keyword, and so fits only where a name does. */
const SOME_NAME = 'zz_name';
const TABLE_PLACE = /\b(from|join|into|update|table|truncate|references|columns from|index(es)? from|on)\s+$/i;
const DATABASE_PLACE = /\b(database|use|set\s+database\s*=)\s+$/i;
const SCHEMA_PLACE = /\bschema\s+$/i;

/** Words that the grammar knows by the two of them: `ORDER` alone is a mistake to it, `ORDER BY` is not. */
const SECOND_WORDS = ['BY', 'EXISTS', 'JOIN', 'KEY', 'NOT', 'TO'];

/** Does the grammar take a keyword after `before`? */
function fitsKeyword(before: string, keyword: string): boolean {
  return fits(before, keyword) || SECOND_WORDS.some((second) => fits(before, `${keyword} ${second}`));
}

/** Does it take these words? */
function fits(before: string, word: string): boolean {
  const text = `${before}${word}`;
  try {
    parseStatements(text);
    return true;
  } catch (error) {
    if (!isVarveError(error)) return false;
    const position = error.location?.position;
    // Positions count from 1: the end of input lies behind the word.
    return position !== undefined && position > text.length;
  }
}

/** The beginning of the word at the end of a text, and the text before it. */
function wordAtEnd(text: string): { before: string; word: string } {
  const word = /[\p{L}\p{N}_$"]*$/u.exec(text)?.[0] ?? '';
  return { before: text.slice(0, text.length - word.length), word };
}

/**
 * Completions of the text up to the cursor: whole words that may stand where its last word begins,
 * and that word. Keywords come in capitals unless the user began in lower case.
 */
export function completions(text: string, catalog: CatalogNames): { words: string[]; word: string } {
  const { before, word } = wordAtEnd(text);
  const current = currentStatement(before);
  if (current === undefined) return { words: [], word };
  const isLower = word !== '' && word === word.toLowerCase();
  const found = new Set<string>();
  const offer = (candidate: string): void => {
    if (candidate.toLowerCase().startsWith(word.toLowerCase().replace(/^"/, ''))) found.add(candidate);
  };
  if (current.trim() === '') {
    for (const first of firstWords) offer(isLower ? first.toLowerCase() : first);
    return { words: [...found].sort(), word };
  }
  const takesNames = fits(current, SOME_NAME);
  // Behind a dot stands a name, whatever else the word may mean.
  for (const keyword of current.endsWith('.') ? [] : allKeywords) {
    if (!keyword.toLowerCase().startsWith(word.toLowerCase()) || (takesNames && UNRESERVED.has(keyword))) continue;
    if (fitsKeyword(current, keyword)) offer(isLower ? keyword.toLowerCase() : keyword);
  }
  if (takesNames) for (const name of namesFor(current, catalog)) offer(quoteName(name));
  return { words: [...found].sort(), word };
}

/** The statement that the cursor stands in, up to it; undefined inside a literal or comment. */
function currentStatement(before: string): string | undefined {
  const { statements, rest } = splitStatements(before);
  if (rest !== '') return undefined;
  const last = statements.at(-1);
  return last && !last.terminated ? before.slice(last.start) : '';
}

function namesFor(current: string, catalog: CatalogNames): readonly string[] {
  if (DATABASE_PLACE.test(current)) return catalog.databases;
  if (SCHEMA_PLACE.test(current)) return catalog.schemas;
  const tables = [...catalog.tables.keys()];
  if (TABLE_PLACE.test(current)) return [...tables, ...catalog.schemas];
  const qualifier = /([\p{L}\p{N}_]+)\.$/u.exec(current)?.[1]?.toLowerCase();
  if (qualifier !== undefined) return catalog.schemas.includes(qualifier) ? tables : columnsOf(current, qualifier, catalog);
  const mentioned = tables.filter((table) => new RegExp(`\\b${table.replace(/[^\p{L}\p{N}_]/gu, '.')}\\b`, 'iu').test(current));
  // Before FROM is written, any table's columns may be meant.
  return (mentioned.length > 0 ? mentioned : tables).flatMap((table) => catalog.tables.get(table) ?? []);
}

/** Columns of a table, or of the table that an alias stands for. */
function columnsOf(current: string, qualifier: string, catalog: CatalogNames): readonly string[] {
  const columns = catalog.tables.get(qualifier);
  if (columns) return columns;
  const aliased = new RegExp(`([\\p{L}\\p{N}_]+)\\s+(?:as\\s+)?${qualifier}\\b`, 'iu').exec(current)?.[1]?.toLowerCase();
  return catalog.tables.get(aliased ?? '') ?? [];
}
