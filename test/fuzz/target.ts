/**
 * A database to throw statements at, and what counts as a fault of it:
 *
 *   F1  an error that is not Varve's own, or one that says it is a bug (XX...)
 *   F2  a statement that takes longer than it may; it is cancelled then
 *   F3  something left behind: sessions, locks, bytes of sorts, results and transactions
 *
 * Statements run in one session after another, each with its own small tables in a fork of one
 * prepared database, so that no statement's doing lasts.
 */
import { isVarveError } from '../../src/base/errors.ts';
import { ManualClock } from '../../src/base/manualClock.ts';
import type { FunctionDefinition } from '../../src/sql/expr/registry.ts';
import { open, type Varve } from '../../src/index.ts';
import { callableFunctions } from './statements.ts';

const SCHEMA = `
  CREATE TABLE t (a INT PRIMARY KEY, b STRING, c DECIMAL, d JSONB, INDEX tb (b));
  INSERT INTO t VALUES (1, 'one', 1.5, '{"x": 1}'), (2, 'two', NULL, '[]'), (3, NULL, -3, NULL);
  CREATE TABLE u (a INT REFERENCES t (a) ON DELETE CASCADE, b STRING DEFAULT 'b', INDEX ub (b));
  INSERT INTO u VALUES (1, 'x'), (2, 'y');
  CREATE TABLE w (a INT PRIMARY KEY);
  CREATE VIEW v AS SELECT a, b FROM t WHERE a > 1;
  CREATE SEQUENCE s;
  CREATE TYPE level AS ENUM ('low', 'high');
  CREATE USER testuser;
`;

/** What a statement may take, on a machine that has other things to do. */
const STATEMENT_MS_MAX = 20_000;

export interface Outcome {
  /** The SQLSTATE, or `ok`. */
  readonly code: string;
  readonly ms: number;
  /** What is wrong with it; undefined when nothing is. */
  readonly fault: string | undefined;
}

export class FuzzTarget {
  readonly #prepared: Varve;
  readonly functions: readonly FunctionDefinition[];

  private constructor(prepared: Varve) {
    this.#prepared = prepared;
    this.functions = callableFunctions(prepared.database.engine.functions);
  }

  static async open(): Promise<FuzzTarget> {
    const prepared = await open({
      seed: 'fuzz',
      clock: new ManualClock('2026-11-20T00:00:00Z'),
      memoryBytes: 256 * 2 ** 20,
    });
    await prepared.query(SCHEMA);
    return new FuzzTarget(prepared);
  }

  /** Runs texts one after another in a session of a fresh fork, then looks at what they left there. */
  async run(texts: readonly string[]): Promise<Outcome[]> {
    const db = await this.#prepared.fork();
    const { engine } = db.database;
    const own = engine.sessions().length;
    const session = await db.database.openSession({ user: 'root', database: 'defaultdb' });
    const outcomes: Outcome[] = [];
    for (const text of texts) {
      const start = performance.now();
      const watchdog = new AbortController();
      const { signal } = watchdog;
      const timer = setTimeout(() => watchdog.abort(), STATEMENT_MS_MAX);
      let code = 'ok';
      let fault: string | undefined;
      try {
        await session.execute(text, { signal });
      } catch (error) {
        if (!isVarveError(error)) fault = error instanceof Error ? (error.stack ?? error.message) : String(error);
        else if (error.code.startsWith('XX')) fault = error.stack;
        code = isVarveError(error) ? error.code : '-----';
      }
      clearTimeout(timer);
      const ms = performance.now() - start;
      if (signal.aborted && !WAITS.test(text)) fault ??= `took ${ms.toFixed(0)} ms`;
      outcomes.push({ code, ms, fault });
    }
    session.close();
    const left = engine.sessions().length - own;
    const { budget } = db.database.kv.memory;
    const held = budget.buffered('sorts') + budget.buffered('results') + budget.buffered('transactions');
    if (left !== 0 || held !== 0) {
      outcomes.push({ code: 'left', ms: 0, fault: `${left} sessions, ${held} bytes left behind` });
    }
    await db.close();
    return outcomes;
  }

  close(): Promise<void> {
    return this.#prepared.close();
  }
}

/** Statements that may wait for ever on a clock that nobody moves. */
const WAITS = /\b(pg_sleep|WHEN\s+COMPLETE|BACKUP|RESTORE|advisory)/i;
