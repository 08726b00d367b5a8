/**
 * PgServer: listens for Postgres clients, gives each a Connection, and carries cancel requests.
 */
import { randomInt } from 'node:crypto';
import { createServer, type AddressInfo } from 'node:net';

import { StateError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { Timestamp } from '../../base/timestamp.ts';
import type { ServerCerts } from '../certs.ts';
import type { Database } from '../database.ts';
import { requireLoopback } from '../loopback.ts';
import { Connection } from './connection.ts';
import { type LoginPolicy, login } from './login.ts';
import { tlsStarter } from './tls.ts';

export interface PgServerOptions {
  readonly host: string;
  /** 0 picks a free port. */
  readonly port: number;
  /** Turns TLS and logins on. Without them everybody is let in, on a loopback address only. */
  readonly certs?: ServerCerts;
  /** With certificates: passwords are taken without TLS, too. */
  readonly acceptWithoutTls?: boolean;
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

/** 53300 when as many clients are connected as may be. Root is always let in, to look and to raise the limit. */
function requireRoom(database: Database, user: string, connected: number): void {
  const max = database.services.settings.number('server.max_connections_per_gateway');
  if (max < 0 || connected < max || user === 'root') return;
  throw new StateError(SqlState.TooManyConnections, 'sorry, too many clients already', {
    hint: `${max} may be connected: raise the cluster setting server.max_connections_per_gateway, or set it to -1 for no limit`,
  });
}

/** Listens. Rejects with the system's error when the address cannot be had, with 28000 for an open address without certificates. */
export async function startPgServer(database: Database, options: PgServerOptions): Promise<RunningPgServer> {
  const { certs } = options;
  if (!certs) requireLoopback(options.host);
  const policy: LoginPolicy = !certs ? 'trust' : options.acceptWithoutTls ? 'certificates or passwords without TLS' : 'certificates';
  const startTls = certs && tlsStarter(certs);
  const open = new Set<Connection>();
  const byProcessId = new Map<number, { connection: Connection; secretKey: number }>();
  let lastProcessId = 0;

  const server = createServer((socket) => {
    open.add(
      new Connection(socket, {
        startTls,
        ioClock: database.ioClock,
        async openSession(sessionOptions, channel) {
          const asked = sessionOptions.database ?? 'defaultdb';
          // Who may not log in learns nothing of databases and forks.
          const route = await database.forks.route(asked).catch((error: unknown) => ({ database, name: asked, error }));
          const { kv } = route.database;
          requireRoom(database, sessionOptions.user ?? '', byProcessId.size);
          await login(kv.at(kv.reading()), policy, sessionOptions.user ?? '', channel, kv.clock.nowMicros() as Timestamp);
          if ('error' in route) throw route.error;
          return await route.database.openSession({ ...sessionOptions, database: route.name });
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

  database.metrics.gauge({ name: 'sql.conns', help: 'Clients that have started a session' }, () => byProcessId.size);
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
