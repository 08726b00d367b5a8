/**
 * PgServer: listens for Postgres clients, gives each a Connection, and carries cancel requests.
 */
import { randomInt } from 'node:crypto';
import { createServer, type AddressInfo } from 'node:net';

import type { Database } from '../database.ts';
import { Connection } from './connection.ts';

export interface PgServerOptions {
  readonly host: string;
  /** 0 picks a free port. */
  readonly port: number;
}

export interface RunningPgServer {
  readonly host: string;
  readonly port: number;
  /** Clients that have started a session. */
  readonly connectionCount: number;
  /** Ends every connection with 57P01 and stops listening. */
  close(): Promise<void>;
}

const SECRET_MAX = 2 ** 31 - 1;

/** Listens. Rejects with the system's error when the address cannot be had. */
export function startPgServer(database: Database, options: PgServerOptions): Promise<RunningPgServer> {
  const open = new Set<Connection>();
  const byProcessId = new Map<number, { connection: Connection; secretKey: number }>();
  let lastProcessId = 0;

  const server = createServer((socket) => {
    open.add(
      new Connection(socket, {
        async openSession(sessionOptions) {
          const { database: target, name } = await database.forks.route(sessionOptions.database ?? 'defaultdb');
          await target.requireDatabase(name);
          return target.newSession({ ...sessionOptions, database: name });
        },
        register(connection) {
          const processId = ++lastProcessId;
          const secretKey = randomInt(1, SECRET_MAX);
          byProcessId.set(processId, { connection, secretKey });
          return { processId, secretKey };
        },
        cancel(processId, secretKey) {
          const target = byProcessId.get(processId);
          if (target?.secretKey === secretKey) target.connection.cancel();
        },
        unregister(connection) {
          open.delete(connection);
          for (const [processId, entry] of byProcessId) if (entry.connection === connection) byProcessId.delete(processId);
        },
      }),
    );
  });

  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, () => {
      server.off('error', reject);
      resolve({
        host: options.host,
        port: (server.address() as AddressInfo).port,
        get connectionCount() {
          return byProcessId.size;
        },
        close: () =>
          new Promise<void>((done) => {
            server.close(() => done());
            for (const connection of [...open]) connection.shutDown();
          }),
      });
    });
  });
}
