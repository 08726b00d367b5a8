/**
 * Runs logic scripts (logicScript.ts) against a database, wherever it is.
 *
 * `logicSuite` defines one uvu suite for a script, with a test for each directive. What it talks to
 * is a LogicTarget: a session of a user, over the library or over the wire. With REWRITE=1 the rows
 * that came are written into the script; its diff is read like code.
 *
 * Invariants
 *   L1  each script has a database of its own, `test`, with users root and testuser
 *   L2  a directive that cannot be run (an unknown option, a missing database) fails; nothing passes silently
 */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import {
  type ErrorExpectation,
  type LogicDirective,
  type LogicPlace,
  type QueryDirective,
  type SortMode,
  parseLogicScript,
  type StatementDirective,
} from './logicScript.ts';

export interface LogicError {
  readonly code: string;
  readonly message: string;
  readonly detail?: string;
  readonly hint?: string;
}

/** What a text of SQL gave: of its last statement with columns, else of its last. */
export interface LogicOutcome {
  readonly columns: readonly { readonly name: string; readonly oid: number }[];
  /** Text forms, as the wire's. */
  readonly rows: readonly (string | null)[][];
  readonly rowCount: number | undefined;
  /** `NOTICE: text`, then DETAIL and HINT on lines of their own. */
  readonly notices: readonly string[];
  readonly error: LogicError | undefined;
}

export interface LogicTarget {
  readonly place: LogicPlace;
  /** Runs a text in a user's session. Errors of SQL are part of the outcome. */
  run(user: string, sql: string): Promise<LogicOutcome>;
  close(): Promise<void>;
}

/** Runs of a directive that says `retry`; between two of them the event loop turns. */
const RETRIES_MAX = 500;

const INTEGER_OIDS: ReadonlySet<number> = new Set([20, 21, 23]);
const FLOAT_OIDS: ReadonlySet<number> = new Set([700, 701]);
const OID_OIDS: ReadonlySet<number> = new Set([26, 24, 2202, 2205, 2206, 4089, 4096]);
const BOOL_OID = 16;
const DECIMAL_OID = 1700;

/** The letter that stands for a type in `query ITR`. */
export function typeLetter(oid: number): string {
  if (INTEGER_OIDS.has(oid)) return 'I';
  if (FLOAT_OIDS.has(oid)) return 'F';
  if (OID_OIDS.has(oid)) return 'O';
  if (oid === BOOL_OID) return 'B';
  return oid === DECIMAL_OID ? 'R' : 'T';
}

const wordsOf = (text: string): string[] => text.split(/\s+/).filter((word) => word !== '');

function shown(value: string | null, oid: number): string {
  if (value === null) return 'NULL';
  if (value === '') return '·';
  if (oid !== BOOL_OID) return value;
  return value.startsWith('t') ? 'true' : 'false';
}

const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Rows of words in an order that does not depend on chance, each row as one text. */
export function sortedRows(rows: readonly (readonly string[])[], sort: SortMode): string[] {
  if (sort === 'valuesort')
    return rows
      .flat()
      .flatMap((value) => wordsOf(value))
      .sort(byText);
  const texts = rows.map((row) => row.flatMap((value) => wordsOf(value)).join(' '));
  if (sort === 'nosort') return texts;
  if (sort === 'rowsort') return texts.sort(byText);
  const keyOf = (text: string): string => sort.partial.map((column) => wordsOf(text)[column] ?? '').join(' ');
  const sorted: string[] = [];
  for (let start = 0; start < texts.length; ) {
    let end = start;
    while (end < texts.length && keyOf(texts[end] ?? '') === keyOf(texts[start] ?? '')) end++;
    sorted.push(...texts.slice(start, end).sort(byText));
    start = end;
  }
  return sorted;
}

function describeError({ code, message, detail, hint }: LogicError): string {
  return [`(${code}) ${message}`, detail && `DETAIL: ${detail}`, hint && `HINT: ${hint}`].filter(Boolean).join('\n');
}

function checkError(expected: ErrorExpectation, { error }: LogicOutcome, where: string): void {
  if (!error) throw new Error(`${where}: expected an error, but it succeeded`);
  const full = describeError(error);
  if (expected.code !== undefined) assert.is(error.code, expected.code, `${where}: ${full}`);
  else assert.not.match(error.code, /^XX/, `${where}: ${full}`);
  assert.match(full, new RegExp(expected.pattern, 's'), `${where}: ${full}`);
}

export class LogicRun {
  readonly #file: string;
  readonly #target: LogicTarget;
  readonly #variables = new Map<string, string>();
  readonly #labels = new Map<string, string>();
  #user = 'root';
  /** For REWRITE=1: the lines of each query's rows. */
  readonly rewritten = new Map<QueryDirective, string[]>();

  constructor(file: string, target: LogicTarget) {
    this.#file = file;
    this.#target = target;
  }

