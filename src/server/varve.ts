/**
 * Varve: a database as a program uses it. What `open()` gives.
 *
 * Everything goes through SQL: `backup` and `restore` write the statement and run it, so the library
 * can do nothing that a client cannot. `query` and `sql` share one session, as one connection would;
 * `connect()` opens another.
 */
import type { Clock } from '../base/clock.ts';
import { utf8Encode } from '../base/bytes.ts';
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { quoteLiteral, quoteName } from '../catalog/names.ts';
import { sqlTypeName, Type } from '../catalog/type.ts';
import { asOfValue } from '../sql/exec/asOf.ts';
import { splitName } from '../sql/exec/catalogLookup.ts';
import type { ExecuteOptions, PreparedStatement, Session, SessionOptions } from '../sql/exec/session.ts';
import type { Notice, ResultColumn, StatementResult } from '../sql/exec/statement.ts';
import { Database } from './database.ts';
import { explainTableGc, type TableGcExplanation } from './gcStatus.ts';
import { forkSides, timeSides } from './historyFunctions.ts';
import { JobHandle } from './jobHandle.ts';
import { datumToJs, type JsValue, jsToDatum } from './jsValues.ts';
import type { DatabaseOptions } from './openOptions.ts';
import type { RunningPgServer } from './pgwire/pgServer.ts';
import { type DiffRow, tableChanges } from './tableDiff.ts';

export type OpenOptions = DatabaseOptions;

export interface QueryResult {
  readonly rows: Record<string, JsValue>[];
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  /** Rows returned or affected. */
  readonly rowCount: number;
  /** `INSERT 0 1`, `CREATE TABLE`. */
  readonly tag: string;
  readonly notices: readonly Notice[];
}

/** What to back up or restore: databases, or tables as `db.table` or `db.schema.table`; quoting as in SQL. */
export type Targets =
  | { readonly database: string }
  | { readonly databases: readonly string[] }
  | { readonly table: string }
  | { readonly tables: readonly string[] };

/** What encrypts a backup, or opens one: a passphrase, or URIs of KMS keys. */
export interface EncryptionOptions {
  readonly encryptionPassphrase?: string;
  readonly kms?: string | readonly string[];
}

export interface BackupOptions extends EncryptionOptions {
  /** The collection's URI. */
  readonly into: string;
  readonly targets: Targets;
  /** Appends an incremental: `true` to the newest full backup, or to the one of this subdirectory. */
  readonly incremental?: boolean | string;
  readonly revisionHistory?: boolean;
  /** Any AS OF SYSTEM TIME value. */
  readonly asOf?: string | Date;
}

export interface RestoreOptions extends EncryptionOptions {
  readonly from: string;
  readonly targets: Targets;
  /** Default: the newest full backup and all its incrementals. */
  readonly subdirectory?: string;
  readonly asOf?: string | Date;
  readonly intoDb?: string;
  readonly newDbName?: string;
}

/** A row that differs between two times or two databases. */
export interface RowDifference {
  readonly op: 'insert' | 'update' | 'delete';
  /** The primary key's columns. */
  readonly key: Record<string, JsValue>;
  /** The columns that `SELECT *` shows; absent for an insert. */
  readonly before?: Record<string, JsValue>;
  /** Absent for a delete. */
  readonly after?: Record<string, JsValue>;
}

/** One session: statements run one after another, in the order of the calls, and share a transaction. */
export class Client {
  readonly session: Session;
  #last: Promise<unknown> = Promise.resolve();
  /** Calls under way or waiting. */
  #callCount = 0;

  constructor(session: Session) {
    this.session = session;
  }

