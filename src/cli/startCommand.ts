/**
 * `varve start`: a server, until SIGINT or SIGTERM.
 *
 * Without certificates it listens on loopback addresses only, lets everybody in without a password,
 * and says so: an open database on a network is an accident, not a default. With --certs-dir it
 * listens anywhere, and everybody logs in by certificate or password, over TLS.
 */
import { rename, rm, writeFile } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import { join, resolve } from 'node:path';

import { formatByteSize } from '../base/byteSize.ts';
import { LOG_CHANNELS, type LogChannel } from '../base/eventLog.ts';
import { ManualClock } from '../base/manualClock.ts';
import { SystemClock } from '../base/systemClock.ts';
import { VERSION } from '../base/version.ts';
import { loadServerCerts, type ServerCerts } from '../server/certs.ts';
import { Database } from '../server/database.ts';
import { startHttpServer } from '../server/httpServer.ts';
import { isLoopback } from '../server/loopback.ts';
import { MEMORY_BYTES_MIN } from '../server/openOptions.ts';
import { startPgServer } from '../server/pgwire/pgServer.ts';
import { sweepTemporaries } from '../storage/nodelocalTemporary.ts';
import { UsageError } from './cliError.ts';
import type { Command } from './command.ts';
import { EXTERNAL_IO_DIR_FLAG, EXTERNAL_IO_RULE_FLAGS, externalIoDir, externalIoRuleOptions } from './externalIoFlags.ts';
import type { FlagDefinitions } from './flags.ts';
import { startLog } from './logFile.ts';

const FLAGS: FlagDefinitions = {
  'listen-addr': {
    type: 'string',
    value: 'HOST:PORT',
    default: '127.0.0.1:26257',
    help: 'address for SQL clients; port 0 picks a free one',
  },
  'http-addr': {
    type: 'string',
    value: 'HOST:PORT',
    default: '127.0.0.1:8080',
    help: 'address of /health, /_status/vars and /metrics; port 0 picks a free one',
  },
  ...EXTERNAL_IO_DIR_FLAG,
  ...EXTERNAL_IO_RULE_FLAGS,
  nodes: { type: 'string', value: 'N', help: 'nodes of the cluster (default 1, or one for each --locality)' },
  locality: {
    type: 'string',
    value: 'TIERS',
    multiple: true,
    help: 'locality of the next node, such as region=us-east,zone=a; repeatable',
  },
  clock: { type: 'string', value: 'KIND', default: 'system', help: 'system, or manual: it moves by varve_internal.advance_clock only' },
  'clock-start': { type: 'string', value: 'TIME', help: 'where a manual clock starts (default now)' },
  'listening-url-file': { type: 'string', value: 'FILE', help: 'write the connection URL here once the server listens' },
  log: {
    type: 'string',
    value: 'FILE',
    help: 'append what happens to jobs, backups and schedules to this file, one JSON object a line; - for standard error',
  },
  'log-channels': { type: 'string', value: 'LIST', default: 'OPS,TELEMETRY', help: 'channels of events that --log writes' },
  memory: { type: 'string', value: 'SIZE', help: 'memory for data and work on it, such as 2GiB (default 70% of the heap limit)' },
  'certs-dir': { type: 'string', value: 'DIR', help: 'ca.crt, node.crt and node.key: turns TLS and logins on; varve cert makes them' },
  'accept-sql-without-tls': { type: 'boolean', help: 'with --certs-dir: take passwords without TLS, too' },
  insecure: { type: 'boolean', help: 'accepted for CockroachDB scripts: without --certs-dir it is so anyway' },
};

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

