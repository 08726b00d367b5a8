/**
 * Clients: sessions that read and write at the same time, in transactions of several statements and
 * in single ones, now and in the past.
 *
 * A client that has sent a statement waits for it as long as it takes; the simulation goes on
 * meanwhile. What a committed transaction did is told to the model; a read of the past is checked
 * once everything up to its time has been told.
 */
import { StateError } from '../../src/base/errors.ts';
import { SqlState } from '../../src/base/sqlState.ts';
import type { Session } from '../../src/sql/exec/session.ts';
import type { StatementResult } from '../../src/sql/exec/statement.ts';
import type { Dice } from './dice.ts';
import {
  canonical,
  checkGiven,
  type DoneOperation,
  NOW,
  type Operation,
  type RowLock,
  type TableModel,
  type Value,
  type Where,
} from './model.ts';
import { operationSql, timeSql, valueOfDatum } from './sqlText.ts';
import type { Zones } from './zones.ts';
import { codeOf, committedWrite, readTime, SimFailure, type Stamp, tell, turnsWhile, type World } from './world.ts';

/** Ids are few, so that transactions meet. */
const ID_MAX = 24;
const TTL_SHORTEST_MICROS = 1_000_000;
/** A few statements' worth. */
const TURNS_MAX = 2000;

/** What concurrent transactions and constraints may answer to any statement. */
const EXPECTED = new Set(['40001', '23505', '23503', '23502', '23514']);
const LOCK_NOT_AVAILABLE = '55P03';
const CANCELED = SqlState.QueryCanceled;
/** What a statement may meet whose table changed since it was written. */
const OUTDATED = new Set(['42P01', '42703', '42704', '3D000', '42601', '55000', '42P10']);

type Isolation = 'SERIALIZABLE' | 'REPEATABLE READ' | 'READ COMMITTED';

interface OpenTransaction {
  operations: DoneOperation[];
  /** Marks of savepoints: how many operations came before. */
  readonly savepoints: number[];
  readonly statementsMax: number;
  statements: number;
  /** A statement failed: only ROLLBACK helps. */
  isBroken: boolean;
  /** Reads at a fixed time. */
  readonly asOf: number | undefined;
  readonly isolation: Isolation;
  /** How far the catalog had changed when it began: it sees tables as they were then. */
  readonly catalogChanges: number;
  readonly startedAt: number;
}

/** A read of the past that waits to be compared. */
interface PastRead {
  readonly operation: Operation;
  readonly time: number;
  readonly from: number;
  readonly to: number;
  /** Rows in canonical form, or the error's code. */
  readonly given?: string;
  readonly code?: string;
  readonly told: string;
}

class Client {
  readonly name: string;
  readonly session: Session;
  isBusy = false;
  /** Cancels the statement under way. */
  cancel: (() => void) | undefined;
  wasCanceled = false;
  transaction: OpenTransaction | undefined;

  constructor(name: string, session: Session) {
    this.name = name;
    this.session = session;
  }
}

export class Clients {
  readonly #world: World;
  readonly #zones: Zones;
  readonly #clients: Client[];
  /** For what stories ask for; has no transactions. */
  readonly #errand: Client;
  #pastReads: PastRead[] = [];

  constructor(world: World, zones: Zones, count: number) {
    this.#world = world;
    this.#zones = zones;
    this.#clients = Array.from({ length: count }, (_, i) => new Client(`c${i + 1}`, world.db.newSession({ nodeId: (i % 3) + 1 })));
    this.#errand = new Client('errand', world.db.newSession());
  }

  /** Some idle client takes its next step. */
  step(dice: Dice): void {
    const idle = this.#clients.filter((client) => !client.isBusy);
    const client = dice.maybe(idle);
    if (!client) return;
    if (client.transaction) this.#continue(client, client.transaction, dice);
    else this.#begin(client, dice);
  }

