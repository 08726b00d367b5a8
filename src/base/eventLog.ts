/**
 * EventLog: what happens in a database that somebody may want to know later, as structured events on
 * CockroachDB's channels. One log a database; who wants to hear them subscribes.
 *
 *   OPS         what operators follow: statuses of jobs
 *   TELEMETRY   one event for each BACKUP, RESTORE and schedule of backups that is made
 *
 * Events say what is committed, after it is, and never hold a secret: who emits one gives redacted
 * text. Nobody listening costs nothing.
 */
export const LOG_CHANNELS = ['OPS', 'TELEMETRY'] as const;

export type LogChannel = (typeof LOG_CHANNELS)[number];

export type EventField = string | number | boolean | readonly string[];

/** Named as CockroachDB names them: `JobID`. What is undefined is left out. */
export type EventFields = Readonly<Record<string, EventField | undefined>>;

export interface LogEvent {
  readonly channel: LogChannel;
  /** `status_change`. */
  readonly type: string;
  /** Microseconds since the epoch. */
  readonly micros: number;
  readonly fields: EventFields;
}

export type LogSink = (event: LogEvent) => void;

export class EventLog {
  readonly #sinks = new Set<LogSink>();

  /** `sink` must not throw. Returns the function that removes it. */
  subscribe(sink: LogSink): () => void {
    this.#sinks.add(sink);
    return () => this.#sinks.delete(sink);
  }

  /** False: what costs something to tell need not be told. */
  get isHeard(): boolean {
    return this.#sinks.size > 0;
  }

  emit(event: LogEvent): void {
    for (const sink of this.#sinks) sink(event);
  }
}

/** The event as JSON; its time in nanoseconds, which a number of JavaScript cannot hold. */
export function eventJson({ type, micros, fields }: LogEvent): string {
  const rest = JSON.stringify({ EventType: type, ...fields });
  return `{"Timestamp":${micros}000,${rest.slice(1)}`;
}

/** A line of a log file, without its end. */
export function logLine(event: LogEvent): string {
  const seconds = Math.floor(event.micros / 1e6);
  const nanos = `${event.micros - seconds * 1e6}`.padStart(6, '0');
  return `{"channel":"${event.channel}","severity":"INFO","timestamp":"${seconds}.${nanos}000","event":${eventJson(event)}}`;
}
