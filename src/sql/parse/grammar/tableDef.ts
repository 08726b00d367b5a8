/**
 * Column definitions, constraints, index keys and sequence options: what CREATE and ALTER share.
 */
import type {
  ColumnDef, ColumnQualifier, DropBehavior, Expr, ForeignKeyReference, HashSharding, IndexElement, Name, Option, ReferentialAction, SequenceOption, TableConstraint,
} from '../ast.ts'; // biome-ignore format: one line
import { T } from '../tokens.ts';
import { FamilyParser } from './base.ts';
import { parseExpr, parseCollation } from './expressions.ts';
import { parseTypeName } from './types.ts';

/** The least binding power in a DEFAULT: it ends before IS, NOT, AND and OR, so that NOT NULL after it stays a qualifier. */
const DEFAULT_POWER = 5;

const COMPUTED_FORM = 'use AS ( <expr> ) STORED or AS ( <expr> ) VIRTUAL';

type Unnamed<Q> = Q extends unknown ? Omit<Q, 'name' | 'pos'> : never;

export abstract class TableDefParser extends FamilyParser {
  protected ifNotExists(): boolean {
    return this.words(T.IF, T.NOT, T.EXISTS);
  }

  protected ifExists(): boolean {
    return this.words(T.IF, T.EXISTS);
  }

  protected behavior(): DropBehavior {
    return this.choose<DropBehavior>(
      [
        [T.CASCADE, () => 'cascade'],
        [T.RESTRICT, () => 'restrict'],
      ],
      () => undefined,
    );
  }

  protected whereClause(): Expr | undefined {
    return this.when(T.WHERE, () => this.expr());
  }

  protected nameParens(): Name[] {
    return this.parens(() => this.names());
  }

  // ---- columns ------------------------------------------------------------------------------------

  protected readonly columnDef = this.rule('columnDef', (): ColumnDef => {
    const name = this.name();
    const type = this.columnType();
    const qualifiers: ColumnQualifier[] = [];
    let hidden = false;
    const add = (qualifier: Unnamed<ColumnQualifier>, pos: number, constraint?: Name): void => {
      qualifiers.push({ ...qualifier, name: constraint, pos } as ColumnQualifier);
    };
    for (;;) {
      const pos = this.pos;
      const constraint = this.when(T.CONSTRAINT, () => this.name());
      const found = this.choose<boolean>(
        [
          [
            [T.NOT, T.NULL],
            () => {
              add({ type: 'notNull' }, pos, constraint);
              return true;
            },
          ],
          [
            [T.NOT, T.VISIBLE],
            () => {
              hidden = true;
              return true;
            },
          ],
          ...this.qualifierAlternatives(add, pos, constraint),
        ],
        () => false,
      );
      if (!found) {
        if (constraint !== undefined && this.recorder === undefined) throw this.c.error();
        break;
      }
      if (this.recorder !== undefined) break;
    }
    return { kind: 'columnDef', name, type, hidden, qualifiers, pos: name.pos };
  });

  private qualifierAlternatives(
    add: (qualifier: Unnamed<ColumnQualifier>, pos: number, name?: Name) => void,
    pos: number,
    name: Name | undefined,
  ) {
    const yes = (qualifier: () => Unnamed<ColumnQualifier>) => (): boolean => {
      add(qualifier(), pos, name);
      return true;
    };
    return [
      [T.NULL, yes(() => ({ type: 'null' }))],
      [T.DEFAULT, yes(() => ({ type: 'default', expr: this.boundedExpr() }))],
      [[T.ON, T.UPDATE], yes(() => ({ type: 'onUpdate', expr: this.boundedExpr() }))],
      [[T.PRIMARY, T.KEY], yes(() => this.plainKey('primaryKey'))],
      [T.UNIQUE, yes(() => this.plainKey('unique'))],
      [T.CHECK, yes(() => ({ type: 'check', expr: this.parens(() => this.expr()) }))],
      [T.REFERENCES, yes(() => ({ type: 'references', reference: this.reference() }))],
      [T.COLLATE, yes(() => ({ type: 'collate', locale: this.collation() }))],
      [T.GENERATED, yes(() => this.generated())],
      [
        T.AS,
        yes(() => {
          if (this.recorder === undefined && !this.c.at(T.LParen)) throw this.c.errorSaying(COMPUTED_FORM);
          const expr = this.parens(() => this.expr());
          return { type: 'computed', expr, stored: this.storedOrVirtual() };
        }),
      ],
      [T.FAMILY, yes(() => ({ type: 'family', family: this.name(), create: false, ifNotExists: false }))],
      [[T.CREATE, T.FAMILY], yes(() => ({ type: 'family', family: this.optionalName(), create: true, ifNotExists: false }))],
      [[T.CREATE, T.IF, T.NOT, T.EXISTS, T.FAMILY], yes(() => ({ type: 'family', family: this.name(), create: true, ifNotExists: true }))],
    ] as const;
  }

