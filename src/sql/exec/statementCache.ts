/**
 * StatementCache: parsed texts and their plans, shared by the sessions of a database.
 *
 * Texts are kept in order of use, the least recent giving way; each statement keeps a few plans, by
 * what they depend on beside the text: catalog version, names, settings, placeholder types. A text that
 * may hold a password is not kept, and its statement is shown without it.
 */
import type { CatalogDependencies } from '../../catalog/catalog.ts';
import type { ColumnType } from '../../catalog/type.ts';
import { maskSecrets } from '../parse/errors.ts';
import { parseStatements, type ParsedStatement, type ParseOptions } from '../parse/parse.ts';
import { printStatement } from '../parse/printer.ts';
import { type AsOfClauses, findAsOf, NO_AS_OF } from './asOf.ts';
import type { CompiledPlan } from './executor.ts';

export interface CachedPlan {
  readonly compiled: CompiledPlan;
  readonly dependencies: CatalogDependencies;
  /** False once its tables are no longer what it supposes; absent when it supposes nothing. */
  readonly isCurrent?: (() => boolean) | undefined;
}

/** A statement of a text, with its plans. */
export interface CachedStatement extends ParsedStatement {
  /** A placeholder that nothing types is refused, as PREPARE does; else it is a string, as clients expect. */
  readonly isStrict?: boolean;
  /** What may be secret in `sql` is starred out. */
  readonly isMasked?: boolean;
  readonly asOf: AsOfClauses;
  readonly plans: Map<string, CachedPlan>;
  /** A few of them by identity: cursor.ts. */
  recent?: RecentPlan[];
}

/** A plan and what it was found by. */
export interface RecentPlan {
  readonly version: number;
  readonly planKey: string;
  readonly types: readonly (ColumnType | undefined)[];
  readonly plan: CachedPlan;
}

const CACHED_TEXTS_MAX = 1000;
const SEEN_TEXTS_MAX = 1000;
/** A longer text (a bulk INSERT) is used once, and would crowd out the others. */
const CACHED_TEXT_LENGTH_MAX = 8192;
const PLANS_OF_TEXT_MAX = 8;

/** Only a text with this word can hold AS OF SYSTEM TIME; a walk of every tree to look for it costs more. */
const SYSTEM = /system/i;

const mayHoldPassword = ({ ast }: ParsedStatement): boolean => ast.kind === 'createRole' || ast.kind === 'alterRole';

/** What names of secrets hold, and URIs with a password, or an escaped name. Looking for them in the few texts that have any of it costs less than looking in all. */
const MAY_HOLD_SECRET = /secret|token|credential|passw|passphrase|signature|private|_key=|[?&](?:key|sig)=|:\/\/[^\s']*[@%]/i;

/** What lists of statements show instead of a password, a passphrase, or the secrets of a URI. */
function withoutSecrets(statement: ParsedStatement): Partial<CachedStatement> {
  if (mayHoldPassword(statement)) return { sql: printStatement(statement.ast), isMasked: true };
  return MAY_HOLD_SECRET.test(statement.sql) ? { sql: maskSecrets(statement.sql), isMasked: true } : {};
}

/** The text that a statement came in, as lists of prepared statements show it. */
export function shownText(sql: string, statement: CachedStatement | undefined): string {
  return statement?.isMasked ? maskSecrets(sql) : sql;
}

export class StatementCache {
  readonly #texts = new Map<string, readonly CachedStatement[]>();
  readonly #options: ParseOptions;
  /** Texts that have come once. */
  readonly #seen = new Set<string>();
  #shortInts: StatementCache | undefined;

  constructor(options: ParseOptions = {}) {
    this.#options = options;
  }

  /** The cache of the sessions in which INT has 4 bytes: the same text means something else there. */
  get shortInts(): StatementCache {
    this.#shortInts ??= new StatementCache({ hasShortInts: true });
    return this.#shortInts;
  }

  /** A text that has been parsed not long ago. */
  known(sql: string): readonly CachedStatement[] | undefined {
    const known = this.#texts.get(sql);
    // Most recently used last; while there is room the order does not matter.
    if (known && this.#texts.size >= CACHED_TEXTS_MAX / 2) {
      this.#texts.delete(sql);
      this.#texts.set(sql, known);
    }
    return known;
  }

  /** Parses a text, or finds it parsed. Throws what the parser throws. */
  parse(sql: string): readonly CachedStatement[] {
    const known = this.known(sql);
    if (known) return known;
    const parsed = parseStatements(sql, this.#options).map(
      (statement): CachedStatement => ({
        ...statement,
        asOf: SYSTEM.test(sql) ? findAsOf(statement.ast) : NO_AS_OF,
        plans: new Map(),
        ...withoutSecrets(statement),
      }),
    );
    if (sql.length <= CACHED_TEXT_LENGTH_MAX && !parsed.some(mayHoldPassword) && this.#isWorthKeeping(sql)) {
      if (this.#texts.size >= CACHED_TEXTS_MAX) this.#texts.delete(this.#texts.keys().next().value as string);
      this.#texts.set(sql, parsed);
    }
    return parsed;
  }

  /** A text with placeholders, or one that has come before: of texts with values in them most never come again. */
  #isWorthKeeping(sql: string): boolean {
    if (sql.includes('$') || this.#seen.delete(sql)) return true;
    if (this.#seen.size >= SEEN_TEXTS_MAX) this.#seen.clear();
    this.#seen.add(sql);
    return false;
  }

  /** Keeps a plan with its statement, the oldest of them giving way. */
  keepPlan(statement: CachedStatement, key: string, plan: CachedPlan): void {
    if (statement.plans.size >= PLANS_OF_TEXT_MAX) statement.plans.delete(statement.plans.keys().next().value as string);
    statement.plans.set(key, plan);
  }
}
