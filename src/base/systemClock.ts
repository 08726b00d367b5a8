/**
 * SystemClock: the machine's time and timers. The only file that touches either.
 *
 * Now is the process's start time plus the monotonic clock, re-anchored when the wall clock has
 * moved away by more than a second (suspend, NTP step), so it is fine-grained and still follows the
 * machine. setTimeout takes at most 2^31-1 ms (24.8 days) and fires at once beyond that, so longer
 * delays are chained.
 */
import type { Clock, Timer } from './clock.ts';

/** The longest delay setTimeout takes, in milliseconds. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1;
const DRIFT_MICROS_MAX = 1_000_000;

export class SystemClock implements Clock {
  readonly isManual = false;
  /** Wall time minus monotonic time, in microseconds. */
  #anchorMicros: number = wallAnchor();

  nowMicros(): number {
    const monotonicMicros = performance.now() * 1000;
    const anchor = Date.now() * 1000 - monotonicMicros;
    if (Math.abs(anchor - this.#anchorMicros) > DRIFT_MICROS_MAX) this.#anchorMicros = anchor;
    return Math.floor(this.#anchorMicros + monotonicMicros);
  }

  setTimer(delayMicros: number, callback: () => void, { holdsProcess = false } = {}): Timer {
    let remainingMs = Math.max(0, Math.ceil(delayMicros / 1000));
    let handle: NodeJS.Timeout;
    const arm = () => {
      const stepMs = Math.min(remainingMs, TIMEOUT_MS_MAX);
      remainingMs -= stepMs;
      handle = setTimeout(remainingMs > 0 ? arm : callback, stepMs);
      if (!holdsProcess) handle.unref();
    };
    arm();
    return { cancel: () => clearTimeout(handle) };
  }
}

function wallAnchor(): number {
  return Date.now() * 1000 - performance.now() * 1000;
}
