/**
 * SqlClient over the Postgres protocol, through the `pg` package.
 *
 * pg hands out parsed values and drops all but the first word of the command tag, so values are
 * taken as the text that the server sent and the tag is read from the protocol message itself.
 */
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Writable } from 'node:stream';

import { UsageError } from './cliError.ts';
import { type ClientNotice, NUMERIC_OIDS, type SqlClient } from './sqlClient.ts';
import type { TextResult } from './resultFormat.ts';

/** Where nothing says otherwise. */
export const DEFAULT_URL = 'postgresql://root@localhost:26257/defaultdb?sslmode=disable';

const AS_TEXT = { getTypeParser: () => (value: string) => value };

/**
 * A server's URL with database and user replaced where given. A UsageError says what is wrong with
 * it, and never repeats it: it may hold a password.
 */
export function serverUrl(
  text: string,
  change: { database?: string | undefined; user?: string | undefined; certsDir?: string | undefined } = {},
): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !['postgres:', 'postgresql:'].includes(url.protocol)) {
    throw new UsageError(
      url ? `--url: the scheme "${url.protocol.slice(0, -1)}" is not postgresql` : '--url is not a URL',
      `write it as ${DEFAULT_URL}`,
    );
  }
  try {
    decodeURIComponent(`${url.username}${url.password}${url.pathname}`);
  } catch {
    throw new UsageError('--url: user, password or database is not percent-encoded correctly', 'write % as %25');
  }
  if (change.database !== undefined) url.pathname = `/${encodeURIComponent(change.database)}`;
  if (change.user !== undefined) url.username = encodeURIComponent(change.user);
  if (change.certsDir !== undefined) addCerts(url, change.certsDir);
  return url.href;
}

/** The files of a certificates directory, where the URL says nothing else. Without a client certificate the password counts. */
function addCerts(url: URL, directory: string): void {
  const user = decodeURIComponent(url.username) || 'root';
  const { searchParams } = url;
  const add = (name: string, value: string): void => {
    if (!searchParams.has(name)) searchParams.set(name, value);
  };
  if (searchParams.get('sslmode') === 'disable') searchParams.delete('sslmode');
  add('sslmode', 'verify-full');
  add('sslrootcert', join(directory, 'ca.crt'));
  if (!existsSync(join(directory, `client.${user}.crt`))) return;
  add('sslcert', join(directory, `client.${user}.crt`));
  add('sslkey', join(directory, `client.${user}.key`));
}

/** A client over the wire also carries COPY's data. */
export interface WireClient extends SqlClient {
  /** Runs COPY ... FROM STDIN with what `rows` gives, piece by piece. Throws what the server reported. */
  copyIn(sql: string, rows: AsyncIterable<Buffer>): Promise<void>;
}

/** What of pg's connection COPY takes. */
interface CopyChannel {
  readonly stream: Writable;
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
  sendCopyFail(message: string): void;
}

/** Connects. Throws pg's error when nobody listens, or the server's when it refuses. */
export async function connectWire(url: string): Promise<WireClient> {
  const { default: pg } = await import('pg');
  const client = new pg.Client({ connectionString: url, application_name: '$ varve sql' });
  const listeners: ((notice: ClientNotice) => void)[] = [];
  client.on('notice', (notice) => {
    for (const listener of listeners) {
      listener({ severity: notice.severity ?? 'NOTICE', message: notice.message ?? '', detail: notice.detail, hint: notice.hint });
    }
  });
  // A connection that ends while idle reports itself here; the next statement says so too.
  client.on('error', () => {});
  try {
    await client.connect();
  } catch (error) {
    if (isRefused(error)) Object.assign(error, { hint: 'is the server running? start one with: varve start' });
    throw error;
  }

  let tag = '';
  const { connection, processID, secretKey } = client as unknown as {
    connection: { on(event: 'commandComplete', listener: (message: { text: string }) => void): void };
    processID: number;
    secretKey: number;
  };
  connection.on('commandComplete', (message) => {
    tag = message.text;
  });

  const query = async (text: string, values?: unknown[]): Promise<TextResult> => {
    tag = '';
    const result = await client.query({ text, rowMode: 'array', types: AS_TEXT, ...(values ? { values } : {}) } as never);
    const { fields, rows } = result as unknown as { fields: { name: string; dataTypeID: number }[]; rows: (string | null)[][] };
    if (!fields || fields.length === 0) return { tag, rows: [] };
    return { tag, columns: fields.map((field) => ({ name: field.name, isNumeric: NUMERIC_OIDS.has(field.dataTypeID) })), rows };
  };

  return {
    user: client.user ?? 'root',
    run: (sql) => query(sql),
    runWith: (sql, parameters) => query(sql, [...parameters]),
    async copyIn(sql, rows) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      let isOver = false;
      const Query = pg.Query as unknown as new (sql: string, done: (error: Error | null) => void) => object;
      const copying = new Query(sql, (error) => {
        isOver = true;
        if (error) reject(error);
        else resolve();
      });
      const pump = async (channel: CopyChannel): Promise<void> => {
        for await (const row of rows) {
          // The server has said what is wrong: nobody takes the rest.
          if (isOver) return;
          channel.sendCopyFromChunk(row);
          if (channel.stream.writableNeedDrain) await once(channel.stream, 'drain');
        }
        if (!isOver) channel.endCopyFrom();
      };
      Object.assign(copying, {
        handleCopyInResponse: (channel: CopyChannel) => {
          pump(channel).catch((error: Error) => {
            channel.sendCopyFail(error.message);
            reject(error);
          });
        },
      });
      client.query(copying as never);
      await promise;
    },
    async cancel() {
      await sendCancel(client.host, client.port, processID, secretKey);
    },
    onNotice(listener) {
      listeners.push(listener);
    },
    close: () => client.end(),
  };
}

function isRefused(error: unknown): error is Error {
  const [first] = error instanceof AggregateError ? error.errors : [error];
  return (first as { code?: unknown } | undefined)?.code === 'ECONNREFUSED';
}

/** A CancelRequest goes over a connection of its own, which the server closes without an answer. */
async function sendCancel(host: string, port: number, processId: number, secretKey: number): Promise<void> {
  const { connect } = await import('node:net');
  const packet = Buffer.alloc(16);
  packet.writeInt32BE(16, 0);
  packet.writeInt32BE(80877102, 4);
  packet.writeInt32BE(processId, 8);
  packet.writeInt32BE(secretKey, 12);
  await new Promise<void>((resolve, reject) => {
    const socket = connect({ host, port }, () => socket.end(packet));
    socket.on('error', reject);
    socket.on('close', () => resolve());
    socket.resume();
  });
}
