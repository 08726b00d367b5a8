/**
 * Metrics: what a database counts about itself, under CockroachDB's dotted names.
 *
 * Whatever has something to tell gets the registry of its database, and registers counters and gauges
 * with it once; counting is then an addition. What some part knows anyway is registered as a function
 * and read when somebody looks, so that it can never disagree with the part. Nothing is global: a
 * fork, or a second database of the process, has a registry of its own.
 *
 *   M1  a counter only grows, from 0 when the database opens
 *   M2  metrics of one name have one type and one help, and differ in their labels
 *
 * Lives elsewhere: the forms in which they leave (server/metricsText.ts, crdb_internal.node_metrics).
 */
import { assert } from './assert.ts';

export type MetricType = 'counter' | 'gauge';

export type MetricLabels = Readonly<Record<string, string>>;

export interface MetricDefinition {
  /** Dotted: `jobs.backup.currently_running`. */
  readonly name: string;
  /** What it says, and in which unit; a clause without a full stop. */
  readonly help: string;
  readonly labels?: MetricLabels;
  /**
   * The same metric where few names carry many labels, as `jobs` with the type `backup` and the status
   * `currently_running`. Default: its own name.
   */
  readonly labelled?: { readonly name: string; readonly labels: MetricLabels };
}

/** A metric as somebody saw it. */
export interface Metric extends MetricDefinition {
  readonly type: MetricType;
  readonly value: number;
}

/** Gives metrics that are not known beforehand, at the moment they are asked for. */
export type MetricSource = () => Iterable<Metric> | Promise<Iterable<Metric>>;

export class Counter {
  #value = 0;

  get value(): number {
    return this.#value;
  }

  /** Adds 1, or as many as there were: never less than 0. */
  add(count = 1): void {
    assert(count >= 0, 'a counter only grows');
    this.#value += count;
  }
}

export class Gauge {
  value = 0;

  add(change: number): void {
    this.value += change;
  }
}

interface Registered {
  readonly definition: MetricDefinition;
  readonly type: MetricType;
  readonly read: () => number;
}

export class MetricRegistry {
  readonly #registered = new Map<string, Registered>();
  readonly #sources: MetricSource[] = [];

  counter(definition: MetricDefinition): Counter {
    const counter = new Counter();
    this.#add('counter', definition, () => counter.value);
    return counter;
  }

  gauge(definition: MetricDefinition): Gauge {
    const gauge = new Gauge();
    this.#add('gauge', definition, () => gauge.value);
    return gauge;
  }

  /** A counter that somebody keeps already. `read` must not throw, and never return less than before. */
  counterOf(definition: MetricDefinition, read: () => number): void {
    this.#add('counter', definition, read);
  }

  /** A gauge that is read when somebody looks. `read` must not throw. */
  gaugeOf(definition: MetricDefinition, read: () => number): void {
    this.#add('gauge', definition, read);
  }

  /** For what takes a look at many things at once, or has names that are not known yet. */
  addSource(source: MetricSource): void {
    this.#sources.push(source);
  }

  /** Every metric as it is now, by name and then labels. */
  async read(): Promise<Metric[]> {
    const metrics = [...this.#registered.values()].map(({ definition, type, read }): Metric => ({ ...definition, type, value: read() }));
    for (const source of this.#sources) metrics.push(...(await source()));
    const keyed = metrics.map((metric) => [keyOf(metric), metric] as const);
    return keyed.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)).map(([, metric]) => metric);
  }

  #add(type: MetricType, definition: MetricDefinition, read: () => number): void {
    const key = keyOf(definition);
    assert(!this.#registered.has(key), `metric ${key} registered twice`);
    this.#registered.set(key, { definition, type, read });
  }
}

function keyOf({ name, labels = {} }: MetricDefinition): string {
  return `${name} ${Object.entries(labels)
    .map(([label, value]) => `${label}=${value}`)
    .join(' ')}`;
}
