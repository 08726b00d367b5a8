/**
 * Block workers: threads that compress and encrypt blocks, and open them, in memory that they share with the main thread.
 *
 *   main thread    encode block 3 into its buffer     write block 1
 *   worker            block 2: content -> frame, in the same buffer
 *
 *   BW1  a buffer is the worker's from the call until its promise is settled; nothing is copied between threads
 *   BW2  workers start with the first large block, one less than there are cores, and stay. One that waits keeps no
 *        process alive
 *   BW3  a worker that dies fails what it had in hand, for nobody knows what is in the buffer then: a job tries again, and the
 *        next call starts another worker. One that never began has touched nothing: the caller's thread does its work, and
 *        all that comes after it, as where no thread can be started
 *
 * Against the zlib functions that run on Node's thread pool: those make a stream object, its state and two output
 * buffers a block, all of which the main thread's garbage collector has to see to, and leave cipher and checksum to it.
 */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';

import { StateError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';

import type { Opening, OpenedBlock, Sealing } from './blockCodec.ts';
import { blockCodec, CODEC } from './blockCodec.ts';

const WORKERS_MAX = 4;
/** What a worker says before it looks at work, in place of a request's id, which begin with 1. */
const BEGUN = 0;

interface StoreRequest {
  readonly rawSize: number;
  readonly entryCount: number;
  readonly sealing: Sealing | undefined;
}

interface OpenRequest {
  readonly frameSize: number;
  readonly opening: Opening | undefined;
}

type Work = ({ readonly store: StoreRequest } | { readonly open: OpenRequest }) & { readonly memory: SharedArrayBuffer };
type Request = Work & { readonly id: number };

/** What came of it: the size of what is in the shared memory now, or what did not fit there, or what is wrong. */
type Answer = { readonly id: number } & (
  | { readonly size: number }
  | { readonly bytes: Uint8Array }
  | { readonly problem: Exclude<OpenedBlock, { content: Buffer }> }
  | { readonly error: string }
);

/** `buffer`, of takeBlockBuffer(), as BlockCodec.store(). */
export async function storeOnWorker(buffer: Buffer, request: StoreRequest): Promise<Buffer> {
  const answer = await BLOCK_WORKERS.call({ store: request, memory: memoryOf(buffer) });
  if (answer === undefined) return CODEC.store(buffer, request.rawSize, request.entryCount, request.sealing);
  return contentOf(answer, buffer);
}

/** The first `frameSize` bytes of `buffer`, of takeBlockBuffer(), as BlockCodec.open(). The content replaces them where it fits. */
export async function openOnWorker(buffer: Buffer, request: OpenRequest): Promise<OpenedBlock> {
  const answer = await BLOCK_WORKERS.call({ open: request, memory: memoryOf(buffer) });
  if (answer === undefined) return CODEC.open(buffer.subarray(0, request.frameSize), request.opening);
  return 'problem' in answer ? answer.problem : { content: contentOf(answer, buffer) };
}

function memoryOf(buffer: Buffer): SharedArrayBuffer {
  return buffer.buffer as unknown as SharedArrayBuffer;
}

/** A worker died with a block in hand. Another attempt finds another worker. */
export class BlockWorkerError extends StateError {
  readonly isRetryable = true;

  constructor(cause: Error) {
    super(SqlState.InsufficientResources, `a thread that compresses and opens blocks has ended: ${cause.message}`, { cause });
  }
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
  // One that cannot be read would never be answered.
  parentPort?.on('messageerror', (error: Error) => {
    throw error;
  });
  parentPort?.on('message', (request: Request) => {
    let answer: object;
    try {
      answer = work(request);
    } catch (error) {
      answer = { error: (error as Error).message };
    }
    parentPort.postMessage({ id: request.id, ...answer });
  });
  // BEGUN: names of this file are not in a worker's reach.
  parentPort?.postMessage({ id: 0 });
}

// ---- beside it --------------------------------------------------------------------------------

/** The thread of a worker, which says that it has begun before it looks at work. Throws where this process may start none. */
export function startThread(): Worker {
  return new Worker(`(${serve})(${blockCodec})`, { eval: true, execArgv: [], name: 'varve blocks' });
}

interface Waiting {
  readonly resolve: (answer: Answer | undefined) => void;
  readonly reject: (error: Error) => void;
}

class BlockWorker {
  readonly #thread: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  #hasBegun = false;

  /** `onEnd`: `hasBegun` when it has come as far as to look at work. */
  constructor(thread: Worker, onEnd: (worker: BlockWorker, hasBegun: boolean) => void) {
    this.#thread = thread;
    thread.unref();
    thread.on('message', (answer: Answer | { readonly id: typeof BEGUN }) => {
      if (answer.id === BEGUN) {
        this.#hasBegun = true;
        return;
      }
      const waiting = this.#waiting.get(answer.id);
      this.#waiting.delete(answer.id);
      if (this.#waiting.size === 0) thread.unref();
      waiting?.resolve(answer as Answer);
    });
    let why: Error | undefined;
    thread.on('error', (error) => {
      why ??= error;
    });
    // Comes last, when all that the thread has said has been heard.
    thread.on('exit', (code) => {
      onEnd(this, this.#hasBegun);
      const error = why ?? new Error(`exit code ${code}`);
      for (const { resolve, reject } of this.#waiting.values()) {
        if (this.#hasBegun) reject(new BlockWorkerError(error));
        else resolve(undefined);
      }
      this.#waiting.clear();
    });
    // Whose answer it was cannot be read.
    thread.on('messageerror', () => void thread.terminate());
  }

  get load(): number {
    return this.#waiting.size;
  }

  /** Undefined when the worker never began. */
  call(work: Work): Promise<Answer | undefined> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#thread.postMessage({ ...work, id });
      if (this.#waiting.size === 0) this.#thread.ref();
      this.#waiting.set(id, { resolve, reject });
    });
  }
}

/** The workers of a process. */
export class BlockWorkers {
  readonly #workers: BlockWorker[] = [];
  #start: () => Worker;
  #mayStart = true;

  constructor(start: () => Worker = startThread) {
    this.#start = start;
  }

  /** Undefined where there are no threads: `work` is the caller's. BlockWorkerError when the thread ended. */
  async call(work: Work): Promise<Answer | undefined> {
    return await this.#free()?.call(work);
  }

  /** For tests: threads are started by `start` from now on; those that there are get no more work. */
  restart(start: () => Worker = startThread): void {
    this.#workers.length = 0;
    this.#mayStart = true;
    this.#start = start;
  }

  /** The one with the least to do; undefined where there are no threads. */
  #free(): BlockWorker | undefined {
    const workers = this.#workers;
    const least = workers.reduce<BlockWorker | undefined>((a, b) => (a !== undefined && a.load <= b.load ? a : b), undefined);
    const workersMax = Math.max(1, Math.min(WORKERS_MAX, availableParallelism() - 1));
    if (least?.load === 0 || !this.#mayStart || workers.length >= workersMax) return least;
    try {
      const started = new BlockWorker(this.#start(), (ended, hasBegun) => {
        const at = workers.indexOf(ended);
        if (at < 0) return;
        workers.splice(at, 1);
        if (!hasBegun) this.#mayStart = false;
      });
      workers.push(started);
      return started;
    } catch {
      this.#mayStart = false;
      return least;
    }
  }
}

export const BLOCK_WORKERS = new BlockWorkers();
