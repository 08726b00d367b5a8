/**
 * JobRegistry: creates jobs, gives them to nodes, and carries users' requests to them.
 *
 *   G1  a job runs after the transaction that created it commits, and never if it does not
 *   G2  a job has at most one runner whose claim holds: claims are taken one after another, each with a
 *       greater epoch, and none while the runner of the one before is at work on a live node
 *   G3  when a node stops or drains, its claims are void at once, and other nodes adopt its jobs
 *   G4  nothing polls: a commit that writes a job's row wakes it, and so do nodes that come or go
 *
 * In one process the registry stands for the registries of all nodes; which node does the work is
 * in the claim. It knows no job type by name.
 */
import { assert } from '../base/assert.ts';
import type { Timer } from '../base/clock.ts';
import type { EventFields } from '../base/eventLog.ts';
import { CorruptionError, StateError, StatementError, VarveError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Timestamp } from '../base/timestamp.ts';
import type { ClusterEvent } from '../kv/cluster.ts';
import type { Kv, KvReader, Txn } from '../kv/kv.ts';
import type { ClusterNode } from '../kv/nodeActor.ts';

import { fromJobError, type JobContext, type JobId, type JobRecord, type JobSpec, type Json, type Resumer } from './job.ts';
import { isActive, isTerminal } from './jobMachine.ts';
import { JobMetrics } from './jobMetrics.ts';
import { JobRunner, type RetryLimits, type RunnerEnvironment } from './jobRunner.ts';
import type { JobTable } from './jobTable.ts';
import { Pausepoints } from './pausepoints.ts';
import type { JobStatusChange } from './statusChange.ts';
import { type JobRequest, recordAfter, recordAfterRequest } from './transitions.ts';

/** Present values of the cluster settings that govern jobs. */
export interface JobSettings {
  /** jobs.debug.pausepoints: names, separated by commas. */
  pausepoints(): string;
  /** jobs.registry.retry.initial_delay, in microseconds. */
  retryInitialDelayMicros(): number;
  /** jobs.registry.retry.max_delay, in microseconds. */
  retryMaxDelayMicros(): number;
  /** jobs.retention_time, in microseconds. */
  retentionMicros(): number;
  /** Calls the listener when jobs.retention_time changes, until the function that it returns is called. */
  onRetentionChange?(listener: () => void): () => void;
}

export interface JobTypeOptions extends Partial<RetryLimits> {
  /** Names of its pausepoints, as `backup.afterLock`. */
  readonly pausepoints?: readonly string[];
  /** Other names for them that jobs.debug.pausepoints takes. */
  readonly pausepointAliases?: Readonly<Record<string, string>>;
  /** False: CANCEL is refused. */
  readonly isCancelable?: boolean;
  /** True: the system starts such jobs by itself, and SHOW JOBS leaves them out. */
  readonly isAutomatic?: boolean;
  /** Which nodes a job prefers: another one claims it only while none of these is live. Default: all alike. */
  readonly mayRunOn?: (details: Json, node: ClusterNode) => boolean;
  /** For types of which each job that is made is told of as a recovery_event: what it tells, without names, places or secrets. */
  readonly telemetry?: (details: Json) => EventFields;
}

export type ResumerFactory = (details: Json) => Resumer;

interface JobType {
  readonly pausepoints: readonly string[];
  readonly make: ResumerFactory;
  readonly limits: RetryLimits;
  readonly isCancelable: boolean;
  readonly isAutomatic: boolean;
  readonly mayRunOn: (details: Json, node: ClusterNode) => boolean;
  readonly telemetry: ((details: Json) => EventFields) | undefined;
}

export interface JobRegistryOptions {
  readonly kv: Kv;
  readonly table: JobTable;
  readonly settings: JobSettings;
  /** Called in the transaction of every change, to write what is to be known of it. */
  readonly onStatusChange?: (txn: Txn, change: JobStatusChange) => void;
}

/** What the registry does by itself are effects of the Activity: while they wait for a client's lock, time may pass. */
const AS_EFFECT = { isEffect: true } as const;

