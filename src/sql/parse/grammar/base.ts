/**
 * FamilyParser: what the statement grammars are written in.
 *
 * A family's grammar is a set of rules in a small vocabulary: `tok` (this token), `has` (maybe this
 * token), `words` (maybe these tokens), `when` (this token, then ...), `choose` (by the leading
 * token), `repeat` and `list`. Every decision names the token it is made by, so the grammar is LL(1)
 * (LL(2) where a key has two tokens), needs no analysis before its first use, and a syntax error
 * always stands at the first token that fits nowhere.
 *
 * The same rules can be *recorded* instead of run: with a recorder in place each of these words
 * reports itself and returns a harmless value, every alternative is walked once, and out comes the
 * grammar as data (model.ts gives it to Chevrotain, for validation, diagrams and completion). Hence
 * the one law for rule bodies: decide by these words alone, never by looking at the cursor.
 *
 * Expressions, names, types, queries and nested statements are words of their own: they run plain
 * code or another family's rules on the same cursor.
 */
import type { Expr, IndexName, Name, ObjectName, Option, SelectStatement, Statement, TablePattern, TypeName } from '../ast.ts';
import { type SqlToken, T, type TokenType } from '../tokens.ts';
import type { Cursor } from './cursor.ts';
import { parseExpr } from './expressions.ts';
import { parseTypeName } from './types.ts';

/** Pseudo-terminals: what a recorded grammar shows for the parts that plain code parses. */
export const holes = [
  'Expression', 'Query', 'Statement', 'Name', 'ObjectName', 'TablePattern', 'IndexName', 'TypeName', 'RoleName', 'OptionName', 'AnyLabel', 'SignedInteger', 'Refused',
] as const; // biome-ignore format: one line
export type Hole = (typeof holes)[number];

/** Receives a grammar as it is walked. */
export interface GrammarRecorder {
  terminal(name: string): void;
  rule(name: string): void;
  optional(body: () => void): void;
  repetition(body: () => void): void;
  list(body: () => void): void;
  alternatives(bodies: (() => void)[]): void;
}

/** A leading token, or several that must stand in a row. All of them are consumed. */
export type Lead = TokenType | readonly TokenType[];
export type Alternative<R> = readonly [lead: Lead, body: () => R];

const NAME: Name = Object.freeze({ text: '', pos: 0 });
const OBJECT_NAME: ObjectName = Object.freeze({ parts: [NAME], pos: 0 });
const NULL: Expr = Object.freeze({ kind: 'null', pos: 0 });
const TOKEN: SqlToken = Object.freeze({ type: T.Unknown, image: '0', startOffset: 0, endOffset: 0 });
const QUERY: SelectStatement = Object.freeze<SelectStatement>({
  kind: 'select', with: undefined, body: { kind: 'values', rows: [], pos: 0 }, orderBy: [], limit: undefined, offset: undefined, locking: [], pos: 0,
}); // biome-ignore format: one line

export abstract class FamilyParser {
  protected readonly c: Cursor;
  /** Set while the grammar is being recorded. */
  recorder: GrammarRecorder | undefined = undefined;
  /** The rules by name, for the recorder. */
  readonly rules = new Map<string, () => unknown>();
  /** Parsers whose rules this one calls. */
  readonly parts: FamilyParser[] = [];

  constructor(c: Cursor) {
    this.c = c;
  }

  /** Parses the statement at the cursor, whose first words chose this family. */
  abstract statement(): Statement;

  // ---- the vocabulary -----------------------------------------------------------------------------

  /** Names a rule: calling the result runs it (or reports it). */
  protected rule<R>(name: string, body: () => R): () => R {
    this.rules.set(name, body);
    return () => {
      if (this.recorder === undefined) return body();
      this.recorder.rule(name);
      return RECORDED as R;
    };
  }

  protected tok(type: TokenType): SqlToken {
    if (this.recorder === undefined) return this.c.expect(type);
    this.recorder.terminal(type.name);
    return TOKEN;
  }

  protected toks(...types: TokenType[]): void {
    for (const type of types) this.tok(type);
  }

  /** Consumes the token if it stands here. */
  protected has(type: TokenType): boolean {
    if (this.recorder === undefined) return this.c.accept(type);
    this.recorder.optional(() => this.tok(type));
    return true;
  }

  /** Consumes the words if the first one stands here; then all must. */
  protected words(...types: TokenType[]): boolean {
    if (this.recorder === undefined) {
      if (!this.c.at(types[0] as TokenType)) return false;
      for (const type of types) this.c.expect(type);
      return true;
    }
    this.recorder.optional(() => this.toks(...types));
    return true;
  }

  private leads(lead: Lead): boolean {
    const c = this.c;
    if ('name' in lead) return c.at(lead);
    for (let i = 0; i < lead.length; i++) if (!c.atAt(i, lead[i] as TokenType)) return false;
    return true;
  }

  private skip(lead: Lead): void {
    if (this.recorder !== undefined) this.toks(...('name' in lead ? [lead] : lead));
    else this.c.index += 'name' in lead ? 1 : lead.length;
  }

  /** The body's value if the lead stands here, which it follows; else undefined. */
  protected when<R>(lead: Lead, body: () => R): R | undefined {
    if (this.recorder !== undefined) {
      let result: R | undefined;
      this.recorder.optional(() => {
        this.skip(lead);
        result = body();
      });
      return result;
    }
    if (!this.leads(lead)) return undefined;
    this.skip(lead);
    return body();
  }

