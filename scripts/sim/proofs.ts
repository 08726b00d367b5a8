/**
 * Proofs: at the end of a run, when nothing else is under way, what backups can prove of themselves and show in place.
 *
 *   P1  VERIFY BACKUP finds nothing wrong with any chain, whatever its jobs went through
 *   P2  a chain that is attached shows, as of any time that it claims, exactly the model's rows of that time
 *   P3  where the cluster can still read that time itself, its fingerprints are those of the attached tables
 *
 * Lives elsewhere: taking these backups (backups.ts).
 */
import { Asking, type Values, withOptions } from './asking.ts';
import type { Backups, ClaimedChain } from './backups.ts';
import type { Dice } from './dice.ts';
import { canonical, type TableModel } from './model.ts';
import { timeSql, wholeTableSql } from './sqlText.ts';
import { codeOf, SimFailure, tell, type World } from './world.ts';

/** What the attached database is called. */
const NAME = 'attached';

export class Proofs {
  readonly #world: World;
  readonly #backups: Backups;
  readonly #asking: Asking;

  constructor(world: World, backups: Backups) {
    this.#world = world;
    this.#backups = backups;
    this.#asking = new Asking(world);
  }

  async proveEverything(dice: Dice, timesEach: number): Promise<void> {
    for (const chain of this.#backups.claimedChains(dice, timesEach)) {
      await this.#verify(chain);
      await this.#lookInto(chain);
    }
    this.#asking.close();
  }

  async #verify({ from, options }: ClaimedChain): Promise<void> {
    const sql = `SELECT path, table_name, status FROM [VERIFY BACKUP ${from}${withOptions(options)}] WHERE status != 'ok'`;
    const rows = await this.#asking.rows(sql, 'verify backup');
    if (rows.length > 0) throw new SimFailure('verify backup', `${sql}\n    ${JSON.stringify(rows)}`);
    this.#world.count('backup verified');
  }

  async #lookInto(chain: ClaimedChain): Promise<void> {
    const { from, options, database, times } = chain;
    const sql = `ATTACH BACKUP ${from} DATABASE ${database} AS ${NAME}${withOptions(options)}`;
    try {
      await this.#asking.values(sql);
    } catch (error) {
      // What is dropped may be gone from a chain's newest layer.
      if (codeOf(error) === '3D000') return;
      throw new SimFailure('attach backup', `${sql}\n    ${tell(error)}`, error);
    }
    for (const time of times) await this.#compareAt(chain, time, sql);
    await this.#asking.values(`DETACH BACKUP ${NAME}`);
    this.#world.count('backup attached');
  }

  async #compareAt(chain: ClaimedChain, time: number, attached: string): Promise<void> {
    const { model } = this.#world;
    for (const full of chain.tablesAt(time)) {
      const table = model.tableAt(full, time) as TableModel;
      const name = full.slice(chain.database.length + 1);
      const sql = `${wholeTableSql(`${NAME}.public.${name}`, table, time)} AS OF SYSTEM TIME ${timeSql(time)}`;
      const expected = table.isExcludedAt(time) ? '' : model.contentAt(table, time);
      const content = canonical(await this.#asking.rows(sql, 'attached equals model'));
      if (content !== expected) {
        throw new SimFailure('attached equals model', `${attached}\n    ${sql}\n    has ${content}\n    expected ${expected}`);
      }
      this.#world.count('attached table compared');
      if (!table.isExcludedAt(time)) await this.#compareFingerprints(`${chain.database}.public.${name}`, `${NAME}.public.${name}`, time);
    }
  }

  async #compareFingerprints(here: string, there: string, time: number): Promise<void> {
    const sqlOf = (name: string) => `SHOW EXPERIMENTAL_FINGERPRINTS FROM TABLE ${name} AS OF SYSTEM TIME ${timeSql(time)}`;
    let own: Values;
    try {
      own = await this.#asking.values(sqlOf(here));
    } catch (error) {
      // The cluster has forgotten that time, or its names.
      if (codeOf(error) === '72000') return;
      throw new SimFailure('fingerprints', `${sqlOf(here)}\n    ${tell(error)}`, error);
    }
    const backedUp = await this.#asking.rows(sqlOf(there), 'fingerprints');
    if (canonical(own) !== canonical(backedUp)) {
      throw new SimFailure('fingerprints', `${sqlOf(there)}\n    ${canonical(backedUp)}\n    in the cluster ${canonical(own)}`);
    }
    this.#world.count('fingerprints compared');
  }
}
