/**
 * Transactions, session variables, cluster settings, prepared statements, EXPLAIN, ANALYZE, COPY, DISCARD.
 */
import type { CopyFrom, CopyTo, Expr, Name, ObjectName, Option, Statement, TransactionModes } from '../ast.ts';
import { T } from '../tokens.ts';
import { FamilyParser } from './base.ts';

type MutableModes = { -readonly [K in keyof TransactionModes]: TransactionModes[K] };

export class SessionParser extends FamilyParser {
  readonly statement = this.rule('session', (): Statement => {
    const pos = this.pos;
    return this.choose<Statement>([
      [T.BEGIN, () => this.begin(pos)],
      [[T.START, T.TRANSACTION], () => ({ kind: 'begin', modes: this.modes(), pos })],
      [T.COMMIT, () => this.end('commit', pos)],
      [T.END, () => this.end('commit', pos)],
      [T.ABORT, () => this.end('rollback', pos)],
      [T.ROLLBACK, () => this.rollback(pos)],
      [T.SAVEPOINT, () => ({ kind: 'savepoint', name: this.name(), pos })],
      [T.RELEASE, () => this.release(pos)],
      [T.SET, () => this.set(pos)],
      [T.RESET, () => this.reset(pos)],
      [T.USE, () => ({ kind: 'use', database: this.settingValue(), pos })],
      [T.PREPARE, () => this.prepare(pos)],
      [T.EXECUTE, () => this.execute(pos)],
      [T.DEALLOCATE, () => this.deallocate(pos)],
      [T.EXPLAIN, () => this.explain(pos)],
      [T.ANALYZE, () => this.analyze(pos)],
      [T.ANALYSE, () => this.analyze(pos)],
      [T.DISCARD, () => this.discard(pos)],
      [T.COPY, () => this.copy(pos)],
      [T.UNLISTEN, () => this.unlisten(pos)],
    ]);
  });

  // ---- transactions -------------------------------------------------------------------------------

  private transactionWord(): void {
    this.choose<void>(
      [
        [T.TRANSACTION, () => {}],
        [T.WORK, () => {}],
      ],
      () => {},
    );
  }

  private begin(pos: number): Statement {
    this.transactionWord();
    return { kind: 'begin', modes: this.modes(), pos };
  }

  private unlisten(pos: number): Statement {
    const channel = this.choose<Name | undefined>([[T.Star, () => undefined]], () => this.name());
    return { kind: 'unlisten', channel, pos };
  }

  private end(kind: 'commit' | 'rollback', pos: number): Statement {
    this.transactionWord();
    return kind === 'commit' ? { kind, pos } : { kind, savepoint: undefined, pos };
  }

  private rollback(pos: number): Statement {
    this.transactionWord();
    const savepoint = this.when(T.TO, () => {
      this.has(T.SAVEPOINT);
      return this.name();
    });
    return { kind: 'rollback', savepoint, pos };
  }

  private release(pos: number): Statement {
    this.has(T.SAVEPOINT);
    return { kind: 'releaseSavepoint', name: this.name(), pos };
  }

  /** Modes in any order, with or without commas. */
  private readonly modes = this.rule('transactionModes', (): TransactionModes => {
    const modes: MutableModes = { isolation: undefined, priority: undefined, readOnly: undefined, deferrable: undefined, asOf: undefined };
    this.repeat([
      [
        [T.ISOLATION, T.LEVEL],
        () => {
          modes.isolation = this.isolation();
        },
      ],
      [
        T.PRIORITY,
        () => {
          modes.priority = this.choose<'low' | 'normal' | 'high'>([
            [T.LOW, () => 'low'],
            [T.NORMAL, () => 'normal'],
            [T.HIGH, () => 'high'],
          ]);
        },
      ],
      [
        [T.READ, T.ONLY],
        () => {
          modes.readOnly = true;
        },
      ],
      [
        [T.READ, T.WRITE],
        () => {
          modes.readOnly = false;
        },
      ],
      [
        T.DEFERRABLE,
        () => {
          modes.deferrable = true;
        },
      ],
      [
        [T.NOT, T.DEFERRABLE],
        () => {
          modes.deferrable = false;
        },
      ],
      [
        [T.AS, T.OF, T.SYSTEM, T.TIME],
        () => {
          const pos = this.pos;
          modes.asOf = { expr: this.expr(), pos };
        },
      ],
      [T.Comma, () => {}],
    ]);
    return modes;
  });

