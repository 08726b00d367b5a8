/**
 * Simulation: one run: a seed, a number of steps, and what became of them.
 *
 * A step lets one actor do one thing and does not wait for it; between steps a random number of
 * microtasks run, so statements, jobs and GC are in flight together. Now and then everything settles,
 * the model catches up with what was committed, and the invariants are checked. At the end faults
 * stop, nodes return, jobs resume, and every backup is restored to moments that it claims.
 */
import { type TestFault, withTestFault } from '../../src/base/testFaults.ts';
import type { Session } from '../../src/sql/exec/session.ts';
import { Backups } from './backups.ts';
import { Clients } from './clients.ts';
import { Clusters } from './clusters.ts';
import { advance, advanceBy, collectGarbage, merge, moveLease, nodes, split, startAllNodes, within, ENDING_TURNS_MAX } from './cluster.ts';
import { Dice } from './dice.ts';
import { randomFaults } from './faults.ts';
import { Forks } from './forks.ts';
import { Housekeeping } from './housekeeping.ts';
import { Jobs } from './jobs.ts';
import { checkCatalog, checkEngine, checkProtections, checkStorage, checkTables } from './leftovers.ts';
import { Listings } from './listings.ts';
import { Proofs } from './proofs.ts';
import { Upkeep } from './upkeep.ts';
import { Protections } from './protections.ts';
import { Schema } from './schema.ts';
import { Stories } from './stories.ts';
import { SimFailure, settle, turns, World } from './world.ts';
import { Zones } from './zones.ts';

export interface RunOptions {
  readonly seed: string;
  readonly steps: number;
  /** Steps that are left out. */
  readonly skip?: ReadonlySet<number>;
  /** A known bug put back, which the run is to find (docs/advisories.md). */
  readonly fault?: TestFault | undefined;
  readonly tracing?: (line: string) => void;
}

export interface RunResult {
  /** Of the trace: equal for equal runs. */
  readonly digest: string;
  readonly counts: ReadonlyMap<string, number>;
  readonly trace: readonly string[];
  readonly failure:
    | { readonly invariant: string; readonly message: string; readonly step: number; readonly stack: string | undefined }
    | undefined;
}

/** What a step may do. */
type Act = (dice: Dice) => void | Promise<void>;

const CLIENTS = 4;
const MICROS_PER_HOUR = 3_600_000_000;
const HOURS_TO_END_MAX = 48;

export function simulate(options: RunOptions): Promise<RunResult> {
  return withTestFault(options.fault, () => runOnce(options));
}

async function runOnce(options: RunOptions): Promise<RunResult> {
  const dice = Dice.ofSeed(options.seed);
  const world = await World.open(dice.fork('world'), options.tracing);
  const run = new Run(world, dice);
  let step = 0;
  let failure: RunResult['failure'];
  try {
    await run.start();
    for (step = 1; step <= options.steps; step++) if (!options.skip?.has(step)) await run.step(step);
    await run.end();
  } catch (error) {
    const found = error instanceof SimFailure ? error : new SimFailure('crash', String(error), error);
    failure = { invariant: found.invariant, message: found.message, step, stack: ((found.cause as Error | undefined) ?? found).stack };
  }
  await world.close();
  return { digest: world.digest(), counts: world.counts, trace: world.trace, failure };
}

class Run {
  readonly #world: World;
  readonly #dice: Dice;
  readonly #zones = new Zones();
  readonly #clients: Clients;
  readonly #schema: Schema;
  readonly #jobs: Jobs;
  readonly #backups: Backups;
  readonly #housekeeping: Housekeeping;
  readonly #protections: Protections;
  readonly #forks: Forks;
  readonly #stories: Stories;
  readonly #checker: Session;
  readonly #acts: [weight: number, act: Act][];

  constructor(world: World, dice: Dice) {
    this.#world = world;
    this.#dice = dice;
    this.#clients = new Clients(world, this.#zones, CLIENTS);
    this.#schema = new Schema(world, this.#zones);
    this.#jobs = new Jobs(world, this.#zones, dice.fork('pausepoints'));
    this.#backups = new Backups(world, this.#jobs, this.#zones);
    this.#housekeeping = new Housekeeping(world, this.#backups, this.#jobs);
    this.#protections = new Protections(world, this.#zones);
    this.#forks = new Forks(world);
    this.#stories = new Stories(world, this.#schema, this.#clients, this.#backups, this.#jobs);
    this.#checker = world.db.newSession();
    this.#acts = this.#drawActs(dice.fork('acts'));
    const { protections } = world.db.kv.gc;
    let heldUntil = 0;
    protections.onBeforeChange(() => {
      if (protections.size > 0) heldUntil = world.now;
    });
    this.#zones.mayBeHeld = (since) => protections.size > 0 || heldUntil >= since;
  }

