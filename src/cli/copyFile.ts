/**
 * A local file to a server by COPY, piece by piece: what `varve nodelocal upload` and `varve userfile upload` share.
 */
import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { basename, join, relative, sep } from 'node:path';

import { quoteLiteral } from '../catalog/names.ts';
import { UsageError } from './cliError.ts';
import type { CommandIo } from './command.ts';
import type { WireClient } from './wireClient.ts';

const PIECE_BYTES = 64 * 1024;
const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** One file, to a URI. `table`: the one in crdb_internal that stands for the kind of upload. */
export async function copyFile(client: WireClient, source: string, table: string, uri: string): Promise<void> {
  const copy = `COPY crdb_internal.${table} FROM STDIN WITH destination = ${quoteLiteral(uri)}`;
  await client.copyIn(copy, copyRows(source));
}

/** Each piece a row in COPY's text form. Latin-1 takes bytes as they are. */
async function* copyRows(source: string): AsyncGenerator<Buffer> {
  for await (const piece of createReadStream(source, { highWaterMark: PIECE_BYTES }) as AsyncIterable<Buffer>) {
    const text = piece.toString('latin1').replace(/[\\\n\r\t]/g, (char) => ESCAPES[char] as string);
    yield Buffer.from(`${text}\n`, 'latin1');
  }
}

export interface UploadRequest {
  readonly source: string;
  readonly destination: string | undefined;
  readonly isRecursive: boolean;
}

/**
 * The files that a request means, each by `upload(local file, path at the destination)`. As rsync: without a slash
 * behind it, a directory's own name becomes part of the destination. A UsageError for a directory that was not
 * asked for.
 */
export async function uploadAll(
  { source, destination = '', isRecursive }: UploadRequest,
  io: CommandIo,
  upload: (file: string, path: string) => Promise<string>,
): Promise<void> {
  const info = await stat(source);
  if (!info.isDirectory()) {
    const path = destination === '' || destination.endsWith('/') ? destination + basename(source) : destination;
    io.out(`successfully uploaded to ${await upload(source, path)}\n`);
    return;
  }
  if (!isRecursive) throw new UsageError(`${source} is a directory`, 'upload it with --recursive');
  const base = [destination.replace(/\/+$/, ''), source.endsWith('/') ? '' : basename(source)].filter(Boolean).join('/');
  const entries = await readdir(source, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => relative(source, join(entry.parentPath, entry.name)));
  for (const path of paths.sort()) {
    const name = path.split(sep).join('/');
    io.out(`uploading: ${name}\n`);
    io.out(`successfully uploaded to ${await upload(join(source, path), [base, name].filter(Boolean).join('/'))}\n`);
  }
}
