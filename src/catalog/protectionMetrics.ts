/**
 * ProtectionMetrics: what is done with protected timestamp records. An operation that writes has
 * succeeded when its transaction commits; it has failed when it is refused, then or in the commit step.
 */
import type { Counter, MetricRegistry } from '../base/metrics.ts';
import type { Txn } from '../kv/kv.ts';

interface Outcomes {
  readonly success: Counter;
  readonly failed: Counter;
}

export class ProtectionMetrics {
  readonly #protect: Outcomes;
  readonly #release: Outcomes;
  readonly #update: Outcomes;
  readonly #get: Outcomes;

  constructor(registry: MetricRegistry) {
    const outcomes = (operation: string, what: string): Outcomes => ({
      success: registry.counter({ name: `kv.protectedts.${operation}.success`, help: `Protected timestamp records ${what}` }),
      failed: registry.counter({
        name: `kv.protectedts.${operation}.failed`,
        help: `Protected timestamp records that could not be ${what}`,
      }),
    });
    this.#protect = outcomes('protect', 'made');
    this.#release = outcomes('release', 'released');
    this.#update = outcomes('update_timestamp', 'moved forward');
    this.#get = outcomes('get_record', 'read');
  }

  protect(txn: Txn, work: () => Promise<void>): Promise<void> {
    return written(this.#protect, txn, work);
  }

  update(txn: Txn, work: () => Promise<void>): Promise<void> {
    return written(this.#update, txn, work);
  }

  release(txn: Txn, work: () => Promise<void>): Promise<void> {
    return written(this.#release, txn, work);
  }

  async get<T>(work: () => Promise<T>): Promise<T> {
    try {
      const record = await work();
      this.#get.success.add();
      return record;
    } catch (error) {
      this.#get.failed.add();
      throw error;
    }
  }

  /** A record that was written is refused by the commit step: its time is not kept any more. */
  noteRefused(): void {
    this.#protect.failed.add();
  }
}

async function written({ success, failed }: Outcomes, txn: Txn, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    failed.add();
    throw error;
  }
  txn.afterCommit(() => success.add());
}
