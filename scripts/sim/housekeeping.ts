/**
 * Housekeeping: at any step of a run, while backups, restores and faults go on, some chain is compacted, looked at, proved, or deleted.
 *
 *   K1  none of it changes what the layers that remain bring back: the restores beside it and at the end see to that
 *   K2  what it takes away it says (deletions.ts)
 *   K3  a proof finds nothing wrong, and a listing answers, unless storage fails or something of the chain was under way
 *
 * Lives elsewhere: the same in peace, at the end of a run (upkeep.ts, proofs.ts, listings.ts).
 */
import { encodeBackupId } from '../../src/backup/backupId.ts';
import { fullDirectoryTime } from '../../src/backup/collection.ts';
import type { Timestamp } from '../../src/base/timestamp.ts';
import { withOptions } from './asking.ts';
import type { Backups, Collection } from './backups.ts';
import type { Dice } from './dice.ts';
import { type Jobs, STORAGE_CODES } from './jobs.ts';
import { DATABASES } from './schema.ts';
import { timeSql } from './sqlText.ts';
import { codeOf, tell, type World } from './world.ts';

/** What deeds may meet without any fault: nothing to do, done already, in use, gone, canceled, paused, a conflict. */
const DEED_CODES = new Set(['22023', '58P02', '58P01', '55006', '55000', '57014', '57P03', '40001']);
/** A look at what is there may find nothing. */
const LOOK_CODES = new Set(['57014', '40001', '57P03']);

/** Nothing of that name at that time. */
const DRY_CODES = new Set([...LOOK_CODES, '3D000', '22023', '42P01']);

export class Housekeeping {
  readonly #world: World;
  readonly #backups: Backups;
  readonly #jobs: Jobs;

  constructor(world: World, backups: Backups, jobs: Jobs) {
    this.#world = world;
    this.#backups = backups;
    this.#jobs = jobs;
  }

