/**
 * pg_stats: what is known of columns' values, from the newest statistics, in PostgreSQL's terms.
 *
 * Values are shown to who may read the table. A bucket's upper bound is a most common value when clearly more rows than
 * an average value's equal it; the bounds of the buckets are the histogram's.
 * Source: PostgreSQL documentation, "pg_stats".
 */
import { hasPrivilege } from '../../../../catalog/privileges.ts';
import type { Statistic } from '../../../../catalog/tableStatistics.ts';
import { arrayOf, Type } from '../../../../catalog/type.ts';
import { inSchema } from '../defineTable.ts';

/** PostgreSQL's default_statistics_target. */
const COMMON_VALUES_MAX = 100;
/** A value is common when so many times an average value's rows equal it. */
const COMMON_TIMES = 1.25;
/** With more distinct values than this part of the rows their number is told as a part of the rows. */
const DISTINCT_FRACTION = 0.1;

const TextArray = arrayOf(Type.String);

const pgStats = inSchema('pg_catalog')(
  'pg_stats',
  {
    schemaname: Type.Name,
    tablename: Type.Name,
    attname: Type.Name,
    inherited: Type.Bool,
    null_frac: Type.Float4,
    avg_width: Type.Int4,
    n_distinct: Type.Float4,
    most_common_vals: TextArray,
    most_common_freqs: arrayOf(Type.Float4),
    histogram_bounds: TextArray,
    correlation: Type.Float4,
    most_common_elems: TextArray,
    most_common_elem_freqs: arrayOf(Type.Float4),
    elem_count_histogram: arrayOf(Type.Float4),
  },
  function* (view) {
    const { statistics } = view.context.engine;
    for (const { table, schemaName } of view.tables()) {
      const known = statistics?.of(table.id);
      if (!known || !hasPrivilege(view.roles, table.privileges, 'SELECT')) continue;
      for (const column of table.columns) {
        const statistic = known.bySet.get(String(column.id));
        if (!statistic || column.state !== 'public') continue;
        yield { schemaname: schemaName, tablename: table.name, attname: column.name, inherited: false, ...measures(statistic) };
      }
    }
  },
);

function measures({ rowCount, nullCount, distinctCount, avgSize, histogram }: Statistic) {
  const rows = Math.max(1, rowCount);
  const distinct = Math.max(0, distinctCount - (nullCount > 0 ? 1 : 0));
  const buckets = histogram?.buckets ?? [];
  const average = (rowCount - nullCount) / Math.max(1, distinct);
  const common = buckets
    .filter((bucket) => bucket.num_eq > average * COMMON_TIMES)
    .sort((a, b) => b.num_eq - a.num_eq)
    .slice(0, COMMON_VALUES_MAX);
  return {
    null_frac: nullCount / rows,
    avg_width: avgSize,
    n_distinct: distinct > rows * DISTINCT_FRACTION ? -distinct / rows : distinct,
    most_common_vals: common.length === 0 ? undefined : common.map((bucket) => bucket.upper_bound),
    most_common_freqs: common.length === 0 ? undefined : common.map((bucket) => bucket.num_eq / rows),
    histogram_bounds: buckets.length === 0 ? undefined : buckets.map((bucket) => bucket.upper_bound),
  };
}

export const statisticsTables = [pgStats];
