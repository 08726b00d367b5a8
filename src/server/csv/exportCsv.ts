/**
 * EXPORT INTO CSV: a query's rows as files at a location, in chunks. It reads in the statement's own
 * transaction, so all files are of one moment; nothing is left half written, but files of chunks that
 * came before a failure stay.
 *
 * Source: CockroachDB documentation, page "EXPORT".
 */
import { promisify } from 'node:util';
import { gzip, gzipSync } from 'node:zlib';

import { type Bytes, toBuffer, utf8Encode } from '../../base/bytes.ts';
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { checkLocationAccess, granteesOf, requireText } from '../../backup/statementValues.ts';
import type { Datum } from '../../catalog/datum.ts';
import { isNewerForm } from '../../catalog/newerForm.ts';
import { Type } from '../../catalog/type.ts';
import type { RunContext } from '../../sql/exec/context.ts';
import { copyEncoder } from '../../sql/exec/copy/encode.ts';
import { openRows } from '../../sql/exec/copy/copyTo.ts';
import type { HookResult, ResultColumn, StatementContext, StatementHook } from '../../sql/exec/statement.ts';
import { textContextOf } from '../../sql/exec/textContext.ts';
import type { ExportInto } from '../../sql/parse/ast.ts';
import type { StorageFactory } from '../../storage/externalStorage.ts';
import { exportOptions } from './csvOptions.ts';

const COLUMNS: readonly ResultColumn[] = [
  { name: 'filename', type: Type.String },
  { name: 'rows', type: Type.Int8 },
  { name: 'bytes', type: Type.Int8 },
];

/** What CockroachDB says since 23.2. */
const MOVING_ON =
  'EXPORT is not the recommended way to move data out of CockroachDB and may be deprecated in the future. Please consider exporting data with changefeeds instead: https://www.cockroachlabs.com/docs/stable/export-data-with-changefeeds';

export function exportHook(storage: StorageFactory): StatementHook<ExportInto> {
  return { columns: () => COLUMNS, run: (context, stmt) => runExport(storage, context, stmt), isReadOnly: true, runsOnce: true };
}

async function runExport(factory: StorageFactory, context: StatementContext, stmt: ExportInto): Promise<HookResult> {
  if (stmt.format !== 'CSV') {
    throw new StatementError(SqlState.FeatureNotSupported, `EXPORT INTO ${stmt.format} is not supported`, { hint: 'export INTO CSV' });
  }
  if (context.inExplicitTransaction) {
    throw new StatementError(SqlState.ActiveSqlTransaction, 'EXPORT cannot be used inside a multi-statement transaction');
  }
  const uri = await requireText(context, stmt.location, 'the location of an export');
  await checkLocationAccess(context, [uri], await granteesOf(context));
  const options = await exportOptions(context, stmt.options);
  const { columns, batches } = await openRows(context as RunContext, { table: undefined, columns: [], query: stmt.query, pos: stmt.pos });
  const { kv } = context.engine;
  const encoder = copyEncoder(
    { format: 'csv', delimiter: options.delimiter, nullText: options.nullText ?? '', header: false, quote: '"', escape: '"' },
    columns,
    textContextOf(context.session),
  );
  const storage = factory.open(uri, { user: context.user, nodeId: context.session.nodeId });
  const stem = `export${kv.ids.uuid().replaceAll('-', '')}-n${context.session.nodeId}`;
  const results: Datum[][] = [];
  let text = '';
  let rows = 0;
  const flush = async (): Promise<void> => {
    const content = toBuffer(text as Bytes);
    const stored = options.isCompressed
      ? await kv.executor.run('compress export', () => (kv.executor.isInline ? gzipSync(content) : promisify(gzip)(content)))
      : content;
    const name = `${stem}.${results.length}.csv${options.isCompressed ? '.gz' : ''}`;
    await storage.write(name, stored, { signal: context.signal });
    results.push([utf8Encode(name), rows, content.length]);
    text = '';
    rows = 0;
  };
  try {
    for await (const batch of batches) {
      for (const row of batch) {
        if (options.nullText === undefined && row.includes(null)) {
          throw new StatementError(
            SqlState.NullValueNotAllowed,
            'NULL value encountered during EXPORT, use `WITH nullas` to specify the string representation of NULL',
          );
        }
        text += encoder.row(row);
        rows++;
        if (rows >= options.chunkRows || text.length >= options.chunkBytes) await flush();
      }
      context.signal.throwIfAborted();
    }
    if (rows > 0) await flush();
  } finally {
    await storage.close();
  }
  if (isNewerForm(context.engine.settings)) context.notice(MOVING_ON);
  return { tag: 'EXPORT', rows: results, rowCount: results.length };
}
