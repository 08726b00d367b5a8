/**
 * The `varve` program: finds the command, parses its flags, runs it, reports what fails.
 *
 * Exit status: 0 success, 1 any failure. A command's module is loaded only when it is called, so
 * that `varve version` does not pay for the SQL engine.
 */
import { pathToFileURL } from 'node:url';

import { UsageError, errorReport } from './cliError.ts';
import type { Command, CommandIo } from './command.ts';
import { describeFlags, parseFlags } from './flags.ts';

interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  readonly load: () => Promise<Command>;
}

const COMMANDS: readonly CommandEntry[] = Object.freeze([
  { name: 'start', summary: 'start a server', load: async () => (await import('./startCommand.ts')).startCommand },
  {
    name: 'demo',
    summary: 'open a shell on a temporary cluster with data in it',
    load: async () => (await import('./demoCommand.ts')).demoCommand,
  },
  { name: 'sql', summary: 'run SQL, or open a shell', load: async () => (await import('./sqlCommand.ts')).sqlCommand },
  {
    name: 'tour',
    summary: 'see a database backed up, damaged and brought back',
    load: async () => (await import('./tourCommand.ts')).tourCommand,
  },
  { name: 'workload', summary: 'fill and exercise tables', load: async () => (await import('./workloadCommand.ts')).workloadCommand },
  {
    name: 'nodelocal',
    summary: "upload files into the server's external IO directory",
    load: async () => (await import('./nodelocalCommand.ts')).nodelocalCommand,
  },
  {
    name: 'userfile',
    summary: 'upload, list, get and delete userfiles',
    load: async () => (await import('./userfileCommand.ts')).userfileCommand,
  },
  {
    name: 'backup',
    summary: 'list, show, verify, delete and expire backups, without a server',
    load: async () => (await import('./backupCommand.ts')).backupCommand,
  },
  {
    name: 'plan',
    summary: 'try a plan of scheduled backups out on simulated time',
    load: async () => (await import('./planCommand.ts')).planCommand,
  },
  { name: 'dump', summary: 'print a database as SQL', load: async () => (await import('./dumpCommand.ts')).dumpCommand },
  { name: 'cert', summary: 'make certificates for TLS', load: async () => (await import('./certCommand.ts')).certCommand },
  { name: 'node', summary: 'list nodes, show their status, drain one', load: async () => (await import('./nodeCommand.ts')).nodeCommand },
  { name: 'version', summary: 'print the version', load: async () => (await import('./versionCommand.ts')).versionCommand },
]);

/** What scripts call commands that go by another name here. */
const OTHER_NAMES: ReadonlyMap<string, string> = new Map([
  ['--version', 'version'],
  ['start-single-node', 'start'],
]);

function overview(): string {
  const width = Math.max(...COMMANDS.map((command) => command.name.length)) + 2;
  return [
    'varve: an in-memory SQL database with BACKUP and RESTORE, for testing, teaching and rehearsing backups',
    '',
    'Usage: varve COMMAND [flags]',
    '',
    ...COMMANDS.map((command) => `  ${command.name.padEnd(width)}${command.summary}`),
    '',
    'varve COMMAND --help shows the flags of a command.',
    '',
  ].join('\n');
}

/** Runs one command line (without interpreter and script). Returns the exit status; never throws. */
export async function main(argv: readonly string[], io: CommandIo): Promise<number> {
  // `varve help sql` is `varve sql --help`.
  const [name, ...rest] = argv[0] === 'help' && argv[1] !== undefined ? [argv[1], '--help'] : argv;
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    io.out(overview());
    return name === undefined ? 1 : 0;
  }
  const entry = COMMANDS.find((command) => command.name === (OTHER_NAMES.get(name) ?? name));
  if (!entry) {
    io.err(`ERROR: unknown command "${name}"\n\n${overview()}`);
    return 1;
  }
  try {
    const command = await entry.load();
    if (rest.includes('--help') || rest.includes('-h')) {
      io.out(
        `${command.summary}\n\nUsage: ${command.usage}\n${Object.keys(command.flags).length > 0 ? `\nFlags:\n${describeFlags(command.flags)}\n` : ''}`,
      );
      return 0;
    }
    return await command.run(parseFlags(rest, command.flags), io);
  } catch (error) {
    io.err(`${errorReport(error)}\n`);
    if (!(error instanceof UsageError)) io.err(`Failed running "${entry.name}"\n`);
    else if (error.hint === undefined) io.err(`try: varve ${entry.name} --help\n`);
    return 1;
  }
}

const processIo: CommandIo = {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  isTerminal: process.stdout.isTTY === true,
  monotonicMicros: () => Math.floor(performance.now() * 1000),
};

// The launcher imports this file as the program, and puts it in argv; a test imports it as a module.
if (process.argv[1] !== undefined && pathToFileURL(process.argv[1]).href === import.meta.url) {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // The reader of a pipe has gone (`varve sql ... | head`): nothing is left to do.
    if (error.code === 'EPIPE') process.exit(0);
  });
  process.exitCode = await main(process.argv.slice(2), processIo);
}
