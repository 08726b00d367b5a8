/**
 * A checker of histories in the manner of Elle: from what transactions wrote and read it infers who
 * must come before whom, and looks for circles.
 *
 *   ww   A wrote a version, and B the next one of the same key
 *   wr   A wrote the version that B read
 *   rw   A read a version, and B wrote the next one: B overwrote what A saw
 *   rt   A had ended before B began, for the strict levels
 *
 * Lists: a transaction appends values that occur once, so the longest list that anybody read gives
 * the order of a key's versions, and each read tells which of them it saw. Registers: each write's
 * value occurs once; the order of versions is given, since the store keeps them all.
 *
 * Before circles come the anomalies of single reads: of what was rolled back (G1a), of what its
 * writer replaced (G1b), lists of which none extends the other, own writes not seen, and appends
 * that a later reader misses.
 *
 * Not seen: phantoms, which tests of their own show; and orders that nobody read.
 * Source: K. Kingsbury and P. Alvaro, "Elle: Inferring Isolation Anomalies from Experimental Observations", 2020.
 */

export type Op =
  | { readonly kind: 'append'; readonly key: string; readonly value: number }
  | { readonly kind: 'write'; readonly key: string; readonly value: number }
  /** `saw`: the list, or for a register its one value; empty where there was none. */
  | { readonly kind: 'read'; readonly key: string; readonly saw: readonly number[] };

export interface Transaction {
  readonly id: string;
  readonly ops: readonly Op[];
  readonly isCommitted: boolean;
  /** Places in the order of events, from which real time follows. */
  readonly beganAt: number;
  readonly endedAt: number;
}

export interface History {
  readonly transactions: readonly Transaction[];
  /** Each register's values in the order of its versions. Absent for lists. */
  readonly versions?: ReadonlyMap<string, readonly number[]>;
}

export type EdgeKind = 'ww' | 'wr' | 'rw' | 'rt';

interface Edge {
  readonly to: number;
  readonly kind: EdgeKind;
  readonly why: string;
}

export interface Anomaly {
  /** G0, G1a, G1b, G1c, G-single, G2, `internal`, `order` or `lost`; `-rt` is added when real time is needed for the circle. */
  readonly name: string;
  /** The transactions concerned, and why; for a circle one line a step. */
  readonly witness: string;
}

/** What a level promises to keep out. */
export const FORBIDDEN: Readonly<Record<'serializable' | 'snapshot' | 'read committed', readonly string[]>> = {
  serializable: ['G0', 'G1a', 'G1b', 'G1c', 'G-single', 'G2', 'G1c-rt', 'G-single-rt', 'G2-rt', 'internal', 'order', 'lost'],
  snapshot: ['G0', 'G1a', 'G1b', 'G1c', 'G-single', 'internal', 'order', 'lost'],
  'read committed': ['G0', 'G1a', 'G1b', 'G1c', 'order', 'lost'],
};

