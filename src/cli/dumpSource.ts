/**
 * The server that a dump is made of: one connection, one read-only transaction at one timestamp.
 *
 * Rows come by COPY TO STDOUT and are handed on as they arrive; nothing of them is kept.
 */
import type { CommandIo } from './command.ts';

/** The settings under which values have the texts that both dialects read back. */
const SETTINGS: readonly string[] = [
  "SET bytea_output = 'hex'",
  "SET datestyle = 'ISO, MDY'",
  "SET intervalstyle = 'postgres'",
  "SET timezone = 'UTC'",
  'SET extra_float_digits = 3',
  'SET statement_timeout = 0',
];

export interface DumpSource {
  /** Runs a statement; its rows as text. */
  rows(sql: string, parameters?: readonly (string | null)[]): Promise<(string | null)[][]>;
  /** The rows of a query as COPY's text format writes them, line by line, without the line ends. */
  copy(query: string, line: (text: string) => void): Promise<void>;
  close(): Promise<void>;
}

/** Connects and begins the transaction; `asOf`: any AS OF SYSTEM TIME value, now without one. */
export async function openDumpSource(url: string, asOf: string | undefined, echo: CommandIo['err'] | undefined): Promise<DumpSource> {
  const { default: pg } = await import('pg');
  const client = new pg.Client({ connectionString: url, application_name: '$ varve dump' });
  // A connection that ends while idle reports itself here; the next statement says so too.
  client.on('error', () => {});
  await client.connect();
  const query = async (text: string, values: readonly (string | null)[] = []): Promise<(string | null)[][]> => {
    echo?.(`> ${text}\n`);
    const types = { getTypeParser: () => (value: string) => value };
    const result = await client.query({ text, values: [...values], rowMode: 'array', types } as never);
    return (result as unknown as { rows: (string | null)[][] }).rows;
  };
  let onChunk: (chunk: Buffer) => void = () => {};
  const { connection } = client as unknown as {
    connection: { on(event: 'copyData', listener: (message: { chunk: Buffer }) => void): void };
  };
  connection.on('copyData', ({ chunk }) => onChunk(chunk));
  try {
    for (const setting of SETTINGS) await query(setting);
    const at = asOf ?? (await query('SELECT cluster_logical_timestamp()'))[0]?.[0] ?? '';
    await query('BEGIN');
    await query(`SET TRANSACTION AS OF SYSTEM TIME '${at.replaceAll("'", "''")}'`);
  } catch (error) {
    await client.end();
    throw error;
  }
  return {
    rows: query,
    async copy(select, line) {
      const lines = new LineSplitter(line);
      onChunk = (chunk) => lines.push(chunk);
      try {
        await query(`COPY (${select}) TO STDOUT`);
      } finally {
        onChunk = () => {};
      }
    },
    close: () => client.end(),
  };
}

const NEWLINE = 0x0a;

/** Cuts a stream of bytes into lines; a line may come in pieces, and so may a character. */
class LineSplitter {
  readonly #line: (text: string) => void;
  #rest: Buffer[] = [];

  constructor(line: (text: string) => void) {
    this.#line = line;
  }

  push(chunk: Buffer): void {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      const piece = chunk.subarray(start, end);
      this.#line(this.#rest.length === 0 ? piece.toString() : Buffer.concat([...this.#rest, piece]).toString());
      this.#rest = [];
      start = end + 1;
    }
    // The client uses the chunk's memory again.
    if (start < chunk.length) this.#rest.push(Buffer.from(chunk.subarray(start)));
  }
}
