/**
 * Job sweep: everything that can stop a job, at every pausepoint of its type. Which those are the registry says, so a
 * new pausepoint is swept by itself, and one that no run comes to fails the test.
 *
 *   stop     the coordinator's node stops there: another node finishes
 *   pause    PAUSE there, then RESUME: it finishes
 *   cancel   CANCEL there: it is canceled, and nothing is left
 *   outage   the storage fails from there on, and comes back a minute later: it finishes.
 *            Or it does not come back until the job gives up: `exhausted` says how; of one that is paused, RESUME finishes
 *
 * "Finishes" means that what it made equals what an undisturbed run makes. Pausepoints of the revert are come to by a
 * cancel at the last forward one, and there the same is done: it ends canceled, and nothing is left.
 */
import * as assert from 'uvu/assert';

import type { ManualClock } from '../../src/base/manualClock.ts';
import type { JobContext } from '../../src/jobs/job.ts';
import { isTerminal } from '../../src/jobs/jobMachine.ts';
import type { JobRegistry } from '../../src/jobs/registry.ts';
import type { Cluster } from '../../src/kv/cluster.ts';

export interface SweepRig {
  readonly type: string;
  readonly jobs: JobRegistry;
  readonly cluster: Cluster;
  readonly clock: ManualClock;
  /** What the n-th job needs, undisturbed. */
  prepare?(n: number): Promise<void>;
  /** Starts a job, the n-th, and returns its id. */
  start(n: number): Promise<number>;
  /** What the n-th made: the same text for every n. */
  result(n: number): Promise<string>;
  /** Everything that a job can leave, as lines. */
  traces(): Promise<string[]>;
  /** All calls of the storage fail between the two; absent for jobs without one. */
  readonly outage?: { begin(): void; end(): void };
  /** How it takes an outage without end; absent for one that tries for ever. */
  readonly exhausted?: 'failed' | 'paused';
  /** Pausepoints that other runs of the type come to, and their own tests sweep. */
  readonly elsewhere?: readonly string[];
}

type Disturbance = (ctx: JobContext) => void | Promise<void>;

/** Sweeps one rig; returns how many runs that were. */
export async function sweepJob(rig: SweepRig): Promise<number> {
  return await new Sweep(rig).run();
}

class Sweep {
  readonly #rig: SweepRig;
  #runs = 0;
  #expected = '';
  /** Runs that met an error and tried again. */
  #retries = 0;

  constructor(rig: SweepRig) {
    this.#rig = rig;
  }

