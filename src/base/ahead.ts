/**
 * Ahead: what an asynchronous source gives, one step before it is asked for: the next one is on its way while the last one
 * is used. The first step begins at once.
 *
 * Whoever stops before the end closes it, so that nothing goes on behind, and the source can clean up.
 */
export class Ahead<T> {
  readonly #source: AsyncIterator<T>;
  #step: Promise<IteratorResult<T>>;

  constructor(source: AsyncIterable<T>) {
    this.#source = source[Symbol.asyncIterator]();
    this.#step = this.#begin();
  }

  /** Undefined at the end, and ever after. Throws what the source throws. */
  async next(): Promise<T | undefined> {
    const result = await this.#step;
    if (result.done) return undefined;
    this.#step = this.#begin();
    return result.value;
  }

  /** Waits for the step under way. */
  async close(): Promise<void> {
    await this.#step.catch(() => undefined);
    await this.#source.return?.(undefined);
  }

  #begin(): Promise<IteratorResult<T>> {
    const step = this.#source.next();
    // Who comes for it gets the error; nobody has to come.
    step.catch(() => {});
    return step;
  }
}
