/**
 * Database: one cluster, wired. The only place that knows every part.
 *
 * `open` builds the layers from the bottom up (kv, catalog, SQL, jobs, storage, backup, restore) over
 * one clock, one executor and one source of randomness, and gives them to each other. What a part
 * needs of another it gets as an argument here; no layer finds its neighbour by itself.
 *
 * Lives elsewhere: what users of the library call (client.ts), sockets (pgwire/, httpServer.ts).
 */
import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';

import type { Clock } from '../base/clock.ts';
import { StateError, StatementError, type VarveError } from '../base/errors.ts';
import { PoolExecutor } from '../base/executor.ts';
import { Activity } from '../base/idle.ts';
import { Ids } from '../base/ids.ts';
import { ManualClock } from '../base/manualClock.ts';
import type { MetricRegistry } from '../base/metrics.ts';
import { type Random, seededRandom } from '../base/random.ts';
import { SqlState } from '../base/sqlState.ts';
import { SystemClock } from '../base/systemClock.ts';
import { VERSION } from '../base/version.ts';
import { openKv } from '../kv/localKv.ts';
import type { Kv } from '../kv/kv.ts';
import { type CatalogServices, openCatalog } from '../catalog/bootstrap.ts';
import { roleDefaults } from '../catalog/roleSettings.ts';
import type { ClusterSettings } from '../catalog/settings.ts';
import { AZURE_SCHEMES, openAzure } from '../storage/azure/azureStorage.ts';
import type { ExternalIoRules } from '../storage/access.ts';
import { ConnectionCounts } from '../storage/connectionCounts.ts';
import { registerGcs } from '../storage/gcs/registerGcs.ts';
import { registerHttp } from '../storage/http/registerHttp.ts';
import { MemoryKeys } from '../storage/kms/memoryKms.ts';
import { registerKms } from '../storage/kms/registerKms.ts';
import { MemoryFiles, openMemory } from '../storage/memory.ts';
import { openNodelocal } from '../storage/nodelocal.ts';
import { StorageRegistry } from '../storage/registry.ts';
import { openNullSink } from '../storage/nullSink.ts';
import { RateLimits } from '../storage/rateLimit.ts';
import { openS3 } from '../storage/s3/s3Storage.ts';
import { openUserfile } from '../storage/userfile.ts';
import { systemJobTable } from '../jobs/jobTable.ts';
import { ProtectionReconciler } from '../jobs/protectionReconciler.ts';
import { JobRegistry } from '../jobs/registry.ts';
import { statusEvent } from '../jobs/statusChange.ts';
import { registerExternalConnections } from '../sql/exec/connections/register.ts';
import { registerFileUploads } from '../sql/exec/copy/fileUpload.ts';
import { collectDropped } from '../sql/exec/ddl/drop.ts';
import { registerDroppedData } from '../sql/exec/schemaChange/droppedData.ts';
import { SqlEngine } from '../sql/exec/engine.ts';
import { registerJobStatements } from '../sql/exec/jobStatements.ts';
import type { AutomaticStatistics } from '../sql/exec/statistics/automatic.ts';
import { registerStatistics } from '../sql/exec/statistics/register.ts';
import { registerSchemaChanges } from '../sql/exec/schemaChange/registerSchemaChanges.ts';
import type { Session, SessionOptions } from '../sql/exec/session.ts';
import { registerBackup } from '../backup/registerBackup.ts';
import { AttachedBackups } from '../restore/attach/attachedBackups.ts';
import { registerRestore } from '../restore/registerRestore.ts';
import { Schedules } from '../schedules/schedules.ts';
import { registerCsv } from './csv/registerCsv.ts';
import { registerDumpFunctions } from './dump/dumpFunctions.ts';
import { registerForkFunctions } from './forkFunctions.ts';
import { Forks } from './forks.ts';
import { registerGcStatus } from './gcStatus.ts';
import { registerHistoryFunctions } from './historyFunctions.ts';
import { registerInternals } from './internals.ts';
import { defaultMemoryBytes, isReservedTable, registerMemory } from './memoryTable.ts';
import { registerServerMetrics } from './metrics.ts';
import { registerNodeFunctions } from './nodeFunctions.ts';
import { checkOptions, type DatabaseOptions, externalIoRules } from './openOptions.ts';
import { registerUserfileFunctions } from './userfileFunctions.ts';

