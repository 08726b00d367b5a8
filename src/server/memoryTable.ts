/**
 * The memory budget as a database's users meet it: its default size, the setting, names in its
 * refusals, and varve_internal.memory.
 */
import { getHeapStatistics } from 'node:v8';

import { utf8Encode } from '../base/bytes.ts';
import type { Datum } from '../catalog/datum.ts';
import type { CatalogServices } from '../catalog/bootstrap.ts';
import { MAX_SYSTEM_ID } from '../catalog/descriptor.ts';
import { Type } from '../catalog/type.ts';
import type { MemoryAccount } from '../kv/memory.ts';
import type { SqlEngine } from '../sql/exec/engine.ts';
import { MEMORY_BYTES_MIN } from './openOptions.ts';

/** The rest of the heap is for what the budget does not count: code, plans, catalog, jobs, buffers of files. */
const BUDGET_SHARE_OF_HEAP = 0.7;
/** The least that the rest may be. */
const REST_OF_HEAP_MIN = 128 * 2 ** 20;

/** The budget of a process that was given none: 70% of what its heap may become, less in a very small one. */
export function defaultMemoryBytes(): number {
  const heapBytes = getHeapStatistics().heap_size_limit;
  return Math.floor(Math.max(MEMORY_BYTES_MIN, Math.min(heapBytes * BUDGET_SHARE_OF_HEAP, heapBytes - REST_OF_HEAP_MIN)));
}

/** System tables may be written beyond the budget: dropping, backing up and settings need them. */
export function isReservedTable(tableId: number): boolean {
  return tableId <= MAX_SYSTEM_ID;
}

const WORDS: Readonly<Record<MemoryAccount, string>> = Object.freeze({
  live: 'newest versions of rows, with their index entries',
  garbage: 'older versions and tombstones, kept until their TTL has passed',
  log: 'change logs: what incremental backups, validation and GC walk',
  forks: 'what one database removed and its forks may still hold',
  transactions: 'uncommitted writes',
  sorts: 'rows kept for sorts, joins and groups',
  results: 'results not yet sent',
});

/** Names tables in refusals, follows the setting of early GC and registers the table of accounts. */
export function registerMemory(services: CatalogServices, engine: SqlEngine): void {
  const { kv, catalog, settings } = services;
  const { memory } = kv;
  memory.nameOf = (tableId) => {
    const snapshot = catalog.currentNow();
    const table = snapshot?.tableById(tableId);
    if (snapshot === undefined || table === undefined) return `table ${tableId}`;
    return `${snapshot.fullName(table).join('.')}${table.state === 'DROP' ? ' (dropped)' : ''}`;
  };
  const follow = () => {
    memory.isEarlyGcOn = settings.bool('varve.memory.early_gc.enabled');
  };
  follow();
  settings.onChange('varve.memory.early_gc.enabled', follow);
  engine.virtualTables.register({
    schema: 'varve_internal',
    name: 'memory',
    comment: 'what the memory budget is used for; the accounts add up to "used"',
    columns: [
      { name: 'account', type: Type.String },
      { name: 'bytes', type: Type.Int8 },
      { name: 'share', type: Type.Float8 },
      { name: 'description', type: Type.String },
    ],
    rows() {
      const { accounts, usedBytes, softBytes, limitBytes } = memory.figures();
      const row = (account: string, bytes: number, words: string): Datum[] => [
        utf8Encode(account),
        Math.round(bytes),
        Math.round((bytes / limitBytes) * 1e4) / 1e4,
        utf8Encode(words),
      ];
      return [
        ...accounts.map(({ account, bytes }) => row(account, bytes, WORDS[account])),
        row('used', usedBytes, 'all accounts'),
        row('soft limit', softBytes, 'above it garbage is collected at once'),
        row('limit', limitBytes, 'what grows beyond it fails with 53200'),
      ];
    },
  });
}
