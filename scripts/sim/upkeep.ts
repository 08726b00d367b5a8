/**
 * Upkeep: at the end of a run, when nothing else is under way, chains of backups are compacted, and later some expire.
 *
 *   U1  a chain of a full and two or more incrementals can be compacted, in whatever places and under whatever keys it lies. What
 *       it brings back then is what it brought back before: the restores and proofs that follow see to that
 *   U2  after EXPIRE BACKUPS the fulls that a rule keeps are listed, and no others; the newest is proved once more
 *
 * Lives elsewhere: taking these backups (backups.ts), restoring and proving them (backups.ts, proofs.ts).
 */
import { Asking, withOptions } from './asking.ts';
import type { Backups } from './backups.ts';
import type { Dice } from './dice.ts';
import { codeOf, SimFailure, tell, type World } from './world.ts';

export class Upkeep {
  readonly #world: World;
  readonly #backups: Backups;
  readonly #asking: Asking;

  constructor(world: World, backups: Backups) {
    this.#world = world;
    this.#backups = backups;
    this.#asking = new Asking(world);
  }

  /** Compacts about half of the chains. */
  async compactSome(dice: Dice): Promise<void> {
    for (const { full, places } of this.#backups.keptChains()) {
      if (dice.percent(50)) continue;
      const sql = `COMPACT BACKUP ${places.into(full).replace('INTO ', '')}${withOptions(places.backupOptions())}`;
      try {
        await this.#asking.values(sql);
        this.#world.count('chain compacted');
      } catch (error) {
        // Too few layers; compacted already; or where storage garbled one that was to be taken back, it lies in the way.
        const code = codeOf(error);
        const isDamaged = code === 'XX001' && this.#world.hadFaultsSince(0);
        if (!isDamaged && !['22023', '58P02'].includes(code)) throw new SimFailure('compact backup', `${sql}\n    ${tell(error)}`, error);
      }
    }
  }

  /** Lets all but the newest one or two fulls of each collection go. */
  async expireAll(dice: Dice): Promise<void> {
    const collections = new Map(this.#backups.keptChains().map(({ places }) => [places.uri, places]));
    for (const places of collections.values()) {
      const count = dice.between(1, 2);
      const list = places.into('latest').replace('INTO LATEST IN ', '');
      const apart = places.backupOptions().filter((option) => option.startsWith('incremental_location'));
      const before = await this.#rows(`SHOW BACKUPS IN ${list}`);
      const rows = await this.#rows(`EXPIRE BACKUPS IN ${list} KEEP ${count} FULLS${withOptions(apart)}`);
      const expected = before.slice(-count);
      const left = await this.#rows(`SHOW BACKUPS IN ${list}`);
      if (left.join() !== expected.join()) {
        throw new SimFailure(
          'expire backups',
          `of ${before.join()} of ${places.uri} ${left.join()} are left, expected ${expected.join()}; ${rows.join('; ')}`,
        );
      }
      this.#world.count('collection expired');
    }
    this.#asking.close();
  }

  async #rows(sql: string): Promise<string[]> {
    return (await this.#asking.rows(sql, 'expire backups')).map((row) => row.map(String).join(' '));
  }
}
