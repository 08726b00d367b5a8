/**
 * KvMetrics: what exports and ingests count. A wait is measured on the database's clock, in nanoseconds:
 * on a manual one, which stands still meanwhile, it takes no time.
 */
import type { Clock } from '../base/clock.ts';
import { NANOS_PER_MICRO } from '../base/duration.ts';
import type { Counter, MetricRegistry } from '../base/metrics.ts';

export class KvMetrics {
  readonly exportDelay: Counter;
  readonly ingests: Counter;
  readonly ingestedRuns: Counter;
  readonly ingestDelay: Counter;
  readonly ingestBackpressure: Counter;

  constructor(registry: MetricRegistry) {
    this.exportDelay = registry.counter({
      name: 'exportrequest.delay.total',
      help: 'Nanoseconds that exports waited for a large commit under way before they could read',
    });
    this.ingests = registry.counter({ name: 'addsstable.proposals', help: 'Sorted runs of a restore or a backfill, taken for ingestion' });
    this.ingestedRuns = registry.counter({
      name: 'addsstable.applications',
      help: 'Parts of sorted runs put into the index that each is of',
    });
    this.ingestDelay = registry.counter({
      name: 'addsstable.delay.total',
      help: 'Nanoseconds that ingestion waited, for memory or for a large commit under way',
    });
    this.ingestBackpressure = registry.counter({
      name: 'addsstable.delay.enginebackpressure',
      help: 'Nanoseconds that ingestion waited for garbage collection to make room in memory',
    });
  }
}

/** Adds what has passed on the clock since a moment, in microseconds. */
export function addDelay(counter: Counter, clock: Clock, since: number): void {
  counter.add(Math.max(0, clock.nowMicros() - since) * NANOS_PER_MICRO);
}
