/**
 * Coverage: proof that a path of layers holds every version it claims to.
 *
 *   I1  a stretch of a layer continues what is there: its start is no later than what the layers
 *       before it cover of its span; a stretch that starts at 0 needs nothing before it
 *   I2  after each layer, every span that it claims is covered up to its end time
 *   I3  stretches of one layer never overlap
 *
 *   keys   a      c      e      g        layer 1 covers [a, e) to @10, layer 2 claims [a, g) to @20
 *   @10    |======|======|               layer 2: [a, c) (10, 20]   continues
 *   @20    |======|======|======|                 [c, e) (10, 20]   continues
 *                                                 [e, g) (0, 20]    introduced
 *
 * The walk uses what the files and empty spans really say, not the claims, so a manifest that lost
 * a file is found here. Lives elsewhere: choosing the layers (chain.ts).
 * Source: CockroachDB pkg/backup, backup_span_coverage.go (idea only).
 */
import type { Bytes } from '../base/bytes.ts';
import { CorruptionError } from '../base/errors.ts';
import { prettyKey } from '../base/prettyKey.ts';
import type { Span } from '../base/span.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { formatUtc, MIN_TIMESTAMP } from '../base/timestamp.ts';

import type { Layer, Manifest, SpanInterval } from './manifest.ts';

/** Keys that are covered from time 0 up to `time`. Lists of them are sorted and disjoint. */
export interface CoveredSpan {
  readonly span: Span;
  readonly time: Timestamp;
}

/** What a layer's files and empty spans say they hold, in key order. */
export function intervalsOf(manifest: Manifest): SpanInterval[] {
  const parts = manifest.files.flatMap<SpanInterval>((file) => file.parts);
  return [...parts, ...manifest.emptySpans].sort((a, b) => (a.span.key < b.span.key ? -1 : a.span.key > b.span.key ? 1 : 0));
}

/**
 * Walks a path of layers, full first, and returns what it covers. XX001 names the first gap: the
 * interval of time and the keys that no layer holds. `intro` begins the message; `before`: what the layers before these cover.
 */
export function proveCoverage(layers: readonly Layer[], intro = '', before: readonly CoveredSpan[] = []): readonly CoveredSpan[] {
  let covered = before;
  for (const { manifest, directory } of layers) {
    covered = advance(covered, intervalsOf(manifest), (gap) => gapError(intro, directory, gap));
    for (const span of manifest.spans) requireCovered(covered, span, manifest.endTime, (gap) => gapError(intro, directory, gap));
  }
  return covered;
}

/** XX001 unless every key of `span` is covered up to `time`. */
export function requireSpan(covered: readonly CoveredSpan[], span: Span, time: Timestamp, directory: string, intro = ''): void {
  requireCovered(covered, span, time, (gap) => gapError(intro, directory, gap));
}

/** Keys over (startTime, endTime] that nothing holds. */
interface Gap {
  readonly span: Span;
  readonly startTime: Timestamp;
  readonly endTime: Timestamp;
  /** Set when two stretches of a layer lie over each other instead. */
  readonly isOverlap?: boolean;
}

/** What is covered after a layer whose stretches are given in key order (I1, I3). */
function advance(covered: readonly CoveredSpan[], stretches: readonly SpanInterval[], fail: (gap: Gap) => Error): CoveredSpan[] {
  const result: CoveredSpan[] = [];
  const bounds = boundsOf(covered, stretches);
  let inCovered = 0;
  let inStretches = 0;
  for (let i = 0; i + 1 < bounds.length; i++) {
    const span: Span = { key: bounds[i]!, endKey: bounds[i + 1]! };
    while (inCovered < covered.length && covered[inCovered]!.span.endKey <= span.key) inCovered++;
    while (inStretches < stretches.length && stretches[inStretches]!.span.endKey <= span.key) inStretches++;
    const before = covered[inCovered];
    const beforeTime = before !== undefined && before.span.key <= span.key ? before.time : MIN_TIMESTAMP;
    const stretch = stretches[inStretches];
    if (stretch === undefined || stretch.span.key > span.key) {
      if (beforeTime > 0) append(result, span, beforeTime);
      continue;
    }
    const next = stretches[inStretches + 1];
    if (next !== undefined && next.span.key < stretch.span.endKey) {
      throw fail({ span: next.span, startTime: next.startTime, endTime: next.endTime, isOverlap: true });
    }
    if (stretch.startTime > beforeTime) throw fail({ span, startTime: beforeTime, endTime: stretch.startTime });
    append(result, span, Math.max(beforeTime, stretch.endTime) as Timestamp);
  }
  return result;
}

function requireCovered(covered: readonly CoveredSpan[], span: Span, time: Timestamp, fail: (gap: Gap) => Error): void {
  let key = span.key;
  for (const piece of covered) {
    if (piece.span.endKey <= key) continue;
    if (key >= span.endKey) return;
    if (piece.span.key > key)
      throw fail({ span: { key, endKey: minKey(piece.span.key, span.endKey) }, startTime: MIN_TIMESTAMP, endTime: time });
    if (piece.time < time)
      throw fail({ span: { key, endKey: minKey(piece.span.endKey, span.endKey) }, startTime: piece.time, endTime: time });
    key = piece.span.endKey;
  }
  if (key < span.endKey) throw fail({ span: { key, endKey: span.endKey }, startTime: MIN_TIMESTAMP, endTime: time });
}

/** Every key at which something begins or ends, ascending, each once. */
function boundsOf(covered: readonly CoveredSpan[], stretches: readonly SpanInterval[]): Bytes[] {
  const keys = new Set<Bytes>();
  for (const { span } of [...covered, ...stretches]) keys.add(span.key).add(span.endKey);
  return [...keys].sort();
}

/** Appends, joining neighbours that are covered alike. */
function append(list: CoveredSpan[], span: Span, time: Timestamp): void {
  const last = list.at(-1);
  if (last !== undefined && last.time === time && last.span.endKey === span.key) {
    list[list.length - 1] = { span: { key: last.span.key, endKey: span.endKey }, time };
  } else {
    list.push({ span, time });
  }
}

function minKey(a: Bytes, b: Bytes): Bytes {
  return a < b ? a : b;
}

function gapError(intro: string, directory: string, gap: Gap): CorruptionError {
  const times = `[${gap.startTime === 0 ? '0' : formatUtc(gap.startTime)}, ${formatUtc(gap.endTime)})`;
  const range = `[${prettyKey(gap.span.key)}, ${prettyKey(gap.span.endKey)})`;
  const message = gap.isOverlap
    ? `${intro}two files of layer "${directory}" cover time ${times} for range ${range}`
    : `${intro}no backup covers time ${times} for range ${range} (or backups listed out of order)`;
  return new CorruptionError(SqlState.DataCorrupted, message, {
    detail: `found while checking layer "${directory}"`,
    hint: gap.isOverlap ? 'the manifest is damaged' : 'a layer of the chain is missing or damaged: SHOW BACKUP lists the layers',
    file: directory,
  });
}
