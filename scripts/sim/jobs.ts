/**
 * Jobs: every job of the database, watched from outside: what becomes of it must be what was done to it.
 *
 *   V1  a job fails only of a fault that was injected while it lived, or of what its statement is
 *       allowed to meet
 *   V2  no job pauses itself because of a bug
 *   V3  what a terminal job no longer needs is gone (leftovers.ts)
 */
import { tablePrefix } from '../../src/base/keycode.ts';
import type { JobContext, JobError, JobRecord } from '../../src/jobs/job.ts';
import { isTerminal } from '../../src/jobs/jobMachine.ts';
import type { Dice } from './dice.ts';
import { codeOf, tell, type World } from './world.ts';
import type { Zones } from './zones.ts';

/** What a damaged or failing storage makes of a job. */
export const STORAGE_CODES = new Set(['58030', '58P01', '58P02', 'XX001', '58000', '53100', '0A000']);

/** How a job says that the storage kept it from taking back what it had written. */
export const FILES_ARE_LEFT = 'files are left';

export interface WatchedJob {
  readonly id: number;
  readonly type: string;
  record: JobRecord;
  isChecked: boolean;
}

export class Jobs {
  readonly #world: World;
  readonly #zones: Zones;
  readonly #dice: Dice;
  readonly watched = new Map<number, WatchedJob>();
  /** Jobs whose rows have been written since the last look. */
  readonly #changed = new Set<number>();
  /** Chance in percent that something happens at a pausepoint. */
  chaosPercent = 0;
  /** Chance in percent that a backup is taken in the middle of a backfill. */
  besidePercent = 0;
  /** What happens beside the next backfill, once. */
  besideNextChange: (() => Promise<void>) | undefined;
  /** Chance in percent that a restore loses its node in the middle of its data. */
  bouncePercent = 0;
  /** Starts a backup and waits for a while: a job that stands at a pausepoint meanwhile may be in the middle of anything. */
  backUp: (dice: Dice) => Promise<void> = async () => {};
  readonly #done: ((job: WatchedJob) => void)[] = [];

