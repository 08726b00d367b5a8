/** The workloads that `varve workload` and `varve demo` know, by name. */
import { BANK_DATABASE, BANK_TABLE, bankStatements, transferStatement } from './bank.ts';
import { kvWorkload } from './kv.ts';
import { movrWorkload } from './movr.ts';
import type { Workload } from './workload.ts';
import { ycsbWorkload } from './ycsb.ts';

const bankWorkload: Workload = {
  name: 'bank',
  summary: 'accounts, and transfers that keep their total',
  database: BANK_DATABASE,
  table: BANK_TABLE,
  defaultRows: 1000,
  load: ({ rows, seed, drop, payloadBytes }) =>
    bankStatements({
      rows,
      ...(seed === undefined ? {} : { seed }),
      ...(drop === undefined ? {} : { drop }),
      ...(payloadBytes === undefined ? {} : { payloadBytes }),
    }),
  operation: transferStatement,
};

export const WORKLOADS: readonly Workload[] = Object.freeze([bankWorkload, kvWorkload, movrWorkload, ycsbWorkload]);
export const WORKLOAD_NAMES: readonly string[] = Object.freeze(WORKLOADS.map((workload) => workload.name));

export function findWorkload(name: string | undefined): Workload | undefined {
  return WORKLOADS.find((workload) => workload.name === name);
}
