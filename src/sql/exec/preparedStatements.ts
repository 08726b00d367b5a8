/**
 * PreparedStatements: a session's statements under names, and the order of its calls.
 *
 *   S1  a session runs one statement at a time; calls queue behind each other
 *
 * Lives elsewhere: running them (session.ts), their plans (statementCache.ts).
 */
import { StateError, StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { CatalogSnapshot } from '../../catalog/catalog.ts';
import type { ColumnType } from '../../catalog/type.ts';
import type { Statement } from '../parse/ast.ts';
import type { SessionOptions } from './clientState.ts';
import { describeKnown, describeStatement, type OpenOptions } from './cursor.ts';
import { type PreparedStatement, padded } from './portal.ts';
import type { EngineServices } from './statement.ts';
import { type CachedStatement, shownText, type StatementCache } from './statementCache.ts';
import { SessionTransaction } from './transaction.ts';
import { TRANSACTION_CONTROL, TransactionControl } from './transactionControl.ts';
import { currentTypes, haveLabels } from './userType.ts';

/** Statements that one session may keep under names: what a client that forgets to close them can hold. */
export const PREPARED_STATEMENTS_MAX = 10_000;

export abstract class PreparedStatements extends TransactionControl {
  readonly #cache: StatementCache;
  readonly #prepared = new Map<string, PreparedStatement>();
  #queue: Promise<unknown> = Promise.resolve();
  protected isClosed = false;
  /** Calls under way or waiting. */
  #callCount = 0;

  constructor(engine: EngineServices, cache: StatementCache, options: SessionOptions) {
    super(engine, options);
    this.#cache = cache;
  }

  protected get cache(): StatementCache {
    return this.hasShortInts ? this.#cache.shortInts : this.#cache;
  }

  /** True when a call would run at once. */
  protected get isIdle(): boolean {
    return this.#callCount === 0 && !this.isClosed;
  }

  /** Runs a call when the ones before it are done; `work` never throws, it rejects. */
  protected inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.isClosed) return Promise.reject(this.terminatedBy ?? new StateError(SqlState.AdminShutdown, 'the session is closed'));
    this.limits.stopIdle();
    const turn = this.#callCount++ === 0 ? work() : this.#queue.then(work);
    const done = (): void => {
      if (--this.#callCount === 0 && !this.isClosed) this.limits.startIdle(this.transaction !== undefined);
    };
    this.#queue = turn.then(done, done);
    return turn;
  }

  protected openOptions(types: readonly (ColumnType | undefined)[]): OpenOptions {
    return { cache: this.cache, planKey: this.planKey, types };
  }

  // ---- prepared statements --------------------------------------------------------------------

  /**
   * Parses, types and describes a statement under a name ('' replaces itself). 42P05 when the name is
   * taken, 42601 for more than one statement.
   */
  prepare(name: string, sql: string, given: readonly (ColumnType | undefined)[] = []): Promise<PreparedStatement> {
    return this.inTurn(async () => {
      try {
        if (name !== '' && this.#prepared.has(name)) {
          throw new StatementError(SqlState.DuplicatePreparedStatement, `prepared statement "${name}" already exists`);
        }
        this.#requireRoom(name);
        const statements = this.cache.parse(sql);
        if (statements.length > 1)
          throw new StatementError(SqlState.SyntaxError, 'cannot insert multiple commands into a prepared statement');
        const [statement] = statements;
        const prepared = await this.#prepareOne(name, shownText(sql, statement), statement, given);
        this.#prepared.set(name, prepared);
        return prepared;
      } catch (error) {
        this.failTransaction(error);
        throw error;
      }
    });
  }

  /** As prepare, without waiting: undefined, with nothing done, unless text and plan are at hand. */
  prepareNow(name: string, sql: string, given: readonly (ColumnType | undefined)[] = []): PreparedStatement | undefined {
    if (!this.isIdle || (name !== '' && this.#prepared.has(name)) || this.transaction?.isOpen === false) return undefined;
    const statements = this.cache.known(sql);
    const [statement] = statements ?? [];
    if (!statement || statements?.length !== 1) return undefined;
    if (this.#isFull(name)) return undefined;
    const prepared = this.#describeNow(name, shownText(sql, statement), statement, given);
    if (prepared) this.#prepared.set(name, prepared);
    return prepared;
  }

  #describeNow(
    name: string,
    sql: string,
    statement: CachedStatement,
    given: readonly (ColumnType | undefined)[],
  ): PreparedStatement | undefined {
    const version = this.engine.catalog.versionNow(this.transaction?.reader);
    if (version === undefined) return undefined;
    const known = describeKnown(statement, version, this.openOptions(padded(given, statement.placeholderCount)));
    return known && { name, sql, statement, ast: statement.ast, ...known };
  }

  async #prepareOne(
    name: string,
    sql: string,
    statement: CachedStatement | undefined,
    given: readonly (ColumnType | undefined)[],
  ): Promise<PreparedStatement> {
    if (!statement) return { name, sql, statement, ast: undefined, parameterTypes: [], columns: undefined };
    if (this.transaction && !this.transaction.isImplicit && !TRANSACTION_CONTROL.has(statement.ast.kind)) this.transaction.checkRunnable();
    const known = this.#describeNow(name, sql, statement, given);
    if (known) return known;
    const transaction = this.transaction ?? new SessionTransaction(this.engine.kv, this.defaults(), true);
    try {
      const context = this.newContext(transaction, [], given);
      const described = await describeStatement(statement, context, this.openOptions(padded(given, statement.placeholderCount)));
      return { name, sql, statement, ast: statement.ast, ...described };
    } finally {
      if (transaction !== this.transaction) transaction.rollback();
    }
  }

  #isFull(name: string): boolean {
    const unnamed = this.#prepared.has('') ? 1 : 0;
    return name !== '' && this.#prepared.size - unnamed >= PREPARED_STATEMENTS_MAX;
  }

  #requireRoom(name: string): void {
    if (!this.#isFull(name)) return;
    throw new StatementError(SqlState.ProgramLimitExceeded, `a session keeps at most ${PREPARED_STATEMENTS_MAX} prepared statements`, {
      hint: 'DEALLOCATE those that are not needed any more, or DISCARD ALL',
    });
  }

  /** PREPARE name AS statement. */
  async prepareParsed(name: string, ast: Statement, sql: string, given: readonly (ColumnType | undefined)[], count: number): Promise<void> {
    if (this.#prepared.has(name))
      throw new StatementError(SqlState.DuplicatePreparedStatement, `prepared statement "${name}" already exists`);
    this.#requireRoom(name);
    const statement: CachedStatement = {
      ast,
      sql,
      placeholderCount: count,
      start: 0,
      asOf: { top: undefined, all: [] },
      plans: new Map(),
      isStrict: true,
    };
    this.#prepared.set(name, await this.#prepareOne(name, sql, statement, given));
  }

  /** 26000 when there is none of that name. */
  preparedStatement(name: string): PreparedStatement {
    const prepared = this.#prepared.get(name);
    if (!prepared) throw new StatementError(SqlState.InvalidSqlStatementName, `prepared statement "${name}" does not exist`);
    return prepared;
  }

  /**
   * Gives a statement's parameters the labels that their enum types have by now, so that values can be
   * read by them. Undefined when that is done already: only a transaction may have labels of its own to read.
   */
  refreshLabels(name: string): Promise<void> | undefined {
    const prepared = this.#prepared.get(name);
    if (!prepared || !haveLabels(prepared.parameterTypes)) return undefined;
    const { transaction } = this;
    if (transaction?.isOpen) return this.engine.catalog.snapshot(transaction.reader).then((snapshot) => this.#relabel(prepared, snapshot));
    const snapshot = this.engine.catalog.currentNow();
    if (snapshot) this.#relabel(prepared, snapshot);
    return undefined;
  }

  #relabel(prepared: PreparedStatement, snapshot: CatalogSnapshot): void {
    this.#prepared.set(prepared.name, { ...prepared, parameterTypes: currentTypes(prepared.parameterTypes, snapshot) });
  }

  /** DEALLOCATE, Close: true when there was one. */
  deallocate(name: string): boolean {
    return this.#prepared.delete(name);
  }
  deallocateAll(): void {
    this.#prepared.clear();
  }
  preparedStatements(): readonly PreparedStatement[] {
    return [...this.#prepared.values()];
  }
}
