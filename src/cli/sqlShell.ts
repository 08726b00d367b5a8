/**
 * The interactive shell of `varve sql`: lines until a statement is complete, history in a file,
 * and the backslash commands that people's fingers know.
 *
 * Ctrl-C cancels a running statement, or drops what was typed; Ctrl-D and \q leave.
 */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline/promises';

import { splitStatements } from '../sql/parse/splitStatements.ts';
import { errorReport } from './cliError.ts';
import type { CommandIo } from './command.ts';
import { formatResult, RESULT_FORMATS, type ResultFormat } from './resultFormat.ts';
import type { SqlClient } from './sqlClient.ts';

const HISTORY_LINES_MAX = 2000;

interface ShellState {
  format: ResultFormat;
  showTimes: boolean;
}

const HELP = `  \\q, quit, exit    leave              \\? , help          this help
  \\l                databases          \\dt                tables
  \\d NAME           columns of a table \\du                users
  \\x                records on or off  \\timing            times on or off
  \\format FORMAT    ${RESULT_FORMATS.join(', ')}
  Statements end with a semicolon. Ctrl-C cancels, Ctrl-D leaves.
`;

/** What a backslash command stands for in SQL; undefined when it is not one of these. */
function listingSql(line: string): string | undefined {
  const [command = '', ...rest] = line.trim().split(/\s+/);
  const name = rest.join(' ');
  switch (command) {
    case '\\l':
      return 'SHOW DATABASES';
    case '\\dt':
      return 'SHOW TABLES';
    case '\\du':
      return 'SHOW USERS';
    case '\\d':
      return name === '' ? 'SHOW TABLES' : `SHOW COLUMNS FROM ${name}`;
    default:
      return undefined;
  }
}

/** Runs until the user leaves; returns the exit status. */
export async function runShell(client: SqlClient, io: CommandIo, format: ResultFormat): Promise<number> {
  const historyFile = join(homedir(), '.varve', 'sql_history');
  const history = await readFile(historyFile, 'utf8').then(
    (text) => text.split('\n').filter(Boolean).reverse(),
    () => [],
  );
  const state: ShellState = { format, showTimes: true };
  let running = false;
  let pending = '';
  const line = createInterface({
    input: process.stdin,
    output: process.stdout,
    history,
    historySize: HISTORY_LINES_MAX,
    removeHistoryDuplicates: true,
  });
  const prompt = () => {
    line.setPrompt(pending === '' ? `${client.user}@varve> ` : `${' '.repeat(client.user.length + 3)}-> `);
    line.prompt();
  };
  line.on('SIGINT', () => {
    if (running) {
      void client.cancel().catch((error: unknown) => io.err(`${errorReport(error)}\n`));
      return;
    }
    // Both halves of what stands on the line, left and right of the cursor.
    line.write(null, { ctrl: true, name: 'e' });
    line.write(null, { ctrl: true, name: 'u' });
    pending = '';
    io.out('^C\n');
    prompt();
  });
  io.out('Statements end with a semicolon. \\? shows help, \\q leaves.\n');
  prompt();
  for await (const text of line) {
    if (pending === '' && /^\s*(\\q|quit|exit)\s*;?\s*$/i.test(text)) break;
    running = true;
    try {
      if (pending === '' && /^\s*(\\|help\s*;?\s*$)/i.test(text)) await runBackslash(client, io, state, text);
      else pending = await runComplete(client, io, state, `${pending}${text}\n`);
    } catch (error) {
      pending = '';
      io.err(`${errorReport(error)}\n`);
    }
    running = false;
    prompt();
  }
  line.close();
  const lines = (line as unknown as { history?: string[] }).history ?? history;
  await mkdir(join(homedir(), '.varve'), { recursive: true, mode: 0o700 });
  await writeFile(historyFile, `${lines.slice(0, HISTORY_LINES_MAX).reverse().join('\n')}\n`, { mode: 0o600 });
  return 0;
}

/** Runs the complete statements of the text and returns what is not complete yet. */
async function runComplete(client: SqlClient, io: CommandIo, state: ShellState, text: string): Promise<string> {
  const { statements, rest } = splitStatements(text);
  for (const statement of statements) {
    // The last piece of a text is a statement of its own only once its semicolon is there.
    if (!statement.terminated) return statement.sql.trim() === '' ? '' : `${statement.sql}\n`;
    await runOne(client, io, state, statement.sql);
  }
  return rest.trim() === '' ? '' : rest;
}

async function runOne(client: SqlClient, io: CommandIo, state: ShellState, sql: string): Promise<void> {
  const started = io.monotonicMicros();
  const result = await client.run(sql);
  if (result.columns || result.tag !== '') io.out(formatResult(result, state.format));
  if (state.showTimes) io.out(`\nTime: ${((io.monotonicMicros() - started) / 1000).toFixed(1)}ms\n\n`);
}

async function runBackslash(client: SqlClient, io: CommandIo, state: ShellState, text: string): Promise<void> {
  const command = text.trim();
  const sql = listingSql(command);
  if (sql !== undefined) return runOne(client, io, state, sql);
  if (command === '\\?' || /^help\s*;?$/i.test(command)) return io.out(HELP);
  if (command === '\\x') {
    state.format = state.format === 'records' ? 'table' : 'records';
    return io.out(`format is ${state.format}\n`);
  }
  if (command === '\\timing') {
    state.showTimes = !state.showTimes;
    return io.out(`times are ${state.showTimes ? 'on' : 'off'}\n`);
  }
  const format = /^\\format\s+(\w+)$/.exec(command)?.[1];
  const known = RESULT_FORMATS.find((name) => name === format);
  if (known) {
    state.format = known;
    return io.out(`format is ${known}\n`);
  }
  io.err(`ERROR: unknown command ${command}; \\? shows help\n`);
}