type Waiter = (record: JobRecord | undefined) => void;

export class JobRegistry {
  readonly pausepoints: Pausepoints;
  readonly table: JobTable;
  readonly #kv: Kv;
  readonly #settings: JobSettings;
  readonly #onStatusChange: (txn: Txn, change: JobStatusChange) => void;
  readonly #environment: RunnerEnvironment;
  readonly #metrics: JobMetrics;
  readonly #types = new Map<string, JobType>();
  readonly #runners = new Map<JobId, JobRunner>();
  /** Runs that have not ended, of lost claims too. */
  readonly #runs = new Map<JobRunner, Promise<void>>();
  /** Jobs being looked at; true when another look is due. */
  readonly #looking = new Map<JobId, boolean>();
  readonly #waiters = new Map<JobId, Set<Waiter>>();
  /** When each finished job that still has a row finished. */
  readonly #finished = new Map<JobId, Timestamp>();
  #retentionTimer: Timer | undefined;
  #unsubscribe: (() => void)[] = [];
  #isOpen = false;

  constructor(options: JobRegistryOptions) {
    this.#kv = options.kv;
    this.table = options.table;
    this.#settings = options.settings;
    this.#onStatusChange = options.onStatusChange ?? (() => {});
    this.pausepoints = new Pausepoints(() => options.settings.pausepoints());
    this.#metrics = new JobMetrics({
      kv: options.kv,
      listUnfinished: () => this.listUnfinished(),
      runners: () => this.#runners.values(),
    });
    this.#environment = {
      kv: options.kv,
      table: options.table,
      countsOf: (type) => this.#metrics.of(type),
      write: (txn, before, next) => this.#write(txn, before, next),
      pausepoints: this.pausepoints,
      retryDelayMicros: (attempts) => this.#retryDelayMicros(attempts),
      isAwaited: (id) => this.#waiters.has(id),
    };
  }

  /** Before start(). One factory a type. */
  register(type: string, options: JobTypeOptions, make: ResumerFactory): void {
    assert(!this.#types.has(type), `job type ${type} registered twice`);
    this.pausepoints.define(options.pausepoints ?? [], options.pausepointAliases);
    this.#metrics.addType(type);
    this.#types.set(type, {
      make,
      limits: {
        attemptsMax: options.attemptsMax ?? Number.POSITIVE_INFINITY,
        whenExhausted: options.whenExhausted ?? 'fail',
        pausesOn: options.pausesOn,
      },
      isCancelable: options.isCancelable ?? true,
      isAutomatic: options.isAutomatic ?? false,
      pausepoints: options.pausepoints ?? [],
      mayRunOn: options.mayRunOn ?? (() => true),
      telemetry: options.telemetry,
    });
  }

  /**
   * Listens to commits and nodes, and adopts what is runnable. `pauseAll`: every unfinished job is paused first:
   * the jobs of a fork belong to its parent.
   */
  async start(options: { pauseAll?: boolean } = {}): Promise<void> {
    assert(!this.#isOpen, 'job registry started twice');
    this.#isOpen = true;
    if (options.pauseAll) await this.#pauseAll();
    this.#unsubscribe.push(
      this.#kv.addCommitHook(this.table.span, {
        apply: (writes) => {
          for (const id of new Set(writes.keys.map((key) => this.table.idOfKey(key)))) this.#wake(id);
        },
      }),
      this.#kv.cluster.subscribe((event) => this.#onClusterEvent(event)),
      this.#kv.cluster.addDrainWork((node) => this.#drain(node)),
      this.#settings.onRetentionChange?.(() => this.#rearmRetention()) ?? (() => {}),
    );
    for (const record of await this.list()) this.#wake(record.id);
  }

  /** Lets go of everything; running work is aborted. Rows stay. */
  close(): void {
    this.#isOpen = false;
    for (const unsubscribe of this.#unsubscribe.splice(0)) unsubscribe();
    this.#retentionTimer?.cancel();
    for (const runner of this.#runners.values()) runner.lose();
    this.#runners.clear();
    for (const id of [...this.#waiters.keys()]) this.#answer(id, undefined);
  }

  /** An id for a job that something has to name before it is created. */
  newJobId(): JobId {
    return this.#kv.ids.int8();
  }

  /** Writes the record in the caller's transaction; the job starts after its commit. */
  async create(txn: Txn, spec: JobSpec): Promise<JobId> {
    assert(this.#types.has(spec.type), `no job type ${spec.type}`);
    const id = spec.id ?? this.newJobId();
    const created = txn.readTimestamp;
    await this.#write(txn, undefined, {
      id,
      type: spec.type,
      description: spec.description,
      statement: spec.statement,
      user: spec.user,
      createdBy: spec.createdBy,
      details: spec.details,
      status: 'pending',
      claimEpoch: 0,
      created,
      modified: created,
      progress: spec.progress ?? null,
      fractionCompleted: 0,
      executionErrors: [],
      attempts: 0,
    });
    txn.afterCommit(() => this.#tellOf(id, spec));
    return id;
  }

  #tellOf(id: JobId, { type, details }: JobSpec): void {
    const { events } = this.#kv;
    const telemetry = this.#types.get(type)?.telemetry;
    if (!telemetry || !events.isHeard) return;
    events.emit({ channel: 'TELEMETRY', type: 'recovery_event', micros: this.#kv.reading(), fields: { JobID: id, ...telemetry(details) } });
  }

  /** Undefined when there is no such job, or no longer. */
  async get(id: JobId, reader?: KvReader): Promise<JobRecord | undefined> {
    return await this.#reading(reader, (from) => this.table.read(from, id));
  }

  /** Every job with a row, by ascending id. */
  async list(reader?: KvReader): Promise<JobRecord[]> {
    return await this.#reading(reader, (from) => this.table.list(from));
  }

  /** Every job that has not ended, by ascending id. */
  async listUnfinished(reader?: KvReader): Promise<JobRecord[]> {
    return await this.#reading(reader, (from) => this.table.listUnfinished(from));
  }

  /**
   * PAUSE, RESUME or CANCEL in the caller's transaction; it takes effect after the commit, which does not wait for it.
   * Throws 42704 for an unknown job and 55000 for a status (or type) that does not allow it.
   */
  async request(txn: Txn, id: JobId, request: JobRequest, reason?: string): Promise<void> {
    const record = await this.table.read(txn, id, { validated: true });
    if (!record) throw unknownJob(id);
    if (request === 'cancel' && this.#types.get(record.type)?.isCancelable === false) {
      throw new StateError(SqlState.ObjectNotInPrerequisiteState, `job ${id} of type ${record.type} cannot be canceled`);
    }
    const next = recordAfterRequest(record, request, this.#kv.reading(), reason);
    if (next !== record) await this.#write(txn, record, next);
  }

  pause(id: JobId, reason?: string): Promise<void> {
    return this.#kv.run((txn) => this.request(txn, id, 'pause', reason));
  }

  resume(id: JobId): Promise<void> {
    return this.#kv.run((txn) => this.request(txn, id, 'resume'));
  }

  cancel(id: JobId): Promise<void> {
    return this.#kv.run((txn) => this.request(txn, id, 'cancel'));
  }

  /**
   * Resolves with the record once the job is terminal, or paused unless `throughPauses`. Rejects with 42704 for an
   * unknown job, 57P01 when the registry closes, and the signal's reason. An effect that is registered with the
   * Activity wraps the call in suspend(). `untilClaimed`: it also resolves once a node has the job.
   */
  async wait(id: JobId, options: { signal?: AbortSignal; throughPauses?: boolean; untilClaimed?: boolean } = {}): Promise<JobRecord> {
    const { signal, throughPauses = false, untilClaimed = false } = options;
    const isDone = (record: JobRecord) =>
      isTerminal(record.status) || (record.status === 'paused' && !throughPauses) || (untilClaimed && record.claim !== undefined);
    signal?.throwIfAborted();
    return await new Promise<JobRecord>((resolve, reject) => {
      const waiters = this.#waiters.get(id) ?? new Set<Waiter>();
      this.#waiters.set(id, waiters);
      const stop = () => {
        waiters.delete(waiter);
        if (waiters.size === 0 && this.#waiters.get(id) === waiters) this.#waiters.delete(id);
        signal?.removeEventListener('abort', onAbort);
      };
      const onAbort = () => {
        stop();
        reject(signal?.reason);
      };
      const waiter: Waiter = (record) => {
        if (record && !isDone(record)) return;
        stop();
        if (record) resolve(record);
        else reject(this.#isOpen ? unknownJob(id) : new StateError(SqlState.AdminShutdown, `job ${id}: the server is shutting down`));
      };
      waiters.add(waiter);
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#wake(id);
    });
  }

  isAutomatic(type: string): boolean {
    return this.#types.get(type)?.isAutomatic ?? false;
  }

  /** Every registered type, sorted. */
  types(): string[] {
    return [...this.#types.keys()].sort();
  }

  /** The names of a type's pausepoints, in the order in which its work comes to them. */
  stepsOf(type: string): readonly string[] {
    return this.#types.get(type)?.pausepoints ?? [];
  }

  /** Gives a job to another user, in the caller's transaction. Throws 42704. */
  async changeOwner(txn: Txn, id: JobId, user: string): Promise<void> {
    const record = await this.table.read(txn, id, { validated: true });
    if (!record) throw unknownJob(id);
    await this.table.write(txn, { ...record, user });
  }

  /** Ids of the jobs that run on a node now. */
  runningOn(nodeId: number): JobId[] {
    return [...this.#runners.values()].filter((runner) => runner.node.id === nodeId).map((runner) => runner.jobId);
  }

  /** The actor of a running job, for inspection. */
  runner(id: JobId): (JobContext & Pick<JobRunner, 'actor'>) | undefined {
    return this.#runners.get(id);
  }

  /** Stores a record, and tells of a new status in the same transaction. */
  #write(txn: Txn, before: JobRecord | undefined, next: JobRecord): Promise<void> {
    if (before?.status !== next.status) this.#onStatusChange(txn, { record: next, previous: before?.status });
    return this.table.write(txn, next);
  }

  /** Looks at a job soon; a look that is under way is followed by another. */
  #wake(id: JobId): void {
    if (!this.#isOpen) return;
    if (this.#looking.has(id)) {
      this.#looking.set(id, true);
      return;
    }
    this.#looking.set(id, false);
    void this.#kv.activity.during(`job ${id}: look`, async () => {
      try {
        do {
          this.#looking.set(id, false);
          this.#metrics.adoptIterations.add();
          await this.#look(id);
        } while (this.#looking.get(id) && this.#isOpen);
        this.#looking.delete(id);
      } catch (error) {
        this.#lookFailed(id, error);
      }
    });
  }

  /** Looks again: at a row that was spoilt by hand when it is changed, otherwise after a while. */
  #lookFailed(id: JobId, error: unknown): void {
    const isChanged = this.#looking.get(id) === true;
    this.#looking.delete(id);
    if (!this.#isOpen) return;
    if (isChanged) this.#wake(id);
    else if (!(error instanceof CorruptionError)) this.#kv.clock.setTimer(this.#retryDelayMicros(1), () => this.#wake(id));
  }

  /** Does what the row calls for: tells the runner, answers a request that nobody else can, or claims. */
  async #look(id: JobId): Promise<void> {
    const record = await this.get(id);
    if (!this.#isOpen) return;
    if (!record || !isActive(record.status)) {
      if (record?.finished !== undefined) this.#keepUntilRetention(id, record.finished);
      else if (!record) this.#finished.delete(id);
      this.#answer(id, record);
      return;
    }
    const runner = this.#runners.get(id);
    if (record.claim !== undefined) this.#answer(id, record);
    if (runner) runner.notice(record);
    else if (record.status === 'pause-requested' || record.status === 'cancel-requested') await this.#acknowledge(id);
    else if (this.#types.has(record.type)) await this.#claim(record);
  }

  /** Answers a request for a job that nobody runs; the commit wakes the job again. */
  async #acknowledge(id: JobId): Promise<void> {
    await this.#kv.run(async (txn) => {
      const record = await this.table.read(txn, id, { validated: true });
      const next = record && recordAfter(record, { type: 'job.acknowledge' }, this.#kv.reading(), { claim: undefined });
      if (next) await this.#write(txn, record, next);
    }, AS_EFFECT);
  }

  async #claim({ id, type, details }: JobRecord): Promise<void> {
    const node = this.#chooseNode((candidate) => this.#types.get(type)?.mayRunOn(details, candidate) ?? true);
    // Without a live node the job waits; node.started wakes it.
    if (!node) return;
    const nodeEpoch = node.epoch;
    const { cluster } = this.#kv;
    const isLive = () => cluster.isLiveIn(node.id, nodeEpoch);
    const claimed = await this.#kv.run(async (txn) => {
      const record = await this.table.read(txn, id, { validated: true });
      if (!record || !isLive()) return undefined;
      const next = recordAfter(record, { type: 'job.claim' }, this.#kv.reading(), {
        claim: { nodeId: node.id, nodeEpoch },
        claimEpoch: record.claimEpoch + 1,
      });
      if (next) await this.#write(txn, record, next);
      return next;
    }, AS_EFFECT);
    if (claimed) this.#metrics.claimed.add();
    if (!claimed || !this.#isOpen) return;
    // The node died between the claim and here: the claim is void, so try another one.
    if (!isLive()) this.#wake(id);
    else this.#run(claimed, node, nodeEpoch);
  }

  #run(record: JobRecord, node: ClusterNode, nodeEpoch: number): void {
    const type = this.#types.get(record.type);
    assert(type !== undefined, `no job type ${record.type}`);
    this.#metrics.resumed.add();
    const runner = new JobRunner(this.#environment, record, node, nodeEpoch, type.make(record.details), type.limits);
    this.#runners.set(record.id, runner);
    const done = this.#kv.activity
      .during(`job ${record.id}`, () => runner.run())
      .then(
        () => this.#runEnded(runner),
        () => this.#runEnded(runner, this.#retryDelayMicros(1)),
      );
    this.#runs.set(runner, done);
  }

  /** Looks at the row again; after a delay when the runner could not even store how its work ended. */
  #runEnded(runner: JobRunner, delayMicros = 0): void {
    this.#runs.delete(runner);
    if (this.#runners.get(runner.jobId) === runner) this.#runners.delete(runner.jobId);
    if (delayMicros === 0) this.#wake(runner.jobId);
    else if (this.#isOpen) this.#kv.clock.setTimer(delayMicros, () => this.#wake(runner.jobId));
  }

  /** Of the live nodes that the job prefers, or else of all, the one with the fewest jobs, then the lowest id. */
  #chooseNode(isPreferred: (node: ClusterNode) => boolean): ClusterNode | undefined {
    let best: ClusterNode | undefined;
    let bestCount = Number.POSITIVE_INFINITY;
    const live = this.#kv.cluster.liveNodes();
    const preferred = live.filter(isPreferred);
    for (const node of preferred.length > 0 ? preferred : live) {
      const count = this.runningOn(node.id).length;
      if (count < bestCount) [best, bestCount] = [node, count];
    }
    return best;
  }

  #onClusterEvent(event: ClusterEvent): void {
    if (event.type === 'node.stopped' || event.type === 'node.draining') {
      for (const runner of [...this.#runners.values()]) {
        if (runner.node.id !== event.nodeId) continue;
        this.#runners.delete(runner.jobId);
        runner.lose();
        this.#wake(runner.jobId);
      }
    } else if (event.type === 'node.started') {
      void this.#kv.activity.during('job adoption', async () => {
        for (const record of await this.listUnfinished()) if (isActive(record.status)) this.#wake(record.id);
      });
    }
  }

  /** Resolves once the work on a draining node, whose claims are void already, has ended. */
  async #drain(node: ClusterNode): Promise<void> {
    await Promise.all([...this.#runs].map(([runner, done]) => (runner.node === node ? done : undefined)));
  }

  #answer(id: JobId, record: JobRecord | undefined): void {
    for (const waiter of [...(this.#waiters.get(id) ?? [])]) waiter(record);
  }

  /** Doubles from the initial to the greatest delay. */
  #retryDelayMicros(attempts: number): number {
    return Math.min(this.#settings.retryMaxDelayMicros(), this.#settings.retryInitialDelayMicros() * 2 ** (attempts - 1));
  }

  #keepUntilRetention(id: JobId, finished: Timestamp): void {
    if (this.#finished.has(id)) return;
    this.#finished.set(id, finished);
    if (!this.#retentionTimer) this.#armRetention();
  }

  #rearmRetention(): void {
    this.#retentionTimer?.cancel();
    this.#armRetention();
  }

  /** One timer, for the job that goes next. */
  #armRetention(): void {
    this.#retentionTimer = undefined;
    if (this.#finished.size === 0 || !this.#isOpen) return;
    const due = Math.min(...this.#finished.values()) + this.#settings.retentionMicros();
    this.#retentionTimer = this.#kv.clock.setTimer(Math.max(0, due - this.#kv.clock.nowMicros()), () => {
      void this.#kv.activity.during('job retention', () => this.#deleteExpired());
    });
  }

  async #deleteExpired(): Promise<void> {
    const expiry = this.#kv.clock.nowMicros() - this.#settings.retentionMicros();
    const expired = [...this.#finished].filter(([, finished]) => finished <= expiry).map(([id]) => id);
    await this.#kv.run(async (txn) => {
      for (const id of expired) await this.table.delete(txn, id);
    }, AS_EFFECT);
    for (const id of expired) this.#finished.delete(id);
    this.#armRetention();
  }

  async #pauseAll(): Promise<void> {
    await this.#kv.run(async (txn) => {
      for (const record of await this.table.listUnfinished(txn)) {
        let paused: JobRecord | undefined = record;
        // A cancel under way goes to reverting first; each step is legal, and three are the most it takes.
        for (let step = 0; step < 3 && paused && isActive(paused.status); step++) {
          const isRequested = paused.status === 'pause-requested' || paused.status === 'cancel-requested';
          const event = isRequested ? ({ type: 'job.acknowledge' } as const) : ({ type: 'job.pause' } as const);
          paused = recordAfter(paused, event, this.#kv.reading(), { pauseReason: 'the database was forked' });
        }
        if (paused && paused !== record) await this.#write(txn, record, paused);
      }
    });
  }

  async #reading<T>(reader: KvReader | undefined, read: (from: KvReader) => Promise<T>): Promise<T> {
    if (reader) return await read(reader);
    const txn = this.#kv.begin({ readOnly: true, name: 'job registry' });
    try {
      return await read(txn);
    } finally {
      txn.rollback();
    }
  }
}

/** The record of a job that succeeded; for any other end, the error that its waiting statement reports. */
export function requireSucceeded(record: JobRecord): JobRecord {
  if (record.status === 'succeeded') return record;
  if (record.status === 'canceled') throw new StateError(SqlState.QueryCanceled, 'job canceled by user', { detail: `job ${record.id}` });
  if (record.status === 'paused') {
    const reason = record.pauseError?.message ?? record.pauseReason;
    throw new StateError(
      SqlState.ObjectNotInPrerequisiteState,
      `job ${record.id} was paused before it completed${reason ? `: ${reason}` : ''}`,
      {
        hint: 'RESUME JOB lets it go on',
      },
    );
  }
  if (record.error) throw fromJobError(record.error);
  throw new VarveError(SqlState.InternalError, `internal error: job ${record.id} ended ${record.status} without an error`);
}

export function unknownJob(id: JobId): StatementError {
  return new StatementError(SqlState.UndefinedObject, `job with ID ${id} does not exist`);
}
