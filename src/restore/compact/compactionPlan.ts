/**
 * Compaction plan: which parts of which files of consecutive layers become one part of the compacted layer. Pure.
 *
 *   layer 1   |--f1----|--f2--|        |--f3--|         pieces   [a, e) of f1 f2 f4   [e, g) nothing   [g, j) of f3 f5
 *   layer 2        |---f4---|            |-f5-|
 *   keys      a        c      e        g      j
 *
 *   P1  a piece is what is left when parts that overlap are joined: so it holds every part of it whole, and its
 *       fingerprint is the sum of theirs
 *   P2  keys that a later layer exported from time 0 (introduced) hold all there is from there on: what the layers before it
 *       have of them is left out, and the piece is from time 0 too. A part that is cut by this loses its fingerprint
 *   P3  the compacted layer claims the spans of the last layer: what it does not hold any more no later layer continues
 *   P4  history is claimed from where on the spans have been the same and every version was kept
 */
import type { Span } from '../../base/span.ts';
import { intersectSpans, mergeSpans, subtractSpans } from '../../base/span.ts';
import type { Timestamp } from '../../base/timestamp.ts';

import { intervalsOf } from '../../backup/coverage.ts';
import type { DescriptorChange, Layer, ManifestFilePart, SpanInterval } from '../../backup/manifest.ts';
import { type LayerFile, layerFileOf } from '../spanCovering.ts';

export interface PiecePart {
  readonly file: LayerFile;
  readonly part: ManifestFilePart;
  /** Only some of the part's keys are in the piece. */
  readonly isCut: boolean;
}

/** A stretch of keys of one index, over (startTime, endTime] of the compacted layer. */
export interface Piece extends SpanInterval {
  /** Oldest layer first; not empty. */
  readonly parts: readonly PiecePart[];
}

export interface CompactionPlan {
  /** In key order, disjoint. */
  readonly pieces: readonly Piece[];
  readonly emptySpans: readonly SpanInterval[];
  readonly spans: readonly Span[];
  readonly introducedSpans: readonly Span[];
  readonly revisionHistory: boolean;
  readonly revisionStartTime: Timestamp;
  readonly descriptorChanges: readonly DescriptorChange[];
}

/** Plans the merge of layers of a path, oldest first, which continue one another. */
export function planCompaction(layers: readonly [Layer, ...Layer[]]): CompactionPlan {
  const last = (layers.at(-1) ?? layers[0]).manifest;
  const interval = { startTime: layers[0].manifest.startTime, endTime: last.endTime };
  const pieces: Piece[] = [];
  const emptySpans: SpanInterval[] = [];
  const introducedSpans: Span[] = [];
  const files = layers.map(partsOf);
  let rest: readonly Span[] = last.spans;
  for (let i = layers.length - 1; i >= 0 && rest.length > 0; i--) {
    const fromZero = mergeSpans(
      intervalsOf((layers[i] as Layer).manifest).flatMap(({ span, startTime }) => (startTime === 0 ? [span] : [])),
    );
    const beyond = subtractSpans(rest, fromZero);
    const region = subtractSpans(rest, beyond);
    introducedSpans.push(...region);
    addRegion(region, files.slice(i), { ...interval, startTime: 0 as Timestamp }, pieces, emptySpans);
    rest = beyond;
  }
  addRegion(rest, files, interval, pieces, emptySpans);
  const byKey = (a: SpanInterval, b: SpanInterval) => (a.span.key < b.span.key ? -1 : 1);
  return {
    pieces: pieces.sort(byKey),
    emptySpans: emptySpans.sort(byKey),
    spans: last.spans,
    introducedSpans: mergeSpans(introducedSpans),
    ...historyOf(layers),
  };
}

function partsOf(layer: Layer): Omit<PiecePart, 'isCut'>[] {
  return layer.manifest.files.flatMap((file) => {
    const layerFile = layerFileOf(layer, file);
    return file.parts.map((part) => ({ file: layerFile, part }));
  });
}

/** Joins what overlaps of the parts within `region`; keys without any are empty (P1). */
function addRegion(
  region: readonly Span[],
  layers: readonly (readonly Omit<PiecePart, 'isCut'>[])[],
  interval: Omit<SpanInterval, 'span'>,
  pieces: Piece[],
  emptySpans: SpanInterval[],
): void {
  for (const within of region) {
    const found = layers.flatMap((parts, layer) =>
      parts.flatMap(({ file, part }) => {
        const span = intersectSpans(part.span, within);
        const isCut = span?.key !== part.span.key || span.endKey !== part.span.endKey;
        return span === undefined ? [] : [{ span, layer, use: { file, part, isCut } }];
      }),
    );
    found.sort((a, b) => (a.span.key < b.span.key ? -1 : a.span.key > b.span.key ? 1 : a.layer - b.layer));
    let { key } = within;
    for (let i = 0; i < found.length; ) {
      const first = found[i] as (typeof found)[number];
      let { endKey } = first.span;
      let to = i + 1;
      for (; to < found.length && (found[to] as (typeof found)[number]).span.key < endKey; to++) {
        const next = (found[to] as (typeof found)[number]).span.endKey;
        if (next > endKey) endKey = next;
      }
      if (key < first.span.key) emptySpans.push({ ...interval, span: { key, endKey: first.span.key } });
      const parts = found.slice(i, to).sort((a, b) => a.layer - b.layer || (a.span.key < b.span.key ? -1 : 1));
      pieces.push({ ...interval, span: { key: first.span.key, endKey }, parts: parts.map(({ use }) => use) });
      key = endKey;
      i = to;
    }
    if (key < within.endKey) emptySpans.push({ ...interval, span: { key, endKey: within.endKey } });
  }
}

/** From when on the merged layer can bring back any time, and what it tells of descriptors (P4). */
function historyOf(
  layers: readonly [Layer, ...Layer[]],
): Pick<CompactionPlan, 'revisionHistory' | 'revisionStartTime' | 'descriptorChanges'> {
  const last = (layers.at(-1) ?? layers[0]).manifest;
  // Where one layer keeps only the newest versions, all that can be claimed is the end.
  if (layers.some(({ manifest }) => !manifest.revisionHistory)) {
    return { revisionHistory: false, revisionStartTime: last.endTime, descriptorChanges: [] };
  }
  let { revisionStartTime } = layers[0].manifest;
  let changes: DescriptorChange[] = [];
  let before: Layer | undefined;
  for (const layer of layers) {
    const { manifest } = layer;
    const known = new Set(changes.map(({ id }) => id));
    const isNew = ({ id, time }: DescriptorChange) => before !== undefined && time <= before.manifest.endTime && !known.has(id);
    const goesOn =
      before !== undefined &&
      manifest.introducedSpans.length === 0 &&
      manifest.revisionStartTime <= before.manifest.endTime &&
      subtractSpans(manifest.spans, before.manifest.spans).length === 0 &&
      subtractSpans(before.manifest.spans, manifest.spans).length === 0 &&
      !manifest.descriptorChanges.some(isNew);
    if (goesOn) {
      const end = before?.manifest.endTime ?? 0;
      changes.push(...manifest.descriptorChanges.filter(({ time }) => time > end));
    } else {
      changes = [...manifest.descriptorChanges];
      revisionStartTime = manifest.revisionStartTime;
    }
    before = layer;
  }
  return { revisionHistory: true, revisionStartTime, descriptorChanges: changes };
}
