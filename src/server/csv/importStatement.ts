/**
 * IMPORT INTO ... CSV: the statement. It takes the table offline and makes the job, in one
 * transaction, and waits for the job unless it is detached.
 *
 * Source: CockroachDB documentation, page "IMPORT INTO".
 */
import { StateError, StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { checkTransaction, jobColumns, jobResult } from '../../backup/jobResult.ts';
import { storeLocation } from '../../backup/locationDetails.ts';
import { checkLocationAccess, granteesOf, requireText } from '../../backup/statementValues.ts';
import { columnByName, isTable, MAX_SYSTEM_ID, type TableDescriptor, updated, visibleColumns } from '../../catalog/descriptor.ts';
import { quoteLiteral, quoteNames } from '../../catalog/names.ts';
import { checkPrivilege } from '../../catalog/privileges.ts';
import type { Txn } from '../../kv/kv.ts';
import type { Json } from '../../jobs/job.ts';
import type { JobRegistry } from '../../jobs/registry.ts';
import type { HookResult, StatementContext, StatementHook } from '../../sql/exec/statement.ts';
import type { ImportInto } from '../../sql/parse/ast.ts';
import { ParsedUri } from '../../storage/uri.ts';
import type { StorageFactory } from '../../storage/externalStorage.ts';
import { importOptions, isDetached } from './csvOptions.ts';
import { matchingFiles } from './importFiles.ts';
import { IMPORT_JOB_TYPE, type ImportDetails } from './importJob.ts';

export function importHook(jobs: JobRegistry, storage: StorageFactory): StatementHook<ImportInto> {
  return {
    columns: (stmt) => jobColumns(isDetached(stmt.options)),
    run: (context, stmt) => runImport(jobs, storage, context, stmt),
    ownTransaction: true,
  };
}

async function runImport(jobs: JobRegistry, storage: StorageFactory, context: StatementContext, stmt: ImportInto): Promise<HookResult> {
  if (stmt.format !== 'CSV') {
    throw new StatementError(SqlState.FeatureNotSupported, `IMPORT INTO from ${stmt.format} is not supported`, {
      hint: 'CSV is; a dump of PostgreSQL loads through psql',
    });
  }
  const { detached, ...options } = await importOptions(context, stmt.options);
  checkTransaction('IMPORT', context, detached);
  const grantees = await granteesOf(context);
  const uris: string[] = [];
  for (const file of stmt.files) {
    const uri = await requireText(context, file, 'the location of a file');
    await checkLocationAccess(context, [uri], grantees);
    uris.push(...(await matchingFiles(storage, uri, { user: context.user, nodeId: context.session.nodeId })));
  }
  const { catalog, kv } = context.engine;
  const jobId = jobs.newJobId();
  const plan = async (txn: Txn): Promise<void> => {
    const snapshot = await catalog.snapshot(txn);
    const parts = stmt.table.parts.map((part) => part.text);
    const { descriptor: table } = snapshot.requireTable(parts, context.names);
    await catalog.lock(txn, [table.id]);
    catalog.noteReads(txn, { ids: new Set([table.id]), names: new Map() });
    checkTable(table);
    for (const privilege of ['INSERT', 'DROP'] as const) checkPrivilege(grantees, table, privilege);
    const names = stmt.columns.length > 0 ? stmt.columns.map((column) => column.text) : visibleNames(table);
    const columnIds = names.map((name) => columnFor(table, name));
    const details: ImportDetails = {
      tableId: table.id,
      columnIds,
      files: storeLocation({ uris, incrementalUris: [] }),
      options,
      recordId: kv.ids.uuid(),
      validatedForeignKeyIds: table.foreignKeys.filter((fk) => fk.validated).map((fk) => fk.id),
    };
    const files = uris.map((uri) => quoteLiteral(String(ParsedUri.parse(uri)))).join(', ');
    const name = quoteNames(snapshot.fullName(table));
    catalog.writeDescriptor(txn, updated(table, { state: 'OFFLINE', offlineReason: 'importing', importing: {} }));
    const description = `IMPORT INTO ${name}(${names.join(', ')}) CSV DATA (${files})`;
    await jobs.create(txn, { id: jobId, type: IMPORT_JOB_TYPE, description, user: context.user, details: details as unknown as Json });
  };
  if (context.inExplicitTransaction) await plan(context.txn);
  else await kv.run(plan, { name: 'create import job' });
  return jobResult('IMPORT', context, jobs, jobId, detached);
}

function checkTable(table: TableDescriptor): void {
  if (table.id <= MAX_SYSTEM_ID) throw new StatementError(SqlState.InsufficientPrivilege, 'cannot IMPORT INTO a system table');
  if (!isTable(table)) throw new StatementError(SqlState.WrongObjectType, `"${table.name}" is not a table`);
  if (table.pendingChange) {
    throw new StateError(SqlState.ObjectNotInPrerequisiteState, `relation "${table.name}" has a schema change under way`);
  }
}

/** Columns that values can be given for. */
function visibleNames(table: TableDescriptor): string[] {
  return visibleColumns(table)
    .filter((column) => column.computeExpr === undefined)
    .map((column) => column.name);
}

function columnFor(table: TableDescriptor, name: string): number {
  const column = columnByName(table, name);
  if (column?.state !== 'public') throw new StatementError(SqlState.UndefinedColumn, `column "${name}" does not exist`);
  if (column.computeExpr !== undefined) {
    throw new StateError(SqlState.ObjectNotInPrerequisiteState, `cannot write directly to computed column "${name}"`);
  }
  return column.id;
}
