/**
 * Clock: the only source of time and timers.
 *
 * Everything that waits, waits on a Clock, so a test moves time by hand. SystemClock is the
 * machine's; ManualClock (manualClock.ts) moves only when told. Physical time may repeat or step
 * back; ordered time is the HLC's business (hlc.ts).
 */

/** A pending timer. Cancelling one that has fired, or twice, does nothing. */
export interface Timer {
  cancel(): void;
}

export interface TimerOptions {
  /** Keeps the process alive until then. */
  readonly holdsProcess?: boolean;
}

export interface Clock {
  /** Physical time: integer microseconds since the Unix epoch. */
  nowMicros(): number;
  /**
   * Calls `callback` once, no sooner than `delayMicros` from now. Any delay works, also beyond the
   * 24.8 days of setTimeout. A timer keeps the process alive only with `holdsProcess`: where somebody
   * waits for it, and for nothing else.
   */
  setTimer(delayMicros: number, callback: () => void, options?: TimerOptions): Timer;
  /** True for a clock that moves only when told. */
  readonly isManual: boolean;
}

/** Resolves after `delayMicros`; rejects with the signal's reason when it aborts first. */
export function sleep(clock: Clock, delayMicros: number, signal?: AbortSignal, options?: TimerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = () => {
      timer.cancel();
      reject(signal?.reason);
    };
    const timer = clock.setTimer(
      delayMicros,
      () => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      },
      options,
    );
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
