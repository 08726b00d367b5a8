/**
 * The results of an asynchronous function over a list, in the list's order, with so many calls under
 * way at once. The first failure is thrown once the calls under way have ended; no call starts after it.
 */
export async function mapConcurrently<T, R>(items: readonly T[], concurrencyMax: number, fn: (item: T) => Promise<R>): Promise<R[]> {
  const results = new Array<R>(items.length);
  let next = 0;
  let failure: { error: unknown } | undefined;
  const worker = async (): Promise<void> => {
    while (next < items.length && !failure) {
      const index = next++;
      try {
        results[index] = await fn(items[index] as T);
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrencyMax, items.length) }, worker));
  if (failure) throw failure.error;
  return results;
}
