/**
 * Attached source: reads of a backup in place, as the key-value layer asks them.
 *
 *   AS1  a read at a time gives what a RESTORE to that time would have restored; a reader that does not ask for
 *        the past gets the time the backup was attached at
 *   AS2  a read costs the blocks it needs: a point read looks for its key from the newest layer down, and stops at
 *        the first version; which blocks to read is known from the files' indexes, which are read once
 *   AS3  keys go by their table's id here; in the files they have the one they were backed up under
 *
 * Lives elsewhere: which files hold a stretch of keys (verify/eras.ts), blocks (blockCache.ts), merging (versionWalk.ts).
 */
import { assert } from '../../base/assert.ts';
import type { Bytes } from '../../base/bytes.ts';
import type { Executor } from '../../base/executor.ts';
import { indexPrefix } from '../../base/keycode.ts';
import { intersectSpans, nextKey, prefixSpan, type Span } from '../../base/span.ts';
import type { Timestamp } from '../../base/timestamp.ts';
import { indexOfKey } from '../../kv/indexOfKey.ts';
import type { ExportOptions, ExportPiece, ScanOptions, ScanResult } from '../../kv/kv.ts';
import type { MountedSource } from '../../kv/mounts.ts';

import { type Chain, type ChosenLayers, chooseLayers } from '../../backup/chain.ts';
import type { CollectionStorage } from '../../backup/collectionStorage.ts';
import { DataFileReader } from '../../backup/dataFileReader.ts';
import { requireFile } from '../../backup/fileIdentity.ts';
import type { Layer } from '../../backup/manifest.ts';
import { firstAtOrAfter } from '../fileCursor.ts';
import { KeyRewriter } from '../keyRewriter.ts';
import type { LayerFile } from '../spanCovering.ts';
import { eraUnits, type PathPieces, piecesOfPath } from '../verify/eras.ts';
import type { BlockCache } from './blockCache.ts';
import { firstBlock, VersionWalk } from './versionWalk.ts';

export interface AttachedSourceOptions {
  readonly chain: Chain;
  readonly storage: CollectionStorage;
  readonly executor: Executor;
  readonly cache: BlockCache;
  /** What a reader of the present sees. */
  readonly time: Timestamp;
  /** On this cluster's clock: readers of times before it see the past. */
  readonly attachedAt: Timestamp;
  /** The backup's id of a table that is called so here; undefined for none. */
  readonly backupId: (tableId: number) => number | undefined;
  /** False where the table's data was excluded from the backup then: what files still hold of it does not count. */
  readonly hasData: (tableId: number, chosen: ChosenLayers) => boolean;
  /** Where the table was being imported into then: rows that are newer do not count. */
  readonly importStart: (tableId: number, chosen: ChosenLayers) => Timestamp | undefined;
}

/** Files of a stretch of keys, in the backup's keys; oldest layer first. */
interface Unit {
  readonly span: Span;
  readonly files: readonly LayerFile[];
}

/** An index as the backup holds it at some time. */
interface IndexView {
  readonly units: readonly Unit[];
  readonly prefix: Bytes;
  readonly backupPrefix: Bytes;
  readonly toBackup: KeyRewriter;
  readonly fromBackup: KeyRewriter;
}

/** Times whose layers are remembered. */
const TIMES_MAX = 32;
/** Lookups of one batch under way at once. */
const LOOKUPS_MAX = 16;

export class AttachedSource implements MountedSource {
  readonly #options: AttachedSourceOptions;
  readonly #files = new Map<string, LayerFile>();
  readonly #readers = new Map<LayerFile, Promise<DataFileReader>>();
  readonly #chosen = new Map<Timestamp, ChosenLayers>();
  /** By the directory of the layer that holds a time. */
  readonly #pieces = new Map<string, PathPieces>();
  /** By that, and the index. */
  readonly #views = new Map<string, IndexView>();

  constructor(options: AttachedSourceOptions) {
    this.#options = options;
    for (const { directory, manifest, cipher } of options.chain) {
      for (const file of manifest.files) {
        const name = `${directory}/${file.path}`;
        this.#files.set(name, { name, directory, file, cipher: cipher?.forFile(file.path) });
      }
    }
  }

