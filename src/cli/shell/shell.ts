/**
 * The shell without its line editor: lines go in, results come out.
 *
 * A line continues the statement before it until a semicolon ends it; a line that begins with a
 * backslash is a command, unless a statement is open. sqlShell.ts feeds it from a terminal, `\i`
 * from a file, `varve demo` from a pipe.
 *
 * Source of the commands: CockroachDB documentation, page "cockroach sql", section "Commands".
 */
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

import { quoteLiteral } from '../../catalog/names.ts';
import { splitStatements } from '../../sql/parse/splitStatements.ts';
import { errorReport, UsageError } from '../cliError.ts';
import type { CommandIo } from '../command.ts';
import { formatResult, RESULT_FORMATS } from '../resultFormat.ts';
import type { SqlClient } from '../sqlClient.ts';
import type { CatalogNames } from './completion.ts';
import { LISTINGS, listingStatements } from './listings.ts';
import { optionRows, resetOption, setOption, type ShellOptions } from './options.ts';

/** A command that only some shells have, such as `\demo`. Takes what stands behind its name. */
export interface ExtraCommand {
  readonly name: string;
  readonly help: string;
  run(argument: string): Promise<void>;
}

export interface ShellSetup {
  readonly client: SqlClient;
  readonly io: CommandIo;
  readonly options: ShellOptions;
  /** Where the server listens, for the prompt. */
  readonly address: string;
  /** Terminal columns, asked at each table; undefined: tables are as wide as their rows. */
  readonly width?: () => number | undefined;
  readonly extras?: readonly ExtraCommand[];
}

/** Statements after which the current database may be another. */
const MAY_CHANGE_DATABASE = /^\s*(use|set|reset|drop|alter|rollback|discard)\b/i;
/** Scripts that include each other without end are stopped here. */
const SCRIPT_DEPTH_MAX = 10;

export class Shell {
  readonly options: ShellOptions;
  readonly #setup: ShellSetup;
  #pending = '';
  #database = '';
  #transaction = '';
  #hasQuit = false;
  #failures = 0;
  #scripts: string[] = [];
  #format: ShellOptions['displayFormat'];

  constructor(setup: ShellSetup) {
    this.#setup = setup;
    this.options = setup.options;
    this.#format = setup.options.displayFormat;
  }

  /** Learns the current database. Call it once before the first prompt. */
  async start(): Promise<void> {
    await this.#learn('use');
  }

  get hasQuit(): boolean {
    return this.#hasQuit;
  }

  /** Statements and commands that failed so far. */
  get failures(): number {
    return this.#failures;
  }

  /** What was typed of a statement that is not complete. */
  get pending(): string {
    return this.#pending;
  }

  clear(): void {
    this.#pending = '';
  }

  /** The prompt, or one of the same width that says that a statement goes on. */
  get prompt(): string {
    const [host = '', port = ''] = this.#setup.address.split(/:(?=\d+$)/);
    const values: Readonly<Record<string, string>> = {
      n: this.#setup.client.user,
      m: host,
      M: this.#setup.address,
      '>': port,
      '/': this.#database,
      x: this.#transaction === '' ? '' : ` ${this.#transaction}`,
      '%': '%',
    };
    const prompt = this.options.prompt1.replace(/%(.)/g, (whole, name: string) => values[name] ?? whole);
    return this.#pending === '' ? prompt : `${' '.repeat(Math.max(0, prompt.length - 3))}-> `;
  }

