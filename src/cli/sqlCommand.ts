/**
 * `varve sql`: statements from -e, -f or standard input, or an interactive shell.
 *
 * With --url it talks to a server; without one it opens a database in this process, which lives as
 * long as the command. Non-interactive input stops at the first error, and the status is then 1.
 */
import { readFile } from 'node:fs/promises';

import { splitStatements } from '../sql/parse/splitStatements.ts';
import { errorReport, UsageError } from './cliError.ts';
import type { Command, CommandIo } from './command.ts';
import { openEmbeddedClient } from './embeddedClient.ts';
import type { FlagDefinitions, Flags } from './flags.ts';
import { formatResult, RESULT_FORMATS, type ResultFormat } from './resultFormat.ts';
import type { SqlClient } from './sqlClient.ts';
import { runShell } from './sqlShell.ts';
import { connectWire, serverUrl } from './wireClient.ts';

const FLAGS: FlagDefinitions = {
  url: { type: 'string', value: 'URL', env: 'COCKROACH_URL', help: 'server to use; without one, a database inside this process' },
  execute: { type: 'string', short: 'e', value: 'STATEMENT', multiple: true, help: 'run these statements and exit; repeatable' },
  file: { type: 'string', short: 'f', value: 'FILE', help: 'run the statements of a file and exit; - is standard input' },
  format: { type: 'string', value: 'FORMAT', help: `${RESULT_FORMATS.join(', ')}; table on a terminal, else tsv` },
  database: { type: 'string', short: 'd', value: 'NAME', env: 'COCKROACH_DATABASE', help: 'current database' },
  user: { type: 'string', short: 'u', value: 'NAME', help: 'user of the connection (default root)' },
  'certs-dir': {
    type: 'string',
    value: 'DIR',
    env: 'COCKROACH_CERTS_DIR',
    help: "with --url: ca.crt, and the user's client certificate where there is one",
  },
  'external-io-dir': { type: 'string', value: 'DIR', help: 'directory of nodelocal:// without --url, or "disabled" (default extern)' },
  set: {
    type: 'string',
    value: 'NAME=VALUE',
    multiple: true,
    help: 'client option: display_format, errexit (default true), show_times (default false)',
  },
};

export const sqlCommand: Command = {
  name: 'sql',
  summary: 'run SQL, or open a shell',
  usage: 'varve sql [--url URL] [-e STATEMENT]... [-f FILE] [flags]',
  flags: FLAGS,
  async run(flags, io) {
    if (flags.positionals.length > 0) throw new UsageError(`unexpected argument "${flags.positionals[0]}"`, 'give statements with -e');
    const options = clientOptions(flags);
    const format = resultFormat(flags, options, io);
    const client = await connect(flags);
    client.onNotice((notice) => {
      io.err(`${notice.severity}: ${notice.message}\n`);
      if (notice.detail) io.err(`DETAIL: ${notice.detail}\n`);
      if (notice.hint) io.err(`HINT: ${notice.hint}\n`);
    });
    try {
      const given = flags.all('execute');
      const file = flags.text('file');
      if (given.length === 0 && file === undefined && process.stdin.isTTY) return await runShell(client, io, format);
      const settings = { format, goesOn: options.get('errexit') === 'false', showTimes: options.get('show_times') === 'true' };
      let failures = 0;
      for (const text of given) failures += await runText(client, io, settings, text);
      if (file !== undefined) failures += await runText(client, io, settings, file === '-' ? await readStdin() : await readScript(file));
      else if (given.length === 0) failures += await runText(client, io, settings, await readStdin());
      return failures > 0 ? 1 : 0;
    } finally {
      await client.close();
    }
  },
};

interface RunSettings {
  readonly format: ResultFormat;
  /** Reports an error and runs the next statement. */
  readonly goesOn: boolean;
  readonly showTimes: boolean;
}

/** Runs every statement of a text in order and prints each result; the number of those that failed. Throws at the first error unless told to go on. */
async function runText(client: SqlClient, io: CommandIo, { format, goesOn, showTimes }: RunSettings, text: string): Promise<number> {
  let failures = 0;
  for (const { sql } of splitStatements(text).statements) {
    const started = io.monotonicMicros();
    try {
      const result = await client.run(sql);
      if (result.columns || result.tag !== '') io.out(formatResult(result, format));
    } catch (error) {
      if (!goesOn) throw error;
      failures++;
      io.err(`${errorReport(error)}\n`);
    }
    if (showTimes) io.out(`Time: ${((io.monotonicMicros() - started) / 1000).toFixed(1)}ms\n`);
  }
  return failures;
}

const BOOLEAN_OPTIONS: ReadonlySet<string> = new Set(['errexit', 'show_times']);

/** The --set options by name; a boolean one without a value is true. */
function clientOptions(flags: Flags): ReadonlyMap<string, string> {
  const options = new Map<string, string>();
  for (const option of flags.all('set')) {
    const [, name = '', value = 'true'] = /^([^=]*)(?:=(.*))?$/s.exec(option) ?? [];
    if (name !== 'display_format' && !BOOLEAN_OPTIONS.has(name)) {
      throw new UsageError(`unknown option "${name}" for --set`, `the options are display_format, ${[...BOOLEAN_OPTIONS].join(', ')}`);
    }
    if (BOOLEAN_OPTIONS.has(name) && value !== 'true' && value !== 'false') throw new UsageError(`--set ${name} wants true or false`);
    options.set(name, value);
  }
  return options;
}

function resultFormat(flags: Flags, options: ReadonlyMap<string, string>, io: CommandIo): ResultFormat {
  const text = flags.text('format') ?? options.get('display_format') ?? (io.isTerminal ? 'table' : 'tsv');
  const format = RESULT_FORMATS.find((known) => known === text);
  if (!format) throw new UsageError(`unknown format "${text}": want one of ${RESULT_FORMATS.join(', ')}`);
  return format;
}

async function connect(flags: Flags): Promise<SqlClient> {
  const url = flags.text('url');
  const database = flags.text('database');
  if (url === undefined) {
    const directory = flags.text('external-io-dir') ?? 'extern';
    return openEmbeddedClient({
      database: database ?? 'defaultdb',
      user: flags.text('user') ?? 'root',
      externalIoDir: directory === 'disabled' ? undefined : directory,
    });
  }
  return connectWire(serverUrl(url, { database, user: flags.text('user'), certsDir: flags.text('certs-dir') }));
}

async function readScript(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new Error(`cannot read ${file}: ${(error as Error).message}`);
  }
}

async function readStdin(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
