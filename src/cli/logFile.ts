/**
 * Log file: events of a database as JSON, one a line, appended to a file or written to standard error.
 *
 * A log that cannot be written is said once; the server goes on.
 */
import { createWriteStream } from 'node:fs';
import { open } from 'node:fs/promises';

import { type EventLog, type LogChannel, logLine } from '../base/eventLog.ts';
import type { CommandIo } from './command.ts';

/** What `--log` takes for standard error. */
export const LOG_TO_STDERR = '-';
/** Errors name places and users: nobody else on the machine has to read them. */
const FILE_MODE = 0o640;

/** Returns what ends it, once everything is written. Rejects when the file cannot be opened. */
export async function startLog(
  events: EventLog,
  file: string,
  channels: ReadonlySet<LogChannel>,
  io: CommandIo,
): Promise<() => Promise<void>> {
  const write = file === LOG_TO_STDERR ? { line: io.err, end: async () => {} } : await fileWriter(file, io);
  const stop = events.subscribe((event) => {
    if (channels.has(event.channel)) write.line(`${logLine(event)}\n`);
  });
  return async () => {
    stop();
    await write.end();
  };
}

async function fileWriter(file: string, io: CommandIo): Promise<{ line: (text: string) => void; end: () => Promise<void> }> {
  const handle = await open(file, 'a', FILE_MODE);
  const stream = createWriteStream(file, { fd: handle });
  let isBroken = false;
  stream.on('error', (error) => {
    if (!isBroken) io.err(`WARNING: the log ends here, ${file} cannot be written: ${error.message}\n`);
    isBroken = true;
  });
  return {
    line: (text) => {
      if (!isBroken) stream.write(text);
    },
    end: () => new Promise((resolve) => (isBroken ? resolve() : stream.end(() => resolve()))),
  };
}
