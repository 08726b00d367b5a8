/**
 * ZoneRangePolicy: what zones and the row encoding say about ranges, as kv asks for it.
 *
 * Answers are cached until a zone or descriptor changes. Lives elsewhere: what kv does with them
 * (kv/rangeQueue.ts, kv/ranges.ts).
 */
import type { Bytes } from '../base/bytes.ts';
import { DEFAULT_RANGE_POLICY, type LeasePreference, parseLeasePreferences, type RangePolicy, type RangeSizes } from '../kv/rangePolicy.ts';

import { rowPrefixLength } from './rowDecoder.ts';
import type { Zones } from './zones.ts';

interface Answer {
  readonly sizes: RangeSizes;
  readonly leasePreferences: readonly LeasePreference[];
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

  leasePreferencesOf(tableId: number, indexId: number): readonly LeasePreference[] {
    return this.#of(tableId, indexId).leasePreferences;
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
    const effective = this.#zones.current()?.effective({ kind: 'index', id: tableId, indexId });
    const defaults = DEFAULT_RANGE_POLICY.sizesOf(tableId, indexId);
    return {
      sizes: { minBytes: effective?.rangeMinBytes ?? defaults.minBytes, maxBytes: effective?.rangeMaxBytes ?? defaults.maxBytes },
      leasePreferences: parseLeasePreferences(effective?.leasePreferences ?? '[]'),
    };
  }
}
