/**
 * CREATE DATABASE, SCHEMA, TABLE (also AS and LIKE), INDEX, SEQUENCE, VIEW, TYPE.
 */
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import type {
  AsColumn, ColumnDef, CreateDatabase, CreateIndex, CreateSchema, CreateSequence, CreateTable, CreateTableAs, CreateType, CreateView, DatabaseRegionsClause, Expr, FamilyDef, IndexDef,
  LikeTable, Name, ObjectName, Option, Statement, TableConstraint, TableElement,
} from '../ast.ts'; // biome-ignore format: one line
import { T } from '../tokens.ts';
import { RegionParser } from './regions.ts';

type AsElement = TableConstraint | FamilyDef;

export class CreateParser extends RegionParser {
  readonly statement = this.rule('create', (): Statement => {
    const pos = this.pos;
    this.tok(T.CREATE);
    return this.choose<Statement>([
      [T.DATABASE, () => this.database(pos)],
      [T.SCHEMA, () => this.schema(pos)],
      [T.TABLE, () => this.table(false, pos)],
      [T.TEMP, () => this.temporary(pos)],
      [T.TEMPORARY, () => this.temporary(pos)],
      [[T.UNLOGGED, T.TABLE], () => this.table(false, pos)],
      [T.INDEX, () => this.index(false, false, pos)],
      [T.UNIQUE, () => this.uniqueIndex(pos)],
      [[T.INVERTED, T.INDEX], () => this.index(false, true, pos)],
      [T.SEQUENCE, () => this.sequence(false, pos)],
      [T.VIEW, () => this.view({ orReplace: false, temporary: false, materialized: false }, pos)],
      [[T.MATERIALIZED, T.VIEW], () => this.view({ orReplace: false, temporary: false, materialized: true }, pos)],
      [[T.OR, T.REPLACE], () => this.orReplace(pos)],
      [T.TYPE, () => this.type(pos)],
      [T.PROCEDURE, () => this.unsupported('CREATE PROCEDURE')],
      [T.TRIGGER, () => this.unsupported('CREATE TRIGGER')],
      [T.DOMAIN, () => this.unsupported('CREATE DOMAIN')],
      [T.RULE, () => this.unsupported('CREATE RULE')],
      [T.AGGREGATE, () => this.unsupported('CREATE AGGREGATE')],
      [T.STATISTICS, () => this.statistics(pos)],
    ]);
  });

  private unsupported(what: string): Statement {
    this.refuse(what);
    return { kind: 'commit', pos: 0 };
  }

  private statistics(pos: number): Statement {
    const name = this.label();
    const columns = this.when(T.ON, () => this.names()) ?? [];
    this.tok(T.FROM);
    const table = this.objectName();
    const at = this.pos;
    const asOf = this.when([T.AS, T.OF, T.SYSTEM, T.TIME], () => ({ expr: this.expr(), pos: at }));
    return { kind: 'createStatistics', name, columns, table, asOf, pos };
  }

  private temporary(pos: number): Statement {
    return this.choose<Statement>([
      [T.TABLE, () => this.table(true, pos)],
      [T.SEQUENCE, () => this.sequence(true, pos)],
      [T.VIEW, () => this.view({ orReplace: false, temporary: true, materialized: false }, pos)],
    ]);
  }

  private orReplace(pos: number): Statement {
    return this.choose<Statement>([
      [T.VIEW, () => this.view({ orReplace: true, temporary: false, materialized: false }, pos)],
      [T.TEMP, () => this.replaceTemporaryView(pos)],
      [T.TEMPORARY, () => this.replaceTemporaryView(pos)],
      [T.PROCEDURE, () => this.unsupported('CREATE PROCEDURE')],
    ]);
  }

  private replaceTemporaryView(pos: number): Statement {
    this.tok(T.VIEW);
    return this.view({ orReplace: true, temporary: true, materialized: false }, pos);
  }

  // ---- databases and schemas ----------------------------------------------------------------------

