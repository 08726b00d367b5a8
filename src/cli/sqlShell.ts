/**
 * The interactive shell: a terminal's lines into a Shell, with history in a file and completion.
 *
 * Ctrl-C cancels a running statement, or drops what was typed; Ctrl-D and \q leave.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { errorReport } from './cliError.ts';
import { completions } from './shell/completion.ts';
import { LISTINGS } from './shell/listings.ts';
import { OPTION_NAMES } from './shell/options.ts';
import { Shell, type ShellSetup } from './shell/shell.ts';

const HISTORY_LINES_MAX = 2000;
const COMMAND_NAMES: readonly string[] = Object.freeze(
  [
    ...new Set([
      ...LISTINGS.map(([command]) => command.split(' ')[0] ?? ''),
      ...['q', '?', 'x', 'timing', 'format', 'set', 'unset', 'c', 'connect', 'i', 'ir', 'p', 'r', 'echo', '!', '|'].map(
        (name) => `\\${name}`,
      ),
    ]),
  ].sort(),
);

/** Runs until the user leaves; returns the exit status. Options and welcome are the caller's. */
export async function runShell(setup: Omit<ShellSetup, 'width'>): Promise<number> {
  const { client, io } = setup;
  const shell = new Shell({ ...setup, width: () => process.stdout.columns });
  const historyFile = join(homedir(), '.varve', 'sql_history');
  const history = await readFile(historyFile, 'utf8').then(
    (text) => text.split('\n').filter(Boolean).reverse(),
    () => [],
  );
  let isRunning = false;
  const complete = async (line: string): Promise<[string[], string]> => {
    const command = shell.pending === '' ? /^\s*(\\\S*)$/.exec(line)?.[1] : undefined;
    if (command !== undefined) {
      const names = [...COMMAND_NAMES, ...(setup.extras ?? []).map((extra) => extra.name)];
      return [names.filter((name) => name.startsWith(command)), command];
    }
    const option = /^\s*\\(?:un)?set\s+(\S*)$/.exec(line)?.[1];
    if (option !== undefined) return [OPTION_NAMES.filter((name) => name.startsWith(option)), option];
    const { words, word } = completions(`${shell.pending}${line}`, await shell.catalogNames());
    return [words.map((name) => `${name} `), word];
  };
  const editor = createInterface({
    input: process.stdin,
    output: process.stdout,
    history,
    historySize: HISTORY_LINES_MAX,
    removeHistoryDuplicates: true,
    completer: (line: string, answer: (error: Error | null, result: [string[], string]) => void) => {
      // A statement that runs has the connection: there is nobody to ask for names.
      if (isRunning) answer(null, [[], line]);
      else
        complete(line).then(
          (found) => answer(null, found),
          () => answer(null, [[], line]),
        );
    },
  });
  const prompt = (): void => {
    editor.setPrompt(shell.prompt);
    editor.prompt();
  };
  editor.on('SIGINT', () => {
    if (isRunning) {
      void client.cancel().catch((error: unknown) => io.err(`${errorReport(error)}\n`));
      return;
    }
    // Both halves of what stands on the line, left and right of the cursor.
    editor.write(null, { ctrl: true, name: 'e' });
    editor.write(null, { ctrl: true, name: 'u' });
    shell.clear();
    io.out('^C\n');
    prompt();
  });
  // Lines that come faster than statements run, as pasted ones do, wait here in order.
  const lines = editor[Symbol.asyncIterator]();
  await shell.start();
  prompt();
  for (;;) {
    const next = await lines.next();
    if (next.done) break;
    isRunning = true;
    await shell.line(next.value);
    isRunning = false;
    if (shell.hasQuit) break;
    prompt();
  }
  editor.close();
  const typed = (editor as unknown as { history?: string[] }).history ?? history;
  await mkdir(join(homedir(), '.varve'), { recursive: true, mode: 0o700 });
  await writeFile(historyFile, `${typed.slice(0, HISTORY_LINES_MAX).reverse().join('\n')}\n`, { mode: 0o600 });
  return shell.options.errexit && shell.failures > 0 ? 1 : 0;
}