  /** The first alternative whose lead stands here; else `otherwise`; else a syntax error. */
  protected choose<R>(alternatives: readonly Alternative<R>[], otherwise?: () => R): R {
    if (this.recorder !== undefined) {
      let result: R | undefined;
      const bodies = alternatives.map(([lead, body]) => () => {
        this.skip(lead);
        const value = body();
        result ??= value;
      });
      if (otherwise !== undefined) {
        bodies.push(() => {
          const value = otherwise();
          result ??= value;
        });
      }
      this.recorder.alternatives(bodies);
      return result as R;
    }
    for (const [lead, body] of alternatives) {
      if (this.leads(lead)) {
        this.skip(lead);
        return body();
      }
    }
    if (otherwise === undefined) throw this.c.error();
    return otherwise();
  }

  /** Runs the alternative whose lead stands here, again and again until none does. */
  protected repeat(alternatives: readonly Alternative<void>[]): void {
    if (this.recorder !== undefined) {
      this.recorder.repetition(() => this.choose(alternatives));
      return;
    }
    for (;;) {
      const found = alternatives.find(([lead]) => this.leads(lead));
      if (found === undefined) return;
      this.skip(found[0]);
      found[1]();
    }
  }

  /** Comma-separated, at least one. */
  protected list<R>(item: () => R): R[] {
    if (this.recorder === undefined) return this.c.list(item);
    let first: R | undefined;
    this.recorder.list(() => {
      first = item();
    });
    return [first as R];
  }

  /** `( item, item )`. */
  protected parens<R>(item: () => R): R {
    this.tok(T.LParen);
    const result = item();
    this.tok(T.RParen);
    return result;
  }

  /** `(item, item, ...)` if a parenthesis stands here; else nothing. */
  protected optionalParenList<R>(item: () => R): R[] {
    return (
      this.when(T.LParen, () => {
        const items = this.list(item);
        this.tok(T.RParen);
        return items;
      }) ?? []
    );
  }

  // ---- parts in plain code, and of other families -------------------------------------------------

  /** Reports a pseudo-terminal; true when recording. */
  protected hole(name: Hole): boolean {
    if (this.recorder === undefined) return false;
    this.recorder.terminal(name);
    return true;
  }

  protected get pos(): number {
    return this.recorder === undefined ? this.c.pos : 0;
  }
  protected expr(): Expr {
    return this.hole('Expression') ? NULL : parseExpr(this.c);
  }
  protected query(): SelectStatement {
    return this.hole('Query') ? QUERY : this.c.nested.query();
  }
  protected nestedStatement(): Statement {
    return this.hole('Statement') ? QUERY : this.c.nested.statement();
  }
  protected name(what?: 'database' | 'schema' | 'index'): Name {
    return this.hole('Name') ? NAME : this.c.name(what);
  }
  protected names(): Name[] {
    return this.list(() => this.name());
  }
  protected objectName(): ObjectName {
    return this.hole('ObjectName') ? OBJECT_NAME : this.c.objectName();
  }
  protected tablePattern(): TablePattern {
    return this.hole('TablePattern') ? { parts: [NAME], star: false, pos: 0 } : this.c.tablePattern();
  }
  protected indexName(): IndexName {
    return this.hole('IndexName') ? { table: undefined, index: NAME, qualifier: [], pos: 0 } : this.c.indexName();
  }
  protected typeName(): TypeName {
    return this.hole('TypeName') ? { kind: 'typeName', name: OBJECT_NAME, args: [], isArray: false, pos: 0 } : parseTypeName(this.c);
  }
  protected role(): Name {
    return this.hole('RoleName') ? NAME : this.c.role();
  }
  /** Any word, reserved ones too. */
  protected label(): Name {
    return this.hole('AnyLabel') ? NAME : this.c.label();
  }
  protected signedInteger(): bigint {
    return this.hole('SignedInteger') ? 0n : this.c.signedInteger();
  }
  protected stringText(): string {
    return this.tok(T.String).image;
  }

  /** A dotted lower-case name: of an option, a setting, a variable. Quoted or not. */
  protected dottedName(): string {
    if (this.hole('OptionName')) return '';
    let text = this.c.label().text;
    while (this.c.accept(T.Dot)) text += `.${this.c.label().text}`;
    return text.toLowerCase();
  }

  /** `name = value` or `name`, comma-separated in parentheses: storage parameters. */
  protected storageParams(): Option[] {
    return this.parens(() =>
      this.list((): Option => {
        const pos = this.pos;
        const name = this.dottedName();
        return { name, value: this.when(T.Equal, () => this.expr()), pos };
      }),
    );
  }

  /** A value in SET: an expression; words that are reserved elsewhere (ON, LOCAL) stand for themselves. */
  protected settingValue(): Expr {
    if (this.recorder !== undefined) return this.expr();
    const { c } = this;
    const alone = c.peek(1).type;
    const isWord = c.at(T.ON) || c.at(T.LOCAL) || c.at(T.NONE) || c.at(T.USER);
    if (isWord && (alone === T.EOF || alone === T.Semicolon || alone === T.Comma)) {
      const { text, pos } = c.label();
      return { kind: 'column', parts: [{ text, pos }], pos };
    }
    return this.expr();
  }

  /** 0A000 at the place; a recorded grammar shows `Refused`. */
  protected refuse(what: string, hint?: string): void {
    if (!this.hole('Refused')) throw this.c.unimplemented(what, this.c.peek(-1), hint);
  }
}

/** What a rule call returns while recording: answers any property with itself, so that actions can run. */
const RECORDED: unknown = new Proxy(() => RECORDED, {
  get: (_target, property) => {
    if (property === Symbol.iterator) return function* () {};
    if (property === Symbol.toPrimitive) return () => '';
    return RECORDED;
  },
});
