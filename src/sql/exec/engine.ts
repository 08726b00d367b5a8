/**
 * SqlEngine: what all sessions of one database share.
 *
 * It owns no data: the kv layer and the catalog do. It keeps the registries that upper layers add to
 * (statements, virtual tables, functions), the cache of parsed and planned statements, and the list
 * of open sessions. A fork of the database gets an engine of its own over the forked kv and catalog.
 */
import type { Random } from '../../base/random.ts';
import type { Catalog } from '../../catalog/catalog.ts';
import type { ClusterSettings } from '../../catalog/settings.ts';
import type { Datum } from '../../catalog/datum.ts';
import type { TableDescriptor } from '../../catalog/descriptor.ts';
import { Sequences } from '../../catalog/sequences.ts';
import type { Zones } from '../../catalog/zones.ts';
import type { Kv } from '../../kv/kv.ts';
import { builtinFunctions } from '../expr/builtins/index.ts';
import { compileAsync } from '../expr/compileAsync.ts';
import { analyzeExpr, coerceTo } from '../expr/analyze.ts';
import { FunctionRegistry } from '../expr/registry.ts';
import { parseExpression, parseStatements, type ParsedStatement } from '../parse/parse.ts';
import type { Statement } from '../parse/ast.ts';
import { VirtualTables } from '../plan/virtualTable.ts';
import { type AsOfClauses, findAsOf } from './asOf.ts';
import { registerBuiltinStatements } from './builtinStatements.ts';
import type { CompiledPlan } from './executor.ts';
import { ConstraintQueue } from './foreignKeys.ts';
import type { Run } from './run.ts';
import { Session, type SessionOptions } from './session.ts';
import { type StatementContext, StatementHooks, type StatementResult } from './statement.ts';
import { rowAnalysis } from './tableWriter.ts';
import { registerCatalogFunctions } from './virtual/catalogFunctions.ts';
import { registerVirtualTables } from './virtual/index.ts';

export interface EngineOptions {
  readonly kv: Kv;
  readonly catalog: Catalog;
  readonly zones: Zones;
  readonly settings: ClusterSettings;
  readonly random: Random;
  /** Default: a new one over `kv`. */
  readonly sequences?: Sequences;
  /** What version() says after `Varve`. */
  readonly version?: string;
}

/** A statement of a cached text, with its plans by planning context. */
export interface CachedStatement extends ParsedStatement {
  readonly asOf: AsOfClauses;
  /** Plans by what they depend on beside the text: catalog version, names, settings, placeholder types. */
  readonly plans: Map<string, CachedPlan>;
}

export interface CachedPlan {
  readonly compiled: CompiledPlan;
  readonly dependencies: import('../../catalog/catalog.ts').CatalogDependencies;
}

const CACHED_TEXTS_MAX = 1000;
/** A longer text (a bulk INSERT) is used once, and would crowd out the others. */
const CACHED_TEXT_LENGTH_MAX = 8192;
const PLANS_OF_TEXT_MAX = 8;

export class SqlEngine {
  readonly kv: Kv;
  readonly catalog: Catalog;
  readonly zones: Zones;
  readonly settings: ClusterSettings;
  readonly random: Random;
  readonly sequences: Sequences;
  readonly version: string;
  readonly functions: FunctionRegistry = new FunctionRegistry(builtinFunctions());
  readonly statements: StatementHooks = new StatementHooks();
  readonly virtualTables: VirtualTables = new VirtualTables();
  readonly #sessions = new Set<Session>();
  readonly #texts = new Map<string, readonly CachedStatement[]>();

  constructor(options: EngineOptions) {
    this.kv = options.kv;
    this.catalog = options.catalog;
    this.zones = options.zones;
    this.settings = options.settings;
    this.random = options.random;
    this.sequences = options.sequences ?? new Sequences(options.kv);
    this.version = options.version ?? '0.1.0';
    registerBuiltinStatements(this.statements);
    registerVirtualTables(this.virtualTables);
    registerCatalogFunctions(this);
  }

  newSession(options: SessionOptions = {}): Session {
    const session = new Session(this, options, () => this.#sessions.delete(session));
    this.#sessions.add(session);
    return session;
  }

  /** Open sessions, oldest first. */
  sessions(): readonly Session[] {
    return [...this.#sessions];
  }

  /** Parses a text, or finds it parsed. Throws what the parser throws. */
  parse(sql: string): readonly CachedStatement[] {
    const known = this.#texts.get(sql);
    if (known) {
      // Most recently used last.
      if (this.#texts.size >= CACHED_TEXTS_MAX / 2) {
        this.#texts.delete(sql);
        this.#texts.set(sql, known);
      }
      return known;
    }
    const parsed = parseStatements(sql).map((statement) => prepareParsed(statement));
    if (sql.length <= CACHED_TEXT_LENGTH_MAX) {
      if (this.#texts.size >= CACHED_TEXTS_MAX) this.#texts.delete(this.#texts.keys().next().value as string);
      this.#texts.set(sql, parsed);
    }
    return parsed;
  }

  /** Keeps a plan with its statement, the oldest of them giving way. */
  keepPlan(statement: CachedStatement, key: string, plan: CachedPlan): void {
    if (statement.plans.size >= PLANS_OF_TEXT_MAX) statement.plans.delete(statement.plans.keys().next().value as string);
    statement.plans.set(key, plan);
  }

  /** Runs a statement inside another's transaction, for `FROM [SHOW ...]` and EXPLAIN. */
  runNested(context: StatementContext, statement: Statement): Promise<StatementResult> {
    return context.session.runNested(context, statement);
  }

  /** A queue of foreign key work for one row change. */
  async constraintQueue(context: StatementContext): Promise<ConstraintQueue> {
    const snapshot = await context.catalog();
    return new ConstraintQueue(snapshot, this.functions, (table, columnId, run) => this.defaultOf(table, columnId, run));
  }

  /** A column's default for one row. */
  async defaultOf(table: TableDescriptor, columnId: number, run: Run): Promise<Datum> {
    const column = table.columns.find((candidate) => candidate.id === columnId);
    if (column?.defaultExpr === undefined) return null;
    const typed = analyzeExpr(parseExpression(column.defaultExpr), rowAnalysis(table, this.functions, 'DEFAULT'), column.type);
    return compileAsync(coerceTo(typed, column.type, column.name))([], run.eval);
  }

  /** Ends every session. */
  close(): void {
    for (const session of [...this.#sessions]) session.close();
  }
}

function prepareParsed(statement: ParsedStatement): CachedStatement {
  return { ...statement, asOf: findAsOf(statement.ast), plans: new Map() };
}