  /** Takes one line, and runs what is complete. Errors are printed and counted; with errexit the first one is also the last. */
  async line(text: string): Promise<void> {
    try {
      if (this.#pending === '' && /^\s*(quit|exit)\s*;?\s*$/i.test(text)) this.#hasQuit = true;
      else if (this.#pending === '' && /^\s*help\s*;?\s*$/i.test(text)) await this.#command('\\?');
      else if (/^\s*\\/.test(text) && this.#takesCommand(text)) await this.#command(text.trim());
      else await this.#statements(`${this.#pending}${text}\n`);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Runs lines until they end or the shell does; what is left without a semicolon at their end runs too. */
  async lines(lines: Iterable<string> | AsyncIterable<string>): Promise<void> {
    for await (const text of lines) {
      await this.line(text);
      if (this.#hasQuit) return;
    }
    if (this.#pending.trim() !== '') await this.line(';');
  }

  /** What completion offers: the names of the catalog as they are now. Asked of the server each time; empty when it cannot answer. */
  async catalogNames(): Promise<CatalogNames> {
    const { client } = this.#setup;
    const list = async (sql: string): Promise<(string | null)[][]> => {
      try {
        return (await client.run(sql)).rows.map((row) => [...row]);
      } catch {
        return [];
      }
    };
    if (this.#transaction !== '') return { databases: [], schemas: [], tables: new Map() };
    const first = (rows: (string | null)[][]): string[] => rows.map((row) => row[0] ?? '');
    const tables = new Map<string, string[]>();
    const columns = `SELECT c.relname, a.attname FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid
      JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'v', 'm') AND a.attnum > 0
        AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'crdb_internal', 'pg_extension', 'varve_internal')`;
    for (const [table, column] of await list(columns)) {
      const known = tables.get(table ?? '');
      if (known) known.push(column ?? '');
      else tables.set(table ?? '', [column ?? '']);
    }
    return {
      databases: first(await list('SELECT datname FROM pg_catalog.pg_database')),
      schemas: first(await list('SELECT nspname FROM pg_catalog.pg_namespace')),
      tables,
    };
  }

  #fail(error: unknown): void {
    this.#failures++;
    this.#pending = '';
    this.#setup.io.err(`${errorReport(error)}\n`);
    if (this.options.errexit) this.#hasQuit = true;
  }

  /** Within an open statement only the commands about it are commands. */
  #takesCommand(text: string): boolean {
    if (this.#pending === '') return true;
    return splitStatements(this.#pending).rest === '' && /^\s*\\(p|r|q|\?)\s*$/.test(text);
  }

  /** Runs the complete statements of a text and keeps what is not complete. */
  async #statements(text: string): Promise<void> {
    this.#pending = text.trim() === '' ? '' : text;
    // Only a semicolon completes anything, and looking for it costs a pass over the whole text.
    if (this.#pending === '' || !text.slice(text.lastIndexOf('\n', text.length - 2) + 1).includes(';')) return;
    const { statements, rest } = splitStatements(text);
    this.#pending = rest.trim() === '' ? '' : rest;
    for (const statement of statements) {
      // The last piece of a text is a statement of its own only once its semicolon is there.
      if (!statement.terminated) {
        this.#pending = statement.sql.trim() === '' ? '' : `${statement.sql}\n`;
        return;
      }
      try {
        await this.#run(statement.sql);
      } catch (error) {
        this.#fail(error);
        return;
      }
    }
  }

  async #run(sql: string): Promise<void> {
    const { client, io } = this.#setup;
    if (this.options.echo) io.err(`> ${sql}\n`);
    const started = io.monotonicMicros();
    try {
      const result = await client.run(sql);
      const micros = io.monotonicMicros() - started;
      if (result.columns || result.tag !== '') io.out(formatResult(result, this.options.displayFormat, this.#setup.width?.()));
      if (this.options.showTimes) io.out(`\nTime: ${(micros / 1000).toFixed(1)}ms\n\n`);
    } finally {
      await this.#learn(sql);
    }
  }

  /** Asks the server what the prompt shows, as far as the statement may have changed it. */
  async #learn(sql: string): Promise<void> {
    if (!this.#setup.width && this.options.errexit) return;
    const { client } = this.#setup;
    try {
      const status = (await client.run('SHOW TRANSACTION STATUS')).rows[0]?.[0] ?? 'NoTxn';
      this.#transaction = status === 'NoTxn' ? '' : status.toUpperCase();
      if (MAY_CHANGE_DATABASE.test(sql) && !/abort/i.test(status)) {
        this.#database = (await client.run('SHOW database')).rows[0]?.[0] ?? '';
      }
    } catch {
      // The connection has gone; the next statement says so.
      this.#transaction = '?';
    }
  }

  async #command(text: string): Promise<void> {
    const { io, extras } = this.#setup;
    const [, name = text, argument = ''] = /^(\\[!|?]|\\\S+)\s*(.*)$/s.exec(text.replace(/;\s*$/, '')) ?? [];
    const listing = listingStatements(name, argument.trim());
    if (listing) {
      for (const sql of listing) await this.#run(sql);
      return;
    }
    const extra = extras?.find((known) => known.name === name);
    if (extra) return extra.run(argument.trim());
    switch (name) {
      case '\\q':
        this.#hasQuit = true;
        return;
      case '\\?':
      case '\\h':
        return io.out(this.#help());
      case '\\x': {
        const isOn = this.options.displayFormat === 'records';
        if (!isOn) this.#format = this.options.displayFormat;
        this.options.displayFormat = isOn ? this.#format : 'records';
        if (isOn && this.#format === 'records') this.options.displayFormat = 'table';
        return io.out(`format is ${this.options.displayFormat}\n`);
      }
      case '\\timing':
        setOption(this.options, 'show_times', argument.trim() === '' ? String(!this.options.showTimes) : argument.trim());
        return io.out(`times are ${this.options.showTimes ? 'on' : 'off'}\n`);
      case '\\format':
        setOption(this.options, 'display_format', argument.trim());
        return io.out(`format is ${this.options.displayFormat}\n`);
      case '\\set':
        return this.#set(argument.trim());
      case '\\unset':
        return resetOption(this.options, argument.trim());
      case '\\c':
      case '\\connect':
        return this.#connect(argument.trim());
      case '\\echo':
        return io.out(`${argument}\n`);
      case '\\p':
        return io.out(this.#pending);
      case '\\r':
        this.#pending = '';
        return;
      case '\\i':
      case '\\ir':
        return this.#script(argument.trim(), name === '\\ir');
      case '\\!':
        return void (await runProgram(argument, io.out, io.err));
      case '\\|': {
        let script = '';
        const status = await runProgram(
          argument,
          (out) => {
            script += out;
          },
          io.err,
        );
        if (status !== 0) throw new Error(`the command ended with status ${status}; nothing of its output was run`);
        return this.lines(script.split('\n'));
      }
      default:
        throw new UsageError(`invalid syntax: ${name}`, 'try \\? for help');
    }
  }

  #set(argument: string): void {
    if (argument === '') {
      const columns = ['option', 'value'].map((name) => ({ name, isNumeric: false }));
      this.#setup.io.out(formatResult({ tag: '', columns, rows: optionRows(this.options) }, this.options.displayFormat));
      return;
    }
    const [, name = '', value = 'true'] = /^([^\s=]+)(?:\s*=\s*|\s+)?(.+)?$/s.exec(argument) ?? [];
    setOption(this.options, name, value.trim().replace(/^(['"])(.*)\1$/s, '$2'));
  }

  async #connect(argument: string): Promise<void> {
    if (argument.includes('://'))
      throw new UsageError('\\c takes the name of a database', 'start another shell for another server: varve sql --url URL');
    if (argument !== '' && argument !== '-') await this.#setup.client.run(`SET database = ${quoteLiteral(argument.replaceAll('"', ''))}`);
    await this.#learn('use');
    this.#setup.io.out(`connected to database ${this.#database} as user ${this.#setup.client.user}\n`);
  }

  async #script(file: string, isRelative: boolean): Promise<void> {
    if (file === '') throw new UsageError('\\i wants a file');
    if (this.#scripts.length >= SCRIPT_DEPTH_MAX) throw new Error(`scripts include each other more than ${SCRIPT_DEPTH_MAX} deep`);
    const current = this.#scripts.at(-1);
    const path = isRelative && current !== undefined ? resolve(dirname(current), file) : resolve(file);
    let text: string;
    try {
      text = await readFile(path, 'utf8');
    } catch (error) {
      throw new Error(`cannot read ${file}: ${(error as Error).message}`);
    }
    this.#scripts = [...this.#scripts, path];
    try {
      await this.lines(text.split('\n'));
    } finally {
      this.#scripts = this.#scripts.slice(0, -1);
    }
  }

  #help(): string {
    const rows: (readonly [string, string])[] = [
      ['\\q, quit, exit', 'leave'],
      ['\\?, help', 'this help'],
      ...LISTINGS,
      ['\\c DATABASE', 'change the current database'],
      ['\\x', 'records on or off'],
      ['\\timing', 'times on or off'],
      ['\\format FORMAT', RESULT_FORMATS.join(', ')],
      ['\\set [OPTION [VALUE]]', 'set a client option, or show them all'],
      ['\\unset OPTION', 'back to its default'],
      ['\\i FILE, \\ir FILE', 'run a script; \\ir: beside the script that runs'],
      ['\\p, \\r', 'show or forget what was typed of a statement'],
      ['\\echo TEXT', 'print it'],
      ['\\! COMMAND', "run a shell's command"],
      ['\\| COMMAND', 'run its output as SQL'],
      ...(this.#setup.extras ?? []).map(({ name, help }) => [name, help] as const),
    ];
    const width = Math.max(...rows.map(([name]) => name.length)) + 2;
    const lines = rows.map(([name, help]) => `  ${name.padEnd(width)}${help}`);
    return `${lines.join('\n')}\nStatements end with a semicolon. Tab completes, Ctrl-C cancels, Ctrl-D leaves.\n`;
  }
}

/** Runs a command line with `sh`; its exit status. */
function runProgram(command: string, out: (text: string) => void, err: (text: string) => void): Promise<number> {
  if (command.trim() === '') throw new UsageError('a command is missing');
  const child = spawn('/bin/sh', ['-c', command], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.setEncoding('utf8').on('data', out);
  child.stderr.setEncoding('utf8').on('data', err);
  return new Promise((done, failed) => {
    child.once('error', failed);
    child.once('close', (status) => done(status ?? 1));
  });
}
