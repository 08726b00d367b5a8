/** CREATE, ALTER and DROP FUNCTION, and how a function is named: `f(INT, STRING)`. */
import type { AlterFunction, DropFunction, FunctionName, FunctionOptions, FunctionParameter, Statement, TypeName } from '../ast.ts';
import { nameClass, T } from '../tokens.ts';
import { FamilyParser } from './base.ts';

export class FunctionsParser extends FamilyParser {
  readonly statement = this.rule('functions', (): Statement => {
    const pos = this.pos;
    return this.choose<Statement>([
      [[T.CREATE, T.FUNCTION], () => this.create(false, pos)],
      [[T.CREATE, T.OR, T.REPLACE, T.FUNCTION], () => this.create(true, pos)],
      [[T.ALTER, T.FUNCTION], () => this.alter(pos)],
      [[T.DROP, T.FUNCTION], () => this.drop(pos)],
    ]);
  });

  /** A function, by its parameters where there are several. */
  readonly functionName = this.rule('functionName', (): FunctionName => {
    const pos = this.pos;
    const name = this.objectName();
    const params = this.when(T.LParen, (): TypeName[] => this.parameters().map(({ type }) => type));
    return { name, params, pos };
  });

  private create(orReplace: boolean, pos: number): Statement {
    const name = this.objectName();
    this.tok(T.LParen);
    const params = this.parameters();
    this.tok(T.RETURNS);
    const returnsSet = this.has(T.SETOF);
    if (this.words(T.TABLE)) this.refuse('RETURNS TABLE');
    const returns = this.ownType();
    let options: FunctionOptions = {};
    let language: string | undefined;
    let body: string | undefined;
    this.repeat([
      ...this.optionWords((given) => {
        options = this.merged(options, given);
      }),
      [
        T.LANGUAGE,
        () => {
          if (language !== undefined) throw this.repeated();
          language = this.language();
        },
      ],
      [
        T.AS,
        () => {
          if (body !== undefined) throw this.repeated();
          body = this.stringText();
        },
      ],
    ]);
    if (this.recorder === undefined && language === undefined) throw this.c.errorSaying('no language specified');
    if (this.recorder === undefined && body === undefined) throw this.c.errorSaying('no function body specified');
    return {
      kind: 'createFunction',
      name,
      orReplace,
      params,
      returns,
      returnsSet,
      options,
      language: language ?? '',
      body: body ?? '',
      pos,
    };
  }

  /** A word, or a text as in PostgreSQL's older scripts. */
  private language(): string {
    const name = this.recorder === undefined && this.c.at(T.String) ? this.stringText() : this.label().text;
    return name.toLowerCase();
  }

  private repeated(): Error {
    return this.c.errorSaying('conflicting or redundant options', this.c.peek(-1));
  }

  private merged(options: FunctionOptions, given: FunctionOptions): FunctionOptions {
    if (this.recorder === undefined && Object.keys(given).some((key) => key in options)) throw this.repeated();
    return { ...options, ...given };
  }

  private optionWords(note: (given: FunctionOptions) => void): (readonly [Parameters<FamilyParser['choose']>[0][number][0], () => void])[] {
    const strict = (isStrict: boolean) => () => note({ isStrict });
    return [
      [T.IMMUTABLE, () => note({ volatility: 'immutable' })],
      [T.STABLE, () => note({ volatility: 'stable' })],
      [T.VOLATILE, () => note({ volatility: 'volatile' })],
      [T.LEAKPROOF, () => note({ isLeakproof: true })],
      [[T.NOT, T.LEAKPROOF], () => note({ isLeakproof: false })],
      [T.STRICT, strict(true)],
      [[T.RETURNS, T.NULL, T.ON, T.NULL, T.INPUT], strict(true)],
      [[T.CALLED, T.ON, T.NULL, T.INPUT], strict(false)],
      [[T.SECURITY, T.INVOKER], () => undefined],
      [[T.SECURITY, T.DEFINER], () => this.refuse('SECURITY DEFINER')],
    ];
  }

  /** Up to the closing parenthesis; the opening one has been consumed. */
  private parameters(): FunctionParameter[] {
    return this.choose<FunctionParameter[]>([[T.RParen, () => []]], () => {
      const params = this.list(() => this.parameter());
      this.tok(T.RParen);
      return params;
    });
  }

  private parameter(): FunctionParameter {
    const pos = this.pos;
    if (this.words(T.OUT)) this.refuse('OUT parameters');
    if (this.words(T.VARIADIC)) this.refuse('VARIADIC parameters');
    this.has(T.IN);
    const name = this.parameterName();
    const type = this.ownType();
    if (this.words(T.DEFAULT)) this.refuse('DEFAULT of parameters');
    return { name, type, pos };
  }

  /** A type by its own name. */
  private ownType(): TypeName {
    const type = this.typeName();
    if (this.has(T.Percent)) this.refuse('types taken from a column by %TYPE');
    return type;
  }

  /** A name stands before its type: where one word alone stands, or the words of a type's name, it is the type. */
  private parameterName(): FunctionParameter['name'] {
    if (this.recorder !== undefined) {
      this.recorder.optional(() => this.name());
      return undefined;
    }
    const next = this.c.peek(1);
    const isOfType = [T.PRECISION, T.VARYING, T.WITH, T.WITHOUT, T.ARRAY, T.DEFAULT].includes(next.type);
    return nameClass(next) === undefined || isOfType ? undefined : this.c.name();
  }

  private alter(pos: number): AlterFunction {
    const of = this.functionName();
    const made = (action: AlterFunction['action']): AlterFunction => ({ kind: 'alterFunction', function: of, action, pos });
    return this.choose<AlterFunction>(
      [
        [[T.RENAME, T.TO], () => made({ type: 'rename', newName: this.name() })],
        [[T.SET, T.SCHEMA], () => made({ type: 'setSchema', schema: this.name('schema') })],
        [[T.OWNER, T.TO], () => made({ type: 'owner', owner: this.role() })],
      ],
      () => {
        let options: FunctionOptions = {};
        this.repeat(
          this.optionWords((given) => {
            options = this.merged(options, given);
          }),
        );
        if (this.recorder === undefined && Object.keys(options).length === 0) throw this.c.error();
        return made({ type: 'options', options });
      },
    );
  }

  private drop(pos: number): DropFunction {
    const ifExists = this.words(T.IF, T.EXISTS);
    const functions = this.list(() => this.functionName());
    const behavior = this.choose<DropFunction['behavior']>(
      [
        [T.CASCADE, () => 'cascade'],
        [T.RESTRICT, () => 'restrict'],
      ],
      () => undefined,
    );
    return { kind: 'dropFunction', functions, ifExists, behavior, pos };
  }
}
