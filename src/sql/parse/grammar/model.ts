/**
 * The grammar as data: each family's rules, recorded by Chevrotain.
 *
 * Running the rules needs no Chevrotain (its import alone takes most of the start-up budget), so this
 * file is loaded only by who wants to look at the grammar: the test that validates it (references,
 * left recursion, empty alternatives), the railroad diagrams, and completion.
 *
 * In a model, what plain code parses is a terminal of its own: Expression, Query, Name and so on (see
 * `holes` in base.ts).
 */
import { createToken, EmbeddedActionsParser, type ISerializedGast, type TokenType as ChevrotainType } from 'chevrotain';

import { tokenTypes } from '../tokens.ts';
import { type FamilyParser, type GrammarRecorder, holes } from './base.ts';
import { type Family, families, Grammar } from './families.ts';

export interface GrammarModel {
  readonly family: Family;
  /** Chevrotain's serialised productions: what `createSyntaxDiagramsCode` takes. */
  readonly productions: ISerializedGast[];
}

/** Chevrotain allows 10 separated lists a rule. */
const LISTS_MAX = 10;

class ModelParser extends EmbeddedActionsParser implements GrammarRecorder {
  private readonly vocabulary: Record<string, ChevrotainType>;
  /** How often each word, rule or construct has come up in the rule so far: its index there. */
  private readonly counts = new Map<string, number>();

  constructor(vocabulary: Record<string, ChevrotainType>, parser: FamilyParser) {
    super(vocabulary, { maxLookahead: 1, skipValidations: false });
    this.vocabulary = vocabulary;
    const parts = [parser, ...parser.parts];
    for (const part of parts) {
      for (const [name, body] of part.rules) {
        this.RULE(name, () => {
          this.counts.clear();
          body();
        });
      }
    }
    for (const part of parts) part.recorder = this;
    try {
      this.performSelfAnalysis();
    } finally {
      for (const part of parts) part.recorder = undefined;
    }
  }

  private count(what: string): number {
    const count = this.counts.get(what) ?? 0;
    this.counts.set(what, count + 1);
    return count;
  }

  terminal(name: string): void {
    this.consume(this.count(name), this.vocabulary[name] as ChevrotainType);
  }

  rule(name: string): void {
    this.subrule(this.count(`rule ${name}`), (this as unknown as Record<string, Parameters<typeof this.subrule>[1]>)[name]!);
  }

  /* `option`, `many` and `or` are Chevrotain's own names for these, with an index first. */
  optional(body: () => void): void {
    this.option(this.count('option'), body);
  }

  repetition(body: () => void): void {
    this.many(this.count('many'), body);
  }

  list(body: () => void): void {
    const separated = [
      this.AT_LEAST_ONE_SEP, this.AT_LEAST_ONE_SEP1, this.AT_LEAST_ONE_SEP2, this.AT_LEAST_ONE_SEP3, this.AT_LEAST_ONE_SEP4, this.AT_LEAST_ONE_SEP5,
      this.AT_LEAST_ONE_SEP6, this.AT_LEAST_ONE_SEP7, this.AT_LEAST_ONE_SEP8, this.AT_LEAST_ONE_SEP9,
    ]; // biome-ignore format: ten alike
    const place = this.count('list');
    if (place < LISTS_MAX) {
      separated[place]?.call(this, { SEP: this.vocabulary['Comma'] as ChevrotainType, DEF: body });
      return;
    }
    this.atLeastOne(this.count('atLeastOne'), () => {
      body();
      this.optional(() => this.terminal('Comma'));
    });
  }

  /** Longer leads come before their beginnings (`ALTER PRIMARY KEY`, `ALTER`): order decides, so that is no ambiguity. */
  alternatives(bodies: (() => void)[]): void {
    this.or(this.count('or'), { DEF: bodies.map((body) => ({ ALT: body })), IGNORE_AMBIGUITIES: true });
  }
}

/** Every family's grammar, validated: throws an Error that lists what Chevrotain finds wrong. Cost: about a second. */
export function grammarModels(): GrammarModel[] {
  const names = [...tokenTypes.map((type) => ({ name: type.name, label: type.label })), ...holes.map((name) => ({ name, label: name }))];
  const vocabulary = Object.fromEntries(
    names.filter(({ name }) => name !== 'EOF').map(({ name, label }) => [name, createToken({ name, label })]),
  );
  const grammar = new Grammar();
  return families.map((family) => ({
    family,
    productions: new ModelParser(vocabulary, grammar.parser(family)).getSerializedGastProductions(),
  }));
}