  async run(): Promise<number> {
    const { forward, revert } = await this.#discover();
    for (const point of forward) {
      await this.#finishes(point, 'stop', (ctx) => this.#stopNode(ctx));
      await this.#finishes(point, 'pause', (ctx) => this.#rig.jobs.pause(ctx.jobId));
      await this.#leavesNothing(point, 'cancel', {});
      const { outage } = this.#rig;
      if (outage === undefined) continue;
      await this.#finishes(point, 'outage', () => outage.begin());
      if (this.#rig.exhausted) await this.#exhausts(point);
    }
    const last = forward.at(-1) ?? '';
    for (const point of revert) {
      await this.#leavesNothing(last, `stop at ${point}`, { [point]: (ctx) => this.#stopNode(ctx) });
      await this.#leavesNothing(last, `pause at ${point}`, { [point]: (ctx) => this.#rig.jobs.pause(ctx.jobId) });
      if (this.#rig.outage) await this.#leavesNothing(last, `outage at ${point}`, { [point]: () => this.#rig.outage?.begin() });
    }
    this.#rig.jobs.pausepoints.setHook(undefined);
    assert.ok(this.#rig.outage === undefined || this.#retries > 0, `${this.#rig.type}: no outage was met`);
    return this.#runs;
  }

  /** An undisturbed run, and one that is canceled at its last pausepoint. */
  async #discover(): Promise<{ forward: string[]; revert: string[] }> {
    const { jobs, type, elsewhere = [] } = this.#rig;
    const forward = new Set<string>();
    assert.is(await this.#job({}, (name) => forward.add(name)), 'succeeded', type);
    this.#expected = await this.#rig.result(this.#runs - 1);
    assert.ok(this.#expected.length > 0, 'a run makes something');
    const revert = new Set<string>();
    const last = [...forward].at(-1) ?? '';
    const status = await this.#job({ [last]: (ctx) => jobs.cancel(ctx.jobId) }, (name) => forward.has(name) || revert.add(name));
    assert.is(status, 'canceled', type);
    const unreached = jobs.stepsOf(type).filter((name) => !forward.has(name) && !revert.has(name) && !elsewhere.includes(name));
    assert.equal(unreached, [], `pausepoints of ${type} that no run comes to`);
    return { forward: [...forward], revert: [...revert] };
  }

  async #finishes(point: string, what: string, disturb: Disturbance): Promise<void> {
    const where = `${this.#rig.type}: ${what} at ${point}`;
    assert.is(await this.#job({ [point]: disturb }), 'succeeded', where);
    assert.is(await this.#rig.result(this.#runs - 1), this.#expected, where);
  }

  async #leavesNothing(cancelAt: string, what: string, disturbances: Readonly<Record<string, Disturbance>>): Promise<void> {
    const where = `${this.#rig.type}: ${what}, canceled at ${cancelAt}`;
    await this.#prepare();
    const before = await this.#rig.traces();
    const status = await this.#job({ [cancelAt]: (ctx) => this.#rig.jobs.cancel(ctx.jobId), ...disturbances });
    assert.is(status, 'canceled', where);
    assert.equal(await this.#rig.traces(), before, where);
  }

  async #exhausts(point: string): Promise<void> {
    const { jobs, outage, exhausted } = this.#rig;
    const where = `${this.#rig.type}: outage without end at ${point}`;
    const status = await this.#job({ [point]: () => outage?.begin() }, undefined, false);
    // Where nothing of the storage is needed any more.
    if (status !== 'succeeded') assert.is(status, exhausted, where);
    if (status === 'paused') {
      const id = this.#lastId;
      await jobs.resume(id);
      assert.is(await this.#end(id, true), 'succeeded', where);
    }
    if (status !== 'failed') assert.is(await this.#rig.result(this.#runs - 1), this.#expected, where);
  }

  #lastId = 0;
  #prepared = -1;

  async #prepare(): Promise<void> {
    if (this.#prepared === this.#runs) return;
    this.#prepared = this.#runs;
    this.#rig.jobs.pausepoints.setHook(undefined);
    await this.#rig.prepare?.(this.#runs);
  }

  /** Runs a job with a disturbance the first time it comes to each of these points; returns how it ends. */
  async #job(disturbances: Readonly<Record<string, Disturbance>>, seen?: (name: string) => void, heals = true): Promise<string> {
    const left = new Map(Object.entries(disturbances));
    await this.#prepare();
    this.#rig.jobs.pausepoints.setHook(async (name, ctx) => {
      seen?.(name);
      const disturb = left.get(name);
      left.delete(name);
      await disturb?.(ctx);
    });
    this.#lastId = await this.#rig.start(this.#runs++);
    const status = await this.#end(this.#lastId, heals);
    this.#rig.outage?.end();
    if ((await this.#rig.jobs.get(this.#lastId))?.executionErrors.length) this.#retries++;
    for (const node of this.#rig.cluster.nodes) if (!node.isLive) this.#rig.cluster.startNode(node.id);
    assert.equal([...left.keys()], [], `${this.#rig.type}: pausepoints that were to be come to`);
    return status;
  }

  /** Lets time pass until the job has ended, or is paused for good; `heals`: an outage ends, and a pause is resumed. */
  async #end(id: number, heals: boolean): Promise<string> {
    const { jobs, clock, outage } = this.#rig;
    for (let minutes = 0; minutes < 2000; minutes += 10) {
      await clock.activity.settled();
      const record = await jobs.get(id);
      if (record && isTerminal(record.status)) return record.status;
      if (record?.status === 'paused') {
        if (!heals) return 'paused';
        await jobs.resume(id);
        continue;
      }
      if (heals) {
        await clock.advance('20s');
        outage?.end();
      }
      await clock.advance('10m');
    }
    throw new Error(`job ${id} does not end: ${(await jobs.get(id))?.status}`);
  }

  #stopNode(ctx: JobContext): void {
    this.#rig.cluster.stopNode(ctx.node.id);
  }
}
