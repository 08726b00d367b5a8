/**
 * A cluster on a manual clock with one job type, `TOY`, whose work is a list of steps in its details:
 *
 *   sleep 10s            waits on the clock
 *   checkpoint           stores how many steps are done; a later run starts there
 *   fraction 0.5         stores the fraction
 *   pausepoint toy.half  toy.start, toy.half and toy.end are defined
 *   retry N              throws a retryable error the first N times it is reached
 *   fail / bug           throws a permanent error / an internal error
 *   hold                 waits until the signal aborts
 *   lock                 takes the lock of LOCKED_KEY in a transaction
 *   final-lock           the same in the job's last transaction
 *   zombie 20s           waits without heeding the signal, then tries to checkpoint
 *
 * `revert` steps are those of onFailOrCancel, without checkpoints. What happens is written to `log`.
 */
import { InlineExecutor } from '../../src/base/executor.ts';
import { sleep } from '../../src/base/clock.ts';
import { formatDuration, parseDuration } from '../../src/base/duration.ts';
import { StateError } from '../../src/base/errors.ts';
import { Ids } from '../../src/base/ids.ts';
import { KeyWriter } from '../../src/base/keycode.ts';
import { ManualClock } from '../../src/base/manualClock.ts';
import { seededRandom } from '../../src/base/random.ts';
import { SqlState } from '../../src/base/sqlState.ts';
import { type JobContext, type JobOutcome, type Resumer, RetryableJobError } from '../../src/jobs/job.ts';
import { systemJobTable } from '../../src/jobs/jobTable.ts';
import { JobRegistry, type JobTypeOptions } from '../../src/jobs/registry.ts';
import type { Txn } from '../../src/kv/kv.ts';
import { openKv } from '../../src/kv/localKv.ts';

const START = '2026-11-20T00:00:00Z';

export type ToyDetails = { readonly name: string; readonly steps: readonly string[]; readonly revert: readonly string[] };

/** What a client and a toy can quarrel about. */
export const LOCKED_KEY = new KeyWriter().tableIndex(900, 1).int(1).finish();

async function lockTheKey(txn: Txn): Promise<void> {
  await txn.lock([LOCKED_KEY]);
}

export class ToyCluster {
  readonly clock = new ManualClock(START);
  readonly log: string[] = [];
  readonly settings = { pausepoints: '', initial: parseDuration('30s'), max: parseDuration('10m'), retention: parseDuration('336h') };
  readonly kv;
  readonly registry;
  readonly #startMicros = this.clock.nowMicros();
  readonly #retries = new Map<string, number>();

  constructor(nodeCount = 3, type: JobTypeOptions = {}) {
    const ids = new Ids(seededRandom('toy jobs'), this.clock);
    this.kv = openKv({ clock: this.clock, executor: new InlineExecutor(), ids, localities: Array.from({ length: nodeCount }, () => '') });
    this.registry = this.newRegistry(type);
  }

  newRegistry(type: JobTypeOptions = {}, kv = this.kv): JobRegistry {
    const registry = new JobRegistry({
      kv,
      table: systemJobTable,
      settings: {
        pausepoints: () => this.settings.pausepoints,
        retryInitialDelayMicros: () => this.settings.initial,
        retryMaxDelayMicros: () => this.settings.max,
        retentionMicros: () => this.settings.retention,
      },
    });
    registry.register('TOY', { pausepoints: ['toy.start', 'toy.half', 'toy.end'], ...type }, (details) => {
      return new ToyResumer(this, details as ToyDetails);
    });
    return registry;
  }

  create(details: ToyDetails): Promise<number> {
    return this.kv.run((txn) => this.registry.create(txn, { type: 'TOY', description: details.name, user: 'root', details }));
  }

  /** `+1m30s`: time since the start. */
  elapsed(micros = this.clock.nowMicros()): string {
    return `+${formatDuration(micros - this.#startMicros)}`;
  }

  /** Lets everything run that time does not hold back. */
  async settle(): Promise<void> {
    await this.clock.advance(0);
  }

  /** How often this place has been reached, this time included. */
  reached(place: string): number {
    const count = (this.#retries.get(place) ?? 0) + 1;
    this.#retries.set(place, count);
    return count;
  }

  close(): void {
    this.registry.close();
    this.kv.close();
  }
}

class ToyResumer implements Resumer {
  readonly #toys: ToyCluster;
  readonly #details: ToyDetails;

  constructor(toys: ToyCluster, details: ToyDetails) {
    this.#toys = toys;
    this.#details = details;
  }

  async resume(ctx: JobContext): Promise<JobOutcome> {
    const done = (ctx.progress as { done?: number } | null)?.done ?? 0;
    this.#say(ctx, done === 0 ? 'resume' : `resume from step ${done + 1}`);
    await this.#steps(ctx, this.#details.steps, done);
    this.#say(ctx, 'done');
    const isLocking = this.#details.steps.includes('final-lock');
    return { result: [ctx.claimEpoch], ...(isLocking && { inFinalTxn: lockTheKey }) };
  }

  async onFailOrCancel(ctx: JobContext): Promise<undefined> {
    this.#say(ctx, `revert after ${ctx.error?.message ?? ctx.revertOutcome}`);
    await this.#steps(ctx, this.#details.revert, 0);
    this.#say(ctx, 'reverted');
  }

  async #steps(ctx: JobContext, steps: readonly string[], from: number): Promise<void> {
    for (let i = from; i < steps.length; i++) {
      const [verb = '', argument = ''] = (steps[i] ?? '').split(' ');
      if (verb === 'sleep') await ctx.sleep(parseDuration(argument));
      else if (verb === 'checkpoint') await ctx.checkpoint({ progress: { done: i + 1 } });
      else if (verb === 'fraction') await ctx.setFraction(Number(argument));
      else if (verb === 'pausepoint') await ctx.pausepoint(argument);
      else if (verb === 'hold') await this.#hold(ctx);
      else if (verb === 'lock') await ctx.txn(lockTheKey);
      else if (verb === 'final-lock') continue;
      else if (verb === 'zombie') await this.#zombie(ctx, argument, i);
      else if (verb === 'bug') throw new TypeError('x is not a function');
      else if (verb === 'fail') throw new StateError(SqlState.ObjectNotInPrerequisiteState, 'the toy broke', { hint: 'buy a better toy' });
      else if (verb !== 'retry') throw new Error(`no toy step ${steps[i]}`);
      else if (this.#toys.reached(`${ctx.jobId} ${steps === this.#details.revert} ${i}`) <= Number(argument)) {
        throw new RetryableJobError('the toy is wound down');
      }
      this.#say(ctx, steps[i] ?? '');
    }
  }

  async #hold(ctx: JobContext): Promise<never> {
    const { activity } = ctx.kv;
    return await activity.suspend(
      new Promise<never>((_, reject) => ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason), { once: true })),
    );
  }

  async #zombie(ctx: JobContext, duration: string, index: number): Promise<void> {
    const { activity, clock } = ctx.kv;
    await activity.suspend(sleep(clock, parseDuration(duration)));
    try {
      await ctx.checkpoint({ progress: { done: index + 1 } });
    } catch (error) {
      this.#say(ctx, `zombie refused: ${(error as Error).message}`);
      throw error;
    }
  }

  #say(ctx: JobContext, what: string): void {
    this.#toys.log.push(`${this.#toys.elapsed()} ${this.#details.name} n${ctx.node.id} epoch ${ctx.claimEpoch}: ${what}`);
  }
}