  constructor(world: World, zones: Zones, dice: Dice) {
    this.#world = world;
    this.#zones = zones;
    this.#dice = dice;
    const { jobs, kv } = world.db;
    jobs.pausepoints.setHook((name, ctx) => this.#atPausepoint(name, ctx));
    kv.addCommitHook(jobs.table.span, {
      apply: ({ keys }) => {
        for (const key of keys) this.#changed.add(jobs.table.idOfKey(key));
      },
    });
  }

  /** `listener` hears of each job once, when it is seen to be terminal. */
  onTerminal(listener: (job: WatchedJob) => void): void {
    this.#done.push(listener);
  }

  /** Whether some job has got on, or ended, since the last look. */
  get hasNews(): boolean {
    return this.#changed.size > 0;
  }

  /** Runs a judgement that depends on jobs once all are known that have been begun or have ended. */
  judgeLater(judge: () => void): void {
    this.#world.judgeLater(() => (this.hasNews ? this.judgeLater(judge) : judge()));
  }

  /** Whether what ran from `from` on may have met a fault, or files that a backup wrote under one and has not removed yet. */
  mayMeetDamage(from: number, to?: number): boolean {
    if (this.#world.hadFaultsSince(from, to)) return true;
    return [...this.watched.values()].some(({ record: { type, status, created, finished, runningStatus } }) => {
      const isGone = isTerminal(status) && status !== 'revert-failed' && runningStatus?.startsWith(FILES_ARE_LEFT) !== true;
      return type === 'BACKUP' && this.#world.hadFaultsSince(created, finished) && (!isGone || (finished ?? 0) >= from);
    });
  }

  mayHaveMetFaults({ record }: WatchedJob): boolean {
    return this.mayMeetDamage(record.created, record.finished);
  }

  active(): WatchedJob[] {
    return [...this.watched.values()].filter((job) => !isTerminal(job.record.status));
  }

  /** Looks at every row of system.jobs that has changed. */
  async look(): Promise<void> {
    const world = this.#world;
    const changed = [...this.#changed].sort((a, b) => a - b);
    this.#changed.clear();
    for (const id of changed) {
      const record = await world.db.jobs.get(id);
      if (!record) continue;
      const known = this.watched.get(record.id);
      const job: WatchedJob = known ?? {
        id: record.id,
        type: record.type,
        record,
        isChecked: false,
      };
      if (!known) {
        this.watched.set(record.id, job);
        world.count(`job ${record.type}`);
      }
      if (known && known.record.status !== record.status) world.note(`job ${record.id} ${record.type} ${record.status}`);
      job.record = record;
      if (record.pauseError?.code === 'XX000') {
        world.fail('internal error', `job ${record.id} (${record.description}) paused itself: ${record.pauseError.message}`);
      }
      if (isTerminal(record.status) && !job.isChecked) {
        job.isChecked = true;
        world.count(`job ${record.type} ${record.status}`);
        this.#judge(job);
        for (const listener of this.#done) listener(job);
      }
    }
  }

  #judge(job: WatchedJob): void {
    const { record } = job;
    const { error } = record;
    if (record.status === 'revert-failed' && !this.mayHaveMetFaults(job)) {
      this.#world.fail('revert failed', `job ${record.id}: ${record.executionErrors.join('; ')}`);
    }
    if (record.status !== 'failed' || !error) return;
    this.#world.count(`job ${record.type} failed: ${error.code}`);
    const isFault = STORAGE_CODES.has(error.code) && this.mayHaveMetFaults(job);
    const isAllowed = (ALLOWED[record.type]?.has(error.code) ?? false) || isOutOfPlace(record, error);
    if (isFault || isAllowed) return;
    const told = `job ${record.id}: ${record.description}\n    ${error.code} ${error.message} (${error.detail ?? ''})`;
    this.#world.judgeLater(() => {
      if (!this.#hasLostItsHold(record, error)) this.#world.fail('job failed', told);
    });
  }

  /** A backup's protection does not hold a table that is excluded from backups while it is under way. */
  #hasLostItsHold({ type, created, finished }: JobRecord, error: { code: string; detail?: string | undefined }): boolean {
    if (type !== 'BACKUP' || error.code !== '72000') return false;
    const tableId = Number(/\b(?:table|index) (?:\S+ \()?(\d+)/.exec(error.detail ?? '')?.[1]);
    const table = this.#zones.tables.get(tableId)?.table;
    const isLost = table?.wasExcluded(created, finished ?? this.#world.now) ?? false;
    if (isLost) this.#world.count('backup that lost its hold on an excluded table');
    return isLost;
  }

  /** Pauses, resumes or cancels some job. */
  async request(dice: Dice): Promise<void> {
    const job = dice.maybe(this.active());
    if (!job) return;
    const status = job.record.status;
    const what = status === 'paused' ? dice.pick(['resume', 'resume', 'cancel']) : dice.pick(['pause', 'pause', 'cancel']);
    await this.#ask(job.id, what as 'pause' | 'resume' | 'cancel');
  }

  async resumeAll(): Promise<void> {
    for (const job of this.active()) if (job.record.status === 'paused') await this.#ask(job.id, 'resume');
  }

  async #ask(id: number, what: 'pause' | 'resume' | 'cancel'): Promise<void> {
    this.#world.count(`${what} job`);
    this.#world.note(`${what} job ${id}`);
    try {
      await this.#world.db.jobs[what](id);
    } catch (error) {
      const code = codeOf(error);
      this.#world.count(`${what} job: ${code}`);
      // 55000: not in this status; 42704: gone after its retention time.
      if (code !== '55000' && code !== '42704') this.#world.fail('unexpected error', `${what} job ${id}: ${tell(error)}`, error);
    }
  }

  async #atPausepoint(name: string, ctx: JobContext): Promise<void> {
    const world = this.#world;
    const dice = this.#dice;
    if (/^schemachange\.after(Protect|Ingest|Checkpoint)/.test(name) && dice.percent(this.besidePercent)) {
      world.count(`back up at ${name}`);
      world.note(`job ${ctx.jobId} at ${name}: back up`);
      await this.backUp(dice);
    }
    if (name === 'schemachange.afterProtect' && this.besideNextChange) {
      const beside = this.besideNextChange;
      this.besideNextChange = undefined;
      world.note(`job ${ctx.jobId} at ${name}: a layer`);
      await beside();
    }
    if (/^restore\.after(First)?(Checkpoint|Ingest)$/.test(name) && dice.percent(this.bouncePercent)) {
      world.count(`bounce at ${name}`);
      world.note(`job ${ctx.jobId} at ${name}: n${ctx.node.id} stops and starts`);
      world.db.kv.cluster.stopNode(ctx.node.id);
      world.db.kv.cluster.startNode(ctx.node.id);
      return;
    }
    if (!dice.percent(this.chaosPercent)) return;
    const what = dice.pick(['pause', 'cancel', 'crash', 'crash', 'pause', 'move leases', 'collect garbage', 'back up', 'back up']);
    world.count(`${what} at ${name}`);
    world.note(`job ${ctx.jobId} at ${name}: ${what}`);
    const { kv } = world.db;
    switch (what) {
      case 'pause':
      case 'cancel':
        await this.#ask(ctx.jobId, what);
        return;
      case 'crash':
        if (kv.cluster.liveNodes().length > 1) kv.cluster.stopNode(ctx.node.id);
        return;
      case 'move leases': {
        const nodes = kv.cluster.liveNodes();
        for (const tableId of kv.tableIds()) {
          const node = dice.maybe(nodes);
          if (!node || tableId < 50) continue;
          for (const range of kv.ranges.overlapping({ key: tablePrefix(tableId), endKey: tablePrefix(tableId + 1) })) {
            kv.ranges.transferLease(range.rangeId, node.id);
          }
        }
        return;
      }
      case 'back up':
        await this.backUp(dice);
        return;
      case 'collect garbage':
        void kv.gc.runGc();
        return;
    }
  }
}

/** The nodes that a backup or restore asked for are gone, or one has no place of its own to write to; or another backup has taken its place, or a deletion its chain. */
function isOutOfPlace({ type }: JobRecord, { code, message }: JobError): boolean {
  if (type === 'RESTORE') return code === '55000' && /no instances found/.test(message);
  if (type !== 'BACKUP') return false;
  return code === '55000' ? /STRICT STORAGE LOCALITY|no instances found|would continue is gone/.test(message) : code === '58P02';
}

/** Codes that a job of a type may fail with without any fault: its directory is in use by another, its names are taken by now. */
const ALLOWED: Readonly<Record<string, ReadonlySet<string>>> = {
  BACKUP: new Set(['55006']),
  RESTORE: new Set(['42P07', '42P04', '3D000']),
  // Another job is at work there, has done it, or has taken away what was to be merged.
  'COMPACT BACKUP': new Set(['55006', '55000', '58P01', '58P02']),
  'DELETE BACKUPS': new Set(['55006']),
  'SCHEMA CHANGE': new Set(['23505']),
};