  /**
   * Runs SQL. With parameters exactly one statement; without, any number, and the result is the
   * last one's. Throws a VarveError with SQLSTATE, detail and hint.
   */
  query(sql: string, parameters: readonly JsValue[] = []): Promise<QueryResult> {
    if (this.#callCount === 0) {
      try {
        const result = this.#runNow(sql, parameters);
        if (result) return Promise.resolve(result);
      } catch (error) {
        return Promise.reject(error);
      }
    }
    // A statement with parameters is two calls of the session: nothing may come between them.
    const turn = this.#callCount++ === 0 ? this.#run(sql, parameters) : this.#last.then(() => this.#run(sql, parameters));
    const done = (): void => {
      this.#callCount--;
    };
    this.#last = turn.then(done, done);
    return turn;
  }

  /** As #run for a statement that need not wait; undefined, with nothing done, for any other. */
  #runNow(sql: string, parameters: readonly JsValue[]): QueryResult | undefined {
    const { session } = this;
    const prepared = parameters.length === 0 ? NO_PARAMETERS : session.prepareNow('', sql);
    const result = prepared && session.executeNow(sql, bound(prepared, parameters));
    return result && toResult(result, session);
  }

  async #run(sql: string, parameters: readonly JsValue[]): Promise<QueryResult> {
    const { session } = this;
    if (parameters.length === 0) return toResult((await session.execute(sql)).at(-1), session);
    const [result] = await session.execute(sql, bound(await session.prepare('', sql), parameters));
    return toResult(result, session);
  }

  /** query() as a template: each value becomes a parameter, never text. */
  sql(strings: TemplateStringsArray, ...values: readonly JsValue[]): Promise<QueryResult> {
    // A digit after a value must not become part of the parameter's number.
    const text = strings.reduce((sql, piece, index) => `${sql}$${index}${/^\d/.test(piece) ? ' ' : ''}${piece}`);
    return this.query(text, values);
  }

  close(): void {
    this.session.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

const NO_PARAMETERS: Pick<PreparedStatement, 'parameterTypes'> = { parameterTypes: [] };
const NO_OPTIONS: ExecuteOptions = {};

/** Values for a statement's parameters. 08P01 for another number of them, and what jsToDatum throws. */
function bound({ parameterTypes }: Pick<PreparedStatement, 'parameterTypes'>, parameters: readonly JsValue[]): ExecuteOptions {
  if (parameters.length !== parameterTypes.length) {
    throw new StatementError(
      SqlState.ProtocolViolation,
      `${parameters.length} parameters given, and the statement has ${parameterTypes.length}`,
    );
  }
  if (parameters.length === 0) return NO_OPTIONS;
  return { placeholders: parameterTypes.map((type, index) => jsToDatum(type, parameters[index])), placeholderTypes: parameterTypes };
}

function toResult(result: StatementResult | undefined, session: Session): QueryResult {
  if (!result) return { rows: [], columns: [], rowCount: 0, tag: '', notices: [] };
  const columns = result.columns ?? [];
  const timeZone = session.vars.get('timezone');
  return {
    rows: result.rows.map((row) => {
      const named: Record<string, JsValue> = {};
      for (let i = 0; i < columns.length; i++) {
        const { name, type } = columns[i] as ResultColumn;
        const value = datumToJs(type, row[i] ?? null, timeZone);
        // An assignment to this name would set the prototype.
        if (name === '__proto__') Object.defineProperty(named, name, { value, enumerable: true, configurable: true, writable: true });
        else named[name] = value;
      }
      return named;
    }),
    columns: columns.length === 0 ? [] : describedColumns(columns),
    rowCount: result.rowCount ?? result.rows.length,
    tag: result.tag,
    notices: result.notices,
  };
}

const described = new WeakMap<readonly ResultColumn[], QueryResult['columns']>();

/** Names and types of columns as a program sees them; made once for a plan. */
function describedColumns(columns: readonly ResultColumn[]): QueryResult['columns'] {
  let known = described.get(columns);
  if (!known) {
    known = Object.freeze(columns.map((column) => Object.freeze({ name: column.name, type: sqlTypeName(column.type) })));
    described.set(columns, known);
  }
  return known;
}

export class Varve {
  readonly database: Database;
  readonly #client: Client;

  private constructor(database: Database) {
    this.database = database;
    this.#client = new Client(database.newSession());
  }

  static async open(options: OpenOptions = {}): Promise<Varve> {
    return new Varve(await Database.open(options));
  }

  get clock(): Clock {
    return this.database.clock;
  }

  query(sql: string, parameters?: readonly JsValue[]): Promise<QueryResult> {
    return this.#client.query(sql, parameters);
  }

  sql(strings: TemplateStringsArray, ...values: readonly JsValue[]): Promise<QueryResult> {
    return this.#client.sql(strings, ...values);
  }

  /** A session of its own; close it when done. */
  connect(options: SessionOptions = {}): Client {
    return new Client(this.database.newSession(options));
  }

  /** Starts a backup and returns its job; `await job.wait()` for its end. */
  async backup(options: BackupOptions): Promise<JobHandle> {
    const into =
      options.incremental === undefined || options.incremental === false
        ? ''
        : options.incremental === true
          ? 'LATEST IN '
          : `${quoteLiteral(options.incremental)} IN `;
    const settings = ['detached', ...(options.revisionHistory ? ['revision_history'] : []), ...encryptionTexts(options)];
    return await this.#start(
      `BACKUP ${targetsText(options.targets)} INTO ${into}${quoteLiteral(options.into)}${asOfText(options.asOf)} WITH ${settings.join(', ')}`,
    );
  }

  /** Starts a restore and returns its job. */
  async restore(options: RestoreOptions): Promise<JobHandle> {
    const from = options.subdirectory === undefined ? 'LATEST' : quoteLiteral(options.subdirectory);
    const settings = [
      'detached',
      ...(options.intoDb === undefined ? [] : [`into_db = ${quoteLiteral(options.intoDb)}`]),
      ...(options.newDbName === undefined ? [] : [`new_db_name = ${quoteLiteral(options.newDbName)}`]),
      ...encryptionTexts(options),
    ];
    return await this.#start(
      `RESTORE ${targetsText(options.targets)} FROM ${from} IN ${quoteLiteral(options.from)}${asOfText(options.asOf)} WITH ${settings.join(', ')}`,
    );
  }

  async #start(statement: string): Promise<JobHandle> {
    const client = this.connect();
    try {
      const { rows } = await client.query(statement);
      return new JobHandle(this.database, Number(rows[0]?.['job_id']));
    } finally {
      client.close();
    }
  }

  /** A job by id, such as one that a statement WITH detached returned. 22023 for what is no job id. */
  job(id: number): JobHandle {
    if (!Number.isSafeInteger(id)) throw new StatementError(SqlState.InvalidParameterValue, `${String(id)} is no job id`);
    return new JobHandle(this.database, id);
  }

  /**
   * A database of its own that starts where this one stands: same rows and history, its own future.
   * Its jobs come paused; on a manual clock it has a clock of its own. With a name, clients of this
   * database's listen() reach it too, as `app@name`: 42602 and 42710 for names that cannot be.
   * 53200 when the memory budget has no room for it. Cost: microseconds a table.
   */
  async fork(options: { readonly name?: string } = {}): Promise<Varve> {
    if (options.name === undefined) return new Varve(await this.database.fork());
    const { database } = await this.database.forks.create({ name: options.name, of: this.database });
    return new Varve(database);
  }

  /**
   * The rows of a table that differ: between two times (`to`: default now; each any AS OF SYSTEM TIME
   * value), or between this database, as before, and a fork of it or of its family, as after. In
   * primary key order. 42P01, 72000 for a time that GC has passed. Cost: the difference.
   */
  async diff(table: string, between: { from: string | Date; to?: string | Date } | { fork: Varve }): Promise<RowDifference[]> {
    this.database.requireOpen();
    const { user, names } = this.#client.session;
    const asker = { user, names };
    const timeZone = this.#client.session.vars.get('timezone');
    const sides =
      'fork' in between
        ? await forkSides(table, [this.database, between.fork.database], asker)
        : await timeSides(this.database, table, [this.#time(between.from), this.#time(between.to)], asker);
    const rows: RowDifference[] = [];
    for await (const { op, before, after } of tableChanges(...sides)) {
      rows.push({
        op,
        key: rowToJs((after ?? before) as DiffRow, 'key', timeZone),
        ...(before && { before: rowToJs(before, 'visible', timeZone) }),
        ...(after && { after: rowToJs(after, 'visible', timeZone) }),
      });
    }
    return rows;
  }

  #time(moment: string | Date | undefined): Timestamp {
    const { kv } = this.database;
    const reading = kv.reading();
    if (moment === undefined) return reading;
    const text = moment instanceof Date ? moment.toISOString() : moment;
    return asOfValue(Type.String, utf8Encode(text), { statementTimestamp: reading, reading });
  }

  /** Why a table's history reaches back as far as it does: TTL, threshold, protections, bytes, and its chains of backups. Throws 42P01. */
  async explainGc(table: string): Promise<TableGcExplanation> {
    this.database.requireOpen();
    const { catalog } = this.database.services;
    const { descriptor } = (await catalog.current()).requireTable(splitName(table), this.#client.session.names);
    return await explainTableGc(this.database.kv, this.database.jobs, catalog, descriptor.id);
  }

  /**
   * Listens for Postgres clients; port 0 (the default) picks a free one. Without `certsDir` on a
   * loopback address only (28000), where everybody is let in; with it over TLS, by certificate or password.
   */
  async listen(options: { host?: string; port?: number; certsDir?: string } = {}): Promise<RunningPgServer & { readonly url: string }> {
    this.database.requireOpen();
    const { host = '127.0.0.1', port = 0, certsDir } = options;
    // Loaded here because a database that nobody connects to opens sooner without them.
    const [{ startPgServer }, { loadServerCerts }] = await Promise.all([import('./pgwire/pgServer.ts'), import('./certs.ts')]);
    const certs = certsDir === undefined ? undefined : await loadServerCerts(certsDir);
    const server = await startPgServer(this.database, { host, port, ...(certs && { certs }) });
    const mode = certs ? 'verify-full' : 'disable';
    return Object.assign(server, { url: `postgresql://root@${server.host}:${server.port}/defaultdb?sslmode=${mode}` });
  }

  async close(): Promise<void> {
    await this.database.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function rowToJs({ columns, values }: DiffRow, part: 'key' | 'visible', timeZone: string): Record<string, JsValue> {
  const skip = part === 'key' ? 0 : columns.key.length;
  return Object.fromEntries(columns[part].map(({ name, type }, i) => [name, datumToJs(type, values[skip + i] ?? null, timeZone)]));
}

function targetsText(targets: Targets): string {
  if (!Object.values(targets ?? {}).some((named) => named?.length > 0)) {
    throw new StatementError(SqlState.InvalidParameterValue, 'no targets given', {
      hint: "say what: { database: 'bank' } or { table: 'bank.public.accounts' }",
    });
  }
  if ('database' in targets) return `DATABASE ${quoteName(targets.database)}`;
  if ('databases' in targets) return `DATABASE ${targets.databases.map(quoteName).join(', ')}`;
  const tables = 'table' in targets ? [targets.table] : targets.tables;
  return `TABLE ${tables.map((table) => splitName(table).map(quoteName).join('.')).join(', ')}`;
}

function encryptionTexts({ encryptionPassphrase, kms }: EncryptionOptions): string[] {
  const keys = typeof kms === 'string' ? [kms] : kms;
  return [
    ...(encryptionPassphrase === undefined ? [] : [`encryption_passphrase = ${quoteLiteral(encryptionPassphrase)}`]),
    ...(keys === undefined ? [] : [`kms = (${keys.map(quoteLiteral).join(', ')})`]),
  ];
}

function asOfText(asOf: string | Date | undefined): string {
  if (asOf === undefined) return '';
  return ` AS OF SYSTEM TIME ${quoteLiteral(asOf instanceof Date ? asOf.toISOString() : asOf)}`;
}
