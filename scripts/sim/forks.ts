/**
 * Forks: copies of the whole database, made in the middle of everything, that go their own way.
 *
 *   F1  a fork holds exactly what the model says of the moment it was made at, whatever was under way
 *   F2  what is written, dropped or collected on one side is never seen on the other
 *
 * What the parent must hold is checked where everything else of it is (leftovers.ts).
 */
import type { Database } from '../../src/server/database.ts';
import type { Dice } from './dice.ts';
import { canonical, type TableModel } from './model.ts';
import { DATABASES } from './schema.ts';
import { valueOfDatum, wholeTableSql } from './sqlText.ts';
import { SimFailure, type World } from './world.ts';

const ALIVE_MAX = 2;

interface Fork {
  readonly db: Database;
  readonly number: number;
  /** Everything that committed up to here is in it. */
  readonly at: number;
  /** What was added to every account of the banks, here only. */
  added: number;
  /** Whether it was ever compared: nothing is written before. */
  isCompared: boolean;
}

export class Forks {
  readonly #world: World;
  #alive: Fork[] = [];
  #count = 0;

  constructor(world: World) {
    this.#world = world;
  }

  async step(dice: Dice): Promise<void> {
    const fork = dice.maybe(this.#alive);
    if (fork === undefined || (this.#alive.length < ALIVE_MAX && dice.percent(40))) {
      await this.#fork();
    } else if (!fork.isCompared || dice.percent(40)) {
      await this.#compare(fork);
    } else if (dice.percent(50)) {
      await this.#write(fork, dice);
    } else {
      await this.#drop(fork);
    }
  }

  async end(): Promise<void> {
    for (const fork of [...this.#alive]) {
      await this.#compare(fork);
      await this.#drop(fork);
    }
  }

  async #fork(): Promise<void> {
    const { db, now } = this.#world;
    // The engine is forked in one step; its reading then is the fork's moment.
    const fork = db.kv.fork.bind(db.kv);
    let at = now;
    db.kv.fork = (options) => {
      at = this.#world.now;
      return fork(options);
    };
    const made = { db: await db.fork().finally(() => (db.kv.fork = fork)), number: ++this.#count, at, added: 0, isCompared: false };
    this.#alive.push(made);
    this.#world.count('fork');
    this.#world.note(`fork ${made.number} at ${at}`);
  }

  /** Every table of it, by its primary index (F1, F2). */
  async #compare(fork: Fork): Promise<void> {
    const { model } = this.#world;
    if (!this.#world.catchUp()) return;
    const session = fork.db.newSession();
    for (const name of model.tableNamesAt(fork.at)) {
      const table = model.tableAt(name, fork.at) as TableModel;
      const [result] = await session.execute(wholeTableSql(name, table, fork.at));
      const content = canonical((result?.rows ?? []).map((row) => row.map(valueOfDatum)));
      const expected = table.isBank && fork.added !== 0 ? bankAfter(table, fork) : model.contentAt(table, fork.at);
      if (content !== expected) {
        throw new SimFailure(
          'fork equals model',
          `${name} in fork ${fork.number}, made at ${fork.at}, has ${content}\n    expected ${expected}`,
        );
      }
    }
    session.close();
    fork.isCompared = true;
    this.#world.count('fork compared');
    const broken = fork.db.kv.check();
    if (broken.length > 0) throw new SimFailure('engine invariant', `in fork ${fork.number}: ${broken.join('\n    ')}`);
  }

  /** Money that only the fork has; garbage that only the fork collects; a bank that only the fork loses. */
  async #write(fork: Fork, dice: Dice): Promise<void> {
    const session = fork.db.newSession();
    fork.added++;
    for (const database of DATABASES) await session.execute(`UPDATE ${database}.bank SET a = a + 1 WHERE true`);
    session.close();
    this.#world.count('write in fork');
    this.#world.note(`fork ${fork.number} writes`);
    if (dice.percent(50)) {
      this.#world.count('gc run in fork');
      await fork.db.kv.gc.runGc();
    }
  }

  async #drop(fork: Fork): Promise<void> {
    this.#alive = this.#alive.filter((one) => one !== fork);
    this.#world.count('drop fork');
    this.#world.note(`fork ${fork.number} is dropped`);
    await fork.db.close();
  }
}

function bankAfter(table: TableModel, { at, added }: Fork): string {
  return canonical([...table.rowsAt(at).values()].map((row) => [row['id'] ?? null, Number(row['a']) + added]));
}
