/** What tests of backup's format build: layers from a few words. */
import { asBytes } from '../../src/base/bytes.ts';
import type { Span } from '../../src/base/span.ts';
import type { Timestamp } from '../../src/base/timestamp.ts';
import type { Layer, Manifest, SpanInterval } from '../../src/backup/manifest.ts';

/** `a-c`: the span [a, c). */
export function parseSpan(text: string): Span {
  const [key = '', endKey = ''] = text.split('-');
  return { key: asBytes(key), endKey: asBytes(endKey) };
}

export interface LayerWords {
  readonly directory: string;
  readonly start: number;
  readonly end: number;
  readonly history?: boolean;
  /** Earliest restorable time of a full with history. */
  readonly from?: number;
  readonly parent?: Layer | undefined;
  readonly spans?: readonly string[];
  /** `a-c@0..20`: what files hold; by default the spans over the layer's interval. */
  readonly parts?: readonly string[];
}

const ANY_SHA256 = 'ab'.repeat(32);

export function makeLayer(words: LayerWords): Layer {
  const { directory, start, end, history = false, parent, spans = [] } = words;
  const intervals = words.parts?.map(parseInterval) ?? spans.map((span) => interval(parseSpan(span), start, end));
  const counts = { rows: intervals.length, indexEntries: 0, dataBytes: 10 * intervals.length };
  const manifest: Manifest = {
    layerId: '00000000-0000-4000-8000-000000000001',
    clusterId: '00000000-0000-4000-8000-000000000002',
    jobId: '1106',
    kind: start === 0 ? 'full' : 'incremental',
    scope: 'tables',
    targets: ['bank.public.accounts'],
    startTime: start as Timestamp,
    endTime: end as Timestamp,
    revisionHistory: history,
    revisionStartTime: (history ? (words.from ?? start) : end) as Timestamp,
    localities: [],
    spans: spans.map(parseSpan),
    introducedSpans: [],
    completeDatabaseIds: [],
    targetIds: [52],
    descriptors: [],
    descriptorChanges: [],
    files: intervals.map((part, i) => ({
      path: `data/1106-1-${i}.vkv`,
      sizeBytes: 100,
      sha256: ANY_SHA256,
      locality: '',
      parts: [{ ...part, rows: 1, indexEntries: 0, dataBytes: 10 }],
    })),
    emptySpans: [],
    entryCounts: counts,
    parent: parent && { directory: parent.directory, endTime: parent.manifest.endTime, manifestSha256: parent.manifestSha256 },
  };
  return { directory, manifest, manifestSha256: `sha256 of ${directory}` };
}

function parseInterval(text: string): SpanInterval {
  const [span = '', times = ''] = text.split('@');
  const [start, end] = times.split('..').map(Number);
  return interval(parseSpan(span), start ?? 0, end ?? 0);
}

function interval(span: Span, start: number, end: number): SpanInterval {
  return { span, startTime: start as Timestamp, endTime: end as Timestamp };
}
