/**
 * Merge join: both sides come in the order of the join's keys, so each is read once, side by side, and only the right
 * rows of one key are kept. Rows come in the left side's order.
 *
 *   left   1  3  3  7        right   1  1  2  3  8        matches of 1: two, of 3: one each, of 7: none
 */
import { type Compare, compareDatums, type Datum } from '../../catalog/datum.ts';
import type { JoinNode } from '../plan/plan.ts';
import { BATCH_ROWS, type Batches, breathe, compileCondition, keeping, type Operator } from './run.ts';

interface Key {
  readonly left: number;
  readonly right: number;
  readonly compare: Compare;
}

/** For inner, left, semi and anti joins whose keys are columns, ordered by all of them in `node.merge`'s order, NULLs first. */
export function compileMergeJoin(node: JoinNode, left: Operator, right: Operator): Operator {
  const condition = node.on && compileCondition(node.on);
  const keys = (node.merge ?? []).map((i): Key => {
    const [a, b] = [node.leftKeys[i], node.rightKeys[i]];
    return {
      left: a?.kind === 'column' ? a.index : 0,
      right: b?.kind === 'column' ? b.index : 0,
      compare: a ? compareDatums(a.type) : () => 0,
    };
  });
  const isOfLeft = node.type === 'semi' || node.type === 'anti';
  const noRight: Datum[] = node.right.columns.map(() => null);
  const NONE: readonly Datum[][] = [];

  return keeping(async function* (run, kept) {
    const rows = new RowCursor(right(run));
    try {
      let group: Datum[][] = [];
      /** A left row of the group's key. */
      let groupOf: Datum[] | undefined;
      let out: Datum[][] = [];
      let tried = 0;
      for await (const batch of left(run)) {
        run.signal.throwIfAborted();
        for (const row of batch) {
          let matches = NONE;
          if (!keys.some((key) => row[key.left] === null)) {
            if (!groupOf || compareSides(keys, 'left', groupOf, row) !== 0) {
              kept.release();
              group = [];
              groupOf = row;
              for (;;) {
                const at = rows.current ?? (await rows.next());
                if (!at) break;
                const order = keys.some((key) => at[key.right] === null) ? -1 : compareSides(keys, 'right', at, row);
                if (order > 0) break;
                if (order === 0) {
                  group.push(at);
                  kept.addKey(undefined);
                } else if (++tried % BATCH_ROWS === 0) await breathe(run);
                rows.take();
              }
            }
            matches = group;
          }
          let isMatched = false;
          for (const match of matches) {
            if (++tried % BATCH_ROWS === 0) await breathe(run);
            const pair = row.concat(match);
            if (condition && !(condition.sync ? condition.sync(pair, run.eval) : await condition.async(pair, run.eval))) continue;
            isMatched = true;
            if (isOfLeft) break;
            out.push(pair);
            if (out.length >= BATCH_ROWS) {
              yield out;
              out = [];
            }
          }
          if (isOfLeft ? isMatched === (node.type === 'semi') : !isMatched && node.type === 'left')
            out.push(isOfLeft ? row : row.concat(noRight));
        }
        if (out.length > 0) {
          yield out;
          out = [];
        }
      }
    } finally {
      await rows.close();
    }
  });
}

/** Compares a row of one side with a left row by the keys. */
function compareSides(keys: readonly Key[], side: 'left' | 'right', a: readonly Datum[], left: readonly Datum[]): number {
  for (const key of keys) {
    const order = key.compare(a[key[side]] as NonNullable<Datum>, left[key.left] as NonNullable<Datum>);
    if (order !== 0) return order;
  }
  return 0;
}

/** Rows one by one of what comes in batches. */
class RowCursor {
  readonly #batches: Batches;
  #batch: Datum[][] = [];
  #at = 0;

  constructor(batches: Batches) {
    this.#batches = batches;
  }

  /** The row at hand, if there is one without waiting. */
  get current(): Datum[] | undefined {
    return this.#batch[this.#at];
  }

  /** The row at hand; undefined after the last. */
  async next(): Promise<Datum[] | undefined> {
    if (this.current) return this.current;
    const { done, value } = await this.#batches.next();
    this.#batch = done ? [] : value;
    this.#at = 0;
    return this.current;
  }

  take(): void {
    this.#at++;
  }

  async close(): Promise<void> {
    await this.#batches.return();
  }
}
