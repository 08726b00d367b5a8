/**
 * Metrics: what a database counts about itself, under CockroachDB's dotted names.
 *
 * Whatever has something to tell gets the registry of its database (`kv.metrics`), and registers counters
 * and gauges with it once. Counting is an addition. A gauge is a function of what some part knows anyway,
 * read when somebody looks, so that it can never disagree with that part. Nothing is global: a
 * fork, or a second database of the process, has a registry of its own.
 *
 *   M1  a counter only grows, from 0 when the database opens
 *   M2  metrics of one name have one type and one help, and differ in their labels; who registers one
 *       again goes on with the same counter, or replaces the function
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

interface Registered {
  readonly definition: MetricDefinition;
  readonly type: MetricType;
  readonly read: () => number;
  readonly counter?: Counter;
}

export class MetricRegistry {
  readonly #registered = new Map<string, Registered>();
  readonly #sources: MetricSource[] = [];

  counter(definition: MetricDefinition): Counter {
    const counter = this.#registered.get(keyOf(definition))?.counter ?? new Counter();
    this.#put({ type: 'counter', definition, read: () => counter.value, counter });
    return counter;
  }

  /** A counter that somebody keeps already. `read` must not throw, and never return less than before. */
  counterOf(definition: MetricDefinition, read: () => number): void {
    this.#put({ type: 'counter', definition, read });
  }

  /** `read` is called when somebody looks; it must not throw. */
  gauge(definition: MetricDefinition, read: () => number): void {
    this.#put({ type: 'gauge', definition, read });
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

  #put(registered: Registered): void {
    const key = keyOf(registered.definition);
    const known = this.#registered.get(key);
    assert(known === undefined || known.type === registered.type, `metric ${key} of two types`);
    this.#registered.set(key, registered);
  }
}

function keyOf({ name, labels = {} }: MetricDefinition): string {
  return `${name} ${Object.entries(labels)
    .map(([label, value]) => `${label}=${value}`)
    .join(' ')}`;
}
