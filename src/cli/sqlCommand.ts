/**
 * `varve sql`: statements from -e, -f or standard input, or an interactive shell.
 *
 * With --url, --host or --insecure it talks to a server; without one it opens a database in this process, which lives as
 * long as the command. Non-interactive input stops at the first error, and the status is then 1.
 */
import { readFile } from 'node:fs/promises';

import { splitStatements } from '../sql/parse/splitStatements.ts';
import { errorReport, UsageError } from './cliError.ts';
import type { Command, CommandIo } from './command.ts';
import { connectionUrl } from './connectionUrl.ts';
import { openEmbeddedClient } from './embeddedClient.ts';
import { EXTERNAL_IO_RULE_FLAGS, externalIoDir, externalIoRuleOptions } from './externalIoFlags.ts';
import type { FlagDefinitions, Flags } from './flags.ts';
import { formatResult, RESULT_FORMATS } from './resultFormat.ts';
import { DEFAULT_PROMPT, OPTION_NAMES, setOption, type ShellOptions } from './shell/options.ts';
import type { SqlClient } from './sqlClient.ts';
import { runShell } from './sqlShell.ts';
import { connectWire } from './wireClient.ts';

const FLAGS: FlagDefinitions = {
  url: { type: 'string', value: 'URL', env: 'COCKROACH_URL', help: 'server to use; without one, a database inside this process' },
  execute: { type: 'string', short: 'e', value: 'STATEMENT', multiple: true, help: 'run these statements and exit; repeatable' },
  file: { type: 'string', short: 'f', value: 'FILE', help: 'run the statements of a file and exit; - is standard input' },
  format: { type: 'string', value: 'FORMAT', help: `${RESULT_FORMATS.join(', ')}; table on a terminal, else tsv` },
  database: { type: 'string', short: 'd', value: 'NAME', env: 'COCKROACH_DATABASE', help: 'current database' },
  user: { type: 'string', short: 'u', value: 'NAME', help: 'user of the connection (default root)' },
  host: { type: 'string', value: 'HOST[:PORT]', env: 'COCKROACH_HOST', help: 'server to use, with --port and --insecure or --certs-dir' },
  port: { type: 'string', short: 'p', value: 'PORT', env: 'COCKROACH_PORT', help: 'its port (default 26257)' },
  insecure: { type: 'boolean', env: 'COCKROACH_INSECURE', help: 'a server without TLS (default localhost:26257)' },
  'certs-dir': {
    type: 'string',
    value: 'DIR',
    env: 'COCKROACH_CERTS_DIR',
    help: "with --url: ca.crt, and the user's client certificate where there is one",
  },
  'external-io-dir': { type: 'string', value: 'DIR', help: 'directory of nodelocal:// without --url, or "disabled" (default extern)' },
  ...EXTERNAL_IO_RULE_FLAGS,
  set: {
    type: 'string',
    value: 'NAME=VALUE',
    multiple: true,
    help: `client option: ${OPTION_NAMES.join(', ')}; repeatable`,
  },
};

export const sqlCommand: Command = {
  name: 'sql',
  summary: 'run SQL, or open a shell',
  usage: 'varve sql [--url URL] [-e STATEMENT]... [-f FILE] [flags]',
  flags: FLAGS,
  async run(flags, io) {
    if (flags.positionals.length > 0) throw new UsageError(`unexpected argument "${flags.positionals[0]}"`, 'give statements with -e');
    const file = flags.text('file');
    const given = flags.all('execute');
    const isInteractive = given.length === 0 && file === undefined && process.stdin.isTTY === true;
    const options = shellOptions(flags, io, isInteractive);
    const client = await connect(flags);
    printNotices(client, io);
    try {
      if (isInteractive) {
        io.out('Statements end with a semicolon. \\? shows help, \\q leaves.\n');
        const address = namesServer(flags) ? new URL(connectionUrl(flags, undefined)).host : 'varve';
        return await runShell({ client, io, options, address });
      }
      let failures = 0;
      for (const text of given) failures += await runText(client, io, options, text);
      if (file !== undefined) failures += await runText(client, io, options, file === '-' ? await readStdin() : await readScript(file));
      else if (given.length === 0) failures += await runText(client, io, options, await readStdin());
      return failures > 0 ? 1 : 0;
    } finally {
      await client.close();
    }
  },
};

/** Prints what the server says beside its results. */
export function printNotices(client: SqlClient, io: CommandIo): void {
  client.onNotice((notice) => {
    io.err(`${notice.severity}: ${notice.message}\n`);
    if (notice.detail) io.err(`DETAIL: ${notice.detail}\n`);
    if (notice.hint) io.err(`HINT: ${notice.hint}\n`);
  });
}

/** Runs every statement of a text in order and prints each result; the number of those that failed. Throws at the first error unless told to go on. */
export async function runText(client: SqlClient, io: CommandIo, options: ShellOptions, text: string): Promise<number> {
  let failures = 0;
  for (const { sql } of splitStatements(text).statements) {
    if (options.echo) io.err(`> ${sql}\n`);
    const started = io.monotonicMicros();
    try {
      const result = await client.run(sql);
      if (result.columns || result.tag !== '') io.out(formatResult(result, options.displayFormat));
    } catch (error) {
      if (options.errexit) throw error;
      failures++;
      io.err(`${errorReport(error)}\n`);
    }
    if (options.showTimes) io.out(`Time: ${((io.monotonicMicros() - started) / 1000).toFixed(1)}ms\n`);
  }
  return failures;
}

/** The client options as --format and --set give them; a shell for people goes on after errors and shows times. */
export function shellOptions(flags: Flags, io: CommandIo, isInteractive: boolean): ShellOptions {
  const options: ShellOptions = {
    displayFormat: io.isTerminal ? 'table' : 'tsv',
    errexit: !isInteractive,
    echo: false,
    showTimes: isInteractive,
    prompt1: DEFAULT_PROMPT,
  };
  for (const option of flags.all('set')) {
    const [, name = '', value = 'true'] = /^([^=]*)(?:=(.*))?$/s.exec(option) ?? [];
    setOption(options, name, value);
  }
  const format = flags.text('format');
  if (format !== undefined) setOption(options, 'display_format', format);
  return options;
}

async function connect(flags: Flags): Promise<SqlClient> {
  const database = flags.text('database');
  if (!namesServer(flags)) {
    return openEmbeddedClient({
      database: database ?? 'defaultdb',
      user: flags.text('user') ?? 'root',
      externalIoDir: externalIoDir(flags),
      ...externalIoRuleOptions(flags),
    });
  }
  return connectWire(connectionUrl(flags, database));
}

/** Without a server's name the database is inside this process. */
function namesServer(flags: Flags): boolean {
  return flags.isSet('insecure') || ['url', 'host', 'port'].some((name) => flags.text(name) !== undefined);
}

async function readScript(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new Error(`cannot read ${file}: ${(error as Error).message}`);
  }
}

export async function readStdin(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