interface Parts {
  readonly kv: Kv;
  readonly services: CatalogServices;
  readonly random: Random;
  readonly options: DatabaseOptions;
  /** mem:// files; forks share them, as they share the disk. */
  readonly memoryFiles: MemoryFiles;
  /** Keys of mem-kms://; forks share them too. */
  readonly memoryKeys: MemoryKeys;
  readonly isFork: boolean;
  /** The named forks that it is one of; a database that is not has its own. */
  readonly forks: Forks<Database> | undefined;
}

export class Database {
  readonly kv: Kv;
  readonly services: CatalogServices;
  readonly jobs: JobRegistry;
  readonly storage: StorageRegistry;
  readonly engine: SqlEngine;
  readonly reconciler: ProtectionReconciler;
  readonly schedules: Schedules;
  readonly forks: Forks<Database>;
  readonly #parts: Parts;
  readonly #attachedBackups: AttachedBackups;
  readonly #automaticStatistics: AutomaticStatistics;
  #forkCount = 0;
  readonly #closing = new AbortController();

  /** The time of sockets and of waits for storage, which are real ones also under a manual clock: that stands still until they are over. */
  readonly ioClock: Clock;

  private constructor(parts: Parts) {
    const { kv, services, random } = parts;
    this.ioClock = parts.options.ioClock ?? new SystemClock();
    const { catalog, zones, settings, sequences, protections } = services;
    this.#parts = parts;
    this.forks = parts.forks ?? new Forks<Database>(this);
    this.kv = kv;
    this.services = services;
    this.jobs = new JobRegistry({
      kv,
      table: systemJobTable,
      settings: jobSettings(settings),
      onStatusChange: (txn, change) => services.events.record(txn, statusEvent(change, kv.reading())),
    });
    this.reconciler = new ProtectionReconciler({
      kv,
      protections,
      jobs: systemJobTable,
      intervalMicros: () => settings.number('kv.protectedts.reconciliation.interval'),
    });
    const externalIo = externalIoRules(parts.options);
    this.storage = this.#openers(externalIo);
    this.engine = new SqlEngine({ kv, catalog, zones, settings, sequences, random: random.fork('sql'), version: VERSION, externalIo });
    const { jobs, storage, engine } = this;
    registerExternalConnections({ engine, storage, ioClock: this.ioClock });
    registerFileUploads(engine.statements, storage);
    registerJobStatements(engine.statements, jobs);
    registerSchemaChanges({ engine, jobs, protections, reconciler: this.reconciler });
    this.#automaticStatistics = registerStatistics(engine, services.statistics, jobs);
    const deps = { kv, catalog, engine, jobs, storage, protections, settings };
    const planBackup = registerBackup({ ...deps, onScheduledSuccess: (txn, success) => this.schedules.onSuccess(txn, success) });
    const { restoreCheckpointBytes } = parts.options;
    registerRestore({ ...deps, ...(restoreCheckpointBytes !== undefined && { restoreCheckpointBytes }) });
    this.schedules = new Schedules({ ...deps, planBackup, reconciler: this.reconciler, metrics: kv.metrics });
    this.#attachedBackups = new AttachedBackups(deps);
    registerCsv({ engine, jobs, storage, protections, reconciler: this.reconciler });
    // Every type of job is registered by now.
    settings.addCheck('jobs.debug.pausepoints', (names) => jobs.pausepoints.checkSetting(String(names)));
    registerNodeFunctions(engine);
    registerGcStatus(engine, jobs);
    registerInternals({ engine, protections, clock: kv.clock });
    registerMemory(services, engine);
    registerServerMetrics(kv, engine);
    kv.gc.addAfterRun(async () => {
      await engine.dropLeftTemporary();
      await collectDropped(engine);
    });
    registerDroppedData(engine, jobs);
    registerUserfileFunctions(engine.functions, storage);
    registerForkFunctions(this);
    registerDumpFunctions(engine.functions);
    registerHistoryFunctions(this);
  }