  private isolation(): TransactionModes['isolation'] {
    return this.choose<TransactionModes['isolation']>([
      [T.SERIALIZABLE, () => 'serializable'],
      [T.SNAPSHOT, () => 'snapshot'],
      [[T.REPEATABLE, T.READ], () => 'repeatableRead'],
      [[T.READ, T.COMMITTED], () => 'readCommitted'],
      [[T.READ, T.UNCOMMITTED], () => 'readUncommitted'],
    ]);
  }

  // ---- variables ----------------------------------------------------------------------------------

  private set(pos: number): Statement {
    return this.choose<Statement>(
      [
        [[T.CLUSTER, T.SETTING], () => this.setClusterSetting(pos)],
        [T.TRANSACTION, () => ({ kind: 'setTransaction', session: false, modes: this.modes(), pos })],
        [[T.SESSION, T.CHARACTERISTICS, T.AS, T.TRANSACTION], () => ({ kind: 'setTransaction', session: true, modes: this.modes(), pos })],
        [T.CONSTRAINTS, () => this.setConstraints(pos)],
        [[T.SESSION, T.TRANSACTION], () => ({ kind: 'setTransaction', session: true, modes: this.modes(), pos })],
        [T.SESSION, () => this.setVariable('session', pos)],
        [T.LOCAL, () => this.setVariable('local', pos)],
      ],
      () => this.setVariable(undefined, pos),
    );
  }

  /** SET CONSTRAINTS ALL | names DEFERRED | IMMEDIATE */
  private setConstraints(pos: number): Statement {
    const names = this.choose<ObjectName[] | undefined>([[T.ALL, () => undefined]], () => this.list(() => this.objectName()));
    const isDeferred = this.choose<boolean>([
      [T.DEFERRED, () => true],
      [T.IMMEDIATE, () => false],
    ]);
    return { kind: 'setConstraints', names, isDeferred, pos };
  }

  private setVariable(scope: 'session' | 'local' | undefined, pos: number): Statement {
    const set = (variable: string, values: Expr[]): Statement => ({ kind: 'setVariable', scope, variable, values, pos });
    return this.choose<Statement>(
      [
        [[T.TIME, T.ZONE], () => set('timezone', [this.settingValue()])],
        [T.NAMES, () => set('client_encoding', [this.settingValue()])],
        [T.SCHEMA, () => set('search_path', [this.settingValue()])],
        [[T.ROLE, T.Equal], () => set('role', [this.settingValue()])],
        [T.ROLE, () => set('role', [this.settingValue()])],
      ],
      () => {
        const variable = this.dottedName();
        this.equalOrTo();
        return set(
          variable,
          this.list(() => this.settingValue()),
        );
      },
    );
  }

  private equalOrTo(): void {
    this.choose<void>([
      [T.Equal, () => {}],
      [T.TO, () => {}],
    ]);
  }

  private setClusterSetting(pos: number): Statement {
    const setting = this.dottedName();
    this.equalOrTo();
    return { kind: 'setClusterSetting', setting, value: this.settingValue(), pos };
  }

  private reset(pos: number): Statement {
    return this.choose<Statement>(
      [
        [T.ALL, () => ({ kind: 'resetVariable', variable: undefined, pos })],
        [
          [T.CLUSTER, T.SETTING],
          () => {
            const at = this.pos;
            return { kind: 'setClusterSetting', setting: this.dottedName(), value: { kind: 'default', pos: at }, pos };
          },
        ],
        [[T.TIME, T.ZONE], () => ({ kind: 'resetVariable', variable: 'timezone', pos })],
        [
          T.SESSION,
          () => {
            return { kind: 'resetVariable', variable: this.dottedName(), pos };
          },
        ],
      ],
      () => ({ kind: 'resetVariable', variable: this.dottedName(), pos }),
    );
  }

  // ---- prepared statements, EXPLAIN ---------------------------------------------------------------

  private prepare(pos: number): Statement {
    const name = this.name();
    const types = this.optionalParenList(() => this.typeName());
    this.tok(T.AS);
    const isPlan = this.recorder === undefined && /^opt plan$/i.test(`${this.c.token.image} ${this.c.peek(1).image}`);
    if (isPlan) this.refuse('PREPARE AS OPT PLAN');
    return { kind: 'prepare', name, types, statement: this.nestedStatement(), pos };
  }

  private execute(pos: number): Statement {
    const name = this.name();
    const args = this.optionalParenList(() => this.expr());
    return { kind: 'execute', name, args, discardRows: this.words(T.DISCARD, T.ROWS), pos };
  }

