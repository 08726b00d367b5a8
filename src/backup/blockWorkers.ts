/**
 * Block workers: threads that compress and encrypt blocks, and open them, in memory that they share with the main thread.
 *
 *   main thread    encode block 3 into its buffer     write block 1
 *   worker            block 2: content -> frame, in the same buffer
 *
 *   BW1  a buffer is the worker's from the call until its promise is settled; nothing is copied between threads
 *   BW2  workers start with the first large block, one less than there are cores, and stay. One that waits keeps no
 *        process alive
 *   BW3  a worker that dies fails what it had in hand, and the next call starts another; where no thread can be
 *        started, the caller's does the work
 *
 * Against the zlib functions that run on Node's thread pool: those make a stream object, its state and two output
 * buffers a block, all of which the main thread's garbage collector has to see to, and leave cipher and checksum to it.
 */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';

import type { Opening, OpenedBlock, Sealing } from './blockCodec.ts';
import { blockCodec, CODEC } from './blockCodec.ts';

const WORKERS_MAX = 4;

interface StoreRequest {
  readonly rawSize: number;
  readonly entryCount: number;
  readonly sealing: Sealing | undefined;
}

interface OpenRequest {
  readonly frameSize: number;
  readonly opening: Opening | undefined;
}

type Request = ({ readonly store: StoreRequest } | { readonly open: OpenRequest }) & {
  readonly id: number;
  readonly memory: SharedArrayBuffer;
};

/** What came of it: the size of what is in the shared memory now, or what did not fit there, or what is wrong. */
type Answer = { readonly id: number } & (
  | { readonly size: number }
  | { readonly bytes: Uint8Array }
  | { readonly problem: Exclude<OpenedBlock, { content: Buffer }> }
  | { readonly error: string }
);

/** `buffer`, of takeBlockBuffer(), as BlockCodec.store(). */
export async function storeOnWorker(buffer: Buffer, request: StoreRequest): Promise<Buffer> {
  const worker = freeWorker();
  if (worker === undefined) return CODEC.store(buffer, request.rawSize, request.entryCount, request.sealing);
  const answer = await worker.call({ store: request, memory: buffer.buffer as unknown as SharedArrayBuffer });
  return contentOf(answer, buffer);
}

/** The first `frameSize` bytes of `buffer`, of takeBlockBuffer(), as BlockCodec.open(). The content replaces them where it fits. */
export async function openOnWorker(buffer: Buffer, request: OpenRequest): Promise<OpenedBlock> {
  const worker = freeWorker();
  if (worker === undefined) return CODEC.open(buffer.subarray(0, request.frameSize), request.opening);
  const answer = await worker.call({ open: request, memory: buffer.buffer as unknown as SharedArrayBuffer });
  return 'problem' in answer ? answer.problem : { content: contentOf(answer, buffer) };
}

function contentOf(answer: Answer, buffer: Buffer): Buffer {
  if ('size' in answer) return buffer.subarray(0, answer.size);
  if ('bytes' in answer) return Buffer.from(answer.bytes.buffer as ArrayBuffer, answer.bytes.byteOffset, answer.bytes.length);
  throw new Error('error' in answer ? answer.error : 'a block worker gave no answer');
}

// ---- in the worker ----------------------------------------------------------------------------

/** What a worker runs. Started from its text, as blockCodec() is. */
function serve(makeCodec: typeof blockCodec): void {
  const { parentPort } = process.getBuiltinModule('node:worker_threads');
  const codec = makeCodec({ zlib: process.getBuiltinModule('node:zlib'), crypto: process.getBuiltinModule('node:crypto') });

  /** Into the shared memory where it fits, else along with the answer. */
  const place = (content: Buffer, memory: Buffer): { size: number } | { bytes: Uint8Array } => {
    if (content.buffer === memory.buffer) return { size: content.length };
    if (content.length > memory.length) return { bytes: content };
    memory.set(content);
    return { size: content.length };
  };
  const work = (request: Request) => {
    const memory = Buffer.from(request.memory);
    if ('store' in request) {
      const { rawSize, entryCount, sealing } = request.store;
      return place(codec.store(memory, rawSize, entryCount, sealing), memory);
    }
    const { frameSize, opening } = request.open;
    const opened = codec.open(memory.subarray(0, frameSize), opening);
    return 'content' in opened ? place(opened.content, memory) : { problem: opened };
  };
  parentPort?.on('message', (request: Request) => {
    let answer: object;
    try {
      answer = work(request);
    } catch (error) {
      answer = { error: (error as Error).message };
    }
    parentPort.postMessage({ id: request.id, ...answer });
  });
}

// ---- beside it --------------------------------------------------------------------------------

interface Waiting {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
}

class BlockWorker {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;

  /** Throws where this process may start no threads. */
  constructor(onEnd: (worker: BlockWorker) => void) {
    this.#worker = new Worker(`(${serve})(${blockCodec})`, { eval: true, execArgv: [], name: 'varve blocks' });
    this.#worker.unref();
    this.#worker.on('message', (answer: Answer) => {
      const waiting = this.#waiting.get(answer.id);
      this.#waiting.delete(answer.id);
      if (this.#waiting.size === 0) this.#worker.unref();
      waiting?.resolve(answer);
    });
    const end = (error: Error) => {
      onEnd(this);
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
    };
    this.#worker.on('error', end);
    this.#worker.on('exit', (code) => end(new Error(`a block worker ended with code ${code}`)));
  }

  get load(): number {
    return this.#waiting.size;
  }

  call(
    request: ({ readonly store: StoreRequest } | { readonly open: OpenRequest }) & { readonly memory: SharedArrayBuffer },
  ): Promise<Answer> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      if (this.#waiting.size === 0) this.#worker.ref();
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ ...request, id });
    });
  }
}

const workers: BlockWorker[] = [];
let mayStart = true;

/** The one with the least to do; undefined where there are no threads. */
function freeWorker(): BlockWorker | undefined {
  const least = workers.reduce<BlockWorker | undefined>((a, b) => (a !== undefined && a.load <= b.load ? a : b), undefined);
  if (least?.load === 0 || !mayStart || workers.length >= Math.max(1, Math.min(WORKERS_MAX, availableParallelism() - 1))) return least;
  try {
    const started = new BlockWorker((ended) => {
      const at = workers.indexOf(ended);
      if (at >= 0) workers.splice(at, 1);
    });
    workers.push(started);
    return started;
  } catch {
    mayStart = false;
    return least;
  }
}
