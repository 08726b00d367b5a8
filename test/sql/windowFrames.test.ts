/**
 * Window frames against their definition: for each row every other row is asked whether it belongs,
 * by its place, its group or its distance. The operator slides, searches and reuses; this does not.
 */
import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { openSql } from '../support/sqlHarness.ts';
import { runs } from '../support/depth.ts';

const test = suite('sql window frames');

interface Row {
  readonly id: number;
  readonly g: number;
  readonly x: number | null;
}
type Bound = readonly [kind: string, offset: number];
interface Frame {
  readonly mode: 'ROWS' | 'RANGE' | 'GROUPS';
  readonly start: Bound;
  readonly end: Bound;
  readonly exclude: string;
  readonly descending: boolean;
}

const BOUNDS = ['UNBOUNDED PRECEDING', 'PRECEDING', 'CURRENT ROW', 'FOLLOWING', 'UNBOUNDED FOLLOWING'];
const frame: fc.Arbitrary<Frame> = fc
  .record({
    mode: fc.constantFrom('ROWS' as const, 'RANGE' as const, 'GROUPS' as const),
    places: fc.tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 1, max: 4 })).filter(([a, b]) => a <= b),
    offsets: fc.tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 3 })),
    exclude: fc.constantFrom('', 'EXCLUDE CURRENT ROW', 'EXCLUDE GROUP', 'EXCLUDE TIES', 'EXCLUDE NO OTHERS'),
    descending: fc.boolean(),
  })
  .map(({ places, offsets, ...rest }) => ({
    ...rest,
    start: [BOUNDS[places[0]] as string, offsets[0]] as const,
    end: [BOUNDS[places[1]] as string, offsets[1]] as const,
  }));

const text = ([kind, offset]: Bound): string => (kind === 'PRECEDING' || kind === 'FOLLOWING' ? `${offset} ${kind}` : kind);

/** Whether the row at `j` lies at or after the bound of the row at `i` (`side` 1), or at or before it (-1). */
function isWithin(
  [kind, offset]: Bound,
  side: 1 | -1,
  mode: Frame['mode'],
  rows: readonly Row[],
  i: number,
  j: number,
  sign: number,
): boolean {
  if (kind.startsWith('UNBOUNDED')) return true;
  const keyOf = (at: number) => rows[at]?.x ?? null;
  const groupOf = (at: number) => new Set(rows.slice(0, at + 1).map((row) => row.x)).size;
  const moved = kind === 'PRECEDING' ? -offset : kind === 'FOLLOWING' ? offset : 0;
  if (mode === 'ROWS') return side * (j - i - moved) >= 0;
  if (mode === 'GROUPS' || kind === 'CURRENT ROW') return side * (groupOf(j) - groupOf(i) - moved) >= 0;
  const [a, b] = [keyOf(i), keyOf(j)];
  if (a === null || b === null) return side * (groupOf(j) - groupOf(i)) >= 0;
  return side * (sign * (b - a) - moved) >= 0;
}

function expected(rows: readonly Row[], { mode, start, end, exclude, descending }: Frame): Map<number, string> {
  const sign = descending ? -1 : 1;
  const result = new Map<number, string>();
  for (const g of new Set(rows.map((row) => row.g))) {
    const keyed = (row: Row) => (row.x === null ? -100 : row.x);
    const part = rows.filter((row) => row.g === g).sort((a, b) => sign * (keyed(a) - keyed(b)) || a.id - b.id);
    part.forEach((row, i) => {
      const members = part.filter((other, j) => {
        if (!isWithin(start, 1, mode, part, i, j, sign) || !isWithin(end, -1, mode, part, i, j, sign)) return false;
        if (exclude === 'EXCLUDE CURRENT ROW') return j !== i;
        if (exclude === 'EXCLUDE GROUP') return other.x !== row.x;
        if (exclude === 'EXCLUDE TIES') return j === i || other.x !== row.x;
        return true;
      });
      result.set(row.id, [members.length, members.reduce((sum, one) => sum + one.id, 0), members[0]?.id, members.at(-1)?.id].join(' '));
    });
  }
  return result;
}

test('each row sees exactly the rows of its frame', async () => {
  const db = await openSql();
  const key = fc.option(fc.integer({ min: 0, max: 6 }));
  const table = fc.array(fc.tuple(fc.integer({ min: 0, max: 1 }), key), { minLength: 1, maxLength: 14 });
  await fc.assert(
    fc.asyncProperty(table, frame, async (pairs, one) => {
      const rows = pairs.map(([g, x], id): Row => ({ id, g, x }));
      const values = rows.map(({ id, g, x }) => `(${id}, ${g}, ${x ?? 'NULL::INT'})`).join(', ');
      // ROWS and the ends of a frame need a total order; the input already has ties in the order of ids.
      const window = `PARTITION BY g ORDER BY x${one.descending ? ' DESC' : ''} ${one.mode} BETWEEN ${text(one.start)} AND ${text(one.end)} ${one.exclude}`;
      const sql = `SELECT id, count(*) OVER w, sum(id) OVER w, first_value(id) OVER w, last_value(id) OVER w, array_length(array_agg(id) OVER w, 1)
        FROM (VALUES ${values}) v(id, g, x) WINDOW w AS (${window})`;
      const wanted = expected(rows, one);
      for (const [id, count, sum, first, last, listed] of await db.rows(sql)) {
        assert.is([count, sum ?? '0', first ?? '', last ?? ''].join(' '), wanted.get(Number(id)), `row ${id} of ${sql}`);
        assert.is(listed ?? '0', count, `the list of row ${id} of ${sql}`);
      }
    }),
    { numRuns: runs(300) },
  );
  db.close();
});

test.run();
