/**
 * Window functions: what each makes of its row's place in the partition and of its frame.
 * Aggregates with OVER are the executor's work (exec/window.ts).
 */
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import type { Datum } from '../../../catalog/datum.ts';
import { type ColumnType, Type } from '../../../catalog/type.ts';
import { Float8, Int8 } from '../define.ts';
import type { Param, WindowOverload, WindowView } from '../overload.ts';

const firstType = ([type]: readonly ColumnType[]): ColumnType => type ?? Type.Unknown;

function define(
  name: string,
  params: readonly Param[],
  returns: WindowOverload['returns'],
  over: (view: WindowView) => Datum,
): WindowOverload {
  return { name, params, returns, over };
}

const argOf = (view: WindowView, row: number, index: number): Datum => view.args[row]?.[index] ?? null;

/** The first argument as it is `offset` rows further on; outside the partition the default. */
function shifted(name: string, sign: 1 | -1): WindowOverload[] {
  const over = (view: WindowView): Datum => {
    const args = view.args[view.row] ?? [];
    const offset = args.length > 1 ? args[1] : 1;
    if (offset === null || offset === undefined) return null;
    const row = view.row + sign * Number(offset);
    return row >= 0 && row < view.size ? argOf(view, row, 0) : (args[2] ?? null);
  };
  return [
    define(name, ['anyelement'], firstType, over),
    define(name, ['anyelement', Int8], firstType, over),
    define(
      name,
      ['anyelement', Int8, 'anyelement'],
      ([type, , otherwise]) => (type?.family === 'unknown' ? otherwise : type) ?? Type.Unknown,
      over,
    ),
  ];
}

/** Partitions as even as they can be, the larger ones first. */
function ntile(view: WindowView): Datum {
  // The first row's argument counts for the whole partition.
  const wanted = argOf(view, 0, 0);
  if (wanted === null) return null;
  const buckets = Number(wanted);
  if (buckets <= 0) {
    throw new StatementError(SqlState.InvalidArgumentForNtile, 'argument of ntile() must be greater than zero');
  }
  const small = Math.floor(view.size / buckets);
  const larger = view.size % buckets;
  const inLarger = larger * (small + 1);
  return view.row < inLarger ? Math.floor(view.row / (small + 1)) + 1 : larger + Math.floor((view.row - inLarger) / small) + 1;
}

function nthValue(view: WindowView): Datum {
  const nth = argOf(view, view.row, 1);
  if (nth === null) return null;
  if (Number(nth) <= 0) {
    throw new StatementError(SqlState.InvalidArgumentForNthValue, 'argument of nth_value() must be greater than zero');
  }
  let left = Number(nth) - 1;
  for (const { start, end } of view.frame()) {
    if (left < end - start) return argOf(view, start + left, 0);
    left -= end - start;
  }
  return null;
}

export const windowFunctions: readonly WindowOverload[] = [
  define('row_number', [], Int8, ({ row }) => row + 1),
  define('rank', [], Int8, ({ peerStart }) => peerStart + 1),
  define('dense_rank', [], Int8, ({ peerGroup }) => peerGroup + 1),
  define('percent_rank', [], Float8, ({ size, peerStart }) => (size <= 1 ? 0 : peerStart / (size - 1))),
  define('cume_dist', [], Float8, ({ size, peerEnd }) => peerEnd / size),
  define('ntile', [Int8], Int8, ntile),
  ...shifted('lag', -1),
  ...shifted('lead', 1),
  define('first_value', ['anyelement'], firstType, (view) => {
    const [first] = view.frame();
    return first ? argOf(view, first.start, 0) : null;
  }),
  define('last_value', ['anyelement'], firstType, (view) => {
    const last = view.frame().at(-1);
    return last ? argOf(view, last.end - 1, 0) : null;
  }),
  define('nth_value', ['anyelement', Int8], firstType, nthValue),
];
