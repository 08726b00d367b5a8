/**
 * Golden scripts: commands with their exact expected output, in the form of cockroachdb/datadriven.
 *
 *   # A comment. Blank lines and comments stand before a command and are kept by a rewrite.
 *   name flag key=value key="a b" key=(a, "b c")
 *   any number of input lines, blank ones too
 *   ----
 *   the output, up to the next blank line
 *
 * Output that has a blank line in it stands between two pairs of separators:
 *
 *   name
 *   ----
 *   ----
 *   first
 *
 *   second
 *   ----
 *   ----
 *
 * The commands of a file run in order against one handler, each as a uvu test named by its line.
 * `REWRITE=1` writes the outputs that came into the file; its diff is read like code.
 *
 * Invariants
 *   G1  rewriting a file whose outputs are right leaves every byte of it as it was
 *   G2  a folder without files, a file without commands and a command without `----` are errors
 *
 * Source: github.com/cockroachdb/datadriven (the idea and the file format).
 */
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

const SEPARATOR = '----';
const goldenRoot = fileURLToPath(new URL('../golden/', import.meta.url));

export interface GoldenCommand {
  readonly name: string;
  /** Arguments by key, in order. A flag maps to [], `key=value` to one value, `key=(a,b)` to all of them. */
  readonly args: ReadonlyMap<string, readonly string[]>;
  /** The first value of `key`; undefined when it is absent or a flag. */
  arg(key: string): string | undefined;
  has(key: string): boolean;
  /** The lines between the command and `----`, joined by newlines. */
  readonly input: string;
  /** `file:line` of the command. */
  readonly where: string;
}

export interface GoldenHandler {
  /** The output of one command. What it throws fails the test: errors that a script expects are output. */
  run(command: GoldenCommand): Promise<string> | string;
  /** Called once after the last command. */
  close?(): Promise<void> | void;
}

/** A command, its expected output, and the lines as they stand in the file up to `----`. */
export interface GoldenBlock {
  readonly command: GoldenCommand;
  readonly line: number;
  readonly expected: string;
  readonly head: readonly string[];
}

export interface GoldenScript {
  readonly blocks: readonly GoldenBlock[];
  /** Comments and blank lines after the last command. */
  readonly tail: readonly string[];
}

/**
 * Defines and runs one uvu suite for each file in `test/golden/<folder>`, folders below it included.
 * `makeHandler` is called once a file, before its first command.
 */
export function goldenSuite(folder: string, makeHandler: (file: string) => GoldenHandler | Promise<GoldenHandler>): void {
  const root = resolve(goldenRoot, folder);
  const files = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  if (files.length === 0) throw new Error(`no golden files in ${root}`);
  for (const file of files) fileSuite(file, makeHandler);
}

function fileSuite(file: string, makeHandler: (file: string) => GoldenHandler | Promise<GoldenHandler>): void {
  const script = parseGolden(readFileSync(file, 'utf8'), relative(process.cwd(), file));
  const rewrite = process.env.REWRITE === '1';
  const test = suite(`golden ${relative(goldenRoot, file)}`);
  const outputs: string[] = [];
  // Made by the first test, because uvu swallows what a `before` hook throws.
  let handler: Promise<GoldenHandler> | undefined;
  const getHandler = () => {
    handler ??= (async () => makeHandler(file))();
    return handler;
  };

  for (const { command, line, expected } of script.blocks) {
    test(`line ${line}: ${command.name}`, async () => {
      const output = trimEnd(await (await getHandler()).run(command));
      outputs.push(output);
      if (!rewrite) assert.fixture(output, expected, `unexpected output of "${command.name}" at ${command.where}`);
    });
  }
  test.after(async () => {
    // A handler that could not be made has failed every test already.
    const made = await handler?.catch(() => undefined);
    await made?.close?.();
    if (rewrite && outputs.length === script.blocks.length) writeFileSync(file, renderGolden(script, outputs));
  });
  test.run();
}

/** Reads a script. Throws an Error that starts with `file:line` when it is malformed. */
export function parseGolden(text: string, file: string): GoldenScript {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  const blocks: GoldenBlock[] = [];
  let next = 0;

  while (true) {
    const start = next;
    while (next < lines.length && isBlankOrComment(lines[next])) next++;
    if (next >= lines.length) {
      if (blocks.length === 0) throw new Error(`${file}:1: no command in this file`);
      return { blocks, tail: lines.slice(start) };
    }
    const line = next + 1;
    const where = `${file}:${line}`;
    const separator = lines.indexOf(SEPARATOR, next);
    if (separator === next) throw new Error(`${where}: "${SEPARATOR}" without a command`);
    if (separator === -1) throw new Error(`${where}: no "${SEPARATOR}" after this command`);
    const command = parseCommand(lines[next] ?? '', lines.slice(next + 1, separator).join('\n'), where);
    const { output, end } = readOutput(lines, separator + 1, where);
    blocks.push({ command, line, expected: output.join('\n'), head: lines.slice(start, separator + 1) });
    next = end;
  }
}