  private plainKey(type: 'primaryKey' | 'unique'): Unnamed<ColumnQualifier> {
    if (type === 'unique' && this.words(T.WITHOUT, T.INDEX)) return { type, withoutIndex: true };
    const sharded = this.hashSharding();
    this.keyDeferral();
    return { type, ...(sharded && { sharded }) };
  }

  /** USING HASH [WITH BUCKET_COUNT = n | WITH (bucket_count = n)]. */
  protected hashSharding(): HashSharding | undefined {
    return this.when(T.USING, () => {
      this.tok(T.HASH);
      return this.choose<HashSharding>(
        [
          [
            [T.WITH, T.BUCKET_COUNT],
            () => {
              this.tok(T.Equal);
              return { buckets: this.boundedExpr() };
            },
          ],
          [
            [T.WITH, T.LParen, T.BUCKET_COUNT],
            () => {
              this.tok(T.Equal);
              const buckets = this.expr();
              this.tok(T.RParen);
              return { buckets };
            },
          ],
        ],
        () => ({ buckets: undefined }),
      );
    });
  }

  private optionalName(): Name | undefined {
    if (this.recorder !== undefined) {
      this.recorder.optional(() => this.name());
      return undefined;
    }
    return this.c.atName() ? this.c.name() : undefined;
  }

  private columnType() {
    if (this.hole('TypeName')) return this.typeNameAgain();
    // Without a type the column would read its first qualifier as one: say what is missing.
    return parseTypeName(this.c);
  }
  private typeNameAgain() {
    return { kind: 'typeName', name: { parts: [], pos: 0 }, args: [], isArray: false, pos: 0 } as const;
  }

  /** A DEFAULT's expression: see DEFAULT_POWER. */
  private boundedExpr(): Expr {
    return this.hole('Expression') ? { kind: 'null', pos: 0 } : parseExpr(this.c, DEFAULT_POWER);
  }

  private collation(): string {
    return this.hole('Name') ? '' : parseCollation(this.c);
  }

  private storedOrVirtual(): boolean {
    return this.choose(
      [
        [T.STORED, () => true],
        [T.VIRTUAL, () => false],
      ],
      this.recorder === undefined
        ? () => {
            throw this.c.errorSaying(COMPUTED_FORM);
          }
        : undefined,
    );
  }

  private generated(): Unnamed<ColumnQualifier> {
    const always = this.alwaysOrByDefault();
    this.tok(T.AS);
    return this.choose<Unnamed<ColumnQualifier>>([
      [T.IDENTITY, () => ({ type: 'identity', always, options: this.when(T.LParen, () => this.identityOptions()) ?? [] })],
      [
        T.LParen,
        () => {
          const expr = this.expr();
          this.tok(T.RParen);
          return { type: 'computed', expr, stored: this.storedOrVirtual() };
        },
      ],
    ]);
  }

  protected alwaysOrByDefault(): boolean {
    return this.choose([
      [T.ALWAYS, () => true],
      [[T.BY, T.DEFAULT], () => false],
    ]);
  }

  protected identityOptions(): SequenceOption[] {
    const options = this.sequenceOptions();
    this.tok(T.RParen);
    return options;
  }

  // ---- constraints --------------------------------------------------------------------------------

