/**
 * Listings: at the end of a run, what collections tell of themselves.
 *
 *   L1  SHOW BACKUPS lists exactly the layers that exist, with their times, by path and by id; with index files lost too.
 *       Only what a job left that storage kept from undoing may be there besides
 *   L2  each of them, by its id, has all its files, and VALIDATE finds nothing
 *   L3  each of them passes a restore that reads, proves and drops its data
 *
 * Lives elsewhere: taking these backups (backups.ts), proofs of their rows (proofs.ts).
 */
import type { BackupDetails } from '../../src/backup/backupDetails.ts';
import { directoryTime } from '../../src/backup/collection.ts';
import { Asking, type Values } from './asking.ts';
import type { Backups, Collection } from './backups.ts';
import type { Dice } from './dice.ts';
import type { Jobs } from './jobs.ts';
import { unfinishedLayers } from './unfinished.ts';
import { codeOf, SimFailure, tell, type World } from './world.ts';

/** What a restore that is only to prove is called. */
const CHECKED = 'checked';
/** Nothing of that name at the layer's end, or nothing at all. */
const NOTHING_CODES = new Set(['3D000', '42P01', '22023']);

interface Listed {
  readonly id: string;
  readonly layer: BackupDetails;
}

export class Listings {
  readonly #world: World;
  readonly #backups: Backups;
  readonly #jobs: Jobs;
  readonly #asking: Asking;

  constructor(world: World, backups: Backups, jobs: Jobs) {
    this.#world = world;
    this.#backups = backups;
    this.#jobs = jobs;
    this.#asking = new Asking(world);
  }

  async checkEverything(dice: Dice): Promise<void> {
    for (const collection of this.#backups.collections) {
      // Layers that are appended to a URI are no collection.
      if (collection.places.isAppended) continue;
      // Of an encrypted layer nothing but its index file tells its exact time without the key.
      if (dice.percent(50) && collection.places.secrets === 'plain') await this.#loseIndexFiles(dice, collection);
      const listed = await this.#list(collection);
      const one = dice.maybe(listed);
      if (one) await this.#show(collection, one);
      if (one && collection.database !== '' && collection.tables === undefined) await this.#verify(collection, one);
    }
    this.#asking.close();
  }

  async #loseIndexFiles(dice: Dice, { uri }: Collection): Promise<void> {
    const storage = this.#world.db.storage.open(uri, { user: 'root', nodeId: 1 });
    for (const name of await storage.list('metadata/index/')) if (dice.percent(40)) await storage.delete(name);
    await storage.close();
    this.#world.count('index files lost');
  }

  async #list(collection: Collection): Promise<Listed[]> {
    const { uri, places } = collection;
    const layers = [...this.#backups.layersOf(collection)];
    layers.sort((a, b) => b.endTime - a.endTime);
    const fulls = layers.filter(({ kind }) => kind === 'full').map(({ directory }) => `/${directory}`);
    // Where one was left that storage kept from going, another may lie by now.
    const left = unfinishedLayers(this.#jobs).filter(({ directory }) => !layers.some((layer) => layer.directory === directory));
    await this.#asking.values('SET use_backups_with_ids = false');
    const paths = (await this.#rows(`SHOW BACKUPS IN '${uri}'`)).map(String);
    this.#same(
      `SHOW BACKUPS IN '${uri}'`,
      paths.filter((path) => !left.some(({ directory }) => path === `/${directory}`)),
      fulls.sort(),
    );

    await this.#asking.values('SET use_backups_with_ids = true');
    const apart = places.restoreOptions().filter((option) => option.startsWith('incremental_location'));
    const options = ['REVISION START TIME', ...apart].join(', ');
    const sql = `SHOW BACKUPS ${places.from('').slice("FROM '' ".length)} NEWER THAN '2000-01-01' OLDER THAN '-1us' WITH ${options}`;
    // By its directory alone one that was left tells its time to a hundredth of a second, at which a whole one may end.
    const isWhole = (end: unknown) => layers.some(({ endTime }) => endTime === end);
    const rows = (await this.#rows(sql)).filter(
      ([, end]) => isWhole(end) || !left.some(({ endTime }) => end === endTime || end === directoryTime(endTime)),
    );
    const told = rows.map(([, end, from]) => `${end} from ${from}`);
    this.#same(
      sql,
      told,
      layers.map(({ endTime, revisionHistory, revisionStartTime }) => `${endTime} from ${revisionHistory ? revisionStartTime : null}`),
    );
    this.#world.count('collection listed');
    return rows.flatMap(([id], i) => (layers[i] ? { id: String(id), layer: layers[i] } : []));
  }

  async #show({ places }: Collection, { id, layer }: Listed): Promise<void> {
    const from = `${places.from(id)} WITH ${['check_files', ...places.restoreOptions()].join(', ')}`;
    const times = `SELECT DISTINCT end_time FROM [SHOW BACKUP ${from}]`;
    this.#same(times, (await this.#rows(times)).map(String), [String(layer.endTime)]);
    const validate = `SHOW BACKUP VALIDATE ${from}`;
    const [status] = await this.#rows(validate);
    if (layer.scope !== 'tables') this.#same(validate, [String(status)], ['No problems found!\n']);
    this.#world.count('backup shown');
  }

  async #verify({ places, database }: Collection, { id }: Listed): Promise<void> {
    const options = ['schema_only', 'verify_backup_table_data', `new_db_name = '${CHECKED}'`, ...places.restoreOptions()];
    const sql = `RESTORE DATABASE ${database} ${places.from(id)} WITH ${options.join(', ')}`;
    try {
      await this.#asking.values(sql);
    } catch (error) {
      if (NOTHING_CODES.has(codeOf(error) ?? '')) return;
      throw new SimFailure('verify restore', `${sql}\n    ${tell(error)}`, error);
    }
    await this.#asking.values(`DROP DATABASE ${CHECKED} CASCADE`);
    this.#world.count('data verified by a restore');
  }

  #same(sql: string, shown: readonly string[], expected: readonly string[]): void {
    if (shown.join('\n') === expected.join('\n')) return;
    throw new SimFailure('listing', `${sql}\n    shows ${shown.join(', ')}\n    expected ${expected.join(', ')}`);
  }

  #rows(sql: string): Promise<Values> {
    return this.#asking.rows(sql, 'listing');
  }
}
