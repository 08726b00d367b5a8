/**
 * A command of the `varve` program: its name, its flags, what it does. main.ts lists them.
 */
import type { FlagDefinitions, Flags } from './flags.ts';

/** What a command may touch of the process: streams, and a clock for durations. */
export interface CommandIo {
  out(text: string): void;
  err(text: string): void;
  /** True when standard output is a terminal. */
  readonly isTerminal: boolean;
  /** Microseconds of a clock that never steps back; for measuring only. */
  monotonicMicros(): number;
}

export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  readonly usage: string;
  readonly flags: FlagDefinitions;
  /** Returns the exit status. Throws UsageError for bad arguments, any error for a failure (status 1). */
  run(flags: Flags, io: CommandIo): Promise<number>;
}
