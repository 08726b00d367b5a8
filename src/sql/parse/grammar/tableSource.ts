/**
 * What stands in FROM: tables with index hints, subqueries, functions, `[SHOW ...]`, and joins.
 */
import type { IndexHint, JoinSource, Name, SelectStatement, TableAlias, TableRef, TableSource } from '../ast.ts';
import { T } from '../tokens.ts';
import { FamilyParser } from './base.ts';
import { CHAIN_MAX } from './cursor.ts';
import { atQuery, parsePrimary } from './primary.ts';

interface Suffix {
  readonly withOrdinality: boolean;
  readonly alias: TableAlias | undefined;
}

export class TableSourceParser extends FamilyParser {
  statement(): never {
    throw this.c.error();
  }

  readonly source = this.rule('tableSource', (): TableSource => this.joins(this.primary()));

  // ---- joins --------------------------------------------------------------------------------------

  private joins(left: TableSource): TableSource {
    let chain = 0;
    const link = (): void => {
      if (++chain > CHAIN_MAX) throw this.c.chainTooLong();
    };
    const qualified = (type: JoinSource['type']) => (): void => {
      link();
      const pos = this.pos;
      if (type !== 'inner') this.has(T.OUTER);
      const hint = this.joinHint();
      this.tok(T.JOIN);
      left = this.qualifiedJoin(type, left, hint, pos);
    };
    this.repeat([
      [
        T.JOIN,
        () => {
          link();
          left = this.qualifiedJoin('inner', left, undefined, this.pos);
        },
      ],
      [T.INNER, qualified('inner')],
      [T.LEFT, qualified('left')],
      [T.RIGHT, qualified('right')],
      [T.FULL, qualified('full')],
      [
        T.CROSS,
        () => {
          link();
          const pos = this.pos;
          const hint = this.joinHint();
          this.tok(T.JOIN);
          left = { kind: 'join', type: 'cross', natural: false, left, right: this.primary(), using: [], on: undefined, hint, pos };
        },
      ],
      [
        T.NATURAL,
        () => {
          link();
          const pos = this.pos;
          const type = this.choose<JoinSource['type']>(
            [
              [T.INNER, () => 'inner'],
              [T.LEFT, () => this.outer('left')],
              [T.RIGHT, () => this.outer('right')],
              [T.FULL, () => this.outer('full')],
            ],
            () => 'inner',
          );
          const hint = this.joinHint();
          this.tok(T.JOIN);
          left = { kind: 'join', type, natural: true, left, right: this.primary(), using: [], on: undefined, hint, pos };
        },
      ],
    ]);
    return left;
  }

  private outer(type: JoinSource['type']): JoinSource['type'] {
    this.has(T.OUTER);
    return type;
  }

  private joinHint(): string | undefined {
    return this.choose<string | undefined>(
      [
        [T.HASH, () => 'hash'],
        [T.MERGE, () => 'merge'],
        [T.LOOKUP, () => 'lookup'],
        [T.INVERTED, () => 'inverted'],
      ],
      () => undefined,
    );
  }

  /** The operand takes joins of its own until ON or USING: `a JOIN b JOIN c ON x ON y` nests to the right. */
  private qualifiedJoin(type: JoinSource['type'], left: TableSource, hint: string | undefined, pos: number): TableSource {
    if (this.recorder === undefined) this.c.enter();
    const right = this.source();
    if (this.recorder === undefined) this.c.leave();
    const base = { kind: 'join', type, natural: false, left, right, hint, pos } as const;
    return this.choose<TableSource>([
      [T.ON, () => ({ ...base, using: [], on: this.expr() })],
      [T.USING, () => ({ ...base, using: this.parens(() => this.names()), on: undefined })],
    ]);
  }

  // ---- one source ---------------------------------------------------------------------------------

  private readonly primary = this.rule('tablePrimary', (): TableSource => {
    const pos = this.pos;
    return this.choose<TableSource>(
      [
        [
          T.LBracket,
          () =>
            this.choose<TableSource>([[T.Integer, () => this.tableById(pos)]], () => {
              const statement = this.nestedStatement();
              this.tok(T.RBracket);
              return { kind: 'statementSource', statement, ...this.suffix(), pos };
            }),
        ],
        [
          T.LATERAL,
          () =>
            this.choose<TableSource>(
              [
                [
                  T.LParen,
                  () => {
                    const query = this.query();
                    this.tok(T.RParen);
                    return { kind: 'subquerySource', query, lateral: true, ...this.suffix(), pos };
                  },
                ],
              ],
              () => this.functionSource(true, pos),
            ),
        ],
        [T.LParen, () => this.parenthesized(pos)],
        [
          [T.ROWS, T.FROM],
          () => {
            const calls = this.parens(() => this.list(() => this.call()));
            return { kind: 'functionSource', calls, lateral: false, ...this.suffix(), pos };
          },
        ],
      ],
      () => this.named(pos),
    );
  });

  private call() {
    return this.recorder === undefined ? parsePrimary(this.c) : this.expr();
  }

  private functionSource(lateral: boolean, pos: number): TableSource {
    return { kind: 'functionSource', calls: [this.call()], lateral, ...this.suffix(), pos };
  }

