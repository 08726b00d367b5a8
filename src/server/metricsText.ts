/**
 * Metrics in Prometheus' text format, in CockroachDB's two forms:
 *
 *   names    /_status/vars: each metric under its own name, with `.` and `-` as `_`:
 *            jobs_backup_currently_running{node_id="1"} 0
 *   labels   /metrics: few names, and what varies in labels:
 *            jobs{node_id="1",tenant="system",status="currently_running",type="backup"} 0
 *
 * The nodes of a database share a process, and what it counts: node_id is that of the first.
 *
 * The format itself is prom-client's, which is loaded by the first scrape.
 */
import type { Registry } from 'prom-client';

import type { Metric, MetricLabels } from '../base/metrics.ts';

export type MetricsForm = 'names' | 'labels';

const NODE_LABELS: Readonly<Record<MetricsForm, MetricLabels>> = Object.freeze({
  names: { node_id: '1' },
  labels: { node_id: '1', tenant: 'system' },
});

export interface MetricsText {
  readonly contentType: string;
  readonly body: string;
}

/** The name under which Prometheus knows a dotted one. */
export function exportedName(dotted: string): string {
  return dotted.replace(/[.-]/g, '_');
}

export async function metricsText(metrics: Iterable<Metric>, form: MetricsForm): Promise<MetricsText> {
  const { Counter, Gauge, Registry } = await import('prom-client');
  const registry: Registry = new Registry();
  for (const [name, family] of families(metrics, form)) {
    const head = { name, help: family.help, labelNames: [...family.labelNames], registers: [registry] };
    const counter = family.type === 'counter' ? new Counter(head) : undefined;
    const gauge = counter ? undefined : new Gauge(head);
    for (const { labels, value } of family.samples) {
      counter?.inc(labels, value);
      gauge?.set(labels, value);
    }
  }
  return { contentType: registry.contentType, body: await registry.metrics() };
}

interface Family {
  /** A gauge where a family with labels has metrics of both types. */
  type: Metric['type'];
  readonly help: string;
  readonly labelNames: Set<string>;
  readonly samples: { labels: Record<string, string>; value: number }[];
}

/** Metrics of one exported name belong together, whatever their order. */
function families(metrics: Iterable<Metric>, form: MetricsForm): Map<string, Family> {
  const found = new Map<string, Family>();
  for (const { name, type, help, labels, labelled, value } of metrics) {
    const isLabelled = form === 'labels' && labelled !== undefined;
    const exported = exportedName(isLabelled ? labelled.name : name);
    const family = found.get(exported) ?? { type, help, labelNames: new Set<string>(), samples: [] };
    found.set(exported, family);
    if (family.type !== type) family.type = 'gauge';
    const all = { ...NODE_LABELS[form], ...labels, ...(isLabelled && labelled.labels) };
    for (const label of Object.keys(all)) family.labelNames.add(label);
    family.samples.push({ labels: all, value });
  }
  return found;
}
