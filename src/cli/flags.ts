/**
 * Command-line flags: a thin layer over node:util's parseArgs that knows environment variables,
 * repeatable flags and addresses. Precedence: flag, environment variable, default.
 */
import { parseArgs } from 'node:util';

import { formatByteSize, parseByteSize } from '../base/byteSize.ts';
import { parseDuration } from '../base/duration.ts';
import { UsageError } from './cliError.ts';

export interface FlagDefinition {
  readonly type: 'string' | 'boolean';
  readonly short?: string;
  /** May be given more than once; the values come in order. */
  readonly multiple?: boolean;
  readonly default?: string;
  /** Read when the flag is not given. */
  readonly env?: string;
  /** What it is for, with its unit; shown by --help. */
  readonly help: string;
  /** The value's name in --help. */
  readonly value?: string;
}

export type FlagDefinitions = Readonly<Record<string, FlagDefinition>>;

export class Flags {
  readonly #values: ReadonlyMap<string, readonly string[]>;
  readonly positionals: readonly string[];

  constructor(values: ReadonlyMap<string, readonly string[]>, positionals: readonly string[]) {
    this.#values = values;
    this.positionals = positionals;
  }

  text(name: string): string | undefined {
    return this.#values.get(name)?.at(-1);
  }

  all(name: string): readonly string[] {
    return this.#values.get(name) ?? [];
  }

  isSet(name: string): boolean {
    return this.text(name) === 'true';
  }

  /** A whole number in [min, max], both inclusive. */
  integer(name: string, min: number, max: number): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max) {
      throw new UsageError(`invalid value "${text}" for --${name}: want a whole number from ${min} to ${max}`);
    }
    return value;
  }

  /** A duration such as `10s` or `1m30s`, in microseconds. */
  durationMicros(name: string): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    try {
      return parseDuration(text);
    } catch {
      throw new UsageError(`invalid value "${text}" for --${name}: want a duration such as 10s or 1m30s`);
    }
  }

  /** A size such as `512MiB` or `2GB`, in bytes; at least `min`. */
  bytes(name: string, min: number): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = parseByteSize(text);
    if (value === undefined) throw new UsageError(`invalid value "${text}" for --${name}: want a size such as 512MiB or 2GB`);
    if (value < min) throw new UsageError(`invalid value "${text}" for --${name}: want ${formatByteSize(min)} or more`);
    return value;
  }

  /** `host:port`, `:port` or `host`; an IPv6 host in brackets. */
  address(name: string, defaultHost: string, defaultPort: number): { host: string; port: number } {
    const text = this.text(name) ?? '';
    const match = /^(\[[^\]]*\]|[^:]*)(?::(\d*))?$/.exec(text);
    const port = match?.[2] ? Number(match[2]) : defaultPort;
    if (!match || port > 65535)
      throw new UsageError(`invalid value "${text}" for --${name}: want HOST:PORT`, 'write an IPv6 address in brackets: [::1]:26257');
    const host = (match[1] ?? '').replace(/^\[|\]$/g, '');
    return { host: host === '' ? defaultHost : host, port };
  }
}

/** Parses `argv` (without program and command). Throws UsageError for what no definition allows. */
export function parseFlags(argv: readonly string[], definitions: FlagDefinitions): Flags {
  const options = Object.fromEntries(
    Object.entries(definitions).map(([name, { type, short }]) => [name, { type, multiple: true, ...(short ? { short } : {}) }]),
  ) as Record<string, { type: 'string' | 'boolean'; multiple: true; short?: string }>;
  let parsed: ReturnType<typeof parseArgs>;
  try {
    // A flag whose own name begins with no- is no negation of another.
    const allowNegative = !Object.keys(definitions).some((name) => name.startsWith('no-'));
    parsed = parseArgs({ args: [...argv], options, allowPositionals: true, allowNegative });
  } catch (error) {
    // The first sentence says what is wrong; the rest is about positional arguments.
    throw new UsageError(((error as Error).message.split('. ')[0] as string).replace(/^./, (letter) => letter.toLowerCase()));
  }
  const values = new Map<string, readonly string[]>();
  for (const [name, definition] of Object.entries(definitions)) {
    const given = parsed.values[name];
    if (Array.isArray(given)) {
      if (given.length > 1 && !definition.multiple && definition.type === 'string') throw new UsageError(`--${name} given more than once`);
      values.set(name, given.map(String));
      continue;
    }
    const fallback = (definition.env && process.env[definition.env]) || definition.default;
    if (fallback !== undefined) values.set(name, [fallback]);
  }
  return new Flags(values, parsed.positionals);
}

/** The flags as lines of help. */
export function describeFlags(definitions: FlagDefinitions): string {
  const heads = Object.entries(definitions).map(([name, { type, short, value, help, env, default: fallback }]) => {
    const head = `  --${name}${type === 'string' ? ` ${value ?? 'VALUE'}` : ''}${short ? `, -${short}` : ''}`;
    const notes = [fallback !== undefined ? `default ${fallback}` : '', env ? `or $${env}` : ''].filter(Boolean).join('; ');
    return [head, `${help}${notes ? ` (${notes})` : ''}`] as const;
  });
  const width = Math.max(...heads.map(([head]) => head.length)) + 2;
  return heads.map(([head, help]) => `${head.padEnd(width)}${help}`).join('\n');
}