  step(dice: Dice): void {
    const collection = dice.maybe(this.#backups.collections.filter(({ places }) => !places.isAppended));
    const full = collection && dice.maybe(this.#backups.fullsOf(collection.uri));
    if (!collection || full === undefined) return;
    dice.weighted<() => void>([
      [40, () => this.#compact(dice, collection, full)],
      [15, () => this.#expire(dice, collection)],
      [15, () => this.#delete(dice, collection, full)],
      [15, () => this.#look(dice, collection, full)],
      [10, () => this.#verify(dice, collection, full)],
      [5, () => this.#dryRun(collection, full)],
      [5, () => this.#addKey(collection, full)],
    ])();
  }

  #compact(dice: Dice, collection: Collection, full: string): void {
    const { places } = collection;
    const layers = this.#backups.layersOf(collection).filter(({ directory }) => directory.includes(full));
    if (layers.length < 3) return;
    const bound = (word: string) => {
      const layer = dice.percent(25) ? dice.maybe(layers) : undefined;
      return layer === undefined ? '' : ` ${word} ${timeSql(layer.endTime)}`;
    };
    const options = [...(dice.percent(40) ? ['detached'] : []), ...places.backupOptions()];
    const source = places.into(full).replace('INTO ', '');
    this.#do('compact', `COMPACT BACKUP ${source}${bound('FROM')}${bound('TO')}${withOptions(options)}`, DEED_CODES);
  }

  #expire(dice: Dice, { places }: Collection): void {
    const rules = dice.pick([
      [`${dice.between(1, 3)} FULLS`],
      [`'${dice.between(1, 72)} hours'`],
      [`'${dice.between(1, 600)} seconds'`, `${dice.between(1, 3)} FULLS`],
    ]);
    const keep = rules.map((rule) => `KEEP ${rule}`).join(', ');
    const options = [...(dice.percent(25) ? ['preview'] : []), ...apartOf(places.backupOptions())];
    this.#do('expire', `EXPIRE BACKUPS IN ${placesOf(places)} ${keep}${withOptions(options)}`, DEED_CODES);
  }

  #delete(dice: Dice, collection: Collection, full: string): void {
    const { places } = collection;
    const layer = dice.maybe(this.#backups.layersOf(collection));
    const fullTime = fullDirectoryTime(full);
    const isOfChain = layer?.directory.startsWith(`incrementals/${full}/`);
    const id = fullTime && isOfChain && dice.percent(50) ? encodeBackupId(fullTime, layer?.endTime as Timestamp, false) : undefined;
    const options = [...(dice.percent(25) ? ['preview'] : []), ...(dice.percent(50) ? ['force'] : []), ...apartOf(places.backupOptions())];
    this.#do(
      id === undefined ? 'delete' : 'delete layers',
      `DELETE BACKUP '${id ?? full}' IN ${placesOf(places)}${withOptions(options)}`,
      DEED_CODES,
    );
  }

  #look(dice: Dice, { uri, places }: Collection, full: string): void {
    const { uri: at } = places;
    const sql = dice.pick([
      () => `SHOW BACKUPS IN '${uri}'`,
      () => `SHOW BACKUPS IN '${uri}' NEWER THAN '2000-01-01'`,
      () => `SHOW BACKUP ${places.from(full)}${withOptions([...places.restoreOptions(), 'check_files'])}`,
      () => `SHOW BACKUP SCHEMAS ${places.from(full)}${withOptions([...places.restoreOptions(), 'privileges'])}`,
      () => `SHOW BACKUP FILES ${places.from(full)}${withOptions(places.restoreOptions())}`,
      () => `SHOW BACKUP RANGES ${places.from(full)}${withOptions([...places.restoreOptions(), 'debug_ids'])}`,
      () => `SHOW BACKUP VALIDATE ${places.from(full)}${withOptions(places.restoreOptions())}`,
      () => `SHOW BACKUP ${places.from(full)}${withOptions([...places.restoreOptions(), 'as_json'])}`,
    ])();
    this.#do('look', sql, LOOK_CODES, { uri: at, full });
  }

  /** What a restore would do; what it meets then may be gone by now, or be something else. */
  #dryRun({ places, database, uri }: Collection, full: string): void {
    const options = ['dry_run', `new_db_name = 'dry'`, ...places.restoreOptions()];
    const sql = `RESTORE DATABASE ${database === '' ? DATABASES[0] : database} ${places.from(full)}${withOptions(options)}`;
    this.#do('dry run', sql, DRY_CODES, { uri, full });
  }

  #verify(dice: Dice, collection: Collection, full: string): void {
    const { places, uri } = collection;
    const time = dice.percent(50)
      ? dice.maybe(this.#backups.layersOf(collection).filter(({ directory }) => directory.includes(full)))?.endTime
      : undefined;
    const asOf = time === undefined || time > this.#world.now ? '' : ` AS OF SYSTEM TIME ${timeSql(time)}`;
    this.#do('verify', `VERIFY BACKUP ${places.from(full)}${asOf}${withOptions(places.restoreOptions())}`, LOOK_CODES, { uri, full });
  }

  /** A key more; restores go on with the old ones. */
  #addKey({ places }: Collection, full: string): void {
    if (places.secrets !== 'kms') return;
    this.#do(
      'add a key',
      `ALTER BACKUP ${places.into(full).replace('INTO ', '')} ADD NEW_KMS = 'mem-kms:///k3' WITH OLD_KMS = 'mem-kms:///k1'`,
      DEED_CODES,
    );
  }

  /** `about`: a chain that is only looked at: what is wrong with it must have a reason. */
  #do(what: string, sql: string, allowed: ReadonlySet<string>, about?: { readonly uri: string; readonly full: string }): void {
    const world = this.#world;
    world.count(`housekeeping: ${what}`);
    this.#backups.start(sql, (error, from) => {
      if (error === undefined) return;
      const code = codeOf(error);
      world.count(`housekeeping: ${what}: ${code}`);
      if (allowed.has(code)) return;
      this.#jobs.judgeLater(() => {
        if (STORAGE_CODES.has(code) && (this.#jobs.mayMeetDamage(from) || (about && this.#isMoving(about, from)))) return;
        world.fail('housekeeping', `${sql}\n    ${tell(error)}`, error);
      });
    });
  }

  /** Something wrote to the collection, or took something away, from `from` on. */
  #isMoving({ uri, full }: { readonly uri: string; readonly full: string }, from: number): boolean {
    const isAtWork = [...this.#jobs.watched.values()].some(
      ({ type, record }) => /BACKUP/.test(type) && (record.finished ?? Number.POSITIVE_INFINITY) >= from,
    );
    return isAtWork || this.#backups.deletions.touched(uri, full, from);
  }
}

function placesOf(places: Collection['places']): string {
  return places.into('latest').replace('INTO LATEST IN ', '');
}

function apartOf(options: readonly string[]): string[] {
  return options.filter((option) => option.startsWith('incremental_location'));
}
