/**
 * The cluster of `varve demo`: a database, a SQL address and an HTTP address, all of which end with
 * the command.
 *
 * Ports that were asked for must be free; where none was, the usual one is tried and then any.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Database } from '../../server/database.ts';
import { startHttpServer } from '../../server/httpServer.ts';
import { startPgServer } from '../../server/pgwire/pgServer.ts';
import type { ExternalIoRuleOptions } from '../externalIoFlags.ts';

const HOST = '127.0.0.1';
const USUAL_SQL_PORT = 26257;
const USUAL_HTTP_PORT = 8080;

export interface DemoClusterOptions {
  /** One for each node; a node without one has none. */
  readonly nodes: number;
  readonly localities: readonly string[];
  readonly sqlPort: number | undefined;
  readonly httpPort: number | undefined;
  /** What users may reach outside the process; default: everything, by EXTERNALIOIMPLICITACCESS. */
  readonly rules?: ExternalIoRuleOptions;
}

export interface DemoCluster {
  readonly database: Database;
  /** host:port of the SQL server. */
  readonly sqlAddress: string;
  readonly httpAddress: string;
  /** What a client connects with. */
  url(databaseName: string): string;
  close(): Promise<void>;
}

/** Opens it. Throws what listening throws, after closing what was open. */
export async function openDemoCluster({ nodes, localities, sqlPort, httpPort, rules }: DemoClusterOptions): Promise<DemoCluster> {
  const externalIoDir = await mkdtemp(join(tmpdir(), 'varve-demo-'));
  // What to undo, newest first, whether the demo ends or cannot start.
  const undo: (() => Promise<void>)[] = [() => rm(externalIoDir, { recursive: true, force: true })];
  const close = async (): Promise<void> => {
    for (const step of undo.splice(0)) await step();
  };
  try {
    const database = await Database.open({ nodes, localities, externalIoDir, ...rules });
    undo.unshift(() => database.close());
    const pg = await onPort(sqlPort, USUAL_SQL_PORT, (port) => startPgServer(database, { host: HOST, port }));
    undo.unshift(() => pg.close());
    const http = await onPort(httpPort, USUAL_HTTP_PORT, (port) =>
      startHttpServer({
        host: HOST,
        port,
        isReady: () => database.kv.cluster.liveNodes().length > 0,
        metrics: database.metrics,
      }),
    );
    undo.unshift(() => http.close());
    return {
      database,
      sqlAddress: `${HOST}:${pg.port}`,
      httpAddress: `${HOST}:${http.port}`,
      url: (name) => `postgresql://root@${HOST}:${pg.port}/${encodeURIComponent(name)}?sslmode=disable`,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function onPort<S>(asked: number | undefined, usual: number, start: (port: number) => Promise<S>): Promise<S> {
  if (asked !== undefined) return start(asked);
  try {
    return await start(usual);
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'EADDRINUSE') throw error;
    return start(0);
  }
}
