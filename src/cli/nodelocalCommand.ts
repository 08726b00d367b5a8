/**
 * `varve nodelocal upload SOURCE DESTINATION`: a file, or a directory with --recursive, into the server's external IO
 * directory, over a SQL connection.
 *
 * Source: CockroachDB documentation, page "cockroach nodelocal upload".
 */
import { UsageError } from './cliError.ts';
import type { Command } from './command.ts';
import { connectionUrl, CONNECTION_FLAGS } from './connectionUrl.ts';
import { copyFile, uploadAll } from './copyFile.ts';
import type { FlagDefinitions } from './flags.ts';
import { connectWire } from './wireClient.ts';

const FLAGS: FlagDefinitions = {
  ...CONNECTION_FLAGS,
  recursive: { type: 'boolean', short: 'r', help: 'upload a directory with all files below it' },
};

export const nodelocalCommand: Command = {
  name: 'nodelocal',
  summary: "upload files into the server's external IO directory",
  usage: 'varve nodelocal upload SOURCE DESTINATION [flags]',
  flags: FLAGS,
  async run(flags, io) {
    const [action, source, destination, extra] = flags.positionals;
    if (action !== 'upload') throw new UsageError(`unknown action "${action ?? ''}": want upload`);
    if (source === undefined || destination === undefined || extra !== undefined) {
      throw new UsageError('upload wants SOURCE and DESTINATION');
    }
    const client = await connectWire(connectionUrl(flags, undefined));
    try {
      const result = await client.run('SELECT crdb_internal.node_id()');
      const root = `nodelocal://${result.rows[0]?.[0] ?? 1}/`;
      const request = { source, destination: destination.replace(/^\/+/, ''), isRecursive: flags.isSet('recursive') };
      await uploadAll(request, io, async (file, path) => {
        await copyFile(client, file, 'nodelocal_file_upload', root + path.split('/').map(encodeURIComponent).join('/'));
        return root + path;
      });
      return 0;
    } finally {
      await client.close();
    }
  },
};
