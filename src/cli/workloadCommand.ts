/**
 * `varve workload init|run NAME`: fills a workload's tables, or runs its operations and reports throughput.
 */
import { MICROS_PER_SECOND } from '../base/duration.ts';
import { seededRandom } from '../base/random.ts';
import type { Command } from './command.ts';
import { UsageError } from './cliError.ts';
import type { FlagDefinitions } from './flags.ts';
import { DEFAULT_URL, connectWire, serverUrl } from './wireClient.ts';
import { BANK_TABLE, INITIAL_BALANCE } from './workload/bank.ts';
import { loadWorkload } from './workload/workload.ts';
import { findWorkload, WORKLOAD_NAMES } from './workload/workloads.ts';

const FLAGS: FlagDefinitions = {
  url: { type: 'string', value: 'URL', env: 'COCKROACH_URL', default: DEFAULT_URL, help: 'server to use' },
  rows: { type: 'string', value: 'N', help: 'rows of the largest table (default 1000; movr: 500 rides)' },
  'payload-bytes': { type: 'string', value: 'N', help: 'bytes of payload a row (bank, kv) or field (ycsb)' },
  seed: { type: 'string', value: 'N', default: '1', help: 'seed of the generated rows and operations' },
  drop: { type: 'boolean', help: 'drop the database first if it exists (init)' },
  duration: { type: 'string', value: 'TIME', default: '10s', help: 'how long to run (run)' },
  concurrency: { type: 'string', value: 'N', default: '4', help: 'connections (run)' },
};

const RETRY = '40001';

export const workloadCommand: Command = {
  name: 'workload',
  summary: 'fill tables (init) or run operations on them (run)',
  usage: `varve workload init|run ${WORKLOAD_NAMES.join('|')} [flags]`,
  flags: FLAGS,
  async run(flags, io) {
    const [action, name] = flags.positionals;
    if (action !== 'init' && action !== 'run') throw new UsageError(`unknown action "${action ?? ''}": want init or run`);
    const workload = findWorkload(name);
    if (!workload) throw new UsageError(`unknown workload "${name ?? ''}": want one of ${WORKLOAD_NAMES.join(', ')}`);
    const url = serverUrl(flags.text('url') ?? DEFAULT_URL);
    const rows = flags.integer('rows', 1, 100_000_000) ?? workload.defaultRows;
    const seed = flags.integer('seed', 0, Number.MAX_SAFE_INTEGER) ?? 1;

    if (action === 'init') {
      const client = await connectWire(url);
      try {
        const started = io.monotonicMicros();
        await loadWorkload(client, workload, {
          rows,
          seed,
          drop: flags.isSet('drop'),
          payloadBytes: flags.integer('payload-bytes', 8, 1_000_000),
        });
        const seconds = (io.monotonicMicros() - started) / MICROS_PER_SECOND;
        io.out(`imported ${workload.table}: ${rows} rows in ${seconds.toFixed(1)} s (${Math.round(rows / seconds)} rows/s)\n`);
      } finally {
        await client.close();
      }
      return 0;
    }

    const micros = flags.durationMicros('duration') ?? 10 * MICROS_PER_SECOND;
    const concurrency = flags.integer('concurrency', 1, 1000) ?? 4;
    const stats = { operations: 0, retries: 0, latencies: [] as number[] };
    const started = io.monotonicMicros();
    const deadline = started + micros;
    const worker = async (index: number): Promise<void> => {
      const client = await connectWire(url);
      const random = seededRandom(`${seed}/${index}`);
      try {
        while (io.monotonicMicros() < deadline) {
          const begin = io.monotonicMicros();
          try {
            await client.run(workload.operation(random, rows));
          } catch (error) {
            if ((error as { code?: unknown }).code !== RETRY) throw error;
            stats.retries++;
            continue;
          }
          stats.operations++;
          stats.latencies.push(io.monotonicMicros() - begin);
        }
      } finally {
        await client.close();
      }
    };
    const probe = await connectWire(url);
    try {
      const count = await probe.run(`SELECT count(*) FROM ${workload.table}`);
      if (Number(count.rows[0]?.[0]) < rows)
        throw new UsageError(`${workload.table} has ${count.rows[0]?.[0]} rows, fewer than --rows ${rows}`);
      await Promise.all(Array.from({ length: concurrency }, (_, index) => worker(index)));
      const seconds = (io.monotonicMicros() - started) / MICROS_PER_SECOND;
      stats.latencies.sort((a, b) => a - b);
      const percentile = (fraction: number) => ((stats.latencies[Math.floor(stats.latencies.length * fraction)] ?? 0) / 1000).toFixed(1);
      io.out('_elapsed__operations____ops/sec__retries__p50(ms)__p95(ms)__p99(ms)\n');
      io.out(
        `${`${seconds.toFixed(1)}s`.padStart(8)} ${String(stats.operations).padStart(11)} ${(stats.operations / seconds).toFixed(1).padStart(10)} ` +
          `${String(stats.retries).padStart(8)} ${percentile(0.5).padStart(8)} ${percentile(0.95).padStart(8)} ${percentile(0.99).padStart(8)}\n`,
      );
      // Transfers keep the total; the other workloads have nothing to prove.
      if (workload.table !== BANK_TABLE) return 0;
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
