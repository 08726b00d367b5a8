/**
 * ALTER TABLE, DATABASE, SCHEMA, INDEX, SEQUENCE, VIEW, TYPE, JOB; CONFIGURE ZONE on any of them.
 */
import type {
  AlterIndex, AlterRelation, AlterTableAction, AlterType, Expr, Name, ObjectName, Option, RangesOf, SelectStatement, Statement, ZoneTarget,
} from '../ast.ts'; // biome-ignore format: one line
import { T } from '../tokens.ts';
import type { Alternative } from './base.ts';
import { RegionParser } from './regions.ts';

type Unplaced<A> = A extends unknown ? Omit<A, 'pos'> : never;
type Action = Unplaced<AlterTableAction>;

export class AlterParser extends RegionParser {
  readonly statement = this.rule('alter', (): Statement => {
    const pos = this.pos;
    this.tok(T.ALTER);
    return this.choose<Statement>([
      [T.TABLE, () => this.table(pos)],
      [T.DATABASE, () => this.database(pos)],
      [T.SCHEMA, () => this.schema(pos)],
      [T.INDEX, () => this.index(pos)],
      [T.SEQUENCE, () => this.sequence(pos)],
      [T.VIEW, () => this.view(pos)],
      [[T.MATERIALIZED, T.VIEW], () => this.view(pos, 'materializedView')],
      [T.TYPE, () => this.type(pos)],
      [T.RANGE, () => this.range(pos)],
      [T.PARTITION, () => this.partition(pos)],
      [T.JOB, () => this.job(pos)],
    ]);
  });

  private job(pos: number): Statement {
    const job = this.expr();
    this.toks(T.OWNER, T.TO);
    return { kind: 'alterJobOwner', job, owner: this.role(), pos };
  }

  // ---- tables -------------------------------------------------------------------------------------

  private table(pos: number): Statement {
    const ifExists = this.ifExists();
    this.has(T.ONLY);
    const name = this.objectName();
    const ranges = this.rangeForms({ type: 'table', name, ifExists }, pos);
    return this.choose<Statement>(
      [
        [[T.CONFIGURE, T.ZONE], () => this.configureZone({ type: 'table', name, pos: name.pos }, pos)],
        [[T.INJECT, T.STATISTICS], () => ({ kind: 'injectStatistics', table: name, ifExists, statistics: this.expr(), pos })],
        ...ranges,
      ],
      () => {
        const actions = this.list(() => this.action());
        return { kind: 'alterTable', name, ifExists, actions, pos };
      },
    );
  }

  private readonly action = this.rule('alterTableAction', (): AlterTableAction => {
    const pos = this.pos;
    const action = this.choose<Action>([
      [T.ADD, () => this.add()],
      [T.DROP, () => this.drop()],
      [[T.ALTER, T.PRIMARY, T.KEY], () => this.alterPrimaryKey()],
      [
        T.ALTER,
        () => {
          this.has(T.COLUMN);
          return this.alterColumn(this.name());
        },
      ],
      [[T.RENAME, T.TO], () => ({ type: 'rename', newName: this.objectName() })],
      [[T.RENAME, T.CONSTRAINT], () => this.renamePart((constraint, newName) => ({ type: 'renameConstraint', constraint, newName }))],
      [
        T.RENAME,
        () => {
          this.has(T.COLUMN);
          return this.renamePart((column, newName) => ({ type: 'renameColumn', column, newName }));
        },
      ],
      [[T.VALIDATE, T.CONSTRAINT], () => ({ type: 'validateConstraint', constraint: this.name() })],
      [[T.SET, T.SCHEMA], () => ({ type: 'setSchema', schema: this.name() })],
      [[T.SET, T.LParen], () => ({ type: 'setStorageParams', params: this.paramsInside() })],
      [[T.SET, T.LOCALITY], () => ({ type: 'setLocality', locality: this.localityClause() })],
      [T.RESET, () => ({ type: 'resetStorageParams', names: this.parens(() => this.list(() => this.dottedName())) })],
      [[T.OWNER, T.TO], () => ({ type: 'owner', owner: this.role() })],
      [[T.PARTITION, T.BY], () => this.refuse('partitioned tables') as never],
    ]);
    return { ...action, pos } as AlterTableAction;
  });

