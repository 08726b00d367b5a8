/**
 * Forks: the named forks of one database, as clients reach them: `app@w1` is database app in fork w1.
 *
 *   F1  a name stands for one fork from the moment somebody asks for it until the fork is dropped
 *   F2  forks of forks share the one flat list of names; `main` is the database they all come from
 *   F3  who drops a fork ends its sessions and its work; forks of it live on
 *   F4  a fork that was closed in any other way leaves the list by itself
 *
 * Forks that a program keeps for itself (`db.fork()` without a name) are in no list.
 *
 * Lives elsewhere: making one (database.ts), functions and the view (forkFunctions.ts), start-up
 * messages (pgwire/), memory (kv/memory.ts).
 */
import { StateError, StatementError, type VarveError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Clock } from '../base/clock.ts';
import type { Kv } from '../kv/kv.ts';
import type { SqlEngine } from '../sql/exec/engine.ts';
import type { CatalogServices } from '../catalog/bootstrap.ts';

/** What clients call the database that is no fork. */
export const MAIN = 'main';

const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$/;

/** What forks are made of and come to be: the database of database.ts, of which these files know no more. */
export interface Forkable<D extends Forkable<D>> {
  readonly kv: Kv;
  readonly engine: SqlEngine;
  readonly clock: Clock;
  readonly services: CatalogServices;
  /** Aborts when the database begins to close. */
  readonly closing: AbortSignal;
  /** 57P01 when it is closed. */
  requireOpen(): void;
  fork(options: { readonly among?: Forks<D> }): Promise<D>;
  close(reason?: VarveError): Promise<void>;
}

export interface ForkOptions<D> {
  /** Default: the first of fork1, fork2, ... that is free. */
  readonly name?: string;
  /** Whose fork; default the main database. */
  readonly of?: D;
  readonly createdBy?: string;
}

export interface NamedFork<D> {
  readonly name: string;
  readonly database: D;
  /** The name of the database it is a fork of; it may have been dropped since. */
  readonly parent: string;
  /** The parent's clock when it was made, in microseconds. */
  readonly createdAt: number;
  readonly createdBy: string;
}

export class Forks<D extends Forkable<D>> {
  readonly #main: D;
  /** Undefined while the fork is being made. */
  readonly #byName = new Map<string, NamedFork<D> | undefined>();

  constructor(main: D) {
    this.#main = main;
  }

  /**
   * Makes a fork. 42602 for a name that a connection string could not carry, 42710 for one that is
   * taken, 53200 when the memory budget has no room for one more.
   */
  async create(options: ForkOptions<D> = {}): Promise<NamedFork<D>> {
    const { of = this.#main, createdBy = 'root' } = options;
    const name = options.name ?? this.#freeName();
    this.#checkNew(name);
    this.#byName.set(name, undefined);
    try {
      const parent = this.nameOf(of) ?? MAIN;
      const createdAt = of.clock.nowMicros();
      const database = await of.fork({ among: this });
      // What closed the main database meanwhile did not find this one.
      if (this.#main.closing.aborted) await database.close();
      this.#main.requireOpen();
      const fork: NamedFork<D> = { name, database, parent, createdAt, createdBy };
      this.#byName.set(name, fork);
      fork.database.closing.addEventListener('abort', () => this.#forget(fork));
      return fork;
    } catch (error) {
      this.#byName.delete(name);
      throw error;
    }
  }

  /** The database of that name: a fork's or, for `main`, the one they come from. */
  find(name: string): D | undefined {
    return name === MAIN ? this.#main : this.#byName.get(name)?.database;
  }

  /** As find. Throws 3D000. */
  require(name: string): D {
    const found = this.find(name);
    if (found) return found;
    const names = this.list().map((fork) => fork.name);
    throw new StatementError(SqlState.InvalidCatalogName, `fork "${name}" does not exist`, {
      detail:
        names.length === 0
          ? 'there are no forks'
          : `there are ${[MAIN, ...names.slice(0, 20)].join(', ')}${names.length > 20 ? ', ...' : ''}`,
      hint: `SELECT varve_internal.create_fork('${name}') makes it`,
    });
  }

  /**
   * What the name of a connection's database means: `app@w1` is app in fork w1, unless the main
   * database has one of the whole name. 3D000 for an unknown fork.
   */
  async route(name: string): Promise<{ readonly database: D; readonly name: string }> {
    const at = name.lastIndexOf('@');
    const isPlain = at < 0 || (await this.#main.services.catalog.current()).database(name) !== undefined;
    if (isPlain) return { database: this.#main, name };
    return { database: this.require(name.slice(at + 1)), name: name.slice(0, at) || 'defaultdb' };
  }

  nameOf(database: D): string | undefined {
    if (database === this.#main) return MAIN;
    return this.list().find((fork) => fork.database === database)?.name;
  }

  /** By name. */
  list(): NamedFork<D>[] {
    return [...this.#byName.values()].filter((fork) => fork !== undefined).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Ends the fork's sessions and work, and frees what it alone held. False when there is none of that name. */
  async drop(name: string): Promise<boolean> {
    const fork = this.#byName.get(name);
    if (!fork) return false;
    await fork.database.close(new StateError(SqlState.AdminShutdown, `fork "${name}" was dropped`));
    return true;
  }

  /** Closes them all, with the database that they come from. */
  async close(): Promise<void> {
    for (const { database } of this.list()) await database.close();
  }

  #checkNew(name: string): void {
    if (!NAME.test(name)) {
      throw new StatementError(SqlState.InvalidName, `invalid name of a fork: "${name}"`, {
        hint: 'use up to 63 letters, digits, "_", "-" and "."; the first is no "-" and no "."',
      });
    }
    if (name !== MAIN && !this.#byName.has(name)) return;
    throw new StatementError(SqlState.DuplicateObject, `fork "${name}" already exists`, {
      hint: 'varve_internal.drop_fork(name) drops a fork',
    });
  }

  #freeName(): string {
    for (let number = 1; ; number++) if (!this.#byName.has(`fork${number}`)) return `fork${number}`;
  }

  #forget(fork: NamedFork<D>): void {
    if (this.#byName.get(fork.name) === fork) this.#byName.delete(fork.name);
  }
}
