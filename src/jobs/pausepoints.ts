/**
 * Pausepoints: named stops in jobs, one beside each durable write.
 *
 * A job type declares its names when it registers. An operator or test lists names in the cluster
 * setting `jobs.debug.pausepoints`; a job that comes to one of them pauses itself, and goes on from
 * its checkpoint after RESUME (and pauses there again while the name is listed). A test may also
 * hang a function on every pausepoint: to look, or to stop the node just there.
 */
import { assert } from '../base/assert.ts';
import { StatementError, VarveError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';

import type { JobContext } from './job.ts';

export type PausepointHook = (name: string, ctx: JobContext) => void | Promise<void>;

/** Thrown at a listed pausepoint; the runner pauses the job for it. */
export class PausepointError extends VarveError {
  constructor(name: string) {
    super(SqlState.ObjectNotInPrerequisiteState, `pause point "${name}" hit`, {
      hint: 'RESUME JOB goes on once the name is taken out of the setting jobs.debug.pausepoints',
    });
  }
}

export class Pausepoints {
  readonly #known = new Set<string>();
  readonly #aliases = new Map<string, string[]>();
  readonly #listed: () => string;
  #hook: PausepointHook | undefined;

  /** `listed`: the present value of the setting. */
  constructor(listed: () => string) {
    this.#listed = listed;
  }

  /** Names of one job type, such as `backup.afterManifest`. Each belongs to one type. `aliases`: other names that the setting takes for them, also of several types. */
  define(names: readonly string[], aliases: Readonly<Record<string, string>> = {}): void {
    for (const name of names) {
      assert(!this.#known.has(name), `pausepoint ${name} defined twice`);
      this.#known.add(name);
    }
    for (const [alias, name] of Object.entries(aliases)) {
      assert(names.includes(name), `pausepoint alias ${alias} for ${name}, which is none`);
      this.#aliases.set(alias, [...(this.#aliases.get(alias) ?? []), name]);
    }
  }

  /** Every defined name, sorted. */
  names(): string[] {
    return [...this.#known].sort();
  }

  /** Throws 22023 naming what in a setting's value is no pausepoint. */
  checkSetting(value: string): void {
    const unknown = splitNames(value).filter((name) => !this.#known.has(name) && !this.#aliases.has(name));
    if (unknown.length > 0) {
      throw new StatementError(SqlState.InvalidParameterValue, `unknown pause point: ${unknown.join(', ')}`, {
        hint: `pause points are ${this.names().join(', ')}`,
      });
    }
  }

  /** Calls `hook` at every pausepoint, before the setting counts; undefined removes it. */
  setHook(hook: PausepointHook | undefined): void {
    this.#hook = hook;
  }

  /** Throws PausepointError when the name is listed, and the signal's reason when the hook ended the claim. */
  async reach(name: string, ctx: JobContext): Promise<void> {
    assert(this.#known.has(name), `pausepoint ${name} is not defined`);
    await this.#hook?.(name, ctx);
    ctx.signal.throwIfAborted();
    const listed = splitNames(this.#listed()).find((one) => one === name || this.#aliases.get(one)?.includes(name));
    if (listed !== undefined) throw new PausepointError(listed);
  }
}

function splitNames(value: string): string[] {
  return value
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}
