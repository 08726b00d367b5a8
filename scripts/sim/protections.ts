/**
 * Protections: users who hold history, and let it go again.
 */
import { formatUuid } from '../../src/catalog/datumText.ts';
import type { Bytes } from '../../src/base/bytes.ts';
import type { Session } from '../../src/sql/exec/session.ts';
import type { Dice } from './dice.ts';
import { FOREVER, NOW } from './model.ts';
import { DATABASES } from './schema.ts';
import { timeSql } from './sqlText.ts';
import { codeOf, tell, type World } from './world.ts';
import type { Zones } from './zones.ts';

const HELD_MAX = 3;

export class Protections {
  readonly #world: World;
  readonly #zones: Zones;
  readonly #session: Session;
  #isBusy = false;

  constructor(world: World, zones: Zones) {
    this.#world = world;
    this.#zones = zones;
    this.#session = world.db.newSession();
  }

  async step(dice: Dice): Promise<void> {
    if (this.#isBusy || !this.#world.catchUp()) return;
    this.#isBusy = true;
    try {
      const held = this.#zones.protections.filter((one) => one.until === FOREVER);
      if (held.length >= HELD_MAX || (held.length > 0 && dice.percent(40)))
        await this.#release(held[dice.between(0, held.length - 1)]?.id ?? '');
      else await this.#protect(dice);
    } finally {
      this.#isBusy = false;
    }
  }

  async releaseAll(): Promise<void> {
    for (const one of this.#zones.protections) if (one.until === FOREVER) await this.#release(one.id);
  }

  async #protect(dice: Dice): Promise<void> {
    const world = this.#world;
    const database = dice.pick(DATABASES);
    const name = dice.percent(60) ? dice.maybe(world.model.tableNamesAt(NOW, database)) : undefined;
    const table = name === undefined ? undefined : world.model.table(name);
    const ts = Math.max(1, world.now - dice.between(0, dice.pick([10, 10_000_000, 600_000_000])));
    const sql = `SELECT varve_internal.protect_timestamp('${name ?? database}', ${timeSql(ts)})`;
    const from = world.now;
    const changes = world.knownChanges;
    world.note(`user > ${sql}`);
    world.count('protect timestamp');
    try {
      const [result] = await this.#session.execute(sql);
      const id = formatUuid(result?.rows[0]?.[0] as Bytes);
      // What the name stood for is uncertain when it changed meanwhile: then nothing is promised.
      if (changes === world.catalogChanges) this.#zones.protections.push({ id, ts, database, table, from: world.now, until: FOREVER });
      else await this.#release(id);
      world.note(`user < ${id}`);
    } catch (error) {
      const code = codeOf(error);
      world.note(`user < ${tell(error)}`);
      world.count(`protect timestamp: ${code}`);
      if (code === '72000') {
        const to = world.now;
        world.judgeLater(() => this.#zones.checkRefusal(error, sql, from, to));
        return;
      }
      if ((code === '42P01' || code === '3D000') && changes !== world.catalogChanges) return;
      world.fail('unexpected error', `${sql}\n    ${tell(error)}`, error);
    }
  }

  async #release(id: string): Promise<void> {
    const one = this.#zones.protections.find((candidate) => candidate.id === id);
    if (one) one.until = this.#world.now;
    this.#world.count('release protection');
    this.#world.note(`user > release ${id}`);
    await this.#session.execute(`SELECT varve_internal.release_protection('${id}')`);
  }
}
