/**
 * Span covering: which files of which layers hold each stretch of keys: the units of a restore's work.
 *
 *   keys      a        c        e        g         layer 1, full:  f1 [a, e)  f2 [e, g)
 *   layer 1   |---f1------------|---f2---|         layer 2:        f3 [a, c)  nothing [c, e)
 *   layer 2   |---f3---|--empty-|===f4===|                         f4 [e, g) from time 0
 *
 *   units     [a, c) f1 f3     [c, e) f1     [e, g) f4
 *
 *   U1  units are sorted, disjoint, and lie each within one of the spans asked for
 *   U2  a stretch that a layer exported from time 0 (introduced, or a full) holds all there is: what
 *       earlier layers have of it is left out. They must not be merged, for such a stretch has no
 *       tombstone for a key that was deleted while no layer covered it
 *   U3  files of a unit stand oldest layer first
 *
 * That the layers leave no gap has been proved before (backup/coverage.ts).
 * Source: CockroachDB pkg/backup, restore_span_covering.go (idea only).
 */
import type { Bytes } from '../base/bytes.ts';
import type { Span } from '../base/span.ts';
import { intersectSpans, spansOverlap } from '../base/span.ts';
import { hasTestFault } from '../base/testFaults.ts';
import type { Timestamp } from '../base/timestamp.ts';

import type { FileCipher } from '../backup/cipher.ts';
import type { Layer, ManifestFile, SpanInterval } from '../backup/manifest.ts';

/** A data file of a layer. One object a file, so that files are compared by identity. */
export interface LayerFile {
  /** Within the collection. */
  readonly name: string;
  /** Its layer's. */
  readonly directory: string;
  readonly file: ManifestFile;
  /** Of an encrypted layer. */
  readonly cipher?: FileCipher | undefined;
}

/** A file of a layer. */
export function layerFileOf({ directory, cipher }: Layer, file: ManifestFile): LayerFile {
  return { name: `${directory}/${file.path}`, directory, file, ...(cipher && { cipher: cipher.forFile(file.path) }) };
}

export interface RestoreUnit {
  readonly span: Span;
  /** Not empty. */
  readonly files: readonly LayerFile[];
}

interface Stretch extends SpanInterval {
  /** Undefined where the layer found nothing to store. */
  readonly file: LayerFile | undefined;
}

/**
 * The units for `spans` (sorted, disjoint) from a path of layers, full first, as of `time`. Stretches
 * without any file give no unit. Cost: layers times (spans + stretches).
 */
export function coverSpans(spans: readonly Span[], layers: readonly Layer[], time: Timestamp): RestoreUnit[] {
  let units: RestoreUnit[] = spans.map((span) => ({ span, files: [] }));
  for (const layer of layers) units = withLayer(units, stretchesOf(layer, time));
  return units.filter(({ files }) => files.length > 0);
}

/** What a layer has of (startTime, endTime], in key order; stretches that begin at or after `time` have nothing to give. */
function stretchesOf(layer: Layer, time: Timestamp): Stretch[] {
  const { manifest } = layer;
  const stretches: Stretch[] = manifest.emptySpans.map((interval) => ({ ...interval, file: undefined }));
  for (const file of manifest.files) {
    const layerFile = layerFileOf(layer, file);
    for (const part of file.parts) stretches.push({ ...part, file: layerFile });
  }
  return stretches.filter(({ startTime }) => startTime < time).sort((a, b) => (a.span.key < b.span.key ? -1 : 1));
}

function withLayer(units: readonly RestoreUnit[], stretches: readonly Stretch[]): RestoreUnit[] {
  const result: RestoreUnit[] = [];
  let next = 0;
  for (const unit of units) {
    const { span } = unit;
    while (next < stretches.length && stretches[next]!.span.endKey <= span.key) next++;
    let key = span.key;
    for (let i = next; i < stretches.length && stretches[i]!.span.key < span.endKey; i++) {
      const stretch = stretches[i]!;
      const common = intersectSpans(span, stretch.span);
      if (common === undefined) continue;
      if (key < common.key) append(result, { span: { key, endKey: common.key }, files: unit.files }, span);
      append(result, { span: common, files: filesWith(unit.files, stretch) }, span);
      key = common.endKey;
    }
    if (key < span.endKey) append(result, { span: { key, endKey: span.endKey }, files: unit.files }, span);
  }
  return result;
}

