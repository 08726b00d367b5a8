/**
 * TimeLimits: a session's time limits, on the cluster's clock.
 *
 *   statement_timeout                     from a statement's start: it is canceled (57014)
 *   transaction_timeout                   from BEGIN: the transaction is aborted (57014)
 *   idle_in_transaction_session_timeout   between statements of an open transaction: the session ends (25P03)
 *   idle_in_session_timeout               between statements outside one: the session ends (57P05)
 *
 * lock_timeout is the lock table's (Txn.lockTimeoutMicros). Each limit is a variable in milliseconds;
 * 0 is none. A change of transaction_timeout counts from the next statement, still measured from BEGIN.
 */
import type { Clock, Timer } from '../../base/clock.ts';
import { StateError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { SessionVars } from './sessionVars.ts';

/** What a limit that is reached does. */
export interface TimeLimitActions {
  cancelStatement(error: StateError): void;
  abortTransaction(error: StateError): void;
  endSession(error: StateError): void;
}

const NOTHING = (): void => {};
const canceled = (what: string) => new StateError(SqlState.QueryCanceled, `query execution canceled due to ${what} timeout`);

export class TimeLimits {
  readonly #clock: Clock;
  readonly #vars: SessionVars;
  readonly #actions: TimeLimitActions;
  #transaction: Timer | undefined;
  /** The text of transaction_timeout that the timer was set by, and when the transaction began. */
  #transactionLimit = '0';
  #begunAt = 0;
  #idle: Timer | undefined;

  constructor(clock: Clock, vars: SessionVars, actions: TimeLimitActions) {
    this.#clock = clock;
    this.#vars = vars;
    this.#actions = actions;
  }

  /** A statement starts; the function returned says that it has ended. */
  startStatement(): () => void {
    const timer = this.#timer('statement_timeout', () => this.#actions.cancelStatement(canceled('statement')));
    return timer ? () => timer.cancel() : NOTHING;
  }

  /** An explicit transaction begins. */
  startTransaction(): void {
    this.#begunAt = this.#clock.nowMicros();
    this.checkTransactionLimit();
  }

  /** Takes up a change of transaction_timeout inside the transaction. */
  checkTransactionLimit(): void {
    const limit = this.#vars.get('transaction_timeout');
    if (limit === this.#transactionLimit) return;
    this.#transaction?.cancel();
    this.#transactionLimit = limit;
    const spent = this.#clock.nowMicros() - this.#begunAt;
    this.#transaction = this.#timer('transaction_timeout', () => this.#actions.abortTransaction(canceled('transaction')), spent);
  }

  endTransaction(): void {
    if (this.#transactionLimit === '0') return;
    this.#transaction?.cancel();
    this.#transaction = undefined;
    this.#transactionLimit = '0';
  }

  /** The client has its answers, and nothing is under way. */
  startIdle(inTransaction: boolean): void {
    this.stopIdle();
    this.#idle = inTransaction
      ? this.#timer('idle_in_transaction_session_timeout', () =>
          this.#endSession(SqlState.IdleInTransactionSessionTimeout, 'idle-in-transaction'),
        )
      : this.#timer('idle_in_session_timeout', () => this.#endSession(SqlState.IdleSessionTimeout, 'idle-session'));
  }

  stopIdle(): void {
    this.#idle?.cancel();
    this.#idle = undefined;
  }

  stop(): void {
    this.stopIdle();
    this.endTransaction();
  }

  #endSession(code: SqlState, what: string): void {
    this.#actions.endSession(new StateError(code, `terminating connection due to ${what} timeout`));
  }

  #timer(variable: string, reached: () => void, spentMicros = 0): Timer | undefined {
    const text = this.#vars.get(variable);
    if (text === '0') return undefined;
    return this.#clock.setTimer(Math.max(0, Number(text) * 1000 - spentMicros), reached);
  }
}