  private database(pos: number): CreateDatabase {
    const ifNotExists = this.ifNotExists();
    const name = this.name('database');
    this.has(T.WITH);
    const options: Option[] = [];
    let regions: DatabaseRegionsClause = {};
    const option = (optionName: string) => (): void => {
      const at = this.pos;
      this.has(T.Equal);
      options.push({ name: optionName, value: this.word(), pos: at });
    };
    this.repeat([
      [T.TEMPLATE, option('template')],
      [T.ENCODING, option('encoding')],
      [T.LC_COLLATE, option('lc_collate')],
      [T.LC_CTYPE, option('lc_ctype')],
      [T.OWNER, option('owner')],
      [[T.CONNECTION, T.LIMIT], option('connection limit')],
      ...this.databaseRegions((clause) => {
        regions = { ...regions, ...clause };
      }),
    ]);
    return { kind: 'createDatabase', name, ifNotExists, options, regions, pos };
  }

  /** A bare word counts as a string. */
  private word(): Expr {
    if (this.recorder === undefined && this.c.atName()) {
      const { text, pos } = this.c.name();
      return { kind: 'string', value: text, pos };
    }
    return this.expr();
  }

  private schema(pos: number): CreateSchema {
    const ifNotExists = this.ifNotExists();
    return this.choose<CreateSchema>(
      [[T.AUTHORIZATION, () => ({ kind: 'createSchema', name: undefined, owner: this.role(), ifNotExists, pos })]],
      () => {
        const name = this.objectName();
        return { kind: 'createSchema', name, owner: this.when(T.AUTHORIZATION, () => this.role()), ifNotExists, pos };
      },
    );
  }

  // ---- tables -------------------------------------------------------------------------------------

  private table(temporary: boolean, pos: number): CreateTable | CreateTableAs {
    const ifNotExists = this.ifNotExists();
    const name = this.objectName();
    const as = (columns: AsColumn[], elements: AsElement[], storageParams: Option[]): CreateTableAs => {
      const query = this.query();
      if (this.words(T.WITH, T.NO, T.DATA)) this.refuse('CREATE TABLE AS ... WITH NO DATA');
      this.words(T.WITH, T.DATA);
      return { kind: 'createTableAs', name, ifNotExists, temporary, columns, elements, storageParams, query, pos };
    };
    return this.choose<CreateTable | CreateTableAs>(
      [
        [T.AS, () => as([], [], [])],
        [[T.ON, T.COMMIT], () => this.onCommitAs(temporary, as)],
        [[T.PARTITION, T.BY], () => this.refuse('partitioned tables') as never],
        [T.OF, () => this.refuse('typed tables') as never],
      ],
      () => {
        this.tok(T.LParen);
        const columnsOnly = this.namesThenAs();
        if (columnsOnly !== undefined) {
          const storageParams = this.withParams();
          this.tok(T.AS);
          return as(columnsOnly.columns, columnsOnly.elements, storageParams);
        }
        const elements = this.choose<TableElement[]>([[T.RParen, () => []]], () => {
          const list = this.list(() => this.element());
          this.tok(T.RParen);
          return list;
        });
        this.repeat([
          [T.INTERLEAVE, () => this.refuse('interleaved tables', 'interleaving was removed from CockroachDB in version 22.1')],
          [[T.PARTITION, T.BY], () => this.refuse('partitioned tables')],
          [T.INHERITS, () => this.refuse('table inheritance')],
          [[T.ON, T.COMMIT], () => this.onCommit(temporary)],
        ]);
        const storageParams = this.withParams();
        const locality = this.when(T.LOCALITY, () => this.localityClause());
        if (this.words(T.WITH, T.OIDS)) this.refuse('WITH OIDS');
        this.words(T.WITHOUT, T.OIDS);
        return { kind: 'createTable', name, ifNotExists, temporary, elements, storageParams, locality, pos };
      },
    );
  }

  private onCommitAs(
    temporary: boolean,
    as: (columns: AsColumn[], elements: AsElement[], params: Option[]) => CreateTableAs,
  ): CreateTableAs {
    this.onCommit(temporary);
    this.tok(T.AS);
    return as([], [], []);
  }