  /** What a reader of a time sees. 22023 when no layer holds it. */
  chosenAt(readTimestamp: Timestamp): ChosenLayers {
    const { time, attachedAt, chain } = this.#options;
    const at = readTimestamp >= attachedAt || readTimestamp >= time ? time : readTimestamp;
    const known = this.#chosen.get(at);
    if (known !== undefined) return known;
    const chosen = chooseLayers(chain, at);
    if (this.#chosen.size >= TIMES_MAX) this.#chosen.delete(this.#chosen.keys().next().value as Timestamp);
    this.#chosen.set(at, chosen);
    return chosen;
  }

  async get(keys: readonly Bytes[], readTimestamp: Timestamp): Promise<(Bytes | undefined)[]> {
    const chosen = this.chosenAt(readTimestamp);
    const values: (Bytes | undefined)[] = new Array(keys.length);
    for (let from = 0; from < keys.length; from += LOOKUPS_MAX) {
      const batch = keys.slice(from, from + LOOKUPS_MAX);
      const found = await Promise.all(batch.map((key) => this.#lookUp(key, chosen)));
      found.forEach((value, i) => {
        values[from + i] = value;
      });
    }
    return values;
  }

  async scan(span: Span, readTimestamp: Timestamp, options: ScanOptions): Promise<ScanResult> {
    const { limit = Number.POSITIVE_INFINITY, maxBytes = Number.POSITIVE_INFINITY, reverse = false } = options;
    const chosen = this.chosenAt(readTimestamp);
    const importStart = this.#importStart(span.key, chosen);
    const result: ScanResult & { resume: Bytes | undefined } = { keys: [], values: [], timestamps: [], resume: undefined };
    if (limit <= 0) return { ...result, resume: reverse ? span.endKey : span.key };
    let bytes = 0;
    for await (const { key, versions } of this.#walk(span, chosen, reverse)) {
      const newest = newestAt(versions, chosen.time);
      if (newest && newest.time > importStart) continue;
      if (newest?.value === undefined || newest.value === null) continue;
      result.keys.push(key);
      result.values.push(newest.value);
      result.timestamps.push(newest.time);
      bytes += key.length + newest.value.length;
      if (result.keys.length >= limit || bytes >= maxBytes) {
        const resume = reverse ? key : nextKey(key);
        const isDone = reverse ? resume <= span.key : resume >= span.endKey;
        return { ...result, resume: isDone ? undefined : resume };
      }
    }
    return result;
  }

  async export(span: Span, start: Timestamp, end: Timestamp, options: ExportOptions): Promise<ExportPiece> {
    const { allVersions, maxBytes, resume } = options;
    const chosen = this.chosenAt(end);
    const keys: Bytes[] = [];
    const timestamps: Timestamp[] = [];
    const values: (Bytes | null)[] = [];
    let bytes = 0;
    const importStart = this.#importStart(span.key, chosen);
    const rest: Span = { key: resume?.key ?? span.key, endKey: span.endKey };
    for await (const { key, versions } of this.#walk(rest, chosen, false)) {
      if (bytes >= maxBytes) return { keys, timestamps, values, bytes, resume: { key } };
      const newest = newestAt(versions, chosen.time);
      if (newest && newest.time > importStart) continue;
      const inside = versions.filter(({ time }) => time > start && time <= chosen.time).sort((a, b) => b.time - a.time);
      for (const { time, value } of allVersions ? inside : inside.slice(0, 1)) {
        if (!allVersions && value === null && start === 0) continue;
        keys.push(key);
        timestamps.push(time);
        values.push(value);
        bytes += key.length + (value?.length ?? 0);
      }
    }
    return { keys, timestamps, values, bytes, resume: undefined };
  }

  estimate(span: Span): { keys: number; bytes: number } {
    const view = this.#viewOf(span.key, this.chosenAt(this.#options.time));
    let keys = 0;
    let bytes = 0;
    for (const unit of view?.units ?? []) {
      // The oldest layer of a stretch holds it whole; the others change it.
      const [first] = unit.files;
      for (const part of first?.file.parts ?? []) {
        if (intersectSpans(part.span, unit.span) === undefined) continue;
        keys += part.rows + part.indexEntries;
        bytes += part.dataBytes;
      }
    }
    return { keys, bytes };
  }

  /** The last time of which a key's newest version may be. */
  #importStart(key: Bytes, chosen: ChosenLayers): Timestamp {
    return this.#options.importStart(indexOfKey(key).tableId, chosen) ?? chosen.time;
  }

  // ---- which files ------------------------------------------------------------------------------

  /** The index that a key lies in, as the layers have it; undefined for a table that is not the backup's. */
  #viewOf(key: Bytes, chosen: ChosenLayers): IndexView | undefined {
    const { layers } = chosen;
    const { tableId, indexId } = indexOfKey(key);
    if (!this.#options.hasData(tableId, chosen)) return undefined;
    const holder = layers.at(-1) as Layer;
    const name = `${holder.directory} ${tableId}/${indexId}`;
    const known = this.#views.get(name);
    if (known !== undefined) return known;
    const backupId = this.#options.backupId(tableId);
    if (backupId === undefined) return undefined;
    const [prefix, backupPrefix] = [indexPrefix(tableId, indexId), indexPrefix(backupId, indexId)];
    const view: IndexView = {
      units: eraUnits(prefixSpan(backupPrefix), this.#piecesOf(layers)).map(({ span, eras }) => ({
        span,
        files: (eras.at(-1) ?? []).flatMap(({ content }) => content?.file ?? []),
      })),
      prefix,
      backupPrefix,
      toBackup: new KeyRewriter(prefix, backupPrefix),
      fromBackup: new KeyRewriter(backupPrefix, prefix),
    };
    this.#views.set(name, view);
    return view;
  }

