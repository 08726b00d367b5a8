/**
 * Eras: which files hold the history of each stretch of keys, over the whole length of a chain.
 *
 *   layer 1 (full)        |---f1------------|
 *   layer 2               |---f2------------|
 *   layer 3 (introduced)           |--f3----|     from time 0
 *   layer 4               |---f4------------|
 *
 *   units     [a, c)  one era: f1 f2 f4      [c, e)  two eras: f1 f2, then f3 f4
 *
 *   E1  units are sorted, disjoint, and together the span asked for as far as layers have it
 *   E2  an era begins where a layer exported from time 0: its files hold all there is from there on,
 *       and what earlier layers hold belongs to the era before
 *   E3  pieces of an era stand oldest layer first
 *
 * What a restore to one time needs of this is restore/spanCovering.ts.
 */
import type { Bytes } from '../../base/bytes.ts';
import type { Span } from '../../base/span.ts';
import { intersectSpans } from '../../base/span.ts';

import type { Layer, ManifestFilePart, SpanInterval } from '../../backup/manifest.ts';
import type { LayerFile } from '../spanCovering.ts';

/** What a layer has of a stretch. */
export interface EraPiece extends SpanInterval {
  /** Index of the layer in the path. */
  readonly layer: number;
  /** Undefined where the layer found nothing to store. */
  readonly content: { readonly file: LayerFile; readonly part: ManifestFilePart } | undefined;
}

export interface EraUnit {
  readonly span: Span;
  /** Oldest first; each is not empty. */
  readonly eras: readonly (readonly EraPiece[])[];
}

/** Pieces of each layer of a path, in key order. Made once for all its indexes. */
export type PathPieces = readonly (readonly EraPiece[])[];

/** What the layers of a path have, full first. `files`: one object for each file, by name. */
export function piecesOfPath(layers: readonly Layer[], files: ReadonlyMap<string, LayerFile>): PathPieces {
  return layers.map(({ manifest, directory }, layer) => {
    const pieces: EraPiece[] = manifest.emptySpans.map((interval) => ({ ...interval, layer, content: undefined }));
    for (const { path, parts } of manifest.files) {
      const file = files.get(`${directory}/${path}`) as LayerFile;
      for (const part of parts) {
        const { span, startTime, endTime } = part;
        pieces.push({ span, startTime, endTime, layer, content: { file, part } });
      }
    }
    return pieces.sort((a, b) => (a.span.key < b.span.key ? -1 : 1));
  });
}

/** The units of one index. Cost: its own pieces, and a look into each layer. */
export function eraUnits(span: Span, path: PathPieces): EraUnit[] {
  let units: EraUnit[] = [{ span, eras: [] }];
  for (const pieces of path) units = withLayer(units, pieces);
  return units.filter(({ eras }) => eras.length > 0);
}

/** Index of the first piece that ends above a key. */
function firstEndingAbove(pieces: readonly EraPiece[], key: Bytes): number {
  let low = 0;
  let high = pieces.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((pieces[middle] as EraPiece).span.endKey <= key) low = middle + 1;
    else high = middle;
  }
  return low;
}

function withLayer(units: readonly EraUnit[], pieces: readonly EraPiece[]): EraUnit[] {
  const result: EraUnit[] = [];
  for (const { span, eras } of units) {
    let { key } = span;
    for (let i = firstEndingAbove(pieces, key); i < pieces.length; i++) {
      const piece = pieces[i] as EraPiece;
      if (piece.span.key >= span.endKey) break;
      const common = intersectSpans(span, piece.span);
      if (common === undefined) continue;
      if (key < common.key) result.push({ span: { key, endKey: common.key }, eras });
      result.push({ span: common, eras: withPiece(eras, piece) });
      key = common.endKey;
    }
    if (key < span.endKey) result.push({ span: { key, endKey: span.endKey }, eras });
  }
  return result;
}

function withPiece(eras: EraUnit['eras'], piece: EraPiece): EraUnit['eras'] {
  const last = eras.at(-1);
  if (last === undefined || piece.startTime === 0) return [...eras, [piece]];
  return [...eras.slice(0, -1), [...last, piece]];
}
