/** SQL cursors: DECLARE, FETCH, MOVE, CLOSE. */
import type { CursorMove, Name, Statement } from '../ast.ts';
import { T } from '../tokens.ts';
import { FamilyParser } from './base.ts';

export class SqlCursorsParser extends FamilyParser {
  readonly statement = this.rule('cursors', (): Statement => {
    const pos = this.pos;
    return this.choose<Statement>([
      [T.DECLARE, () => this.declaration(pos)],
      [T.FETCH, () => this.fetch(false, pos)],
      [T.MOVE, () => this.fetch(true, pos)],
      [T.CLOSE, () => ({ kind: 'closeCursor', name: this.choose<Name | undefined>([[T.ALL, () => undefined]], () => this.name()), pos })],
    ]);
  });

  private declaration(pos: number): Statement {
    const name = this.name();
    const said: { binary: boolean; scroll?: boolean } = { binary: false };
    const scroll = (may: boolean): void => {
      said.scroll = may;
    };
    this.repeat([
      [
        T.BINARY,
        () => {
          said.binary = true;
        },
      ],
      // What a cursor reads is settled when it is declared.
      [T.INSENSITIVE, () => {}],
      [T.ASENSITIVE, () => {}],
      [T.SCROLL, () => scroll(true)],
      [[T.NO, T.SCROLL], () => scroll(false)],
    ]);
    this.tok(T.CURSOR);
    const hold = this.choose(
      [
        [[T.WITH, T.HOLD], () => true],
        [[T.WITHOUT, T.HOLD], () => false],
      ],
      () => false,
    );
    this.tok(T.FOR);
    return { kind: 'declareCursor', name, binary: said.binary, scroll: said.scroll, hold, query: this.query(), pos };
  }

  private fetch(move: boolean, pos: number): Statement {
    const to = this.direction();
    this.choose<void>(
      [
        [T.FROM, () => {}],
        [T.IN, () => {}],
      ],
      () => {},
    );
    return { kind: 'fetchCursor', move, to, name: this.name(), pos };
  }

  private direction(): CursorMove {
    const forward = (count: bigint | 'all'): CursorMove => ({ type: 'forward', count });
    const backward = (count: bigint | 'all'): CursorMove => ({ type: 'backward', count });
    const counted = (count: bigint | 'all'): CursorMove => (count !== 'all' && count < 0n ? backward(-count) : forward(count));
    return this.choose<CursorMove>(
      [
        [T.NEXT, () => forward(1n)],
        [T.PRIOR, () => backward(1n)],
        [T.FIRST, () => ({ type: 'absolute', at: 1n })],
        [T.LAST, () => ({ type: 'absolute', at: -1n })],
        [T.ABSOLUTE, () => ({ type: 'absolute', at: this.signedInteger() })],
        [T.RELATIVE, () => ({ type: 'relative', at: this.signedInteger() })],
        [T.FORWARD, () => counted(this.count())],
        [
          T.BACKWARD,
          () => {
            const count = this.count();
            return count !== 'all' && count < 0n ? forward(-count) : backward(count);
          },
        ],
      ],
      () => counted(this.count()),
    );
  }

  /** One where no count stands. */
  private count(): bigint | 'all' {
    if (this.recorder === undefined && !this.c.at(T.ALL) && !this.c.at(T.Integer) && !this.c.at(T.Minus) && !this.c.at(T.Plus)) return 1n;
    return this.choose<bigint | 'all'>([[T.ALL, () => 'all']], () => this.signedInteger());
  }
}
