/**
 * Block buffers: memory that blocks are encoded, stored and opened in, again and again, shared with the worker threads.
 *
 * A new buffer for each block would be as much memory as the table: the system has to map it, and V8 collects the whole
 * heap for every few dozens of MiB of buffers that come and go, however little there is to collect.
 *
 * Who takes a buffer gives it back once, when nobody reads or writes it any more. One that is never given back is the
 * garbage collector's.
 */

/** A block of the usual size, with room for its last entry and for what does not shrink. */
const USUAL_BYTES = (1 << 20) + (1 << 17) + 1024;
/** Kept for the next: what a backup and a restore beside each other have in their hands. */
const KEPT_MAX = 16;

const kept: Buffer[] = [];

/** At least so large; its content is anything. */
export function takeBlockBuffer(bytes: number): Buffer {
  if (bytes <= USUAL_BYTES) return kept.pop() ?? Buffer.from(new SharedArrayBuffer(USUAL_BYTES));
  return Buffer.from(new SharedArrayBuffer(bytes));
}

/** A buffer that takeBlockBuffer() gave. */
export function giveBlockBuffer(buffer: Buffer): void {
  if (buffer.length === USUAL_BYTES && kept.length < KEPT_MAX) kept.push(buffer);
}
