/** The program in this process, with captured output. */
import { main } from '../../src/cli/main.ts';

export interface CommandOutcome {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command line; what it printed, and its status. */
export async function commandLine(...argv: string[]): Promise<CommandOutcome> {
  let out = '';
  let err = '';
  const status = await main(argv, {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    isTerminal: false,
    monotonicMicros: () => 0,
  });
  return { status, out, err };
}
