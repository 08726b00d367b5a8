/**
 * Backups: collections that grow layer by layer, and what they must be able to bring back.
 *
 * A statement runs in a session of its own for as long as its job takes. Which layers exist, and what
 * they claim, is taken from the records of jobs that succeeded, not from the storage; then
 *
 *   B1  a restore to any time that a succeeded layer claims succeeds (unless storage fails meanwhile),
 *       and brings back exactly the model's tables and rows of that time
 *   B2  a restore to a time that no layer claims is refused with 22023
 *   B3  a layer is refused only for a reason: its chain's time is not readable any more, another backup
 *       is at work there, the targets have changed, or storage failed
 */
import { BACKUP_JOB_TYPE, type BackupDetails, detailsFromJson } from '../../src/backup/backupDetails.ts';
import { fullOfDirectory } from '../../src/backup/collection.ts';
import { defaultUri } from '../../src/backup/locationDetails.ts';
import type { Session } from '../../src/sql/exec/session.ts';
import { Deletions } from './deletions.ts';
import type { Dice } from './dice.ts';
import { type Jobs, STORAGE_CODES } from './jobs.ts';
import { unfinishedLayers } from './unfinished.ts';
import { canonical, NOW, type TableModel } from './model.ts';
import { Places } from './places.ts';
import {
  asideOptions,
  formOf,
  hasNoPast,
  isSomeRow,
  nameOption,
  pastOption,
  restoredInto,
  type RestoreForm,
  SOME_ROWS,
} from './restoreForms.ts';
import { BANK_MONEY, DATABASES } from './schema.ts';
import { timeSql, valueOfDatum, wholeTableSql } from './sqlText.ts';
import type { Zones } from './zones.ts';
import { codeOf, SimFailure, settle, tell, turns, turnsWhile, type World } from './world.ts';

const SESSIONS = 4;
/** About three backups' worth. */
const TURNS_BESIDE_MAX = 6000;

export interface Collection {
  readonly uri: string;
  readonly places: Places;
  /** Of a cluster: '' for all. */
  readonly database: string;
  /** Undefined: the whole database. */
  readonly tables: readonly string[] | undefined;
}

/** Of the whole cluster; where clusters.ts can read it. */
const CLUSTER: Collection = collectionIn(new Places('cluster', 'mem', 'at one URI'), '', undefined);

function collectionIn(places: Places, database: string, tables: readonly string[] | undefined): Collection {
  return { uri: places.uri, places, database, tables };
}

/** A new full, the newest chain's next incremental, or that of some chain. */
type LayerKind = 'new' | 'latest' | 'subdir';

/** Of a backup that something waits for: what it is of, which, and whether it holds history; by chance where it is not said. */
interface Beside {
  /** Whole. */
  readonly database?: string;
  readonly kind?: LayerKind;
  readonly history?: boolean;
}

/** A layer whose job succeeded. */
interface Layer {
  readonly full: string;
  readonly details: BackupDetails;
}

/** A chain as proofs.ts looks at it: in SQL, and in the model. */
export interface ClaimedChain {
  /** `FROM 'full' IN 'uri'`. */
  readonly from: string;
  readonly options: readonly string[];
  readonly database: string;
  readonly times: readonly number[];
  /** Full names of what it holds of the database at a time. */
  tablesAt(time: number): readonly string[];
}

/** A restore that has succeeded and waits to be compared, then dropped. */
interface Restored {
  readonly collection: Collection;
  readonly full: string;
  readonly time: number;
  readonly into: string;
  readonly sql: string;
  readonly form: RestoreForm;
  /** Of which table some rows are restored, instead of everything. */
  readonly table: string | undefined;
}

export class Backups {
  readonly #world: World;
  readonly #jobs: Jobs;
  readonly #zones: Zones;
  readonly #idle: Session[];
  readonly #checker: Session;
  readonly #collections: Collection[] = [];
  readonly #layers = new Map<string, Layer[]>();
  /** Those of them that have been deleted: what was restored from them before is still to be compared. */
  readonly #gone = new Set<Layer>();
  /** By the database restored into: asked for, and not yet seen to have ended. */
  readonly #asked = new Map<string, Restored>();
  /** Collections of which the next layer is to be restored, one that is of this time or later. */
  readonly #wanted = new Map<string, number>();
  /** Collections whose newest chain could not go on, for its end had been collected. */
  readonly #ended = new Set<string>();
  #restored: Restored[] = [];
  #number = 0;
  busy = 0;
  readonly deletions: Deletions;