  private add(): Action {
    const column = (): Action => {
      const ifNotExists = this.ifNotExists();
      return { type: 'addColumn', column: this.columnDef(), ifNotExists };
    };
    if (this.recorder !== undefined) {
      this.tableConstraint();
      return column();
    }
    const c = this.c;
    if (c.accept(T.COLUMN)) return column();
    if (c.at(T.CONSTRAINT) || c.at(T.PRIMARY) || c.at(T.UNIQUE) || c.at(T.CHECK) || c.at(T.FOREIGN)) {
      const ifNotExists = c.at(T.CONSTRAINT) && c.atAt(1, T.IF) && c.atAt(2, T.NOT);
      const constraint = this.tableConstraint();
      const notValid = this.words(T.NOT, T.VALID);
      return { type: 'addConstraint', constraint, ifNotExists, notValid };
    }
    return column();
  }

  private drop(): Action {
    return this.choose<Action>(
      [
        [
          T.CONSTRAINT,
          () => {
            const ifExists = this.ifExists();
            const constraint = this.name();
            return { type: 'dropConstraint', constraint, ifExists, behavior: this.behavior() };
          },
        ],
      ],
      () => {
        this.has(T.COLUMN);
        const ifExists = this.ifExists();
        const column = this.name();
        return { type: 'dropColumn', column, ifExists, behavior: this.behavior() };
      },
    );
  }

  private alterPrimaryKey(): Action {
    this.toks(T.USING, T.COLUMNS);
    const columns = this.indexElements();
    if (this.has(T.USING)) this.refuse('hash-sharded keys');
    return { type: 'alterPrimaryKey', columns };
  }

  private alterColumn(column: Name): Action {
    const setType = (): Action => {
      const newType = this.typeName();
      return { type: 'setType', column, newType, using: this.when(T.USING, () => this.expr()) };
    };
    return this.choose<Action>([
      [[T.SET, T.DEFAULT], () => ({ type: 'setDefault', column, expr: this.expr() })],
      [[T.SET, T.ON, T.UPDATE], () => ({ type: 'setOnUpdate', column, expr: this.expr() })],
      [[T.SET, T.NOT, T.NULL], () => ({ type: 'setNotNull', column })],
      [[T.SET, T.STORAGE], () => ({ type: 'setPhysical', column, parameter: 'STORAGE', value: this.label().text.toUpperCase() })],
      [[T.SET, T.STATISTICS], () => ({ type: 'setPhysical', column, parameter: 'STATISTICS', value: String(this.signedInteger()) })],
      [[T.SET, T.NOT, T.VISIBLE], () => ({ type: 'setVisible', column, visible: false })],
      [[T.SET, T.VISIBLE], () => ({ type: 'setVisible', column, visible: true })],
      [[T.SET, T.DATA, T.TYPE], setType],
      [T.TYPE, setType],
      [[T.DROP, T.DEFAULT], () => ({ type: 'dropDefault', column })],
      [[T.DROP, T.ON, T.UPDATE], () => ({ type: 'dropOnUpdate', column })],
      [[T.DROP, T.NOT, T.NULL], () => ({ type: 'dropNotNull', column })],
      [[T.DROP, T.STORED], () => ({ type: 'dropStored', column })],
      [[T.ADD, T.GENERATED], () => this.addIdentity(column)],
      [[T.SET, T.GENERATED], () => ({ type: 'setIdentity', column, always: this.alwaysOrByDefault() })],
      [[T.DROP, T.IDENTITY], () => ({ type: 'dropIdentity', column, ifExists: this.ifExists() })],
    ]);
  }

  private addIdentity(column: Name): Action {
    const always = this.alwaysOrByDefault();
    this.toks(T.AS, T.IDENTITY);
    return { type: 'addIdentity', column, always, options: this.when(T.LParen, () => this.identityOptions()) ?? [] };
  }

  private renamePart(make: (from: Name, to: Name) => Action): Action {
    const from = this.name();
    this.tok(T.TO);
    return make(from, this.name());
  }

  // ---- ranges -------------------------------------------------------------------------------------

  private rangeForms(of: RangesOf, pos: number): Alternative<Statement>[] {
    const lease = (): Statement => ({ kind: 'relocateLease', ranges: { type: 'keys', of, rows: this.query() }, pos });
    return [
      [[T.SPLIT, T.AT], () => ({ kind: 'splitAt', of, ...this.splitRows(), pos })],
      [[T.UNSPLIT, T.ALL], () => ({ kind: 'unsplitAt', of, rows: undefined, pos })],
      [[T.UNSPLIT, T.AT], () => ({ kind: 'unsplitAt', of, rows: this.query(), pos })],
      [T.SCATTER, () => ({ kind: 'scatter', of, pos })],
      [[T.RELOCATE, T.LEASE], lease],
      [[T.EXPERIMENTAL_RELOCATE, T.LEASE], lease],
      [T.RELOCATE, () => this.refuse('moving replicas', 'there is one copy of the data; RELOCATE LEASE moves who serves it') as never],
    ];
  }

