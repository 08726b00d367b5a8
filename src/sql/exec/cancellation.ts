/**
 * What ends a statement early at its caller's wish. Time limits are timeLimits.ts's.
 */
const NOTHING = (): void => {};

/** Calls `cancel` when the signal aborts, or at once when it has. */
export function linkAbort(signal: AbortSignal | undefined, cancel: () => void): () => void {
  if (!signal) return NOTHING;
  if (signal.aborted) cancel();
  else signal.addEventListener('abort', cancel, { once: true });
  return () => signal.removeEventListener('abort', cancel);
}
