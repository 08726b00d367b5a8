/**
 * ClientState: what a session remembers between statements, and shows to them: user, settings, the open
 * transaction, sequence values. Running statements is the Session's own part (session.ts).
 */
import { letGo, StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { Timestamp } from '../../base/timestamp.ts';
import type { NameContext } from '../../catalog/catalog.ts';
import { TEMPORARY_SCHEMA } from '../../catalog/snapshot.ts';
import type { Isolation } from '../../kv/kv.ts';
import type { SessionValues } from '../expr/evalContext.ts';
import { AdvisoryLocks } from './advisoryLocks.ts';
import type { CopyPort } from './copy/port.ts';
import { grantedIsolation, isolationNamed, isolationText } from './isolationLevels.ts';
import { sessionDefaults } from './sessionDefaults.ts';
import { SessionVars, splitSearchPath } from './sessionVars.ts';
import { SqlCursors } from './cursorSet.ts';
import type { EngineServices } from './statement.ts';
import type { SessionTransaction, TransactionOptions, TransactionStatus } from './transaction.ts';

export interface SessionOptions {
  /** Default root. */
  readonly user?: string;
  /** Default defaultdb. */
  readonly database?: string;
  /** Variables as the client asked for them when it connected; RESET goes back to these. */
  readonly variables?: Readonly<Record<string, string>>;
  /** The node it is connected to; default 1. */
  readonly nodeId?: number;
  readonly clientAddress?: string;
}

/** What the login decides: no start-up option does, and no function. */
const FIXED_BY_LOGIN: ReadonlySet<string> = new Set([
  'is_superuser',
  'node_id',
  'role',
  'session_authorization',
  'session_id',
  'session_user',
]);

/** A session's name for its temporary schemas, from its id of 32 hexadecimal digits. */
function temporarySchemaName(sessionId: string): string {
  const half = (from: number): bigint => BigInt(`0x${sessionId.slice(from, from + 16)}`);
  return `${TEMPORARY_SCHEMA}_${half(0)}_${half(16)}`;
}

export class ClientState {
  readonly engine: EngineServices;
  readonly id: string;
  readonly nodeId: number;
  readonly clientAddress: string | undefined;
  /** Set by what connects the client, once it is known. */
  backendPid = -1;
  readonly vars: SessionVars;
  /** What expressions see of the session. */
  readonly values: SessionValues;
  /** Who connected; SET ROLE leaves it. */
  readonly sessionUser: string;
  #user: string;
  /** The open transaction, an implicit one too. */
  transaction: SessionTransaction | undefined;
  /** Set by what connects the client. */
  copyPort: CopyPort | undefined;
  /** Settings when the explicit transaction began. */
  protected varsBefore: ReadonlyMap<string, string> | undefined;
  /** Settings to put back when the transaction ends, whichever way (SET LOCAL). */
  protected localVars: Map<string, string> | undefined;
  readonly advisoryLocks: AdvisoryLocks;
  readonly cursors: SqlCursors = new SqlCursors();
  readonly #sequences = new Map<number, number | bigint>();
  #lastSequence: number | bigint | undefined;
  #lastStatementTimestamp = 0;
  #names: NameContext | undefined;
  /** Text of the statement that runs, for SHOW STATEMENTS; empty when idle. */
  activeQuery = '';
  readonly startedAt: number;
  textStatements = 1;

  constructor(engine: EngineServices, options: SessionOptions) {
    this.engine = engine;
    this.id = engine.kv.ids.uuid().replaceAll('-', '');
    this.nodeId = options.nodeId ?? 1;
    this.clientAddress = options.clientAddress;
    this.advisoryLocks = new AdvisoryLocks(engine.kv, `session ${this.id}`);
    this.startedAt = engine.kv.clock.nowMicros();
    this.sessionUser = options.user ?? 'root';
    this.#user = this.sessionUser;
    for (const name of Object.keys(options.variables ?? {})) {
      if (FIXED_BY_LOGIN.has(name)) throw new StatementError(SqlState.CantChangeRuntimeParam, `parameter "${name}" cannot be changed`);
    }
    this.vars = new SessionVars({
      database: options.database ?? 'defaultdb',
      session_user: this.#user,
      session_authorization: this.#user,
      session_id: this.id,
      node_id: String(this.nodeId),
      is_superuser: this.#user === 'root' ? 'on' : 'off',
      ...sessionDefaults(engine.settings),
      ...options.variables,
    });
    const { vars } = this;
    const session = this;
    this.values = {
      get timeZone() {
        return vars.get('timezone');
      },
      get user() {
        return session.user;
      },
      get database() {
        return vars.get('database');
      },
      get searchPath() {
        return session.names.searchPath;
      },
      get applicationName() {
        return vars.get('application_name');
      },
      variable: (name) => {
        try {
          return this.showVariable(name);
        } catch (error) {
          return letGo(error);
        }
      },
      setVariable: (name, value, local) => {
        // SET ROLE asks who may; an expression cannot.
        if (name === 'role')
          throw new StatementError(SqlState.FeatureNotSupported, 'set_config() cannot set "role"', { hint: 'use SET ROLE' });
        this.setVariable(name, value, local);
      },
    };
  }

  /** Whose privileges count: who connected, or the role of SET ROLE. */
  get user(): string {
    if (this.#userVersion !== this.vars.version) {
      this.#userVersion = this.vars.version;
      const role = this.vars.get('role');
      this.#user = role === 'none' ? this.sessionUser : role;
    }
    return this.#user;
  }
  #userVersion = -1;
  get database(): string {
    return this.vars.get('database');
  }
  /** A client's retry loop is being tested. */
  protected get injectsRetryErrors(): boolean {
    return this.vars.get('inject_retry_errors_enabled') === 'on';
  }

  /** How unqualified names are resolved. */
  get names(): NameContext {
    if (!this.#names || this.#varsVersion !== this.vars.version) {
      this.#varsVersion = this.vars.version;
      const database = this.vars.get('database');
      const path = this.vars.get('search_path');
      const temporarySchema = this.#temporarySchema;
      const { vars } = this;
      this.#planKey = JSON.stringify([
        database,
        path,
        this.user,
        vars.get('timezone'),
        vars.get('sql_safe_updates'),
        vars.get('varve.optimizer_rules_off'),
        temporarySchema,
      ]);
      this.#hasShortInts = this.vars.get('default_int_size') === '4';
      const searchPath = splitSearchPath(path).map((name) => (name === '$user' ? this.user : name));
      this.#names = { currentDatabase: database, searchPath, temporarySchema };
    }
    return this.#names;
  }
  #varsVersion = -1;
  #hasShortInts = false;
  /** The settings that plans depend on. */
  #planKey = '';

  /** The session's temporary schema, or one whose relations it is to take over; undefined before it has any. */
  useTemporarySchema(name: string = this.#temporarySchema ?? temporarySchemaName(this.id)): string {
    if (name !== this.#temporarySchema) this.#names = undefined;
    this.#temporarySchema = name;
    return name;
  }
  #temporarySchema: string | undefined;

  /** INT has 4 bytes in this session's statements. */
  get hasShortInts(): boolean {
    void this.names;
    return this.#hasShortInts;
  }

  /** What a plan depends on in this session. */
  get planKey(): string {
    void this.names;
    return this.#planKey;
  }

  // ---- transaction state ----------------------------------------------------------------------

  /** For ReadyForQuery: idle, in a transaction, or in a failed one. */
  get transactionStatus(): 'I' | 'T' | 'E' {
    if (!this.transaction || this.transaction.isImplicit) return 'I';
    const { status } = this.transaction;
    return status === 'Open' || status === 'CommitWait' ? 'T' : 'E';
  }

  /** For SHOW TRANSACTION STATUS. */
  get transactionState(): TransactionStatus {
    return this.transaction && !this.transaction.isImplicit ? this.transaction.status : 'NoTxn';
  }

  /** The level that is given when `asked` is asked for: cluster settings turn the weaker ones off. */
  grantedIsolation(asked: Isolation): Isolation {
    return grantedIsolation(asked, this.engine.settings);
  }

  /** What a transaction begins with. */
  protected defaults(): TransactionOptions {
    return {
      isolation: this.grantedIsolation(isolationNamed(this.vars.get('default_transaction_isolation')) ?? 'serializable'),
      priority: this.vars.get('default_transaction_priority') as TransactionOptions['priority'],
      readOnly: this.vars.isOn('default_transaction_read_only'),
      asOf: undefined,
    };
  }

  /** The next statement_timestamp(): unique in the cluster's order, never back. */
  protected nextStatementTimestamp(): Timestamp {
    const now = Math.max(this.engine.kv.reading(), this.#lastStatementTimestamp) as Timestamp;
    this.#lastStatementTimestamp = now;
    return now;
  }

  // ---- variables ------------------------------------------------------------------------------

  /** The text SHOW prints, transaction variables included. */
  showVariable(name: string): string {
    switch (name.toLowerCase()) {
      case 'transaction_isolation':
      case 'transaction isolation level':
        return isolationText((this.transaction?.options ?? this.defaults()).isolation);
      case 'transaction_priority':
      case 'transaction priority':
        return this.transaction?.options.priority ?? this.vars.get('default_transaction_priority');
      case 'transaction_read_only':
        return (this.transaction?.isReadOnly ?? this.vars.isOn('default_transaction_read_only')) ? 'on' : 'off';
      case 'transaction_status':
        return this.transactionState;
      default:
        return this.vars.get(name);
    }
  }

  /** SET: in a transaction it goes back with a rollback; `local` goes back in any case. */
  setVariable(name: string, text: string, local: boolean): void {
    if (local && this.transaction && !this.transaction.isImplicit) {
      this.localVars ??= new Map();
      const key = this.vars.spec(name).name;
      if (!this.localVars.has(key)) this.localVars.set(key, this.vars.get(key));
    }
    if (name.toLowerCase() === 'transaction_isolation') {
      const asked = isolationNamed(text);
      if (!asked)
        throw new StatementError(SqlState.InvalidParameterValue, `invalid value for parameter "transaction_isolation": "${text}"`);
      this.setTransactionModes({ isolation: this.grantedIsolation(asked) });
      return;
    }
    this.vars.set(name, text);
  }

  setTransactionModes(change: Partial<TransactionOptions>): void {
    this.transaction?.setOptions(change);
  }

  // ---- sequences ------------------------------------------------------------------------------

  noteSequence(id: number, value: number | bigint): void {
    this.#sequences.set(id, value);
    this.#lastSequence = value;
  }
  sequenceValue(id: number): number | bigint | undefined {
    return this.#sequences.get(id);
  }
  lastSequenceValue(): number | bigint | undefined {
    return this.#lastSequence;
  }
  /** DISCARD SEQUENCES. */
  forgetSequences(): void {
    this.#sequences.clear();
    this.#lastSequence = undefined;
  }
}
