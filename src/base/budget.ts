/**
 * Budget: one number of bytes for everything that grows with the user's data.
 *
 *        0            soft                hard = limit
 *        |--------------|------------------|----- - -   reserve: what the budget does not count
 *          all goes on    relief is sought   what grows is refused, what shrinks goes on
 *
 *   B1  used = the gauge's answer (what stores hold) + every holding (what work under way buffers)
 *   B2  counting allocates nothing: a holding is made once for a piece of work, not for a row
 *   B3  a holding that is released, once or twice, counts nothing
 *
 * Counts only: it neither knows what to do at the limits nor how to word a refusal (kv/memory.ts).
 */

/** What work under way holds: uncommitted writes; rows kept for sorts, joins and groups; results not yet sent. */
export type BufferAccount = 'transactions' | 'sorts' | 'results';

/** Where relief is sought, as a share of the limit. */
export const SOFT_SHARE = 0.85;

export class Budget {
  readonly limitBytes: number;
  readonly softBytes: number;
  readonly #gauge: () => number;
  readonly #buffers: Record<BufferAccount, number> = { transactions: 0, sorts: 0, results: 0 };
  #buffered = 0;

  /** `gauge`: bytes that are held besides the holdings; asked for often. An infinite limit is none. */
  constructor(limitBytes: number, gauge: () => number) {
    this.limitBytes = limitBytes;
    this.softBytes = limitBytes * SOFT_SHARE;
    this.#gauge = gauge;
  }

  get usedBytes(): number {
    return this.#gauge() + this.#buffered;
  }

  get isAboveSoft(): boolean {
    return this.usedBytes > this.softBytes;
  }

  get isExceeded(): boolean {
    return this.usedBytes > this.limitBytes;
  }

  /** Whether so many bytes more stay within the limit. */
  fits(bytes: number): boolean {
    return this.usedBytes + bytes <= this.limitBytes;
  }

  buffered(account: BufferAccount): number {
    return this.#buffers[account];
  }

  hold(account: BufferAccount): Holding {
    return new Holding(this, account);
  }

  /** For holdings. */
  count(account: BufferAccount, change: number): void {
    this.#buffers[account] += change;
    this.#buffered += change;
  }
}

/** What one piece of work holds. */
export class Holding {
  readonly #budget: Budget;
  readonly #account: BufferAccount;
  #bytes = 0;

  constructor(budget: Budget, account: BufferAccount) {
    this.#budget = budget;
    this.#account = account;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Never refused: whoever can be asks fits() first. */
  resize(bytes: number): void {
    if (bytes === this.#bytes) return;
    this.#budget.count(this.#account, bytes - this.#bytes);
    this.#bytes = bytes;
  }

  release(): void {
    this.resize(0);
  }
}