  private relocation(id: Expr | undefined, pos: number): Statement {
    return this.choose<Statement>(
      [
        [
          [T.LEASE, T.TO],
          () => {
            const to = this.expr();
            if (id !== undefined) return { kind: 'relocateLease', ranges: { type: 'id', id, to }, pos };
            this.tok(T.FOR);
            return { kind: 'relocateLease', ranges: { type: 'query', query: this.query(), to }, pos };
          },
        ],
      ],
      () => this.refuse('moving replicas', 'there is one copy of the data; RELOCATE LEASE moves who serves it') as never,
    );
  }

  private splitRows(): { rows: SelectStatement; expiration: Expr | undefined } {
    const rows = this.query();
    return { rows, expiration: this.when([T.WITH, T.EXPIRATION], () => this.expr()) };
  }

  // ---- zones --------------------------------------------------------------------------------------

  private configureZone(target: ZoneTarget, pos: number): Statement {
    return this.choose<Statement>([
      [T.DISCARD, () => ({ kind: 'configureZone', target, discard: true, settings: [], pos })],
      [
        [T.USING, T.DEFAULT],
        () =>
          this.refuse(
            'CONFIGURE ZONE USING DEFAULT',
            'CONFIGURE ZONE DISCARD takes the zone away, COPY FROM PARENT the values of now',
          ) as never,
      ],
      [T.Equal, () => this.refuse('CONFIGURE ZONE = with a YAML text', 'CONFIGURE ZONE USING sets the same variables') as never],
      [
        T.USING,
        () => ({
          kind: 'configureZone', target, discard: false, pos,
          settings: this.list((): Option => {
            const at = this.pos;
            const name = this.dottedName();
            this.tok(T.Equal);
            return { name, value: this.choose([[[T.COPY, T.FROM, T.PARENT], () => undefined]], () => this.expr()), pos: at };
          }),
        }), // biome-ignore format: a literal
      ],
    ]);
  }

  private range(pos: number): Statement {
    return this.choose<Statement>([[T.RELOCATE, () => this.relocation(undefined, pos)]], () => this.rangeByIdOrName(pos));
  }

  /** A number is a range's id, a word a named zone. */
  private rangeByIdOrName(pos: number): Statement {
    const byId = (image: string): Statement => {
      this.tok(T.RELOCATE);
      return this.relocation({ kind: 'number', text: image, isInteger: true, pos }, pos);
    };
    return this.choose<Statement>([[T.Integer, () => byId(this.recorder === undefined ? this.c.peek(-1).image : '0')]], () =>
      this.namedRange(pos),
    );
  }

  private namedRange(pos: number): Statement {
    const target: ZoneTarget = { type: 'range', name: this.label(), pos: this.pos };
    this.toks(T.CONFIGURE, T.ZONE);
    return this.configureZone(target, pos);
  }

  private partition(pos: number): Statement {
    const at = this.pos;
    const partition = this.name();
    this.tok(T.OF);
    const target = this.choose<ZoneTarget>([
      [T.TABLE, () => ({ type: 'partition', partition, table: this.objectName(), index: undefined, pos: at })],
      [T.INDEX, () => ({ type: 'partition', partition, table: undefined, index: this.indexName(), pos: at })],
    ]);
    this.toks(T.CONFIGURE, T.ZONE);
    return this.configureZone(target, pos);
  }

  // ---- databases, schemas, indexes ----------------------------------------------------------------

