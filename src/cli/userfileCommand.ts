/**
 * `varve userfile upload|list|get|delete`: files in SQL tables, over a SQL connection.
 *
 * Source: CockroachDB documentation, pages "cockroach userfile upload, list, get, delete".
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join, posix } from 'node:path';

import { UsageError } from './cliError.ts';
import type { Command, CommandIo } from './command.ts';
import { CONNECTION_FLAGS, connectionUrl } from './connectionUrl.ts';
import { copyFile, uploadAll } from './copyFile.ts';
import type { FlagDefinitions } from './flags.ts';
import type { SqlClient } from './sqlClient.ts';
import { connectWire, type WireClient } from './wireClient.ts';

/** Far below what a message may be, as base64 too. */
const PIECE_BYTES = 4 * 2 ** 20;

const FLAGS: FlagDefinitions = {
  ...CONNECTION_FLAGS,
  recursive: { type: 'boolean', short: 'r', help: 'upload a directory with all files below it' },
};

export const userfileCommand: Command = {
  name: 'userfile',
  summary: 'upload, list, get and delete userfiles',
  usage: 'varve userfile upload SOURCE [DESTINATION] | list [PATTERN] | get [PATTERN] [LOCAL] | delete PATTERN',
  flags: FLAGS,
  async run(flags, io) {
    const [action, ...args] = flags.positionals;
    const actions: Record<string, (client: WireClient) => Promise<void>> = {
      upload: (client) => upload(client, io, args, flags.isSet('recursive')),
      list: (client) => list(client, io, args),
      ls: (client) => list(client, io, args),
      get: (client) => get(client, io, args),
      delete: (client) => remove(client, io, args),
      rm: (client) => remove(client, io, args),
    };
    const run = actions[action ?? ''];
    if (!run) throw new UsageError(`unknown action "${action ?? ''}": want upload, list, get or delete`);
    const client = await connectWire(connectionUrl(flags, undefined));
    try {
      await run(client);
      return 0;
    } finally {
      await client.close();
    }
  },
};

/** A destination or pattern as a URI: bare paths belong to the default host, and are no URIs: `reserved` stands for itself in them. */
function asUri(text: string, reserved = /%/g): string {
  if (text.startsWith('userfile://')) return text;
  const path = text.replace(/^\/+/, '');
  if (posix.normalize(path) !== path && path !== '') {
    throw new UsageError(`path "${text}" is not normalised`, 'remove empty, "." and ".." segments');
  }
  return `userfile:///${path.replace(reserved, encodeURIComponent)}`;
}

async function upload(client: WireClient, io: CommandIo, args: readonly string[], isRecursive: boolean): Promise<void> {
  const [source, destination, extra] = args;
  if (source === undefined || extra !== undefined) throw new UsageError('upload wants SOURCE and at most one DESTINATION');
  await uploadAll({ source, destination, isRecursive }, io, async (file, path) => {
    const uri = asUri(path, /[%?#]/g);
    await copyFile(client, file, 'user_file_upload', uri);
    // By its own name, where it went to the default host.
    const result = await client.runWith('SELECT unnest(varve_internal.userfile_list($1::STRING))', [uri]);
    return result.rows[0]?.[0] ?? uri;
  });
}

/** The URIs that a pattern means: everything without one, a file, all below a directory, or a glob in which `*` stays within a name unless it stands alone. */
async function matching(client: SqlClient, pattern: string | undefined): Promise<string[]> {
  const uri = asUri(pattern ?? '');
  const at = uri.search(/[*?[]/);
  const fixed = at < 0 ? uri : uri.slice(0, uri.lastIndexOf('/', at) + 1);
  const location = fixed === 'userfile:///' ? fixed : fixed.replace(/\/$/, '');
  const result = await client.runWith('SELECT unnest(varve_internal.userfile_list($1::STRING))', [location]);
  const found = result.rows.map((row) => row[0] ?? '');
  if (at < 0) return found;
  const glob = pathOf(uri);
  return glob === '*' ? found : found.filter((candidate) => posix.matchesGlob(pathOf(candidate), glob));
}

function pathOf(uri: string): string {
  return decodeURIComponent(uri.replace(/^userfile:\/\/[^/]*\//, ''));
}

async function list(client: SqlClient, io: CommandIo, args: readonly string[]): Promise<void> {
  if (args.length > 1) throw new UsageError('list wants at most one PATTERN');
  for (const uri of await matching(client, args[0])) io.out(`${uri}\n`);
}

async function get(client: SqlClient, io: CommandIo, args: readonly string[]): Promise<void> {
  if (args.length > 2) throw new UsageError('get wants at most PATTERN and LOCAL');
  const uris = await matching(client, args[0]);
  if (uris.length === 0) throw new Error(`no files matched ${args[0] ?? 'the storage'}`);
  const [first = ''] = uris;
  const isOne = uris.length === 1 && (args[0] === undefined || pathOf(asUri(args[0])) === pathOf(first));
  for (const uri of uris) {
    const target = isOne ? (args[1] ?? basename(pathOf(uri))) : join(args[1] ?? '.', pathOf(uri));
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, pieces(client, uri));
    io.out(`downloaded ${uri} to ${target}\n`);
  }
}

/** A file's content, a piece at a time. */
async function* pieces(client: SqlClient, uri: string): AsyncGenerator<Buffer> {
  const sql = "SELECT encode(varve_internal.userfile_get($1::STRING, $2::INT8, $3::INT8), 'base64')";
  for (let offset = 0; ; offset += PIECE_BYTES) {
    const result = await client.runWith(sql, [uri, String(offset), String(PIECE_BYTES)]);
    const piece = Buffer.from(result.rows[0]?.[0] ?? '', 'base64');
    yield piece;
    if (piece.length < PIECE_BYTES) return;
  }
}

async function remove(client: SqlClient, io: CommandIo, args: readonly string[]): Promise<void> {
  const [pattern, extra] = args;
  if (pattern === undefined || extra !== undefined) throw new UsageError('delete wants one PATTERN');
  const uris = await matching(client, pattern);
  if (uris.length === 0) throw new Error(`no files matched ${pattern}`);
  for (const uri of uris) {
    await client.runWith('SELECT varve_internal.userfile_delete($1::STRING)', [uri]);
    io.out(`deleted ${uri}\n`);
  }
}