  #piecesOf(layers: readonly Layer[]): PathPieces {
    const { directory } = layers.at(-1) as Layer;
    const pieces = this.#pieces.get(directory) ?? piecesOfPath(layers, this.#files);
    this.#pieces.set(directory, pieces);
    return pieces;
  }

  async #reader(file: LayerFile): Promise<DataFileReader> {
    const known = this.#readers.get(file);
    if (known !== undefined) return await known;
    const opened = this.#open(file);
    this.#readers.set(file, opened);
    // What failed once may go well the next time.
    opened.catch(() => this.#readers.delete(file));
    return await opened;
  }

  async #open({ name, directory, file, cipher }: LayerFile): Promise<DataFileReader> {
    const { storage, executor } = this.#options;
    const place = await storage.fileStorage(directory, file.locality);
    const reader = await DataFileReader.open(place, name, { executor, cipher, expectedSize: file.sizeBytes });
    requireFile(reader, file);
    return reader;
  }

  // ---- reading ----------------------------------------------------------------------------------

  async #lookUp(key: Bytes, chosen: ChosenLayers): Promise<Bytes | undefined> {
    const view = this.#viewOf(key, chosen);
    if (view === undefined) return undefined;
    const backupKey = view.toBackup.rewrite(key);
    const unit = view.units.find(({ span }) => span.key <= backupKey && backupKey < span.endKey);
    // Newer layers hold newer versions, so the first one found counts.
    for (const file of unit?.files.toReversed() ?? []) {
      const reader = await this.#reader(file);
      const newest = await this.#newestIn(reader, backupKey, chosen.time);
      if (newest !== undefined) return newest.time > this.#importStart(key, chosen) ? undefined : (newest.value ?? undefined);
    }
    return undefined;
  }

  /** The newest version of a key at or below a time in one file. */
  async #newestIn(reader: DataFileReader, key: Bytes, time: Timestamp): Promise<Version | undefined> {
    const { blocks } = reader;
    let index = firstBlock(reader, (i) => (blocks[i]?.lastKey as Bytes) >= key);
    for (; index < blocks.length && (blocks[index]?.firstKey as Bytes) <= key; index++) {
      const { keys, timestamps, values } = await this.#options.cache.get(reader, index);
      for (let at = firstAtOrAfter(keys, key, 0); keys[at] === key; at++) {
        const versionTime = timestamps[at] as Timestamp;
        if (versionTime <= time) return { time: versionTime, value: values[at] ?? null };
      }
    }
    return undefined;
  }

  /** Every key of a span, with all its versions in the layers. */
  async *#walk(
    span: Span,
    chosen: ChosenLayers,
    isReverse: boolean,
  ): AsyncGenerator<{ readonly key: Bytes; readonly versions: readonly Version[] }> {
    const view = this.#viewOf(span.key, chosen);
    if (view === undefined) return;
    const { executor, cache } = this.#options;
    const wanted = this.#backupSpan(span, view);
    const units = view.units.flatMap(({ span: unitSpan, files }) => {
      const common = intersectSpans(unitSpan, wanted);
      return common === undefined || files.length === 0 ? [] : [{ span: common, files }];
    });
    for (const unit of isReverse ? units.reverse() : units) {
      const readers = await Promise.all(unit.files.map((file) => this.#reader(file)));
      const walk = new VersionWalk(readers, cache, unit.span, isReverse);
      let versions: Version[] = [];
      const sink = (time: Timestamp, value: Bytes | null): void => void versions.push({ time, value });
      for (;;) {
        const next = walk.next(sink);
        const key = next instanceof Promise ? await next : next;
        if (key === undefined) break;
        yield { key: view.fromBackup.rewrite(key), versions };
        versions = [];
        if (executor.shouldYield()) await executor.yield();
      }
    }
  }

  /** The same keys in the backup. */
  #backupSpan(span: Span, { prefix, backupPrefix, toBackup }: IndexView): Span {
    const whole = prefixSpan(prefix);
    assert(span.key >= whole.key && span.endKey <= whole.endKey, 'a span of one index');
    return {
      key: toBackup.rewrite(span.key),
      endKey: span.endKey === whole.endKey ? prefixSpan(backupPrefix).endKey : toBackup.rewrite(span.endKey),
    };
  }
}

interface Version {
  readonly time: Timestamp;
  readonly value: Bytes | null;
}

function newestAt(versions: readonly Version[], time: Timestamp): Version | undefined {
  let newest: Version | undefined;
  for (const version of versions) {
    if (version.time <= time && (newest === undefined || version.time > newest.time)) newest = version;
  }
  return newest;
}