  private onCommit(temporary: boolean): void {
    if (!temporary && this.recorder === undefined) {
      throw new StatementError(SqlState.InvalidTableDefinition, 'ON COMMIT can only be used on temporary tables');
    }
    this.choose<void>([
      [[T.PRESERVE, T.ROWS], () => {}],
      [[T.DELETE, T.ROWS], () => this.refuse('ON COMMIT DELETE ROWS')],
      [T.DROP, () => this.refuse('ON COMMIT DROP')],
    ]);
  }

  /** `(a, b) AS`: names alone, so the table comes from a query. Undefined: an ordinary definition. */
  private namesThenAs(): { columns: AsColumn[]; elements: AsElement[] } | undefined {
    if (this.recorder !== undefined) return undefined;
    const c = this.c;
    const start = c.index;
    const columns: AsColumn[] = [];
    const elements: AsElement[] = [];
    for (;;) {
      const { pos } = this;
      if (c.at(T.FAMILY) && (c.atAt(1, T.LParen) || c.atAt(2, T.LParen))) {
        c.index++;
        elements.push(this.familyDef(pos));
      } else if (columns.length > 0 && (c.at(T.PRIMARY) || c.at(T.CONSTRAINT))) {
        elements.push(this.tableConstraint());
      } else if (c.atName()) {
        const name = c.name();
        const isPrimaryKey = c.at(T.PRIMARY) && c.atAt(1, T.KEY);
        if (isPrimaryKey) c.index += 2;
        columns.push({ name, isPrimaryKey, family: c.accept(T.FAMILY) ? c.name() : undefined });
        // An ordinary column has a type here.
        if (!c.at(T.Comma) && !c.at(T.RParen)) break;
      } else break;
      if (c.accept(T.Comma)) continue;
      if (columns.length === 0 || !c.accept(T.RParen)) break;
      return { columns, elements };
    }
    c.index = start;
    return undefined;
  }

  private readonly element = this.rule('tableElement', (): TableElement => {
    const pos = this.pos;
    if (this.recorder === undefined && this.isColumnIndex()) return this.columnDef();
    return this.choose<TableElement>(
      [
        [T.INDEX, () => this.indexDef(false, false, pos)],
        [[T.INVERTED, T.INDEX], () => this.indexDef(false, true, pos)],
        [[T.UNIQUE, T.INDEX], () => this.indexDef(true, false, pos)],
        [T.FAMILY, () => this.familyDef(pos)],
        [T.LIKE, () => this.likeTable(pos)],
      ],
      () => this.constraintOrColumn(),
    );
  });

  /** A column called index, as PostgreSQL's schemas have them: what follows is a type, and no column list. */
  private isColumnIndex(): boolean {
    const { c } = this;
    if (!c.at(T.INDEX) || c.atAt(1, T.LParen) || c.atAt(2, T.USING)) return false;
    return !c.atAt(2, T.LParen) || c.atAt(3, T.Integer);
  }

  private constraintOrColumn(): TableElement {
    if (this.recorder !== undefined) {
      this.tableConstraint();
      return this.columnDef();
    }
    const c = this.c;
    const isConstraint = c.at(T.CONSTRAINT) || c.at(T.PRIMARY) || c.at(T.UNIQUE) || c.at(T.CHECK) || c.at(T.FOREIGN);
    return isConstraint ? this.tableConstraint() : (this.columnDef() satisfies ColumnDef);
  }

  private indexDef(unique: boolean, inverted: boolean, pos: number): IndexDef {
    const name = this.nameBefore(T.LParen);
    const columns = this.indexElements();
    const sharded = this.hashSharding();
    const storing = this.storing();
    const storageParams = this.withParams();
    const where = this.whereClause();
    return { kind: 'indexDef', name, unique, inverted, columns, ...(sharded && { sharded }), storing, where, storageParams, pos };
  }

  /** A name, unless the token stands here. */
  private nameBefore(stop: (typeof T)['LParen']): Name | undefined {
    if (this.recorder !== undefined) {
      this.recorder.optional(() => this.name());
      return undefined;
    }
    return this.c.at(stop) ? undefined : this.c.name();
  }

