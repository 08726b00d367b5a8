/**
 * Logic scripts: SQL with what it must give, in the form of CockroachDB's `logic_test` files.
 *
 *   statement ok                            runs without an error
 *   statement count 3                       rows affected
 *   statement error pgcode 23505 duplicate  an error whose `message` matches; the code, the pattern or both
 *   statement notice NOTICE: nothing        a notice that matches
 *   query ITR rowsort,colnames label-1      rows: a type letter a column, how to compare, a label
 *   query error pgcode 42703 nope           as for a statement
 *   query T noticetrace                     the notices are the rows
 *   let $name                               one value, put in the place of $name from there on
 *   user NAME                               who runs what follows, each user in a session of their own
 *   subtest NAME                            a heading for the names of tests
 *   onlyif cockroachdb | wire | library     the next directive runs there only; `skipif` is its opposite
 *
 * SQL stands on the lines after the directive, up to an empty line or `----`; after `----` come the
 * rows, up to an empty line. Type letters: T text and everything else, I integers, F floats, R
 * decimals, B booleans, O oids, `_` any. A row is compared word by word, whatever the white space
 * between them; NULL stands for no value and `·` for an empty text. `N values hashing to MD5` stands
 * for rows too many to write.
 *
 * Options: nosort (the default), rowsort, valuesort, partialsort(1,2) for rows ordered by those
 * columns only; colnames (the names come first); retry (runs again until it holds, within bounds).
 * Queries with the same label must give the same rows.
 *
 * There is no `sleep`: what has to wait says `retry`, or waits in a statement.
 *
 * Lives elsewhere: running (logicRun.ts), the scripts (test/logic/).
 * Source: CockroachDB's documentation of its logic tests (the format).
 */

/** Where a script runs. */
export type LogicPlace = 'library' | 'wire';

export type SortMode = 'nosort' | 'rowsort' | 'valuesort' | { readonly partial: readonly number[] };

export interface ErrorExpectation {
  readonly code: string | undefined;
  readonly pattern: string;
}

interface DirectiveBase {
  readonly line: number;
  /** The heading it stands under. */
  readonly subtest: string | undefined;
  /** Names of places and databases: it runs when all of `onlyIf` and none of `skipIf` are met. */
  readonly onlyIf: readonly string[];
  readonly skipIf: readonly string[];
}

export interface StatementDirective extends DirectiveBase {
  readonly type: 'statement';
  readonly sql: string;
  readonly error: ErrorExpectation | undefined;
  readonly notice: string | undefined;
  readonly count: number | undefined;
  readonly retry: boolean;
}

export interface QueryDirective extends DirectiveBase {
  readonly type: 'query';
  readonly sql: string;
  readonly types: string;
  readonly sort: SortMode;
  readonly colnames: boolean;
  readonly retry: boolean;
  readonly noticetrace: boolean;
  readonly label: string | undefined;
  /** Lines after `----`; undefined without one: the query must run, whatever it gives. */
  readonly expected: readonly string[] | undefined;
  /** Where they stand in the file: the first line's index, and one beyond the last. */
  readonly expectedAt: readonly [number, number];
}

export interface LetDirective extends DirectiveBase {
  readonly type: 'let';
  readonly name: string;
  readonly sql: string;
}

export interface UserDirective extends DirectiveBase {
  readonly type: 'user';
  readonly name: string;
}

export type LogicDirective = StatementDirective | QueryDirective | LetDirective | UserDirective;

const CONDITIONS: ReadonlySet<string> = new Set(['cockroachdb', 'postgresql', 'wire', 'library']);

function parseError(words: string, where: string): ErrorExpectation {
  const found = /^(?:pgcode\s+([0-9A-Z]{5})\b\s*)?(.*)$/s.exec(words.trim());
  const [, code, pattern = ''] = found ?? [];
  if (code === undefined && pattern === '') throw new Error(`${where}: an expected error needs a code or a pattern`);
  new RegExp(pattern);
  return { code, pattern };
}

function parseSort(option: string): SortMode | undefined {
  if (option === 'nosort' || option === 'rowsort' || option === 'valuesort') return option;
  const columns = /^partialsort\(([\d,]+)\)$/.exec(option)?.[1];
  return columns === undefined ? undefined : { partial: columns.split(',').map((column) => Number(column) - 1) };
}

/** Splits at commas outside parentheses: `partialsort(1,2),colnames`. */
const splitOptions = (text: string): string[] => text.match(/[^,(]+(?:\([^)]*\))?/g) ?? [];

