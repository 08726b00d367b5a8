/**
 * `varve sql`: statements from -e, -f or standard input, or an interactive shell.
 *
 * With --url it talks to a server; without one it opens a database in this process, which lives as
 * long as the command. Non-interactive input stops at the first error, and the status is then 1.
 */
import { readFile } from 'node:fs/promises';

import { splitStatements } from '../sql/parse/splitStatements.ts';
import { UsageError } from './cliError.ts';
import type { Command, CommandIo } from './command.ts';
import { openEmbeddedClient } from './embeddedClient.ts';
import type { FlagDefinitions, Flags } from './flags.ts';
import { formatResult, RESULT_FORMATS, type ResultFormat } from './resultFormat.ts';
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
  'external-io-dir': { type: 'string', value: 'DIR', help: 'directory of nodelocal:// without --url (default extern)' },
  set: { type: 'string', value: 'NAME=VALUE', multiple: true, help: 'client option: display_format, errexit, show_times' },
};

export const sqlCommand: Command = {
  name: 'sql',
  summary: 'run SQL, or open a shell',
  usage: 'varve sql [--url URL] [-e STATEMENT]... [-f FILE] [flags]',
  flags: FLAGS,
  async run(flags, io) {
    if (flags.positionals.length > 0) throw new UsageError(`unexpected argument "${flags.positionals[0]}"`, 'give statements with -e');
    const format = resultFormat(flags, io);
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
      for (const text of given) await runText(client, io, format, text);
      if (file !== undefined) await runText(client, io, format, file === '-' ? await readStdin() : await readFile(file, 'utf8'));
      else if (given.length === 0) await runText(client, io, format, await readStdin());
      return 0;
    } finally {
      await client.close();
    }
  },
};

/** Runs every statement of a text in order and prints each result. Throws at the first error. */
export async function runText(client: SqlClient, io: CommandIo, format: ResultFormat, text: string): Promise<void> {
  for (const { sql } of splitStatements(text).statements) {
    const result = await client.run(sql);
    if (result.columns || result.tag !== '') io.out(formatResult(result, format));
  }
}

function resultFormat(flags: Flags, io: CommandIo): ResultFormat {
  const options = new Map(flags.all('set').map((option) => [option.split('=')[0], option.split('=')[1] ?? 'true'] as const));
  const text = flags.text('format') ?? options.get('display_format') ?? (io.isTerminal ? 'table' : 'tsv');
  const format = RESULT_FORMATS.find((known) => known === text);
  if (!format) throw new UsageError(`unknown format "${text}": want one of ${RESULT_FORMATS.join(', ')}`);
  return format;
}

async function connect(flags: Flags): Promise<SqlClient> {
  const url = flags.text('url');
  const database = flags.text('database');
  if (url === undefined) {
    return openEmbeddedClient({
      database: database ?? 'defaultdb',
      user: flags.text('user') ?? 'root',
      externalIoDir: flags.text('external-io-dir') ?? 'extern',
    });
  }
  const target = new URL(url);
  if (database !== undefined) target.pathname = `/${encodeURIComponent(database)}`;
  const user = flags.text('user');
  if (user !== undefined) target.username = user;
  return connectWire(target.href);
}

async function readStdin(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