  /** A table constraint, its CONSTRAINT name included. */
  protected readonly tableConstraint = this.rule('tableConstraint', (): TableConstraint => {
    const pos = this.pos;
    const name = this.when(T.CONSTRAINT, () => {
      this.has(T.IF) && this.toks(T.NOT, T.EXISTS);
      return this.name();
    });
    return this.choose<TableConstraint>([
      [[T.PRIMARY, T.KEY], () => this.keyConstraint('primaryKey', name, pos)],
      [T.UNIQUE, () => this.keyConstraint('unique', name, pos)],
      [T.CHECK, () => ({ kind: 'check', name, expr: this.parens(() => this.expr()), pos })],
      [
        [T.FOREIGN, T.KEY],
        () => {
          const columns = this.nameParens();
          this.tok(T.REFERENCES);
          return { kind: 'foreignKey', name, columns, reference: this.reference(), pos };
        },
      ],
    ]);
  });

  protected keyConstraint(kind: 'primaryKey' | 'unique', name: Name | undefined, pos: number): TableConstraint {
    const withoutIndex = kind === 'unique' && this.words(T.WITHOUT, T.INDEX);
    const columns = this.indexElements();
    const sharded = this.hashSharding();
    const storing = this.storing();
    const where = kind === 'unique' ? this.whereClause() : undefined;
    this.keyDeferral();
    return { kind, name, columns, storing, where, ...(sharded && { sharded }), ...(withoutIndex && { withoutIndex }), pos };
  }

  /** Keys are checked row by row, which DEFERRABLE would put off. */
  protected keyDeferral(): void {
    this.repeat([
      [T.DEFERRABLE, () => this.refuse('deferrable unique constraints')],
      [[T.INITIALLY, T.DEFERRED], () => this.refuse('deferrable unique constraints')],
      [[T.INITIALLY, T.IMMEDIATE], () => {}],
      [[T.NOT, T.DEFERRABLE], () => {}],
    ]);
  }

  protected reference(): ForeignKeyReference {
    const table = this.objectName();
    const columns = this.optionalParenList(() => this.name());
    let match: ForeignKeyReference['match'] = 'simple';
    let onDelete: ReferentialAction = 'noAction';
    let onUpdate: ReferentialAction = 'noAction';
    let isDeferrable: boolean | undefined;
    let initially: ForeignKeyReference['deferral'];
    this.repeat([
      [
        T.MATCH,
        () => {
          match = this.choose<'simple' | 'full'>([
            [T.SIMPLE, () => 'simple'],
            [T.FULL, () => 'full'],
            [
              T.PARTIAL,
              () => {
                this.refuse('MATCH PARTIAL');
                return 'simple';
              },
            ],
          ]);
        },
      ],
      [
        [T.ON, T.DELETE],
        () => {
          onDelete = this.referentialAction();
        },
      ],
      [
        [T.ON, T.UPDATE],
        () => {
          onUpdate = this.referentialAction();
        },
      ],
      [
        T.DEFERRABLE,
        () => {
          isDeferrable = true;
        },
      ],
      [
        [T.NOT, T.DEFERRABLE],
        () => {
          isDeferrable = false;
        },
      ],
      [
        [T.INITIALLY, T.IMMEDIATE],
        () => {
          initially = 'immediate';
        },
      ],
      [
        [T.INITIALLY, T.DEFERRED],
        () => {
          initially = 'deferred';
        },
      ],
    ]);
    if (this.recorder === undefined && isDeferrable === false && initially === 'deferred') throw this.c.error(this.c.peek(-1));
    const deferral = isDeferrable || initially === 'deferred' ? (initially ?? 'immediate') : undefined;
    return { table, columns, match, onDelete, onUpdate, deferral };
  }

  private referentialAction(): ReferentialAction {
    return this.choose<ReferentialAction>([
      [[T.NO, T.ACTION], () => 'noAction'],
      [T.RESTRICT, () => 'restrict'],
      [T.CASCADE, () => 'cascade'],
      [[T.SET, T.NULL], () => 'setNull'],
      [[T.SET, T.DEFAULT], () => 'setDefault'],
    ]);
  }

  // ---- index keys ---------------------------------------------------------------------------------

  protected indexElements(): IndexElement[] {
    return this.parens(() => this.list(() => this.indexElement()));
  }

