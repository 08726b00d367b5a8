/**
 * StatementsNow: statements that have nothing to wait for, from call to result without a promise.
 *
 * Most statements of a busy client are BEGIN, COMMIT, or one row by its key. When their plan is at hand
 * (operatorsNow.ts), nobody holds the row's lock and nothing of the session is under way, they run as
 * one function call: it gives the result, throws the statement's error, or gives undefined, which
 * means that nothing has happened and the call with promises (session.ts) has to be made instead.
 *
 *   SN1  what the client sees is what the call with promises would have shown
 *   SN2  undefined leaves the session and its transaction as they were, but for locks taken and catalog
 *        reads noted, which the other call takes and notes as well
 *
 * A conflict is not handled here: where the statement or its implicit transaction may run again, it is
 * undone and left to the other call, which does so.
 */
import type { Datum } from '../../catalog/datum.ts';
import { recentPlan } from './cursor.ts';
import { nameSchema } from './errorSchema.ts';
import { type ExecuteOptions, requireColumns } from './portal.ts';
import { PreparedStatements } from './preparedStatements.ts';
import { isConflict } from './runAgain.ts';
import type { StatementResult } from './statement.ts';
import type { CachedStatement } from './statementCache.ts';
import { insertTag, statementName } from './tags.ts';
import { SessionTransaction } from './transaction.ts';
import { TRANSACTION_CONTROL } from './transactionControl.ts';

export abstract class StatementsNow extends PreparedStatements {
  /** True while a portal has rows to come: it reads what the present statement of the transaction reads. */
  protected abstract hasSuspendedPortal(): boolean;

  /** As execute() for a text of one statement. */
  executeNow(sql: string, options: ExecuteOptions = {}): StatementResult | undefined {
    const statements = this.cache.known(sql);
    return statements?.length === 1 ? this.runNow(statements[0] as CachedStatement, options) : undefined;
  }

  /** Runs one statement in the open transaction, or in an implicit one of its own. */
  protected runNow(statement: CachedStatement, options: ExecuteOptions): StatementResult | undefined {
    if (!this.isIdle || this.abort.signal.aborted || options.signal?.aborted || this.transaction?.isImplicit) return undefined;
    const isControl = TRANSACTION_CONTROL.has(statement.ast.kind);
    if (!isControl && (!statement.recent || statement.asOf.all.length > 0)) return undefined;
    this.limits.stopIdle();
    try {
      if (isControl) return this.controlNow(statement.ast);
      return this.transaction ? this.#runInOpen(this.transaction, statement, options) : this.#runAlone(statement, options);
    } finally {
      this.limits.startIdle(this.transaction !== undefined);
    }
  }

  #runInOpen(transaction: SessionTransaction, statement: CachedStatement, options: ExecuteOptions): StatementResult | undefined {
    if (!transaction.isOpen || this.hasSuspendedPortal() || this.injectsRetryErrors) return undefined;
    this.limits.checkTransactionLimit();
    try {
      const result = this.#runPlan(transaction, statement, options);
      if (result) {
        transaction.statementCount++;
        transaction.finishStatement();
      }
      return result;
    } catch (error) {
      if (isConflict(error) && transaction.restartStatement()) return undefined;
      this.failTransaction(error);
      throw error;
    }
  }

  /** In an implicit transaction that nobody else sees. */
  #runAlone(statement: CachedStatement, options: ExecuteOptions): StatementResult | undefined {
    const transaction = new SessionTransaction(this.engine.kv, this.defaults(), true);
    try {
      this.transaction = transaction;
      const result = this.#runPlan(transaction, statement, options);
      return result && transaction.commitNow() ? result : undefined;
    } catch (error) {
      if (isConflict(error)) return undefined;
      throw error;
    } finally {
      this.transaction = undefined;
      transaction.rollback();
    }
  }

  #runPlan(transaction: SessionTransaction, statement: CachedStatement, options: ExecuteOptions): StatementResult | undefined {
    const { ast } = statement;
    const { placeholders = NONE, placeholderTypes = NONE } = options;
    const version = this.engine.catalog.versionNow(transaction.reader);
    const found = version === undefined ? undefined : recentPlan(statement, version, this.openOptions(placeholderTypes));
    if (!found?.compiled.now) return undefined;
    const { plan, now } = found.compiled;
    const isRowChange = ast.kind !== 'select';
    const columns = isRowChange && plan.columns.length === 0 ? undefined : plan.columns;
    if (!transaction.isImplicit) transaction.nextStatement();
    if (plan.mutates) transaction.checkWritable(statementName(ast));
    requireColumns(options.columns, columns);
    if (plan.mutates || !transaction.isImplicit) transaction.noteCatalog(found.dependencies, plan.mutates, this.engine.catalog);
    const context = this.newContext(transaction, placeholders, placeholderTypes);
    const run = context.newRun(plan.slotCount, plan.cteCount);
    if (transaction.isImplicit && !plan.mutates) run.readsOnly = true;
    let rows: Datum[][] | undefined;
    try {
      rows = now(run);
    } catch (error) {
      throw nameSchema(error, context.catalogNow());
    }
    if (!rows) return undefined;
    const rowCount = isRowChange ? run.affected : rows.length;
    return { tag: insertTag(ast, rowCount), columns, rows, rowCount, notices: context.notices };
  }
}

const NONE: readonly never[] = [];
