/**
 * Storage: what each adapter stores and reads in a second beside the bare client of the same server, a file of 64 MB as
 * backups write it; and a backup and a restore over a network: 20 ms added to every request.
 *
 * Rates are by the clock, and by the processor time of all threads of this process; ratios of adapters are of processor
 * time. The bare client's has the SHA-256 of what is stored, which a backup needs whatever the client.
 *
 * The servers are those of test/servers, each in its own process but for the one of Cloud Storage: nginx, Swift and
 * Azurite, where they are installed.
 */
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

import { mapConcurrently } from '../../src/base/mapConcurrently.ts';
import { seededRandom } from '../../src/base/random.ts';
import { SystemClock } from '../../src/base/systemClock.ts';
import { EVERYTHING } from '../../src/base/span.ts';
import { bankStatements } from '../../src/cli/workload/bank.ts';
import { open } from '../../src/index.ts';
import { openAzure } from '../../src/storage/azure/azureStorage.ts';
import type { ExternalStorage } from '../../src/storage/externalStorage.ts';
import { registerGcs } from '../../src/storage/gcs/registerGcs.ts';
import { registerHttp } from '../../src/storage/http/registerHttp.ts';
import { StorageRegistry } from '../../src/storage/registry.ts';
import { openS3 } from '../../src/storage/s3/s3Storage.ts';
import { ACCOUNT, CONTAINER, KEY, startAzurite } from '../../test/servers/azurite/azuriteServer.ts';
import { startGcs } from '../../test/servers/gcsServer.ts';
import type { ServerUnderTest } from '../../test/servers/process.ts';
import { ACCESS_KEY, SECRET_KEY, startSwift } from '../../test/servers/swiftServer.ts';
import { startNginx } from '../../test/servers/webServers.ts';
import { type BenchCase, type BenchRow, type Cost, collectGarbage, costOf, lesser, throughput, throughputs } from './bench.ts';

const FILE_BYTES = 64 << 20;
const CHUNK_BYTES = 1 << 20;
/** Of the adapters. */
const PART_BYTES = 8 << 20;
const TIMES = 5;
/** Processor time against that of the bare client. */
const RATIO_MAX = 1.5;
const LATENCY_MS = 20;
/** Of the throughput without latency. */
const OF_NO_LATENCY = 0.8;

/** The same transfers, cut into the same parts, without anything of Varve's. */
interface Bare {
  put(content: Buffer): Promise<unknown>;
  get(): Promise<number>;
}

interface Server {
  readonly name: string;
  start(folder: string): Promise<ServerUnderTest>;
  bare(uri: string): Promise<Bare>;
}

const SERVERS: readonly Server[] = [
  { name: 'http, nginx', start: startNginx, bare: bareHttp },
  { name: 's3, swift', start: startSwift, bare: bareS3 },
  { name: 'azure, azurite', start: startAzurite, bare: bareAzure },
  { name: 'gs, own server', start: startGcs, bare: bareGcs },
];

async function bareHttp(uri: string): Promise<Bare> {
  const url = new URL(uri);
  const headers = { authorization: `Basic ${Buffer.from(`${url.username}:${url.password}`).toString('base64')}` };
  const at = `${url.origin}${url.pathname}`;
  return {
    put: async (content) => (await fetch(at, { method: 'PUT', headers, body: content })).arrayBuffer(),
    get: async () => (await (await fetch(at, { headers })).arrayBuffer()).byteLength,
  };
}

async function bareS3(uri: string): Promise<Bare> {
  const { CompleteMultipartUploadCommand, CreateMultipartUploadCommand, GetObjectCommand, S3Client, UploadPartCommand } = await import(
    '@aws-sdk/client-s3'
  );
  const url = new URL(uri);
  const client = new S3Client({
    endpoint: url.searchParams.get('AWS_ENDPOINT') ?? '',
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId: ACCESS_KEY, secretAccessKey: SECRET_KEY },
  });
  const place = { Bucket: url.hostname, Key: url.pathname.slice(1) };
  return {
    put: async (content) => {
      const { UploadId } = await client.send(new CreateMultipartUploadCommand(place));
      const starts = Array.from({ length: Math.ceil(content.length / PART_BYTES) }, (_, index) => index * PART_BYTES);
      const Parts = await mapConcurrently(starts, 4, async (at) => {
        const PartNumber = at / PART_BYTES + 1;
        const Body = content.subarray(at, at + PART_BYTES);
        const { ETag } = await client.send(new UploadPartCommand({ ...place, UploadId, PartNumber, Body }));
        return { PartNumber, ETag };
      });
      await client.send(new CompleteMultipartUploadCommand({ ...place, UploadId, MultipartUpload: { Parts } }));
    },
    get: async () => ((await (await client.send(new GetObjectCommand(place))).Body?.transformToByteArray()) ?? []).length,
  };
}

