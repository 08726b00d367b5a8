/**
 * TransactionControl: a session's transaction as its statements begin, mark, end and limit it.
 *
 *   S3  settings changed in a transaction go back when it rolls back
 *   S4  whatever ends a transaction, its portals are gone and its time limit with it
 *
 * Lives elsewhere: the transaction's states (transaction.ts), running other statements (session.ts),
 * the limits themselves (timeLimits.ts).
 */
import { utf8Encode } from '../../base/bytes.ts';
import { StateError, StatementError, type VarveError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { Datum } from '../../catalog/datum.ts';
import { type ColumnType, Type } from '../../catalog/type.ts';
import type { Statement, TransactionModes } from '../parse/ast.ts';
import { linkAbort } from './cancellation.ts';
import { ClientState, type SessionOptions } from './clientState.ts';
import { RunContext } from './context.ts';
import { isolationNamed } from './isolationLevels.ts';
import { isConflict } from './runAgain.ts';
import type { EngineServices, SessionState, StatementResult } from './statement.ts';
import { TimeLimits } from './timeLimits.ts';
import { SessionTransaction, type TransactionOptions } from './transaction.ts';

export const TRANSACTION_CONTROL: ReadonlySet<string> = new Set(['begin', 'commit', 'rollback', 'savepoint', 'releaseSavepoint']);

const NO_CURSORS: readonly string[] = [];

/** Kinds that runTransactionStatement looks at. */
const CONTROLLED: ReadonlySet<string> = new Set([...TRANSACTION_CONTROL, 'show']);

export abstract class TransactionControl extends ClientState {
  /** Ends what runs: the client's signal, a time limit, the session's close. */
  protected abort = new AbortController();
  protected readonly limits: TimeLimits;
  /** Called when a time limit has ended the session, with what to tell the client. */
  onTerminate: ((error: VarveError) => void) | undefined;
  protected terminatedBy: VarveError | undefined;

  constructor(engine: EngineServices, options: SessionOptions) {
    super(engine, options);
    this.limits = new TimeLimits(engine.kv.clock, this.vars, {
      cancelStatement: (error) => this.abort.abort(error),
      abortTransaction: (error) => {
        const isRunning = this.activeQuery !== '';
        if (isRunning) this.abort.abort(error);
        this.transaction?.expire(error, isRunning);
      },
      endSession: (error) => this.terminate(error),
    });
  }

  /** Whether the session's transactions read rows by key in turns (readsToWrite.ts). */
  #takesTurns = false;

  abstract close(): void;
  /** Drops the open portals. */
  protected abstract forgetPortals(): void;
  /** This, as statements see it. */
  protected abstract asState(): SessionState;

  /** Ends the statement that runs with 57014; no effect when none does. */
  cancel(reason = 'query execution canceled'): void {
    this.abort.abort(new StateError(SqlState.QueryCanceled, reason));
  }

  /** Ends the session, and tells its client why. */
  terminate(error: VarveError): void {
    this.terminatedBy = error;
    this.close();
    this.onTerminate?.(error);
  }

  protected linkSignal(signal: AbortSignal | undefined): () => void {
    if (this.abort.signal.aborted) this.abort = new AbortController();
    return linkAbort(signal, () => this.cancel());
  }

  protected newContext(
    transaction: SessionTransaction,
    placeholders: readonly Datum[],
    types: readonly (ColumnType | undefined)[],
  ): RunContext {
    return new RunContext({
      session: this.asState(),
      transaction,
      statementTimestamp: this.nextStatementTimestamp(),
      signal: this.abort.signal,
      placeholders,
      placeholderTypes: types as readonly ColumnType[],
    });
  }

  /** A statement failed: an explicit transaction waits for ROLLBACK from here on. */
  protected failTransaction(error: unknown): void {
    if (!this.transaction || this.transaction.isImplicit) return;
    if (isConflict(error)) this.#takesTurns = true;
    this.transaction.fail(error);
  }

  /** Runs a statement that begins, marks or ends a transaction; undefined when it is none. */
  protected runTransactionStatement(ast: Statement): Promise<StatementResult | undefined> | undefined {
    return CONTROLLED.has(ast.kind) ? this.#runControl(ast) : undefined;
  }

  async #runControl(ast: Statement): Promise<StatementResult | undefined> {
    const done = (tag: string): StatementResult => ({ tag, rows: [], notices: [] });
    try {
      switch (ast.kind) {
        case 'begin':
          await this.#begin(ast.modes);
          return done('BEGIN');
        case 'commit':
          return done(await this.#commit());
        case 'rollback': {
          const transaction = this.#requireTransaction();
          if (ast.savepoint) {
            transaction.rollbackTo(ast.savepoint.text);
            this.cursors.rolledBack(transaction.savepointNames().length);
          } else this.abandonTransaction();
          return done('ROLLBACK');
        }
        case 'savepoint':
          this.#requireTransaction().savepoint(ast.name.text);
          return done('SAVEPOINT');
        case 'show':
          // Asking for the state is allowed in every state.
          if (ast.what !== 'transactionStatus' || !this.transaction || this.transaction.isImplicit || this.transaction.isOpen)
            return undefined;
          return {
            ...done('SHOW TRANSACTION STATUS'),
            columns: [{ name: 'TRANSACTION STATUS', type: Type.String }],
            rows: [[utf8Encode(this.transactionState)]],
          };
        case 'releaseSavepoint': {
          const transaction = this.#requireTransaction();
          await transaction.release(ast.name.text);
          this.cursors.released(transaction.savepointNames().length);
          if (transaction.status === 'CommitWait') this.varsBefore = undefined;
          return done('RELEASE');
        }
        default:
          return undefined;
      }
    } catch (error) {
      this.failTransaction(error);
      throw error;
    }
  }

  /** BEGIN, COMMIT and ROLLBACK without waiting; undefined, with nothing done, for what has to wait or is refused. */
  protected controlNow(ast: Statement): StatementResult | undefined {
    const { transaction } = this;
    if (ast.kind === 'begin') {
      if (transaction || ast.modes.asOf) return undefined;
      this.#enter({ ...this.defaults(), ...this.#plainModes(ast.modes) });
      return { tag: 'BEGIN', rows: [], notices: [] };
    }
    if (!transaction || transaction.isImplicit) return undefined;
    if (ast.kind === 'rollback' && !ast.savepoint) {
      this.abandonTransaction();
      return { tag: 'ROLLBACK', rows: [], notices: [] };
    }
    if (ast.kind !== 'commit' || !transaction.isOpen) return undefined;
    const before = this.varsBefore;
    const takesTurns = transaction.readsToWrite?.areWritten ?? this.#takesTurns;
    try {
      if (!transaction.commitNow()) return undefined;
      this.#takesTurns = takesTurns;
    } catch (error) {
      this.#takesTurns ||= isConflict(error);
      this.#endTransaction(false);
      if (before) this.vars.restore(before);
      throw error;
    }
    this.#endTransaction(true);
    return { tag: 'COMMIT', rows: [], notices: [] };
  }

  #requireTransaction(): SessionTransaction {
    if (!this.transaction || this.transaction.isImplicit) {
      throw new StateError(SqlState.NoActiveSqlTransaction, 'there is no transaction in progress');
    }
    return this.transaction;
  }

  async #begin(modes: TransactionModes): Promise<void> {
    if (this.transaction && !this.transaction.isImplicit) {
      throw new StateError(SqlState.ActiveSqlTransaction, 'there is already a transaction in progress');
    }
    this.#enter({ ...this.defaults(), ...(await this.resolveModes(modes)) });
  }

  /** An explicit transaction begins, or an implicit one becomes explicit. */
  #enter(options: TransactionOptions): void {
    if (this.transaction) {
      this.transaction.setOptions(options);
      this.transaction.flushCatalog(this.engine.catalog);
      this.transaction.isImplicit = false;
    } else {
      this.transaction = new SessionTransaction(this.engine.kv, options, false);
    }
    if (this.#takesTurns && this.transaction.options.isolation === 'serializable') this.transaction.takeTurns();
    this.varsBefore = this.vars.save();
    this.limits.startTransaction();
  }

  /** Modes as BEGIN and SET TRANSACTION give them, without AS OF. */
  #plainModes(modes: TransactionModes): Partial<TransactionOptions> {
    const isolation = modes.isolation && isolationNamed(modes.isolation);
    return {
      ...(isolation && { isolation: this.grantedIsolation(isolation) }),
      ...(modes.priority && { priority: modes.priority }),
      ...(modes.readOnly !== undefined && { readOnly: modes.readOnly }),
    };
  }

  /** Modes as BEGIN and SET TRANSACTION give them; AS OF resolved. */
  async resolveModes(modes: TransactionModes): Promise<Partial<TransactionOptions>> {
    const change: { -readonly [K in keyof TransactionOptions]?: TransactionOptions[K] } = this.#plainModes(modes);
    if (modes.asOf) {
      if (modes.readOnly === false) {
        throw new StatementError(SqlState.SyntaxError, 'AS OF SYSTEM TIME specified with READ WRITE mode');
      }
      const probe = this.transaction ?? new SessionTransaction(this.engine.kv, this.defaults(), true);
      try {
        change.asOf = await this.newContext(probe, [], []).resolveAsOf(modes.asOf.expr);
      } finally {
        if (probe !== this.transaction) probe.rollback();
      }
    }
    return change;
  }

  async #commit(): Promise<string> {
    const transaction = this.#requireTransaction();
    const before = this.varsBefore;
    if (transaction.isOpen && transaction.readsToWrite) this.#takesTurns = transaction.readsToWrite.areWritten;
    // Whatever commit does, the transaction is over.
    const held = this.#endTransaction(transaction.isOpen || transaction.status === 'CommitWait');
    try {
      return (await transaction.commit()) ? 'COMMIT' : 'ROLLBACK';
    } catch (error) {
      for (const name of held) this.cursors.close(name);
      this.#takesTurns ||= isConflict(error);
      if (before) this.vars.restore(before);
      throw error;
    }
  }

  /** Rolls the explicit transaction back, its settings too. */
  protected abandonTransaction(): void {
    const { transaction } = this;
    this.#endTransaction(false);
    transaction?.rollback();
  }

  /** Gives the cursors that outlive it, unless its commit fails. */
  #endTransaction(keepVariables: boolean): readonly string[] {
    this.transaction = undefined;
    this.limits.endTransaction();
    this.forgetPortals();
    if (!keepVariables && this.varsBefore) this.vars.restore(this.varsBefore);
    this.varsBefore = undefined;
    if (this.localVars) for (const [name, value] of this.localVars) this.vars.force(name, value);
    this.localVars = undefined;
    return this.cursors.isEmpty ? NO_CURSORS : this.cursors.endTransaction(keepVariables);
  }
}
