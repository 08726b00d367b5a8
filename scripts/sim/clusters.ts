/**
 * Clusters: backups of the whole cluster, restored into new ones beside the one under simulation.
 *
 *   C1  what a new cluster holds after RESTORE FROM ... is exactly the model's tables and rows of the restored
 *       time, under the ids that they had
 *   C2  the system's own tables come with it: users, zones of what is there, and settings are those of that
 *       time, as far as the history of the cluster under simulation can still be read
 *
 * Lives elsewhere: taking these backups, and restores of single databases out of them (backups.ts).
 */
import { InlineExecutor } from '../../src/base/executor.ts';
import { ManualClock } from '../../src/base/manualClock.ts';
import { MAX_SYSTEM_ID } from '../../src/catalog/descriptor.ts';
import { Database } from '../../src/server/database.ts';
import type { Session } from '../../src/sql/exec/session.ts';
import type { Backups } from './backups.ts';
import type { Dice } from './dice.ts';
import { canonical, type TableModel } from './model.ts';
import { timeSql, valueOfDatum, wholeTableSql } from './sqlText.ts';
import { codeOf, SimFailure, tell, type World } from './world.ts';

/** What of the system's own tables is compared as it stands. */
const SYSTEM_ROWS = ['* FROM system.users', '* FROM system.role_members', 'name, value FROM system.settings'];

export class Clusters {
  readonly #world: World;
  readonly #backups: Backups;
  #count = 0;

  constructor(world: World, backups: Backups) {
    this.#world = world;
    this.#backups = backups;
  }

  /** Restores each chain of cluster backups to some times that it claims. Nothing else is under way, and nothing fails. */
  async restoreEverything(dice: Dice, timesEach: number): Promise<void> {
    for (const { uri, full, times } of this.#backups.clusterChains(dice, timesEach)) {
      for (const time of times) await this.#restore(uri, full, time);
    }
  }

  async #restore(uri: string, full: string, time: number): Promise<void> {
    const world = this.#world;
    const clock = new ManualClock(new Date(Math.ceil(world.now / 1000)).toISOString());
    await clock.advance(1000);
    const db = await Database.open({ clock, seed: `cluster ${++this.#count}`, executor: new InlineExecutor() });
    db.storage.register('mem', (parsed, context) => world.db.storage.open(parsed, context));
    const session = db.newSession();
    const sql = `RESTORE FROM '${full}' IN '${uri}' AS OF SYSTEM TIME ${timeSql(time)}`;
    try {
      await session.execute(sql);
      world.count('cluster restored');
      await this.#compareTables(session, time, sql);
      await this.#compareSystem(session, time, sql);
      const broken = db.kv.check();
      if (broken.length > 0) throw new SimFailure('engine invariant', `${sql}\n    ${broken.join('\n    ')}`);
    } catch (error) {
      throw error instanceof SimFailure ? error : new SimFailure('cluster restore', `${sql}\n    ${tell(error)}`, error);
    } finally {
      session.close();
      await db.close();
    }
  }

  /** Every table by its primary index (C1). */
  async #compareTables(session: Session, time: number, sql: string): Promise<void> {
    const { model } = this.#world;
    for (const name of model.tableNamesAt(time)) {
      const table = model.tableAt(name, time) as TableModel;
      const expected = table.isExcludedAt(time) ? '' : model.contentAt(table, time);
      const content = await contentOf(session, wholeTableSql(name, table, time));
      if (content !== expected) {
        throw new SimFailure('cluster equals model', `${sql}\n    ${name} as of ${time} has ${content}\n    expected ${expected}`);
      }
    }
    this.#world.count('cluster compared');
  }

  /** Names, ids and the system's own tables against the cluster under simulation, as of the same time (C2). */
  async #compareSystem(session: Session, time: number, sql: string): Promise<void> {
    const here = this.#world.db.newSession();
    const asOf = ` AS OF SYSTEM TIME ${timeSql(time)}`;
    const questions = SYSTEM_ROWS.map((rows) => `SELECT ${rows}`);
    const [known] = await session.execute(`SELECT id FROM system.namespace WHERE id > ${MAX_SYSTEM_ID}`);
    const ids = (known?.rows ?? []).map(([id]) => Number(id));
    questions.push(`SELECT * FROM system.zones WHERE id IN (${[0, ...ids].join(', ')})`);
    questions.push(`SELECT name, id FROM system.namespace WHERE id IN (${[0, ...ids].join(', ')})`);
    try {
      for (const question of questions) {
        const [first = '', ...rest] = question.split(' WHERE ');
        const then = await contentOf(here, `${first}${asOf}${rest.length > 0 ? ` WHERE ${rest.join(' WHERE ')}` : ''}`);
        const restored = await contentOf(session, question);
        if (restored !== then) throw new SimFailure('cluster equals source', `${sql}\n    ${question}: ${restored}\n    expected ${then}`);
      }
      this.#world.count('system tables compared');
    } catch (error) {
      // History of that time may be gone here: that is what backups are for.
      if (codeOf(error) !== '72000') throw error;
    } finally {
      here.close();
    }
  }
}

async function contentOf(session: Session, sql: string): Promise<string> {
  const [result] = await session.execute(sql);
  return canonical((result?.rows ?? []).map((row) => row.map(valueOfDatum)));
}
