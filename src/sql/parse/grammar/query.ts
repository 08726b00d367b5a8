/**
 * Queries: SELECT, VALUES, TABLE, set operations, WITH, and the clauses around them.
 *
 * INTERSECT binds tighter than UNION and EXCEPT, which associate to the left. Parentheses around a
 * query without clauses of its own leave no trace; around one with ORDER BY or LIMIT they stay as a
 * nested select. AS OF SYSTEM TIME belongs to one SELECT, after its FROM.
 */
import type {
  AsOfClause, CommonTable, Expr, LockingClause, OrderItem, QueryBody, SelectCore, SelectStatement, SelectTarget, Statement, ValuesCore, WithClause,
} from '../ast.ts'; // biome-ignore format: one line
import { isBareLabel, T } from '../tokens.ts';
import { FamilyParser } from './base.ts';
import { parseExpr } from './expressions.ts';
import { TableSourceParser } from './tableSource.ts';
import { CHAIN_MAX, type Cursor } from './cursor.ts';
import { parseWindowSpec } from './windows.ts';

export class QueryParser extends FamilyParser {
  readonly sources: TableSourceParser;

  constructor(c: Cursor) {
    super(c);
    this.sources = new TableSourceParser(c);
    this.parts.push(this.sources);
  }

  statement(): Statement {
    return this.parseQuery();
  }

  /** A query; `left` is a first operand that has been read, parentheses and all. */
  parseQuery(left?: SelectStatement): SelectStatement {
    this.c.enter();
    const pos = left?.pos ?? this.pos;
    const query =
      left === undefined ? this.queryRule() : this.finishQuery(undefined, this.unionTail(this.intersectTail(unwrap(left))), pos);
    this.c.leave();
    return query;
  }

  /** The rest of a query whose WITH clause has been read. */
  parseQueryAfterWith(withClause: WithClause): SelectStatement {
    return this.finishQuery(withClause, this.unionBody(), withClause.pos);
  }

  private readonly queryRule = this.rule('query', (): SelectStatement => {
    const pos = this.pos;
    const withClause = this.when(T.WITH, () => this.withClause(pos));
    return this.finishQuery(withClause, this.unionBody(), pos);
  });

  withClause(pos: number): WithClause {
    const recursive = this.has(T.RECURSIVE);
    return { recursive, tables: this.list(() => this.commonTable()), pos };
  }

  private readonly commonTable = this.rule('commonTable', (): CommonTable => {
    const name = this.name();
    const columns = this.optionalParenList(() => this.name());
    this.tok(T.AS);
    const materialized = this.choose<boolean | undefined>(
      [
        [T.MATERIALIZED, () => true],
        [[T.NOT, T.MATERIALIZED], () => false],
      ],
      () => undefined,
    );
    return { name, columns, materialized, statement: this.parens(() => this.nestedStatement()) };
  });

  // ---- set operations -----------------------------------------------------------------------------

  private readonly unionBody = this.rule('unionBody', (): QueryBody => this.unionTail(this.intersectBody()));

  private unionTail(left: QueryBody): QueryBody {
    let chain = 0;
    const step = (op: 'union' | 'except') => (): void => {
      if (++chain > CHAIN_MAX) throw this.c.chainTooLong();
      const pos = this.pos;
      left = { kind: 'setOperation', op, all: this.allOrDistinct(), left, right: this.intersectBody(), pos };
    };
    this.repeat([
      [T.UNION, step('union')],
      [T.EXCEPT, step('except')],
    ]);
    return left;
  }

  private readonly intersectBody = this.rule('intersectBody', (): QueryBody => this.intersectTail(this.queryPrimary()));

  private intersectTail(left: QueryBody): QueryBody {
    let chain = 0;
    this.repeat([
      [
        T.INTERSECT,
        () => {
          if (++chain > CHAIN_MAX) throw this.c.chainTooLong();
          const pos = this.pos;
          left = { kind: 'setOperation', op: 'intersect', all: this.allOrDistinct(), left, right: this.queryPrimary(), pos };
        },
      ],
    ]);
    return left;
  }

  private allOrDistinct(): boolean {
    return this.choose(
      [
        [T.ALL, () => true],
        [T.DISTINCT, () => false],
      ],
      () => false,
    );
  }

  private readonly queryPrimary = this.rule('queryPrimary', (): QueryBody => {
    const pos = this.pos;
    return this.choose<QueryBody>([
      [T.SELECT, () => this.selectCore(pos)],
      [T.VALUES, () => this.valuesCore(pos)],
      [T.TABLE, () => this.tableCore(pos)],
      [
        T.LParen,
        () => {
          const inner = this.query();
          this.tok(T.RParen);
          return unwrap(inner);
        },
      ],
    ]);
  });

