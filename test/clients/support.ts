/**
 * Clients under test: each program here takes a connection string and knows nothing of Varve.
 *
 * With PG_ORACLE_URL in the environment (`postgres://user@host:port/postgres`) the same programs run
 * against that PostgreSQL instead, in a database of their own: what they expect is what it answers.
 */
import pg from 'pg';

import { open } from '../../src/index.ts';

export interface ClientsServer {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
  /** True when a real PostgreSQL answers. */
  readonly isPostgres: boolean;
  close(): Promise<void>;
}

/** What a program written for PostgreSQL asks for when it connects: 4-byte INTEGER, and SERIAL by sequences. */
const POSTGRES_DEFAULTS = '-c default_int_size=4 -c serial_normalization=sql_sequence -c catalog_expressions=postgres';

/** An empty database behind a socket. `postgresDefaults`: connections are as a program for PostgreSQL wants them. */
export async function startClientsServer(name: string, { postgresDefaults = true } = {}): Promise<ClientsServer> {
  const oracle = process.env['PG_ORACLE_URL'];
  if (oracle) return await onOracle(oracle, `clients_${name}`);
  const db = await open({ seed: name });
  const server = await db.listen();
  const url = new URL(server.url);
  const plain = { host: url.hostname, port: Number(url.port), user: url.username, database: url.pathname.slice(1) };
  return {
    ...plain,
    url: postgresDefaults ? `${server.url}&options=${encodeURIComponent(POSTGRES_DEFAULTS)}` : server.url,
    isPostgres: false,
    async close() {
      await server.close();
      await db.close();
    },
  };
}

async function onOracle(adminUrl: string, database: string): Promise<ClientsServer> {
  const admin = async (...statements: string[]): Promise<void> => {
    const client = new pg.Client({ connectionString: adminUrl });
    await client.connect();
    for (const statement of statements) await client.query(statement);
    await client.end();
  };
  const drop = `DROP DATABASE IF EXISTS ${database} WITH (FORCE)`;
  await admin(drop, `CREATE DATABASE ${database}`);
  const url = new URL(adminUrl);
  url.pathname = `/${database}`;
  return {
    url: url.href,
    host: url.hostname,
    port: Number(url.port),
    user: url.username,
    database,
    isPostgres: true,
    close: () => admin(drop),
  };
}

/** The error that a call ends with; fails the test when there is none. */
export async function errorOf(call: Promise<unknown>): Promise<pg.DatabaseError> {
  try {
    await call;
  } catch (error) {
    // Some clients put the server's error in another one.
    let cause = error as Error & { code?: string };
    while (cause.cause instanceof Error && !/^[0-9A-Z]{5}$/.test(cause.code ?? '')) cause = cause.cause as typeof cause;
    return cause as pg.DatabaseError;
  }
  throw new Error('the call succeeded');
}