  async run(directive: LogicDirective): Promise<void> {
    const isMet = (condition: string): boolean => condition === 'cockroachdb' || condition === this.#target.place;
    if (!directive.onlyIf.every(isMet) || directive.skipIf.some(isMet)) return;
    if (directive.type === 'user') {
      this.#user = directive.name;
      return;
    }
    const { sql } = directive;
    const where = `${this.#file}:${directive.line}`;
    const text = sql.replace(/\$[A-Za-z_]\w*/g, (name) => this.#variables.get(name) ?? name);
    if (directive.type === 'let') {
      const outcome = await this.#target.run(this.#user, text);
      const [value] = outcome.rows[0] ?? [];
      if (outcome.error) assert.unreachable(`${where}: ${describeError(outcome.error)}`);
      if (outcome.rows.length !== 1 || typeof value !== 'string') assert.unreachable(`${where}: not one value`);
      this.#variables.set(directive.name, value as string);
      return;
    }
    for (let run = 1; ; run++) {
      const outcome = await this.#target.run(this.#user, text);
      try {
        if (directive.type === 'statement') this.#checkStatement(directive, outcome, where);
        else this.#checkQuery(directive, outcome, where);
        return;
      } catch (error) {
        if (!directive.retry || run >= RETRIES_MAX) throw error;
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #checkStatement({ error, notice, count }: StatementDirective, outcome: LogicOutcome, where: string): void {
    if (error) checkError(error, outcome, where);
    else if (outcome.error) assert.unreachable(`${where}: ${describeError(outcome.error)}`);
    if (notice !== undefined) assert.match(outcome.notices.join('\n'), new RegExp(notice, 's'), `${where}: the notices`);
    if (count !== undefined) assert.is(outcome.rowCount ?? 0, count, `${where}: rows affected`);
  }

  #checkQuery(query: QueryDirective, outcome: LogicOutcome, where: string): void {
    if (outcome.error) assert.unreachable(`${where}: ${describeError(outcome.error)}`);
    const { columns } = outcome;
    const rows = query.noticetrace
      ? outcome.notices.map((notice) => [notice])
      : outcome.rows.map((row) => row.map((value, index) => shown(value, columns[index]?.oid ?? 0)));
    if (!query.noticetrace) {
      const letters = columns.map(({ oid }, index) => (query.types[index] === '_' ? '_' : typeLetter(oid))).join('');
      assert.is(letters, query.types, `${where}: types of ${columns.map(({ name }) => name).join(', ')}`);
    }
    const actual = sortedRows(rows, query.sort);
    const names = query.colnames ? [columns.map(({ name }) => (name === '' ? '·' : name)).join(' ')] : [];
    this.rewritten.set(query, aligned(query.colnames ? columns.map(({ name }) => name) : undefined, rows, query.sort));
    if (query.label !== undefined) {
      const hash = createHash('md5').update(actual.join('\n')).digest('hex');
      assert.is(this.#labels.get(query.label) ?? hash, hash, `${where}: the rows of label ${query.label}`);
      this.#labels.set(query.label, hash);
    }
    if (query.expected === undefined || process.env.REWRITE === '1') return;
    const hashed = /^(\d+) values hashing to ([0-9a-f]{32})$/.exec(query.expected[0] ?? '');
    if (hashed) {
      const values = rows.flat().length;
      assert.is(`${values} ${createHash('md5').update(actual.join('\n')).digest('hex')}`, `${hashed[1]} ${hashed[2]}`, where);
      return;
    }
    const expected = query.expected.map((line) => [line]);
    const head = query.colnames ? expected.splice(0, 1).map(([line]) => wordsOf(line ?? '').join(' ')) : [];
    const wanted = [...head, ...sortedRows(expected, query.sort)];
    assert.fixture([...names.map((line) => wordsOf(line).join(' ')), ...actual].join('\n'), wanted.join('\n'), `${where}: rows`);
  }
}

/** Rows as a rewrite writes them: columns two spaces apart, names first. */
function aligned(names: readonly string[] | undefined, rows: readonly (readonly string[])[], sort: SortMode): string[] {
  const all = names ? [names, ...rows] : rows;
  const widths = (all[0] ?? []).map((_, column) => Math.max(...all.map((row) => [...(row[column] ?? '')].length)));
  const lines = all.map((row) =>
    row
      .map((value, column) => value.replaceAll('\n', ' ') + ' '.repeat(Math.max(0, (widths[column] ?? 0) - [...value].length)))
      .join('  ')
      .trimEnd(),
  );
  const head = names ? lines.splice(0, 1) : [];
  return [...head, ...(sort === 'nosort' ? lines : lines.sort(byText))];
}

/** Defines and runs the suite of one script. The target is made before its first directive. */
export function logicSuite(path: string, place: LogicPlace, makeTarget: () => Promise<LogicTarget>): void {
  const name = basename(path);
  const text = readFileSync(path, 'utf8');
  const directives = parseLogicScript(text, name);
  const test = suite(`logic ${name}, ${place}`);
  // Made by the first test, because uvu swallows what a `before` hook throws.
  let made: Promise<{ target: LogicTarget; run: LogicRun }> | undefined;
  const ready = () => {
    made ??= makeTarget().then((target) => ({ target, run: new LogicRun(name, target) }));
    return made;
  };
  for (const directive of directives) {
    const heading = directive.subtest === undefined ? '' : `${directive.subtest}, `;
    test(`${heading}line ${directive.line}: ${directive.type}`, async () => (await ready()).run.run(directive));
  }
  test.after(async () => {
    const { target, run } = (await made?.catch(() => undefined)) ?? {};
    await target?.close();
    if (process.env.REWRITE === '1' && place === 'library' && run) writeFileSync(path, rewrite(text, directives, run.rewritten));
  });
  test.run();
}

function rewrite(text: string, directives: readonly LogicDirective[], rows: ReadonlyMap<QueryDirective, string[]>): string {
  const lines = text.split('\n');
  for (const directive of [...directives].reverse()) {
    if (directive.type !== 'query' || directive.expected === undefined) continue;
    const found = rows.get(directive);
    if (found && !/ values hashing to /.test(directive.expected[0] ?? '')) {
      lines.splice(directive.expectedAt[0], directive.expectedAt[1] - directive.expectedAt[0], ...found);
    }
  }
  return lines.join('\n');
}