async function bareAzure(uri: string): Promise<Bare> {
  const { BlobServiceClient, StorageSharedKeyCredential } = await import('@azure/storage-blob');
  const url = new URL(uri);
  const service = new BlobServiceClient(url.searchParams.get('AZURE_ENDPOINT') ?? '', new StorageSharedKeyCredential(ACCOUNT, KEY));
  const blob = service.getContainerClient(CONTAINER).getBlockBlobClient(url.pathname.slice(1));
  return {
    put: (content) => blob.uploadData(content, { blockSize: PART_BYTES, concurrency: 1, maxSingleShotSize: PART_BYTES }),
    get: async () => (await blob.downloadToBuffer(0, undefined, { concurrency: 1, blockSize: FILE_BYTES })).length,
  };
}

/** With a token that the adapter's own sign-in would get, and chunks of the adapter's size. */
async function bareGcs(uri: string): Promise<Bare> {
  const { JWT } = await import('google-auth-library');
  const url = new URL(uri);
  const endpoint = url.searchParams.get('GOOGLE_ENDPOINT') ?? '';
  const key = JSON.parse(Buffer.from(url.searchParams.get('CREDENTIALS') ?? '', 'base64').toString()) as Record<string, string>;
  const scope = 'https://www.googleapis.com/auth/devstorage.read_write';
  const jwt = new JWT({ email: String(key['client_email']), key: String(key['private_key']), scopes: [scope] });
  const request = jwt.transporter.request.bind(jwt.transporter);
  jwt.transporter.request = (options) => request({ ...options, url: `${endpoint}/token` });
  const authorization = `Bearer ${(await jwt.getAccessToken()).token}`;
  const name = encodeURIComponent(url.pathname.slice(1));
  const objects = `/storage/v1/b/${url.hostname}/o`;
  return {
    put: async (content) => {
      const begin = `${endpoint}/upload${objects}?uploadType=resumable&name=${name}`;
      const session = (await fetch(begin, { method: 'POST', headers: { authorization } })).headers.get('location') ?? '';
      for (let at = 0; at < content.length; at += PART_BYTES) {
        const end = Math.min(content.length, at + PART_BYTES);
        const range = `bytes ${at}-${end - 1}/${end === content.length ? end : '*'}`;
        await (await fetch(session, { method: 'PUT', headers: { 'content-range': range }, body: content.subarray(at, end) })).arrayBuffer();
      }
    },
    get: async () =>
      (await (await fetch(`${endpoint}${objects}/${name}?alt=media`, { headers: { authorization } })).arrayBuffer()).byteLength,
  };
}

