/**
 * `varve workload init|run bank`: fills a table, or runs transfers on it and reports throughput.
 */
import { MICROS_PER_SECOND } from '../base/duration.ts';
import { seededRandom } from '../base/random.ts';
import type { Command } from './command.ts';
import { UsageError } from './cliError.ts';
import type { FlagDefinitions } from './flags.ts';
import { DEFAULT_URL, connectWire, serverUrl } from './wireClient.ts';
import { BANK_TABLE, INITIAL_BALANCE, initBank, transferStatement } from './workload/bank.ts';

const FLAGS: FlagDefinitions = {
  url: { type: 'string', value: 'URL', env: 'COCKROACH_URL', default: DEFAULT_URL, help: 'server to use' },
  rows: { type: 'string', value: 'N', default: '1000', help: 'accounts' },
  'payload-bytes': { type: 'string', value: 'N', default: '100', help: 'bytes of payload a row' },
  seed: { type: 'string', value: 'N', default: '1', help: 'seed of the generated rows and transfers' },
  drop: { type: 'boolean', help: 'drop the database first if it exists (init)' },
  duration: { type: 'string', value: 'TIME', default: '10s', help: 'how long to run (run)' },
  concurrency: { type: 'string', value: 'N', default: '4', help: 'connections (run)' },
};

const RETRY = '40001';

export const workloadCommand: Command = {
  name: 'workload',
  summary: 'fill a table (init) or run transfers on it (run)',
  usage: 'varve workload init|run bank [flags]',
  flags: FLAGS,
  async run(flags, io) {
    const [action, workload] = flags.positionals;
    if (action !== 'init' && action !== 'run') throw new UsageError(`unknown action "${action ?? ''}": want init or run`);
    if (workload !== 'bank') throw new UsageError(`unknown workload "${workload ?? ''}": want bank`);
    const url = serverUrl(flags.text('url') ?? DEFAULT_URL);
    const rows = flags.integer('rows', 1, 100_000_000) ?? 1000;
    const seed = flags.integer('seed', 0, Number.MAX_SAFE_INTEGER) ?? 1;

    if (action === 'init') {
      const client = await connectWire(url);
      try {
        const started = io.monotonicMicros();
        await initBank(client, { rows, seed, drop: flags.isSet('drop'), payloadBytes: flags.integer('payload-bytes', 8, 1_000_000) });
        const seconds = (io.monotonicMicros() - started) / MICROS_PER_SECOND;
        io.out(`imported ${BANK_TABLE}: ${rows} rows in ${seconds.toFixed(1)} s (${Math.round(rows / seconds)} rows/s)\n`);
      } finally {
        await client.close();
      }
      return 0;
    }

    const micros = flags.durationMicros('duration') ?? 10 * MICROS_PER_SECOND;
    const concurrency = flags.integer('concurrency', 1, 1000) ?? 4;
    const stats = { transfers: 0, retries: 0, latencies: [] as number[] };
    const started = io.monotonicMicros();
    const deadline = started + micros;
    const worker = async (index: number): Promise<void> => {
      const client = await connectWire(url);
      const random = seededRandom(`${seed}/${index}`);
      try {
        while (io.monotonicMicros() < deadline) {
          const begin = io.monotonicMicros();
          try {
            await client.run(transferStatement(random, rows));
          } catch (error) {
            if ((error as { code?: unknown }).code !== RETRY) throw error;
            stats.retries++;
            continue;
          }
          stats.transfers++;
          stats.latencies.push(io.monotonicMicros() - begin);
        }
      } finally {
        await client.close();
      }
    };
    const probe = await connectWire(url);
    try {
      const count = await probe.run(`SELECT count(*) FROM ${BANK_TABLE}`);
      if (Number(count.rows[0]?.[0]) < rows)
        throw new UsageError(`${BANK_TABLE} has ${count.rows[0]?.[0]} rows, fewer than --rows ${rows}`);
      await Promise.all(Array.from({ length: concurrency }, (_, index) => worker(index)));
      const seconds = (io.monotonicMicros() - started) / MICROS_PER_SECOND;
      stats.latencies.sort((a, b) => a - b);
      const percentile = (fraction: number) => ((stats.latencies[Math.floor(stats.latencies.length * fraction)] ?? 0) / 1000).toFixed(1);
      io.out('_elapsed___transfers____ops/sec__retries__p50(ms)__p95(ms)__p99(ms)\n');
      io.out(
        `${`${seconds.toFixed(1)}s`.padStart(8)} ${String(stats.transfers).padStart(11)} ${(stats.transfers / seconds).toFixed(1).padStart(10)} ` +
          `${String(stats.retries).padStart(8)} ${percentile(0.5).padStart(8)} ${percentile(0.95).padStart(8)} ${percentile(0.99).padStart(8)}\n`,
      );
      const total = await probe.run(`SELECT sum(balance) FROM ${BANK_TABLE}`);
      const expected = Number(count.rows[0]?.[0]) * INITIAL_BALANCE;
      const conserved = Number(total.rows[0]?.[0]) === expected;
      io.out(`total balance ${total.rows[0]?.[0]}, ${conserved ? 'as it began' : `expected ${expected}`}\n`);
      return conserved ? 0 : 1;
    } finally {
      await probe.close();
    }
  },
};