/** Reads a script. Throws an Error that starts with `file:line` when it is malformed. */
export function parseLogicScript(text: string, file: string): LogicDirective[] {
  const lines = text.split('\n');
  const directives: LogicDirective[] = [];
  let subtest: string | undefined;
  let onlyIf: string[] = [];
  let skipIf: string[] = [];
  let at = 0;

  /** The lines of SQL from `at` on; stops at an empty line or `----`. */
  const readSql = (where: string): string => {
    const start = at;
    while (at < lines.length && lines[at]?.trim() !== '' && lines[at] !== '----') at++;
    const sql = lines.slice(start, at).join('\n').trim();
    if (sql === '') throw new Error(`${where}: no SQL after the directive`);
    return sql;
  };

  while (at < lines.length) {
    const written = (lines[at] ?? '').trim();
    const line = ++at;
    if (written === '' || written.startsWith('#')) continue;
    const where = `${file}:${line}`;
    const [command = '', first = ''] = written.split(/\s+/);
    const rest = written.slice(command.length).trim();
    const base = { line, subtest, onlyIf, skipIf };
    switch (command) {
      case 'subtest':
        subtest = rest === 'end' ? undefined : rest;
        continue;
      case 'onlyif':
      case 'skipif':
        if (!CONDITIONS.has(rest)) throw new Error(`${where}: unknown condition "${rest}"`);
        if (command === 'onlyif') onlyIf.push(rest);
        else skipIf.push(rest);
        continue;
      case 'user':
        if (!/^\w+$/.test(rest)) throw new Error(`${where}: a user's name is one word`);
        directives.push({ ...base, type: 'user', name: rest });
        break;
      case 'let':
        if (!/^\$\w+$/.test(rest)) throw new Error(`${where}: a variable is written $name`);
        directives.push({ ...base, type: 'let', name: rest, sql: readSql(where) });
        break;
      case 'statement': {
        const retry = first === 'retry';
        const what = retry ? (rest.slice('retry'.length).trim().split(/\s+/)[0] ?? '') : first;
        const words = rest.slice(rest.indexOf(what) + what.length).trim();
        if (!['ok', 'error', 'notice', 'count'].includes(what)) throw new Error(`${where}: unknown kind of statement "${what}"`);
        if (what === 'count' && !/^\d+$/.test(words)) throw new Error(`${where}: a count is a number`);
        directives.push({
          ...base,
          type: 'statement',
          error: what === 'error' ? parseError(words, where) : undefined,
          notice: what === 'notice' ? words : undefined,
          count: what === 'count' ? Number(words) : undefined,
          retry,
          sql: readSql(where),
        });
        break;
      }
      case 'query': {
        if (first === 'error') {
          const error = parseError(rest.slice('error'.length), where);
          directives.push({ ...base, type: 'statement', error, notice: undefined, count: undefined, retry: false, sql: readSql(where) });
          break;
        }
        const [types = '', options = '', label] = rest.split(/\s+/);
        if (!/^[TIFRBO_]+$/.test(types)) throw new Error(`${where}: unknown types "${types}"`);
        let sort: SortMode = 'nosort';
        const flags = new Set<string>();
        for (const option of splitOptions(options)) {
          const asSort = parseSort(option);
          if (asSort !== undefined) sort = asSort;
          else if (['colnames', 'retry', 'noticetrace'].includes(option)) flags.add(option);
          else throw new Error(`${where}: unknown option "${option}"`);
        }
        const sql = readSql(where);
        let expected: string[] | undefined;
        let expectedAt: [number, number] = [at, at];
        if (lines[at] === '----') {
          const start = ++at;
          while (at < lines.length && lines[at]?.trim() !== '') at++;
          expected = lines.slice(start, at);
          expectedAt = [start, at];
        }
        directives.push({
          ...base,
          type: 'query',
          sql,
          types,
          sort,
          colnames: flags.has('colnames'),
          retry: flags.has('retry'),
          noticetrace: flags.has('noticetrace'),
          label,
          expected,
          expectedAt,
        });
        break;
      }
      case 'sleep':
        throw new Error(`${where}: scripts never sleep; say retry, or wait in a statement`);
      default:
        throw new Error(`${where}: unknown directive "${command}"`);
    }
    onlyIf = [];
    skipIf = [];
  }
  if (directives.length === 0) throw new Error(`${file}:1: no directive in this file`);
  if (onlyIf.length + skipIf.length > 0) throw new Error(`${file}:${lines.length}: a condition without a directive after it`);
  return directives;
}
