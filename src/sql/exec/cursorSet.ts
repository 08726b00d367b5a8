/**
 * Cursor set: the open SQL cursors of a session, and which of them end with a transaction or savepoint (CU1, CU2 of
 * sqlCursors.ts, where the statements are).
 */
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { Datum } from '../../catalog/datum.ts';
import type { KeptRows } from './keptRows.ts';
import type { ResultColumn } from './resultColumn.ts';

export interface SqlCursor {
  readonly name: string;
  readonly statement: string;
  readonly columns: readonly ResultColumn[];
  readonly rows: readonly (readonly Datum[])[];
  readonly kept: KeptRows;
  readonly isScrollable: boolean;
  readonly isHeld: boolean;
  /** Microseconds since the epoch. */
  readonly declaredAt: number;
  position: number;
  /** Savepoints there were when it was declared; undefined once its transaction has committed. */
  depth: number | undefined;
}

/** The cursors of a session. */
export class SqlCursors {
  readonly #open = new Map<string, SqlCursor>();

  get isEmpty(): boolean {
    return this.#open.size === 0;
  }

  /** In the order of their declaration. */
  all(): readonly SqlCursor[] {
    return [...this.#open.values()];
  }

  has(name: string): boolean {
    return this.#open.has(name);
  }

  /** 34000 when there is none of that name. */
  get(name: string): SqlCursor {
    const cursor = this.#open.get(name);
    if (!cursor) throw new StatementError(SqlState.InvalidCursorName, `cursor "${name}" does not exist`);
    return cursor;
  }

  add(cursor: SqlCursor): void {
    this.#open.set(cursor.name, cursor);
  }

  close(name: string): void {
    this.get(name).kept.release();
    this.#open.delete(name);
  }

  closeAll(): void {
    for (const name of [...this.#open.keys()]) this.close(name);
  }

  /** The transaction is over (CU1). Gives the held cursors that it declared, for when its commit still fails. */
  endTransaction(committed: boolean): readonly string[] {
    const declared = this.all().filter((cursor) => cursor.depth !== undefined);
    for (const cursor of declared) {
      if (committed && cursor.isHeld) cursor.depth = undefined;
      else this.close(cursor.name);
    }
    return declared.filter(({ depth }) => depth === undefined).map(({ name }) => name);
  }

  /** After ROLLBACK TO, which leaves that many savepoints (CU2). */
  rolledBack(savepoints: number): void {
    for (const cursor of this.all()) if (cursor.depth !== undefined && cursor.depth >= savepoints) this.close(cursor.name);
  }

  /** After RELEASE, which leaves that many savepoints. */
  released(savepoints: number): void {
    for (const cursor of this.all()) if (cursor.depth !== undefined) cursor.depth = Math.min(cursor.depth, savepoints);
  }
}
