/**
 * Metrics in Prometheus' text exposition format.
 *
 * Nothing counts on its own: a scrape asks the collectors, each reads the state it is about, so a
 * metric can never disagree with the system. Names are CockroachDB's dotted ones, with `.` and `-`
 * turned into `_`.
 *
 * Source: Prometheus documentation, "Exposition formats", text format 0.0.4.
 */

export interface MetricSample {
  readonly labels?: Readonly<Record<string, string | number>>;
  readonly value: number;
}

export interface Metric {
  /** Dotted: `jobs.backup.currently_running`. */
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  readonly samples: readonly MetricSample[];
}

/** Asked at each scrape. */
export type MetricCollector = () => Iterable<Metric> | Promise<Iterable<Metric>>;

export const PROMETHEUS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export function metricName(dotted: string): string {
  return dotted.replace(/[.-]/g, '_');
}

function escapeLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function formatValue(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  return value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value);
}

/** All metrics, in the order given; metrics of the same name from several collectors join under one head. */
export function formatPrometheus(metrics: Iterable<Metric>): string {
  const byName = new Map<string, { metric: Metric; samples: MetricSample[] }>();
  for (const metric of metrics) {
    const known = byName.get(metric.name);
    if (known) known.samples.push(...metric.samples);
    else byName.set(metric.name, { metric, samples: [...metric.samples] });
  }
  const lines: string[] = [];
  for (const { metric, samples } of byName.values()) {
    const name = metricName(metric.name);
    lines.push(`# HELP ${name} ${metric.help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}`, `# TYPE ${name} ${metric.type}`);
    for (const { labels = {}, value } of samples) {
      const text = Object.entries(labels)
        .map(([label, content]) => `${label}="${escapeLabel(String(content))}"`)
        .join(',');
      lines.push(`${name}${text ? `{${text}}` : ''} ${formatValue(value)}`);
    }
  }
  return `${lines.join('\n')}\n`;
}