  /** Deletes rows of a table, or all; returns when that is done, or after a great many turns. */
  deleteSome(name: string, dice: Dice): Promise<void> {
    const where = dice.percent(50) ? someRange(dice, 'id') : { column: 'id', low: 0, high: Number.MAX_SAFE_INTEGER };
    return this.#runErrand(name, (table) => ({ kind: 'delete', table: name, keyColumns: table.primaryKey, where }));
  }

  /** Writes many rows of a table, new and old; returns when that is done, or after a great many turns. */
  upsertMany(name: string, dice: Dice): Promise<void> {
    return this.#runErrand(name, (table) => this.#insert(dice, 'upsert', name, table, ID_MAX / 2));
  }

  async #runErrand(name: string, operation: (table: TableModel) => Operation): Promise<void> {
    const client = this.#errand;
    const table = this.#world.model.table(name);
    if (client.isBusy || !table) return;
    this.#single(client, operation(table));
    await turnsWhile(() => client.isBusy, TURNS_MAX);
  }

  /** Some client cancels its statement; one that ends a transaction is left alone. */
  cancelSome(dice: Dice): void {
    const client = dice.maybe(this.#clients.filter((one) => one.isBusy && one.cancel !== undefined));
    if (!client) return;
    this.#world.count('cancel statement');
    this.#world.note(`${client.name} cancels`);
    client.wasCanceled = true;
    client.cancel?.();
  }

  /** Ends every transaction; true when all clients are idle. */
  finish(): boolean {
    for (const client of this.#clients) {
      if (!client.isBusy && client.transaction) this.#rollback(client);
    }
    return this.#all().every((client) => !client.isBusy);
  }

  #all(): Client[] {
    return [...this.#clients, this.#errand];
  }

  busyNames(): string[] {
    return this.#all()
      .filter((client) => client.isBusy)
      .map((client) => `${client.name}: ${client.session.activeQuery}`);
  }

  // ---- statements -------------------------------------------------------------------------------

  #begin(client: Client, dice: Dice): void {
    const kind = dice.weighted([
      [40, 'transaction'],
      [25, 'write'],
      [15, 'read'],
      [20, 'past'],
    ] as const);
    if (kind === 'transaction') {
      const asOf = dice.percent(10) ? this.#pastTime(dice) : undefined;
      const isolation = dice.weighted<Isolation>([
        [6, 'SERIALIZABLE'],
        [2, 'REPEATABLE READ'],
        [2, 'READ COMMITTED'],
      ]);
      client.transaction = {
        operations: [],
        savepoints: [],
        statementsMax: dice.between(1, 6),
        statements: 0,
        isBroken: false,
        asOf,
        isolation,
        catalogChanges: this.#world.knownChanges,
        startedAt: this.#world.now,
      };
      this.#world.count(asOf === undefined ? `begin ${isolation.toLowerCase()}` : 'begin as of system time');
      const sql = asOf === undefined ? `BEGIN ISOLATION LEVEL ${isolation}` : `BEGIN AS OF SYSTEM TIME ${timeSql(asOf)}`;
      this.#run(client, sql, (result) => {
        if (result.error !== undefined) {
          client.transaction = undefined;
          // Beginning reads nothing, so nothing can be too old.
          this.#unexpected(client, sql, result.error);
        }
      });
      return;
    }
    const operation = kind === 'write' ? this.#write(dice) : this.#read(dice);
    if (!operation) return;
    if (kind === 'past') this.#readPast(client, operation, this.#pastTime(dice));
    else this.#single(client, operation);
  }

  #continue(client: Client, transaction: OpenTransaction, dice: Dice): void {
    if (transaction.isBroken || transaction.statements >= transaction.statementsMax) {
      if (transaction.isBroken || dice.percent(12)) this.#rollback(client);
      else this.#commit(client, transaction);
      return;
    }
    transaction.statements++;
    if (transaction.asOf === undefined && dice.percent(10)) {
      transaction.savepoints.push(transaction.operations.length);
      this.#world.count('savepoint');
      this.#inTransaction(client, transaction, `SAVEPOINT s${transaction.savepoints.length}`, () => {});
      return;
    }
    if (transaction.savepoints.length > 0 && dice.percent(20)) {
      const at = dice.between(1, transaction.savepoints.length);
      const mark = transaction.savepoints[at - 1] as number;
      this.#world.count('rollback to savepoint');
      this.#inTransaction(client, transaction, `ROLLBACK TO SAVEPOINT s${at}`, () => {
        // What was read since still counts: a read of the transaction's own undone writes does not.
        transaction.operations.length = mark;
        transaction.savepoints.length = at;
      });
      return;
    }
    const isWrite = transaction.asOf === undefined && dice.percent(65);
    const operations = isWrite ? (dice.percent(25) ? this.#transfer(dice) : [this.#write(dice)]) : [this.#read(dice, true)];
    const operation = operations[0];
    if (!operation) return;
    if (transaction.asOf !== undefined) {
      this.#readPast(client, withoutLock(operation), transaction.asOf);
      return;
    }
    this.#world.count(`${operation.kind}${lockText(operation)} in transaction`);
    // The snapshot that the last statement ran on.
    const at = () => (transaction.isolation === 'SERIALIZABLE' ? undefined : client.session.transaction?.kvTxn?.readTimestamp);
    this.#inTransaction(client, transaction, operationSql(operation), (results) => {
      transaction.operations.push(this.#done(operation, results, at()));
      const next = operations[1];
      if (next && results[0]?.rowCount === 1) {
        this.#inTransaction(client, transaction, operationSql(next), (more) => {
          transaction.operations.push(this.#done(next, more, at()));
          // Half a transfer must not commit.
          if (more[0]?.rowCount !== 1) transaction.isBroken = true;
        });
      }
    });
  }

  #single(client: Client, operation: Operation): void {
    const changes = this.#world.knownChanges;
    const startedAt = this.#world.now;
    const sql = operationSql(operation);
    this.#world.count(operation.kind);
    this.#run(client, sql, ({ error, results, stamp }) => {
      if (error !== undefined) {
        if (committedWrite(stamp) !== undefined) this.#world.fail('error after commit', `${sql} committed and then said ${tell(error)}`);
        else if (!this.#hasOutlivedHistory(startedAt, error)) this.#judge(client, sql, error, changes);
        return;
      }
      const done = this.#done(operation, results);
      const ts = committedWrite(stamp);
      if (ts !== undefined) this.#world.acknowledge({ ts, apply: () => this.#world.model.commit(ts, [done]) });
      else this.#checkLater(readTime(stamp), [done]);
    });
  }

  #commit(client: Client, transaction: OpenTransaction): void {
    const txn = client.session.transaction?.kvTxn;
    client.transaction = undefined;
    this.#world.count('commit');
    this.#run(client, 'COMMIT', ({ error }) => {
      if (error !== undefined) {
        if (txn?.state === 'committed') this.#world.fail('error after commit', `COMMIT committed and then said ${tell(error)}`);
        else if (codeOf(error) !== '40001' && !this.#hasOutlivedHistory(transaction.startedAt, error))
          this.#unexpected(client, 'COMMIT', error);
        return;
      }
      if (!txn) return;
      const ts = txn.commitTimestamp;
      if (txn.state !== 'committed' || ts === undefined) {
        this.#world.fail('commit', `COMMIT succeeded, and its transaction is ${txn.state}`);
        return;
      }
      const { operations } = transaction;
      const { model } = this.#world;
      if (ts <= txn.readTimestamp) this.#checkLater(ts, operations);
      else if (transaction.isolation === 'SERIALIZABLE') this.#world.acknowledge({ ts, apply: () => model.commit(ts, operations) });
      else this.#world.acknowledge({ ts, apply: () => model.commitOnSnapshots(ts, operations) });
    });
  }

  #rollback(client: Client): void {
    client.transaction = undefined;
    this.#world.count('rollback');
    this.#run(client, 'ROLLBACK', ({ error }) => {
      if (error !== undefined) this.#unexpected(client, 'ROLLBACK', error);
    });
  }

  /** Reads of a transaction that wrote nothing hold at its read timestamp. */
  #checkLater(ts: number | undefined, operations: readonly DoneOperation[]): void {
    if (ts === undefined) return;
    for (const { operation, given, at = ts } of operations) {
      // A write that found nothing to write is a read too, and so gave no rows.
      const read: Operation =
        operation.kind === 'update' || operation.kind === 'delete'
          ? { kind: 'select', table: operation.table, columns: [operation.where.column], where: operation.where }
          : operation;
      this.#pastReads.push({ operation: read, time: at, from: at, to: at, given, told: 'a read-only transaction' });
    }
  }

  #readPast(client: Client, operation: Operation, time: number): void {
    const inTransaction = client.transaction !== undefined;
    const sql = operationSql(operation, inTransaction ? undefined : time);
    const from = this.#world.now;
    this.#world.count('select as of system time');
    this.#run(client, sql, ({ error, results }) => {
      const to = this.#world.now;
      const read = { operation, time, from, to, told: sql };
      if (error === undefined) {
        this.#pastReads.push({ ...read, given: rowsOf(results) });
        return;
      }
      if (client.transaction) client.transaction.isBroken = true;
      const code = codeOf(error);
      this.#world.count(`select as of system time: ${code}`);
      if (code === '72000' || OUTDATED.has(code)) this.#pastReads.push({ ...read, code, told: `${sql}: ${tell(error)}` });
      else this.#unexpected(client, sql, error);
    });
  }

  #inTransaction(client: Client, transaction: OpenTransaction, sql: string, done: (results: readonly StatementResult[]) => void): void {
    this.#run(client, sql, ({ error, results }) => {
      if (error === undefined) return done(results);
      transaction.isBroken = true;
      if (this.#hasOutlivedHistory(transaction.startedAt, error)) return;
      this.#judge(client, sql, error, transaction.catalogChanges);
    });
  }

  #run(client: Client, sql: string, done: (outcome: { error: unknown; results: readonly StatementResult[]; stamp: Stamp }) => void): void {
    client.isBusy = true;
    client.wasCanceled = false;
    const controller = new AbortController();
    client.cancel = sql === 'ROLLBACK' ? undefined : () => controller.abort(new StateError(CANCELED, 'canceled by its client'));
    const stamp: Stamp = { txns: [] };
    this.#world.note(`${client.name} > ${sql}`);
    void this.#world
      .attributed(stamp, () => client.session.execute(sql, { signal: controller.signal }))
      .then(
        (results) => ({ error: undefined, results, stamp }),
        (error: unknown) => ({ error, results: [], stamp }),
      )
      .then((outcome) => {
        client.isBusy = false;
        client.cancel = undefined;
        const last = outcome.results.at(-1);
        this.#world.note(`${client.name} < ${outcome.error === undefined ? `${last?.tag} ${last?.rows.length}` : tell(outcome.error)}`);
        done(outcome);
      });
  }

  /** What ran: with the ids that a sequence gave, which must differ and fit the rows sent. */
  #done(operation: Operation, results: readonly StatementResult[], at?: number): DoneOperation {
    const given = rowsOf(results);
    const snapshot = at === undefined ? {} : { at };
    if (operation.kind !== 'insert' || operation.generatesId !== true) return { operation, given, ...snapshot };
    const rows = (results[0]?.rows ?? []).map((row) => row.map(valueOfDatum));
    const withoutId = (list: readonly (readonly Value[])[]) => canonical(list.map((row) => row.slice(1)));
    if (withoutId(rows) !== withoutId(operation.rows)) this.#world.fail('returning', `${operationSql(operation)} returned ${given}`);
    return { operation: { ...operation, rows }, given, ...snapshot };
  }

  /** A transaction, or a statement waiting for a lock, that has been open for longer than the shortest TTL may find its snapshot collected. */
  #hasOutlivedHistory(startedAt: number, error: unknown): boolean {
    const isOld = codeOf(error) === '72000' && this.#world.now - startedAt >= TTL_SHORTEST_MICROS;
    if (isOld) this.#world.count('transaction outlived by GC');
    return isOld;
  }

  #judge(client: Client, sql: string, error: unknown, changes: number): void {
    const code = codeOf(error);
    this.#world.count(`statement: ${code}`);
    if (EXPECTED.has(code) || (code === LOCK_NOT_AVAILABLE && / NOWAIT$/.test(sql))) return;
    if (OUTDATED.has(code) && changes !== this.#world.catalogChanges) return;
    this.#unexpected(client, sql, error);
  }

  #unexpected(client: Client, sql: string, error: unknown): void {
    if (client.wasCanceled && codeOf(error) === CANCELED) {
      this.#world.count('canceled statement');
      return;
    }
    this.#world.fail('unexpected error', `${client.name}: ${sql}\n    ${tell(error)}`, error);
  }

  // ---- what to do -------------------------------------------------------------------------------

  #pastTime(dice: Dice): number {
    const { now } = this.#world;
    const ago = dice.weighted<() => number>([
      [5, () => dice.between(1, 50)],
      [4, () => dice.between(1, 20_000_000)],
      [3, () => dice.between(1, 1_000_000_000)],
      [1, () => dice.between(1, 40_000_000_000)],
    ])();
    return Math.max(1, now - ago);
  }

  #tables(filter: (table: TableModel) => boolean): string[] {
    const { model } = this.#world;
    return model.tableNamesAt(NOW).filter((name) => filter(model.table(name) as TableModel));
  }

  #read(dice: Dice, mayLock = false): Operation | undefined {
    const name = dice.maybe(this.#tables(() => true));
    const table = name === undefined ? undefined : this.#world.model.table(name);
    if (name === undefined || !table) return undefined;
    const columns = table.columnsAt(NOW).map((column) => column.name);
    const lock: RowLock | undefined =
      mayLock && dice.percent(30)
        ? { strength: dice.pick(['UPDATE', 'SHARE']), wait: dice.pick(['', '', 'NOWAIT', 'SKIP LOCKED']) }
        : undefined;
    const locking = lock && { lock };
    const index = dice.percent(40) ? dice.maybe(table.indexes.filter((one) => columns.includes(one.column))) : undefined;
    if (index) return { kind: 'select', table: name, columns, where: someRange(dice, index.column), index: index.name, ...locking };
    return { kind: 'select', table: name, columns, where: someRange(dice, 'id'), ...locking };
  }

  #write(dice: Dice): Operation | undefined {
    const name = dice.maybe(this.#tables((table) => !table.isBank));
    const table = name === undefined ? undefined : this.#world.model.table(name);
    if (name === undefined || !table) return undefined;
    const kind = dice.weighted([
      [35, 'insert'],
      [25, 'upsert'],
      [25, 'update'],
      [15, 'delete'],
    ] as const);
    switch (kind) {
      case 'insert':
      case 'upsert':
        return this.#insert(dice, kind, name, table, dice.between(1, 4));
      case 'update':
        return {
          kind,
          table: name,
          keyColumns: table.primaryKey,
          column: 'a',
          add: dice.between(1, 9),
          where: someRange(dice, dice.percent(80) ? 'id' : 'a'),
        };
      case 'delete':
        return { kind, table: name, keyColumns: table.primaryKey, where: someRange(dice, dice.percent(80) ? 'id' : 'a') };
    }
  }

  #insert(dice: Dice, kind: 'insert' | 'upsert', name: string, table: TableModel, rowCount: number): Operation {
    const columns = table.columnsAt(NOW);
    // Leaving a column out takes its default; ids from a sequence come with RETURNING.
    const listed = columns.filter((column) => table.primaryKey.includes(column.key) || column.key === 'a' || dice.percent(85));
    const ids = dice.shuffled(Array.from({ length: ID_MAX }, (_, i) => i)).slice(0, rowCount);
    const generatesId = kind === 'insert' && table.sequence !== undefined && dice.percent(50);
    const rows = ids.map((id) =>
      listed.map((column): Value => {
        if (column.name === 'id') return generatesId ? null : id;
        if (table.primaryKey.includes(column.key)) return dice.between(0, 2);
        if (column.name === 'p') return dice.percent(20) ? null : dice.between(0, ID_MAX - 1);
        if (column.type === 'STRING') return dice.percent(10) ? null : `v${dice.between(0, 999)}`;
        return dice.percent(10) ? null : dice.between(0, 99);
      }),
    );
    return { kind, table: name, columns: listed.map((column) => column.name), rows, ...(generatesId && { generatesId }) };
  }

  #transfer(dice: Dice): (Operation | undefined)[] {
    const name = dice.maybe(this.#tables((table) => table.isBank));
    if (name === undefined) return [this.#write(dice)];
    const amount = dice.between(1, 20);
    const one = (id: number): Where => ({ column: 'id', low: id, high: id + 1 });
    const [from = 0, to = 1] = dice.shuffled([0, 1, 2, 3, 4, 5, 6, 7]);
    return [
      { kind: 'update', table: name, keyColumns: ['id'], column: 'a', add: -amount, where: one(from) },
      { kind: 'update', table: name, keyColumns: ['id'], column: 'a', add: amount, where: one(to) },
    ];
  }

  // ---- the past ---------------------------------------------------------------------------------

  /** Compares what reads of the past gave; call it when the model has caught up. */
  checkPast(): void {
    const { model } = this.#world;
    for (const read of this.#pastReads.splice(0)) {
      const { operation, time, code } = read;
      const table = model.tableAt(operation.table, time);
      const columns = operation.kind === 'select' ? operation.columns : [];
      const isThere = table !== undefined && columns.every((column) => table.column(column, time) !== undefined);
      const gone = this.#zones.judge(operation.table, table, time, read.from, read.to);
      if (code === '72000') {
        if (gone === 'readable') {
          throw new SimFailure(
            'collected too early',
            `${read.told}\n    is refused, and nothing allows that: ${this.#zones.explain(operation.table, table, read.to)}`,
          );
        }
      } else if (code !== undefined) {
        // An index of today may not have been there; a table may have been another one, or none.
        const hasIndex = operation.kind === 'select' && operation.index !== undefined;
        if (isThere && !hasIndex) throw new SimFailure('past read', `${read.told}\n    says ${code}, and the model has the table`);
      } else {
        if (!isThere)
          throw new SimFailure('past read', `${read.told}\n    gave rows as of ${time}, and the model has no such table or column then`);
        if (gone === 'gone') {
          throw new SimFailure(
            'strict threshold',
            `${read.told}\n    was served below the threshold: ${this.#zones.explain(operation.table, table, read.from)}`,
          );
        }
        checkGiven(operation, read.given ?? '', model.read(operation, time), `as of ${time}: ${read.told}`);
      }
    }
  }
}

function withoutLock(operation: Operation): Operation {
  if (operation.kind !== 'select') return operation;
  const { lock: _, ...read } = operation;
  return read;
}

function lockText(operation: Operation): string {
  const lock = operation.kind === 'select' ? operation.lock : undefined;
  return lock ? ` for ${lock.strength} ${lock.wait}`.trimEnd().toLowerCase() : '';
}

function someRange(dice: Dice, column: string): Where {
  const top = column === 'id' ? ID_MAX : 120;
  if (dice.percent(40)) {
    const at = dice.between(0, top - 1);
    return { column, low: at, high: at + 1 };
  }
  const low = dice.between(0, top - 1);
  return { column, low, high: low + dice.between(1, top) };
}

function rowsOf(results: readonly StatementResult[]): string {
  return canonical((results[0]?.rows ?? []).map((row) => row.map(valueOfDatum)));
}