export const startCommand: Command = {
  name: 'start',
  summary: 'start a server',
  usage: 'varve start [flags]',
  flags: FLAGS,
  async run(flags, io) {
    if (flags.positionals.length > 0) throw new UsageError(`unexpected argument "${flags.positionals[0]}"`);
    const sqlAddress = flags.address('listen-addr', '127.0.0.1', 26257);
    const httpAddress = flags.address('http-addr', '127.0.0.1', 8080);
    const certsDir = flags.text('certs-dir');
    const acceptWithoutTls = flags.isSet('accept-sql-without-tls');
    if (certsDir === undefined) {
      for (const { host } of [sqlAddress, httpAddress]) refuseOpenAddress(host);
      if (acceptWithoutTls) throw new UsageError('--accept-sql-without-tls needs --certs-dir');
    } else if (flags.isSet('insecure')) throw new UsageError('--insecure and --certs-dir exclude each other');
    const certs = certsDir === undefined ? undefined : await loadServerCerts(certsDir);
    const localities = flags.all('locality');
    const nodes = flags.integer('nodes', 1, 64) ?? Math.max(1, localities.length);
    if (localities.length > nodes)
      throw new UsageError(
        `${localities.length} localities for ${nodes} ${nodes === 1 ? 'node' : 'nodes'}`,
        'give each node one --locality at most',
      );
    const kind = flags.text('clock');
    if (kind !== 'system' && kind !== 'manual') throw new UsageError(`unknown clock "${kind}": want system or manual`);
    const clockStart = flags.text('clock-start');
    if (kind === 'system' && clockStart !== undefined) throw new UsageError('--clock-start needs --clock manual');
    const system = new SystemClock();
    const clock = kind === 'manual' ? new ManualClock(clockStart ?? system.nowMicros()) : system;
    const ioDirectory = externalIoDir(flags);

    const memoryBytes = flags.bytes('memory', MEMORY_BYTES_MIN);
    const logFile = flags.text('log');
    const channels = channelsOf(flags.text('log-channels') ?? '');

    // From here on a signal ends the server in order, also while it starts.
    const { promise: stopped, resolve: stop } = Promise.withResolvers<NodeJS.Signals>();
    for (const signal of SIGNALS) process.once(signal, stop);
    // What to undo, newest first, whether the server was stopped or could not start.
    const undo: (() => Promise<void>)[] = [];
    try {
      const database = await Database.open({
        clock,
        nodes,
        localities,
        ...(memoryBytes === undefined ? {} : { memoryBytes }),
        ...(ioDirectory === undefined ? {} : { externalIoDir: ioDirectory }),
        ...externalIoRuleOptions(flags),
      });
      undo.unshift(() => database.close());
      if (logFile !== undefined) {
        // Closed after the database, which may still have something to say.
        undo.push(await startLog(database.kv.events, logFile, channels, io));
      }
      if (ioDirectory !== undefined) {
        // Beside the start, which does not wait for a large directory.
        const sweep = new AbortController();
        const swept = sweepTemporaries(ioDirectory, { nowMicros: system.nowMicros(), signal: sweep.signal });
        undo.unshift(async () => {
          sweep.abort();
          await swept;
        });
      }
      const pg = await listening('--listen-addr', startPgServer(database, { ...sqlAddress, ...(certs && { certs }), acceptWithoutTls }));
      undo.unshift(() => pg.close());
      const http = await listening(
        '--http-addr',
        startHttpServer({
          ...httpAddress,
          ...(certs && { certs }),
          isReady: () => database.kv.cluster.liveNodes().length > 0,
          metrics: database.metrics,
        }),
      );
      undo.unshift(() => http.close());
      const url = `postgresql://root@${urlHost(pg.host)}:${pg.port}/defaultdb?${urlParameters(certsDir)}`;
      const urlFile = flags.text('listening-url-file');
      if (urlFile !== undefined) {
        await writeUrlFile(urlFile, url);
        undo.unshift(() => rm(urlFile, { force: true }));
      }
      const facts: readonly (readonly [string, string])[] = [
        ['version', `Varve ${VERSION}`],
        ['sql', url],
        ['http', `${certs ? 'https' : 'http'}://${urlHost(http.host)}:${http.port}`],
        ['certificates', certsDir === undefined ? 'none' : resolve(certsDir)],
        ['external I/O path', ioDirectory ?? 'disabled'],
        ['memory', formatByteSize(database.kv.memory.budget.limitBytes)],
        ['clock', kind],
        [
          'nodes',
          database.kv.cluster.nodes.map((node) => `${node.id}${localities[node.id - 1] ? ` (${localities[node.id - 1]})` : ''}`).join(', '),
        ],
        ['clusterID', database.kv.clusterId],
      ];
      io.out(`Varve is running; stop it with Ctrl-C.\n${facts.map(([name, value]) => `${`${name}:`.padEnd(20)}${value}`).join('\n')}\n`);
      io.err(`WARNING: ${warning(certs, acceptWithoutTls)}all data is in memory.\n`);

      const signal = await stopped;
      io.out(`${signal} received, stopping\n`);
      return 0;
    } finally {
      for (const step of undo) await step();
      for (const signal of SIGNALS) process.off(signal, stop);
    }
  },
};

/** A server that listens; says which flag to change when its address cannot be had. */
async function listening<S>(flag: string, server: Promise<S>): Promise<S> {
  try {
    return await server;
  } catch (error) {
    throw Object.assign(error as Error, { hint: `choose another address with ${flag}; port 0 picks a free one` });
  }
}

/** Whoever waits for the file finds it whole: it appears under its name with its content. */
async function writeUrlFile(file: string, url: string): Promise<void> {
  const draft = `${file}.tmp`;
  try {
    await writeFile(draft, `${url}\n`);
    await rename(draft, file);
  } catch (error) {
    throw new Error(`cannot write --listening-url-file: ${(error as Error).message}`);
  }
}

/** Throws for a name that is no channel. */
function channelsOf(list: string): ReadonlySet<LogChannel> {
  const known = new Map<string, LogChannel>(LOG_CHANNELS.map((channel) => [channel, channel]));
  const channels = list.split(',').map((name) => {
    const channel = known.get(name.trim().toUpperCase());
    if (channel === undefined) throw new UsageError(`unknown channel "${name}" in --log-channels: want ${LOG_CHANNELS.join(', ')}`);
    return channel;
  });
  return new Set(channels);
}

function urlHost(host: string): string {
  // An address for every interface is none to connect to, and in no certificate.
  if (host === '0.0.0.0' || host === '::') return 'localhost';
  return isIPv6(host) ? `[${host}]` : host;
}

function warning(certs: ServerCerts | undefined, acceptWithoutTls: boolean): string {
  if (!certs) return 'every user may connect without a password: the server is for this machine only, and ';
  return acceptWithoutTls ? 'connections without TLS are accepted: everybody on the network can read them; ' : '';
}

/** How root connects: by its client certificate, if TLS is on. */
function urlParameters(certsDir: string | undefined): string {
  if (certsDir === undefined) return 'sslmode=disable';
  const file = (name: string): string => encodeURIComponent(join(resolve(certsDir), name));
  return `sslmode=verify-full&sslrootcert=${file('ca.crt')}&sslcert=${file('client.root.crt')}&sslkey=${file('client.root.key')}`;
}

/** Throws unless the address is a loopback one. */
function refuseOpenAddress(host: string): void {
  if (isLoopback(host)) return;
  throw new UsageError(
    `${host} can be reached from other machines, and there are no certificates`,
    'listen on 127.0.0.1 or [::1], or give --certs-dir: varve cert makes the files',
  );
}