/** The history's anomalies: those of single reads, and the smallest circle of each name. */
export function findAnomalies(history: History): Anomaly[] {
  const found: Anomaly[] = [];
  const { transactions } = history;
  const writerOf = new Map<string, number>();
  transactions.forEach(({ ops }, index) => {
    for (const op of ops) if (op.kind !== 'read') writerOf.set(`${op.key}=${op.value}`, index);
  });
  const orders = history.versions ?? listOrders(transactions, found);
  const edges: Edge[][] = transactions.map(() => []);
  const committed = (index: number | undefined): index is number => index !== undefined && transactions[index]?.isCommitted === true;
  const add = (from: number | undefined, to: number | undefined, kind: EdgeKind, why: string): void => {
    if (from !== to && committed(from) && committed(to)) edges[from]?.push({ to, kind, why });
  };

  for (const [key, order] of orders) {
    for (let i = 1; i < order.length; i++) {
      add(
        writerOf.get(`${key}=${order[i - 1]}`),
        writerOf.get(`${key}=${order[i]}`),
        'ww',
        `wrote ${key} ${order[i - 1]}, and the next wrote ${order[i]}`,
      );
    }
  }
  transactions.forEach((transaction, reader) => {
    if (!transaction.isCommitted) return;
    found.push(...internalAnomalies(transaction, history.versions === undefined));
    const own = new Set(transaction.ops.map((op) => (op.kind === 'read' ? '' : `${op.key}=${op.value}`)));
    for (const op of transaction.ops) {
      if (op.kind !== 'read') continue;
      const seen = op.saw.filter((value) => !own.has(`${op.key}=${value}`));
      // A register that shows an own write tells nothing of others.
      if (history.versions !== undefined && seen.length < op.saw.length) continue;
      for (const value of seen) {
        const writer = writerOf.get(`${op.key}=${value}`);
        if (!committed(writer))
          found.push({ name: 'G1a', witness: `${transaction.id} read ${op.key} ${value}, which ${name(writer)} never committed` });
      }
      const last = seen.at(-1);
      const writer = last === undefined ? undefined : writerOf.get(`${op.key}=${last}`);
      if (last !== undefined && committed(writer)) {
        const writes = (transactions[writer]?.ops ?? []).filter((write) => write.kind !== 'read' && write.key === op.key);
        const final = writes.at(-1);
        if (final && final.kind !== 'read' && final.value !== last) {
          found.push({
            name: 'G1b',
            witness: `${transaction.id} read ${op.key} ${last}, which ${name(writer)} replaced by ${final.value}`,
          });
        }
        add(writer, reader, 'wr', `wrote ${op.key} ${last}, and the next read it`);
      }
      const order = orders.get(op.key) ?? [];
      const next = order[last === undefined ? 0 : order.indexOf(last) + 1];
      if (next !== undefined && !(last !== undefined && !order.includes(last))) {
        add(reader, writerOf.get(`${op.key}=${next}`), 'rw', `read ${op.key} ${last ?? 'unset'}, and the next wrote ${next}`);
      }
    }
  });
  function name(index: number | undefined): string {
    return (index === undefined ? undefined : transactions[index]?.id) ?? 'nobody';
  }
  if (history.versions === undefined) found.push(...lostAppends(transactions));
  found.push(...smallestCircles(transactions, edges));
  const real = edges.map((list, from) => [
    ...list,
    ...transactions.flatMap((later, to): Edge[] => {
      const earlier = transactions[from] as Transaction;
      return earlier.isCommitted && later.isCommitted && earlier.endedAt < later.beganAt
        ? [{ to, kind: 'rt', why: 'had ended before the next began' }]
        : [];
    }),
  ]);
  const known = new Set(found.map((anomaly) => anomaly.name));
  for (const anomaly of smallestCircles(transactions, real)) if (!known.has(anomaly.name)) found.push(anomaly);
  return found;
}

/** Each key's values in the order of the longest list read; lists that do not agree with it are anomalies. */
function listOrders(transactions: readonly Transaction[], found: Anomaly[]): Map<string, readonly number[]> {
  const longest = new Map<string, { saw: readonly number[]; by: string }>();
  const reads = transactions.filter((one) => one.isCommitted).flatMap(({ id, ops }) => ops.map((op) => ({ id, op })));
  for (const { id, op } of reads) {
    if (op.kind === 'read' && op.saw.length > (longest.get(op.key)?.saw.length ?? -1)) longest.set(op.key, { saw: op.saw, by: id });
  }
  for (const { id, op } of reads) {
    if (op.kind !== 'read') continue;
    const whole = longest.get(op.key);
    if (op.saw.some((value, i) => value !== whole?.saw[i])) {
      found.push({ name: 'order', witness: `${id} read ${op.key} as [${op.saw.join(' ')}], ${whole?.by} as [${whole?.saw.join(' ')}]` });
    }
  }
  // What only an unfinished transaction could see is no order of versions; its own writes are.
  return new Map([...longest].map(([key, { saw }]) => [key, saw]));
}

/** Appends that were committed, and that one who began later did not find. */
function lostAppends(transactions: readonly Transaction[]): Anomaly[] {
  const found: Anomaly[] = [];
  for (const writer of transactions) {
    if (!writer.isCommitted) continue;
    for (const op of writer.ops) {
      if (op.kind !== 'append') continue;
      const misses = (read: Op) => read.kind === 'read' && read.key === op.key && !read.saw.includes(op.value);
      const reader = transactions.find((later) => later.isCommitted && later.beganAt > writer.endedAt && later.ops.some(misses));
      if (reader)
        found.push({
          name: 'lost',
          witness: `${writer.id} appended ${op.value} to ${op.key}, and ${reader.id}, which began later, did not find it`,
        });
    }
  }
  return found;
}

/** Reads that contradict what the same transaction did before. */
function internalAnomalies({ id, ops }: Transaction, areLists: boolean): Anomaly[] {
  const expected = new Map<string, { base: readonly number[] | undefined; own: number[] }>();
  for (const op of ops) {
    const state = expected.get(op.key) ?? { base: undefined, own: [] };
    expected.set(op.key, state);
    if (op.kind === 'append') state.own.push(op.value);
    else if (op.kind === 'write') {
      state.base = [];
      state.own = [op.value];
    } else {
      const tail = areLists ? op.saw.slice(op.saw.length - state.own.length) : op.saw;
      const base = areLists ? op.saw.slice(0, op.saw.length - state.own.length) : [];
      const isOwnSeen = state.own.length === 0 || String(tail) === String(state.own);
      const isBaseKept =
        state.base === undefined ||
        (areLists ? String(base) === String(state.base) : state.own.length > 0 || String(op.saw) === String(state.base));
      if (!isOwnSeen || !isBaseKept) {
        const before = [...(state.base ?? []), ...state.own].join(' ');
        return [{ name: 'internal', witness: `${id} read ${op.key} as [${op.saw.join(' ')}], after it had seen or written [${before}]` }];
      }
      state.base = areLists ? base : state.own.length > 0 ? state.base : op.saw;
    }
  }
  return [];
}

