/**
 * What a kept plan supposes of its tables: their sizes and statistics. It is used until one of them is another.
 *
 * Sizes may drift: a plan is made anew when a table has become DRIFT times larger or smaller, not before. Plans that no
 * size decides suppose less: of one table without statistics that it has none, of single rows by their keys nothing.
 */
import type { Span } from '../../base/span.ts';
import type { TableDescriptor } from '../../catalog/descriptor.ts';
import { indexSpan } from '../../catalog/rowCodec.ts';
import type { KnownStatistics } from '../../catalog/tableStatistics.ts';
import { inputsOf, type Plan, type PlanNode } from '../plan/plan.ts';
import type { EngineServices } from './statement.ts';

const DRIFT = 4;
/** Tables of fewer rows are all small. */
const ROWS_MIN = 100;

interface Supposed {
  readonly tableId: number;
  readonly span: Span;
  readonly families: number;
  readonly rows: number;
  readonly statistics: KnownStatistics | undefined;
}

/** Notes what is asked of sizes and statistics while a statement is planned. */
export class PlanSizes {
  readonly #engine: EngineServices;
  readonly #supposed = new Map<number, Supposed>();

  constructor(engine: EngineServices) {
    this.#engine = engine;
  }

  rowCount(table: TableDescriptor): number {
    return this.#note(table).rows;
  }

  statistics(table: TableDescriptor): KnownStatistics | undefined {
    return this.#note(table).statistics;
  }

  #note(table: TableDescriptor): Supposed {
    let supposed = this.#supposed.get(table.id);
    if (!supposed) {
      const span = indexSpan(table, table.primaryIndex);
      const families = Math.max(1, table.families.length);
      const rows = this.#engine.kv.stats(span).liveKeys / families;
      supposed = { tableId: table.id, span, families, rows, statistics: this.#engine.statistics?.of(table.id) };
      this.#supposed.set(table.id, supposed);
    }
    return supposed;
  }

  /** What the plan asks before each use; undefined when it is right whatever the sizes. */
  condition(plan: Plan): (() => boolean) | undefined {
    const all = [...this.#supposed.values()];
    if (all.length === 0 || (plan.prelude.length === 0 && readsByKey(plan.root))) return undefined;
    const { kv, statistics } = this.#engine;
    const [only] = all;
    // One table without statistics is read the same way whatever its size.
    if (only && all.length === 1 && only.statistics === undefined) return () => statistics?.of(only.tableId) === undefined;
    return () =>
      all.every(({ tableId, span, families, rows, statistics: known }) => {
        if (statistics?.of(tableId) !== known) return false;
        const now = Math.max(kv.stats(span).liveKeys / families, ROWS_MIN);
        const then = Math.max(rows, ROWS_MIN);
        return now < then * DRIFT && then < now * DRIFT;
      });
  }
}

/** Does every scan read the row of a key, and no join decide anything? */
function readsByKey(node: PlanNode): boolean {
  if (node.kind === 'join' || node.kind === 'lookupJoin' || node.kind === 'apply') return false;
  if (node.kind !== 'scan') return inputsOf(node).every(readsByKey);
  return node.index.unique && node.constraint?.prefix.length === node.index.columnIds.length;
}
