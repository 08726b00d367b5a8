/**
 * Stories: a few steps in an order in which chance alone would seldom put them. Each is about one table: a layer, a
 * change that the layers after it must get right, those layers, and a restore of the last; or rows that go and come
 * back. Everything else goes on between the steps and may spoil them, which is no harm.
 */
import type { Backups } from './backups.ts';
import type { Clients } from './clients.ts';
import { collectGarbage } from './cluster.ts';
import type { Dice } from './dice.ts';
import type { Jobs } from './jobs.ts';
import { NOW } from './model.ts';
import type { NamedTable, Schema } from './schema.ts';
import { SimFailure, settle, type World } from './world.ts';

/** Until the clock has moved on; then a story goes on without. */
const SETTLES_MAX = 500;

export class Stories {
  readonly #world: World;
  readonly #schema: Schema;
  readonly #clients: Clients;
  readonly #backups: Backups;
  readonly #jobs: Jobs;
  /** One at a time. */
  isBusy = false;

  constructor(world: World, schema: Schema, clients: Clients, backups: Backups, jobs: Jobs) {
    this.#world = world;
    this.#schema = schema;
    this.#clients = clients;
    this.#backups = backups;
    this.#jobs = jobs;
  }

  /** Begins one, about some table that has rows. */
  step(dice: Dice): void {
    const found = this.isBusy ? undefined : this.#schema.someWithRows(dice);
    if (!found) return;
    const story = dice.pick([this.#excludeForALayer, this.#indexAcrossALayer, this.#returnBesideGc]);
    this.isBusy = true;
    void story
      .call(this, dice, found)
      .catch((error: unknown) => {
        this.#world.failure ??= error instanceof SimFailure ? error : new SimFailure('crash', String(error), error);
      })
      .finally(() => {
        this.isBusy = false;
      });
  }

  /** A table is left out of a layer, loses rows meanwhile, and comes back with the next one. */
  async #excludeForALayer(dice: Dice, found: NamedTable): Promise<void> {
    if (found.table.isExcludedAt(NOW)) return;
    this.#world.count('exclude data for a layer');
    const chain = someChain(dice, found);
    await this.#backups.backUpBeside(dice, { ...chain, kind: 'new' });
    if (!(await this.#schema.setExcluded(found, true))) return;
    await this.#clients.deleteSome(found.name, dice);
    await this.#backups.backUpBeside(dice, chain);
    await this.#schema.setExcluded(found, false);
    await this.#lastLayer(dice, chain);
  }

  /** An index is filled while a layer is taken, and is public in the next one. */
  async #indexAcrossALayer(dice: Dice, found: NamedTable): Promise<void> {
    this.#world.count('fill an index across a layer');
    const chain = someChain(dice, found);
    await this.#backups.backUpBeside(dice, { ...chain, kind: 'new' });
    this.#jobs.besideNextChange = () => this.#backups.backUpBeside(dice, chain);
    await this.#schema.createIndexOn(dice, found);
    this.#jobs.besideNextChange = undefined;
    await this.#lastLayer(dice, chain);
  }

  /** Rows go, their history ends, and some are written again while their garbage is collected. */
  async #returnBesideGc(dice: Dice, found: NamedTable): Promise<void> {
    const world = this.#world;
    if (!(await this.#schema.setTtl(found, 1))) return;
    world.count('write rows again beside GC');
    await this.#clients.deleteSome(found.name, dice);
    const end = world.now + 2_000_000;
    for (let waited = 0; waited < SETTLES_MAX && world.now < end; waited++) await settle();
    collectGarbage(world);
    await this.#clients.upsertMany(found.name, dice);
    collectGarbage(world);
    await this.#schema.setTtl(found, undefined);
  }

  #lastLayer(dice: Dice, chain: Chain): Promise<void> {
    this.#backups.restoreNextLayer(chain.database);
    return this.#backups.backUpBeside(dice, chain);
  }
}

/** A chain's next layer. */
interface Chain {
  readonly database: string;
  readonly kind: 'latest';
  readonly history: boolean;
}

/** Layers of one story are of one sort: history tells of rows that went while their table was left out. */
function someChain(dice: Dice, { database }: NamedTable): Chain {
  return { database, kind: 'latest', history: dice.percent(40) };
}