function filesWith(before: readonly LayerFile[], stretch: Stretch): readonly LayerFile[] {
  const own = stretch.file === undefined ? [] : [stretch.file];
  return stretch.startTime === 0 && !hasTestFault('a88042') ? own : [...before, ...own];
}

/** Joins neighbours with the same files, within one unit of the layers before. */
function append(list: RestoreUnit[], unit: RestoreUnit, within: Span): void {
  const last = list.at(-1);
  if (last !== undefined && last.span.endKey === unit.span.key && last.span.key >= within.key && sameFiles(last.files, unit.files)) {
    list[list.length - 1] = { span: { key: last.span.key, endKey: unit.span.endKey }, files: last.files };
  } else {
    list.push(unit);
  }
}

function sameFiles(a: readonly LayerFile[], b: readonly LayerFile[]): boolean {
  return a.length === b.length && a.every((file, i) => file === b[i]);
}

/** The part of units above a key: what is left after all keys at or below it are done. */
export function unitsAfter(units: readonly RestoreUnit[], done: Bytes | undefined): RestoreUnit[] {
  if (done === undefined) return [...units];
  const rest: RestoreUnit[] = [];
  const next = hasTestFault('a190483') ? afterRow(done) : (`${done}\x00` as Bytes);
  for (const unit of units) {
    if (unit.span.endKey <= done) continue;
    const key = unit.span.key > done ? unit.span.key : next;
    if (key < unit.span.endKey) rest.push({ ...unit, span: { key, endKey: unit.span.endKey } });
  }
  return hasTestFault('a98779') ? withoutBegunFiles(rest, units, done) : rest;
}

/** A bug that tests put back: the place between two column families is taken for the end of their row. */
function afterRow(key: Bytes): Bytes {
  return `${key.slice(0, -1)}\xff` as Bytes;
}

/** A bug that tests put back: files that work had begun on are taken for finished. */
function withoutBegunFiles(rest: readonly RestoreUnit[], units: readonly RestoreUnit[], done: Bytes): RestoreUnit[] {
  const begun = new Set(units.filter((unit) => unit.span.key <= done).flatMap((unit) => unit.files));
  return rest.map((unit) => ({ ...unit, files: unit.files.filter((file) => !begun.has(file)) })).filter(({ files }) => files.length > 0);
}

/** Bytes of keys and values that a unit's files hold of it, about: a part that it cuts counts whole. */
export function unitBytes(unit: RestoreUnit): number {
  let bytes = 0;
  for (const { file } of unit.files) {
    for (const part of file.parts) if (spansOverlap(part.span, unit.span)) bytes += part.dataBytes;
  }
  return bytes;
}

/** The files of which the units use every part to its ends, so that they are read whole. */
export function filesUsedWhole(units: readonly RestoreUnit[]): Set<LayerFile> {
  const spansOf = new Map<LayerFile, Span[]>();
  for (const { span, files } of units) {
    for (const file of files) {
      const spans = spansOf.get(file);
      if (spans) spans.push(span);
      else spansOf.set(file, [span]);
    }
  }
  return new Set([...spansOf].filter(([file, spans]) => isCoveredBy(file, spans)).map(([file]) => file));
}

function isCoveredBy({ file }: LayerFile, spans: readonly Span[]): boolean {
  return file.parts.every((part) => {
    let key = part.span.key;
    for (const span of spans) {
      if (span.endKey <= key) continue;
      if (span.key > key) return false;
      key = span.endKey;
      if (key >= part.span.endKey) return true;
    }
    return key >= part.span.endKey;
  });
}