  /** 22023 for options that cannot be. */
  static async open(options: DatabaseOptions = {}): Promise<Database> {
    checkOptions(options);
    const clock = options.clock ?? new SystemClock();
    const activity = clock instanceof ManualClock ? clock.activity : new Activity();
    const executor = options.executor ?? new PoolExecutor({ activity });
    const random = seededRandom(options.seed ?? randomBytes(16).toString('hex'));
    const nodes = options.nodes ?? Math.max(1, options.localities?.length ?? 0);
    const localities = Array.from({ length: nodes }, (_, index) => options.localities?.[index] ?? '');
    const memoryBytes = options.memoryBytes ?? defaultMemoryBytes();
    const kv = openKv({ clock, executor, activity, ids: new Ids(random.fork('ids'), clock), localities, memoryBytes, isReservedTable });
    const services = await openCatalog(kv);
    return Database.#start({
      kv,
      services,
      random,
      options: { ...options, clock },
      memoryFiles: new MemoryFiles(),
      memoryKeys: new MemoryKeys(options.secureBytes ?? ((count) => randomBytes(count))),
      isFork: false,
      forks: undefined,
    });
  }

  static async #start(parts: Parts): Promise<Database> {
    const database = new Database(parts);
    await database.jobs.start({ pauseAll: parts.isFork });
    await database.schedules.start({ pauseAll: parts.isFork });
    parts.kv.gc.start();
    parts.kv.rangeQueue.start();
    database.reconciler.start();
    return database;
  }

  #openers(rules: ExternalIoRules): StorageRegistry {
    const { kv, services, options, memoryFiles, memoryKeys, random } = this.#parts;
    const retry = { clock: this.ioClock, random: random.fork('retry') };
    const storage = new StorageRegistry({
      retry,
      rules,
      connections: services.connections,
      metrics: kv.metrics,
      limits: new RateLimits(this.ioClock, (name) => services.settings.number(name)),
      ...(options.wrapStorage ? { wrap: options.wrapStorage } : {}),
      secrets: { executor: kv.executor, ...(options.secureBytes && { secureBytes: options.secureBytes }) },
    });
    registerKms(storage.secrets, memoryKeys);
    const externalIoDir = options.externalIoDir === undefined ? undefined : resolve(options.externalIoDir);
    storage.register('mem', (uri) => openMemory(uri, memoryFiles));
    storage.register('nodelocal', (uri, context) =>
      openNodelocal(uri, context, { externalIoDir, hasNode: (id) => kv.cluster.nodes.some((node) => node.id === id) }),
    );
    storage.register('null', openNullSink);
    storage.register('userfile', (uri, context) => openUserfile(uri, context, kv, services.catalog));
    const network = {
      clock: this.ioClock,
      connections: new ConnectionCounts(kv.metrics),
      customCa: () => services.settings.text('cloudstorage.http.custom_ca'),
      timeoutMicros: () => services.settings.number('cloudstorage.timeout'),
    };
    registerHttp(storage, network);
    const cloud = { ...network, retry };
    const partsInFlight = () => services.settings.number('varve.storage.concurrent_upload_parts');
    storage.register('s3', (uri) => openS3(uri, { ...cloud, partsInFlight }));
    const uploadBuffers = () => services.settings.number('cloudstorage.azure.concurrent_upload_buffers');
    for (const scheme of AZURE_SCHEMES) storage.register(scheme, (uri) => openAzure(uri, { ...cloud, uploadBuffers }));
    registerGcs(storage, { ...cloud, defaultKey: () => services.settings.text('cloudstorage.gs.default.key') });
    return storage;
  }

  get clock(): Clock {
    return this.kv.clock;
  }

  /** What it counts of itself. */
  get metrics(): MetricRegistry {
    return this.kv.metrics;
  }

  /** Throws 57P01 once the database is closed. */
  requireOpen(): void {
    this.closing.throwIfAborted();
  }

  /** Aborts with 57P01 when the database closes. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /**
   * Throws 3D000 for a database that does not exist, before somebody's session begins in it. In
   * defaultdb, where clients go that ask for none, sessions begin always: while a restore of a cluster
   * has taken it away somebody has to be able to look at the job, and to resume or cancel it.
   */
  async requireDatabase(name: string): Promise<void> {
    if (name === 'defaultdb' || (await this.services.catalog.current()).database(name)) return;
    throw new StatementError(SqlState.InvalidCatalogName, `database "${name}" does not exist`, {
      hint: 'connect to defaultdb, and CREATE DATABASE there',
    });
  }

  /**
   * A session over the network: the database must be there (3D000), and the defaults of its user and
   * database hold where the client asked for nothing else.
   */
  async openSession(options: SessionOptions): Promise<Session> {
    const name = options.database ?? 'defaultdb';
    await this.requireDatabase(name);
    const id = (await this.services.catalog.current()).database(name)?.id ?? 0;
    const defaults = await roleDefaults(this.kv.at(this.kv.reading()), id, options.user ?? 'root');
    return this.newSession({ ...options, variables: { ...defaults, ...options.variables } });
  }

  /** A client's session; close() it when the client goes. 57P01 once the database is closed. */
  newSession(options: SessionOptions = {}): Session {
    this.requireOpen();
    return this.engine.newSession(options);
  }

  /**
   * A database of its own with everything this one holds, sharing every version. Its cluster id, HLC,
   * ids and (manual) clock are its own and start at this one's time; its jobs come paused. `among`:
   * the named forks that it is to be one of. 53200 when the memory budget has no room for it.
   * Cost: microseconds a store, whatever the number of rows.
   */
  async fork(options: { readonly among?: Forks<Database> } = {}): Promise<Database> {
    this.requireOpen();
    await this.kv.memory.makeRoomForFork();
    this.requireOpen();
    const { options: own } = this.#parts;
    const random = this.#parts.random.fork(`fork ${++this.#forkCount}`);
    const clock = this.clock instanceof ManualClock ? new ManualClock(this.clock.nowMicros()) : this.clock;
    // On a clock of its own, work counts there: that clock's advance() waits for it, and no other's.
    const isApart = clock instanceof ManualClock && own.executor === undefined;
    const kv = this.kv.fork({
      clock,
      ...(isApart && { executor: new PoolExecutor({ activity: clock.activity }) }),
      ids: this.kv.ids.fork(random.fork('ids'), clock),
    });
    kv.memory.countFork();
    const services = await openCatalog(kv, this.services);
    return Database.#start({
      ...this.#parts,
      kv,
      services,
      random,
      options: { ...own, clock },
      isFork: true,
      forks: options.among,
    });
  }

  /**
   * Ends sessions, lets go of running jobs, stops timers; closes the forks it has names for. Clients
   * are told `reason`. Harmless when called again.
   */
  async close(reason: VarveError = new StateError(SqlState.AdminShutdown, 'the database is closed')): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(reason);
    if (this.#parts.forks === undefined) await this.forks.close();
    for (const session of this.engine.sessions()) session.onTerminate?.(reason);
    this.engine.close();
    this.#automaticStatistics.close();
    this.schedules.close();
    this.jobs.close();
    this.reconciler.close();
    await this.#attachedBackups.close();
    await this.storage.close();
    this.services.close();
    this.kv.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function jobSettings(settings: ClusterSettings) {
  return {
    pausepoints: () => settings.text('jobs.debug.pausepoints'),
    retryInitialDelayMicros: () => settings.number('jobs.registry.retry.initial_delay'),
    retryMaxDelayMicros: () => settings.number('jobs.registry.retry.max_delay'),
    retentionMicros: () => settings.number('jobs.retention_time'),
    onRetentionChange: (listener: () => void) => settings.onChange('jobs.retention_time', listener),
  };
}
