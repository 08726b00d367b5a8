/**
 * ZoneRangePolicy: what zones and the row encoding say about ranges, as kv asks for it.
 *
 * Answers are cached until a zone or descriptor changes. Lives elsewhere: what kv does with them
 * (kv/rangeQueue.ts, kv/ranges.ts).
 */
import { type Bytes, utf8Encode } from '../base/bytes.ts';
import { DEFAULT_RANGE_POLICY, type LeasePreference, parseLeasePreferences, type RangePolicy, type RangeSizes } from '../kv/rangePolicy.ts';

import { columnById, indexById } from './descriptor.ts';
import { spanForConstraint } from './rowCodec.ts';
import { rowPrefixLength } from './rowDecoder.ts';
import type { Zones, ZoneSet } from './zones.ts';

interface Answer {
  readonly sizes: RangeSizes;
  readonly leasePreferences: readonly LeasePreference[];
  /** Of a REGIONAL BY ROW table: where the rows of each region begin, in key order. */
  readonly parts: readonly { readonly key: Bytes; readonly leasePreferences: readonly LeasePreference[] }[];
  /** Where ranges have to start: at all of them but the first. */
  readonly bounds: readonly Bytes[];
}

export class ZoneRangePolicy implements RangePolicy {
  readonly #zones: Zones;
  readonly #answers = new Map<string, Answer>();
  #version = -1;

  constructor(zones: Zones) {
    this.#zones = zones;
  }

  sizesOf(tableId: number, indexId: number): RangeSizes {
    return this.#of(tableId, indexId).sizes;
  }

  leasePreferencesOf(tableId: number, indexId: number, key: Bytes): readonly LeasePreference[] {
    const { leasePreferences, parts } = this.#of(tableId, indexId);
    // What lies before the first region's rows is empty, and goes with them.
    const part = parts.findLast((one) => one.key <= key) ?? parts[0];
    return part?.leasePreferences ?? leasePreferences;
  }

  boundsOf(tableId: number, indexId: number): readonly Bytes[] {
    return this.#of(tableId, indexId).bounds;
  }

  rowStart(key: Bytes): Bytes {
    return key.slice(0, rowPrefixLength(key)) as Bytes;
  }

  #of(tableId: number, indexId: number): Answer {
    if (this.#version !== this.#zones.version) {
      this.#answers.clear();
      this.#version = this.#zones.version;
    }
    const key = `${tableId}/${indexId}`;
    let answer = this.#answers.get(key);
    if (answer === undefined) {
      answer = this.#read(tableId, indexId);
      this.#answers.set(key, answer);
    }
    return answer;
  }

  #read(tableId: number, indexId: number): Answer {
    const zones = this.#zones.current();
    const effective = zones?.effective({ kind: 'index', id: tableId, indexId });
    const defaults = DEFAULT_RANGE_POLICY.sizesOf(tableId, indexId);
    const parts = zones ? partsOf(zones, tableId, indexId) : [];
    return {
      sizes: { minBytes: effective?.rangeMinBytes ?? defaults.minBytes, maxBytes: effective?.rangeMaxBytes ?? defaults.maxBytes },
      leasePreferences: parseLeasePreferences(effective?.leasePreferences ?? '[]'),
      parts,
      bounds: parts.slice(1).map(({ key }) => key),
    };
  }
}

function partsOf(zones: ZoneSet, id: number, indexId: number): Answer['parts'] {
  const regions = Object.keys(zones.zoneOf(id)?.partitions[indexId] ?? {});
  const table = regions.length > 0 ? zones.table(id) : undefined;
  const index = table && indexById(table, indexId);
  if (!table || !index) return [];
  // A zone can be here before its region is, within one commit.
  const known = columnById(table, index.columnIds[0] ?? 0)?.type.members ?? [];
  return regions
    .filter((region) => known.includes(region))
    .flatMap((region) => {
      const span = spanForConstraint(table, index, { equals: [utf8Encode(region)] });
      const { leasePreferences = '[]' } = zones.effective({ kind: 'partition', id, indexId, region });
      return span ? [{ key: span.key, leasePreferences: parseLeasePreferences(leasePreferences) }] : [];
    })
    .sort((a, b) => (a.key < b.key ? -1 : 1));
}
