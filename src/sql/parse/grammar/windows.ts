/** Window specifications: OVER and the WINDOW clause. Plain code on the cursor. */
import type { FrameBound, OrderItem, WindowFrame, WindowSpec } from '../ast.ts';
import { T } from '../tokens.ts';
import type { Cursor } from './cursor.ts';

/** What follows OVER: a window's name, or a specification in parentheses. */
export function parseOver(c: Cursor): WindowSpec {
  if (c.at(T.LParen)) return parseWindowSpec(c);
  const base = c.name();
  return { base, isReference: true, partitionBy: [], orderBy: [], frame: undefined, pos: base.pos };
}

/** `([name] [PARTITION BY ...] [ORDER BY ...] [frame])`. */
export function parseWindowSpec(c: Cursor): WindowSpec {
  const pos = c.expect(T.LParen).startOffset;
  const clauseFollows = (): boolean =>
    (c.at(T.PARTITION) && c.atAt(1, T.BY)) || c.at(T.ORDER) || c.at(T.ROWS) || c.at(T.RANGE) || c.at(T.GROUPS) || c.at(T.RParen);
  const base = clauseFollows() ? undefined : c.name();
  let partitionBy: WindowSpec['partitionBy'] = [];
  if (c.accept(T.PARTITION)) {
    c.expect(T.BY);
    partitionBy = c.list(() => c.expr());
  }
  let orderBy: OrderItem[] = [];
  if (c.accept(T.ORDER)) {
    c.expect(T.BY);
    orderBy = c.nested.orderItems();
  }
  const frame = c.at(T.RParen) ? undefined : parseFrame(c);
  c.expect(T.RParen);
  return { base, isReference: false, partitionBy, orderBy, frame, pos };
}

function parseFrame(c: Cursor): WindowFrame {
  const mode = c.accept(T.ROWS) ? 'rows' : c.accept(T.RANGE) ? 'range' : c.accept(T.GROUPS) ? 'groups' : undefined;
  if (mode === undefined) throw c.error();
  let start: FrameBound;
  let end: FrameBound | undefined;
  if (c.accept(T.BETWEEN)) {
    start = parseBound(c);
    c.expect(T.AND);
    end = parseBound(c);
  } else {
    start = parseBound(c);
  }
  let exclude: WindowFrame['exclude'];
  if (c.accept(T.EXCLUDE)) {
    if (c.accept(T.CURRENT)) {
      c.expect(T.ROW);
      exclude = 'currentRow';
    } else if (c.accept(T.GROUP)) exclude = 'group';
    else if (c.accept(T.TIES)) exclude = 'ties';
    else {
      c.expect(T.NO);
      c.expect(T.OTHERS);
    }
  }
  return { mode, start, end, exclude };
}

function parseBound(c: Cursor): FrameBound {
  if (c.accept(T.UNBOUNDED)) {
    if (c.accept(T.PRECEDING)) return { type: 'unboundedPreceding', offset: undefined };
    c.expect(T.FOLLOWING);
    return { type: 'unboundedFollowing', offset: undefined };
  }
  if (c.at(T.CURRENT) && c.atAt(1, T.ROW)) {
    c.index += 2;
    return { type: 'currentRow', offset: undefined };
  }
  const offset = c.expr();
  if (c.accept(T.PRECEDING)) return { type: 'preceding', offset };
  c.expect(T.FOLLOWING);
  return { type: 'following', offset };
}
