/** SQL cursors as SQL text. */
import type { CloseCursor, CursorMove, DeclareCursor, FetchCursor } from '../ast.ts';
import { printName } from './names.ts';
import type { PrintOptions } from './options.ts';
import { printSelect } from './query.ts';

export function printSqlCursor(s: DeclareCursor | FetchCursor | CloseCursor, o: PrintOptions): string {
  switch (s.kind) {
    case 'declareCursor': {
      const scroll = s.scroll === undefined ? '' : s.scroll ? 'SCROLL ' : 'NO SCROLL ';
      return `DECLARE ${printName(s.name)} ${s.binary ? 'BINARY ' : ''}${scroll}CURSOR ${s.hold ? 'WITH HOLD ' : ''}FOR ${printSelect(s.query, o)}`;
    }
    case 'fetchCursor':
      return `${s.move ? 'MOVE' : 'FETCH'} ${direction(s.to)} FROM ${printName(s.name)}`;
    case 'closeCursor':
      return `CLOSE ${s.name === undefined ? 'ALL' : printName(s.name)}`;
  }
}

function direction(to: CursorMove): string {
  const count = 'count' in to ? to.count : to.at;
  return `${to.type.toUpperCase()} ${count === 'all' ? 'ALL' : count}`;
}