  private database(pos: number): Statement {
    const name = this.name('database');
    return this.choose<Statement>([
      [[T.CONFIGURE, T.ZONE], () => this.configureZone({ type: 'database', name, pos: name.pos }, pos)],
      [[T.RENAME, T.TO], () => ({ kind: 'alterDatabase', name, action: { type: 'rename', newName: this.name('database') }, pos })],
      [[T.OWNER, T.TO], () => ({ kind: 'alterDatabase', name, action: { type: 'owner', owner: this.role() }, pos })],
      ...this.regionActions().map(
        ([lead, body]): Alternative<Statement> => [lead, () => ({ kind: 'alterDatabase', name, action: body(), pos })],
      ),
      [
        T.SET,
        () => {
          const variable = this.dottedName();
          this.equalOrTo();
          return { kind: 'alterDatabase', name, action: { type: 'set', variable, values: this.list(() => this.settingValue()) }, pos };
        },
      ],
      [[T.RESET, T.ALL], () => ({ kind: 'alterDatabase', name, action: { type: 'reset', variable: undefined }, pos })],
      [T.RESET, () => ({ kind: 'alterDatabase', name, action: { type: 'reset', variable: this.dottedName() }, pos })],
    ]);
  }

  private equalOrTo(): void {
    this.choose<void>([
      [T.Equal, () => {}],
      [T.TO, () => {}],
    ]);
  }

  private schema(pos: number): Statement {
    const name = this.objectName();
    return this.choose<Statement>([
      [[T.RENAME, T.TO], () => ({ kind: 'alterSchema', name, action: { type: 'rename', newName: this.name('schema') }, pos })],
      [[T.OWNER, T.TO], () => ({ kind: 'alterSchema', name, action: { type: 'owner', owner: this.role() }, pos })],
    ]);
  }

  private index(pos: number): Statement {
    const ifExists = this.ifExists();
    const index = this.indexName();
    const alter = (action: AlterIndex['action']): Statement => ({ kind: 'alterIndex', index, ifExists, action, pos });
    return this.choose<Statement>([
      [[T.CONFIGURE, T.ZONE], () => this.configureZone({ type: 'index', index, pos: index.pos }, pos)],
      [[T.RENAME, T.TO], () => alter({ type: 'rename', newName: this.name('index') })],
      ...this.rangeForms({ type: 'index', index, ifExists }, pos),
    ]);
  }

  // ---- sequences, views, types --------------------------------------------------------------------

  private relationActions(relation: AlterRelation['relation'], name: ObjectName, ifExists: boolean, pos: number): Alternative<Statement>[] {
    const alter = (action: AlterRelation['action']): Statement => ({ kind: 'alterRelation', relation, name, ifExists, action, pos });
    return [
      [[T.RENAME, T.TO], () => alter({ type: 'rename', newName: this.objectName() })],
      [[T.SET, T.SCHEMA], () => alter({ type: 'setSchema', schema: this.name() })],
      [[T.OWNER, T.TO], () => alter({ type: 'owner', owner: this.role() })],
    ];
  }

  private view(pos: number, relation: 'view' | 'materializedView' = 'view'): Statement {
    const ifExists = this.ifExists();
    const name = this.objectName();
    return this.choose<Statement>(this.relationActions(relation, name, ifExists, pos));
  }

  private sequence(pos: number): Statement {
    const ifExists = this.ifExists();
    const name = this.objectName();
    return this.choose<Statement>(this.relationActions('sequence', name, ifExists, pos), () => {
      const options = this.sequenceOptions();
      if (options.length === 0 && this.recorder === undefined) throw this.c.error();
      return { kind: 'alterSequence', name, ifExists, options, pos };
    });
  }

  private type(pos: number): Statement {
    const name = this.objectName();
    const alter = (action: AlterType['action']): Statement => ({ kind: 'alterType', name, action, pos });
    return this.choose<Statement>([
      [
        [T.ADD, T.VALUE],
        () => {
          const ifNotExists = this.ifNotExists();
          const label = this.stringText();
          const placement = this.choose<{ side: 'before' | 'after'; label: string } | undefined>(
            [
              [T.BEFORE, () => ({ side: 'before', label: this.stringText() })],
              [T.AFTER, () => ({ side: 'after', label: this.stringText() })],
            ],
            () => undefined,
          );
          return alter({ type: 'addValue', label, ifNotExists, placement });
        },
      ],
      [[T.DROP, T.VALUE], () => alter({ type: 'dropValue', label: this.stringText() })],
      [
        [T.RENAME, T.VALUE],
        () => {
          const label = this.stringText();
          this.tok(T.TO);
          return alter({ type: 'renameValue', label, newLabel: this.stringText() });
        },
      ],
      [[T.RENAME, T.TO], () => alter({ type: 'rename', newName: this.name() })],
      [[T.SET, T.SCHEMA], () => alter({ type: 'setSchema', schema: this.name() })],
      [[T.OWNER, T.TO], () => alter({ type: 'owner', owner: this.role() })],
    ]);
  }
}
