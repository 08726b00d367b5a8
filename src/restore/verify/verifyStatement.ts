/**
 * VERIFY BACKUP: the statement. Its rows say what was proved of each table in each layer; a backup with faults is an
 * error (XX001) that names them all.
 *
 * It reads the collection only, so it may run in a read-only transaction, beside everything else, and be cancelled at any time.
 */
import { utf8Encode } from '../../base/bytes.ts';
import { CorruptionError, type VarveError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { Type } from '../../catalog/type.ts';
import type { Kv } from '../../kv/kv.ts';
import type { ResultColumn, StatementContext, StatementHook } from '../../sql/exec/statement.ts';
import type { VerifyBackup } from '../../sql/parse/ast.ts';
import type { StorageFactory } from '../../storage/externalStorage.ts';

import { typeOfLayer } from '../../backup/compactedLayer.ts';
import { withCollection } from '../../backup/showCollection.ts';
import { loadSource, readCollectionSource } from '../collectionSource.ts';
import { chainUsesOf } from '../retention/chainUses.ts';
import { type VerifiedTable, verifyBackup, type VerifyReport } from './verifyBackup.ts';

export interface VerifyStatementDeps {
  readonly kv: Kv;
  readonly storage: StorageFactory;
}

const COLUMNS: readonly ResultColumn[] = [
  { name: 'path', type: Type.String },
  { name: 'backup_type', type: Type.String },
  { name: 'end_time', type: Type.Timestamp },
  { name: 'table_name', type: Type.String },
  { name: 'rows', type: Type.Int8 },
  { name: 'index_entries', type: Type.Int8 },
  { name: 'size_bytes', type: Type.Int8 },
  { name: 'times_checked', type: Type.Int8 },
  { name: 'fingerprint', type: Type.String },
  { name: 'status', type: Type.String },
];

/** Faults that an error tells of; the others are counted. */
const FAULTS_TOLD_MAX = 20;

export function verifyBackupHook(deps: VerifyStatementDeps): StatementHook<VerifyBackup> {
  return {
    columns: () => COLUMNS,
    run: async (context, stmt) => {
      const report = await runVerify(deps, context, stmt);
      if (report.faults.length > 0) throw faultsError(report.faults);
      const rows = report.tables.map(rowOf);
      return { tag: `VERIFY BACKUP ${rows.length}`, rows, rowCount: rows.length };
    },
    isReadOnly: true,
    ownTransaction: true,
  };
}

async function runVerify(deps: VerifyStatementDeps, context: StatementContext, stmt: VerifyBackup): Promise<VerifyReport> {
  const source = await readCollectionSource('VERIFY BACKUP', deps, context, stmt);
  return await withCollection(deps, context, source.location, async (storage) => {
    const damaged: VarveError[] = [];
    const { chain, full, choose, isWhole } = await loadSource(storage, source, context, (_, why) => damaged.push(why));
    const release = chainUsesOf(deps.storage).hold(source.location, full, 'VERIFY BACKUP');
    const { executor, clock, memory } = deps.kv;
    const holding = memory.hold('sorts');
    try {
      const options = { storage, executor, clock, signal: context.signal, onHeld: (bytes: number) => holding.resize(bytes) };
      const report = await verifyBackup(chain, isWhole ? undefined : choose(), options);
      // What a moment needs does without it.
      return isWhole ? { ...report, faults: [...damaged, ...report.faults] } : report;
    } finally {
      holding.release();
      release();
    }
  });
}

/** The values of a row, in the order of the columns; times in microseconds. */
export function valuesOf({ layer, table, rows, indexEntries, dataBytes, times, fingerprint, status }: VerifiedTable) {
  const { endTime } = layer.manifest;
  return [
    `/${layer.directory}`,
    typeOfLayer(layer.manifest),
    endTime,
    table,
    rows,
    indexEntries,
    dataBytes,
    times,
    fingerprint ?? null,
    status,
  ] as const;
}

function rowOf(table: VerifiedTable) {
  return valuesOf(table).map((value) => (typeof value === 'string' ? utf8Encode(value) : value));
}

/** XX001 that tells every fault. */
export function faultsError(faults: readonly VarveError[]): VarveError {
  const [first] = faults;
  if (faults.length === 1 && first !== undefined) return first;
  const told = faults.slice(0, FAULTS_TOLD_MAX).map(({ message, detail }) => (detail === undefined ? message : `${message} (${detail})`));
  if (faults.length > told.length) told.push(`and ${faults.length - told.length} more`);
  return new CorruptionError(SqlState.DataCorrupted, `the backup has ${faults.length} faults`, {
    detail: told.join('\n'),
    hint: 'take the files from another copy of the collection, or restore from another backup',
  });
}