  private familyDef(pos: number): FamilyDef {
    const name = this.nameBefore(T.LParen);
    return { kind: 'familyDef', name, columns: this.nameParens(), pos };
  }

  private likeTable(pos: number): LikeTable {
    const table = this.objectName();
    const options: { including: boolean; what: string }[] = [];
    const option = (including: boolean): (() => void) => {
      const take = (what: string) => () => void options.push({ including, what });
      const unknown = (what: string) => () => (including ? (this.refuse(`LIKE ... INCLUDING ${what}`) as never) : undefined);
      return () =>
        this.choose<unknown>([
          [T.ALL, take('all')],
          [T.CONSTRAINTS, take('constraints')],
          [T.DEFAULTS, take('defaults')],
          [T.GENERATED, take('generated')],
          [T.INDEXES, take('indexes')],
          [T.COMMENTS, unknown('COMMENTS')],
          [T.STATISTICS, unknown('STATISTICS')],
          [T.STORAGE, unknown('STORAGE')],
        ]);
    };
    this.repeat([
      [T.INCLUDING, option(true)],
      [T.EXCLUDING, option(false)],
    ]);
    return { kind: 'likeTable', table, options, pos };
  }

  // ---- indexes, sequences, views, types -----------------------------------------------------------

  private uniqueIndex(pos: number): CreateIndex {
    const inverted = this.has(T.INVERTED);
    this.tok(T.INDEX);
    return this.index(true, inverted, pos);
  }

  private index(unique: boolean, inverted: boolean, pos: number): CreateIndex {
    const concurrently = this.has(T.CONCURRENTLY);
    const ifNotExists = this.ifNotExists();
    const name = this.nameBefore(T.ON);
    this.tok(T.ON);
    const table = this.objectName();
    const method = this.when(T.USING, () => this.label().text.toLowerCase());
    const columns = this.indexElements();
    const sharded = this.hashSharding();
    const storing = this.storing();
    const storageParams = this.withParams();
    const where = this.whereClause();
    return {
      kind: 'createIndex', name, table, unique, inverted: inverted || method === 'gin' || method === 'inverted', ifNotExists, concurrently, method, columns,
      ...(sharded && { sharded }), storing, where, storageParams, pos,
    }; // biome-ignore format: a literal
  }

  private sequence(temporary: boolean, pos: number): CreateSequence {
    const ifNotExists = this.ifNotExists();
    const name = this.objectName();
    return { kind: 'createSequence', name, ifNotExists, temporary, options: this.sequenceOptions(), pos };
  }

  private view(flags: Pick<CreateView, 'orReplace' | 'temporary' | 'materialized'>, pos: number): CreateView {
    const ifNotExists = this.ifNotExists();
    const name = this.objectName();
    const columns = this.optionalParenList(() => this.name());
    this.tok(T.AS);
    const query = this.query();
    const withData = !this.words(T.WITH, T.NO, T.DATA);
    if (withData) this.words(T.WITH, T.DATA);
    return { kind: 'createView', name, ifNotExists, ...flags, columns, query, withData, pos };
  }

  private type(pos: number): CreateType {
    const ifNotExists = this.ifNotExists();
    const name: ObjectName = this.objectName();
    this.tok(T.AS);
    return this.choose<CreateType>([
      [
        T.ENUM,
        () => {
          const labels = this.parens(() => this.choose<string[]>([[T.String, () => this.enumLabels()]], () => []));
          return { kind: 'createType', name, ifNotExists, labels, pos };
        },
      ],
      [T.LParen, () => this.refuse('composite types') as never],
      [T.RANGE, () => this.refuse('range types') as never],
    ]);
  }

  /** The labels; the first one has just been consumed. */
  private enumLabels(): string[] {
    if (this.recorder !== undefined) return [];
    const labels = [this.c.peek(-1).image];
    while (this.c.accept(T.Comma)) labels.push(this.c.stringText());
    return labels;
  }
}