  constructor(world: World, jobs: Jobs, zones: Zones) {
    this.#world = world;
    this.#jobs = jobs;
    this.#zones = zones;
    this.#idle = Array.from({ length: SESSIONS }, () => world.db.newSession());
    this.#checker = world.db.newSession();
    for (const database of DATABASES) this.#collections.push(collectionIn(this.#newPlaces(database), database, undefined));
    this.#collections.push(CLUSTER);
    this.deletions = new Deletions(world, jobs, (uri, directories) => this.#forget(uri, directories));
    jobs.backUp = (dice) => this.backUpBeside(dice);
    jobs.onTerminal((job) => {
      // A restore that was paused goes on after its statement has ended, so the job tells.
      const into = job.type === 'RESTORE' ? restoredInto(job.record.description) : undefined;
      const asked = into === undefined ? undefined : this.#asked.get(into);
      if (asked && job.record.status === 'succeeded') this.#restored.push(asked);
      if (job.type !== BACKUP_JOB_TYPE || job.record.status !== 'succeeded') return;
      const details = detailsFromJson(job.record.details);
      const full = details.kind === 'full' ? details.directory : details.directory.split('/').slice(1, 4).join('/');
      const at = uriOf(details);
      const layers = this.#layers.get(at) ?? [];
      this.#layers.set(at, layers);
      layers.push({ full, details });
      world.note(
        `layer ${details.directory} of ${at}: (${details.startTime}, ${details.endTime}]${details.revisionHistory ? ` history from ${details.revisionStartTime}` : ''}`,
      );
      const wanted = this.#collections.find(({ uri }) => uri === at && details.endTime >= (this.#wanted.get(uri) ?? Infinity));
      if (!wanted) return;
      this.#wanted.delete(at);
      this.#restoreTo(wanted, full, details.endTime);
    });
  }

  /** In memory, or in tables of the database itself; in one place or several. */
  #newPlaces(name: string): Places {
    const places = Places.choose(this.#world.dice.fork(`collection ${name}`), name);
    this.#world.count(`collection in ${places.uri.startsWith('userfile') ? 'userfile' : 'mem'}`);
    this.#world.count(`collection ${places.form}`);
    if (places.secrets !== 'plain') this.#world.count(`collection encrypted by ${places.secrets}`);
    return places;
  }

  get collections(): readonly Collection[] {
    return this.#collections;
  }

  /** The directories of layers that exist, for leftovers.ts. */
  layersOf({ uri }: Collection): readonly BackupDetails[] {
    return this.#layersAt(uri).map(({ details }) => details);
  }

  #forget(uri: string, directories: readonly string[]): void {
    for (const layer of this.#layers.get(uri) ?? []) if (directories.includes(layer.details.directory)) this.#gone.add(layer);
    for (const directory of directories) this.#world.note(`no layer ${directory} of ${uri} any more`);
  }

  #layersAt(uri: string): Layer[] {
    return (this.#layers.get(uri) ?? []).filter((layer) => !this.#gone.has(layer));
  }

  // ---- backup -----------------------------------------------------------------------------------

  backup(dice: Dice, beside?: Beside): void {
    const collection = beside?.database === undefined ? this.#someCollection(dice) : this.#collectionOf(beside.database);
    if (!collection) return;
    const { uri, places, database, tables } = collection;
    const fulls = this.fullsOf(uri);
    const kind = beside?.kind ?? this.#someKind(dice, collection, fulls.length > 0, beside !== undefined);
    const history = beside?.history ?? dice.percent(60);
    const now = this.#world.now;
    const asOf = !beside && dice.percent(25) ? Math.max(1, now - dice.between(0, dice.pick([10, 1_000_000, 100_000_000]))) : undefined;
    const targets = tables ? `TABLE ${tables.join(', ')} ` : database === '' ? '' : `DATABASE ${database} `;
    if (database === '') this.#world.count('backup of the cluster');
    const into = places.into(kind === 'subdir' ? (dice.maybe(fulls) ?? 'latest') : kind);
    const options = [
      ...(history ? ['revision_history'] : []),
      ...(!beside && dice.percent(40) ? ['detached'] : []),
      ...places.backupOptions(),
      ...(beside ? [] : this.#someLocality(dice)),
      ...(!beside && places.hasLocalities && dice.percent(5) ? ['STRICT STORAGE LOCALITY'] : []),
    ];
    const sql = `BACKUP ${targets}${into}${asOf === undefined ? '' : ` AS OF SYSTEM TIME ${timeSql(asOf)}`}${options.length ? ` WITH ${options.join(', ')}` : ''}`;
    this.#world.count(
      `backup ${kind === 'new' ? 'full' : 'incremental'}${history ? ' with revision_history' : ''}${asOf === undefined ? '' : ' as of system time'}`,
    );
    this.start(sql, (error, from) => {
      if (error === undefined) return;
      const code = codeOf(error);
      this.#world.count(`backup: ${code}`);
      if (code === '72000') {
        if (kind === 'latest' || places.isAppended) this.#ended.add(uri);
        const to = this.#world.now;
        this.#world.judgeLater(() => this.#zones.checkRefusal(error, sql, from, to));
      } else if (!this.#isExpected(code, BACKUP_CODES, from)) {
        this.#jobs.judgeLater(() => {
          if (this.deletions.touched(uri, undefined, from) && STORAGE_CODES.has(code)) return;
          this.#world.fail('unexpected error', `${sql}\n    ${tell(error)}`, error);
        });
      }
    });
  }

  #collectionOf(ofDatabase: string): Collection | undefined {
    return this.#collections.find(({ database, tables }) => tables === undefined && database === ofDatabase);
  }

  #someCollection(dice: Dice): Collection | undefined {
    // To a chain that is appended to and cannot go on, nothing can be added.
    const open = this.#collections.filter(({ uri, places }) => !(places.isAppended && this.#ended.has(uri)));
    return dice.percent(15) ? this.#newTableCollection(dice) : dice.maybe(open);
  }

  /** A full, or the place of an incremental. Where no incremental is possible any more a full comes next, as people do. */
  #someKind(dice: Dice, { uri, places }: Collection, hasFull: boolean, isBeside: boolean): LayerKind {
    if (!hasFull || (!places.isAppended && this.#ended.delete(uri))) return 'new';
    if (isBeside || places.isAppended) return 'latest';
    return dice.weighted<LayerKind>([
      [25, 'new'],
      [60, 'latest'],
      [15, 'subdir'],
    ]);
  }

  /** Nodes of one region, or none: of what the session's own node cannot run the statement says that it is elsewhere. */
  #someLocality(dice: Dice): string[] {
    if (!dice.percent(10)) return [];
    this.#world.count('execution locality');
    return [`EXECUTION LOCALITY = 'region=r${dice.between(1, 4)}'`];
  }

  /** Starts a backup beside something that waits; goes on when it has ended, or after a great many turns. */
  async backUpBeside(dice: Dice, beside: Beside = {}): Promise<void> {
    const before = this.busy;
    this.backup(dice, beside);
    await turnsWhile(() => this.busy > before, TURNS_BESIDE_MAX);
    await turns(dice.between(0, 200));
  }

  #newTableCollection(dice: Dice): Collection | undefined {
    const existing = this.#collections.filter((one) => one.tables !== undefined);
    if (existing.length >= 2) return dice.maybe(existing);
    const database = dice.pick(DATABASES);
    const tables = dice.shuffled(this.#world.model.tableNamesAt(NOW, database)).slice(0, dice.between(1, 3));
    if (tables.length === 0) return undefined;
    const collection = collectionIn(this.#newPlaces(`tables${existing.length}`), database, tables);
    this.#collections.push(collection);
    return collection;
  }

  fullsOf(uri: string): string[] {
    return [
      ...new Set(
        this.#layersAt(uri)
          .filter(({ details }) => details.kind === 'full')
          .map(({ full }) => full),
      ),
    ];
  }

  // ---- restore ----------------------------------------------------------------------------------

  /** Restores a database's next layer once it is there. */
  restoreNextLayer(ofDatabase: string): void {
    const found = this.#collectionOf(ofDatabase);
    if (found) this.#wanted.set(found.uri, this.#world.now);
  }

  restore(dice: Dice): void {
    const collection = ofOneDatabase(dice.maybe(this.#collections), dice);
    const full = collection && dice.maybe(this.fullsOf(collection.uri));
    if (!collection || full === undefined) return;
    this.#restoreTo(collection, full, this.#someTime(dice, collection, full));
  }

  /** A claimed time, mostly; else one near the claims. */
  #someTime(dice: Dice, collection: Collection, full: string): number {
    const claims = this.#claims(collection.uri, full);
    const claim = dice.maybe(claims);
    if (!claim) return 1;
    const kind = dice.weighted([
      [3, 'to'],
      [2, 'from'],
      [6, 'inside'],
      [2, 'near'],
    ] as const);
    switch (kind) {
      case 'to':
        return claim.to;
      case 'from':
        return claim.from;
      case 'inside':
        return dice.between(claim.from, claim.to);
      case 'near':
        return Math.max(
          1,
          (dice.percent(50) ? claim.from - 1 : claim.to + 1) + (dice.percent(50) ? 0 : dice.between(-1_000_000, 1_000_000)),
        );
    }
  }

  #claims(uri: string, full: string): { from: number; to: number }[] {
    const layers = this.#layersAt(uri).filter((layer) => layer.full === full);
    return layers.map(({ details }) => ({
      from: details.revisionHistory ? Math.max(details.revisionStartTime, details.startTime + 1) : details.endTime,
      to: details.endTime,
    }));
  }

  #restoreTo(collection: Collection, full: string, time: number): void {
    const { uri, places, database, tables } = collection;
    // A time that is not past cannot be asked for.
    if (time > this.#world.now) return;
    const into = `r${++this.#number}`;
    const isClaimed = this.#claims(uri, full).some(({ from, to }) => from <= time && time <= to);
    // A layer under way may come to hold the time at any moment.
    const mayChange = this.#jobs.hasNews || this.#jobs.active().length > 0 || this.busy > 0;
    const at = `${places.from(full)} AS OF SYSTEM TIME ${timeSql(time)}`;
    const asides = asideOptions(this.#number);
    for (const aside of asides) this.#world.count(`restore with ${aside}`);
    const options = [...places.restoreOptions(), ...asides].map((option) => `, ${option}`).join('');
    const form = formOf(this.#number);
    const found = form === 'rows' && isClaimed ? this.#targetsAt(collection, full, time) : [];
    const table = found[this.#number % found.length];
    this.#world.count(isClaimed ? 'restore' : 'restore outside');
    this.#world.count(`restore form: ${form}`);
    const some = `CREATE DATABASE ${into}; RESTORE TABLE ${table} ${at} WHERE ${SOME_ROWS} WITH into_db = '${into}', skip_missing_foreign_keys, skip_missing_sequences${options}`;
    const whole = tables
      ? `CREATE DATABASE ${into}; RESTORE TABLE ${database}.* ${at} WITH into_db = '${into}', skip_missing_foreign_keys, skip_missing_sequences${pastOption(form)}${options}`
      : `RESTORE DATABASE ${database} ${at} WITH ${nameOption(form, database, into)}${pastOption(form)}${options}`;
    const sql = table === undefined ? whole : some;
    this.#asked.set(into, { collection, full, time, into, sql, form, table });
    this.start(sql, (error, from) => {
      if (error === undefined) {
        if (!isClaimed && !mayChange && !this.deletions.touched(uri, full, from))
          this.#world.fail('restore outside', `${sql}\n    succeeded, and no layer claims that time`);
        return;
      }
      const code = codeOf(error);
      this.#world.count(`restore: ${code}`);
      if (form === 'past' && hasNoPast(error)) return;
      if (isClaimed ? this.#isExpected(code, RESTORE_CODES, from) : code === '22023' || this.#isExpected(code, RESTORE_CODES, from)) return;
      // Without a table at that time there is nothing to restore.
      const hasTargets = tables ? this.#targetsAt(collection, full, time).length > 0 : this.#world.model.hasDatabaseAt(database, time);
      if (!hasTargets && NOTHING_CODES.has(code)) return;
      this.#jobs.judgeLater(() => {
        if (this.deletions.touched(uri, full, from) && (STORAGE_CODES.has(code) || code === '22023')) return;
        this.#world.fail(isClaimed ? 'restore' : 'restore outside', `${sql}\n    ${tell(error)}`, error);
      });
    });
  }

  /** The chains of the whole cluster, with some times that each claims. */
  clusterChains(dice: Dice, timesEach: number): { uri: string; full: string; times: number[] }[] {
    const { uri } = CLUSTER;
    return this.fullsOf(uri).map((full) => {
      const claims = this.#claims(uri, full);
      const times = Array.from({ length: timesEach }, () => dice.maybe(claims))
        .flatMap((claim) => (claim === undefined ? [] : [dice.percent(30) ? claim.to : dice.between(claim.from, claim.to)]))
        .filter((time) => time <= this.#world.now);
      return { uri, full, times };
    });
  }

  /** Every chain, with some times that it claims. */
  claimedChains(dice: Dice, timesEach: number): ClaimedChain[] {
    return this.#collections.flatMap((listed) => {
      const collection = ofOneDatabase(listed, dice) ?? listed;
      const { uri, places, database } = collection;
      // What a revert left that storage hindered can make a chain unreadable.
      const left = unfinishedLayers(this.#jobs).filter((details) => uriOf(details) === uri);
      const fulls = this.fullsOf(uri).filter((full) => !left.some(({ directory }) => fullOfDirectory(directory) === full));
      return fulls.map((full) => {
        const claims = this.#claims(uri, full);
        const times = Array.from({ length: timesEach }, () => dice.maybe(claims))
          .flatMap((claim) => (claim === undefined ? [] : [dice.percent(30) ? claim.to : dice.between(claim.from, claim.to)]))
          .filter((time) => time <= this.#world.now);
        const tablesAt = (time: number) => this.#targetsAt(collection, full, time);
        return { from: places.from(full), options: places.restoreOptions(), database, times, tablesAt };
      });
    });
  }

  /** Chains in collections, but for those that a revert left files in that storage hindered. */
  keptChains(): { readonly full: string; readonly places: Places }[] {
    const left = unfinishedLayers(this.#jobs).map(uriOf);
    return this.#collections
      .filter(({ uri, places }) => !places.isAppended && !left.includes(uri))
      .flatMap(({ uri, places }) => this.fullsOf(uri).map((full) => ({ full, places })));
  }

  /** Restores each chain to some times that it claims, quietly; for the end of a run. */
  async restoreEverything(dice: Dice, timesEach: number): Promise<void> {
    for (const listed of this.#collections) {
      for (const full of this.fullsOf(listed.uri)) {
        for (let i = 0; i < timesEach; i++) {
          const collection = ofOneDatabase(listed, dice) ?? listed;
          this.#restoreTo(collection, full, this.#someTime(dice, collection, full));
          while (this.busy > 0) await settle();
          await this.#jobs.look();
          await this.compare();
        }
      }
    }
  }

  /**
   * Names that a restore must bring back. Tables that were asked for are followed by identity: under the
   * names they had at the time, and not what stood under their names before them.
   */
  #targetsAt(collection: Collection, full: string, time: number): string[] {
    const { model } = this.#world;
    const { uri, database, tables } = collection;
    const names = model.tableNamesAt(time, database);
    if (!tables) return names;
    const layers = (this.#layers.get(uri) ?? []).filter((layer) => layer.full === full).map(({ details }) => details);
    const holderEnd = Math.min(...layers.map(({ endTime }) => endTime).filter((end) => end >= time));
    const ends = layers.map(({ endTime }) => endTime).filter((end) => end <= holderEnd);
    const targets = new Set(ends.flatMap((end) => tables.map((name) => model.tableAt(name, end))));
    return names.filter((name) => targets.has(model.tableAt(name, time)));
  }

  /** Compares every finished restore with the model, and drops it. The model has caught up. */
  async compare(): Promise<void> {
    for (const restored of this.#restored.splice(0)) {
      this.#world.count('restore compared');
      await this.#compareOne(restored);
      await this.#checker.execute(`DROP DATABASE ${restored.into} CASCADE`);
      this.#world.catalogChanges++;
    }
  }

  async #compareOne({ collection, full, time, into, sql, form, table: only }: Restored): Promise<void> {
    const { model } = this.#world;
    const { database } = collection;
    const targets = only === undefined ? this.#targetsAt(collection, full, time) : [only];
    const names = targets.map((name) => name.slice(database.length + 1));
    const shown = (await this.#checker.execute(`SELECT table_name FROM [SHOW TABLES FROM ${into}] WHERE type = 'table'`))[0]?.rows ?? [];
    const restored = shown.map(([name]) => String(valueOfDatum(name ?? null))).sort();
    if (restored.join() !== names.sort().join()) {
      throw new SimFailure(
        'restore equals model',
        `${sql}\n    restored the tables ${restored.join()}\n    expected            ${names.join()}`,
      );
    }
    for (const name of names) {
      const table = model.tableAt(`${database}.${name}`, time) as TableModel;
      const expected = table.isExcludedAt(time) ? '' : model.contentAt(table, time, only === undefined ? undefined : isSomeRow);
      const content = await this.#contentOf(wholeTableSql(`${into}.${name}`, table, time));
      if (content !== expected) {
        throw new SimFailure('restore equals model', `${sql}\n    ${name} as of ${time} has ${content}\n    expected ${expected}`);
      }
      await this.#compareIndexes(`${into}.${name}`, expected, table, time, sql);
      if (form === 'past') await this.#comparePast(into, name, table, time, sql);
    }
    if (!collection.tables && only === undefined && time >= model.completeFrom) await this.#compareOthers(database, names, time, into, sql);
  }

  /** A database's view shows its bank, its type has its values, and its sequence never gives again what a row has. */
  async #compareOthers(database: string, names: readonly string[], time: number, into: string, sql: string): Promise<void> {
    const { model } = this.#world;
    const tables = names.map((name) => model.tableAt(`${database}.${name}`, time) as TableModel);
    const given = tables.filter((table) => table.sequence !== undefined).flatMap((table) => [...table.rowsAt(time).values()]);
    const last = Math.max(0, ...given.map((row) => Number(row['id'])));
    const next = Number(await this.#contentOf(`SELECT nextval('${into}.public.sq')`).then((text) => text.slice(1, -1)));
    if (next <= last) throw new SimFailure('restore equals model', `${sql}\n    sq gives ${next}, which row ${last} has or has passed`);
    const bank = tables.find((table) => table.isBank);
    if (!bank) return;
    this.#world.count('view, type and sequence compared');
    const seen = await this.#contentOf(`SELECT id, a FROM ${into}.rich`);
    const expected = canonical(
      [...bank.rowsAt(time).values()].filter((row) => Number(row['a']) > BANK_MONEY).map((row) => [row['id'] ?? null, row['a'] ?? null]),
    );
    if (seen !== expected)
      throw new SimFailure('restore equals model', `${sql}\n    the view rich shows ${seen}\n    expected ${expected}`);
    const mood = await this.#contentOf(`SELECT ('calm'::${into}.public.mood)::STRING`);
    if (mood !== '["calm"]') throw new SimFailure('restore equals model', `${sql}\n    the type mood gives ${mood}`);
  }

  /** Every index of a restored table gives the same rows. */
  async #compareIndexes(name: string, expected: string, table: TableModel, time: number, sql: string): Promise<void> {
    const indexes = (await this.#checker.execute(`SELECT DISTINCT index_name FROM [SHOW INDEXES FROM ${name}]`))[0]?.rows ?? [];
    for (const [index] of indexes) {
      const indexName = String(valueOfDatum(index ?? null));
      const content = await this.#contentOf(wholeTableSql(name, table, time, `"${indexName}"`));
      if (content !== expected) {
        throw new SimFailure('restore equals model', `${sql}\n    ${name}@${indexName} has ${content}\n    expected ${expected}`);
      }
    }
  }

  /** A table that came with its past reads in it as the model does: at its begin, its end, and between. */
  async #comparePast(into: string, name: string, table: TableModel, time: number, sql: string): Promise<void> {
    const { model, db } = this.#world;
    const snapshot = await db.services.catalog.current();
    const { past } = snapshot.requireTable([into, 'public', name], { currentDatabase: '', searchPath: [] }).descriptor;
    if (past === undefined) return;
    const { from, until } = past;
    for (const at of new Set([from, Math.floor((from + until) / 2), until])) {
      if (at < model.completeFrom) continue;
      const expected = model.contentAt(table, at);
      for (const indexName of ['', ...(snapshot.tableById(past.table.id)?.indexes ?? []).map((index) => index.name)]) {
        const query = wholeTableSql(`${into}.${name}`, table, time, indexName === '' ? undefined : `"${indexName}"`);
        const content = await this.#contentOf(`${query} AS OF SYSTEM TIME ${timeSql(at)}`).catch((error: unknown) => {
          // It was compared late: by then GC may have taken that time.
          if (codeOf(error) === '72000') return undefined;
          throw error;
        });
        if (content === undefined) continue;
        this.#world.count('restored past compared');
        if (content !== expected) {
          throw new SimFailure(
            'restore equals model',
            `${sql}\n    ${name}@${indexName} as of ${at} has ${content}\n    expected ${expected}`,
          );
        }
      }
    }
  }

  async #contentOf(sql: string): Promise<string> {
    const [result] = await this.#checker.execute(sql);
    return canonical((result?.rows ?? []).map((row) => row.map(valueOfDatum)));
  }

  // ---- running ----------------------------------------------------------------------------------

  #isExpected(code: string, allowed: ReadonlySet<string>, from: number): boolean {
    return allowed.has(code) || (STORAGE_CODES.has(code) && this.#jobs.mayMeetDamage(from));
  }

  /** Runs a statement in a session of its own, unless all are busy. */
  start(sql: string, done: (error: unknown, from: number) => void): void {
    const session = this.#idle.pop();
    if (!session) return;
    const world = this.#world;
    const from = world.now;
    this.busy++;
    world.catalogChanges++;
    world.note(`job > ${sql}`);
    void session
      .execute(sql)
      .then(
        ([result]) => {
          world.note(
            `job < ${result?.tag} ${JSON.stringify(result?.rows.map((row) => row.map((datum) => (typeof datum === 'object' ? null : datum))))}`,
          );
          return undefined;
        },
        (error: unknown) => {
          world.note(`job < ${tell(error)}`);
          return error;
        },
      )
      .then((error) => {
        this.#idle.push(session);
        this.busy--;
        world.catalogChanges++;
        done(error, from);
      });
  }
}

/** Of the collection that a layer is in. */
function uriOf({ location }: BackupDetails): string {
  return defaultUri(location).replace(/\?.*$/, '');
}

/** Of a collection of the cluster any one database. */
function ofOneDatabase(collection: Collection | undefined, dice: Dice): Collection | undefined {
  return collection?.database === '' ? { ...collection, database: dice.pick(DATABASES) } : collection;
}

/** What a backup may meet without any fault: conflicts, other backups, a pause or cancel, targets that changed, times that do not fit. */
const BACKUP_CODES = new Set(['40001', '55006', '55000', '57014', '42P01', '3D000', '22023', '58P02', '58P01', '57P03']);
/** A pause, a cancel, a conflict. */
const RESTORE_CODES = new Set(['40001', '55000', '57014', '57P03']);
/** Nothing of the targets was there at that time. */
const NOTHING_CODES = new Set(['42P01', '22023', '3D000', '3F000']);