// ---- circles ----------------------------------------------------------------------------------

/** What each name allows a circle to be made of, from the strictest to the most lenient. */
const CLASSES: readonly { readonly name: string; readonly kinds: readonly EdgeKind[]; readonly rwMax: number }[] = [
  { name: 'G0', kinds: ['ww'], rwMax: 0 },
  { name: 'G1c', kinds: ['ww', 'wr'], rwMax: 0 },
  { name: 'G-single', kinds: ['ww', 'wr', 'rw'], rwMax: 1 },
  { name: 'G2', kinds: ['ww', 'wr', 'rw'], rwMax: Number.POSITIVE_INFINITY },
  { name: 'G1c-rt', kinds: ['ww', 'wr', 'rt'], rwMax: 0 },
  { name: 'G-single-rt', kinds: ['ww', 'wr', 'rt', 'rw'], rwMax: 1 },
  { name: 'G2-rt', kinds: ['ww', 'wr', 'rt', 'rw'], rwMax: Number.POSITIVE_INFINITY },
];

/** The shortest circle of each class that has one which no stricter class has. */
function smallestCircles(transactions: readonly Transaction[], edges: readonly (readonly Edge[])[]): Anomaly[] {
  const found: Anomaly[] = [];
  for (const { name, kinds, rwMax } of CLASSES) {
    const allowed = edges.map((list) => list.filter((edge) => kinds.includes(edge.kind)));
    const circle = shortestCircle(allowed, rwMax);
    if (circle === undefined || found.some((anomaly) => anomaly.witness === describe(transactions, circle))) continue;
    // A circle that a stricter class has found already is not named again.
    if (circle.every(({ edge }) => edge.kind !== 'rw') && rwMax > 0) continue;
    if (circle.filter(({ edge }) => edge.kind === 'rw').length === 1 && rwMax > 1) continue;
    if (name.endsWith('-rt') && circle.every(({ edge }) => edge.kind !== 'rt')) continue;
    found.push({ name, witness: describe(transactions, circle) });
  }
  return found;
}

interface Step {
  readonly from: number;
  readonly edge: Edge;
}

/** Breadth first from every transaction; a state is a transaction and how many rw edges led to it (at most two count). */
function shortestCircle(edges: readonly (readonly Edge[])[], rwMax: number): Step[] | undefined {
  let best: Step[] | undefined;
  for (let start = 0; start < edges.length; start++) {
    const cameBy = new Map<number, { readonly step: Step; readonly before: number | undefined }>();
    const queue: { readonly at: number; readonly rw: number; readonly state: number | undefined; readonly length: number }[] = [
      { at: start, rw: 0, state: undefined, length: 0 },
    ];
    for (let i = 0; i < queue.length; i++) {
      const { at, rw, state, length } = queue[i] as (typeof queue)[number];
      if (best && length + 1 >= best.length) break;
      for (const edge of edges[at] ?? []) {
        const nextRw = rw + (edge.kind === 'rw' ? 1 : 0);
        if (nextRw > rwMax) continue;
        const next = edge.to * 3 + Math.min(nextRw, 2);
        if (cameBy.has(next)) continue;
        cameBy.set(next, { step: { from: at, edge }, before: state });
        if (edge.to !== start) {
          queue.push({ at: edge.to, rw: nextRw, state: next, length: length + 1 });
          continue;
        }
        const path: Step[] = [];
        for (let at: number | undefined = next; at !== undefined; ) {
          const came = cameBy.get(at);
          if (!came) break;
          path.unshift(came.step);
          at = came.before;
        }
        if (!best || path.length < best.length) best = path;
        break;
      }
    }
  }
  return best;
}

function describe(transactions: readonly Transaction[], circle: readonly Step[]): string {
  return circle.map(({ from, edge }) => `${transactions[from]?.id} -${edge.kind}-> ${transactions[edge.to]?.id}: ${edge.why}`).join('\n');
}

/** A history as text, a transaction a line, to print beside a witness. */
export function formatHistory({ transactions }: History): string {
  return transactions
    .map(({ id, ops, isCommitted }) => {
      const texts = ops.map((op) =>
        op.kind === 'read' ? `r ${op.key}=[${op.saw.join(' ')}]` : `${op.kind === 'append' ? 'a' : 'w'} ${op.key} ${op.value}`,
      );
      return `${id}${isCommitted ? '' : ' (not committed)'}: ${texts.join(', ')}`;
    })
    .join('\n');
}
