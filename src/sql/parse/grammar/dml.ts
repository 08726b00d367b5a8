/**
 * Row changes: INSERT, UPSERT, UPDATE, DELETE; and statements that begin with WITH.
 */
import type {
  Assignment, DeleteStatement, InsertStatement, Name, OnConflict, Returning, SelectStatement, Statement, TableSource, UpdateStatement, WithClause,
} from '../ast.ts'; // biome-ignore format: one line
import { T } from '../tokens.ts';
import type { Lead } from './base.ts';
import { QueryParser } from './query.ts';

export class DmlParser extends QueryParser {
  override statement(): Statement {
    const pos = this.pos;
    const withClause = this.when(T.WITH, () => this.withClause(pos));
    return this.choose<Statement>(
      [
        [T.INSERT, () => this.insert(withClause, false, pos)],
        [T.UPSERT, () => this.insert(withClause, true, pos)],
        [T.UPDATE, () => this.update(withClause, pos)],
        [T.DELETE, () => this.delete(withClause, pos)],
      ],
      () => (withClause === undefined || this.recorder !== undefined ? this.parseQuery() : this.parseQueryAfterWith(withClause)),
    );
  }

  readonly statementRule = this.rule('statement', (): Statement => this.statement());

  private insert(withClause: WithClause | undefined, upsert: boolean, pos: number): InsertStatement {
    this.tok(T.INTO);
    const table = this.objectName();
    const alias = this.when(T.AS, () => this.name());
    const columns = this.insertColumns();
    const overriding = this.when(T.OVERRIDING, () => this.overriding());
    const source = this.choose<SelectStatement | undefined>([[[T.DEFAULT, T.VALUES], () => undefined]], () => this.insertSource());
    const conflictPos = this.pos;
    const onConflict = upsert ? undefined : this.when([T.ON, T.CONFLICT], () => this.onConflict(conflictPos));
    return {
      kind: 'insert',
      with: withClause,
      upsert,
      table,
      alias,
      columns,
      ...(overriding && { overriding }),
      source,
      onConflict,
      returning: this.returning(),
      pos,
    };
  }

  private overriding(): 'system' | 'user' {
    const what = this.choose<'system' | 'user'>([
      [T.SYSTEM, () => 'system'],
      [T.USER, () => 'user'],
    ]);
    this.tok(T.VALUE);
    return what;
  }

  /** A parenthesis after the table's name opens columns, or a query in parentheses. */
  private insertColumns(): Name[] {
    if (this.recorder === undefined && this.c.at(T.LParen)) {
      let ahead = 1;
      while (this.c.atAt(ahead, T.LParen)) ahead++;
      const type = this.c.peek(ahead).type;
      const isQuery = type === T.SELECT || type === T.WITH || type === T.TABLE || (type === T.VALUES && this.c.atAt(ahead + 1, T.LParen));
      if (isQuery) return [];
    }
    return this.optionalParenList(() => this.columnName());
  }

  /** The column to write: a name alone. What a dot may follow with (a part of a column's value) is not supported. */
  private columnName(): Name {
    const name = this.name();
    if (this.recorder === undefined && this.c.accept(T.Dot)) throw this.c.errorSaying('unimplemented');
    return name;
  }

  private insertSource(): SelectStatement {
    if (this.recorder === undefined) {
      const { type } = this.c.token;
      if (type !== T.SELECT && type !== T.VALUES && type !== T.WITH && type !== T.TABLE && type !== T.LParen) throw this.c.error();
    }
    return this.query();
  }

  private readonly onConflictRule = this.rule('onConflict', (): OnConflict => this.onConflictBody(0));

  private onConflict(pos: number): OnConflict {
    return this.recorder === undefined ? this.onConflictBody(pos) : this.onConflictRule();
  }

  private onConflictBody(pos: number): OnConflict {
    const constraint = this.when([T.ON, T.CONSTRAINT], () => this.name());
    const columns = this.optionalParenList(() => this.name());
    const arbiterWhere = columns.length === 0 ? undefined : this.whereClause();
    this.tok(T.DO);
    const update = this.choose<OnConflict['update']>([
      [T.NOTHING, () => undefined],
      [
        T.UPDATE,
        () => {
          this.tok(T.SET);
          return { set: this.assignments(), where: this.whereClause() };
        },
      ],
    ]);
    return { columns, constraint, arbiterWhere, update, pos };
  }

  private assignments(): Assignment[] {
    return this.list(() => this.assignment());
  }

  private readonly assignment = this.rule('assignment', (): Assignment => {
    const pos = this.pos;
    return this.choose<Assignment>(
      [
        [
          T.LParen,
          () => {
            const columns = this.list(() => this.columnName());
            this.toks(T.RParen, T.Equal);
            return { columns, isTuple: true, value: this.expr(), pos };
          },
        ],
      ],
      () => {
        const columns = [this.columnName()];
        this.tok(T.Equal);
        return { columns, isTuple: false, value: this.expr(), pos };
      },
    );
  });

  private update(withClause: WithClause | undefined, pos: number): UpdateStatement {
    this.has(T.ONLY);
    const table = this.target1(T.SET);
    this.tok(T.SET);
    const set = this.assignments();
    const from = this.when(T.FROM, () => this.list(() => this.source())) ?? [];
    const where = this.whereClause();
    const orderBy = this.orderBy();
    const limit = this.when(T.LIMIT, () => this.expr());
    return { kind: 'update', with: withClause, table, set, from, where, orderBy, limit, returning: this.returning(), pos };
  }

  private delete(withClause: WithClause | undefined, pos: number): DeleteStatement {
    this.tok(T.FROM);
    this.has(T.ONLY);
    const table = this.target1(T.USING);
    const using: TableSource[] = this.when(T.USING, () => this.list(() => this.source())) ?? [];
    const where = this.whereClause();
    const orderBy = this.orderBy();
    const limit = this.when(T.LIMIT, () => this.expr());
    return { kind: 'delete', with: withClause, table, using, where, orderBy, limit, returning: this.returning(), pos };
  }

  /** The changed table; the word after it is no alias. */
  private target1(stop: Lead) {
    const bareAlias = this.recorder !== undefined || !this.stopsAfterTable(stop);
    return this.sources.tableRef(bareAlias, true);
  }

  private stopsAfterTable(stop: Lead): boolean {
    const c = this.c;
    const start = c.index;
    if (!c.atName()) return false;
    c.objectName();
    c.accept(T.Star);
    const stops = 'name' in stop && c.at(stop);
    c.index = start;
    return stops;
  }

  private returning(): Returning {
    return this.when(T.RETURNING, () => this.choose<Returning>([[T.NOTHING, () => 'nothing']], () => this.targetList()));
  }
}