  private readonly indexElement = this.rule('indexElement', (): IndexElement => {
    const pos = this.pos;
    const expr = this.expr();
    const descending = this.choose(
      [
        [T.ASC, () => false],
        [T.DESC, () => true],
      ],
      () => false,
    );
    const nulls = this.when(T.NULLS, () =>
      this.choose<'first' | 'last'>([
        [T.FIRST, () => 'first'],
        [T.LAST, () => 'last'],
      ]),
    );
    return { expr, descending, nulls, pos };
  });

  /** STORING, COVERING or INCLUDE (columns). */
  protected storing(): Name[] {
    return this.choose<Name[]>(
      [
        [T.STORING, () => this.nameParens()],
        [T.COVERING, () => this.nameParens()],
        [T.INCLUDE, () => this.nameParens()],
      ],
      () => [],
    );
  }

  /** WITH (param = value, ...). */
  protected withParams(): Option[] {
    return this.when([T.WITH, T.LParen], () => this.paramsInside()) ?? [];
  }

  protected paramsInside(): Option[] {
    const options = this.list((): Option => {
      const pos = this.pos;
      const name = this.dottedName();
      return { name, value: this.when(T.Equal, () => this.expr()), pos };
    });
    this.tok(T.RParen);
    return options;
  }

  // ---- sequences ----------------------------------------------------------------------------------

  protected sequenceOptions(): SequenceOption[] {
    const options: SequenceOption[] = [];
    const valued =
      (type: 'increment' | 'start' | 'cache', ...noise: (typeof T)['BY'][]) =>
      (): void => {
        const pos = this.pos;
        for (const word of noise) this.has(word);
        options.push({ type, value: this.signedInteger(), pos });
      };
    const limit = (type: 'minValue' | 'maxValue') => (): void => {
      options.push({ type, value: this.signedInteger(), pos: this.pos });
    };
    const flag = (option: Omit<Extract<SequenceOption, { type: 'cycle' | 'noCycle' | 'virtual' }>, 'pos'>) => (): void => {
      options.push({ ...option, pos: this.pos });
    };
    this.repeat([
      [T.AS, () => void options.push({ type: 'as', pos: this.pos, dataType: this.typeName() })],
      [T.INCREMENT, valued('increment', T.BY)],
      [T.START, valued('start', T.WITH)],
      [
        T.RESTART,
        () => {
          const pos = this.pos;
          const value = this.choose<bigint | undefined>([[T.WITH, () => this.signedInteger()]], () => this.optionalInteger());
          options.push({ type: 'restart', value, pos });
        },
      ],
      [T.CACHE, valued('cache')],
      [T.MINVALUE, limit('minValue')],
      [T.MAXVALUE, limit('maxValue')],
      [[T.NO, T.MINVALUE], () => void options.push({ type: 'minValue', value: undefined, pos: this.pos })],
      [[T.NO, T.MAXVALUE], () => void options.push({ type: 'maxValue', value: undefined, pos: this.pos })],
      [[T.NO, T.CYCLE], flag({ type: 'noCycle' })],
      [T.CYCLE, flag({ type: 'cycle' })],
      [T.VIRTUAL, flag({ type: 'virtual' })],
      [
        T.SEQUENCE,
        () => {
          const pos = this.pos;
          if (this.label().text !== 'name' && this.recorder === undefined) throw this.c.error();
          options.push({ type: 'name', name: this.columnPath(), pos });
        },
      ],
      [
        [T.OWNED, T.BY],
        () => {
          const pos = this.pos;
          const column = this.choose([[T.NONE, () => undefined]], () => this.columnPath());
          options.push({ type: 'ownedBy', column, pos });
        },
      ],
    ]);
    return options;
  }

  private optionalInteger(): bigint | undefined {
    if (this.recorder !== undefined) return undefined;
    return this.c.at(T.Integer) || this.c.at(T.Minus) || this.c.at(T.Plus) ? this.c.signedInteger() : undefined;
  }

  /** A table's name and a column: up to four parts. */
  protected columnPath() {
    return this.hole('ObjectName') ? { parts: [], pos: 0 } : this.c.objectName(4);
  }
}
