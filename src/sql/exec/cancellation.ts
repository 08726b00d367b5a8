/**
 * What ends a statement early: the caller's signal, and statement_timeout on the injected clock.
 * Each gives the function that stops listening.
 */
import type { Clock } from '../../base/clock.ts';

const NOTHING = (): void => {};

/** Calls `cancel` when the signal aborts, or at once when it has. */
export function linkAbort(signal: AbortSignal | undefined, cancel: () => void): () => void {
  if (!signal) return NOTHING;
  if (signal.aborted) cancel();
  else signal.addEventListener('abort', cancel, { once: true });
  return () => signal.removeEventListener('abort', cancel);
}

/** Calls `cancel` after `millisText` milliseconds, the text of statement_timeout; 0 is never. */
export function startTimeout(clock: Clock, millisText: string, cancel: (reason: string) => void): () => void {
  const millis = Number(millisText);
  if (!(millis > 0)) return NOTHING;
  const timer = clock.setTimer(millis * 1000, () => cancel('query execution canceled due to statement timeout'));
  return () => timer.cancel();
}
