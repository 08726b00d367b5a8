/**
 * npm run bench [NAME...] [--rows N]: prints a table of what Varve costs beside its ceilings.
 *
 * NAME selects cases by prefix; without one all run. Sizes are 200,000 and 1,000,000 rows unless
 * --rows says otherwise. Nothing here passes or fails: figures belong to a machine, and
 * docs/performance.md keeps them with command, machine and date.
 */
import { spawnSync } from 'node:child_process';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';

import { cases as backupChainCases } from './backupChain.ts';
import { cases as backupFileCases } from './backupFile.ts';
import { cases as backupMemoryCases } from './backupMemory.ts';
import { cases as backupProofCases } from './backupProof.ts';
import { cases as backupRestoreCases } from './backupRestore.ts';
import type { BenchCase, BenchRow } from './bench.ts';
import { cases as coldStartCases } from './coldStart.ts';
import { cases as contentionCases } from './contention.ts';
import { cases as forksCases } from './forks.ts';
import { cases as embeddedCases } from './embedded.ts';
import { cases as encryptionCases } from './encryption.ts';
import { cases as kvCases } from './kv.ts';
import { cases as listingCases } from './listing.ts';
import { cases as memoryCases } from './memory.ts';
import { cases as mvccCases } from './mvcc.ts';
import { cases as optimizerCases } from './optimizer.ts';
import { cases as pausesCases } from './pauses.ts';
import { cases as planningCases } from './planning.ts';
import { cases as schedulesCases } from './schedules.ts';
import { cases as schemaChangeCases } from './schemaChange.ts';
import { cases as storageCases } from './storage.ts';
import { cases as systemCases } from './system.ts';
import { cases as wireCases } from './wire.ts';

/** Every case, in the order of the table. A new file of cases is added here. */
const CASES: readonly BenchCase[] = [
  ...mvccCases,
  ...kvCases,
  ...contentionCases,
  ...wireCases,
  ...embeddedCases,
  ...planningCases,
  ...optimizerCases,
  ...backupFileCases,
  ...backupRestoreCases,
  ...backupMemoryCases,
  ...backupChainCases,
  ...encryptionCases,
  ...backupProofCases,
  ...listingCases,
  ...storageCases,
  ...schedulesCases,
  ...systemCases,
  ...forksCases,
  ...schemaChangeCases,
  ...pausesCases,
  ...memoryCases,
  ...coldStartCases,
];
const DEFAULT_ROWS = [200_000, 1_000_000];

const { values, positionals } = parseArgs({ allowPositionals: true, options: { rows: { type: 'string' } } });

// Measurements start from a collected heap, which takes the flag; so the bench runs itself once more with it.
if (!('gc' in globalThis)) {
  const flags = ['--expose-gc', '--max-old-space-size=6144'];
  const child = spawnSync(process.execPath, [...flags, import.meta.filename, ...process.argv.slice(2)], { stdio: 'inherit' });
  process.exit(child.status ?? 1);
}

const selected = CASES.filter((one) => positionals.length === 0 || positionals.some((name) => one.name.startsWith(name)));
if (selected.length === 0) {
  console.error(`no bench case starts with ${positionals.join(' or ')}; there are:\n  ${CASES.map((one) => one.name).join('\n  ')}`);
  process.exit(2);
}
const sizes = values.rows === undefined ? DEFAULT_ROWS : values.rows.split(',').map(Number);
if (sizes.some((rows) => !Number.isSafeInteger(rows) || rows < 1)) {
  console.error(`--rows wants a number of rows, not ${values.rows}`);
  process.exit(2);
}

console.log(`node ${process.version}, ${cpus().length} x ${cpus()[0]?.model.trim() ?? 'unknown processor'}`);
for (const rows of sizes) {
  console.log(`\n${rows.toLocaleString('en-US')} rows`);
  printHeader();
  for (const one of selected) for (const row of await one.run({ rows })) printRow(row);
}

function printHeader(): void {
  printColumns('case', 'measured', 'ceiling', 'ratio', 'aim');
}

function printRow(row: BenchRow): void {
  const met = row.met ?? (typeof row.aim === 'number' && row.ratio !== undefined ? row.ratio <= row.aim : undefined);
  const aim = typeof row.aim === 'number' ? `<= ${Number(row.aim.toFixed(2))}` : (row.aim ?? '');
  const ratio = row.ratio === undefined ? '' : row.ratio.toFixed(2);
  printColumns(row.name, row.measured, row.ceiling ?? '', ratio, met === undefined ? aim : `${aim} ${met ? 'met' : 'MISSED'}`);
}

function printColumns(name: string, measured: string, ceiling: string, ratio: string, aim: string): void {
  console.log(`  ${name.padEnd(38)}${measured.padStart(30)}   ${ceiling.padEnd(42)}${ratio.padStart(6)}   ${aim}`.trimEnd());
}