  /** TABLE t: all columns of t. */
  private tableCore(pos: number): SelectCore {
    const name = this.objectName();
    return {
      kind: 'selectCore', distinct: 'all', targets: [{ expr: { kind: 'star', qualifier: undefined, pos }, alias: undefined, pos }],
      from: [{ kind: 'table', name, hint: undefined, withOrdinality: false, alias: undefined, pos: name.pos }],
      asOf: undefined, where: undefined, groupBy: [], having: undefined, windows: [], pos,
    }; // biome-ignore format: a literal
  }

  /** Rows after VALUES. Literals, which are most of a bulk insert, take a short way. */
  private valuesCore(pos: number): ValuesCore {
    if (this.recorder !== undefined) {
      this.list(() => this.parens(() => this.list(() => this.expr())));
      return { kind: 'values', rows: [], pos };
    }
    const c = this.c;
    const rows: Expr[][] = [];
    do {
      c.expect(T.LParen);
      const row: Expr[] = [];
      do {
        const token = c.token;
        const next = c.peek(1).type;
        if (next !== T.Comma && next !== T.RParen) {
          row.push(parseExpr(c));
          continue;
        }
        if (token.type === T.String) {
          c.index++;
          row.push({ kind: 'string', value: token.image, pos: token.startOffset });
        } else if (token.type === T.Integer || token.type === T.Decimal) {
          c.index++;
          row.push({ kind: 'number', text: token.image, isInteger: token.type === T.Integer, pos: token.startOffset });
        } else {
          row.push(parseExpr(c));
        }
      } while (c.accept(T.Comma));
      c.expect(T.RParen);
      rows.push(row);
    } while (c.accept(T.Comma));
    return { kind: 'values', rows, pos };
  }

  // ---- SELECT -------------------------------------------------------------------------------------

  private selectCore(pos: number): SelectCore {
    const distinct = this.choose<SelectCore['distinct']>(
      [
        [[T.DISTINCT, T.ON], () => this.parens(() => this.list(() => this.expr()))],
        [T.DISTINCT, () => 'distinct'],
        [T.ALL, () => 'all'],
      ],
      () => 'all',
    );
    const targets = this.targetList();
    const from = this.when(T.FROM, () => this.list(() => this.source())) ?? [];
    const asOf = this.asOfClause();
    const where = this.whereClause();
    const groupBy = this.when([T.GROUP, T.BY], () => this.list(() => this.groupingItem())) ?? [];
    const having = this.when(T.HAVING, () => this.expr());
    const windows =
      this.when(T.WINDOW, () =>
        this.list(() => {
          const name = this.name();
          this.tok(T.AS);
          return { name, spec: this.windowSpec() };
        }),
      ) ?? [];
    return { kind: 'selectCore', distinct, targets, from, asOf, where, groupBy, having, windows, pos };
  }

  /** A table source with its joins. */
  source() {
    return this.sources.source();
  }

  private windowSpec() {
    if (this.recorder === undefined) return parseWindowSpec(this.c);
    this.parens(() => this.hole('Expression'));
    return { base: undefined, isReference: false, partitionBy: [], orderBy: [], frame: undefined, pos: 0 };
  }

  private groupingItem(): Expr {
    if (this.recorder === undefined) {
      const c = this.c;
      const isCall = c.atAt(1, T.LParen);
      if ((c.at(T.GROUPING) && c.atAt(1, T.SETS)) || ((c.at(T.CUBE) || c.at(T.ROLLUP)) && isCall)) {
        throw c.unimplemented('grouping sets, cube and rollup');
      }
    }
    return this.expr();
  }

  asOfClause(): AsOfClause | undefined {
    const pos = this.pos;
    return this.when([T.AS, T.OF, T.SYSTEM, T.TIME], () => ({ expr: this.expr(), pos }));
  }

  whereClause(): Expr | undefined {
    return this.when(T.WHERE, () => {
      if (this.recorder === undefined && this.c.atAt(1, T.OF) && this.c.token.image.toLowerCase() === 'current') {
        throw this.c.unimplemented('WHERE CURRENT OF');
      }
      return this.expr();
    });
  }

  targetList(): SelectTarget[] {
    if (this.recorder === undefined && (this.c.at(T.FROM) || this.c.atEnd)) return [];
    return this.list(() => this.target());
  }

  private readonly target = this.rule('target', (): SelectTarget => {
    const pos = this.pos;
    return this.choose<SelectTarget>(
      [[T.Star, () => ({ expr: { kind: 'star', qualifier: undefined, pos }, alias: undefined, pos })]],
      () => {
        const expr = this.expr();
        const alias = this.when(T.AS, () => this.label()) ?? this.bareLabel();
        return { expr, alias, pos };
      },
    );
  });

  private bareLabel() {
    if (this.recorder !== undefined) {
      this.recorder.optional(() => this.label());
      return undefined;
    }
    return isBareLabel(this.c.token) ? this.c.label() : undefined;
  }

