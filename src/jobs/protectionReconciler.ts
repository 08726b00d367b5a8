/**
 * ProtectionReconciler: releases protected timestamps whose owner is gone.
 *
 * A job releases its records in its last transaction; a record that outlives its job (a row removed
 * by hand, a bug) would hold history for ever. Every kv.protectedts.reconciliation.interval each
 * record's owner is asked for, by the checks that know its kind.
 *
 *   PR1  a record is released only if its owner is terminal or missing in the transaction that releases it
 *   PR2  records of kinds without a check, those of people among them, are left alone
 */
import type { Actor } from 'xstate';
import { createActor } from 'xstate';

import { letGo } from '../base/errors.ts';
import type { Timer } from '../base/clock.ts';
import type { Counter } from '../base/metrics.ts';
import type { ProtectedRecords } from '../catalog/protectedRecords.ts';
import type { Kv, Txn, TxnOptions } from '../kv/kv.ts';

import { isTerminal } from './jobMachine.ts';
import type { JobTable } from './jobTable.ts';
import { reconcilerMachine } from './reconcilerMachine.ts';

/** Whether the owner that `meta` names still needs its record. */
export type OwnerCheck = (txn: Txn, meta: string) => Promise<boolean>;

/** For records whose `meta` is a job's id. */
export function jobOwnerCheck(jobs: JobTable): OwnerCheck {
  return async (txn, meta) => {
    const record = await jobs.read(txn, Number(meta), { validated: true });
    return record !== undefined && !isTerminal(record.status);
  };
}

export interface ProtectionReconcilerOptions {
  readonly kv: Kv;
  readonly protections: ProtectedRecords;
  readonly jobs: JobTable;
  /** Microseconds between looks. */
  intervalMicros(): number;
}

type Effect = 'armTimer' | 'cancelTimer' | 'reconcile';

/** By actor: so one machine serves every database, and a fork builds none. */
const effectsOf = new WeakMap<object, Readonly<Record<Effect, () => void>>>();

const run =
  (effect: Effect) =>
  ({ self }: { self: object }): void =>
    effectsOf.get(self)?.[effect]();

const machine = reconcilerMachine.provide({
  actions: { armTimer: run('armTimer'), cancelTimer: run('cancelTimer'), reconcile: run('reconcile') },
});

export class ProtectionReconciler {
  readonly actor: Actor<typeof reconcilerMachine>;
  readonly #options: ProtectionReconcilerOptions;
  readonly #checks = new Map<string, OwnerCheck>();
  readonly #stopListening: () => void;
  readonly #runs: Counter;
  readonly #processed: Counter;
  readonly #removed: Counter;
  readonly #errors: Counter;

  constructor(options: ProtectionReconcilerOptions) {
    this.#options = options;
    const { kv, jobs } = options;
    const counter = (name: string, help: string): Counter => kv.metrics.counter({ name: `kv.protectedts.reconciliation.${name}`, help });
    this.#runs = counter('num_runs', 'Looks at every record whose owner may be gone');
    this.#processed = counter('records_processed', 'Records whose owner was asked for');
    this.#removed = counter('records_removed', 'Records released because their owner is gone');
    this.#errors = counter('errors', 'Records whose owner could not be asked for');
    this.addOwnerCheck('jobs', jobOwnerCheck(jobs));
    let timer: Timer | undefined;
    this.actor = createActor(machine, { id: 'protectionReconciler' });
    effectsOf.set(this.actor, {
      armTimer: () => {
        timer = kv.clock.setTimer(Math.max(1, options.intervalMicros()), () => this.actor.send({ type: 'reconciler.tick' }));
      },
      cancelTimer: () => timer?.cancel(),
      reconcile: () => {
        void kv.activity
          .during('protection reconciler', () => this.#reconcile({ isEffect: true }))
          // Nothing is lost by a look that fails: the next one finds the same records.
          .catch(letGo)
          .then(() => this.actor.send({ type: 'reconciler.done', watches: this.#watched().length > 0 }));
      },
    });
    this.actor.start();
    this.#stopListening = kv.gc.protections.onChange(() => this.actor.send({ type: 'records.changed' }));
  }

  /** Adds the check of another kind of owner, such as 'schedules'. */
  addOwnerCheck(metaType: string, check: OwnerCheck): void {
    this.#checks.set(metaType, check);
  }

  start(): void {
    this.actor.send({ type: 'reconciler.start' });
  }

  close(): void {
    this.#stopListening();
    this.actor.send({ type: 'reconciler.stop' });
    this.actor.stop();
  }

  /** Looks at every record now; the ids of those released. */
  reconcile(): Promise<string[]> {
    return this.#reconcile({});
  }

  async #reconcile(txnOptions: TxnOptions): Promise<string[]> {
    const released: string[] = [];
    for (const { id } of this.#watched()) {
      try {
        if (await this.#releaseOrphan(id, txnOptions)) {
          released.push(id);
          this.#removed.add();
        }
      } catch (error) {
        this.#errors.add();
        throw error;
      }
      this.#processed.add();
    }
    this.#runs.add();
    return released;
  }

  async #releaseOrphan(id: string, txnOptions: TxnOptions): Promise<boolean> {
    const { kv, protections } = this.#options;
    return await kv.run(async (txn) => {
      const record = await protections.get(txn, id);
      const check = record && this.#checks.get(record.metaType);
      if (!record || !check || (await check(txn, record.meta))) return false;
      await protections.release(txn, id);
      return true;
    }, txnOptions);
  }

  #watched() {
    return this.#options.protections.current().filter((record) => this.#checks.has(record.metaType));
  }
}
