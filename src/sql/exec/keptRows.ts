/**
 * KeptRows: what an operator keeps in memory (rows to sort, the built side of a join, groups, a whole
 * result), counted against the memory budget batch by batch. Beyond it the statement fails with 53200.
 *
 * Whoever makes one releases it when the rows are given away, however the operator ends: `finally` in
 * a generator runs also when nobody asks for the rest.
 */
import type { BufferAccount, Holding } from '../../base/budget.ts';
import type { Kv } from '../../kv/kv.ts';
import type { Memory } from '../../kv/memory.ts';
import type { Datum } from '../../catalog/datum.ts';

/** What a kept key or group costs beside its own text: a place in a map, and an array. */
const KEY_BYTES = 80;
/** Keys are counted in lots, so that each costs an addition. */
const LOT_BYTES = 16 * 1024;

export class KeptRows {
  readonly #memory: Memory;
  readonly #holding: Holding;
  readonly #mayExceed: boolean;
  #lot = 0;

  /** `mayExceed`: counted, but never refused. */
  constructor(memory: Memory, account: BufferAccount, mayExceed = false) {
    this.#memory = memory;
    this.#holding = memory.hold(account);
    this.#mayExceed = mayExceed;
  }

  /** Counts rows that are kept from now on. Gives a promise when room has to be made; that rejects with 53200 when there is none. */
  add(rows: readonly (readonly Datum[])[]): Promise<void> | undefined {
    if (this.#memory.budget.limitBytes === Number.POSITIVE_INFINITY) return undefined;
    let bytes = 0;
    for (const row of rows) bytes += rowBytes(row);
    if (!this.#mayExceed) return this.#memory.growOrWait(this.#holding, bytes);
    this.#holding.resize(this.#holding.bytes + bytes);
    return undefined;
  }

  /** Counts one key, or one row that is kept by itself. Throws 53200 when there is no room. */
  addKey(key: unknown): void {
    this.addBytes(KEY_BYTES + (typeof key === 'string' ? key.length : 0));
  }

  addBytes(bytes: number): void {
    this.#lot += bytes;
    if (this.#lot < LOT_BYTES) return;
    this.#grow(this.#lot);
    this.#lot = 0;
  }

  #grow(bytes: number): void {
    if (this.#mayExceed) this.#holding.resize(this.#holding.bytes + bytes);
    else this.#memory.grow(this.#holding, bytes);
  }

  release(): void {
    this.#holding.release();
    this.#lot = 0;
  }
}

/** For one operator of one run. */
export function keptRows(
  run: { readonly context: { readonly engine: { readonly kv: Kv } } },
  account: BufferAccount = 'sorts',
  mayExceed = false,
): KeptRows {
  return new KeptRows(run.context.engine.kv.memory, account, mayExceed);
}

/** About what a row takes: its array, and what its values hold outside it. */
export function rowBytes(row: readonly Datum[]): number {
  let bytes = 48 + 8 * row.length;
  for (const value of row) {
    if (typeof value === 'string') bytes += 24 + value.length;
    else if (typeof value === 'number') bytes += 8;
    else if (typeof value === 'object' && value !== null) bytes += 100;
  }
  return bytes;
}