async function adapters({ name, start, bare }: Server): Promise<BenchRow[]> {
  const folder = await mkdtemp(join(tmpdir(), 'varve-bench-'));
  const registry = new StorageRegistry();
  const clock = new SystemClock();
  const cloud = { clock, retry: { clock, random: seededRandom('bench') } };
  registerHttp(registry, cloud);
  registry.register('s3', (uri) => openS3(uri, cloud));
  registry.register('azure-blob', (uri) => openAzure(uri, cloud));
  registerGcs(registry, cloud);
  let server: ServerUnderTest | undefined;
  try {
    server = await start(folder);
    const storage = registry.open(server.uri('bench'), { user: 'root', nodeId: 1 });
    const other = await bare(server.uri('bench/bare'));
    const content = Buffer.from(seededRandom('bench').bytes(FILE_BYTES), 'latin1');
    const [write, bareWrite] = await best(
      () => storage.write('file', chunks(content)),
      async () => {
        digest(content);
        await other.put(content);
      },
    );
    const [read, bareRead] = await best(
      async () => {
        let bytes = 0;
        for await (const piece of storage.readStream('file')) bytes += piece.length;
        if (bytes !== FILE_BYTES) throw new Error(`${bytes} bytes came back`);
      },
      async () => {
        if ((await other.get()) !== FILE_BYTES) throw new Error('not all bytes came back');
      },
    );
    return [against(`storage write, ${name}`, write, bareWrite), against(`storage read, ${name}`, read, bareRead)];
  } catch (error) {
    return [{ name: `storage, ${name}`, measured: 'not installed', ceiling: String((error as Error).message).split('\n', 1)[0] ?? '' }];
  } finally {
    await registry.close();
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

function against(name: string, cost: Cost, bare: Cost): BenchRow {
  return {
    name,
    measured: throughputs(FILE_BYTES, cost),
    ceiling: `bare client ${throughputs(FILE_BYTES, bare)}`,
    ratio: cost.processorMs / bare.processorMs,
    aim: RATIO_MAX,
  };
}

/** The least costs of several, in turns. */
async function best(first: () => Promise<unknown>, second: () => Promise<unknown>): Promise<[Cost, Cost]> {
  let [one, other] = [await costOf(first), await costOf(second)];
  for (let i = 1; i < TIMES; i++) {
    one = lesser(one, await costOf(first));
    other = lesser(other, await costOf(second));
  }
  return [one, other];
}

/** Needed whatever the client: a backup compares it with what comes back. */
function digest(content: Buffer): void {
  const hash = createHash('sha256');
  for (let at = 0; at < content.length; at += CHUNK_BYTES) hash.update(content.subarray(at, at + CHUNK_BYTES));
  hash.digest();
}

/** As a backup hands a file over. */
async function* chunks(content: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.length; at += CHUNK_BYTES) yield content.subarray(at, at + CHUNK_BYTES);
}

/** Every call waits so long before it goes on. */
class Latency {
  ms = 0;
  calls = 0;

  wrap(inner: ExternalStorage): ExternalStorage {
    const slowed = async <T>(work: () => Promise<T>): Promise<T> => {
      await this.#wait();
      return await work();
    };
    const begin = () => this.#wait();
    return {
      uri: inner.uri,
      capabilities: inner.capabilities,
      write: (name, source, options) => slowed(() => inner.write(name, source, options)),
      read: (name, options) => slowed(() => inner.read(name, options)),
      async *readStream(name, options) {
        await begin();
        yield* inner.readStream(name, options);
      },
      size: (name) => slowed(() => inner.size(name)),
      list: (prefix, options) => slowed(() => inner.list(prefix, options)),
      delete: (name) => slowed(() => inner.delete(name)),
      close: () => inner.close(),
    };
  }

  async #wait(): Promise<void> {
    this.calls++;
    if (this.ms > 0) await wait(this.ms);
  }
}

async function network({ rows }: { rows: number }): Promise<BenchRow[]> {
  const latency = new Latency();
  const db = await open({ seed: 'bench', wrapStorage: (storage) => latency.wrap(storage) });
  try {
    const base = db.database.kv.stats(EVERYTHING).liveBytes;
    for (const { sql } of bankStatements({ rows })) await db.query(sql);
    const bytes = db.database.kv.stats(EVERYTHING).liveBytes - base;
    let at = 0;
    const measure = async (ms: number, work: () => Promise<unknown>): Promise<{ ms: number; calls: number }> => {
      latency.ms = ms;
      latency.calls = 0;
      collectGarbage();
      const start = performance.now();
      await work();
      const spent = performance.now() - start;
      latency.ms = 0;
      return { ms: spent, calls: latency.calls };
    };
    const backup = () => db.query(`BACKUP DATABASE bank INTO 'mem://bucket/${++at}'`);
    const restore = async () => {
      await db.query(`RESTORE DATABASE bank FROM LATEST IN 'mem://bucket/1' WITH new_db_name = 'bank${++at}'`);
    };
    const rowsOf: BenchRow[] = [];
    for (const [name, work] of [
      ['backup', backup],
      ['restore', restore],
    ] as const) {
      const [near, far] = [{ ms: Number.POSITIVE_INFINITY }, { ms: Number.POSITIVE_INFINITY, calls: 0 }];
      for (let i = 0; i < 3; i++) {
        near.ms = Math.min(near.ms, (await measure(0, work)).ms);
        if (name === 'restore') await db.query(`DROP DATABASE bank${at} CASCADE`);
        const one = await measure(LATENCY_MS, work);
        if (one.ms < far.ms) Object.assign(far, one);
        if (name === 'restore') await db.query(`DROP DATABASE bank${at} CASCADE`);
      }
      const share = near.ms / far.ms;
      rowsOf.push({
        name: `storage ${name}, ${LATENCY_MS} ms a request`,
        measured: `${throughput(bytes, far.ms)}, ${far.calls} requests`,
        ceiling: `without ${throughput(bytes, near.ms)}; ${Math.round((far.ms - near.ms) / LATENCY_MS)} waits`,
        ratio: 1 / share,
        aim: 1 / OF_NO_LATENCY,
      });
    }
    return rowsOf;
  } finally {
    await db.close();
  }
}

export const cases: readonly BenchCase[] = [
  {
    name: 'storage',
    run: async (context) => {
      const rows: BenchRow[] = [];
      for (const server of SERVERS) rows.push(...(await adapters(server)));
      return [...rows, ...(await network(context))];
    },
  },
];
