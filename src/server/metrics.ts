/**
 * What a database tells of itself as a whole: sessions, nodes, data, memory, ranges, protections. Each
 * is read of the part that knows it when somebody looks; what jobs, backups, storage and GC count they
 * register themselves.
 *
 * Also crdb_internal.node_metrics, which is every metric as a table.
 */
import { utf8Encode } from '../base/bytes.ts';
import { MICROS_PER_SECOND, NANOS_PER_MICRO } from '../base/duration.ts';
import type { MetricRegistry } from '../base/metrics.ts';
import { EVERYTHING } from '../base/span.ts';
import type { Datum } from '../catalog/datum.ts';
import { requireSystemPrivilege } from '../catalog/globalPrivileges.ts';
import { Type } from '../catalog/type.ts';
import type { Kv } from '../kv/kv.ts';
import type { SqlEngine } from '../sql/exec/engine.ts';

/** Data is of a store, of which a database has one. */
const STORE = { store: '1' };

export function registerServerMetrics(kv: Kv, engine: SqlEngine): void {
  const { metrics } = kv;
  metrics.gauge({ name: 'sql.sessions', help: 'Open SQL sessions, those of the process itself included' }, () => engine.sessions().length);
  metrics.gauge({ name: 'liveness.livenodes', help: 'Nodes that are live' }, () => kv.cluster.liveNodes().length);
  metrics.gauge({ name: 'ranges', help: 'Ranges', labels: STORE }, () => kv.rangesOf(EVERYTHING).length);
  metrics.gauge(
    { name: 'hlc.timestamp_seconds', help: 'Reading of the hybrid logical clock, in seconds since the epoch' },
    () => kv.reading() / MICROS_PER_SECOND,
  );
  registerData(metrics, kv);
  registerMemory(metrics, kv);
  registerProtections(metrics, kv);
  registerNodeMetrics(metrics, engine);
}

function registerData(metrics: MetricRegistry, kv: Kv): void {
  const gauge = (name: string, help: string, member: 'liveKeys' | 'totalKeys' | 'versions' | 'liveBytes' | 'totalBytes'): void =>
    metrics.gauge({ name, help, labels: STORE }, () => kv.stats(EVERYTHING)[member]);
  gauge('livecount', 'Live keys', 'liveKeys');
  gauge('keycount', 'Keys with any version', 'totalKeys');
  gauge('valcount', 'Versions, tombstones included', 'versions');
  gauge('livebytes', 'Bytes of live keys and values', 'liveBytes');
  gauge('totalbytes', 'Bytes of all keys and versions', 'totalBytes');
}

function registerMemory(metrics: MetricRegistry, { memory }: Kv): void {
  metrics.gauge({ name: 'varve.memory.limit_bytes', help: 'The memory budget' }, () => memory.figures().limitBytes);
  metrics.gauge({ name: 'varve.memory.used_bytes', help: 'What is used of the memory budget' }, () => memory.figures().usedBytes);
  for (const { account } of memory.figures().accounts) {
    metrics.gauge({ name: `varve.memory.${account}_bytes`, help: `Account "${account}" of the memory budget` }, () => {
      return memory.figures().accounts.find((found) => found.account === account)?.bytes ?? 0;
    });
  }
}

function registerProtections(metrics: MetricRegistry, kv: Kv): void {
  const { protections } = kv.gc;
  metrics.gauge({ name: 'spanconfig.kvsubscriber.protected_record_count', help: 'Protected timestamp records' }, () => protections.size);
  metrics.gauge(
    {
      name: 'spanconfig.kvsubscriber.oldest_protected_record_nanos',
      help: 'Age of the oldest protected timestamp in nanoseconds; 0 without one',
    },
    () => {
      const [oldest] = protections.list();
      return oldest === undefined ? 0 : (kv.reading() - oldest.ts) * NANOS_PER_MICRO;
    },
  );
}

function registerNodeMetrics(metrics: MetricRegistry, engine: SqlEngine): void {
  engine.virtualTables.register({
    schema: 'crdb_internal',
    name: 'node_metrics',
    comment: 'metrics as they are now',
    columns: [
      { name: 'store_id', type: Type.Int8 },
      { name: 'name', type: Type.String, notNull: true },
      { name: 'value', type: Type.Float8, notNull: true },
    ],
    async rows(context) {
      await requireSystemPrivilege(context.reader, context.user, 'VIEWCLUSTERMETADATA');
      return (await metrics.read()).map(({ name, labels, value }): Datum[] => {
        const store = labels?.['store'];
        return [store === undefined ? null : Number(store), utf8Encode(name), value];
      });
    },
  });
}
