/**
 * `npm run bench "sql wire"`: loads, point reads, updates and a sum over the wire, beside PostgreSQL where it
 * is installed: the same rows, the same `pg` client, the servers taking turns of a second or less.
 *
 * Ratios are PostgreSQL's rate over Varve's (time against time): 1 is equal, below 1 Varve is faster.
 * The server's CPU time a statement stands beside: on a machine that does other things too, eight
 * processes get more of it than one, and rates tell less than that.
 */
import { Buffer } from 'node:buffer';

import pg from 'pg';

import { seededRandom } from '../../src/base/random.ts';
import { bankPayloads } from './bankRows.ts';
import { type BenchCase, type BenchRow, rate } from './bench.ts';
import { type Server, startServers } from './servers.ts';

const STATEMENT_ROWS = 1000;
/** Rows that one server loads before it is the other's turn. */
const TURN_ROWS = 20_000;
const ROUNDS = 4;
const TURN_MS = 1000;
const SUM_RUNS = 7;

/** Work that was done, and the milliseconds it took. */
interface Tally {
  count: number;
  ms: number;
  /** CPU time of the server; NaN where the system does not tell. */
  cpuMs: number;
  readonly latencies: number[];
}

const noTally = (): Tally => ({ count: 0, ms: 0, cpuMs: 0, latencies: [] });

async function connect({ url }: Server, count: number): Promise<pg.Client[]> {
  return Promise.all(
    Array.from({ length: count }, async () => {
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      return client;
    }),
  );
}

/** COPY FROM STDIN as a query of the `pg` client, which has the messages but no call for it. */
class CopyIn {
  readonly #data: Buffer;
  readonly #sql: string;
  readonly #done: (error?: Error) => void;

  constructor(sql: string, data: Buffer, done: (error?: Error) => void) {
    this.#sql = sql;
    this.#data = data;
    this.#done = done;
  }