  // ---- clauses after the body ---------------------------------------------------------------------

  orderBy(): OrderItem[] {
    return this.when([T.ORDER, T.BY], () => this.orderItems()) ?? [];
  }

  orderItems(): OrderItem[] {
    return this.list(() => this.orderItem());
  }

  private readonly orderItem = this.rule('orderItem', (): OrderItem => {
    const pos = this.pos;
    if (this.recorder === undefined && this.c.at(T.PRIMARY) && this.c.atAt(1, T.KEY)) throw this.c.unimplemented('ORDER BY PRIMARY KEY');
    if (this.recorder === undefined && this.c.at(T.INDEX) && (this.c.atAt(2, T.At) || this.c.atAt(2, T.Dot)))
      throw this.c.unimplemented('ORDER BY INDEX');
    const expr = this.expr();
    const descending = this.direction();
    return { expr, descending, nulls: this.nullsOrder(), pos };
  });

  direction(): boolean {
    return this.choose(
      [
        [T.DESC, () => true],
        [T.ASC, () => false],
      ],
      () => false,
    );
  }

  nullsOrder(): 'first' | 'last' | undefined {
    return this.when(T.NULLS, () =>
      this.choose<'first' | 'last'>([
        [T.FIRST, () => 'first'],
        [T.LAST, () => 'last'],
      ]),
    );
  }

  private finishQuery(withClause: WithClause | undefined, body: QueryBody, pos: number): SelectStatement {
    const orderBy = this.orderBy();
    let limit: Expr | undefined;
    let limited = false;
    let offset: Expr | undefined;
    const locking: LockingClause[] = [];
    const once = (seen: boolean): void => {
      if (seen && this.recorder === undefined) throw this.c.error(this.c.peek(-1));
    };
    this.repeat([
      [
        T.LIMIT,
        () => {
          once(limited);
          limited = true;
          limit = this.choose<Expr | undefined>([[T.ALL, () => undefined]], () => this.expr());
        },
      ],
      [
        T.OFFSET,
        () => {
          once(offset !== undefined);
          offset = this.expr();
          this.rowOrRows();
        },
      ],
      [
        T.FETCH,
        () => {
          once(limited);
          limited = true;
          limit = this.fetchClause();
        },
      ],
      [
        T.FOR,
        () => {
          const clause = this.lockingClause();
          if (clause !== undefined) locking.push(clause);
        },
      ],
    ]);
    const bare = withClause === undefined && orderBy.length === 0 && !limited && offset === undefined && locking.length === 0;
    // `(SELECT ... LIMIT 1)` in parentheses of its own is that query, not a query around it.
    if (bare && body.kind === 'select') return body;
    return { kind: 'select', with: withClause, body, orderBy, limit, offset, locking, pos };
  }

  private rowOrRows(): void {
    this.choose<unknown>(
      [
        [T.ROW, () => undefined],
        [T.ROWS, () => undefined],
      ],
      () => undefined,
    );
  }

  /** FETCH FIRST n ROWS ONLY. */
  private fetchClause(): Expr {
    const pos = this.pos;
    this.choose<void>([
      [T.FIRST, () => {}],
      [T.NEXT, () => {}],
    ]);
    const one: Expr = { kind: 'number', text: '1', isInteger: true, pos };
    const count = this.choose<Expr>(
      [
        [T.ROW, () => one],
        [T.ROWS, () => one],
      ],
      () => {
        const expr = this.expr();
        this.rowOrRows();
        return expr;
      },
    );
    this.tok(T.ONLY);
    return count;
  }

  private readonly lockingClause = this.rule('lockingClause', (): LockingClause | undefined => {
    const pos = this.pos;
    const strength = this.choose<LockingClause['strength'] | undefined>([
      [T.UPDATE, () => 'update'],
      [[T.NO, T.KEY, T.UPDATE], () => 'noKeyUpdate'],
      [T.SHARE, () => 'share'],
      [[T.KEY, T.SHARE], () => 'keyShare'],
      // FOR READ ONLY takes no locks at all.
      [[T.READ, T.ONLY], () => undefined],
    ]);
    const of = this.when(T.OF, () => this.list(() => this.objectName())) ?? [];
    const wait = this.choose<LockingClause['wait']>(
      [
        [T.NOWAIT, () => 'nowait'],
        [[T.SKIP, T.LOCKED], () => 'skipLocked'],
      ],
      () => 'block',
    );
    return strength === undefined ? undefined : { strength, of, wait, pos };
  });
}

/** A query without clauses of its own is just its body. */
function unwrap(query: SelectStatement): QueryBody {
  const bare =
    query.with === undefined &&
    query.orderBy.length === 0 &&
    query.limit === undefined &&
    query.offset === undefined &&
    query.locking.length === 0;
  return bare ? query.body : query;
}
