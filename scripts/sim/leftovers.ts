/**
 * Leftovers: what must not be there when nothing is under way: in the storage, in the catalog, among
 * the protections; and the walkers over the engine's own invariants.
 */
import { isHold } from '../../src/backup/holders.ts';
import { isTerminal } from '../../src/jobs/jobMachine.ts';
import { COMPACTION_JOB_TYPE, compactionDetails } from '../../src/restore/compact/compactionDetails.ts';
import type { Session } from '../../src/sql/exec/session.ts';
import type { Backups } from './backups.ts';
import { FILES_ARE_LEFT, type Jobs } from './jobs.ts';
import { canonical, type TableModel } from './model.ts';
import { BANK_MONEY, BANK_ROWS } from './schema.ts';
import { unfinishedLayers } from './unfinished.ts';
import { timeSql, valueOfDatum, wholeTableSql } from './sqlText.ts';
import { SimFailure, settle, type World } from './world.ts';

const LATEST = /^metadata\/latest\//;
/** An index file: it tells of the layer whose end is the last part of its name. */
const INDEX = /^metadata\/index\/.*_(\d{8}-\d{6}\.\d\d)\.vix$/;

/** The end of a layer as index files have it: `2026/11/20-155737.71` and `.../20261120/155737.71` are 20261120-155737.71. */
function endIn(directory: string): string {
  const parts = directory.split('/');
  return directory.startsWith('incrementals/') ? parts.slice(-2).join('-') : parts.join('');
}

/** Where compactions have written that nothing hindered from ending as they should, or that storage did. */
function compactedDirectories(jobs: Jobs): string[] {
  return [...jobs.watched.values()].flatMap(({ type, record }) => {
    if (type !== COMPACTION_JOB_TYPE) return [];
    const isHindered = record.runningStatus?.startsWith(FILES_ARE_LEFT) || record.status === 'revert-failed';
    return record.status === 'succeeded' || isHindered ? [compactionDetails(record.details).directory] : [];
  });
}

/** Every file of a collection belongs to a layer whose job succeeded, or to a job under way, or to a revert that storage hindered. */
export async function checkStorage(world: World, backups: Backups, jobs: Jobs): Promise<void> {
  const { storage } = world.db;
  const excused = [...unfinishedLayers(jobs).map(({ directory }) => directory), ...compactedDirectories(jobs)];
  for (const collection of backups.collections) {
    const layers = backups.layersOf(collection).map(({ directory }) => directory);
    for (const place of collection.places.all()) {
      const opened = storage.open(place.uri, { user: 'root', nodeId: 1 });
      for (const file of await opened.list('')) {
        const name = collection.places.nameOf(place, file, [...layers, ...excused]);
        if (isHold(name) && world.hadFaultsSince(0)) continue;
        if (!backups.deletions.mayBeLeft(name)) checkFile(place.uri, name, layers, excused);
      }
      await opened.close();
    }
  }
}

function checkFile(uri: string, name: string, layers: readonly string[], excused: readonly string[]): void {
  if (LATEST.test(name) || excused.some((directory) => name.startsWith(`${directory}/`))) return;
  const indexed = INDEX.exec(name)?.[1];
  if (indexed !== undefined && [...layers, ...excused].some((directory) => endIn(directory) === indexed)) return;
  const layer = layers.find((directory) => name.startsWith(`${directory}/`));
  const rest = layer === undefined ? name : name.slice(layer.length + 1);
  if (layer === undefined || isHold(name) || /^progress\//.test(rest)) {
    throw new SimFailure('left behind in storage', `${name} in ${uri} belongs to no layer and no job under way`);
  }
}

/** No protection of a job that has ended, none that a user has released. */
export function checkProtections(world: World, jobs: Jobs): void {
  const isQuiet = jobs.active().length === 0;
  for (const record of world.db.services.protections.current()) {
    if (isQuiet && record.metaType !== 'user') {
      throw new SimFailure(
        'left behind: protection',
        `protection ${record.id} of ${record.metaType} ${record.meta}, and no job is under way`,
      );
    }
    if (record.metaType !== 'jobs') continue;
    const job = jobs.watched.get(Number(record.meta));
    if (job && isTerminal(job.record.status)) {
      throw new SimFailure('left behind: protection', `protection ${record.id} of job ${record.meta}, which is ${job.record.status}`);
    }
  }
}

/** Nothing half restored. Call it when no job is under way. */
export async function checkCatalog(world: World): Promise<void> {
  const snapshot = await world.db.services.catalog.current();
  for (const descriptor of snapshot.all()) {
    if (descriptor.state !== 'PUBLIC' && descriptor.state !== 'DROP') {
      throw new SimFailure('left behind: descriptor', `${descriptor.kind} ${descriptor.name} (${descriptor.id}) is ${descriptor.state}`);
    }
  }
  for (const database of snapshot.allDatabases()) {
    if (/^r\d+$/.test(database.name) && snapshot.tablesOf(database.id).length > 0) {
      throw new SimFailure('left behind: database', `${database.name} is left of a restore`);
    }
  }
}

export function checkEngine(world: World): void {
  const broken = world.db.kv.check();
  if (broken.length > 0) throw new SimFailure('engine invariant', broken.join('\n    '));
}

/** Every table equals the model at this moment, by its primary and by every other index; the banks have their money. */
export async function checkTables(world: World, session: Session): Promise<void> {
  const { model } = world;
  if (!world.catchUp()) return;
  const time = world.now;
  const found: { name: string; table: TableModel; index: string | undefined; content: string }[] = [];
  for (const name of model.tableNamesAt(time)) {
    const table = model.tableAt(name, time);
    if (!table) continue;
    for (const index of [undefined, ...table.indexes.map((one) => one.name)]) {
      const [result] = await session.execute(`${wholeTableSql(name, table, time, index)} AS OF SYSTEM TIME ${timeSql(time)}`);
      found.push({ name, table, index, content: canonical((result?.rows ?? []).map((row) => row.map(valueOfDatum))) });
    }
  }
  // Commits at or below the time may not have been told of when it was taken; none can come any more.
  await settle();
  if (!world.catchUp()) return;
  world.count('all tables compared');
  for (const { name, table, index, content } of found) {
    const expected = model.contentAt(table, time);
    if (content !== expected) {
      throw new SimFailure(
        'table equals model',
        `${name}${index === undefined ? '' : `@${index}`} at ${time} has ${content}\n    expected ${expected}`,
      );
    }
    if (!table.isBank) continue;
    const money = [...table.rowsAt(time).values()].reduce((sum, row) => sum + Number(row['a']), 0);
    if (money !== BANK_ROWS * BANK_MONEY) throw new SimFailure('money', `${name} holds ${money}`);
  }
}