  #drawActs(dice: Dice): [number, Act][] {
    const world = this.#world;
    const clients: Act = (d) => this.#clients.step(d);
    const catchUp: Act = () => this.#catchUp();
    const check: Act = () => this.#check();
    return dice.swarm<Act>(
      [
        [55, clients],
        [1, (d) => this.#clients.cancelSome(d)],
        [7, (d) => this.#schema.step(d)],
        [4, (d) => this.#backups.backup(d)],
        [2, (d) => this.#stories.step(d)],
        [3, (d) => this.#backups.restore(d)],
        [4, (d) => this.#housekeeping.step(d)],
        [3, (d) => this.#jobs.request(d)],
        [2, (d) => split(world, d)],
        [1, (d) => merge(world, d)],
        [2, (d) => moveLease(world, d)],
        [2, (d) => nodes(world, d)],
        [3, () => collectGarbage(world)],
        [8, (d) => advance(world, d)],
        [1, (d) => randomFaults(world, d)],
        [2, (d) => void this.#protections.step(d)],
        [1, (d) => within(world, this.#forks.step(d), 'a fork')],
        [8, catchUp],
        [1, check],
      ],
      (act) => act === clients || act === catchUp || act === check,
    );
  }

  async start(): Promise<void> {
    await this.#schema.start(this.#dice.fork('schema'));
    const chaos = this.#dice.fork('chaos');
    this.#jobs.chaosPercent = chaos.pick([0, 3, 10, 25]);
    this.#jobs.besidePercent = chaos.pick([0, 0, 30, 60]);
    this.#jobs.bouncePercent = chaos.pick([0, 0, 10, 50]);
    this.#throwFailure();
  }

  async step(number: number): Promise<void> {
    const dice = this.#dice.fork(`step ${number}`);
    await dice.weighted(this.#acts)(dice);
    await turns(dice.between(0, 40));
    this.#throwFailure();
  }

  /** Lets what can run do so, and compares what clients were told with the model. */
  async #catchUp(): Promise<void> {
    await settle();
    await this.#jobs.look();
    await settle();
    if (!this.#world.catchUp()) return;
    if (!this.#world.faultsOn) await within(this.#world, this.#backups.deletions.resolve(), 'a look at what deletions have left');
    this.#clients.checkPast();
    await this.#backups.compare();
    this.#throwFailure();
  }

  async #check(): Promise<void> {
    const world = this.#world;
    await this.#catchUp();
    if (!world.catchUp()) return;
    await checkTables(world, this.#checker);
    checkEngine(world);
    checkProtections(world, this.#jobs);
  }

  async end(): Promise<void> {
    const world = this.#world;
    world.note('end');
    world.setFaults([]);
    this.#jobs.chaosPercent = 0;
    this.#jobs.besidePercent = 0;
    this.#jobs.bouncePercent = 0;
    startAllNodes(world);
    const isQuiet = () => this.#jobs.active().length === 0 && this.#backups.busy === 0 && !this.#schema.isBusy && !this.#stories.isBusy;
    for (let hour = 0; ; hour++) {
      const areIdle = this.#clients.finish();
      await this.#catchUp();
      await this.#jobs.resumeAll();
      // What was dropped waits for its history's end, which users hold up, also those who have only just been answered.
      await this.#protections.releaseAll();
      await settle();
      await this.#jobs.look();
      if (isQuiet() && areIdle) break;
      if (hour >= HOURS_TO_END_MAX) {
        const jobs = this.#jobs
          .active()
          .map(
            ({ record }) =>
              `job ${record.id} ${record.type} ${record.status} at ${Math.round(record.fractionCompleted * 100)}%, ${record.description}`,
          );
        throw new SimFailure(
          'stuck',
          `still under way: ${[...jobs, ...this.#clients.busyNames(), `${this.#backups.busy} statements on jobs`].join('; ')}`,
        );
      }
      if (hour > 2) await advanceBy(world, MICROS_PER_HOUR);
    }
    await this.#check();
    await within(world, this.#forks.end(), 'the last look at forks');
    await within(world, checkStorage(world, this.#backups, this.#jobs), 'the storage check');
    const upkeep = new Upkeep(world, this.#backups);
    await within(world, upkeep.compactSome(this.#dice.fork('compaction')), 'the compaction of chains', ENDING_TURNS_MAX);
    await within(world, this.#backups.restoreEverything(this.#dice.fork('end'), 2), 'the last restores', ENDING_TURNS_MAX);
    if (world.catchUp()) {
      const proofs = new Proofs(world, this.#backups);
      await within(world, proofs.proveEverything(this.#dice.fork('proofs'), 2), 'the proofs of backups', ENDING_TURNS_MAX);
      const listings = new Listings(world, this.#backups, this.#jobs);
      await within(world, listings.checkEverything(this.#dice.fork('listings')), 'the listings of collections', ENDING_TURNS_MAX);
      const clusters = new Clusters(world, this.#backups);
      await within(world, clusters.restoreEverything(this.#dice.fork('clusters'), 2), 'the last restores of clusters', ENDING_TURNS_MAX);
    }
    await within(world, upkeep.expireAll(this.#dice.fork('expiry')), 'the end of old backups', ENDING_TURNS_MAX);
    await this.#catchUp();
    await checkCatalog(world);
    await this.#check();
    this.#throwFailure();
  }

  #throwFailure(): void {
    if (this.#world.failure) throw this.#world.failure;
  }
}