  private deallocate(pos: number): Statement {
    this.has(T.PREPARE);
    const name = this.choose<Name | undefined>([[T.ALL, () => undefined]], () => this.name());
    return { kind: 'deallocate', name, pos };
  }

  private analyze(pos: number): Statement {
    return { kind: 'createStatistics', name: undefined, columns: [], table: this.objectName(), asOf: undefined, pos };
  }

  private explain(pos: number): Statement {
    const analyze = this.choose(
      [
        [T.ANALYZE, () => true],
        [T.ANALYSE, () => true],
      ],
      () => false,
    );
    const options = this.explainOptions();
    return {
      kind: 'explain',
      analyze: analyze || options.includes('analyze'),
      options: options.filter((option) => option !== 'analyze'),
      statement: this.nestedStatement(),
      pos,
    };
  }

  /** `(verbose, types)`; a parenthesis may also open the explained query. */
  private explainOptions(): string[] {
    if (this.recorder === undefined) {
      const first = this.c.peek(1).type;
      if (!this.c.at(T.LParen) || first === T.SELECT || first === T.VALUES || first === T.WITH || first === T.TABLE || first === T.LParen)
        return [];
    }
    return this.optionalParenList(() => this.label().text);
  }

  private discard(pos: number): Statement {
    return this.choose<Statement>([
      [T.ALL, () => ({ kind: 'discard', what: 'all', pos })],
      [T.PLANS, () => ({ kind: 'discard', what: 'plans', pos })],
      [T.SEQUENCES, () => ({ kind: 'discard', what: 'sequences', pos })],
      [T.TEMP, () => ({ kind: 'discard', what: 'temporary', pos })],
      [T.TEMPORARY, () => ({ kind: 'discard', what: 'temporary', pos })],
    ]);
  }

  // ---- COPY ---------------------------------------------------------------------------------------

  private copy(pos: number): Statement {
    return this.choose<Statement>(
      [
        [
          T.LParen,
          () => {
            const query = this.nestedStatement();
            this.toks(T.RParen, T.TO, T.STDOUT);
            return { kind: 'copyTo', table: undefined, columns: [], query, options: this.copyOptions(), pos };
          },
        ],
      ],
      () => {
        const table = this.objectName();
        const columns = this.optionalParenList(() => this.name());
        return this.choose<CopyFrom | CopyTo>([
          [
            T.FROM,
            () => {
              this.tok(T.STDIN);
              return { kind: 'copyFrom', table, columns, options: this.copyOptions(), pos };
            },
          ],
          [
            T.TO,
            () => {
              this.tok(T.STDOUT);
              return { kind: 'copyTo', table, columns, query: undefined, options: this.copyOptions(), pos };
            },
          ],
        ]);
      },
    );
  }

  /** WITH (FORMAT csv, HEADER, ...) and the older list of words. */
  private copyOptions(): Option[] {
    this.has(T.WITH);
    const options: Option[] = [];
    const add = (name: string, value: Expr | undefined, pos: number): void => void options.push({ name, value, pos });
    const word = (pos: number, text: string): Expr => ({ kind: 'string', value: text, pos });
    const old = (name: string) => (): void => {
      const pos = this.pos;
      this.has(T.AS);
      add(name, this.expr(), pos);
    };
    this.repeat([
      [
        T.LParen,
        () => {
          this.list(() => {
            const pos = this.pos;
            const name = this.label().text;
            add(name, this.copyValue(), pos);
          });
          this.tok(T.RParen);
        },
      ],
      [T.CSV, () => add('format', word(this.pos, 'csv'), this.pos)],
      [T.BINARY, () => add('format', word(this.pos, 'binary'), this.pos)],
      [T.HEADER, () => add('header', undefined, this.pos)],
      [T.DELIMITER, old('delimiter')],
      [T.NULL, old('null')],
      [T.QUOTE, old('quote')],
      [T.ESCAPE, old('escape')],
      [T.ENCODING, old('encoding')],
      [
        T.DESTINATION,
        () => {
          const pos = this.pos;
          this.has(T.Equal);
          add('destination', this.expr(), pos);
        },
      ],
    ]);
    return options;
  }

  private copyValue(): Expr | undefined {
    if (this.recorder !== undefined) {
      this.recorder.optional(() => this.expr());
      return undefined;
    }
    const { c } = this;
    if (c.at(T.Comma) || c.at(T.RParen)) return undefined;
    if (c.atName()) {
      const { text, pos } = c.name();
      return { kind: 'string', value: text, pos };
    }
    return this.expr();
  }
}
