/**
 * `varve dump`: a database, or some of its tables, as SQL on standard output.
 *
 * All of it is as of one timestamp, however long it takes; it can take no longer than the GC TTL lets
 * it read there. The statements come from the server in an order that replays; rows pass through as
 * they come. In CockroachDB's dialect they are INSERTs, in PostgreSQL's COPY blocks for psql.
 *
 * Source: CockroachDB documentation, page "cockroach dump" (v20.2).
 */
import { UsageError } from './cliError.ts';
import type { Command, CommandIo } from './command.ts';
import { type DumpSource, openDumpSource } from './dumpSource.ts';
import { InsertWriter } from './dumpText.ts';
import type { FlagDefinitions, Flags } from './flags.ts';
import { connectionUrl } from './connectionUrl.ts';

const MODES = ['both', 'schema', 'data'] as const;
const FORMATS = ['cockroach', 'postgres'] as const;
type Mode = (typeof MODES)[number];
type Format = (typeof FORMATS)[number];

const FLAGS: FlagDefinitions = {
  'as-of': { type: 'string', value: 'TIME', help: 'dump as of this time: any AS OF SYSTEM TIME value (default now)' },
  'dump-mode': { type: 'string', value: 'MODE', default: 'both', help: 'both, schema or data' },
  'dump-all': { type: 'boolean', help: 'every database but system' },
  format: { type: 'string', value: 'FORMAT', default: 'cockroach', help: 'cockroach, or postgres for psql' },
  'echo-sql': { type: 'boolean', help: 'print what is asked of the server to standard error' },
  url: { type: 'string', value: 'URL', env: 'COCKROACH_URL', help: 'server to use; overrides the other connection flags' },
  host: { type: 'string', value: 'HOST[:PORT]', env: 'COCKROACH_HOST', help: 'server to use (default localhost:26257)' },
  port: { type: 'string', short: 'p', value: 'PORT', env: 'COCKROACH_PORT', help: 'its port (default 26257)' },
  user: { type: 'string', short: 'u', value: 'NAME', env: 'COCKROACH_USER', help: 'user of the connection (default root)' },
  insecure: { type: 'boolean', env: 'COCKROACH_INSECURE', help: 'without TLS: as it is without --certs-dir' },
  'certs-dir': { type: 'string', value: 'DIR', env: 'COCKROACH_CERTS_DIR', help: "ca.crt, and the user's client certificate" },
};

export const dumpCommand: Command = {
  name: 'dump',
  summary: 'print a database as SQL',
  usage: 'varve dump DATABASE [TABLE]... [flags] | varve dump --dump-all [flags]',
  flags: FLAGS,
  async run(flags, io) {
    const [database, ...tables] = flags.positionals;
    const isAll = flags.isSet('dump-all');
    if (isAll === (database !== undefined)) throw new UsageError('give a DATABASE, or --dump-all and none');
    const mode = oneOf(flags, 'dump-mode', MODES);
    const format = oneOf(flags, 'format', FORMATS);
    const url = connectionUrl(flags, database);
    const source = await openDumpSource(url, flags.text('as-of'), flags.isSet('echo-sql') ? io.err : undefined);
    try {
      const writer = new Dump(source, io, mode, format);
      writer.begin();
      if (database !== undefined) await writer.database(database, tables.length > 0 ? tables : undefined);
      else await writer.all();
      return 0;
    } finally {
      await source.close();
    }
  },
};

function oneOf<const T extends string>(flags: Flags, name: string, values: readonly T[]): T {
  const text = flags.text(name);
  const value = values.find((one) => one === text);
  if (value === undefined) throw new UsageError(`invalid value "${text}" for --${name}: want ${values.join(', ')}`);
  return value;
}

