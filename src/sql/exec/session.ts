/**
 * Session: one client. Its settings, its transaction, its prepared statements and portals.
 *
 * The life of a statement: the text is parsed (or found parsed); a transaction is there, or an
 * implicit one begins; the statement is planned (or its plan found); rows are pulled; an implicit
 * transaction commits. What fails with 40001 runs again by itself where nobody can tell: a text's
 * transaction as long as none of its results was given, and in a longer one the statement alone,
 * when what came before it still holds.
 *
 *   S2  results of an implicit transaction are given only after it has committed; in a batch of
 *       portals (executePortal) each is given when it is there, and the batch commits or fails as one
 *
 * Lives elsewhere: statements under names and the order of calls (preparedStatements.ts), statements
 * that need not wait (statementsNow.ts), BEGIN to COMMIT (transactionControl.ts, transaction.ts), what each statement does
 * (builtinStatements.ts, ../plan/), the wire protocol (server).
 */
import { StateError, StatementError, isVarveError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { Datum } from '../../catalog/datum.ts';
import type { ColumnType } from '../../catalog/type.ts';
import type { Statement } from '../parse/ast.ts';
import { isPlannable } from '../plan/planner.ts';
import { commonAsOf } from './asOf.ts';
import type { SessionOptions } from './clientState.ts';
import { RunContext } from './context.ts';
import { drain, openStatement } from './cursor.ts';
import { commitsBefore, withCommitNotice } from './ddlCommits.ts';
import { nameSchema } from './errorSchema.ts';
import { nameLockedRow } from './lockedRow.ts';
import { dropPortal, type ExecuteOptions, type OpenPortal, type Portal, type PortalResult, requireColumns } from './portal.ts';
import { gaveUp, isConflict, resultBytes, runsMax } from './runAgain.ts';
import type { RowStream } from './rowStream.ts';
import type { EngineServices, SessionState, StatementContext, StatementResult } from './statement.ts';
import type { CachedStatement, StatementCache } from './statementCache.ts';
import { StatementsNow } from './statementsNow.ts';
import { SessionTransaction } from './transaction.ts';

export type { SessionOptions } from './clientState.ts';
export type { ExecuteOptions, Portal, PortalResult, PreparedStatement } from './portal.ts';

/** Statements that read no data: SET TRANSACTION may still follow them. */
/** What one client may hold open; each holds its parameters, and where it has begun a statement. */
export const PORTALS_MAX = 10_000;

const SETTINGS: ReadonlySet<string> = new Set(['setTransaction', 'setVariable', 'resetVariable', 'showVariable', 'use']);

/** A query that locks nothing: it meets no conflict that running it again would mend. */
const isStreamable = ({ ast }: CachedStatement): boolean => ast.kind === 'select' && ast.locking.length === 0;

export class Session extends StatementsNow implements SessionState {
  readonly #onClose: () => void;
  readonly #portals = new Map<string, OpenPortal>();

  constructor(engine: EngineServices, cache: StatementCache, options: SessionOptions, onClose: () => void) {
    super(engine, cache, options);
    this.#onClose = onClose;
  }

  // ---- running --------------------------------------------------------------------------------

  /**
   * Runs every statement of a text and gives their results; an empty text gives none. Several
   * statements are one implicit transaction (with enable_implicit_transaction_for_batch_statements
   * off each its own), which BEGIN makes explicit. On an error the results before it have gone to
   * `onResult`, and the error is thrown with its position in the text. A batch of portals that is
   * open ends first, as at `sync()`.
   */
  execute(sql: string, options: ExecuteOptions = {}): Promise<StatementResult[]> {
    return this.inTurn(() => this.#execute(sql, options));
  }

  async #execute(sql: string, asked: ExecuteOptions): Promise<StatementResult[]> {
    if (this.transaction?.isImplicit) await this.#endPortalBatch();
    let statements: readonly CachedStatement[];
    try {
      statements = this.cache.parse(sql);
    } catch (error) {
      this.failTransaction(error);
      throw error;
    }
    this.textStatements = statements.length;
    // What is one transaction with other statements may have to run again with them.
    const options = statements.length > 1 ? { ...asked, stream: undefined } : asked;
    const given: StatementResult[] = [];
    let hasCommitted = false;
    const give = (results: readonly StatementResult[]): void => {
      for (const one of results) {
        const result = hasCommitted ? withCommitNotice(one, true) : one;
        hasCommitted = false;
        given.push(result);
        options.onResult?.(result);
      }
    };
    const release = this.linkSignal(options.signal);
    try {
      let at = 0;
      while (at < statements.length) {
        const statement = statements[at] as CachedStatement;
        if (await this.#commitBefore(statement)) hasCommitted = at === 0;
        if (this.transaction) {
          const result = await this.#runInTransaction(statement, options);
          give(this.#tellOfCommit([result], statements[++at]));
          continue;
        }
        at = await this.#runBatch(statements, at, options, give);
      }
      return given;
    } finally {
      release();
      this.activeQuery = '';
      this.textStatements = 1;
    }
  }

  /**
   * Runs statements from `start` as one transaction, up to where it ends: an implicit one at the end
   * of the text, one that BEGIN makes explicit at its COMMIT, or open at the end of the text.
   *
   * On 40001 the whole of it runs again, as long as none of its results has been given. Those of an
   * explicit transaction are held back until it ends or they outgrow results_buffer_size.
   */
  async #runBatch(
    statements: readonly CachedStatement[],
    start: number,
    options: ExecuteOptions,
    give: (results: readonly StatementResult[]) => void,
  ): Promise<number> {
    const bufferBytesMax = Number(this.vars.get('results_buffer_size'));
    for (let attempt = 1; ; attempt++) {
      const results: StatementResult[] = [];
      let heldBytes = 0;
      let at = start;
      let isRetriable = true;
      try {
        while (at < statements.length) {
          const statement = statements[at] as CachedStatement;
          const own = this.#runsAlone(statement);
          if (own && results.length > 0 && this.transaction?.isImplicit !== false) break;
          if (results.length > 0 && commitsBefore(this.vars, statement.ast)) break;
          if (own || statement.ast.kind === 'prepare') isRetriable = false;
          // COPY answers by itself: what came before it goes first.
          if (own) give(results.splice(0));
          const result = await this.#runInTransaction(statement, options);
          results.push(result);
          at++;
          const transaction = this.#present();
          // COMMIT or ROLLBACK ended it: what follows is no part of it.
          if (!transaction) break;
          // A schema change under way is waited for here, so that the next statement finds it done.
          if (transaction.isImplicit && (own || transaction.hasSchemaChanges || !this.#batchesAreOne())) break;
          if (transaction.isImplicit) continue;
          heldBytes += resultBytes(result);
          if (heldBytes > bufferBytesMax) {
            isRetriable = false;
            give(results.splice(0));
          }
        }
        if (this.#present()?.isImplicit) {
          // When it fails, or a schema change that it began, so does the last statement.
          const last = results.pop();
          await this.#commitImplicit();
          if (last) results.push(last);
        }
        give(this.#tellOfCommit(results, statements[at]));
        return at;
      } catch (error) {
        this.#rollbackImplicit();
        if (isConflict(error) && isRetriable && !options.stream?.hasBegun && attempt < runsMax(error) && !this.abort.signal.aborted) {
          if (this.transaction) this.abandonTransaction();
          await this.engine.kv.backoff(attempt, this.abort.signal);
          continue;
        }
        // What ran before the error is undone with it, but the client is told of each.
        give(results);
        throw gaveUp(error, attempt);
      }
    }
  }

  /** Commits what a schema change is to find committed (autocommit_before_ddl): true when there was something. */
  async #commitBefore(statement: CachedStatement): Promise<boolean> {
    if (!this.transaction?.isOpen || !commitsBefore(this.vars, statement.ast)) return false;
    if (this.transaction.isImplicit) await this.#commitImplicit();
    else await this.runTransactionStatement({ kind: 'commit', pos: statement.ast.pos });
    return true;
  }

  /** With a notice on the last of the results when the statement after it commits what it is part of. */
  #tellOfCommit(results: StatementResult[], next: CachedStatement | undefined): StatementResult[] {
    const last = results.pop();
    if (!last) return results;
    const isPart = last.tag !== 'COMMIT' && last.tag !== 'ROLLBACK';
    return [...results, isPart && commitsBefore(this.vars, next?.ast) ? withCommitNotice(last) : last];
  }

  /** Whether the statements of a text share an implicit transaction, as in PostgreSQL; else each has its own. */
  #batchesAreOne(): boolean {
    return this.vars.get('enable_implicit_transaction_for_batch_statements') === 'on';
  }

  /** The transaction after a statement, which may have begun or ended it. */
  #present(): SessionTransaction | undefined {
    return this.transaction;
  }

  /** Statements whose transaction must hold nothing else: another time to read at, or transactions of their own. */
  #runsAlone(statement: CachedStatement): boolean {
    const hook = this.engine.statements.get(statement.ast.kind);
    return statement.asOf.top !== undefined || hook?.ownTransaction === true || hook?.runsOnce === true;
  }

  /** Runs one statement to its end in the present transaction, which begins here when there is none. */
  async #runInTransaction(statement: CachedStatement, options: ExecuteOptions): Promise<StatementResult> {
    const control = this.runTransactionStatement(statement.ast);
    const special = control && (await control);
    if (special) return special;
    const stopTimer = this.limits.startStatement();
    try {
      for (let attempt = 1; ; attempt++) {
        try {
          const result = await this.#runOnce(statement, options);
          if (!SETTINGS.has(statement.ast.kind)) this.transaction?.finishStatement();
          return result;
        } catch (error) {
          const mayRetry = isConflict(error) && isPlannable(statement.ast) && attempt < runsMax(error) && !options.stream?.hasBegun;
          if (!mayRetry || this.abort.signal.aborted || !this.transaction?.restartStatement()) throw error;
        }
        await this.engine.kv.backoff(attempt, this.abort.signal);
      }
    } catch (error) {
      // A session that is closed has taken the transaction from under the statement.
      const told = this.abort.signal.aborted && (this.isClosed || !isVarveError(error)) ? this.abort.signal.reason : error;
      this.failTransaction(told);
      throw told;
    } finally {
      stopTimer();
    }
  }

  async #runOnce(statement: CachedStatement, options: ExecuteOptions): Promise<StatementResult> {
    const types = options.placeholderTypes ?? [];
    const begun = this.#begin(statement, options.placeholders ?? [], types);
    const context = begun instanceof RunContext ? begun : await begun;
    try {
      const opened = openStatement(statement, context, this.openOptions(types));
      const cursor = opened instanceof Promise ? await opened : opened;
      if (isPlannable(statement.ast)) requireColumns(options.columns, cursor.columns);
      return await drain(cursor, context, isStreamable(statement) ? options.stream : undefined);
    } catch (error) {
      throw nameSchema(nameLockedRow(error, context.knownSnapshot), context.knownSnapshot);
    }
  }

  /** The context of a statement, in the present transaction or a new implicit one. */
  #begin(
    statement: CachedStatement,
    placeholders: readonly Datum[],
    types: readonly (ColumnType | undefined)[],
  ): RunContext | Promise<RunContext> {
    this.activeQuery = statement.sql;
    this.abort.signal.throwIfAborted();
    this.transaction?.checkRunnable();
    this.transaction ??= new SessionTransaction(this.engine.kv, this.defaults(), true);
    if (!this.hasSuspendedPortal()) this.transaction.nextStatement();
    if (!this.transaction.isImplicit) this.limits.checkTransactionLimit();
    if (this.injectsRetryErrors && !SETTINGS.has(statement.ast.kind)) this.transaction.injectRetryError();
    const { kvTxn } = this.transaction;
    if (kvTxn) kvTxn.lockTimeoutMicros = Number(this.vars.get('lock_timeout')) * 1000;
    const context = this.newContext(this.transaction, placeholders, types);
    if (statement.asOf.all.length > 0) return this.#beginAsOf(statement, context, this.transaction);
    if (!SETTINGS.has(statement.ast.kind)) this.transaction.statementCount++;
    return context;
  }

  async #beginAsOf(statement: CachedStatement, context: RunContext, transaction: SessionTransaction): Promise<RunContext> {
    const at = await commonAsOf(statement.asOf, context);
    if (at !== undefined) transaction.setOptions({ asOf: at });
    if (!SETTINGS.has(statement.ast.kind)) transaction.statementCount++;
    return this.newContext(transaction, context.placeholders, context.placeholderTypes);
  }

  /** A portal with rows to come goes on reading what it read before, so the snapshot stays. */
  protected hasSuspendedPortal(): boolean {
    for (const portal of this.#portals.values()) if (portal.cursor && !portal.isDone) return true;
    return false;
  }

  // ---- statements inside others ------------------------------------------------------------------

  /** Runs a statement in the context's own transaction: `FROM [SHOW ...]`, EXECUTE, EXPLAIN. */
  async runNested(
    outer: { readonly signal: AbortSignal },
    ast: Statement,
    placeholders: readonly Datum[] = [],
    types: readonly ColumnType[] = [],
  ): Promise<StatementResult> {
    if (!this.transaction || outer.signal.aborted) throw new StateError(SqlState.QueryCanceled, 'query execution canceled');
    const context = this.newContext(this.transaction, placeholders, types);
    const statement: CachedStatement = {
      ast,
      sql: this.activeQuery,
      placeholderCount: placeholders.length,
      start: 0,
      asOf: { top: undefined, all: [] },
      plans: new Map(),
    };
    const cursor = await openStatement(statement, context, this.openOptions(types));
    return drain(cursor, context);
  }

  /**
   * What the database does in a user's name, outside of any statement: runs `work` with the context that a statement
   * of the session would have, in an implicit transaction of its own.
   */
  inContext<T>(work: (context: StatementContext) => Promise<T>, signal?: AbortSignal): Promise<T> {
    return this.inTurn(async () => {
      const release = this.linkSignal(signal);
      try {
        this.abort.signal.throwIfAborted();
        this.transaction = new SessionTransaction(this.engine.kv, this.defaults(), true);
        this.transaction.nextStatement();
        const result = await work(this.newContext(this.transaction, [], []));
        await this.#commitImplicit();
        return result;
      } catch (error) {
        this.#rollbackImplicit();
        throw error;
      } finally {
        release();
      }
    });
  }

  // ---- portals --------------------------------------------------------------------------------

  /** Binds values (of the statement's parameter types) to a prepared statement. 42P03 when a named portal exists. */
  bind(portalName: string, statementName: string, values: readonly Datum[]): Portal {
    try {
      const prepared = this.preparedStatement(statementName);
      if (values.length !== prepared.parameterTypes.length) {
        throw new StatementError(SqlState.ProtocolViolation, `expected ${prepared.parameterTypes.length} arguments, got ${values.length}`);
      }
      if (portalName !== '' && this.#portals.has(portalName)) {
        throw new StatementError(SqlState.DuplicateCursor, `portal "${portalName}" already exists`);
      }
      const portal: OpenPortal = {
        name: portalName,
        prepared,
        values,
        cursor: undefined,
        context: undefined,
        ahead: [],
        rowCount: 0,
        isDone: false,
      };
      const replaced = this.#portals.get(portalName);
      if (!replaced && this.#portals.size >= PORTALS_MAX) {
        throw new StatementError(SqlState.ProgramLimitExceeded, `a session keeps at most ${PORTALS_MAX} portals`, {
          hint: 'close those that are not needed any more, or end the transaction',
        });
      }
      if (replaced) dropPortal(replaced);
      this.#portals.set(portalName, portal);
      return portal;
    } catch (error) {
      this.failTransaction(error);
      throw error;
    }
  }

  /** 34000 when there is none of that name. */
  portal(name: string): Portal {
    const portal = this.#portals.get(name);
    if (!portal) throw new StatementError(SqlState.InvalidCursorName, `unknown portal "${name}"`);
    return portal;
  }

  async closePortal(name: string): Promise<void> {
    const portal = this.#portals.get(name);
    this.#portals.delete(name);
    await portal?.cursor?.batches.return();
  }

  /**
   * Gives up to `rowsMax` rows of a portal (0: all). Outside an explicit transaction portals run in an
   * implicit one, and an error rolls back all that it holds. With `moreFollows` it stays open for the
   * portals after this one, until `sync()`; without, a finished portal has committed, and what its
   * batch ran before with it. A portal that is not done keeps it open in any case. A statement that
   * must run alone commits what stands before it, and one that waits for a schema change commits with it.
   */
  executePortal(name: string, rowsMax = 0, signal?: AbortSignal, moreFollows = false, stream?: RowStream): Promise<PortalResult> {
    return this.inTurn(async () => {
      const portal = this.#portals.get(name);
      if (!portal) throw new StatementError(SqlState.InvalidCursorName, `unknown portal "${name}"`);
      const { statement } = portal.prepared;
      if (!statement) return { rows: [], suspended: false, tag: undefined, notices: [] };
      const release = this.linkSignal(signal);
      try {
        if (portal.isDone) return { rows: [], suspended: false, tag: portal.cursor?.tag(0) ?? 'SELECT 0', notices: [] };
        if (!portal.cursor && this.transaction?.isImplicit && this.#runsAlone(statement)) await this.#commitImplicit();
        const hasCommitted = !portal.cursor && (await this.#commitBefore(statement));
        if (hasCommitted) {
          const result = await this.#runWholePortal(portal, statement, moreFollows, stream);
          return { ...result, notices: withCommitNotice({ tag: '', rows: [], notices: result.notices }, true).notices };
        }
        if (!portal.cursor && rowsMax === 0) return await this.#runWholePortal(portal, statement, moreFollows, stream);
        return await this.#runPortalPiece(portal, statement, rowsMax, moreFollows);
      } catch (error) {
        this.#rollbackImplicit();
        throw error;
      } finally {
        release();
        this.activeQuery = '';
      }
    });
  }

  /** As executePortal() for the whole of a portal that need not wait, and of which nothing follows in its implicit transaction. */
  executePortalNow(name: string, rowsMax: number, signal: AbortSignal, moreFollows: boolean): PortalResult | undefined {
    const portal = this.#portals.get(name);
    if (!portal || portal.cursor || portal.isDone || rowsMax > 0 || (moreFollows && !this.transaction)) return undefined;
    const { statement, parameterTypes, columns } = portal.prepared;
    const result = statement && this.runNow(statement, { placeholders: portal.values, placeholderTypes: parameterTypes, columns, signal });
    if (!result) return undefined;
    portal.isDone = true;
    return { rows: result.rows, suspended: false, tag: result.tag, notices: result.notices };
  }

  async #runWholePortal(
    portal: OpenPortal,
    statement: CachedStatement,
    moreFollows: boolean,
    stream: RowStream | undefined,
  ): Promise<PortalResult> {
    const { parameterTypes, columns } = portal.prepared;
    const options: ExecuteOptions = { placeholders: portal.values, placeholderTypes: parameterTypes, columns, stream };
    let result: StatementResult | undefined;
    if (this.transaction || (moreFollows && !this.#runsAlone(statement))) {
      result = await this.#runInPortalBatch(statement, options);
      await this.#commitPortal(moreFollows);
    } else {
      await this.#runBatch([statement], 0, options, (results) => {
        result = results[0];
      });
    }
    portal.isDone = true;
    return { rows: result?.rows ?? [], isStreamed: result?.isStreamed, suspended: false, tag: result?.tag, notices: result?.notices ?? [] };
  }

  /** Runs a portal's statement in the transaction of its batch; one that begins it may begin again after a conflict. */
  async #runInPortalBatch(statement: CachedStatement, options: ExecuteOptions): Promise<StatementResult> {
    const isRetriable = this.transaction === undefined && statement.ast.kind !== 'prepare';
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#runInTransaction(statement, options);
      } catch (error) {
        if (!isRetriable || options.stream?.hasBegun || !isConflict(error) || attempt >= runsMax(error) || this.abort.signal.aborted)
          throw error;
        this.#rollbackImplicit();
      }
      await this.engine.kv.backoff(attempt, this.abort.signal);
    }
  }

  /** A portal is done: its implicit transaction commits, unless something of the batch is still to come. */
  async #commitPortal(moreFollows: boolean): Promise<void> {
    const transaction = this.#present();
    if (!transaction?.isImplicit) return;
    if (transaction.hasSchemaChanges || !(moreFollows || this.hasSuspendedPortal())) await this.#commitImplicit();
  }

  async #runPortalPiece(portal: OpenPortal, statement: CachedStatement, rowsMax: number, moreFollows: boolean): Promise<PortalResult> {
    const special = portal.cursor ? undefined : await this.runTransactionStatement(statement.ast);
    if (special) {
      portal.isDone = true;
      return { rows: [], suspended: false, tag: special.tag, notices: [] };
    }
    try {
      if (!portal.cursor) {
        portal.context = await this.#begin(statement, portal.values, portal.prepared.parameterTypes);
        const cursor = await openStatement(statement, portal.context, this.openOptions(portal.prepared.parameterTypes));
        if (isPlannable(statement.ast)) requireColumns(portal.prepared.columns, cursor.columns);
        portal.cursor = cursor;
      }
      const { cursor } = portal;
      const wanted = rowsMax === 0 ? Number.POSITIVE_INFINITY : rowsMax;
      let isOver = false;
      while (portal.ahead.length < wanted && !isOver) {
        const next = await cursor.batches.next();
        if (next.done) isOver = true;
        else for (const row of next.value) portal.ahead.push(row);
      }
      this.transaction?.finishStatement();
      const rows = portal.ahead.splice(0, Math.min(wanted, portal.ahead.length));
      portal.rowCount += rows.length;
      if (!isOver) return { rows, suspended: true, tag: undefined, notices: [] };
      portal.isDone = true;
      await this.#commitPortal(moreFollows);
      return { rows, suspended: false, tag: cursor.tag(cursor.affected() ?? portal.rowCount), notices: cursor.notices };
    } catch (error) {
      this.failTransaction(error);
      throw error;
    }
  }

  /** Commits the implicit transaction; portals with rows to come end with it. */
  async #commitImplicit(): Promise<void> {
    for (const [name, portal] of this.#portals) {
      if (!portal.cursor || portal.isDone) continue;
      this.#portals.delete(name);
      dropPortal(portal);
    }
    const transaction = this.transaction;
    this.transaction = undefined;
    const held = this.cursors.isEmpty ? [] : this.cursors.endTransaction(true);
    try {
      await transaction?.commit();
    } catch (error) {
      for (const name of held) this.cursors.close(name);
      throw error;
    }
  }

  #rollbackImplicit(): void {
    if (!this.transaction?.isImplicit) return;
    this.transaction.rollback();
    this.transaction = undefined;
    this.cursors.endTransaction(false);
  }

  /**
   * End of an extended-protocol batch. Outside an explicit transaction portals go, those that are done
   * and those that are not; an implicit transaction that one of these held open commits.
   */
  sync(): Promise<void> {
    return this.inTurn(async () => {
      if (this.transaction && !this.transaction.isImplicit) return;
      await this.#endPortalBatch();
    });
  }

  /** As sync(), when nothing is under way; false, with nothing done, otherwise. */
  syncNow(): boolean {
    if (!this.isIdle || this.transaction?.isImplicit || (!this.transaction && this.hasSuspendedPortal())) return false;
    if (!this.transaction) this.#portals.clear();
    return true;
  }

  async #endPortalBatch(): Promise<void> {
    const portals = [...this.#portals.values()];
    this.#portals.clear();
    for (const portal of portals) if (!portal.isDone) await portal.cursor?.batches.return();
    await this.#commitImplicit();
  }

  /** Something in a batch of portals failed outside of them: what they did is undone. An explicit transaction is left alone. */
  abandonBatch(): void {
    this.#rollbackImplicit();
  }

  // ---- end ------------------------------------------------------------------------------------

  /** DISCARD ALL. 25001 inside a transaction. */
  discardAll(): void {
    if (this.transaction && !this.transaction.isImplicit) {
      throw new StateError(SqlState.ActiveSqlTransaction, 'DISCARD ALL cannot run inside a transaction block');
    }
    this.vars.resetAll();
    this.deallocateAll();
    this.advisoryLocks.unlockAll();
    this.cursors.closeAll();
    this.forgetSequences();
  }

  protected forgetPortals(): void {
    for (const portal of this.#portals.values()) dropPortal(portal);
    this.#portals.clear();
  }

  protected asState(): SessionState {
    return this;
  }

  /** Rolls back what is open and cancels what runs. No effect the second time. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.limits.stop();
    this.cancel('the session was closed');
    this.transaction?.rollback();
    this.transaction = undefined;
    this.forgetPortals();
    this.deallocateAll();
    this.advisoryLocks.unlockAll();
    this.cursors.closeAll();
    this.#onClose();
  }
}
