/**
 * SqlEngine: what all sessions of one database share.
 *
 * It owns no data: the kv layer and the catalog do. It keeps the registries that upper layers add to
 * (statements, virtual tables, functions), the cache of parsed and planned statements, and the list
 * of open sessions. A fork of the database gets an engine of its own over the forked kv and catalog.
 */
import { isVarveError } from '../../base/errors.ts';
import type { Random } from '../../base/random.ts';
import type { Catalog } from '../../catalog/catalog.ts';
import type { ClusterSettings } from '../../catalog/settings.ts';
import { Sequences } from '../../catalog/sequences.ts';
import type { TableStatistics } from '../../catalog/tableStatistics.ts';
import type { Zones } from '../../catalog/zones.ts';
import type { Kv } from '../../kv/kv.ts';
import type { ExternalIoRules } from '../../storage/access.ts';
import { builtinFunctions } from '../expr/builtins/index.ts';
import { FunctionRegistry } from '../expr/registry.ts';
import type { Statement } from '../parse/ast.ts';
import { VirtualTables } from '../plan/virtualTable.ts';
import { registerBuiltinStatements } from './builtinStatements.ts';
import { leftTemporarySchemas } from './ddl/temporary.ts';
import type { DroppedDataService } from './schemaChange/droppedDataService.ts';
import type { SchemaChangeService } from './schemaChange/service.ts';
import { FeatureUsage } from './featureUsage.ts';
import { Session, type SessionOptions } from './session.ts';
import { type EngineServices, type StatementContext, StatementHooks, type StatementResult } from './statement.ts';
import { type CachedStatement, StatementCache } from './statementCache.ts';
import { registerCatalogFunctions } from './virtual/catalogFunctions.ts';
import { builtinVirtualTables } from './virtual/index.ts';

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
  /** What the server refuses and allows of locations outside the process. */
  readonly externalIo?: ExternalIoRules;
}

export class SqlEngine implements EngineServices {
  readonly kv: Kv;
  readonly catalog: Catalog;
  readonly zones: Zones;
  readonly settings: ClusterSettings;
  readonly random: Random;
  readonly sequences: Sequences;
  readonly version: string;
  readonly externalIo: ExternalIoRules;
  readonly functions: FunctionRegistry = new FunctionRegistry(builtinFunctions());
  readonly statements: StatementHooks = new StatementHooks();
  readonly features: FeatureUsage = new FeatureUsage();
  readonly virtualTables: VirtualTables = new VirtualTables(builtinVirtualTables());
  /** Set by registerSchemaChanges. */
  schemaChanges: SchemaChangeService | undefined;
  /** Gives dropped data its job; registerDroppedData plugs it in. */
  droppedData: DroppedDataService | undefined;
  /** Set by registerStatistics. */
  statistics: TableStatistics | undefined;
  readonly #sessions = new Set<Session>();
  readonly #cache = new StatementCache();

  constructor(options: EngineOptions) {
    this.kv = options.kv;
    this.catalog = options.catalog;
    this.zones = options.zones;
    this.settings = options.settings;
    this.random = options.random;
    this.sequences = options.sequences ?? new Sequences(options.kv);
    this.version = options.version ?? '0.1.0';
    this.externalIo = options.externalIo ?? {};
    registerBuiltinStatements(this.statements);
    registerCatalogFunctions(this);
  }

  newSession(options: SessionOptions = {}): Session {
    const session = new Session(this, this.#cache, options, () => {
      this.#sessions.delete(session);
      const { temporarySchema } = session.names;
      if (temporarySchema !== undefined && !this.#isClosing) void this.#dropTemporary(temporarySchema);
    });
    this.#sessions.add(session);
    return session;
  }

  /** Runs `work` in a user's name, with a statement's context, in a transaction of its own. In no list of sessions: nobody's client. */
  async runAs<T>(user: string, work: (context: StatementContext) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const session = new Session(this, this.#cache, { user }, () => {});
    try {
      return await session.inContext(work, signal);
    } finally {
      session.close();
    }
  }

  /** Open sessions, oldest first. */
  sessions(): readonly Session[] {
    return [...this.#sessions];
  }

  /** Parses a text, or finds it parsed. Throws what the parser throws. */
  parse(sql: string): readonly CachedStatement[] {
    return this.#cache.parse(sql);
  }

  /** Runs a statement inside another's transaction, for `FROM [SHOW ...]` and EXPLAIN. */
  runNested(context: StatementContext, statement: Statement): Promise<StatementResult> {
    return context.session.runNested(context, statement, context.placeholders, context.placeholderTypes);
  }

  /** Drops the temporary relations of sessions that are over; for after a GC run. */
  async dropLeftTemporary(): Promise<void> {
    for (const name of await leftTemporarySchemas(this)) await this.#dropTemporary(name);
  }

  /** Never fails: what stays behind is for the next GC run. */
  async #dropTemporary(name: string): Promise<void> {
    if (this.#dropping.has(name)) return;
    this.#dropping.add(name);
    // In no list: nobody's client.
    const session = new Session(this, this.#cache, { user: 'root' }, () => this.#dropping.delete(name));
    session.useTemporarySchema(name);
    try {
      await session.execute('DISCARD TEMP');
    } catch (error) {
      if (!isVarveError(error)) throw error;
    } finally {
      session.close();
    }
  }
  readonly #dropping = new Set<string>();
  #isClosing = false;

  /** Ends every session. */
  close(): void {
    this.#isClosing = true;
    for (const session of [...this.#sessions]) session.close();
  }
}