  /** A table, or a function when a parenthesis follows its name. */
  private named(pos: number): TableSource {
    if (this.recorder === undefined) {
      const start = this.c.index;
      if (this.c.atName() || this.c.atAt(1, T.LParen)) {
        if (this.c.atName()) this.c.objectName();
        else this.c.index++;
        const isCall = this.c.at(T.LParen);
        this.c.index = start;
        if (isCall) return this.functionSource(false, pos);
      }
    }
    return this.tableRef(true);
  }

  /** A table with its hint and alias; `bareAlias`: whether one may follow without AS; `star`: whether `t *` is `t`. */
  tableRef(bareAlias: boolean, star = false): TableRef {
    const name = this.objectName();
    if (star) this.has(T.Star);
    const hint = this.indexHint();
    return { kind: 'table', name, hint, ...this.suffix(bareAlias), pos: name.pos };
  }

  /** `[53 AS t]`, `[53(1, 2) AS t (a, b)]@[2]`: a table by its id, after `[53`. */
  private tableById(pos: number): TableRef {
    const id = this.lastInteger();
    const columnIds = this.when(T.LParen, () => {
      const ids = this.choose<number[]>([[T.RParen, () => []]], () => {
        const list = this.list(() => Number(this.tok(T.Integer).image));
        this.tok(T.RParen);
        return list;
      });
      return ids;
    });
    this.tok(T.AS);
    const name = this.name();
    const alias = { name, columns: this.optionalParenList(() => this.name()) };
    this.tok(T.RBracket);
    const hint = this.indexHint();
    const { withOrdinality, alias: outer } = this.suffix();
    const table = { kind: 'table', name: { id, parts: [name], pos }, hint, withOrdinality, alias: outer ?? alias, pos } as const;
    return columnIds === undefined ? table : { ...table, columnIds };
  }

  private lastInteger(): number {
    return this.recorder === undefined ? Number(this.c.peek(-1).image) : 0;
  }

  /** After `(`: a subquery, or a source with joins. */
  private parenthesized(pos: number): TableSource {
    if (this.recorder !== undefined) {
      this.query();
      this.tok(T.RParen);
      return { kind: 'subquerySource', query: this.query(), lateral: false, ...this.suffix(), pos };
    }
    const c = this.c;
    c.enter();
    let inner: TableSource;
    if (atQuery(c)) inner = subquery(c.nested.query(), pos);
    else {
      inner = this.primary();
      // `((SELECT ...) UNION ...)`: what was read is the first operand of a larger query.
      if (inner.kind === 'subquerySource' && inner.alias === undefined && !c.at(T.RParen) && !joinFollows(c.token.image)) {
        inner = subquery(c.nested.query(inner.query), pos);
      } else inner = this.joins(inner);
    }
    c.expect(T.RParen);
    c.leave();
    const bare = inner.kind === 'join' || inner.alias !== undefined || inner.withOrdinality;
    if (inner.kind === 'join' || bare) {
      if (c.at(T.AS) && !(c.atAt(1, T.OF) && c.atAt(2, T.SYSTEM))) throw c.unimplemented('an alias on a join in parentheses');
      return inner;
    }
    return { ...inner, ...this.suffix() };
  }

  private readonly indexHint = (): IndexHint | undefined => {
    const pos = this.pos;
    return this.when(T.At, () =>
      this.choose<IndexHint>(
        [
          [
            T.LBrace,
            () => {
              let index: Name | undefined;
              let direction: IndexHint['direction'];
              const flags: string[] = [];
              this.list(() =>
                this.choose<void>(
                  [
                    [
                      T.FORCE_INDEX,
                      () => {
                        this.tok(T.Equal);
                        index = this.label();
                      },
                    ],
                    [
                      T.ASC,
                      () => {
                        direction = 'asc';
                      },
                    ],
                    [
                      T.DESC,
                      () => {
                        direction = 'desc';
                      },
                    ],
                  ],
                  () => {
                    flags.push(this.name().text);
                  },
                ),
              );
              this.tok(T.RBrace);
              return { index, direction, flags, pos };
            },
          ],
          [
            T.LBracket,
            () => {
              const indexId = Number(this.tok(T.Integer).image);
              this.tok(T.RBracket);
              return { index: undefined, indexId, direction: undefined, flags: [], pos };
            },
          ],
        ],
        () => ({ index: this.label(), direction: undefined, flags: [], pos }),
      ),
    );
  };

  /** [WITH ORDINALITY] [[AS] alias [(columns)]]. */
  private suffix(bareAlias = true): Suffix {
    const withOrdinality = this.when([T.WITH, T.ORDINALITY], () => true) ?? false;
    return { withOrdinality, alias: this.alias(bareAlias) };
  }

  private alias(bareAlias: boolean): TableAlias | undefined {
    if (this.recorder !== undefined) {
      this.recorder.optional(() => {
        this.has(T.AS);
        this.name();
        this.optionalParenList(() => this.name());
      });
      return undefined;
    }
    const c = this.c;
    if (c.at(T.AS)) {
      if (c.atAt(1, T.OF) && c.atAt(2, T.SYSTEM)) return undefined;
      c.index++;
    } else if (!bareAlias || !c.atName()) return undefined;
    const name = c.name();
    return { name, columns: this.optionalParenList(() => this.name()) };
  }
}

function subquery(query: SelectStatement, pos: number): TableSource {
  return { kind: 'subquerySource', query, lateral: false, withOrdinality: false, alias: undefined, pos };
}

const joinWords = new Set(['join', 'inner', 'left', 'right', 'full', 'cross', 'natural']);
function joinFollows(word: string): boolean {
  return joinWords.has(word);
}