/** What a PostgreSQL server and Varve both take, so that texts mean what they say. */
const POSTGRES_HEAD = [
  "SET client_encoding = 'UTF8';",
  'SET standard_conforming_strings = on;',
  "SET datestyle = 'ISO, MDY';",
  "SET intervalstyle = 'postgres';",
  "SET timezone = 'UTC';",
  'SET statement_timeout = 0;',
];

class Dump {
  readonly #source: DumpSource;
  readonly #out: (text: string) => void;
  readonly #mode: Mode;
  readonly #format: Format;
  #isFirst = true;

  constructor(source: DumpSource, io: CommandIo, mode: Mode, format: Format) {
    this.#source = source;
    this.#out = io.out;
    this.#mode = mode;
    this.#format = format;
  }

  begin(): void {
    if (this.#format !== 'postgres') return;
    this.#out(`${POSTGRES_HEAD.join('\n')}\n`);
    this.#isFirst = false;
  }

  async all(): Promise<void> {
    const found = await this.#source.rows(
      'SELECT datname, quote_ident(datname), create_statement FROM pg_catalog.pg_database ' +
        "JOIN crdb_internal.databases ON name = datname WHERE datname <> 'system' ORDER BY datname",
    );
    for (const [database, quoted, creation] of found) {
      if (this.#format === 'cockroach') {
        this.#statement(creation?.replace('CREATE DATABASE', 'CREATE DATABASE IF NOT EXISTS') ?? '');
        this.#statement(`USE ${quoted}`);
      } else {
        // The one that psql is connected to at first is there anyhow.
        if (database !== 'postgres') this.#statement(`CREATE DATABASE ${quoted}`);
        this.#out(`\n\\connect ${quoted}\n\n${POSTGRES_HEAD.join('\n')}\n`);
      }
      await this.database(database ?? '', undefined);
    }
  }

  async database(database: string, tables: readonly string[] | undefined): Promise<void> {
    const asArray = tables ? `{${tables.map((name) => `"${name.replace(/["\\]/g, '\\$&')}"`).join(',')}}` : null;
    const steps = await this.#source.rows(
      'SELECT phase, kind, name, statement, array_to_json(columns)::STRING, array_to_json(families)::STRING ' +
        'FROM varve_internal.dump_plan($1, $2::STRING[], $3)',
      [database, asArray, this.#format],
    );
    const phases = { both: ['schema', 'data', 'after'], schema: ['schema', 'after'], data: ['data', 'refresh'] }[this.#mode];
    let isValidating = false;
    for (const [phase, kind, name, statement, columns, families] of steps) {
      if (!phases.includes(phase ?? '')) continue;
      if (kind === 'rows') {
        const familyOf = JSON.parse(families ?? '[]') as string[];
        const list = (JSON.parse(columns ?? '[]') as string[]).map((column, i) => ({ name: column, family: familyOf[i] ?? '' }));
        await this.#rows(name ?? '', statement ?? '', list);
        continue;
      }
      if (kind === 'validation' && !isValidating) {
        isValidating = true;
        this.#out('\n-- The rows are looked at once more; those that broke a foreign key when they were dumped are found here.\n');
        this.#isFirst = true;
      }
      this.#statement(statement ?? '');
    }
  }

  /** A blank line stands between statements. */
  #statement(text: string): void {
    this.#out(`${this.#isFirst ? '' : '\n'}${text};\n`);
    this.#isFirst = false;
  }

  async #rows(name: string, query: string, columns: readonly { name: string; family: string }[]): Promise<void> {
    if (this.#format === 'cockroach' || columns.length === 0) {
      const writer = new InsertWriter({ name, columns }, this.#out);
      await this.#source.copy(query, (line) => writer.line(line));
      writer.finish();
      return;
    }
    let isOpen = false;
    await this.#source.copy(query, (line) => {
      if (!isOpen) this.#out(`\nCOPY ${name} (${columns.map((column) => column.name).join(', ')}) FROM stdin;\n`);
      isOpen = true;
      this.#out(`${line}\n`);
    });
    if (isOpen) this.#out('\\.\n');
  }
}
