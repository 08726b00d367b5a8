/**
 * The client options of the shell: `\set` in it, `--set` on the command line.
 *
 * Source of the names: CockroachDB documentation, page "cockroach sql", section "Client-side options".
 */
import { UsageError } from '../cliError.ts';
import { RESULT_FORMATS, type ResultFormat } from '../resultFormat.ts';

export interface ShellOptions {
  displayFormat: ResultFormat;
  /** The first error ends the shell, with status 1. */
  errexit: boolean;
  /** Each statement is printed before it runs. */
  echo: boolean;
  showTimes: boolean;
  /** The prompt, with %n user, %m host, %> port, %/ database, %x transaction and %% in it. */
  prompt1: string;
}

export const DEFAULT_PROMPT = '%n@%M/%/%x> ';

type Setter = (options: ShellOptions, value: string) => void;

function isOn(name: string, value: string): boolean {
  if (/^(true|on|yes|1)$/i.test(value)) return true;
  if (/^(false|off|no|0)$/i.test(value)) return false;
  throw new UsageError(`option ${name} wants true or false, not "${value}"`);
}

const SETTERS: Readonly<Record<string, Setter>> = Object.freeze({
  display_format: (options, value) => {
    const format = RESULT_FORMATS.find((known) => known === value);
    if (!format) throw new UsageError(`unknown format "${value}": want one of ${RESULT_FORMATS.join(', ')}`);
    options.displayFormat = format;
  },
  echo: (options, value) => {
    options.echo = isOn('echo', value);
  },
  errexit: (options, value) => {
    options.errexit = isOn('errexit', value);
  },
  prompt1: (options, value) => {
    options.prompt1 = value;
  },
  show_times: (options, value) => {
    options.showTimes = isOn('show_times', value);
  },
});

/** The options' names, sorted. */
export const OPTION_NAMES: readonly string[] = Object.freeze(Object.keys(SETTERS));

/** Sets one option. Throws UsageError for an unknown name or value. */
export function setOption(options: ShellOptions, name: string, value: string): void {
  const set = Object.hasOwn(SETTERS, name) ? SETTERS[name] : undefined;
  if (!set) throw new UsageError(`unknown option "${name}"`, `the options are ${OPTION_NAMES.join(', ')}`);
  set(options, value);
}

/** `name` without a value: a boolean one is turned on; `\unset` turns it off, and brings the others back to their default. */
export function resetOption(options: ShellOptions, name: string): void {
  const byDefault: Readonly<Record<string, string>> = { display_format: 'table', prompt1: DEFAULT_PROMPT };
  setOption(options, name, byDefault[name] ?? 'false');
}

/** Names and values, for `\set` alone. */
export function optionRows(options: ShellOptions): [string, string][] {
  return [
    ['display_format', options.displayFormat],
    ['echo', String(options.echo)],
    ['errexit', String(options.errexit)],
    ['prompt1', options.prompt1],
    ['show_times', String(options.showTimes)],
  ];
}
