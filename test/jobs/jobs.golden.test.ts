/**
 * Golden scripts of jobs: three nodes, a manual clock, and toy jobs whose steps the script writes
 * (toyJobs.ts says which there are).
 *
 *   create NAME              steps in the input, one a line; after a line `revert:` those of the revert
 *   advance BY               moves the clock
 *   pause|resume|cancel NAME [reason=...]
 *   node stop|drain|start ID
 *   pausepoints NAMES        sets jobs.debug.pausepoints; none empties it
 *   stop-at POINT            the node that reaches this pausepoint first is stopped there
 *   show                     one line a job
 *
 * Every command prints what the jobs have logged since the one before, then its own output.
 */
import { isVarveError } from '../../src/base/errors.ts';
import type { JobRequest } from '../../src/jobs/transitions.ts';
import { jobRow } from '../../src/jobs/showJobs.ts';
import { goldenSuite, type GoldenCommand, type GoldenHandler } from '../support/golden.ts';
import { ToyCluster } from './toyJobs.ts';

goldenSuite('jobs', async () => {
  const toys = new ToyCluster();
  await toys.registry.start();
  return new JobScript(toys);
});

class JobScript implements GoldenHandler {
  readonly #toys: ToyCluster;
  readonly #ids = new Map<string, number>();

  constructor(toys: ToyCluster) {
    this.#toys = toys;
  }

  async run(command: GoldenCommand): Promise<string> {
    let output: string[];
    try {
      output = await this.#run(command);
    } catch (error) {
      if (!isVarveError(error)) throw error;
      output = [`error ${error.code}: ${error.message.replaceAll(/\d{10,}/g, (id) => this.#nameOf(Number(id)))}`];
    }
    await this.#toys.settle();
    return [...this.#toys.log.splice(0), ...output].join('\n');
  }

  close(): void {
    this.#toys.close();
  }

  async #run(command: GoldenCommand): Promise<string[]> {
    const [first = '', second = ''] = [...command.args.keys()];
    const { registry, kv, clock } = this.#toys;
    switch (command.name) {
      case 'create': {
        const [steps = '', revert = ''] = command.input.split(/^revert:\n?/m);
        const lines = (text: string) => text.split('\n').filter((line) => line !== '');
        this.#ids.set(first, await this.#toys.create({ name: first, steps: lines(steps), revert: lines(revert) }));
        return [];
      }
      case 'advance':
        await clock.advance(first);
        return [];
      case 'pause':
      case 'resume':
      case 'cancel':
        await kv.run((txn) => registry.request(txn, this.#ids.get(first) ?? 404, command.name as JobRequest, command.arg('reason')));
        return [];
      case 'node':
        if (first === 'stop') kv.cluster.stopNode(Number(second));
        else if (first === 'start') kv.cluster.startNode(Number(second));
        else await kv.cluster.drainNode(Number(second));
        return [];
      case 'pausepoints':
        this.#toys.settings.pausepoints = first;
        return [];
      case 'stop-at':
        registry.pausepoints.setHook((name, ctx) => {
          if (name !== first) return;
          registry.pausepoints.setHook(undefined);
          kv.cluster.stopNode(ctx.node.id);
        });
        return [];
      case 'show':
        await this.#toys.settle();
        return await this.#show();
      default:
        throw new Error(`${command.where}: no command ${command.name}`);
    }
  }

  async #show(): Promise<string[]> {
    const records = await this.#toys.registry.list();
    return records.map((record) => {
      const row = jobRow(record, this.#toys.kv.cluster);
      const parts = [
        `${this.#nameOf(record.id)} ${row.status}`,
        `${Math.round(row.fraction_completed * 100)}%`,
        row.coordinator_id === 0 ? '' : `on n${row.coordinator_id}`,
        row.started === null ? '' : `started ${this.#toys.elapsed(row.started)}`,
        row.finished === null ? '' : `finished ${this.#toys.elapsed(row.finished)}`,
        row.running_status ?? '',
        row.error === '' ? '' : `error "${row.error}"`,
        row.execution_errors.length === 0 ? '' : `execution errors ${row.execution_errors.length}`,
      ];
      return parts.filter((part) => part !== '').join(', ');
    });
  }

  #nameOf(id: number): string {
    for (const [name, known] of this.#ids) if (known === id) return name;
    return String(id);
  }
}