  submit(connection: { query(sql: string): void }): void {
    connection.query(this.#sql);
  }
  handleCopyInResponse(connection: { sendCopyFromChunk(chunk: Buffer): void; endCopyFrom(): void }): void {
    connection.sendCopyFromChunk(this.#data);
    connection.endCopyFrom();
  }
  handleCommandComplete(): void {}
  handleReadyForQuery(): void {
    this.#done();
  }
  handleError(error: Error): void {
    this.#done(error);
  }
}

const copyIn = (client: pg.Client, sql: string, data: Buffer): Promise<void> =>
  new Promise((resolve, reject) => {
    client.query(new CopyIn(sql, data, (error) => (error ? reject(error) : resolve())) as unknown as pg.Submittable);
  });

const createTable = (name: string): string => `CREATE TABLE ${name} (id INT8 PRIMARY KEY, balance INT8 NOT NULL, payload TEXT)`;

/** Loads rows [from, from + count) by one way or the other. */
type Load = (client: pg.Client, payloads: readonly string[], from: number, count: number) => Promise<void>;

const byInsert: Load = async (client, payloads, from, count) => {
  for (let first = from; first < from + count; first += STATEMENT_ROWS) {
    const values: string[] = [];
    for (let id = first; id < Math.min(first + STATEMENT_ROWS, from + count); id++) {
      values.push(`(${id}, 1000, '${payloads[id % payloads.length]}')`);
    }
    await client.query(`INSERT INTO bank VALUES ${values.join(', ')}`);
  }
};

const byCopy: Load = async (client, payloads, from, count) => {
  let text = '';
  for (let id = from; id < from + count; id++) text += `${id}\t1000\t${payloads[id % payloads.length]}\n`;
  await copyIn(client, 'COPY copied FROM STDIN', Buffer.from(text));
};

async function load(servers: readonly Server[], table: string, work: Load, rows: number): Promise<Tally[]> {
  const payloads = bankPayloads();
  const clients = await Promise.all(servers.map(async (server) => (await connect(server, 1))[0] as pg.Client));
  for (const client of clients) await client.query(createTable(table));
  const tallies = servers.map(noTally);
  for (let from = 0; from < rows; from += TURN_ROWS) {
    const count = Math.min(TURN_ROWS, rows - from);
    for (const [i, client] of clients.entries()) {
      const tally = tallies[i] as Tally;
      const start = performance.now();
      await work(client, payloads, from, count);
      tally.ms += performance.now() - start;
      tally.count += count;
    }
  }
  for (const client of clients) await client.end();
  return tallies;
}

/** One query by key, again and again, on so many connections; servers take turns. */
async function byKey(servers: readonly Server[], connections: number, name: string, text: string, rows: number): Promise<Tally[]> {
  const tallies = servers.map(noTally);
  const clients = await Promise.all(servers.map((server) => connect(server, connections)));
  for (let round = -1; round < ROUNDS; round++) {
    for (let i = 0; i < servers.length; i++) {
      // The first round warms up.
      const tally = round < 0 ? noTally() : (tallies[i] as Tally);
      const { cpuMs } = servers[i] as Server;
      const cpuBefore = cpuMs() ?? Number.NaN;
      const start = performance.now();
      await Promise.all(
        (clients[i] as pg.Client[]).map(async (client, number) => {
          const random = seededRandom(`${name}/${round}/${number}`);
          for (let now = start; now - start < TURN_MS; ) {
            await client.query({ name, text, values: [random.int(rows)] });
            const after = performance.now();
            tally.latencies.push(after - now);
            tally.count++;
            now = after;
          }
        }),
      );
      tally.ms += performance.now() - start;
      tally.cpuMs += (cpuMs() ?? Number.NaN) - cpuBefore;
    }
  }
  for (const client of clients.flat()) await client.end();
  return tallies;
}

async function sums(servers: readonly Server[]): Promise<Tally[]> {
  const tallies = servers.map(noTally);
  const clients = await Promise.all(servers.map(async (server) => (await connect(server, 1))[0] as pg.Client));
  for (let run = -1; run < SUM_RUNS; run++) {
    for (const [i, client] of clients.entries()) {
      const start = performance.now();
      await client.query('SELECT sum(balance) FROM bank');
      if (run >= 0) (tallies[i] as Tally).latencies.push(performance.now() - start);
    }
  }
  for (const client of clients) await client.end();
  return tallies.map((tally) => ({ ...tally, ms: percentile(tally, 0.5), count: 1 }));
}

const percentile = ({ latencies }: Tally, share: number): number =>
  latencies.sort((a, b) => a - b)[Math.floor(latencies.length * share)] ?? Number.NaN;
const costOf = ({ ms, count }: Tally): number => ms / count;

function compared(name: string, [ours, theirs]: readonly Tally[], text: (tally: Tally) => string, aim?: number): BenchRow {
  return {
    name: `sql wire ${name}`,
    measured: ours ? text(ours) : '',
    ...(ours && theirs && { ceiling: `postgres ${text(theirs)}`, ratio: costOf(ours) / costOf(theirs), ...(aim && { aim }) }),
  };
}

const rated = ({ count, ms }: Tally): string => rate(count, ms);
const withLatency = (tally: Tally): string =>
  `${rated(tally)}, p99 ${percentile(tally, 0.99).toFixed(2)} ms, CPU ${((tally.cpuMs / tally.count) * 1000).toFixed(0)} µs`;

async function run({ rows }: { rows: number }): Promise<BenchRow[]> {
  const servers = await startServers();
  const table: BenchRow[] = [];
  try {
    table.push(compared('INSERT of 1,000 rows', await load(servers, 'bank', byInsert, rows), rated, 1 / 1.5));
    table.push(compared('COPY', await load(servers, 'copied', byCopy, rows), rated));
    for (const connections of [1, 8]) {
      const read = await byKey(servers, connections, 'read', 'SELECT balance FROM bank WHERE id = $1', rows);
      table.push(compared(`point read, ${connections} conn.`, read, withLatency, 1));
    }
    for (const connections of [1, 8]) {
      const update = await byKey(servers, connections, 'add', 'UPDATE bank SET balance = balance + 1 WHERE id = $1', rows);
      table.push(compared(`update, ${connections} conn.`, update, withLatency, 1));
    }
    table.push(compared('sum', await sums(servers), ({ ms }) => `${ms.toFixed(1)} ms`));
  } finally {
    for (const server of servers) await server.stop();
  }
  return table;
}

export const cases: readonly BenchCase[] = [{ name: 'sql wire', run }];
