/** DROP of everything in the catalog, TRUNCATE, COMMENT ON. */
import type { CommentOn, DropRelation, IndexName, ObjectName, Statement } from '../ast.ts';
import { T } from '../tokens.ts';
import { TableDefParser } from './tableDef.ts';

export class DropParser extends TableDefParser {
  readonly statement = this.rule('drop', (): Statement => {
    const pos = this.pos;
    return this.choose<Statement>([
      [T.DROP, () => this.drop(pos)],
      [T.TRUNCATE, () => this.truncate(pos)],
      [[T.REFRESH, T.MATERIALIZED, T.VIEW], () => this.refresh(pos)],
      [[T.COMMENT, T.ON], () => this.comment(pos)],
    ]);
  });

  private drop(pos: number): Statement {
    return this.choose<Statement>([
      [T.TABLE, () => this.relation('dropTable', pos)],
      [T.VIEW, () => this.relation('dropView', pos)],
      [[T.MATERIALIZED, T.VIEW], () => this.relation('dropView', pos, true)],
      [T.SEQUENCE, () => this.relation('dropSequence', pos)],
      [
        T.DATABASE,
        () => {
          const ifExists = this.ifExists();
          const name = this.name('database');
          return { kind: 'dropDatabase', name, ifExists, behavior: this.behavior(), pos };
        },
      ],
      [
        T.SCHEMA,
        () => {
          const ifExists = this.ifExists();
          const names = this.list(() => this.objectName());
          return { kind: 'dropSchema', names, ifExists, behavior: this.behavior(), pos };
        },
      ],
      [
        T.TYPE,
        () => {
          const ifExists = this.ifExists();
          const names = this.list(() => this.objectName());
          return { kind: 'dropType', names, ifExists, behavior: this.behavior(), pos };
        },
      ],
      [
        T.INDEX,
        () => {
          const concurrently = this.has(T.CONCURRENTLY);
          const ifExists = this.ifExists();
          const indexes = this.list((): IndexName => this.indexName());
          return { kind: 'dropIndex', indexes, ifExists, concurrently, behavior: this.behavior(), pos };
        },
      ],
      [T.PROCEDURE, () => this.refuse('DROP PROCEDURE') as never],
      [T.TRIGGER, () => this.refuse('DROP TRIGGER') as never],
    ]);
  }

  private refresh(pos: number): Statement {
    const concurrently = this.has(T.CONCURRENTLY);
    const name = this.objectName();
    const withData = !this.words(T.WITH, T.NO, T.DATA);
    if (withData) this.words(T.WITH, T.DATA);
    return { kind: 'refreshView', name, concurrently, withData, pos };
  }

  private relation(kind: DropRelation['kind'], pos: number, materialized = false): DropRelation {
    const ifExists = this.ifExists();
    const names = this.list(() => this.objectName());
    return { kind, materialized, names, ifExists, behavior: this.behavior(), pos };
  }

  private truncate(pos: number): Statement {
    this.has(T.TABLE);
    this.has(T.ONLY);
    const tables = this.list(() => this.objectName());
    return { kind: 'truncate', tables, behavior: this.behavior(), pos };
  }

  private comment(pos: number): Statement {
    const finish = (on: CommentOn['on'], name: ObjectName, extra: { index?: IndexName; table?: ObjectName } = {}): Statement => {
      this.tok(T.IS);
      const comment = this.choose<string | undefined>([[T.NULL, () => undefined]], () => this.stringText());
      return { kind: 'commentOn', on, name, index: extra.index, table: extra.table, comment, pos };
    };
    return this.choose<Statement>([
      [T.DATABASE, () => finish('database', this.objectName())],
      [T.SCHEMA, () => finish('schema', this.objectName())],
      [T.TABLE, () => finish('table', this.objectName())],
      [T.VIEW, () => finish('view', this.objectName())],
      [[T.MATERIALIZED, T.VIEW], () => finish('materialized view', this.objectName())],
      [T.SEQUENCE, () => finish('sequence', this.objectName())],
      [T.TYPE, () => finish('type', this.objectName())],
      [T.COLUMN, () => finish('column', this.columnPath())],
      [
        T.INDEX,
        () => {
          const index = this.indexName();
          return finish('index', { parts: [...index.qualifier, index.index], pos: index.pos }, { index });
        },
      ],
      [
        T.CONSTRAINT,
        () => {
          const name = this.name();
          this.tok(T.ON);
          return finish('constraint', { parts: [name], pos: name.pos }, { table: this.objectName() });
        },
      ],
    ]);
  }
}