/** The script's text with `outputs[i]` as the output of its i-th command. */
export function renderGolden(script: GoldenScript, outputs: readonly string[]): string {
  const lines: string[] = [];
  for (const [index, block] of script.blocks.entries()) {
    lines.push(...block.head);
    const text = trimEnd(outputs[index] ?? '');
    const output = text === '' ? [] : text.split('\n');
    if (output[0] === SEPARATOR || output.some(isBlank)) {
      if (hasClosingPair(output)) throw new Error(`${block.command.where}: output holds two "${SEPARATOR}" lines in a row`);
      lines.push(SEPARATOR, ...output, SEPARATOR, SEPARATOR);
    } else {
      lines.push(...output);
    }
  }
  return `${[...lines, ...script.tail].join('\n')}\n`;
}

/** The output that starts at line index `start`, and the index of the line after it. */
function readOutput(lines: readonly string[], start: number, where: string): { output: string[]; end: number } {
  if (lines[start] !== SEPARATOR) {
    let end = start;
    while (end < lines.length && !isBlank(lines[end] ?? '')) end++;
    return { output: lines.slice(start, end), end };
  }
  for (let end = start + 1; end + 1 < lines.length; end++) {
    if (lines[end] !== SEPARATOR || lines[end + 1] !== SEPARATOR) continue;
    if (!isBlank(lines[end + 2] ?? '')) throw new Error(`${where}: no blank line after the closing "${SEPARATOR}" pair`);
    return { output: lines.slice(start + 1, end), end: end + 2 };
  }
  throw new Error(`${where}: no closing pair of "${SEPARATOR}" lines`);
}

/** Reads `name arg key=value key=(a,b)`. */
function parseCommand(line: string, input: string, where: string): GoldenCommand {
  let at = 0;
  const fail = (problem: string): never => {
    throw new Error(`${where}: ${problem} at column ${at + 1}: ${line}`);
  };
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const found = pattern.exec(line)?.[0];
    if (found !== undefined) at += found.length;
    return found;
  };
  /** A quoted text with \" and \\ escapes, or what the pattern takes. */
  const takeWord = (bare: RegExp): string => {
    const quoted = take(/"(?:[^"\\]|\\.)*"/y);
    if (quoted !== undefined) return quoted.slice(1, -1).replace(/\\(.)/g, '$1');
    if (line[at] === '"') fail('unclosed quote');
    return take(bare) ?? '';
  };
  const takeList = (): string[] => {
    const values: string[] = [];
    take(/\(\s*/y);
    if (take(/\)/y)) return values;
    while (true) {
      values.push(takeWord(/[^,)]*/y).trim());
      take(/\s*/y);
      if (take(/\)/y)) return values;
      if (!take(/,\s*/y)) fail('unclosed list');
    }
  };

  const name = take(/\S+/y) ?? fail('no command name');
  const args = new Map<string, readonly string[]>();
  while (take(/\s+/y) && at < line.length) {
    const key = takeWord(/[^\s="]+/y);
    if (key === '') fail('no argument name');
    if (args.has(key)) fail(`argument "${key}" given twice`);
    if (!take(/=/y)) args.set(key, []);
    else if (line[at] === '(') args.set(key, takeList());
    else args.set(key, [takeWord(/[^\s"]\S*/y)]);
  }
  if (at < line.length) fail('no space between arguments');
  return { name, args, input, where, arg: (key) => args.get(key)?.[0], has: (key) => args.has(key) };
}

function isBlank(line: string): boolean {
  return line.trim() === '';
}

function isBlankOrComment(line: string | undefined): boolean {
  return line === undefined || isBlank(line) || line.startsWith('#');
}

function hasClosingPair(output: readonly string[]): boolean {
  return output.some((line, index) => line === SEPARATOR && (output[index + 1] ?? SEPARATOR) === SEPARATOR);
}

/** Drops newlines at the end: a handler may close its last line or not. */
function trimEnd(output: string): string {
  return output.replace(/\n+$/, '');
}
